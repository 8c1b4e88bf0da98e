/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1.h"

#include "http/field.h"
#include "tests/unit/http/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct wire_case cases[] = {
#include "tests/unit/http/wire_cases.def"
};

/* A copy of exactly that size, so that a sanitizer sees a read past its end. */
static struct span copy_exactly(struct span bytes)
{
    uint8_t *copy = malloc(bytes.len ? bytes.len : 1);

    assert_non_null(copy);
    if (bytes.len) {
        memcpy(copy, bytes.data, bytes.len);
    }
    return span_make(copy, bytes.len);
}

static void drop(struct span copy)
{
    free((void *)copy.data);
}

static enum h1_result parse(struct http_head *head, struct span bytes, const char *method,
                            struct http_fault *fault)
{
    return method ? h1_parse_response(head, bytes, span_from_string(method), &wire_limits, fault)
                  : h1_parse_request(head, bytes, &wire_limits, fault);
}

/* Reads `step` more bytes at a time, each time from memory of that size. */
static enum h1_result scan_in_steps(struct span bytes, size_t step, bool is_request, size_t *end,
                                    struct http_fault *fault)
{
    struct h1_scan scan = {0, 0, 0};
    enum h1_result result = H1_MORE;

    for (size_t len = 0; result == H1_MORE && len < bytes.len;) {
        len = len + step > bytes.len ? bytes.len : len + step;
        struct span part = copy_exactly(span_sub(bytes, 0, len));
        result = h1_scan_head(&scan, part, is_request, &wire_limits, fault);
        drop(part);
    }
    *end = scan.offset;
    return result;
}

static enum h1_result read_head(struct http_head *head, struct h1_scan *scan, struct span bytes,
                                const char *method, struct http_fault *fault)
{
    return method
               ? h1_read_response(head, scan, bytes, span_from_string(method), &wire_limits, fault)
               : h1_read_request(head, scan, bytes, &wire_limits, fault);
}

/* The way in, with `step` more bytes at a time: DONE exactly where the head ends. */
static void check_read(const struct wire_case *row, size_t head_len, size_t step)
{
    struct h1_scan scan = {0, 0, 0};
    struct http_head head;
    struct http_fault fault;

    for (size_t len = step; len < head_len; len += step) {
        struct span part = copy_exactly(span_sub(row->bytes, 0, len));
        assert_int_equal(read_head(&head, &scan, part, row->method, &fault), H1_MORE);
        drop(part);
    }
    assert_int_equal(read_head(&head, &scan, row->bytes, row->method, &fault), H1_DONE);
    assert_int_equal(head.len, head_len);
}

static void check_accepted(const struct wire_case *row)
{
    struct http_head head;
    struct http_fault fault = {0, "", "", 0};
    struct span bytes = copy_exactly(row->bytes);
    size_t end = 0;

    if (parse(&head, bytes, row->method, &fault) != H1_DONE) {
        fail_msg("wire_cases.def:%d is refused: %s", row->line, fault.what);
    }
    if (head.framing != row->framing || head.content_length != row->content_length ||
        head.keep_alive != row->keep_alive) {
        fail_msg("wire_cases.def:%d: framing %d, length %llu, keep-alive %d", row->line,
                 head.framing, (unsigned long long)head.content_length, head.keep_alive);
    }
    for (size_t step = 1; step <= bytes.len;
         step = step == 1 ? 7 : bytes.len + (step == bytes.len)) {
        if (scan_in_steps(bytes, step, !row->method, &end, &fault) != H1_DONE || end != head.len) {
            fail_msg("wire_cases.def:%d: scanned to %zu, parsed to %zu, step %zu", row->line, end,
                     head.len, step);
        }
        check_read(row, head.len, step);
    }
    for (size_t len = 0; len < head.len; len++) {
        struct span cut = copy_exactly(span_sub(row->bytes, 0, len));
        assert_int_equal(parse(&head, cut, row->method, &fault), H1_BAD);
        assert_int_equal(parse(&head, bytes, row->method, &fault), H1_DONE);
        drop(cut);
    }
    drop(bytes);
}

