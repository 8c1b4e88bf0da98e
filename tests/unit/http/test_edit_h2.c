/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes on is read back by a reader of its own: frames, and header blocks with nghttp2's
 * decoder, which must stay in step. What was inserted is taken out again, and then it must be what
 * was sent.
 */
#include "tests/unit/http/edit_script.h"
#include "tests/unit/http/tap_script_h2.h"

enum { FRAME_LEN_MAX = 16 * 1024 };

/* What one side's output has. */
struct found {
    size_t fields[64]; /* ours, in each header block, in order */
    size_t blocks;
    size_t goaways;
    uint32_t last_id; /* of the last GOAWAY */
    size_t goaway_at; /* frames before the first GOAWAY */
    size_t frames;
    size_t longest; /* frame, bytes */
    size_t len;
    uint8_t others[PASSED_CAP]; /* all fields that are not ours, frames that are not of blocks */
};

static struct found found[2];

static void note(struct found *out, const void *data, size_t len)
{
    assert_true(len <= PASSED_CAP - out->len);
    if (len) {
        memcpy(out->others + out->len, data, len);
    }
    out->len += len;
}

static void read_block(struct found *out, nghttp2_hd_inflater *inflater, struct span block)
{
    int flags = 0;

    assert_true(out->blocks < COUNT_OF(out->fields));
    out->fields[out->blocks] = 0;
    while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
        nghttp2_nv field;
        ssize_t used =
            nghttp2_hd_inflate_hd2(inflater, &field, &flags, block.data, block.len, true);

        assert_true(used > 0 || (used == 0 && flags));
        block = span_skip(block, (size_t)used);
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT)) {
            continue;
        }
        assert_int_equal(out->fields[out->blocks], 0); /* ours is the last one */
        if (span_equal(span_make(field.name, field.namelen), SPAN_LITERAL("weir-verdict"))) {
            assert_true(span_equal(span_make(field.value, field.valuelen), edited.value));
            out->fields[out->blocks]++;
        } else {
            note(out, field.name, field.namelen + 1);
            note(out, field.value, field.valuelen + 1);
        }
    }
    assert_int_equal(block.len, 0);
    nghttp2_hd_inflate_end_headers(inflater);
    out->blocks++;
}

/* The payload of a frame of a header block without its padding and what stands before. */
static struct span fragment_of(struct span payload, uint8_t type, uint8_t flags)
{
    size_t pad = 0;

    if (type != CONTINUATION && flags & PADDED) {
        pad = payload.data[0];
        payload = span_skip(payload, 1);
    }
    if (type == HEADERS && flags & PRIORITY) {
        payload = span_skip(payload, 5);
    } else if (type == PROMISE) {
        payload = span_skip(payload, 4);
    }
    assert_true(pad <= payload.len);
    for (size_t i = payload.len - pad; i < payload.len; i++) {
        assert_int_equal(payload.data[i], 0);
    }
    return span_sub(payload, 0, payload.len - pad);
}

static void read_frame(struct found *out, nghttp2_hd_inflater *inflater, struct span frame)
{
    static uint8_t block[1 << 18];
    static size_t block_len;
    static bool in_block;
    uint8_t type = frame.data[3], flags = frame.data[4];
    struct span payload = span_skip(frame, 9);

    assert_int_equal(in_block, type == CONTINUATION);
    if (type == NGHTTP2_GOAWAY && !out->goaways++) {
        out->goaway_at = out->frames;
    }
    if (type == NGHTTP2_GOAWAY) {
        out->last_id = (uint32_t)payload.data[0] << 24 | (uint32_t)payload.data[1] << 16 |
                       (uint32_t)payload.data[2] << 8 | payload.data[3];
    } else if (type == HEADERS || type == CONTINUATION || type == PROMISE) {
        struct span fragment = fragment_of(payload, type, flags);
        block_len = in_block ? block_len : 0;
        memcpy(block + block_len, fragment.data, fragment.len);
        block_len += fragment.len;
        in_block = !(flags & END_HEADERS);
        if (!in_block) {
            read_block(out, inflater, span_make(block, block_len));
        }
    } else {
        note(out, frame.data, frame.len);
    }
    out->longest = frame.len > out->longest ? frame.len : out->longest;
    out->frames++;
}

