/* TLS contexts, inside the library. The public half is <coil/tls.h>. */
#ifndef COIL_IO_TLS_CONTEXT_H
#define COIL_IO_TLS_CONTEXT_H

#include <coil/tls.h>
#include <openssl/ssl.h>
#include "base/object.h"

enum {
    COIL__TLS_SESSIONS = 64, /* hosts that a client remembers */
};

/* A client's memory of one host. */
struct coil__tls_session {
    char *key;
    SSL_SESSION *session;
};

struct coil__tls_name {
    char *name;
    coil_tls_context *context; /* one reference */
};

struct coil_tls_context {
    struct coil__object object;
    SSL_CTX *ctx;
    coil_tls_side side;
    bool check_hostname, reuse_sessions, allow_ragged_eof, own_roots;
    unsigned char *alpn; /* as on the wire: a length and a name, again and again */
    size_t alpn_bytes;
    struct coil__tls_name *names;
    size_t name_count;
    struct coil__tls_session sessions[COIL__TLS_SESSIONS]; /* the one used last comes first */
};

/* Fails with what OpenSSL's queue of errors says, and empties it: COIL_ENOMEM, -errno of a file, COIL_ECERT
 * or COIL_ETLS. */
int coil__tls_fail(const char *what);

/* A connection's state, ready for the handshake. server_name: for SNI and verification; NULL or "": none, or an
 * address. session_key: NULL: nothing to resume. NULL after a failure. */
SSL *coil__tls_new(coil_tls_context *context, const char *server_name, const char *session_key);

/* Lets a client remember the session that its connection was given. */
void coil__tls_remember(coil_tls_context *context, const char *session_key, SSL_SESSION *session);

#endif
