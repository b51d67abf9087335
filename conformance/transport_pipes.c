/* Pipes as transports: a reading end gets data and its end; a writing end learns that its
 * reader has gone.
 *
 * Why: Subprocess streams are built on these.
 * Tags: real */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "kit/kit.h"

struct protocol {
    const char *name;
    char data[100];
    size_t count;
    coil_future *over;
};

static int data_received(void *arg, const void *data, size_t count)
{
    struct protocol *self = arg;
    memcpy(self->data + self->count, data, count);
    self->count += count;
    return 0;
}

static int eof_received(void *arg)
{
    struct protocol *self = arg;
    say(self->name, "eof_received after", bytes(self->data, self->count));
    return 0;
}

static int connection_lost(void *arg, int code)
{
    struct protocol *self = arg;
    say(self->name, "connection_lost", kind(code));
    return coil_future_set_result(self->over, coil_nil());
}

static const coil_protocol protocol = {
    .size = sizeof protocol,
    .data_received = data_received,
    .eof_received = eof_received,
    .connection_lost = connection_lost,
};

static int open_pipe(int ends[2])
{
    return pipe2(ends, O_CLOEXEC) < 0 ? coil_raise(-errno, "pipe") : 0;
}

COIL_ASYNC0(amain)
{
    int ends[2];
    coil_transport *writing;
    struct protocol source = { .name = "reader", .over = coil_create_future(NULL) };
    struct protocol sink = { .name = "writer", .over = coil_create_future(NULL) };
    COIL_TRY(open_pipe(ends));
    COIL_TRY(coil_connect_read_pipe(&protocol, &source, ends[0], NULL));
    COIL_TRY(coil_connect_write_pipe(&protocol, &sink, ends[1], &writing));
    COIL_TRY(coil_transport_write(writing, "through ", 8));
    COIL_TRY(coil_transport_write(writing, "the pipe", 8));
    coil_transport_close(writing);
    COIL_TRY(join(sink.over, NULL));
    COIL_TRY(join(source.over, NULL));
    coil_unref(writing);

    struct protocol second = { .name = "writer 2", .over = coil_create_future(NULL) };
    COIL_TRY(open_pipe(ends));
    COIL_TRY(coil_connect_write_pipe(&protocol, &second, ends[1], NULL));
    close(ends[0]);
    COIL_TRY(join(second.over, NULL));
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
