/* A reader iterated asynchronously gives lines, with their ends, until the stream ends; the
 * last may lack its end.
 *
 * Why: Line protocols are written this way. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    static const char *const pieces[] = { "one\ntw", "o\n\nthree\n", "last" };
    coil_stream_reader *reader = coil_stream_reader_new(0);
    for (int i = 0; i < 3; i++)
        COIL_TRY(feed_later(reader, i + 1, pieces[i]));
    COIL_TRY(feed_eof_later(reader, 4));
    char *line;
    ssize_t length;
    while ((length = coil_stream_readline(reader, &line)) > 0)
        at(bytes(line, (size_t)length));
    at("end");
    coil_unref(reader);
    return (int)length;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
