#include "io/endpoint.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"
#include "io/address.h"

enum {
    READ_BYTES = 256 * 1024, /* at most in one call of data_received, as in asyncio */
};

/* ---- from the flow to the protocol -------------------------------------------------------------- */

void coil__endpoint_push(struct coil__endpoint *self, unsigned due)
{
    if (self->base.flags & COIL__TRANSPORT_LOSING)
        return; /* the entry would come after connection_lost, and find nothing */
    self->due |= (uint8_t)due;
    if (self->due & COIL__DUE_QUEUED)
        return;
    self->due |= COIL__DUE_QUEUED;
    coil__loop_push(self->base.loop, &self->call.ready);
}

static void on_readable(struct coil__flow *flow)
{
    struct coil__endpoint *self = COIL__CONTAINER(flow, struct coil__endpoint, flow);
    if (!flow->reading) {
        coil__endpoint_push(self, COIL__DUE_GONE);
        return;
    }
    coil__endpoint_push(self, COIL__DUE_READ);
    if (self->pull_readable && !self->pushing)
        coil__endpoint_backend(self)->ops->flow_reading(coil__endpoint_backend(self), flow, false);
}

static void on_writable(struct coil__flow *flow)
{
    coil__endpoint_push(COIL__CONTAINER(flow, struct coil__endpoint, flow), COIL__DUE_WRITE);
}

static bool reads(const struct coil__endpoint *self)
{
    return !(self->base.flags & (COIL__TRANSPORT_CLOSING | COIL__TRANSPORT_PAUSED)) &&
           (self->base.flags & COIL__TRANSPORT_MADE) && !self->no_reading;
}

void coil__endpoint_settle(struct coil__endpoint *self)
{
    bool reading = reads(self) && (!self->pull_readable || self->pushing || self->pull_waiting);
    if (!reading)
        self->due &=
            (uint8_t)~COIL__DUE_READ; /* an event that has not been looked at comes again */
    if (self->open && reading != self->flow.reading)
        coil__endpoint_backend(self)->ops->flow_reading(coil__endpoint_backend(self), &self->flow,
                                                        reading);
}

/* The peer is gone and nobody waits for data: read what it has left and find out why, as asyncio would. Paused,
 * this has to wait until somebody resumes. */
static void look_after_gone(struct coil__endpoint *self)
{
    if (self->gone && (self->base.flags & COIL__TRANSPORT_MADE)) {
        self->due &= (uint8_t)~COIL__DUE_GONE;
        if (!(self->base.flags & COIL__TRANSPORT_LOSING))
            self->gone(self);
        return;
    }
    if (!self->pull_readable || !reads(self))
        return;
    self->due &= (uint8_t)~COIL__DUE_GONE;
    self->pushing = true;
    coil__endpoint_settle(self);
}

static void read_ready(struct coil__endpoint *self)
{
    self->due &= (uint8_t)~COIL__DUE_READ;
    if (!self->pull_readable || self->pushing) {
        self->read_ready(self);
    } else if (self->pull_waiting) {
        self->pull_waiting = false;
        coil__endpoint_settle(self);
        self->pull_readable(self->base.self);
    }
}

static void run_due(struct coil__call *call)
{
    struct coil__endpoint *self = COIL__CONTAINER(call, struct coil__endpoint, call);
    self->due &= (uint8_t)~COIL__DUE_QUEUED;
    if (COIL_UNLIKELY(self->due & COIL__DUE_ACCEPT)) {
        self->due = 0;
        self->accepted(self); /* which may free it */
        return;
    }
    coil__ref(&self->base.object);
    if (COIL_UNLIKELY(self->due & COIL__DUE_MADE)) {
        self->due &= (uint8_t)~COIL__DUE_MADE;
        coil__transport_made(&self->base);
        coil__endpoint_settle(self);
    } else {
        if ((self->due & COIL__DUE_READ) && reads(self))
            read_ready(self);
        if (self->due & COIL__DUE_WRITE) {
            self->due &= (uint8_t)~COIL__DUE_WRITE;
            if (!(self->base.flags & COIL__TRANSPORT_LOSING))
                self->write_ready(self);
        }
    }
    if (COIL_UNLIKELY(self->due & COIL__DUE_EOF)) {
        self->due &= (uint8_t)~COIL__DUE_EOF;
        (void)coil__protocol_eof_received(&self->base); /* it is over either way */
    }
    if (COIL_UNLIKELY(self->due & COIL__DUE_GONE))
        look_after_gone(self);
    coil__unref(&self->base.object);
}

void coil__endpoint_eof(struct coil__endpoint *self)
{
    int rc = coil__protocol_eof_received(&self->base);
    if (rc > 0) {
        self->no_reading = true;
        coil__endpoint_settle(self);
    } else if (rc == 0) {
        coil_transport_close(&self->base);
    }
}

