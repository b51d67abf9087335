/* close() stops listening and leaves connections alone; wait_closed() waits for those to
 * end, too.
 *
 * Why: Graceful shutdown means exactly this: no new connections, old ones finish.
 * Tags: real */
#include "kit/kit.h"

COIL_ASYNC(echo, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)arg;
    char *line;
    ssize_t length;
    while ((length = coil_stream_readline(reader, &line)) > 0)
        COIL_TRY(coil_stream_write_nowait(writer, line, (size_t)length));
    coil_stream_close(writer);
    return (int)length;
}

COIL_ASYNC(waits, (coil_server *, server))
{
    COIL_TRY(coil_server_wait_closed(server));
    say("wait_closed returned");
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_server *server;
    coil_stream_reader *reader, *other_reader;
    coil_stream_writer *writer, *other_writer;
    char *line;
    ssize_t length;
    COIL_TRY(coil_start_server(echo, NULL, "127.0.0.1", 0, NULL, &server));
    int port = coil_server_port(server);
    say("serving", coil_server_is_serving(server));
    COIL_TRY(connect_here(port, &reader, &writer));
    COIL_TRY(coil_stream_write_nowait(writer, "one\n", 4));
    COIL_TRY(length = coil_stream_readline(reader, &line));
    say("answer", bytes(line, (size_t)length));
    coil_task *waiter = coil_create_task(waits(server));
    COIL_TRY(coil_sleep(0));
    coil_server_close(server);
    say("serving", coil_server_is_serving(server), "sockets", coil_server_sockets(server, NULL, 0));
    if (connect_here(port, &other_reader, &other_writer) == -ECONNREFUSED)
        say("a new connection is refused");
    COIL_TRY(coil_stream_write_nowait(writer, "two\n", 4));
    COIL_TRY(length = coil_stream_readline(reader, &line));
    say("answer on the old connection", bytes(line, (size_t)length), "waiter done",
        coil_future_done(waiter));
    COIL_TRY(hang_up(reader, writer));
    COIL_TRY(join(waiter, NULL));
    COIL_TRY(coil_server_wait_closed(server));
    say("a second wait returns at once");
    coil_unref(server);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
