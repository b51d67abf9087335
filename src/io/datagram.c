/* Datagram transports. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <coil/sock.h>
#include "base/error.h"
#include "io/address.h"
#include "io/creation.h"
#include "io/resolve.h"
#include "io/endpoint.h"

enum {
    HEADER_BYTES = 8, /* what a datagram counts beside its bytes: empty ones are kept, too */
};

/* One that could not be sent at once. */
struct datagram {
    struct datagram *next;
    size_t bytes;
    socklen_t length; /* of the address; 0: the socket is connected */
    struct sockaddr_storage address;
    char data[];
};

struct datagram_transport {
    struct coil__endpoint endpoint;
    struct datagram *first, **last;
    struct coil__address remote; /* length 0: none */
    bool connected;
};

static struct datagram_transport *of(coil_transport *transport)
{
    return COIL__CONTAINER(transport, struct datagram_transport, endpoint.base);
}

static void blocked(struct coil__endpoint *endpoint, int side)
{
    struct coil__backend *backend = coil__endpoint_backend(endpoint);
    backend->ops->flow_blocked(backend, &endpoint->flow, side);
}

/* ---- receiving ------------------------------------------------------------------------------------ */

static __attribute__((noinline)) void read_ready(struct coil__endpoint *endpoint)
{
    char small[4096];
    size_t room;
    void *buffer = coil__endpoint_read_buffer(endpoint->base.loop, small, sizeof small, &room);
    struct coil__address sender;
    ssize_t got;
    do {
        sender.length = sizeof sender.storage;
        got = recvfrom(endpoint->flow.fd, buffer, room, MSG_DONTWAIT, &sender.generic,
                       &sender.length);
    } while (got < 0 && errno == EINTR);
    if (got >= 0)
        (void)coil__protocol_datagram_received(&endpoint->base, buffer, (size_t)got,
                                               &sender.generic, sender.length); /* reported */
    else if (errno == EAGAIN)
        blocked(endpoint, COIL__FLOW_IN);
    else
        (void)coil__protocol_error_received(&endpoint->base, -errno); /* reported */
}

/* ---- sending -------------------------------------------------------------------------------------- */

/* 0, -EAGAIN, or another code. */
static int send_one(struct datagram_transport *self, const void *data, size_t bytes,
                    const struct sockaddr *address, socklen_t length)
{
    ssize_t sent;
    if (self->connected)
        address = NULL;
    do
        sent = sendto(self->endpoint.flow.fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL, address,
                      address ? length : 0);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EAGAIN)
        blocked(&self->endpoint, COIL__FLOW_OUT);
    return sent < 0 ? -errno : 0;
}

static int keep(struct datagram_transport *self, const void *data, size_t bytes,
                const struct sockaddr *address, socklen_t length)
{
    coil_transport *transport = &self->endpoint.base;
    struct datagram *datagram = coil__alloc(sizeof *datagram + bytes);
    if (!datagram)
        return coil__fail_plain(COIL_ENOMEM);
    datagram->next = NULL;
    datagram->bytes = bytes;
    datagram->length = address ? length : 0;
    if (address)
        memcpy(&datagram->address, address, length);
    if (bytes > 0)
        memcpy(datagram->data, data, bytes);
    *self->last = datagram;
    self->last = &datagram->next;
    coil__transport_kept(transport, transport->kept + bytes + HEADER_BYTES,
                         (ptrdiff_t)(bytes + HEADER_BYTES));
    return 0;
}

/* Takes the first one off; gives how much it counted. */
static size_t let_go(struct datagram_transport *self)
{
    struct datagram *datagram = self->first;
    size_t bytes = datagram->bytes + HEADER_BYTES;
    self->first = datagram->next;
    if (!self->first)
        self->last = &self->first;
    coil__free(datagram);
    return bytes;
}

static void write_ready(struct coil__endpoint *endpoint)
{
    struct datagram_transport *self = of(&endpoint->base);
    coil_transport *transport = &endpoint->base;
    while (self->first && !(transport->flags & COIL__TRANSPORT_LOSING)) {
        struct datagram *datagram = self->first;
        int rc = send_one(self, datagram->data, datagram->bytes,
                          datagram->length ? (const struct sockaddr *)&datagram->address : NULL,
                          datagram->length);
        if (rc == -EAGAIN)
            break;
        size_t bytes = let_go(self);
        transport->kept -= bytes;
        coil__loop_buffered(transport->loop, -(ptrdiff_t)bytes);
        if (rc < 0)
            (void)coil__protocol_error_received(transport, rc); /* reported */
    }
    if (transport->flags & COIL__TRANSPORT_LOSING)
        return;
    coil__transport_kept(transport, transport->kept, 0); /* may send, or abort */
    if (!self->first && (transport->flags & COIL__TRANSPORT_CLOSING))
        coil__transport_lose_now(transport, 0);
}

