/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a byte that chooses the cuts, then pieces of a conversation: a byte whose top bit says
 * which side and whose rest, times 4, says how many bytes follow. However the pieces are cut, what
 * is reported must be the same, all bytes must be read, and what is counted must add up.
 */
#include "core/base/assert.h"
#include "core/base/cursor.h"
#include "http/tap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEPT_MAX = 64 };

struct outcome {
    struct http_exchange done[KEPT_MAX];
    uint64_t count;
    uint64_t body_bytes;
    struct http_tap_stats stats;
    bool idle;
};

static void keep(struct outcome *out, const struct http_exchange *done)
{
    ASSERT(memchr(done->method, 0, sizeof(done->method)));
    ASSERT(memchr(done->authority, 0, sizeof(done->authority)));
    ASSERT(memchr(done->path, 0, sizeof(done->path)));
    ASSERT(memchr(done->user_agent, 0, sizeof(done->user_agent)));
    ASSERT((done->status >= 200 && done->status <= 599) || done->status == 0 ||
           (done->status == 101 && done->upgraded));
    ASSERT((done->first_byte_ns != 0) == (done->status != 0));
    ASSERT(done->begin_ns <= done->end_ns && done->first_byte_ns <= done->end_ns);
    out->body_bytes += done->request_bytes + done->response_bytes;
    if (out->count < KEPT_MAX) {
        out->done[out->count] = *done;
    }
    out->count++;
}

static void feed(struct http_tap *tap, enum http_tap_side side, struct span bytes, int64_t now_ns,
                 struct outcome *out)
{
    struct http_exchange done;

    while (http_tap_feed(tap, side, now_ns, &bytes, &done)) {
        keep(out, &done);
    }
    ASSERT(bytes.len == 0);
    ASSERT(!http_tap_is_blind(tap) || !http_tap_is_idle(tap));
}

static void hear(struct outcome *out, struct span input, size_t step)
{
    struct cursor c = cursor_make(input);
    struct http_tap *tap = http_tap_new(span_make(NULL, 0));
    struct http_exchange done;
    int64_t now_ns = 1;

    ASSERT(tap);
    out->count = out->body_bytes = 0;
    while (cursor_left(&c)) {
        uint8_t first = cursor_u8(&c);
        enum http_tap_side side = first & 0x80 ? HTTP_TAP_SERVER : HTTP_TAP_CLIENT;
        size_t len = (size_t)(first & 0x7f) * 4;
        struct span piece = cursor_take(&c, len < cursor_left(&c) ? len : cursor_left(&c));

        for (size_t at = 0; at < piece.len; at += step) {
            feed(tap, side, span_sub(piece, at, step), now_ns, out);
        }
        now_ns++;
    }
    out->idle = http_tap_is_idle(tap);
    while (http_tap_finish(tap, now_ns, &done)) {
        ASSERT(!out->idle);
        keep(out, &done);
    }
    http_tap_read_stats(tap, &out->stats);
    ASSERT(out->stats.exchanges == out->count);
    http_tap_free(tap);
}

static void expect_same(const struct http_exchange *a, const struct http_exchange *b)
{
    ASSERT(strcmp(a->method, b->method) == 0 && strcmp(a->authority, b->authority) == 0);
    ASSERT(strcmp(a->path, b->path) == 0 && strcmp(a->user_agent, b->user_agent) == 0);
    ASSERT(a->status == b->status && a->upgraded == b->upgraded);
    ASSERT(a->http_major == b->http_major && a->http_minor == b->http_minor);
    ASSERT(a->request_bytes == b->request_bytes && a->response_bytes == b->response_bytes);
    ASSERT(a->begin_ns == b->begin_ns && a->first_byte_ns == b->first_byte_ns);
    ASSERT(a->end_ns == b->end_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole;
    static struct outcome cut;
    struct span input = span_skip(span_make(data, size), 1);

    if (size == 0) {
        return 0;
    }
    hear(&whole, input, SIZE_MAX / 2);
    hear(&cut, input, 1 + data[0] % 16);
    ASSERT(whole.body_bytes <= size);
    ASSERT(whole.count == cut.count && whole.body_bytes == cut.body_bytes);
    ASSERT(whole.stats.lost == cut.stats.lost && whole.idle == cut.idle);
    ASSERT(!whole.stats.blind == !cut.stats.blind);
    for (size_t i = 0; i < whole.count && i < KEPT_MAX; i++) {
        expect_same(&whole.done[i], &cut.done[i]);
    }
    return 0;
}
