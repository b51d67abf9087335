/* An echo server by TLS: a task for each connection; Ctrl-C or SIGTERM ends it in order.
 *
 *     tls_echo CERT KEY [PORT]     PEM files; port 0, the default: any free one, which it prints
 *
 * To try it (bash):
 *
 *     openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
 *         -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem
 *     tls_echo cert.pem key.pem 8443 &
 *     openssl s_client -connect localhost:8443 -CAfile cert.pem -verify_return_error -quiet
 *
 * With --self CERT KEY it is also its own client, which trusts that certificate: it talks to itself once and ends.
 *
 * Tests do not run it: it needs a certificate; tests/build/tls_echo makes one, and brings openssl's own client.
 * Explored as: amain("cert.pem", "key.pem", 0, true)
 * Explored after: make_certificate()
 * Explored as a run: connections that are being served are ended by coil_run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coil/coil.h>

static const double HANDSHAKE_SECONDS = 10, LAST_SECONDS = 5; /* for those who are being served */

/* Clients go as they like, many of them without a goodbye: no failure of ours. */
static bool is_gone(int rc)
{
    return rc == COIL_ETLS || rc == -ECONNRESET || rc == -EPIPE;
}

COIL_ASYNC(echo, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)arg;
    char *data;
    ssize_t bytes;
    int rc = 0;
    while (rc == 0 && (bytes = coil_stream_read_chunk(reader, &data)) != 0)
        rc = bytes < 0 ? (int)bytes : coil_stream_write(writer, data, (size_t)bytes);
    return is_gone(rc) ? 0 : rc;
}

static int start(coil_tls_context *tls, int port, coil_server **server_out)
{
    coil_server_options listening = COIL_SERVER_OPTIONS_INIT;
    coil_stream_server_options options = COIL_STREAM_SERVER_OPTIONS_INIT;
    listening.tls = tls;
    listening.tls_handshake_timeout = HANDSHAKE_SECONDS;
    options.server = &listening;
    return coil_start_server(echo, NULL, "127.0.0.1", port, &options, server_out);
}

static int say_hello(coil_tls_context *tls, int port)
{
    coil_connection_options connection = COIL_CONNECTION_OPTIONS_INIT;
    coil_stream_options options = COIL_STREAM_OPTIONS_INIT;
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    char *line;
    connection.tls = tls;
    options.connection = &connection;
    COIL_TRY(coil_open_connection("127.0.0.1", port, &options, &reader, &writer));
    int rc = coil_stream_write(writer, "hello, echo\n", 12);
    if (rc == 0)
        rc = (int)coil_stream_readline(reader, &line);
    if (rc > 0)
        printf("the server says, by %s: %s", coil_stream_get_extra_info(writer, "version").string,
               line);
    coil_stream_close(writer);
    coil_unref(writer);
    coil_unref(reader);
    return rc < 0 ? rc : 0;
}

static int talk(const char *cert_file, int port)
{
    coil_tls_context *tls = coil_tls_context_new(COIL_TLS_CLIENT);
    if (!tls)
        return coil_error_last();
    int rc = coil_tls_context_load_verify_locations(tls, cert_file, NULL);
    if (rc == 0)
        rc = COIL_TIMEOUT(5, say_hello(tls, port));
    coil_unref(tls);
    return rc;
}

static int serve(coil_tls_context *tls, const char *cert_file, int port, bool self)
{
    coil_server *server;
    COIL_TRY(start(tls, port, &server));
    port = coil_server_port(server);
    printf("listening on port %d\n", port);
    fflush(stdout);
    int rc = self ? talk(cert_file, port) : coil_server_serve_forever(server);
    int left = coil_server_shutdown(server, LAST_SECONDS);
    coil_unref(server);
    return rc < 0 ? rc : left < 0 ? left : 0;
}

COIL_ASYNC(amain, (const char *, cert_file), (const char *, key_file), (int, port), (bool, self))
{
    coil_tls_context *tls = coil_tls_context_new(COIL_TLS_SERVER);
    if (!tls)
        return coil_error_last();
    int rc = coil_tls_context_load_cert_chain(tls, cert_file, key_file, NULL);
    if (rc == 0)
        rc = serve(tls, cert_file, port, self);
    coil_unref(tls);
    return rc;
}

int main(int argc, char **argv)
{
    bool self = argc == 4 && strcmp(argv[1], "--self") == 0;
    if (argc != 4 && argc != 3) {
        fprintf(stderr, "usage: %s CERT KEY [PORT]\n       %s --self CERT KEY\n", argv[0], argv[0]);
        return 2;
    }
    if (self)
        return coil_main(amain(argv[2], argv[3], 0, true));
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.cancel_on_sigterm = true;
    return coil_main_with(amain(argv[1], argv[2], argc > 3 ? atoi(argv[3]) : 0, false), &options);
}
