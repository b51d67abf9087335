/* Load for an echo server by TLS, and what the server spends on it:
 *
 *     tls_load PORT SERVER_PID CONNECTIONS REQUESTS BYTES
 *
 * Each connection has one message of BYTES under way at a time, until REQUESTS of them have come back. Prints the
 * server's processor time for a request, in nanoseconds, and what its resident memory has grown by for each
 * connection: of use with many connections, on a server that has had none before. TLS 1.3, AES-128-GCM. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    EVENTS = 256,
};

struct connection {
    SSL *ssl;
    size_t got; /* of the answer */
};

static char *message, *answer;
static size_t message_bytes;
static long requests_left;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Nanoseconds that a process of one thread has run. */
static double server_ns(int pid)
{
    char path[64];
    double ns = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/schedstat", pid);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%lf", &ns) != 1)
        fail(path);
    fclose(file);
    return ns;
}

static double server_resident(int pid)
{
    char path[64];
    long total = 0, resident = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%ld %ld", &total, &resident) != 2)
        fail(path);
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void ask(struct connection *connection)
{
    size_t written;
    connection->got = 0;
    if (SSL_write_ex(connection->ssl, message, message_bytes, &written) != 1 ||
        written != message_bytes)
        fail("writing");
}

static void connect_to(struct connection *connection, SSL_CTX *ctx, int port, int epoll)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
    struct timeval soon = { 0, 1000 };
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connecting");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection->ssl = SSL_new(ctx);
    if (!connection->ssl || SSL_set_fd(connection->ssl, fd) != 1 ||
        SSL_connect(connection->ssl) != 1 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("shaking hands");
    /* From now on reading hardly waits: for the rest of a record at most. */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
}

/* Takes what has come; a whole answer is followed by the next message. True if it was one. */
static bool take(struct connection *connection)
{
    size_t got;
    do {
        if (SSL_read_ex(connection->ssl, answer, message_bytes, &got) != 1) {
            if (SSL_get_error(connection->ssl, 0) == SSL_ERROR_WANT_READ)
                return false;
            fail("reading");
        }
        connection->got += got;
    } while (connection->got < message_bytes && SSL_has_pending(connection->ssl));
    if (connection->got < message_bytes)
        return false;
    if (requests_left-- > 0)
        ask(connection);
    return true;
}

static void run(int epoll, struct connection *connections, long count, long requests)
{
    struct epoll_event events[EVENTS];
    long under_way = count < requests ? count : requests;
    requests_left = requests - under_way;
    for (long i = 0; i < under_way; i++)
        ask(&connections[i]);
    for (long done = 0; done < requests;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++)
            done += take(events[i].data.ptr);
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: %s PORT SERVER_PID CONNECTIONS REQUESTS BYTES\n", argv[0]);
        return 2;
    }
    int port = atoi(argv[1]), pid = atoi(argv[2]), epoll = epoll_create1(EPOLL_CLOEXEC);
    long count = atol(argv[3]), requests = atol(argv[4]);
    message_bytes = strtoul(argv[5], NULL, 10);
    message = calloc(1, message_bytes);
    answer = malloc(message_bytes);
    struct connection *connections = calloc((size_t)count, sizeof *connections);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!message || !answer || !connections || !ctx || epoll < 0 ||
        SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1)
        fail("preparing");
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    double resident = server_resident(pid);
    for (long i = 0; i < count; i++)
        connect_to(&connections[i], ctx, port, epoll);
    run(epoll, connections, count, count); /* warm, and the session tickets are read */
    double memory = (server_resident(pid) - resident) / (double)count;
    double ns = server_ns(pid);
    if (requests > 0)
        run(epoll, connections, count, requests);
    ns = server_ns(pid) - ns;
    printf("%.0f\t%.0f\n", requests > 0 ? ns / (double)requests : 0, memory);
    return 0;
}
