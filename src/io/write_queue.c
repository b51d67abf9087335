#include "io/write_queue.h"

#include <string.h>
#include "base/error.h"

enum {
    LEAST_ROOM = 4096 - sizeof(struct coil__piece), /* of a copy: many small writes share one */
};

/* A copy's bytes follow it, and their place is known by what has been sent and what is free. */
struct copy {
    struct coil__piece piece;
    size_t bytes; /* all that follows */
    char memory[];
};

static struct copy *copy_of(struct coil__piece *piece)
{
    return COIL__CONTAINER(piece, struct copy, piece);
}

static struct copy *copy_new(size_t bytes)
{
    size_t room = bytes < LEAST_ROOM ? LEAST_ROOM : bytes;
    struct copy *copy = coil__alloc(sizeof *copy + room);
    if (!copy)
        return NULL;
    copy->bytes = room;
    copy->piece = (struct coil__piece){ .data = copy->memory, .room = room };
    return copy;
}

static void append(struct coil__write_queue *queue, struct coil__piece *piece)
{
    piece->next = NULL;
    if (queue->last)
        queue->last->next = piece;
    else
        queue->first = piece;
    queue->last = piece;
}

/* Moves as much as there is room for. */
static size_t fill(struct coil__piece *piece, const char *data, size_t bytes)
{
    if (bytes > piece->room)
        bytes = piece->room;
    struct copy *copy = copy_of(piece);
    memcpy(copy->memory + copy->bytes - piece->room, data, bytes);
    piece->room -= bytes;
    piece->bytes += bytes;
    return bytes;
}

ptrdiff_t coil__write_queue_copy(struct coil__write_queue *queue, const struct iovec *parts,
                                 int count, size_t skip)
{
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    total -= skip;
    struct coil__piece *last = queue->last && !queue->last->lent ? queue->last : NULL;
    size_t room = last ? last->room : 0;
    struct copy *more = NULL;
    if (total > room) {
        more = copy_new(total - room);
        if (!more)
            return coil__fail_plain(COIL_ENOMEM);
        append(queue, &more->piece);
    }
    for (int i = 0; i < count; i++) {
        if (skip >= parts[i].iov_len) {
            skip -= parts[i].iov_len;
            continue;
        }
        const char *data = (const char *)parts[i].iov_base + skip;
        size_t bytes = parts[i].iov_len - skip;
        skip = 0;
        size_t filled = last ? fill(last, data, bytes) : 0;
        if (filled < bytes)
            (void)fill(&more->piece, data + filled, bytes - filled); /* it was made to hold it */
    }
    return more ? (ptrdiff_t)more->bytes : 0;
}

void coil__write_queue_lend(struct coil__write_queue *queue, struct coil__lent_write *lent)
{
    lent->piece.room = 0;
    lent->piece.lent = true;
    append(queue, &lent->piece);
}

ptrdiff_t coil__write_queue_withdraw(struct coil__write_queue *queue, struct coil__lent_write *lent)
{
    struct copy *copy = copy_new(lent->piece.bytes);
    if (!copy)
        return coil__fail_plain(COIL_ENOMEM);
    (void)fill(&copy->piece, lent->piece.data, lent->piece.bytes); /* it was made to hold it */
    struct coil__piece **link = &queue->first;
    while (*link != &lent->piece)
        link = &(*link)->next;
    copy->piece.next = lent->piece.next;
    *link = &copy->piece;
    if (queue->last == &lent->piece)
        queue->last = &copy->piece;
    return (ptrdiff_t)copy->bytes;
}

int coil__write_queue_parts(const struct coil__write_queue *queue,
                            struct iovec parts[COIL__WRITE_PARTS])
{
    int count = 0;
    for (struct coil__piece *piece = queue->first; piece && count < COIL__WRITE_PARTS;
         piece = piece->next)
        parts[count++] = (struct iovec){ (void *)(uintptr_t)piece->data, piece->bytes };
    return count;
}

/* Takes off the first piece, whose bytes are sent or given up. Returns the memory that is free now. */
static size_t let_go(struct coil__write_queue *queue, int code)
{
    struct coil__piece *piece = queue->first;
    queue->first = piece->next;
    if (!queue->first)
        queue->last = NULL;
    if (piece->lent) {
        struct coil__lent_write *lent = COIL__CONTAINER(piece, struct coil__lent_write, piece);
        if (lent->done)
            lent->done(lent, code);
        return 0;
    }
    struct copy *copy = copy_of(piece);
    size_t bytes = copy->bytes;
    coil__free(copy);
    return bytes;
}

size_t coil__write_queue_sent(struct coil__write_queue *queue, size_t bytes)
{
    size_t freed = 0;
    while (queue->first && bytes >= queue->first->bytes) {
        bytes -= queue->first->bytes;
        queue->first->bytes = 0; /* one that is lent tells its owner so */
        freed += let_go(queue, 0);
    }
    if (bytes > 0) {
        queue->first->data += bytes;
        queue->first->bytes -= bytes;
    }
    return freed;
}

size_t coil__write_queue_drop(struct coil__write_queue *queue, int code)
{
    size_t freed = 0;
    while (queue->first)
        freed += let_go(queue, code);
    return freed;
}

/* ---- of a transport -------------------------------------------------------------------------------- */

int coil__transport_keep(coil_transport *transport, struct coil__write_queue *queue,
                         const struct iovec *parts, int count, size_t total, size_t sent,
                         struct coil__lent_write *lent)
{
    size_t kept = transport->kept + total - sent;
    if (lent && (kept > transport->high || coil__loop_over_budget(transport->loop))) {
        lent->piece.data += sent;
        lent->piece.bytes -= sent;
        coil__write_queue_lend(queue, lent);
        coil__transport_kept(transport, kept, 0);
        /* pause_writing may have aborted it, and let go of what was lent. */
        return transport->flags & COIL__TRANSPORT_LOSING ? 0 : 1;
    }
    ptrdiff_t grown = coil__write_queue_copy(queue, parts, count, sent);
    if (grown < 0) {
        if (sent > 0) /* half a message must not be followed by another */
            coil__transport_fatal(transport, COIL_ENOMEM, NULL);
        return (int)grown;
    }
    coil__transport_kept(transport, kept, grown);
    return 0;
}

int coil__transport_take_back(coil_transport *transport, struct coil__write_queue *queue,
                              struct coil__lent_write *lent)
{
    ptrdiff_t grown = coil__write_queue_withdraw(queue, lent);
    if (grown >= 0) {
        coil__loop_buffered(transport->loop, grown);
        return 0;
    }
    lent->done = NULL; /* not told: it is the one that asks */
    coil__transport_fatal(transport, (int)grown, NULL);
    return (int)grown;
}

void coil__transport_drop_kept(coil_transport *transport, struct coil__write_queue *queue, int code)
{
    size_t freed = coil__write_queue_drop(queue, code);
    coil__loop_buffered(transport->loop, -(ptrdiff_t)freed);
    transport->kept = 0;
}
