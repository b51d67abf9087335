/* Streams through TLS: what a program on streams relies on must hold when options.tls is all that has changed, and
 * when a connection goes over to TLS in the middle. */
#include "lib/steps.h"

#include <coil/tls.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "io/stream_writer.h"
#include "io/tls_transport.h"
#include "lib/certs.h"
#include "lib/held.h"

enum {
    MUCH = 3000000
};

static struct cert root, leaf;
static coil_tls_context *client_context, *server_context;

/* The client trusts our root; the server shows this certificate. */
static void contexts_for(struct cert made)
{
    leaf = made;
    client_context = coil_tls_context_new(COIL_TLS_CLIENT);
    server_context = coil_tls_context_new(COIL_TLS_SERVER);
    REQUIRE(client_context && server_context);
    REQUIRE(coil_tls_context_add_ca(client_context, root.cert_pem) == 0);
    REQUIRE(coil_tls_context_use_cert_chain(server_context, leaf.cert_pem, leaf.key_pem, NULL) ==
            0);
    coil_tls_context_set_session_reuse(client_context, false); /* what it keeps is no leak */
}

static void contexts_new(void)
{
    root = certs_root("root");
    contexts_for(certs_leaf("127.0.0.1", 10, &root));
}

static void contexts_free(void)
{
    coil_unref(client_context);
    coil_unref(server_context);
    certs_free(&leaf);
    certs_free(&root);
}

/* Memory and descriptors are as they were, and nothing is reported. */
#define EXPECT_TLS(coro)                                                                           \
    do {                                                                                           \
        contexts_new();                                                                            \
        int descriptors_ = held_now().descriptors;                                                 \
        EXPECT_RUN_REAL(coro, 0);                                                                  \
        EXPECT_INT(held_now().descriptors, descriptors_);                                          \
        contexts_free();                                                                           \
    } while (0)

/* ---- a server and its clients ------------------------------------------------------------------- */

/* What the server's side has to tell. */
struct service {
    coil_server *server;
    int begun, ended;
    int result; /* of the last connection that ended */
    coil_event changed;
    coil_event go; /* for handlers that wait */
};

static void end_handler(struct service *service, int rc)
{
    service->result = rc;
    service->ended++;
    coil_event_set(&service->changed);
}

/* It goes on until its peer says goodbye, and gives 0; the errors are noted, not returned. */
COIL_ASYNC(echoes, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    struct service *service = arg;
    char *data;
    ssize_t bytes;
    int rc = 0;
    service->begun++;
    while (rc == 0 && (bytes = coil_stream_read_chunk(reader, &data)) != 0)
        rc = bytes < 0 ? (int)bytes : coil_stream_write(writer, data, (size_t)bytes);
    end_handler(service, rc);
    return rc == COIL_ECANCELED ? rc : 0;
}

static int serve(struct service *service, coil_stream_handler handler, bool tls)
{
    coil_server_options listening = COIL_SERVER_OPTIONS_INIT;
    coil_stream_server_options options = COIL_STREAM_SERVER_OPTIONS_INIT;
    memset(service, 0, sizeof *service);
    coil_event_init(&service->changed);
    coil_event_init(&service->go);
    listening.tls = tls ? server_context : NULL;
    options.server = &listening;
    return coil_start_server(handler, service, "127.0.0.1", 0, &options, &service->server);
}

static int wait_ended(struct service *service, int count)
{
    while (service->ended < count) {
        coil_event_clear(&service->changed);
        COIL_TRY(coil_event_wait(&service->changed));
    }
    return 0;
}

static int stop(struct service *service)
{
    coil_server_close(service->server);
    int rc = coil_server_wait_closed(service->server);
    coil_unref(service->server);
    coil_event_fini(&service->changed);
    coil_event_fini(&service->go);
    return rc;
}

struct client {
    coil_stream_reader *reader;
    coil_stream_writer *writer;
};

static int open_client(struct client *client, const struct service *service, bool tls)
{
    coil_connection_options connection = COIL_CONNECTION_OPTIONS_INIT;
    coil_stream_options options = COIL_STREAM_OPTIONS_INIT;
    connection.tls = tls ? client_context : NULL;
    options.connection = &connection;
    *client = (struct client){ NULL, NULL };
    return coil_open_connection("127.0.0.1", coil_server_port(service->server), &options,
                                &client->reader, &client->writer);
}

