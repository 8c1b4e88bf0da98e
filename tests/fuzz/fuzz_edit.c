/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a byte (how it is cut; HTTP/2 or not; which sides have an editor with a name), a byte that
 * says when the client is to leave, then the pieces of a conversation as in tap_fuzz.h. However it
 * is cut, the same goes on; and what goes on is what was sent, with our insertions: of HTTP/1 by
 * its bytes, of HTTP/2 by its frames and by what nghttp2's decoder reads in its header blocks.
 */
#include "core/base/assert.h"
#include "core/base/cursor.h"
#include "http/edit.h"

#include <nghttp2/nghttp2.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIDE_CAP = 1 << 20, LOG_CAP = 1 << 22, FRAME_MAX = 16 * 1024 };

#define SETTINGS "\0\0\0\4\0\0\0\0\0"
#define PREFACE  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define LINE     "Our-Field: v\r\n"
#define CLOSE    "Connection: close\r\n"

struct side {
    bool is_named;
    bool stopped;
    uint32_t values; /* given */
    size_t sent_len;
    size_t passed_len;
    uint8_t sent[SIDE_CAP];
    uint8_t passed[SIDE_CAP];
};

struct run {
    bool is_h2;
    uint8_t leaves_after; /* pieces */
    struct side sides[2];
};

static bool give_value(void *context, struct span *value)
{
    struct side *side = context;

    side->values++;
    *value = SPAN_LITERAL("v");
    return true;
}

static bool take(void *context, struct span bytes)
{
    struct side *side = context;

    ASSERT(bytes.len && !side->stopped && bytes.len <= SIDE_CAP - side->passed_len);
    memcpy(side->passed + side->passed_len, bytes.data, bytes.len);
    side->passed_len += bytes.len;
    return true;
}

static void feed(struct run *run, struct http_tap *tap, enum http_tap_side who, struct span piece,
                 size_t step)
{
    struct side *side = &run->sides[who];
    struct http_exchange done;

    for (size_t at = 0; at < piece.len && !side->stopped; at += step) {
        struct span bytes = span_sub(piece, at, step);
        memcpy(side->sent + side->sent_len, bytes.data, bytes.len);
        side->sent_len += bytes.len;
        while (http_tap_feed(tap, who, 1, &bytes, &done)) {
        }
        ASSERT(bytes.len == 0);
        side->stopped = http_tap_edit_stopped(tap, who);
    }
}

static void converse(struct run *run, struct span input, size_t step)
{
    struct http_tap *tap = http_tap_new(run->is_h2 ? SPAN_LITERAL("h2") : span_make(NULL, 0));
    struct cursor c = cursor_make(input);

    ASSERT(tap);
    for (size_t i = 0; i < 2; i++) {
        struct side *side = &run->sides[i];
        const struct http_editor editor = {side->is_named ? SPAN_LITERAL("Our-Field")
                                                          : span_make(NULL, 0),
                                           give_value, take, side};
        bool added = http_tap_edit(tap, (enum http_tap_side)i, &editor);
        ASSERT(added);
        side->stopped = false;
        side->values = 0;
        side->sent_len = side->passed_len = 0;
    }
    if (run->is_h2) {
        feed(run, tap, HTTP_TAP_CLIENT, SPAN_LITERAL(PREFACE SETTINGS), step);
        feed(run, tap, HTTP_TAP_SERVER, SPAN_LITERAL(SETTINGS), step);
    }
    for (unsigned piece = 0; cursor_left(&c); piece++) {
        uint8_t first = cursor_u8(&c);
        size_t len = (size_t)(first & 0x7f) * 4;
        if (piece == run->leaves_after) {
            http_tap_leave(tap);
        }
        feed(run, tap, first & 0x80 ? HTTP_TAP_SERVER : HTTP_TAP_CLIENT,
             cursor_take(&c, len < cursor_left(&c) ? len : cursor_left(&c)), step);
    }
    http_tap_edit_end(tap, HTTP_TAP_CLIENT);
    http_tap_edit_end(tap, HTTP_TAP_SERVER);
    http_tap_free(tap);
}

