/* Try-then-wait over poll: the plain one, to explain the other and to compare it with.
 *
 * The kernel keeps nothing between calls, so there is nothing to register, to go stale or to
 * forget. Each wait passes the descriptors that have operations, in an array that is kept and made
 * anew only if that set has changed. A descriptor closed while operations wait for it is noticed
 * (POLLNVAL): their next try gives -EBADF.
 *
 * A flow is asked about for as long as the answer would be news: for reading until it can be read, for
 * writing after a write was refused. */
#include "platform/backend.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "platform/backend_fds.h"
#include "platform/backend_wake.h"
#include "platform/clock.h"
#include "platform/flow.h"

enum {
    NS_PER_S = 1000000000
};

struct poll_backend {
    struct coil__backend base;
    struct coil__fds fds;
    int wake_fd;           /* set once, so that wake may use it from any thread */
    struct pollfd *polled; /* the first is wake_fd */
    size_t polled_count;
    size_t polled_capacity; /* reserved by submit, so that wait needs no memory */
    bool changed;           /* polled no longer says who waits for what */
    struct coil__link hot;  /* flows, see flow.h */
};

static int reserve(struct poll_backend *poller, int fd);
static int reserve_polled(struct poll_backend *poller, size_t capacity);
static void rebuild_polled(struct poll_backend *poller);
static int wait_for_events(struct poll_backend *poller, int64_t timeout_ns);
static void handle(struct poll_backend *poller, struct pollfd event);

static struct poll_backend *of(struct coil__backend *backend)
{
    assert(backend->ops == &coil__backend_poll);
    return (struct poll_backend *)backend;
}

static int poll_open(struct coil__backend **backend_out)
{
    int rc;
    struct poll_backend *poller = coil__alloc_zero(sizeof(*poller));
    if (poller == NULL)
        return -ENOMEM;
    poller->base.ops = &coil__backend_poll;
    coil__fds_init(&poller->fds);
    coil__list_init(&poller->hot);
    poller->changed = true;

    rc = reserve_polled(poller, 1);
    if (rc < 0)
        goto free_backend;
    poller->wake_fd = rc = coil__wake_open();
    if (rc < 0)
        goto free_polled;
    *backend_out = &poller->base;
    return 0;

free_polled:
    coil__free(poller->polled);
free_backend:
    coil__free(poller);
    return rc;
}

static void poll_close(struct coil__backend *backend)
{
    struct poll_backend *poller = of(backend);

    coil__fds_fini(&poller->fds);
    (void)close(poller->wake_fd);
    coil__free(poller->polled);
    coil__free(poller);
}

static int poll_submit(struct coil__backend *backend, struct coil__op *op)
{
    struct poll_backend *poller = of(backend);

    int rc = reserve(poller, op->fd);
    if (rc < 0)
        return rc;
    if (coil__fds_at(&poller->fds, op->fd)->flow != NULL)
        return -EBUSY;
    rc = coil__fds_begin(&poller->fds, op);
    if (rc != COIL__OP_PENDING)
        return rc;
    if (!(coil__fd_interest(coil__fds_at(&poller->fds, op->fd)) & coil__op_interest(op)))
        poller->changed = true;
    coil__fds_push(&poller->fds, op);
    return COIL__OP_PENDING;
}

/* Room for every slot, and for wake_fd. */
static int reserve(struct poll_backend *poller, int fd)
{
    int rc = coil__fds_reserve(&poller->fds, fd);
    if (rc < 0)
        return rc;
    return reserve_polled(poller, poller->fds.count + 1);
}

static int reserve_polled(struct poll_backend *poller, size_t capacity)
{
    if (capacity <= poller->polled_capacity)
        return 0;
    struct pollfd *polled = coil__realloc(poller->polled, capacity * sizeof(*polled));
    if (polled == NULL)
        return -ENOMEM;
    poller->polled = polled;
    poller->polled_capacity = capacity;
    return 0;
}

