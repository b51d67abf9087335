/* pause_writing is called once when the buffer passes the high mark, resume_writing once at
 * the low mark.
 *
 * Impossible marks are refused; the low mark is a quarter of the high one unless given.
 *
 * Why: Flow control is these two calls, each made once per crossing.
 * Tags: real */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include <fcntl.h>
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

struct protocol {
    coil_transport *transport;
    coil_event resumed;
};

static size_t buffered(const struct protocol *self)
{
    return coil_transport_get_write_buffer_size(self->transport);
}

static int connection_made(void *self, coil_transport *transport)
{
    ((struct protocol *)self)->transport = transport;
    return 0;
}

static int pause_writing(void *self)
{
    say("pause_writing, above the high mark:", coil_bool(buffered(self) > 8000));
    return 0;
}

static int resume_writing(void *arg)
{
    struct protocol *self = arg;
    say("resume_writing, at most the low mark:", coil_bool(buffered(self) <= 2000));
    coil_event_set(&self->resumed);
    return 0;
}

static const coil_protocol protocol = {
    .size = sizeof protocol,
    .connection_made = connection_made,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
};

static coil_value marks(const coil_transport *transport)
{
    size_t low, high;
    coil_transport_get_write_buffer_limits(transport, &low, &high);
    return list(low, high);
}

COIL_ASYNC0(amain)
{
    static char data[65536];
    int ends[2];
    coil_transport *transport;
    struct protocol self;
    coil_event_init(&self.resumed);
    COIL_TRY(narrow_pair(ends));
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    COIL_TRY(coil_create_connection_sock(&protocol, &self, ends[0], NULL, &transport));
    say("default marks", marks(transport));
    COIL_TRY(coil_transport_set_write_buffer_limits(transport, 8000, COIL_DEFAULT_LIMIT));
    say("marks", marks(transport));
    ssize_t total = 0, got;
    for (int i = 0; i < 60; i++) {
        COIL_TRY(coil_transport_write(transport, data, 1000));
        total += 1000;
    }
    say("sixty writes done, one pause");
    while (total > 0) {
        COIL_TRY(got = coil_sock_recv(ends[1], data, sizeof data));
        total -= got;
    }
    COIL_TRY(coil_event_wait(&self.resumed));
    say("buffer", buffered(&self));
    int rc = coil_transport_set_write_buffer_limits(transport, 10, 20);
    if (rc < 0)
        say("marks", mapping("high", 10, "low", 20), kind(rc));
    rc = coil_transport_set_write_buffer_limits(transport, -1, COIL_DEFAULT_LIMIT);
    if (rc < 0)
        say("marks", mapping("high", -1), kind(rc));
    COIL_TRY(coil_transport_set_write_buffer_limits(transport, 0, COIL_DEFAULT_LIMIT));
    say("marks", marks(transport));
    coil_transport_close(transport);
    coil_sock_close(ends[1]);
    COIL_TRY(coil_sleep(0));
    coil_event_fini(&self.resumed);
    coil_unref(transport);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
