/* io_uring, through liburing: operations are requests in the kernel.
 *
 * An operation is tried at once, as asyncio does. If it would block, a request for it goes into the
 * submission queue, and the next wait() hands all of them over in the call in which it sleeps. What a
 * socket receives, sends or accepts, the kernel does itself; for the rest (READABLE, pipes, terminals,
 * connect) it says when to try, by a poll request, since a pipe in non-blocking mode gets EAGAIN from
 * io_uring, and a terminal would occupy a thread of the kernel's. Only the first operation of a queue has
 * a request, which keeps them in order.
 *
 *     submit:  try --would block--> request --wait()--> completion --> done
 *
 * The ring belongs to one thread (SINGLE_ISSUER) and does its work only while that thread is in a call
 * for it (DEFER_TASKRUN). So between two calls nothing is received behind our back: a request that is
 * taken back in between leaves the data in the socket, and its buffer is nobody's at once. What the
 * kernel does not let go of at once stays pending, buffer and all, until it has completed.
 *
 * If a loop is run by another thread than before, the kernel refuses the ring to that thread (EEXIST),
 * and there is a new ring: what had completed is taken out of the old one, what had not is asked again.
 *
 * A request holds on to its file. So a descriptor that is closed while an operation waits stays open
 * inside until that is cancelled, and forget() makes the kernel drop what was taken back, so that a close
 * is a close. */
#include "platform/backend_uring.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#ifdef COIL_HAVE_VALGRIND
#include <valgrind/memcheck.h>
#endif

#include "base/alloc.h"
#include "platform/backend_try.h"
#include "platform/backend_uring_pool.h"
#include "platform/backend_wake.h"
#include "platform/clock.h"

enum {
    SUBMISSIONS = 256,
    COMPLETIONS = 4096, /* more wait in the kernel, and take a call more */
    NS_PER_S = 1000000000,
};

#define GENERATION_MASK 0xfffffffu

static int ring_open(struct uring_backend *uring, struct io_uring *ring);
static int try_to_enter(const struct io_uring *ring);
static int enable(struct uring_backend *uring);
static void watch_wake(struct uring_backend *uring, struct io_uring_sqe *sqe);
static int watch_wake_again(struct uring_backend *uring);
static int move(struct uring_backend *uring);
static int start(struct uring_backend *uring, struct coil__op *op);
static void start_next(struct uring_backend *uring, int fd, enum coil__fd_side side);
static void renew(struct uring_backend *uring, int fd, enum coil__fd_side side);
static bool withdraw(struct uring_backend *uring, int fd, enum coil__fd_side side);
static void list(struct uring_backend *uring, int fd);
static void drop_files(struct uring_backend *uring);
static void ring_bell(const struct uring_backend *uring);
static void quieten_bell(const struct uring_backend *uring);
static bool has_work(const struct io_uring *ring);
static int enter(struct uring_backend *uring, int64_t timeout_ns);
static void reap(struct uring_backend *uring);
static void run_listed(struct uring_backend *uring);

static struct uring_backend *of(struct coil__backend *backend)
{
    assert(backend->ops == &coil__backend_uring);
    return coil__uring_of(backend);
}

/* ---- the ring ---------------------------------------------------------------------------------- */

static int uring_open(struct coil__backend **backend_out)
{
    struct uring_backend *uring = coil__alloc_zero(sizeof(*uring));
    if (uring == NULL)
        return -ENOMEM;
    uring->base.ops = &coil__backend_uring;
    coil__fds_init(&uring->fds);
    coil__uring_flows_init(uring);
    uring->first_listed = uring->last_listed = -1;
    uring->bell_fd = uring->outside_fd = -1;
#ifdef COIL_HAVE_VALGRIND
    uring->on_valgrind = RUNNING_ON_VALGRIND != 0;
#endif

    int rc = uring->wake_fd = coil__wake_open();
    if (rc < 0)
        goto free_backend;
    rc = ring_open(uring, &uring->ring);
    if (rc < 0)
        goto close_wake;
    *backend_out = &uring->base;
    return 0;

close_wake:
    (void)close(uring->wake_fd);
free_backend:
    coil__free(uring);
    return rc;
}

