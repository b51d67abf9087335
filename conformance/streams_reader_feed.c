/* A stream reader without a socket, fed by timers: what read, readexactly, readuntil and
 * readline wait for.
 *
 * read(n) is content with whatever is there; the others wait for all they need; read without a
 * number waits for the end.
 *
 * Why: The exact waiting rules decide whether protocols hang. */
#include "kit/kit.h"

static coil_value read_some(coil_stream_reader *reader, size_t limit)
{
    char data[16];
    ssize_t got = coil_stream_read(reader, data, limit);
    return read_bytes(reader, got, data, "");
}

static coil_value read_exactly(coil_stream_reader *reader, size_t count)
{
    char data[16];
    int rc = coil_stream_readexactly(reader, data, count);
    return read_bytes(reader, rc < 0 ? rc : (ssize_t)count, data, "");
}

static coil_value read_line(coil_stream_reader *reader)
{
    char *line = NULL;
    ssize_t length = coil_stream_readline(reader, &line);
    return read_bytes(reader, length, line, "sep");
}

COIL_ASYNC0(amain)
{
    static const char *const pieces[] = { "abc", "defg", "hij\nkl", "m\nnop;q", "rest", " of it" };
    coil_stream_reader *reader = coil_stream_reader_new(0);
    for (int i = 0; i < 6; i++)
        COIL_TRY(feed_later(reader, i + 1, pieces[i]));
    COIL_TRY(feed_eof_later(reader, 7));
    coil_value got = read_some(reader, 10);
    at("read(10)", got);
    got = read_some(reader, 2);
    at("read(2)", got);
    got = read_exactly(reader, 3);
    at("readexactly(3)", got);
    got = read_line(reader);
    at("readline", got);
    got = read_line(reader);
    at("readline", got);
    char *data = NULL;
    ssize_t length = coil_stream_readuntil(reader, ";", &data);
    at("readuntil ;", read_bytes(reader, length, data, "sep"));
    got = read_some(reader, 0);
    at("read(0)", got);
    at("at end", coil_stream_at_eof(reader));
    size_t count;
    COIL_TRY(coil_stream_read_all(reader, 100, &data, &count));
    at("read()", bytes(data, count));
    coil_free(data);
    at("at end", coil_stream_at_eof(reader));
    got = read_some(reader, 5);
    coil_value line = read_line(reader);
    coil_value exactly = read_exactly(reader, 0);
    at("read(5)", got, "readline", line, "readexactly(0)", exactly);
    coil_unref(reader);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
