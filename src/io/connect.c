/* Making connections: a socket, a transport on it, and a wait for connection_made. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <coil/sock.h>
#include "base/error.h"
#include "io/address.h"
#include "io/creation.h"
#include "io/resolve.h"
#include "io/socket_transport.h"
#include "io/tls_transport.h"
#include "tasks/task.h"

#define HAPPY_EYEBALLS_DELAY                                                                       \
    0.25 /* RFC 8305, section 5: the Connection Attempt Delay that it recommends */

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

/* A connection that is being made: the application's transport, and the one on the socket, which is the same without
 * TLS. */
struct making {
    coil_transport *transport;
    struct coil__endpoint *endpoint;
};

static int begin_on(coil_loop *loop, const coil_protocol *protocol, void *self, int fd,
                    struct making *making)
{
    struct coil__socket_transport *transport = coil__socket_transport_alloc();
    if (!transport)
        return COIL_ENOMEM;
    int rc = coil__socket_transport_begin(transport, loop, fd, coil__socket_set_nodelay(fd),
                                          protocol, self);
    if (rc < 0) {
        coil__socket_transport_free(transport);
        return rc;
    }
    making->transport = &transport->endpoint.base;
    making->endpoint = &transport->endpoint;
    return 0;
}

static int begin_tls_on(coil_loop *loop, const coil_protocol *protocol, void *self, int fd,
                        const coil_connection_options *options, int port, struct making *making)
{
    coil_tls_options tls = { .size = sizeof tls,
                             .server_hostname = options->server_hostname,
                             .handshake_timeout = options->tls_handshake_timeout,
                             .shutdown_timeout = options->tls_shutdown_timeout };
    coil_transport *upper;
    void *below;
    int rc = coil__tls_transport_begin(options->tls, &tls, port, loop, protocol, self, &upper,
                                       &below);
    if (rc < 0)
        return rc;
    rc = begin_on(loop, &coil__tls_lower_protocol, below, fd, making);
    if (rc < 0)
        coil__tls_transport_undo(upper);
    else
        making->transport = upper;
    return rc;
}

/* Transports on a connected socket, and the protocol; the wait is still to come. arg is consumed. */
static int begin(coil_loop *loop, const coil_protocol *protocol, void *arg, int fd,
                 const coil_connection_options *options, int port, struct making *making)
{
    void *self;
    int rc = coil__protocol_create(protocol, arg, &self);
    if (rc < 0)
        return rc;
    rc = options->tls ? begin_tls_on(loop, protocol, self, fd, options, port, making)
                      : begin_on(loop, protocol, self, fd, making);
    if (rc < 0)
        coil__protocol_destroy(protocol, self);
    return rc;
}

/* Waits for the handshake of a connection by TLS. Both ends may be gone by the time the task runs. */
static int finish_tls(const struct making *making, bool give_back, coil_transport **transport_out)
{
    coil_transport *transport = making->transport;
    struct coil__endpoint *endpoint = making->endpoint;
    int fd = endpoint->flow.fd;
    endpoint->fd_lent = give_back;
    coil__ref(&transport->object);
    coil__ref(&endpoint->base.object);
    int rc = coil__transport_wait_made(transport);
    if (rc == 0) {
        endpoint->fd_lent = false;
        if (give_back && !endpoint->base.loop)
            (void)close(fd); /* nobody else will, and it was handed over */
    } else {
        if (give_back && endpoint->base.loop)
            coil__endpoint_give_back(endpoint);
        if (transport->loop)
            coil_transport_abort(transport);
    }
    coil__unref(&endpoint->base.object);
    if (rc == 0 && transport_out)
        *transport_out = transport;
    else
        coil__unref(&transport->object);
    return rc;
}

static int finish(const struct making *making, bool give_back, coil_transport **transport_out)
{
    if (making->transport == &making->endpoint->base)
        return coil__endpoint_finish(making->endpoint, give_back, transport_out);
    return finish_tls(making, give_back, transport_out);
}