static void read_side(struct found *out, enum http_tap_side side, struct span bytes)
{
    nghttp2_hd_inflater *inflater;

    *out = (struct found){0};
    assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
    assert_int_equal(nghttp2_hd_inflate_change_table_size(inflater, 64 * 1024), 0);
    bytes = span_skip(bytes, side == C ? NGHTTP2_CLIENT_MAGIC_LEN : 0);
    while (bytes.len) {
        size_t len;
        assert_true(bytes.len >= 9);
        len = 9 + ((size_t)bytes.data[0] << 16 | (size_t)bytes.data[1] << 8 | bytes.data[2]);
        assert_true(bytes.len >= len);
        read_frame(out, inflater, span_sub(bytes, 0, len));
        bytes = span_skip(bytes, len);
    }
    nghttp2_hd_inflate_del(inflater);
}

/* All that was said by one side. */
static struct span said_by(enum http_tap_side side)
{
    static uint8_t said[WIRE_CAP];
    size_t len = 0;

    for (size_t i = 0; i < script.count; i++) {
        if (script.lines[i].side == side) {
            memcpy(said + len, script.lines[i].bytes.data, script.lines[i].bytes.len);
            len += script.lines[i].bytes.len;
        }
    }
    return span_make(said, len);
}

/* Our fields in the blocks of that side; nothing else differs from what was sent. */
static void expect_fields(enum http_tap_side side, const char *fields)
{
    static struct found sent;
    struct found *got = &found[side];

    assert_false(edited.sides[side].stopped);
    read_side(&sent, side, said_by(side));
    read_side(got, side, passed_of(side));
    assert_true(span_equal(span_make(got->others, got->len), span_make(sent.others, sent.len)));
    assert_int_equal(got->blocks, strlen(fields));
    for (size_t i = 0; i < got->blocks; i++) {
        if (got->fields[i] != (size_t)(fields[i] - '0')) {
            fail_msg("block %zu of side %d has %zu", i, side, got->fields[i]);
        }
    }
}

static void begin(void)
{
    edit_init();
    script_init();
}

static const nghttp2_nv trailer[] = {FIELD("grpc-status", "0"), FIELD("x-in-table", "value")};

/* Requests, responses, trailers, 1xx, a promise, DATA, streams side by side. */
static void test_inserts_into_each_message(void **state)
{
    const nghttp2_nv promised[] = {FIELD(":method", "GET"), FIELD(":path", "/pushed")};
    uint8_t payload[256] = {0, 0, 0, 2};
    struct span block;

    (void)state;
    begin();
    say(C);
    add_get(1, "/1", 0);
    add_frame(DATA, 0, 1, "ab", 2);
    add_get(3, "/3", END_STREAM);
    add_headers(END_STREAM, 1, trailer, 2);
    say(S);
    add_status(1, "103", 0);
    block = deflate(S, promised, COUNT_OF(promised));
    memcpy(payload + 4, block.data, block.len);
    add_frame(PROMISE, 0, 1, payload, 4 + block.len - 1);
    add_frame(CONTINUATION, END_HEADERS, 1, block.data + block.len - 1, 1);
    add_status(2, "200", 0);
    add_status(1, "200", 0);
    add_frame(DATA, 0, 1, "0123456789", 10);
    add_headers(END_STREAM, 1, trailer, 2);
    add_status(3, "404", END_STREAM);
    say(C);
    add_get(5, "/5", END_STREAM); /* the tables are still right */
    FOR_EACH_EDIT(cut_index % 2 ? "" : "h2", script.lines, script.count)
    {
        expect_fields(C, "1101");
        expect_fields(S, "001101");
        assert_int_equal(edited.sides[C].heads, 3);
        assert_int_equal(edited.sides[S].heads, 3);
        assert_int_equal(edited.exchanges, 2);
    }
    edited.value = span_make(NULL, 0);
    FOR_EACH_EDIT("h2", script.lines, script.count)
    {
        expect_passed(C, said_by(C));
        expect_passed(S, said_by(S));
    }
}

