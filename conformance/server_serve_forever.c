/* serve_forever runs until its task is cancelled, and closes the server then; so does
 * leaving its block.
 *
 * Why: Cancelling that task is the normal way of stopping a server.
 * Tags: real */
#include "kit/kit.h"

COIL_ASYNC(greet, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)reader, (void)arg;
    COIL_TRY(coil_stream_write_nowait(writer, "hello", 5));
    coil_stream_close(writer);
    return 0;
}

static int ask(int port, coil_value *answer_out)
{
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    COIL_TRY(connect_here(port, &reader, &writer));
    COIL_TRY(read_all(reader, answer_out));
    return hang_up(reader, writer);
}

COIL_ASYNC(serves, (coil_server *, server))
{
    return coil_server_serve_forever(server);
}

COIL_ASYNC0(amain)
{
    coil_server_options not_yet = COIL_SERVER_OPTIONS_INIT;
    coil_stream_server_options options = COIL_STREAM_SERVER_OPTIONS_INIT;
    coil_server *server;
    coil_value answer;
    not_yet.no_serving = true;
    options.server = &not_yet;
    COIL_TRY(coil_start_server(greet, NULL, "127.0.0.1", 0, &options, &server));
    int port = coil_server_port(server);
    say("serving", coil_server_is_serving(server));
    coil_task *task = coil_create_task(serves(server));
    COIL_TRY(coil_sleep(0));
    bool serving = coil_server_is_serving(server);
    COIL_TRY(ask(port, &answer));
    say("serving", serving, answer);
    int rc = coil_server_serve_forever(server);
    say("twice:", kind(rc));
    coil_task_cancel(task, NULL);
    COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    say("cancelled", coil_future_cancelled(task), "serving", coil_server_is_serving(server));
    coil_unref(task);
    coil_unref(server);
    COIL_TRY(coil_start_server(greet, NULL, "127.0.0.1", 0, NULL, &server));
    COIL_TRY(ask(coil_server_port(server), &answer));
    say(answer);
    coil_server_close(server);
    COIL_TRY(coil_server_wait_closed(server));
    say("after the block, serving", coil_server_is_serving(server));
    rc = coil_server_serve_forever(server);
    say("a closed server:", kind(rc));
    coil_unref(server);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