/* Linux 6.1 was the first with DEFER_TASKRUN, and has all else that is used here: what it accepts tells
 * as much as asking for each operation. The ring is disabled until the thread that is to own it uses it. */
static int ring_open(struct uring_backend *uring, struct io_uring *ring)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
        .cq_entries = COMPLETIONS,
    };
    int rc = io_uring_queue_init_params(SUBMISSIONS, ring, &params);
    if (rc < 0)
        return rc == -ENOMEM ? -ENOBUFS : rc; /* a limit for rings, not the end of all memory */
    rc = try_to_enter(ring);
    if (rc == 0 && uring->bell_fd >= 0)
        rc = io_uring_register_eventfd(ring, uring->bell_fd);
    if (rc == 0 && uring->pool != NULL)
        rc = coil__uring_pool_attach(uring->pool, ring);
    if (rc < 0) {
        io_uring_queue_exit(ring);
        return rc;
    }
    watch_wake(uring, io_uring_get_sqe(ring)); /* there is room: the queue is empty */
    return 0;
}

/* A filter may allow the one call and forbid the other. */
static int try_to_enter(const struct io_uring *ring)
{
    int rc = io_uring_enter((unsigned)ring->ring_fd, 0, 0, 0, NULL);
    return rc == -EPERM || rc == -ENOSYS || rc == -EACCES ? rc
                                                          : 0; /* else EBADFD: it is disabled */
}

static int enable(struct uring_backend *uring)
{
    if (uring->enabled)
        return 0;
    /* As io_uring_enable_rings, which the shared liburing 2.3 does not export. */
    int rc = io_uring_register((unsigned)uring->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
                               0);
    uring->enabled = rc == 0;
    return rc;
}

/* One completion for each write to the eventfd, so the counter need not be read. */
static void watch_wake(struct uring_backend *uring, struct io_uring_sqe *sqe)
{
    io_uring_prep_poll_multishot(sqe, uring->wake_fd, POLLIN);
    sqe->user_data = URING_WAKE;
    uring->wake_watched = true;
}

/* The kernel ends such a request where completions overflow. */
static int watch_wake_again(struct uring_backend *uring)
{
    int rc;
    struct io_uring_sqe *sqe = coil__uring_request(uring, NULL, &rc);
    if (sqe != NULL)
        watch_wake(uring, sqe);
    return rc;
}

/* Another thread runs the loop now. In the old ring nothing happens any more, as its thread no longer
 * calls for it, and closing the ring ends what is left in it. */
static int move(struct uring_backend *uring)
{
    struct io_uring fresh;
    reap(uring);
    int rc = ring_open(uring, &fresh);
    if (rc < 0)
        return rc;
    io_uring_queue_exit(&uring->ring);
    uring->ring = fresh;
    uring->enabled = false;
    uring->stale = 0;
    rc = enable(uring);
    for (size_t fd = 0; fd < uring->request_count; fd++) {
        for (int side = COIL__FD_IN; side <= COIL__FD_OUT; side++) {
            struct uring_request *request = &uring->requests[fd].sides[side];
            if (request->state != URING_IN_FLIGHT)
                continue;
            request->state = URING_IDLE;
            start_next(uring, (int)fd, side);
        }
    }
    coil__uring_flows_move(uring);
    ring_bell(uring);
    return rc;
}

/* What was taken back holds on to its files until the kernel has run it. */
static void drop_files(struct uring_backend *uring)
{
    if (uring->stale > 0 && uring->enabled)
        (void)io_uring_get_events(&uring->ring); /* refused where another thread owned the ring */
}

/* For whoever polls from outside. */
static void ring_bell(const struct uring_backend *uring)
{
    if (uring->bell_fd >= 0)
        coil__wake_send(uring->bell_fd);
}

static void uring_close(struct coil__backend *backend)
{
    struct uring_backend *uring = of(backend);

    drop_files(uring);
    io_uring_queue_exit(&uring->ring);
    coil__uring_flows_fini(uring);
    coil__fds_fini(&uring->fds);
    coil__free(uring->requests);
    (void)close(uring->wake_fd);
    if (uring->outside_fd >= 0) {
        (void)close(uring->outside_fd);
        (void)close(uring->bell_fd);
    }
    coil__free(uring);
}

