/* SPDX-License-Identifier: Apache-2.0 */
/* The roots: where they come from, and the cache of chains that were verified with them. */
#include "tls/verify_private.h"

#include <openssl/bio.h>
#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/pool.h>
#include <openssl/x509.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const system_places[] = {
    "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Arch, Alpine */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL */
    "/etc/pki/tls/certs/ca-bundle.crt",                  /* older RHEL */
    "/etc/ssl/ca-bundle.pem",                            /* SUSE */
    "/etc/ssl/cert.pem",                                 /* Alpine, BSD-like */
};

enum { ROOT_FILE_BYTES_MAX = 16 * 1024 * 1024, ROOTS_PER_FILE_MAX = 4096 };

static bool same_public_key(const X509 *a, const X509 *b)
{
    const ASN1_BIT_STRING *key_a = X509_get0_pubkey_bitstr(a);
    const ASN1_BIT_STRING *key_b = X509_get0_pubkey_bitstr(b);

    return span_equal(span_make(ASN1_STRING_get0_data(key_a), (size_t)ASN1_STRING_length(key_a)),
                      span_make(ASN1_STRING_get0_data(key_b), (size_t)ASN1_STRING_length(key_b)));
}

/* Our own CA is passed over, in whichever certificate its key is. */
static bool add_root(struct trust *trust, X509 *root)
{
    if (trust->own_ca && same_public_key(trust->own_ca, root)) {
        return true;
    }
    if (!X509_STORE_add_cert(trust->store, root)) {
        return false;
    }
    trust->root_count++;
    return true;
}

