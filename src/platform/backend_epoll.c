/* Try-then-wait over epoll.
 *
 * An operation is tried at once. If it would block, its descriptor is armed for one event
 * (EPOLLONESHOT); the event makes the operations that wait be tried again, in order, and if any
 * remain the descriptor is armed again. An event is never more than a reason to try. So it does no
 * harm if it comes late, for an operation that was cancelled, or from another file:
 *
 * epoll watches files, not numbers. The user may close a descriptor and get its number back for
 * another file without telling us, and then epoll has dropped the registration, or, if a duplicate
 * keeps the old file open, goes on reporting that file under the old number. So what the slot says
 * about registration is only a guess at which epoll_ctl will work first, and each operation that
 * begins to wait makes one. That call is the price of a wait; ONESHOT then keeps a stale
 * registration from reporting more than once.
 *
 * EPOLLRDHUP is not asked for: the kernel sets EPOLLIN with it. EPOLLERR and EPOLLHUP come
 * unasked, and wake both sides.
 *
 * A flow is registered once, edge-triggered, for everything. Its events come to the flow, not to queues.
 *
 * If a descriptor is closed while operations wait for it, epoll says nothing, and they wait until
 * they are cancelled or something is submitted under the same number. */
#include "platform/backend.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/time_types.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "platform/backend_fds.h"
#include "platform/backend_try.h"
#include "platform/backend_wake.h"
#include "platform/clock.h"
#include "platform/flow.h"

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT, "one mask serves both");

enum {
    BATCH_EVENTS = 256,
    NS_PER_MS = 1000000,
    NS_PER_S = 1000000000,
};

struct epoll_backend {
    struct coil__backend base;
    struct coil__fds fds;
    int epoll_fd;
    int wake_fd;      /* set once, so that wake may use it from any thread */
    int first_listed; /* descriptors that epoll refuses and operations wait for; -1: none */
    int last_listed;
    bool has_pwait2;
    bool embedded;         /* somebody polls our descriptor from outside */
    struct coil__link hot; /* flows, see flow.h */
    struct epoll_event events[BATCH_EVENTS];
};

static int make_descriptors(struct epoll_backend *epoll);
static int begin_unpollable(struct epoll_backend *epoll, struct coil__op *op);
static int arm(struct epoll_backend *epoll, int fd, short interest);
static int control(struct epoll_backend *epoll, int how, int fd, uint32_t events);
static int wait_for_events(struct epoll_backend *epoll, int64_t timeout_ns);
static int wait_precisely(struct epoll_backend *epoll, int64_t timeout_ns);
static int whole_ms(int64_t timeout_ns);
static void handle(struct epoll_backend *epoll, const struct epoll_event *event);
static void settle(struct epoll_backend *epoll, int fd);
static void list(struct epoll_backend *epoll, int fd);
static void run_listed(struct epoll_backend *epoll);
static void epoll_wake(struct coil__backend *backend);

static struct epoll_backend *of(struct coil__backend *backend)
{
    assert(backend->ops == &coil__backend_epoll);
    return (struct epoll_backend *)backend;
}

static int epoll_open(struct coil__backend **backend_out)
{
    struct epoll_backend *epoll = coil__alloc_zero(sizeof(*epoll));
    if (epoll == NULL)
        return -ENOMEM;
    epoll->base.ops = &coil__backend_epoll;
    coil__fds_init(&epoll->fds);
    coil__list_init(&epoll->hot);
    epoll->first_listed = epoll->last_listed = -1;
    epoll->has_pwait2 = true;

    int rc = make_descriptors(epoll);
    if (rc < 0) {
        coil__free(epoll);
        return rc;
    }
    *backend_out = &epoll->base;
    return 0;
}

static int make_descriptors(struct epoll_backend *epoll)
{
    int rc;

    epoll->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll->epoll_fd < 0)
        return -errno;
    epoll->wake_fd = rc = coil__wake_open();
    if (rc < 0)
        goto close_epoll;
    /* Edge-triggered: each write is reported once, and the counter need not be drained. It would
     * take centuries to overflow. */
    rc = control(epoll, EPOLL_CTL_ADD, epoll->wake_fd, EPOLLIN | EPOLLET);
    if (rc < 0)
        goto close_wake;
    return 0;