static void release(struct client *client)
{
    if (client->writer)
        coil_stream_close(client->writer);
    coil_unref(client->writer);
    coil_unref(client->reader);
}

static int close_client(struct client *client)
{
    coil_stream_close(client->writer);
    int rc = coil_stream_wait_closed(client->writer);
    release(client);
    return rc;
}

/* Says a line, and hears it. */
static int speak(struct client *client, const char *text)
{
    char *line;
    COIL_TRY(coil_stream_write(client->writer, text, strlen(text)));
    ssize_t length = coil_stream_readline(client->reader, &line);
    if (length > 0)
        EXPECT_STR(line, text);
    return length == 0 ? COIL_EINCOMPLETE : length < 0 ? (int)length : 0;
}

/* ---- bytes both ways ---------------------------------------------------------------------------- */

COIL_ASYNC0(says_hello)
{
    struct service service;
    struct client client;
    COIL_TRY(serve(&service, echoes, true));
    COIL_TRY(open_client(&client, &service, true));
    COIL_TRY(speak(&client, "hello\n"));
    EXPECT_STR(coil_stream_get_extra_info(client.writer, "version").string, "TLSv1.3");
    EXPECT(!coil_stream_can_write_eof(client.writer));
    EXPECT_INT(coil_stream_write_eof(client.writer), COIL_ENOTSUP);
    EXPECT_INT(close_client(&client), 0);
    COIL_TRY(wait_ended(&service, 1));
    EXPECT_INT(service.result, 0);
    return stop(&service);
}

TEST(streams_speak_through_tls_when_asked_to)
{
    /* The smallest use there is. */
    EXPECT_TLS(says_hello());
}

static char pattern_at(size_t i)
{
    return (char)(i * 7 + i / 251);
}

static char *pattern_new(size_t bytes)
{
    char *data = calloc(1, bytes);
    for (size_t i = 0; data && i < bytes; i++)
        data[i] = pattern_at(i);
    return data;
}

static bool has_pattern(const char *data, size_t from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i] != pattern_at(from + i))
            return false;
    return true;
}

COIL_ASYNC(sends, (coil_stream_writer *, writer), (size_t, bytes))
{
    char *data = pattern_new(bytes);
    int rc = coil_stream_write(writer, data, bytes);
    memset(data, 0, bytes); /* ours again */
    free(data);
    return rc;
}

COIL_ASYNC0(moves_much)
{
    struct service service;
    struct client client;
    COIL_TRY(serve(&service, echoes, true));
    COIL_TRY(open_client(&client, &service, true));
    coil_task *sender = coil_create_task(sends(client.writer, MUCH));
    static char data[MUCH];
    size_t done = 5, most = 0;
    EXPECT_INT(coil_stream_readexactly(client.reader, data, 5), 0);
    EXPECT_INT(coil_stream_readexactly(client.reader, data + done, 300000), 0);
    done += 300000;
    while (done < MUCH) {
        ssize_t got = coil_stream_read(client.reader, data + done, MUCH - done);
        COIL_TRY(got);
        REQUIRE(got > 0);
        done += (size_t)got;
        size_t held = coil_get_running_loop()->buffered;
        most = held > most ? held : most;
    }
    EXPECT(has_pattern(data, 0, MUCH));
    EXPECT(most < 1000000);
    COIL_TRY(coil_await(sender, NULL));
    coil_unref(sender);
    EXPECT_INT(close_client(&client), 0);
    COIL_TRY(wait_ended(&service, 1));
    EXPECT_INT(service.result, 0);
    return stop(&service);
}

TEST(much_goes_both_ways_unchanged)
{
    /* More than all buffers together: both sides have to wait for each other, again and again. */
    EXPECT_TLS(moves_much());
}

COIL_ASYNC(is_idle, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)reader;
    (void)writer;
    struct service *service = arg;
    service->begun++;
    COIL_TRY(coil_event_wait(&service->go));
    end_handler(service, 0);
    return 0;
}

COIL_ASYNC(sends_for_ever, (coil_stream_writer *, writer))
{
    static char data[300000];
    for (;;)
        COIL_TRY(coil_stream_write(writer, data, sizeof data));
}

