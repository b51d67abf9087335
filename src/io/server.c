#include "io/server.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>
#include <coil/task.h>
#include <coil/timeout.h>
#include "base/error.h"
#include "io/socket_transport.h"
#include "io/tls_transport.h"
#include "tasks/task.h"

#define RETRY_SECONDS 1.0 /* after running out of descriptors or memory */

static struct coil__backend *backend_of(const struct coil__listener *listener)
{
    return listener->server->loop->backend;
}

static void set_accepting(struct coil__listener *listener, bool on)
{
    if (listener->open)
        backend_of(listener)->ops->flow_reading(backend_of(listener), &listener->flow, on);
}

/* ---- waiting for the end -------------------------------------------------------------------------- */

struct server_wait {
    struct coil__wait wait;
    struct coil__link link; /* in server->waiters */
};

static void wake_if_over(coil_server *server)
{
    if (!server->closed || server->client_count > 0)
        return;
    while (!coil__list_empty(&server->waiters)) {
        struct coil__link *link = server->waiters.next;
        coil__list_remove(link);
        coil__wait_over(&COIL__CONTAINER(link, struct server_wait, link)->wait);
    }
}

static bool stop_waiting(struct coil__wait *wait)
{
    coil__list_remove(&COIL__CONTAINER(wait, struct server_wait, wait)->link);
    return true;
}

static int check_task(const char *what)
{
    if (!coil__thread.task || coil__thread.driver)
        return coil__fail(COIL_ENOTASK, "%s outside a task", what);
    return 0;
}

int coil_server_wait_closed(coil_server *server)
{
    int rc = check_task("wait_closed");
    if (rc < 0 || (server->closed && server->client_count == 0))
        return rc;
    struct server_wait self = {
        .wait = COIL__WAIT_INIT(COIL_WAIT_OTHER, "wait_closed", stop_waiting),
    };
    coil__list_append(&server->waiters, &self.link);
    coil__ref(&server->object);
    rc = coil__task_wait(coil__thread.task, &self.wait);
    coil__unref(&server->object);
    return rc;
}

/* ---- connections that come in --------------------------------------------------------------------- */

static void client_left(coil_transport *transport)
{
    coil_server *server = transport->server;
    transport->server = NULL;
    coil__list_remove(&transport->of_server);
    server->client_count--;
    wake_if_over(server);
    coil__unref(&server->object);
}

/* The reference that the descriptor had on its way becomes the transport's. */
static void attach(coil_server *server, coil_transport *transport)
{
    transport->server = server;
    transport->left_server = client_left;
    coil__list_append(&server->clients, &transport->of_server);
    server->client_count++;
}

static void forget_accepted(struct coil__socket_transport *transport)
{
    (void)close(transport->endpoint.flow.fd); /* nobody has used it */
    coil__socket_transport_free(transport);
}

/* The transports of a connection, for a protocol's self: the one that the server is to know. */
static int begin_client(coil_server *server, struct coil__socket_transport *socket, void *self,
                        coil_transport **transport_out)
{
    const struct coil__flow *flow = &socket->endpoint.flow;
    *transport_out = &socket->endpoint.base;
    if (!server->tls)
        return coil__socket_transport_begin(socket, server->loop, flow->fd, flow->tcp,
                                            server->protocol, self);
    void *below;
    coil_transport *upper;
    int rc = coil__tls_transport_begin(server->tls, &server->tls_options, 0, server->loop,
                                       server->protocol, self, &upper, &below);
    if (rc < 0)
        return rc;
    rc = coil__socket_transport_begin(socket, server->loop, flow->fd, flow->tcp,
                                      &coil__tls_lower_protocol, below);
    if (rc < 0)
        coil__tls_transport_undo(upper);
    *transport_out = upper;
    return rc;
}

static int make_client(coil_server *server, struct coil__socket_transport *socket,
                       coil_transport **transport_out)
{
    void *self;
    int rc = coil__protocol_create(server->protocol, server->arg, &self);
    if (rc < 0) {
        COIL__REPORT(server->loop, .event = COIL_EVENT_PROTOCOL_FAILED,
                     .message = "a protocol's function failed", .code = rc,
                     .error = coil_error_current(rc), .name = "create");
        return rc;
    }
    rc = begin_client(server, socket, self, transport_out);
    if (rc < 0) {
        COIL__REPORT(server->loop, .event = COIL_EVENT_ACCEPT_FAILED,
                     .message = "an accepted connection could not be begun", .code = rc,
                     .error = coil_error_current(rc));
        coil__protocol_destroy(server->protocol, self);
    }
    return rc;
}

