/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/client_hello.h"

#include "tests/unit/tls/hello_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

enum { DECODE_ERROR = 50, ILLEGAL_PARAMETER = 47, UNEXPECTED_MESSAGE = 10 };

static struct hello_builder builder;

/* Parses an exact-size copy, so that a sanitizer sees a read past the end. */
static bool parse_copy(struct span message, struct client_hello_fault *fault)
{
    static struct client_hello hello;
    uint8_t *copy = malloc(message.len ? message.len : 1);
    bool parsed;

    assert_non_null(copy);
    memcpy(copy, message.data, message.len);
    memset(&hello, 1, sizeof(hello)); /* nothing of an earlier parse may help; 1 is a valid bool */
    parsed = client_hello_parse(&hello, span_make(copy, message.len), fault);
    free(copy);
    return parsed;
}

static void parse(struct client_hello *hello, struct span message)
{
    struct client_hello_fault fault = {"none", 0, 0};

    memset(hello, 1, sizeof(*hello));
    if (!client_hello_parse(hello, message, &fault)) {
        fail_msg("%s at %zu", fault.field, fault.offset);
    }
    assert_true(hello->message.data == message.data && hello->message.len == message.len);
}

static void refuse(struct span message, const char *field, size_t offset, uint8_t alert)
{
    struct client_hello_fault fault = {"none", 0, 0};

    assert_false(parse_copy(message, &fault));
    assert_string_equal(fault.field, field);
    assert_int_equal(fault.offset, offset);
    assert_int_equal(fault.alert, alert);
}

static void assert_span(struct span view, const void *bytes, size_t len)
{
    assert_int_equal(view.len, len);
    assert_memory_equal(view.data, bytes, len);
}

static void test_browser(void **state)
{
    struct span message = hello_browser(&builder);
    struct client_hello hello;
    struct span alpn;
    struct span name;

    (void)state;
    assert_int_equal(message.len, 517);
    parse(&hello, message);
    assert_int_equal(hello.legacy_version, 0x0303);
    assert_int_equal(hello.random.len, 32);
    assert_int_equal(hello.random.data[0], 0xa0);
    assert_int_equal(hello.random.data[31], 0xbf);
    assert_int_equal(hello.session_id.len, 32);
    assert_int_equal(hello.ciphers.len, 32);
    assert_int_equal(hello.ciphers.data[0], 0x2a);
    assert_span(hello.compressions, "\0", 1);
    assert_int_equal(hello.extension_count, 18);
    assert_int_equal(hello.extensions[0].type, 0x5a5a);
    assert_int_equal(hello.extensions[0].body.len, 0);
    assert_int_equal(hello.extensions[3].type, 0xff01);
    assert_span(hello.extensions[3].body, "\0", 1);
    assert_int_equal(hello.extensions[17].type, 21);
    assert_true(hello.extensions[17].body.data + hello.extensions[17].body.len ==
                message.data + message.len);
    assert_span(hello.sni, "www.weir.example", 16);
    assert_false(hello.sni_invalid);
    assert_span(hello.groups, "\x3a\x3a\0\x1d\0\x17\0\x18", 8);
    assert_span(hello.point_formats, "\0", 1);
    assert_int_equal(hello.signature_algorithms.len, 16);
    assert_span(hello.supported_versions, "\x4a\x4a\3\4\3\3", 6);
    assert_int_equal(hello.key_shares.len, 41);
    assert_span(hello.alpn, "\2h2\x8http/1.1", 12);
    alpn = hello.alpn;
    assert_true(alpn_next(&alpn, &name));
    assert_span(name, "h2", 2);
    assert_true(alpn_next(&alpn, &name));
    assert_span(name, "http/1.1", 8);
    assert_false(alpn_next(&alpn, &name));
    assert_false(alpn_next(&alpn, &name));
    assert_true(client_hello_has(&hello, 27));
    assert_true(client_hello_has(&hello, 0x4469));
    assert_false(client_hello_has(&hello, 28));
    assert_true(client_hello_accepts_ecdsa(&hello));
}

