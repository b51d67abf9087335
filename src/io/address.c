#include "io/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include "base/error.h"

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

int coil__address_numeric(const char *host, int port, int family, int type, bool passive,
                          struct coil__address addresses[COIL__ADDRESSES_MAX])
{
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                              .ai_family = family,
                              .ai_socktype = type };
    struct addrinfo *found;
    char service[16];
    bool none = !host || !*host;
    if (port < 0 || port > 65535)
        return coil__fail(COIL_EINVAL, "port %d is out of range", port);
    if (passive)
        hints.ai_flags |= AI_PASSIVE;
    snprintf(service, sizeof service, "%d", port);
    int error = getaddrinfo(none ? NULL : host, service, &hints, &found);
    if (error == EAI_MEMORY)
        return coil__fail_plain(COIL_ENOMEM);
    if (error != 0)
        return coil__fail(COIL_EINVAL, "\"%s\" is no numeric address", none ? "" : host);
    int count = 0;
    for (const struct addrinfo *info = found; info && count < COIL__ADDRESSES_MAX;
         info = info->ai_next) {
        memcpy(&addresses[count].storage, info->ai_addr, info->ai_addrlen);
        addresses[count++].length = info->ai_addrlen;
    }
    freeaddrinfo(found);
    return count;
}

int coil__address_unix(const char *path, struct coil__address *address_out)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&address_out->storage;
    size_t bytes = strlen(path);
    if (bytes == 0 || bytes >= sizeof address->sun_path)
        return coil__fail(COIL_EINVAL, "the path of a Unix socket has %zu bytes", bytes);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, bytes);
    address_out->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes);
    if (path[0] == '@')
        address->sun_path[0] = '\0'; /* the length counts, and no zero byte ends the name */
    else
        address_out->length++;
    return 0;
}
