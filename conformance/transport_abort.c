/* abort() throws away what is buffered; connection_lost comes in the next iteration,
 * without an error.
 *
 * Why: Emergency exit must be immediate and must still report the end once.
 * Tags: real */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "kit/kit.h"

static int pair(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ? coil_raise(-errno, "pair")
                                                                        : 0;
}

/* A pair whose left end takes little. */
static int narrow_pair(int ends[2])
{
    int room = 4096;
    COIL_TRY(pair(ends));
    return setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) < 0
               ? coil_raise(-errno, "SO_SNDBUF")
               : 0;
}

static int connection_lost(COIL_UNUSED void *self, int code)
{
    say("connection_lost", kind(code));
    return 0;
}

static const coil_protocol protocol = { .size = sizeof protocol,
                                        .connection_lost = connection_lost };

COIL_ASYNC0(amain)
{
    static char ones[1000000];
    int ends[2];
    coil_transport *transport;
    COIL_TRY(narrow_pair(ends));
    COIL_TRY(coil_create_connection_sock(&protocol, NULL, ends[0], NULL, &transport));
    COIL_TRY(coil_transport_write(transport, ones, sizeof ones));
    coil_transport_abort(transport);
    say("aborted, buffer", coil_transport_get_write_buffer_size(transport), "closing",
        coil_bool(coil_transport_is_closing(transport)));
    coil_transport_abort(transport);
    coil_transport_close(transport);
    COIL_TRY(coil_sleep(0));
    say("one iteration later");
    size_t received = 0;
    ssize_t got;
    static char data[65536];
    while ((got = recv(ends[1], data, sizeof data, 0)) > 0)
        received += (size_t)got;
    say("peer got all:", coil_bool(received == sizeof ones));
    close(ends[1]);
    coil_unref(transport);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