/* A hello as of 1999: no extensions at all; and one with an empty block. */
static void test_no_extensions(void **state)
{
    struct client_hello hello;

    (void)state;
    hello_start(&builder, 0x0300, 0);
    HELLO_LIST16(&builder, 0x0004, 0x0005);
    hello_no_compression(&builder);
    parse(&hello, hello_finish(&builder));
    assert_int_equal(hello.legacy_version, 0x0300);
    assert_int_equal(hello.extension_count, 0);
    assert_int_equal(hello.session_id.len, 0);
    assert_int_equal(hello.sni.len + hello.groups.len + hello.point_formats.len + hello.alpn.len +
                         hello.signature_algorithms.len + hello.supported_versions.len +
                         hello.key_shares.len,
                     0);
    assert_false(hello.sni_invalid);
    assert_false(client_hello_has(&hello, 0));

    builder.extensions = builder.len;
    hello_u16(&builder, 0);
    parse(&hello, hello_finish(&builder));
    assert_int_equal(hello.extension_count, 0);
}

static void test_truncations(void **state)
{
    struct span message = hello_browser(&builder);
    uint8_t whole[517];

    (void)state;
    memcpy(whole, message.data, sizeof(whole));
    for (size_t len = 0; len < sizeof(whole); len++) {
        struct client_hello_fault fault = {"none", 9999, 0};

        refuse(span_make(whole, len), len == 0 ? "msg_type" : "length", len != 0, DECODE_ERROR);

        /* With a length that agrees, so that the parse gets as far as the cut. */
        memcpy(builder.bytes, whole, len);
        builder.len = len;
        builder.extensions = 0;
        if (len >= 4 && parse_copy(hello_finish(&builder), &fault)) {
            /* Right after the compression methods it is a hello without extensions. */
            assert_int_equal(len, 4 + 2 + 32 + 33 + 34 + 2);
        } else if (len >= 4) {
            assert_true(fault.offset <= len);
            assert_int_equal(fault.alert, DECODE_ERROR);
            assert_string_not_equal(fault.field, "none");
        }
    }
}

/* Every span of a parsed hello lies within the message. */
static void assert_within(const struct client_hello *hello)
{
    const struct span *views[] = {
        &hello->random,     &hello->session_id,         &hello->ciphers,
        &hello->sni,        &hello->compressions,       &hello->groups,
        &hello->alpn,       &hello->point_formats,      &hello->signature_algorithms,
        &hello->key_shares, &hello->supported_versions,
    };

    for (size_t i = 0; i < COUNT_OF(views); i++) {
        assert_true(views[i]->len == 0 ||
                    (views[i]->data >= hello->message.data &&
                     views[i]->data + views[i]->len <= hello->message.data + hello->message.len));
    }
}

/* Each byte with each of its bits flipped, and as 0 and 255: no crash, and a fault that says where.
 */
static void test_mutations(void **state)
{
    struct span message = hello_browser(&builder);
    struct client_hello hello;
    struct client_hello_fault fault;
    size_t parsed = 0;
    size_t refused = 0;

    (void)state;
    for (size_t at = 0; at < message.len; at++) {
        uint8_t kept = builder.bytes[at];
        for (unsigned change = 0; change < 10; change++) {
            builder.bytes[at] = change < 8 ? kept ^ (uint8_t)(1u << change) : change == 8 ? 0 : 255;
            fault = (struct client_hello_fault){NULL, 9999, 0};
            if (client_hello_parse(&hello, message, &fault)) {
                assert_within(&hello);
                parsed++;
            } else {
                assert_non_null(fault.field);
                assert_true(fault.offset <= message.len);
                assert_true(fault.alert != 0);
                refused++;
            }
        }
        builder.bytes[at] = kept;
    }
    assert_true(parsed > 1000 && refused > 500);
}

static void test_message_header(void **state)
{
    struct span message = hello_browser(&builder);

    (void)state;
    builder.bytes[0] = 2;
    refuse(message, "msg_type", 0, UNEXPECTED_MESSAGE);
    builder.bytes[0] = 1;
    builder.bytes[3]++;
    refuse(message, "length", 1, DECODE_ERROR);
    builder.bytes[3]--;
    message.len++; /* trailing byte after the message */
    refuse(message, "length", 1, DECODE_ERROR);
}

/* Offsets of the fields of a hello with an empty session id. */
enum { SESSION_AT = 38, CIPHERS_AT = 39 };

