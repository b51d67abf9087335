/* What has been received and not been read yet: one piece of memory, so that whoever reads can be lent a view
 * instead of a copy.
 *
 *      memory            start              end               room
 *        |  read already   |     unread      |       free       | 1 for a zero byte
 *
 * The memory is nothing while nothing is there; a chunk of the loop's pool while there is; of its own size
 * if it has to be larger, or if the little that is left is to wait long.
 *
 * A view is followed by a zero byte, so that it can be used as a text. Where the next unread byte lies in that
 * place, the byte is put aside until the view ends. While a view lasts, its memory does not move: what comes
 * in meanwhile is appended behind it, or goes into new memory. */
#ifndef COIL_IO_BUFFER_H
#define COIL_IO_BUFFER_H

#include <string.h>
#include "base/chunk.h"

enum {
    COIL__BUFFER_SMALL = 4096, /* so much may be left in a buffer of its own */
};

struct coil__buffer {
    char *memory; /* NULL: none */
    size_t room;  /* COIL__CHUNK_BYTES if and only if it is a chunk */
    size_t start, end;
    char *zero;    /* the byte after the view that lies in memory; NULL: none does */
    char put_back; /* what belongs in its place */
    char empty; /* the view of nothing: each buffer has its own, since threads must not share it */
    char *former; /* memory with a view in it, that was replaced */
    size_t former_room;
};

void coil__buffer_fini(struct coil__buffer *buffer);

static inline size_t coil__buffer_count(const struct coil__buffer *buffer)
{
    return buffer->end - buffer->start;
}

void coil__buffer_end_former(struct coil__buffer *buffer);

/* Ends the view, if there is one. What is unread lies at memory + start. */
static inline char *coil__buffer_unread(struct coil__buffer *buffer)
{
    if (buffer->zero) {
        *buffer->zero = buffer->put_back;
        buffer->zero = NULL;
    }
    if (COIL_UNLIKELY(buffer->former != NULL))
        coil__buffer_end_former(buffer);
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
    return buffer->memory ? buffer->memory + buffer->start : NULL;
}

char *coil__buffer_make_space(struct coil__buffer *buffer, size_t least, size_t *bytes_out);

/* Free space behind what is unread, at least so many bytes. NULL when there is no memory; all is as it was,
 * then. */
static inline char *coil__buffer_space(struct coil__buffer *buffer, size_t least, size_t *bytes_out)
{
    if (COIL_UNLIKELY(buffer->zero || buffer->room - buffer->end < least))
        return coil__buffer_make_space(buffer, least, bytes_out);
    *bytes_out = buffer->room - buffer->end;
    return buffer->memory + buffer->end;
}

/* So many bytes have been written there. */
static inline void coil__buffer_added(struct coil__buffer *buffer, size_t bytes)
{
    buffer->end += bytes;
}

/* Takes over a chunk with so many bytes in it; it has no memory yet. */
static inline void coil__buffer_adopt(struct coil__buffer *buffer, char *chunk, size_t bytes)
{
    buffer->memory = chunk;
    buffer->room = COIL__CHUNK_BYTES;
    buffer->start = 0;
    buffer->end = bytes;
}

/* Lends the first unread bytes, and counts them as read. */
char *coil__buffer_lend(struct coil__buffer *buffer, size_t bytes);

/* Lends all that is unread, and leaves it there. */
char *coil__buffer_show(struct coil__buffer *buffer);

/* Nothing is to come for a while: holds no more than it needs. No view may last. */
void coil__buffer_rest(struct coil__buffer *buffer);

/* Puts bytes before what is unread. No view may last. False when there is no memory. */
bool coil__buffer_put_back(struct coil__buffer *buffer, const char *data, size_t bytes);

/* Hands over what is unread, in memory of its own with a zero byte behind it; the buffer is empty then. No
 * view may last. NULL when there is no memory: nothing has changed. */
char *coil__buffer_take(struct coil__buffer *buffer);

#endif
