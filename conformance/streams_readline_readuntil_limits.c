/* The reader's limit: readuntil raises LIMIT_OVERRUN and keeps the data; readline raises
 * VALUE and drops it.
 *
 * consumed says how many bytes can surely be skipped. The limit counts without the separator.
 *
 * Why: The limit is a defence against hostile input, and callers recover by it. */
#include "kit/kit.h"

enum how {
    READLINE,
    READUNTIL,
    READ,
    READEXACTLY
};

static coil_stream_reader *filled_with(const char *data, bool end)
{
    coil_stream_reader *reader = coil_stream_reader_new(8);
    must(coil_stream_feed_data(reader, data, strlen(data)));
    if (end)
        coil_stream_feed_eof(reader);
    return reader;
}

static coil_stream_reader *filled(const char *data)
{
    return filled_with(data, false);
}

/* arg: the separator, or "" for none that is valid. */
static void attempt(const char *label, coil_stream_reader *reader, enum how how, const char *arg)
{
    char *data = NULL, buffer[20];
    ssize_t length;
    switch (how) {
    case READLINE:
        length = coil_stream_readline(reader, &data);
        break;
    case READUNTIL:
        length = coil_stream_readuntil(reader, arg, &data);
        break;
    case READ:
        data = buffer;
        length = coil_stream_read(reader, data, 20);
        break;
    default:
        data = buffer;
        length = coil_stream_readexactly(reader, data, 12);
        length = length < 0 ? length : 12;
    }
    say(label, read_bytes(reader, length, data, "sep"));
}

/* The same with a reader that nobody else uses. */
static void attempt_once(const char *label, coil_stream_reader *reader, enum how how,
                         const char *arg)
{
    attempt(label, reader, how, arg);
    coil_unref(reader);
}

COIL_ASYNC0(amain)
{
    attempt_once("readline at the limit:", filled("12345678\nx"), READLINE, NULL);
    coil_stream_reader *reader = filled("123456789\nnext\n");
    attempt("readuntil, one over:", reader, READUNTIL, "\n");
    attempt_once("the data is still there:", reader, READ, NULL);
    reader = filled("123456789\nnext\n");
    attempt("readline, one over:", reader, READLINE, NULL);
    attempt_once("the line was dropped:", reader, READLINE, NULL);
    reader = filled("1234567890abc");
    attempt("no separator, readuntil:", reader, READUNTIL, "\n");
    attempt("no separator, readline:", reader, READLINE, NULL);
    COIL_TRY(coil_stream_feed_data(reader, "next\n", 5));
    attempt_once("the buffer was cleared:", reader, READLINE, NULL);
    attempt_once("long separator:", filled("123456789ENDx"), READUNTIL, "END");
    attempt_once("long separator, half there:", filled("1234567890EN"), READUNTIL, "END");
    attempt_once("a limit does not bind read:", filled("1234567890abc"), READ, NULL);
    attempt_once("nor readexactly:", filled("1234567890abc"), READEXACTLY, NULL);
    attempt_once("empty separator:", filled("123"), READUNTIL, "");
    attempt_once("end without separator:", filled_with("123", true), READUNTIL, "\n");
    attempt_once("separator at the end:", filled_with("123\n", true), READUNTIL, "\n");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
