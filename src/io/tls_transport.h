/* TLS transports: the bytes come from, and go to, another transport, whose protocol they are. */
#ifndef COIL_IO_TLS_TRANSPORT_H
#define COIL_IO_TLS_TRANSPORT_H

#include <coil/tls.h>
#include "io/transport.h"

/* Makes a TLS transport for an application's protocol, over a lower transport that is still to be made: with
 * coil__tls_lower_protocol, and *lower_self_out as its self, which the lower one then owns. connection_made of the
 * application's protocol is called after the handshake; the transport ends by coil__transport_lose. port: with the
 * name, what a client's session is remembered by; options may be NULL. Returns 0, or a code: self stays the caller's
 * then. The one reference is the loop's. */
int coil__tls_transport_begin(coil_tls_context *context, const coil_tls_options *options, int port,
                              coil_loop *loop, const coil_protocol *protocol, void *self,
                              coil_transport **transport_out, void **lower_self_out);

/* The lower transport could not be made: ends the TLS transport. self is the caller's again. */
void coil__tls_transport_undo(coil_transport *transport);

/* coil_start_tls in two halves. The first puts a TLS transport above one that stands, and moves the protocol to it: 0,
 * one reference, and what is written to it is kept until the handshake is over. Or a code: nothing has changed. The
 * second waits for the handshake: 0, or a code, and the transport is aborted. */
int coil__tls_start(coil_transport *lower, coil_tls_context *context,
                    const coil_tls_options *options, coil_transport **transport_out);
int coil__tls_start_wait(coil_transport *transport);

/* Whether a context is good for a server: 0, or COIL_EINVAL, COIL_ENOTSUP. */
int coil__tls_check_server(const coil_tls_context *context);

extern const coil_protocol coil__tls_lower_protocol;

#endif