/* ---- HTTP/1: what is inserted stands before a blank line, so it never begins as that does ---- */

static bool skip(struct span *bytes, struct span text)
{
    bool is_there = span_equal(span_sub(*bytes, 0, text.len), text);

    if (is_there) {
        *bytes = span_skip(*bytes, text.len);
    }
    return is_there;
}

static void check_h1(const struct side *side, bool may_lack_end)
{
    struct span sent = span_make(side->sent, side->sent_len);
    struct span passed = span_make(side->passed, side->passed_len);
    uint32_t fields = 0;

    while (passed.len) {
        if (sent.len && passed.data[0] == sent.data[0]) {
            sent = span_skip(sent, 1);
            passed = span_skip(passed, 1);
            continue;
        }
        ASSERT(sent.len >= 2 && memcmp(sent.data, "\r\n", 2) == 0);
        bool has_field = skip(&passed, SPAN_LITERAL(LINE));
        bool has_close = skip(&passed, SPAN_LITERAL(CLOSE));
        ASSERT(has_field || has_close);
        ASSERT(!has_field || side->is_named);
        fields += has_field;
    }
    ASSERT(sent.len == 0 || may_lack_end);
    ASSERT(fields == side->values || (may_lack_end && fields < side->values));
}

/* ---- HTTP/2 ---- */

/* What a side says, but for our field, GOAWAY, and how header blocks are framed. */
struct log {
    size_t len;
    uint32_t fields; /* ours */
    uint32_t goaways;
    bool is_ours_last; /* nobody else can have sent our field */
    bool is_broken;    /* it could not be read to its end */
    bool is_cut; /* the last frame is not whole: of one with our field, padding may be missing */
    uint8_t bytes[LOG_CAP];
};

static void note(struct log *log, const void *data, size_t len)
{
    ASSERT(len <= LOG_CAP - log->len);
    if (len) {
        memcpy(log->bytes + log->len, data, len);
    }
    log->len += len;
}

static bool note_block(struct log *log, nghttp2_hd_inflater *inflater, struct span block)
{
    size_t begin = log->len;
    bool had_ours = false;
    int flags = 0;

    while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
        nghttp2_nv field;
        ssize_t used =
            nghttp2_hd_inflate_hd2(inflater, &field, &flags, block.data, block.len, true);
        if (used < 0 || (used == 0 && flags == 0) || log->len - begin > SIDE_CAP) {
            log->len = begin;
            return false;
        }
        block = span_skip(block, (size_t)used);
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT)) {
            continue;
        }
        ASSERT(!had_ours || !log->is_ours_last);
        had_ours = span_equal(span_make(field.name, field.namelen), SPAN_LITERAL("our-field"));
        if (had_ours) {
            log->fields++;
        } else {
            note(log, field.name, field.namelen + 1);
            note(log, field.value, field.valuelen + 1);
        }
    }
    (void)nghttp2_hd_inflate_end_headers(inflater);
    return true;
}

static struct span fragment_of(struct span payload, uint8_t type, uint8_t flags)
{
    size_t pad = 0;

    if (type != NGHTTP2_CONTINUATION && flags & NGHTTP2_FLAG_PADDED && payload.len) {
        pad = payload.data[0];
        payload = span_skip(payload, 1);
    }
    if (type == NGHTTP2_HEADERS && flags & NGHTTP2_FLAG_PRIORITY) {
        payload = span_skip(payload, 5);
    } else if (type == NGHTTP2_PUSH_PROMISE) {
        payload = span_skip(payload, 4);
    }
    return span_sub(payload, 0, pad <= payload.len ? payload.len - pad : 0);
}

