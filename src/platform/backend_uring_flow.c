/* Flows over io_uring.
 *
 * Each flow has one poll request that reports again and again, edge-triggered, until the flow is closed. */
#include "platform/backend_uring.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/object.h"
#include "platform/backend_wake.h"
#include "platform/flow.h"

/* What the kernel knows a flow by. Stays until it has answered all that it was asked. */
struct uring_flow {
    struct coil__link all; /* in uring->flows */
    struct coil__link told;
    struct coil__flow *flow; /* NULL: closed */
    int fd;
    uint32_t events; /* reported, and not taken in yet */
    bool polling;    /* a poll request is in flight */
};

_Static_assert(_Alignof(struct uring_flow) > URING_TAGS, "room for the tag");

void coil__uring_flows_init(struct uring_backend *uring)
{
    coil__list_init(&uring->flows);
    coil__list_init(&uring->told);
    coil__list_init(&uring->hot);
}

static void release(struct uring_flow *self)
{
    if (coil__list_linked(&self->told))
        coil__list_remove(&self->told);
    coil__list_remove(&self->all);
    coil__free(self);
}

void coil__uring_flows_fini(struct uring_backend *uring)
{
    while (!coil__list_empty(&uring->flows)) {
        struct uring_flow *self = COIL__CONTAINER(uring->flows.next, struct uring_flow, all);
        assert(self->flow == NULL);
        release(self);
    }
}

/* ---- the kernel's side ------------------------------------------------------------------------- */

static int ask(struct uring_backend *uring, struct uring_flow *self)
{
    int rc;
    struct io_uring_sqe *sqe = coil__uring_request(uring, NULL, &rc);
    if (sqe == NULL)
        return rc;
    unsigned events = POLLIN | POLLPRI | POLLRDHUP;
    if (self->flow->kind != COIL__FLOW_LISTENER)
        events |= POLLOUT;
    io_uring_prep_poll_multishot(sqe, self->fd, events);
    sqe->user_data = (uintptr_t)self | URING_FLOW;
    self->polling = true;
    if (uring->bell_fd >= 0)
        (void)coil__uring_hand_over(uring, -1); /* as for operations */
    return 0;
}

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
        if (!self->polling)
            release(self);
        return;
    }
    /* The request ends if completions overflow, or with the thread that made it; it is made again. What
     * else goes wrong shows in the next call that the owner makes. */
    bool failed = cqe->res < 0 && cqe->res != -ECANCELED;
    tell(uring, self, failed ? POLLERR : cqe->res < 0 ? 0 : (uint32_t)cqe->res);
}

/* False if there is no way to hear of this flow any more. */
static void take_in(struct uring_backend *uring, struct uring_flow *self)
{
    struct coil__flow *flow = self->flow;
    uint32_t events = self->events;
    self->events = 0;
    if (!self->polling && !(events & POLLERR) && ask(uring, self) < 0)
        events |= POLLERR;
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
        self->polling = false;
        if (self->flow == NULL)
            release(self);
        else
            tell(uring, self, 0);
    }
}

/* ---- the owner's side -------------------------------------------------------------------------- */

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
    coil__list_append(&uring->flows, &self->all);
    rc = ask(uring, self);
    if (rc < 0) {
        release(self);
        return rc;
    }
    coil__fds_at(&uring->fds, flow->fd)->flow = flow;
    return 0;
}

/* The kernel lets go of the file before the owner closes the descriptor, so that the peer sees the end. */
void coil__uring_flow_close(struct coil__backend *backend, struct coil__flow *flow)
{
    struct uring_backend *uring = coil__uring_of(backend);
    struct uring_flow *self = flow->backing;
    int rc;

    assert(coil__fds_at(&uring->fds, flow->fd)->flow == flow);
    coil__fds_at(&uring->fds, flow->fd)->flow = NULL;
    flow->reading = false;
    flow->backing = NULL;
    coil__flow_settle(&uring->hot, flow);
    self->flow = NULL;
    if (coil__list_linked(&self->told))
        coil__list_remove(&self->told);
    if (!self->polling) {
        release(self);
        return;
    }
    struct io_uring_sqe *sqe = coil__uring_request(uring, NULL, &rc);
    if (sqe == NULL)
        return; /* its next event finds nobody */
    io_uring_prep_cancel64(sqe, (uintptr_t)self | URING_FLOW, 0);
    sqe->user_data = URING_NOBODY;
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
    flow->reading = reading;
    settle_flow(coil__uring_of(backend), flow);
}

int64_t coil__uring_flow_read(struct coil__backend *backend, struct coil__flow *flow, void *buffer,
                              size_t bytes)
{
    int64_t got = coil__flow_read(flow, buffer, bytes);
    settle_flow(coil__uring_of(backend), flow);
    return got;
}

int64_t coil__uring_flow_write(struct coil__backend *backend, struct coil__flow *flow,
                               const struct iovec *parts, int count)
{
    (void)backend;
    return coil__flow_write(flow, parts, count);
}

int coil__uring_flow_accept(struct coil__backend *backend, struct coil__flow *flow)
{
    int fd = coil__flow_accept(flow);
    settle_flow(coil__uring_of(backend), flow);
    return fd;
}

void coil__uring_flow_blocked(struct coil__backend *backend, struct coil__flow *flow, int side)
{
    coil__flow_blocked(flow, side);
    settle_flow(coil__uring_of(backend), flow);
}