COIL_ASYNC0(meets_a_peer_that_never_reads)
{
    enum {
        WRITERS = 3
    };
    struct service service;
    struct client client;
    coil_task *tasks[WRITERS];
    COIL_TRY(serve(&service, is_idle, true));
    COIL_TRY(open_client(&client, &service, true));
    for (int i = 0; i < WRITERS; i++)
        tasks[i] = coil_create_task(sends_for_ever(client.writer));
    COIL_TRY(coil_sleep(0.05));
    for (int i = 0; i < WRITERS; i++)
        EXPECT(!coil_future_done(tasks[i]));
    EXPECT(coil_get_running_loop()->buffered < 200000);
    coil_transport_abort(coil_stream_transport(client.writer));
    for (int i = 0; i < WRITERS; i++) {
        EXPECT_INT(coil_await(tasks[i], NULL), -ECONNRESET);
        coil_unref(tasks[i]);
    }
    release(&client);
    coil_event_set(&service.go);
    COIL_TRY(wait_ended(&service, 1));
    COIL_TRY(stop(&service));
    EXPECT_INT(coil_get_running_loop()->buffered, 0);
    return 0;
}

TEST(a_peer_that_never_reads_costs_no_memory)
{
    /* What waits is neither copied nor encrypted. */
    EXPECT_TLS(meets_a_peer_that_never_reads());
}

/* ---- ends --------------------------------------------------------------------------------------- */

COIL_ASYNC(says_goodbye, (coil_stream_reader *, reader), (coil_stream_writer *, writer),
           (void *, arg))
{
    (void)reader;
    end_handler(arg, coil_stream_write(writer, "last words\n", 11));
    return 0; /* which closes it */
}

COIL_ASYNC0(hears_goodbye)
{
    struct service service;
    struct client client;
    char *line;
    COIL_TRY(serve(&service, says_goodbye, true));
    COIL_TRY(open_client(&client, &service, true));
    EXPECT_INT(coil_stream_readline(client.reader, &line), 11);
    EXPECT_INT(coil_stream_readline(client.reader, &line), 0);
    EXPECT(coil_stream_at_eof(client.reader));
    EXPECT(coil_stream_is_closing(client.writer)); /* there is no half of a TLS connection */
    EXPECT_INT(close_client(&client), 0);
    return stop(&service);
}

TEST(goodbye_is_the_end_of_the_stream)
{
    EXPECT_TLS(hears_goodbye());
}

/* Ends the connection as a router might: its TCP says it is over, its TLS does not. */
COIL_ASYNC(is_cut, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    char *data;
    end_handler(arg, coil_stream_write(writer, "half a messa", 12));
    EXPECT_INT(shutdown(coil_transport_fd(coil_stream_transport(writer)), SHUT_WR), 0);
    while (coil_stream_read_chunk(reader, &data) > 0) /* its client closes it */
        continue;
    return 0;
}

COIL_ASYNC0(is_cut_off)
{
    struct service service;
    struct client client;
    char *data;
    size_t bytes;
    COIL_TRY(serve(&service, is_cut, true));
    COIL_TRY(open_client(&client, &service, true));
    EXPECT_INT(coil_stream_read_all(client.reader, 1000, &data, &bytes), COIL_ETLS);
    EXPECT_INT(coil_stream_exception(client.reader), COIL_ETLS);
    EXPECT_INT(close_client(&client), COIL_ETLS);
    return stop(&service);
}

TEST(a_cut_connection_is_no_end)
{
    /* Whoever can cut a cable could shorten a message, and nobody would notice. */
    EXPECT_TLS(is_cut_off());
}

/* ---- cancellations ------------------------------------------------------------------------------ */

COIL_ASYNC0(cancels_writes)
{
    enum {
        MESSAGE = 400000,
        MESSAGES = 3
    };
    struct service service;
    struct client client;
    COIL_TRY(serve(&service, echoes, true));
    COIL_TRY(open_client(&client, &service, true));
    int little = 4096; /* so that the system does not take a message whole */
    EXPECT_INT(setsockopt(coil_transport_fd(coil_stream_transport(client.writer)), SOL_SOCKET,
                          SO_SNDBUF, &little, sizeof little),
               0);
    for (int i = 0; i < MESSAGES; i++) {
        coil_task *task = coil_create_task(sends(client.writer, MESSAGE));
        COIL_TRY(coil_sleep(0));
        coil_task_cancel(task, NULL);
        EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
        coil_unref(task);
    }
    static char message[MESSAGE];
    for (int i = 0; i < MESSAGES; i++) {
        COIL_TRY(coil_stream_readexactly(client.reader, message, MESSAGE));
        EXPECT(has_pattern(message, 0, MESSAGE));
    }
    EXPECT_INT(close_client(&client), 0);
    COIL_TRY(wait_ended(&service, 1));
    return stop(&service);
}

