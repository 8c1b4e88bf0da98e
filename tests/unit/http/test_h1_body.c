/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1_body.h"

#include "core/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { BODY_CAP = 128 * 1024 };

/* One body read to its end, in pieces of `step` bytes, each in memory of its own size. */
struct outcome {
    enum h1_body_result result; /* DONE, BAD or MORE */
    struct http_fault fault;
    size_t used;          /* input that belongs to the message; DONE */
    size_t trailer_count; /* fields */
    size_t payload_len;
    char payload[BODY_CAP];
};

static struct span copy_exactly(struct span bytes)
{
    uint8_t *copy = malloc(bytes.len ? bytes.len : 1);

    assert_non_null(copy);
    if (bytes.len) {
        memcpy(copy, bytes.data, bytes.len);
    }
    return span_make(copy, bytes.len);
}

static void read_trailers(struct outcome *out, struct h1_body *body, struct span rest, size_t step)
{
    struct http_head trailers;
    enum h1_result result = H1_MORE;
    size_t len = 0;

    for (;;) {
        struct span part = copy_exactly(span_sub(rest, 0, len));
        result = h1_body_trailers(body, part, &trailers, &out->fault);
        free((void *)part.data);
        if (result != H1_MORE || len == rest.len) {
            break;
        }
        len = rest.len - len < step ? rest.len : len + step;
    }
    out->result = result == H1_DONE ? H1_BODY_DONE : result == H1_BAD ? H1_BODY_BAD : H1_BODY_MORE;
    if (result == H1_DONE) {
        out->used += trailers.len;
        out->trailer_count = trailers.field_count;
    }
}

static void read_body(struct outcome *out, struct h1_body *body, struct span input, size_t step)
{
    enum h1_body_result result = H1_BODY_MORE;

    out->payload_len = out->used = out->trailer_count = 0;
    while (result == H1_BODY_MORE || result == H1_BODY_PAYLOAD) {
        struct span part = copy_exactly(span_sub(input, out->used, step));
        struct span payload;
        size_t consumed;

        result = h1_body_feed(body, part, &consumed, &payload, &out->fault);
        assert_true(consumed <= part.len);
        if (result == H1_BODY_PAYLOAD) {
            assert_true(payload.len > 0 && out->payload_len + payload.len <= BODY_CAP);
            assert_true(payload.data >= part.data &&
                        payload.data + payload.len <= part.data + consumed);
            memcpy(out->payload + out->payload_len, payload.data, payload.len);
            out->payload_len += payload.len;
        } else {
            assert_int_equal(payload.len, 0);
        }
        free((void *)part.data);
        out->used += consumed;
        if (result == H1_BODY_MORE) {
            assert_int_equal(consumed, part.len);
            if (part.len == 0) {
                break;
            }
        }
    }
    out->result = result;
    if (result == H1_BODY_TRAILERS) {
        read_trailers(out, body, span_skip(input, out->used), step);
    }
}

struct row {
    struct span input;
    const char *payload; /* null: refused */
    size_t left;         /* bytes after the message */
    const char *words;   /* of the reason */
    size_t trailer_count;
};

#define GOOD(text, payload, left, trailers)                                                        \
    {                                                                                              \
        SPAN_LITERAL(text), payload, left, NULL, trailers                                          \
    }
#define REFUSED(text, words)                                                                       \
    {                                                                                              \
        SPAN_LITERAL(text), NULL, 0, words, 0                                                      \
    }

