/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/http/tap_heap.h"
#include "tests/unit/http/tap_script.h"
#include "tests/unit/http/tap_script_h2.h"

static void expect_exchange(const struct http_exchange *done, const char *method, const char *path,
                            uint16_t status, uint64_t request_bytes, uint64_t response_bytes)
{
    assert_string_equal(done->method, method);
    assert_string_equal(done->path, path);
    assert_int_equal(done->status, status);
    assert_int_equal(done->request_bytes, request_bytes);
    assert_int_equal(done->response_bytes, response_bytes);
    assert_int_equal(done->http_major, 2);
    assert_int_equal(done->http_minor, 0);
}

static void test_follows_streams_side_by_side(void **state)
{
    (void)state;
    script_init();
    say(C);
    add_get(1, "/1", END_STREAM);
    add_get(3, "/3", 0);
    say(S);
    add_status(3, "200", 0);
    add_frame(DATA, 0, 3, "0123456789", 10);
    say(C);
    add_frame(DATA, 0, 3, "abc", 3);
    add_frame(NGHTTP2_PING, 0, 0, "12345678", 8);
    add_frame(DATA, END_STREAM, 3, NULL, 0);
    say(S);
    add_status(1, "404", END_STREAM);
    add_frame(0xfa, 0xff, 77, "unknown", 7);
    add_frame(DATA, END_STREAM, 3, "x", 1);
    FOR_EACH_CUT(cut % 2 ? "" : "h2")
    {
        assert_null(heard.stats.blind);
        assert_true(heard.idle);
        assert_false(heard.reusable);
        assert_int_equal(heard.count, 2);
        assert_int_equal(heard.finished, 0);
        expect_exchange(&heard.done[0], "GET", "/1", 404, 0, 0);
        assert_string_equal(heard.done[0].authority, "example.org");
        assert_string_equal(heard.done[0].user_agent,
                            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101");
        expect_times(&heard.done[0], 3000, 6000, 6000);
        expect_exchange(&heard.done[1], "GET", "/3", 200, 3, 11);
        expect_times(&heard.done[1], 3000, 4000, 6000);
    }
}

/* Padding in every frame that may have it, priorities, and a block in many frames. */
static void test_takes_padding_off(void **state)
{
    uint8_t payload[1024] = {0};
    struct span block;

    (void)state;
    script_init();
    say(C);
    block = deflate(C, (const nghttp2_nv[]){FIELD(":method", "PUT"), FIELD(":path", "/pad")}, 2);
    payload[0] = 200;
    memcpy(payload + 6, block.data, block.len);
    add_frame(HEADERS, PADDED | PRIORITY | END_HEADERS, 1, payload, 6 + block.len + 200);
    memset(payload, 0, sizeof(payload));
    payload[0] = 255;
    add_frame(DATA, PADDED, 1, payload, 256); /* nothing but padding */
    add_frame(DATA, PADDED, 1, payload, 1 + 7 + 255);
    payload[0] = 0;
    add_frame(DATA, PADDED | END_STREAM, 1, payload, 1 + 9);
    say(S);
    block = deflate(S, (const nghttp2_nv[]){FIELD(":status", "204"), FIELD("x", "long value")}, 2);
    payload[0] = 3;
    memcpy(payload + 1, block.data, 2);
    add_frame(HEADERS, PADDED | END_STREAM, 1, payload, 1 + 2 + 3);
    for (size_t i = 2; i < block.len; i++) {
        add_frame(CONTINUATION, i == block.len - 1 ? END_HEADERS : 0, 1, block.data + i, 1);
        add_frame(CONTINUATION, 0, 1, NULL, 0);
        if (i == block.len - 1) {
            script.len -= 9; /* nothing after END_HEADERS */
            script.lines[script.count - 1].bytes.len -= 9;
        }
    }
    FOR_EACH_CUT("h2")
    {
        assert_null(heard.stats.blind);
        assert_int_equal(heard.count, 1);
        assert_true(heard.idle);
        expect_exchange(&heard.done[0], "PUT", "/pad", 204, 7 + 9, 0);
        assert_string_equal(heard.done[0].authority, "");
    }
}

static void test_resets_end_exchanges(void **state)
{
    (void)state;
    script_init();
    say(C);
    add_get(1, "/1", END_STREAM);
    add_get(3, "/3", 0);
    add_get(5, "/5", 0);
    add_frame(RST, 0, 1, "\0\0\0\10", 4);
    say(S);
    add_status(3, "500", END_STREAM);
    add_frame(RST, 0, 3, "\0\0\0\0", 4);
    add_status(1, "200", END_STREAM); /* crossed the reset */
    add_frame(DATA, END_STREAM, 1, "late", 4);
    add_frame(NGHTTP2_GOAWAY, 0, 0, "\0\0\0\3\0\0\0\0", 8);
    say(C);
    add_frame(DATA, END_STREAM, 3, "late", 4);
    FOR_EACH_CUT("h2")
    {
        assert_null(heard.stats.blind);
        assert_false(heard.idle);
        assert_int_equal(heard.count, 2);
        assert_int_equal(heard.finished, 1);
        expect_exchange(&heard.done[0], "GET", "/1", 0, 0, 0);
        expect_times(&heard.done[0], 3000, 0, 3000);
        expect_exchange(&heard.done[1], "GET", "/3", 500, 0, 0);
        expect_exchange(&heard.done[2], "GET", "/5", 0, 0, 0);
        expect_times(&heard.done[2], 3000, 0, 6000);
    }
}

static void test_interim_responses_trailers_and_promises(void **state)
{
    const nghttp2_nv trailer[] = {FIELD("grpc-status", "0")};
    const nghttp2_nv promised[] = {FIELD(":method", "GET"), FIELD(":path", "/pushed"),
                                   FIELD("x-in-table", "value"), FIELD(":status", "500")};
    uint8_t payload[256] = {0, 0, 0, 2};
    struct span block;

    (void)state;
    script_init();
    say(C);
    add_get(1, "/1", 0);
    add_frame(DATA, 0, 1, "ab", 2);
    add_headers(END_STREAM, 1, trailer, 1);
    say(S);
    add_status(1, "103", 0);
    block = deflate(S, promised, COUNT_OF(promised));
    memcpy(payload + 4, block.data, block.len);
    add_frame(PROMISE, 0, 1, payload, 4 + block.len - 1);
    add_frame(CONTINUATION, END_HEADERS, 1, block.data + block.len - 1, 1);
    add_status(2, "200", 0);
    add_frame(DATA, END_STREAM, 2, "pushed", 6);
    say(S);
    add_status(1, "200", 0);
    add_headers(END_STREAM, 1, promised + 2, 2); /* trailers, from the table */
    say(C);
    add_get(3, "/3", END_STREAM); /* the tables are still right */
    say(S);
    add_status(3, "302", END_STREAM);
    FOR_EACH_CUT("h2")
    {
        assert_null(heard.stats.blind);
        assert_true(heard.idle);
        assert_int_equal(heard.count, 2);
        expect_exchange(&heard.done[0], "GET", "/1", 200, 2, 0);
        expect_times(&heard.done[0], 3000, 5000, 5000);
        expect_exchange(&heard.done[1], "GET", "/3", 302, 0, 0);
    }
}

static void test_extended_connect_and_host(void **state)
{
    const nghttp2_nv connect[] = {
        FIELD(":method", "CONNECT"), FIELD(":protocol", "websocket"), FIELD(":scheme", "https"),
        FIELD(":path", "/chat"),     FIELD(":authority", "a:444"),    FIELD("host", "not.this"),
    };
    const nghttp2_nv without_authority[] = {FIELD(":method", "GET"), FIELD(":path", "/"),
                                            FIELD("host", "b")};

    (void)state;
    script_init();
    say(C);
    add_headers(0, 1, connect, COUNT_OF(connect));
    add_headers(END_STREAM, 3, without_authority, COUNT_OF(without_authority));
    say(S);
    add_status(1, "200", 0);
    add_frame(DATA, 0, 1, "\x81\x02hi", 4);
    add_status(3, "200", END_STREAM);
    say(C);
    add_frame(DATA, END_STREAM, 1, "\x88\x80....", 6);
    say(S);
    add_frame(DATA, END_STREAM, 1, NULL, 0);
    FOR_EACH_CUT("h2")
    {
        assert_null(heard.stats.blind);
        assert_int_equal(heard.count, 2);
        assert_string_equal(heard.done[0].authority, "b");
        assert_false(heard.done[0].upgraded);
        expect_exchange(&heard.done[1], "CONNECT", "/chat", 200, 6, 4);
        assert_string_equal(heard.done[1].authority, "a:444");
        assert_true(heard.done[1].upgraded);
    }
}

/* Settings of one side bind the encoder of the other. */
static void test_follows_the_table_size(void **state)
{
    static const uint32_t sizes[] = {65536, 0, 200, 4096, 10000};
    char value[200];
    nghttp2_nv fields[] = {FIELD(":status", "200"), FIELD("x-some", "")};

    (void)state;
    script_init();
    for (uint32_t i = 0; i < 50; i++) {
        uint32_t size = sizes[i / 10];
        const uint8_t setting[] = {0,
                                   3,
                                   0,
                                   0,
                                   0,
                                   9,
                                   0,
                                   1,
                                   (uint8_t)(size >> 24),
                                   (uint8_t)(size >> 16),
                                   (uint8_t)(size >> 8),
                                   (uint8_t)size};
        say(C);
        if (i % 10 == 0) {
            add_frame(SETTINGS, 0, 0, setting, sizeof(setting));
        }
        add_get(2 * i + 1, "/", END_STREAM);
        say(S);
        if (i % 10 == 0) {
            add_frame(SETTINGS, ACK, 0, NULL, 0);
            assert_int_equal(nghttp2_hd_deflate_change_table_size(script.deflaters[S], size), 0);
        }
        memset(value, 'a' + (int)(i % 7), sizeof(value));
        fields[1].value = (uint8_t *)value;
        fields[1].valuelen = sizeof(value);
        add_headers(END_STREAM, 2 * i + 1, fields, 2);
    }
    FOR_EACH_CUT("h2")
    {
        assert_null(heard.stats.blind);
        assert_int_equal(heard.count, 50);
        for (size_t i = 0; i < heard.count; i++) {
            expect_exchange(&heard.done[i], "GET", "/", 200, 0, 0);
        }
    }
}

static void test_a_table_larger_than_announced_is_not_followed(void **state)
{
    (void)state;
    script_init();
    say(C);
    add_frame(HEADERS, END_HEADERS | END_STREAM, 1, "\x3f\xe1\x1f\x82\x84", 5); /* 4096 */
    FOR_EACH_CUT("h2")
    {
        assert_null(heard.stats.blind);
        assert_int_equal(heard.finished, 1);
    }
    say(C);
    add_frame(HEADERS, END_HEADERS | END_STREAM, 3, "\x3f\xe2\x1f\x82\x84", 5); /* 4097 */
    FOR_EACH_CUT("h2")
    {
        expect_blind(&heard, "could not be decoded");
        assert_int_equal(heard.finished, 1);
    }
    script_init();
    say(S);
    add_frame(SETTINGS, 0, 0, "\0\1\0\1\0\1", 6); /* 65537, of which 65536 are followed */
    say(C);
    add_frame(HEADERS, END_HEADERS | END_STREAM, 1, "\x3f\xe2\xff\x03\x82", 5);
    FOR_EACH_CUT("h2")
    {
        expect_blind(&heard, "could not be decoded");
    }
}

/* Streams beyond the bound are counted, and all that is followed stays right. */
static void test_streams_without_end(void **state)
{
    struct http_tap *tap = http_tap_new(SPAN_LITERAL("h2"));
    struct http_tap_stats stats;
    struct http_exchange done;
    size_t finished = 0;
    struct span bytes;

    (void)state;
    assert_non_null(tap);
    script_init();
    say(C);
    for (uint32_t i = 0; i < 1000; i++) {
        add_get(2 * i + 1, "/", END_STREAM);
    }
    add_get(7, "/again", END_STREAM); /* no new stream */
    for (size_t i = 0; i < script.count; i++) {
        bytes = script.lines[i].bytes;
        assert_false(http_tap_feed(tap, script.lines[i].side, 1, &bytes, &done));
        assert_int_equal(bytes.len, 0);
    }
    http_tap_read_stats(tap, &stats);
    assert_null(stats.blind);
    assert_int_equal(stats.lost, 1000 - HTTP_TAP_STREAMS_MAX);
    script.count = script.len = 0;
    say(S);
    add_status(1999, "200", END_STREAM); /* not followed */
    add_status(511, "201", END_STREAM);
    bytes = script.lines[0].bytes;
    assert_true(http_tap_feed(tap, S, 2, &bytes, &done));
    assert_int_equal(done.status, 201);
    assert_int_equal(bytes.len, 0);
    while (http_tap_finish(tap, 3, &done)) {
        expect_exchange(&done, "GET", "/", 0, 0, 0);
        finished++;
    }
    assert_int_equal(finished, HTTP_TAP_STREAMS_MAX - 1);
    http_tap_free(tap);
}

static void add_flood(size_t frames, size_t len)
{
    static const uint8_t indexed[16384] = {0};

    add_frame(HEADERS, 0, 1, "\x82", 1);
    for (size_t i = 0; i < frames; i++) {
        add_frame(CONTINUATION, 0, 1, indexed, len);
    }
}

static void test_hostile_blocks(void **state)
{
    (void)state;
    script_init();
    say(C);
    add_flood(300, 0);
    FOR_EACH_CUT("h2")
    {
        expect_blind(&heard, "more frames");
    }
    script_init();
    say(C);
    add_flood(3, 16384);
    FOR_EACH_CUT("h2")
    {
        assert_null(heard.stats.blind);
        assert_false(heard.idle);
    }
    add_frame(CONTINUATION, 0, 1, script.wire, 16384);
    FOR_EACH_CUT("h2")
    {
        expect_blind(&heard, "longer than what is followed");
        assert_int_equal(heard.first_ns, 0);
    }
}

/* One long value in the table, and a block that names it as often as fits. */
static void test_hpack_bomb(void **state)
{
    static uint8_t refs[60000];
    static uint8_t bomb[4005];

    (void)state;
    memset(bomb, '/', sizeof(bomb));
    memcpy(bomb, "\x82\x44\x7f\xa1\x1e", 5); /* :path, 127 + 0x21 + (0x1e << 7) bytes long */
    memset(refs, 0xbe, sizeof(refs));        /* index 62: the newest entry */
    script_init();
    say(C);
    add_frame(HEADERS, END_HEADERS | END_STREAM, 1, bomb, sizeof(bomb));
    add_frame(HEADERS, END_HEADERS | END_STREAM, 3, refs, sizeof(refs));
    FOR_EACH_CUT("h2")
    {
        assert_null(heard.stats.blind);
        assert_int_equal(heard.finished, 2);
        assert_int_equal(strlen(heard.done[1].path), sizeof(heard.done[1].path) - 1);
    }
}

/* The most that a table can hold: as large as is followed, full of the smallest entries. */
static void test_the_largest_table(void **state)
{
    static uint8_t block[4 + 4 * 3000] = "\x3f\xe1\xff\x03"; /* 65536 */
    struct http_tap *tap;
    struct http_exchange done;
    size_t before;

    (void)state;
    if (!HEAP_IS_COUNTED) {
        skip();
    }
    for (size_t i = 4; i < sizeof(block); i += 4) {
        memcpy(block + i, "\x40\1a\0", 4);
    }
    script_init();
    say(S);
    add_frame(SETTINGS, 0, 0, "\0\1\xff\xff\xff\xff", 6);
    say(C);
    add_frame(HEADERS, END_HEADERS | END_STREAM, 1, block, sizeof(block));
    before = heap_bytes;
    tap = http_tap_new(SPAN_LITERAL("h2"));
    assert_non_null(tap);
    for (size_t i = 0; i < script.count; i++) {
        struct span bytes = script.lines[i].bytes;
        assert_false(http_tap_feed(tap, script.lines[i].side, 1, &bytes, &done));
    }
    assert_false(http_tap_is_blind(tap));
    print_message("a tap with one full table holds %zu bytes\n", heap_bytes - before);
    assert_in_range(heap_bytes - before, 64 * 1024, 512 * 1024);
    http_tap_free(tap);
}

/* Each goes blind after the settings of both sides, for the reason said. */
static void test_goes_blind(void **state)
{
    static const struct {
        const char *words;
        enum http_tap_side side;
        struct span bytes;
    } cases[] = {
        {"interrupted", C,
         SPAN_LITERAL("\0\0\1\1\0\0\0\0\1\x82"
                      "\0\0\0\0\0\0\0\0\1")},
        {"interrupted", C,
         SPAN_LITERAL("\0\0\1\1\0\0\0\0\1\x82"
                      "\0\0\1\x9\4\0\0\0\3\x82")},
        {"interrupted", C,
         SPAN_LITERAL("\0\0\1\1\0\0\0\0\1\x82"
                      "\0\0\1\1\4\0\0\0\1\x82")},
        {"continues where", S, SPAN_LITERAL("\0\0\1\x9\4\0\0\0\1\x88")},
        {"names none", C, SPAN_LITERAL("\0\0\1\1\4\0\0\0\0\x82")},
        {"names none", S, SPAN_LITERAL("\0\0\1\0\0\x80\0\0\0x")},
        {"length", S, SPAN_LITERAL("\0\0\5\4\0\0\0\0\0.....")},
        {"length", S, SPAN_LITERAL("\0\0\6\4\1\0\0\0\0......")},
        {"length", S, SPAN_LITERAL("\0\0\3\3\0\0\0\0\1...")},
        {"length", C, SPAN_LITERAL("\0\0\0\0\10\0\0\0\1")},
        {"length", C, SPAN_LITERAL("\0\0\5\1\54\0\0\0\1.....")},
        {"length", S, SPAN_LITERAL("\0\0\3\5\4\0\0\0\1...")},
        {"padded", C, SPAN_LITERAL("\0\0\2\0\10\0\0\0\1\2\0")},
        {"padded", C, SPAN_LITERAL("\0\0\7\1\54\0\0\0\1\2.....\0")},
        {"longer", C, SPAN_LITERAL("\1\0\1\1\4\0\0\0\1")},
        {"decoded", C, SPAN_LITERAL("\0\0\1\1\4\0\0\0\1\xbe")},
        {"decoded", C, SPAN_LITERAL("\0\0\1\1\4\0\0\0\1\x80")},
        {"decoded", S, SPAN_LITERAL("\0\0\2\1\4\0\0\0\1\x08\x7f")},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        script_init();
        say(cases[i].side);
        add_bytes(cases[i].bytes.data, cases[i].bytes.len);
        say(C);
        add_get(1, "/", END_STREAM);
        FOR_EACH_CUT("h2")
        {
            expect_blind(&heard, cases[i].words);
            assert_int_equal(heard.count + heard.finished, 0);
        }
    }
}

static void test_wrong_beginnings(void **state)
{
    static const struct {
        const char *words;
        struct line lines[1];
    } cases[] = {
        {"preface", {LINE(C, "GET / HTTP/1.1\r\n")}},
        {"preface", {LINE(C, "PRI * HTTP/2.0\r\n\r\nSN")}},
        {"first frame",
         {LINE(C, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                  "\0\0\1\1\4\0\0\0\1\x82")}},
        {"first frame", {LINE(S, "HTTP/1.1 400 Bad Request\r\n\r\n")}},
        {"first frame", {LINE(S, "\0\0\0\4\1\0\0\0\0")}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        FOR_EACH_STEP(heard, "h2", cases[i].lines)
        {
            expect_blind(&heard, cases[i].words);
        }
    }
}

/* A frame of 16 MiB - 1 passes in pieces and is only counted. */
static void test_the_longest_frame(void **state)
{
    static uint8_t piece[65535];
    struct http_tap *tap = http_tap_new(SPAN_LITERAL("h2"));
    struct http_exchange done;
    struct span bytes;

    (void)state;
    assert_non_null(tap);
    script_init();
    say(C);
    add_get(1, "/", 0);
    add_bytes("\xff\xff\xff\0\1\0\0\0\1", 9);
    for (size_t i = 0; i < script.count; i++) {
        bytes = script.lines[i].bytes;
        assert_false(http_tap_feed(tap, script.lines[i].side, 1, &bytes, &done));
    }
    for (size_t left = 0xffffff; left; left -= bytes.len) {
        struct span fed = span_sub(span_make(piece, sizeof(piece)), 0, left);
        bytes = fed;
        assert_false(http_tap_feed(tap, C, 1, &fed, &done));
        assert_int_equal(fed.len, 0);
    }
    bytes = SPAN_LITERAL("\0\0\4\3\0\0\0\0\1\0\0\0\0");
    assert_true(http_tap_feed(tap, S, 1, &bytes, &done));
    expect_exchange(&done, "GET", "/", 0, 0xffffff, 0);
    http_tap_free(tap);
}

/* Heard between two exchanges, alone and after 40 streams at once. */
static void test_a_burst_leaves_nothing_behind(void **state)
{
    struct http_tap *tap;
    struct http_exchange done;
    size_t before;
    size_t idle = 0;

    (void)state;
    if (!HEAP_IS_COUNTED) {
        skip();
    }
    script_init();
    say(C);
    add_get(1, "/", END_STREAM);
    say(S);
    add_status(1, "200", END_STREAM);
    say(C);
    for (uint32_t id = 3; id < 83; id += 2) {
        add_get(id, "/", END_STREAM);
    }
    say(S);
    for (uint32_t id = 3; id < 83; id += 2) {
        add_status(id, "200", END_STREAM);
    }
    before = heap_bytes;
    tap = http_tap_new(SPAN_LITERAL("h2"));
    assert_non_null(tap);
    print_message("a new HTTP/2 tap holds %zu bytes\n", heap_bytes - before);
    for (size_t i = 0; i < script.count; i++) {
        struct span bytes = script.lines[i].bytes;
        while (http_tap_feed(tap, script.lines[i].side, 1, &bytes, &done)) {
        }
        if (i == 3) {
            assert_true(http_tap_is_idle(tap));
            http_tap_drop_first(tap);
            idle = heap_bytes;
        }
    }
    assert_true(http_tap_is_idle(tap));
    assert_true(heap_bytes <= idle);
    print_message("an idle HTTP/2 tap holds %zu bytes\n", heap_bytes - before);
    assert_true(idle - before <= 6000);
    http_tap_free(tap);
    assert_int_equal(heap_bytes, before);
}

static void test_memory_that_runs_out(void **state)
{
    const nghttp2_nv fields[] = {FIELD("x-new", "value"), FIELD("x-newer", "value")};
    struct line lines[5];
    size_t fails_at;
    size_t cut;

    (void)state;
    if (!HEAP_IS_COUNTED) {
        skip();
    }
    script_init();
    say(C);
    for (uint32_t id = 1; id < 25; id += 2) {
        add_get(id, "/", 0);
    }
    add_headers(END_STREAM, 1, fields, 2);
    say(S);
    add_status(1, "200", END_STREAM);
    cut = script.lines[2].bytes.len - 3; /* in the last block */
    memcpy(lines, script.lines, 2 * sizeof(*lines));
    lines[2] = (struct line){C, span_sub(script.lines[2].bytes, 0, cut)};
    lines[3] = (struct line){C, span_skip(script.lines[2].bytes, cut)};
    lines[4] = script.lines[3];
    for (fails_at = 1; hear_failing("", lines, COUNT_OF(lines), fails_at); fails_at++) {
    }
    assert_in_range(fails_at, 20, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_follows_streams_side_by_side),
        cmocka_unit_test(test_takes_padding_off),
        cmocka_unit_test(test_resets_end_exchanges),
        cmocka_unit_test(test_interim_responses_trailers_and_promises),
        cmocka_unit_test(test_extended_connect_and_host),
        cmocka_unit_test(test_follows_the_table_size),
        cmocka_unit_test(test_a_table_larger_than_announced_is_not_followed),
        cmocka_unit_test(test_streams_without_end),
        cmocka_unit_test(test_hostile_blocks),
        cmocka_unit_test(test_hpack_bomb),
        cmocka_unit_test(test_the_largest_table),
        cmocka_unit_test(test_goes_blind),
        cmocka_unit_test(test_wrong_beginnings),
        cmocka_unit_test(test_the_longest_frame),
        cmocka_unit_test(test_a_burst_leaves_nothing_behind),
        cmocka_unit_test(test_memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, script_teardown);
}
