/* Try-then-wait over poll: the plain one, to explain the other and to compare it with.
 *
 * The kernel keeps nothing between calls, so there is nothing to register, to go stale or to
 * forget. Each wait passes the descriptors that have operations, in an array that is kept and made
 * anew only if that set has changed. A descriptor closed while operations wait for it is noticed
 * (POLLNVAL): their next try gives -EBADF. */
#include "platform/backend.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "platform/backend_fds.h"
#include "platform/backend_wake.h"
#include "platform/clock.h"

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
    int left = wait_for_events(poller, timeout_ns);
    if (left < 0)
        return left == -EINTR ? 0 : left;

    /* By index: a `done` that submits may move the array, but never changes what is in it. */
    for (size_t i = 0; i < poller->polled_count && left > 0; i++) {
        if (poller->polled[i].revents == 0)
            continue;
        handle(poller, poller->polled[i]);
        left--;
    }
    return 0;
}

static void rebuild_polled(struct poll_backend *poller)
{
    size_t n = 0;

    poller->polled[n++] = (struct pollfd){ .fd = poller->wake_fd, .events = POLLIN };
    for (size_t fd = 0; fd < poller->fds.count; fd++) {
        short interest = coil__fd_interest(&poller->fds.slots[fd]);
        if (interest == 0)
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

static int poll_poll_fd(struct coil__backend *backend)
{
    (void)backend;
    return -ENOTSUP;
}

static size_t poll_pending(struct coil__backend *backend)
{
    return of(backend)->fds.pending;
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
    .poll_fd = poll_poll_fd,
    .pending = poll_pending,
};
