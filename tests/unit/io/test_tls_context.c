/* TLS contexts: whom they trust, and what they agree on. Two ends over memory, without a socket. */
#include "test.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <coil/error.h>
#include "io/tls_context.h"
#include "lib/certs.h"

struct ends {
    SSL *client, *server;
};

static void connect_ends(struct ends *ends, coil_tls_context *client, coil_tls_context *server,
                         const char *name)
{
    BIO *left, *right;
    ends->client = coil__tls_new(client, name, name);
    ends->server = coil__tls_new(server, NULL, NULL);
    REQUIRE(ends->client && ends->server);
    REQUIRE(BIO_new_bio_pair(&left, 0, &right, 0) == 1);
    SSL_set_bio(ends->client, left, left);
    SSL_set_bio(ends->server, right, right);
}

/* 0, or the client's code. */
static int shake(struct ends *ends)
{
    for (int round = 0; round < 20; round++) {
        int client = SSL_do_handshake(ends->client);
        if (client != 1 && SSL_get_error(ends->client, client) == SSL_ERROR_SSL)
            return coil__tls_fail("handshake");
        int server = SSL_do_handshake(ends->server);
        if (client == 1 && server == 1) {
            char byte; /* the tickets come behind the handshake */
            (void)SSL_read(ends->client, &byte, 1);
            return 0;
        }
        if (server != 1 && SSL_get_error(ends->server, server) == SSL_ERROR_SSL)
            return coil__tls_fail("handshake, the server");
    }
    return -1;
}

static void end(struct ends *ends)
{
    SSL_set_quiet_shutdown(ends->client, 1); /* without it the session counts as broken */
    (void)SSL_shutdown(ends->client);
    SSL_free(ends->client);
    SSL_free(ends->server);
}

static coil_tls_context *server_with(const struct cert *cert)
{
    coil_tls_context *server = coil_tls_context_new(COIL_TLS_SERVER);
    REQUIRE(server);
    REQUIRE(coil_tls_context_use_cert_chain(server, cert->cert_pem, cert->key_pem, NULL) == 0);
    return server;
}

static coil_tls_context *client_trusting(const struct cert *root)
{
    coil_tls_context *client = coil_tls_context_new(COIL_TLS_CLIENT);
    REQUIRE(client);
    if (root)
        REQUIRE(coil_tls_context_add_ca(client, root->cert_pem) == 0);
    return client;
}

/* What a client with this root says to a server with this certificate when it wants that name. */
static int verdict(const struct cert *root, const struct cert *leaf, const char *name)
{
    coil_tls_context *client = client_trusting(root), *server = server_with(leaf);
    struct ends ends;
    connect_ends(&ends, client, server, name);
    int rc = shake(&ends);
    end(&ends);
    coil_unref(client);
    coil_unref(server);
    return rc;
}

/* The default must be the safe one: whoever forgets everything still talks to the right host. */
TEST(a_client_refuses_what_it_cannot_verify)
{
    struct cert root = certs_root("root"), other = certs_root("other root");
    struct cert good = certs_leaf("good.test", 10, &root);
    struct cert expired = certs_leaf("good.test", -3, &root);
    struct cert self_signed = certs_leaf("good.test", 10, NULL);
    struct cert address = certs_leaf("127.0.0.1", 10, &root);

    EXPECT_INT(verdict(&root, &good, "good.test"), 0);
    EXPECT_INT(verdict(&root, &address, "127.0.0.1"), 0);
    EXPECT_INT(verdict(&root, &good, "evil.test"), COIL_ECERT);
    EXPECT_INT(verdict(&root, &address, "127.0.0.2"), COIL_ECERT);
    EXPECT_INT(verdict(&root, &expired, "good.test"), COIL_ECERT);
    EXPECT_INT(verdict(&root, &self_signed, "good.test"), COIL_ECERT);
    EXPECT_INT(verdict(&other, &good, "good.test"), COIL_ECERT);
    EXPECT_INT(verdict(NULL, &good, "good.test"), COIL_ECERT);

    certs_free(&address);
    certs_free(&self_signed);
    certs_free(&expired);
    certs_free(&good);
    certs_free(&other);
    certs_free(&root);
}

