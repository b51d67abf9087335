/* Stream readers: who waits for which bytes.
 *
 * What a call needs is there, in the buffer; or it is pulled from the transport; or the call waits for more. A
 * call takes bytes out of the buffer only when it is certain to return them; so a cancelled one has nothing to
 * give back. The exception is readexactly of much, which receives into the caller's memory. */
#include "io/stream_reader.h"

#include <assert.h>
#include <errno.h>
#include "base/error.h"
#include "io/stream_writer.h"

enum {
    DIRECT_MIN = 512, /* from this size on read receives straight into the caller's memory */
    EXACTLY_DIRECT_MIN = 16384, /* and readexactly */
    SPACE_MIN = 4096, /* no system call for less, unless a small buffer has some room left */
};

/* ---- waiting for more --------------------------------------------------------------------------- */

struct coil__reader_wait {
    struct coil__wait wait;
    coil_stream_reader *reader;
    bool broken; /* ended by an error, not by bytes */
};

/* As in asyncio the place stays taken until the cancelled task has run; but one that is being closed may
 * never run again. */
static bool stop_waiting(struct coil__wait *wait)
{
    struct coil__reader_wait *self = COIL__CONTAINER(wait, struct coil__reader_wait, wait);
    if (wait->task->flags & COIL__TASK_CLOSING)
        self->reader->waiting = NULL;
    return true;
}

static void wake(coil_stream_reader *reader, bool broken)
{
    struct coil__reader_wait *self = reader->waiting;
    if (!self)
        return;
    reader->waiting = NULL;
    if (self->wait.state != COIL__WAIT_PENDING)
        return;
    self->broken = broken;
    coil__wait_over(&self->wait);
    if (COIL_UNLIKELY(!reader->loop->running) && !reader->loop->closed)
        coil__loop_kick(reader->loop);
}

static void resume(coil_stream_reader *reader)
{
    reader->paused = false;
    if (reader->transport)
        coil_transport_resume_reading(reader->transport);
}

/* After the buffer's memory has changed: the loop's budget is made of all that its readers hold. */
static inline void account(coil_stream_reader *reader)
{
    size_t room = reader->buffer.room;
    if (room != reader->counted) {
        coil__loop_buffered(reader->loop, (ptrdiff_t)room - (ptrdiff_t)reader->counted);
        reader->counted = room;
    }
}

static int give_error(const coil_stream_reader *reader)
{
    return coil__fail_with(reader->code, reader->error);
}

static int refuse_to_wait(const coil_stream_reader *reader, const struct coil__task *task,
                          const char *operation)
{
    if (!task || coil__thread.driver)
        return coil__fail(COIL_ENOTASK, "%s would have to wait, outside a task", operation);
    if (task->future.loop != reader->loop)
        return coil__fail(COIL_EWRONGLOOP, "%s: the reader belongs to another loop", operation);
    return coil__fail(COIL_ERUNTIME, "%s while another task waits on the same reader", operation);
}

/* Every call begins with this: what the one before has lent is the reader's again. */
static inline void end_last(coil_stream_reader *reader)
{
    (void)coil__buffer_unread(&reader->buffer);
    if (COIL_UNLIKELY(reader->told)) {
        reader->told = false;
        reader->partial = NULL;
        reader->partial_bytes = reader->overrun = 0;
    }
}

/* Waits until something has changed: 0, and the caller looks again. After a failure the reader may be gone. */
static int wait_for_more(coil_stream_reader *reader, const char *operation)
{
    struct coil__task *task = coil__thread.task;
    if (COIL_UNLIKELY(reader->code < 0))
        return give_error(reader);
    if (COIL_UNLIKELY(!task || coil__thread.driver || reader->waiting ||
                      task->future.loop != reader->loop))
        return refuse_to_wait(reader, task, operation);
    coil__buffer_rest(&reader->buffer);
    account(reader);
    if (reader->pulls)
        coil__transport_pull_wait(reader->transport, true);
    if (COIL_UNLIKELY(reader->paused))
        resume(reader); /* what is needed may be more than the limit */
    struct coil__reader_wait self = {
        .wait = COIL__WAIT_INIT(COIL_WAIT_IO, operation, stop_waiting),
        .reader = reader,
    };
    reader->waiting = &self; /* cppcheck-suppress autoVariables ; taken back below */
    coil__ref(&reader->object);
    int rc = coil__task_wait(task, &self.wait);
    if (reader->waiting == &self)
        reader->waiting = NULL;
    end_last(reader); /* of another task, that has read meanwhile without waiting */
    if (COIL_UNLIKELY(rc < 0 && reader->pulls))
        coil__transport_pull_wait(reader->transport, false);
    if (COIL_UNLIKELY(rc == 0 && self.broken))
        rc = give_error(reader);
    if (COIL_UNLIKELY(reader->object.refs == 1 && rc == 0))
        rc = coil__fail(COIL_ECLOSED, "%s: the reader was released meanwhile", operation);
    coil__unref(&reader->object);
    return rc;
}

