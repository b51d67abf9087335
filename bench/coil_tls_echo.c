/* An echo server by TLS on streams, for tls_load:
 *
 *     coil_tls_echo PORT CERT KEY */
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

static int serve(coil_tls_context *tls, int port)
{
    coil_server_options listening = COIL_SERVER_OPTIONS_INIT;
    coil_stream_server_options options = COIL_STREAM_SERVER_OPTIONS_INIT;
    coil_server *server;
    listening.backlog = 4096;
    listening.tls = tls;
    options.server = &listening;
    COIL_TRY(coil_start_server(echo, NULL, "127.0.0.1", port, &options, &server));
    printf("%d\n", coil_server_port(server));
    fflush(stdout);
    int rc = coil_server_serve_forever(server);
    coil_unref(server);
    return rc;
}

COIL_ASYNC(amain, (int, port), (const char *, cert), (const char *, key))
{
    coil_tls_context *tls = coil_tls_context_new(COIL_TLS_SERVER);
    if (!tls)
        return coil_error_last();
    int rc = coil_tls_context_load_cert_chain(tls, cert, key, NULL);
    if (rc == 0)
        rc = serve(tls, port);
    coil_unref(tls);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s PORT CERT KEY\n", argv[0]);
        return 2;
    }
    return coil_main(amain(atoi(argv[1]), argv[2], argv[3]));
}
