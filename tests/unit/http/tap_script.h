/* SPDX-License-Identifier: Apache-2.0 */
/* tap_script: conversations for a tap to hear, in cuts of any size, and what it must say of them.
 */
#ifndef WEIR_TEST_TAP_SCRIPT_H
#define WEIR_TEST_TAP_SCRIPT_H

#include "core/base/assert.h"
#include "http/tap.h"
#include "tests/unit/http/tap_heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { DONE_MAX = 64 };

#define C HTTP_TAP_CLIENT
#define S HTTP_TAP_SERVER

/* A conversation: who sends what, in order. Time is the number of the line, times 1000. */
struct line {
    enum http_tap_side side;
    struct span bytes;
};

#define LINE(side, text)                                                                           \
    {                                                                                              \
        side, SPAN_LITERAL(text)                                                                   \
    }

struct heard {
    struct http_exchange done[DONE_MAX];
    size_t count;    /* by feeding */
    size_t finished; /* of them, by finishing */
    struct http_first_request first;
    int64_t first_ns; /* when it was told; 0: never */
    struct http_tap_stats stats;
    bool idle; /* before the end, as is the next one */
    bool reusable;
};

static void feed_piece(struct http_tap *tap, enum http_tap_side side, struct span piece,
                       int64_t now_ns, struct heard *heard)
{
    uint8_t *copy = malloc(piece.len ? piece.len : 1);
    struct span bytes = span_make(copy, piece.len);

    assert_non_null(copy);
    if (piece.len) {
        memcpy(copy, piece.data, piece.len);
    }
    for (;;) {
        size_t before = bytes.len;
        assert_true(heard->count < DONE_MAX);
        if (!http_tap_feed(tap, side, now_ns, &bytes, &heard->done[heard->count])) {
            break;
        }
        heard->count++;
        assert_true(bytes.len < before);
        assert_ptr_equal(bytes.data + bytes.len, copy + piece.len);
    }
    assert_int_equal(bytes.len, 0);
    free(copy);
}

/* The first request comes once, and stays as it is. */
static void hear_first(struct http_tap *tap, int64_t now_ns, struct heard *heard)
{
    const struct http_first_request *first = http_tap_first_request(tap);

    assert_int_equal(http_tap_first_is_settled(tap), !first && http_tap_is_blind(tap));
    assert_true(first || !heard->first_ns);
    if (first && !heard->first_ns) {
        heard->first = *first;
        heard->first_ns = now_ns;
    } else if (first) {
        assert_memory_equal(first, &heard->first, sizeof(*first));
    }
}

static inline void hear(struct heard *heard, const char *alpn, const struct line *lines,
                        size_t count, size_t step)
{
    struct http_tap *tap = http_tap_new(span_from_string(alpn));

    assert_non_null(tap);
    memset(heard, 0xee, sizeof(*heard));
    heard->count = heard->finished = 0;
    heard->first_ns = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < lines[i].bytes.len; at += step) {
            feed_piece(tap, lines[i].side, span_sub(lines[i].bytes, at, step),
                       (int64_t)(i + 1) * 1000, heard);
            hear_first(tap, (int64_t)(i + 1) * 1000, heard);
        }
    }
    heard->idle = http_tap_is_idle(tap);
    heard->reusable = http_tap_is_reusable(tap);
    while (heard->count + heard->finished < DONE_MAX &&
           http_tap_finish(tap, (int64_t)(count + 1) * 1000,
                           &heard->done[heard->count + heard->finished])) {
        heard->finished++;
    }
    http_tap_read_stats(tap, &heard->stats);
    assert_int_equal(heard->stats.exchanges, heard->count + heard->finished);
    assert_int_equal(http_tap_is_blind(tap), heard->stats.blind != NULL);
    http_tap_free(tap);
}

static const size_t steps[] = {1, 2, 3, 7, 1000, SIZE_MAX / 2};

/* Runs the body with `heard` for each size of cuts. */
#define FOR_EACH_STEP(heard, alpn, lines)                                                          \
    for (size_t step_index = 0;                                                                    \
         step_index < COUNT_OF(steps) &&                                                           \
         (hear(&(heard), alpn, lines, COUNT_OF(lines), steps[step_index]), true);                  \
         step_index++)

static inline void expect_times(const struct http_exchange *done, int64_t begin, int64_t first_byte,
                                int64_t end)
{
    assert_int_equal(done->begin_ns, begin);
    assert_int_equal(done->first_byte_ns, first_byte);
    assert_int_equal(done->end_ns, end);
}

static inline void expect_blind(const struct heard *heard, const char *words)
{
    assert_non_null(heard->stats.blind);
    if (!strstr(heard->stats.blind, words)) {
        fail_msg("blind because \"%s\"; expected: %s", heard->stats.blind, words);
    }
    assert_false(heard->idle);
}

/*
 * The whole conversation with one allocation that fails. All bytes are read all the same, and
 * nothing is left behind. False when that allocation was never asked for: all was followed.
 */
static inline bool hear_failing(const char *alpn, const struct line *lines, size_t count,
                                size_t fails_at)
{
    size_t blocks = heap_blocks;
    struct http_exchange done;
    struct http_tap_stats stats = {.blind = NULL};
    struct http_tap *tap;
    bool told = false;
    bool failed;

    heap_asked = 0;
    heap_fails_at = fails_at;
    tap = http_tap_new(span_from_string(alpn));
    for (size_t i = 0; tap && i < count; i++) {
        struct span bytes = lines[i].bytes;
        while (http_tap_feed(tap, lines[i].side, 1, &bytes, &done)) {
        }
        assert_int_equal(bytes.len, 0);
    }
    if (tap) {
        http_tap_read_stats(tap, &stats);
        told = http_tap_first_request(tap);
        assert_int_equal(told, !http_tap_first_is_settled(tap));
    }
    failed = heap_asked >= fails_at;
    assert_int_equal(failed, !tap || stats.blind || stats.lost || !told);
    http_tap_free(tap);
    heap_fails_at = 0;
    assert_int_equal(heap_blocks, blocks);
    return failed;
}

#endif
