/* A TCP echo server: a task for each connection, and Ctrl-C ends it in order.
 *
 *     echo [PORT]         0, the default: any free one, which it prints
 *
 * Without a terminal to press Ctrl-C on, it is also its own client: with --self it talks to itself once and
 * ends.
 *
 * Tests run it with: --self
 * Explored as: amain(0, true) */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <coil/coil.h>

/* The connection is its own from the call on: it is closed also if the task never begins. */
COIL_ASYNC_DROP(serve_client, coil_sock_close(fd), (int, fd))
{
    char buffer[4096];
    ssize_t got;
    int rc = 0;
    while (rc == 0 && (got = coil_sock_recv(fd, buffer, sizeof buffer)) != 0)
        rc = got < 0 ? (int)got : coil_sock_sendall(fd, buffer, (size_t)got);
    coil_sock_close(fd);
    return rc == -ECONNRESET || rc == -EPIPE ? 0 : rc; /* a client may go as it likes */
}

COIL_ASYNC(serve, (int, listener))
{
    for (;;) {
        int fd;
        COIL_TRY(fd = coil_sock_accept(listener, NULL, NULL));
        COIL_TRY(coil_spawn(serve_client(fd)));
    }
}

static int listen_on(int port, struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return coil_raise(-errno, "socket");
    int on = 1;
    *address = (struct sockaddr_in){ .sin_family = AF_INET,
                                     .sin_port = htons((uint16_t)port),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)address, length) < 0 || listen(fd, 128) < 0 ||
        getsockname(fd, (struct sockaddr *)address, &length) < 0) {
        int code = -errno;
        coil_sock_close(fd);
        return coil_raise(code, "listening on port %d", port);
    }
    return fd;
}

static int talk(const struct sockaddr_in *address)
{
    static const char words[] = "hello, echo";
    char answer[sizeof words] = "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return coil_raise(-errno, "socket");
    int rc = coil_sock_connect(fd, (const struct sockaddr *)address, sizeof *address);
    if (rc == 0)
        rc = coil_sock_sendall(fd, words, sizeof words - 1);
    for (size_t have = 0; rc == 0 && have < sizeof words - 1;) {
        ssize_t got = coil_sock_recv(fd, answer + have, sizeof words - 1 - have);
        if (got <= 0)
            rc = got < 0 ? (int)got : coil_raise(-ECONNRESET, "the server has gone");
        else
            have += (size_t)got;
    }
    coil_sock_close(fd);
    printf("the server says: %s\n", answer);
    return rc;
}

COIL_ASYNC(amain, (int, port), (bool, self))
{
    struct sockaddr_in address;
    int listener, rc;
    COIL_TRY(listener = listen_on(port, &address));
    printf("listening on port %d\n", ntohs(address.sin_port));
    fflush(stdout);

    coil_task *server = coil_create_task(serve(listener));
    if (!server)
        rc = coil_error_last();
    else if (self)
        rc = COIL_TIMEOUT(5, talk(&address));
    else
        rc = coil_await(server, NULL); /* until Ctrl-C cancels us, and it */
    if (server) {
        int ended = coil_cancel_and_wait(server, NULL);
        rc = rc < 0 ? rc : ended;
        coil_unref(server);
    }
    coil_sock_close(listener);
    return rc;
}

int main(int argc, char **argv)
{
    bool self = argc > 1 && strcmp(argv[1], "--self") == 0;
    return coil_main(amain(argc > 1 && !self ? atoi(argv[1]) : 0, self));
}