TEST(a_cancelled_write_is_sent_whole)
{
    /* Half a message would make nonsense of all that follows. */
    EXPECT_TLS(cancels_writes());
}

COIL_ASYNC(reads_at, (struct client *, client), (int, way))
{
    static char much[100000];
    char *data;
    if (way == 0)
        return coil_stream_readexactly(client->reader, much, sizeof much);
    if (way == 1)
        return (int)coil_stream_readuntil(client->reader, "no such thing", &data);
    const char *shown;
    return (int)coil_stream_peek(client->reader, sizeof much, &shown);
}

COIL_ASYNC0(cancels_reads)
{
    enum {
        PART = 15000,
        PARTS = 6
    };
    struct service service;
    struct client client;
    static char got[PART * PARTS];
    COIL_TRY(serve(&service, echoes, true));
    COIL_TRY(open_client(&client, &service, true));
    char *all = pattern_new(sizeof got);
    for (int i = 0; i < PARTS; i++) {
        coil_task *task = coil_create_task(reads_at(&client, i % 3));
        COIL_TRY(coil_stream_write(client.writer, all + i * PART, PART));
        for (int turn = 0; turn < 2 * i; turn++)
            COIL_TRY(coil_sleep(0));
        coil_task_cancel(task, NULL);
        int rc = coil_await(task, NULL);
        EXPECT(rc == COIL_ECANCELED || rc == COIL_EOVERRUN);
        coil_unref(task);
    }
    free(all);
    COIL_TRY(coil_stream_readexactly(client.reader, got, sizeof got));
    EXPECT(has_pattern(got, 0, sizeof got));
    EXPECT_INT(close_client(&client), 0);
    COIL_TRY(wait_ended(&service, 1));
    return stop(&service);
}

TEST(cancelled_reads_lose_nothing)
{
    EXPECT_TLS(cancels_reads());
}

/* ---- certificates ------------------------------------------------------------------------------- */

COIL_ASYNC(is_refused, (const char *, words))
{
    struct service service;
    struct client client;
    COIL_TRY(serve(&service, echoes, true));
    int rc = open_client(&client, &service, true);
    EXPECT_INT(rc, COIL_ECERT);
    const char *message = coil_error_message(coil_error_current(rc));
    EXPECT(strstr(message, words));
    EXPECT(strstr(message, "127.0.0.1"));
    if (!strstr(message, words))
        fprintf(stderr, "the message is: %s\n", message);
    EXPECT(!client.reader && !client.writer);
    EXPECT_INT(service.begun, 0);
    return stop(&service);
}

static void expect_refused(struct cert cert, const char *words)
{
    contexts_for(cert);
    int descriptors = held_now().descriptors;
    EXPECT_RUN_REAL(is_refused(words), 0);
    EXPECT_INT(held_now().descriptors, descriptors);
    contexts_free();
}

TEST(a_bad_certificate_is_refused_by_its_reason)
{
    /* "certificate verify failed" sends people to switch verification off. */
    root = certs_root("root");
    expect_refused(certs_leaf("127.0.0.1", -1, &root), "expired");
    root = certs_root("root");
    expect_refused(certs_leaf("127.0.0.1", 10, NULL), "self-signed");
    root = certs_root("root");
    expect_refused(certs_leaf("127.0.0.2", 10, &root), "mismatch");
    root = certs_root("root");
    struct cert other = certs_root("other");
    expect_refused(certs_leaf("127.0.0.1", 10, &other), "issuer");
    certs_free(&other);
}

/* ---- strangers ---------------------------------------------------------------------------------- */

COIL_ASYNC0(meets_strangers)
{
    struct service service;
    struct client clients[3], stranger;
    char *data;
    COIL_TRY(serve(&service, echoes, true));
    for (int i = 0; i < 3; i++)
        COIL_TRY(open_client(&clients[i], &service, true));
    for (int i = 0; i < 3; i++) {
        COIL_TRY(open_client(&stranger, &service, false));
        COIL_TRY(coil_stream_write(stranger.writer, "GET / HTTP/1.1\r\n\r\n", 18));
        while (coil_stream_read_chunk(stranger.reader, &data) > 0) /* an alert, and the end */
            continue;
        release(&stranger);
        COIL_TRY(speak(&clients[i], "still there\n"));
    }
    EXPECT_INT(coil_server_clients(service.server), 3);
    EXPECT_INT(service.begun, 3);
    for (int i = 0; i < 3; i++)
        EXPECT_INT(close_client(&clients[i]), 0);
    COIL_TRY(wait_ended(&service, 3));
    return stop(&service);
}

