/* Servers: listening sockets, and a protocol for each connection that comes in.
 *
 *     static int shouter_new(void *arg, void **self_out)
 *     {
 *         *self_out = calloc(1, sizeof(struct shouter));
 *         return *self_out ? 0 : COIL_ENOMEM;
 *     }
 *
 *     static const coil_protocol shouter = {
 *         .size = sizeof(coil_protocol), .name = "shouter", .create = shouter_new,
 *         .connection_made = shouter_made, .data_received = shouter_received, .destroy = free,
 *     };
 *     ...
 *     coil_server *server;
 *     COIL_TRY(coil_create_server(&shouter, NULL, "127.0.0.1", 8080, NULL, &server));
 *     int rc = coil_server_serve_forever(server);              until this task is cancelled
 *     coil_unref(server);
 *     return rc;
 *
 * The loop holds a server until it is closed, so giving your reference back does not stop it. Closing it leaves the
 * connections alone: coil_server_wait_closed waits for them, coil_server_close_clients and _abort_clients end them,
 * and coil_server_shutdown does all of this in the right order and in a limited time.
 *
 * When descriptors or memory run out, no connection is lost: the failure is reported once
 * (COIL_EVENT_ACCEPT_FAILED), and the clients wait in the system's queue until a second later. */
#ifndef COIL_SERVER_H
#define COIL_SERVER_H

#include <coil/transport.h>

COIL_BEGIN_DECLS

/* Options of the calls that make a server. */
typedef struct coil_server_options {
    size_t size; /* sizeof(coil_server_options) */
    int family;  /* AF_INET, AF_INET6; 0: both */
    int backlog; /* how many connections may wait to be accepted */
    bool
        no_reuse_addr; /* do not set SO_REUSEADDR: after a restart the port may be busy for minutes */
    bool reuse_port;   /* SO_REUSEPORT: several servers share the port */
    bool keep_alive;   /* SO_KEEPALIVE for the connections */
    bool keep_path;    /* Unix: leave the socket's file when the server is closed */
    bool no_serving;   /* listen only from coil_server_start_serving or _serve_forever on */
    COIL_NULLABLE coil_tls_context
        *tls;                     /* a server's: connections begin with a handshake; NULL: no TLS */
    double tls_handshake_timeout; /* seconds; 0: 60 */
    double tls_shutdown_timeout;  /* seconds; 0: 30 */
} coil_server_options;
#define COIL_SERVER_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(coil_server_options), 0, 100, false, false, false, false, false, NULL, 0, 0         \
    }

/**
 * Makes a server that listens on a port of this machine, and starts it.
 *
 * @param protocol    borrowed until the server and its connections are gone
 * @param arg         for protocol->create, which makes self for each connection; borrowed likewise. Without a
 *                    create all connections have arg for self, and each of them calls destroy
 * @param host        a name or a numeric address; NULL or "": all interfaces, IPv4 and IPv6
 * @param port        0: one that is free (coil_server_port)
 * @param options     NULL: the defaults
 * @param server_out  receives one reference
 *
 * Returns   0, or
 *           COIL_EINVAL  the port is out of range, or the TLS context is a client's
 *           COIL_EGAI_NONAME...  as coil_getaddrinfo
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM, -EADDRINUSE, -EACCES, -EMFILE...
 * Suspends  once, unless options->no_serving
 * Cancel    nothing is left listening
 * Thread    the loop's, in a task
 * Python    loop.create_server
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_create_server(const coil_protocol *protocol, void *arg, COIL_NULLABLE const char *host,
                   int port, COIL_NULLABLE const coil_server_options *options,
                   coil_server **server_out);

/**
 * The same on a socket that is bound already.
 *
 * @param fd  a stream socket, bound; listening or not
 *
 * Returns   as coil_create_server; COIL_EINVAL: not a stream socket
 * Owns      the descriptor is the server's when the call succeeds, and stays the caller's if it fails
 * Suspends  once, unless options->no_serving
 * Cancel    nothing is left listening by us
 * Thread    the loop's, in a task
 * Python    loop.create_server(protocol_factory, sock=sock)
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_create_server_sock(const coil_protocol *protocol, void *arg, int fd,
                        COIL_NULLABLE const coil_server_options *options, coil_server **server_out);

/**
 * The same on a Unix socket.
 *
 * @param path  of the socket's file. One that an earlier server left behind is replaced, and it is removed when
 *              the server is closed. "@name" is in Linux's abstract namespace, without a file
 *
 * Returns   as coil_create_server; -EADDRINUSE: something else is there; COIL_EINVAL: the path is too long
 * Suspends  once, unless options->no_serving
 * Cancel    nothing is left listening
 * Thread    the loop's, in a task
 * Python    loop.create_unix_server
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_create_unix_server(const coil_protocol *protocol, void *arg, const char *path,
                        COIL_NULLABLE const coil_server_options *options, coil_server **server_out);

/**
 * Starts listening and accepting. On a server that does so already it only gives way once.
 *
 * Returns   0, or
 *           COIL_ERUNTIME  the server is closed
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM, -EADDRINUSE...
 * Suspends  once
 * Cancel    the server serves
 * Thread    the loop's, in a task
 * Python    Server.start_serving
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_server_start_serving(coil_server *server);

/**
 * Serves until the task is cancelled, or the server is closed; then closes it and waits for its connections to end.
 *
 * Returns   never 0:
 *           COIL_ECANCELED  that happened
 *           COIL_ERUNTIME   the server is closed already, or another task is in this call
 *           COIL_ENOTASK, COIL_ENOMEM, -EADDRINUSE...
 * Suspends  always
 * Cancel    the normal end; a second one ends the wait for the connections
 * Thread    the loop's, in a task
 * Python    Server.serve_forever
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_server_serve_forever(coil_server *server);

/**
 * Whether the server accepts connections.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    Server.is_serving
 * Since     0.1
 */
