/* The same over a Unix socket, with the client ending its half first and still reading the
 * answer.
 *
 * Why: Local services use it, and half-close is how a request ends there.
 * Tags: real */
#include "kit/kit.h"

#include <ctype.h>
#include <sys/socket.h>
#include <unistd.h>

COIL_ASYNC(serve, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)arg;
    char *data;
    size_t count;
    COIL_TRY(coil_stream_read_all(reader, SIZE_MAX, &data, &count));
    for (size_t i = 0; i < count; i++)
        data[i] = (char)toupper(data[i]);
    COIL_TRY(coil_stream_write_nowait(writer, data, count));
    coil_free(data);
    COIL_TRY(coil_stream_write_eof(writer));
    coil_stream_close(writer);
    return coil_stream_wait_closed(writer);
}

COIL_ASYNC(talk, (const char *, path))
{
    struct iovec pieces[] = { { "three ", 6 }, { "pieces, ", 8 }, { "one answer", 10 } };
    coil_server *server;
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    coil_value answer;
    COIL_TRY(coil_start_unix_server(serve, NULL, path, NULL, &server));
    COIL_TRY(coil_open_unix_connection(path, NULL, &reader, &writer));
    COIL_TRY(coil_stream_writelines_nowait(writer, pieces, 3));
    say("can end its half", coil_stream_can_write_eof(writer));
    COIL_TRY(coil_stream_write_eof(writer));
    COIL_TRY(read_all(reader, &answer));
    say("answer", answer);
    COIL_TRY(hang_up(reader, writer));
    return stop_server(server);
}

COIL_ASYNC0(amain)
{
    char folder[] = "/tmp/coil-XXXXXX";
    if (!mkdtemp(folder))
        return coil_raise(-errno, "mkdtemp");
    int rc = coil_await(talk(textf("%s/socket", folder)), NULL);
    rmdir(folder);
    return rc;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
