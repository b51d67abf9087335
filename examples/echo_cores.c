/* A TCP echo server on all processors: a loop in a thread for each, and the kernel deals the connections out among
 * their listening sockets. Ctrl-C, or SIGTERM, ends all of them in order; so does the first that fails.
 *
 *     echo_cores [PORT [LOOPS]]      0, the defaults: a free port, which it prints; as many loops as processors
 *
 * When it ends, it tells what each loop did. With --self it talks to itself a few times and ends.
 *
 * Tests run it with: --self
 * Explored as: amain(0, true)
 * Explored as a run: connections that are being served are ended by coil_run. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <coil/coil.h>

enum {
    TALKS = 8
};

COIL_ASYNC(echo, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)arg;
    char *data;
    ssize_t bytes;
    while ((bytes = coil_stream_read_chunk(reader, &data)) > 0)
        COIL_TRY(coil_stream_write(writer, data, (size_t)bytes));
    return (int)bytes;
}

static int talk(int port)
{
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    char *line;
    COIL_TRY(coil_open_connection("127.0.0.1", port, NULL, &reader, &writer));
    int rc = coil_stream_write(writer, "hello, echo\n", 12);
    if (rc == 0)
        rc = (int)coil_stream_readline(reader, &line);
    if (rc > 0)
        printf("a server says: %s", line);
    coil_stream_close(writer);
    coil_unref(writer);
    coil_unref(reader);
    return rc < 0 ? rc : 0;
}

static int talk_often(int port)
{
    for (int i = 0; i < TALKS; i++)
        COIL_TRY(talk(port));
    return 0;
}

/* On each loop. */
COIL_ASYNC(amain, (int, port), (bool, self))
{
    coil_server_options listening = COIL_SERVER_OPTIONS_INIT;
    coil_stream_server_options options = COIL_STREAM_SERVER_OPTIONS_INIT;
    coil_server *server;
    listening.reuse_port = true;
    options.server = &listening;
    COIL_TRY(coil_start_server(echo, NULL, "127.0.0.1", port, &options, &server));
    int rc = self ? COIL_TIMEOUT(5, talk_often(coil_server_port(server)))
                  : coil_server_serve_forever(server);
    int left = coil_server_shutdown(server, 1);
    coil_unref(server);
    return rc < 0 ? rc : left < 0 ? left : 0;
}

static void print_metrics(void)
{
    coil_metrics loops[64];
    size_t count = coil_run_threads_metrics(loops, 64);
    for (size_t i = 0; i < count && i < 64; i++)
        printf(
            "loop %zu: %llu tasks, %llu turns, %llu polls, busy %.3f s, at most %.6f s at once\n",
            i, (unsigned long long)loops[i].tasks_created, (unsigned long long)loops[i].turns,
            (unsigned long long)loops[i].polls, loops[i].busy_seconds, loops[i].longest_seconds);
}

/* The first loop's main: coil_exit ends the others. */
COIL_ASYNC(first, (int, port), (bool, self))
{
    int rc = coil_await(amain(port, self), NULL);
    print_metrics();
    return rc < 0 ? rc : coil_exit(0);
}

struct settings {
    int port;
    bool self;
};

static coil_coro *main_of(void *arg, int index)
{
    const struct settings *settings = arg;
    return index == 0 ? first(settings->port, settings->self) : amain(settings->port, false);
}

/* All loops need the same port: a socket that does not listen keeps a free one for them. */
static int reserve_port(int *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)*port) };
    socklen_t bytes = sizeof address;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &bytes) < 0) {
        perror("the port");
        exit(EXIT_FAILURE);
    }
    *port = ntohs(address.sin_port);
    return fd;
}

int main(int argc, char **argv)
{
    struct settings settings = { .self = argc > 1 && strcmp(argv[1], "--self") == 0 };
    settings.port = argc > 1 && !settings.self ? atoi(argv[1]) : 0;
    int fd = reserve_port(&settings.port);
    printf("listening on port %d\n", settings.port);
    fflush(stdout);
    int status = coil_main_threads(argc > 2 ? atoi(argv[2]) : 0, main_of, &settings, NULL);
    close(fd);
    return status;
}
