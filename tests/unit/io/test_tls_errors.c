/* TLS transports whose peer breaks the rules, over a line in memory. */
#include "lib/steps.h"

#include <openssl/err.h>
#include <coil/tls.h>
#include "io/tls_transport.h"
#include "lib/certs.h"

enum {
    NOT_LOST = 1
};

struct end {
    coil_transport *transport, *line;
    bool made;
    int lost;
};

static coil_tls_context *contexts[2];

static int made(void *self, coil_transport *transport)
{
    (void)transport;
    ((struct end *)self)->made = true;
    return 0;
}

static int lost(void *self, int code)
{
    ((struct end *)self)->lost = code;
    return 0;
}

static const coil_protocol notes_end = {
    .size = sizeof(coil_protocol),
    .name = "notes",
    .connection_made = made,
    .connection_lost = lost,
};

static void contexts_new(void)
{
    struct cert root = certs_root("root"), leaf = certs_leaf("good.test", 10, &root);
    contexts[0] = coil_tls_context_new(COIL_TLS_CLIENT);
    contexts[1] = coil_tls_context_new(COIL_TLS_SERVER);
    REQUIRE(contexts[0] && contexts[1]);
    coil_tls_context_set_session_reuse(contexts[0], false); /* what it keeps is no leak */
    REQUIRE(coil_tls_context_add_ca(contexts[0], root.cert_pem) == 0);
    REQUIRE(coil_tls_context_use_cert_chain(contexts[1], leaf.cert_pem, leaf.key_pem, NULL) == 0);
    certs_free(&leaf);
    certs_free(&root);
}

static void contexts_free(void)
{
    coil_unref(contexts[0]);
    coil_unref(contexts[1]);
}

/* The client is end 0. A handshake takes no time. */
static int connect_ends(struct end ends[2])
{
    coil_tls_options options = COIL_TLS_OPTIONS_INIT;
    coil_transport *lines[2];
    void *below[2];
    for (int i = 0; i < 2; i++) {
        ends[i] = (struct end){ .lost = NOT_LOST };
        options.server_hostname = i == 0 ? "good.test" : NULL;
        COIL_TRY(coil__tls_transport_begin(contexts[i], &options, 0, coil_get_running_loop(),
                                           &notes_end, &ends[i], &ends[i].transport, &below[i]));
        coil_ref(ends[i].transport);
    }
    COIL_TRY(coil_testing_connect(NULL, &coil__tls_lower_protocol, below[0],
                                  &coil__tls_lower_protocol, below[1], lines));
    ends[0].line = lines[0];
    ends[1].line = lines[1];
    return coil_sleep(0.001);
}

static void release_ends(struct end ends[2])
{
    for (int i = 0; i < 2; i++) {
        coil_unref(ends[i].transport);
        coil_unref(ends[i].line);
    }
}

COIL_ASYNC0(gets_garbage_for_goodbye)
{
    static const char garbage[] = "\x17\x03\x03\x00\x05hello";
    struct end ends[2];
    COIL_TRY(connect_ends(ends));
    EXPECT(ends[0].made && ends[1].made);
    EXPECT_INT(coil_transport_write(ends[1].line, garbage, sizeof garbage - 1), 0);
    coil_transport_close(ends[0].transport);
    COIL_TRY(coil_sleep(0.001));
    EXPECT_INT(ends[0].lost, 0);
    coil_transport_abort(ends[1].transport);
    COIL_TRY(coil_sleep(0.001));
    EXPECT_INT(ERR_peek_error(), 0);
    release_ends(ends);
    return 0;
}

/* After an error OpenSSL reads no more. To wait for the rest of the goodbye would be to be told again and again that
 * there are bytes: a peer that costs a processor for half a minute. */
TEST(garbage_in_place_of_a_goodbye_ends_the_connection)
{
    contexts_new();
    EXPECT_RUN(gets_garbage_for_goodbye(), 0);
    contexts_free();
}

COIL_ASYNC0(loses_peer_in_handshake)
{
    coil_tls_options options = COIL_TLS_OPTIONS_INIT;
    static const coil_protocol silent = { .size = sizeof silent, .name = "silent" };
    struct end end = { .lost = NOT_LOST };
    coil_transport *lines[2];
    void *below;
    COIL_TRY(coil__tls_transport_begin(contexts[1], &options, 0, coil_get_running_loop(),
                                       &notes_end, &end, &end.transport, &below));
    coil_ref(end.transport);
    COIL_TRY(coil_testing_connect(NULL, &coil__tls_lower_protocol, below, &silent, NULL, lines));
    EXPECT_INT(coil_transport_write(lines[1], "\x16\x03\x01", 3), 0);
    coil_transport_close(lines[1]);
    COIL_TRY(coil_sleep(0.001));
    EXPECT(!end.made);
    EXPECT_INT(end.lost, NOT_LOST); /* it was never made */
    EXPECT(coil_transport_is_closing(end.transport));
    EXPECT_INT(ERR_peek_error(), 0);
    coil_unref(end.transport);
    coil_unref(lines[0]);
    coil_unref(lines[1]);
    return 0;
}

/* Other users of OpenSSL in this thread look into the same queue of errors. */
TEST(a_handshake_that_the_peer_leaves_leaves_no_error_behind)
{
    contexts_new();
    EXPECT_RUN(loses_peer_in_handshake(), 0);
    contexts_free();
}

TESTS_MAIN(RUN(garbage_in_place_of_a_goodbye_ends_the_connection),
           RUN(a_handshake_that_the_peer_leaves_leaves_no_error_behind))
