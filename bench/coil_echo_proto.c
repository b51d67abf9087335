/* The echo server of coil_echo as a protocol: what streams and a task for each connection cost beside it.
 *
 *     coil_echo_proto PORT */
#include <stdio.h>
#include <stdlib.h>
#include <coil/coil.h>

/* The transport is all there is to know of a connection. */
struct echo {
    coil_transport *transport;
};

static int create(void *arg, void **self_out)
{
    (void)arg;
    *self_out = malloc(sizeof(struct echo));
    return *self_out ? 0 : coil_raise(COIL_ENOMEM, "a connection");
}

static int made(void *self, coil_transport *transport)
{
    ((struct echo *)self)->transport = transport;
    return 0;
}

static int received(void *self, const void *data, size_t bytes)
{
    return coil_transport_write(((struct echo *)self)->transport, data, bytes);
}

/* Who does not read what comes back may not send either. */
static int pause_reading(void *self)
{
    coil_transport_pause_reading(((struct echo *)self)->transport);
    return 0;
}

static int resume_reading(void *self)
{
    coil_transport_resume_reading(((struct echo *)self)->transport);
    return 0;
}

static const coil_protocol echo = {
    .size = sizeof(coil_protocol),
    .name = "echo",
    .create = create,
    .connection_made = made,
    .data_received = received,
    .pause_writing = pause_reading,
    .resume_writing = resume_reading,
    .destroy = free,
};

COIL_ASYNC(serve, (int, port))
{
    coil_server_options options = COIL_SERVER_OPTIONS_INIT;
    coil_server *server;
    options.backlog = 4096;
    COIL_TRY(coil_create_server(&echo, NULL, "127.0.0.1", port, &options, &server));
    int rc = coil_server_serve_forever(server);
    coil_unref(server);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    return coil_main(serve(atoi(argv[1])));
}
