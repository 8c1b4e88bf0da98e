/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lookups in leaf caches of one worker, of several sizes beside each other, each full: what a visit
 * to a known host asks, that is, the visit and then the leaf. Which one is random, so that nothing
 * but the processor's caches can have it ready.
 */
#include "bench/grow_memory.h"
#include "bench/grow_results.h"
#include "bench/load_pki.h"
#include "bench/measure.h"
#include "core/base/clock.h"
#include "tls/leaf_cache.h"

#include <math.h>

enum {
    DIGITS = 7,
    LEAF_DAYS = 7,
    SPARE_SHARE = 4, /* shards are not filled evenly: room for one in so many more */
    SPARE_LEAST = 1024,
};

#define NAME_TAIL ".bench.test"

struct table {
    struct leaf_cache *cache;
    unsigned count;
    int64_t now_s;
    uint64_t random;
    uint64_t found;
};

/* What is asked about host `number`. */
struct question {
    struct leaf_key key;
    uint8_t visit[VISIT_KEY_LEN];
    char name[1 + DIGITS + sizeof(NAME_TAIL)];
};

static void make_question(struct question *q, uint32_t number)
{
    uint32_t rest = number;

    memset(q->visit, 0, sizeof(q->visit));
    memcpy(q->visit, &number, sizeof(number));
    memcpy(q->name, "h0000000" NAME_TAIL, sizeof(q->name));
    for (size_t i = DIGITS; i > 0; i--) {
        q->name[i] = (char)('0' + rest % 10);
        rest /= 10;
    }
    q->key = (struct leaf_key){.asked_name = span_make(q->name, sizeof(q->name) - 1),
                               .kind = LEAF_ECDSA};
    memcpy(q->key.server_digest, q->visit, sizeof(q->key.server_digest));
}

static void wake_nobody(struct leaf_waiter *waiter, struct leaf *leaf)
{
    (void)waiter;
    if (leaf) {
        leaf_put(leaf);
    }
}

static bool add_host(struct table *table, struct load_pki *pki, uint32_t number)
{
    struct leaf_visit seen = {.alpn_len = 0};
    struct leaf_waiter waiter = {.wake = wake_nobody};
    struct leaf_request request = {.kind = LEAF_ECDSA, .now_s = table->now_s, .days = LEAF_DAYS};
    struct question q;
    struct leaf *leaf;
    char error[256];

    make_question(&q, number);
    request.asked_name = q.key.asked_name;
    if (leaf_cache_get(table->cache, &q.key, table->now_s, &waiter, &leaf) != LEAF_YOURS) {
        return false;
    }
    leaf = leaf_mint(pki->ca, pki->keys, &request, error, sizeof(error));
    leaf_cache_fill(table->cache, &q.key, leaf);
    if (leaf) {
        memcpy(seen.server_digest, q.key.server_digest, sizeof(seen.server_digest));
        leaf_cache_remember(table->cache, q.visit, &seen, leaf);
        leaf_put(leaf);
    }
    return leaf != NULL;
}

static bool table_init(struct table *table, struct grow_point *point, struct load_pki *pki)
{
    size_t before = measure_heap_in_use();
    size_t bytes;

    *table = (struct table){.count = point->amount, .random = point->amount};
    table->now_s = clock_wall_ns() / NS_PER_S;
    table->cache = leaf_cache_new(point->amount + point->amount / SPARE_SHARE + SPARE_LEAST);
    for (uint32_t i = 0; table->cache && i < table->count; i++) {
        if (!add_host(table, pki, i)) {
            return false;
        }
    }
    bytes = measure_heap_in_use() - before;
    point->bytes = bytes && before ? (double)bytes / point->amount : NAN;
    return table->cache != NULL;
}

static void run_lookups(void *context, size_t count)
{
    struct table *table = context;

    for (size_t i = 0; i < count; i++) {
        struct leaf_waiter waiter;
        struct leaf_visit seen;
        struct question q;
        struct leaf *leaf;

        table->random =
            table->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        make_question(&q, (uint32_t)((table->random >> 32) * table->count >> 32));
        if (leaf_cache_recall(table->cache, q.visit, table->now_s, &seen, &leaf)) {
            leaf_put(leaf);
            table->found++;
        }
        if (leaf_cache_get(table->cache, &q.key, table->now_s, &waiter, &leaf) == LEAF_HIT) {
            leaf_put(leaf);
            table->found++;
        }
    }
}

static void measure_round(struct table *tables, struct grow_line *line, size_t round,
                          int64_t budget_ns, FILE *err)
{
    for (size_t i = 0; i < line->count; i++) {
        size_t at = (i + round) % line->count;
        struct grow_point *point = &line->points[at];
        struct measure_work work = {run_lookups, &tables[at], 1};

        point->load_ns[point->rounds] = grow_load_ns(point, budget_ns);
        point->costs[point->rounds++] = measure_run(&work, budget_ns).cpu.median;
        fprintf(err, "leaf, %u: %.1f ns\n", point->amount, point->costs[point->rounds - 1]);
    }
}

bool grow_leaf_measure(struct grow_results *results, const char *folder, FILE *err)
{
    struct grow_line *line = grow_results_find(results, GROW_LEAF);
    struct table tables[GROW_POINTS_MAX] = {{.cache = NULL}};
    int64_t budget_ns = results->options->window_ms * NS_PER_MS / GROW_TABLE_SHARE;
    struct load_pki pki;
    char dir[128], error[256];
    bool done = true;

    if (!line) {
        return true;
    }
    snprintf(dir, sizeof(dir), "%s/leaf-ca", folder);
    if (!load_pki_open(&pki, dir, error, sizeof(error))) {
        fprintf(err, "weir bench: %s\n", error);
        return false;
    }
    for (size_t i = 0; i < line->count && done; i++) {
        done = table_init(&tables[i], &line->points[i], &pki);
    }
    for (size_t round = 0; round < results->options->rounds && done; round++) {
        measure_round(tables, line, round, budget_ns, err);
    }
    for (size_t i = 0; i < line->count; i++) {
        leaf_cache_free(tables[i].cache);
    }
    load_pki_close(&pki);
    if (!done) {
        fputs("weir bench: out of memory\n", err);
    }
    return done;
}
