/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 (RFC 9113): two walkers over frames, one a side, and the table of streams between them.
 * Only header blocks and settings are looked into; DATA is counted and everything else is stepped
 * over. A header block that lies whole in the bytes fed is decoded where it lies; any other is
 * gathered.
 *
 * All header blocks are decoded, whatever becomes of their streams, since each changes the dynamic
 * table for those after it. The bound of a table is what the other side announced; it is raised as
 * soon as that is seen and never lowered: an encoder says in a header block which size it really
 * uses (RFC 7541 4.2), so the size of the table follows what it says, and only a peer that is wrong
 * could use more than was announced.
 *
 * A stream is one exchange, from the client's HEADERS to the end of both directions or to
 * RST_STREAM. Promised streams (even ids) are not reported. CONNECT, also that of RFC 8441, is an
 * exchange like others whose DATA is counted; a 2xx makes it `upgraded`.
 */
#include "http/tap_private.h"

#include "core/base/cursor.h"

#include <stdlib.h>

enum { PHASE_PREFACE, PHASE_HEADER, PHASE_PREFIX, PHASE_BODY, PHASE_PAD };

enum {
    FRAME_HEADER_LEN = 9,
    SETTING_LEN = 6,
    PRIORITY_LEN = 5,
    PROMISED_ID_LEN = 4,
    TABLE_DEFAULT = 4096, /* SETTINGS_HEADER_TABLE_SIZE before it is announced */
    STREAMS_FIRST = 8,    /* room for streams at first; what is above is freed with the last one */
    TEXT_CAP = 512,
};

static const char no_memory[] = "no memory to read along";

/* What a header block says, as far as it is reported. */
struct headers {
    struct http_first_request *first; /* null: this is not the first request, or nobody asks */
    const struct tap_edit *edit;      /* null: only looked at */
    bool is_forged;                   /* it has the field that only the editor may send */
    uint16_t status;                  /* 0: none */
    struct span text[TAP_TEXT_COUNT];
    uint8_t store[TAP_TEXT_COUNT][TEXT_CAP];
};

bool tap_h2_init(struct tap_h2 *h2)
{
    *h2 = (struct tap_h2){0};
    for (size_t i = 0; i < COUNT_OF(h2->sides); i++) {
        h2->sides[i].phase = i == HTTP_TAP_CLIENT ? PHASE_PREFACE : PHASE_HEADER;
        h2->sides[i].small_want = FRAME_HEADER_LEN;
        h2->sides[i].table_max = TABLE_DEFAULT;
        if (nghttp2_hd_inflate_new(&h2->sides[i].inflater) != 0) {
            h2->sides[i].inflater = NULL;
            tap_h2_stop(h2);
            return false;
        }
    }
    return true;
}

void tap_h2_stop(struct tap_h2 *h2)
{
    for (size_t i = 0; i < COUNT_OF(h2->sides); i++) {
        if (h2->sides[i].inflater) {
            nghttp2_hd_inflate_del(h2->sides[i].inflater);
            h2->sides[i].inflater = NULL;
        }
        tap_gather_clear(&h2->sides[i].block);
    }
    if (h2->count == 0) {
        free(h2->streams);
        h2->streams = NULL;
        h2->cap = 0;
    }
}

/* The followed stream with that id, or null. */
static struct tap_stream *find_stream(const struct tap_h2 *h2, uint32_t id)
{
    for (uint32_t i = 0; i < h2->count; i++) {
        if (h2->streams[i].id == id) {
            return &h2->streams[i];
        }
    }
    return NULL;
}

static bool has_room_for_stream(struct tap_h2 *h2)
{
    uint32_t cap = h2->cap ? h2->cap * 2 : STREAMS_FIRST;
    struct tap_stream *streams;

    if (h2->count < h2->cap) {
        return true;
    }
    if (h2->count == HTTP_TAP_STREAMS_MAX) {
        return false;
    }
    cap = cap < HTTP_TAP_STREAMS_MAX ? cap : HTTP_TAP_STREAMS_MAX;
    streams = realloc(h2->streams, cap * sizeof(*streams));
    if (!streams) {
        return false;
    }
    h2->streams = streams;
    h2->cap = cap;
    return true;
}

