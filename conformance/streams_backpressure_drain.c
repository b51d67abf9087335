/* drain() returns at once below the high-water mark, waits above it, and goes on below the
 * low-water mark.
 *
 * Several tasks may wait in drain together.
 *
 * Why: Without it a fast writer fills the memory.
 * Tags: real */
#include "kit/kit.h"

#include <sys/socket.h>
#include <unistd.h>

COIL_ASYNC(drains, (const char *, name), (coil_stream_writer *, writer))
{
    COIL_TRY(coil_stream_drain(writer));
    size_t kept = coil_transport_get_write_buffer_size(coil_stream_transport(writer));
    say(name, "drained, buffer at most the low mark:", coil_bool(kept <= 1000));
    return 0;
}

COIL_ASYNC0(amain)
{
    static char data[65536], thousand[1000];
    int pair[2], small = 4096;
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return coil_raise(-errno, "socketpair");
    for (int i = 0; i < 2; i++)
        setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    COIL_TRY(coil_open_connection_sock(pair[0], NULL, &reader, &writer));
    coil_transport *transport = coil_stream_transport(writer);
    COIL_TRY(coil_transport_set_write_buffer_limits(transport, 5000, 1000));
    size_t low, high;
    coil_transport_get_write_buffer_limits(transport, &low, &high);
    say("marks", list(low, high));
    COIL_TRY(coil_stream_write_nowait(writer, "small", 5));
    COIL_TRY(coil_stream_drain(writer));
    say("small write drained at once, buffer", coil_transport_get_write_buffer_size(transport));
    size_t left_to_read = 5;
    memset(thousand, 'x', sizeof thousand);
    while (coil_transport_get_write_buffer_size(transport) <= 5000) {
        COIL_TRY(coil_stream_write_nowait(writer, thousand, sizeof thousand));
        left_to_read += sizeof thousand;
    }
    coil_task *tasks[2];
    tasks[0] = coil_create_task(drains("a", writer));
    tasks[1] = coil_create_task(drains("b", writer));
    for (int i = 0; i < 20; i++)
        COIL_TRY(coil_sleep(0));
    say("nobody reads: drained", list(coil_future_done(tasks[0]), coil_future_done(tasks[1])));
    while (left_to_read > 0) {
        ssize_t got;
        COIL_TRY(got = coil_sock_recv(pair[1], data, sizeof data));
        left_to_read -= (size_t)got;
    }
    COIL_TRY(coil_gather(NULL, tasks[0], tasks[1]));
    say("all received, buffer", coil_transport_get_write_buffer_size(transport));
    unref_all(tasks, 2);
    coil_stream_close(writer);
    COIL_TRY(coil_stream_wait_closed(writer));
    coil_unref(writer);
    coil_unref(reader);
    coil_sock_close(pair[1]);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
