/* The descriptors that operations wait for: one slot per descriptor number, and in it two queues,
 * first in first out. A backend that works by try-then-wait puts its own way of waiting on top.
 *
 * Slots move when the table grows, which a `done` may cause by submitting: nobody keeps a pointer
 * to a slot over a call of coil__fds_run or coil__fds_fail. */
#ifndef COIL_PLATFORM_BACKEND_FDS_H
#define COIL_PLATFORM_BACKEND_FDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/backend.h"

enum coil__fd_side {
    COIL__FD_IN,  /* readable, read, recv, recvmsg, accept */
    COIL__FD_OUT, /* writable, write, send, sendmsg, connect */
};

struct coil__fd_queue {
    struct coil__op *first, *last;
    uint32_t count;
};

struct coil__fd {
    struct coil__fd_queue queues[2]; /* by enum coil__fd_side */

    /* The rest is for the backend on top. */
    struct coil__flow *flow; /* has the descriptor for itself */
    uint32_t armed;          /* POLLIN, POLLOUT: what the kernel was asked to report */
    bool registered; /* the kernel was told of the descriptor, and not since told to forget */
    bool listed;     /* in a list of the backend's, linked by next_listed */
    int next_listed; /* -1: the last */
};

struct coil__fds {
    struct coil__fd *slots;
    size_t count;   /* of slots: every descriptor number below it has one */
    size_t pending; /* operations in all queues */
};

void coil__fds_init(struct coil__fds *fds);
void coil__fds_fini(struct coil__fds *fds);

/* Makes the slot for a descriptor. 0, -ENOMEM, or -EBADF. To be called before the operation is
 * tried, so that an operation that has begun never fails for want of memory. */
int coil__fds_reserve(struct coil__fds *fds, int fd);

/* Tries an operation whose slot is reserved, if its turn has come: COIL__OP_READY if it is over,
 * else COIL__OP_PENDING, and the backend arranges for waiting and calls coil__fds_push. */
int coil__fds_begin(struct coil__fds *fds, struct coil__op *op);

/* Appends to the queue of the operation's side. */
void coil__fds_push(struct coil__fds *fds, struct coil__op *op);

/* Takes a pending operation out of its queue. */
void coil__fds_take(struct coil__fds *fds, struct coil__op *op);

/* Completes, in order, what can be completed of one side. What a `done` submits is left for the
 * next time, or else one that answers each event with a new question would hold the loop. */
void coil__fds_run(struct coil__fds *fds, int fd, enum coil__fd_side side);

/* Completes everything that waits for the descriptor with an error. */
void coil__fds_fail(struct coil__fds *fds, int fd, int error);

/* POLLIN, POLLOUT: the sides on which operations wait. */
short coil__fd_interest(const struct coil__fd *slot);

/* The side on which an operation waits, as POLLIN or POLLOUT. */
short coil__op_interest(const struct coil__op *op);

/* NULL if there has never been an operation on the descriptor. */
static inline struct coil__fd *coil__fds_at(const struct coil__fds *fds, int fd)
{
    return fd >= 0 && (size_t)fd < fds->count ? &fds->slots[fd] : NULL;
}

#endif
