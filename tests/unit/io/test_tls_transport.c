/* TLS transports: two ends over a socket pair, in one loop. */
#include "lib/steps.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <coil/tls.h>
#include <coil/transport.h>
#include "io/tls_transport.h"
#include "lib/certs.h"
#include "tasks/task.h"

enum {
    LARGE = 1 << 20,
    MARK = 1, /* "not lost yet": no code */
};

/* ---- a protocol that takes notes ------------------------------------------------------------------ */

struct end {
    coil_transport *transport; /* lent, from connection_made to connection_lost */
    size_t received;
    unsigned sum;
    bool echoes, paused, made, ended;
    int lost; /* MARK, or the code */
    coil_event changed;
};

static void add(struct end *end, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    end->received += bytes;
    for (size_t i = 0; i < bytes; i++)
        end->sum = end->sum * 31 + at[i];
}

static int made(void *self, coil_transport *transport)
{
    struct end *end = self;
    end->transport = transport;
    end->made = true;
    coil_event_set(&end->changed);
    return 0;
}

static int received(void *self, const void *data, size_t bytes)
{
    struct end *end = self;
    add(end, data, bytes);
    coil_event_set(&end->changed);
    return end->echoes ? coil_transport_write(end->transport, data, bytes) : 0;
}

static int ended(void *self)
{
    ((struct end *)self)->ended = true;
    return 0;
}

static int lost(void *self, int code)
{
    struct end *end = self;
    end->lost = code;
    end->transport = NULL;
    coil_event_set(&end->changed);
    return 0;
}

static int paused(void *self)
{
    ((struct end *)self)->paused = true;
    return 0;
}

static int resumed(void *self)
{
    struct end *end = self;
    end->paused = false;
    coil_event_set(&end->changed);
    return 0;
}

static const coil_protocol notes_protocol = {
    .size = sizeof(coil_protocol),
    .name = "notes",
    .connection_made = made,
    .data_received = received,
    .eof_received = ended,
    .connection_lost = lost,
    .pause_writing = paused,
    .resume_writing = resumed,
};

static void end_init(struct end *end)
{
    *end = (struct end){ .lost = MARK };
    coil_event_init(&end->changed);
}

/* ---- two ends ------------------------------------------------------------------------------------- */

static struct cert root, leaf;
static coil_tls_context *client_context, *server_context;

static void contexts_new(void)
{
    root = certs_root("root");
    leaf = certs_leaf("good.test", 10, &root);
    client_context = coil_tls_context_new(COIL_TLS_CLIENT);
    server_context = coil_tls_context_new(COIL_TLS_SERVER);
    REQUIRE(client_context && server_context);
    coil_tls_context_set_session_reuse(client_context, false); /* what it keeps is no leak */
    REQUIRE(coil_tls_context_add_ca(client_context, root.cert_pem) == 0);
    REQUIRE(coil_tls_context_use_cert_chain(server_context, leaf.cert_pem, leaf.key_pem, NULL) ==
            0);
}

static void contexts_free(void)
{
    coil_unref(client_context);
    coil_unref(server_context);
    certs_free(&leaf);
    certs_free(&root);
}

/* Begins one end on a socket; the handshake is still to come. */
static int begin(coil_tls_context *context, const char *name, int fd, struct end *end,
                 coil_transport **transport_out)
{
    coil_tls_options options = COIL_TLS_OPTIONS_INIT;
    options.server_hostname = name;
    void *below;
    coil_loop *loop = coil_get_running_loop();
    end_init(end);
    int rc = coil__tls_transport_begin(context, &options, 0, loop, &notes_protocol, end,
                                       transport_out, &below);
    if (rc < 0)
        return rc;
    coil_ref(*transport_out);
    return coil_create_connection_sock(&coil__tls_lower_protocol, below, fd, NULL, NULL);
}

struct pair {
    struct end client, server;
    coil_transport *client_tls, *server_tls;
};