/* Takes what the transport has at the moment: the number of bytes, 0 at the end, -EAGAIN for nothing. If the
 * connection has failed connection_lost will say so. */
static inline int64_t pull(coil_stream_reader *reader, void *to, size_t bytes)
{
    if (!reader->pulls || reader->eof)
        return -EAGAIN;
    int64_t got = coil__transport_pull(reader->transport, to, bytes);
    if (got == 0)
        reader->eof = true;
    return got < 0 ? -EAGAIN : got;
}

/* The same into a buffer that has no memory: the usual case, in which there is something. */
static int64_t fill_chunk(coil_stream_reader *reader)
{
    char *chunk = coil__chunk_take();
    if (!chunk)
        return coil__fail_plain(COIL_ENOMEM);
    int64_t got = pull(reader, chunk, COIL__CHUNK_BYTES);
    if (got <= 0) {
        coil__chunk_give(chunk);
        return got;
    }
    coil__buffer_adopt(&reader->buffer, chunk, (size_t)got);
    account(reader);
    return got;
}

/* The same into the buffer. */
static int64_t fill(coil_stream_reader *reader)
{
    struct coil__buffer *buffer = &reader->buffer;
    size_t room;
    if (!reader->pulls || reader->eof)
        return -EAGAIN;
    if (!buffer->memory)
        return fill_chunk(reader);
    bool small = buffer->room < COIL__CHUNK_BYTES;
    char *space = coil__buffer_space(buffer, small ? 1 : SPACE_MIN, &room);
    if (!space)
        return coil__fail_plain(COIL_ENOMEM);
    account(reader);
    int64_t got = pull(reader, space, room);
    if (got > 0)
        coil__buffer_added(buffer, (size_t)got);
    return got;
}

/* Gets more, waiting for it if need be: 0, and the caller looks again. */
static int get_more(coil_stream_reader *reader, const char *operation)
{
    int64_t got = fill(reader);
    return got == -EAGAIN ? wait_for_more(reader, operation) : got < 0 ? (int)got : 0;
}

/* ---- reading ------------------------------------------------------------------------------------ */

static int begin(coil_stream_reader *reader)
{
    end_last(reader);
    return COIL_UNLIKELY(reader->code < 0) ? give_error(reader) : 0;
}

static size_t unread(const coil_stream_reader *reader)
{
    return coil__buffer_count(&reader->buffer);
}

/* Some of it has been read: a transport that was told to pause may feed more. */
static inline void has_read(coil_stream_reader *reader)
{
    if (COIL_UNLIKELY(reader->paused && unread(reader) <= reader->limit))
        resume(reader);
}

static size_t copy_out(coil_stream_reader *reader, void *to, size_t bytes)
{
    if (bytes > unread(reader))
        bytes = unread(reader);
    if (bytes > 0)
        memcpy(to, reader->buffer.memory + reader->buffer.start, bytes);
    reader->buffer.start += bytes;
    has_read(reader);
    return bytes;
}

static char *lend(coil_stream_reader *reader, size_t bytes)
{
    char *data = coil__buffer_lend(&reader->buffer, bytes);
    has_read(reader);
    return data;
}

/* Waits until there are so many bytes, or the end. */
static int wait_for_count(coil_stream_reader *reader, size_t least, const char *operation)
{
    while (unread(reader) < least && !reader->eof) {
        int rc = get_more(reader, operation);
        if (rc < 0)
            return rc;
    }
    return 0;
}

ssize_t coil_stream_read(coil_stream_reader *reader, void *buffer, size_t bytes)
{
    int rc = begin(reader);
    if (rc < 0 || bytes == 0)
        return rc;
    if (bytes < DIRECT_MIN)
        rc = wait_for_count(reader, 1, "read");
    while (rc == 0 && unread(reader) == 0 && !reader->eof) {
        int64_t got = pull(reader, buffer, bytes);
        if (got >= 0)
            return (ssize_t)got;
        rc = wait_for_more(reader, "read");
    }
    return rc < 0 ? rc : (ssize_t)copy_out(reader, buffer, bytes);
}

