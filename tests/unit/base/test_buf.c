/* SPDX-License-Identifier: Apache-2.0 */
/* The file of buf is part of this program, so that its memory can run out. */
#include <stdlib.h>

static int calls_until_failure = -1; /* negative: memory is there */

static void *scarce_malloc(size_t size)
{
    if (calls_until_failure == 0) {
        return NULL;
    }
    calls_until_failure -= calls_until_failure > 0;
    return malloc(size);
}

#define malloc scarce_malloc
#include "core/base/buf.c"
#undef malloc

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

static const uint32_t class_cap[] = {BUF_SMALL_CAP, BUF_RECORD_CAP, BUF_HEAD_CAP, BUF_HELLO_CAP};

/* The smallest class that holds what was asked for, at and around each border. */
static void test_classes(void **state)
{
    struct buf_cache cache;

    (void)state;
    buf_cache_init(&cache);
    for (size_t i = 0; i < COUNT_OF(class_cap); i++) {
        size_t least = i ? class_cap[i - 1] + 1 : 0;
        const size_t asked[] = {least, class_cap[i] - 1, class_cap[i]};
        for (size_t j = 0; j < COUNT_OF(asked); j++) {
            struct buf *b = buf_new(&cache, asked[j]);
            assert_int_equal(b->cap, class_cap[i]);
            assert_int_equal(buf_room(b), class_cap[i]);
            assert_int_equal(buf_view(b).len, 0);
            assert_null(b->next);
            memset(b->data, 0xee, b->cap);
            b->start = b->end = 9; /* what is used again is empty again */
            buf_put(&cache, b);
        }
    }
    assert_int_equal(cache.heap_allocs, COUNT_OF(class_cap));
    assert_int_equal(cache.live_count, 0);
    buf_cache_fini(&cache);
}

/* A burst goes back to the heap but for the bound of each free list. */
static void test_free_lists_are_bounded(void **state)
{
    static const uint32_t keep[] = {256, 64, 4, 2};
    static struct buf *burst[300];
    struct buf_cache cache;

    (void)state;
    buf_cache_init(&cache);
    for (size_t i = 0; i < COUNT_OF(class_cap); i++) {
        for (size_t j = 0; j < keep[i] + 3; j++) {
            burst[j] = buf_new(&cache, class_cap[i]);
        }
        assert_int_equal(cache.live_count, keep[i] + 3);
        for (size_t j = 0; j < keep[i] + 3; j++) {
            buf_put(&cache, burst[j]);
        }
        assert_int_equal(cache.free_count[i], keep[i]);
        assert_int_equal(cache.live_count, 0);
    }
    buf_cache_fini(&cache);
}

static void test_append_fills_the_tail_first(void **state)
{
    struct buf_cache cache;
    struct buf_queue q = {NULL, NULL, 0};

    (void)state;
    buf_cache_init(&cache);
    append_pattern(&q, &cache, 0, 0);
    assert_null(q.first);
    append_pattern(&q, &cache, 0, 100);
    append_pattern(&q, &cache, 100, BUF_SMALL_CAP - 100); /* to the last byte */
    assert_ptr_equal(q.first, q.last);
    assert_int_equal(buf_room(q.last), 0);
    append_pattern(&q, &cache, BUF_SMALL_CAP, 1);
    assert_ptr_equal(q.first->next, q.last);
    append_pattern(&q, &cache, BUF_SMALL_CAP + 1, 3000); /* the tail and one more */
    assert_int_equal(cache.live_count, 3);
    assert_int_equal(q.len, BUF_SMALL_CAP + 3001);
    check_pattern(buf_queue_gather(&q, &cache, q.len), 0);
    buf_queue_clear(&q, &cache);
    assert_null(q.first);
    assert_null(q.last);
    assert_int_equal(q.len, 0);
    buf_cache_fini(&cache);
}

static struct buf *returned[8];
static size_t returned_count;

static void take_back(void *ring, struct buf *b)
{
    assert_ptr_equal(ring, returned);
    returned[returned_count++] = b;
}

