/* Two tasks must not wait on one reader at the same time: the second is refused, the first
 * goes on.
 *
 * Why: Data would go to one of them at random. */
#include "kit/kit.h"

COIL_ASYNC(reads, (const char *, name), (coil_stream_reader *, reader))
{
    char *line;
    ssize_t length = coil_stream_readline(reader, &line);
    if (length < 0)
        at(name, kind((int)length));
    else
        at(name, "got", bytes(line, (size_t)length));
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_stream_reader *reader = coil_stream_reader_new(0);
    COIL_TRY(feed_later(reader, 1, "line\n"));
    COIL_TRY(coil_gather(NULL, reads("a", reader), reads("b", reader)));
    coil_unref(reader);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
