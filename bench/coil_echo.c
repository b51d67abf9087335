/* An echo server on streams, for a load generator:
 *
 *     coil_echo PORT */
#include <stdio.h>
#include <stdlib.h>
#include <coil/coil.h>

COIL_ASYNC(echo, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)arg;
    char *data;
    ssize_t bytes;
    while ((bytes = coil_stream_read_chunk(reader, &data)) > 0)
        if (coil_stream_write(writer, data, (size_t)bytes) < 0)
            break;
    return 0; /* whatever ended it: the load generator looks at its side */
}

COIL_ASYNC(serve, (int, port))
{
    coil_server_options listening = COIL_SERVER_OPTIONS_INIT;
    coil_stream_server_options options = COIL_STREAM_SERVER_OPTIONS_INIT;
    coil_server *server;
    listening.backlog = 4096;
    options.server = &listening;
    COIL_TRY(coil_start_server(echo, NULL, "127.0.0.1", port, &options, &server));
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