/* The end came too early: what there is, is read all the same. */
static int fail_incomplete(coil_stream_reader *reader, char *partial, size_t bytes)
{
    reader->told = true;
    reader->partial = partial;
    reader->partial_bytes = bytes;
    int rc = coil__fail(COIL_EINCOMPLETE, "the stream ended after %zu bytes", bytes);
    coil_error_set_detail(coil_error_current(rc), (int64_t)bytes);
    return rc;
}

/* A readexactly of much that fails half-way: what it has received is to be read again. Without memory for that
 * the stream is broken, which nobody can overlook. */
static int give_back(coil_stream_reader *reader, const char *data, size_t bytes, int rc)
{
    if (bytes > 0 && !coil__buffer_put_back(&reader->buffer, data, bytes))
        coil__reader_break(reader, COIL_ENOMEM, NULL);
    account(reader);
    return rc;
}

/* What is there, and then straight into the caller's memory, until what is missing is worth a buffer again. The
 * caller holds a reference, since what has come is put back after a failure. */
static int read_directly(coil_stream_reader *reader, char *to, size_t bytes, size_t *got_out)
{
    size_t done = copy_out(reader, to, bytes);
    while (bytes - done >= EXACTLY_DIRECT_MIN && !reader->eof) {
        int64_t got = unread(reader) > 0 ? (int64_t)copy_out(reader, to + done, bytes - done)
                                         : pull(reader, to + done, bytes - done);
        int rc = got < 0 ? wait_for_more(reader, "readexactly") : 0;
        if (rc < 0)
            return give_back(reader, to, done, rc);
        done += got > 0 ? (size_t)got : 0;
    }
    int rc = wait_for_count(reader, bytes - done, "readexactly");
    if (rc < 0)
        return give_back(reader, to, done, rc);
    *got_out = done + copy_out(reader, to + done, bytes - done);
    return 0;
}

int coil_stream_readexactly(coil_stream_reader *reader, void *buffer, size_t bytes)
{
    size_t got = 0;
    int rc = begin(reader);
    if (rc < 0 || bytes == 0)
        return rc;
    if (reader->pulls && bytes >= unread(reader) + EXACTLY_DIRECT_MIN) {
        coil__ref(&reader->object);
        rc = read_directly(reader, buffer, bytes, &got);
        coil__unref(&reader->object);
    } else {
        rc = wait_for_count(reader, bytes, "readexactly");
        if (rc == 0)
            got = copy_out(reader, buffer, bytes);
    }
    if (rc < 0)
        return rc;
    return got < bytes ? fail_incomplete(reader, buffer, got) : 0;
}

ssize_t coil_stream_read_chunk(coil_stream_reader *reader, char **data_out)
{
    int rc = begin(reader);
    if (rc == 0)
        rc = wait_for_count(reader, 1, "read_chunk");
    if (rc < 0)
        return rc;
    size_t bytes = unread(reader);
    *data_out = lend(reader, bytes);
    return (ssize_t)bytes;
}

ssize_t coil_stream_peek(coil_stream_reader *reader, size_t least, const char **data_out)
{
    int rc = begin(reader);
    if (rc == 0)
        rc = wait_for_count(reader, least, "peek");
    if (rc < 0)
        return rc;
    *data_out = coil__buffer_show(&reader->buffer);
    return (ssize_t)unread(reader);
}

int coil_stream_skip(coil_stream_reader *reader, size_t bytes)
{
    end_last(reader);
    if (bytes > unread(reader))
        return coil__fail(COIL_EINVAL, "skip: %zu bytes, and only %zu are there", bytes,
                          unread(reader));
    reader->buffer.start += bytes;
    has_read(reader);
    return 0;
}

static int fail_overrun(coil_stream_reader *reader, size_t surely)
{
    reader->told = true;
    reader->overrun = surely;
    int rc = coil__fail(COIL_EOVERRUN, "more than the limit of %zu bytes", reader->limit);
    coil_error_set_detail(coil_error_current(rc), (int64_t)surely);
    return rc;
}

int coil_stream_read_all(coil_stream_reader *reader, size_t bytes_max, char **data_out,
                         size_t *bytes_out)
{
    int rc = begin(reader);
    while (rc == 0 && !reader->eof && unread(reader) <= bytes_max)
        rc = get_more(reader, "read_all");
    if (rc < 0)
        return rc;
    size_t bytes = unread(reader);
    if (bytes > bytes_max)
        return coil__fail(COIL_EOVERRUN, "more than %zu bytes", bytes_max);
    char *data = coil__buffer_take(&reader->buffer);
    if (!data)
        return coil__fail_plain(COIL_ENOMEM);
    account(reader);
    has_read(reader);
    *data_out = data;
    *bytes_out = bytes;
    return 0;
}

/* ---- separators --------------------------------------------------------------------------------- */

