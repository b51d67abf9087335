/* A buffered protocol lends its own buffer: get_buffer, then buffer_updated with the number
 * of bytes.
 *
 * Why: It avoids a copy for high-volume protocols, and the counts must be exact.
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
    char buffer[6];
    char data[100];
    size_t count;
    coil_future *over;
};

static int get_buffer(void *arg, COIL_UNUSED ptrdiff_t hint, void **buffer_out, size_t *bytes_out)
{
    struct protocol *self = arg;
    *buffer_out = self->buffer;
    *bytes_out = sizeof self->buffer;
    return 0;
}

static int buffer_updated(void *arg, size_t count)
{
    struct protocol *self = arg;
    say("buffer_updated", count);
    memcpy(self->data + self->count, self->buffer, count);
    self->count += count;
    return 0;
}

static int eof_received(COIL_UNUSED void *self)
{
    say("eof_received");
    return 0;
}

static int connection_lost(void *arg, int code)
{
    struct protocol *self = arg;
    say("connection_lost", kind(code), bytes(self->data, self->count));
    return coil_future_set_result(self->over, coil_nil());
}

static const coil_protocol protocol = {
    .size = sizeof protocol,
    .get_buffer = get_buffer,
    .buffer_updated = buffer_updated,
    .eof_received = eof_received,
    .connection_lost = connection_lost,
};

COIL_ASYNC0(amain)
{
    int ends[2];
    COIL_TRY(pair(ends));
    send(ends[1], "sixteen bytes it", 16, 0);
    shutdown(ends[1], SHUT_WR);
    struct protocol self = { .over = coil_create_future(NULL) };
    COIL_TRY(coil_create_connection_sock(&protocol, &self, ends[0], NULL, NULL));
    COIL_TRY(join(self.over, NULL));
    close(ends[1]);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
