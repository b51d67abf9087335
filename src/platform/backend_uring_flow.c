/* Flows over io_uring.
 *
 * A flow has one poll request that reports again and again, edge-triggered, and its owner's calls are
 * made as with epoll. A flow whose owner allows to be ahead of it has, instead, one request that receives,
 * or accepts, again and again: bytes arrive in buffers that the kernel picks from a pool of the ring's, and
 * flow_read copies them out. Nothing is asked per arrival, and no idle connection holds a buffer.
 *
 *     open, resume --> unasked --wait()--> one request --arrivals--> told --> readable
 *
 * If the pool runs dry, the flow that could not get a buffer goes on in the first way. */
#include "platform/backend_uring.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/object.h"
#include "platform/backend_uring_pool.h"
#include "platform/backend_wake.h"
#include "platform/flow.h"

enum {
    NO_END = 1, /* of uring_flow.end */
    FIRST_ACCEPTED = 16,
};

/* What the kernel knows a flow by. Stays until it has answered all that it was asked. */
struct uring_flow {
    struct coil__link all;     /* in uring->flows */
    struct coil__link told;    /* in uring->told */
    struct coil__link unasked; /* in uring->unasked */
    struct coil__flow *flow;   /* NULL: closed */
    int fd;
    bool listener;
    uint32_t events; /* reported, and not taken in yet */
    bool polling;    /* a poll request is in flight */
    bool inflow;     /* a request that receives or accepts is in flight */
    bool stopping;   /* and is to end */
    bool ahead;      /* it may be made */

    /* What has come, and was not fetched yet. */
    uint16_t first, last; /* buffers */
    int32_t end;          /* 0: the end of the stream; negative: an error; NO_END */
    int *accepted;
    size_t accepted_first, accepted_count, accepted_room;
};

_Static_assert(_Alignof(struct uring_flow) > URING_TAGS, "room for the tag");

static void tell(struct uring_backend *uring, struct uring_flow *self, uint32_t events);
static void release(struct uring_flow *self);

void coil__uring_flows_init(struct uring_backend *uring)
{
    coil__list_init(&uring->flows);
    coil__list_init(&uring->told);
    coil__list_init(&uring->unasked);
    coil__list_init(&uring->hot);
}

void coil__uring_flows_fini(struct uring_backend *uring)
{
    while (!coil__list_empty(&uring->flows)) {
        struct uring_flow *self = COIL__CONTAINER(uring->flows.next, struct uring_flow, all);
        assert(self->flow == NULL);
        release(self);
    }
    coil__uring_pool_close(uring->pool);
}

static void unlink_if_linked(struct coil__link *link)
{
    if (coil__list_linked(link))
        coil__list_remove(link);
}

static void release(struct uring_flow *self)
{
    unlink_if_linked(&self->told);
    unlink_if_linked(&self->unasked);
    coil__list_remove(&self->all);
    coil__free(self->accepted);
    coil__free(self);
}

/* ---- asking the kernel ------------------------------------------------------------------------- */

static uint64_t name_of(const struct uring_flow *self, enum uring_tag tag)
{
    return (uintptr_t)self | tag;
}

static int ask_for_events(struct uring_backend *uring, struct uring_flow *self)
{
    int rc;
    struct io_uring_sqe *sqe = coil__uring_request(uring, NULL, &rc);
    if (sqe == NULL)
        return rc;
    unsigned events = POLLIN | POLLPRI | POLLRDHUP;
    if (!self->listener)
        events |= POLLOUT;
    io_uring_prep_poll_multishot(sqe, self->fd, events);
    sqe->user_data = name_of(self, URING_FLOW);
    self->polling = true;
    return 0;
}

