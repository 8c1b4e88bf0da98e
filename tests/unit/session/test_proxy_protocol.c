/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each header is parsed from an exact copy of each of its prefixes, so that a sanitizer sees a read
 * past the end: MORE up to one length, from there on one answer.
 */
#include "core/session/proxy_protocol.h"

#include "core/base/assert.h"
#include "core/base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static struct proxy_header header; /* of the last parse; its spans are of `kept` */
static struct proxy_header_fault fault;
static uint8_t kept[PROXY_HEADER_BYTES_MAX + 64];

static enum proxy_header_result parse_copy(struct span bytes)
{
    uint8_t *copy = malloc(bytes.len ? bytes.len : 1);
    enum proxy_header_result result;

    assert_non_null(copy);
    if (bytes.len) {
        memcpy(copy, bytes.data, bytes.len);
    }
    result = proxy_header_parse(span_make(copy, bytes.len), &header, &fault);
    free(copy);
    return result;
}

/* The answer, and the number of bytes that it comes with. */
static enum proxy_header_result parse(struct span bytes, size_t *said_at)
{
    enum proxy_header_result said = PROXY_HEADER_MORE;
    struct proxy_header_fault first = {NULL, 0};
    size_t len = 0;

    assert_true(bytes.len <= sizeof(kept));
    memcpy(kept, bytes.data, bytes.len);
    *said_at = 0;
    for (size_t end = 0; end <= bytes.len; end++) {
        enum proxy_header_result result = parse_copy(span_sub(bytes, 0, end));

        if (said == PROXY_HEADER_MORE) {
            said = result;
            first = fault;
            len = header.len;
            *said_at = end;
        } else {
            assert_int_equal(result, said);
            assert_true(said != PROXY_HEADER_DONE || header.len == len);
            if (said == PROXY_HEADER_BAD) {
                assert_ptr_equal(fault.what, first.what);
                assert_int_equal(fault.offset, first.offset);
            }
        }
        if (result == PROXY_HEADER_BAD) {
            assert_true(fault.offset < PROXY_HEADER_BYTES_MAX);
        }
    }
    assert_int_equal(proxy_header_parse(span_make(kept, bytes.len), &header, &fault), said);
    return said;
}

static void parse_good(struct span bytes)
{
    size_t said_at;
    enum proxy_header_result result = parse(bytes, &said_at);

    if (result == PROXY_HEADER_BAD) {
        fail_msg("%s at %zu", fault.what, fault.offset);
    }
    assert_int_equal(result, PROXY_HEADER_DONE);
    assert_int_equal(header.len, said_at);
}

static void parse_bad(struct span bytes, size_t expected_said_at, size_t offset)
{
    size_t said_at;
    enum proxy_header_result result = parse(bytes, &said_at);

    if (result != PROXY_HEADER_BAD || said_at != expected_said_at || fault.offset != offset) {
        fail_msg("%.*s: answer %d with %zu bytes (%zu), fault at %zu (%zu)",
                 SPAN_PRINTF(span_sub(bytes, 0, span_find(bytes, '\r'))), result, said_at,
                 expected_said_at, fault.offset, offset);
    }
    assert_non_null(fault.what);
}

static void assert_addresses(const char *from, const char *to)
{
    char text[ADDRESS_TEXT_MAX];

    assert_true(header.has_addresses);
    address_format(&header.from, text);
    assert_string_equal(text, from);
    address_format(&header.to, text);
    assert_string_equal(text, to);
}

static void assert_span(struct span view, const char *text)
{
    assert_non_null(view.data);
    assert_true(span_equal(view, span_from_string(text)));
}

/* ---- Version 1 ---- */

