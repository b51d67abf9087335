#include "io/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static void unix_text(const struct sockaddr_un *address, socklen_t length,
                      char text[COIL__ADDRESS_TEXT_BYTES])
{
    size_t bytes = length > offsetof(struct sockaddr_un, sun_path)
                       ? length - offsetof(struct sockaddr_un, sun_path)
                       : 0;
    if (bytes > sizeof address->sun_path)
        bytes = sizeof address->sun_path;
    bool abstract = bytes > 0 && address->sun_path[0] == '\0';
    if (!abstract)
        bytes = strnlen(address->sun_path, bytes);
    memcpy(text, address->sun_path, bytes);
    text[bytes] = '\0';
    if (abstract)
        text[0] = '@';
}

void coil__address_text(const struct sockaddr *address, socklen_t length,
                        char text[COIL__ADDRESS_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN];
    text[0] = '\0';
    if (address->sa_family == AF_UNIX) {
        unix_text((const struct sockaddr_un *)(const void *)address, length, text);
    } else if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        snprintf(text, COIL__ADDRESS_TEXT_BYTES, "%s:%u",
                 inet_ntop(AF_INET, &in->sin_addr, host, sizeof host), ntohs(in->sin_port));
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        char scope[16] = "";
        if (in6->sin6_scope_id != 0)
            snprintf(scope, sizeof scope, "%%%u", in6->sin6_scope_id);
        snprintf(text, COIL__ADDRESS_TEXT_BYTES, "[%s%s]:%u",
                 inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host), scope,
                 ntohs(in6->sin6_port));
    }
}
