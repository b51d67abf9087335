/* close_clients() and abort_clients() (3.13) end the connections that close() leaves alone.
 *
 * Why: A server that must end now cannot wait for its clients to leave.
 * Tags: real */
#include "kit/kit.h"

static coil_event connected = COIL_EVENT_INIT;

COIL_ASYNC(hold, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)writer, (void)arg;
    coil_value all;
    coil_event_set(&connected);
    return read_all(reader, &all);
}

COIL_ASYNC0(amain)
{
    static const char *const names[] = { "close_clients", "abort_clients" };
    for (int i = 0; i < 2; i++) {
        coil_server *server;
        coil_stream_reader *reader;
        coil_stream_writer *writer;
        coil_value all;
        COIL_TRY(coil_start_server(hold, NULL, "127.0.0.1", 0, NULL, &server));
        COIL_TRY(connect_here(coil_server_port(server), &reader, &writer));
        COIL_TRY(coil_event_wait(&connected));
        coil_event_clear(&connected);
        coil_server_close(server);
        if (i == 0)
            coil_server_close_clients(server);
        else
            coil_server_abort_clients(server);
        COIL_TRY(coil_server_wait_closed(server));
        COIL_TRY(read_all(reader, &all));
        say(names[i], "client reads", all);
        COIL_TRY(hang_up(reader, writer));
        coil_unref(server);
    }
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
