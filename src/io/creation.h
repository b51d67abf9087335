/* What the calls that make connections and servers begin with. */
#ifndef COIL_IO_CREATION_H
#define COIL_IO_CREATION_H

#include <coil/transport.h>
#include "loop/loop.h"

/* The loop of the running task: 0, or COIL_ENOTASK, or why the loop takes no new work. */
int coil__creation_loop(const char *call, coil_loop **loop_out);

/* Checks the type of a socket that was handed in (SOCK_STREAM..., and its name), and makes it non-blocking. */
int coil__creation_socket(int fd, int type, const char *type_name);

/* Fails before anything was made of protocol and arg: what is self already goes. Returns code. */
int coil__creation_refuse(const coil_protocol *protocol, void *arg, int code);

/* A new non-blocking socket of this type that is connected to an address; local: NULL, or what to bind it to before.
 * Suspends. The descriptor, or a code. */
struct coil__address;
int coil__creation_connect(int type, const struct coil__address *address,
                           const struct coil__address *local);

#endif
