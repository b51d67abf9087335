/* Servers, inside the library. The public half is <coil/server.h>.
 *
 * A connection comes in as in asyncio, one hop after the other: the listener's event (turn N) accepts what waits; each
 * descriptor becomes a protocol and a transport (N+1); connection_made (N+2).
 *
 * Who holds a server: its users, the loop while it is open, each connection, each accepted descriptor on its way, and
 * what is queued. The loop's list knows all that have not been destroyed, so that closing the loop finds these. */
#ifndef COIL_IO_SERVER_H
#define COIL_IO_SERVER_H

#include <sys/stat.h>
#include <coil/server.h>
#include <coil/tls.h>
#include "io/transport.h"

struct coil__wait;

struct coil__listener {
    struct coil__flow flow;
    struct coil__call call;   /* accepts */
    struct coil__timer retry; /* armed while listening pauses */
    coil_server *server;
    bool queued; /* call is in the ready queue */
    bool open;   /* the flow is */
    bool tcp;
    char *path;        /* of a Unix socket's file that is to be removed; owned, or NULL */
    dev_t path_device; /* the file that we have made */
    ino_t path_inode;
};

struct coil_server {
    struct coil__object object;
    coil_loop *loop;       /* NULL once that is closed */
    struct coil__link all; /* in loop->servers */
    const coil_protocol *protocol;
    void *arg;
    void (*release)(void *arg); /* called when the server is destroyed; or NULL */
    coil_context *context;      /* in which connections are made; one reference; NULL: empty */
    coil_tls_context *tls;      /* one reference; NULL: connections in the clear */
    coil_tls_options tls_options;
    int backlog;
    bool serving, closed;
    struct coil__wait *forever; /* the task in coil_server_serve_forever */
    struct coil__link waiters;  /* tasks in coil_server_wait_closed */
    struct coil__link clients;  /* transports, by of_server */
    struct coil__link
        accepting; /* accepted descriptors on their way, by base.all of their transports */
    size_t client_count;
    int listener_count;
    struct coil__listener listeners[];
};

/* A server that does not serve yet, on bound sockets that are its own from success on. One reference besides the
 * loop's. NULL: COIL_ENOMEM. */
coil_server *coil__server_new(coil_loop *loop, const coil_protocol *protocol, void *arg,
                              int backlog, const int *fds, int count);

/* Starts listening and accepting; harmless for one that does so. 0 or a code. */
int coil__server_start(coil_server *server);

/* Ends a server that nobody has seen, consuming the reference: the descriptors are the caller's again. */
void coil__server_abandon(coil_server *server);

/* Has release(arg) called when the server is destroyed: for a server whose arg the library has made. */
void coil__server_set_release(coil_server *server, void (*release)(void *arg));

/* Ends servers when their loop is closed. */
void coil__loop_close_servers(coil_loop *loop);

#endif