static void lines_that_are_right(void **state)
{
    (void)state;
    parse_good(SPAN_LITERAL("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET / HTTP/1.1\r\n"));
    assert_int_equal(header.len, 45);
    assert_int_equal(header.version, 1);
    assert_false(header.is_local);
    assert_false(header.has_crc32c);
    assert_null(header.authority.data);
    assert_addresses("192.0.2.1:56324", "198.51.100.7:443");

    parse_good(SPAN_LITERAL("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"));
    assert_addresses("0.0.0.0:0", "255.255.255.255:65535");
    parse_good(SPAN_LITERAL("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"));
    assert_int_equal(header.len, 56);

    parse_good(SPAN_LITERAL("PROXY TCP6 2001:db8::1 2001:DB8:0:0:0:0:0:2 1 2\r\n"));
    assert_addresses("[2001:db8::1]:1", "[2001:db8::2]:2");
    parse_good(SPAN_LITERAL("PROXY TCP6 a:f:A:F::09 af:AF::90 1 2\r\n"));
    assert_addresses("[a:f:a:f::9]:1", "[af:af::90]:2");
    parse_good(SPAN_LITERAL("PROXY TCP6 :: ::1 0 0\r\n"));
    assert_addresses("[::]:0", "[::1]:0");
    parse_good(SPAN_LITERAL("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"));
    assert_int_equal(header.len, 104);
    parse_good(SPAN_LITERAL("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 5 6\r\n"));
    assert_int_equal(header.from.u.any.sa_family, AF_INET6);
    assert_addresses("192.0.2.1:5", "[2001:db8::1]:6");
}

static void unknown_is_followed_by_anything(void **state)
{
    static const struct span lines[] = {
        SPAN_LITERAL("PROXY UNKNOWN\r\n"),
        SPAN_LITERAL("PROXY UNKNOWN \r\n"),
        SPAN_LITERAL("PROXY UNKNOWN ffff:: ffff:: 65535 65535\r\nmore"),
        SPAN_LITERAL("PROXY UNKNOWN \0\xff\x80 TCP4\r\n"),
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        parse_good(lines[i]);
        assert_int_equal(header.version, 1);
        assert_false(header.has_addresses);
        assert_false(header.is_local);
    }
}

/* 107 bytes with CR and LF, and one more. */
static void a_line_has_its_bound(void **state)
{
    uint8_t line[120];

    (void)state;
    memset(line, 'x', sizeof(line));
    memcpy(line, "PROXY UNKNOWN ", 14);
    memcpy(line + 105, "\r\n", 2);
    parse_good(span_make(line, sizeof(line)));
    assert_int_equal(header.len, PROXY_HEADER_V1_BYTES_MAX);
    memcpy(line + 105, "x\r\n", 3);
    parse_bad(span_make(line, sizeof(line)), 106, 105);
}

/* Of each line: with how many bytes it is refused, and where. */
static void lines_that_are_wrong(void **state)
{
    static const struct {
        struct span line;
        size_t said_at;
        size_t offset;
    } rows[] = {
        {SPAN_LITERAL("GET / HTTP/1.1\r\n"), 1, 0},
        {SPAN_LITERAL("\0"), 1, 0},
        {SPAN_LITERAL("POST / HTTP/1.1\r\n"), 2, 1},
        {SPAN_LITERAL("PROXYTCP4 1.2.3.4 1.2.3.4 1 2\r\n"), 6, 5},
        {SPAN_LITERAL("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n"), 7, 6},
        {SPAN_LITERAL("PROXY\tTCP4 1.2.3.4 1.2.3.4 1 2\r\n"), 6, 5},
        {SPAN_LITERAL("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n"), 1, 0},
        {SPAN_LITERAL("PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n"), 7, 6},
        {SPAN_LITERAL("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n"), 10, 9},
        {SPAN_LITERAL("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"), 8, 7},
        {SPAN_LITERAL("PROXY TCP4\r\n"), 11, 10},
        {SPAN_LITERAL("PROXY \r\n"), 7, 6},
        {SPAN_LITERAL("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n"), 12, 11},
        {SPAN_LITERAL("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n"), 17, 11},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n"), 20, 11},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n"), 21, 11},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4.5 1.2.3.4 1 2\r\n"), 21, 11},
        {SPAN_LITERAL("PROXY TCP4 0x1.2.3.4 1.2.3.4 1 2\r\n"), 13, 12},
        {SPAN_LITERAL("PROXY TCP4 ::1 ::1 1 2\r\n"), 12, 11},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n"), 20, 19},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4\t1.2.3.4 1 2\r\n"), 19, 18},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4\r\n"), 19, 18},
        {SPAN_LITERAL("PROXY TCP4 111.111.111.1111 1.2.3.4 1 2\r\n"), 27, 26},
        {SPAN_LITERAL("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n"), 19, 11},
        {SPAN_LITERAL("PROXY TCP6 ::1::2 ::1 1 2\r\n"), 18, 11},
        {SPAN_LITERAL("PROXY TCP6 fe80::1%1 ::1 1 2\r\n"), 19, 18},
        {SPAN_LITERAL("PROXY TCP6 [::1] ::1 1 2\r\n"), 12, 11},
        {SPAN_LITERAL("PROXY TCP6 ::g ::1 1 2\r\n"), 14, 13},
        {SPAN_LITERAL("PROXY TCP6 0000:0000:0000:0000:0000:0000:0000:00000 ::1 1 2\r\n"), 51, 50},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4  1 2\r\n"), 28, 27},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n"), 29, 28},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4 00 2\r\n"), 29, 28},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n"), 28, 27},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n"), 28, 27},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n"), 32, 31},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4 99999999999 2\r\n"), 32, 31},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"), 29, 28},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4 1  2\r\n"), 30, 29},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n"), 31, 30},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"), 31, 30},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n"), 32, 31},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX"), 32, 31},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n"), 30, 29},
        {SPAN_LITERAL("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"), 31, 30},
        {SPAN_LITERAL("PROXY UNKNOWNX\r\n"), 14, 13},
        {SPAN_LITERAL("PROXY UNKNOWN\n"), 14, 13},
        {SPAN_LITERAL("PROXY UNKNOWN \n"), 15, 14},
        {SPAN_LITERAL("PROXY UNKNOWN\rX"), 15, 14},
        {SPAN_LITERAL("PROXY UNKNOWN x\r\r\n"), 17, 16},
        {SPAN_LITERAL("PROXY UNKNOWS\r\n"), 13, 12},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        parse_bad(rows[i].line, rows[i].said_at, rows[i].offset);
    }
}

