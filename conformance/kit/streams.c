/* What scenarios about streams share. */
#include "kit/kit.h"

coil_value read_error(const coil_stream_reader *reader, int code, const char *want)
{
    if (code != COIL_EINCOMPLETE)
        return kind(code);
    char *data;
    size_t length = coil_stream_partial(reader, &data);
    return coil_string(textf("INCOMPLETE_READ(got=%s, want=%s)", show(bytes(data, length)), want));
}

coil_value read_bytes(const coil_stream_reader *reader, ssize_t length, const char *data,
                      const char *want)
{
    return length < 0 ? read_error(reader, (int)length, want) : bytes(data, (size_t)length);
}

int connect_here(int port, coil_stream_reader **reader_out, coil_stream_writer **writer_out)
{
    return coil_open_connection("127.0.0.1", port, NULL, reader_out, writer_out);
}

int hang_up(coil_stream_reader *reader, coil_stream_writer *writer)
{
    coil_stream_close(writer);
    int rc = coil_stream_wait_closed(writer);
    coil_unref(writer);
    coil_unref(reader);
    return rc;
}

int read_all(coil_stream_reader *reader, coil_value *bytes_out)
{
    char *data;
    size_t count;
    int rc = coil_stream_read_all(reader, SIZE_MAX, &data, &count);
    if (rc < 0)
        return rc;
    *bytes_out = bytes(data, count);
    coil_free(data);
    return 0;
}

int stop_server(coil_server *server)
{
    coil_server_close(server);
    int rc = coil_server_wait_closed(server);
    coil_unref(server);
    return rc;
}

struct feed {
    coil_stream_reader *reader;
    const char *text; /* NULL: the end */
};

static int feed(void *arg)
{
    struct feed *self = arg;
    int rc = 0;
    if (self->text)
        rc = coil_stream_feed_data(self->reader, self->text, strlen(self->text));
    else
        coil_stream_feed_eof(self->reader);
    return rc;
}

static void feed_release(void *arg)
{
    struct feed *self = arg;
    coil_unref(self->reader);
    free(self);
}

static int call_feed_later(coil_stream_reader *reader, double delay, const char *text)
{
    struct feed *self = malloc(sizeof *self);
    if (!self)
        return COIL_ENOMEM;
    *self = (struct feed){ coil_ref(reader), text };
    coil_call_options options = COIL_CALL_OPTIONS_INIT;
    options.release = feed_release;
    return coil_call_later_with(NULL, delay, feed, self, &options, NULL);
}

int feed_later(coil_stream_reader *reader, double delay, const char *text)
{
    return call_feed_later(reader, delay, text);
}

int feed_eof_later(coil_stream_reader *reader, double delay)
{
    return call_feed_later(reader, delay, NULL);
}