/* Tests and closed networks need it, and nobody should get it by accident. */
TEST(verification_is_switched_off_in_two_steps)
{
    struct cert self_signed = certs_leaf("good.test", 10, NULL);
    coil_tls_context *client = client_trusting(NULL), *server = server_with(&self_signed);
    EXPECT_INT(coil_tls_context_set_verify(client, COIL_TLS_VERIFY_NONE), COIL_EINVAL);
    EXPECT_INT(coil_tls_context_set_check_hostname(client, false), 0);
    EXPECT_INT(coil_tls_context_set_verify(client, COIL_TLS_VERIFY_NONE), 0);
    struct ends ends;
    connect_ends(&ends, client, server, "whoever.test");
    EXPECT_INT(shake(&ends), 0);
    end(&ends);
    coil_unref(client);
    coil_unref(server);
    certs_free(&self_signed);
}

/* Without a name to compare with, any valid certificate would do, an attacker's too. */
TEST(a_client_without_a_name_to_check_is_refused)
{
    coil_tls_context *client = client_trusting(NULL);
    EXPECT_PTR(coil__tls_new(client, NULL, NULL), NULL);
    EXPECT_INT(coil_error_code(coil_error_current(COIL_EINVAL)), COIL_EINVAL);
    coil_unref(client);
}

/* Servers that know their clients by certificate must not let others in. */
TEST(a_server_can_require_a_certificate)
{
    struct cert root = certs_root("root");
    struct cert leaf = certs_leaf("good.test", 10, &root), mine = certs_leaf("me", 10, &root);
    for (int with = 0; with < 2; with++) {
        coil_tls_context *client = client_trusting(&root), *server = server_with(&leaf);
        REQUIRE(coil_tls_context_add_ca(server, root.cert_pem) == 0);
        EXPECT_INT(coil_tls_context_set_verify(server, COIL_TLS_VERIFY_REQUIRED), 0);
        REQUIRE(coil_tls_context_set_minimum_version(server, COIL_TLS_1_3) == 0);
        if (with)
            REQUIRE(coil_tls_context_use_cert_chain(client, mine.cert_pem, mine.key_pem, NULL) ==
                    0);
        struct ends ends;
        connect_ends(&ends, client, server, "good.test");
        EXPECT_INT(shake(&ends), with ? 0 : COIL_ETLS);
        end(&ends);
        coil_unref(client);
        coil_unref(server);
    }
    certs_free(&mine);
    certs_free(&leaf);
    certs_free(&root);
}

/* HTTP/2 and others are chosen by it. */
TEST(the_servers_first_common_protocol_is_chosen)
{
    struct cert root = certs_root("root"), leaf = certs_leaf("good.test", 10, &root);
    coil_tls_context *client = client_trusting(&root), *server = server_with(&leaf);
    const char *offered[] = { "spdy/1", "http/1.1", "h2" }, *liked[] = { "h3", "h2", "http/1.1" };
    EXPECT_INT(coil_tls_context_set_alpn_protocols(client, offered, 3), 0);
    EXPECT_INT(coil_tls_context_set_alpn_protocols(server, liked, 3), 0);
    struct ends ends;
    connect_ends(&ends, client, server, "good.test");
    EXPECT_INT(shake(&ends), 0);
    const unsigned char *chosen;
    unsigned bytes;
    SSL_get0_alpn_selected(ends.client, &chosen, &bytes);
    EXPECT_INT(bytes, 2);
    EXPECT(bytes == 2 && memcmp(chosen, "h2", 2) == 0);
    end(&ends);
    const char *empty[] = { "" };
    EXPECT_INT(coil_tls_context_set_alpn_protocols(client, empty, 1), COIL_EINVAL);
    coil_unref(client);
    coil_unref(server);
    certs_free(&leaf);
    certs_free(&root);
}