/* Every place to cut it in two. */
static void test_any_cut(void **state)
{
    struct line lines[3];

    (void)state;
    begin();
    say(C);
    add_get(1, "/1", 0);
    add_frame(DATA, END_STREAM, 1, "ab", 2);
    add_get(3, "/3", END_STREAM);
    for (size_t cut = 1; cut < script.lines[2].bytes.len; cut++) {
        lines[0] = script.lines[0]; /* the server says nothing */
        lines[1] = (struct line){C, span_sub(script.lines[2].bytes, 0, cut)};
        lines[2] = (struct line){C, span_skip(script.lines[2].bytes, cut)};
        edit_lines("h2", lines, 3, SIZE_MAX / 2);
        expect_fields(C, "11");
        assert_int_equal(found[C].frames, 5);
    }
}

/* Priorities, padding, and a block in many frames of which some are empty. */
static void test_padding_and_pieces(void **state)
{
    uint8_t payload[1024] = {0};
    struct span block;

    (void)state;
    begin();
    say(C);
    block = deflate(C, (const nghttp2_nv[]){FIELD(":method", "PUT"), FIELD(":path", "/pad")}, 2);
    payload[0] = 200;
    memcpy(payload + 6, block.data, block.len);
    add_frame(HEADERS, PADDED | PRIORITY | END_HEADERS, 1, payload, 6 + block.len + 200);
    memset(payload, 0, sizeof(payload));
    payload[0] = 255;
    add_frame(DATA, PADDED | END_STREAM, 1, payload, 256);
    block = deflate(C, (const nghttp2_nv[]){FIELD(":method", "GET"), FIELD(":path", "/c")}, 2);
    payload[0] = 3;
    memcpy(payload + 1, block.data, 1);
    add_frame(HEADERS, PADDED | END_STREAM, 3, payload, 1 + 1 + 3);
    for (size_t i = 1; i < block.len; i++) {
        add_frame(CONTINUATION, 0, 3, block.data + i, 1);
        add_frame(CONTINUATION, 0, 3, NULL, 0);
    }
    add_frame(CONTINUATION, END_HEADERS, 3, NULL, 0);
    FOR_EACH_EDIT("h2", script.lines, script.count)
    {
        expect_fields(C, "11");
        expect_fields(S, "");
    }
}

/* A frame is filled up to what every peer takes, and then there is one more. */
static void test_the_longest_frame(void **state)
{
    static uint8_t block[FRAME_LEN_MAX];
    static uint8_t payload[FRAME_LEN_MAX];
    static const size_t literal = 1 + 1 + 12 + 1 + 7;
    struct span start;

    (void)state;
    for (size_t pad = 0; pad <= 255; pad += 255) {
        for (size_t len = FRAME_LEN_MAX - literal - 1; len <= FRAME_LEN_MAX; len++) {
            bool fits = len + literal <= FRAME_LEN_MAX;
            size_t block_len = len - 1 - pad;
            begin();
            say(C);
            start = deflate(C, (const nghttp2_nv[]){FIELD(":method", "GET")}, 1);
            memcpy(block, start.data, start.len);
            /* A literal without indexing: x, and a value that fills it. */
            block[start.len] = 0;
            block[start.len + 1] = 1;
            block[start.len + 2] = 'x';
            block[start.len + 3] = 0x7f;
            size_t value_len = block_len - start.len - 6;
            block[start.len + 4] = (uint8_t)(0x80 | ((value_len - 0x7f) & 0x7f));
            block[start.len + 5] = (uint8_t)((value_len - 0x7f) >> 7);
            memset(block + start.len + 6, 'v', value_len);
            payload[0] = (uint8_t)pad;
            memcpy(payload + 1, block, block_len);
            memset(payload + 1 + block_len, 0, pad);
            add_frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, payload, len);
            add_get(3, "/", END_STREAM);
            for (size_t i = 0; i < COUNT_OF(steps); i += 2) {
                edit_lines("h2", script.lines, script.count, steps[i]);
                expect_fields(C, "11");
                assert_int_equal(found[C].frames, fits ? 4 : 5);
                assert_true(found[C].longest <= 9 + FRAME_LEN_MAX);
            }
        }
    }
}