static struct tap_open *remove_stream(struct tap_h2 *h2, struct tap_stream *stream)
{
    struct tap_open *open = stream->open;

    *stream = h2->streams[--h2->count];
    if (h2->count == 0 && h2->cap > STREAMS_FIRST) {
        free(h2->streams);
        h2->streams = NULL;
        h2->cap = 0;
    }
    return open;
}

struct tap_open *tap_h2_pop(struct tap_h2 *h2)
{
    struct tap_open *open = NULL;

    if (h2->count) {
        open = remove_stream(h2, h2->streams);
    }
    if (h2->count == 0) {
        free(h2->streams);
        h2->streams = NULL;
        h2->cap = 0;
    }
    return open;
}

bool tap_h2_is_idle(const struct tap_h2 *h2)
{
    for (size_t i = 0; i < COUNT_OF(h2->sides); i++) {
        const struct tap_h2_side *s = &h2->sides[i];
        if (s->block_stream || s->phase > PHASE_HEADER || s->small_len) {
            return false;
        }
    }
    return h2->count == 0;
}

bool tap_h2_is_between_frames(const struct tap_h2 *h2)
{
    const struct tap_h2_side *s = &h2->sides[HTTP_TAP_SERVER];

    return s->phase == PHASE_HEADER && s->small_len == 0 && !s->block_stream && s->had_settings &&
           !s->had_goaway;
}

/* ---- Header blocks ---- */

/* Keeps the first of each kind, cut to what is reported. */
static void keep_text(struct headers *headers, enum tap_text kind, struct span value)
{
    struct span *text = &headers->text[kind];

    if (!text->data) {
        text->len = value.len < tap_text_max[kind] ? value.len : tap_text_max[kind];
        text->data = headers->store[kind];
        if (text->len) {
            memcpy(headers->store[kind], value.data, text->len);
        }
    }
}

static uint16_t parse_status(struct span value)
{
    unsigned status = 0;

    for (size_t i = 0; i < value.len; i++) {
        if (value.len != 3 || value.data[i] < '0' || value.data[i] > '9') {
            return 0;
        }
        status = status * 10 + (value.data[i] - 0x30u);
    }
    return (uint16_t)status;
}

/* A missing :authority may be replaced by Host (RFC 9113 8.3.1). */
static void keep_field(struct headers *headers, struct span name, struct span value)
{
    headers->is_forged |= edit_forbids(headers->edit, name);
    if (headers->first) {
        tap_first_add(headers->first, name, value);
    }
    if (span_equal(name, SPAN_LITERAL(":method"))) {
        keep_text(headers, TAP_METHOD, value);
    } else if (span_equal(name, SPAN_LITERAL(":path"))) {
        keep_text(headers, TAP_PATH, value);
    } else if (span_equal(name, SPAN_LITERAL(":authority")) ||
               span_equal(name, SPAN_LITERAL("host"))) {
        keep_text(headers, TAP_AUTHORITY, value);
    } else if (span_equal(name, SPAN_LITERAL("user-agent"))) {
        keep_text(headers, TAP_USER_AGENT, value);
    } else if (span_equal(name, SPAN_LITERAL(":status")) && headers->status == 0) {
        headers->status = parse_status(value);
    }
}

/* Null, or why the tap cannot follow. */
static const char *decode_block(nghttp2_hd_inflater *inflater, struct span block,
                                struct headers *headers)
{
    int flags = 0;

    headers->status = 0;
    headers->is_forged = false;
    memset(headers->text, 0, sizeof(headers->text));
    while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
        nghttp2_nv field;
        ssize_t used =
            nghttp2_hd_inflate_hd2(inflater, &field, &flags, block.data, block.len, true);

