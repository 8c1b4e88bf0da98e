/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/ja4.h"

#include "detect/sha256.h"
#include "tests/unit/detect/golden.h"
#include "tests/unit/tls/hello_builder.h"
#include "tls/client_hello.c" /* detect does not link with tls */

static struct hello_builder builder;
static char value[GOLDEN_VALUE_MAX];

static void check_sha256(struct span bytes, const char *hex)
{
    uint8_t digest[SHA256_LEN];
    char memory[2 * SHA256_LEN];
    struct text out = text_make(memory, sizeof(memory));

    sha256(digest, bytes);
    text_hex(&out, span_make(digest, sizeof(digest)));
    assert_memory_equal(memory, hex, sizeof(memory));
}

/* FIPS 180-4's examples: one block, two blocks, a million bytes. */
static void test_sha256_vectors(void **state)
{
    enum { MILLION = 1000000 };
    char *million = malloc(MILLION);

    (void)state;
    assert_non_null(million);
    memset(million, 'a', MILLION);
    check_sha256(SPAN_LITERAL(""),
                 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_sha256(SPAN_LITERAL("abc"),
                 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_sha256(SPAN_LITERAL("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_sha256(span_make(million, MILLION),
                 "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    /* Around the padding's edges. */
    check_sha256(span_make(million, 55),
                 "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
    check_sha256(span_make(million, 56),
                 "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
    check_sha256(span_make(million, 63),
                 "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34");
    check_sha256(span_make(million, 64),
                 "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
    free(million);
}

static struct client_hello parse(struct span message)
{
    struct client_hello hello;
    struct client_hello_fault fault;

    assert_true(client_hello_parse(&hello, message, &fault));
    return hello;
}

static void check_raw(const struct client_hello *hello, const char *expected)
{
    char memory[JA4_RAW_MAX + 1];
    struct text out = text_make(memory, JA4_RAW_MAX);

    assert_true(ja4_print_raw(&out, hello));
    memory[out.len] = '\0';
    assert_string_equal(memory, expected);
}

static void check_ja4(const struct client_hello *hello, const char *expected)
{
    char ja4[JA4_LEN + 1];

    assert_true(ja4_compute(ja4, hello));
    assert_string_equal(ja4, expected);
}

/* The published example: these lists in any order give this fingerprint. */
static void test_published_example(void **state)
{
    static const uint16_t empty[] = {0x0005, 0x0012, 0x0015, 0x0017, 0x001b, 0x0023,
                                     0x002d, 0x0033, 0x4469, 0xff01, 0x1a1a};
    struct client_hello hello;

    (void)state;
    hello_start(&builder, 0x0303, 0);
    HELLO_LIST16(&builder, 0xfafa, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9,
                 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035);
    hello_no_compression(&builder);
    for (size_t i = COUNT_OF(empty); i > 0; i--) {
        hello_extension(&builder, empty[i - 1], "\0", empty[i - 1] == 0x33 ? 2 : 0);
    }
    hello_server_name(&builder, SPAN_LITERAL("weir.example"));
    HELLO_ALPN(&builder, "h2", "http/1.1");
    HELLO_VALUES(&builder, 13, 0x0403, 0x0804, 0x0401, 0x2a2a, 0x0503, 0x0805, 0x0501, 0x0806,
                 0x0601);
    HELLO_VALUES(&builder, 10, 29);
    hello_extension(&builder, 11, "\1\0", 2);
    HELLO_VERSIONS(&builder, 0xdada, 0x0303, 0x0304);
    hello = parse(hello_finish(&builder));
    check_ja4(&hello, "t13d1516h2_8daaf6152771_e5627efa2ab1");
    check_raw(
        &hello,
        "t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,"
        "cca9_0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_0403,0804,"
        "0401,0503,0805,0501,0806,0601");
}

static void test_without_lists(void **state)
{
    struct client_hello hello;

    (void)state;
    hello_start(&builder, 0x0300, 0);
    HELLO_LIST16(&builder, 0x0a0a);
    hello_no_compression(&builder);
    hello = parse(hello_finish(&builder));
    check_ja4(&hello, "ts3i000000_000000000000_000000000000");
    check_raw(&hello, "ts3i000000__");

    /* An SNI that may not be used is one all the same; without sigalgs there is no second '_'. */
    hello_start(&builder, 0x0301, 0);
    HELLO_LIST16(&builder, 0x0005, 0x0005);
    hello_no_compression(&builder);
    hello_server_name(&builder, SPAN_LITERAL("192.0.2.1"));
    hello_extension(&builder, 23, "", 0);
    hello = parse(hello_finish(&builder));
    check_raw(&hello, "t10d020200_0005,0005_0017");
}

/* The first ten bytes of the fingerprint of a hello with one ALPN name. */
static void check_alpn(struct span name, const char *expected)
{
    uint8_t body[260];
    struct client_hello hello;
    char ja4[JA4_LEN + 1];

    body[0] = 0;
    body[1] = (uint8_t)(name.len + 1);
    body[2] = (uint8_t)name.len;
    memcpy(body + 3, name.data, name.len);
    hello_start(&builder, 0x0303, 0);
    HELLO_LIST16(&builder, 0xc02b);
    hello_no_compression(&builder);
    hello_extension(&builder, 16, body, name.len + 3);
    hello = parse(hello_finish(&builder));
    assert_true(ja4_compute(ja4, &hello));
    assert_memory_equal(ja4 + 8, expected, 2);
}

static void test_alpn(void **state)
{
    (void)state;
    check_alpn(SPAN_LITERAL("h2"), "h2");
    check_alpn(SPAN_LITERAL("http/1.1"), "h1");
    check_alpn(SPAN_LITERAL("h"), "hh");
    check_alpn(SPAN_LITERAL("a/-Z"), "aZ");
    check_alpn(SPAN_LITERAL("\x30\xab"), "3b");
    check_alpn(SPAN_LITERAL("\x30\x31\xab\xcd"), "3d");
    check_alpn(SPAN_LITERAL("\x30\xab\xcd\x31"), "01");
    check_alpn(SPAN_LITERAL("\x2d"), "2d");
    check_alpn(SPAN_LITERAL("\x0a\x0a"), "0a");
    check_alpn(SPAN_LITERAL("\xab\xcd"), "99");
    check_alpn(SPAN_LITERAL("\xab"), "99");
}

static void check_version(uint16_t legacy, const uint16_t *offered, size_t count,
                          const char *expected)
{
    struct client_hello hello;
    char ja4[JA4_LEN + 1];

    hello_start(&builder, legacy, 0);
    HELLO_LIST16(&builder, 0xc02b);
    hello_no_compression(&builder);
    if (count) {
        hello_versions(&builder, offered, count);
    }
    hello = parse(hello_finish(&builder));
    assert_true(ja4_compute(ja4, &hello));
    assert_memory_equal(ja4 + 1, expected, 2);
}

static void test_version(void **state)
{
    static const uint16_t ordinary[] = {0x0303, 0x7a7a, 0x0304, 0x0302};
    static const uint16_t draft[] = {0x7f1c, 0x0303};
    static const uint16_t grease[] = {0x7a7a};

    (void)state;
    check_version(0x0303, ordinary, 4, "13");
    check_version(0x0301, ordinary, 1, "12");
    check_version(0x0303, draft, 2, "00");
    check_version(0x0303, grease, 1, "00");
    check_version(0x0304, NULL, 0, "13");
    check_version(0x0302, NULL, 0, "11");
    check_version(0x0002, NULL, 0, "s2");
    check_version(0xfeff, NULL, 0, "d1");
    check_version(0xfefd, NULL, 0, "d2");
    check_version(0xfefc, NULL, 0, "d3");
    check_version(0x0305, NULL, 0, "00");
}

/* Counts stop at 99, sorting works on full lists, and one value more is refused. */
static void test_limits(void **state)
{
    char memory[JA4_RAW_MAX];
    char ja4[JA4_LEN + 1];
    struct text out = text_make(memory, sizeof(memory));
    struct client_hello hello;

    (void)state;
    for (size_t count = FINGERPRINT_LIST_MAX; count <= FINGERPRINT_LIST_MAX + 1; count++) {
        bool fits = count == FINGERPRINT_LIST_MAX;
        hello_start(&builder, 0x0303, 0);
        hello_u16(&builder, (unsigned)(2 * count));
        for (size_t i = 0; i < count; i++) {
            hello_u16(&builder, 0xc000 + (unsigned)(i * 197 % 512)); /* 197 is odd: each once */
        }
        hello_no_compression(&builder);
        hello_open(&builder, 13);
        hello_u16(&builder, (unsigned)(2 * count));
        for (size_t i = 0; i < count; i++) {
            hello_u16(&builder, 0x0403);
        }
        hello_close(&builder);
        for (unsigned i = 0; i < CLIENT_HELLO_EXTENSIONS_MAX - 1; i++) {
            hello_extension(&builder, 0xff00 + i, "", 0);
        }
        hello = parse(hello_finish(&builder));
        out.len = 0;
        assert_true(ja4_print_raw(&out, &hello) == fits);
        assert_true(ja4_compute(ja4, &hello) == fits);
        if (fits) {
            assert_int_equal(out.len, JA4_RAW_MAX - 3); /* each list ends without its separator */
            assert_memory_equal(memory, "t12i999900_c000,c001,", 21);
            for (size_t i = 1; i < count; i++) {
                assert_true(memcmp(memory + 11 + 5 * (i - 1), memory + 11 + 5 * i, 4) < 0);
            }
            out = text_make(memory, out.len - 1);
            assert_false(ja4_print_raw(&out, &hello));
            out = text_make(memory, sizeof(memory));
        }
    }
}

static void check_golden(const char *line, const struct client_hello *hello)
{
    assert_true(golden_string(line, "ja4", value));
    check_ja4(hello, value);
    assert_true(golden_string(line, "ja4_r", value));
    check_raw(hello, value);
}

static void test_golden(void **state)
{
    long count;

    (void)state;
    count = golden_each("ja4/ja4_golden.jsonl", "client_hello", check_golden);
    if (count < 0) {
        skip();
    }
    assert_int_equal(count, 44);
    assert_int_equal(golden_each("mitmengine/pcap_golden.jsonl", "client_hello_hex", check_golden),
                     733);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_vectors), cmocka_unit_test(test_published_example),
        cmocka_unit_test(test_without_lists),  cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_version),        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
