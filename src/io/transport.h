/* Transports, inside the library. The public half is <coil/transport.h>.
 *
 * A coil_transport is what all kinds have in common: the protocol and how it is called, the marks of the write
 * buffer, closing, the place in the loop's list. A kind of transport begins with one and brings its operations
 * (struct coil__transport_ops). Endpoints (io/endpoint.h) are the kinds that have a descriptor; a TLS transport is
 * one whose bytes come from a protocol that it has put on another transport.
 *
 * Life: init -> made -> (closing) -> losing -> lost. Until it is lost the loop holds one reference; then loop,
 * protocol and self are gone, and every call is harmless. */
#ifndef COIL_IO_TRANSPORT_H
#define COIL_IO_TRANSPORT_H

#include <coil/transport.h>
#include "loop/loop.h"

struct coil__lent_write;

enum coil__transport_flag {
    COIL__TRANSPORT_MADE = 1,         /* connection_made was called */
    COIL__TRANSPORT_CLOSING = 2,      /* close or abort was called, or it is lost */
    COIL__TRANSPORT_LOSING = 4,       /* connection_lost is queued, or was called */
    COIL__TRANSPORT_PAUSED = 8,       /* coil_transport_pause_reading */
    COIL__TRANSPORT_EOF_WRITTEN = 16, /* no more writing, although it is not closing */
    COIL__TRANSPORT_FULL = 32,        /* pause_writing was called, and resume_writing not since */
    COIL__TRANSPORT_FILE = 64,        /* a file is being sent: nobody else may write */
};

/* The operations of a kind. Called only on transports that are not lost; what public calls promise for lost ones
 * is seen to before. NULL where the kind cannot do it. */
struct coil__transport_ops {
    const char *name; /* "socket": for messages */

    /* Sends or keeps all of the parts; `total` is their sum, and not 0. If lent is not NULL the only part is what
     * lent describes, and instead of copying what would fill the buffer beyond its mark the transport may queue
     * lent itself: 1. Else 0, or COIL_ENOMEM. See coil__transport_write_lent. */
    int (*write)(coil_transport *transport, const struct iovec *parts, int count, size_t total,
                 struct coil__lent_write *lent);
    /* Sends or keeps a datagram. address: NULL, or of so many bytes. 0, COIL_EINVAL or COIL_ENOMEM. */
    int (*send_to)(coil_transport *transport, const void *data, size_t bytes,
                   const struct sockaddr *address, socklen_t length);
    /* As coil__transport_withdraw. */
    int (*withdraw)(coil_transport *transport, struct coil__lent_write *lent);
    /* EOF_WRITTEN is set already; called once. */
    void (*write_eof)(coil_transport *transport);

    /* One try to send a part of a file, while nothing is kept: bytes, 0 at its end, -EAGAIN, or -errno; -EINVAL and the
     * like if this file cannot be sent so. NULL: files are read and written. */
    int64_t (*send_file)(coil_transport *transport, int file, int64_t offset, int64_t bytes);
    /* Suspends the running task until nothing is kept and the system takes more: 0, or a code. With send_file. */
    int (*wait_sent)(coil_transport *transport);

    /* CLOSING is set already; called once. Ends in coil__transport_lose when all is sent. */
    void (*close)(coil_transport *transport);
    /* Drops what is kept and calls coil__transport_lose(transport, code), unless that was done before. Comes after
     * close, too. */
    void (*abort)(coil_transport *transport, int code);
    /* PAUSED has changed. */
    void (*reading)(coil_transport *transport);
    /* connection_lost was called: give back the descriptor and the like. The transport itself goes later. */
    void (*lost)(coil_transport *transport);
    /* Frees the memory of a lost transport that nobody refers to. */
    void (*destroy)(coil_transport *transport);

    /* Reading by pull: see below. */
    void (*pull_start)(coil_transport *transport, void (*readable)(void *self));
    int64_t (*pull)(coil_transport *transport, void *buffer, size_t bytes);
    void (*pull_wait)(coil_transport *transport, bool waiting);

    /* Nil if unknown. On lost ones, too. */
    coil_value (*extra_info)(coil_transport *transport, const char *name);
    /* The descriptor; -1 once it was given back; COIL_ENOTSUP. */
    int (*fd)(const coil_transport *transport);
};