COIL_API bool coil_server_is_serving(const coil_server *server);

/**
 * Stops listening. Connections that stand are left alone. Closing twice is fine.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    Server.close
 * Since     0.1
 */
COIL_API void coil_server_close(coil_server *server);

/**
 * Closes, or aborts, all connections of the server.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    Server.close_clients, Server.abort_clients
 * Since     0.1
 */
COIL_API void coil_server_close_clients(coil_server *server);
COIL_API void coil_server_abort_clients(coil_server *server);

/**
 * Waits until the server is closed and its last connection has ended.
 *
 * Returns   0, or
 *           COIL_ECANCELED, COIL_ENOTASK
 * Suspends  until then
 * Cancel    nothing has changed
 * Thread    the loop's, in a task
 * Python    Server.wait_closed
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_server_wait_closed(coil_server *server);

/**
 * Ends a server in a limited time: closes it and waits for its connections to end by themselves. Those that are left
 * when time is up are closed; and aborted if they still have something to send, which their peers do not read.
 *
 * @param timeout  seconds; 0: at once; COIL_NO_TIMEOUT: as long as it takes
 *
 * Returns   how many connections were left when time was up, or
 *           COIL_ECANCELED, COIL_EINVAL (timeout is not a number), COIL_ENOMEM, COIL_ENOTASK
 * Suspends  until the last connection has ended
 * Cancel    the server is closed, and its connections stand
 * Thread    the loop's, in a task
 * Python    none (Server.close, wait_for(Server.wait_closed()), close_clients, abort_clients)
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_server_shutdown(coil_server *server,
                                                                 double timeout);

/**
 * How many connections stand.
 *
 * Returns   the number
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API size_t coil_server_clients(const coil_server *server);

/**
 * The listening sockets.
 *
 * @param fds_out  receives the first `room` of them, lent
 *
 * Returns   how many there are; 0 once the server is closed
 * Suspends  never
 * Thread    the loop's
 * Python    Server.sockets
 * Since     0.1
 */
COIL_API size_t coil_server_sockets(const coil_server *server, COIL_NULLABLE int *fds_out,
                                    size_t room);

/**
 * The port that the server listens on (the first one, should there be several): for servers on a free port.
 *
 * Returns   the port, or
 *           COIL_ECLOSED, COIL_ENOTSUP (a Unix socket)
 * Suspends  never
 * Thread    the loop's
 * Python    server.sockets[0].getsockname()[1]
 * Since     0.1
 */
COIL_API int coil_server_port(const coil_server *server);

/**
 * The server's loop.
 *
 * Returns   lent
 * Suspends  never
 * Thread    the loop's
 * Python    Server.get_loop
 * Since     0.1
 */
COIL_API coil_loop *coil_server_get_loop(const coil_server *server);

COIL_END_DECLS

#endif
