/* Transports over stream sockets. */
#ifndef COIL_IO_SOCKET_TRANSPORT_H
#define COIL_IO_SOCKET_TRANSPORT_H

#include "io/endpoint.h"
#include "io/write_queue.h"

struct coil__socket_transport {
    struct coil__endpoint endpoint;
    struct coil__write_queue queue;
    struct coil__wait *sent_wait; /* the task that waits until nothing is kept; NULL: none */
};

/* Memory for one. NULL when there is none; coil__socket_transport_free takes back what was not begun. */
struct coil__socket_transport *coil__socket_transport_alloc(void);
void coil__socket_transport_free(struct coil__socket_transport *self);

/* Begins it on a connected, non-blocking socket: connection_made is called in the next turn. tcp: it is of TCP, and
 * sends without delay already. Returns 0 or a code: everything stays the caller's then. The one reference is the
 * loop's. */
int coil__socket_transport_begin(struct coil__socket_transport *self, coil_loop *loop, int fd,
                                 bool tcp, const coil_protocol *protocol, void *protocol_self);

/* Whether a socket is of TCP; then makes it send without delay, as asyncio does. */
bool coil__socket_set_nodelay(int fd);

#endif
