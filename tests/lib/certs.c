#include "certs.h"

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SECONDS_A_DAY = 24 * 60 * 60
};

/* A test without certificates has nothing to say. */
static void need(int ok)
{
    if (ok)
        return;
    fprintf(stderr, "certs: OpenSSL cannot make a certificate\n");
    abort();
}

static char *text_of(BIO *bio)
{
    char *data;
    long bytes = BIO_get_mem_data(bio, &data);
    char *text = malloc((size_t)bytes + 1);
    need(text != NULL);
    memcpy(text, data, (size_t)bytes);
    text[bytes] = '\0';
    BIO_free(bio);
    return text;
}

static X509 *read_cert(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return cert;
}

static EVP_PKEY *read_key(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return key;
}

static void extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    need(extension && X509_add_ext(cert, extension, -1));
    X509_EXTENSION_free(extension);
}

static void set_names(X509 *cert, const char *name, X509 *issuer)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    need(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                    -1, 0));
    need(X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject));
}

static struct cert make(const char *name, const char *alternative, int days, bool root,
                        const struct cert *by)
{
    static long serial = 1;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509 *issuer = by ? read_cert(by->cert_pem) : NULL;
    EVP_PKEY *signer = by ? read_key(by->key_pem) : key;
    need(key && cert && signer && X509_set_version(cert, X509_VERSION_3));
    need(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++));
    long end = (long)days * SECONDS_A_DAY;
    need(X509_gmtime_adj(X509_getm_notBefore(cert), (days < 0 ? end : 0) - SECONDS_A_DAY) != NULL);
    need(X509_gmtime_adj(X509_getm_notAfter(cert), end) != NULL);
    need(X509_set_pubkey(cert, key));
    set_names(cert, name, issuer);
    if (root)
        extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
    if (alternative)
        extend(cert, issuer ? issuer : cert, NID_subject_alt_name, alternative);
    need(X509_sign(cert, signer, EVP_sha256()));

    BIO *cert_text = BIO_new(BIO_s_mem()), *key_text = BIO_new(BIO_s_mem());
    need(PEM_write_bio_X509(cert_text, cert));
    need(PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL));
    struct cert made = { text_of(cert_text), text_of(key_text) };
    if (by)
        EVP_PKEY_free(signer);
    X509_free(issuer);
    X509_free(cert);
    EVP_PKEY_free(key);
    return made;
}

struct cert certs_root(const char *name)
{
    return make(name, NULL, 30, true, NULL);
}

struct cert certs_leaf(const char *host, int days, const struct cert *issuer)
{
    char alternative[300];
    struct in6_addr address;
    bool ip = inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
    (void)snprintf(alternative, sizeof alternative, "%s:%s", ip ? "IP" : "DNS", host);
    return make(host, alternative, days, false, issuer);
}

void certs_free(struct cert *cert)
{
    free(cert->cert_pem);
    free(cert->key_pem);
    *cert = (struct cert){ 0 };
}
