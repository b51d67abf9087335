/* TLS in a build without OpenSSL. */
#include "base/error.h"
#include "io/tls_transport.h"

static int unsupported(void)
{
    return coil__fail(COIL_ENOTSUP, "Coil was built without TLS");
}

coil_tls_context *coil_tls_context_new(coil_tls_side side)
{
    (void)side;
    (void)unsupported(); /* recorded */
    return NULL;
}

int coil_tls_context_load_cert_chain(coil_tls_context *context, const char *cert_file,
                                     const char *key_file, const char *password)
{
    (void)context;
    (void)cert_file;
    (void)key_file;
    (void)password;
    return unsupported();
}

int coil_tls_context_use_cert_chain(coil_tls_context *context, const char *cert_pem,
                                    const char *key_pem, const char *password)
{
    (void)context;
    (void)cert_pem;
    (void)key_pem;
    (void)password;
    return unsupported();
}

int coil_tls_context_load_verify_locations(coil_tls_context *context, const char *ca_file,
                                           const char *ca_directory)
{
    (void)context;
    (void)ca_file;
    (void)ca_directory;
    return unsupported();
}

int coil_tls_context_add_ca(coil_tls_context *context, const char *ca_pem)
{
    (void)context;
    (void)ca_pem;
    return unsupported();
}

int coil_tls_context_set_verify(coil_tls_context *context, coil_tls_verify verify)
{
    (void)context;
    (void)verify;
    return unsupported();
}

int coil_tls_context_set_check_hostname(coil_tls_context *context, bool check)
{
    (void)context;
    (void)check;
    return unsupported();
}

int coil_tls_context_set_alpn_protocols(coil_tls_context *context, const char *const *protocols,
                                        size_t count)
{
    (void)context;
    (void)protocols;
    (void)count;
    return unsupported();
}

int coil_tls_context_set_minimum_version(coil_tls_context *context, coil_tls_version version)
{
    (void)context;
    (void)version;
    return unsupported();
}

int coil_tls_context_set_ciphers(coil_tls_context *context, const char *ciphers)
{
    (void)context;
    (void)ciphers;
    return unsupported();
}

int coil_tls_context_add_server_name(coil_tls_context *context, const char *name,
                                     coil_tls_context *other)
{
    (void)context;
    (void)name;
    (void)other;
    return unsupported();
}

void coil_tls_context_set_session_reuse(coil_tls_context *context, bool reuse)
{
    (void)context;
    (void)reuse;
}

void coil_tls_context_set_allow_ragged_eof(coil_tls_context *context, bool allow)
{
    (void)context;
    (void)allow;
}

void *coil_tls_context_native(coil_tls_context *context)
{
    (void)context;
    (void)unsupported(); /* recorded */
    return NULL;
}

int coil_start_tls(coil_transport *transport, coil_tls_context *context,
                   const coil_tls_options *options, coil_transport **transport_out)
{
    (void)transport;
    (void)context;
    (void)options;
    (void)transport_out;
    return unsupported();
}

int coil__tls_start(coil_transport *lower, coil_tls_context *context,
                    const coil_tls_options *options, coil_transport **transport_out)
{
    return coil_start_tls(lower, context, options, transport_out);
}

int coil__tls_start_wait(coil_transport *transport)
{
    (void)transport;
    return unsupported();
}

int coil__tls_transport_begin(coil_tls_context *context, const coil_tls_options *options, int port,
                              coil_loop *loop, const coil_protocol *protocol, void *self,
                              coil_transport **transport_out, void **lower_self_out)
{
    (void)context;
    (void)options;
    (void)port;
    (void)loop;
    (void)protocol;
    (void)self;
    (void)transport_out;
    (void)lower_self_out;
    return unsupported();
}

void coil__tls_transport_undo(coil_transport *transport)
{
    (void)transport;
}

int coil__tls_check_server(const coil_tls_context *context)
{
    (void)context;
    return unsupported();
}

const coil_protocol coil__tls_lower_protocol = { .size = sizeof(coil_protocol), .name = "TLS" };
