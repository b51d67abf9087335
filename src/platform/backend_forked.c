/* What a loop has in a child of fork instead of its backend: it refuses, and touches nothing. */
#include "platform/backend.h"

#include <errno.h>
#include <coil/error.h>

static int refuse_open(struct coil__backend **backend_out)
{
    (void)backend_out;
    return COIL_EFORKED;
}

static void do_nothing(struct coil__backend *backend)
{
    (void)backend;
}

static int refuse_submit(struct coil__backend *backend, struct coil__op *op)
{
    (void)backend;
    (void)op;
    return COIL_EFORKED;
}

/* One that was pending in the parent, where it still is. */
static int forked_cancel(struct coil__backend *backend, struct coil__op *op)
{
    (void)backend;
    op->pending = false;
    return COIL__OP_GONE;
}

static int refuse_wait(struct coil__backend *backend, int64_t timeout_ns)
{
    (void)backend;
    (void)timeout_ns;
    return COIL_EFORKED;
}

static void forget_nothing(struct coil__backend *backend, int fd)
{
    (void)backend;
    (void)fd;
}

static int no_poll_fd(struct coil__backend *backend)
{
    (void)backend;
    return -ENOTSUP;
}

static size_t none_pending(struct coil__backend *backend)
{
    (void)backend;
    return 0;
}

static int refuse_flow(struct coil__backend *backend, struct coil__flow *flow)
{
    (void)backend;
    (void)flow;
    return COIL_EFORKED;
}

static void leave_flow(struct coil__backend *backend, struct coil__flow *flow)
{
    (void)backend;
    (void)flow;
}

static void ignore_reading(struct coil__backend *backend, struct coil__flow *flow, bool reading)
{
    (void)backend;
    (void)flow;
    (void)reading;
}

static int64_t refuse_flow_read(struct coil__backend *backend, struct coil__flow *flow,
                                void *buffer, size_t bytes)
{
    (void)backend;
    (void)flow;
    (void)buffer;
    (void)bytes;
    return COIL_EFORKED;
}

static int64_t refuse_flow_write(struct coil__backend *backend, struct coil__flow *flow,
                                 const struct iovec *parts, int count)
{
    (void)backend;
    (void)flow;
    (void)parts;
    (void)count;
    return COIL_EFORKED;
}

static void ignore_blocked(struct coil__backend *backend, struct coil__flow *flow, int side)
{
    (void)backend;
    (void)flow;
    (void)side;
}

static const struct coil__backend_ops forked_ops = {
    .name = "forked",
    .open = refuse_open,
    .close = do_nothing,
    .submit = refuse_submit,
    .cancel = forked_cancel,
    .wait = refuse_wait,
    .wake = do_nothing,
    .forget = forget_nothing,
    .abandon = do_nothing,
    .poll_fd = no_poll_fd,
    .pending = none_pending,
    .flow_open = refuse_flow,
    .flow_close = leave_flow,
    .flow_reading = ignore_reading,
    .flow_read = refuse_flow_read,
    .flow_write = refuse_flow_write,
    .flow_accept = refuse_flow,
    .flow_blocked = ignore_blocked,
};

struct coil__backend coil__backend_forked = { .ops = &forked_ops };