TEST(clients_in_the_clear_disturb_nobody)
{
    /* Port scanners and browsers without TLS find every port. */
    EXPECT_TLS(meets_strangers());
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int rc = coil_sock_connect(fd, (struct sockaddr *)&address, sizeof address);
    EXPECT_INT(rc, 0);
    return fd;
}

COIL_ASYNC(says_nothing, (const char *, path))
{
    coil_server_options listening = COIL_SERVER_OPTIONS_INIT;
    coil_stream_server_options options = COIL_STREAM_SERVER_OPTIONS_INIT;
    struct service service = { 0 };
    char byte;
    listening.tls = server_context;
    listening.tls_handshake_timeout = 7;
    options.server = &listening;
    COIL_TRY(coil_start_unix_server(echoes, &service, path, &options, &service.server));
    int fd = connect_unix(path);
    double began = coil_loop_time(NULL);
    ssize_t got = coil_sock_recv(fd, &byte, 1);
    EXPECT(got == 0 || got == -ECONNRESET);
    EXPECT_DOUBLE(coil_loop_time(NULL) - began, 7);
    EXPECT_INT(service.begun, 0);
    coil_sock_close(fd);
    coil_server_close(service.server);
    COIL_TRY(coil_server_wait_closed(service.server));
    coil_unref(service.server);
    return 0;
}

TEST(a_handshake_that_never_comes_is_ended)
{
    /* Else anybody could fill the server with connections, for nothing. */
    char path[64];
    (void)snprintf(path, sizeof path, "/tmp/coil-tls-stream-%d.sock", (int)getpid());
    contexts_new();
    int descriptors = held_now().descriptors;
    EXPECT_RUN(says_nothing(path), 0);
    EXPECT_INT(held_now().descriptors, descriptors);
    contexts_free();
    unlink(path);
}

/* ---- going over to TLS -------------------------------------------------------------------------- */

/* A small mail server, as far as its greeting. */
COIL_ASYNC(starts_tls, (coil_stream_reader *, reader), (coil_stream_writer *, writer),
           (void *, arg))
{
    struct service *service = arg;
    char *line;
    int rc = (int)coil_stream_readline(reader, &line);
    service->begun++;
    if (rc > 0)
        rc = coil_stream_write(writer, "go ahead\n", 9);
    if (rc == 0)
        rc = coil_stream_start_tls(writer, server_context, NULL);
    if (rc == 0)
        return coil_await(echoes(reader, writer, service), NULL);
    end_handler(service, rc);
    return 0;
}

/* Asks for TLS, with these words. */
static int ask_for_tls(struct client *client, const struct service *service, const char *words)
{
    char *line;
    COIL_TRY(open_client(client, service, false));
    COIL_TRY(coil_stream_write(client->writer, words, strlen(words)));
    COIL_TRY(coil_stream_readline(client->reader, &line));
    EXPECT_STR(line, "go ahead\n");
    return 0;
}

static int upgrade(struct client *client, const char *name)
{
    coil_tls_options options = COIL_TLS_OPTIONS_INIT;
    options.server_hostname = name;
    return coil_stream_start_tls(client->writer, client_context, &options);
}

COIL_ASYNC0(goes_over)
{
    struct service service;
    struct client client;
    COIL_TRY(serve(&service, starts_tls, false));
    COIL_TRY(ask_for_tls(&client, &service, "STARTTLS\n"));
    EXPECT_INT(upgrade(&client, "127.0.0.1"), 0);
    EXPECT_STR(coil_stream_get_extra_info(client.writer, "version").string, "TLSv1.3");
    COIL_TRY(speak(&client, "hello\n"));
    coil_task *sender = coil_create_task(sends(client.writer, MUCH));
    static char data[MUCH];
    COIL_TRY(coil_stream_readexactly(client.reader, data, MUCH));
    EXPECT(has_pattern(data, 0, MUCH));
    COIL_TRY(coil_await(sender, NULL));
    coil_unref(sender);
    EXPECT_INT(upgrade(&client, "127.0.0.1"), COIL_EINVAL); /* once is enough */
    EXPECT_INT(close_client(&client), 0);
    COIL_TRY(wait_ended(&service, 1));
    EXPECT_INT(service.result, 0);
    return stop(&service);
}