static int check_address(const struct datagram_transport *self, const struct sockaddr *address,
                         socklen_t length)
{
    if (length > sizeof(struct sockaddr_storage))
        return coil__fail(COIL_EINVAL, "an address of %u bytes", (unsigned)length);
    if (!address && self->remote.length == 0 && !self->connected)
        return coil__fail(COIL_EINVAL, "a datagram without an address");
    if (address && self->remote.length > 0 &&
        (length != self->remote.length || memcmp(address, &self->remote.storage, length) != 0))
        return coil__fail(COIL_EINVAL, "another address than that of the endpoint");
    return 0;
}

static int send_to(coil_transport *transport, const void *data, size_t bytes,
                   const struct sockaddr *address, socklen_t length)
{
    struct datagram_transport *self = of(transport);
    int rc = check_address(self, address, length);
    if (rc < 0)
        return rc;
    if (!address && self->remote.length > 0) {
        address = &self->remote.generic;
        length = self->remote.length;
    }
    if (self->first)
        return keep(self, data, bytes, address, length);
    rc = send_one(self, data, bytes, address, length);
    if (rc == -EAGAIN)
        return keep(self, data, bytes, address, length);
    if (rc < 0)
        (void)coil__protocol_error_received(transport, rc); /* reported */
    return 0;
}

/* ---- ending --------------------------------------------------------------------------------------- */

static void drop_kept(struct datagram_transport *self)
{
    coil_transport *transport = &self->endpoint.base;
    while (self->first)
        coil__loop_buffered(transport->loop, -(ptrdiff_t)let_go(self));
    transport->kept = 0;
}

static void close_datagrams(coil_transport *transport)
{
    struct datagram_transport *self = of(transport);
    coil__endpoint_settle(&self->endpoint);
    if (!self->first)
        coil__transport_lose(transport, 0);
}

static void abort_datagrams(coil_transport *transport, int code)
{
    drop_kept(of(transport));
    coil__transport_lose(transport, code);
    coil__endpoint_settle(&of(transport)->endpoint);
}

static void datagrams_lost(coil_transport *transport)
{
    drop_kept(of(transport));
    coil__endpoint_lost(transport);
}

static void destroy_datagrams(coil_transport *transport)
{
    struct datagram_transport *self = of(transport);
    coil__endpoint_fini(&self->endpoint);
    coil__free(self);
}

static const struct coil__transport_ops datagram_ops = {
    .name = "datagram",
    .send_to = send_to,
    .close = close_datagrams,
    .abort = abort_datagrams,
    .reading = coil__endpoint_reading,
    .lost = datagrams_lost,
    .destroy = destroy_datagrams,
    .extra_info = coil__endpoint_extra_info,
    .fd = coil__endpoint_fd,
};

/* ---- making --------------------------------------------------------------------------------------- */

static int begin(coil_loop *loop, const coil_protocol *protocol, void *arg, int fd,
                 const struct coil__address *remote, bool connected,
                 struct datagram_transport **transport_out)
{
    void *self;
    int rc = coil__protocol_create(protocol, arg, &self);
    if (rc < 0)
        return rc;
    struct datagram_transport *transport = coil__alloc_zero(sizeof *transport);
    if (!transport) {
        coil__protocol_destroy(protocol, self);
        return coil__fail_plain(COIL_ENOMEM);
    }
    transport->last = &transport->first;
    if (remote)
        transport->remote = *remote;
    transport->connected = connected;
    transport->endpoint.flow.fd = fd;
    transport->endpoint.flow.kind = COIL__FLOW_POLLED;
    transport->endpoint.read_ready = read_ready;
    transport->endpoint.write_ready = write_ready;
    rc = coil__endpoint_begin(&transport->endpoint, &datagram_ops, loop, protocol, self);
    if (rc < 0) {
        coil__protocol_destroy(protocol, self);
        coil__free(transport);
        return rc;
    }
    *transport_out = transport;
    return 0;
}

static void read_options(const coil_datagram_options *given, coil_datagram_options *options_out)
{
    *options_out = (coil_datagram_options)COIL_DATAGRAM_OPTIONS_INIT;
    if (given)
        memcpy(options_out, given,
               given->size < sizeof *options_out ? given->size : sizeof *options_out);
}

/* Where an endpoint is bound and connected to. */
struct sides {
    struct coil__address local, remote; /* length 0: none */
};

static int find_paths(const coil_datagram_options *options, struct sides *sides_out)
{
    int rc = 0;
    if (options->local_path)
        rc = coil__address_unix(options->local_path, &sides_out->local);
    if (rc == 0 && options->remote_path)
        rc = coil__address_unix(options->remote_path, &sides_out->remote);
    return rc;
}