static void test_fields(void **state)
{
    static const uint8_t long_id[64];

    (void)state;
    hello_start(&builder, 0x0303, 33);
    HELLO_LIST16(&builder, 0x1301);
    hello_no_compression(&builder);
    refuse(hello_finish(&builder), "session_id", SESSION_AT, DECODE_ERROR);

    hello_start(&builder, 0x0303, 0);
    hello_u16(&builder, 0);
    hello_no_compression(&builder);
    refuse(hello_finish(&builder), "cipher_suites", CIPHERS_AT, DECODE_ERROR);

    hello_start(&builder, 0x0303, 0);
    hello_u16(&builder, 3);
    hello_bytes(&builder, long_id, 3);
    hello_no_compression(&builder);
    refuse(hello_finish(&builder), "cipher_suites", CIPHERS_AT, DECODE_ERROR);

    hello_start(&builder, 0x0303, 0);
    HELLO_LIST16(&builder, 0x1301);
    hello_u8(&builder, 0);
    refuse(hello_finish(&builder), "compression_methods", CIPHERS_AT + 4, DECODE_ERROR);

    hello_start(&builder, 0x0303, 0);
    HELLO_LIST16(&builder, 0x1301);
    hello_u8(&builder, 2);
    hello_u16(&builder, 0x0140);
    refuse(hello_finish(&builder), "compression_methods", CIPHERS_AT + 4, ILLEGAL_PARAMETER);
}

/* A hello up to its extensions; the block's length will be at byte 45, the first extension at 47.
 */
enum { BLOCK_AT = 45, FIRST_AT = 47, BODY_AT = 51 };

static void start_plain(unsigned version)
{
    hello_start(&builder, version, 0);
    HELLO_LIST16(&builder, 0xc02b);
    hello_no_compression(&builder);
}

static void test_extension_block(void **state)
{
    struct client_hello hello;
    struct span message;

    (void)state;
    start_plain(0x0303);
    hello_extension(&builder, 23, "", 0);
    message = hello_finish(&builder);
    hello_patch_u16(&builder, BLOCK_AT, 3); /* a byte after the block */
    refuse(message, "extensions", BLOCK_AT + 5, DECODE_ERROR);
    hello_patch_u16(&builder, BLOCK_AT, 5); /* the block is longer than the message */
    refuse(message, "extensions", BLOCK_AT + 2, DECODE_ERROR);
    hello_patch_u16(&builder, BLOCK_AT, 4);
    hello_patch_u16(&builder, FIRST_AT + 2, 1); /* the extension is longer than the block */
    refuse(message, "extensions", FIRST_AT + 4, DECODE_ERROR);

    start_plain(0x0303);
    hello_extension(&builder, 23, "", 0);
    hello_extension(&builder, 18, "", 0);
    hello_extension(&builder, 23, "", 0);
    refuse(hello_finish(&builder), "extensions", FIRST_AT + 8, ILLEGAL_PARAMETER);

    start_plain(0x0303);
    hello_extension(&builder, 0xff01, "", 0);
    hello_extension(&builder, 64, "", 0);
    hello_extension(&builder, 0xff01, "", 0);
    refuse(hello_finish(&builder), "extensions", FIRST_AT + 8, ILLEGAL_PARAMETER);

    /* As many as there may be, and one more; types 0x40.. are distinct and unknown. */
    start_plain(0x0303);
    for (unsigned i = 0; i < CLIENT_HELLO_EXTENSIONS_MAX; i++) {
        hello_extension(&builder, 64 + i, "", 0);
    }
    parse(&hello, hello_finish(&builder));
    assert_int_equal(hello.extension_count, CLIENT_HELLO_EXTENSIONS_MAX);
    hello_extension(&builder, 999, "", 0);
    refuse(hello_finish(&builder), "extensions", FIRST_AT + 4 * CLIENT_HELLO_EXTENSIONS_MAX,
           ILLEGAL_PARAMETER);
}

struct body_case {
    unsigned type;
    const char *field; /* null: the body is right */
    size_t offset;     /* from the start of the body */
    struct span body;
};

