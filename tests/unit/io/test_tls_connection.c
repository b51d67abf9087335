/* TLS by way of the calls that make connections and servers, over loopback. */
#include "lib/steps.h"

#include <coil/server.h>
#include <coil/tls.h>
#include <coil/transport.h>
#include <sys/socket.h>

#include "lib/certs.h"

enum {
    NOT_LOST = 1,
};

struct side {
    coil_transport *transport;
    size_t received;
    bool echoes;
    int lost;
    coil_event changed;
};

static int made(void *self, coil_transport *transport)
{
    ((struct side *)self)->transport = transport;
    coil_event_set(&((struct side *)self)->changed);
    return 0;
}

static int received(void *self, const void *data, size_t bytes)
{
    struct side *side = self;
    side->received += bytes;
    coil_event_set(&side->changed);
    return side->echoes ? coil_transport_write(side->transport, data, bytes) : 0;
}

static int lost(void *self, int code)
{
    struct side *side = self;
    side->lost = code;
    side->transport = NULL;
    coil_event_set(&side->changed);
    return 0;
}

static const coil_protocol protocol = {
    .size = sizeof(coil_protocol),
    .name = "notes",
    .connection_made = made,
    .data_received = received,
    .connection_lost = lost,
};

static void side_init(struct side *side, bool echoes)
{
    *side = (struct side){ .echoes = echoes, .lost = NOT_LOST };
    coil_event_init(&side->changed);
}

static int wait_for(struct side *side)
{
    int rc = coil_event_wait(&side->changed);
    coil_event_clear(&side->changed);
    return rc;
}

static struct cert root, leaf;
static coil_tls_context *client_context, *server_context;

static void contexts_new(const char *host)
{
    root = certs_root("root");
    leaf = certs_leaf(host, 10, &root);
    client_context = coil_tls_context_new(COIL_TLS_CLIENT);
    server_context = coil_tls_context_new(COIL_TLS_SERVER);
    REQUIRE(client_context && server_context);
    REQUIRE(coil_tls_context_add_ca(client_context, root.cert_pem) == 0);
    REQUIRE(coil_tls_context_use_cert_chain(server_context, leaf.cert_pem, leaf.key_pem, NULL) ==
            0);
    coil_tls_context_set_session_reuse(client_context, false); /* what it keeps is no leak */
}

static void contexts_free(void)
{
    coil_unref(client_context);
    coil_unref(server_context);
    certs_free(&leaf);
    certs_free(&root);
}

static int serve(struct side *side, coil_server **server_out)
{
    coil_server_options options = COIL_SERVER_OPTIONS_INIT;
    options.tls = server_context;
    side_init(side, true);
    return coil_create_server(&protocol, side, "127.0.0.1", 0, &options, server_out);
}

static int stop(coil_server *server, struct side *side)
{
    coil_server_close(server);
    int rc = coil_server_wait_closed(server);
    coil_unref(server);
    coil_event_fini(&side->changed);
    return rc;
}

COIL_ASYNC(talks_to, (const char *, host))
{
    struct side client, peer;
    coil_server *server;
    coil_transport *tls;
    coil_connection_options options = COIL_CONNECTION_OPTIONS_INIT;
    options.tls = client_context;
    side_init(&client, false);
    COIL_TRY(serve(&peer, &server));
    COIL_TRY(
        coil_create_connection(&protocol, &client, host, coil_server_port(server), &options, &tls));
    EXPECT_PTR(client.transport, tls);
    EXPECT_INT(coil_transport_write(tls, "hello", 5), 0);
    while (client.received < 5)
        COIL_TRY(wait_for(&client));
    coil_transport_close(tls);
    while (client.lost == NOT_LOST)
        COIL_TRY(wait_for(&client));
    EXPECT_INT(client.lost, 0);
    coil_unref(tls);
    COIL_TRY(stop(server, &peer));
    EXPECT_INT(peer.lost, 0);
    coil_event_fini(&client.changed);
    return 0;
}

/* By number and by name; the name stands for ::1, too, where nobody listens. */
TEST(a_client_and_a_server_meet_by_address_and_by_name)
{
    contexts_new("127.0.0.1");
    EXPECT_RUN_REAL(talks_to("127.0.0.1"), 0);
    contexts_free();
    contexts_new("localhost");
    EXPECT_RUN_REAL(talks_to("localhost"), 0);
    contexts_free();
}

