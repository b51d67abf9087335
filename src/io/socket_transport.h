/* Transports over stream sockets; and what a pipe has in common with them. */
#ifndef COIL_IO_SOCKET_TRANSPORT_H
#define COIL_IO_SOCKET_TRANSPORT_H

#include "io/endpoint.h"
#include "io/write_queue.h"

struct coil__socket_transport {
    struct coil__endpoint endpoint;
    struct coil__write_queue queue;
    /* Sends what the system takes now, as flow_write does, and tells the flow if that is less than all. NULL: a stream
     * socket, for which the flow itself does it. */
    int64_t (*send)(struct coil__socket_transport *self, const struct iovec *parts, int count);
    struct coil__wait *sent_wait; /* the task that waits until nothing is kept; NULL: none */
};

/* Operations that pipes share. */
int coil__socket_transport_write(coil_transport *transport, const struct iovec *parts, int count,
                                 size_t total, struct coil__lent_write *lent);
int coil__socket_transport_withdraw(coil_transport *transport, struct coil__lent_write *lent);
void coil__socket_transport_write_ready(struct coil__endpoint *endpoint);
void coil__socket_transport_close(coil_transport *transport);
void coil__socket_transport_abort(coil_transport *transport, int code);
void coil__socket_transport_lost(coil_transport *transport);
void coil__socket_transport_destroy(coil_transport *transport);

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
