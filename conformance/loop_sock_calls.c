/* Plain sockets without transports: sock_accept, sock_connect, sock_sendall, sock_recv, and a
 * cancelled recv.
 *
 * Why: They are used where transports are too much, and must survive cancellation half-way.
 * Tags: real */
#include <arpa/inet.h>
#include <netinet/in.h>
#include "kit/kit.h"

enum {
    SENT = 1000000
};

static int open_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? coil_raise(-errno, "socket") : fd;
}

/* Listens on a free port of this machine; *address_out receives the whole address. */
static int listen_here(int listener, struct sockaddr_in *address_out)
{
    struct sockaddr_in here = { .sin_family = AF_INET };
    socklen_t length = sizeof here;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&here, length) < 0 || listen(listener, SOMAXCONN) < 0 ||
        getsockname(listener, (struct sockaddr *)&here, &length) < 0)
        return coil_raise(-errno, "listen");
    *address_out = here;
    return 0;
}

COIL_ASYNC(serve, (int, listener))
{
    int sock;
    COIL_TRY(sock = coil_sock_accept(listener, NULL, NULL));
    static char data[65536];
    long total = 0;
    ssize_t got;
    do {
        COIL_TRY(got = coil_sock_recv(sock, data, sizeof data));
        total += got;
    } while (got > 0);
    char answer[32];
    int length = snprintf(answer, sizeof answer, "got %ld", total);
    COIL_TRY(coil_sock_sendall(sock, answer, (size_t)length));
    coil_sock_close(sock);
    return 0;
}

COIL_ASYNC(receive, (int, sock), (size_t, limit))
{
    char data[100];
    ssize_t got;
    COIL_TRY(got = coil_sock_recv(sock, data, limit < sizeof data ? limit : sizeof data));
    coil_return(bytes(data, (size_t)got));
}

COIL_ASYNC0(amain)
{
    static char ones[SENT];
    memset(ones, 'x', sizeof ones);
    int listener, client;
    struct sockaddr_in address;
    COIL_TRY(listener = open_socket());
    COIL_TRY(client = open_socket());
    COIL_TRY(listen_here(listener, &address));
    coil_task *task = coil_create_task(serve(listener));
    COIL_TRY(coil_sock_connect(client, (struct sockaddr *)&address, sizeof address));
    coil_task *reading = coil_create_task(receive(client, 10));
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(reading, NULL);
    COIL_TRY(coil_wait(&reading, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    say("cancelled recv", outcome(reading));
    coil_unref(reading);
    COIL_TRY(coil_sock_sendall(client, ones, sizeof ones));
    shutdown(client, SHUT_WR);
    coil_value answer;
    COIL_TRY(coil_await(receive(client, 100), &answer));
    say("answer", answer);
    COIL_TRY(join(task, NULL));
    coil_sock_close(client);
    coil_sock_close(listener);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
