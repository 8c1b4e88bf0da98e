/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each shard has one lock and two tables: leaves by key, and visits. An entry is pending from
 * LEAF_YOURS until leaf_cache_fill(), and only then counts towards the bound and can be evicted: a
 * flood of names that cannot be minted pushes nothing out. Pending entries have the same bound for
 * themselves. References are put, and waiters woken, after the lock was given back.
 */
#include "tls/leaf_cache.h"

#include "core/base/hash.h"
#include "core/base/table.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    SHARD_COUNT_MAX = 16,   /* a power of two */
    SHARD_ENTRIES_MIN = 16, /* smaller caches have fewer shards */
    EXPIRY_MARGIN_S = 3600, /* a leaf with less life left is as good as absent */
    KEY_MAX = LEAF_DIGEST_LEN + 1 + LEAF_NAME_MAX,
};

/* A key in the form that is hashed and compared: digest, kind, name in lower case. */
struct flat_key {
    size_t len;
    uint64_t hash;
    uint8_t bytes[KEY_MAX];
};

struct entry {
    struct table_node node;
    struct list_node use;     /* in shard->entry_use unless pending */
    struct list_node waiters; /* of a pending entry */
    struct leaf *leaf;        /* a reference; null: pending */
    size_t key_len;
    uint8_t key[];
};

struct visit {
    struct table_node node;
    struct list_node use; /* in shard->visit_use */
    struct leaf *leaf;    /* a reference */
    struct leaf_visit seen;
    uint8_t key[VISIT_KEY_LEN];
};

struct shard {
    pthread_mutex_t lock;
    struct table entries;
    struct list_node entry_use; /* most recently used first */
    uint32_t filled_count;
    uint32_t pending_count;
    struct table visits;
    struct list_node visit_use;
    struct leaf_cache_stats stats; /* without the number of entries */
} __attribute__((aligned(64)));

struct leaf_cache {
    uint32_t shard_count; /* a power of two */
    uint32_t shard_cap;   /* filled entries, pending entries and visits a shard, each */
    struct shard shards[SHARD_COUNT_MAX];
};

/* ---- life ---- */

static void shard_fini(struct shard *shard)
{
    struct list_node *node;

    ASSERT(shard->pending_count == 0);
    while ((node = list_pop_front(&shard->entry_use))) {
        struct entry *entry = CONTAINER_OF(node, struct entry, use);
        leaf_put(entry->leaf);
        free(entry);
    }
    while ((node = list_pop_front(&shard->visit_use))) {
        struct visit *visit = CONTAINER_OF(node, struct visit, use);
        leaf_put(visit->leaf);
        free(visit);
    }
    table_fini(&shard->entries);
    table_fini(&shard->visits);
    pthread_mutex_destroy(&shard->lock);
}

static bool shard_init(struct shard *shard, uint32_t cap)
{
    *shard = (struct shard){.filled_count = 0};
    if (table_init(&shard->entries, cap) != 0) {
        return false;
    }
    if (table_init(&shard->visits, cap) != 0) {
        table_fini(&shard->entries);
        return false;
    }
    list_init(&shard->entry_use);
    list_init(&shard->visit_use);
    pthread_mutex_init(&shard->lock, NULL);
    return true;
}

struct leaf_cache *leaf_cache_new(uint32_t entry_cap)
{
    struct leaf_cache *cache = aligned_alloc(_Alignof(struct leaf_cache), sizeof(*cache));
    uint32_t wanted = 1;

    if (!cache) {
        return NULL;
    }
    while (wanted < SHARD_COUNT_MAX && entry_cap / (wanted * 2) >= SHARD_ENTRIES_MIN) {
        wanted *= 2;
    }
    cache->shard_cap = entry_cap / wanted ? entry_cap / wanted : 1;
    for (cache->shard_count = 0; cache->shard_count < wanted; cache->shard_count++) {
        if (!shard_init(&cache->shards[cache->shard_count], cache->shard_cap)) {
            leaf_cache_free(cache);
            return NULL;
        }
    }
    return cache;
}

void leaf_cache_free(struct leaf_cache *cache)
{
    if (cache) {
        for (uint32_t i = 0; i < cache->shard_count; i++) {
            shard_fini(&cache->shards[i]);
        }
        free(cache);
    }
}

/* ---- keys ---- */