        if (used == NGHTTP2_ERR_NOMEM) {
            return no_memory;
        }
        if (used < 0 || (used == 0 && flags == 0)) {
            return "a header block could not be decoded";
        }
        block = span_skip(block, (size_t)used);
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            keep_field(headers, span_make(field.name, field.namelen),
                       span_make(field.value, field.valuelen));
        }
    }
    (void)nghttp2_hd_inflate_end_headers(inflater); /* cannot fail */
    return headers->is_forged ? edit_forged(headers->edit) : NULL;
}

/* A stream opens. */
static void take_request(struct http_tap *tap, uint32_t id, const struct headers *headers,
                         int64_t now_ns)
{
    struct tap_h2 *h2 = &tap->h2;
    struct tap_open *open = NULL;

    h2->newest_id = id;
    if (has_room_for_stream(h2)) {
        open = tap_open_new(headers->text, now_ns);
    }
    if (!open) {
        tap->stats.lost++;
        return;
    }
    open->http_major = 2;
    h2->streams[h2->count++] = (struct tap_stream){id, open};
}

static void take_response(struct tap_open *open, const struct headers *headers, int64_t now_ns)
{
    bool to_connect = open->text_len[TAP_METHOD] == 7 && memcmp(open->text, "CONNECT", 7) == 0;

    if (open->status || headers->status < 200) {
        return; /* trailers; or an interim response, or none */
    }
    open->status = headers->status;
    open->first_byte_ns = now_ns;
    open->upgraded = to_connect && headers->status < 300;
}

/* A request or a final response, whatever becomes of its stream: trailers have no pseudo-header
 * fields (RFC 9113 8.1). */
static bool gets_field(const struct tap_h2_side *s, enum http_tap_side side,
                       const struct headers *headers)
{
    bool is_message =
        side == HTTP_TAP_CLIENT ? headers->text[TAP_METHOD].data != NULL : headers->status >= 200;

    return is_message && !s->block_is_promise && headers->edit && headers->edit->owner.name.len;
}

/*
 * A header block is whole; it ends at `end` in the bytes fed. Null, or why the tap cannot follow.
 * HEADERS of the client on an id above all before opens a stream; on any other they are trailers,
 * or belong to a stream that is not followed.
 */
static const char *take_block(struct http_tap *tap, enum http_tap_side side, struct span block,
                              const uint8_t *end, int64_t now_ns)
{
    struct tap_h2_side *s = &tap->h2.sides[side];
    uint32_t id = s->block_stream;
    bool opens_stream =
        side == HTTP_TAP_CLIENT && !s->block_is_promise && id % 2 && id > tap->h2.newest_id;
    struct headers headers;
    struct tap_stream *stream;
    const char *why;

    headers.edit = tap->edits[side];
    headers.first = opens_stream ? tap_first_begin(tap) : NULL;
    why = decode_block(s->inflater, block, &headers);
    if (why) {
        if (headers.first) {
            http_tap_drop_first(tap);
        }
        return why;
    }
    if (opens_stream) {
        take_request(tap, id, &headers, now_ns);
    } else if (side == HTTP_TAP_SERVER && !s->block_is_promise) {
        stream = find_stream(&tap->h2, id);
        if (stream) {
            take_response(stream->open, &headers, now_ns);
        }
    }
    return gets_field(s, side, &headers) ? edit_h2_block(tap->edits[side], end) : NULL;
}

static bool is_block_frame(const struct tap_h2_side *s)
{
    return s->type == NGHTTP2_HEADERS || s->type == NGHTTP2_PUSH_PROMISE ||
           s->type == NGHTTP2_CONTINUATION;
}

static bool has_flag(const struct tap_h2_side *s, uint8_t flag)
{
    return (s->flags & flag) != 0;
}

bool tap_h2_holds(const struct tap_h2 *h2, enum http_tap_side side)
{
    const struct tap_h2_side *s = &h2->sides[side];

    if (s->phase == PHASE_HEADER) {
        return s->small_len != 0;
    }
    return (s->phase == PHASE_PREFIX || s->phase == PHASE_BODY) && is_block_frame(s) &&
           has_flag(s, NGHTTP2_FLAG_END_HEADERS);
}

