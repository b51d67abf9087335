/* Making connections: a socket, a transport on it, and a wait for connection_made. */
#include <errno.h>
#include <fcntl.h>
#include "base/error.h"
#include "io/socket_transport.h"
#include "tasks/task.h"

/* The loop of a call that makes something and waits for it: 0, or why it cannot. */
static int check_task(const char *what, coil_loop **loop_out)
{
    struct coil__task *task = coil__thread.task;
    *loop_out = NULL;
    if (!task || coil__thread.driver)
        return coil__fail(COIL_ENOTASK, "%s outside a task", what);
    *loop_out = task->future.loop;
    return coil__loop_open_for_work(*loop_out);
}

static int check_socket(int fd, int wanted, const char *wanted_name)
{
    int type;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
        return coil__fail(-errno, "descriptor %d", fd);
    if (type != wanted)
        return coil__fail(COIL_EINVAL, "descriptor %d is no %s socket", fd, wanted_name);
    int flags = fcntl(fd, F_GETFL);
    if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return coil__fail(-errno, "making descriptor %d non-blocking", fd);
    return 0;
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

int coil_create_connection_sock(const coil_protocol *protocol, void *arg, int fd,
                                const coil_connection_options *options,
                                coil_transport **transport_out)
{
    (void)options; /* none that matters for a socket that is there */
    coil_loop *loop;
    struct coil__socket_transport *transport;
    int rc = check_task("create_connection", &loop);
    if (rc == 0)
        rc = check_socket(fd, SOCK_STREAM, "stream");
    if (rc < 0) {
        if (!protocol->create)
            coil__protocol_destroy(protocol, arg);
        return rc;
    }
    rc = begin_socket(loop, protocol, arg, fd, &transport);
    return rc < 0 ? rc : coil__endpoint_finish(&transport->endpoint, true, transport_out);
}