static const struct body_case body_cases[] = {
    {10, NULL, 0, {(const uint8_t *)"\0\2\0\x1d", 4}},
    {10, "supported_groups", 0, {(const uint8_t *)"", 0}},
    {10, "supported_groups", 0, {(const uint8_t *)"\0\0", 2}},
    {10, "supported_groups", 0, {(const uint8_t *)"\0\1\x1d", 3}},
    {10, "supported_groups", 0, {(const uint8_t *)"\0\3\0\x1d\0", 5}},
    {10, "supported_groups", 2, {(const uint8_t *)"\0\4\0\x1d", 4}},
    {10, "supported_groups", 4, {(const uint8_t *)"\0\2\0\x1d\0", 5}},
    {11, NULL, 0, {(const uint8_t *)"\3\0\1\2", 4}},
    {11, "ec_point_formats", 0, {(const uint8_t *)"\0", 1}},
    {11, "ec_point_formats", 1, {(const uint8_t *)"\2\0", 2}},
    {11, "ec_point_formats", 2, {(const uint8_t *)"\1\0\0", 3}},
    {13, NULL, 0, {(const uint8_t *)"\0\2\4\3", 4}},
    {13, "signature_algorithms", 0, {(const uint8_t *)"\0\0", 2}},
    {13, "signature_algorithms", 0, {(const uint8_t *)"\0\3\4\3\4", 5}},
    {13, "signature_algorithms", 2, {(const uint8_t *)"\0\4\4\3", 4}},
    {16, NULL, 0, {(const uint8_t *)"\0\2\1x", 4}},
    {16, NULL, 0, {(const uint8_t *)"\0\5\1\0\2\xff\x0a", 7}}, /* any bytes may be in a name */
    {16, "application_layer_protocol_negotiation", 0, {(const uint8_t *)"\0\0", 2}},
    {16, "application_layer_protocol_negotiation", 2, {(const uint8_t *)"\0\3\0\1x", 5}},
    {16, "application_layer_protocol_negotiation", 4, {(const uint8_t *)"\0\3\1x\0", 5}},
    {16, "application_layer_protocol_negotiation", 3, {(const uint8_t *)"\0\2\2x", 4}},
    {16, "application_layer_protocol_negotiation", 4, {(const uint8_t *)"\0\2\1xy", 5}},
    {43, NULL, 0, {(const uint8_t *)"\2\3\4", 3}},
    {43, "supported_versions", 0, {(const uint8_t *)"\0", 1}},
    {43, "supported_versions", 0, {(const uint8_t *)"\3\3\4\3", 4}},
    {43, "supported_versions", 1, {(const uint8_t *)"\4\3\4", 3}},
    {43, "supported_versions", 3, {(const uint8_t *)"\2\3\4\3", 4}},
    {51, NULL, 0, {(const uint8_t *)"\0\0", 2}}, /* asks for a HelloRetryRequest */
    {51, NULL, 0, {(const uint8_t *)"\0\5\0\x1d\0\1k", 7}},
    {51, "key_share", 0, {(const uint8_t *)"", 0}},
    {51, "key_share", 4, {(const uint8_t *)"\0\4\0\x1d\0\0", 6}},
    {51, "key_share", 6, {(const uint8_t *)"\0\5\0\x1d\0\2k", 7}},
    {51, "key_share", 4, {(const uint8_t *)"\0\3\0\x1d\0", 5}},
    {51, "key_share", 2, {(const uint8_t *)"\0\0\0", 3}},
    {0, NULL, 0, {(const uint8_t *)"\0\4\0\0\1a", 6}},
    {0, "server_name", 0, {(const uint8_t *)"\0", 1}},
    {0, "server_name", 2, {(const uint8_t *)"\0\5\0\0\1a", 6}},
    {0, "server_name", 6, {(const uint8_t *)"\0\4\0\0\1ab", 7}},
    {0, "server_name", 5, {(const uint8_t *)"\0\4\0\0\2a", 6}},
    {0, "server_name", 3, {(const uint8_t *)"\0\2\0\0", 4}},
};

static void test_bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(body_cases); i++) {
        const struct body_case *row = &body_cases[i];
        struct client_hello hello;

        start_plain(0x0303);
        hello_extension(&builder, row->type, row->body.data, row->body.len);
        hello_extension(&builder, 18, "", 0); /* a body must not reach into the next */
        if (row->field) {
            refuse(hello_finish(&builder), row->field, BODY_AT + row->offset, DECODE_ERROR);
        } else {
            parse(&hello, hello_finish(&builder));
            assert_int_equal(hello.extension_count, 2);
        }
    }
}

struct name_case {
    struct span name;
    bool valid;
};

#define LABEL_63 "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-012345678"
#define NAME(text, valid)                                                                          \
    {                                                                                              \
        {(const uint8_t *)(text), sizeof(text) - 1}, (valid)                                       \
    }

