/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/leaf_cache.h"

#include "tls/leaf_private.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const int64_t now = 1800000000;
static const int64_t day = 86400;

/* A leaf without a certificate: the cache looks at its references and dates only. */
static struct leaf *make_leaf(int64_t not_after_s)
{
    struct leaf *leaf = calloc(1, sizeof(*leaf));

    assert_non_null(leaf);
    atomic_init(&leaf->references, 1);
    leaf->not_after_s = not_after_s;
    return leaf;
}

static struct leaf_key make_key(const char *name)
{
    return (struct leaf_key){.asked_name = span_from_string(name), .kind = LEAF_ECDSA};
}

struct witness {
    struct leaf_waiter waiter;
    struct leaf *leaf;
    int wakes;
};

static void on_wake(struct leaf_waiter *waiter, struct leaf *leaf)
{
    struct witness *witness = CONTAINER_OF(waiter, struct witness, waiter);

    witness->wakes++;
    witness->leaf = leaf;
}

static struct witness make_witness(void)
{
    return (struct witness){.waiter = {.wake = on_wake}};
}

/* Mints into the cache; the cache's reference is then the only one. */
static void put_in(struct leaf_cache *cache, const struct leaf_key *key, int64_t not_after_s)
{
    struct witness witness = make_witness();
    struct leaf *leaf = make_leaf(not_after_s);
    struct leaf *hit;

    assert_int_equal(leaf_cache_get(cache, key, now, &witness.waiter, &hit), LEAF_YOURS);
    assert_null(hit);
    leaf_cache_fill(cache, key, leaf);
    assert_int_equal(witness.wakes, 1);
    assert_ptr_equal(witness.leaf, leaf);
    leaf_put(witness.leaf);
    assert_int_equal(atomic_load(&leaf->references), 2);
    leaf_put(leaf);
}

static bool is_in(struct leaf_cache *cache, const struct leaf_key *key, int64_t at_s)
{
    struct witness witness = make_witness();
    struct leaf *leaf;
    enum leaf_answer answer = leaf_cache_get(cache, key, at_s, &witness.waiter, &leaf);

    if (answer == LEAF_HIT) {
        assert_non_null(leaf);
        assert_int_equal(witness.wakes, 0);
        leaf_put(leaf);
        return true;
    }
    assert_int_equal(answer, LEAF_YOURS);
    leaf_cache_fill(cache, key, NULL);
    assert_int_equal(witness.wakes, 1);
    assert_null(witness.leaf);
    return false;
}

static void keys_are_compared_whole_and_names_without_case(void **state)
{
    struct leaf_cache *cache = leaf_cache_new(100);
    struct leaf_key key = make_key("WWW.Example.com");
    struct leaf_key other = make_key("www.example.com");

    (void)state;
    put_in(cache, &key, now + day);
    assert_true(is_in(cache, &other, now));
    other.kind = LEAF_RSA;
    assert_false(is_in(cache, &other, now));
    other.kind = LEAF_ECDSA;
    other.server_digest[31] = 1;
    assert_false(is_in(cache, &other, now));
    other = make_key("www.example.co");
    assert_false(is_in(cache, &other, now));
    other = make_key("");
    assert_false(is_in(cache, &other, now));
    assert_true(is_in(cache, &key, now));
    leaf_cache_free(cache);
}

static void a_failure_wakes_everybody_with_nothing(void **state)
{
    struct leaf_cache *cache = leaf_cache_new(100);
    struct leaf_key key = make_key("fails.example");
    struct witness witnesses[3] = {make_witness(), make_witness(), make_witness()};
    struct leaf_cache_stats stats;
    struct leaf *leaf;

    (void)state;
    assert_int_equal(leaf_cache_get(cache, &key, now, &witnesses[0].waiter, &leaf), LEAF_YOURS);
    assert_int_equal(leaf_cache_get(cache, &key, now, &witnesses[1].waiter, &leaf), LEAF_PENDING);
    assert_int_equal(leaf_cache_get(cache, &key, now, &witnesses[2].waiter, &leaf), LEAF_PENDING);
    leaf_cache_fill(cache, &key, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(witnesses[i].wakes, 1);
        assert_null(witnesses[i].leaf);
    }
    leaf_cache_read_stats(cache, &stats);
    assert_int_equal(stats.misses, 1);
    assert_int_equal(stats.waits, 2);
    assert_int_equal(stats.entries, 0);
    assert_false(is_in(cache, &key, now)); /* and is tried again */
    leaf_cache_free(cache);
}