static int poll_cancel(struct coil__backend *backend, struct coil__op *op)
{
    struct poll_backend *poller = of(backend);

    coil__fds_take(&poller->fds, op);
    if (!(coil__fd_interest(coil__fds_at(&poller->fds, op->fd)) & coil__op_interest(op)))
        poller->changed = true;
    return COIL__OP_GONE;
}

static int poll_wait_and_run(struct coil__backend *backend, int64_t timeout_ns)
{
    struct poll_backend *poller = of(backend);

    if (poller->changed)
        rebuild_polled(poller);
    int left = wait_for_events(poller, coil__list_empty(&poller->hot) ? timeout_ns : 0);
    if (left < 0 && left != -EINTR)
        return left;
    coil__flow_run_hot(&poller->hot);

    /* By index: a `done` that submits may move the array, but never changes what is in it. */
    for (size_t i = 0; i < poller->polled_count && left > 0; i++) {
        if (poller->polled[i].revents == 0)
            continue;
        handle(poller, poller->polled[i]);
        left--;
    }
    return 0;
}

static short interest_in(const struct coil__fd *slot)
{
    const struct coil__flow *flow = slot->flow;
    if (flow == NULL)
        return coil__fd_interest(slot);
    int interest = 0;
    if (!(flow->state & COIL__FLOW_CAN_READ))
        interest |= POLLIN | POLLPRI | POLLRDHUP;
    if (flow->state & COIL__FLOW_NO_WRITE)
        interest |= POLLOUT;
    return (short)interest;
}

static void rebuild_polled(struct poll_backend *poller)
{
    size_t n = 0;

    poller->polled[n++] = (struct pollfd){ .fd = poller->wake_fd, .events = POLLIN };
    for (size_t fd = 0; fd < poller->fds.count; fd++) {
        const struct coil__flow *flow = poller->fds.slots[fd].flow;
        short interest = interest_in(&poller->fds.slots[fd]);
        /* A flow without interest may still lose its peer, which poll reports unasked. */
        if (interest == 0 && !(flow && !(flow->state & COIL__FLOW_GONE_TOLD)))
            continue;
        assert(n < poller->polled_capacity);
        poller->polled[n++] = (struct pollfd){ .fd = (int)fd, .events = interest };
    }
    poller->polled_count = n;
    poller->changed = false;
}

static int wait_for_events(struct poll_backend *poller, int64_t timeout_ns)
{
    int64_t ns = timeout_ns > 0 ? timeout_ns : 0;
    struct timespec timeout = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };
    int n = ppoll(poller->polled, poller->polled_count, ns < COIL__FOREVER_NS ? &timeout : NULL,
                  NULL);
    return n < 0 ? -errno : n;
}

static void handle(struct poll_backend *poller, struct pollfd event)
{
    if (event.fd == poller->wake_fd) {
        coil__wake_drain(poller->wake_fd);
        return;
    }
    struct coil__flow *flow = coil__fds_at(&poller->fds, event.fd)->flow;
    if (flow != NULL) {
        uint32_t events = (uint32_t)event.revents;
        if (events & POLLNVAL)
            events |= POLLERR; /* closed behind our back: the next call says so */
        if (coil__flow_event(&poller->hot, flow, events) &&
            coil__fds_at(&poller->fds, event.fd)->flow == flow)
            flow->writable(flow);
        poller->changed = true;
        return;
    }
    /* Errors and hang-ups wake both sides. */
    if (event.revents & ~POLLOUT)
        coil__fds_run(&poller->fds, event.fd, COIL__FD_IN);
    if (event.revents & ~POLLIN)
        coil__fds_run(&poller->fds, event.fd, COIL__FD_OUT);
    if (coil__fd_interest(coil__fds_at(&poller->fds, event.fd)) != event.events)
        poller->changed = true;
}