close_wake:
    (void)close(epoll->wake_fd);
close_epoll:
    (void)close(epoll->epoll_fd);
    return rc;
}

static void epoll_close(struct coil__backend *backend)
{
    struct epoll_backend *epoll = of(backend);

    coil__fds_fini(&epoll->fds);
    (void)close(epoll->wake_fd);
    (void)close(epoll->epoll_fd);
    coil__free(epoll);
}

static int epoll_submit(struct coil__backend *backend, struct coil__op *op)
{
    struct epoll_backend *epoll = of(backend);

    int rc = coil__fds_reserve(&epoll->fds, op->fd);
    if (rc < 0)
        return rc;
    if (coil__fds_at(&epoll->fds, op->fd)->flow != NULL)
        return -EBUSY;
    rc = coil__fds_begin(&epoll->fds, op);
    if (rc != COIL__OP_PENDING)
        return rc;

    /* Also if others wait already: should the file have changed under them, this revives them,
     * where the new operation would otherwise be stuck behind them. */
    short waiting = coil__fd_interest(coil__fds_at(&epoll->fds, op->fd));
    rc = arm(epoll, op->fd, (short)(waiting | coil__op_interest(op)));
    if (rc == -EPERM)
        return begin_unpollable(epoll, op);
    if (rc < 0)
        return rc; /* a connect that has started goes on without us, until its socket is closed */
    coil__fds_push(&epoll->fds, op);
    return COIL__OP_PENDING;
}

/* Regular files, /dev/null and the like are always ready. Operations on them were over at the first
 * try, but for questions of readiness, which the next wait answers, and what was queued behind. */
static int begin_unpollable(struct epoll_backend *epoll, struct coil__op *op)
{
    bool is_first = !(coil__fd_interest(coil__fds_at(&epoll->fds, op->fd)) & coil__op_interest(op));
    if (is_first && !coil__op_asks_readiness(op)) {
        op->result = -EAGAIN; /* it would block, and nothing will say when it no longer does */
        return COIL__OP_READY;
    }
    coil__fds_push(&epoll->fds, op);
    list(epoll, op->fd);
    return COIL__OP_PENDING;
}

/* The registration is left armed: a needless event now and then costs less than a system call for
 * each timeout that takes an operation back. */
static int epoll_cancel(struct coil__backend *backend, struct coil__op *op)
{
    coil__fds_take(&of(backend)->fds, op);
    return COIL__OP_GONE;
}

static int arm(struct epoll_backend *epoll, int fd, short interest)
{
    struct coil__fd *slot = coil__fds_at(&epoll->fds, fd);
    uint32_t events = (uint32_t)interest | EPOLLONESHOT;

    int rc = control(epoll, slot->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, events);
    if (rc == -ENOENT)
        rc = control(epoll, EPOLL_CTL_ADD, fd, events);
    else if (rc == -EEXIST)
        rc = control(epoll, EPOLL_CTL_MOD, fd, events);
    slot->registered = rc == 0;
    slot->armed = rc == 0 ? (uint32_t)interest : 0;
    return rc;
}

static int control(struct epoll_backend *epoll, int how, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    return epoll_ctl(epoll->epoll_fd, how, fd, &event) < 0 ? -errno : 0;
}

static int epoll_wait_and_run(struct coil__backend *backend, int64_t timeout_ns)
{
    struct epoll_backend *epoll = of(backend);

    int n = wait_for_events(epoll, coil__list_empty(&epoll->hot) ? timeout_ns : 0);
    if (n < 0 && n != -EINTR)
        return n;
    run_listed(epoll);
    coil__flow_run_hot(&epoll->hot);
    for (int i = 0; i < n; i++)
        handle(epoll, &epoll->events[i]);
    return 0;
}

static int wait_for_events(struct epoll_backend *epoll, int64_t timeout_ns)
{
    bool forever = timeout_ns == COIL__FOREVER_NS;
    if (timeout_ns > 0 && !forever && epoll->has_pwait2) {
        int n = wait_precisely(epoll, timeout_ns);
        /* Old kernels say ENOSYS; filters written before the call existed may say EPERM. */
        if (n != -ENOSYS && n != -EPERM)
            return n;
        epoll->has_pwait2 = false;
    }
    int n = epoll_wait(epoll->epoll_fd, epoll->events, BATCH_EVENTS,
                       forever ? -1 : whole_ms(timeout_ns));
    return n < 0 ? -errno : n;
}

