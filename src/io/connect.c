/* Making connections: a socket, a transport on it, and a wait for connection_made. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <coil/sock.h>
#include "base/error.h"
#include "io/address.h"
#include "io/creation.h"
#include "io/socket_transport.h"
#include "tasks/task.h"

int coil__creation_loop(const char *call, coil_loop **loop_out)
{
    struct coil__task *task = coil__thread.task;
    *loop_out = NULL;
    if (!task || coil__thread.driver)
        return coil__fail(COIL_ENOTASK, "%s outside a task", call);
    *loop_out = task->future.loop;
    return coil__loop_open_for_work(*loop_out);
}

int coil__creation_socket(int fd, int type, const char *type_name)
{
    int found;
    socklen_t length = sizeof found;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &found, &length) < 0)
        return coil__fail(-errno, "descriptor %d", fd);
    if (found != type)
        return coil__fail(COIL_EINVAL, "descriptor %d is no %s socket", fd, type_name);
    int flags = fcntl(fd, F_GETFL);
    if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return coil__fail(-errno, "making descriptor %d non-blocking", fd);
    return 0;
}

int coil__creation_connect(int type, const struct coil__address *address,
                           const struct coil__address *local)
{
    char text[COIL__ADDRESS_TEXT_BYTES];
    int fd = socket(address->generic.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return coil__fail(-errno, "a socket for a connection");
    int rc = 0;
    if (local && bind(fd, &local->generic, local->length) < 0) {
        rc = -errno;
        coil__address_text(&local->generic, local->length, text);
        coil__fail(rc, "binding to %s", text);
    }
    if (rc == 0) {
        rc = coil_sock_connect(fd, &address->generic, address->length);
        coil__address_text(&address->generic, address->length, text);
        if (rc < 0 && rc > -4096)
            coil__fail(rc, "connecting to %s", text);
    }
    if (rc == 0)
        return fd;
    coil_sock_close(fd);
    return rc;
}

/* A transport on a connected socket, and its protocol; the wait is still to come. arg is consumed. */
static int begin_socket(coil_loop *loop, const coil_protocol *protocol, void *arg, int fd,
                        struct coil__socket_transport **transport_out)
{
    struct coil__socket_transport *transport = coil__socket_transport_alloc();
    void *self = arg;
    int rc = transport ? coil__protocol_create(protocol, arg, &self) : COIL_ENOMEM;
    if (rc < 0)
        goto no_protocol;
    rc = coil__socket_transport_begin(transport, loop, fd, coil__socket_set_nodelay(fd), protocol,
                                      self);
    if (rc < 0)
        goto no_transport;
    *transport_out = transport;
    return 0;

no_protocol:
    if (protocol->create) /* nothing was made, and arg is the caller's own affair */
        goto no_memory;
no_transport:
    coil__protocol_destroy(protocol, self);
no_memory:
    if (transport)
        coil__socket_transport_free(transport);
    return rc;
}

int coil__creation_refuse(const coil_protocol *protocol, void *arg, int code)
{
    if (!protocol->create)
        coil__protocol_destroy(protocol, arg);
    return code;
}

int coil_create_connection_sock(const coil_protocol *protocol, void *arg, int fd,
                                const coil_connection_options *options,
                                coil_transport **transport_out)
{
    (void)options; /* none that matters for a socket that is there */
    coil_loop *loop;
    struct coil__socket_transport *transport;
    int rc = coil__creation_loop("create_connection", &loop);
    if (rc == 0)
        rc = coil__creation_socket(fd, SOCK_STREAM, "stream");
    if (rc < 0)
        return coil__creation_refuse(protocol, arg, rc);
    rc = begin_socket(loop, protocol, arg, fd, &transport);
    return rc < 0 ? rc : coil__endpoint_finish(&transport->endpoint, true, transport_out);
}

int coil_connect_accepted_socket(const coil_protocol *protocol, void *arg, int fd,
                                 const coil_connection_options *options,
                                 coil_transport **transport_out)
{
    return coil_create_connection_sock(protocol, arg, fd, options, transport_out);
}

/* A transport on a socket that the call itself has connected; fd: or the code of that. */
static int finish_connected(coil_loop *loop, const coil_protocol *protocol, void *arg, int fd,
                            coil_transport **transport_out)
{
    struct coil__socket_transport *transport;
    if (fd < 0)
        return coil__creation_refuse(protocol, arg, fd);
    int rc = begin_socket(loop, protocol, arg, fd, &transport);
    if (rc < 0) {
        coil_sock_close(fd);
        return rc;
    }
    return coil__endpoint_finish(&transport->endpoint, false, transport_out);
}

int coil_create_unix_connection(const coil_protocol *protocol, void *arg, const char *path,
                                const coil_connection_options *options,
                                coil_transport **transport_out)
{
    (void)options; /* none that matters here */
    coil_loop *loop;
    struct coil__address address;
    int rc = coil__creation_loop("create_unix_connection", &loop);
    if (rc == 0)
        rc = coil__address_unix(path, &address);
    if (rc == 0)
        rc = coil__creation_connect(SOCK_STREAM, &address, NULL);
    return finish_connected(loop, protocol, arg, rc, transport_out);
}

/* ---- connecting by host and port ------------------------------------------------------------------ */

static void read_options(const coil_connection_options *given, coil_connection_options *options_out)
{
    *options_out = (coil_connection_options)COIL_CONNECTION_OPTIONS_INIT;
    if (given)
        memcpy(options_out, given,
               given->size < sizeof *options_out ? given->size : sizeof *options_out);
}

/* The first of the local addresses that goes with a peer's; NULL: none does. */
static const struct coil__address *local_for(const struct coil__address *address,
                                             const struct coil__address *locals, int count)
{
    for (int i = 0; i < count; i++)
        if (locals[i].generic.sa_family == address->generic.sa_family)
            return &locals[i];
    return NULL;
}

/* Connects to the first address that answers: its descriptor, or what the last one failed with. Cancelled it does not
 * try the next. */
static int connect_any(const struct coil__address *addresses, int count,
                       const struct coil__address *locals, int local_count)
{
    int rc = COIL_EINVAL;
    for (int i = 0; i < count; i++) {
        const struct coil__address *local = local_for(&addresses[i], locals, local_count);
        if (local_count > 0 && !local) {
            rc = coil__fail(COIL_EINVAL, "the local address is of another family");
            continue;
        }
        rc = coil__creation_connect(SOCK_STREAM, &addresses[i], local);
        if (rc >= 0 || rc <= -4096)
            break;
    }
    return rc;
}

int coil_create_connection(const coil_protocol *protocol, void *arg, const char *host, int port,
                           const coil_connection_options *given, coil_transport **transport_out)
{
    coil_loop *loop;
    coil_connection_options options;
    struct coil__address addresses[COIL__ADDRESSES_MAX], locals[COIL__ADDRESSES_MAX];
    int local_count = 0;
    read_options(given, &options);
    int rc = coil__creation_loop("create_connection", &loop);
    if (rc == 0 && options.local_host)
        local_count = rc = coil__address_numeric(options.local_host, options.local_port,
                                                 options.family, SOCK_STREAM, true, locals);
    if (rc >= 0)
        rc = coil__address_numeric(host, port, options.family, SOCK_STREAM, false, addresses);
    if (rc > 0)
        rc = connect_any(addresses, rc, locals, local_count);
    return finish_connected(loop, protocol, arg, rc, transport_out);
}
