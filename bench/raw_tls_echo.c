/* The same server without any library between OpenSSL and epoll: what Coil's is held against.
 *
 *     raw_tls_echo PORT CERT KEY
 *
 * The settings of OpenSSL are those of src/io/tls_context.c. For each event it reads and answers as long as OpenSSL has
 * something, without asking the kernel again. An answer that does not fit ends the connection: the load
 * generator never lets it come to that. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 512,
    BYTES = 64 * 1024,
};

static char buffer[BYTES];

static SSL_CTX *context_new(const char *cert, const char *key)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return NULL;
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_read_ahead(ctx, 1);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
        SSL_CTX_use_certificate_chain_file(ctx, cert) == 1 &&
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

/* A socket that listens on loopback, its port printed; or -1. */
static int listen_on(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return -1;
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void accept_all(int epoll, int listener, SSL_CTX *ctx)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        SSL *ssl = SSL_new(ctx);
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = ssl };
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!ssl || SSL_set_fd(ssl, fd) != 1 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
            perror("accepting");
            exit(1);
        }
        SSL_set_accept_state(ssl);
    }
}

/* False when the connection is over. */
static bool echo(SSL *ssl)
{
    size_t got, written;
    do {
        if (SSL_read_ex(ssl, buffer, sizeof buffer, &got) != 1)
            return SSL_get_error(ssl, 0) == SSL_ERROR_WANT_READ;
        for (size_t done = 0; done < got; done += written)
            if (SSL_write_ex(ssl, buffer + done, got - done, &written) != 1)
                return false;
    } while (SSL_has_pending(ssl));
    return true;
}

static void end(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    (void)SSL_shutdown(ssl); /* the peer may be gone */
    SSL_free(ssl);
    close(fd);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS], event = { .events = EPOLLIN };
    if (argc != 4) {
        fprintf(stderr, "usage: %s PORT CERT KEY\n", argv[0]);
        return 2;
    }
    SSL_CTX *ctx = context_new(argv[2], argv[3]);
    int epoll = epoll_create1(EPOLL_CLOEXEC), listener = ctx ? listen_on(atoi(argv[1])) : -1;
    if (listener < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) {
        fprintf(stderr, "%s: cannot listen, or no such certificate\n", argv[0]);
        return 1;
    }
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            SSL *ssl = events[i].data.ptr;
            if (!ssl)
                accept_all(epoll, listener, ctx);
            else if (!echo(ssl))
                end(ssl);
        }
    }
}