COIL_ASYNC0(is_refused)
{
    struct side client, peer;
    coil_server *server;
    coil_connection_options options = COIL_CONNECTION_OPTIONS_INIT;
    options.tls = client_context;
    side_init(&client, false);
    COIL_TRY(serve(&peer, &server));
    EXPECT_INT(coil_create_connection(&protocol, &client, "127.0.0.1", coil_server_port(server),
                                      &options, NULL),
               COIL_ECERT);
    EXPECT_PTR(client.transport, NULL);
    COIL_TRY(stop(server, &peer));
    return 0;
}

/* The certificate is for another host. */
TEST(a_client_refuses_another_hosts_certificate)
{
    contexts_new("elsewhere.test");
    EXPECT_RUN_REAL(is_refused(), 0);
    contexts_free();
}

COIL_ASYNC0(gives_back)
{
    int fds[2];
    struct side client;
    coil_connection_options options = COIL_CONNECTION_OPTIONS_INIT;
    options.tls = client_context;
    options.server_hostname = "localhost";
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    side_init(&client, false);
    COIL_TRY(coil_sock_sendall(fds[1], "no TLS at all\r\n", 15));
    EXPECT_INT(coil_create_connection_sock(&protocol, &client, fds[0], &options, NULL), COIL_ETLS);
    EXPECT_INT(coil_sock_sendall(fds[0], "still open", 10), 0);
    coil_sock_close(fds[0]);
    coil_sock_close(fds[1]);
    coil_event_fini(&client.changed);
    return 0;
}

/* Who hands a descriptor in must know whose it is afterwards. */
TEST(a_failed_handshake_gives_the_descriptor_back)
{
    contexts_new("localhost");
    EXPECT_RUN_REAL(gives_back(), 0);
    contexts_free();
}

COIL_ASYNC0(mixes_up)
{
    coil_server *server;
    coil_server_options options = COIL_SERVER_OPTIONS_INIT;
    struct side side;
    options.tls = client_context;
    side_init(&side, false);
    EXPECT_INT(coil_create_server(&protocol, &side, "127.0.0.1", 0, &options, &server),
               COIL_EINVAL);
    coil_event_fini(&side.changed);
    return 0;
}

/* The mistake is easy, and its handshakes would fail one by one. */
TEST(a_server_refuses_a_clients_context)
{
    contexts_new("localhost");
    EXPECT_RUN_REAL(mixes_up(), 0);
    contexts_free();
}

COIL_ASYNC0(is_ended)
{
    struct side client, peer;
    coil_server *server;
    coil_connection_options options = COIL_CONNECTION_OPTIONS_INIT;
    options.tls = client_context;
    side_init(&client, false);
    COIL_TRY(serve(&peer, &server));
    COIL_TRY(coil_create_connection(&protocol, &client, "127.0.0.1", coil_server_port(server),
                                    &options, NULL));
    while (!peer.transport)
        COIL_TRY(wait_for(&peer));
    coil_server_close(server);
    coil_server_close_clients(server);
    COIL_TRY(coil_server_wait_closed(server));
    EXPECT_INT(peer.lost, 0);
    while (client.lost == NOT_LOST)
        COIL_TRY(wait_for(&client));
    EXPECT_INT(client.lost, 0); /* it was a polite end */
    coil_unref(server);
    coil_event_fini(&client.changed);
    coil_event_fini(&peer.changed);
    return 0;
}

/* A restart must not look like an attack to the clients. */
TEST(a_server_says_goodbye_to_its_clients)
{
    contexts_new("127.0.0.1");
    EXPECT_RUN_REAL(is_ended(), 0);
    contexts_free();
}

TESTS_MAIN(RUN(a_client_and_a_server_meet_by_address_and_by_name),
           RUN(a_client_refuses_another_hosts_certificate),
           RUN(a_failed_handshake_gives_the_descriptor_back),
           RUN(a_server_refuses_a_clients_context), RUN(a_server_says_goodbye_to_its_clients))