/* Unmapping and closing: the ring goes on for the parent, whose memory and descriptor it keeps. */
static void uring_abandon(struct coil__backend *backend)
{
    struct uring_backend *uring = of(backend);

    io_uring_queue_exit(&uring->ring);
    (void)close(uring->wake_fd);
    if (uring->outside_fd >= 0) {
        (void)close(uring->outside_fd);
        (void)close(uring->bell_fd);
    }
}

struct io_uring_sqe *coil__uring_request(struct uring_backend *uring, uint32_t *ticket_out,
                                         int *rc_out)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    if (sqe == NULL) {
        *rc_out = coil__uring_hand_over(uring, -1);
        sqe = io_uring_get_sqe(&uring->ring);
        if (sqe == NULL && *rc_out == 0)
            *rc_out = -EAGAIN;
        if (sqe == NULL)
            return NULL;
    }
    if (ticket_out != NULL)
        *ticket_out = uring->ring.sq.sqe_tail - 1;
    *rc_out = 0;
    return sqe;
}

/* ---- operations -------------------------------------------------------------------------------- */

static enum coil__fd_side side_of(const struct coil__op *op)
{
    return coil__op_interest(op) == POLLIN ? COIL__FD_IN : COIL__FD_OUT;
}

static struct uring_request *request_at(const struct uring_backend *uring, int fd,
                                        enum coil__fd_side side)
{
    return &uring->requests[fd].sides[side];
}

static struct coil__op *first_at(const struct uring_backend *uring, int fd, enum coil__fd_side side)
{
    return uring->fds.slots[fd].queues[side].first;
}

static uint64_t name_of(const struct uring_backend *uring, int fd, enum coil__fd_side side)
{
    uint32_t generation = request_at(uring, fd, side)->generation & GENERATION_MASK;
    return (uint64_t)(uint32_t)fd << 32 | generation << 4 | (uint32_t)side << 3 | URING_OP;
}

static int uring_submit(struct coil__backend *backend, struct coil__op *op)
{
    struct uring_backend *uring = of(backend);

    int rc = coil__uring_reserve(uring, op->fd);
    if (rc < 0)
        return rc;
    if (coil__fds_at(&uring->fds, op->fd)->flow != NULL)
        return -EBUSY;
    rc = coil__fds_begin(&uring->fds, op);
    if (rc != COIL__OP_PENDING)
        return rc;

    /* Should the file have changed under those who wait already, this revives them, where the new
     * operation would otherwise be stuck behind them. */
    if (first_at(uring, op->fd, side_of(op)) != NULL)
        renew(uring, op->fd, side_of(op));
    else
        rc = start(uring, op);
    if (rc < 0)
        return rc;
    coil__fds_push(&uring->fds, op);
    return COIL__OP_PENDING;
}

int coil__uring_reserve(struct uring_backend *uring, int fd)
{
    int rc = coil__fds_reserve(&uring->fds, fd);
    if (rc < 0 || uring->fds.count == uring->request_count)
        return rc;
    size_t count = uring->fds.count;
    struct uring_sides *requests = coil__realloc(uring->requests, count * sizeof(*requests));
    if (requests == NULL)
        return -ENOMEM;
    memset(requests + uring->request_count, 0, (count - uring->request_count) * sizeof(*requests));
    uring->requests = requests;
    uring->request_count = count;
    return 0;
}

/* What the kernel does by itself: what works alike whatever the socket's mode. */
static bool kernel_performs(const struct coil__op *op)
{
    switch ((enum coil__op_kind)op->kind) {
    case COIL__OP_RECV:
    case COIL__OP_SEND:
    case COIL__OP_RECVMSG:
    case COIL__OP_SENDMSG:
    case COIL__OP_ACCEPT:
        return !op->polls;
    default:
        return false;
    }
}

