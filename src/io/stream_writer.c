#include "io/stream_writer.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/cache.h"
#include "base/error.h"
#include "io/stream_reader.h"

/* ---- the protocol ------------------------------------------------------------------------------- */

static void readable(void *self)
{
    coil_stream_writer *writer = self;
    if (writer->reader)
        coil__reader_wake(writer->reader);
}

static void tell_reader(coil_stream_reader *reader, coil_transport *transport)
{
    reader->transport = transport;
    reader->pulls = coil__transport_can_pull(transport);
}

void coil__stream_moved(coil_stream_writer *writer)
{
    coil_transport *transport = writer->transport;
    if (writer->reader)
        tell_reader(writer->reader, transport);
    if (coil__transport_can_pull(transport))
        coil__transport_pull_start(transport, readable);
}

int coil__stream_made(void *self, coil_transport *transport)
{
    coil_stream_writer *writer = self;
    writer->transport = coil_ref(transport);
    coil__stream_moved(writer);
    return 0;
}

int coil__stream_data_received(void *self, const void *data, size_t bytes)
{
    coil_stream_writer *writer = self;
    return writer->reader ? coil_stream_feed_data(writer->reader, data, bytes) : 0;
}

int coil__stream_eof_received(void *self)
{
    coil_stream_writer *writer = self;
    if (writer->reader)
        coil_stream_feed_eof(writer->reader);
    /* TLS has no half-closed connections. */
    return coil_transport_can_write_eof(writer->transport);
}

/* The connection is over, or its loop is. */
static void end(coil_stream_writer *writer, int code)
{
    if (writer->lost)
        return;
    coil_error *error = code < 0 ? coil_error_current(code) : NULL;
    writer->lost = true;
    writer->code = code;
    writer->error = coil_ref(error);
    if (writer->reader) {
        writer->reader->transport = NULL;
        writer->reader->pulls = false;
        writer->reader->writer = NULL;
        if (code < 0)
            coil__reader_break(writer->reader, code, error);
        else
            coil_stream_feed_eof(writer->reader);
    }
    coil__waitlist_wake_all(&writer->closers);
    coil__waitlist_wake_all(&writer->drainers);
}

int coil__stream_lost(void *self, int code)
{
    end(self, code);
    return 0;
}

int coil__stream_pause_writing(void *self)
{
    ((coil_stream_writer *)self)->full = true;
    return 0;
}

int coil__stream_resume_writing(void *self)
{
    coil_stream_writer *writer = self;
    writer->full = false;
    coil__waitlist_wake_all(&writer->drainers);
    return 0;
}

static void free_unused(coil_stream_writer *writer)
{
    if (writer->attached || writer->object.refs > 0)
        return;
    coil_unref(writer->transport);
    coil_unref(writer->error);
    writer->free(writer);
}

void coil__stream_destroy(void *self)
{
    coil_stream_writer *writer = self;
    end(writer, 0);
    writer->attached = false;
    free_unused(writer);
}

const coil_protocol coil__stream_protocol = {
    .size = sizeof(coil_protocol),
    .name = "stream",
    .connection_made = coil__stream_made,
    .data_received = coil__stream_data_received,
    .eof_received = coil__stream_eof_received,
    .connection_lost = coil__stream_lost,
    .pause_writing = coil__stream_pause_writing,
    .resume_writing = coil__stream_resume_writing,
    .destroy = coil__stream_destroy,
};

/* ---- life --------------------------------------------------------------------------------------- */

/* Its last user has let go. What was written is still sent; the transport keeps the rest of it alive. */
static void writer_destroy(void *object)
{
    coil_stream_writer *writer = object;
    if (writer->transport && !writer->reads_only && !coil_transport_is_closing(writer->transport)) {
        if (!writer->served)
            COIL__REPORT(writer->transport->loop, .event = COIL_EVENT_UNCLOSED_TRANSPORT,
                         .message = "a stream writer was released without coil_stream_close",
                         .name = "stream");
        coil_transport_close(writer->transport);
    }
    coil_unref(writer->reader); /* its users may go on reading, to the end */
    free_unused(writer);
}

static const struct coil__type writer_type = { COIL__KIND_STREAM, "stream writer", writer_destroy };

static void free_writer(coil_stream_writer *writer)
{
    coil__block_give(writer, sizeof *writer);
}

void coil__writer_init(coil_stream_writer *writer, coil_stream_reader *reader)
{
    coil__object_init(&writer->object, &writer_type);
    writer->reader = coil_ref(reader);
    writer->attached = true;
    writer->free = free_writer;
    if (reader)
        reader->writer = writer;
}

static coil_stream_writer *new_writer(coil_stream_reader *reader)
{
    coil_stream_writer *writer = coil__block_take(sizeof *writer);
    if (!writer)
        return coil__fail_null(COIL_ENOMEM);
    memset(writer, 0, sizeof *writer);
    coil__writer_init(writer, reader);
    return writer;
}

int coil__stream_new(size_t limit, coil_stream_reader **reader_out, coil_stream_writer **writer_out)
{
    coil_stream_reader *reader = coil_stream_reader_new(limit);
    if (!reader)
        return coil_error_last();
    *writer_out = new_writer(reader);
    if (!*writer_out) {
        coil_unref(reader);
        return COIL_ENOMEM;
    }
    *reader_out = reader;
    return 0;
}

int coil__stream_new_writer(coil_stream_writer **writer_out)
{
    *writer_out = new_writer(NULL);
    return *writer_out ? 0 : COIL_ENOMEM;
}

/* ---- waiting until there is room ---------------------------------------------------------------- */

