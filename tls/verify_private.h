/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the trusted roots, for the verification and for tests. */
#ifndef WEIR_TLS_VERIFY_PRIVATE_H
#define WEIR_TLS_VERIFY_PRIVATE_H

#include "tls/verify.h"

#include <openssl/base.h>
#include <pthread.h>
#include <stdatomic.h>

/*
 * Chains that were found good, so that a popular server is not verified anew for each connection.
 * The key digests everything that the answer depends on but the time and the roots: the roots are
 * those of the trust object that holds the cache, the times are in the entry. Faults are not kept.
 */
enum { VERIFIED_KEY_LEN = 32, VERIFIED_SHARDS = 16, VERIFIED_SETS = 16, VERIFIED_WAYS = 4 };

struct verified {
    uint8_t key[VERIFIED_KEY_LEN];
    int64_t from_s;  /* the path is good from here */
    int64_t until_s; /* to here; 0: the entry is empty */
};

struct verified_shard {
    pthread_mutex_t lock;
    uint32_t next_way;
    struct verified entries[VERIFIED_SETS][VERIFIED_WAYS];
};

struct trust {
    _Atomic uint32_t references;
    X509_STORE *store;
    X509 *own_ca; /* null: none */
    size_t root_count;
    struct verified_shard shards[VERIFIED_SHARDS];
};

/* trust_new() with other places for the system's roots; the first that can be read is used. */
struct trust *trust_new_with_places(const char *const *places, size_t place_count,
                                    const char *const *files, size_t file_count,
                                    struct span own_ca_der, char *error,
                                    size_t error_cap) MUST_CHECK;

bool trust_find_verified(struct trust *trust, const uint8_t key[VERIFIED_KEY_LEN], int64_t now_s);
void trust_keep_verified(struct trust *trust, const struct verified *verified);

#endif
