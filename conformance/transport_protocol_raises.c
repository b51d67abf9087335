/* An error in data_received is fatal for the connection: it goes to the exception handler,
 * then to connection_lost.
 *
 * Why: A broken protocol must not keep a connection open, or be silent.
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

static int data_received(COIL_UNUSED void *self, COIL_UNUSED const void *data,
                         COIL_UNUSED size_t count)
{
    return boom("data");
}

static int connection_lost(void *self, int code)
{
    say("connection_lost", kind(code));
    return coil_future_set_result(((struct protocol *)self)->over, coil_nil());
}

static const coil_protocol protocol = { .size = sizeof protocol,
                                        .data_received = data_received,
                                        .connection_lost = connection_lost };

COIL_ASYNC0(amain)
{
    int ends[2];
    coil_transport *transport;
    coil_set_exception_handler(NULL, print_event, NULL);
    COIL_TRY(pair(ends));
    struct protocol self = { .over = coil_create_future(NULL) };
    COIL_TRY(coil_create_connection_sock(&protocol, &self, ends[0], NULL, &transport));
    send(ends[1], "x", 1, 0);
    COIL_TRY(join(self.over, NULL));
    char data[10];
    ssize_t got = recv(ends[1], data, sizeof data, 0);
    say("closing", coil_bool(coil_transport_is_closing(transport)), "peer sees",
        bytes(data, (size_t)got));
    close(ends[1]);
    coil_unref(transport);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
