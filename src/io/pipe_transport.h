/* Transports over pipes, for those who do not wait until they are made. */
#ifndef COIL_IO_PIPE_TRANSPORT_H
#define COIL_IO_PIPE_TRANSPORT_H

#include "io/transport.h"

/* Makes a transport of one end of a pipe and queues its connection_made. The transport is lent: it is the loop's. On
 * failure descriptor and self stay the caller's. */
int coil__pipe_transport_begin(coil_loop *loop, const coil_protocol *protocol, void *self, int fd,
                               bool writing, coil_transport **transport_out);

#endif
