/* The low-level interface: data per pipe, each pipe's end, the exit, and connection_lost last of all.
 *
 * Why: The order of these last events decides when resources may be freed. */
#include "kit/kit.h"

struct story {
    coil_future *over;
    char data[3][16];
    size_t length[3];
    const char *ends[3];
    int count;
};

static int connection_made(COIL_UNUSED void *arg, COIL_UNUSED coil_subprocess_transport *transport)
{
    say("connection_made");
    return 0;
}

static int pipe_data_received(void *arg, int fd, const void *data, size_t bytes)
{
    struct story *self = arg;
    memcpy(self->data[fd] + self->length[fd], data, bytes);
    self->length[fd] += bytes;
    return 0;
}

static int pipe_connection_lost(void *arg, int fd, int code)
{
    struct story *self = arg;
    static const char *const regular[] = { "pipe 0 none", "pipe 1 none", "pipe 2 none" };
    self->ends[self->count++] = code == 0 ? regular[fd] : "pipe lost";
    return 0;
}

static int process_exited(void *arg)
{
    struct story *self = arg;
    self->ends[self->count++] = "process exited";
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int connection_lost(void *arg, int code)
{
    struct story *self = arg;
    qsort(self->ends, (size_t)self->count, sizeof self->ends[0], by_name);
    say("data", mapping(1, bytes(self->data[1], self->length[1]), 2,
                        bytes(self->data[2], self->length[2])));
    say("before connection_lost, in any order:", list(self->ends[0], self->ends[1], self->ends[2]));
    say("connection_lost", kind(code));
    return coil_future_set_result(self->over, coil_nil());
}

static const coil_subprocess_protocol protocol = {
    .size = sizeof(coil_subprocess_protocol),
    .name = "story",
    .connection_made = connection_made,
    .pipe_data_received = pipe_data_received,
    .pipe_connection_lost = pipe_connection_lost,
    .process_exited = process_exited,
    .connection_lost = connection_lost,
};

COIL_ASYNC0(amain)
{
    struct story story = { .over = coil_create_future(NULL) };
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.out = options.err = COIL_PIPE;
    coil_subprocess_transport *transport;
    int code = 0;
    COIL_TRY(coil_subprocess_exec(&protocol, &story,
                                  COIL_ARGS("sh", "-c", "echo out; echo err >&2; exit 4"), &options,
                                  &transport));
    COIL_TRY(coil_await(story.over, NULL));
    (void)coil_subprocess_transport_get_returncode(transport, &code);
    say("code", code);
    coil_unref(transport);
    coil_unref(story.over);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
