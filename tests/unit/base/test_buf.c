/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 31 + (at >> 8));
}

static void check_pattern(struct span bytes, size_t from)
{
    for (size_t i = 0; i < bytes.len; i++) {
        assert_int_equal(bytes.data[i], pattern(from + i));
    }
}

static void append_pattern(struct buf_queue *q, struct buf_cache *cache, size_t from, size_t len)
{
    uint8_t bytes[70000];

    assert_true(len <= sizeof(bytes));
    for (size_t i = 0; i < len; i++) {
        bytes[i] = pattern(from + i);
    }
    assert_true(buf_queue_append(q, cache, span_make(bytes, len)));
}

/* Bytes come out as they went in, whatever the sizes of appends, consumes and gathers. */
static void test_queue_keeps_bytes(void **state)
{
    struct buf_cache cache;
    struct buf_queue q = {NULL, NULL, 0};
    size_t in = 0, out = 0;
    uint32_t seed = 7;

    (void)state;
    buf_cache_init(&cache);
    for (int round = 0; round < 3000; round++) {
        seed = seed * 1664525 + 1013904223;
        size_t len = (seed >> 8) % ((seed & 15) == 0 ? 40000 : 300);
        append_pattern(&q, &cache, in, len);
        in += len;
        size_t want = (seed >> 12) % 2000;
        struct span view = buf_queue_gather(&q, &cache, want);
        assert_true(view.len >= (want < q.len ? want : q.len));
        check_pattern(view, out);
        size_t drop = (seed >> 4) % (q.len + 1);
        buf_queue_consume(&q, &cache, drop);
        out += drop;
        assert_int_equal(q.len, in - out);
    }
    buf_queue_clear(&q, &cache);
    assert_int_equal(cache.live_count, 0);
    buf_cache_fini(&cache);
}

static void test_gather_one_byte_bufs(void **state)
{
    struct buf_cache cache;
    struct buf_queue q = {NULL, NULL, 0};

    (void)state;
    buf_cache_init(&cache);
    for (size_t i = 0; i < 5000; i++) {
        struct buf *b = buf_new(&cache, 1);
        b->data[0] = pattern(i);
        b->end = 1;
        buf_queue_push(&q, b);
    }
    struct span view = buf_queue_gather(&q, &cache, 5000);
    assert_int_equal(view.len, 5000);
    check_pattern(view, 0);
    assert_int_equal(cache.live_count, 1);
    buf_queue_clear(&q, &cache);
    buf_cache_fini(&cache);
}

static void test_steady_traffic_does_not_allocate(void **state)
{
    struct buf_cache cache;
    struct buf_queue q = {NULL, NULL, 0};

    (void)state;
    buf_cache_init(&cache);
    for (int round = 0; round < 1000; round++) {
        append_pattern(&q, &cache, 0, 60000);
        buf_queue_clear(&q, &cache);
    }
    assert_true(cache.heap_allocs <= 5);
    buf_cache_fini(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_keeps_bytes),
        cmocka_unit_test(test_gather_one_byte_bufs),
        cmocka_unit_test(test_steady_traffic_does_not_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
