/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLS library's own operations, without weir around them: what `bssl speed` measures, in the
 * same run as what is compared with it. The one file outside of tls/ that calls the library.
 */
#include "bench/micro_rows.h"
#include "tls/memory.h"

#include <openssl/aead.h>
#include <openssl/curve25519.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/nid.h>
#include <openssl/sha.h>

enum {
    SIGNATURE_MAX = 80, /* DER of two numbers of 256 bits */
    AAD_LEN = 5,        /* a record's header (RFC 8446 5.2) */
    SMALL_LEN = 1024,
    RECORD_LEN = 16 * 1024,
};

struct key_work {
    EC_KEY *key;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    uint8_t signature[SIGNATURE_MAX];
    unsigned signature_len;
    uint8_t private_key[X25519_PRIVATE_KEY_LEN];
    uint8_t public_key[X25519_PUBLIC_VALUE_LEN];
    uint8_t peer_key[X25519_PUBLIC_VALUE_LEN];
    uint8_t shared[X25519_SHARED_KEY_LEN];
};

static void run_sign(void *context, size_t count)
{
    struct key_work *work = context;

    for (size_t i = 0; i < count; i++) {
        int done = ECDSA_sign(0, work->digest, sizeof(work->digest), work->signature,
                              &work->signature_len, work->key);
        ASSERT(done);
    }
}

static void run_verify(void *context, size_t count)
{
    struct key_work *work = context;

    for (size_t i = 0; i < count; i++) {
        int done = ECDSA_verify(0, work->digest, sizeof(work->digest), work->signature,
                                work->signature_len, work->key);
        ASSERT(done);
    }
}

static void run_base(void *context, size_t count)
{
    struct key_work *work = context;

    for (size_t i = 0; i < count; i++) {
        X25519_keypair(work->public_key, work->private_key);
        measure_keep(work);
    }
}

static void run_shared(void *context, size_t count)
{
    struct key_work *work = context;

    for (size_t i = 0; i < count; i++) {
        int done = X25519(work->shared, work->private_key, work->peer_key);
        ASSERT(done);
    }
}

static bool measure_keys(struct micro *micro)
{
    static struct key_work work;
    static const struct measure_work sign = {run_sign, &work, 1}, verify = {run_verify, &work, 1},
                                     base = {run_base, &work, 1}, shared = {run_shared, &work, 1};
    uint8_t peer_private[X25519_PRIVATE_KEY_LEN];

    work.key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    if (!work.key || !EC_KEY_generate_key(work.key)) {
        EC_KEY_free(work.key);
        return false;
    }
    SHA256((const uint8_t *)"weir", 4, work.digest);
    run_sign(&work, 1);
    X25519_keypair(work.public_key, work.private_key);
    X25519_keypair(work.peer_key, peer_private);
    micro_measure(micro, MICRO_P256_SIGN, MICRO_HEAP_LIBRARY, &sign);
    micro_measure(micro, MICRO_P256_VERIFY, MICRO_HEAP_LIBRARY, &verify);
    micro_measure(micro, MICRO_X25519_BASE, MICRO_HEAP_LIBRARY, &base);
    micro_measure(micro, MICRO_X25519_SHARED, MICRO_HEAP_LIBRARY, &shared);
    EC_KEY_free(work.key);
    return true;
}

struct aead_work {
    EVP_AEAD_CTX context;
    size_t len;
    size_t sealed_len;
    size_t nonce_len;
    uint8_t nonce[EVP_AEAD_MAX_NONCE_LENGTH];
    uint8_t aad[AAD_LEN];
    uint8_t plain[RECORD_LEN];
    uint8_t sealed[RECORD_LEN + EVP_AEAD_MAX_OVERHEAD];
};

static void run_seal(void *context, size_t count)
{
    struct aead_work *work = context;

    for (size_t i = 0; i < count; i++) {
        int done = EVP_AEAD_CTX_seal(&work->context, work->sealed, &work->sealed_len,
                                     sizeof(work->sealed), work->nonce, work->nonce_len,
                                     work->plain, work->len, work->aad, sizeof(work->aad));
        ASSERT(done);
    }
}

static void run_open(void *context, size_t count)
{
    struct aead_work *work = context;

    for (size_t i = 0; i < count; i++) {
        size_t len;
        int done = EVP_AEAD_CTX_open(&work->context, work->plain, &len, sizeof(work->plain),
                                     work->nonce, work->nonce_len, work->sealed, work->sealed_len,
                                     work->aad, sizeof(work->aad));
        ASSERT(done && len == work->len);
    }
}

static bool measure_aead(struct micro *micro, const EVP_AEAD *aead, enum micro_row first)
{
    static struct aead_work work;
    static const struct measure_work seal = {run_seal, &work, 1}, open = {run_open, &work, 1};
    static const size_t lens[] = {SMALL_LEN, RECORD_LEN};
    static const uint8_t key[EVP_AEAD_MAX_KEY_LENGTH];

    if (!EVP_AEAD_CTX_init(&work.context, aead, key, EVP_AEAD_key_length(aead),
                           EVP_AEAD_DEFAULT_TAG_LENGTH, NULL)) {
        return false;
    }
    work.nonce_len = EVP_AEAD_nonce_length(aead);
    for (size_t i = 0; i < COUNT_OF(lens); i++) {
        work.len = lens[i];
        run_seal(&work, 1);
        micro_measure(micro, first + i, MICRO_HEAP_LIBRARY, &seal);
        micro_measure(micro, first + COUNT_OF(lens) + i, MICRO_HEAP_LIBRARY, &open);
    }
    EVP_AEAD_CTX_cleanup(&work.context);
    return true;
}

static void run_sha256(void *context, size_t count)
{
    static uint8_t digest[SHA256_DIGEST_LENGTH];

    for (size_t i = 0; i < count; i++) {
        SHA256(context, RECORD_LEN, digest);
        measure_keep(digest);
    }
}

bool micro_crypto(struct micro *micro)
{
    static uint8_t bytes[RECORD_LEN];
    static const struct measure_work sha256 = {run_sha256, bytes, 1};

    tls_memory_prepare();
    if (!measure_keys(micro) ||
        !measure_aead(micro, EVP_aead_aes_128_gcm(), MICRO_AES128_SEAL_1K) ||
        !measure_aead(micro, EVP_aead_aes_256_gcm(), MICRO_AES256_SEAL_1K) ||
        !measure_aead(micro, EVP_aead_chacha20_poly1305(), MICRO_CHACHA_SEAL_1K)) {
        fputs("weir bench: out of memory\n", micro->err);
        return false;
    }
    micro_measure(micro, MICRO_SHA256_16K, MICRO_HEAP_LIBRARY, &sha256);
    return true;
}