/* The first address of a host. */
static int find_host(const char *host, int port, int family, bool passive,
                     struct coil__address *address_out)
{
    struct coil__address *found;
    int rc = coil__resolve(host, port, family, SOCK_DGRAM, passive, &found);
    if (rc < 0)
        return rc;
    *address_out = found[0];
    coil__free(found);
    return 0;
}

/* Both sides are of one family. */
static int find_hosts(const coil_datagram_options *options, struct sides *sides_out)
{
    int family = options->family, rc = 0;
    if (options->remote_host) {
        rc = find_host(options->remote_host, options->remote_port, family, false,
                       &sides_out->remote);
        family = sides_out->remote.generic.sa_family;
    }
    if (rc == 0 && options->local_host)
        rc = find_host(options->local_host, options->local_port, family, true, &sides_out->local);
    return rc;
}

static int set_up(int fd, const coil_datagram_options *options, const struct sides *sides,
                  bool *connected_out)
{
    int on = 1;
    const struct coil__address *local = &sides->local, *remote = &sides->remote;
    char text[COIL__ADDRESS_TEXT_BYTES];
    if ((options->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
        (options->allow_broadcast && setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on) < 0))
        return coil__fail(-errno, "the options of a datagram socket");
    if (local->length > 0 && bind(fd, &local->generic, local->length) < 0) {
        int code = -errno;
        coil__address_text(&local->generic, local->length, text);
        return coil__fail(code, "binding to %s", text);
    }
    *connected_out = remote->length > 0 && !options->allow_broadcast;
    return *connected_out ? coil_sock_connect(fd, &remote->generic, remote->length) : 0;
}

/* A file that an earlier socket left behind would be in the way. */
static void remove_stale(const char *path)
{
    struct stat found;
    if (path && path[0] != '@' && stat(path, &found) == 0 && S_ISSOCK(found.st_mode))
        (void)unlink(path); /* bind says what is wrong */
}

static int make_socket(const coil_datagram_options *options, struct sides *sides,
                       bool *connected_out)
{
    memset(sides, 0, sizeof *sides);
    bool paths = options->local_path || options->remote_path;
    int rc = paths ? find_paths(options, sides) : find_hosts(options, sides);
    if (rc < 0)
        return rc;
    int family = sides->remote.length > 0  ? sides->remote.generic.sa_family
                 : sides->local.length > 0 ? sides->local.generic.sa_family
                                           : options->family;
    if (family == AF_UNSPEC)
        return coil__fail(COIL_EINVAL, "a datagram endpoint needs an address or a family");
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return coil__fail(-errno, "a datagram socket");
    remove_stale(options->local_path);
    rc = set_up(fd, options, sides, connected_out);
    if (rc == 0)
        return fd;
    coil_sock_close(fd);
    return rc;
}

int coil_create_datagram_endpoint(const coil_protocol *protocol, void *arg,
                                  const coil_datagram_options *given,
                                  coil_transport **transport_out)
{
    coil_loop *loop;
    coil_datagram_options options;
    struct sides sides;
    struct datagram_transport *transport;
    bool connected = false;
    read_options(given, &options);
    int fd = coil__creation_loop("create_datagram_endpoint", &loop);
    if (fd == 0)
        fd = make_socket(&options, &sides, &connected);
    if (fd < 0)
        return coil__creation_refuse(protocol, arg, fd);
    int rc = begin(loop, protocol, arg, fd, &sides.remote, connected, &transport);
    if (rc < 0) {
        coil_sock_close(fd);
        return rc;
    }
    return coil__endpoint_finish(&transport->endpoint, false, transport_out);
}

int coil_create_datagram_endpoint_sock(const coil_protocol *protocol, void *arg, int fd,
                                       coil_transport **transport_out)
{
    coil_loop *loop;
    struct datagram_transport *transport;
    struct coil__address peer = { .length = sizeof peer.storage };
    int rc = coil__creation_loop("create_datagram_endpoint", &loop);
    if (rc == 0)
        rc = coil__creation_socket(fd, SOCK_DGRAM, "datagram");
    if (rc < 0)
        return coil__creation_refuse(protocol, arg, rc);
    bool connected = getpeername(fd, &peer.generic, &peer.length) == 0;
    rc = begin(loop, protocol, arg, fd, NULL, connected, &transport);
    return rc < 0 ? rc : coil__endpoint_finish(&transport->endpoint, true, transport_out);
}

int coil_transport_sendto(coil_transport *transport, const void *data, size_t bytes,
                          const struct sockaddr *address, socklen_t length)
{
    if (!transport->ops->send_to)
        return coil__fail(COIL_ENOTSUP, "a %s transport sends no datagrams", transport->ops->name);
    if (transport->flags & COIL__TRANSPORT_LOSING) {
        coil__transport_write_after_loss(transport);
        return 0;
    }
    return transport->ops->send_to(transport, data, bytes, address, length);
}
