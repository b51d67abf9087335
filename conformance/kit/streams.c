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