/* A part of a header block follows. */
static const char *begin_block_part(struct tap_h2_side *s)
{
    if (s->type != NGHTTP2_CONTINUATION) {
        s->block_stream = s->stream_id;
        s->block_frames = 0;
        s->block_is_promise = s->type == NGHTTP2_PUSH_PROMISE;
        s->block_ends_stream = s->type == NGHTTP2_HEADERS && has_flag(s, NGHTTP2_FLAG_END_STREAM);
    }
    if (++s->block_frames > TAP_BLOCK_FRAMES_MAX) {
        return "a header block comes in more frames than are followed";
    }
    return s->body_left > TAP_GATHER_MAX - s->block.len
               ? "a header block is longer than what is followed"
               : NULL;
}

/* Moves over a part of a header block. */
static const char *read_block_part(struct http_tap *tap, enum http_tap_side side, int64_t now_ns,
                                   struct span *bytes)
{
    struct tap_h2_side *s = &tap->h2.sides[side];
    bool is_last = has_flag(s, NGHTTP2_FLAG_END_HEADERS);
    const char *why;

    if (is_last && s->block.len == 0 && bytes->len >= s->body_left) {
        struct span block = span_sub(*bytes, 0, s->body_left);
        *bytes = span_skip(*bytes, s->body_left);
        s->body_left = 0;
        return take_block(tap, side, block, bytes->data, now_ns);
    }
    while (bytes->len && s->body_left) {
        size_t before = bytes->len;
        if (!tap_gather_add(&s->block, bytes, s->body_left)) {
            return no_memory;
        }
        s->body_left -= (uint32_t)(before - bytes->len);
    }
    if (s->body_left || !is_last) {
        return NULL;
    }
    why = take_block(tap, side, span_make(s->block.data, s->block.len), bytes->data, now_ns);
    tap_gather_clear(&s->block);
    return why;
}

/* ---- Frames ---- */

static void await_header(struct tap_h2_side *s)
{
    s->phase = PHASE_HEADER;
    s->small_len = 0;
    s->small_want = FRAME_HEADER_LEN;
}

/* What stands in a frame before its body: lengths, priorities, ids; of SETTINGS, one setting. */
static uint8_t prefix_len(const struct tap_h2_side *s)
{
    uint8_t len = has_flag(s, NGHTTP2_FLAG_PADDED);

    switch (s->type) {
    case NGHTTP2_DATA:
        return len;
    case NGHTTP2_HEADERS:
        return (uint8_t)(len + (has_flag(s, NGHTTP2_FLAG_PRIORITY) ? PRIORITY_LEN : 0));
    case NGHTTP2_PUSH_PROMISE:
        return (uint8_t)(len + PROMISED_ID_LEN);
    case NGHTTP2_SETTINGS:
        return s->body_left ? SETTING_LEN : 0;
    default:
        return 0;
    }
}

/* May this frame come here, with this length? Null, or why not. */
static const char *check_frame(const struct tap_h2_side *s)
{
    bool continues = s->type == NGHTTP2_CONTINUATION;
    bool on_stream = is_block_frame(s) || s->type == NGHTTP2_DATA || s->type == NGHTTP2_RST_STREAM;

    if (!s->had_settings && (s->type != NGHTTP2_SETTINGS || has_flag(s, NGHTTP2_FLAG_ACK))) {
        return "the first frame is not SETTINGS";
    }
    if (s->block_stream ? !continues || s->stream_id != s->block_stream : continues) {
        return "a header block is interrupted, or continues where there is none";
    }
    if (on_stream && s->stream_id == 0) {
        return "a frame of a stream names none";
    }
    if ((s->type == NGHTTP2_SETTINGS && s->body_left % SETTING_LEN) ||
        (s->type == NGHTTP2_SETTINGS && has_flag(s, NGHTTP2_FLAG_ACK) && s->body_left) ||
        (s->type == NGHTTP2_RST_STREAM && s->body_left != 4) || prefix_len(s) > s->body_left) {
        return "a frame has a length that it cannot have";
    }
    return NULL;
}

