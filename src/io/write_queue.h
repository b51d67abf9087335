/* What a transport keeps to be sent: pieces in order, copies of its own or memory that writers lend. */
#ifndef COIL_IO_WRITE_QUEUE_H
#define COIL_IO_WRITE_QUEUE_H

#include "io/transport.h"

enum {
    COIL__WRITE_PARTS = 32, /* pieces for one call of the system's */
};

struct coil__write_queue {
    struct coil__piece *first, *last; /* NULL: empty */
};

static inline bool coil__write_queue_empty(const struct coil__write_queue *queue)
{
    return !queue->first;
}

/* Copies what is left of some parts, after `skip` bytes; small ones share a piece. Returns how many bytes of memory
 * the queue has grown by (0 if there was room), or COIL_ENOMEM and nothing has changed. */
ptrdiff_t coil__write_queue_copy(struct coil__write_queue *queue, const struct iovec *parts,
                                 int count, size_t skip);

/* Queues memory that is lent. */
void coil__write_queue_lend(struct coil__write_queue *queue, struct coil__lent_write *lent);

/* Puts a copy in place of lent memory. Returns the growth, or COIL_ENOMEM and nothing has changed. */
ptrdiff_t coil__write_queue_withdraw(struct coil__write_queue *queue,
                                     struct coil__lent_write *lent);

/* The first pieces, for writev: how many. */
int coil__write_queue_parts(const struct coil__write_queue *queue,
                            struct iovec parts[COIL__WRITE_PARTS]);

/* So many bytes are sent: lets go of the pieces. Returns how many bytes of memory that has freed. */
size_t coil__write_queue_sent(struct coil__write_queue *queue, size_t bytes);

/* Lets go of everything; lenders are told the code. Returns as coil__write_queue_sent. */
size_t coil__write_queue_drop(struct coil__write_queue *queue, int code);

/* ---- the queue of a transport, which counts what is kept and asks for less when it is too much ---- */

/* Keeps what is left of a write after `sent` of its `total` bytes: copied, or, above the high-water mark, lent. Returns
 * as the write operation of a transport does. */
int coil__transport_keep(coil_transport *transport, struct coil__write_queue *queue,
                         const struct iovec *parts, int count, size_t total, size_t sent,
                         struct coil__lent_write *lent);

/* As coil__transport_withdraw. */
int coil__transport_take_back(coil_transport *transport, struct coil__write_queue *queue,
                              struct coil__lent_write *lent);

/* Forgets what is kept, without telling the protocol. */
void coil__transport_drop_kept(coil_transport *transport, struct coil__write_queue *queue,
                               int code);

#endif
