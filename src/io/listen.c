/* Making servers: sockets, bound, and a server on them. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>
#include <coil/task.h>
#include "base/error.h"
#include "io/address.h"
#include "io/creation.h"
#include "io/resolve.h"
#include "io/server.h"
#include "io/tls_transport.h"

enum {
    SOCKETS_MAX = 16, /* of one server */
};

static int read_options(const coil_server_options *given, coil_server_options *options_out)
{
    *options_out = (coil_server_options)COIL_SERVER_OPTIONS_INIT;
    if (given)
        memcpy(options_out, given,
               given->size < sizeof *options_out ? given->size : sizeof *options_out);
    if (options_out->backlog < 1)
        options_out->backlog = 1;
    return options_out->tls ? coil__tls_check_server(options_out->tls) : 0;
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        (void)close(fds[i]); /* nobody has used it */
}

static int bind_to(int fd, const struct coil__address *address)
{
    if (bind(fd, &address->generic, address->length) == 0)
        return 0;
    int code = -errno;
    char text[COIL__ADDRESS_TEXT_BYTES];
    coil__address_text(&address->generic, address->length, text);
    return coil__fail(code, "binding to %s", text);
}

static int set_up(int fd, const struct coil__address *address, const coil_server_options *options)
{
    int on = 1;
    bool reuse = !options->no_reuse_addr;
    if ((reuse && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) ||
        (options->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
        (options->keep_alive && setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) < 0))
        return coil__fail(-errno, "the options of a listening socket");
    /* Each family has a socket of its own. */
    if (address->generic.sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
        return coil__fail(-errno, "IPV6_V6ONLY");
    return bind_to(fd, address);
}

/* Sockets bound to these addresses: how many, or a code. As in asyncio a family that this machine does not have is left
 * out, if another remains. */
static int bind_all(const struct coil__address *addresses, int count,
                    const coil_server_options *options, int *fds)
{
    int made = 0, rc = 0;
    for (int i = 0; i < count; i++) {
        int family = addresses[i].generic.sa_family;
        int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            rc = coil__fail(-errno, "a listening socket");
            if (rc == -EAFNOSUPPORT)
                continue;
            break;
        }
        rc = set_up(fd, &addresses[i], options);
        if (rc == 0) {
            fds[made++] = fd;
            continue;
        }
        (void)close(fd); /* nobody has used it */
        if (rc != -EADDRNOTAVAIL)
            break;
        rc = made > 0 || i + 1 < count ? 0 : rc;
    }
    if (rc < 0 && (made == 0 || (rc != -EADDRNOTAVAIL && rc != -EAFNOSUPPORT))) {
        close_all(fds, made);
        return rc;
    }
    return made > 0 ? made : coil__fail(-EADDRNOTAVAIL, "no address could be bound");
}

/* A server on bound sockets, which it owns from success on. path: the file of a Unix socket that goes with it; else
 * NULL. */
static int finish(coil_loop *loop, const coil_protocol *protocol, void *arg, const int *fds,
                  int count, const char *path, const coil_server_options *options,
                  coil_server **server_out)
{
    char *own_path = NULL;
    struct stat made;
    if (path && !options->keep_path && stat(path, &made) == 0) {
        own_path = coil__strdup(path);
        if (!own_path)
            return coil__fail_plain(COIL_ENOMEM);
    }
    coil_server *server = coil__server_new(loop, protocol, arg, options->backlog, fds, count);
    if (!server) {
        coil__free(own_path);
        return COIL_ENOMEM;
    }
    server->tls = coil_ref(options->tls);
    server->tls_options.handshake_timeout = options->tls_handshake_timeout;
    server->tls_options.shutdown_timeout = options->tls_shutdown_timeout;
    if (own_path) {
        server->listeners[0].path = own_path;
        server->listeners[0].path_device = made.st_dev;
        server->listeners[0].path_inode = made.st_ino;
    }
    int rc = options->no_serving ? 0 : coil__server_start(server);
    if (rc == 0 && !options->no_serving)
        rc = coil_sleep(0); /* as in asyncio: what is created serves when the call returns */
    if (rc < 0) {
        coil__server_abandon(server);
        return rc;
    }
    *server_out = server;
    return 0;
}

int coil_create_server(const coil_protocol *protocol, void *arg, const char *host, int port,
                       const coil_server_options *given, coil_server **server_out)
{
    coil_loop *loop;
    coil_server_options options;
    struct coil__address *addresses = NULL;
    int fds[SOCKETS_MAX];
    int rc = read_options(given, &options);
    if (rc == 0)
        rc = coil__creation_loop("create_server", &loop);
    if (rc == 0)
        rc = coil__resolve(host, port, options.family, SOCK_STREAM, true, &addresses);
    if (rc > 0)
        rc = bind_all(addresses, rc < SOCKETS_MAX ? rc : SOCKETS_MAX, &options, fds);
    coil__free(addresses);
    if (rc < 0)
        return rc;
    int count = rc;
    rc = finish(loop, protocol, arg, fds, count, NULL, &options, server_out);
    if (rc < 0)
        close_all(fds, count);
    return rc;
}

int coil_create_server_sock(const coil_protocol *protocol, void *arg, int fd,
                            const coil_server_options *given, coil_server **server_out)
{
    coil_loop *loop;
    coil_server_options options;
    int rc = read_options(given, &options);
    if (rc == 0)
        rc = coil__creation_loop("create_server", &loop);
    if (rc == 0)
        rc = coil__creation_socket(fd, SOCK_STREAM, "stream");
    return rc < 0 ? rc : finish(loop, protocol, arg, &fd, 1, NULL, &options, server_out);
}

/* Binds to a path, in place of a socket's file that nobody has removed. */
static int bind_path(int fd, const char *path, const struct coil__address *address)
{
    struct stat found;
    if (path[0] != '@' && stat(path, &found) == 0 && S_ISSOCK(found.st_mode))
        (void)unlink(path); /* bind says what is wrong */
    return bind_to(fd, address);
}

int coil_create_unix_server(const coil_protocol *protocol, void *arg, const char *path,
                            const coil_server_options *given, coil_server **server_out)
{
    coil_loop *loop;
    coil_server_options options;
    struct coil__address address;
    int rc = read_options(given, &options);
    if (rc == 0)
        rc = coil__creation_loop("create_unix_server", &loop);
    if (rc == 0)
        rc = coil__address_unix(path, &address);
    if (rc < 0)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return coil__fail(-errno, "a listening socket");
    rc = bind_path(fd, path, &address);
    if (rc < 0) {
        (void)close(fd); /* nobody has used it */
        return rc;
    }
    rc = finish(loop, protocol, arg, &fd, 1, path[0] == '@' ? NULL : path, &options, server_out);
    if (rc < 0) {
        (void)close(fd); /* nobody has used it */
        if (path[0] != '@')
            (void)unlink(path); /* the next server replaces it otherwise */
    }
    return rc;
}
