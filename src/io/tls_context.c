#include "io/tls_context.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/error.h"

static int refuse_password(char *buffer, int size, int writing, void *arg);
static int remember_new_session(SSL *ssl, SSL_SESSION *session);
static int choose_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_bytes,
                       const unsigned char *offered, unsigned offered_bytes, void *arg);
static int choose_name(SSL *ssl, int *alert, void *arg);
static void context_destroy(void *object);

static const struct coil__type context_type = { COIL__KIND_TLS_CONTEXT, "TLS context",
                                                context_destroy };

/* ---- errors ------------------------------------------------------------------------------------ */

static int code_of(unsigned long error)
{
    if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
        return COIL_ENOMEM;
    if (ERR_SYSTEM_ERROR(error))
        return -ERR_GET_REASON(error);
    if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
        ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return COIL_ECERT;
    return COIL_ETLS;
}

int coil__tls_fail(const char *what)
{
    unsigned long error = ERR_get_error();
    ERR_clear_error();
    if (error == 0)
        return coil__fail(COIL_ETLS, "%s", what);
    int code = code_of(error);
    if (code == COIL_ENOMEM)
        return coil__fail_plain(code);
    const char *reason = ERR_reason_error_string(error);
    if (reason)
        return coil__fail(code, "%s: %s", what, reason);
    return coil__fail(code, "%s", what);
}

/* ---- making ------------------------------------------------------------------------------------ */

/* One index for the life of the process: where an SSL keeps its session key. */
static int session_key_index(void)
{
    static int index = -1;
    int known = __atomic_load_n(&index, __ATOMIC_ACQUIRE);
    if (known >= 0)
        return known;
    int fresh = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    if (fresh >= 0 && __atomic_compare_exchange_n(&index, &known, fresh, false, __ATOMIC_ACQ_REL,
                                                  __ATOMIC_ACQUIRE))
        return fresh;
    return known;
}

static bool set_up(coil_tls_context *context)
{
    SSL_CTX *ctx = context->ctx;
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
        return false;
    /* A write that went out in part is repeated from another address; buffers of idle connections go. */
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_read_ahead(
        ctx, 1); /* one recv for a record, not one for its head and one for its body */
    SSL_CTX_set_app_data(ctx, context);
    SSL_CTX_set_default_passwd_cb(ctx, refuse_password);
    if (context->side == COIL_TLS_SERVER) {
        SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
        SSL_CTX_set_tlsext_servername_callback(ctx, choose_name);
        SSL_CTX_set_tlsext_servername_arg(ctx, context);
        static const unsigned char scope[] = "coil";
        return SSL_CTX_set_session_id_context(ctx, scope, sizeof scope - 1) == 1;
    }
    context->check_hostname = true;
    context->reuse_sessions = true;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(ctx, remember_new_session);
    return SSL_CTX_set_default_verify_paths(ctx) == 1;
}

coil_tls_context *coil_tls_context_new(coil_tls_side side)
{
    coil_tls_context *context = coil__alloc_zero(sizeof *context);
    if (!context)
        return coil__fail_null(COIL_ENOMEM);
    coil__object_init(&context->object, &context_type);
    context->side = side;
    ERR_clear_error();
    context->ctx = SSL_CTX_new(side == COIL_TLS_CLIENT ? TLS_client_method() : TLS_server_method());
    if (context->ctx && session_key_index() >= 0 && set_up(context))
        return context;
    (void)coil__tls_fail("a TLS context cannot be made"); /* recorded; the result says the rest */
    coil__unref(&context->object);
    return NULL;
}

static void forget_session(struct coil__tls_session *entry)
{
    coil__free(entry->key);
    SSL_SESSION_free(entry->session);
    *entry = (struct coil__tls_session){ 0 };
}

static void context_destroy(void *object)
{
    coil_tls_context *context = object;
    for (size_t i = 0; i < COIL__TLS_SESSIONS; i++)
        forget_session(&context->sessions[i]);
    for (size_t i = 0; i < context->name_count; i++) {
        coil__free(context->names[i].name);
        coil__unref(&context->names[i].context->object);
    }
    coil__free(context->names);
    coil__free(context->alpn);
    if (context->ctx)
        SSL_CTX_set_app_data(context->ctx,
                             NULL); /* connections may outlive us, by way of OpenSSL */
    SSL_CTX_free(context->ctx);
    coil__free(context);
}

/* ---- certificates and roots --------------------------------------------------------------------- */

static int refuse_password(char *buffer, int size, int writing, void *arg)
{
    (void)writing;
    const char *password = arg;
    size_t bytes = password ? strlen(password) : 0;
    if (bytes == 0 || bytes > (size_t)size)
        return -1;
    memcpy(buffer, password, bytes);
    return (int)bytes;
}