static void read_options(const coil_connection_options *given, coil_connection_options *options_out)
{
    *options_out = (coil_connection_options)COIL_CONNECTION_OPTIONS_INIT;
    if (given)
        memcpy(options_out, given,
               given->size < sizeof *options_out ? given->size : sizeof *options_out);
}

int coil__creation_refuse(const coil_protocol *protocol, void *arg, int code)
{
    if (!protocol->create)
        coil__protocol_destroy(protocol, arg);
    return code;
}

int coil_create_connection_sock(const coil_protocol *protocol, void *arg, int fd,
                                const coil_connection_options *given,
                                coil_transport **transport_out)
{
    coil_loop *loop;
    coil_connection_options options;
    struct making making;
    read_options(given, &options);
    int rc = coil__creation_loop("create_connection", &loop);
    if (rc == 0)
        rc = coil__creation_socket(fd, SOCK_STREAM, "stream");
    if (rc < 0)
        return coil__creation_refuse(protocol, arg, rc);
    rc = begin(loop, protocol, arg, fd, &options, 0, &making);
    return rc < 0 ? rc : finish(&making, true, transport_out);
}

int coil_connect_accepted_socket(const coil_protocol *protocol, void *arg, int fd,
                                 const coil_connection_options *options,
                                 coil_transport **transport_out)
{
    return coil_create_connection_sock(protocol, arg, fd, options, transport_out);
}

/* A transport on a socket that the call itself has connected; fd: or the code of that. */
static int finish_connected(coil_loop *loop, const coil_protocol *protocol, void *arg, int fd,
                            const coil_connection_options *options, int port,
                            coil_transport **transport_out)
{
    struct making making;
    if (fd < 0)
        return coil__creation_refuse(protocol, arg, fd);
    int rc = begin(loop, protocol, arg, fd, options, port, &making);
    if (rc < 0) {
        coil_sock_close(fd);
        return rc;
    }
    return finish(&making, false, transport_out);
}

int coil_create_unix_connection(const coil_protocol *protocol, void *arg, const char *path,
                                const coil_connection_options *given,
                                coil_transport **transport_out)
{
    coil_loop *loop;
    coil_connection_options options;
    struct coil__address address;
    read_options(given, &options);
    int rc = coil__creation_loop("create_unix_connection", &loop);
    if (rc == 0)
        rc = coil__address_unix(path, &address);
    if (rc == 0)
        rc = coil__creation_connect(SOCK_STREAM, &address, NULL);
    return finish_connected(loop, protocol, arg, rc, &options, 0, transport_out);
}

/* A connected socket, or a code. */
static int connect_to(const char *host, int port, const coil_connection_options *options)
{
    struct coil__address *addresses = NULL, *locals = NULL;
    int local_count = 0, rc = 0;
    double delay = options->happy_eyeballs_delay;
    if (options->local_host)
        rc = local_count = coil__resolve(options->local_host, options->local_port, options->family,
                                         SOCK_STREAM, true, &locals);
    if (rc >= 0)
        rc = coil__resolve(host, port, options->family, SOCK_STREAM, false, &addresses);
    if (rc > 0)
        rc = coil__connect_any(addresses, rc, locals, local_count,
                               delay > 0 || delay < 0 ? delay : HAPPY_EYEBALLS_DELAY);
    coil__free(addresses);
    coil__free(locals);
    return rc;
}

int coil_create_connection(const coil_protocol *protocol, void *arg, const char *host, int port,
                           const coil_connection_options *given, coil_transport **transport_out)
{
    coil_loop *loop;
    coil_connection_options options;
    read_options(given, &options);
    if (!options.server_hostname)
        options.server_hostname = host;
    int rc = coil__creation_loop("create_connection", &loop);
    if (rc == 0)
        rc = connect_to(host, port, &options);
    return finish_connected(loop, protocol, arg, rc, &options, port, transport_out);
}
