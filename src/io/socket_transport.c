#include "io/socket_transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include "base/error.h"
#include "io/sendfile.h"
#include "tasks/task.h"

static struct coil__socket_transport *of(coil_transport *transport)
{
    return COIL__CONTAINER(transport, struct coil__socket_transport, endpoint.base);
}

static struct coil__socket_transport *of_endpoint(struct coil__endpoint *endpoint)
{
    return COIL__CONTAINER(endpoint, struct coil__socket_transport, endpoint);
}

/* ---- reading ------------------------------------------------------------------------------------ */

static int64_t flow_read(struct coil__endpoint *endpoint, void *buffer, size_t bytes)
{
    struct coil__backend *backend = coil__endpoint_backend(endpoint);
    return backend->ops->flow_read(backend, &endpoint->flow, buffer, bytes);
}

static void read_failed(struct coil__endpoint *endpoint, int code)
{
    if (code != -EAGAIN)
        coil__transport_fatal(&endpoint->base, code,
                              coil__transport_error(&endpoint->base, code, "reading"));
}

static __attribute__((noinline)) void push_data(struct coil__endpoint *endpoint)
{
    char small[4096];
    size_t bytes;
    void *buffer = coil__endpoint_read_buffer(endpoint->base.loop, small, sizeof small, &bytes);
    int64_t got = flow_read(endpoint, buffer, bytes);
    if (got > 0)
        (void)coil__protocol_data_received(&endpoint->base, buffer,
                                           (size_t)got); /* it sees to it */
    else if (got == 0)
        coil__endpoint_eof(endpoint);
    else
        read_failed(endpoint, (int)got);
}

static void fill_buffer(struct coil__endpoint *endpoint)
{
    void *buffer = NULL;
    size_t bytes;
    if (coil__protocol_get_buffer(&endpoint->base, &buffer, &bytes) < 0)
        return;
    if (!coil_transport_is_reading(&endpoint->base))
        return; /* it closed or paused the transport meanwhile */
    int64_t got = flow_read(endpoint, buffer, bytes);
    if (got > 0)
        (void)coil__protocol_buffer_updated(&endpoint->base, (size_t)got); /* it sees to it */
    else if (got == 0)
        coil__endpoint_eof(endpoint);
    else
        read_failed(endpoint, (int)got);
}

static void read_ready(struct coil__endpoint *endpoint)
{
    if (endpoint->base.protocol->get_buffer)
        fill_buffer(endpoint);
    else
        push_data(endpoint);
}

static void pull_start(coil_transport *transport, void (*readable)(void *self))
{
    struct coil__endpoint *endpoint = coil__endpoint_of(transport);
    endpoint->pull_readable = readable;
    endpoint->pull_waiting = false;
    coil__endpoint_settle(endpoint);
}

static int64_t pull(coil_transport *transport, void *buffer, size_t bytes)
{
    struct coil__endpoint *endpoint = coil__endpoint_of(transport);
    if (COIL_UNLIKELY(endpoint->pushing))
        return -EAGAIN;
    if (COIL_UNLIKELY(endpoint->no_reading))
        return 0;
    int64_t got = flow_read(endpoint, buffer, bytes);
    if (COIL_UNLIKELY(got == 0)) {
        endpoint->no_reading = true;
        coil__endpoint_settle(endpoint);
    } else if (COIL_UNLIKELY(got < 0 && got != -EAGAIN)) {
        read_failed(endpoint, (int)got);
    }
    return got;
}

static void pull_wait(coil_transport *transport, bool waiting)
{
    struct coil__endpoint *endpoint = coil__endpoint_of(transport);
    endpoint->pull_waiting = waiting;
    coil__endpoint_settle(endpoint);
}

/* ---- writing ------------------------------------------------------------------------------------ */

static int64_t flow_write(struct coil__socket_transport *self, const struct iovec *parts, int count)
{
    if (self->send)
        return self->send(self, parts, count);
    struct coil__backend *backend = coil__endpoint_backend(&self->endpoint);
    return backend->ops->flow_write(backend, &self->endpoint.flow, parts, count);
}