static void check_fault(const struct wire_case *row, const struct http_fault *fault)
{
    const char *error = !row->method                            ? "http_request_error"
                        : strcmp(row->words, "not served") == 0 ? "http_response_transfer_coding"
                                                                : "http_protocol_error";

    if (fault->status != row->status || !strstr(fault->what, row->words)) {
        fail_msg("wire_cases.def:%d: %d %s", row->line, fault->status, fault->what);
    }
    assert_string_equal(fault->error, error);
    assert_true(fault->offset <= row->bytes.len);
}

static void check_refused(const struct wire_case *row)
{
    struct http_head head;
    struct http_fault fault = {0, "", "", 0};
    struct http_fault other = {0, "", "", 0};
    struct span bytes = copy_exactly(row->bytes);
    size_t end = 0;
    enum h1_result scanned = scan_in_steps(bytes, 1, !row->method, &end, &fault);

    if (scanned == H1_MORE || parse(&head, bytes, row->method, &other) != H1_BAD) {
        fail_msg("wire_cases.def:%d is not refused", row->line);
    }
    check_fault(row, scanned == H1_BAD ? &fault : &other);
    if (scanned == H1_BAD) { /* all at once: the same verdict */
        assert_int_equal(scan_in_steps(bytes, bytes.len, !row->method, &end, &other), H1_BAD);
        assert_int_equal(other.status, fault.status);
    }
    struct h1_scan scan = {0, 0, 0};
    struct http_fault first = {0, "", "", 0};
    assert_int_equal(read_head(&head, &scan, bytes, row->method, &first), H1_BAD);
    check_fault(row, &first);
    drop(bytes);
}

static void test_wire_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (cases[i].status) {
            check_refused(&cases[i]);
        } else {
            check_accepted(&cases[i]);
        }
    }
    assert_true(COUNT_OF(cases) >= 250);
}

static void test_head_is_views(void **state)
{
    static const char text[] = "\r\nPOST /a?b HTTP/1.1\r\nhOST: x.example \r\nContent-LENGTH:5\r\n"
                               "Empty: \r\n\r\nhello";
    struct span bytes = span_from_string(text);
    struct http_head head;
    struct http_fault fault;

    (void)state;
    assert_int_equal(h1_parse_request(&head, bytes, &wire_limits, &fault), H1_DONE);
    assert_true(span_equal(head.method, SPAN_LITERAL("POST")));
    assert_true(span_equal(head.target, SPAN_LITERAL("/a?b")));
    assert_true(head.target.data == bytes.data + 7);
    assert_true(span_equal(head.host, SPAN_LITERAL("x.example")));
    assert_int_equal(head.version, HTTP_VERSION_1_1);
    assert_int_equal(head.field_count, 3);
    assert_true(span_equal(head.fields[0].name, SPAN_LITERAL("hOST")));
    assert_true(head.fields[0].name.data == bytes.data + 22);
    assert_true(span_equal(head.fields[1].name, SPAN_LITERAL("Content-LENGTH")));
    assert_true(span_equal(head.fields[1].value, SPAN_LITERAL("5")));
    assert_int_equal(head.fields[2].value.len, 0);
    assert_int_equal(head.len, bytes.len - 5);
    assert_int_equal(head.status, 0);

    bytes = SPAN_LITERAL("HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n");
    assert_int_equal(h1_parse_response(&head, bytes, SPAN_LITERAL("GET"), &wire_limits, &fault),
                     H1_DONE);
    assert_int_equal(head.status, 404);
    assert_true(span_equal(head.reason, SPAN_LITERAL("Not Found")));
    assert_int_equal(head.version, HTTP_VERSION_1_0);
    assert_int_equal(head.field_count, 1);
    assert_int_equal(head.len, bytes.len);
    assert_int_equal(head.host.len, 0);
}

