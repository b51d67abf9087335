/* A plaintext HTTP/1.1 server on streams, keep-alive and pipelining, for a load generator:
 *
 *     coil_http PORT
 *
 * It looks for the ends of request heads and for nothing else. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <coil/coil.h>

enum {
    AT_ONCE = 64 /* answers in one write */
};

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                             "Content-Length: 13\r\n\r\nHello, World!";
static char answers[AT_ONCE * (sizeof answer - 1)];

/* How many heads end in these bytes; *rest_out: what follows the last of them. */
static size_t count_heads(const char *data, size_t bytes, size_t *rest_out)
{
    size_t heads = 0;
    const char *end = data + bytes, *at = data, *found;
    while ((found = memmem(at, (size_t)(end - at), "\r\n\r\n", 4))) {
        at = found + 4;
        heads++;
    }
    *rest_out = (size_t)(end - at);
    return heads;
}

COIL_ASYNC(serve_client, (coil_stream_reader *, reader), (coil_stream_writer *, writer),
           (void *, arg))
{
    (void)arg;
    const char *data;
    ssize_t bytes;
    size_t rest = 0;
    while ((bytes = coil_stream_peek(reader, rest + 1, &data)) > (ssize_t)rest) {
        size_t heads = count_heads(data, (size_t)bytes, &rest);
        if (coil_stream_skip(reader, (size_t)bytes - rest) < 0)
            break;
        for (; heads > 0; heads -= heads < AT_ONCE ? heads : AT_ONCE)
            if (coil_stream_write(writer, answers,
                                  (heads < AT_ONCE ? heads : AT_ONCE) * (sizeof answer - 1)) < 0)
                return 0;
    }
    return 0; /* whatever ended it: the load generator looks at its side */
}

COIL_ASYNC(serve, (int, port))
{
    coil_server_options listening = COIL_SERVER_OPTIONS_INIT;
    coil_stream_server_options options = COIL_STREAM_SERVER_OPTIONS_INIT;
    coil_server *server;
    listening.backlog = 4096;
    options.server = &listening;
    COIL_TRY(coil_start_server(serve_client, NULL, "127.0.0.1", port, &options, &server));
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
    for (size_t i = 0; i < AT_ONCE; i++)
        memcpy(answers + i * (sizeof answer - 1), answer, sizeof answer - 1);
    return coil_main(serve(atoi(argv[1])));
}
