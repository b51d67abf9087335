/* A connection's life: connection_made, data_received, eof_received, connection_lost(none),
 * each in its own iteration.
 *
 * The connecting coroutine resumes after connection_made. A protocol that does not ask to keep
 * a half-closed connection has it closed for it.
 *
 * Why: Every protocol is a state machine driven by exactly this order.
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

static int create(void *arg, void **self_out)
{
    struct protocol *self = arg;
    self->over = coil_create_future(NULL);
    say("protocol made");
    *self_out = self;
    return 0;
}

static int connection_made(COIL_UNUSED void *self, COIL_UNUSED coil_transport *transport)
{
    say("connection_made");
    return 0;
}

static int data_received(COIL_UNUSED void *self, const void *data, size_t count)
{
    say("data_received", bytes(data, count));
    return call_soon(NULL, say, "one iteration after the data");
}

static int eof_received(COIL_UNUSED void *self)
{
    say("eof_received");
    return 0;
}

static int connection_lost(void *self, int code)
{
    say("connection_lost", kind(code));
    return coil_future_set_result(((struct protocol *)self)->over, coil_nil());
}

static const coil_protocol protocol = {
    .size = sizeof protocol,
    .create = create,
    .connection_made = connection_made,
    .data_received = data_received,
    .eof_received = eof_received,
    .connection_lost = connection_lost,
};

COIL_ASYNC0(amain)
{
    int ends[2];
    coil_transport *transport;
    COIL_TRY(pair(ends));
    send(ends[1], "hello", 5, 0);
    struct protocol self;
    COIL_TRY(coil_create_connection_sock(&protocol, &self, ends[0], NULL, &transport));
    say("connected, closing", coil_bool(coil_transport_is_closing(transport)));
    COIL_TRY(coil_sleep(0.01));
    shutdown(ends[1], SHUT_WR);
    COIL_TRY(join(self.over, NULL));
    char data[10];
    ssize_t got = recv(ends[1], data, sizeof data, 0);
    say("closing", coil_bool(coil_transport_is_closing(transport)),
        "peer sees the end:", bytes(data, (size_t)got));
    close(ends[1]);
    coil_unref(transport);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
