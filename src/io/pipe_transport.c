/* Transports over one end of a pipe, or of what behaves like one: a terminal, a socket in one direction. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "io/creation.h"
#include "io/pipe_transport.h"
#include "io/sigpipe.h"
#include "io/socket_transport.h"

static void blocked(struct coil__endpoint *endpoint, int side)
{
    struct coil__backend *backend = coil__endpoint_backend(endpoint);
    backend->ops->flow_blocked(backend, &endpoint->flow, side);
}

static coil_value extra_info(coil_transport *transport, const char *name)
{
    if (strcmp(name, "pipe") == 0)
        name = "socket";
    else if (strcmp(name, "socket") == 0)
        return coil_nil();
    return coil__endpoint_extra_info(transport, name);
}

/* ---- the reading end ------------------------------------------------------------------------------ */

/* The end, and that the connection is lost, come in the next turn, in this order, as in asyncio. */
static void pipe_ended(struct coil__endpoint *endpoint)
{
    endpoint->base.flags |= COIL__TRANSPORT_CLOSING;
    coil__endpoint_settle(endpoint);
    coil__endpoint_push(endpoint, COIL__DUE_EOF);
    coil__transport_lose(&endpoint->base, 0);
}

static __attribute__((noinline)) void read_ready(struct coil__endpoint *endpoint)
{
    char small[4096];
    size_t bytes;
    ssize_t got;
    void *buffer = coil__endpoint_read_buffer(endpoint->base.loop, small, sizeof small, &bytes);
    do
        got = read(endpoint->flow.fd, buffer, bytes);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        (void)coil__protocol_data_received(&endpoint->base, buffer,
                                           (size_t)got); /* it sees to it */
    } else if (got == 0) {
        pipe_ended(endpoint);
    } else if (errno == EAGAIN) {
        blocked(endpoint, COIL__FLOW_IN);
    } else {
        int code = -errno;
        coil__transport_fatal(&endpoint->base, code,
                              coil__transport_error(&endpoint->base, code, "reading"));
    }
}

static const struct coil__transport_ops reading_ops = {
    .name = "read pipe",
    .close = coil__socket_transport_close,
    .abort = coil__socket_transport_abort,
    .reading = coil__endpoint_reading,
    .lost = coil__socket_transport_lost,
    .destroy = coil__socket_transport_destroy,
    .extra_info = extra_info,
    .fd = coil__endpoint_fd,
};

/* ---- the writing end ------------------------------------------------------------------------------ */

static ssize_t write_quietly(int fd, const struct iovec *parts, int count)
{
    struct coil__sigpipe sigpipe;
    ssize_t sent;
    coil__sigpipe_block(&sigpipe);
    do
        sent = writev(fd, parts, count);
    while (sent < 0 && errno == EINTR);
    coil__sigpipe_restore(&sigpipe, sent < 0 && errno == EPIPE);
    return sent < 0 ? -errno : sent;
}

static int64_t send_to_pipe(struct coil__socket_transport *self, const struct iovec *parts,
                            int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    ssize_t sent = write_quietly(self->endpoint.flow.fd, parts, count);
    if (sent == -EAGAIN || (sent >= 0 && (size_t)sent < total))
        blocked(&self->endpoint, COIL__FLOW_OUT);
    return sent;
}

static int write_parts(coil_transport *transport, const struct iovec *parts, int count,
                       size_t total, struct coil__lent_write *lent)
{
    if (transport->flags & COIL__TRANSPORT_CLOSING)
        return 0; /* what comes after the end is dropped, as in asyncio */
    return coil__socket_transport_write(transport, parts, count, total, lent);
}

/* The end of what is written is all there is to say to a pipe. */
static void write_eof(coil_transport *transport)
{
    transport->flags &= (uint16_t)~COIL__TRANSPORT_EOF_WRITTEN;
    coil_transport_close(transport);
}

