/* Ten clients at once, each with its own conversation on the server; nothing gets mixed up.
 *
 * Why: Buffers and waiters belong to one connection each; load shows when they do not.
 * Tags: real */
#include "kit/kit.h"

enum {
    CLIENTS = 10
};

COIL_ASYNC(serve, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)arg;
    char *line, answer[32];
    ssize_t length;
    int total = 0;
    while ((length = coil_stream_readline(reader, &line)) > 0) {
        total += atoi(line);
        int bytes = snprintf(answer, sizeof answer, "%d\n", total);
        COIL_TRY(coil_stream_write(writer, answer, (size_t)bytes));
    }
    coil_stream_close(writer);
    return (int)length;
}

COIL_ASYNC(client, (int, port), (int, n), (coil_value *, sums_out))
{
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    coil_value sums[5];
    char *line, text[32];
    ssize_t length;
    COIL_TRY(connect_here(port, &reader, &writer));
    for (int i = 0; i < 5; i++) {
        int bytes = snprintf(text, sizeof text, "%d\n", n * 10 + i);
        COIL_TRY(coil_stream_write_nowait(writer, text, (size_t)bytes));
        COIL_TRY(length = coil_stream_readline(reader, &line));
        sums[i] = coil_int(atoi(line));
    }
    *sums_out = list_of(sums, 5);
    return hang_up(reader, writer);
}

COIL_ASYNC0(amain)
{
    coil_server *server;
    coil_task *tasks[CLIENTS];
    coil_value sums[CLIENTS];
    COIL_TRY(coil_start_server(serve, NULL, "127.0.0.1", 0, NULL, &server));
    int port = coil_server_port(server);
    for (int n = 0; n < CLIENTS; n++)
        tasks[n] = coil_create_task(client(port, n, &sums[n]));
    COIL_TRY(coil_wait(tasks, CLIENTS, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    for (int n = 0; n < CLIENTS; n++) {
        COIL_TRY(join(tasks[n], NULL));
        say("client", n, sums[n]);
    }
    return stop_server(server);
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
