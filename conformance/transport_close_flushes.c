/* close() first sends what is buffered, then reports connection_lost(none); writes after
 * close are dropped.
 *
 * Why: Closing after writing is the normal end of a response; nothing may be cut off.
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
    coil_future *over;
};

static int connection_lost(void *self, int code)
{
    say("connection_lost", kind(code));
    return coil_future_set_result(((struct protocol *)self)->over, coil_nil());
}

static const coil_protocol protocol = { .size = sizeof protocol,
                                        .connection_lost = connection_lost };

COIL_ASYNC0(amain)
{
    static char ones[100000], data[65536];
    int ends[2];
    coil_transport *transport;
    COIL_TRY(narrow_pair(ends));
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    struct protocol self = { .over = coil_create_future(NULL) };
    COIL_TRY(coil_create_connection_sock(&protocol, &self, ends[0], NULL, &transport));
    COIL_TRY(coil_transport_write(transport, ones, sizeof ones));
    say("buffered", coil_bool(coil_transport_get_write_buffer_size(transport) > 0));
    coil_transport_close(transport);
    coil_transport_close(transport);
    say("closing", coil_bool(coil_transport_is_closing(transport)), "lost yet",
        coil_bool(coil_future_done(self.over)));
    ssize_t total = 0, got;
    do {
        COIL_TRY(got = coil_sock_recv(ends[1], data, sizeof data));
        total += got;
    } while (got > 0);
    COIL_TRY(join(self.over, NULL));
    say("peer got", total);
    coil_unref(transport);
    coil_sock_close(ends[1]);

    COIL_TRY(pair(ends));
    self.over = coil_create_future(NULL);
    COIL_TRY(coil_create_connection_sock(&protocol, &self, ends[0], NULL, &transport));
    coil_transport_close(transport);
    COIL_TRY(coil_transport_write(transport, "dropped", 7));
    say("nothing buffered, lost yet", coil_bool(coil_future_done(self.over)));
    COIL_TRY(join(self.over, NULL));
    got = recv(ends[1], data, 100, 0);
    say("peer got", bytes(data, (size_t)got));
    coil_unref(transport);
    close(ends[1]);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