/* A set of separators, and how far the search has come: bytes before `seen` belong to no separator, so what
 * trickles in is looked at once. */
struct search {
    const struct iovec *separators;
    size_t count;
    size_t shortest, longest;
    size_t seen;
    size_t surely;           /* how much is free of separators, when it is too long */
    size_t match, match_end; /* of what was found, from the first unread byte on */
};

static bool search_init(struct search *search, const struct iovec *separators, size_t count)
{
    *search = (struct search){ separators, count, SIZE_MAX, 0, 0, 0, 0, 0 };
    for (size_t i = 0; i < count; i++) {
        size_t bytes = separators[i].iov_len;
        if (bytes < search->shortest)
            search->shortest = bytes;
        if (bytes > search->longest)
            search->longest = bytes;
    }
    return count > 0 && search->shortest > 0;
}

static const char *find(const char *data, size_t bytes, const struct iovec *separator)
{
    if (separator->iov_len == 1)
        return memchr(data, *(const char *)separator->iov_base, bytes);
    return memmem(data, bytes, separator->iov_base, separator->iov_len);
}

/* Looks for all separators between `seen` and `end`: the one that ends first, and of those that end there the
 * shortest. */
static bool search_up_to(struct search *search, const char *data, size_t end)
{
    bool found = false;
    for (size_t i = 0; i < search->count; i++) {
        const struct iovec *separator = &search->separators[i];
        const char *match = find(data + search->seen, end - search->seen, separator);
        if (!match)
            continue;
        size_t start = (size_t)(match - data), match_end = start + separator->iov_len;
        if (!found || match_end < search->match_end ||
            (match_end == search->match_end && start > search->match)) {
            search->match = start;
            search->match_end = match_end;
            found = true;
        }
    }
    if (!found && end >= search->longest)
        search->seen = end + 1 - search->longest;
    return found;
}

/* Several separators are looked for in windows that double, so that one that is far away or missing does not
 * cost a search to the end of the buffer for each message. */
static bool search_data(struct search *search, const char *data, size_t bytes)
{
    if (bytes < search->seen + search->shortest)
        return false;
    if (search->count == 1)
        return search_up_to(search, data, bytes);
    size_t window = 256 + search->longest;
    while (bytes - search->seen > window) {
        if (search_up_to(search, data, search->seen + window))
            return true;
        window *= 2;
    }
    return search_up_to(search, data, bytes);
}

enum found {
    FOUND,
    ENDED,   /* the end came first */
    TOO_LONG /* search->surely says how much is free of separators */
};

/* Waits for a separator: what came of it (enum found), or a failure's code, and the reader may be gone. */
static int wait_for_separator(coil_stream_reader *reader, struct search *search,
                              const char *operation)
{
    for (;;) {
        struct coil__buffer *buffer = &reader->buffer;
        if (unread(reader) > 0 &&
            search_data(search, buffer->memory + buffer->start, unread(reader))) {
            search->surely = search->match;
            return search->match > reader->limit ? TOO_LONG : FOUND;
        }
        search->surely = search->seen;
        if (search->seen > reader->limit)
            return TOO_LONG;
        if (reader->eof)
            return ENDED;
        int rc = get_more(reader, operation);
        if (rc < 0)
            return rc;
    }
}

/* A line that is too long is dropped: all of it if its end is there, else what has come. */
static int drop_line(coil_stream_reader *reader, size_t length)
{
    struct coil__buffer *buffer = &reader->buffer;
    bool ended = length < unread(reader) && buffer->memory[buffer->start + length] == '\n';
    buffer->start += ended ? length + 1 : unread(reader);
    has_read(reader);
    return coil__fail(COIL_EINVAL, "a line of more than %zu bytes", reader->limit);
}

ssize_t coil_stream_readline(coil_stream_reader *reader, char **line_out)
{
    static const struct iovec newline = { (void *)(uintptr_t) "\n", 1 };
    struct search search;
    int rc = begin(reader);
    if (rc < 0)
        return rc;
    (void)search_init(&search, &newline, 1);
    rc = wait_for_separator(reader, &search, "readline");
    if (COIL_UNLIKELY(rc < 0))
        return rc;
    if (COIL_UNLIKELY(rc == TOO_LONG))
        return drop_line(reader, search.surely);
    if (rc == ENDED)
        search.match_end = unread(reader);
    *line_out = lend(reader, search.match_end);
    return (ssize_t)search.match_end;
}