static const struct row chunked[] = {
    GOOD("0\r\n\r\n", "", 0, 0),
    GOOD("0\r\n\r\nGET / HTTP/1.1\r\n", "", 16, 0),
    GOOD("5\r\nhello\r\n0\r\n\r\n", "hello", 0, 0),
    GOOD("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nX", "hello world", 1, 0),
    GOOD("a\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0, 0),
    GOOD("A\r\n0123456789\r\n00\r\n\r\n", "0123456789", 0, 0),
    GOOD("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello", 0, 0),
    GOOD("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0, 0),
    GOOD("5;a\r\nhello\r\n0\r\n\r\n", "hello", 0, 0),
    GOOD("5;a=b\r\nhello\r\n0;c=d;e\r\n\r\n", "hello", 0, 0),
    GOOD("5;a=\"b;c\\\"\\\\ \t\303\251\";d=e\r\nhello\r\n0\r\n\r\n", "hello", 0, 0),
    GOOD("5;a=\"\"\r\nhello\r\n0\r\n\r\n", "hello", 0, 0),
    GOOD("0\r\nX-Sum: abc\r\n\r\nrest", "", 4, 1),
    GOOD("1\r\nx\r\n0\r\nA: b\r\nC:\r\nExpires: 0\r\n\r\n", "x", 0, 3),
    /* sizes */
    REFUSED("\r\nhello", "missing"),
    REFUSED(";a\r\nhello", "no hexadecimal"),
    REFUSED("0x1\r\nh", "followed by"),
    REFUSED("+1\r\nh", "no hexadecimal"),
    REFUSED("-1\r\nh", "no hexadecimal"),
    REFUSED("1_0\r\nh", "followed by"),
    REFUSED(" 1\r\nh", "no hexadecimal"),
    REFUSED("\t1\r\nh", "no hexadecimal"),
    REFUSED("1 \r\nh", "followed by"),
    REFUSED("1\t\r\nh", "followed by"),
    REFUSED("1 ;a\r\nh", "followed by"),
    REFUSED("1,\r\nh", "followed by"),
    REFUSED("1\000\r\nh", "followed by"),
    REFUSED("g\r\nh", "no hexadecimal"),
    REFUSED("1g\r\nh", "followed by"),
    REFUSED("\357\274\225\r\nh", "no hexadecimal"), /* fullwidth five */
    REFUSED("00000000000000005\r\nhello", "16 digits"),
    REFUSED("000000000000000000000000000000000000000000005\r\nhello", "16 digits"),
    REFUSED("10000000000000001\r\nh", "16 digits"),
    REFUSED("8000000000000000\r\nh", "2^63"),
    REFUSED("ffffffffffffffff\r\nh", "2^63"),
    REFUSED("5\nhello\r\n0\r\n\r\n", "LF alone"),
    REFUSED("5\rhello\r\n0\r\n\r\n", "CR without LF"),
    REFUSED("5\r\rhello", "CR without LF"),
    REFUSED("5\r\nhello\r\n\r\n", "missing"),
    REFUSED("5\r\nhello\r\n0\n\r\n", "LF alone"),
    REFUSED("5\r\nhello\r\n-0\r\n\r\n", "no hexadecimal"),
    /* data */
    REFUSED("5\r\nhello!\r\n0\r\n\r\n", "not as long"),
    REFUSED("5\r\nhell\r\n0\r\n\r\n", "not as long"),
    REFUSED("5\r\nhello0\r\n\r\n", "not as long"),
    REFUSED("5\r\nhello\n0\r\n\r\n", "not as long"),
    REFUSED("5\r\nhello\r0\r\n\r\n", "not as long"),
    REFUSED("5\r\nhello\rX0\r\n\r\n", "not as long"),
    REFUSED("5\r\nhello\r\r\n0\r\n\r\n", "not as long"),
    REFUSED("5\r\nhello\n\r0\r\n\r\n", "not as long"),
    /* extensions */
    REFUSED("5;\r\nhello", "extension is malformed"),
    REFUSED("5;;a\r\nhello", "extension is malformed"),
    REFUSED("5;a;\r\nhello", "extension is malformed"),
    REFUSED("5; a\r\nhello", "extension is malformed"),
    REFUSED("5;a \r\nhello", "extension is malformed"),
    REFUSED("5;a =b\r\nhello", "extension is malformed"),
    REFUSED("5;a= b\r\nhello", "extension is malformed"),
    REFUSED("5;a=\r\nhello", "extension is malformed"),
    REFUSED("5;=b\r\nhello", "extension is malformed"),
    REFUSED("5;a=b=c\r\nhello", "extension is malformed"),
    REFUSED("5;a=\"b\r\nhello", "extension is malformed"),
    REFUSED("5;a=\"b\r\n\"\r\nhello", "extension is malformed"),
    REFUSED("5;a=\"b\n\"\r\nhello", "extension is malformed"),
    REFUSED("5;a=\"b\\\r\n\"\r\nhello", "extension is malformed"),
    REFUSED("5;a=\"b\000\"\r\nhello", "extension is malformed"),
    REFUSED("5;a=\"b\"c\r\nhello", "extension is malformed"),
    REFUSED("5;a\nhello\r\n0\r\n\r\n", "extension is malformed"),
    REFUSED("5;a=b\nhello\r\n0\r\n\r\n", "extension is malformed"),
    REFUSED("5;a\rX\r\nhello", "CR without LF"),
    REFUSED("5;a\r\rhello", "CR without LF"),
    REFUSED("5;\000\r\nhello", "extension is malformed"),
    REFUSED("5;a\303\251\r\nhello", "extension is malformed"),
    /* the end */
    REFUSED("0\r\nX\r\n\r\n", "no colon"),
    REFUSED("0\r\n\n", "LF alone"),
    REFUSED("0\r\nA: b\n\r\n", "LF alone"),
    REFUSED("0\r\nA: b\r\n\n", "LF alone"),
    REFUSED("0\r\n\rX\r\n\r\n", "CR where"),
    REFUSED("0\r\nA: b\rc\r\n\r\n", "CR inside"),
    REFUSED("0\r\nA : b\r\n\r\n", "white space"),
    REFUSED("0\r\n A: b\r\n\r\n", "white space"),
    REFUSED("0\r\nA: b\r\n c\r\n\r\n", "white space"),
    REFUSED("0\r\n: b\r\n\r\n", "no name"),
    REFUSED("0\r\nA: \000\r\n\r\n", "control"),
    REFUSED("0\r\nContent-Length: 5\r\n\r\n", "trailer field"),
    REFUSED("0\r\ncontent_length: 5\r\n\r\n", "trailer field"),
    REFUSED("0\r\nTransfer-Encoding: chunked\r\n\r\n", "trailer field"),
    REFUSED("0\r\nHost: a\r\n\r\n", "trailer field"),
    REFUSED("0\r\nX: y\r\nAuthorization: x\r\n\r\n", "trailer field"),
    REFUSED("0\r\nProxy-Authorization: x\r\n\r\n", "trailer field"),
    REFUSED("0\r\nContent-Type: text/html\r\n\r\n", "trailer field"),
    REFUSED("0\r\nContent-Encoding: gzip\r\n\r\n", "trailer field"),
    REFUSED("0\r\nSet-Cookie: a=b\r\n\r\n", "trailer field"),
    REFUSED("0\r\nCookie: a=b\r\n\r\n", "trailer field"),
    REFUSED("0\r\nConnection: close\r\n\r\n", "trailer field"),
    REFUSED("0\r\nTrailer: x\r\n\r\n", "trailer field"),
    REFUSED("0\r\nTE: trailers\r\n\r\n", "trailer field"),
    REFUSED("0\r\nX-Forwarded-For: ::1\r\n\r\n", "trailer field"),
};

static struct outcome out;

static void check_chunked(const struct row *row, size_t step)
{
    struct h1_body body;

    h1_body_init(&body, HTTP_CHUNKED, 0);
    assert_false(h1_body_may_end_here(&body));
    read_body(&out, &body, row->input, step);
    if (!row->payload) {
        if (out.result != H1_BODY_BAD || !strstr(out.fault.what, row->words)) {
            fail_msg("chunked[%zu], step %zu: %s", (size_t)(row - chunked), step,
                     out.result == H1_BODY_BAD ? out.fault.what : "is not refused");
        }
        assert_int_equal(out.fault.status, 400);
        assert_false(h1_body_may_end_here(&body));
        return;
    }
    if (out.result != H1_BODY_DONE || out.used + row->left != row->input.len) {
        fail_msg("chunked[%zu], step %zu: result %d, used %zu: %s", (size_t)(row - chunked), step,
                 out.result, out.used, out.result == H1_BODY_BAD ? out.fault.what : "");
    }
    assert_int_equal(out.payload_len, strlen(row->payload));
    assert_memory_equal(out.payload, row->payload, out.payload_len);
    assert_int_equal(out.trailer_count, row->trailer_count);
    assert_true(h1_body_may_end_here(&body));
}

static void test_chunked_in_any_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(chunked); i++) {
        for (size_t step = 1; step <= chunked[i].input.len; step++) {
            check_chunked(&chunked[i], step);
        }
    }
}

