/* A small HTTP/1.1 server: keep-alive, pipelining, and limits on what a client may send and how long it may take.
 * Good enough for a browser and for wrk; it knows one page.
 *
 *     http_hello [PORT]         0, the default: any free one, which it prints
 *     http_hello --self         asks itself for the page, and ends
 *
 * Tests run it with: --self
 * Explored as: amain(0, true)
 * Explored as a run: connections that are being served are ended by coil_run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <coil/coil.h>

enum {
    HEAD_MAX = 8192,
    BODY_MAX = 1024 * 1024
};

static const double HEAD_SECONDS = 10; /* for a request's head, the wait for it included */

struct request {
    char method[16], path[256];
    int minor;     /* HTTP/1.minor */
    bool close;    /* Connection: close */
    size_t length; /* of its body */
};

/* Takes a head apart, which it writes to. False: it is none. */
static bool parse(char *head, struct request *request)
{
    char *line, *rest = head;
    *request = (struct request){ .minor = 0 };
    line = strsep(&rest, "\n");
    if (sscanf(line, "%15s %255s HTTP/1.%d", request->method, request->path, &request->minor) != 3)
        return false;
    request->close = request->minor == 0;
    while ((line = strsep(&rest, "\n")) && *line != '\r' && *line != '\0') {
        if (strncasecmp(line, "Connection: close", 17) == 0)
            request->close = true;
        else if (strncasecmp(line, "Content-Length:", 15) == 0)
            request->length = strtoul(line + 15, NULL, 10);
        else if (strncasecmp(line, "Transfer-Encoding:", 18) == 0)
            return false; /* not spoken here */
    }
    return request->length <= BODY_MAX;
}

static int respond(coil_stream_writer *writer, const char *status, const char *body, bool close)
{
    char text[512];
    int bytes = snprintf(
        text, sizeof text,
        "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n%s", status,
        strlen(body), close ? "Connection: close\r\n" : "", body);
    return coil_stream_write(writer, text, (size_t)bytes);
}

static int skip_body(coil_stream_reader *reader, size_t bytes)
{
    char some[4096];
    while (bytes > 0) {
        size_t now = bytes < sizeof some ? bytes : sizeof some;
        COIL_TRY(coil_stream_readexactly(reader, some, now));
        bytes -= now;
    }
    return 0;
}

COIL_ASYNC(serve_client, (coil_stream_reader *, reader), (coil_stream_writer *, writer),
           (void *, arg))
{
    (void)arg;
    struct request request = { .close = false };
    while (!request.close) {
        char *head;
        int rc = COIL_TIMEOUT(HEAD_SECONDS, coil_stream_readuntil(reader, "\r\n\r\n", &head));
        if (rc == COIL_EOVERRUN)
            return respond(writer, "431 Request Header Fields Too Large", "too much\n", true);
        if (rc < 0)
            return rc == COIL_ECANCELED ? rc : 0; /* it has gone, or takes too long */
        if (!parse(head, &request))
            return respond(writer, "400 Bad Request", "what?\n", true);
        COIL_TRY(skip_body(reader, request.length));
        if (strcmp(request.path, "/") == 0)
            COIL_TRY(respond(writer, "200 OK", "Hello, World!\n", request.close));
        else
            COIL_TRY(respond(writer, "404 Not Found", "no such page\n", request.close));
    }
    return 0;
}

/* Two requests at once, and all that comes back. */
static int ask(int port)
{
    static const char requests[] = "GET / HTTP/1.1\r\nHost: here\r\n\r\n"
                                   "GET /no HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    char *line;
    ssize_t length = 0;
    COIL_TRY(coil_open_connection("127.0.0.1", port, NULL, &reader, &writer));
    int rc = coil_stream_write(writer, requests, sizeof requests - 1);
    while (rc == 0 && (length = coil_stream_readline(reader, &line)) > 0)
        fputs(line, stdout);
    coil_stream_close(writer);
    coil_unref(writer);
    coil_unref(reader);
    return rc < 0 ? rc : (int)length;
}

COIL_ASYNC(amain, (int, port), (bool, self))
{
    coil_stream_server_options options = COIL_STREAM_SERVER_OPTIONS_INIT;
    coil_server *server;
    options.limit = HEAD_MAX;
    COIL_TRY(coil_start_server(serve_client, NULL, "127.0.0.1", port, &options, &server));
    port = coil_server_port(server);
    printf("listening on port %d\n", port);
    fflush(stdout);
    int rc = self ? COIL_TIMEOUT(5, ask(port)) : coil_server_serve_forever(server);
    int left = coil_server_shutdown(server, 1);
    coil_unref(server);
    return rc < 0 ? rc : left < 0 ? left : 0;
}

int main(int argc, char **argv)
{
    bool self = argc > 1 && strcmp(argv[1], "--self") == 0;
    return coil_main(amain(argc > 1 && !self ? atoi(argv[1]) : 0, self));
}