/* A receive that waits for all, or does not wait, would be another one than with try-then-wait. */
static void prepare(struct io_uring_sqe *sqe, const struct coil__op *op)
{
    const int own = MSG_WAITALL | MSG_DONTWAIT;

    if (!kernel_performs(op)) {
        io_uring_prep_poll_add(sqe, op->fd, (unsigned)coil__op_interest(op));
        return;
    }
    switch ((enum coil__op_kind)op->kind) {
    case COIL__OP_RECV:
        io_uring_prep_recv(sqe, op->fd, op->io.data, op->io.bytes, op->io.flags & ~own);
        break;
    case COIL__OP_SEND:
        io_uring_prep_send(sqe, op->fd, op->io.data, op->io.bytes,
                           (op->io.flags & ~own) | MSG_NOSIGNAL);
        break;
    case COIL__OP_RECVMSG:
        io_uring_prep_recvmsg(sqe, op->fd, op->msg.header, (unsigned)(op->msg.flags & ~own));
        break;
    case COIL__OP_SENDMSG:
        io_uring_prep_sendmsg(sqe, op->fd, op->msg.header,
                              (unsigned)((op->msg.flags & ~own) | MSG_NOSIGNAL));
        break;
    default:
        io_uring_prep_accept(sqe, op->fd, op->accept.address, op->accept.length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
        break;
    }
}

/* Asks the kernel on behalf of an operation that is, or is about to be, the first of its queue. */
static int start(struct uring_backend *uring, struct coil__op *op)
{
    int rc;
    uint32_t ticket;
    struct io_uring_sqe *sqe = coil__uring_request(uring, &ticket, &rc);
    if (sqe == NULL)
        return rc;

    struct uring_request *request = request_at(uring, op->fd, side_of(op));
    assert(request->state == URING_IDLE);
    *request = (struct uring_request){ .generation = request->generation + 1,
                                       .ticket = ticket,
                                       .state = URING_IN_FLIGHT,
                                       .performs = kernel_performs(op) };
    prepare(sqe, op);
    sqe->user_data = name_of(uring, op->fd, side_of(op));
    if (uring->bell_fd >= 0)
        (void)coil__uring_hand_over(
            uring, -1); /* a host may sleep next; should it fail, the bell has rung */
    return 0;
}

/* For the first of a queue, if there is one and nothing has been asked for it. That the kernel refuses is
 * the operation's result, told in the next wait. */
static void start_next(struct uring_backend *uring, int fd, enum coil__fd_side side)
{
    struct coil__op *op = first_at(uring, fd, side);
    struct uring_request *request = request_at(uring, fd, side);
    if (op == NULL || request->state != URING_IDLE)
        return;
    int rc = start(uring, op);
    if (rc == 0)
        return;
    request = request_at(uring, fd, side);
    request->state = URING_COMPLETED;
    request->performs = true;
    request->result = rc == -EAGAIN ? -ENOMEM : rc;
    list(uring, fd);
    ring_bell(uring);
}

static void renew(struct uring_backend *uring, int fd, enum coil__fd_side side)
{
    struct uring_request *request = request_at(uring, fd, side);
    if (request->state != URING_IN_FLIGHT || request->cancelled || !withdraw(uring, fd, side))
        return;
    request->state = URING_IDLE;
    start_next(uring, fd, side);
}

/* The kernel tells that there is nothing to be had yet, though we asked it to wait. */
static bool is_no_result(int32_t result)
{
    return result == -EAGAIN || result == -EINTR || result == -ECANCELED;
}

static int uring_cancel(struct coil__backend *backend, struct coil__op *op)
{
    struct uring_backend *uring = of(backend);
    enum coil__fd_side side = side_of(op);
    bool is_first = first_at(uring, op->fd, side) == op;

    if (is_first) {
        struct uring_request *request = request_at(uring, op->fd, side);
        if (request->state == URING_IN_FLIGHT && !withdraw(uring, op->fd, side)) {
            request->cancelled = true;
            return COIL__OP_PENDING;
        }
        if (request->state == URING_COMPLETED && request->performs &&
            !is_no_result(request->result))
            return COIL__OP_PENDING; /* it has happened */
        request->state = URING_IDLE;
    }
    coil__fds_take(&uring->fds, op);
    if (is_first)
        start_next(uring, op->fd, side);
    return COIL__OP_GONE;
}

/* True if the request in flight is no more: the kernel will not touch its buffer. False if it has
 * completed, or is being worked on. */
static bool withdraw(struct uring_backend *uring, int fd, enum coil__fd_side side)
{
    struct uring_request *request = request_at(uring, fd, side);
    struct io_uring_sq *sq = &uring->ring.sq;
    unsigned taken = __atomic_load_n(sq->khead, __ATOMIC_RELAXED);
    if ((int32_t)(taken - request->ticket) <= 0) {
        /* The kernel has not seen it yet. */
        struct io_uring_sqe *sqe = &sq->sqes[request->ticket & sq->ring_mask];
        io_uring_prep_nop(sqe);
        sqe->user_data = URING_NOBODY;
        return true;
    }

    /* No time at all: what the kernel is working on is not waited for. */
    struct io_uring_sync_cancel_reg which = { .addr = name_of(uring, fd, side), .fd = -1 };
    int rc = io_uring_register_sync_cancel(&uring->ring, &which);
    if (rc == 0) {
        uring->stale++;
        return true;
    }
    if (rc != -EEXIST || move(uring) < 0)
        return false;
    request = request_at(uring, fd, side);
    return request->state == URING_IN_FLIGHT && withdraw(uring, fd, side);
}

/* ---- waiting ----------------------------------------------------------------------------------- */

static int uring_wait(struct coil__backend *backend, int64_t timeout_ns)
{
    struct uring_backend *uring = of(backend);

    if (uring->bell_fd >= 0)
        coil__wake_drain(uring->wake_fd); /* first this, then the look */
    coil__uring_flows_ask(uring);
    int rc = uring->wake_watched ? 0 : watch_wake_again(uring);
    bool at_once = rc < 0 || uring->first_listed >= 0 || coil__uring_flows_due(uring) ||
                   io_uring_cq_ready(&uring->ring) > 0;
    if (rc == 0)
        rc = coil__uring_hand_over(uring, at_once ? 0 : timeout_ns);
    reap(uring);
    if (uring->bell_fd >= 0)
        quieten_bell(uring);
    run_listed(uring);
    coil__uring_flows_run(uring);
    if (uring->bell_fd >= 0)
        coil__uring_flows_ask_now(uring);
    return rc;
}

/* It rang for what was just taken out. What comes now sets its flag in the ring before it rings. */
static void quieten_bell(const struct uring_backend *uring)
{
    coil__wake_drain(uring->bell_fd);
    if (has_work(&uring->ring) || io_uring_cq_ready(&uring->ring) > 0)
        ring_bell(uring);
}

int coil__uring_hand_over(struct uring_backend *uring, int64_t timeout_ns)
{
    int rc = enable(uring);
    if (rc == 0)
        rc = enter(uring, timeout_ns);
    if (rc == -EEXIST) {
        rc = move(uring);
        if (rc == 0)
            rc = enter(uring, timeout_ns);
    }
    switch (rc) {
    case -EINTR:
    case -ETIME:
    case -EBUSY: /* too many completions: they are taken out next */
        return 0;
    default:
        return rc < 0 ? rc : 0;
    }
}

/* Whether a call would bring completions: to ask costs a look into memory. */
static bool has_work(const struct io_uring *ring)
{
    unsigned flags = __atomic_load_n(ring->sq.kflags, __ATOMIC_ACQUIRE);
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

static int enter(struct uring_backend *uring, int64_t timeout_ns)
{
    struct io_uring *ring = &uring->ring;
    struct io_uring_cqe *cqe;

    if (timeout_ns < 0)
        return io_uring_submit(ring);
    if (timeout_ns == 0) {
        if (io_uring_sq_ready(ring) == 0 && !has_work(ring))
            return 0;
        return io_uring_submit_and_get_events(ring);
    }
    if (timeout_ns == COIL__FOREVER_NS)
        return io_uring_submit_and_wait(ring, 1);
    struct __kernel_timespec timeout = { .tv_sec = timeout_ns / NS_PER_S,
                                         .tv_nsec = timeout_ns % NS_PER_S };
    return io_uring_submit_and_wait_timeout(ring, &cqe, 1, &timeout, NULL);
}

/* The memory that the kernel has written to, for a tool that watches only the program. */
static void show_valgrind(const struct uring_backend *uring, const struct coil__op *op,
                          int32_t result)
{
#ifdef COIL_HAVE_VALGRIND
    if (!uring->on_valgrind || result < 0)
        return;
    if (op->kind == COIL__OP_RECV) {
        VALGRIND_MAKE_MEM_DEFINED(op->io.data, result);
    } else if (op->kind == COIL__OP_ACCEPT && op->accept.length != NULL) {
        VALGRIND_MAKE_MEM_DEFINED(op->accept.length, sizeof(*op->accept.length));
        VALGRIND_MAKE_MEM_DEFINED(op->accept.address, *op->accept.length);
    } else if (op->kind == COIL__OP_RECVMSG) {
        struct msghdr *header = op->msg.header;
        VALGRIND_MAKE_MEM_DEFINED(header, sizeof(*header));
        VALGRIND_MAKE_MEM_DEFINED(header->msg_name, header->msg_namelen);
        VALGRIND_MAKE_MEM_DEFINED(header->msg_control, header->msg_controllen);
        for (size_t i = 0; i < header->msg_iovlen; i++)
            VALGRIND_MAKE_MEM_DEFINED(header->msg_iov[i].iov_base, header->msg_iov[i].iov_len);
    }
#else
    (void)uring;
    (void)op;
    (void)result;
#endif
}

static void note_completion(struct uring_backend *uring, uint64_t name, int32_t result)
{
    int fd = (int)(name >> 32);
    enum coil__fd_side side = name >> 3 & 1 ? COIL__FD_OUT : COIL__FD_IN;
    struct uring_request *request = request_at(uring, fd, side);

    if (request->state != URING_IN_FLIGHT || name != name_of(uring, fd, side)) {
        uring->stale -= uring->stale > 0;
        return;
    }
    request->state = URING_COMPLETED;
    request->result = result;
    if (request->performs)
        show_valgrind(uring, first_at(uring, fd, side), result);
    list(uring, fd);
}

/* Takes all completions out of the ring, and calls nobody: what a `done` does cannot disturb it. */
static void reap(struct uring_backend *uring)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;

    io_uring_for_each_cqe(&uring->ring, head, cqe)
    {
        count++;
        switch ((enum uring_tag)(cqe->user_data & URING_TAGS)) {
        case URING_OP:
            note_completion(uring, cqe->user_data, cqe->res);
            break;
        case URING_WAKE:
            uring->wake_watched = (cqe->flags & IORING_CQE_F_MORE) != 0;
            break;
        case URING_FLOW:
            coil__uring_flow_completed(uring, cqe);
            break;
        case URING_INFLOW:
            coil__uring_inflow_completed(uring, cqe);
            break;
        default:
            break;
        }
    }
    io_uring_cq_advance(&uring->ring, count);
}

/* Descriptors with something to tell, in the order in which the kernel reported them. */
static void list(struct uring_backend *uring, int fd)
{
    struct coil__fd *slot = coil__fds_at(&uring->fds, fd);
    if (slot->listed)
        return;

    slot->listed = true;
    slot->next_listed = -1;
    if (uring->last_listed >= 0)
        coil__fds_at(&uring->fds, uring->last_listed)->next_listed = fd;
    else
        uring->first_listed = fd;
    uring->last_listed = fd;
}

static void finish(struct uring_backend *uring, struct coil__op *op)
{
    coil__fds_take(&uring->fds, op);
    op->done(op); /* and with that its memory is no longer ours */
}

/* With what the kernel has answered, the operation is over (true), or must be tried again. */
static bool conclude(struct coil__op *op, const struct uring_request *request)
{
    int32_t result = request->result;
    if (request->performs && !is_no_result(result)) {
        op->result = result;
        return true;
    }
    if (request->cancelled) {
        op->result = -ECANCELED;
        return true;
    }
    if (result < 0 && !is_no_result(result)) {
        op->result = result; /* it cannot be polled */
        return true;
    }
    if (coil__op_asks_readiness(op) && result >= 0) {
        op->result = 0;
        return true;
    }
    op->polls |= result == -EAGAIN;
    return coil__op_try(op);
}

/* The first operation, as the kernel has answered for it, and those behind it, as far as they can be done
 * now. What a `done` submits is left for the next time. */
static void run_side(struct uring_backend *uring, int fd, enum coil__fd_side side)
{
    struct uring_request *request = request_at(uring, fd, side);
    if (request->state != URING_COMPLETED)
        return;

    uint32_t left = uring->fds.slots[fd].queues[side].count;
    struct coil__op *op = first_at(uring, fd, side);
    request->state = URING_IDLE;
    bool over = conclude(op, request);
    while (over) {
        finish(uring, op);
        op = first_at(uring, fd, side);
        over = --left > 0 && op != NULL && request_at(uring, fd, side)->state == URING_IDLE &&
               coil__op_try(op);
    }
    start_next(uring, fd, side);
}

static void run_listed(struct uring_backend *uring)
{
    int fd = uring->first_listed;

    /* Those listed from here on, by a `done`, are for the next wait. */
    uring->first_listed = uring->last_listed = -1;
    while (fd >= 0) {
        struct coil__fd *slot = coil__fds_at(&uring->fds, fd);
        int next = slot->next_listed;
        slot->listed = false;
        run_side(uring, fd, COIL__FD_IN);
        run_side(uring, fd, COIL__FD_OUT);
        fd = next;
    }
}

/* ---- around ------------------------------------------------------------------------------------ */

static void uring_wake(struct coil__backend *backend)
{
    coil__wake_send(of(backend)->wake_fd);
}

/* What has happened already, and could not be taken back, may still be listed under the number: it is told of in the
 * next wait, and touches the descriptor no more. */
static void uring_forget(struct coil__backend *backend, int fd)
{
    (void)fd;
    drop_files(of(backend));
}

/* The ring's own descriptor says nothing of work that waits for its thread to call; an eventfd that is
 * registered with the ring does. */
static int open_outside(struct uring_backend *uring)
{
    struct epoll_event event = { .events = EPOLLIN };
    int bell = coil__wake_open();
    if (bell < 0)
        return bell;
    int outside = epoll_create1(EPOLL_CLOEXEC);
    if (outside < 0 || epoll_ctl(outside, EPOLL_CTL_ADD, bell, &event) < 0 ||
        epoll_ctl(outside, EPOLL_CTL_ADD, uring->wake_fd, &event) < 0) {
        int code = -errno;
        (void)close(bell);
        if (outside >= 0)
            (void)close(outside);
        return code;
    }
    uring->bell_fd = bell;
    uring->outside_fd = outside;
    return 0;
}

static int uring_poll_fd(struct coil__backend *backend)
{
    struct uring_backend *uring = of(backend);
    if (uring->outside_fd >= 0)
        return uring->outside_fd;

    int rc = open_outside(uring);
    if (rc < 0)
        return rc;
    rc = io_uring_register_eventfd(&uring->ring, uring->bell_fd);
    if (rc == -EEXIST)
        rc = move(uring); /* the new ring has it */
    if (rc < 0) {
        (void)close(uring->outside_fd);
        (void)close(uring->bell_fd);
        uring->outside_fd = uring->bell_fd = -1;
        return rc;
    }
    (void)coil__uring_hand_over(uring, -1); /* refused: so will be the next wait */
    if (coil__uring_flows_due(uring) || uring->first_listed >= 0 ||
        io_uring_cq_ready(&uring->ring) > 0)
        ring_bell(uring);
    return uring->outside_fd;
}

static size_t uring_pending(struct coil__backend *backend)
{
    return of(backend)->fds.pending;
}

const struct coil__backend_ops coil__backend_uring = {
    .name = "io_uring",
    .open = uring_open,
    .close = uring_close,
    .submit = uring_submit,
    .cancel = uring_cancel,
    .wait = uring_wait,
    .wake = uring_wake,
    .forget = uring_forget,
    .abandon = uring_abandon,
    .poll_fd = uring_poll_fd,
    .pending = uring_pending,
    .flow_open = coil__uring_flow_open,
    .flow_close = coil__uring_flow_close,
    .flow_reading = coil__uring_flow_reading,
    .flow_read = coil__uring_flow_read,
    .flow_write = coil__uring_flow_write,
    .flow_accept = coil__uring_flow_accept,
    .flow_blocked = coil__uring_flow_blocked,
};
