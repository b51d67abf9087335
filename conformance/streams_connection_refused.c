/* Connecting to a port nobody listens on: CONNECTION_REFUSED, and the loop is not harmed.
 *
 * Why: The commonest network error must come as that error, promptly.
 * Tags: real */
#include "kit/kit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

/* Bound but not listening: refuses. */
static int bind_here(int probe, int *port_out)
{
    struct sockaddr_in here = { .sin_family = AF_INET };
    socklen_t length = sizeof here;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(probe, (struct sockaddr *)&here, length) < 0 ||
        getsockname(probe, (struct sockaddr *)&here, &length) < 0)
        return coil_raise(-errno, "bind");
    *port_out = ntohs(here.sin_port);
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 0;
    COIL_TRY(bind_here(probe, &port));
    say(kind(connect_here(port, &reader, &writer)));
    close(probe);
    say("goes on");
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