static void every_waiter_has_a_reference(void **state)
{
    struct leaf_cache *cache = leaf_cache_new(100);
    struct leaf_key key = make_key("waits.example");
    struct witness witnesses[3] = {make_witness(), make_witness(), make_witness()};
    struct leaf *leaf = make_leaf(now + day);
    struct leaf *hit;

    (void)state;
    assert_int_equal(leaf_cache_get(cache, &key, now, &witnesses[0].waiter, &hit), LEAF_YOURS);
    assert_int_equal(leaf_cache_get(cache, &key, now, &witnesses[1].waiter, &hit), LEAF_PENDING);
    assert_int_equal(leaf_cache_get(cache, &key, now, &witnesses[2].waiter, &hit), LEAF_PENDING);
    leaf_cache_fill(cache, &key, leaf);
    assert_int_equal(atomic_load(&leaf->references), 1 + 3 + 1);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(witnesses[i].leaf, leaf);
        leaf_put(witnesses[i].leaf);
    }
    leaf_cache_free(cache);
    assert_int_equal(atomic_load(&leaf->references), 1);
    leaf_put(leaf);
}

static void the_least_recently_used_entry_goes(void **state)
{
    struct leaf_cache *cache = leaf_cache_new(3);
    struct leaf_key keys[5];
    static const char *const names[] = {"a.example", "b.example", "c.example", "d.example",
                                        "e.example"};
    struct leaf_cache_stats stats;

    (void)state;
    for (int i = 0; i < 5; i++) {
        keys[i] = make_key(names[i]);
    }
    for (int i = 0; i < 3; i++) {
        put_in(cache, &keys[i], now + day);
    }
    assert_true(is_in(cache, &keys[0], now)); /* b is the oldest now */
    put_in(cache, &keys[3], now + day);
    assert_false(is_in(cache, &keys[1], now));
    assert_true(is_in(cache, &keys[2], now));
    put_in(cache, &keys[4], now + day);
    assert_false(is_in(cache, &keys[0], now));
    leaf_cache_read_stats(cache, &stats);
    assert_int_equal(stats.entries, 3);
    assert_int_equal(stats.evictions, 2);
    assert_int_equal(stats.hits, 2);
    assert_int_equal(stats.misses, 5 + 2);
    leaf_cache_free(cache);
}

static void what_is_being_minted_is_neither_evicted_nor_unbounded(void **state)
{
    struct leaf_cache *cache = leaf_cache_new(2);
    struct leaf_key slow = make_key("slow.example");
    struct leaf_key keys[] = {make_key("a.example"), make_key("b.example"), make_key("c.example")};
    struct witness first = make_witness();
    struct witness second = make_witness();
    struct witness third = make_witness();
    struct leaf *leaf = make_leaf(now + day);
    struct leaf *hit;

    (void)state;
    assert_int_equal(leaf_cache_get(cache, &slow, now, &first.waiter, &hit), LEAF_YOURS);
    for (int i = 0; i < 3; i++) {
        put_in(cache, &keys[i], now + day);
    }
    assert_int_equal(leaf_cache_get(cache, &keys[0], now, &second.waiter, &hit), LEAF_YOURS);
    /* Two are being minted, as many as the cache has entries. */
    assert_int_equal(
        leaf_cache_get(cache, &(struct leaf_key){.kind = LEAF_RSA}, now, &third.waiter, &hit),
        LEAF_REFUSED);
    assert_int_equal(leaf_cache_get(cache, &slow, now, &third.waiter, &hit), LEAF_PENDING);
    leaf_cache_fill(cache, &slow, leaf);
    assert_ptr_equal(first.leaf, leaf);
    assert_ptr_equal(third.leaf, leaf);
    leaf_cache_fill(cache, &keys[0], NULL);
    assert_int_equal(second.wakes, 1);
    assert_int_equal(third.wakes, 1);
    leaf_put(leaf);
    leaf_put(leaf);
    leaf_put(leaf);
    leaf_cache_free(cache);
}

static void the_bound_holds_over_all_shards(void **state)
{
    struct leaf_cache *cache = leaf_cache_new(300);
    struct leaf_cache_stats stats;
    char name[32];

    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct leaf_key key;

        snprintf(name, sizeof(name), "host-%d.example", i);
        key = make_key(name);
        put_in(cache, &key, now + day);
    }
    leaf_cache_read_stats(cache, &stats);
    assert_true(stats.entries <= 300 && stats.entries > 200);
    assert_int_equal(stats.evictions + stats.entries, 3000);
    leaf_cache_free(cache);
}