static void test_upgrade_and_expect(void **state)
{
    static const struct {
        struct span bytes;
        bool upgrade;
        bool expect;
    } rows[] = {
        {SPAN_LITERAL(GET("Connection: Upgrade\r\nUpgrade: websocket\r\n")), true, false},
        {SPAN_LITERAL(GET("Connection: keep-alive, upgrade\r\nUpgrade: x\r\n")), true, false},
        {SPAN_LITERAL(GET("Connection: upgrade\r\nUpgrade: h2c, y\r\n")), true, false},
        {SPAN_LITERAL(GET("Connection: upgrade\r\nUpgrade: H2C\r\n")), false, false},
        {SPAN_LITERAL(GET("Connection: upgrade\r\nUpgrade: ,\r\n")), false, false},
        {SPAN_LITERAL(GET("Upgrade: websocket\r\n")), false, false},
        {SPAN_LITERAL(GET("Connection: upgrade\r\n")), false, false},
        {SPAN_LITERAL(GET("Connection: upgrade\r\nUpgrade:\r\n")), false, false},
        {SPAN_LITERAL("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), false, false},
        {SPAN_LITERAL(POST("Expect: 100-CONTINUE\r\nContent-Length: 1\r\n")), false, true},
        {SPAN_LITERAL(POST("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n")), false, true},
        {SPAN_LITERAL(POST("Expect: 100-continue\r\nContent-Length: 0\r\n")), false, false},
        {SPAN_LITERAL(POST("Expect: 100-continue\r\n")), false, false},
        {SPAN_LITERAL("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"),
         false, false},
    };
    struct http_head head;
    struct http_fault fault;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(h1_parse_request(&head, rows[i].bytes, &wire_limits, &fault), H1_DONE);
        assert_int_equal(head.upgrade, rows[i].upgrade);
        assert_int_equal(head.expect_continue, rows[i].expect);
    }
}

/* A head made of a start line, and of `count` fields of `value_len` bytes each. */
static struct span make_head(const char *start_line, size_t count, size_t value_len)
{
    size_t len = strlen(start_line);
    uint8_t *bytes = malloc(len + count * (value_len + 5) + 2);
    size_t at = len;

    assert_non_null(bytes);
    memcpy(bytes, start_line, len);
    for (size_t i = 0; i < count; i++) {
        memcpy(bytes + at, "X: ", 3);
        memset(bytes + at + 3, 'v', value_len);
        memcpy(bytes + at + 3 + value_len, "\r\n", 2);
        at += value_len + 5;
    }
    memcpy(bytes + at, "\r\n", 2);
    return span_make(bytes, at + 2);
}

/* Both ways in must keep the limits: scan and parse are called with the same bytes. */
static uint16_t refused_with(struct span bytes, const struct h1_limits *limits, bool is_request)
{
    struct http_fault scan_fault = {0, NULL, NULL, 0};
    struct http_fault fault = {0, NULL, NULL, 0};
    struct h1_scan scan = {0, 0, 0};
    struct http_head head;
    bool scanned = h1_scan_head(&scan, bytes, is_request, limits, &scan_fault) == H1_BAD;
    bool parsed = (is_request ? h1_parse_request(&head, bytes, limits, &fault)
                              : h1_parse_response(&head, bytes, SPAN_LITERAL("GET"), limits,
                                                  &fault)) == H1_BAD;

    assert_true(parsed || !scanned);
    if (scanned) {
        assert_int_equal(scan_fault.status, fault.status);
    }
    if (parsed) {
        assert_string_equal(fault.error, is_request ? "http_request_error"
                                                    : "http_response_header_section_size");
    }
    drop(bytes);
    return parsed ? fault.status : 0;
}

static void test_limits_are_exact(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n";
    static const char response[] = "HTTP/1.1 200 OK\r\n";
    struct h1_limits limits = {1000, 100, 10};
    char line[200];

    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        uint16_t request_status = extra ? 431 : 0;
        uint16_t response_status = extra ? 502 : 0;
        size_t more = (size_t)extra;

        /* A field line of 100 bytes without its CR LF, and of 101. */
        assert_int_equal(refused_with(make_head(request, 1, 97 + more), &limits, true),
                         request_status);
        assert_int_equal(refused_with(make_head(response, 1, 97 + more), &limits, false),
                         response_status);
        /* 10 fields and 11; Host is one of a request's. */
        assert_int_equal(refused_with(make_head(request, 9 + more, 1), &limits, true),
                         request_status);
        assert_int_equal(refused_with(make_head(response, 10 + more, 1), &limits, false),
                         response_status);
        /* The request line. */
        snprintf(line, sizeof(line), "GET /%0*d HTTP/1.1\r\nHost: a\r\n", 100 - 14 + extra, 1);
        assert_int_equal(refused_with(make_head(line, 0, 0), &limits, true), extra ? 414 : 0);
        snprintf(line, sizeof(line), "HTTP/1.1 200 %0*d\r\n", 100 - 13 + extra, 1);
        assert_int_equal(refused_with(make_head(line, 0, 0), &limits, false), response_status);
    }
}

