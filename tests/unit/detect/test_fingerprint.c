/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/fingerprint.h"

#include "detect/request_fingerprint.h"

#include "tests/unit/detect/golden.h"
#include "tests/unit/tls/hello_builder.h"
#include "tls/client_hello.c" /* detect does not link with tls */

static struct hello_builder builder;
static char value[GOLDEN_VALUE_MAX];

static struct client_hello parse(struct span message)
{
    struct client_hello hello;
    struct client_hello_fault fault;

    assert_true(client_hello_parse(&hello, message, &fault));
    return hello;
}

/* The same without the way over the text. */
static void check_value(const struct client_hello *hello, const char *expected)
{
    static struct request_fingerprint fp;
    char memory[FINGERPRINT_HELLO_MAX + 256];
    struct text out = text_make(memory, sizeof(memory) - 1);

    assert_true(request_fingerprint_from_hello(&fp, hello));
    request_fingerprint_print(&out, &fp);
    memory[out.len] = '\0';
    assert_string_equal(memory, expected);
}

static void check(const struct client_hello *hello, const char *headers, const char *quirks,
                  const char *expected)
{
    char memory[FINGERPRINT_HELLO_MAX + 256];
    struct text out = text_make(memory, sizeof(memory) - 1);

    assert_true(
        fingerprint_print(&out, hello, span_from_string(headers), span_from_string(quirks)));
    memory[out.len] = '\0';
    assert_string_equal(memory, expected);
    if (!headers[0] && !quirks[0]) {
        check_value(hello, expected);
    }
}

static void test_fields(void **state)
{
    struct client_hello hello = parse(hello_browser(&builder));
    char memory[FINGERPRINT_HELLO_MAX];
    struct text out = text_make(memory, sizeof(memory));

    (void)state;
    check(&hello, "", "",
          "303:2a2a,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,9c,9d,2f,35:5a5a,0,17,"
          "ff01,a,b,23,10,5,d,12,33,2d,2b,1b,4469,6a6a,15:3a3a,1d,17,18:0::");
    assert_true(fingerprint_print_hello(&out, &hello));
    assert_int_equal(memory[out.len - 2], ':');
    assert_int_equal(memory[out.len - 1], '0');
    out = text_make(memory, out.len - 1);
    assert_false(fingerprint_print_hello(&out, &hello));
    out = text_make(memory, out.len + 2);
    assert_false(fingerprint_print(&out, &hello, SPAN_LITERAL(""), SPAN_LITERAL("")));
}

static void test_headers_and_quirks(void **state)
{
    struct client_hello hello;

    (void)state;
    hello_start(&builder, 0x0200, 0);
    HELLO_LIST16(&builder, 0x0000, 0x000a, 0x0a00);
    hello_no_compression(&builder);
    hello = parse(hello_finish(&builder));
    check(&hello, "", "", "200:0,a,a00:::::");
    check(&hello, "host,user-agent", "grease", "200:0,a,a00::::host,user-agent:grease");

    hello_start(&builder, 0x0301, 0);
    HELLO_LIST16(&builder, 0x0005);
    hello_u8(&builder, 2);
    hello_u16(&builder, 0x0100);
    hello = parse(hello_finish(&builder));
    check(&hello, "", "", "301:5:::::compr");
    check(&hello, "", "grease,badhdr", "301:5:::::compr,grease,badhdr");
}

static void test_limits(void **state)
{
    char memory[FINGERPRINT_HELLO_MAX];
    struct text out = text_make(memory, sizeof(memory));
    struct client_hello hello;

    (void)state;
    for (size_t count = FINGERPRINT_LIST_MAX; count <= FINGERPRINT_LIST_MAX + 1; count++) {
        hello_start(&builder, 0xffff, 0);
        hello_u16(&builder, (unsigned)(2 * count));
        for (size_t i = 0; i < count; i++) {
            hello_u16(&builder, 0xffff);
        }
        hello_no_compression(&builder);
        for (unsigned i = 0; i < CLIENT_HELLO_EXTENSIONS_MAX; i++) {
            hello_extension(&builder, 0xff00 + i, "", 0);
        }
        hello = parse(hello_finish(&builder));
        out.len = 0;
        assert_true(fingerprint_print_hello(&out, &hello) == (count == FINGERPRINT_LIST_MAX));
        assert_false(out.overflow);
    }
}

static void check_golden(const char *line, const struct client_hello *hello)
{
    struct span alpn = hello->alpn;
    struct span name;
    const char *at;

    /* Absent only where the reference could not read a hello without extensions. */
    if (golden_string(line, "request_fingerprint", value)) {
        check(hello, "", "", value);
    } else {
        assert_int_equal(hello->extension_count, 0);
        assert_true(golden_string(line, "first_hello_fingerprint", value));
        check(hello, "", "", value);
    }

    if (golden_string(line, "sni", value)) {
        assert_true(span_equal(hello->sni, span_from_string(value)));
        assert_false(hello->sni_invalid);
    } else {
        assert_int_equal(hello->sni.len, 0);
    }

    at = golden_find(line, "alpn"); /* ["h2", "http/1.1"] */
    assert_true(at && *at == '[');
    at++;
    while (alpn_next(&alpn, &name)) {
        at += strspn(at, " ,");
        assert_int_equal(*at, '"');
        at++;
        assert_int_equal(strcspn(at, "\""), name.len);
        assert_memory_equal(at, name.data, name.len);
        at += name.len + 1;
    }
    assert_int_equal(*at, ']');
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
}

static void check_golden_sni(const char *line, const struct client_hello *hello)
{
    bool found = golden_string(line, "sni", value);

    assert_true(span_equal(hello->sni, found ? span_from_string(value) : SPAN_LITERAL("")));
}

static void test_golden_sni(void **state)
{
    long count;

    (void)state;
    count = golden_each("ja4/ja4_golden.jsonl", "client_hello", check_golden_sni);
    if (count < 0) {
        skip();
    }
    assert_int_equal(count, 44);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),     cmocka_unit_test(test_headers_and_quirks),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_golden),
        cmocka_unit_test(test_golden_sni),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