static void a_leaf_near_its_end_counts_as_absent(void **state)
{
    struct leaf_cache *cache = leaf_cache_new(10);
    struct leaf_key key = make_key("old.example");
    struct witness witness = make_witness();
    struct leaf_cache_stats stats;
    struct leaf *leaf = make_leaf(now + 2 * day);
    struct leaf *hit;

    (void)state;
    put_in(cache, &key, now + day);
    assert_true(is_in(cache, &key, now + day - 3600));
    /* One second later it is minted anew, in place. */
    assert_int_equal(leaf_cache_get(cache, &key, now + day - 3599, &witness.waiter, &hit),
                     LEAF_YOURS);
    leaf_cache_read_stats(cache, &stats);
    assert_int_equal(stats.entries, 0);
    leaf_cache_fill(cache, &key, leaf);
    leaf_put(witness.leaf);
    leaf_put(leaf);
    assert_true(is_in(cache, &key, now + day));
    assert_false(is_in(cache, &key, now + 3 * day));
    leaf_cache_free(cache);
}

static struct leaf_visit make_visit(const char *alpn)
{
    struct leaf_visit visit = {.alpn_len = (uint8_t)strlen(alpn)};

    visit.server_digest[0] = 7;
    memcpy(visit.alpn, alpn, strlen(alpn));
    return visit;
}

static void visits_are_remembered_and_forgotten(void **state)
{
    struct leaf_cache *cache = leaf_cache_new(10);
    uint8_t key[VISIT_KEY_LEN] = {1};
    uint8_t other[VISIT_KEY_LEN] = {2};
    struct leaf_visit seen = make_visit("h2");
    struct leaf *leaf = make_leaf(now + day);
    struct leaf *newer = make_leaf(now + 2 * day);
    struct leaf *found;
    struct leaf_visit out;

    (void)state;
    assert_false(leaf_cache_recall(cache, key, now, &out, &found));
    assert_null(found);
    leaf_cache_remember(cache, key, &seen, leaf);
    assert_false(leaf_cache_recall(cache, other, now, &out, &found));
    assert_true(leaf_cache_recall(cache, key, now, &out, &found));
    assert_ptr_equal(found, leaf);
    assert_memory_equal(&out, &seen, sizeof(out));
    leaf_put(found);

    seen = make_visit("");
    leaf_cache_remember(cache, key, &seen, newer); /* replaces */
    assert_int_equal(atomic_load(&leaf->references), 1);
    assert_true(leaf_cache_recall(cache, key, now + day, &out, &found));
    assert_ptr_equal(found, newer);
    assert_int_equal(out.alpn_len, 0);
    leaf_put(found);

    leaf_cache_forget(cache, other);
    leaf_cache_forget(cache, key);
    leaf_cache_forget(cache, key);
    assert_false(leaf_cache_recall(cache, key, now, &out, &found));
    assert_int_equal(atomic_load(&newer->references), 1);

    leaf_cache_remember(cache, key, &seen, leaf);
    assert_false(leaf_cache_recall(cache, key, now + day - 3599, &out, &found)); /* expiring */
    assert_false(leaf_cache_recall(cache, key, now, &out, &found));              /* and dropped */
    leaf_put(leaf);
    leaf_put(newer);
    leaf_cache_free(cache);
}

static void visits_are_bounded(void **state)
{
    struct leaf_cache *cache = leaf_cache_new(3);
    struct leaf_visit seen = make_visit("h2");
    struct leaf *leaf = make_leaf(now + day);
    struct leaf_cache_stats stats;
    struct leaf *found;

    (void)state;
    for (uint8_t i = 0; i < 4; i++) {
        uint8_t key[VISIT_KEY_LEN] = {i};

        if (i == 3) { /* the first is used again, so that the second is the oldest */
            assert_true(leaf_cache_recall(cache, (uint8_t[VISIT_KEY_LEN]){0}, now, &seen, &found));
            leaf_put(found);
        }
        leaf_cache_remember(cache, key, &seen, leaf);
    }
    assert_int_equal(atomic_load(&leaf->references), 1 + 3);
    assert_false(leaf_cache_recall(cache, (uint8_t[VISIT_KEY_LEN]){1}, now, &seen, &found));
    assert_true(leaf_cache_recall(cache, (uint8_t[VISIT_KEY_LEN]){0}, now, &seen, &found));
    leaf_put(found);
    leaf_cache_read_stats(cache, &stats);
    assert_int_equal(stats.recalls, 2);
    leaf_cache_free(cache);
    assert_int_equal(atomic_load(&leaf->references), 1);
    leaf_put(leaf);
}

/* ---- many threads ---- */

enum { THREADS = 8, ROUNDS = 200, HOSTS = 16 };

struct crowd {
    struct leaf_cache *cache;
    pthread_barrier_t start;
    _Atomic int minted[HOSTS];
};

struct sleeper {
    struct leaf_waiter waiter;
    _Atomic(struct leaf *) leaf;
    _Atomic int wakes;
};

