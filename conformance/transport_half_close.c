/* A protocol may keep a connection whose peer has ended its half, and answer; write_eof
 * ends its own half.
 *
 * Why: Protocols that answer after the request's end depend on it.
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
    coil_transport *transport;
    coil_future *over;
    char data[100];
    size_t count;
};

static int connection_made(void *self, coil_transport *transport)
{
    ((struct protocol *)self)->transport = transport;
    return 0;
}

static int data_received(void *arg, const void *data, size_t count)
{
    struct protocol *self = arg;
    memcpy(self->data + self->count, data, count);
    self->count += count;
    return 0;
}

static int answer(void *arg)
{
    coil_transport *transport = ((struct protocol *)arg)->transport;
    say("still open:", coil_bool(!coil_transport_is_closing(transport)));
    COIL_TRY(coil_transport_write(transport, "answer", 6));
    COIL_TRY(coil_transport_write_eof(transport));
    int rc = coil_transport_write(transport, "too late", 8);
    if (rc < 0)
        say("write after write_eof:", kind(rc));
    coil_transport_close(transport);
    return 0;
}

static int eof_received(void *arg)
{
    struct protocol *self = arg;
    say("eof_received after", bytes(self->data, self->count));
    COIL_TRY(coil_call_soon(NULL, answer, self, NULL));
    return 1;
}

static int connection_lost(void *self, int code)
{
    say("connection_lost", kind(code));
    return coil_future_set_result(((struct protocol *)self)->over, coil_nil());
}

static const coil_protocol protocol = {
    .size = sizeof protocol,
    .connection_made = connection_made,
    .data_received = data_received,
    .eof_received = eof_received,
    .connection_lost = connection_lost,
};

COIL_ASYNC0(amain)
{
    int ends[2];
    COIL_TRY(pair(ends));
    send(ends[1], "question", 8, 0);
    shutdown(ends[1], SHUT_WR);
    struct protocol self = { .over = coil_create_future(NULL) };
    COIL_TRY(coil_create_connection_sock(&protocol, &self, ends[0], NULL, NULL));
    COIL_TRY(join(self.over, NULL));
    char first[100], second[100];
    ssize_t got = recv(ends[1], first, sizeof first, 0);
    ssize_t more = recv(ends[1], second, sizeof second, 0);
    say("peer got", bytes(first, (size_t)got), bytes(second, (size_t)more));
    close(ends[1]);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
