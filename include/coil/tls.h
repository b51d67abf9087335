/* TLS: contexts, the settings that connections share. By OpenSSL.
 *
 *     coil_tls_context *tls = coil_tls_context_new(COIL_TLS_CLIENT);
 *
 * verifies the server's certificate against the system's trust store and its name against the host's, and
 * speaks TLS 1.2 or 1.3: what is safe is what you get. Connections are made as ever, with the context among their
 * options:
 *
 *     coil_connection_options connection = COIL_CONNECTION_OPTIONS_INIT;
 *     coil_stream_options options = COIL_STREAM_OPTIONS_INIT;
 *     connection.tls = tls;
 *     options.connection = &connection;
 *     COIL_TRY(coil_open_connection("example.org", 443, &options, &reader, &writer));
 *
 * A server's context needs its certificate:
 *
 *     coil_tls_context *tls = coil_tls_context_new(COIL_TLS_SERVER);
 *     COIL_TRY(coil_tls_context_load_cert_chain(tls, "server.pem", "server.key", NULL));
 *     coil_server_options listening = COIL_SERVER_OPTIONS_INIT;
 *     coil_stream_server_options options = COIL_STREAM_SERVER_OPTIONS_INIT;
 *     listening.tls = tls;
 *     options.server = &listening;
 *     COIL_TRY(coil_start_server(echo, NULL, NULL, 8443, &options, &server));
 *
 * A context may serve any number of connections and loops of one thread, and is kept alive by them. Set it
 * up before the first connection uses it.
 *
 * Every call here fails with COIL_ENOTSUP in a build without OpenSSL. */
#ifndef COIL_TLS_H
#define COIL_TLS_H

#include <coil/base.h>

COIL_BEGIN_DECLS

typedef enum coil_tls_side {
    COIL_TLS_CLIENT, /* verifies its peer, and its peer's name */
    COIL_TLS_SERVER, /* asks for no certificate */
} coil_tls_side;

typedef enum coil_tls_verify {
    COIL_TLS_VERIFY_NONE,     /* accept anybody: an attacker, too */
    COIL_TLS_VERIFY_OPTIONAL, /* servers: a client may show a certificate, which must then be valid */
    COIL_TLS_VERIFY_REQUIRED,
} coil_tls_verify;

typedef enum coil_tls_version {
    COIL_TLS_1_2 = 0x0303,
    COIL_TLS_1_3 = 0x0304,
} coil_tls_version;

/**
 * Makes a context with safe settings: TLS 1.2 at least; a client verifies certificates against the
 * system's trust store (or SSL_CERT_FILE, SSL_CERT_DIR) and checks the host's name.
 *
 * Returns   one reference; NULL: COIL_ENOMEM, COIL_ENOTSUP or COIL_ETLS, as coil_error_last says
 * Suspends  never
 * Thread    any; then that of the loops that use it
 * Python    ssl.create_default_context
 * Since     0.1
 */
COIL_API COIL_OWNED coil_tls_context *coil_tls_context_new(coil_tls_side side);

/**
 * Loads a certificate, with those that lead up to its root, and its private key; from files in PEM form,
 * or from PEM texts.
 *
 * @param cert_file  the certificate first, then the intermediate ones
 * @param key_file   NULL: it is in cert_file
 * @param password   for an encrypted key; NULL: an encrypted key is refused (nobody is asked at a terminal)
 *
 * Returns   0, or
 *           COIL_ETLS    cannot be read, does not fit together, or has expired syntax; the record says which
 *           -errno       the file cannot be opened (-ENOENT, -EACCES)
 *           COIL_ENOMEM
 * Suspends  never (reads the files)
 * Thread    the loop's
 * Python    SSLContext.load_cert_chain
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_tls_context_load_cert_chain(coil_tls_context *context,
                                                            const char *cert_file,
                                                            COIL_NULLABLE const char *key_file,
                                                            COIL_NULLABLE const char *password);
COIL_API COIL_MUST_USE int coil_tls_context_use_cert_chain(coil_tls_context *context,
                                                           const char *cert_pem,
                                                           const char *key_pem,
                                                           COIL_NULLABLE const char *password);

/**
 * Adds roots to trust: a file with certificates, a directory hashed by openssl-rehash(1), a PEM text. The
 * first call replaces the system's trust store.
 *
 * @param ca_file, ca_directory  at least one of them; the other may be NULL
 *
 * Returns   0, or COIL_ETLS, -errno, COIL_EINVAL, COIL_ENOMEM
 * Suspends  never (reads the files)
 * Thread    the loop's
 * Python    SSLContext.load_verify_locations
 * Since     0.1
 */
COIL_API COIL_MUST_USE int
coil_tls_context_load_verify_locations(coil_tls_context *context, COIL_NULLABLE const char *ca_file,
                                       COIL_NULLABLE const char *ca_directory);
COIL_API COIL_MUST_USE int coil_tls_context_add_ca(coil_tls_context *context, const char *ca_pem);