static int check_key(coil_tls_context *context)
{
    if (SSL_CTX_check_private_key(context->ctx) == 1)
        return 0;
    return coil__tls_fail("the key does not belong to the certificate");
}

/* The password is lent for one call only. */
static void lend_password(coil_tls_context *context, const char *password)
{
    SSL_CTX_set_default_passwd_cb_userdata(context->ctx, (void *)(uintptr_t)password);
}

int coil_tls_context_load_cert_chain(coil_tls_context *context, const char *cert_file,
                                     const char *key_file, const char *password)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context->ctx, cert_file) != 1)
        return coil__tls_fail(cert_file);
    if (!key_file)
        key_file = cert_file;
    lend_password(context, password);
    int rc = SSL_CTX_use_PrivateKey_file(context->ctx, key_file, SSL_FILETYPE_PEM);
    lend_password(context, NULL);
    return rc == 1 ? check_key(context) : coil__tls_fail(key_file);
}

/* The certificate first, and then those that lead up to the root. */
static int use_chain(SSL_CTX *ctx, BIO *text)
{
    X509 *certificate = PEM_read_bio_X509_AUX(text, NULL, NULL, NULL);
    if (!certificate)
        return coil__tls_fail("the certificate's PEM text");
    int ok = SSL_CTX_use_certificate(ctx, certificate);
    X509_free(certificate);
    if (ok != 1 || SSL_CTX_clear_chain_certs(ctx) != 1)
        return coil__tls_fail("the certificate's PEM text");
    for (;;) {
        certificate = PEM_read_bio_X509(text, NULL, NULL, NULL);
        if (!certificate)
            break;
        if (SSL_CTX_add0_chain_cert(ctx, certificate) != 1) {
            X509_free(certificate);
            return coil__tls_fail("the certificate chain's PEM text");
        }
    }
    unsigned long error = ERR_peek_last_error();
    if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
        return coil__tls_fail("the certificate chain's PEM text");
    ERR_clear_error(); /* the end of the text */
    return 0;
}

static BIO *text_bio(const char *pem)
{
    size_t bytes = strlen(pem);
    return bytes <= INT_MAX ? BIO_new_mem_buf(pem, (int)bytes) : NULL;
}

int coil_tls_context_use_cert_chain(coil_tls_context *context, const char *cert_pem,
                                    const char *key_pem, const char *password)
{
    ERR_clear_error();
    BIO *cert = text_bio(cert_pem), *key = text_bio(key_pem);
    EVP_PKEY *private_key = NULL;
    int rc = cert && key ? use_chain(context->ctx, cert) : coil__fail_plain(COIL_ENOMEM);
    if (rc < 0)
        goto out;
    private_key = PEM_read_bio_PrivateKey(key, NULL, refuse_password, (void *)(uintptr_t)password);
    if (!private_key || SSL_CTX_use_PrivateKey(context->ctx, private_key) != 1)
        rc = coil__tls_fail("the key's PEM text");
    else
        rc = check_key(context);
out:
    EVP_PKEY_free(private_key);
    BIO_free(key);
    BIO_free(cert);
    return rc;
}

/* The caller's own roots replace the system's. */
static int own_roots(coil_tls_context *context)
{
    if (context->own_roots)
        return 0;
    X509_STORE *store = X509_STORE_new();
    if (!store)
        return coil__fail_plain(COIL_ENOMEM);
    SSL_CTX_set_cert_store(context->ctx, store);
    context->own_roots = true;
    return 0;
}

int coil_tls_context_load_verify_locations(coil_tls_context *context, const char *ca_file,
                                           const char *ca_directory)
{
    if (!ca_file && !ca_directory)
        return coil__fail(COIL_EINVAL, "neither a file nor a directory of roots");
    int rc = own_roots(context);
    if (rc < 0)
        return rc;
    ERR_clear_error();
    if (SSL_CTX_load_verify_locations(context->ctx, ca_file, ca_directory) == 1)
        return 0;
    return coil__tls_fail(ca_file ? ca_file : ca_directory);
}

int coil_tls_context_add_ca(coil_tls_context *context, const char *ca_pem)
{
    int rc = own_roots(context);
    if (rc < 0)
        return rc;
    ERR_clear_error();
    BIO *text = text_bio(ca_pem);
    if (!text)
        return coil__fail_plain(COIL_ENOMEM);
    int added = 0;
    for (X509 *root; (root = PEM_read_bio_X509(text, NULL, NULL, NULL)) != NULL; added++) {
        int ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(context->ctx), root);
        X509_free(root);
        if (ok != 1)
            break;
    }
    BIO_free(text);
    if (added == 0)
        return coil__tls_fail("the roots' PEM text");
    ERR_clear_error();
    return 0;
}

