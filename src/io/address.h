/* Socket addresses: as texts, and made of numeric hosts. */
#ifndef COIL_IO_ADDRESS_H
#define COIL_IO_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

enum {
    COIL__ADDRESS_TEXT_BYTES = 128, /* a Unix path of 108, with room */
    COIL__ADDRESSES_MAX = 4,        /* that a numeric host, or none, can stand for */
};

struct coil__address {
    socklen_t length;
    union {
        struct sockaddr generic;
        struct sockaddr_storage storage;
    };
};

/* "127.0.0.1:80", "[::1]:80", "[fe80::1%2]:80", "/a/path", "@abstract"; "" for a Unix socket without a name. */
void coil__address_text(const struct sockaddr *address, socklen_t length,
                        char text[COIL__ADDRESS_TEXT_BYTES]);

/* The addresses that a numeric host stands for: one; or without a host (NULL, "") those of this machine itself, or, if
 * passive, of all its interfaces, for each family. Neither waits nor looks anything up.
 *
 * Returns how many, at least 1, or COIL_EINVAL: not numeric, or not of the family (AF_UNSPEC: any), or no port. */
int coil__address_numeric(const char *host, int port, int family, int type, bool passive,
                          struct coil__address addresses[COIL__ADDRESSES_MAX]);

/* A path, or "@name" in the abstract namespace. 0 or COIL_EINVAL: too long, or empty. */
int coil__address_unix(const char *path, struct coil__address *address_out);

#endif
