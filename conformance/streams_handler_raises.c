/* An error in a connection's handler goes to the exception handler; the connection is
 * closed, the server lives on.
 *
 * Why: One bad request must not take the server down.
 * Tags: real */
#include "kit/kit.h"

COIL_ASYNC(serve, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)arg;
    char *line;
    ssize_t length;
    COIL_TRY(length = coil_stream_readline(reader, &line));
    if (strcmp(line, "bad\n") == 0)
        return boom("handler");
    COIL_TRY(coil_stream_write_nowait(writer, "fine\n", 5));
    coil_stream_close(writer);
    return 0;
}

COIL_ASYNC(ask, (int, port), (const char *, line))
{
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    coil_value answer;
    COIL_TRY(connect_here(port, &reader, &writer));
    COIL_TRY(coil_stream_write_nowait(writer, line, strlen(line)));
    COIL_TRY(read_all(reader, &answer));
    say("answer to", bytes(line, strlen(line)), answer);
    return hang_up(reader, writer);
}

COIL_ASYNC0(amain)
{
    coil_server *server;
    coil_set_exception_handler(NULL, print_event, NULL);
    COIL_TRY(coil_start_server(serve, NULL, "127.0.0.1", 0, NULL, &server));
    int port = coil_server_port(server);
    COIL_TRY(coil_await(ask(port, "bad\n"), NULL));
    COIL_TRY(coil_await(ask(port, "good\n"), NULL));
    return stop_server(server);
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