/* ---- settings ---------------------------------------------------------------------------------- */

int coil_tls_context_set_verify(coil_tls_context *context, coil_tls_verify verify)
{
    if (verify == COIL_TLS_VERIFY_NONE && context->check_hostname)
        return coil__fail(COIL_EINVAL, "a name cannot be checked without verification: "
                                       "coil_tls_context_set_check_hostname first");
    if (verify == COIL_TLS_VERIFY_OPTIONAL && context->side == COIL_TLS_CLIENT)
        return coil__fail(COIL_EINVAL, "a server always shows a certificate");
    int mode = verify == COIL_TLS_VERIFY_NONE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
    if (verify == COIL_TLS_VERIFY_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(context->ctx, mode, NULL);
    return 0;
}

int coil_tls_context_set_check_hostname(coil_tls_context *context, bool check)
{
    if (check && context->side == COIL_TLS_SERVER)
        return coil__fail(COIL_EINVAL, "a server does not know its clients' names");
    if (check && SSL_CTX_get_verify_mode(context->ctx) == SSL_VERIFY_NONE)
        SSL_CTX_set_verify(context->ctx, SSL_VERIFY_PEER, NULL);
    context->check_hostname = check;
    return 0;
}

int coil_tls_context_set_alpn_protocols(coil_tls_context *context, const char *const *protocols,
                                        size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(protocols[i]);
        if (length == 0 || length > UINT8_MAX)
            return coil__fail(COIL_EINVAL, "a protocol's name has 1 to 255 bytes");
        bytes += 1 + length;
    }
    if (bytes == 0 || bytes > UINT16_MAX)
        return coil__fail(COIL_EINVAL, "%zu bytes of protocol names", bytes);
    unsigned char *wire = coil__alloc(bytes), *at = wire;
    if (!wire)
        return coil__fail_plain(COIL_ENOMEM);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(protocols[i]);
        *at++ = (unsigned char)length;
        memcpy(at, protocols[i], length);
        at += length;
    }
    if (SSL_CTX_set_alpn_protos(context->ctx, wire, (unsigned)bytes) != 0) {
        coil__free(wire);
        return coil__tls_fail("ALPN");
    }
    coil__free(context->alpn);
    context->alpn = wire;
    context->alpn_bytes = bytes;
    if (context->side == COIL_TLS_SERVER)
        SSL_CTX_set_alpn_select_cb(context->ctx, choose_alpn, context);
    return 0;
}