/* Every true prefix of a good body wants more, and none may end there. */
static void test_chunked_cut_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(chunked); i++) {
        struct span input = chunked[i].input;
        for (size_t len = 0; chunked[i].payload && len < input.len - chunked[i].left; len++) {
            struct h1_body body;

            h1_body_init(&body, HTTP_CHUNKED, 0);
            read_body(&out, &body, span_sub(input, 0, len), len ? len : 1);
            assert_int_equal(out.result, H1_BODY_MORE);
            assert_false(h1_body_may_end_here(&body));
        }
    }
}

static void test_largest_chunk_size(void **state)
{
    struct h1_body body;
    struct http_fault fault;
    struct span payload;
    size_t consumed;

    (void)state;
    h1_body_init(&body, HTTP_CHUNKED, 0);
    assert_int_equal(
        h1_body_feed(&body, SPAN_LITERAL("7FFFffffFFFFffff\r\nx"), &consumed, &payload, &fault),
        H1_BODY_PAYLOAD);
    assert_int_equal(consumed, 19);
    assert_true(body.left == (uint64_t)INT64_MAX - 1);
}

/* `count` chunks of one byte, each with an extension of `len` bytes (the ';' among them). */
static enum h1_body_result feed_extensions(size_t count, size_t len, struct http_fault *fault)
{
    struct h1_body body;
    char extension[2000];
    enum h1_body_result result = H1_BODY_MORE;
    struct span payload;
    size_t consumed;

