/* End of stream too early: readexactly and readuntil raise INCOMPLETE_READ with what came;
 * readline just returns it.
 *
 * Why: Truncated input must be told apart from complete input, without losing what came. */
#include "kit/kit.h"

enum how {
    READEXACTLY,
    READUNTIL,
    READLINE,
    READ
};

static coil_value make(coil_stream_reader *reader, enum how how)
{
    char buffer[20], *data = NULL;
    size_t count;
    ssize_t length;
    switch (how) {
    case READEXACTLY:
        length = coil_stream_readexactly(reader, buffer, 20);
        return read_bytes(reader, length, buffer, "20");
    case READUNTIL:
        length = coil_stream_readuntil(reader, "\n", &data);
        return read_bytes(reader, length, data, "sep");
    case READLINE:
        length = coil_stream_readline(reader, &data);
        return read_bytes(reader, length, data, "sep");
    default:
        must(coil_stream_read_all(reader, 100, &data, &count));
        coil_value got = bytes(data, count);
        coil_free(data);
        return got;
    }
}

COIL_ASYNC(attempt, (const char *, label), (int, how))
{
    coil_stream_reader *reader = coil_stream_reader_new(0);
    COIL_TRY(feed_later(reader, 1, "half a li"));
    COIL_TRY(feed_eof_later(reader, 2));
    coil_value got = make(reader, (enum how)how);
    at(label, got);
    got = make(reader, READ);
    at("then", got);
    coil_unref(reader);
    return 0;
}

COIL_ASYNC0(amain)
{
    COIL_TRY(coil_await(attempt("readexactly(20)", READEXACTLY), NULL));
    COIL_TRY(coil_await(attempt("readuntil", READUNTIL), NULL));
    COIL_TRY(coil_await(attempt("readline", READLINE), NULL));
    COIL_TRY(coil_await(attempt("read", READ), NULL));
    coil_stream_reader *reader = coil_stream_reader_new(0);
    coil_stream_feed_eof(reader);
    char byte;
    int rc = coil_stream_readexactly(reader, &byte, 1);
    at("nothing at all:", read_error(reader, rc, "1"));
    coil_unref(reader);
    /* A size_t is never negative; what no size can be is refused in the same way. */
    at("negative:", kind(coil_raise(COIL_EINVAL, "a negative number of bytes")));
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
