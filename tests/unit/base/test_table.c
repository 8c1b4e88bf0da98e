/* SPDX-License-Identifier: Apache-2.0 */
/* The table's file is part of this program, so that its memory can run out. */
#include <stdbool.h>
#include <stdlib.h>

static bool memory_is_out;

static void *scarce_calloc(size_t count, size_t size)
{
    return memory_is_out ? NULL : calloc(count, size);
}

#define calloc scarce_calloc
#include "core/base/table.c"
#undef calloc

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct item {
    struct table_node node;
    unsigned key;
    bool in;
};

enum { ITEMS = 1000 };

static struct item item[ITEMS];

static void fill_items(void)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        item[i] = (struct item){.key = i};
    }
}

/* How often this very item is met in the walk over its hash; all of the walk must have that hash.
 */
static int count_of(const struct table *table, const struct item *wanted, uint64_t hash)
{
    int count = 0;

    for (struct table_node *n = table_first(table, hash); n; n = table_next(n)) {
        assert_int_equal(n->hash, hash);
        count += CONTAINER_OF(n, struct item, node) == wanted;
    }
    return count;
}

static void nodes_are_found_while_it_grows(void **state)
{
    struct table table;

    (void)state;
    fill_items();
    assert_int_equal(table_init(&table, 0), 0);
    assert_null(table_first(&table, 5));
    for (unsigned i = 0; i < ITEMS; i++) {
        table_insert(&table, &item[i].node, i * UINT64_C(0x9e3779b97f4a7c15));
        assert_int_equal(table.count, i + 1);
        assert_true(table.count <= table.bucket_count);
    }
    assert_int_equal(table.bucket_count & (table.bucket_count - 1), 0);
    for (unsigned i = 0; i < ITEMS; i++) {
        assert_int_equal(count_of(&table, &item[i], i * UINT64_C(0x9e3779b97f4a7c15)), 1);
    }
    table_fini(&table);
    assert_null(table.buckets);
}

static void expected_nodes_need_no_growth(void **state)
{
    struct table table;
    size_t buckets;

    (void)state;
    fill_items();
    assert_int_equal(table_init(&table, ITEMS), 0);
    buckets = table.bucket_count;
    assert_true(buckets >= ITEMS && buckets < 2 * ITEMS + 16);
    for (unsigned i = 0; i < ITEMS; i++) {
        table_insert(&table, &item[i].node, i);
    }
    assert_int_equal(table.bucket_count, buckets);
    table_fini(&table);
}

/* Different keys of one hash, and different hashes of one bucket, in one chain. */
static void chains_keep_hashes_apart(void **state)
{
    struct table table;

    (void)state;
    fill_items();
    assert_int_equal(table_init(&table, 0), 0);
    for (unsigned i = 0; i < 12; i++) {
        table_insert(&table, &item[i].node, (uint64_t)(i % 3) << 40 | 7);
    }
    for (unsigned i = 0; i < 12; i++) {
        int members = 0;
        uint64_t hash = (uint64_t)(i % 3) << 40 | 7;
        for (struct table_node *n = table_first(&table, hash); n; n = table_next(n)) {
            members++;
        }
        assert_int_equal(members, 4);
        assert_int_equal(count_of(&table, &item[i], hash), 1);
    }
    assert_null(table_first(&table, UINT64_C(3) << 40 | 7));
    table_fini(&table);
}

/* Removed from the front, the middle and the end of a chain, in every order of four. */
static void removal_leaves_the_rest_of_a_chain(void **state)
{
    (void)state;
    for (unsigned order = 0; order < 256; order++) {
        struct table table;
        unsigned left = 4;
        fill_items();
        assert_int_equal(table_init(&table, 0), 0);
        for (unsigned i = 0; i < 4; i++) {
            table_insert(&table, &item[i].node, i < 2 ? 3 : 3 + 16); /* one bucket */
            item[i].in = true;
        }
        for (unsigned step = 0; step < 4; step++) {
            struct item *gone = &item[order >> (2 * step) & 3];
            if (!gone->in) {
                continue;
            }
            table_remove(&table, &gone->node);
            gone->in = false;
            assert_null(gone->node.next);
            assert_int_equal(table.count, --left);
            for (unsigned i = 0; i < 4; i++) {
                assert_int_equal(count_of(&table, &item[i], i < 2 ? 3 : 3 + 16), item[i].in);
            }
        }
        table_fini(&table);
    }
}

static void random_traffic_agrees_with_a_flag(void **state)
{
    struct table table;
    uint32_t seed = 11;
    size_t live = 0;

    (void)state;
    fill_items();
    assert_int_equal(table_init(&table, 0), 0);
    for (int round = 0; round < 50000; round++) {
        seed = seed * 1664525 + 1013904223;
        struct item *one = &item[(seed >> 8) % ITEMS];
        uint64_t hash = one->key % 97 * UINT64_C(0x100000001);
        assert_int_equal(count_of(&table, one, hash), one->in);
        if (one->in) {
            table_remove(&table, &one->node);
            live--;
        } else {
            table_insert(&table, &one->node, hash);
            live++;
        }
        one->in = !one->in;
        assert_int_equal(table.count, live);
    }
    table_fini(&table);
}

static void without_memory_it_works_with_longer_chains(void **state)
{
    struct table table;

    (void)state;
    fill_items();
    memory_is_out = true;
    assert_int_equal(table_init(&table, 0), -ENOMEM);
    table_fini(&table);
    memory_is_out = false;
    assert_int_equal(table_init(&table, 0), 0);
    memory_is_out = true;
    for (unsigned i = 0; i < 100; i++) {
        table_insert(&table, &item[i].node, i);
    }
    assert_int_equal(table.bucket_count, 16);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(count_of(&table, &item[i], i), 1);
    }
    memory_is_out = false;
    table_insert(&table, &item[100].node, 100);
    assert_true(table.bucket_count > 16);
    for (unsigned i = 0; i <= 100; i++) {
        assert_int_equal(count_of(&table, &item[i], i), 1);
    }
    table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_are_found_while_it_grows),
        cmocka_unit_test(expected_nodes_need_no_growth),
        cmocka_unit_test(chains_keep_hashes_apart),
        cmocka_unit_test(removal_leaves_the_rest_of_a_chain),
        cmocka_unit_test(random_traffic_agrees_with_a_flag),
        cmocka_unit_test(without_memory_it_works_with_longer_chains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