    memset(extension, 'e', sizeof(extension));
    memcpy(extension, "1;", 2);
    memcpy(extension + 1 + len, "\r\nx\r\n", 5);
    h1_body_init(&body, HTTP_CHUNKED, 0);
    for (size_t i = 0; i < count && result != H1_BODY_BAD; i++) {
        struct span input = span_make(extension, 1 + len + 5);
        do {
            result = h1_body_feed(&body, input, &consumed, &payload, fault);
            input = span_skip(input, consumed);
        } while (result == H1_BODY_PAYLOAD);
    }
    return result;
}

static void test_extension_limits_are_exact(void **state)
{
    struct http_fault fault;

    (void)state;
    assert_int_equal(feed_extensions(1, H1_CHUNK_EXTENSION_MAX, &fault), H1_BODY_MORE);
    assert_int_equal(feed_extensions(1, H1_CHUNK_EXTENSION_MAX + 1, &fault), H1_BODY_BAD);
    assert_non_null(strstr(fault.what, "256"));
    assert_int_equal(feed_extensions(H1_CHUNK_EXTENSIONS_TOTAL_MAX / 16, 16, &fault), H1_BODY_MORE);
    assert_int_equal(feed_extensions(H1_CHUNK_EXTENSIONS_TOTAL_MAX / 16 + 1, 16, &fault),
                     H1_BODY_BAD);
    assert_non_null(strstr(fault.what, "16 KiB"));
}

static void test_trailer_limits_are_exact(void **state)
{
    static uint8_t bytes[H1_TRAILER_BYTES_MAX + 100];
    struct http_head trailers;
    struct http_fault fault;

    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        struct h1_body body;
        struct span payload;
        size_t consumed;
        size_t len = H1_TRAILER_BYTES_MAX + (size_t)extra;

        memset(bytes, 'v', sizeof(bytes));
        memcpy(bytes, "A:", 2);
        memcpy(bytes + len - 4, "\r\n\r\n", 4);
        h1_body_init(&body, HTTP_CHUNKED, 0);
        body.is_response = true;
        assert_int_equal(h1_body_feed(&body, SPAN_LITERAL("0\r\n"), &consumed, &payload, &fault),
                         H1_BODY_TRAILERS);
        assert_int_equal(h1_body_trailers(&body, span_make(bytes, len), &trailers, &fault),
                         extra ? H1_BAD : H1_DONE);
        if (extra) {
            assert_string_equal(fault.error, "http_response_trailer_section_size");
        }
    }
    for (size_t count = HTTP_FIELDS_MAX; count <= HTTP_FIELDS_MAX + 1; count++) {
        struct h1_body body;
        struct span payload;
        size_t consumed;

        for (size_t i = 0; i < count; i++) {
            memcpy(bytes + i * 5, "a:b\r\n", 5);
        }
        memcpy(bytes + count * 5, "\r\n", 2);
        h1_body_init(&body, HTTP_CHUNKED, 0);
        assert_int_equal(h1_body_feed(&body, SPAN_LITERAL("0\r\n"), &consumed, &payload, &fault),
                         H1_BODY_TRAILERS);
        assert_int_equal(
            h1_body_trailers(&body, span_make(bytes, count * 5 + 2), &trailers, &fault),
            count > HTTP_FIELDS_MAX ? H1_BAD : H1_DONE);
    }
}

/* A peer that never ends its trailers is refused when the limit is reached, not later. */
static void test_endless_trailers(void **state)
{
    static uint8_t bytes[H1_TRAILER_BYTES_MAX + 100];
    struct http_head trailers;
    struct http_fault fault;
    struct h1_body body;
    struct span payload;
    size_t consumed;
    size_t len = 0;
    enum h1_result result = H1_MORE;

    (void)state;
    for (size_t i = 0; i + 5 < sizeof(bytes); i += 5) {
        memcpy(bytes + i, "a:b\r\n", 5);
    }
    h1_body_init(&body, HTTP_CHUNKED, 0);
    assert_int_equal(h1_body_feed(&body, SPAN_LITERAL("0\r\n"), &consumed, &payload, &fault),
                     H1_BODY_TRAILERS);
    while (result == H1_MORE && len < sizeof(bytes)) {
        result = h1_body_trailers(&body, span_make(bytes, ++len), &trailers, &fault);
    }
    assert_int_equal(result, H1_BAD);
    assert_true(len <= H1_TRAILER_BYTES_MAX + 1);
    assert_int_equal(h1_body_trailers(&body, span_make(bytes, len), &trailers, &fault), H1_BAD);
}

