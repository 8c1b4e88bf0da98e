/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap_fuzz: a conversation of two sides, heard by a tap in pieces. The input is a row of them: a
 * byte whose top bit says which side and whose rest, times 4, says how many bytes follow. However
 * the pieces are cut, what is reported must be the same, all bytes must be read, and what is
 * counted must add up. The first request must be told with the same piece, once, be it kept or
 * dropped at once.
 */
#ifndef WEIR_TESTS_TAP_FUZZ_H
#define WEIR_TESTS_TAP_FUZZ_H

#include "core/base/assert.h"
#include "core/base/cursor.h"
#include "http/tap.h"

enum { TAP_FUZZ_KEPT_MAX = 64 };

struct tap_outcome {
    void (*check)(const struct http_exchange *done); /* what holds for this protocol alone */
    struct http_exchange done[TAP_FUZZ_KEPT_MAX];
    uint64_t count;
    uint64_t body_bytes;
    struct http_tap_stats stats;
    struct http_first_request first;
    int64_t first_ns; /* when it was told; 0: never */
    bool drops_first; /* it is dropped as soon as it is told, or else kept */
    bool idle;
};

static inline void tap_fuzz_expect_same_first(const struct http_first_request *a,
                                              const struct http_first_request *b)
{
    ASSERT(a->user_agent_len == b->user_agent_len && a->names_len == b->names_len);
    ASSERT(memcmp(a->user_agent, b->user_agent, a->user_agent_len) == 0);
    ASSERT(memcmp(a->names, b->names, a->names_len) == 0);
    ASSERT(a->has_user_agent == b->has_user_agent);
    ASSERT(a->is_user_agent_cut == b->is_user_agent_cut && a->are_names_cut == b->are_names_cut);
}

/* A list of lower-case tokens with commas between, that a fingerprint may hold as it is. */
static inline void tap_fuzz_check_first(const struct http_first_request *first)
{
    ASSERT(first->user_agent_len <= sizeof(first->user_agent));
    ASSERT(first->has_user_agent || !first->user_agent_len);
    ASSERT(!first->is_user_agent_cut || first->user_agent_len == sizeof(first->user_agent));
    ASSERT(first->names_len <= sizeof(first->names));
    for (size_t i = 0, begin = 0; i < first->names_len; i++) {
        char c = first->names[i];
        ASSERT(c > ' ' && c < 0x7f && c != ':' && !(c >= 'A' && c <= 'Z'));
        ASSERT(c != ',' || (i > begin && i + 1 < first->names_len));
        begin = c == ',' ? i + 1 : begin;
    }
}

static inline void tap_fuzz_hear_first(struct http_tap *tap, int64_t now_ns,
                                       struct tap_outcome *out)
{
    const struct http_first_request *first = http_tap_first_request(tap);

    if (out->first_ns && out->drops_first) {
        ASSERT(!first && http_tap_first_is_settled(tap));
        return;
    }
    ASSERT(http_tap_first_is_settled(tap) == (!first && http_tap_is_blind(tap)));
    if (out->first_ns) {
        ASSERT(first);
        tap_fuzz_expect_same_first(first, &out->first);
    } else if (first) {
        tap_fuzz_check_first(first);
        out->first = *first;
        out->first_ns = now_ns;
        if (out->drops_first) {
            http_tap_drop_first(tap);
        }
    }
}

static inline void tap_fuzz_keep(struct tap_outcome *out, const struct http_exchange *done)
{
    ASSERT(memchr(done->method, 0, sizeof(done->method)));
    ASSERT(memchr(done->authority, 0, sizeof(done->authority)));
    ASSERT(memchr(done->path, 0, sizeof(done->path)));
    ASSERT(memchr(done->user_agent, 0, sizeof(done->user_agent)));
    out->check(done);
    ASSERT((done->first_byte_ns != 0) == (done->status != 0));
    ASSERT(done->begin_ns <= done->end_ns && done->first_byte_ns <= done->end_ns);
    out->body_bytes += done->request_bytes + done->response_bytes;
    if (out->count < TAP_FUZZ_KEPT_MAX) {
        out->done[out->count] = *done;
    }
    out->count++;
}

static inline void tap_fuzz_feed(struct http_tap *tap, enum http_tap_side side, struct span bytes,
                                 int64_t now_ns, struct tap_outcome *out)
{
    struct http_exchange done;

    while (http_tap_feed(tap, side, now_ns, &bytes, &done)) {
        tap_fuzz_keep(out, &done);
    }
    ASSERT(bytes.len == 0);
    ASSERT(!http_tap_is_blind(tap) || !http_tap_is_idle(tap));
    tap_fuzz_hear_first(tap, now_ns, out);
}

/* Of everything so far: `tap`, which it frees, has seen what comes before `input`. */
static inline void tap_fuzz_hear(struct tap_outcome *out, struct http_tap *tap, struct span input,
                                 size_t step)
{
    struct cursor c = cursor_make(input);
    struct http_exchange done;
    int64_t now_ns = 1;

    while (cursor_left(&c)) {
        uint8_t first = cursor_u8(&c);
        enum http_tap_side side = first & 0x80 ? HTTP_TAP_SERVER : HTTP_TAP_CLIENT;
        size_t len = (size_t)(first & 0x7f) * 4;
        struct span piece = cursor_take(&c, len < cursor_left(&c) ? len : cursor_left(&c));

        for (size_t at = 0; at < piece.len; at += step) {
            tap_fuzz_feed(tap, side, span_sub(piece, at, step), now_ns, out);
        }
        now_ns++;
    }
    out->idle = http_tap_is_idle(tap);
    while (http_tap_finish(tap, now_ns, &done)) {
        ASSERT(!out->idle);
        tap_fuzz_keep(out, &done);
    }
    http_tap_read_stats(tap, &out->stats);
    ASSERT(out->stats.exchanges == out->count);
    ASSERT((out->first_ns != 0) == (out->stats.exchanges + out->stats.lost != 0));
    http_tap_free(tap);
}

static inline void tap_fuzz_expect_same(const struct http_exchange *a,
                                        const struct http_exchange *b)
{
    ASSERT(strcmp(a->method, b->method) == 0 && strcmp(a->authority, b->authority) == 0);
    ASSERT(strcmp(a->path, b->path) == 0 && strcmp(a->user_agent, b->user_agent) == 0);
    ASSERT(a->status == b->status && a->upgraded == b->upgraded);
    ASSERT(a->http_major == b->http_major && a->http_minor == b->http_minor);
    ASSERT(a->request_bytes == b->request_bytes && a->response_bytes == b->response_bytes);
    ASSERT(a->begin_ns == b->begin_ns && a->first_byte_ns == b->first_byte_ns);
    ASSERT(a->end_ns == b->end_ns);
}

/* The same conversation, whole and in small pieces, must be told alike. */
static inline void tap_fuzz_compare(const struct tap_outcome *whole, const struct tap_outcome *cut)
{
    ASSERT(whole->count == cut->count && whole->body_bytes == cut->body_bytes);
    ASSERT(whole->stats.lost == cut->stats.lost && whole->idle == cut->idle);
    ASSERT(!whole->stats.blind == !cut->stats.blind);
    ASSERT(whole->first_ns == cut->first_ns);
    if (whole->first_ns) {
        tap_fuzz_expect_same_first(&whole->first, &cut->first);
    }
    for (size_t i = 0; i < whole->count && i < TAP_FUZZ_KEPT_MAX; i++) {
        tap_fuzz_expect_same(&whole->done[i], &cut->done[i]);
    }
}

#endif