/* Nobody reads any more. */
static void reader_gone(struct coil__endpoint *endpoint)
{
    coil_transport *transport = &endpoint->base;
    int code = transport->kept > 0 ? -EPIPE : 0;
    coil__transport_fatal(transport, code,
                          code ? coil__transport_error(transport, code, "writing") : NULL);
}

static const struct coil__transport_ops writing_ops = {
    .name = "write pipe",
    .write = write_parts,
    .withdraw = coil__socket_transport_withdraw,
    .write_eof = write_eof,
    .close = coil__socket_transport_close,
    .abort = coil__socket_transport_abort,
    .lost = coil__socket_transport_lost,
    .destroy = coil__socket_transport_destroy,
    .extra_info = extra_info,
    .fd = coil__endpoint_fd,
};

/* ---- making --------------------------------------------------------------------------------------- */

static int check_pipe(int fd, mode_t *mode_out)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return coil__fail(-errno, "descriptor %d", fd);
    *mode_out = status.st_mode;
    if (!S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode) && !S_ISCHR(status.st_mode))
        return coil__fail(COIL_EINVAL, "descriptor %d is no pipe, socket or character device", fd);
    int flags = fcntl(fd, F_GETFL);
    if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return coil__fail(-errno, "making descriptor %d non-blocking", fd);
    return 0;
}

static int begin(coil_loop *loop, const coil_protocol *protocol, void *self, int fd, mode_t mode,
                 bool writing, struct coil__socket_transport **transport_out)
{
    struct coil__socket_transport *transport = coil__socket_transport_alloc();
    if (!transport)
        return COIL_ENOMEM;
    struct coil__endpoint *endpoint = &transport->endpoint;
    endpoint->flow.fd = fd;
    endpoint->flow.kind = COIL__FLOW_POLLED;
    if (writing) {
        transport->send = send_to_pipe;
        endpoint->no_reading = true;
        endpoint->write_ready = coil__socket_transport_write_ready;
        endpoint->gone = S_ISCHR(mode) ? NULL : reader_gone;
    } else {
        endpoint->read_ready = read_ready;
    }
    int rc = coil__endpoint_begin(endpoint, writing ? &writing_ops : &reading_ops, loop, protocol,
                                  self);
    if (rc < 0) {
        coil__socket_transport_free(transport);
        return rc;
    }
    *transport_out = transport;
    return 0;
}

int coil__pipe_transport_begin(coil_loop *loop, const coil_protocol *protocol, void *self, int fd,
                               bool writing, coil_transport **transport_out)
{
    struct coil__socket_transport *transport;
    mode_t mode;
    int rc = check_pipe(fd, &mode);
    if (rc == 0)
        rc = begin(loop, protocol, self, fd, mode, writing, &transport);
    if (rc == 0)
        *transport_out = &transport->endpoint.base;
    return rc;
}

static int connect_pipe(const char *call, const coil_protocol *protocol, void *arg, int fd,
                        bool writing, coil_transport **transport_out)
{
    coil_loop *loop;
    mode_t mode;
    struct coil__socket_transport *transport;
    void *self = arg;
    int rc = coil__creation_loop(call, &loop);
    if (rc == 0)
        rc = check_pipe(fd, &mode);
    if (rc < 0)
        return coil__creation_refuse(protocol, arg, rc);
    rc = coil__protocol_create(protocol, arg, &self);
    if (rc < 0)
        return rc;
    rc = begin(loop, protocol, self, fd, mode, writing, &transport);
    if (rc < 0) {
        coil__protocol_destroy(protocol, self);
        return rc;
    }
    return coil__endpoint_finish(&transport->endpoint, true, transport_out);
}

int coil_connect_read_pipe(const coil_protocol *protocol, void *arg, int fd,
                           coil_transport **transport_out)
{
    return connect_pipe("connect_read_pipe", protocol, arg, fd, false, transport_out);
}

int coil_connect_write_pipe(const coil_protocol *protocol, void *arg, int fd,
                            coil_transport **transport_out)
{
    return connect_pipe("connect_write_pipe", protocol, arg, fd, true, transport_out);
}