/* The prefix is over, or there is none. */
static const char *begin_body(struct tap_h2_side *s)
{
    s->phase = PHASE_BODY;
    return is_block_frame(s) ? begin_block_part(s) : NULL;
}

static const char *take_frame_header(struct tap_h2_side *s)
{
    struct cursor c = cursor_make(span_make(s->small, sizeof(s->small)));
    const char *why;

    s->body_left = cursor_u24(&c);
    s->type = cursor_u8(&c);
    s->flags = cursor_u8(&c);
    s->stream_id = cursor_u32(&c) & INT32_MAX;
    s->pad_left = 0;
    s->small_len = 0;
    why = check_frame(s);
    if (why) {
        return why;
    }
    s->had_settings = true;
    s->had_goaway |= s->type == NGHTTP2_GOAWAY;
    s->small_want = prefix_len(s);
    if (s->small_want) {
        s->phase = PHASE_PREFIX;
        return NULL;
    }
    return begin_body(s);
}

/* One setting of `side`: the size of the table that the other side may use. */
static const char *take_setting(struct tap_h2 *h2, enum http_tap_side side)
{
    struct tap_h2_side *s = &h2->sides[side];
    struct tap_h2_side *other = &h2->sides[!side];
    struct cursor c = cursor_make(span_make(s->small, SETTING_LEN));
    uint16_t id = cursor_u16(&c);
    uint32_t value = cursor_u32(&c);

    s->small_len = 0;
    if (s->body_left == 0) {
        s->phase = PHASE_BODY;
    }
    value = value < TAP_HPACK_TABLE_MAX ? value : TAP_HPACK_TABLE_MAX;
    if (id != NGHTTP2_SETTINGS_HEADER_TABLE_SIZE || value <= other->table_max) {
        return NULL;
    }
    other->table_max = value;
    return nghttp2_hd_inflate_change_table_size(other->inflater, value) == 0 ? NULL : no_memory;
}

static const char *take_prefix(struct tap_h2 *h2, enum http_tap_side side)
{
    struct tap_h2_side *s = &h2->sides[side];

    s->body_left -= s->small_want;
    if (s->type == NGHTTP2_SETTINGS) {
        return take_setting(h2, side);
    }
    if (has_flag(s, NGHTTP2_FLAG_PADDED)) {
        s->pad_left = s->small[0];
        if (s->pad_left > s->body_left) {
            return "a frame is padded beyond its length";
        }
        s->body_left -= s->pad_left;
    }
    return begin_body(s);
}

static void count_data(struct tap_h2 *h2, enum http_tap_side side, size_t len)
{
    struct tap_stream *stream = find_stream(h2, h2->sides[side].stream_id);

    if (stream && side == HTTP_TAP_CLIENT) {
        stream->open->request_bytes += len;
    } else if (stream) {
        stream->open->response_bytes += len;
    }
}

static const char *read_body(struct http_tap *tap, enum http_tap_side side, int64_t now_ns,
                             struct span *bytes)
{
    struct tap_h2_side *s = &tap->h2.sides[side];
    const char *why = NULL;

    if (is_block_frame(s)) {
        why = read_block_part(tap, side, now_ns, bytes);
    } else {
        size_t len = bytes->len < s->body_left ? bytes->len : s->body_left;
        if (s->type == NGHTTP2_DATA && len) {
            count_data(&tap->h2, side, len);
        }
        s->body_left -= (uint32_t)len;
        *bytes = span_skip(*bytes, len);
    }
    if (s->body_left == 0) {
        s->phase = PHASE_PAD;
    }
    return why;
}