static void accepted(struct coil__endpoint *endpoint)
{
    struct coil__socket_transport *transport = COIL__CONTAINER(
        endpoint, struct coil__socket_transport, endpoint);
    coil_server *server = endpoint->base.server;
    coil_transport *client;
    coil__list_remove(&endpoint->base.all);
    /* As in asyncio nobody gets a connection from a server that was closed meanwhile. */
    if (!server->closed && make_client(server, transport, &client) == 0) {
        attach(server, client);
    } else {
        forget_accepted(transport);
        coil__unref(&server->object);
    }
}

/* Sends an accepted descriptor on its way: the next turn makes a connection of it. asyncio makes a task for that, so
 * the numbers of later tasks are the same only if this takes one. */
static void send_on(struct coil__listener *listener, struct coil__socket_transport *transport,
                    int fd)
{
    coil_server *server = listener->server;
    struct coil__endpoint *endpoint = &transport->endpoint;
    endpoint->flow.fd = fd;
    endpoint->flow.tcp = listener->tcp;
    endpoint->accepted = accepted;
    endpoint->base.server = server;
    coil__ref(&server->object);
    coil__list_append(&server->accepting, &endpoint->base.all);
    coil__endpoint_await_accept(endpoint, server->loop, server->context);
    coil__task_skip_number();
}

/* ---- accepting ------------------------------------------------------------------------------------ */

static void accept_again(struct coil__ready *ready)
{
    struct coil__listener *listener = COIL__CONTAINER(ready, struct coil__listener, retry.ready);
    coil_server *server = listener->server;
    if (server->loop && !server->loop->closed)
        set_accepting(listener, true);
    coil__unref(&server->object);
}

/* Descriptors or memory have run out, or it is something that we know no remedy for: what waits to be accepted stays
 * in the system's queue. Asking at once again would only keep the processor busy. */
static void pause_accepting(struct coil__listener *listener, int code)
{
    coil_server *server = listener->server;
    coil_error *error = coil__error_new(code, "accepting a connection");
    set_accepting(listener, false);
    listener->retry.due_ns = coil__loop_deadline(server->loop, RETRY_SECONDS);
    if (coil__timer_arm(&server->loop->timers, &listener->retry) == 0)
        coil__ref(&server->object);
    else
        set_accepting(listener, true); /* better busy than deaf */
    COIL__REPORT(server->loop, .event = COIL_EVENT_ACCEPT_FAILED,
                 .message = "no connection could be accepted; listening again in a second",
                 .code = code, .error = error);
    coil_unref(error);
}

/* Whether an error is the one connection's, which was over before it was accepted: see accept(2). */
static bool only_one_is_lost(int code)
{
    switch (-code) {
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EPERM:
        return true;
    default:
        return false;
    }
}

static void accept_some(struct coil__listener *listener)
{
    coil_server *server = listener->server;
    for (int i = 0; i < server->backlog && listener->open; i++) {
        /* First the memory: for what has been accepted there must be a place. */
        struct coil__socket_transport *transport = coil__socket_transport_alloc();
        int fd = transport
                     ? backend_of(listener)->ops->flow_accept(backend_of(listener), &listener->flow)
                     : COIL_ENOMEM;
        if (fd >= 0) {
            send_on(listener, transport, fd);
            continue;
        }
        if (transport)
            coil__socket_transport_free(transport);
        if (only_one_is_lost(fd))
            continue;
        if (fd != -EAGAIN)
            pause_accepting(listener, fd);
        return;
    }
}

static void run_accept(struct coil__call *call)
{
    struct coil__listener *listener = COIL__CONTAINER(call, struct coil__listener, call);
    coil_server *server = listener->server;
    listener->queued = false;
    if (listener->open && listener->flow.reading)
        accept_some(listener);
    coil__unref(&server->object);
}

static void on_readable(struct coil__flow *flow)
{
    struct coil__listener *listener = COIL__CONTAINER(flow, struct coil__listener, flow);
    if (listener->queued || !flow->reading)
        return;
    listener->queued = true;
    coil__ref(&listener->server->object);
    coil__loop_push(listener->server->loop, &listener->call.ready);
}

/* ---- serving and closing -------------------------------------------------------------------------- */

static int open_listener(struct coil__listener *listener)
{
    if (listen(listener->flow.fd, listener->server->backlog) < 0)
        return coil__fail(-errno, "listen");
    int rc = backend_of(listener)->ops->flow_open(backend_of(listener), &listener->flow);
    if (rc < 0)
        return coil__fail(rc, "listening");
    listener->open = true;
    set_accepting(listener, true);
    return 0;
}