/* ---- Version 2 ---- */

#define INET                                                                                       \
    "\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb" /* 192.0.2.1:56324, 198.51.100.7:443 */
#define INET6                                                                                      \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                                                   \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x00\x05\x00\x06"

static uint8_t built[PROXY_HEADER_BYTES_MAX + 64];

/* A header of version 2 with its length filled in. */
static struct span build(uint8_t command, uint8_t family, struct span block)
{
    struct text text = text_make(built, sizeof(built));

    text_bytes(&text, SPAN_LITERAL(SIGNATURE));
    text_char(&text, (char)command);
    text_char(&text, (char)family);
    text_char(&text, (char)(block.len >> 8));
    text_char(&text, (char)block.len);
    text_bytes(&text, block);
    assert_false(text.overflow);
    return text_view(&text);
}

#define BUILD(command, family, block) build(command, family, SPAN_LITERAL(block))

static void binary_headers_that_are_right(void **state)
{
    (void)state;
    parse_good(BUILD(0x21, 0x11, INET));
    assert_int_equal(header.len, 28);
    assert_int_equal(header.version, 2);
    assert_false(header.is_local);
    assert_addresses("192.0.2.1:56324", "198.51.100.7:443");

    parse_good(BUILD(0x21, 0x21, INET6));
    assert_int_equal(header.len, 52);
    assert_addresses("[2001:db8::1]:5", "[2001:db8::2]:6");
    assert_false(header.ssl.present);
    assert_false(header.has_crc32c);
}

/* Bytes of the client behind the header are not looked at. */
static void what_follows_is_the_clients(void **state)
{
    (void)state;
    parse_good(SPAN_LITERAL(SIGNATURE "\x21\x11\0\x0c" INET "\xff\xff\xff\xff"));
    assert_int_equal(header.len, 28);
}

static void a_local_header_says_nothing(void **state)
{
    (void)state;
    parse_good(BUILD(0x20, 0x00, ""));
    assert_int_equal(header.len, 16);
    assert_true(header.is_local);
    assert_false(header.has_addresses);
    /* Its family is ignored, and its block skipped (2.2). */
    parse_good(BUILD(0x20, 0xff, "\xff\xff\xff\xff"));
    assert_int_equal(header.len, 20);
    assert_false(header.has_addresses);
    parse_good(BUILD(0x20, 0x11, INET));
    assert_false(header.has_addresses);
}

static void other_families_leave_the_connections_own_addresses(void **state)
{
    static uint8_t paths[2 * 108 + 6];

    (void)state;
    parse_good(BUILD(0x21, 0x00, ""));
    assert_false(header.is_local);
    assert_false(header.has_addresses);
    parse_good(BUILD(0x21, 0x00, "\xff\xff"));
    parse_good(BUILD(0x21, 0x01, "\xff\xff"));
    parse_good(BUILD(0x21, 0x10, "\xff\xff"));
    assert_false(header.has_addresses);
    memcpy(paths + 216,
           "\x02\0\x03"
           "abc",
           6);
    parse_good(build(0x21, 0x31, span_make(paths, sizeof(paths))));
    assert_false(header.has_addresses);
    assert_span(header.authority, "abc");
    parse_bad(build(0x21, 0x31, span_make(paths, 215)), 16, 14);
}

