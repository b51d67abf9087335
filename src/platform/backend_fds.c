#include "platform/backend_fds.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "base/alloc.h"
#include "platform/backend_try.h"

enum {
    FIRST_SLOTS = 64
};

static enum coil__fd_side side_of(const struct coil__op *op);
static struct coil__fd_queue *queue_of(struct coil__fds *fds, const struct coil__op *op);
static void relink(struct coil__fd *slots, size_t count);
static void finish(struct coil__fds *fds, struct coil__op *op);
static void fail_side(struct coil__fds *fds, int fd, enum coil__fd_side side, int error);

void coil__fds_init(struct coil__fds *fds)
{
    *fds = (struct coil__fds){ 0 };
}

void coil__fds_fini(struct coil__fds *fds)
{
    assert(fds->pending == 0);
    coil__free(fds->slots);
    coil__fds_init(fds);
}

int coil__fds_reserve(struct coil__fds *fds, int fd)
{
    if (coil__fds_at(fds, fd) != NULL)
        return 0;
    /* A number that is not open may be any number: it must not size the table. */
    if (fcntl(fd, F_GETFD) < 0)
        return -errno;

    size_t count = fds->count > 0 ? fds->count * 2 : FIRST_SLOTS;
    while (count <= (size_t)fd)
        count *= 2;
    struct coil__fd *slots = coil__realloc(fds->slots, count * sizeof(*slots));
    if (slots == NULL)
        return -ENOMEM;

    memset(slots + fds->count, 0, (count - fds->count) * sizeof(*slots));
    relink(slots, fds->count);
    fds->slots = slots;
    fds->count = count;
    return 0;
}

int coil__fds_begin(struct coil__fds *fds, struct coil__op *op)
{
    coil__op_prepare(op);
    if (coil__op_asks_readiness(op))
        return COIL__OP_PENDING;
    /* An empty RECV takes nothing from those who came first, and need not stand in line. */
    bool empty = op->kind == COIL__OP_RECV && op->io.bytes == 0;
    if (queue_of(fds, op)->first != NULL && !empty)
        return COIL__OP_PENDING;
    return coil__op_try(op) ? COIL__OP_READY : COIL__OP_PENDING;
}

void coil__fds_push(struct coil__fds *fds, struct coil__op *op)
{
    struct coil__fd_queue *queue = queue_of(fds, op);

    op->next = NULL;
    op->link = queue->last != NULL ? &queue->last->next : &queue->first;
    *op->link = op;
    queue->last = op;
    queue->count++;
    fds->pending++;
    op->pending = true;
}

void coil__fds_take(struct coil__fds *fds, struct coil__op *op)
{
    struct coil__fd_queue *queue = queue_of(fds, op);

    assert(op->pending);
    assert(*op->link == op);
    if (op->next != NULL)
        op->next->link = op->link;
    else if (op->link == &queue->first)
        queue->last = NULL;
    else
        queue->last = (struct coil__op *)((char *)op->link - offsetof(struct coil__op, next));
    *op->link = op->next;
    queue->count--;
    fds->pending--;
    op->pending = false;
}

void coil__fds_run(struct coil__fds *fds, int fd, enum coil__fd_side side)
{
    /* Counting is enough to end, and holds no pointer that a `done` could make stale. */
    for (uint32_t left = fds->slots[fd].queues[side].count; left > 0; left--) {
        struct coil__op *op = fds->slots[fd].queues[side].first;
        if (op == NULL || !coil__op_try(op))
            return;
        finish(fds, op);
    }
}

void coil__fds_fail(struct coil__fds *fds, int fd, int error)
{
    fail_side(fds, fd, COIL__FD_IN, error);
    fail_side(fds, fd, COIL__FD_OUT, error);
}

static void fail_side(struct coil__fds *fds, int fd, enum coil__fd_side side, int error)
{
    for (uint32_t left = fds->slots[fd].queues[side].count; left > 0; left--) {
        struct coil__op *op = fds->slots[fd].queues[side].first;
        if (op == NULL)
            return;
        op->result = error;
        finish(fds, op);
    }
}

short coil__fd_interest(const struct coil__fd *slot)
{
    short in = slot->queues[COIL__FD_IN].first != NULL ? POLLIN : 0;
    short out = slot->queues[COIL__FD_OUT].first != NULL ? POLLOUT : 0;
    return (short)(in | out);
}

short coil__op_interest(const struct coil__op *op)
{
    return side_of(op) == COIL__FD_IN ? POLLIN : POLLOUT;
}

static enum coil__fd_side side_of(const struct coil__op *op)
{
    switch ((enum coil__op_kind)op->kind) {
    case COIL__OP_READABLE:
    case COIL__OP_READ:
    case COIL__OP_RECV:
    case COIL__OP_RECVMSG:
    case COIL__OP_ACCEPT:
        return COIL__FD_IN;
    case COIL__OP_WRITABLE:
    case COIL__OP_WRITE:
    case COIL__OP_SEND:
    case COIL__OP_SENDMSG:
    case COIL__OP_CONNECT:
        return COIL__FD_OUT;
    }
    assert(!"unknown kind of operation");
    return COIL__FD_IN;
}

static struct coil__fd_queue *queue_of(struct coil__fds *fds, const struct coil__op *op)
{
    struct coil__fd *slot = coil__fds_at(fds, op->fd);
    assert(slot != NULL);
    return &slot->queues[side_of(op)];
}

/* After a move: the first operation of each queue still points back into the old slot. */
static void relink(struct coil__fd *slots, size_t count)
{
    for (size_t fd = 0; fd < count; fd++) {
        for (int side = COIL__FD_IN; side <= COIL__FD_OUT; side++) {
            struct coil__fd_queue *queue = &slots[fd].queues[side];
            if (queue->first != NULL)
                queue->first->link = &queue->first;
        }
    }
}

static void finish(struct coil__fds *fds, struct coil__op *op)
{
    coil__fds_take(fds, op);
    op->done(op); /* and with that its memory is no longer ours */
}
