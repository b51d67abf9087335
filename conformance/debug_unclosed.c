/* Things released while still open are reported: an event loop, a transport.
 *
 * Why: Leaked transports keep sockets open and are hard to find by other means.
 * Tags: real, optional */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "kit/kit.h"

static int pair(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ? coil_raise(-errno, "pair")
                                                                        : 0;
}

static const coil_protocol protocol = { .size = sizeof protocol };

COIL_ASYNC0(amain)
{
    int ends[2];
    COIL_TRY(pair(ends));
    COIL_TRY(coil_create_connection_sock(&protocol, NULL, ends[0], NULL, NULL));
    say("connected");
    close(ends[1]);
    return 0;
}

int main(void)
{
    print_warnings();
    coil_loop *loop = new_loop(REAL);
    must(coil_run_until_complete(loop, amain(), NULL));
    end_loop(loop);
    say("transport done");
    loop = new_loop(0);
    coil_unref(loop);
    say("end");
}