static void poll_wake(struct coil__backend *backend)
{
    coil__wake_send(of(backend)->wake_fd);
}

static void poll_forget(struct coil__backend *backend, int fd)
{
    struct coil__fd *slot = coil__fds_at(&of(backend)->fds, fd);
    assert(slot == NULL || coil__fd_interest(slot) == 0);
    (void)slot;
}

static void poll_abandon(struct coil__backend *backend)
{
    (void)close(of(backend)->wake_fd);
}

static int poll_poll_fd(struct coil__backend *backend)
{
    (void)backend;
    return -ENOTSUP;
}

static size_t poll_pending(struct coil__backend *backend)
{
    return of(backend)->fds.pending;
}

/* ---- flows ----------------------------------------------------------------------------------------- */

static int poll_flow_open(struct coil__backend *backend, struct coil__flow *flow)
{
    struct poll_backend *poller = of(backend);

    int rc = reserve(poller, flow->fd);
    if (rc < 0)
        return rc;
    struct coil__fd *slot = coil__fds_at(&poller->fds, flow->fd);
    if (slot->flow != NULL || coil__fd_interest(slot) != 0)
        return -EBUSY;
    struct stat file;
    if (fstat(flow->fd, &file) < 0)
        return -errno;
    if (S_ISREG(file.st_mode) || S_ISDIR(file.st_mode))
        return -EPERM; /* poll calls them always ready */
    coil__flow_init(flow);
    slot->flow = flow;
    poller->changed = true;
    return 0;
}

static void poll_flow_close(struct coil__backend *backend, struct coil__flow *flow)
{
    struct poll_backend *poller = of(backend);
    struct coil__fd *slot = coil__fds_at(&poller->fds, flow->fd);

    assert(slot->flow == flow);
    slot->flow = NULL;
    poller->changed = true;
    flow->reading = false;
    coil__flow_settle(&poller->hot, flow);
}

/* After a call that may have changed what is to be asked. */
static void settle_flow(struct poll_backend *poller, struct coil__flow *flow)
{
    poller->changed = true;
    coil__flow_settle(&poller->hot, flow);
}

static void poll_flow_reading(struct coil__backend *backend, struct coil__flow *flow, bool reading)
{
    flow->reading = reading;
    settle_flow(of(backend), flow);
}

static int64_t poll_flow_read(struct coil__backend *backend, struct coil__flow *flow, void *buffer,
                              size_t bytes)
{
    int64_t got = coil__flow_read(flow, buffer, bytes);
    settle_flow(of(backend), flow);
    return got;
}

static int64_t poll_flow_write(struct coil__backend *backend, struct coil__flow *flow,
                               const struct iovec *parts, int count)
{
    int64_t sent = coil__flow_write(flow, parts, count);
    settle_flow(of(backend), flow);
    return sent;
}

static int poll_flow_accept(struct coil__backend *backend, struct coil__flow *flow)
{
    int fd = coil__flow_accept(flow);
    settle_flow(of(backend), flow);
    return fd;
}

static void poll_flow_blocked(struct coil__backend *backend, struct coil__flow *flow, int side)
{
    coil__flow_blocked(flow, side);
    settle_flow(of(backend), flow);
}

const struct coil__backend_ops coil__backend_poll = {
    .name = "poll",
    .open = poll_open,
    .close = poll_close,
    .submit = poll_submit,
    .cancel = poll_cancel,
    .wait = poll_wait_and_run,
    .wake = poll_wake,
    .forget = poll_forget,
    .abandon = poll_abandon,
    .poll_fd = poll_poll_fd,
    .pending = poll_pending,
    .flow_open = poll_flow_open,
    .flow_close = poll_flow_close,
    .flow_reading = poll_flow_reading,
    .flow_read = poll_flow_read,
    .flow_write = poll_flow_write,
    .flow_accept = poll_flow_accept,
    .flow_blocked = poll_flow_blocked,
};
