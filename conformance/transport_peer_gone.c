/* Writing to a peer that is gone: connection_lost with BROKEN_PIPE; many more writes draw a
 * warning, not an error.
 *
 * Why: Writers must learn of it once, and a loop that goes on writing must not drown in
 * errors.
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

struct protocol {
    coil_future *over;
};

static int eof_received(COIL_UNUSED void *self)
{
    return 1;
}

static int connection_lost(void *self, int code)
{
    say("connection_lost", kind(code));
    return coil_future_set_result(((struct protocol *)self)->over, coil_nil());
}

static const coil_protocol protocol = { .size = sizeof protocol,
                                        .eof_received = eof_received,
                                        .connection_lost = connection_lost };

COIL_ASYNC0(amain)
{
    int ends[2];
    coil_transport *transport;
    COIL_TRY(pair(ends));
    struct protocol self = { .over = coil_create_future(NULL) };
    COIL_TRY(coil_create_connection_sock(&protocol, &self, ends[0], NULL, &transport));
    coil_transport_pause_reading(transport);
    close(ends[1]);
    for (int i = 0; i < 7; i++)
        COIL_TRY(coil_transport_write(transport, "data", 4));
    say("seven writes made");
    COIL_TRY(join(self.over, NULL));
    coil_unref(transport);
    return 0;
}

int main(void)
{
    print_log();
    must(run(amain(), REAL, NULL));
}