void *coil__endpoint_read_buffer(coil_loop *loop, void *small, size_t small_bytes,
                                 size_t *bytes_out)
{
    if (!loop->read_buffer)
        loop->read_buffer = coil__alloc(READ_BYTES);
    *bytes_out = loop->read_buffer ? READ_BYTES : small_bytes;
    return loop->read_buffer ? loop->read_buffer : small;
}

/* ---- life --------------------------------------------------------------------------------------- */

int coil__endpoint_begin(struct coil__endpoint *self, const struct coil__transport_ops *ops,
                         coil_loop *loop, const coil_protocol *protocol, void *protocol_self)
{
    self->flow.readable = on_readable;
    self->flow.writable = on_writable;
    int rc = loop->backend->ops->flow_open(loop->backend, &self->flow);
    if (rc < 0)
        return coil__fail(rc, "descriptor %d", self->flow.fd);
    rc = coil__transport_init(&self->base, ops, loop, protocol, protocol_self);
    if (rc < 0) {
        loop->backend->ops->flow_close(loop->backend, &self->flow);
        return rc;
    }
    self->open = true;
    self->call = (struct coil__call){ .ready.run = coil__call_run,
                                      .fn = run_due,
                                      .loop = loop,
                                      .context = self->base.lost_call.context };
    coil__endpoint_push(self, COIL__DUE_MADE);
    return 0;
}

void coil__endpoint_await_accept(struct coil__endpoint *self, coil_loop *loop,
                                 coil_context *context)
{
    self->call = (struct coil__call){
        .ready.run = coil__call_run, .fn = run_due, .loop = loop, .context = context
    };
    self->due = COIL__DUE_ACCEPT | COIL__DUE_QUEUED;
    coil__loop_push(loop, &self->call.ready);
}

static void close_flow(struct coil__endpoint *self)
{
    if (!self->open)
        return;
    self->open = false;
    coil__endpoint_backend(self)->ops->flow_close(coil__endpoint_backend(self), &self->flow);
}

void coil__endpoint_give_back(struct coil__endpoint *self)
{
    if (self->open)
        close_flow(self);
    self->flow.fd = -1;
}

int coil__endpoint_finish(struct coil__endpoint *self, bool give_back,
                          coil_transport **transport_out)
{
    coil_transport *transport = &self->base;
    coil__ref(&transport->object);
    int rc = coil__transport_wait_made(transport);
    if (rc == 0 && transport_out) {
        *transport_out = transport;
        return 0;
    }
    if (rc < 0) {
        if (give_back && transport->loop) {
            coil__endpoint_give_back(self);
            coil_transport_abort(transport);
        } else if (transport->loop) {
            coil_transport_close(transport);
        }
    }
    coil__unref(&transport->object);
    return rc;
}

void coil__endpoint_reading(coil_transport *transport)
{
    struct coil__endpoint *self = coil__endpoint_of(transport);
    coil__endpoint_settle(self);
    if (self->due & COIL__DUE_GONE)
        look_after_gone(self);
}

void coil__endpoint_lost(coil_transport *transport)
{
    struct coil__endpoint *self = coil__endpoint_of(transport);
    assert(!(self->due & COIL__DUE_QUEUED) || transport->loop->closed);
    close_flow(self);
    if (self->flow.fd >= 0 && !self->fd_lent)
        (void)close(self->flow.fd); /* gone either way */
    self->flow.fd = -1;
}

void coil__endpoint_fini(struct coil__endpoint *self)
{
    coil__free(self->addresses);
}

/* ---- asking ------------------------------------------------------------------------------------- */

struct coil__addresses {
    bool known[2];
    char texts[2][COIL__ADDRESS_TEXT_BYTES];
};

static coil_value address_text(struct coil__endpoint *self, int side)
{
    if (!self->addresses)
        self->addresses = coil__alloc_zero(sizeof *self->addresses);
    struct coil__addresses *all = self->addresses;
    if (!all)
        return coil_nil();
    if (!all->known[side] && self->flow.fd >= 0) {
        struct sockaddr_storage address;
        socklen_t length = sizeof address;
        struct sockaddr *generic = (struct sockaddr *)&address;
        int rc = side ? getpeername(self->flow.fd, generic, &length)
                      : getsockname(self->flow.fd, generic, &length);
        all->known[side] = rc == 0;
        if (rc == 0)
            coil__address_text(generic, length, all->texts[side]);
    }
    return all->known[side] ? coil_string(all->texts[side]) : coil_nil();
}

coil_value coil__endpoint_extra_info(coil_transport *transport, const char *name)
{
    struct coil__endpoint *self = coil__endpoint_of(transport);
    if (strcmp(name, "sockname") == 0)
        return address_text(self, 0);
    if (strcmp(name, "peername") == 0)
        return address_text(self, 1);
    if (strcmp(name, "socket") == 0 && self->flow.fd >= 0)
        return coil_int(self->flow.fd);
    return coil_nil();
}

int coil__endpoint_fd(const coil_transport *transport)
{
    return coil__endpoint_of((coil_transport *)(uintptr_t)transport)->flow.fd;
}