static const struct name_case name_cases[] = {
    NAME("example.org", true),
    NAME("a", true),
    NAME("localhost", true),
    NAME("WWW.Example.ORG", true),
    NAME("_dmarc.my_host.example", true),
    NAME("xn--bcher-kva.example", true),
    NAME("1.2.3.4.example", true),
    NAME("3com.c0", true),
    NAME("0x7g", true),
    NAME(LABEL_63 ".org", true),
    NAME("a." LABEL_63, true),
    NAME(LABEL_63 "." LABEL_63 "." LABEL_63 "."
                  "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz012345678",
         true), /* 253 bytes */
    NAME(LABEL_63 "." LABEL_63 "." LABEL_63 "."
                  "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789",
         false), /* 254 */
    NAME(LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, false),
    NAME(LABEL_63 "9", false),
    NAME(LABEL_63 "9.org", false),
    NAME("", false),
    NAME(".", false),
    NAME("..", false),
    NAME(".example.org", false),
    NAME("example.org.", false),
    NAME("example..org", false),
    NAME("exam\0ple.org", false),
    NAME("example.org\0", false),
    NAME("b\xc3\xbc"
         "cher.example",
         false),
    NAME("exam ple.org", false),
    NAME("example.org:443", false),
    NAME("*.example.org", false),
    NAME("user@example.org", false),
    NAME("example/org", false),
    NAME("192.0.2.1", false),
    NAME("127.1", false),
    NAME("2130706433", false),
    NAME("0x7f000001", false),
    NAME("0X7F.0x1", false),
    NAME("1.0x", false),
    NAME("::1", false),
    NAME("[2001:db8::1]", false),
    NAME("2001:db8::1", false),
};

static void test_server_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(name_cases); i++) {
        const struct name_case *row = &name_cases[i];
        struct client_hello hello;

        start_plain(0x0303);
        hello_server_name(&builder, row->name);
        hello_extension(&builder, 43, "\2\3\4", 3);
        parse(&hello, hello_finish(&builder));
        if (hello.sni_invalid == row->valid) {
            fail_msg("%.*s", SPAN_PRINTF(row->name));
        }
        assert_true(span_equal(hello.sni, row->valid ? row->name : SPAN_LITERAL("")));
        assert_true(client_hello_has(&hello, 0));
        assert_int_equal(hello.supported_versions.len, 2); /* the parse went on */
    }
}

static void check_sni_body(struct span body, bool valid)
{
    struct client_hello hello;

    start_plain(0x0303);
    hello_extension(&builder, 0, body.data, body.len);
    parse(&hello, hello_finish(&builder));
    assert_int_equal(hello.sni_invalid, !valid);
    assert_int_equal(hello.sni.len != 0, valid);
}

/* Lists that hold not exactly one host_name. */
static void test_server_name_lists(void **state)
{
    (void)state;
    check_sni_body(SPAN_LITERAL("\0\4\0\0\1a"), true);
    check_sni_body(SPAN_LITERAL(""), false);
    check_sni_body(SPAN_LITERAL("\0\0"), false);
    check_sni_body(SPAN_LITERAL("\0\3\0\0\0"), false);
    check_sni_body(SPAN_LITERAL("\0\x8\0\0\1a\0\0\1b"), false);
    check_sni_body(SPAN_LITERAL("\0\x8\0\0\1a\0\0\1a"), false);
    check_sni_body(SPAN_LITERAL("\0\x8\0\0\1a\1\0\1b"), false);
    check_sni_body(SPAN_LITERAL("\0\4\1\0\1a"), false);
}

/* Values nobody knows are no fault: versions, suites, groups, extensions with odd bodies. */
static void test_unknown_values(void **state)
{
    struct client_hello hello;

    (void)state;
    hello_start(&builder, 0x7f1c, 7);
    HELLO_LIST16(&builder, 0x0000, 0xffff, 0x5600, 0x0000);
    hello_u8(&builder, 3);
    hello_bytes(&builder, "\x40\0\1", 3);
    hello_extension(&builder, 0xfe0d, "\1", 1);
    hello_extension(&builder, 0xeaea, "\xff\xff\xff", 3);
    hello_extension(&builder, 41, "", 0);
    HELLO_VALUES(&builder, 10, 0xffff, 0xffff);
    HELLO_VERSIONS(&builder, 0x0305, 0x7f1c);
    parse(&hello, hello_finish(&builder));
    assert_int_equal(hello.legacy_version, 0x7f1c);
    assert_int_equal(hello.extension_count, 5);
    assert_int_equal(hello.compressions.len, 3);
}