static int choose_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_bytes,
                       const unsigned char *offered, unsigned offered_bytes, void *arg)
{
    (void)ssl;
    const coil_tls_context *context = arg;
    unsigned char *found;
    if (SSL_select_next_proto(&found, chosen_bytes, context->alpn, (unsigned)context->alpn_bytes,
                              offered, offered_bytes) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

int coil_tls_context_set_minimum_version(coil_tls_context *context, coil_tls_version version)
{
    if (version != COIL_TLS_1_2 && version != COIL_TLS_1_3)
        return coil__fail(COIL_EINVAL, "unknown version of TLS");
    if (SSL_CTX_set_min_proto_version(context->ctx, (long)version) != 1)
        return coil__tls_fail("minimum version");
    return 0;
}

int coil_tls_context_set_ciphers(coil_tls_context *context, const char *ciphers)
{
    ERR_clear_error();
    return SSL_CTX_set_cipher_list(context->ctx, ciphers) == 1 ? 0 : coil__tls_fail(ciphers);
}

void coil_tls_context_set_allow_ragged_eof(coil_tls_context *context, bool allow)
{
    context->allow_ragged_eof = allow;
}

void *coil_tls_context_native(coil_tls_context *context)
{
    return context->ctx;
}

/* ---- a server's names ---------------------------------------------------------------------------- */

int coil_tls_context_add_server_name(coil_tls_context *context, const char *name,
                                     coil_tls_context *other)
{
    if (context->side != COIL_TLS_SERVER || other->side != COIL_TLS_SERVER || context == other)
        return coil__fail(COIL_EINVAL, "a server's name leads to another server's context");
    struct coil__tls_name *names = coil__realloc(context->names,
                                                 (context->name_count + 1) * sizeof *names);
    if (!names)
        return coil__fail_plain(COIL_ENOMEM);
    context->names = names;
    char *copy = coil__strdup(name);
    if (!copy)
        return coil__fail_plain(COIL_ENOMEM);
    names[context->name_count++] = (struct coil__tls_name){ copy, coil_ref(other) };
    return 0;
}

static int choose_name(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    coil_tls_context *context = arg;
    const char *wanted = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    for (size_t i = 0; wanted && i < context->name_count; i++) {
        const struct coil__tls_name *entry = &context->names[i];
        if (strcasecmp(entry->name, wanted) != 0)
            continue;
        SSL_CTX *ctx = entry->context->ctx;
        SSL_set_SSL_CTX(ssl, ctx); /* the certificate; the rest does not come with it */
        SSL_set_verify(ssl, SSL_CTX_get_verify_mode(ctx), NULL);
        (void)SSL_set_min_proto_version(ssl, SSL_CTX_get_min_proto_version(ctx));
        break;
    }
    return SSL_TLSEXT_ERR_OK;
}

/* ---- a client's sessions -------------------------------------------------------------------------- */

void coil_tls_context_set_session_reuse(coil_tls_context *context, bool reuse)
{
    context->reuse_sessions = reuse && context->side == COIL_TLS_CLIENT;
    for (size_t i = 0; !reuse && i < COIL__TLS_SESSIONS; i++)
        forget_session(&context->sessions[i]);
}

/* Moves an entry to the front. */
static void use_session(coil_tls_context *context, size_t index)
{
    struct coil__tls_session entry = context->sessions[index];
    memmove(context->sessions + 1, context->sessions, index * sizeof entry);
    context->sessions[0] = entry;
}

static struct coil__tls_session *find_session(coil_tls_context *context, const char *key)
{
    for (size_t i = 0; i < COIL__TLS_SESSIONS && context->sessions[i].key; i++) {
        if (strcmp(context->sessions[i].key, key) == 0) {
            use_session(context, i);
            return &context->sessions[0];
        }
    }
    return NULL;
}

void coil__tls_remember(coil_tls_context *context, const char *session_key, SSL_SESSION *session)
{
    struct coil__tls_session *entry = find_session(context, session_key);
    if (!entry) {
        char *key = coil__strdup(session_key);
        if (!key)
            return; /* the next connection makes a session of its own */
        forget_session(&context->sessions[COIL__TLS_SESSIONS - 1]);
        use_session(context, COIL__TLS_SESSIONS - 1);
        entry = &context->sessions[0];
        entry->key = key;
    }
    SSL_SESSION_free(entry->session);
    SSL_SESSION_up_ref(session);
    entry->session = session;
}

/* OpenSSL calls this for each ticket that a server sends. */
static int remember_new_session(SSL *ssl, SSL_SESSION *session)
{
    coil_tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const char *key = SSL_get_ex_data(ssl, session_key_index());
    if (context && context->reuse_sessions && key && SSL_SESSION_is_resumable(session))
        coil__tls_remember(context, key, session);
    return 0; /* we took a reference of our own */
}

/* ---- connections --------------------------------------------------------------------------------- */

static bool is_address(const char *name)
{
    struct in6_addr address;
    return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

/* An address is looked for among a certificate's addresses, and is no name to ask for. */
static bool set_peer(coil_tls_context *context, SSL *ssl, const char *name)
{
    if (is_address(name))
        return !context->check_hostname ||
               X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    if (SSL_set_tlsext_host_name(ssl, (char *)(uintptr_t)name) != 1)
        return false;
    if (!context->check_hostname)
        return true;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1;
}

SSL *coil__tls_new(coil_tls_context *context, const char *server_name, const char *session_key)
{
    ERR_clear_error();
    bool named = server_name && server_name[0];
    if (context->side == COIL_TLS_CLIENT && context->check_hostname && !named) {
        (void)coil__fail(COIL_EINVAL, "whose certificate it should be is unknown: server_hostname");
        return NULL;
    }
    SSL *ssl = SSL_new(context->ctx);
    if (!ssl)
        goto failed;
    if (context->side == COIL_TLS_SERVER) {
        SSL_set_accept_state(ssl);
        return ssl;
    }
    SSL_set_connect_state(ssl);
    if (named && !set_peer(context, ssl, server_name))
        goto failed;
    if (session_key && context->reuse_sessions) {
        struct coil__tls_session *known = find_session(context, session_key);
        if (SSL_set_ex_data(ssl, session_key_index(), (void *)(uintptr_t)session_key) != 1 ||
            (known && SSL_set_session(ssl, known->session) != 1))
            goto failed;
    }
    return ssl;

failed:
    (void)coil__tls_fail("a TLS connection cannot be set up"); /* recorded */
    SSL_free(ssl);
    return NULL;
}