/* One address serves several hosts. */
TEST(the_name_that_a_client_asks_for_picks_the_certificate)
{
    struct cert root = certs_root("root");
    struct cert one = certs_leaf("one.test", 10, &root), two = certs_leaf("two.test", 10, &root);
    coil_tls_context *client = client_trusting(&root), *server = server_with(&one),
                     *other = server_with(&two);
    EXPECT_INT(coil_tls_context_add_server_name(server, "Two.Test", other), 0);
    EXPECT_INT(coil_tls_context_add_server_name(server, "x", client), COIL_EINVAL);
    coil_unref(other);
    const char *names[] = { "one.test", "two.test" };
    for (int i = 0; i < 2; i++) {
        struct ends ends;
        connect_ends(&ends, client, server, names[i]);
        EXPECT_INT(shake(&ends), 0);
        end(&ends);
    }
    coil_unref(client);
    coil_unref(server);
    certs_free(&two);
    certs_free(&one);
    certs_free(&root);
}

/* The second connection to a host is cheaper; and only to the same host, and only if it is wanted. */
TEST(a_client_resumes_the_session_of_the_same_host)
{
    struct cert root = certs_root("root"), leaf = certs_leaf("good.test", 10, &root);
    coil_tls_context *client = client_trusting(&root), *server = server_with(&leaf);
    bool reused[4];
    for (int i = 0; i < 4; i++) {
        struct ends ends;
        if (i == 3)
            coil_tls_context_set_session_reuse(client, false);
        connect_ends(&ends, client, server, "good.test");
        if (i == 2) { /* another context has a memory of its own */
            coil_tls_context *fresh = client_trusting(&root);
            end(&ends);
            connect_ends(&ends, fresh, server, "good.test");
            coil_unref(fresh);
        }
        EXPECT_INT(shake(&ends), 0);
        reused[i] = SSL_session_reused(ends.client);
        end(&ends);
    }
    EXPECT(!reused[0]);
    EXPECT(reused[1]);
    EXPECT(!reused[2]);
    EXPECT(!reused[3]);
    coil_unref(client);
    coil_unref(server);
    certs_free(&leaf);
    certs_free(&root);
}

/* A daemon that starts with the wrong files should say which, and what is wrong. */
TEST(files_that_do_not_fit_are_refused_with_their_names)
{
    struct cert one = certs_leaf("one.test", 10, NULL), two = certs_leaf("two.test", 10, NULL);
    coil_tls_context *server = coil_tls_context_new(COIL_TLS_SERVER);
    REQUIRE(server);
    EXPECT_INT(coil_tls_context_load_cert_chain(server, "/nonexistent/x.pem", NULL, NULL), -ENOENT);
    EXPECT(strstr(coil_error_message(coil_error_current(-ENOENT)), "/nonexistent/x.pem") != NULL);
    EXPECT_INT(coil_tls_context_load_cert_chain(server, "/dev/null", NULL, NULL), COIL_ETLS);
    EXPECT_INT(coil_tls_context_use_cert_chain(server, one.cert_pem, two.key_pem, NULL), COIL_ETLS);
    EXPECT_INT(coil_tls_context_use_cert_chain(server, "nonsense", one.key_pem, NULL), COIL_ETLS);
    EXPECT_INT(coil_tls_context_use_cert_chain(server, one.cert_pem, one.key_pem, NULL), 0);
    EXPECT_INT(coil_tls_context_add_ca(server, "nonsense"), COIL_ETLS);
    EXPECT_INT(coil_tls_context_load_verify_locations(server, "/nonexistent/ca.pem", NULL),
               -ENOENT);
    EXPECT_INT(coil_tls_context_load_verify_locations(server, NULL, NULL), COIL_EINVAL);
    EXPECT_INT(coil_tls_context_set_ciphers(server, "NO-SUCH-CIPHER"), COIL_ETLS);
    EXPECT_INT(coil_tls_context_set_ciphers(server, "HIGH"), 0);
    coil_unref(server);
    certs_free(&two);
    certs_free(&one);
}

TESTS_MAIN(RUN(a_client_refuses_what_it_cannot_verify),
           RUN(verification_is_switched_off_in_two_steps),
           RUN(a_client_without_a_name_to_check_is_refused),
           RUN(a_server_can_require_a_certificate),
           RUN(the_servers_first_common_protocol_is_chosen),
           RUN(the_name_that_a_client_asks_for_picks_the_certificate),
           RUN(a_client_resumes_the_session_of_the_same_host),
           RUN(files_that_do_not_fit_are_refused_with_their_names))