/* By number: the C library learnt the name long after the kernel did. */
static int wait_precisely(struct epoll_backend *epoll, int64_t timeout_ns)
{
#ifdef SYS_epoll_pwait2
    struct __kernel_timespec timeout = {
        .tv_sec = timeout_ns / NS_PER_S,
        .tv_nsec = timeout_ns % NS_PER_S,
    };
    long n = syscall(SYS_epoll_pwait2, epoll->epoll_fd, epoll->events, BATCH_EVENTS, &timeout, NULL,
                     (size_t)0);
    return n < 0 ? -errno : (int)n;
#else
    (void)epoll;
    (void)timeout_ns;
    return -ENOSYS;
#endif
}

/* Rounded up: the loop would spin through the last millisecond before a timer otherwise. */
static int whole_ms(int64_t timeout_ns)
{
    if (timeout_ns <= 0)
        return 0;
    int64_t ms = (timeout_ns - 1) / NS_PER_MS + 1;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

static void handle(struct epoll_backend *epoll, const struct epoll_event *event)
{
    int fd = event->data.fd;
    if (fd == epoll->wake_fd)
        return; /* it has done its work by ending the wait */

    struct coil__flow *flow = coil__fds_at(&epoll->fds, fd)->flow;
    if (flow != NULL) {
        if (coil__flow_event(&epoll->hot, flow, event->events) &&
            coil__fds_at(&epoll->fds, fd)->flow == flow)
            flow->writable(flow);
        return;
    }
    coil__fds_at(&epoll->fds, fd)->armed = 0;
    if (event->events & ~(uint32_t)EPOLLOUT)
        coil__fds_run(&epoll->fds, fd, COIL__FD_IN);
    if (event->events & ~(uint32_t)EPOLLIN)
        coil__fds_run(&epoll->fds, fd, COIL__FD_OUT);
    settle(epoll, fd);
}

/* What still waits after its queue was run must be heard again. */
static void settle(struct epoll_backend *epoll, int fd)
{
    struct coil__fd *slot = coil__fds_at(&epoll->fds, fd);
    short interest = coil__fd_interest(slot);
    if (slot->listed || ((uint32_t)interest & ~slot->armed) == 0)
        return;

    int rc = arm(epoll, fd, interest);
    if (rc < 0)
        coil__fds_fail(&epoll->fds, fd, rc == -EPERM ? -EAGAIN : rc);
}

/* Makes the next wait return at once and run the descriptor's queues. By way of wake, so that
 * whoever polls our poll_fd from outside hears of it, too. */
static void list(struct epoll_backend *epoll, int fd)
{
    struct coil__fd *slot = coil__fds_at(&epoll->fds, fd);
    if (slot->listed)
        return;

    slot->listed = true;
    slot->next_listed = -1;
    if (epoll->last_listed >= 0) {
        coil__fds_at(&epoll->fds, epoll->last_listed)->next_listed = fd;
    } else {
        epoll->first_listed = fd;
        epoll_wake(&epoll->base);
    }
    epoll->last_listed = fd;
}

static void run_listed(struct epoll_backend *epoll)
{
    int fd = epoll->first_listed;

    /* Those listed from here on, by a `done`, are for the next wait. */
    epoll->first_listed = epoll->last_listed = -1;
    while (fd >= 0) {
        struct coil__fd *slot = coil__fds_at(&epoll->fds, fd);
        int next = slot->next_listed;
        slot->listed = false;
        coil__fds_run(&epoll->fds, fd, COIL__FD_IN);
        coil__fds_run(&epoll->fds, fd, COIL__FD_OUT);
        settle(epoll, fd);
        fd = next;
    }
}

static void epoll_wake(struct coil__backend *backend)
{
    coil__wake_send(of(backend)->wake_fd);
}

static void epoll_forget(struct coil__backend *backend, int fd)
{
    struct epoll_backend *epoll = of(backend);
    struct coil__fd *slot = coil__fds_at(&epoll->fds, fd);
    if (slot == NULL || !slot->registered)
        return;

    assert(coil__fd_interest(slot) == 0);
    (void)control(epoll, EPOLL_CTL_DEL, fd, 0); /* it may be gone already */
    slot->registered = false;
    slot->armed = 0;
}

static void epoll_abandon(struct coil__backend *backend)
{
    (void)close(of(backend)->wake_fd);
    (void)close(of(backend)->epoll_fd);
}

static int epoll_poll_fd(struct coil__backend *backend)
{
    of(backend)->embedded = true;
    return of(backend)->epoll_fd;
}

static size_t epoll_pending(struct coil__backend *backend)
{
    return of(backend)->fds.pending;
}

/* ---- flows ----------------------------------------------------------------------------------------- */

static int epoll_flow_open(struct coil__backend *backend, struct coil__flow *flow)
{
    struct epoll_backend *epoll = of(backend);

    int rc = coil__fds_reserve(&epoll->fds, flow->fd);
    if (rc < 0)
        return rc;
    struct coil__fd *slot = coil__fds_at(&epoll->fds, flow->fd);
    if (slot->flow != NULL || coil__fd_interest(slot) != 0)
        return -EBUSY;

    uint32_t events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;
    if (flow->kind != COIL__FLOW_LISTENER)
        events |= EPOLLOUT;
    rc = control(epoll, slot->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, flow->fd, events);
    if (rc == -ENOENT)
        rc = control(epoll, EPOLL_CTL_ADD, flow->fd, events);
    else if (rc == -EEXIST)
        rc = control(epoll, EPOLL_CTL_MOD, flow->fd, events);
    if (rc < 0)
        return rc;
    coil__flow_init(flow);
    slot->registered = true;
    slot->flow = flow;
    return 0;
}

/* The kernel forgets the registration when the descriptor is closed. Should its owner keep a duplicate, or
 * not close it, there may be an event for nobody; the next operation or flow under that number finds it
 * registered and changes it. */
static void epoll_flow_close(struct coil__backend *backend, struct coil__flow *flow)
{
    struct epoll_backend *epoll = of(backend);
    struct coil__fd *slot = coil__fds_at(&epoll->fds, flow->fd);

    assert(slot->flow == flow);
    slot->flow = NULL;
    slot->registered = false;
    flow->reading = false;
    coil__flow_settle(&epoll->hot, flow);
}

static void settle_flow(struct epoll_backend *epoll, struct coil__flow *flow)
{
    coil__flow_settle(&epoll->hot, flow);
    if (epoll->embedded && !coil__list_empty(&epoll->hot))
        epoll_wake(&epoll->base);
}

static void epoll_flow_reading(struct coil__backend *backend, struct coil__flow *flow, bool reading)
{
    flow->reading = reading;
    settle_flow(of(backend), flow);
}

static int64_t epoll_flow_read(struct coil__backend *backend, struct coil__flow *flow, void *buffer,
                               size_t bytes)
{
    int64_t got = coil__flow_read(flow, buffer, bytes);
    settle_flow(of(backend), flow);
    return got;
}

static int64_t epoll_flow_write(struct coil__backend *backend, struct coil__flow *flow,
                                const struct iovec *parts, int count)
{
    (void)backend;
    return coil__flow_write(flow, parts, count);
}

static int epoll_flow_accept(struct coil__backend *backend, struct coil__flow *flow)
{
    int fd = coil__flow_accept(flow);
    settle_flow(of(backend), flow);
    return fd;
}

static void epoll_flow_blocked(struct coil__backend *backend, struct coil__flow *flow, int side)
{
    coil__flow_blocked(flow, side);
    settle_flow(of(backend), flow);
}

const struct coil__backend_ops coil__backend_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .submit = epoll_submit,
    .cancel = epoll_cancel,
    .wait = epoll_wait_and_run,
    .wake = epoll_wake,
    .forget = epoll_forget,
    .abandon = epoll_abandon,
    .poll_fd = epoll_poll_fd,
    .pending = epoll_pending,
    .flow_open = epoll_flow_open,
    .flow_close = epoll_flow_close,
    .flow_reading = epoll_flow_reading,
    .flow_read = epoll_flow_read,
    .flow_write = epoll_flow_write,
    .flow_accept = epoll_flow_accept,
    .flow_blocked = epoll_flow_blocked,
};
