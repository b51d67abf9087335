/* Endpoints: transports over a descriptor of their own. What sockets, pipes and datagram sockets have in common: the
 * flow, and how its events, and the beginning, reach the protocol.
 *
 * One entry of the ready queue serves it all. What it is to do is noted in `due`, and done in this order: making,
 * reading, writing; as in asyncio, where the two callbacks of a descriptor follow one another. */
#ifndef COIL_IO_ENDPOINT_H
#define COIL_IO_ENDPOINT_H

#include "io/transport.h"

struct coil__addresses;

enum coil__endpoint_due {
    COIL__DUE_ACCEPT = 1,  /* a server's: the protocol is to be made */
    COIL__DUE_MADE = 2,    /* connection_made is to be called */
    COIL__DUE_READ = 4,    /* the flow said readable */
    COIL__DUE_WRITE = 8,   /* the flow said writable */
    COIL__DUE_GONE = 16,   /* it said so without having been asked: the peer is gone */
    COIL__DUE_QUEUED = 32, /* the entry is in the queue */
    COIL__DUE_EOF = 64,    /* eof_received is to be called, and its answer does not matter */
};

struct coil__endpoint {
    coil_transport base;
    struct coil__flow
        flow; /* .fd: -1 once closed, or given back; .kind and .tcp are set before begin */
    struct coil__call call;
    uint8_t due;       /* enum coil__endpoint_due */
    bool open;         /* the flow is */
    bool fd_lent;      /* the caller's, until the call that makes the connection succeeds */
    bool no_reading;   /* it never reads, or has seen the end */
    bool pull_waiting; /* by pull: somebody waits */
    bool pushing;      /* by pull, and gone over to push */
    void (*pull_readable)(void *self);           /* NULL: data is pushed */
    void (*read_ready)(struct coil__endpoint *); /* reads once, and tells the protocol */
    void (*write_ready)(struct coil__endpoint *);
    void (*gone)(struct coil__endpoint *);     /* DUE_GONE, for kinds that care; or NULL */
    void (*accepted)(struct coil__endpoint *); /* DUE_ACCEPT */
    struct coil__addresses *addresses;         /* made when asked for; NULL: not yet */
};

static inline struct coil__endpoint *coil__endpoint_of(coil_transport *transport)
{
    return COIL__CONTAINER(transport, struct coil__endpoint, base);
}

/* Begins the life of an endpoint whose memory is zero but for flow.fd, flow.kind, flow.tcp, read_ready and
 * write_ready: opens the flow and queues connection_made. Returns 0 or a code: the descriptor, self and the memory
 * stay the caller's then. */
int coil__endpoint_begin(struct coil__endpoint *self, const struct coil__transport_ops *ops,
                         coil_loop *loop, const coil_protocol *protocol, void *protocol_self);

/* Before that: has `accepted` called in the next turn, in a context that is borrowed until then. */
void coil__endpoint_await_accept(struct coil__endpoint *self, coil_loop *loop,
                                 coil_context *context);

/* Queues the entry for something that is due. */
void coil__endpoint_push(struct coil__endpoint *self, unsigned due);

/* Waits for connection_made in the task that made the transport, and hands out a reference. On failure ends the
 * connection, and gives the descriptor back to the caller if asked to. */
int coil__endpoint_finish(struct coil__endpoint *self, bool give_back,
                          coil_transport **transport_out);

/* Takes the descriptor out of an endpoint that is to end, for the caller to have it back. */
void coil__endpoint_give_back(struct coil__endpoint *self);

/* Tells the flow whether reading is wanted, after anything that decides it has changed. */
void coil__endpoint_settle(struct coil__endpoint *self);

/* The end of the peer's data: eof_received, and what it wants. */
void coil__endpoint_eof(struct coil__endpoint *self);

/* The memory into which pushed data is read: 256 KiB of the loop's, lent until the next call; or, without memory, the
 * caller's `small`. */
void *coil__endpoint_read_buffer(coil_loop *loop, void *small, size_t small_bytes,
                                 size_t *bytes_out);

/* Operations that all endpoints share. */
void coil__endpoint_reading(coil_transport *transport);
void coil__endpoint_lost(coil_transport *transport);
coil_value coil__endpoint_extra_info(coil_transport *transport, const char *name);
int coil__endpoint_fd(const coil_transport *transport);

/* Frees what coil__endpoint_extra_info has made. */
void coil__endpoint_fini(struct coil__endpoint *self);

static inline struct coil__backend *coil__endpoint_backend(const struct coil__endpoint *self)
{
    return self->base.loop->backend;
}

#endif
