/* pause_reading stops data_received until resume_reading; both are idempotent; nothing is
 * lost meanwhile.
 *
 * Why: It is how a protocol keeps a fast peer in check.
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
    char data[100];
    size_t count;
    coil_event more;
};

static int data_received(void *arg, const void *data, size_t count)
{
    struct protocol *self = arg;
    memcpy(self->data + self->count, data, count);
    self->count += count;
    coil_event_set(&self->more);
    return 0;
}

static const coil_protocol protocol = { .size = sizeof protocol, .data_received = data_received };

COIL_ASYNC0(amain)
{
    int ends[2];
    coil_transport *transport;
    struct protocol self = { .count = 0 };
    coil_event_init(&self.more);
    COIL_TRY(pair(ends));
    COIL_TRY(coil_create_connection_sock(&protocol, &self, ends[0], NULL, &transport));
    say("reading", coil_bool(coil_transport_is_reading(transport)));
    coil_transport_pause_reading(transport);
    coil_transport_pause_reading(transport);
    say("reading", coil_bool(coil_transport_is_reading(transport)));
    send(ends[1], "one ", 4, 0);
    send(ends[1], "two", 3, 0);
    for (int i = 0; i < 10; i++)
        COIL_TRY(coil_sleep(0.001));
    say("paused, got", bytes(self.data, self.count));
    coil_transport_resume_reading(transport);
    coil_transport_resume_reading(transport);
    COIL_TRY(coil_event_wait(&self.more));
    say("resumed, got", bytes(self.data, self.count));
    coil_transport_close(transport);
    say("reading after close", coil_bool(coil_transport_is_reading(transport)));
    close(ends[1]);
    COIL_TRY(coil_sleep(0));
    coil_event_fini(&self.more);
    coil_unref(transport);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