static void close_listener(struct coil__listener *listener)
{
    if (listener->open) {
        listener->open = false;
        backend_of(listener)->ops->flow_close(backend_of(listener), &listener->flow);
    }
    if (listener->retry.heap_index != COIL__TIMER_IDLE) {
        coil__timer_disarm(&listener->server->loop->timers, &listener->retry);
        coil__unref(&listener->server->object);
    }
    if (listener->flow.fd >= 0)
        (void)close(listener->flow.fd); /* gone either way */
    listener->flow.fd = -1;
    struct stat found;
    if (listener->path && stat(listener->path, &found) == 0 &&
        found.st_ino == listener->path_inode && found.st_dev == listener->path_device)
        (void)unlink(listener->path); /* a file that stays is replaced by the next server */
    coil__free(listener->path);
    listener->path = NULL;
}

int coil__server_start(coil_server *server)
{
    if (server->closed)
        return coil__fail(COIL_ERUNTIME, "the server is closed");
    for (int i = 0; i < server->listener_count && !server->serving; i++) {
        int rc = server->listeners[i].open ? 0 : open_listener(&server->listeners[i]);
        if (rc < 0)
            return rc;
    }
    server->serving = true;
    return 0;
}

void coil_server_close(coil_server *server)
{
    if (server->closed)
        return;
    server->closed = true;
    server->serving = false;
    for (int i = 0; i < server->listener_count; i++)
        close_listener(&server->listeners[i]);
    if (server->forever) {
        coil__wait_over(server->forever);
        server->forever = NULL;
    }
    wake_if_over(server);
    coil__unref(&server->object); /* the loop's */
}

int coil_server_start_serving(coil_server *server)
{
    int rc = check_task("start_serving");
    if (rc == 0)
        rc = coil__server_start(server);
    return rc < 0 ? rc : coil_sleep(0);
}

struct forever_wait {
    struct coil__wait wait;
    coil_server *server;
};

static bool stop_serving_forever(struct coil__wait *wait)
{
    COIL__CONTAINER(wait, struct forever_wait, wait)->server->forever = NULL;
    return true;
}

static int wait_forever(coil_server *server)
{
    struct forever_wait self = {
        .wait = COIL__WAIT_INIT(COIL_WAIT_OTHER, "serve_forever", stop_serving_forever),
        .server = server,
    };
    server->forever = &self.wait;
    int rc = coil__task_wait(coil__thread.task, &self.wait);
    return rc < 0 ? rc : coil__fail(COIL_ECANCELED, "the server was closed");
}

int coil_server_serve_forever(coil_server *server)
{
    int rc = check_task("serve_forever");
    if (rc == 0 && server->forever)
        rc = coil__fail(COIL_ERUNTIME, "another task is in serve_forever");
    if (rc == 0)
        rc = coil__server_start(server);
    if (rc < 0)
        return rc;
    coil__ref(&server->object);
    rc = wait_forever(server);
    coil_server_close(server);
    if (rc == COIL_ECANCELED) {
        coil_error *message = coil_ref(coil_error_current(rc));
        int waited = coil_server_wait_closed(server);
        if (waited == 0)
            coil__fail_with(rc, message);
        coil_unref(message);
    }
    coil__unref(&server->object);
    return rc;
}

void coil_server_close_clients(coil_server *server)
{
    for (struct coil__link *link = server->clients.next; link != &server->clients;
         link = link->next)
        coil_transport_close(COIL__CONTAINER(link, coil_transport, of_server));
}

void coil_server_abort_clients(coil_server *server)
{
    for (struct coil__link *link = server->clients.next; link != &server->clients;
         link = link->next)
        coil_transport_abort(COIL__CONTAINER(link, coil_transport, of_server));
}

/* Ends those that are left after the time they were given. */
static void end_clients(coil_server *server)
{
    coil_server_close_clients(server);
    for (struct coil__link *link = server->clients.next; link != &server->clients;
         link = link->next) {
        coil_transport *transport = COIL__CONTAINER(link, coil_transport, of_server);
        if (transport->kept > 0)
            coil_transport_abort(transport);
    }
}

int coil_server_shutdown(coil_server *server, double timeout)
{
    int rc = check_task("shutdown");
    if (rc < 0)
        return rc;
    coil__ref(&server->object);
    coil_server_close(server);
    rc = COIL_TIMEOUT(timeout, coil_server_wait_closed(server));
    if (rc == COIL_ETIMEDOUT) {
        int left = (int)server->client_count;
        end_clients(server);
        rc = coil_server_wait_closed(server);
        if (rc == 0)
            rc = left;
    }
    coil__unref(&server->object);
    return rc;
}

/* ---- asking --------------------------------------------------------------------------------------- */