static void test_head_limit_is_exact(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n";
    struct h1_limits limits = {sizeof(request) - 1 + 5 * 55 + 2, 100, 10};

    (void)state;
    assert_int_equal(refused_with(make_head(request, 5, 50), &limits, true), 0);
    limits.head_bytes--;
    assert_int_equal(refused_with(make_head(request, 5, 50), &limits, true), 431);
}

/* Limits larger than the field table and than 16 bits are kept as far as they can be. */
static void test_large_limits(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n";
    const struct h1_limits limits = {1 << 20, 1 << 20, 10000};
    struct h1_limits smaller = limits;

    (void)state;
    assert_int_equal(refused_with(make_head(request, HTTP_FIELDS_MAX - 1, 1), &limits, true), 0);
    assert_int_equal(refused_with(make_head(request, HTTP_FIELDS_MAX, 1), &limits, true), 431);
    assert_int_equal(refused_with(make_head(request, 1, 200000), &limits, true), 0);
    smaller.line_bytes = 200000;
    assert_int_equal(refused_with(make_head(request, 1, 200000), &smaller, true), 431);
}

/* A peer that never ends a line, or never ends the head, is refused as soon as a limit is reached.
 */
static void test_scan_refuses_endless_heads(void **state)
{
    struct h1_limits limits = {1000, 100, 10};
    struct http_fault fault;
    uint8_t bytes[1200];

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct h1_scan scan = {0, 0, 0};
        size_t len = 0;
        enum h1_result result = H1_MORE;
        const char *start = kind == 0 ? "GET /" : kind == 3 ? "HTTP/1.1 200 " : "G / HTTP/1.1\r\n";

        memset(bytes, 'x', sizeof(bytes));
        memcpy(bytes, start, strlen(start));
        for (size_t i = 14; kind == 2 && i + 5 <= sizeof(bytes); i += 5) {
            memcpy(bytes + i, "a:b\r\n", 5);
        }
        while (result == H1_MORE && len < sizeof(bytes)) {
            result = h1_scan_head(&scan, span_make(bytes, ++len), kind != 3, &limits, &fault);
        }
        assert_int_equal(result, H1_BAD);
        assert_int_equal(fault.status, kind == 0 ? 414 : kind == 3 ? 502 : 431);
        assert_true(len <= (kind == 0 || kind == 3 ? 102 : kind == 1 ? 116 : 1001));
    }
}