static void stop_waiting(struct coil__socket_transport *self)
{
    if (self->sent_wait) {
        coil__wait_over(self->sent_wait);
        self->sent_wait = NULL;
    }
}

static void write_failed(struct coil__socket_transport *self, int code)
{
    coil_transport *transport = &self->endpoint.base;
    coil__transport_fatal(transport, code, coil__transport_error(transport, code, "writing"));
}

/* Keeps what could not be sent of a write: `sent` bytes have been. */
int coil__socket_transport_write(coil_transport *transport, const struct iovec *parts, int count,
                                 size_t total, struct coil__lent_write *lent)
{
    struct coil__socket_transport *self = of(transport);
    int64_t sent = 0;
    if (coil__write_queue_empty(&self->queue)) {
        sent = flow_write(self, parts, count);
        if ((size_t)sent == total)
            return 0;
        if (COIL_UNLIKELY(sent < 0 && sent != -EAGAIN)) {
            write_failed(self, (int)sent);
            return 0; /* it comes through connection_lost */
        }
        if (sent < 0)
            sent = 0;
    }
    return coil__transport_keep(transport, &self->queue, parts, count, total, (size_t)sent, lent);
}

int coil__socket_transport_withdraw(coil_transport *transport, struct coil__lent_write *lent)
{
    return coil__transport_take_back(transport, &of(transport)->queue, lent);
}

/* Sends what it can: 0, or the code of a failure. */
static int send_kept(struct coil__socket_transport *self, size_t *freed_out)
{
    coil_transport *transport = &self->endpoint.base;
    struct iovec parts[COIL__WRITE_PARTS];
    bool cut_short = false;
    *freed_out = 0;
    while (!cut_short && !coil__write_queue_empty(&self->queue)) {
        int count = coil__write_queue_parts(&self->queue, parts);
        size_t total = 0;
        for (int i = 0; i < count; i++)
            total += parts[i].iov_len;
        int64_t sent = flow_write(self, parts, count);
        if (sent < 0)
            return sent == -EAGAIN ? 0 : (int)sent;
        *freed_out += coil__write_queue_sent(&self->queue, (size_t)sent);
        transport->kept -= (size_t)sent;
        cut_short = (size_t)sent < total;
    }
    return 0;
}

static void shut_writing(struct coil__socket_transport *self)
{
    (void)shutdown(self->endpoint.flow.fd, SHUT_WR); /* gone already: connection_lost will say so */
}

void coil__socket_transport_write_ready(struct coil__endpoint *endpoint)
{
    struct coil__socket_transport *self = of_endpoint(endpoint);
    coil_transport *transport = &endpoint->base;
    if (coil__write_queue_empty(&self->queue)) {
        stop_waiting(self); /* a file's next part may go */
        return;
    }
    size_t freed;
    int rc = send_kept(self, &freed);
    if (rc < 0) {
        coil__loop_buffered(transport->loop, -(ptrdiff_t)freed);
        write_failed(self, rc);
        return;
    }
    coil__transport_kept(transport, transport->kept, -(ptrdiff_t)freed); /* may write, or abort */
    if (!coil__write_queue_empty(&self->queue) || (transport->flags & COIL__TRANSPORT_LOSING))
        return;
    stop_waiting(self);
    if (transport->flags & COIL__TRANSPORT_CLOSING)
        coil__transport_lose_now(transport, 0);
    else if (transport->flags & COIL__TRANSPORT_EOF_WRITTEN)
        shut_writing(self);
}

static void write_eof(coil_transport *transport)
{
    struct coil__socket_transport *self = of(transport);
    if (coil__write_queue_empty(&self->queue))
        shut_writing(self);
}

/* ---- files ---------------------------------------------------------------------------------------- */

static int64_t send_file(coil_transport *transport, int file, int64_t offset, int64_t bytes)
{
    struct coil__endpoint *endpoint = coil__endpoint_of(transport);
    struct coil__backend *backend = coil__endpoint_backend(endpoint);
    int64_t sent = coil__sendfile_some(endpoint->flow.fd, file, offset, bytes);
    if (sent == -EAGAIN)
        backend->ops->flow_blocked(backend, &endpoint->flow, COIL__FLOW_OUT);
    return sent;
}