/* A value that needs a length of two bytes. */
static void test_long_values(void **state)
{
    static char value[HTTP_EDIT_VALUE_MAX];

    (void)state;
    memset(value, 'v', sizeof(value));
    begin();
    say(C);
    add_get(1, "/1", END_STREAM);
    for (size_t len = 120; len <= sizeof(value); len++) {
        edited.value = span_make(value, len);
        edit_lines("h2", script.lines, script.count, SIZE_MAX / 2);
        expect_fields(C, "1");
    }
}

/* Forged by any representation, in any block; and where the tap cannot follow. */
static void test_stops_what_nobody_can_vouch_for(void **state)
{
    static const nghttp2_nv fields[][2] = {
        {FIELD(":method", "GET"), FIELD("weir-verdict", "genuine")},
        {FIELD(":method", "GET"), FIELD("Weir_Verdict", "")},
        {FIELD("x", "trailers"), FIELD("weir-verdict", "x")},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        for (int side = C; side <= S; side++) {
            begin();
            say(C);
            add_get(1, "/1", 0);
            say(S);
            add_status(1, "200", 0);
            say((enum http_tap_side)side);
            edit_lines("h2", script.lines, script.count, SIZE_MAX / 2);
            size_t len = edited.sides[side].len;
            add_headers(END_STREAM, 1, fields[i], 2);
            FOR_EACH_EDIT("h2", script.lines, script.count)
            {
                assert_true(edited.sides[side].stopped);
                assert_int_equal(edited.sides[side].len, len);
                assert_non_null(strstr(edited.stats.blind, "sent one itself"));
            }
        }
    }
    begin();
    say(C);
    add_get(1, "/1", END_STREAM);
    add_frame(HEADERS, END_HEADERS | END_STREAM, 3, "\xff\xff\xff\xff\xff", 5);
    FOR_EACH_EDIT("h2", script.lines, script.count)
    {
        assert_true(edited.sides[C].stopped);
        read_side(&found[C], C, passed_of(C));
        assert_int_equal(found[C].blocks, 1);
    }
}

/* The value is refused: neither this request nor what is behind goes on. */
static void test_a_refused_request(void **state)
{
    (void)state;
    begin();
    say(C);
    add_get(1, "/1", END_STREAM);
    edited.sides[C].refuses = 1;
    FOR_EACH_EDIT("h2", script.lines, script.count)
    {
        assert_true(edited.sides[C].stopped);
        expect_passed(C, script.lines[0].bytes);
    }
}