static int ask_for_arrivals(struct uring_backend *uring, struct uring_flow *self)
{
    int rc;
    struct io_uring_sqe *sqe = coil__uring_request(uring, NULL, &rc);
    if (sqe == NULL)
        return rc;
    if (self->listener) {
        io_uring_prep_multishot_accept(sqe, self->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } else {
        io_uring_prep_recv_multishot(sqe, self->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = URING_GROUP;
    }
    sqe->user_data = name_of(self, URING_INFLOW);
    self->inflow = true;
    self->stopping = false;
    return 0;
}

/* Ends the request that receives or accepts; its completion says so later. */
static int stop(struct uring_backend *uring, struct uring_flow *self)
{
    int rc;
    struct io_uring_sqe *sqe = coil__uring_request(uring, NULL, &rc);
    if (sqe == NULL)
        return rc;
    io_uring_prep_cancel64(sqe, name_of(self, URING_INFLOW), 0);
    sqe->user_data = URING_NOBODY;
    self->stopping = true;
    return 0;
}

/* Ends everything that was asked about the descriptor, which is the flow's alone. */
static void stop_all(struct uring_backend *uring, const struct uring_flow *self)
{
    int rc;
    struct io_uring_sqe *sqe = coil__uring_request(uring, NULL, &rc);
    if (sqe == NULL)
        return; /* what it brings finds nobody */
    io_uring_prep_cancel_fd(sqe, self->fd, IORING_ASYNC_CANCEL_ALL);
    sqe->user_data = URING_NOBODY;
}

static bool holds_something(const struct uring_flow *self)
{
    return self->first != URING_NO_BUFFER || self->accepted_first < self->accepted_count;
}

/* What the flow needs now, and has not been asked for. A flow that is ahead is polled only for what its
 * request does not tell: room to write, and, without it, that the peer is gone. A flow that does not read
 * is not stopped before something arrives: most pauses are short. */
static int ask(struct uring_backend *uring, struct uring_flow *self)
{
    struct coil__flow *flow = self->flow;
    bool ahead_stream = self->ahead && !self->listener;
    int rc = 0;

    if (ahead_stream && !self->inflow && uring->pool->free == 0) {
        self->ahead = ahead_stream = false;
        tell(uring, self, POLLIN); /* an event may have been passed over */
    }
    if (self->ahead && flow->reading && !self->inflow && self->end == NO_END)
        rc = ask_for_arrivals(uring, self);
    else if (!flow->reading && self->inflow && !self->stopping && holds_something(self))
        rc = stop(uring, self);
    bool poll = !self->ahead ||
                (ahead_stream && (!self->inflow || (flow->state & COIL__FLOW_NO_WRITE)));
    if (rc == 0 && poll && !self->polling)
        rc = ask_for_events(uring, self);
    return rc;
}

/* Before the next wait, when it is known what the flow needs. */
static void ask_later(struct uring_backend *uring, struct uring_flow *self)
{
    if (!coil__list_linked(&self->unasked))
        coil__list_append(&uring->unasked, &self->unasked);
}

/* The same, but at once if a host may sleep instead. */
static void ask_soon(struct uring_backend *uring, struct uring_flow *self)
{
    ask_later(uring, self);
    if (uring->bell_fd >= 0)
        coil__uring_flows_ask_now(uring);
}

void coil__uring_flows_ask_now(struct uring_backend *uring)
{
    if (coil__list_empty(&uring->unasked))
        return;
    coil__uring_flows_ask(uring);
    (void)coil__uring_hand_over(uring, -1); /* should it fail, so will the next wait */
}

void coil__uring_flows_ask(struct uring_backend *uring)
{
    while (!coil__list_empty(&uring->unasked)) {
        struct uring_flow *self = COIL__CONTAINER(uring->unasked.next, struct uring_flow, unasked);
        coil__list_remove(&self->unasked);
        /* If it cannot be asked: the owner's next call shows what is wrong, if anything is. */
        if (ask(uring, self) < 0)
            tell(uring, self, POLLERR);
    }
}

/* ---- what the kernel answers ------------------------------------------------------------------- */

static void tell(struct uring_backend *uring, struct uring_flow *self, uint32_t events)
{
    self->events |= events;
    if (!coil__list_linked(&self->told))
        coil__list_append(&uring->told, &self->told);
}

void coil__uring_flow_completed(struct uring_backend *uring, const struct io_uring_cqe *cqe)
{
    struct uring_flow *self = (struct uring_flow *)(uintptr_t)(cqe->user_data &
                                                               ~(uint64_t)URING_TAGS);
    self->polling = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if (self->flow == NULL) {
        if (!self->polling && !self->inflow)
            release(self);
        return;
    }
    /* The request ends if completions overflow, or with the thread that made it; it is made again. What
     * else goes wrong shows in the next call that the owner makes. */
    bool failed = cqe->res < 0 && cqe->res != -ECANCELED;
    if (!self->polling && !failed)
        ask_later(uring, self);
    uint32_t events = failed ? POLLERR : cqe->res < 0 ? 0 : (uint32_t)cqe->res;
    if (self->inflow)
        events &= ~(uint32_t)(POLLIN | POLLPRI | POLLRDHUP); /* that request tells */
    tell(uring, self, events);
}

/* A descriptor that there is no memory to remember is closed: its peer is refused, as if the backlog had
 * been full. */
static void keep_accepted(struct uring_flow *self, int fd)
{
    if (self->accepted_first > 0 && self->accepted_count == self->accepted_room) {
        self->accepted_count -= self->accepted_first;
        memmove(self->accepted, self->accepted + self->accepted_first,
                self->accepted_count * sizeof(*self->accepted));
        self->accepted_first = 0;
    }
    if (self->accepted_count == self->accepted_room) {
        size_t room = self->accepted_room > 0 ? self->accepted_room * 2 : FIRST_ACCEPTED;
        int *accepted = coil__realloc(self->accepted, room * sizeof(*accepted));
        if (accepted == NULL) {
            (void)close(fd);
            return;
        }
        self->accepted = accepted;
        self->accepted_room = room;
    }
    self->accepted[self->accepted_count++] = fd;
}

static void keep_received(struct uring_backend *uring, struct uring_flow *self, uint16_t index)
{
    if (self->first == URING_NO_BUFFER)
        self->first = index;
    else
        uring->pool->buffers[self->last].next = index;
    self->last = index;
}

/* For a flow that has been closed. */
static void discard(struct uring_backend *uring, struct uring_flow *self,
                    const struct io_uring_cqe *cqe)
{
    if (cqe->flags & IORING_CQE_F_BUFFER)
        coil__uring_pool_give(uring->pool, (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT));
    else if (self->listener && cqe->res >= 0)
        (void)close(cqe->res);
    if (!self->inflow && !self->polling)
        release(self);
}

void coil__uring_inflow_completed(struct uring_backend *uring, const struct io_uring_cqe *cqe)
{
    struct uring_flow *self = (struct uring_flow *)(uintptr_t)(cqe->user_data &
                                                               ~(uint64_t)URING_TAGS);
    self->inflow = (cqe->flags & IORING_CQE_F_MORE) != 0;
    uint16_t index = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    if (cqe->flags & IORING_CQE_F_BUFFER)
        coil__uring_pool_take(uring->pool, index, cqe->res > 0 ? (uint32_t)cqe->res : 0);
    if (self->flow == NULL) {
        discard(uring, self, cqe);
        return;
    }

    if (self->listener && cqe->res >= 0)
        keep_accepted(self, cqe->res);
    else if (cqe->res > 0)
        keep_received(uring, self, index);
    else if (cqe->flags & IORING_CQE_F_BUFFER)
        coil__uring_pool_give(uring->pool, index);
    if (cqe->res == -ENOBUFS || cqe->res == -EINVAL)
        self->ahead = false; /* the pool is empty, or the kernel does not do it on this file */
    else if (cqe->res < 0 ? cqe->res != -ECANCELED && cqe->res != -EAGAIN && cqe->res != -EINTR
                          : cqe->res == 0 && !self->listener)
        self->end = cqe->res;
    if (!self->inflow || !self->flow->reading)
        ask_later(uring, self);
    bool news = cqe->res >= 0 || self->end != NO_END;
    tell(uring, self, news || !self->ahead ? POLLIN : 0);
}

static void take_in(struct uring_backend *uring, struct uring_flow *self)
{
    struct coil__flow *flow = self->flow;
    uint32_t events = self->events;
    self->events = 0;
    if (coil__flow_event(&uring->hot, flow, events) &&
        coil__fds_at(&uring->fds, flow->fd)->flow == flow)
        flow->writable(flow);
}

bool coil__uring_flows_due(const struct uring_backend *uring)
{
    return !coil__list_empty(&uring->hot) || !coil__list_empty(&uring->told);
}

void coil__uring_flows_run(struct uring_backend *uring)
{
    struct coil__link due;

    coil__flow_run_hot(&uring->hot);
    /* What is told from here on, as a call has made the ring move, is for the next wait. */
    coil__list_init(&due);
    while (!coil__list_empty(&uring->told)) {
        struct coil__link *link = uring->told.next;
        coil__list_remove(link);
        coil__list_append(&due, link);
    }
    while (!coil__list_empty(&due)) {
        struct uring_flow *self = COIL__CONTAINER(due.next, struct uring_flow, told);
        coil__list_remove(&self->told);
        take_in(uring, self);
    }
}

void coil__uring_flows_move(struct uring_backend *uring)
{
    struct coil__link *next;
    for (struct coil__link *link = uring->flows.next; link != &uring->flows; link = next) {
        struct uring_flow *self = COIL__CONTAINER(link, struct uring_flow, all);
        next = link->next;
        self->polling = self->inflow = false;
        if (self->flow == NULL)
            release(self);
        else
            ask_later(uring, self);
    }
}

/* ---- the owner's side -------------------------------------------------------------------------- */

static bool can_be_ahead(struct uring_backend *uring, const struct coil__flow *flow)
{
    if (!flow->ahead || flow->kind == COIL__FLOW_POLLED)
        return false;
    if (flow->kind == COIL__FLOW_STREAM && uring->pool == NULL)
        uring->pool = coil__uring_pool_open(&uring->ring);
    return flow->kind == COIL__FLOW_LISTENER || uring->pool != NULL;
}

int coil__uring_flow_open(struct coil__backend *backend, struct coil__flow *flow)
{
    struct uring_backend *uring = coil__uring_of(backend);
    struct stat file;

    int rc = coil__uring_reserve(uring, flow->fd);
    if (rc < 0)
        return rc;
    struct coil__fd *slot = coil__fds_at(&uring->fds, flow->fd);
    if (slot->flow != NULL || coil__fd_interest(slot) != 0)
        return -EBUSY;
    if (fstat(flow->fd, &file) < 0)
        return -errno;
    if (S_ISREG(file.st_mode) || S_ISDIR(file.st_mode))
        return -EPERM; /* a poll request would call them always ready */

    struct uring_flow *self = coil__alloc_zero(sizeof(*self));
    if (self == NULL)
        return -ENOMEM;
    coil__flow_init(flow);
    flow->backing = self;
    self->flow = flow;
    self->fd = flow->fd;
    self->listener = flow->kind == COIL__FLOW_LISTENER;
    self->first = self->last = URING_NO_BUFFER;
    self->end = NO_END;
    self->ahead = can_be_ahead(uring, flow);
    slot->flow = flow;
    coil__list_append(&uring->flows, &self->all);
    ask_soon(uring, self);
    return 0;
}

/* The kernel lets go of the file before the owner closes the descriptor, so that the peer sees the end. */
void coil__uring_flow_close(struct coil__backend *backend, struct coil__flow *flow)
{
    struct uring_backend *uring = coil__uring_of(backend);
    struct uring_flow *self = flow->backing;

    assert(coil__fds_at(&uring->fds, flow->fd)->flow == flow);
    coil__fds_at(&uring->fds, flow->fd)->flow = NULL;
    flow->reading = false;
    flow->backing = NULL;
    coil__flow_settle(&uring->hot, flow);
    self->flow = NULL;
    unlink_if_linked(&self->told);
    unlink_if_linked(&self->unasked);
    while (self->first != URING_NO_BUFFER) {
        uint16_t index = self->first;
        self->first = uring->pool->buffers[index].next;
        coil__uring_pool_give(uring->pool, index);
    }
    while (self->accepted_first < self->accepted_count)
        (void)close(self->accepted[self->accepted_first++]);
    if (!self->polling && !self->inflow) {
        release(self);
        return;
    }
    stop_all(uring, self);
    (void)coil__uring_hand_over(uring, 0); /* else it happens in the next wait */
}

static void settle_flow(struct uring_backend *uring, struct coil__flow *flow)
{
    coil__flow_settle(&uring->hot, flow);
    if (uring->bell_fd >= 0 && !coil__list_empty(&uring->hot))
        coil__wake_send(uring->bell_fd);
}

void coil__uring_flow_reading(struct coil__backend *backend, struct coil__flow *flow, bool reading)
{
    struct uring_backend *uring = coil__uring_of(backend);
    struct uring_flow *self = flow->backing;
    bool changed = flow->reading != reading;

    flow->reading = reading;
    if (self->ahead && changed)
        ask_soon(uring, self);
    settle_flow(uring, flow);
}

/* After something was fetched from what had come: whether there is more to fetch without a call. */
static void settle_ahead(struct uring_backend *uring, struct uring_flow *self)
{
    struct coil__flow *flow = self->flow;
    if (holds_something(self) || self->end != NO_END)
        flow->state |= COIL__FLOW_CAN_READ;
    else if (self->inflow)
        flow->state &= (uint8_t) ~(COIL__FLOW_CAN_READ | COIL__FLOW_UNSURE);
    settle_flow(uring, flow);
}

static int64_t fetch(struct uring_backend *uring, struct uring_flow *self, char *to, size_t room)
{
    size_t got = 0;
    while (self->first != URING_NO_BUFFER && got < room) {
        uint16_t index = self->first;
        struct uring_buffer *buffer = &uring->pool->buffers[index];
        size_t part = buffer->bytes < room - got ? buffer->bytes : room - got;
        memcpy(to + got, coil__uring_pool_at(uring->pool, index) + buffer->from, part);
        got += part;
        buffer->from += (uint32_t)part;
        buffer->bytes -= (uint32_t)part;
        if (buffer->bytes > 0)
            break;
        self->first = buffer->next;
        coil__uring_pool_give(uring->pool, index);
    }
    return (int64_t)got;
}

int64_t coil__uring_flow_read(struct coil__backend *backend, struct coil__flow *flow, void *buffer,
                              size_t bytes)
{
    struct uring_backend *uring = coil__uring_of(backend);
    struct uring_flow *self = flow->backing;
    int64_t got;

    if (self->first != URING_NO_BUFFER) {
        got = fetch(uring, self, buffer, bytes);
    } else if (self->end != NO_END) {
        got = self->end;
        self->end = 0; /* an error is told once, and then it is the end */
    } else if (self->inflow) {
        got = -EAGAIN;
    } else {
        got = coil__flow_read(flow, buffer, bytes);
        if (self->ahead && got == -EAGAIN)
            ask_soon(uring, self);
        settle_flow(uring, flow);
        return got;
    }
    settle_ahead(uring, self);
    return got;
}

int64_t coil__uring_flow_write(struct coil__backend *backend, struct coil__flow *flow,
                               const struct iovec *parts, int count)
{
    struct uring_backend *uring = coil__uring_of(backend);
    struct uring_flow *self = flow->backing;
    int64_t sent = coil__flow_write(flow, parts, count);
    if ((flow->state & COIL__FLOW_NO_WRITE) && !self->polling)
        ask_soon(uring, self);
    return sent;
}

int coil__uring_flow_accept(struct coil__backend *backend, struct coil__flow *flow)
{
    struct uring_backend *uring = coil__uring_of(backend);
    struct uring_flow *self = flow->backing;
    int fd;

    if (self->accepted_first < self->accepted_count) {
        fd = self->accepted[self->accepted_first++];
    } else if (self->end != NO_END) {
        fd = self->end;
        self->end = NO_END;
        flow->state &= (uint8_t)~COIL__FLOW_CAN_READ;
        ask_soon(uring, self);
    } else if (self->inflow) {
        fd = -EAGAIN;
    } else {
        fd = coil__flow_accept(flow);
        settle_flow(uring, flow);
        return fd;
    }
    settle_ahead(uring, self);
    return fd;
}

void coil__uring_flow_blocked(struct coil__backend *backend, struct coil__flow *flow, int side)
{
    coil__flow_blocked(flow, side);
    settle_flow(coil__uring_of(backend), flow);
}