/**
 * Whether the peer must show a valid certificate; and whether a client checks that it is the host's.
 *
 * To switch verification off takes both calls: check_hostname first, as in Python.
 *
 * Returns   0, or
 *           COIL_EINVAL  no verification while names are checked; an optional certificate of a server
 * Suspends  never
 * Thread    the loop's
 * Python    SSLContext.verify_mode, SSLContext.check_hostname
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_tls_context_set_verify(coil_tls_context *context,
                                                       coil_tls_verify verify);
COIL_API COIL_MUST_USE int coil_tls_context_set_check_hostname(coil_tls_context *context,
                                                               bool check);

/**
 * The protocols to agree on (ALPN, RFC 7301), best first. A client offers them; a server takes the first of
 * its own that the client offers, and refuses the handshake if there is none.
 *
 * @param protocols  texts of 1 to 255 bytes such as "h2", "http/1.1"; copied
 *
 * Returns   0, or COIL_EINVAL, COIL_ENOMEM
 * Suspends  never
 * Thread    the loop's
 * Python    SSLContext.set_alpn_protocols
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_tls_context_set_alpn_protocols(coil_tls_context *context,
                                                               const char *const *protocols,
                                                               size_t count);

/**
 * The oldest version to speak; the ciphers of TLS 1.2 in OpenSSL's notation (openssl-ciphers(1)).
 *
 * Returns   0, or COIL_EINVAL, COIL_ETLS (no cipher matches)
 * Suspends  never
 * Thread    the loop's
 * Python    SSLContext.minimum_version, SSLContext.set_ciphers
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_tls_context_set_minimum_version(coil_tls_context *context,
                                                                coil_tls_version version);
COIL_API COIL_MUST_USE int coil_tls_context_set_ciphers(coil_tls_context *context,
                                                        const char *ciphers);

/**
 * A server of several names: clients that ask for this one (SNI, RFC 6066) get the other context's
 * certificate and settings. Names nobody added get this context's own.
 *
 * @param name   compared without regard to case; copied
 * @param other  a server's context; kept
 *
 * Returns   0, or COIL_EINVAL, COIL_ENOMEM
 * Suspends  never
 * Thread    the loop's
 * Python    SSLContext.sni_callback
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_tls_context_add_server_name(coil_tls_context *context,
                                                            const char *name,
                                                            coil_tls_context *other);

/**
 * Whether a client resumes sessions: the context remembers the last one of each of the 64 hosts used last,
 * and connecting again saves a round trip and the certificates. On by default. Whether it happened says
 * coil_transport_get_extra_info(transport, "session_reused").
 *
 * Suspends  never
 * Thread    the loop's
 * Python    none (SSLSocket.session)
 * Since     0.1
 */
COIL_API void coil_tls_context_set_session_reuse(coil_tls_context *context, bool reuse);

/**
 * Whether a connection that ends without TLS's own goodbye counts as ended. It does not by default: an
 * attacker can cut a connection, so a read says COIL_ETLS where the stream may be truncated. Switch it on for
 * peers that are known to be impolite, and protocols that know their lengths.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    SSLContext.wrap_socket(suppress_ragged_eofs=)
 * Since     0.1
 */
COIL_API void coil_tls_context_set_allow_ragged_eof(coil_tls_context *context, bool allow);

/**
 * OpenSSL's SSL_CTX *, for all that has no call here.
 *
 * Returns   lent; NULL in a build without OpenSSL
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API void *coil_tls_context_native(coil_tls_context *context);

/* ---- connections --------------------------------------------------------------------------------- */

typedef struct coil_tls_options {
    size_t size; /* sizeof(coil_tls_options) */
    COIL_NULLABLE const char
        *server_hostname;     /* clients: whose certificate it must be, a name or an address */
    double handshake_timeout; /* seconds; 0: 60 */
    double shutdown_timeout;  /* for the peer's goodbye, in seconds; 0: 30 */
} coil_tls_options;
#define COIL_TLS_OPTIONS_INIT                                                                      \
    {                                                                                              \
        sizeof(coil_tls_options), NULL, 0, 0                                                       \
    }

/**
 * Goes over to TLS on a connection that stands (STARTTLS): the protocol moves on to a new transport, above the old
 * one, which must not be used any more. connection_made is not called again.
 *
 * Which side is to begin the handshake is the context's matter. What the peer has sent before TLS was asked for, and
 * was read already, has no part in it: to accept it as if it had come through TLS is a known trap.
 *
 * @param transport      a plain one, neither closing nor of datagrams; borrowed
 * @param context        kept
 * @param options        NULL: none; a client that checks names needs server_hostname
 * @param transport_out  receives one reference
 *
 * Returns   0, or
 *           COIL_ECERT      the peer's certificate is not good
 *           COIL_ETLS       the peer speaks something else, or nothing in common
 *           COIL_ETIMEDOUT  the handshake took too long
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM, COIL_EINVAL, COIL_ERUNTIME (it is closing), -errno
 *           After the handshake has begun, a failure ends the connection: connection_lost follows.
 * Suspends  until the handshake is over
 * Cancel    the connection is aborted
 * Thread    the loop's, in a task
 * Python    loop.start_tls
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_start_tls(coil_transport *transport, coil_tls_context *context,
               COIL_NULLABLE const coil_tls_options *options, coil_transport **transport_out);

/**
 * Goes over to TLS on streams that stand (STARTTLS): sends what was written in the clear, shakes hands, and from then
 * on the same reader and writer speak through TLS.
 *
 * Read all that the peer may send in the clear before you call. If there is more, somebody between you and the peer
 * may have added it, so that you take it for the peer's own words later: the call refuses, and so should you.
 *
 * @param writer   of the streams; borrowed
 * @param context  kept; its side says who begins
 * @param options  NULL: none; a client that checks names needs server_hostname
 *
 * Returns   0, or
 *           COIL_ETLS       the reader has bytes that came in the clear; or as coil_start_tls
 *           COIL_ERUNTIME   a task waits on the reader, or the connection is closing
 *           -ECONNRESET     the connection is lost, or the peer has ended it
 *           else as coil_start_tls, coil_stream_drain
 *           After the handshake has begun, a failure ends the connection.
 * Suspends  until the handshake is over
 * Cancel    the connection is aborted, if the handshake has begun
 * Thread    the loop's, in a task
 * Python    StreamWriter.start_tls
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_stream_start_tls(coil_stream_writer *writer, coil_tls_context *context,
                      COIL_NULLABLE const coil_tls_options *options);

COIL_END_DECLS

#endif