static int connect_pair(struct pair *pair, const char *name)
{
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    COIL_TRY(begin(server_context, NULL, fds[0], &pair->server, &pair->server_tls));
    COIL_TRY(begin(client_context, name, fds[1], &pair->client, &pair->client_tls));
    int rc = pair->client.made ? 0 : coil__transport_wait_made(pair->client_tls);
    while (rc == 0 && !pair->server.made) {
        coil_event_clear(&pair->server.changed);
        rc = coil_event_wait(&pair->server.changed);
    }
    return rc;
}

static int wait_lost(struct end *end)
{
    while (end->lost == MARK) {
        coil_event_clear(&end->changed);
        COIL_TRY(coil_event_wait(&end->changed));
    }
    return 0;
}

static int wait_received(struct end *end, size_t bytes)
{
    while (end->received < bytes && end->lost == MARK) {
        coil_event_clear(&end->changed);
        COIL_TRY(coil_event_wait(&end->changed));
    }
    return 0;
}

static int end_pair(struct pair *pair)
{
    if (pair->client.lost == MARK)
        coil_transport_close(pair->client_tls);
    COIL_TRY(wait_lost(&pair->client));
    COIL_TRY(wait_lost(&pair->server));
    coil_unref(pair->client_tls);
    coil_unref(pair->server_tls);
    coil_event_fini(&pair->client.changed);
    coil_event_fini(&pair->server.changed);
    return 0;
}

/* ---- tests ---------------------------------------------------------------------------------------- */

COIL_ASYNC0(talks)
{
    struct pair pair;
    COIL_TRY(connect_pair(&pair, "good.test"));
    pair.server.echoes = true;
    EXPECT_INT(coil_transport_write(pair.client_tls, "hello", 5), 0);
    COIL_TRY(wait_received(&pair.client, 5));
    EXPECT_INT(pair.client.received, 5);
    EXPECT_INT(coil_transport_can_write_eof(pair.client_tls), false);
    EXPECT_STR(coil_transport_get_extra_info(pair.client_tls, "version").string, "TLSv1.3");
    coil_transport_close(pair.client_tls);
    EXPECT(coil_transport_is_closing(pair.client_tls));
    COIL_TRY(end_pair(&pair));
    EXPECT_INT(pair.client.lost, 0);
    EXPECT_INT(pair.server.lost, 0);
    EXPECT(pair.server.ended);
    return 0;
}

/* The smallest use there is. */
TEST(two_ends_talk_and_part_politely)
{
    contexts_new();
    EXPECT_RUN_REAL(talks(), 0);
    contexts_free();
}

