/* From a host and a port to the addresses to use, and from these to a connection. */
#ifndef COIL_IO_RESOLVE_H
#define COIL_IO_RESOLVE_H

#include "io/address.h"

/* The addresses of a host, best first: as coil__address_numeric where it is numeric, or none; else by way of the
 * system (coil_getaddrinfo), which suspends.
 *
 * Returns how many, at least 1, in *addresses_out, to be given back by coil__free; or a code. */
int coil__resolve(const char *host, int port, int family, int type, bool passive,
                  struct coil__address **addresses_out);

/* Connects to one of the addresses: the next one is tried when one has failed, or, if delay is not negative, when it has
 * not answered for so many seconds; the first that answers is kept (RFC 8305). The families take turns then. An
 * address for which no local one is of its family fails; no local ones: the system chooses.
 *
 * Returns the descriptor, or a code: that of the first address, with a record that tells of all. */
int coil__connect_any(struct coil__address *addresses, int count,
                      const struct coil__address *locals, int local_count, double delay);

#endif