ssize_t coil_stream_readuntil_any(coil_stream_reader *reader, const struct iovec *separators,
                                  size_t count, char **data_out)
{
    struct search search;
    end_last(reader);
    if (!search_init(&search, separators, count))
        return coil__fail(COIL_EINVAL, "readuntil: no separator, or an empty one");
    if (COIL_UNLIKELY(reader->code < 0))
        return give_error(reader);
    int rc = wait_for_separator(reader, &search, "readuntil");
    if (COIL_UNLIKELY(rc < 0))
        return rc;
    if (COIL_UNLIKELY(rc == TOO_LONG))
        return fail_overrun(reader, search.surely);
    if (COIL_UNLIKELY(rc == ENDED)) {
        size_t bytes = unread(reader);
        return fail_incomplete(reader, lend(reader, bytes), bytes);
    }
    *data_out = lend(reader, search.match_end);
    return (ssize_t)search.match_end;
}

ssize_t coil_stream_readuntil(coil_stream_reader *reader, const char *separator, char **data_out)
{
    struct iovec one = { (void *)(uintptr_t)separator, strlen(separator) };
    return coil_stream_readuntil_any(reader, &one, 1, data_out);
}

/* ---- asking ------------------------------------------------------------------------------------- */

size_t coil_stream_partial(const coil_stream_reader *reader, char **data_out)
{
    *data_out = reader->partial;
    return reader->partial_bytes;
}

size_t coil_stream_overrun(const coil_stream_reader *reader)
{
    return reader->overrun;
}

bool coil_stream_at_eof(coil_stream_reader *reader)
{
    if (unread(reader) == 0)
        (void)fill(reader); /* as if it had been fed; without memory nobody can tell yet */
    return reader->eof && unread(reader) == 0;
}

int coil_stream_exception(const coil_stream_reader *reader)
{
    return reader->code < 0 ? give_error(reader) : 0;
}

/* ---- feeding ------------------------------------------------------------------------------------ */

int coil_stream_feed_data(coil_stream_reader *reader, const void *data, size_t bytes)
{
    size_t room;
    if (reader->eof)
        return coil__fail(COIL_ERUNTIME, "feed_data after feed_eof");
    if (bytes == 0)
        return 0;
    char *space = coil__buffer_space(&reader->buffer, bytes, &room);
    if (!space)
        return coil__fail_plain(COIL_ENOMEM);
    memcpy(space, data, bytes);
    coil__buffer_added(&reader->buffer, bytes);
    account(reader);
    wake(reader, false);
    if (reader->transport && !reader->paused && unread(reader) > reader->limit &&
        (unread(reader) - reader->limit > reader->limit || coil__loop_over_budget(reader->loop))) {
        reader->paused = true;
        coil_transport_pause_reading(reader->transport);
    }
    return 0;
}

void coil__reader_wake(coil_stream_reader *reader)
{
    wake(reader, false);
}

void coil_stream_feed_eof(coil_stream_reader *reader)
{
    reader->eof = true;
    wake(reader, false);
}

void coil__reader_break(coil_stream_reader *reader, int code, coil_error *error)
{
    coil_error *old = reader->error;
    reader->code = code;
    reader->error = coil_ref(error);
    coil_unref(old);
    wake(reader, true);
}

int coil_stream_set_exception(coil_stream_reader *reader, int code)
{
    if (code >= 0 || code == COIL_ECANCELED)
        return coil__fail(COIL_EINVAL, "%d (%s) cannot be a stream's error", code,
                          coil_error_name(code));
    coil__reader_break(reader, code, coil_error_current(code));
    return 0;
}

/* ---- life --------------------------------------------------------------------------------------- */

static void reader_destroy(void *object)
{
    coil_stream_reader *reader = object;
    assert(!reader->waiting); /* it holds a reference */
    if (reader->writer) {
        reader->writer->reader = NULL;
        if (reader->writer->reads_only && reader->writer->transport)
            coil_transport_close(reader->writer->transport);
    }
    coil__buffer_fini(&reader->buffer);
    account(reader);
    coil_unref(reader->error);
    coil__unref(&reader->loop->object);
    coil__block_give(reader, sizeof *reader);
}

static const struct coil__type reader_type = { COIL__KIND_STREAM, "stream reader", reader_destroy };

coil_stream_reader *coil_stream_reader_new(size_t limit)
{
    coil_loop *loop = coil__loop_or_running(NULL);
    if (!loop)
        return NULL;
    coil_stream_reader *reader = coil__block_take(sizeof *reader);
    if (!reader)
        return coil__fail_null(COIL_ENOMEM);
    memset(reader, 0, sizeof *reader);
    coil__object_init(&reader->object, &reader_type);
    coil__ref(&loop->object);
    reader->loop = loop;
    reader->limit = limit > 0 ? limit : COIL_STREAM_LIMIT;
    return reader;
}