static void test_content_length(void **state)
{
    struct span input = SPAN_LITERAL("hello world");

    (void)state;
    for (size_t step = 1; step <= input.len; step++) {
        struct h1_body body;

        h1_body_init(&body, HTTP_LENGTH, 5);
        assert_false(h1_body_may_end_here(&body));
        read_body(&out, &body, input, step);
        assert_int_equal(out.result, H1_BODY_DONE);
        assert_int_equal(out.used, 5);
        assert_int_equal(out.payload_len, 5);
        assert_memory_equal(out.payload, "hello", 5);
        assert_true(h1_body_may_end_here(&body));
        h1_body_init(&body, HTTP_LENGTH, 12);
        read_body(&out, &body, input, step);
        assert_int_equal(out.result, H1_BODY_MORE);
        assert_false(h1_body_may_end_here(&body));
    }
}

static void test_no_body_and_until_close(void **state)
{
    static const enum http_framing empty[] = {HTTP_NO_BODY, HTTP_LENGTH};
    struct h1_body body;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(empty); i++) {
        h1_body_init(&body, empty[i], 0);
        assert_true(h1_body_may_end_here(&body));
        read_body(&out, &body, SPAN_LITERAL("GET"), 3);
        assert_int_equal(out.result, H1_BODY_DONE);
        assert_int_equal(out.used, 0);
    }
    h1_body_init(&body, HTTP_UNTIL_CLOSE, 0);
    assert_true(h1_body_may_end_here(&body));
    read_body(&out, &body, SPAN_LITERAL("all of it"), 2);
    assert_int_equal(out.result, H1_BODY_MORE);
    assert_int_equal(out.payload_len, 9);
    assert_true(h1_body_may_end_here(&body));
}

/* After a fault nothing is read any more. */
static void test_bad_stays_bad(void **state)
{
    struct h1_body body;
    struct http_fault fault;
    struct span payload;
    size_t consumed;

    (void)state;
    h1_body_init(&body, HTTP_CHUNKED, 0);
    assert_int_equal(h1_body_feed(&body, SPAN_LITERAL("x"), &consumed, &payload, &fault),
                     H1_BODY_BAD);
    assert_int_equal(h1_body_feed(&body, SPAN_LITERAL("0\r\n\r\n"), &consumed, &payload, &fault),
                     H1_BODY_BAD);
    assert_int_equal(consumed, 0);
    assert_false(h1_body_may_end_here(&body));
}

/* A fault is the side's whose body it is, in chunks and in trailers. */
static void test_faults_name_the_side(void **state)
{
    static const struct {
        const char *trailers;
        bool is_response;
    } rows[] = {{"x", false},
                {"x", true},
                {"A\r\n\r\n", false},
                {"A\r\n\r\n", true},
                {"\n", true},
                {"Host: a\r\n\r\n", false},
                {"Host: a\r\n\r\n", true}};
    struct http_head trailers;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct h1_body body;
        struct http_fault fault;
        struct span payload;
        size_t consumed;

        h1_body_init(&body, HTTP_CHUNKED, 0);
        body.is_response = rows[i].is_response;
        if (rows[i].trailers[0] == 'x') {
            assert_int_equal(h1_body_feed(&body, SPAN_LITERAL("x"), &consumed, &payload, &fault),
                             H1_BODY_BAD);
        } else {
            assert_int_equal(
                h1_body_feed(&body, SPAN_LITERAL("0\r\n"), &consumed, &payload, &fault),
                H1_BODY_TRAILERS);
            assert_int_equal(
                h1_body_trailers(&body, span_from_string(rows[i].trailers), &trailers, &fault),
                H1_BAD);
        }
        assert_int_equal(fault.status, rows[i].is_response ? 502 : 400);
        assert_string_equal(fault.error,
                            rows[i].is_response ? "http_protocol_error" : "http_request_error");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunked_in_any_split),
        cmocka_unit_test(test_chunked_cut_short),
        cmocka_unit_test(test_largest_chunk_size),
        cmocka_unit_test(test_extension_limits_are_exact),
        cmocka_unit_test(test_trailer_limits_are_exact),
        cmocka_unit_test(test_endless_trailers),
        cmocka_unit_test(test_content_length),
        cmocka_unit_test(test_no_body_and_until_close),
        cmocka_unit_test(test_bad_stays_bad),
        cmocka_unit_test(test_faults_name_the_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
