/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leaf_cache: minted leaves, shared by all workers. Sharded; a shard's lock is held for a lookup,
 * never while signing. Keys are compared whole. Concurrent requests for one key mint once. Expiry
 * is checked on every hit. Bounded; the least recently used entry of a full shard goes.
 *
 * The interface is asynchronous, so that signing may live in another thread or process:
 *     LEAF_HIT      *leaf is yours to leaf_put()
 *     LEAF_YOURS    nobody has it: mint it, then leaf_cache_fill(), also with null on failure
 *     LEAF_PENDING  somebody is minting: the waiter's wake() is called when it is filled
 *     LEAF_REFUSED  no memory, or too many are being minted: fail this one, the waiter is not used
 */
#ifndef WEIR_TLS_LEAF_CACHE_H
#define WEIR_TLS_LEAF_CACHE_H

#include "core/base/list.h"
#include "tls/leaf.h"

struct leaf_cache;

enum leaf_answer { LEAF_HIT, LEAF_YOURS, LEAF_PENDING, LEAF_REFUSED };

struct leaf_key {
    uint8_t server_digest[LEAF_DIGEST_LEN]; /* of the server's leaf; zeros for an error page */
    struct span asked_name;                 /* compared without case */
    enum leaf_kind kind;
};

/* Owned by the caller; must stay until wake() was called. */
struct leaf_waiter {
    struct list_node link;
    /* Called once, by the thread that fills, without any lock held. `leaf` carries a reference for
     * the waiter, or is null when minting failed. */
    void (*wake)(struct leaf_waiter *waiter, struct leaf *leaf);
};

/* At most entry_cap leaves, as many visits, and as many that are being minted. */
struct leaf_cache *leaf_cache_new(uint32_t entry_cap) MUST_CHECK;
void leaf_cache_free(struct leaf_cache *cache); /* nothing may be pending */

/* Any thread. With LEAF_YOURS and LEAF_PENDING the waiter is used: with LEAF_YOURS it is woken like
 * the others when the minter fills. */
enum leaf_answer leaf_cache_get(struct leaf_cache *cache, const struct leaf_key *key, int64_t now_s,
                                struct leaf_waiter *waiter, struct leaf **leaf) MUST_CHECK;

/* Publishes (null: minting failed, the entry is dropped) and wakes everybody who waits. Takes a
 * reference; the caller keeps its own. */
void leaf_cache_fill(struct leaf_cache *cache, const struct leaf_key *key, struct leaf *leaf);

/*
 * Visits: what a target showed last time, so that a repeat visit need not wait for the server's
 * handshake. Keyed by everything that shaped the answer, digested by the caller into `visit`
 * (target, SNI, ALPN offers, key kind, policy). A remembered visit holds a leaf and the ALPN
 * protocol that the server chose.
 */
enum { VISIT_KEY_LEN = 32, VISIT_ALPN_MAX = 32 };
struct leaf_visit {
    uint8_t server_digest[LEAF_DIGEST_LEN];
    uint8_t alpn_len; /* 0: the server chose none */
    uint8_t alpn[VISIT_ALPN_MAX];
};

/* Takes a reference to the leaf. */
void leaf_cache_remember(struct leaf_cache *cache, const uint8_t visit[VISIT_KEY_LEN],
                         const struct leaf_visit *seen, struct leaf *leaf);
/* True: *seen is filled and *leaf is yours to put. Never an expired leaf. */
bool leaf_cache_recall(struct leaf_cache *cache, const uint8_t visit[VISIT_KEY_LEN], int64_t now_s,
                       struct leaf_visit *seen, struct leaf **leaf);
void leaf_cache_forget(struct leaf_cache *cache, const uint8_t visit[VISIT_KEY_LEN]);

struct leaf_cache_stats {
    uint64_t hits, misses, waits, evictions, recalls;
    uint32_t entries;
};
void leaf_cache_read_stats(struct leaf_cache *cache, struct leaf_cache_stats *stats);

#endif