TEST(streams_that_stand_go_over_to_tls)
{
    /* Mail and databases begin in the clear. */
    EXPECT_TLS(goes_over());
}

COIL_ASYNC0(injects)
{
    struct service service;
    struct client client;
    char *data;
    COIL_TRY(serve(&service, starts_tls, false));
    /* What somebody between the two has added would be taken for the client's own words. */
    COIL_TRY(ask_for_tls(&client, &service, "STARTTLS\nRCPT TO: <thief@evil.test>\n"));
    COIL_TRY(wait_ended(&service, 1));
    EXPECT_INT(service.result, COIL_ETLS);
    EXPECT_INT(coil_stream_read_chunk(client.reader, &data), 0);
    release(&client);
    return stop(&service);
}

TEST(words_injected_before_tls_are_refused)
{
    /* CVE-2011-0411 and its many children. */
    EXPECT_TLS(injects());
}

COIL_ASYNC(injects_late, (coil_stream_reader *, reader), (coil_stream_writer *, writer),
           (void *, arg))
{
    char *line;
    int rc = (int)coil_stream_readline(reader, &line);
    if (rc > 0)
        rc = coil_stream_write(writer, "go ahead\n", 9);
    if (rc == 0)
        rc = coil_event_wait(&((struct service *)arg)->go);
    if (rc == 0)
        rc = coil_stream_write(writer, "250 and what you did not see\n", 29);
    while (coil_stream_readline(reader, &line) > 0) /* its client closes it */
        continue;
    end_handler(arg, rc);
    return 0;
}

COIL_ASYNC0(is_injected_late)
{
    struct service service;
    struct client client;
    COIL_TRY(serve(&service, injects_late, false));
    COIL_TRY(ask_for_tls(&client, &service, "STARTTLS\n"));
    coil_event_set(&service.go);
    COIL_TRY(coil_sleep(0)); /* it writes, and nobody reads */
    EXPECT_INT(upgrade(&client, "127.0.0.1"), COIL_ETLS);
    char byte;
    EXPECT(coil_stream_read(client.reader, &byte, 1) < 0); /* and not a byte of it */
    release(&client);
    COIL_TRY(wait_ended(&service, 1));
    return stop(&service);
}

TEST(words_injected_after_the_look_are_no_handshake)
{
    /* The reader had nothing; the socket did. */
    EXPECT_TLS(is_injected_late());
}

COIL_ASYNC(reads_a_line, (coil_stream_reader *, reader), (char *, copy))
{
    char *line;
    COIL_TRY(coil_stream_readline(reader, &line));
    strncpy(copy, line, 99);
    return 0;
}

COIL_ASYNC(goes_over_alone, (struct client *, client))
{
    return upgrade(client, "127.0.0.1");
}

COIL_ASYNC0(is_used_meanwhile)
{
    struct service service;
    struct client client;
    char line[100] = "";
    COIL_TRY(serve(&service, starts_tls, false));
    COIL_TRY(ask_for_tls(&client, &service, "STARTTLS\n"));
    coil_task *upgrading = coil_create_task(goes_over_alone(&client));
    COIL_TRY(coil_sleep(0));
    EXPECT(!coil_future_done(upgrading));
    coil_task *reading = coil_create_task(reads_a_line(client.reader, line));
    COIL_TRY(coil_stream_write(client.writer, "early\n", 6));
    COIL_TRY(coil_await(upgrading, NULL));
    COIL_TRY(coil_await(reading, NULL));
    EXPECT_STR(line, "early\n");
    coil_unref(upgrading);
    /* While somebody waits for bytes, it is too late to change what they are. */
    reading = (coil_unref(reading), coil_create_task(reads_a_line(client.reader, line)));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(upgrade(&client, "127.0.0.1"), COIL_ERUNTIME);
    COIL_TRY(coil_stream_write(client.writer, "later\n", 6));
    COIL_TRY(coil_await(reading, NULL));
    EXPECT_STR(line, "later\n");
    coil_unref(reading);
    EXPECT_INT(close_client(&client), 0);
    COIL_TRY(wait_ended(&service, 1));
    return stop(&service);
}

TEST(what_is_read_and_written_during_the_handshake_goes_through_tls)
{
    /* In the clear it would be read by anybody, and break the handshake. */
    EXPECT_TLS(is_used_meanwhile());
}