static void on_sleeper(struct leaf_waiter *waiter, struct leaf *leaf)
{
    struct sleeper *sleeper = CONTAINER_OF(waiter, struct sleeper, waiter);

    atomic_store(&sleeper->leaf, leaf);
    atomic_fetch_add(&sleeper->wakes, 1);
}

/* Asserts of cmocka jump, which they must not do between threads: abort() says it as well. */
static void need(bool condition)
{
    if (!condition) {
        abort();
    }
}

static struct leaf *ask(struct crowd *crowd, int host, const char *name)
{
    struct sleeper sleeper = {.waiter = {.wake = on_sleeper}};
    struct leaf_key key = make_key(name);
    struct leaf *leaf = NULL;
    enum leaf_answer answer = leaf_cache_get(crowd->cache, &key, now, &sleeper.waiter, &leaf);

    if (answer == LEAF_HIT) {
        return leaf;
    }
    need(answer != LEAF_REFUSED);
    if (answer == LEAF_YOURS) {
        struct leaf *minted = calloc(1, sizeof(*minted));

        need(minted != NULL);
        atomic_init(&minted->references, 1);
        minted->not_after_s = now + day;
        atomic_fetch_add(&crowd->minted[host], 1);
        for (int i = 0; i < 20; i++) {
            sched_yield(); /* so that others come to wait */
        }
        leaf_cache_fill(crowd->cache, &key, minted);
        leaf_put(minted);
    }
    while (atomic_load(&sleeper.wakes) == 0) {
        sched_yield();
    }
    need(atomic_load(&sleeper.wakes) == 1);
    return atomic_load(&sleeper.leaf);
}

static void *hammer(void *argument)
{
    struct crowd *crowd = argument;
    uint8_t visit_key[VISIT_KEY_LEN] = {0};
    struct leaf_visit seen = {.alpn_len = 0};
    char name[32];

    pthread_barrier_wait(&crowd->start);
    for (int i = 0; i < ROUNDS; i++) {
        struct leaf *leaf;
        struct leaf *recalled;

        snprintf(name, sizeof(name), "host-%d.example", i % HOSTS);
        leaf = ask(crowd, i % HOSTS, name);
        need(leaf && leaf->not_after_s == now + day);
        visit_key[0] = (uint8_t)(i % 40);
        leaf_cache_remember(crowd->cache, visit_key, &seen, leaf);
        if (leaf_cache_recall(crowd->cache, visit_key, now, &seen, &recalled)) {
            leaf_put(recalled);
        }
        if (i % 7 == 0) {
            leaf_cache_forget(crowd->cache, visit_key);
        }
        leaf_put(leaf);
    }
    return NULL;
}

static void a_crowd_mints_each_key_once(void **state)
{
    struct crowd crowd = {.cache = leaf_cache_new(HOSTS * 16)};
    struct leaf_cache_stats stats;
    pthread_t threads[THREADS];

    (void)state;
    pthread_barrier_init(&crowd.start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &crowd), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < HOSTS; i++) {
        assert_int_equal(atomic_load(&crowd.minted[i]), 1);
    }
    leaf_cache_read_stats(crowd.cache, &stats);
    assert_int_equal(stats.entries, HOSTS);
    assert_int_equal(stats.misses, HOSTS);
    assert_int_equal(stats.hits + stats.waits + stats.misses, THREADS * ROUNDS);
    leaf_cache_free(crowd.cache);
    pthread_barrier_destroy(&crowd.start);
}

/* A cache far too small, so that entries are evicted while others use them. */
static void a_crowd_in_a_small_cache_leaks_nothing(void **state)
{
    struct crowd crowd = {.cache = leaf_cache_new(THREADS)};
    struct leaf_cache_stats stats;
    pthread_t threads[THREADS];

    (void)state;
    pthread_barrier_init(&crowd.start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &crowd), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    leaf_cache_read_stats(crowd.cache, &stats);
    assert_true(stats.entries <= THREADS);
    assert_int_equal(stats.evictions + stats.entries, stats.misses);
    leaf_cache_free(crowd.cache);
    pthread_barrier_destroy(&crowd.start);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_compared_whole_and_names_without_case),
        cmocka_unit_test(a_failure_wakes_everybody_with_nothing),
        cmocka_unit_test(every_waiter_has_a_reference),
        cmocka_unit_test(the_least_recently_used_entry_goes),
        cmocka_unit_test(what_is_being_minted_is_neither_evicted_nor_unbounded),
        cmocka_unit_test(the_bound_holds_over_all_shards),
        cmocka_unit_test(a_leaf_near_its_end_counts_as_absent),
        cmocka_unit_test(visits_are_remembered_and_forgotten),
        cmocka_unit_test(visits_are_bounded),
        cmocka_unit_test(a_crowd_mints_each_key_once),
        cmocka_unit_test(a_crowd_in_a_small_cache_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