/* A call into the protocol that is running: a local of the caller. */
struct coil__protocol_call {
    const coil_protocol *protocol;
    void *self;
    bool let_go; /* another one took its place meanwhile: destroy it when the call returns */
    struct coil__protocol_call *outer;
};

struct coil_transport {
    struct coil__object object;
    const struct coil__transport_ops *ops;
    coil_loop *loop;                   /* NULL once lost */
    const coil_protocol *protocol;     /* NULL once lost */
    void *self;                        /* the protocol's */
    struct coil__protocol_call *calls; /* innermost first */
    struct coil__link all;             /* in loop->transports until lost */
    uint16_t flags;                    /* enum coil__transport_flag */
    uint16_t writes_lost;              /* writes after the loss */
    int lost_code;                     /* for connection_lost */
    coil_error *lost_error;            /* its record, owned */
    struct coil__call
        lost_call; /* queued once, by coil__transport_lose; its context is the one of all the
                                          protocol's calls: one reference */
    struct coil__wait *room_wait; /* the task that waits until the buffer is not FULL; NULL: none */
    struct coil__wait *made_wait; /* the task that waits for connection_made; NULL: none */

    size_t kept;      /* bytes in the write buffer */
    size_t high, low; /* its marks */

    struct coil__link of_server; /* in server->clients while server is not NULL */
    void (*left_server)(coil_transport *transport); /* called when it is lost; NULL: no server's */
    void *server;
};

/* ---- for kinds of transports -------------------------------------------------------------------- */

/* Initialises, as one reference that is the loop's, in the current context. Returns 0 or COIL_ENOMEM; self stays the
 * caller's then. From success on the transport ends by coil__transport_lose, or coil__transport_drop. */
int coil__transport_init(coil_transport *transport, const struct coil__transport_ops *ops,
                         coil_loop *loop, const coil_protocol *protocol, void *self);

/* Queues connection_lost for the next turn, once: the first code counts. Sets CLOSING. */
void coil__transport_lose(coil_transport *transport, int code);

/* The same without the turn between: where the write buffer of a closing transport has been sent. */
void coil__transport_lose_now(coil_transport *transport, int code);

/* Ends a transport without calling connection_lost, on which nothing may be queued: its making failed, or the loop
 * is being closed. */
void coil__transport_drop(coil_transport *transport);

/* Calls connection_made, sets MADE, and wakes who waits for it. */
void coil__transport_made(coil_transport *transport);

/* Only wakes who waits. */
void coil__transport_wake_made(coil_transport *transport);

/* Suspends the running task until coil__transport_made. On failure (COIL_ECANCELED, COIL_ECLOSING) nobody is woken
 * any more. */
int coil__transport_wait_made(coil_transport *transport);

/* Ends the connection over an error: what a call into the protocol failed with, or a system call. error is its record,
 * consumed, or NULL. */
void coil__transport_fatal(coil_transport *transport, int code, coil_error *error);

/* The record of a failing system call for coil__transport_fatal. It goes to connection_lost and not to whoever runs
 * now, whom it does not concern. */
coil_error *coil__transport_error(const coil_transport *transport, int code, const char *operation);

/* The write buffer has changed: calls pause_writing or resume_writing if a mark was crossed. kept is the bytes in it;
 * `copied` by how many bytes of the library's own memory it has grown, or shrunk. */
void coil__transport_kept(coil_transport *transport, size_t kept, ptrdiff_t copied);

/* Counts a write on a lost transport, and warns at the fifth and later ones. */
void coil__transport_write_after_loss(coil_transport *transport);

/* Suspends the running task while the write buffer is FULL. 0, or COIL_ECLOSED: the connection is lost; or the code of a
 * cancellation. For one task at a time. */
int coil__transport_wait_room(coil_transport *transport);

/* ---- calling the protocol ----------------------------------------------------------------------- */

/* Each gives what the protocol gave. A negative code has been reported, and, but for the datagram ones, the connection
 * is being ended over it; one that leaves the loop has become 0. A protocol without such a function does nothing,
 * successfully. */
int coil__protocol_data_received(coil_transport *transport, const void *data, size_t bytes);
int coil__protocol_eof_received(coil_transport *transport);
int coil__protocol_get_buffer(coil_transport *transport, void **buffer_out, size_t *bytes_out);
int coil__protocol_buffer_updated(coil_transport *transport, size_t bytes);
int coil__protocol_datagram_received(coil_transport *transport, const void *data, size_t bytes,
                                     const struct sockaddr *address, socklen_t length);