static void test_sizes(void **state)
{
    struct client_hello hello;

    (void)state;
    start_plain(0x0303);
    hello_server_name(&builder, SPAN_LITERAL("large.example"));
    hello_pad_to(&builder, 16 * 1024);
    parse(&hello, hello_finish(&builder));
    assert_int_equal(hello.message.len, 16 * 1024);
    assert_int_equal(hello.sni.len, 13);

    start_plain(0x0303);
    hello_pad_to(&builder, CLIENT_HELLO_MAX);
    parse(&hello, hello_finish(&builder));
    assert_int_equal(hello.extension_count, 1);

    hello_start(&builder, 0x0303, 32);
    hello_u16(&builder, 0x8000);
    for (unsigned i = 0; i < 0x4000; i++) {
        hello_u16(&builder, i);
    }
    hello_no_compression(&builder);
    hello_pad_to(&builder, CLIENT_HELLO_MAX + 1);
    refuse(hello_finish(&builder), "length", 1, ILLEGAL_PARAMETER);
}

/* What a client says about ECDSA; a list of which the first value is 0 is not sent. */
struct ecdsa_case {
    bool accepts;
    uint16_t legacy;
    uint16_t suite;
    uint16_t versions[2];
    uint16_t groups[2];
    uint16_t sigalgs[2];
};

static const struct ecdsa_case ecdsa_cases[] = {
    /* TLS 1.3: the sigalg decides alone */
    {true, 0x0303, 0x1301, {0x0304, 0x0303}, {29, 24}, {0x0804, 0x0403}},
    {true, 0x0303, 0x1301, {0x0304, 0x0304}, {0, 0}, {0x0403, 0x0403}},
    {false, 0x0303, 0xc02b, {0x0304, 0x0303}, {23, 24}, {0x0804, 0x0503}},
    {false, 0x0303, 0x1301, {0x0304, 0x0303}, {23, 24}, {0, 0}},
    /* TLS 1.2 */
    {true, 0x0303, 0xc02b, {0, 0}, {0, 0}, {0, 0}},
    {true, 0x0303, 0xc02c, {0, 0}, {24, 23}, {0x0401, 0x0403}},
    {true, 0x0303, 0xcca9, {0x0303, 0x0302}, {23, 23}, {0x0603, 0x0401}},
    {true, 0x0303, 0xc00a, {0, 0}, {23, 24}, {0x0203, 0x0201}},
    {true, 0x0304, 0xc009, {0, 0}, {23, 24}, {0x0503, 0x0201}},
    {false, 0x0303, 0xc02f, {0, 0}, {23, 24}, {0x0403, 0x0401}},
    {false, 0x0303, 0xc0ac, {0, 0}, {23, 24}, {0x0403, 0x0401}},
    {false, 0x0303, 0xc02b, {0, 0}, {29, 24}, {0x0403, 0x0401}},
    {false, 0x0303, 0xc02b, {0, 0}, {23, 24}, {0x0401, 0x0804}},
    {false, 0x0302, 0xc009, {0, 0}, {23, 24}, {0, 0}},
    {false, 0x0303, 0xc009, {0x0302, 0x0301}, {23, 24}, {0, 0}},
};

static void test_accepts_ecdsa(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ecdsa_cases); i++) {
        const struct ecdsa_case *row = &ecdsa_cases[i];
        struct client_hello hello;

        hello_start(&builder, row->legacy, 0);
        HELLO_LIST16(&builder, 0xc02f, row->suite);
        hello_no_compression(&builder);
        if (row->versions[0]) {
            HELLO_VERSIONS(&builder, row->versions[0], row->versions[1]);
        }
        if (row->groups[0]) {
            HELLO_VALUES(&builder, 10, row->groups[0], row->groups[1]);
        }
        if (row->sigalgs[0]) {
            HELLO_VALUES(&builder, 13, row->sigalgs[0], row->sigalgs[1]);
        }
        parse(&hello, hello_finish(&builder));
        if (client_hello_accepts_ecdsa(&hello) != row->accepts) {
            fail_msg("row %zu", i);
        }
    }
}

static void test_grease(void **state)
{
    unsigned count = 0;

    (void)state;
    for (unsigned value = 0; value <= 0xffff; value++) {
        count += tls_is_grease((uint16_t)value);
    }
    assert_int_equal(count, 16);
    assert_true(tls_is_grease(0x0a0a) && tls_is_grease(0xfafa));
    assert_false(tls_is_grease(0x0a1a) || tls_is_grease(0xbaad));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_browser),         cmocka_unit_test(test_no_extensions),
        cmocka_unit_test(test_truncations),     cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_message_header),  cmocka_unit_test(test_fields),
        cmocka_unit_test(test_extension_block), cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_server_names),    cmocka_unit_test(test_server_name_lists),
        cmocka_unit_test(test_unknown_values),  cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_accepts_ecdsa),   cmocka_unit_test(test_grease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