bool coil_server_is_serving(const coil_server *server)
{
    return server->serving;
}

size_t coil_server_clients(const coil_server *server)
{
    return server->client_count;
}

size_t coil_server_sockets(const coil_server *server, int *fds_out, size_t room)
{
    if (server->closed)
        return 0;
    for (size_t i = 0; i < room && i < (size_t)server->listener_count; i++)
        fds_out[i] = server->listeners[i].flow.fd;
    return (size_t)server->listener_count;
}

int coil_server_port(const coil_server *server)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t length = sizeof address;
    if (server->closed)
        return coil__fail(COIL_ECLOSED, "the server is closed");
    if (getsockname(server->listeners[0].flow.fd, (struct sockaddr *)&address, &length) < 0)
        return coil__fail(-errno, "getsockname");
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return coil__fail(COIL_ENOTSUP, "the server has no port");
}

coil_loop *coil_server_get_loop(const coil_server *server)
{
    return server->loop;
}

/* ---- life ----------------------------------------------------------------------------------------- */

static void server_destroy(void *object)
{
    coil_server *server = object;
    assert(server->closed && coil__list_empty(&server->clients));
    if (coil__list_linked(&server->all))
        coil__list_remove(&server->all);
    if (server->release)
        server->release(server->arg);
    coil_unref(server->tls);
    coil_unref(server->context);
    coil__free(server);
}

static const struct coil__type server_type = { COIL__KIND_SERVER, "server", server_destroy };

coil_server *coil__server_new(coil_loop *loop, const coil_protocol *protocol, void *arg,
                              int backlog, const int *fds, int count)
{
    coil_context *context;
    if (coil__context_inherit(&context) < 0)
        return NULL;
    coil_server *server = coil__alloc_zero(sizeof *server +
                                           (size_t)count * sizeof server->listeners[0]);
    if (!server) {
        coil_unref(context);
        return coil__fail_null(COIL_ENOMEM);
    }
    coil__object_init(&server->object, &server_type);
    coil__ref(&server->object); /* the loop's, until it is closed */
    server->loop = loop;
    server->protocol = protocol;
    server->arg = arg;
    server->context = context;
    server->backlog = backlog;
    coil__list_append(&loop->servers, &server->all);
    coil__list_init(&server->waiters);
    coil__list_init(&server->clients);
    coil__list_init(&server->accepting);
    server->listener_count = count;
    for (int i = 0; i < count; i++) {
        struct coil__listener *listener = &server->listeners[i];
        listener->server = server;
        listener->flow.fd = fds[i];
        listener->flow.kind = COIL__FLOW_LISTENER;
        listener->flow.readable = on_readable;
        listener->tcp = coil__socket_set_nodelay(fds[i]); /* what it accepts inherits that */
        listener->retry.ready.run = accept_again;
        listener->retry.heap_index = COIL__TIMER_IDLE;
        listener->call = (struct coil__call){
            .ready.run = coil__call_run, .fn = run_accept, .loop = loop, .context = context
        };
    }
    return server;
}

void coil__server_abandon(coil_server *server)
{
    for (int i = 0; i < server->listener_count; i++) {
        struct coil__listener *listener = &server->listeners[i];
        if (listener->open)
            backend_of(listener)->ops->flow_close(backend_of(listener), &listener->flow);
        listener->open = false;
        listener->flow.fd = -1;
    }
    coil_server_close(server);
    coil__unref(&server->object);
}

void coil__server_set_release(coil_server *server, void (*release)(void *arg))
{
    server->release = release;
}

/* What of a server lies in the ready queue has been dropped with it. */
static void forget_queued(coil_server *server)
{
    for (int i = 0; i < server->listener_count; i++)
        if (server->listeners[i].queued) {
            server->listeners[i].queued = false;
            coil__unref(&server->object);
        }
    while (!coil__list_empty(&server->accepting)) {
        struct coil__link *link = server->accepting.next;
        coil__list_remove(link);
        forget_accepted(COIL__CONTAINER(link, struct coil__socket_transport, endpoint.base.all));
        coil__unref(&server->object);
    }
}

void coil__loop_close_servers(coil_loop *loop)
{
    while (!coil__list_empty(&loop->servers)) {
        coil_server *server = COIL__CONTAINER(loop->servers.next, coil_server, all);
        coil__ref(&server->object);
        coil__list_remove(&server->all);
        forget_queued(server);
        if (!server->closed)
            COIL__REPORT(loop, .event = COIL_EVENT_UNCLOSED_TRANSPORT,
                         .message = "a server was not closed before its loop", .name = "server");
        coil_server_close(server);
        server->loop = NULL;
        coil__unref(&server->object);
    }
}