static void binary_starts_that_are_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < 12; i++) {
        struct span good = BUILD(0x21, 0x11, INET);

        built[i] ^= 0x80;
        parse_bad(good, i + 1, i);
    }
    parse_bad(BUILD(0x11, 0x11, INET), 13, 12);
    parse_bad(BUILD(0x31, 0x11, INET), 13, 12);
    parse_bad(BUILD(0x22, 0x11, INET), 13, 12);
    parse_bad(BUILD(0x2f, 0x11, INET), 13, 12);
    parse_bad(BUILD(0x21, 0x41, INET), 14, 13);
    parse_bad(BUILD(0x21, 0xf1, INET), 14, 13);
    parse_bad(BUILD(0x21, 0x13, INET), 14, 13);
    parse_bad(BUILD(0x21, 0x12, INET), 14, 13); /* DGRAM */
    parse_bad(BUILD(0x21, 0x22, INET6), 14, 13);
    parse_bad(BUILD(0x21, 0x32, ""), 14, 13);
    parse_bad(BUILD(0x21, 0x11, ""), 16, 14);
    parse_bad(BUILD(0x21, 0x11, "\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01"), 16, 14);
    parse_bad(BUILD(0x21, 0x21, INET), 16, 14);
}

static void a_binary_header_has_its_bound(void **state)
{
    static uint8_t block[PROXY_HEADER_V2_LENGTH_MAX];
    size_t said_at;

    (void)state;
    /* One NOOP that fills it. */
    memcpy(block, INET, 12);
    block[12] = 0x04;
    block[13] = (uint8_t)((sizeof(block) - 15) >> 8);
    block[14] = (uint8_t)(sizeof(block) - 15);
    parse_good(build(0x21, 0x11, span_make(block, sizeof(block))));
    assert_int_equal(header.len, PROXY_HEADER_BYTES_MAX);
    /* NOOPs as small as they get. */
    memset(block + 12, 0, sizeof(block) - 12);
    for (size_t i = 12; i + 3 <= sizeof(block); i += 3) {
        block[i] = 0x04;
    }
    assert_int_equal(parse(build(0x21, 0x11, span_make(block, sizeof(block) - 1)), &said_at),
                     PROXY_HEADER_DONE);
    parse_bad(SPAN_LITERAL(SIGNATURE "\x21\x11\x10\x01"), 16, 14);
    parse_bad(SPAN_LITERAL(SIGNATURE "\x21\x11\x11"), 15, 14);
    parse_bad(SPAN_LITERAL(SIGNATURE "\x20\x00\xff\xff"), 15, 14);
}

static void tlvs_are_views(void **state)
{
    (void)state;
    parse_good(BUILD(0x21, 0x11,
                     INET "\x01\0\x02h2"
                          "\x02\0\x0b"
                          "example.com"
                          "\x04\0\x02\0\0"
                          "\x05\0\x04\0\xff\x80 "
                          "\x04\0\0"
                          "\xee\0\x01x"
                          "\xee\0\x01y"
                          "\x30\0\x04"
                          "blue"));
    assert_addresses("192.0.2.1:56324", "198.51.100.7:443");
    assert_span(header.alpn, "h2");
    assert_span(header.authority, "example.com");
    assert_true(span_equal(header.unique_id, SPAN_LITERAL("\0\xff\x80 ")));
    assert_span(header.netns, "blue");
    assert_false(header.ssl.present);
    assert_ptr_equal(header.alpn.data, kept + 16 + 12 + 3);

    parse_good(BUILD(0x21, 0x11, INET "\x40\0\0\x40\0\0\xff\0\0\xff\0\0")); /* not known here */
    parse_good(BUILD(0x21, 0x21, INET6 "\x02\0\0\x05\0\0"));
    assert_non_null(header.unique_id.data);
    assert_int_equal(header.unique_id.len, 0);
    assert_non_null(header.authority.data);
    assert_int_equal(header.authority.len, 0);
    assert_null(header.alpn.data);
}