static int give_loss(const coil_stream_writer *writer)
{
    return coil__fail_with(writer->code, writer->error);
}

/* Waits in one of the writer's lists. */
static int wait_in(coil_stream_writer *writer, struct coil__waitlist *list, const char *operation)
{
    struct coil__parked place;
    coil__ref(&writer->object); /* whoever else has it may let go of it meanwhile */
    int rc = coil__park(&place, list, NULL, operation);
    if (rc == 0 && writer->lost && writer->code < 0)
        rc = give_loss(writer);
    coil__unref(&writer->object);
    return rc;
}

static __attribute__((noinline)) int drain_slowly(coil_stream_writer *writer)
{
    struct coil__task *task = coil__thread.task;
    int rc = writer->reader ? coil_stream_exception(writer->reader) : 0;
    if (rc < 0)
        return rc;
    rc = coil__park_check(&writer->drainers, NULL, "drain");
    if (rc < 0)
        return rc;
    /* As in asyncio: a loop of writes and drains must notice that the connection is being closed. */
    if (coil_transport_is_closing(writer->transport)) {
        rc = coil__task_yield(task);
        if (rc < 0)
            return rc;
    }
    if (writer->lost)
        return coil__fail(-ECONNRESET, "the connection is lost");
    if (!writer->full)
        return 0;
    return wait_in(writer, &writer->drainers, "drain");
}

static inline int drain(coil_stream_writer *writer)
{
    if (COIL_UNLIKELY(writer->full || (writer->reader && writer->reader->code < 0) ||
                      coil_transport_is_closing(writer->transport)))
        return drain_slowly(writer);
    return 0;
}

int coil_stream_drain(coil_stream_writer *writer)
{
    return drain(writer);
}

int coil_stream_wait_closed(coil_stream_writer *writer)
{
    if (!writer->lost)
        return wait_in(writer, &writer->closers, "wait_closed");
    return writer->code < 0 ? give_loss(writer) : 0;
}

/* ---- writing ------------------------------------------------------------------------------------ */

/* A write whose memory is lent to the transport while the task waits: in the task's frame. */
struct lent {
    struct coil__wait wait;
    struct coil__lent_write write;
    coil_transport *transport;
    int code;
};

static void lent_is_over(struct coil__lent_write *write, int code)
{
    struct lent *self = COIL__CONTAINER(write, struct lent, write);
    self->code = code;
    coil__wait_over(&self->wait);
}

/* The rest is copied: a message is never cut in half. Without memory for that the connection is aborted, which
 * everybody else who uses it learns. */
static bool take_back(struct coil__wait *wait)
{
    struct lent *self = COIL__CONTAINER(wait, struct lent, wait);
    (void)coil__transport_withdraw(self->transport, &self->write);
    return true;
}

static int wait_for_lent(coil_stream_writer *writer, struct lent *self)
{
    int rc = coil__task_wait(coil__thread.task, &self->wait);
    if (rc < 0)
        return rc;
    if (self->code < 0 && writer->lost && writer->code < 0)
        return give_loss(writer);
    if (self->code < 0 || self->write.piece.bytes > 0)
        return coil__fail(self->code < 0 ? self->code : -ECONNRESET,
                          "the connection ended before everything was sent");
    return 0;
}

int coil_stream_write(coil_stream_writer *writer, const void *data, size_t bytes)
{
    struct lent self;
    self.write.piece.data = data;
    self.write.piece.bytes = bytes;
    self.write.done = lent_is_over;
    bool may_wait = coil__thread.task && !coil__thread.driver;
    int rc = may_wait ? coil__transport_write_lent(writer->transport, &self.write)
                      : coil_transport_write(writer->transport, data, bytes);
    if (COIL_UNLIKELY(rc != 0)) {
        if (rc < 0)
            return rc;
        self.wait = (struct coil__wait)COIL__WAIT_INIT(COIL_WAIT_IO, "write", take_back);
        self.transport = writer->transport;
        self.code = 0;
        coil__ref(&writer->object); /* whoever else has it may let go of it meanwhile */
        rc = wait_for_lent(writer, &self);
        if (rc == 0)
            rc = drain(writer);
        coil__unref(&writer->object);
        return rc;
    }
    return drain(writer);
}

int coil_stream_write_nowait(coil_stream_writer *writer, const void *data, size_t bytes)
{
    return coil_transport_write(writer->transport, data, bytes);
}

int coil_stream_writelines(coil_stream_writer *writer, const struct iovec *parts, size_t count)
{
    int rc = coil_transport_writelines(writer->transport, parts, count);
    return rc < 0 ? rc : drain(writer);
}

int coil_stream_writelines_nowait(coil_stream_writer *writer, const struct iovec *parts,
                                  size_t count)
{
    return coil_transport_writelines(writer->transport, parts, count);
}

int coil_stream_write_eof(coil_stream_writer *writer)
{
    return coil_transport_write_eof(writer->transport);
}

bool coil_stream_can_write_eof(const coil_stream_writer *writer)
{
    return coil_transport_can_write_eof(writer->transport);
}

/* ---- ending, and asking ------------------------------------------------------------------------- */

void coil_stream_close(coil_stream_writer *writer)
{
    coil_transport_close(writer->transport);
}

bool coil_stream_is_closing(const coil_stream_writer *writer)
{
    return coil_transport_is_closing(writer->transport);
}

coil_transport *coil_stream_transport(const coil_stream_writer *writer)
{
    return writer->transport;
}

coil_value coil_stream_get_extra_info(coil_stream_writer *writer, const char *name)
{
    return coil_transport_get_extra_info(writer->transport, name);
}