COIL_ASYNC0(goes_over_to_another)
{
    struct service service;
    struct client client;
    char *data;
    COIL_TRY(serve(&service, starts_tls, false));
    COIL_TRY(ask_for_tls(&client, &service, "STARTTLS\n"));
    EXPECT_INT(upgrade(&client, "127.0.0.2"), COIL_ECERT);
    EXPECT(coil_stream_is_closing(client.writer));
    EXPECT_INT(coil_stream_write(client.writer, "secret", 6), COIL_ECERT);
    EXPECT_INT(coil_stream_read_chunk(client.reader, &data), COIL_ECERT);
    EXPECT_INT(close_client(&client), COIL_ECERT);
    COIL_TRY(wait_ended(&service, 1));
    EXPECT(service.result < 0);
    return stop(&service);
}

TEST(a_failed_upgrade_ends_the_streams)
{
    /* Whoever asked for TLS must not go on in the clear. */
    EXPECT_TLS(goes_over_to_another());
}

COIL_ASYNC0(is_closed_by_its_server)
{
    struct service service;
    struct client client;
    char *data;
    COIL_TRY(serve(&service, starts_tls, false));
    COIL_TRY(ask_for_tls(&client, &service, "STARTTLS\n"));
    COIL_TRY(upgrade(&client, "127.0.0.1"));
    COIL_TRY(speak(&client, "hello\n"));
    EXPECT_INT(coil_server_clients(service.server), 1);
    coil_server_close_clients(service.server);
    EXPECT_INT(coil_stream_read_chunk(client.reader, &data), 0); /* and not COIL_ETLS */
    EXPECT_INT(close_client(&client), 0);
    COIL_TRY(wait_ended(&service, 1));
    return stop(&service);
}

TEST(a_server_says_goodbye_to_upgraded_clients)
{
    /* A restart must not look like an attack. */
    EXPECT_TLS(is_closed_by_its_server());
}

/* ---- everywhere --------------------------------------------------------------------------------- */

/* Streams on one end of a line in memory; in the clear if there is no context. */
struct end {
    struct client streams;
    coil_transport *tls; /* NULL: none */
    const coil_protocol *protocol;
    void *self; /* the protocol's, for the line's transport */
};

static int end_new(struct end *end, coil_tls_context *context)
{
    coil_tls_options options = COIL_TLS_OPTIONS_INIT;
    *end = (struct end){ 0 };
    COIL_TRY(coil__stream_new(0, &end->streams.reader, &end->streams.writer));
    end->protocol = &coil__stream_protocol;
    end->self = end->streams.writer;
    if (!context)
        return 0;
    options.server_hostname = "127.0.0.1";
    int rc = coil__tls_transport_begin(context, &options, 0, coil_get_running_loop(),
                                       &coil__stream_protocol, end->streams.writer, &end->tls,
                                       &end->self);
    if (rc < 0)
        return rc;
    coil_ref(end->tls);
    end->protocol = &coil__tls_lower_protocol;
    return 0;
}

/* Nothing was connected to it. */
static void end_undo(struct end *end)
{
    if (end->tls) {
        coil__tls_transport_undo(end->tls);
        coil_unref(end->tls);
    }
    if (end->streams.writer)
        coil__stream_destroy(end->streams.writer);
    coil_unref(end->streams.writer);
    coil_unref(end->streams.reader);
}

static void release_ends(struct end ends[2])
{
    for (int i = 0; i < 2; i++) {
        if (ends[i].tls)
            coil_transport_abort(ends[i].tls);
        coil_unref(ends[i].tls);
        if (ends[i].streams.writer->transport)
            coil_transport_abort(ends[i].streams.writer->transport);
        coil_unref(ends[i].streams.writer);
        coil_unref(ends[i].streams.reader);
    }
}