static void the_ssl_tlv_has_its_own(void **state)
{
    (void)state;
    parse_good(BUILD(0x21, 0x11,
                     INET "\x20\0\x36\x07\x00\x00\x01\x02"
                          "\x21\0\x07TLSv1.3"
                          "\x22\0\x03"
                          "bob"
                          "\x23\0\x0a"
                          "ECDHE-AES1"
                          "\x2f\0\x00"
                          "\x24\0\x06SHA256"
                          "\x25\0\x05"
                          "EC256"
                          "\x02\0\x01"
                          "a"));
    assert_true(header.ssl.present);
    assert_int_equal(header.ssl.client, PROXY_HEADER_CLIENT_SSL | PROXY_HEADER_CLIENT_CERT_CONN |
                                            PROXY_HEADER_CLIENT_CERT_SESS);
    assert_int_equal(header.ssl.verify, 0x102);
    assert_span(header.ssl.version, "TLSv1.3");
    assert_span(header.ssl.common_name, "bob");
    assert_span(header.ssl.cipher, "ECDHE-AES1");
    assert_span(header.ssl.signature_algorithm, "SHA256");
    assert_span(header.ssl.key_algorithm, "EC256");
    assert_span(header.authority, "a");

    parse_good(BUILD(0x21, 0x11, INET "\x20\0\x05\x01\xff\xff\xff\xff"));
    assert_true(header.ssl.present);
    assert_int_equal(header.ssl.client, PROXY_HEADER_CLIENT_SSL);
    assert_int_equal(header.ssl.verify, 0xffffffff);
    assert_null(header.ssl.version.data);
    /* Types of one level mean nothing on the other. */
    parse_good(BUILD(0x21, 0x11,
                     INET "\x21\0\x01x\x21\0\x01x"
                          "\x20\0\x10\0\0\0\0\0\x02\0\x01x\x02\0\x01x\x03\0\0"));
    assert_null(header.authority.data);
    assert_null(header.ssl.version.data);
}

static void tlvs_that_are_wrong(void **state)
{
    (void)state;
    /* Its start does not fit: known with the length before. */
    parse_bad(BUILD(0x21, 0x11, INET "\x02"), 16, 28);
    parse_bad(BUILD(0x21, 0x11, INET "\x02\0"), 16, 28);
    parse_bad(BUILD(0x21, 0x11, INET "\x04\0\x01x\x04\0"), 31, 32);
    /* Its value does not fit. */
    parse_bad(BUILD(0x21, 0x11, INET "\x02\0\x01"), 31, 29);
    parse_bad(BUILD(0x21, 0x11, INET "\x02\0\x03xx"), 31, 29);
    parse_bad(BUILD(0x21, 0x11, INET "\x02\x01\x00xx"), 30, 29);
    parse_bad(BUILD(0x21, 0x11, INET "\xee\xff\xff"), 30, 29);
    parse_bad(BUILD(0x21, 0x11, INET "\x04\0\x00\x04\0\x02y"), 34, 32);
    /* Lengths of their own. */
    parse_bad(BUILD(0x21, 0x11, INET "\x03\0\x03xxx"), 31, 29);
    parse_bad(BUILD(0x21, 0x11, INET "\x03\0\x05xxxxx"), 31, 29);
    parse_bad(BUILD(0x21, 0x11, INET "\x20\0\x04xxxx"), 31, 29);
    /* Twice. */
    parse_bad(BUILD(0x21, 0x11, INET "\x01\0\x01x\x01\0\x01x"), 33, 32);
    parse_bad(BUILD(0x21, 0x11, INET "\x02\0\x01x\x02\0\x01x"), 33, 32);
    parse_bad(BUILD(0x21, 0x11, INET "\x03\0\x04xxxx\x03\0\x04xxxx"), 36, 35);
    parse_bad(BUILD(0x21, 0x11, INET "\x05\0\x01x\x05\0\x01x"), 33, 32);
    parse_bad(BUILD(0x21, 0x11, INET "\x30\0\x01x\x30\0\x01x"), 33, 32);
    parse_bad(BUILD(0x21, 0x11, INET "\x20\0\x05xxxxx\x20\0\x05xxxxx"), 37, 36);
    parse_bad(BUILD(0x21, 0x11, INET "\x20\0\x0dxxxxx\x21\0\x01x\x21\0\x01x"), 41, 40);
    /* Within SSL: past its end, though not past the header's. */
    parse_bad(BUILD(0x21, 0x11, INET "\x20\0\x06xxxxx\x21\0\0"), 36, 36);
    parse_bad(BUILD(0x21, 0x11, INET "\x20\0\x08xxxxx\x21\0\x01x"), 39, 37);
    parse_bad(BUILD(0x21, 0x11, INET "\x20\0\x09xxxxx\x21\0\x02xyz"), 39, 37);
}

