/* Flows for backends that are told of readiness: the state of one, and the calls made for it. epoll and
 * poll differ only in how they hear of events. */
#ifndef COIL_PLATFORM_FLOW_H
#define COIL_PLATFORM_FLOW_H

#include <sys/uio.h>

#include "platform/backend.h"

/* coil__flow.state */
enum {
    COIL__FLOW_CAN_READ = 1,  /* an event said so, and no call has said EAGAIN since */
    COIL__FLOW_NO_WRITE = 2,  /* a call said EAGAIN, and no event has said otherwise since */
    COIL__FLOW_UNSURE = 4,    /* an end, an error or an urgent mark: a short read proves nothing */
    COIL__FLOW_GONE_TOLD = 8, /* the owner has been told that the peer is gone */
};

void coil__flow_init(struct coil__flow *flow);

/* A flow is hot while readable is due without an event: somebody wants to read, and the last read may have
 * left something. wait() does not sleep while any is, and runs the hot ones before the events, so that each
 * flow is called once in a wait. */
void coil__flow_run_hot(struct coil__link *hot);

/* Takes in what the kernel reports (POLLIN, POLLOUT, POLLPRI, POLLRDHUP, POLLHUP, POLLERR) and calls
 * readable if it is due. Gives true if writable is due, which the backend calls once it has made sure that
 * the flow still stands. */
bool coil__flow_event(struct coil__link *hot, struct coil__flow *flow, uint32_t events);

/* After a change: puts a flow into the list of the hot ones, or takes it out. */
void coil__flow_settle(struct coil__link *hot, struct coil__flow *flow);

int64_t coil__flow_read(struct coil__flow *flow, void *buffer, size_t bytes);
int64_t coil__flow_write(struct coil__flow *flow, const struct iovec *parts, int count);
int coil__flow_accept(struct coil__flow *flow);
void coil__flow_blocked(struct coil__flow *flow, int side);

#endif