static int connect_ends(struct end ends[2], bool tls)
{
    coil_testing_link link = COIL_TESTING_LINK_INIT;
    coil_transport *line[2];
    link.delay_max = 0.01;
    link.room = 3000;
    link.piece_max = 1500;
    int rc = end_new(&ends[0], tls ? client_context : NULL);
    if (rc < 0) {
        end_undo(&ends[0]);
        return rc;
    }
    rc = end_new(&ends[1], tls ? server_context : NULL);
    if (rc < 0) {
        end_undo(&ends[0]);
        end_undo(&ends[1]);
        return rc;
    }
    rc = coil_testing_connect(&link, ends[0].protocol, ends[0].self, ends[1].protocol, ends[1].self,
                              line);
    for (int i = 0; i < 2 && rc == 0; i++)
        coil_unref(line[i]);
    for (int i = 0; i < 2 && rc == 0; i++)
        if (ends[i].tls && !ends[i].streams.writer->transport)
            rc = coil_transport_is_closing(ends[i].tls) ? COIL_ECLOSED
                                                        : coil__transport_wait_made(ends[i].tls);
    if (rc < 0)
        release_ends(ends);
    return rc;
}

/* The other side of a conversation: goes over to TLS if it is asked to, and echoes. */
COIL_ASYNC(answers, (struct client *, streams), (bool, upgrades))
{
    char *data;
    ssize_t bytes;
    if (upgrades) {
        COIL_TRY(coil_stream_readline(streams->reader, &data));
        COIL_TRY(coil_stream_write(streams->writer, "go ahead\n", 9));
        COIL_TRY(coil_stream_start_tls(streams->writer, server_context, NULL));
    }
    while ((bytes = coil_stream_read_chunk(streams->reader, &data)) > 0)
        COIL_TRY(coil_stream_write(streams->writer, data, (size_t)bytes));
    coil_stream_close(streams->writer);
    return (int)bytes;
}

static int converse(struct client *streams, bool upgrades)
{
    static char data[20000];
    char *line;
    if (upgrades) {
        COIL_TRY(coil_stream_write(streams->writer, "STARTTLS\n", 9));
        COIL_TRY(coil_stream_readline(streams->reader, &line));
        COIL_TRY(upgrade(streams, "127.0.0.1"));
    }
    COIL_TRY(speak(streams, "hello\n"));
    COIL_TRY(
        coil_transport_set_write_buffer_limits(coil_stream_transport(streams->writer), 2000, 500));
    COIL_TRY(
        coil_stream_write(streams->writer, data, sizeof data)); /* waits for the echo's reads */
    COIL_TRY(coil_stream_readexactly(streams->reader, data, sizeof data));
    coil_stream_close(streams->writer);
    return coil_stream_wait_closed(streams->writer);
}

COIL_ASYNC(session, (bool, upgrades))
{
    struct end ends[2];
    coil_task_group both;
    COIL_TRY(connect_ends(ends, !upgrades));
    coil_task_group_enter(&both);
    int rc = coil_task_group_spawn(&both, answers(&ends[1].streams, upgrades));
    if (rc == 0)
        rc = converse(&ends[0].streams, upgrades);
    rc = coil_task_group_exit(&both, rc);
    release_ends(ends);
    return rc;
}

static coil_coro *make_session(void *arg)
{
    return session(arg != NULL);
}

TEST(a_session_survives_a_disturbance_at_each_point)
{
    /* Cancelled at each await, before and after it was over; timed out; out of memory; its loop ended. */
    contexts_new();
    EXPECT_INT(coil_testing_explore(make_session, NULL, NULL), 0);
    contexts_free();
}

TEST(an_upgrade_survives_a_disturbance_at_each_point)
{
    /* The transport below the streams changes hands in the middle. */
    contexts_new();
    EXPECT_INT(coil_testing_explore(make_session, &dropped, NULL), 0);
    contexts_free();
}

TESTS_MAIN(RUN(streams_speak_through_tls_when_asked_to), RUN(much_goes_both_ways_unchanged),
           RUN(a_peer_that_never_reads_costs_no_memory), RUN(goodbye_is_the_end_of_the_stream),
           RUN(a_cut_connection_is_no_end), RUN(a_cancelled_write_is_sent_whole),
           RUN(cancelled_reads_lose_nothing), RUN(a_bad_certificate_is_refused_by_its_reason),
           RUN(clients_in_the_clear_disturb_nobody), RUN(a_handshake_that_never_comes_is_ended),
           RUN(streams_that_stand_go_over_to_tls), RUN(words_injected_before_tls_are_refused),
           RUN(words_injected_after_the_look_are_no_handshake),
           RUN(what_is_read_and_written_during_the_handshake_goes_through_tls),
           RUN(a_failed_upgrade_ends_the_streams), RUN(a_server_says_goodbye_to_upgraded_clients),
           RUN(a_session_survives_a_disturbance_at_each_point),
           RUN(an_upgrade_survives_a_disturbance_at_each_point))