COIL_ASYNC0(moves_much)
{
    struct pair pair;
    COIL_TRY(connect_pair(&pair, "good.test"));
    pair.server.echoes = true;
    unsigned char *data = malloc(LARGE);
    REQUIRE(data);
    for (size_t i = 0; i < LARGE; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    struct end expected;
    end_init(&expected);
    add(&expected, data, LARGE);
    EXPECT_INT(coil_transport_write(pair.client_tls, data, LARGE), 0);
    free(data);
    EXPECT(pair.client.paused);
    COIL_TRY(wait_received(&pair.client, LARGE));
    EXPECT_INT(pair.client.received, LARGE);
    EXPECT_INT(pair.client.sum, expected.sum);
    EXPECT(!pair.client.paused);
    EXPECT_INT(coil_transport_get_write_buffer_size(pair.client_tls), 0);
    coil_event_fini(&expected.changed);
    return end_pair(&pair);
}

/* More than any buffer on the way holds, in both directions at once. */
TEST(a_megabyte_goes_there_and_back_unchanged)
{
    contexts_new();
    EXPECT_RUN_REAL(moves_much(), 0);
    contexts_free();
}

COIL_ASYNC0(pauses)
{
    struct pair pair;
    COIL_TRY(connect_pair(&pair, "good.test"));
    coil_transport_pause_reading(pair.server_tls);
    EXPECT_INT(coil_transport_write(pair.client_tls, "one", 3), 0);
    COIL_TRY(coil_sleep(0.01));
    EXPECT_INT(pair.server.received, 0);
    coil_transport_resume_reading(pair.server_tls);
    COIL_TRY(wait_received(&pair.server, 3));
    EXPECT_INT(pair.server.received, 3);
    return end_pair(&pair);
}

/* A protocol that cannot keep up must be able to say so. */
TEST(a_paused_end_gets_nothing_until_it_resumes)
{
    contexts_new();
    EXPECT_RUN_REAL(pauses(), 0);
    contexts_free();
}

COIL_ASYNC0(is_cut_off)
{
    struct pair pair;
    COIL_TRY(connect_pair(&pair, "good.test"));
    EXPECT_INT(coil_transport_write(pair.client_tls, "half a messa", 12), 0);
    EXPECT_INT(shutdown(coil_transport_fd(pair.client_tls), SHUT_WR), 0);
    COIL_TRY(wait_lost(&pair.server));
    EXPECT_INT(pair.server.received, 12);
    EXPECT_INT(pair.server.lost, COIL_ETLS);
    EXPECT(!pair.server.ended);
    return end_pair(&pair);
}

/* Whoever can cut a cable must not be able to shorten a message without anybody noticing. */
TEST(an_end_without_goodbye_is_an_error)
{
    contexts_new();
    EXPECT_RUN_REAL(is_cut_off(), 0);
    contexts_free();
}

COIL_ASYNC0(meets_another_host)
{
    struct pair pair;
    EXPECT_INT(connect_pair(&pair, "evil.test"), COIL_ECERT);
    EXPECT(!pair.client.made);
    EXPECT(coil__transport_wait_made(pair.server_tls) < 0); /* the alert, or the end */
    EXPECT(!pair.server.made);
    EXPECT_INT(pair.client.lost, MARK); /* what was never made is never lost */
    coil_unref(pair.client_tls);
    coil_unref(pair.server_tls);
    return 0;
}

/* connection_made must mean that it is the right host. */
TEST(a_wrong_certificate_ends_the_connection_before_it_is_made)
{
    contexts_new();
    EXPECT_RUN_REAL(meets_another_host(), 0);
    contexts_free();
}

COIL_ASYNC0(gets_garbage)
{
    int fds[2];
    struct end server;
    coil_transport *tls;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    COIL_TRY(begin(server_context, NULL, fds[0], &server, &tls));
    COIL_TRY(coil_sock_sendall(fds[1], "GET / HTTP/1.1\r\n\r\n", 18));
    EXPECT_INT(coil__transport_wait_made(tls), COIL_ETLS);
    EXPECT(!server.made);
    coil_unref(tls);
    coil_sock_close(fds[1]);
    return 0;
}

/* Port scanners and plain HTTP clients find every port. */
TEST(garbage_in_place_of_a_handshake_is_refused)
{
    contexts_new();
    EXPECT_RUN_REAL(gets_garbage(), 0);
    contexts_free();
}

COIL_ASYNC0(meets_silence)
{
    int fds[2];
    struct end client;
    coil_transport *tls;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    COIL_TRY(begin(client_context, "good.test", fds[0], &client, &tls));
    double began = coil_loop_time(NULL);
    EXPECT_INT(coil__transport_wait_made(tls), COIL_ETIMEDOUT);
    EXPECT_DOUBLE(coil_loop_time(NULL) - began, 60);
    coil_unref(tls);
    coil_sock_close(fds[1]);
    return 0;
}

/* A peer that never answers must not hold a connection for ever. */
TEST(a_handshake_has_a_limit)
{
    contexts_new();
    EXPECT_RUN(meets_silence(), 0);
    contexts_free();
}

COIL_ASYNC0(is_left_hanging)
{
    struct pair pair;
    COIL_TRY(connect_pair(&pair, "good.test"));
    coil_transport_pause_reading(pair.server_tls); /* so that it never sees the goodbye */
    coil_transport_close(pair.client_tls);
    COIL_TRY(wait_lost(&pair.client));
    EXPECT_INT(pair.client.lost, COIL_ETIMEDOUT);
    coil_transport_resume_reading(pair.server_tls);
    return end_pair(&pair);
}

/* Nor one that does not say goodbye. */
TEST(a_goodbye_has_a_limit)
{
    contexts_new();
    EXPECT_RUN(is_left_hanging(), 0);
    contexts_free();
}

COIL_ASYNC0(is_left_in_the_handshake)
{
    int fds[2];
    struct end client;
    coil_transport *tls;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    COIL_TRY(begin(client_context, "good.test", fds[0], &client, &tls));
    coil_sock_close(fds[1]);
    EXPECT_INT(coil__transport_wait_made(tls), -ECONNRESET);
    coil_unref(tls);
    return 0;
}

/* Load balancers that are restarted do this. */
TEST(a_peer_that_leaves_the_handshake_is_an_error)
{
    contexts_new();
    EXPECT_RUN_REAL(is_left_in_the_handshake(), 0);
    contexts_free();
}

COIL_ASYNC(upgrades, (coil_transport *, plain), (coil_tls_context *, context), (const char *, name),
           (coil_transport **, tls_out))
{
    coil_tls_options options = COIL_TLS_OPTIONS_INIT;
    options.server_hostname = name;
    return coil_start_tls(plain, context, &options, tls_out);
}

COIL_ASYNC(upgrades_both, (const char *, name), (int, code))
{
    struct pair pair;
    int fds[2];
    coil_transport *plain[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    end_init(&pair.client);
    end_init(&pair.server);
    COIL_TRY(coil_create_connection_sock(&notes_protocol, &pair.server, fds[0], NULL, &plain[0]));
    COIL_TRY(coil_create_connection_sock(&notes_protocol, &pair.client, fds[1], NULL, &plain[1]));
    EXPECT_INT(coil_transport_write(plain[1], "STARTTLS", 8), 0);
    COIL_TRY(wait_received(&pair.server, 8));
    coil_task *server = coil_create_task(
        upgrades(plain[0], server_context, NULL, &pair.server_tls));
    int rc = coil_start_tls(
        plain[1], client_context,
        &(coil_tls_options){ .size = sizeof(coil_tls_options), .server_hostname = name },
        &pair.client_tls);
    EXPECT_INT(rc, code);
    if (code == 0) {
        COIL_TRY(coil_await(server, NULL));
        pair.client.transport = pair.client_tls;
        EXPECT_INT(coil_transport_write(pair.client_tls, "secret", 6), 0);
        COIL_TRY(wait_received(&pair.server, 14));
        COIL_TRY(end_pair(&pair));
    } else {
        EXPECT(coil_await(server, NULL) < 0);
        COIL_TRY(wait_lost(&pair.client));
        COIL_TRY(wait_lost(&pair.server));
        EXPECT_INT(pair.client.lost, code);
    }
    coil_unref(server);
    coil_unref(plain[0]);
    coil_unref(plain[1]);
    return 0;
}

/* Mail and databases begin in the clear. */
TEST(a_connection_that_stands_goes_over_to_tls)
{
    contexts_new();
    EXPECT_RUN_REAL(upgrades_both("good.test", 0), 0);
    contexts_free();
}

/* Whoever asked for TLS must not go on in the clear, and both protocols must hear of the end. */
TEST(an_upgrade_that_fails_ends_the_connection)
{
    contexts_new();
    EXPECT_RUN_REAL(upgrades_both("evil.test", COIL_ECERT), 0);
    contexts_free();
}

/* Begins a TLS transport for a lower one that is still to be made. */
static int begin_above(coil_tls_context *context, const char *name, struct end *end,
                       coil_transport **transport_out, void **below_out)
{
    coil_tls_options options = COIL_TLS_OPTIONS_INIT;
    options.server_hostname = name;
    end_init(end);
    COIL_TRY(coil__tls_transport_begin(context, &options, 0, coil_get_running_loop(),
                                       &notes_protocol, end, transport_out, below_out));
    coil_ref(*transport_out);
    return 0;
}

static int wait_made(const struct end *end, coil_transport *tls)
{
    if (end->made)
        return 0;
    return coil_transport_is_closing(tls) ? COIL_ECLOSED : coil__transport_wait_made(tls);
}

/* The same as connect_pair, over a line in memory. */
static int connect_over(struct pair *pair, const coil_testing_link *link)
{
    coil_transport *lower[2];
    void *below[2];
    COIL_TRY(begin_above(server_context, NULL, &pair->server, &pair->server_tls, &below[0]));
    int rc = begin_above(client_context, "good.test", &pair->client, &pair->client_tls, &below[1]);
    if (rc < 0) {
        coil__tls_transport_undo(pair->server_tls);
        coil_unref(pair->server_tls);
        return rc;
    }
    rc = coil_testing_connect(link, &coil__tls_lower_protocol, below[0], &coil__tls_lower_protocol,
                              below[1], lower);
    if (rc == 0) {
        coil_unref(lower[0]);
        coil_unref(lower[1]);
    }
    if (rc == 0)
        rc = wait_made(&pair->client, pair->client_tls);
    if (rc == 0)
        rc = wait_made(&pair->server, pair->server_tls);
    if (rc == 0)
        return 0;
    coil_transport_abort(pair->client_tls);
    coil_transport_abort(pair->server_tls);
    coil_unref(pair->client_tls);
    coil_unref(pair->server_tls);
    return rc;
}

COIL_ASYNC0(talks_over_a_bad_line)
{
    struct pair pair;
    coil_testing_link link = COIL_TESTING_LINK_INIT;
    link.seed = 5;
    link.piece_max = 7;
    link.delay_max = 0.1;
    link.room = 100;
    COIL_TRY(connect_over(&pair, &link));
    pair.server.echoes = true;
    static char data[50000];
    int rc = coil_transport_write(pair.client_tls, data, sizeof data);
    if (rc == 0)
        rc = wait_received(&pair.client, sizeof data);
    EXPECT_INT(pair.client.received, sizeof data);
    COIL_TRY(rc);
    return end_pair(&pair);
}

/* Records are cut anywhere. */
TEST(records_survive_a_line_that_delivers_in_crumbs)
{
    contexts_new();
    EXPECT_RUN(talks_over_a_bad_line(), 0);
    contexts_free();
}

COIL_ASYNC0(is_disturbed)
{
    static struct pair pair; /* connection_lost of an aborted connection comes later */
    COIL_TRY(connect_over(&pair, NULL));
    pair.server.echoes = true;
    int rc = coil_transport_write(pair.client_tls, "hello", 5);
    if (rc == 0)
        rc = wait_received(&pair.client, 5);
    coil_transport_close(pair.client_tls);
    if (rc == 0)
        rc = wait_lost(&pair.server);
    coil_transport_abort(pair.client_tls);
    coil_transport_abort(pair.server_tls);
    coil_unref(pair.client_tls);
    coil_unref(pair.server_tls);
    return rc;
}

static coil_coro *explored(void *arg)
{
    (void)arg;
    return is_disturbed();
}

/* Each point of a session: cancelled, timed out, out of memory, the loop closed. */
TEST(a_session_leaks_nothing_wherever_it_is_disturbed)
{
    contexts_new();
    EXPECT_INT(coil_testing_explore(explored, NULL, NULL), 0);
    contexts_free();
}

TESTS_MAIN(RUN(two_ends_talk_and_part_politely), RUN(a_megabyte_goes_there_and_back_unchanged),
           RUN(a_paused_end_gets_nothing_until_it_resumes), RUN(an_end_without_goodbye_is_an_error),
           RUN(a_wrong_certificate_ends_the_connection_before_it_is_made),
           RUN(garbage_in_place_of_a_handshake_is_refused), RUN(a_handshake_has_a_limit),
           RUN(a_goodbye_has_a_limit), RUN(a_peer_that_leaves_the_handshake_is_an_error),
           RUN(a_connection_that_stands_goes_over_to_tls),
           RUN(an_upgrade_that_fails_ends_the_connection),
           RUN(records_survive_a_line_that_delivers_in_crumbs),
           RUN(a_session_leaks_nothing_wherever_it_is_disturbed))
