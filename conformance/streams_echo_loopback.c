/* A TCP echo over the loopback: a server task per connection, a client, an orderly close on
 * both sides.
 *
 * Why: It is the smallest complete server and client.
 * Tags: real */
#include "kit/kit.h"

static struct items server_lines;
static coil_event over = COIL_EVENT_INIT;

COIL_ASYNC(echo, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)arg;
    char *line;
    ssize_t length;
    append(&server_lines, "server: connection");
    while ((length = coil_stream_readline(reader, &line)) > 0) {
        append(&server_lines, textf("server: %.*s", (int)length - 1, line));
        COIL_TRY(coil_stream_write_nowait(writer, "echo ", 5));
        COIL_TRY(coil_stream_write(writer, line, (size_t)length));
    }
    append(&server_lines, "server: end of stream");
    coil_stream_close(writer);
    COIL_TRY(coil_stream_wait_closed(writer));
    coil_event_set(&over);
    return (int)length;
}

COIL_ASYNC0(amain)
{
    static const char *const words[] = { "one\n", "two\n" };
    coil_server *server;
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    char *line;
    ssize_t length;
    COIL_TRY(coil_start_server(echo, NULL, "127.0.0.1", 0, NULL, &server));
    COIL_TRY(connect_here(coil_server_port(server), &reader, &writer));
    for (int i = 0; i < 2; i++) {
        COIL_TRY(coil_stream_write(writer, words[i], strlen(words[i])));
        COIL_TRY(length = coil_stream_readline(reader, &line));
        say("client:", bytes(line, (size_t)length));
    }
    say("client: closing", coil_stream_is_closing(writer));
    coil_stream_close(writer);
    say("client: closing", coil_stream_is_closing(writer));
    COIL_TRY(hang_up(reader, writer));
    COIL_TRY(coil_event_wait(&over));
    COIL_TRY(stop_server(server));
    for (size_t i = 0; i < server_lines.count; i++)
        say(server_lines.values[i]);
    clear(&server_lines);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
