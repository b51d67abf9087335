/* Certificates made on the spot, so that none ever expires in the tree. */
#ifndef COIL_TESTS_CERTS_H
#define COIL_TESTS_CERTS_H

/* PEM texts: free() both. */
struct cert {
    char *cert_pem;
    char *key_pem;
};

/* A root of its own. */
struct cert certs_root(const char *name);

/* A certificate for a host's name or an address, good for days from now (negative: it ended so long ago),
 * signed by the issuer, or by itself if that is NULL. */
struct cert certs_leaf(const char *host, int days, const struct cert *issuer);

void certs_free(struct cert *cert);

#endif