static void read_log(struct log *log, struct span bytes)
{
    static uint8_t block[SIDE_CAP];
    size_t block_len = 0;
    nghttp2_hd_inflater *inflater;
    int result = nghttp2_hd_inflate_new(&inflater);

    ASSERT(result == 0);
    log->len = log->fields = log->goaways = 0;
    log->is_broken = false;
    while (bytes.len >= 9 && !log->is_broken) {
        size_t len = (size_t)bytes.data[0] << 16 | (size_t)bytes.data[1] << 8 | bytes.data[2];
        uint8_t type = bytes.data[3], flags = bytes.data[4];
        struct span payload = span_sub(bytes, 9, len);
        if (payload.len < len) {
            break;
        }
        if (type == NGHTTP2_GOAWAY) {
            log->goaways++;
        } else if (type == NGHTTP2_HEADERS || type == NGHTTP2_PUSH_PROMISE ||
                   type == NGHTTP2_CONTINUATION) {
            struct span fragment = fragment_of(payload, type, flags);
            if (fragment.len) {
                memcpy(block + block_len, fragment.data, fragment.len);
            }
            block_len += fragment.len;
            if (flags & NGHTTP2_FLAG_END_HEADERS) {
                log->is_broken = !note_block(log, inflater, span_make(block, block_len));
                block_len = 0;
            }
        } else {
            note(log, bytes.data, 9 + len);
        }
        bytes = span_skip(bytes, 9 + len);
    }
    log->is_cut = bytes.len != 0;
    nghttp2_hd_inflate_del(inflater);
}

static void check_h2(const struct side *side, size_t prelude)
{
    static struct log sent, passed;

    if (side->sent_len < prelude) {
        return;
    }
    read_log(&sent, span_make(side->sent + prelude, side->sent_len - prelude));
    passed.is_ours_last = side->is_named;
    ASSERT(side->passed_len >= prelude && memcmp(side->sent, side->passed, prelude) == 0);
    read_log(&passed, span_make(side->passed + prelude, side->passed_len - prelude));
    ASSERT(passed.len <= sent.len && memcmp(passed.bytes, sent.bytes, passed.len) == 0);
    ASSERT(passed.fields <= side->values + sent.fields);
    /* The readers here know no settings: what they cannot read, the tap perhaps can. */
    if (!side->stopped && !sent.is_broken) {
        uint32_t missing = side->values + sent.fields - passed.fields;
        ASSERT(!passed.is_broken && missing <= passed.is_cut);
        ASSERT(side->is_named || passed.len == sent.len);
        ASSERT(passed.goaways - sent.goaways <= 2);
    }
}

/* One of them may have been cut off earlier, in mid-message. */
static void compare(const struct side *whole, const struct side *cut)
{
    size_t len = whole->passed_len < cut->passed_len ? whole->passed_len : cut->passed_len;

    ASSERT(whole->stopped == cut->stopped);
    ASSERT(whole->stopped || whole->passed_len == cut->passed_len);
    ASSERT(memcmp(whole->passed, cut->passed, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run whole, cut;
    struct span input = span_skip(span_make(data, size), 2);

    if (size < 2) {
        return 0;
    }
    for (size_t i = 0; i < 2; i++) {
        struct run *run = i ? &cut : &whole;
        run->is_h2 = data[0] & 0x10;
        run->sides[HTTP_TAP_CLIENT].is_named = data[0] & 0x20;
        run->sides[HTTP_TAP_SERVER].is_named = data[0] & 0x40;
        run->leaves_after = data[1];
        converse(run, input, i ? 1 + (size_t)data[0] % 16 : SIZE_MAX / 2);
        for (size_t who = 0; who < 2; who++) {
            const struct side *side = &run->sides[who];
            if (run->is_h2) {
                check_h2(side, who == HTTP_TAP_CLIENT ? sizeof(PREFACE) - 1 : 0);
            } else if (side->sent_len < 24 || memcmp(side->sent, PREFACE, 24) != 0) {
                check_h1(side, side->stopped || side->is_named);
            }
        }
    }
    compare(&whole.sides[HTTP_TAP_CLIENT], &cut.sides[HTTP_TAP_CLIENT]);
    compare(&whole.sides[HTTP_TAP_SERVER], &cut.sides[HTTP_TAP_SERVER]);
    return 0;
}