int coil__protocol_error_received(coil_transport *transport, int code);

/* self for a connection, out of the arg of a public call: 0 or a negative code, and nothing is owed then. */
int coil__protocol_create(const coil_protocol *protocol, void *arg, void **self_out);

/* What was made by coil__protocol_create, or given as arg, is not needed. */
void coil__protocol_destroy(const coil_protocol *protocol, void *self);

/* Puts another protocol in place and gives the old one to the caller, who has destroyed it, or puts it elsewhere. For
 * start_tls: the old protocol moves onto the TLS transport. */
void coil__transport_swap_protocol(coil_transport *transport, const coil_protocol *protocol,
                                   void *self, const coil_protocol **protocol_out, void **self_out);

/* ---- reading by pull ---------------------------------------------------------------------------- *
 *
 * For streams: nothing is read until somebody asks, straight into the asker's memory. It is as if data_received had
 * been called when the event came: what the event announced can be taken without waiting, and without an event
 * there is nothing, whatever the kernel may have by now.
 *
 * When the peer is gone altogether while nobody waits, the transport goes over to push: data_received, eof_received,
 * connection_lost are called as if pull had never been, and coil__transport_pull says -EAGAIN from then on. So a
 * protocol that pulls must be ready for data_received, too, and respect its own limit (pause_reading). */

/* Whether the transport can. If not it pushes. */
static inline bool coil__transport_can_pull(const coil_transport *transport)
{
    return transport->ops->pull != NULL;
}

/* Reading is by pull from now on; to be called in connection_made. readable is called with the protocol's self. */
void coil__transport_pull_start(coil_transport *transport, void (*readable)(void *self));

/* Takes what is there: the number of bytes, 0 at the end (also each further time; the protocol's eof_received is not
 * called), -EAGAIN if there is nothing now, or reading is paused, or the transport is closing; or the code with which
 * the connection failed, without a record: connection_lost follows, and has it. bytes is not 0. */
int64_t coil__transport_pull(coil_transport *transport, void *buffer, size_t bytes);

/* waiting: readable is to be called, once, when there is something to take: from an entry of the loop, as
 * data_received would be. false: not any more. */
void coil__transport_pull_wait(coil_transport *transport, bool waiting);

/* ---- lent writes -------------------------------------------------------------------------------- */

/* One piece of a write buffer: a copy of the transport's, or a writer's memory that is lent. */
struct coil__piece {
    struct coil__piece *next;
    const char *data; /* what is left of it */
    size_t bytes;
    size_t room; /* a copy: free bytes behind; a lent one: 0 */
    bool lent;
};

/* A write that lends its memory: lives in the frame of a task that waits until done is called, or withdraws. */
struct coil__lent_write {
    struct coil__piece piece; /* .data and .bytes to be filled in */
    /* The memory is not needed any more: everything was sent (0), or dropped, because the connection is lost or
     * aborted (its code, 0 for close and abort: connection_lost will say the same). It has been unlinked; call
     * nothing of the transport's from it, only wake. */
    void (*done)(struct coil__lent_write *self, int code);
};

/* As coil_transport_write; but where the rest that could not be sent brings the buffer above its high-water mark it
 * is not copied: 1, and the memory stays lent until done was called, or coil__transport_withdraw. 0: nothing is lent,
 * because all is sent or copied; or not any more, because pause_writing aborted the connection: done was called then.
 * Transports that cannot borrow copy. pause_writing may be called, as ever. */
int coil__transport_write_lent(coil_transport *transport, struct coil__lent_write *lent);

/* Takes back the memory of a write that is queued, by copying what is not sent: a message is never cut in half.
 * Returns 0, or COIL_ENOMEM: then the connection is aborted with that code. done is not called either way. */
int coil__transport_withdraw(coil_transport *transport, struct coil__lent_write *lent);

/* ---- the loop's ---------------------------------------------------------------------------------- */

/* Memory that the io layer keeps for users of this loop: the budget is made of it. */
static inline void coil__loop_buffered(coil_loop *loop, ptrdiff_t change)
{
    loop->buffered += (size_t)change;
}

static inline bool coil__loop_over_budget(const coil_loop *loop)
{
    return loop->buffered > loop->buffer_budget;
}

#endif
