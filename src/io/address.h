/* Socket addresses: as texts, and made of numeric hosts. */
#ifndef COIL_IO_ADDRESS_H
#define COIL_IO_ADDRESS_H

#include <sys/socket.h>

enum {
    COIL__ADDRESS_TEXT_BYTES = 128, /* a Unix path of 108, with room */
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

#endif
