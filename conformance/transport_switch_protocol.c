/* set_protocol puts another protocol on a live connection; it gets the following data, not
 * connection_made.
 *
 * Why: Upgrades (TLS, WebSocket) change the protocol under a live connection.
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
    const char *name;
    coil_event seen;
};

static int connection_made(void *self, COIL_UNUSED coil_transport *transport)
{
    say(((struct protocol *)self)->name, "connection_made");
    return 0;
}

static int data_received(void *arg, const void *data, size_t count)
{
    struct protocol *self = arg;
    say(self->name, "data_received", bytes(data, count));
    coil_event_set(&self->seen);
    return 0;
}

static int connection_lost(void *arg, int code)
{
    struct protocol *self = arg;
    say(self->name, "connection_lost", kind(code));
    coil_event_set(&self->seen);
    return 0;
}

static const coil_protocol protocol = {
    .size = sizeof protocol,
    .connection_made = connection_made,
    .data_received = data_received,
    .connection_lost = connection_lost,
};

COIL_ASYNC0(amain)
{
    int ends[2];
    coil_transport *transport;
    struct protocol first = { .name = "first" }, second = { .name = "second" };
    coil_event_init(&first.seen);
    coil_event_init(&second.seen);
    COIL_TRY(pair(ends));
    COIL_TRY(coil_create_connection_sock(&protocol, &first, ends[0], NULL, &transport));
    send(ends[1], "hello", 5, 0);
    COIL_TRY(coil_event_wait(&first.seen));
    coil_transport_set_protocol(transport, &protocol, &second);
    void *current;
    coil_transport_get_protocol(transport, &current);
    say("protocol is the second:", coil_bool(current == &second));
    send(ends[1], "again", 5, 0);
    COIL_TRY(coil_event_wait(&second.seen));
    coil_event_clear(&second.seen);
    close(ends[1]);
    COIL_TRY(coil_event_wait(&second.seen));
    coil_event_fini(&first.seen);
    coil_event_fini(&second.seen);
    coil_unref(transport);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
