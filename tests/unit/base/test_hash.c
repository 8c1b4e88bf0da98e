/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"

#include "core/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static int by_value(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

static void equal_bytes_have_equal_hashes(void **state)
{
    char text[] = "xexample.com";

    (void)state;
    hash_set_seed(1);
    /* Wherever they lie. */
    assert_true(hash_bytes(SPAN_LITERAL("example.com")) ==
                hash_bytes(span_make(text + 1, sizeof(text) - 2)));
    assert_true(hash_bytes(SPAN_LITERAL("")) == hash_bytes(span_make(NULL, 0)));
    assert_true(hash_combine(7, SPAN_LITERAL("a")) == hash_combine(7, SPAN_LITERAL("a")));
    assert_true(hash_combine(7, SPAN_LITERAL("")) == hash_combine(7, span_make(NULL, 0)));
}

/* All lengths up to some hundreds, and each bit of one input: no two alike, in all and in the low
 * bits that a table uses. */
static void different_bytes_have_different_hashes(void **state)
{
    enum { LENGTHS = 300, BITS = 64 * 8 };
    static uint64_t hash[LENGTHS + BITS];
    static uint8_t zeros[LENGTHS];
    uint8_t one[64];
    size_t used[256] = {0};

    (void)state;
    hash_set_seed(UINT64_C(0x123456789abcdef));
    for (size_t len = 0; len < LENGTHS; len++) {
        hash[len] = hash_bytes(span_make(zeros, len));
    }
    for (size_t bit = 0; bit < BITS; bit++) {
        memset(one, 0, sizeof(one));
        one[bit / 8] = (uint8_t)(1 << bit % 8);
        hash[LENGTHS + bit] = hash_bytes(span_make(one, sizeof(one)));
    }
    for (size_t i = 0; i < COUNT_OF(hash); i++) {
        used[hash[i] & 255]++;
    }
    for (size_t i = 0; i < COUNT_OF(used); i++) {
        assert_true(used[i] < 20); /* about three on average */
    }
    qsort(hash, COUNT_OF(hash), sizeof(hash[0]), by_value);
    for (size_t i = 1; i < COUNT_OF(hash); i++) {
        assert_true(hash[i] != hash[i - 1]);
    }
}

static void the_seed_changes_every_hash(void **state)
{
    uint64_t first, combined;

    (void)state;
    hash_set_seed(1);
    first = hash_bytes(SPAN_LITERAL("example.com"));
    combined = hash_combine(5, SPAN_LITERAL("example.com"));
    hash_set_seed(2);
    assert_true(first != hash_bytes(SPAN_LITERAL("example.com")));
    assert_true(combined != hash_combine(5, SPAN_LITERAL("example.com")));
    hash_set_seed(1);
    assert_true(first == hash_bytes(SPAN_LITERAL("example.com")));
}

static void combining_depends_on_both_parts(void **state)
{
    uint64_t ab, ba;

    (void)state;
    hash_set_seed(3);
    ab = hash_combine(hash_bytes(SPAN_LITERAL("a")), SPAN_LITERAL("b"));
    ba = hash_combine(hash_bytes(SPAN_LITERAL("b")), SPAN_LITERAL("a"));
    assert_true(ab != ba);
    assert_true(ab != hash_bytes(SPAN_LITERAL("b")));
    assert_true(ab != hash_combine(hash_bytes(SPAN_LITERAL("a")), SPAN_LITERAL("c")));
    assert_true(ab != hash_combine(hash_bytes(SPAN_LITERAL("c")), SPAN_LITERAL("b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_bytes_have_equal_hashes),
        cmocka_unit_test(different_bytes_have_different_hashes),
        cmocka_unit_test(the_seed_changes_every_hash),
        cmocka_unit_test(combining_depends_on_both_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
