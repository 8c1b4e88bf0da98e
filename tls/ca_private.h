/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the certificate authority, for the files of tls/ that make it and mint with it. Its
 * key is used in one place, ca_sign(), so that signing can move to a process of its own.
 */
#ifndef WEIR_TLS_CA_PRIVATE_H
#define WEIR_TLS_CA_PRIVATE_H

#include "tls/ca.h"

#include <openssl/base.h>

enum {
    CA_CHAIN_MAX = 4, /* certificates in weir-ca.pem */
    CA_FILE_BYTES_MAX = 256 * 1024,
    CA_SUBJECT_BYTES_MAX = 4096, /* DER */
    CA_RSA_BITS_MIN = 2048,
    CA_RSA_BITS_MAX = 8192,
    CA_SIGNATURE_MAX = CA_RSA_BITS_MAX / 8,
    CA_KEY_ID_LEN = 20, /* the key identifiers that we make */
};

struct ca {
    EVP_PKEY *key;
    const EVP_MD *digest;
    struct span sigalg; /* AlgorithmIdentifier, DER; static */
    CRYPTO_BUFFER *chain[CA_CHAIN_MAX];
    size_t chain_count;      /* at least 1; the CA's own certificate first */
    size_t chain_sent_count; /* without a root at its end: what clients are sent after the leaf */
    struct span subject_der; /* in chain[0] */
    struct span key_id;      /* in chain[0], or made_key_id */
    uint8_t made_key_id[CA_KEY_ID_LEN];
    uint8_t fingerprint[32];
    int64_t not_before_s;
    int64_t not_after_s; /* the earliest of the chain's */
    char subject[256];
};

/* Signs a TBSCertificate with ca->sigalg. Any thread. */
bool ca_sign(const struct ca *ca, struct span tbs, uint8_t signature[CA_SIGNATURE_MAX],
             size_t *len) MUST_CHECK;

/* Sets how ca->key signs; false for a key that clients would refuse. */
bool ca_pick_sigalg(struct ca *ca) MUST_CHECK;

/* The identifier of a public key: SHA-256 of its bits, cut to 160 bits (RFC 7093 2, method 1). */
bool ca_key_id(const EVP_PKEY *key, uint8_t id[CA_KEY_ID_LEN]) MUST_CHECK;

/* ca_make.c: a new ECDSA key, for a CA or for leaves. Null on failure. */
EVP_PKEY *ca_make_p256_key(void) MUST_CHECK;

/*
 * ca_make.c: a new key and certificate as the text of weir-ca.pem, to be wiped and OPENSSL_free()d.
 * Null with a sentence in error.
 */
char *ca_make_pem(int64_t now_s, size_t *len, char *error, size_t error_cap) MUST_CHECK;

/* The public files' contents, to be OPENSSL_free()d; null on failure. */
uint8_t *ca_make_public_pem(const CRYPTO_BUFFER *certificate, size_t *len) MUST_CHECK;
uint8_t *ca_make_public_pkcs12(const CRYPTO_BUFFER *certificate, size_t *len) MUST_CHECK;

/* ca_files.c: on failure there is a sentence in error. An absent file is no failure. */
bool ca_files_make_directory(const char *directory, char *error, size_t error_cap) MUST_CHECK;

enum ca_file { CA_FILE_READ, CA_FILE_ABSENT, CA_FILE_FAILED };

/* The whole file, to be OPENSSL_free()d. With is_private, others must have no permission on it. */
enum ca_file ca_files_read(const char *path, bool is_private, uint8_t **content, size_t *len,
                           char *error, size_t error_cap) MUST_CHECK;

/*
 * Writes DIRECTORY/NAME in one step: the file is there whole or not at all. Without `replace` an
 * existing file stays as it is, which counts as success with *written false.
 */
bool ca_files_write(const char *directory, const char *name, struct span content, unsigned mode,
                    bool replace, bool *written, char *error, size_t error_cap) MUST_CHECK;

#endif