/* Ring bufs: nothing is added behind their bytes, and they go back to their ring. */
static void test_ring_bufs(void **state)
{
    uint8_t storage[2][64];
    struct buf ring_buf[2];
    struct buf_cache cache;
    struct buf_queue q = {NULL, NULL, 0};

    (void)state;
    buf_cache_init(&cache);
    cache.ring_return = take_back;
    cache.ring = returned;
    returned_count = 0;
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 20; j++) {
            storage[i][j] = pattern(20 * i + j);
        }
        ring_buf[i] =
            (struct buf){.data = storage[i], .end = 20, .cap = 64, .size_class = BUF_CLASS_RING};
        buf_queue_push(&q, &ring_buf[i]);
    }
    append_pattern(&q, &cache, 40, 10);
    assert_int_equal(ring_buf[1].end, 20);
    assert_int_equal(q.len, 50);
    /* Room or not, a ring buf is not gathered into. */
    struct span view = buf_queue_gather(&q, &cache, 45);
    assert_true(view.len >= 45);
    check_pattern(view, 0);
    assert_int_equal(ring_buf[0].end, 20);
    assert_int_equal(returned_count, 2);
    assert_ptr_equal(returned[0], &ring_buf[0]);
    assert_ptr_equal(returned[1], &ring_buf[1]);
    assert_int_equal(q.len, 50);
    buf_queue_clear(&q, &cache);
    assert_int_equal(cache.live_count, 0);
    buf_cache_fini(&cache);
}

/* Gathers of each class's size and one more, out of pieces that begin in the middle of a buf. */
static void test_gather_at_class_borders(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(class_cap); i++) {
        for (int more = -1; more <= 1; more++) {
            size_t want = class_cap[i] + (size_t)(ptrdiff_t)more;
            struct buf_cache cache;
            struct buf_queue q = {NULL, NULL, 0};
            if (want > BUF_CAP_MAX) {
                continue;
            }
            buf_cache_init(&cache);
            append_pattern(&q, &cache, 0, 60000);
            append_pattern(&q, &cache, 60000, 60000);
            buf_queue_consume(&q, &cache, 777);
            struct span view = buf_queue_gather(&q, &cache, want);
            assert_true(view.len >= want);
            check_pattern(view, 777);
            assert_int_equal(q.len, 120000 - 777);
            /* And behind it everything is still there. */
            size_t first = view.len;
            buf_queue_consume(&q, &cache, first);
            for (size_t at = 777 + first; q.len > 0;) {
                view = buf_queue_gather(&q, &cache, 1);
                check_pattern(view, at);
                at += view.len;
                buf_queue_consume(&q, &cache, view.len);
            }
            assert_null(q.first);
            assert_int_equal(cache.live_count, 0);
            buf_cache_fini(&cache);
        }
    }
}

static void test_gather_more_than_there_is(void **state)
{
    struct buf_cache cache;
    struct buf_queue q = {NULL, NULL, 0};

    (void)state;
    buf_cache_init(&cache);
    assert_null(buf_queue_gather(&q, &cache, 10).data);
    append_pattern(&q, &cache, 0, 5);
    assert_int_equal(buf_queue_gather(&q, &cache, 10).len, 5);
    append_pattern(&q, &cache, 5, 3000);
    struct span view = buf_queue_gather(&q, &cache, BUF_CAP_MAX);
    assert_int_equal(view.len, 3005);
    check_pattern(view, 0);
    assert_ptr_equal(q.first, q.last);
    append_pattern(&q, &cache, 3005, 10); /* the tail is where the queue thinks it is */
    view = buf_queue_gather(&q, &cache, 3015);
    assert_int_equal(view.len, 3015);
    check_pattern(view, 0);
    buf_queue_clear(&q, &cache);
    buf_cache_fini(&cache);
}

