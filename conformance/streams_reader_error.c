/* An error set on a reader reaches the waiting task and every later read, even with data
 * left.
 *
 * A cancelled read loses no data.
 *
 * Why: A broken connection must not look like a short message. */
#include "kit/kit.h"

COIL_ASYNC(read_line, (coil_stream_reader *, reader))
{
    char *line;
    ssize_t length;
    COIL_TRY(length = coil_stream_readline(reader, &line));
    coil_return(bytes(line, (size_t)length));
}

static int break_down(void *reader)
{
    return coil_stream_set_exception(reader, boom("line is down"));
}

COIL_ASYNC0(amain)
{
    coil_stream_reader *reader = coil_stream_reader_new(0);
    coil_task *task = coil_create_task(read_line(reader));
    COIL_TRY(feed_later(reader, 1, "half"));
    COIL_TRY(coil_call_later(NULL, 2, do_cancel, task, NULL));
    int rc = coil_await(task, NULL);
    at("read", kind(rc));
    coil_unref(task);
    COIL_TRY(feed_later(reader, 1, " line\nmore"));
    coil_value line;
    COIL_TRY(coil_await(read_line(reader), &line));
    at("nothing lost:", line);
    COIL_TRY(coil_call_later(NULL, 1, break_down, reader, NULL));
    for (int i = 0; i < 2; i++) {
        char data[10];
        rc = coil_stream_readexactly(reader, data, 10);
        at(kind(rc));
    }
    at("exception", kind(coil_stream_exception(reader)));
    coil_unref(reader);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