struct sent_wait {
    struct coil__wait wait;
    struct coil__socket_transport *transport;
};

static bool give_up_waiting(struct coil__wait *wait)
{
    COIL__CONTAINER(wait, struct sent_wait, wait)->transport->sent_wait = NULL;
    return true;
}

static int wait_sent(coil_transport *transport)
{
    struct sent_wait self = {
        .wait = COIL__WAIT_INIT(COIL_WAIT_IO, "sendfile", give_up_waiting),
        .transport = of(transport),
    };
    self.wait.fd = self.transport->endpoint.flow.fd;
    if (!(transport->flags & COIL__TRANSPORT_LOSING)) {
        self.transport->sent_wait = &self.wait;
        int rc = coil__task_wait(coil__thread.task, &self.wait);
        if (rc < 0)
            return rc;
    }
    if (transport->flags & COIL__TRANSPORT_CLOSING)
        return coil__fail(COIL_ECLOSED, "the connection was closed while a file was sent");
    return 0;
}

/* ---- ending ------------------------------------------------------------------------------------- */

void coil__socket_transport_close(coil_transport *transport)
{
    struct coil__socket_transport *self = of(transport);
    coil__endpoint_settle(&self->endpoint);
    if (coil__write_queue_empty(&self->queue))
        coil__transport_lose(transport, 0);
}

void coil__socket_transport_abort(coil_transport *transport, int code)
{
    struct coil__socket_transport *self = of(transport);
    coil__transport_drop_kept(transport, &self->queue, code);
    coil__transport_lose(transport, code);
    coil__endpoint_settle(&self->endpoint);
}

void coil__socket_transport_lost(coil_transport *transport)
{
    struct coil__socket_transport *self = of(transport);
    coil__transport_drop_kept(transport, &self->queue, transport->lost_code);
    coil__endpoint_lost(transport);
    stop_waiting(self);
}

void coil__socket_transport_destroy(coil_transport *transport)
{
    struct coil__socket_transport *self = of(transport);
    coil__endpoint_fini(&self->endpoint);
    coil__socket_transport_free(self);
}

static const struct coil__transport_ops socket_ops = {
    .name = "socket",
    .write = coil__socket_transport_write,
    .withdraw = coil__socket_transport_withdraw,
    .write_eof = write_eof,
    .close = coil__socket_transport_close,
    .abort = coil__socket_transport_abort,
    .reading = coil__endpoint_reading,
    .lost = coil__socket_transport_lost,
    .destroy = coil__socket_transport_destroy,
    .send_file = send_file,
    .wait_sent = wait_sent,
    .pull_start = pull_start,
    .pull = pull,
    .pull_wait = pull_wait,
    .extra_info = coil__endpoint_extra_info,
    .fd = coil__endpoint_fd,
};

/* ---- making ------------------------------------------------------------------------------------- */

struct coil__socket_transport *coil__socket_transport_alloc(void)
{
    struct coil__socket_transport *self = coil__block_take(sizeof *self);
    if (self)
        memset(self, 0, sizeof *self);
    else
        coil__fail_plain(COIL_ENOMEM);
    return self;
}

void coil__socket_transport_free(struct coil__socket_transport *self)
{
    coil__block_give(self, sizeof *self);
}

int coil__socket_transport_begin(struct coil__socket_transport *self, coil_loop *loop, int fd,
                                 bool tcp, const coil_protocol *protocol, void *protocol_self)
{
    self->endpoint.flow.fd = fd;
    self->endpoint.flow.kind = COIL__FLOW_STREAM;
    self->endpoint.flow.tcp = tcp;
    self->endpoint.flow.ahead = true; /* who reads from it is the transport, and then nobody */
    self->endpoint.read_ready = read_ready;
    self->endpoint.write_ready = coil__socket_transport_write_ready;
    return coil__endpoint_begin(&self->endpoint, &socket_ops, loop, protocol, protocol_self);
}

bool coil__socket_set_nodelay(int fd)
{
    int protocol = 0, on = 1;
    socklen_t length = sizeof protocol;
    if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) < 0 || protocol != IPPROTO_TCP)
        return false;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* slower without, not wrong */
    return true;
}