static void test_find_and_tokens(void **state)
{
    struct span bytes =
        SPAN_LITERAL(GET("A: 1\r\nList: x, Y ,,z\r\na: 2\r\nlist: w\r\nListen: v\r\n"));
    struct http_head head;
    struct http_fault fault;
    const struct http_field *found;

    (void)state;
    assert_int_equal(h1_parse_request(&head, bytes, &wire_limits, &fault), H1_DONE);
    found = http_find_field(&head, SPAN_LITERAL("a"));
    assert_non_null(found);
    assert_true(span_equal(found->value, SPAN_LITERAL("1")));
    assert_null(http_find_field(&head, SPAN_LITERAL("b")));
    assert_true(http_has_token(&head, SPAN_LITERAL("LIST"), SPAN_LITERAL("x")));
    assert_true(http_has_token(&head, SPAN_LITERAL("List"), SPAN_LITERAL("y")));
    assert_true(http_has_token(&head, SPAN_LITERAL("List"), SPAN_LITERAL("W")));
    assert_false(http_has_token(&head, SPAN_LITERAL("List"), SPAN_LITERAL("v")));
    assert_false(http_has_token(&head, SPAN_LITERAL("List"), SPAN_LITERAL("")));
    assert_false(http_has_token(&head, SPAN_LITERAL("List"), SPAN_LITERAL("x, Y")));
}

/* The table of character classes against the alphabets as the RFCs spell them. */
static void test_character_classes(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool digit = c >= '0' && c <= '9';
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool hex = digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        bool visible = c > 0x20 && c < 0x7f;
        unsigned want = 0;

        want |= letter || digit || (c && strchr("!#$%&'*+-.^_`|~", c)) ? CHAR_TOKEN : 0;
        want |= digit ? CHAR_DIGIT : 0;
        want |= hex ? CHAR_HEX : 0;
        want |= visible && !strchr("\"<>#", c) ? CHAR_TARGET : 0;
        want |= letter || digit || c == '-' || c == '_' ? CHAR_NAME : 0;
        want |= c == '\t' || (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) ? CHAR_QUOTED : 0;
        assert_int_equal(field_char_classes[c], want);
    }
}

/* A control character is found wherever it stands among words of eight bytes. */
static void test_control_characters_anywhere(void **state)
{
    struct http_head head;
    struct http_fault fault;

    (void)state;
    for (size_t at = 0; at < 40; at++) {
        for (int c = 0; c < 256; c++) {
            char text[80] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
            size_t begin = strlen(text);
            bool good = (c >= 0x20 && c != 0x7f) || c == '\t';

            memset(text + begin, c % 2 ? 0xfe : 'v', 40);
            text[begin + at] = (char)c;
            memcpy(text + begin + 40, "\r\n\r\n", 4);
            assert_int_equal(
                h1_parse_request(&head, span_make(text, begin + 44), &wire_limits, &fault),
                good ? H1_DONE : H1_BAD);
        }
    }
}

/* llhttp is asked, and heard: a head that it reads otherwise is not confirmed. */
static void test_second_reading(void **state)
{
    struct span bytes = SPAN_LITERAL("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n");
    struct span section = span_skip(bytes, 16);
    struct http_head head;
    struct http_head changed;
    struct http_fault fault;

    (void)state;
    assert_int_equal(h1_parse_request(&head, bytes, &wire_limits, &fault), H1_DONE);
    assert_true(field_section_confirm(&head, section));
    changed = head;
    changed.field_count = 1;
    assert_false(field_section_confirm(&changed, section));
    changed = head;
    changed.fields[1].value.len = 0;
    assert_false(field_section_confirm(&changed, section));
    changed = head;
    changed.fields[0].name.len--;
    assert_false(field_section_confirm(&changed, section));
    changed = head;
    changed.fields[changed.field_count++] = head.fields[1];
    assert_false(field_section_confirm(&changed, section));
    assert_false(field_section_confirm(&head, span_sub(section, 0, section.len - 1)));
    assert_false(field_section_confirm(&head, span_sub(bytes, 16, section.len - 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_cases),
        cmocka_unit_test(test_head_is_views),
        cmocka_unit_test(test_upgrade_and_expect),
        cmocka_unit_test(test_limits_are_exact),
        cmocka_unit_test(test_head_limit_is_exact),
        cmocka_unit_test(test_large_limits),
        cmocka_unit_test(test_scan_refuses_endless_heads),
        cmocka_unit_test(test_find_and_tokens),
        cmocka_unit_test(test_character_classes),
        cmocka_unit_test(test_control_characters_anywhere),
        cmocka_unit_test(test_second_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
