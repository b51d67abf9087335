#include "io/buffer.h"

#include <assert.h>

enum {
    SMALLEST = 256
};

static void give(char *memory, size_t room)
{
    if (memory && room == COIL__CHUNK_BYTES)
        coil__chunk_give(memory);
    else
        coil__free(memory);
}

/* Room for so many bytes: a chunk if that is enough, else more than was asked for. */
static char *take(size_t least, size_t *room_out)
{
    *room_out = least <= COIL__CHUNK_BYTES ? COIL__CHUNK_BYTES : least + least / 2;
    return *room_out == COIL__CHUNK_BYTES ? coil__chunk_take() : coil__alloc(*room_out + 1);
}

static void drop_memory(struct coil__buffer *buffer)
{
    give(buffer->memory, buffer->room);
    buffer->memory = NULL;
    buffer->room = buffer->start = buffer->end = 0;
}

void coil__buffer_end_former(struct coil__buffer *buffer)
{
    give(buffer->former, buffer->former_room);
    buffer->former = NULL;
}

void coil__buffer_fini(struct coil__buffer *buffer)
{
    if (buffer->former)
        coil__buffer_end_former(buffer);
    drop_memory(buffer);
    buffer->zero = NULL;
}

/* ---- making room -------------------------------------------------------------------------------- */

/* Moves what is unread into new memory; the old one stays as long as a view lies in it. */
static bool replace_memory(struct coil__buffer *buffer, char *memory, size_t room)
{
    size_t count = coil__buffer_count(buffer);
    if (!memory)
        return false;
    if (count > 0)
        memcpy(memory, buffer->memory + buffer->start, count);
    if (buffer->zero) {
        if (count > 0 && buffer->zero == buffer->memory + buffer->start)
            *memory = buffer->put_back;
        assert(!buffer->former);
        buffer->former = buffer->memory;
        buffer->former_room = buffer->room;
        buffer->zero = NULL;
    } else {
        give(buffer->memory, buffer->room);
    }
    buffer->memory = memory;
    buffer->room = room;
    buffer->start = 0;
    buffer->end = count;
    return true;
}

/* Behind a view that ends where the free space begins, its zero byte stays where it is. */
static void step_over_zero(struct coil__buffer *buffer)
{
    if (buffer->zero == buffer->memory + buffer->end && buffer->start == buffer->end &&
        buffer->end < buffer->room)
        buffer->start = ++buffer->end;
}

static bool make_room(struct coil__buffer *buffer, size_t least)
{
    size_t count = coil__buffer_count(buffer), room;
    /* Only what is at most half full is moved up: so no byte is moved more often than it pays for. */
    if (!buffer->zero && buffer->start >= count && buffer->room - count >= least) {
        if (count > 0)
            memmove(buffer->memory, buffer->memory + buffer->start, count);
        buffer->start = 0;
        buffer->end = count;
        return true;
    }
    if (least > SIZE_MAX / 2 - count)
        return false;
    char *memory = take(count + least, &room);
    return replace_memory(buffer, memory, room);
}

char *coil__buffer_make_space(struct coil__buffer *buffer, size_t least, size_t *bytes_out)
{
    if (buffer->zero)
        step_over_zero(buffer);
    if (buffer->room - buffer->end < least || buffer->zero == buffer->memory + buffer->end)
        if (!make_room(buffer, least))
            return NULL;
    *bytes_out = buffer->room - buffer->end;
    return buffer->memory + buffer->end;
}

bool coil__buffer_put_back(struct coil__buffer *buffer, const char *data, size_t bytes)
{
    size_t count = coil__buffer_count(buffer), room;
    assert(!buffer->zero);
    if (buffer->start >= bytes) {
        buffer->start -= bytes;
    } else {
        char *memory = take(bytes + count, &room);
        if (!memory)
            return false;
        if (count > 0)
            memcpy(memory + bytes, buffer->memory + buffer->start, count);
        drop_memory(buffer);
        buffer->memory = memory;
        buffer->room = room;
        buffer->end = bytes + count;
    }
    memcpy(buffer->memory + buffer->start, data, bytes);
    return true;
}

/* ---- views -------------------------------------------------------------------------------------- */

static void end_with_zero(struct coil__buffer *buffer, size_t place)
{
    buffer->zero = buffer->memory + place;
    buffer->put_back = *buffer->zero;
    *buffer->zero = '\0';
}

/* What a view of nothing points to: the user may have written there. */
static char *nothing(struct coil__buffer *buffer)
{
    buffer->empty = '\0';
    return &buffer->empty;
}

char *coil__buffer_lend(struct coil__buffer *buffer, size_t bytes)
{
    assert(!buffer->zero && bytes <= coil__buffer_count(buffer));
    if (bytes == 0)
        return nothing(buffer);
    char *view = buffer->memory + buffer->start;
    buffer->start += bytes;
    end_with_zero(buffer, buffer->start);
    return view;
}

char *coil__buffer_show(struct coil__buffer *buffer)
{
    assert(!buffer->zero);
    if (coil__buffer_count(buffer) == 0)
        return nothing(buffer);
    end_with_zero(buffer, buffer->end);
    return buffer->memory + buffer->start;
}

/* ---- holding little, and handing over ----------------------------------------------------------- */

void coil__buffer_rest(struct coil__buffer *buffer)
{
    size_t count = coil__buffer_count(buffer);
    assert(!buffer->zero && !buffer->former);
    if (count == 0) {
        drop_memory(buffer);
        return;
    }
    bool chunk = buffer->room == COIL__CHUNK_BYTES;
    if (count > (chunk ? COIL__BUFFER_SMALL : buffer->room / 8))
        return;
    size_t room = count <= SMALLEST / 2 ? SMALLEST : 2 * count;
    if (room >= buffer->room)
        return;
    (void)replace_memory(buffer, coil__alloc(room + 1), room); /* without memory it stays */
}

char *coil__buffer_take(struct coil__buffer *buffer)
{
    size_t count = coil__buffer_count(buffer);
    assert(!buffer->zero && !buffer->former);
    char *data;
    if (buffer->room > COIL__CHUNK_BYTES && count > buffer->room / 2) {
        data = buffer->memory;
        memmove(data, data + buffer->start, count);
        buffer->memory = NULL;
    } else {
        data = coil__alloc(count + 1);
        if (!data)
            return NULL;
        if (count > 0)
            memcpy(data, buffer->memory + buffer->start, count);
    }
    drop_memory(buffer);
    data[count] = '\0';
    return data;
}