static void flatten(const struct leaf_key *key, struct flat_key *flat)
{
    ASSERT(key->asked_name.len <= LEAF_NAME_MAX);
    memcpy(flat->bytes, key->server_digest, LEAF_DIGEST_LEN);
    flat->bytes[LEAF_DIGEST_LEN] = (uint8_t)key->kind;
    for (size_t i = 0; i < key->asked_name.len; i++) {
        uint8_t c = key->asked_name.data[i];
        flat->bytes[LEAF_DIGEST_LEN + 1 + i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
    }
    flat->len = LEAF_DIGEST_LEN + 1 + key->asked_name.len;
    flat->hash = hash_bytes(span_make(flat->bytes, flat->len));
}

/* By the upper bits; the tables use the lower ones. */
static struct shard *shard_of(struct leaf_cache *cache, uint64_t hash)
{
    return &cache->shards[(hash >> 40) & (cache->shard_count - 1)];
}

static bool is_expiring(const struct leaf *leaf, int64_t now_s)
{
    return leaf_not_after_s(leaf) - now_s < EXPIRY_MARGIN_S;
}

/* ---- leaves ---- */

static struct entry *find_entry(const struct shard *shard, const struct flat_key *key)
{
    struct table_node *node = table_first(&shard->entries, key->hash);

    while (node) {
        struct entry *entry = CONTAINER_OF(node, struct entry, node);

        if (span_equal(span_make(entry->key, entry->key_len), span_make(key->bytes, key->len))) {
            return entry;
        }
        node = table_next(node);
    }
    return NULL;
}

static struct entry *new_entry(struct shard *shard, const struct flat_key *key)
{
    struct entry *entry = malloc(sizeof(*entry) + key->len);

    if (entry) {
        list_init(&entry->use);
        list_init(&entry->waiters);
        entry->leaf = NULL;
        entry->key_len = key->len;
        memcpy(entry->key, key->bytes, key->len);
        table_insert(&shard->entries, &entry->node, key->hash);
    }
    return entry;
}

/* The caller mints: a new entry, or an old one whose leaf is given up into *old. */
static enum leaf_answer begin_minting(struct leaf_cache *cache, struct shard *shard,
                                      struct entry *entry, const struct flat_key *key,
                                      struct leaf_waiter *waiter, struct leaf **old)
{
    if (shard->pending_count >= cache->shard_cap || (!entry && !(entry = new_entry(shard, key)))) {
        return LEAF_REFUSED;
    }
    if (entry->leaf) {
        *old = entry->leaf;
        entry->leaf = NULL;
        list_remove(&entry->use);
        shard->filled_count--;
    }
    shard->pending_count++;
    shard->stats.misses++;
    list_init(&waiter->link);
    list_push_back(&entry->waiters, &waiter->link);
    return LEAF_YOURS;
}

enum leaf_answer leaf_cache_get(struct leaf_cache *cache, const struct leaf_key *key, int64_t now_s,
                                struct leaf_waiter *waiter, struct leaf **leaf)
{
    struct leaf *old = NULL;
    enum leaf_answer answer;
    struct flat_key flat;
    struct shard *shard;
    struct entry *entry;

    flatten(key, &flat);
    shard = shard_of(cache, flat.hash);
    *leaf = NULL;
    pthread_mutex_lock(&shard->lock);
    entry = find_entry(shard, &flat);
    if (entry && !entry->leaf) {
        list_init(&waiter->link);
        list_push_back(&entry->waiters, &waiter->link);
        shard->stats.waits++;
        answer = LEAF_PENDING;
    } else if (entry && !is_expiring(entry->leaf, now_s)) {
        list_remove(&entry->use);
        list_push_front(&shard->entry_use, &entry->use);
        *leaf = leaf_get(entry->leaf);
        shard->stats.hits++;
        answer = LEAF_HIT;
    } else {
        answer = begin_minting(cache, shard, entry, &flat, waiter, &old);
    }
    pthread_mutex_unlock(&shard->lock);
    if (old) {
        leaf_put(old);
    }
    return answer;
}

/* Takes the least recently used entry out if there are too many; the caller frees it. */
static struct entry *evict(struct leaf_cache *cache, struct shard *shard)
{
    struct entry *entry;

    if (shard->filled_count <= cache->shard_cap) {
        return NULL;
    }
    entry = CONTAINER_OF(shard->entry_use.prev, struct entry, use);
    list_remove(&entry->use);
    table_remove(&shard->entries, &entry->node);
    shard->filled_count--;
    shard->stats.evictions++;
    return entry;
}

static void move_list(struct list_node *to, struct list_node *from)
{
    struct list_node *node;

    list_init(to);
    while ((node = list_pop_front(from))) {
        list_push_back(to, node);
    }
}

static void wake_all(struct list_node *waiters, struct leaf *leaf)
{
    struct list_node *node;

    while ((node = list_pop_front(waiters))) {
        struct leaf_waiter *waiter = CONTAINER_OF(node, struct leaf_waiter, link);
        waiter->wake(waiter, leaf ? leaf_get(leaf) : NULL);
    }
}

void leaf_cache_fill(struct leaf_cache *cache, const struct leaf_key *key, struct leaf *leaf)
{
    struct entry *dropped = NULL;
    struct list_node waiters;
    struct flat_key flat;
    struct shard *shard;
    struct entry *entry;

    flatten(key, &flat);
    shard = shard_of(cache, flat.hash);
    pthread_mutex_lock(&shard->lock);
    entry = find_entry(shard, &flat);
    ASSERT(entry && !entry->leaf); /* LEAF_YOURS is answered by one fill */
    move_list(&waiters, &entry->waiters);
    shard->pending_count--;
    if (leaf) {
        entry->leaf = leaf_get(leaf);
        list_push_front(&shard->entry_use, &entry->use);
        shard->filled_count++;
        dropped = evict(cache, shard);
    } else {
        table_remove(&shard->entries, &entry->node);
        dropped = entry;
    }
    pthread_mutex_unlock(&shard->lock);
    if (dropped && dropped->leaf) {
        leaf_put(dropped->leaf);
    }
    free(dropped);
    wake_all(&waiters, leaf);
}

/* ---- visits ---- */

static uint64_t visit_hash(const uint8_t key[VISIT_KEY_LEN])
{
    return hash_bytes(span_make(key, VISIT_KEY_LEN));
}

static struct visit *find_visit(const struct shard *shard, uint64_t hash,
                                const uint8_t key[VISIT_KEY_LEN])
{
    struct table_node *node = table_first(&shard->visits, hash);

    while (node) {
        struct visit *visit = CONTAINER_OF(node, struct visit, node);

        if (memcmp(visit->key, key, VISIT_KEY_LEN) == 0) {
            return visit;
        }
        node = table_next(node);
    }
    return NULL;
}

/* Takes a visit out; the caller drops it without the lock. */
static struct visit *remove_visit(struct shard *shard, struct visit *visit)
{
    list_remove(&visit->use);
    table_remove(&shard->visits, &visit->node);
    return visit;
}

static void drop_visit(struct visit *visit)
{
    if (visit) {
        leaf_put(visit->leaf);
        free(visit);
    }
}

/* Without memory nothing is remembered; what was remembered before is gone, for it is outdated. */
void leaf_cache_remember(struct leaf_cache *cache, const uint8_t visit_key[VISIT_KEY_LEN],
                         const struct leaf_visit *seen, struct leaf *leaf)
{
    uint64_t hash = visit_hash(visit_key);
    struct shard *shard = shard_of(cache, hash);
    struct visit *visit = malloc(sizeof(*visit));
    struct visit *before;
    struct visit *evicted = NULL;

    ASSERT(seen->alpn_len <= VISIT_ALPN_MAX);
    if (visit) {
        list_init(&visit->use);
        visit->leaf = leaf_get(leaf);
        visit->seen = *seen;
        memcpy(visit->key, visit_key, VISIT_KEY_LEN);
    }
    pthread_mutex_lock(&shard->lock);
    before = find_visit(shard, hash, visit_key);
    if (before) {
        remove_visit(shard, before);
    }
    if (visit) {
        if (shard->visits.count >= cache->shard_cap) {
            evicted = remove_visit(shard, CONTAINER_OF(shard->visit_use.prev, struct visit, use));
        }
        list_push_front(&shard->visit_use, &visit->use);
        table_insert(&shard->visits, &visit->node, hash);
    }
    pthread_mutex_unlock(&shard->lock);
    drop_visit(before);
    drop_visit(evicted);
}

bool leaf_cache_recall(struct leaf_cache *cache, const uint8_t visit_key[VISIT_KEY_LEN],
                       int64_t now_s, struct leaf_visit *seen, struct leaf **leaf)
{
    uint64_t hash = visit_hash(visit_key);
    struct shard *shard = shard_of(cache, hash);
    struct visit *expired = NULL;
    struct visit *visit;

    *leaf = NULL;
    pthread_mutex_lock(&shard->lock);
    visit = find_visit(shard, hash, visit_key);
    if (visit && is_expiring(visit->leaf, now_s)) {
        expired = remove_visit(shard, visit);
    } else if (visit) {
        list_remove(&visit->use);
        list_push_front(&shard->visit_use, &visit->use);
        *seen = visit->seen;
        *leaf = leaf_get(visit->leaf);
        shard->stats.recalls++;
    }
    pthread_mutex_unlock(&shard->lock);
    drop_visit(expired);
    return *leaf != NULL;
}

void leaf_cache_forget(struct leaf_cache *cache, const uint8_t visit_key[VISIT_KEY_LEN])
{
    uint64_t hash = visit_hash(visit_key);
    struct shard *shard = shard_of(cache, hash);
    struct visit *visit;

    pthread_mutex_lock(&shard->lock);
    visit = find_visit(shard, hash, visit_key);
    if (visit) {
        remove_visit(shard, visit);
    }
    pthread_mutex_unlock(&shard->lock);
    drop_visit(visit);
}

/* ---- figures ---- */

void leaf_cache_read_stats(struct leaf_cache *cache, struct leaf_cache_stats *stats)
{
    *stats = (struct leaf_cache_stats){0, 0, 0, 0, 0, 0};
    for (uint32_t i = 0; i < cache->shard_count; i++) {
        struct shard *shard = &cache->shards[i];

        pthread_mutex_lock(&shard->lock);
        stats->hits += shard->stats.hits;
        stats->misses += shard->stats.misses;
        stats->waits += shard->stats.waits;
        stats->evictions += shard->stats.evictions;
        stats->recalls += shard->stats.recalls;
        stats->entries += shard->filled_count;
        pthread_mutex_unlock(&shard->lock);
    }
}
