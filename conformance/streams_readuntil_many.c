/* readuntil with several separators (3.13): the one that ends first in the data wins.
 *
 * Why: Choosing the wrong separator splits messages in the wrong place. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    static const char *const pieces[] = { "one\r", "\ntwo\nthree", "\r\rfour;", "five\r\nsix" };
    static const char *const separators[][2] = { { "\r\n", "\n" },       { "\n", "\r\n" },
                                                 { "\r\r", "\r\n" },     { "\r\n", ";" },
                                                 { "\r\n", "five\r\n" }, { "\n", ";" } };
    coil_stream_reader *reader = coil_stream_reader_new(0);
    for (int i = 0; i < 4; i++)
        COIL_TRY(feed_later(reader, i + 1, pieces[i]));
    COIL_TRY(feed_eof_later(reader, 5));
    char *data = NULL;
    for (int i = 0; i < 6; i++) {
        struct iovec both[2];
        for (int j = 0; j < 2; j++)
            both[j] = (struct iovec){ (void *)(uintptr_t)separators[i][j],
                                      strlen(separators[i][j]) };
        ssize_t length = coil_stream_readuntil_any(reader, both, 2, &data);
        at(read_bytes(reader, length, data, "sep"));
    }
    ssize_t length = coil_stream_readuntil_any(reader, NULL, 0, &data);
    say("no separator at all:", kind((int)length));
    coil_unref(reader);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