/* The exchange that ended with this frame, taken out of the table, or null. */
static struct tap_open *end_frame(struct tap_h2 *h2, enum http_tap_side side)
{
    struct tap_h2_side *s = &h2->sides[side];
    bool resets = s->type == NGHTTP2_RST_STREAM;
    bool ends = s->type == NGHTTP2_DATA && has_flag(s, NGHTTP2_FLAG_END_STREAM);
    struct tap_stream *stream;

    await_header(s);
    if (is_block_frame(s) && has_flag(s, NGHTTP2_FLAG_END_HEADERS)) {
        ends = s->block_ends_stream;
        s->block_stream = 0;
    }
    stream = ends || resets ? find_stream(h2, s->stream_id) : NULL;
    if (!stream) {
        return NULL;
    }
    stream->open->request_over |= side == HTTP_TAP_CLIENT;
    stream->open->response_over |= side == HTTP_TAP_SERVER;
    return resets || (stream->open->request_over && stream->open->response_over)
               ? remove_stream(h2, stream)
               : NULL;
}

static const char *read_preface(struct tap_h2_side *s, struct span *bytes)
{
    while (bytes->len && s->small_len < tap_h2_preface.len) {
        if (bytes->data[0] != tap_h2_preface.data[s->small_len]) {
            return "the client does not start with the preface of HTTP/2";
        }
        s->small_len++;
        *bytes = span_skip(*bytes, 1);
    }
    if (s->small_len == tap_h2_preface.len) {
        await_header(s);
    }
    return NULL;
}

/* Fills `small`; true when all that is wanted is there. */
static bool read_small(struct tap_h2_side *s, struct span *bytes)
{
    size_t len = (size_t)(s->small_want - s->small_len);

    len = len < bytes->len ? len : bytes->len;
    if (len) {
        memcpy(s->small + s->small_len, bytes->data, len);
    }
    s->small_len = (uint8_t)(s->small_len + len);
    *bytes = span_skip(*bytes, len);
    return s->small_len == s->small_want;
}

/* One step; *stuck when there are not enough bytes for it. */
static const char *read_part(struct http_tap *tap, enum http_tap_side side, int64_t now_ns,
                             struct span *bytes, bool *stuck)
{
    struct tap_h2_side *s = &tap->h2.sides[side];

    *stuck = bytes->len == 0;
    switch (s->phase) {
    case PHASE_PREFACE:
        return read_preface(s, bytes);
    case PHASE_HEADER:
        if (tap->edits[side] && s->small_len == 0 && bytes->len) {
            edit_mark(tap->edits[side], bytes->data);
        }
        return read_small(s, bytes) ? take_frame_header(s) : NULL;
    case PHASE_PREFIX:
        return read_small(s, bytes) ? take_prefix(&tap->h2, side) : NULL;
    case PHASE_BODY:
        *stuck = bytes->len == 0 && s->body_left;
        return read_body(tap, side, now_ns, bytes);
    default: {
        size_t len = bytes->len < s->pad_left ? bytes->len : s->pad_left;
        s->pad_left -= (uint32_t)len;
        *bytes = span_skip(*bytes, len);
        *stuck = s->pad_left != 0;
        return NULL;
    }
    }
}

bool tap_h2_feed(struct http_tap *tap, enum http_tap_side side, int64_t now_ns, struct span *bytes,
                 struct http_exchange *done)
{
    struct tap_h2_side *s = &tap->h2.sides[side];
    bool stuck = false;

    while (!stuck) {
        const char *why = read_part(tap, side, now_ns, bytes, &stuck);

        if (why) {
            tap_go_blind(tap, why);
            return false;
        }
        if (s->phase == PHASE_PAD && s->pad_left == 0) {
            struct tap_open *over = end_frame(&tap->h2, side);
            if (tap->edits[side]) {
                edit_h2_frame_over(tap->edits[side], bytes->data,
                                   tap_h2_is_between_frames(&tap->h2));
            }
            if (over) {
                tap_open_report(tap, over, now_ns, done);
                return true;
            }
        }
    }
    return false;
}
