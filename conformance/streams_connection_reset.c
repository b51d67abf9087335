/* A peer that resets the connection: the reader raises CONNECTION_RESET, and so does drain
 * afterwards.
 *
 * Why: A reset must reach everyone who waits on either half.
 * Tags: real */
#include "kit/kit.h"

#include <sys/socket.h>

COIL_ASYNC(rude, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)arg;
    char four[4];
    struct linger linger = { 1, 0 };
    COIL_TRY(coil_stream_readexactly(reader, four, 4));
    int sock = coil_transport_fd(coil_stream_transport(writer));
    setsockopt(sock, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    coil_transport_abort(coil_stream_transport(writer));
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_server *server;
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    coil_value all;
    COIL_TRY(coil_start_server(rude, NULL, "127.0.0.1", 0, NULL, &server));
    COIL_TRY(connect_here(coil_server_port(server), &reader, &writer));
    COIL_TRY(coil_stream_write_nowait(writer, "ping", 4));
    int rc = read_all(reader, &all);
    say("read", kind(rc));
    rc = read_all(reader, &all);
    say("again", kind(rc));
    rc = coil_stream_drain(writer);
    say("drain", kind(rc));
    rc = coil_stream_wait_closed(writer);
    say("wait_closed", kind(rc));
    coil_unref(writer);
    coil_unref(reader);
    return stop_server(server);
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