/* GOAWAY at the next place between two frames that is not within a header block. */
static void test_leaving(void **state)
{
    const struct {
        size_t leaves_after; /* lines; 1: before the server has said anything */
        size_t at;           /* frames before it */
    } rows[] = {{1, 1}, {3, 2}, {4, 5}, {5, 6}, {6, 6}};
    struct span block;

    (void)state;
    begin();
    say(C); /* line 2 */
    add_get(1, "/1", END_STREAM);
    say(S); /* line 3: a frame and a half block */
    block = deflate(S, (const nghttp2_nv[]){FIELD(":status", "200"), FIELD("a", "b")}, 2);
    add_frame(NGHTTP2_PING, 0, 0, "12345678", 8);
    add_frame(HEADERS, 0, 1, block.data, 1);
    say(S); /* line 4 */
    add_frame(CONTINUATION, END_HEADERS, 1, block.data + 1, block.len - 1);
    add_bytes("\0\0\3\0", 4); /* and a part of a frame */
    say(S);                   /* line 5 */
    add_bytes("\1\0\0\0\1xyz", 8);
    say(C);
    add_get(3, "/3", END_STREAM);
    for (int named = 0; named < 2; named++) {
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            edited.is_named[C] = edited.is_named[S] = named;
            edited.is_plain[S] = true;
            edited.leaves_after = rows[i].leaves_after;
            FOR_EACH_EDIT("h2", script.lines, script.count)
            {
                expect_fields(S, named ? "1" : "0");
                assert_int_equal(found[S].goaways, 1);
                assert_int_equal(found[S].goaway_at, rows[i].at);
                assert_int_equal(found[S].last_id, INT32_MAX);
            }
        }
    }
}

/* A server that says so itself is not contradicted: the last id must not grow. */
static void test_leaving_when_the_server_does(void **state)
{
    (void)state;
    begin();
    say(S);
    add_frame(NGHTTP2_GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0", 8);
    say(S);
    add_frame(NGHTTP2_PING, 0, 0, "12345678", 8);
    edited.is_named[C] = edited.is_named[S] = false;
    edited.is_plain[S] = true;
    for (edited.leaves_after = 2; edited.leaves_after < 4; edited.leaves_after++) {
        edit_lines("h2", script.lines, script.count, SIZE_MAX / 2);
        read_side(&found[S], S, passed_of(S));
        assert_int_equal(found[S].goaways, edited.leaves_after == 2 ? 2 : 1);
        assert_int_equal(found[S].last_id, 1);
    }
}

/* At the very end: the last request that counts. */
static void test_last_word(void **state)
{
    struct http_tap *tap = http_tap_new(SPAN_LITERAL("h2"));

    (void)state;
    begin();
    say(C);
    add_get(1, "/1", END_STREAM);
    add_get(3, "/3", END_STREAM);
    say(S);
    add_status(1, "200", END_STREAM);
    edited.is_named[C] = edited.is_named[S] = false;
    edited.is_plain[S] = true;
    edited.sides[S].len = edited.sides[S].emits = 0;
    add_editor(tap, S);
    for (size_t i = 0; i < script.count; i++) {
        feed_edited(tap, script.lines[i].side, script.lines[i].bytes);
    }
    http_tap_leave(tap);
    http_tap_leave(tap); /* stream 3 is under way */
    read_side(&found[S], S, passed_of(S));
    assert_int_equal(found[S].goaways, 1);
    say(S);
    add_status(3, "200", END_STREAM);
    feed_edited(tap, S, script.lines[script.count - 1].bytes);
    http_tap_leave(tap);
    read_side(&found[S], S, passed_of(S));
    assert_int_equal(found[S].goaways, 2);
    assert_int_equal(found[S].last_id, 3);
    http_tap_free(tap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_inserts_into_each_message, script_teardown),
        cmocka_unit_test_teardown(test_any_cut, script_teardown),
        cmocka_unit_test_teardown(test_padding_and_pieces, script_teardown),
        cmocka_unit_test_teardown(test_the_longest_frame, script_teardown),
        cmocka_unit_test_teardown(test_long_values, script_teardown),
        cmocka_unit_test_teardown(test_stops_what_nobody_can_vouch_for, script_teardown),
        cmocka_unit_test_teardown(test_a_refused_request, script_teardown),
        cmocka_unit_test_teardown(test_leaving, script_teardown),
        cmocka_unit_test_teardown(test_leaving_when_the_server_does, script_teardown),
        cmocka_unit_test_teardown(test_last_word, script_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