static void test_move_and_pop(void **state)
{
    struct buf_cache cache;
    struct buf_queue a = {NULL, NULL, 0}, b = {NULL, NULL, 0};

    (void)state;
    buf_cache_init(&cache);
    buf_queue_move(&a, &b);
    assert_null(a.first);
    append_pattern(&b, &cache, 0, 100);
    buf_queue_move(&a, &b); /* into an empty one */
    assert_int_equal(a.len, 100);
    assert_null(b.first);
    assert_null(b.last);
    assert_int_equal(b.len, 0);
    buf_queue_move(&a, &b); /* nothing */
    assert_int_equal(a.len, 100);
    append_pattern(&b, &cache, 100, 50);
    buf_queue_move(&a, &b); /* behind what is there */
    assert_int_equal(a.len, 150);
    append_pattern(&a, &cache, 150, 10);
    struct buf *first = buf_queue_pop(&a);
    assert_null(first->next);
    check_pattern(buf_view(first), 0);
    assert_int_equal(a.len, 60);
    struct buf *second = buf_queue_pop(&a);
    assert_int_equal(buf_view(second).len, 60);
    check_pattern(buf_view(second), 100);
    assert_null(buf_queue_pop(&a));
    assert_null(a.last);
    buf_put(&cache, first);
    buf_put(&cache, second);
    buf_cache_fini(&cache);
}

/* Memory runs out at each allocation in turn: all of it is appended, or nothing. */
static void test_append_without_memory(void **state)
{
    (void)state;
    for (int calls = 0; calls < 5; calls++) {
        static uint8_t bytes[60000];
        struct buf_cache cache;
        struct buf_queue q = {NULL, NULL, 0};
        buf_cache_init(&cache);
        append_pattern(&q, &cache, 0, 10);
        for (size_t i = 0; i < sizeof(bytes); i++) {
            bytes[i] = pattern(10 + i);
        }
        calls_until_failure = calls;
        bool done = buf_queue_append(&q, &cache, span_make(bytes, sizeof(bytes)));
        calls_until_failure = -1;
        assert_int_equal(done, calls >= 4); /* 60000 bytes: the tail, and four blocks */
        assert_int_equal(q.len, done ? 60010 : 10);
        assert_int_equal(buf_view(q.first).len, done ? BUF_SMALL_CAP : 10);
        check_pattern(buf_queue_gather(&q, &cache, q.len), 0);
        buf_queue_clear(&q, &cache);
        assert_int_equal(cache.live_count, 0);
        buf_cache_fini(&cache);
    }
}

static void test_gather_without_memory(void **state)
{
    struct buf_cache cache;
    struct buf_queue q = {NULL, NULL, 0};

    (void)state;
    buf_cache_init(&cache);
    append_pattern(&q, &cache, 0, BUF_SMALL_CAP);
    append_pattern(&q, &cache, BUF_SMALL_CAP, BUF_SMALL_CAP);
    calls_until_failure = 0;
    struct span view = buf_queue_gather(&q, &cache, 3000);
    assert_null(buf_new(&cache, 100));
    calls_until_failure = -1;
    assert_int_equal(view.len, 0);
    assert_int_equal(q.len, 2 * BUF_SMALL_CAP); /* nothing is lost */
    view = buf_queue_gather(&q, &cache, 3000);
    assert_int_equal(view.len, 3000);
    check_pattern(view, 0);
    assert_int_equal(cache.live_count, 2);
    buf_queue_clear(&q, &cache);
    buf_cache_fini(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_keeps_bytes),
        cmocka_unit_test(test_gather_one_byte_bufs),
        cmocka_unit_test(test_steady_traffic_does_not_allocate),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_free_lists_are_bounded),
        cmocka_unit_test(test_append_fills_the_tail_first),
        cmocka_unit_test(test_ring_bufs),
        cmocka_unit_test(test_gather_at_class_borders),
        cmocka_unit_test(test_gather_more_than_there_is),
        cmocka_unit_test(test_move_and_pop),
        cmocka_unit_test(test_append_without_memory),
        cmocka_unit_test(test_gather_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
