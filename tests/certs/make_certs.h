/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_certs: certificates and keys for tests, good ones and every kind of bad one, made when the
 * test runs: no key or certificate is ever in the tree. A failure to make one ends the test
 * program, so callers need not check. Not for use outside tests.
 *
 *     struct cert *ca = cert_make_ca("test root");
 *     struct cert *leaf = cert_make_leaf(ca, "example.test", "DNS:example.test,IP:127.0.0.1");
 *     cert_write_pem(ca, path, false);
 */
#ifndef WEIR_TESTS_MAKE_CERTS_H
#define WEIR_TESTS_MAKE_CERTS_H

#include "core/base/span.h"

enum cert_key {
    CERT_KEY_P256,
    CERT_KEY_P384,
    CERT_KEY_P224,
    CERT_KEY_RSA_1024,
    CERT_KEY_RSA_2048,
    CERT_KEY_ED25519,
    CERT_KEY_COUNT,
};

enum cert_digest { CERT_SHA256, CERT_SHA384, CERT_SHA1, CERT_MD5 };

struct cert;

/* Zero is a sensible value for every member. */
struct cert_spec {
    const char *common_name;   /* null: the subject is empty */
    const struct cert *issuer; /* null: self-signed */
    const struct cert *key_of; /* not null: shares this one's key */
    enum cert_key key;
    enum cert_digest digest;
    int64_t not_before_s; /* 0: an hour before the clock of the system */
    int64_t not_after_s;  /* 0: a day after it */
    /* Pairs of name and value, ended by null, as OpenSSL's configuration files write extensions:
     *     "subjectAltName", "DNS:a.test,DNS:*.b.test,IP:::1",
     *     "basicConstraints", "critical,CA:TRUE,pathlen:0",
     *     "keyUsage", "critical,keyCertSign", "extendedKeyUsage", "clientAuth",
     *     "nameConstraints", "critical,permitted;DNS:a.test",
     *     "1.2.3.4", "critical,DER:0500", */
    const char *const *extensions;
    bool version_1;        /* an X.509 v1 certificate, without extensions */
    bool broken_signature; /* the last byte of the signature is changed */
};

/* Null only for CERT_MD5, where the TLS library is too new to sign with it. */
struct cert *cert_make(const struct cert_spec *spec);

/* A root with keyUsage and basicConstraints, P-256. */
struct cert *cert_make_ca(const char *common_name);
/* A server certificate, P-256; san as in subjectAltName above. */
struct cert *cert_make_leaf(const struct cert *issuer, const char *common_name, const char *san);

void cert_free(struct cert *cert);

struct span cert_der(const struct cert *cert); /* lives as long as the cert */

/* Writes the certificate, and its key if asked (mode 0600), as PEM. Appends if the file exists. */
void cert_write_pem(const struct cert *cert, const char *path, bool with_key);

/* BoringSSL's X509 and EVP_PKEY, borrowed. */
struct x509_st *cert_x509(const struct cert *cert);
struct evp_pkey_st *cert_key(const struct cert *cert);

#endif