static void a_unique_id_has_its_bound(void **state)
{
    uint8_t block[12 + 3 + PROXY_HEADER_UNIQUE_ID_MAX + 1] = INET;

    (void)state;
    block[12] = 0x05;
    block[14] = PROXY_HEADER_UNIQUE_ID_MAX;
    parse_good(build(0x21, 0x11, span_make(block, sizeof(block) - 1)));
    assert_int_equal(header.unique_id.len, PROXY_HEADER_UNIQUE_ID_MAX);
    block[14] = PROXY_HEADER_UNIQUE_ID_MAX + 1;
    parse_bad(build(0x21, 0x11, span_make(block, sizeof(block))), 31, 29);
}

/* ---- The checksum ---- */

/* Puts the right one into the four bytes at `at` of what was built last. */
static void put_checksum(struct span bytes, size_t at)
{
    memset(built + at, 0, 4);
    uint32_t crc = crc32c_extend(0, bytes);
    for (size_t i = 0; i < 4; i++) {
        built[at + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
}

static void a_checksum_is_checked(void **state)
{
    struct span bytes =
        BUILD(0x21, 0x11, INET "\x02\0\x01x\x03\0\x04\0\0\0\0\x05\0\x01y\x04\0\x01z");

    (void)state;
    put_checksum(bytes, 35);
    parse_good(bytes);
    assert_true(header.has_crc32c);
    assert_span(header.authority, "x");
    assert_span(header.unique_id, "y");
    /* Any bit of what is summed. */
    for (size_t i = 16; i < bytes.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            built[i] ^= (uint8_t)(1 << bit);
            /* Without the TLV there is nothing to check. */
            assert_false(parse_copy(bytes) == PROXY_HEADER_DONE && header.has_crc32c);
            built[i] ^= (uint8_t)(1 << bit);
        }
    }
    built[27] ^= 1;
    parse_bad(bytes, bytes.len, 35);
}

/* Computed by another program, bit by bit. */
static void a_checksum_of_somebody_else(void **state)
{
    (void)state;
    parse_good(SPAN_LITERAL(SIGNATURE "\x21\x11\x00\x13" INET "\x03\x00\x04"
                                      "\xd4\x5a\x11\xb9"));
    assert_true(header.has_crc32c);
}

/* ---- Writing ---- */

static uint8_t written[PROXY_HEADER_WRITE_MAX];

static struct address address_of(const char *ip, uint16_t port)
{
    struct address address = {.len = 0};

    assert_true(ip[0] == '\0' || address_parse_ip(&address, span_from_string(ip), port));
    return address;
}

static struct span write_v1(const char *from, const char *to)
{
    struct text out = text_make(written, sizeof(written));
    struct address source = address_of(from, 56324);
    struct address destination = address_of(to, 443);

    proxy_header_write_v1(&out, &source, &destination);
    assert_false(out.overflow);
    return text_view(&out);
}

static struct span write_v2(const char *from, const char *to,
                            const struct proxy_header_options *options)
{
    struct text out = text_make(written, sizeof(written));
    struct address source = address_of(from, 56324);
    struct address destination = address_of(to, 443);

    proxy_header_write_v2(&out, &source, &destination, options);
    assert_false(out.overflow);
    return text_view(&out);
}

static void lines_are_written(void **state)
{
    (void)state;
    assert_span(write_v1("192.0.2.1", "198.51.100.7"),
                "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n");
    assert_span(write_v1("2001:db8::1", "::1"), "PROXY TCP6 2001:db8::1 ::1 56324 443\r\n");
    assert_span(write_v1("192.0.2.1", "2001:db8::2"),
                "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 56324 443\r\n");
    assert_span(write_v1("2001:db8::2", "192.0.2.1"),
                "PROXY TCP6 2001:db8::2 ::ffff:192.0.2.1 56324 443\r\n");
    assert_span(write_v1("", "192.0.2.1"), "PROXY UNKNOWN\r\n");
    assert_span(write_v1("192.0.2.1", ""), "PROXY UNKNOWN\r\n");
}

static void binary_headers_are_written(void **state)
{
    const struct proxy_header_options none = {.add_crc32c = false};
    const struct proxy_header_options local = {.authority = SPAN_LITERAL("x"), .add_crc32c = true};

    (void)state;
    assert_true(span_equal(write_v2("192.0.2.1", "198.51.100.7", &none),
                           SPAN_LITERAL(SIGNATURE "\x21\x11\0\x0c" INET)));
    assert_true(span_equal(write_v2("192.0.2.1", "2001:db8::2", &none),
                           SPAN_LITERAL(SIGNATURE "\x21\x21\0\x24"
                                                  "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01"
                                                  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
                                                  "\xdc\x04\x01\xbb")));
    assert_true(
        span_equal(write_v2("", "192.0.2.1", &local), SPAN_LITERAL(SIGNATURE "\x20\0\0\0")));
}

/* Every combination of options and families is read back as it was written. */
static void what_is_written_is_read_back(void **state)
{
    static const char *const ips[] = {"192.0.2.1", "2001:db8::1"};
    static uint8_t id[PROXY_HEADER_UNIQUE_ID_MAX];
    static char name[PROXY_HEADER_OPTION_MAX + 1];

    (void)state;
    memset(name, 'n', PROXY_HEADER_OPTION_MAX);
    for (unsigned i = 0; i < 64; i++) {
        struct proxy_header_options options = {.add_crc32c = i & 1};
        options.alpn = i & 2 ? SPAN_LITERAL("http/1.1") : options.alpn;
        options.authority = i & 4 ? span_from_string(name) : options.authority;
        options.unique_id = i & 8 ? span_make(id, sizeof(id)) : options.unique_id;

        parse_good(write_v2(ips[i >> 4 & 1], ips[i >> 5 & 1], &options));
        assert_int_equal(header.has_crc32c, options.add_crc32c);
        assert_true(span_equal(header.alpn, options.alpn));
        assert_true(span_equal(header.authority, options.authority));
        assert_true(span_equal(header.unique_id, options.unique_id));
        assert_int_equal(address_port(&header.from), 56324);
        assert_addresses(i >> 4 & 1 ? "[2001:db8::1]:56324" : "192.0.2.1:56324",
                         i >> 5 & 1 ? "[2001:db8::1]:443" : "192.0.2.1:443");

        parse_good(write_v1(ips[i >> 4 & 1], ips[i >> 5 & 1]));
        assert_addresses(i >> 4 & 1 ? "[2001:db8::1]:56324" : "192.0.2.1:56324",
                         i >> 5 & 1 ? "[2001:db8::1]:443" : "192.0.2.1:443");
    }
}

/* The named room is enough for the longest, and is no more than that. */
static void the_longest_fills_the_room(void **state)
{
    static char name[PROXY_HEADER_OPTION_MAX + 1];
    struct proxy_header_options options = {.add_crc32c = true};

    (void)state;
    memset(name, 'n', PROXY_HEADER_OPTION_MAX);
    options.alpn = options.authority = span_from_string(name);
    options.unique_id = span_make(name, PROXY_HEADER_UNIQUE_ID_MAX);
    assert_int_equal(write_v2("::1", "::1", &options).len, PROXY_HEADER_WRITE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_that_are_right),
        cmocka_unit_test(unknown_is_followed_by_anything),
        cmocka_unit_test(a_line_has_its_bound),
        cmocka_unit_test(lines_that_are_wrong),
        cmocka_unit_test(binary_headers_that_are_right),
        cmocka_unit_test(what_follows_is_the_clients),
        cmocka_unit_test(a_local_header_says_nothing),
        cmocka_unit_test(other_families_leave_the_connections_own_addresses),
        cmocka_unit_test(binary_starts_that_are_wrong),
        cmocka_unit_test(a_binary_header_has_its_bound),
        cmocka_unit_test(tlvs_are_views),
        cmocka_unit_test(the_ssl_tlv_has_its_own),
        cmocka_unit_test(tlvs_that_are_wrong),
        cmocka_unit_test(a_unique_id_has_its_bound),
        cmocka_unit_test(a_checksum_is_checked),
        cmocka_unit_test(a_checksum_of_somebody_else),
        cmocka_unit_test(lines_are_written),
        cmocka_unit_test(binary_headers_are_written),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(the_longest_fills_the_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
