/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/ja3.h"

#include "detect/md5.h"
#include "tests/unit/detect/golden.h"
#include "tests/unit/tls/hello_builder.h"
#include "tls/client_hello.c" /* detect does not link with tls */

static struct hello_builder builder;
static char value[GOLDEN_VALUE_MAX];

static void check_md5(const char *text, const char *hex)
{
    uint8_t digest[MD5_LEN];
    char memory[2 * MD5_LEN];
    struct text out = text_make(memory, sizeof(memory));

    md5(digest, span_from_string(text));
    text_hex(&out, span_make(digest, sizeof(digest)));
    assert_memory_equal(memory, hex, sizeof(memory));
}

/* RFC 1321 A.5 */
static void test_md5_vectors(void **state)
{
    (void)state;
    check_md5("", "d41d8cd98f00b204e9800998ecf8427e");
    check_md5("a", "0cc175b9c0f1b6a831c399e269772661");
    check_md5("abc", "900150983cd24fb0d6963f7d28e17f72");
    check_md5("message digest", "f96b697d7cb7938d525a2f31aaf161d0");
    check_md5("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b");
    check_md5("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
              "d174ab98d277d9f5a5611c2c9f419d9f");
    check_md5("1234567890123456789012345678901234567890"
              "1234567890123456789012345678901234567890",
              "57edf4a22be3c955ac49da2e2107b67a");
}

/* Lengths around the padding's edges: 55 and 56 bytes take one block and two. */
static void test_md5_padding(void **state)
{
    char text[130];

    (void)state;
    memset(text, 'a', sizeof(text));
    text[55] = '\0';
    check_md5(text, "ef1772b6dff9a122358552954ad0df65");
    text[55] = 'a';
    text[56] = '\0';
    check_md5(text, "3b0c8ac703f828b04c6c197006d17218");
    text[56] = 'a';
    text[63] = '\0';
    check_md5(text, "b06521f39153d618550606be297466d5");
    text[63] = 'a';
    text[64] = '\0';
    check_md5(text, "014842d480b571495a4a0363793f7367");
}

static struct client_hello parse(struct span message)
{
    struct client_hello hello;
    struct client_hello_fault fault;

    assert_true(client_hello_parse(&hello, message, &fault));
    return hello;
}

static void check_text(const struct client_hello *hello, const char *expected)
{
    char memory[JA3_TEXT_MAX];
    struct text out = text_make(memory, sizeof(memory));

    assert_true(ja3_print(&out, hello));
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(memory, expected, out.len);
}

static void test_text(void **state)
{
    struct client_hello hello = parse(hello_browser(&builder));

    (void)state;
    check_text(&hello, "771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-"
                       "47-53,0-23-65281-10-11-35-16-5-13-18-51-45-43-27-17513-21,29-23-24,0");
    hello_start(&builder, 0x0301, 0);
    HELLO_LIST16(&builder, 0x0a0a, 0xfafa);
    hello_no_compression(&builder);
    hello = parse(hello_finish(&builder));
    check_text(&hello, "769,,,,");
}

/* The limit, one above it, and the longest text that there can be. */
static void test_limits(void **state)
{
    char memory[JA3_TEXT_MAX];
    char hash[JA3_LEN + 1];
    struct text out = text_make(memory, sizeof(memory));
    struct client_hello hello;
    uint8_t formats[256];

    (void)state;
    for (size_t count = FINGERPRINT_LIST_MAX; count <= FINGERPRINT_LIST_MAX + 1; count++) {
        bool fits = count == FINGERPRINT_LIST_MAX;

        hello_start(&builder, 0xffff, 0);
        hello_u16(&builder, (unsigned)(2 * count));
        for (size_t i = 0; i < count; i++) {
            hello_u16(&builder, 0xffff);
        }
        hello_no_compression(&builder);
        hello_open(&builder, 10);
        hello_u16(&builder, (unsigned)(2 * count));
        for (size_t i = 0; i < count; i++) {
            hello_u16(&builder, 0xfffe);
        }
        hello_close(&builder);
        memset(formats, 255, sizeof(formats));
        hello_extension(&builder, 11, formats, sizeof(formats));
        for (unsigned i = 0; i < CLIENT_HELLO_EXTENSIONS_MAX - 2; i++) {
            hello_extension(&builder, 0xff00 + i, "", 0);
        }
        hello = parse(hello_finish(&builder));
        out.len = 0;
        assert_true(ja3_print(&out, &hello) == fits);
        assert_true(ja3_compute(hash, &hello) == fits);
        assert_false(out.overflow);
        if (fits) {
            /* All but the two short extension numbers and the separators that begin no list. */
            assert_int_equal(out.len, JA3_TEXT_MAX - 2 * 3 - 4);
            out = text_make(memory, out.len - 1);
            assert_false(ja3_print(&out, &hello)); /* a buffer that is too small is told */
            out = text_make(memory, sizeof(memory));
        }
    }
}

static void check_golden(const char *line, const struct client_hello *hello)
{
    char hash[JA3_LEN + 1];

    assert_true(golden_string(line, "ja3_full", value));
    check_text(hello, value);
    assert_true(golden_string(line, "ja3", value));
    assert_true(ja3_compute(hash, hello));
    assert_string_equal(hash, value);
}

static void test_golden(void **state)
{
    long count;

    (void)state;
    count = golden_each("mitmengine/pcap_golden.jsonl", "client_hello_hex", check_golden);
    if (count < 0) {
        skip();
    }
    assert_int_equal(count, 733);
    assert_int_equal(golden_each("ja4/ja4_golden.jsonl", "client_hello", check_golden), 44);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_md5_vectors), cmocka_unit_test(test_md5_padding),
        cmocka_unit_test(test_text),        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
