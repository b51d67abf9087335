/* Every way to read a stream, as one operation that foreign bytes pick, and what came of it. */
#ifndef COIL_TESTS_FUZZ_READING_H
#define COIL_TESTS_FUZZ_READING_H

#include <sys/uio.h>
#include <coil/stream.h>
#include "fuzz.h"

enum reading_kind {
    READ,
    READ_EXACTLY,
    READ_LINE,
    READ_UNTIL,
    READ_CHUNK,
    PEEK,
    SKIP,
    READ_ALL,
    READING_KINDS
};

enum {
    SEPARATORS_MAX = 3
};

struct reading {
    enum reading_kind kind;
    size_t bytes; /* asked for; the most for READ_ALL */
    size_t count; /* of separators */
    struct iovec separators[SEPARATORS_MAX];
    /* What came of it. */
    int64_t rc;
    char *data; /* what was read or shown; lent unless it lies in memory */
    size_t data_bytes;
    char *partial;
    size_t partial_bytes, overrun;
    char *memory, *taken; /* of free and coil_free */
};

static inline bool reading_searches(const struct reading *self)
{
    return self->kind == READ_LINE || self->kind == READ_UNTIL;
}

static inline struct reading reading_pick(struct fuzz_input *input, size_t bytes_max)
{
    static const char *const texts[] = { "\n", "\r\n", ";", "ab", "aba", "aab", "\r\n\r\n", "b" };
    struct reading self = { .kind = fuzz_byte(input) % READING_KINDS };
    if (self.kind == READ_LINE) {
        self.separators[0] = (struct iovec){ (void *)(uintptr_t) "\n", 1 };
        self.count = 1;
    } else if (self.kind == READ_UNTIL) {
        unsigned picks = fuzz_byte(input);
        self.count = picks % (SEPARATORS_MAX + 1);
        for (size_t i = 0; i < self.count; i++, picks >>= 2) {
            const char *text = texts[(picks >> 2 ^ i * 3) % 8];
            self.separators[i] = (struct iovec){ (void *)(uintptr_t)text, strlen(text) };
        }
    } else if (self.kind != READ_CHUNK) {
        self.bytes = fuzz_size(input, bytes_max);
    }
    return self;
}

/* Into memory of exactly the size that the call is told. */
static inline void reading_into_memory(struct reading *self, coil_stream_reader *reader)
{
    self->memory = malloc(self->bytes > 0 ? self->bytes : 1);
    FUZZ_CHECK(self->memory);
    if (self->kind == READ) {
        self->rc = coil_stream_read(reader, self->memory, self->bytes);
        self->data_bytes = self->rc > 0 ? (size_t)self->rc : 0;
    } else {
        self->rc = coil_stream_readexactly(reader, self->memory, self->bytes);
        self->data_bytes = self->rc == 0 ? self->bytes : 0;
    }
    self->data = self->memory;
}

static inline void reading_run(struct reading *self, coil_stream_reader *reader)
{
    const char *shown = NULL;
    switch (self->kind) {
    case READ_LINE:
        self->rc = coil_stream_readline(reader, &self->data);
        break;
    case READ_UNTIL:
        self->rc = coil_stream_readuntil_any(reader, self->separators, self->count, &self->data);
        break;
    case READ_CHUNK:
        self->rc = coil_stream_read_chunk(reader, &self->data);
        break;
    case PEEK:
        self->rc = coil_stream_peek(reader, self->bytes, &shown);
        self->data = (char *)(uintptr_t)shown;
        break;
    case SKIP:
        self->rc = coil_stream_skip(reader, self->bytes);
        break;
    case READ_ALL:
        self->rc = coil_stream_read_all(reader, self->bytes, &self->data, &self->data_bytes);
        self->taken = self->rc == 0 ? self->data : NULL;
        break;
    default:
        reading_into_memory(self, reader);
        break;
    }
    if (reading_searches(self) || self->kind == READ_CHUNK || self->kind == PEEK)
        self->data_bytes = self->rc > 0 ? (size_t)self->rc : 0;
    if (self->rc >= 0 && self->data && !self->memory)
        FUZZ_CHECK(self->data[self->data_bytes] == '\0'); /* usable as a text */
    self->partial_bytes = coil_stream_partial(reader, &self->partial);
    self->overrun = coil_stream_overrun(reader);
}

static inline void reading_fini(struct reading *self)
{
    free(self->memory);
    coil_free(self->taken);
    self->memory = self->taken = NULL;
}

/* ---- the plain way to search -------------------------------------------------------------------- */

struct reading_match {
    bool found;
    size_t start, end;
    size_t longest; /* of the separators */
};

static inline bool reading_ends_here(const struct iovec *separator, const char *data, size_t end)
{
    return separator->iov_len <= end &&
           memcmp(data + end - separator->iov_len, separator->iov_base, separator->iov_len) == 0;
}

/* The separator that ends first; of several that end there the shortest. */
static inline struct reading_match reading_search(const struct reading *self, const char *data,
                                                  size_t bytes)
{
    struct reading_match match = { .found = false };
    for (size_t i = 0; i < self->count; i++)
        if (self->separators[i].iov_len > match.longest)
            match.longest = self->separators[i].iov_len;
    for (size_t end = 1; end <= bytes && !match.found; end++) {
        for (size_t i = 0; i < self->count; i++) {
            size_t length = self->separators[i].iov_len;
            if (!reading_ends_here(&self->separators[i], data, end) ||
                (match.found && end - length < match.start))
                continue;
            match.found = true;
            match.start = end - length;
            match.end = end;
        }
    }
    return match;
}

#endif
