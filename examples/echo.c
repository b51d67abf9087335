/* A TCP echo server: a task for each connection, and Ctrl-C ends it in order.
 *
 *     echo [PORT]         0, the default: any free one, which it prints
 *
 * Without a terminal to press Ctrl-C on, it is also its own client: with --self it talks to itself once and
 * ends.
 *
 * Tests run it with: --self
 * Explored as: amain(0, true)
 * Explored as a run: connections that are being served are ended by coil_run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coil/coil.h>

COIL_ASYNC(echo, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)arg;
    char *data;
    ssize_t bytes;
    while ((bytes = coil_stream_read_chunk(reader, &data)) > 0)
        COIL_TRY(coil_stream_write(writer, data, (size_t)bytes));
    return (int)bytes;
}

static int talk(int port)
{
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    char *line;
    COIL_TRY(coil_open_connection("127.0.0.1", port, NULL, &reader, &writer));
    int rc = coil_stream_write(writer, "hello, echo\n", 12);
    if (rc == 0)
        rc = (int)coil_stream_readline(reader, &line);
    if (rc > 0)
        printf("the server says: %s", line);
    coil_stream_close(writer);
    coil_unref(writer);
    coil_unref(reader);
    return rc < 0 ? rc : 0;
}

COIL_ASYNC(amain, (int, port), (bool, self))
{
    coil_server *server;
    COIL_TRY(coil_start_server(echo, NULL, "127.0.0.1", port, NULL, &server));
    port = coil_server_port(server);
    printf("listening on port %d\n", port);
    fflush(stdout);
    int rc = self ? COIL_TIMEOUT(5, talk(port)) : coil_server_serve_forever(server);
    int left = coil_server_shutdown(server, 1);
    coil_unref(server);
    return rc < 0 ? rc : left < 0 ? left : 0;
}

int main(int argc, char **argv)
{
    bool self = argc > 1 && strcmp(argv[1], "--self") == 0;
    return coil_main(amain(argc > 1 && !self ? atoi(argv[1]) : 0, self));
}