/* Was the last error only that the file has no further PEM block? */
static bool is_end_of_pem(void)
{
    uint32_t error = ERR_peek_last_error();

    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static bool add_roots_of(struct trust *trust, BIO *bio, const char *path, char *error,
                         size_t error_cap)
{
    size_t count = 0;

    for (;;) {
        X509 *root;
        bool added;

        ERR_clear_error();
        root = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (!root) {
            break;
        }
        added = count++ < ROOTS_PER_FILE_MAX && add_root(trust, root);
        X509_free(root);
        if (!added) {
            snprintf(error, error_cap, "%s has more than %d certificates, or memory is exhausted",
                     path, ROOTS_PER_FILE_MAX);
            return false;
        }
    }
    if (!is_end_of_pem()) {
        snprintf(error, error_cap, "%s: certificate %zu cannot be decoded", path, count + 1);
        return false;
    }
    if (count == 0) {
        snprintf(error, error_cap,
                 "%s has no certificate in PEM form (-----BEGIN CERTIFICATE-----)", path);
        return false;
    }
    return true;
}

/* The file as a whole, in memory. Returns null with errno set. */
static BIO *open_file(const char *path)
{
    FILE *file = fopen(path, "re");
    BIO *bio = file ? BIO_new(BIO_s_mem()) : NULL;
    char memory[4096];
    size_t total = 0;
    size_t len;

    if (!bio) {
        goto done;
    }
    while ((len = fread(memory, 1, sizeof(memory), file)) > 0) {
        total += len;
        if (total > ROOT_FILE_BYTES_MAX || BIO_write(bio, memory, (int)len) != (int)len) {
            errno = EFBIG;
            break;
        }
    }
    if (len > 0 || ferror(file)) {
        BIO_free(bio);
        bio = NULL;
    }
done:
    if (file) {
        int saved = errno;
        fclose(file);
        errno = saved;
    }
    return bio;
}

static bool add_file(struct trust *trust, const char *path, char *error, size_t error_cap)
{
    BIO *bio = open_file(path);
    bool done;

    if (!bio) {
        snprintf(error, error_cap, "%s cannot be read: %s", path, strerror(errno));
        return false;
    }
    done = add_roots_of(trust, bio, path, error, error_cap);
    BIO_free(bio);
    ERR_clear_error();
    return done;
}

/* The first place that is there. That none is there is no fault if files are given as well. */
static bool add_system_roots(struct trust *trust, const char *const *places, size_t place_count,
                             bool needed, char *error, size_t error_cap)
{
    for (size_t i = 0; i < place_count; i++) {
        FILE *file = fopen(places[i], "re");
        if (file) {
            fclose(file);
            return add_file(trust, places[i], error, error_cap);
        }
    }
    if (needed) {
        snprintf(error, error_cap,
                 "this system has no trusted roots (%s and the other usual places are absent): "
                 "install the package ca-certificates, or name a file",
                 place_count ? places[0] : "none");
    }
    return !needed;
}

static bool set_own_ca(struct trust *trust, struct span der)
{
    CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(der.data, der.len, NULL);

    trust->own_ca = buffer ? X509_parse_from_buffer(buffer) : NULL;
    CRYPTO_BUFFER_free(buffer);
    return trust->own_ca;
}

static struct trust *trust_alloc(void)
{
    struct trust *trust = calloc(1, sizeof(*trust));

    if (!trust) {
        return NULL;
    }
    atomic_init(&trust->references, 1);
    for (int i = 0; i < VERIFIED_SHARDS; i++) {
        pthread_mutex_init(&trust->shards[i].lock, NULL);
    }
    trust->store = X509_STORE_new();
    if (!trust->store) {
        trust_put(trust);
        return NULL;
    }
    return trust;
}

struct trust *trust_new_with_places(const char *const *places, size_t place_count,
                                    const char *const *files, size_t file_count,
                                    struct span own_ca_der, char *error, size_t error_cap)
{
    struct trust *trust = trust_alloc();

    if (!trust) {
        snprintf(error, error_cap, "memory is exhausted");
        return NULL;
    }
    if (own_ca_der.len && !set_own_ca(trust, own_ca_der)) {
        snprintf(error, error_cap, "our own CA's certificate cannot be decoded");
        goto failed;
    }
    if (places &&
        !add_system_roots(trust, places, place_count, file_count == 0, error, error_cap)) {
        goto failed;
    }
    for (size_t i = 0; i < file_count; i++) {
        if (!add_file(trust, files[i], error, error_cap)) {
            goto failed;
        }
    }
    return trust;

failed:
    ERR_clear_error();
    trust_put(trust);
    return NULL;
}

struct trust *trust_new(bool system_roots, const char *const *files, size_t file_count,
                        struct span own_ca_der, char *error, size_t error_cap)
{
    return trust_new_with_places(system_roots ? system_places : NULL, COUNT_OF(system_places),
                                 files, file_count, own_ca_der, error, error_cap);
}

struct trust *trust_get(struct trust *trust)
{
    atomic_fetch_add_explicit(&trust->references, 1, memory_order_relaxed);
    return trust;
}

void trust_put(struct trust *trust)
{
    if (!trust || atomic_fetch_sub_explicit(&trust->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (int i = 0; i < VERIFIED_SHARDS; i++) {
        pthread_mutex_destroy(&trust->shards[i].lock);
    }
    X509_STORE_free(trust->store);
    X509_free(trust->own_ca);
    free(trust);
}

/* Digests are evenly spread: any of their bytes can choose. */
static struct verified_shard *shard_of(struct trust *trust, const uint8_t *key)
{
    return &trust->shards[key[0] % VERIFIED_SHARDS];
}

bool trust_find_verified(struct trust *trust, const uint8_t key[VERIFIED_KEY_LEN], int64_t now_s)
{
    struct verified_shard *shard = shard_of(trust, key);
    const struct verified *set = shard->entries[key[1] % VERIFIED_SETS];
    bool found = false;

    pthread_mutex_lock(&shard->lock);
    for (int i = 0; i < VERIFIED_WAYS && !found; i++) {
        found = set[i].until_s != 0 && memcmp(set[i].key, key, VERIFIED_KEY_LEN) == 0 &&
                set[i].from_s <= now_s && now_s <= set[i].until_s;
    }
    pthread_mutex_unlock(&shard->lock);
    return found;
}

void trust_keep_verified(struct trust *trust, const struct verified *verified)
{
    struct verified_shard *shard = shard_of(trust, verified->key);
    struct verified *set = shard->entries[verified->key[1] % VERIFIED_SETS];
    struct verified *chosen = NULL;

    pthread_mutex_lock(&shard->lock);
    for (int i = 0; i < VERIFIED_WAYS; i++) {
        if (set[i].until_s != 0 && memcmp(set[i].key, verified->key, VERIFIED_KEY_LEN) == 0) {
            chosen = &set[i];
            break;
        }
        if (set[i].until_s == 0 && !chosen) {
            chosen = &set[i];
        }
    }
    if (!chosen) {
        chosen = &set[shard->next_way++ % VERIFIED_WAYS];
    }
    *chosen = *verified;
    pthread_mutex_unlock(&shard->lock);
}
