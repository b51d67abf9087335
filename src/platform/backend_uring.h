/* What the two halves of the io_uring backend share: operations (backend_uring.c) and flows
 * (backend_uring_flow.c). */
#ifndef COIL_PLATFORM_BACKEND_URING_H
#define COIL_PLATFORM_BACKEND_URING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/backend.h"
#include "platform/backend_fds.h"

/* The low bits of a completion's user_data: whose it is. */
enum uring_tag {
    URING_NOBODY = 0, /* a request that was withdrawn before the kernel saw it */
    URING_OP = 1,     /* descriptor, side and generation */
    URING_WAKE = 2,
    URING_FLOW = 3,   /* a struct uring_flow: events */
    URING_INFLOW = 4, /* a struct uring_flow: what was received or accepted */
    URING_TAGS = 7,   /* the mask */
};

enum uring_request_state {
    URING_IDLE,
    URING_IN_FLIGHT, /* in the submission queue, or in the kernel */
    URING_COMPLETED, /* result is there; wait() will tell */
};

/* What the kernel is asked on behalf of the first operation of a queue. */
struct uring_request {
    uint32_t generation; /* tells its completion from those of requests that were taken back */
    uint32_t ticket;     /* its place in the submission queue */
    int32_t result;
    uint8_t state;  /* enum uring_request_state */
    bool performs;  /* the kernel does the work; else it says when to try */
    bool cancelled; /* taking it back was asked for, and could not be done at once */
};

struct uring_sides {
    struct uring_request sides[2]; /* by enum coil__fd_side */
};

struct uring_backend {
    struct coil__backend base;
    struct coil__fds fds;
    struct uring_sides *requests; /* one for each slot of fds */
    size_t request_count;
    struct io_uring ring;
    bool enabled; /* a thread has begun to use the ring, and no other thread may */
    bool on_valgrind;
    int wake_fd;      /* set once, so that wake may use it from any thread */
    int bell_fd;      /* readable when the ring has news; -1 until somebody wants to poll */
    int outside_fd;   /* for poll_fd: an epoll of the two above */
    int first_listed; /* descriptors with completed requests; -1: none */
    int last_listed;
    unsigned stale; /* requests taken back whose completions are still to come */
    bool wake_watched;

    struct coil__link
        flows;              /* struct uring_flow, until the kernel knows nothing of them any more */
    struct coil__link told; /* those with events to take in */
    struct coil__link unasked; /* those for which the kernel is to be asked something */
    struct coil__link hot;     /* struct coil__flow, see flow.h */
    struct uring_pool *pool;   /* NULL until a flow wants it */
};

static inline struct uring_backend *coil__uring_of(struct coil__backend *backend)
{
    return (struct uring_backend *)backend;
}

/* A request to fill in, submitted with the next wait; its place by ticket_out. NULL with the code in
 * rc_out if the queue is full and the kernel refuses to empty it. */
struct io_uring_sqe *coil__uring_request(struct uring_backend *uring, uint32_t *ticket_out,
                                         int *rc_out);

/* Submits what is queued, and lets the kernel complete what it can, for at most timeout_ns; negative: only
 * submits. */
int coil__uring_hand_over(struct uring_backend *uring, int64_t timeout_ns);

/* The slot of a descriptor, as coil__fds_reserve. */
int coil__uring_reserve(struct uring_backend *uring, int fd);

/* ---- flows ------------------------------------------------------------------------------------- */

void coil__uring_flows_init(struct uring_backend *uring);
/* After the ring has gone. */
void coil__uring_flows_fini(struct uring_backend *uring);
/* A completion was taken out of the ring; these call nobody. */
void coil__uring_flow_completed(struct uring_backend *uring, const struct io_uring_cqe *cqe);
void coil__uring_inflow_completed(struct uring_backend *uring, const struct io_uring_cqe *cqe);
/* Queues the requests that are due. */
void coil__uring_flows_ask(struct uring_backend *uring);
/* And hands them over, for a host that may sleep instead of us. */
void coil__uring_flows_ask_now(struct uring_backend *uring);
/* True if there is somebody to call without news from the kernel. */
bool coil__uring_flows_due(const struct uring_backend *uring);
/* Calls readable and writable where they are due. */
void coil__uring_flows_run(struct uring_backend *uring);
/* The ring is another one now. */
void coil__uring_flows_move(struct uring_backend *uring);

int coil__uring_flow_open(struct coil__backend *backend, struct coil__flow *flow);
void coil__uring_flow_close(struct coil__backend *backend, struct coil__flow *flow);
void coil__uring_flow_reading(struct coil__backend *backend, struct coil__flow *flow, bool reading);
int64_t coil__uring_flow_read(struct coil__backend *backend, struct coil__flow *flow, void *buffer,
                              size_t bytes);
int64_t coil__uring_flow_write(struct coil__backend *backend, struct coil__flow *flow,
                               const struct iovec *parts, int count);
int coil__uring_flow_accept(struct coil__backend *backend, struct coil__flow *flow);
void coil__uring_flow_blocked(struct coil__backend *backend, struct coil__flow *flow, int side);

#endif
