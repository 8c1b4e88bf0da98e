/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config/host_pattern.h"

#include "core/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_matches(void **state)
{
    static const struct {
        const char *pattern, *host;
        bool matches;
    } rows[] = {
        {"example.com", "example.com", true},
        {"example.com", "EXAMPLE.Com", true},
        {"Example.COM", "example.com", true},
        {"example.com", "example.com.", true},
        {"example.com", "example.com..", false},
        {"example.com", "www.example.com", false},
        {"example.com", "example.co", false},
        {"example.com", "example.comm", false},
        {"example.com", "xexample.com", false},
        {"example.com", "", false},
        {"example.com", ".", false},
        {"*.example.com", "www.example.com", true},
        {"*.example.com", "a.b.c.example.com", true},
        {"*.example.com", "WWW.EXAMPLE.COM.", true},
        {"*.example.com", "example.com", false},
        {"*.example.com", ".example.com", false},
        {"*.example.com", "xexample.com", false},
        {"*.example.com", "www.example.com.evil.example", false},
        {".example.com", "example.com", true},
        {".example.com", "example.com.", true},
        {".example.com", "www.example.com", true},
        {".example.com", "a.b.example.com", true},
        {".example.com", "xexample.com", false},
        {".example.com", "com", false},
        {"*", "example.com", true},
        {"*", "192.0.2.1", true},
        {"*", "", true},
        {"", "", true},
        {"", "example.com", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.10", false},
        {"192.0.2.1", "192.0.2.01", false},
        {"192.0.2.1", "3221225985", false},
        {"192.0.2.1", "0xc0.0.2.1", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"192.0.2.1", "[::ffff:c000:201]", true},
        {"192.0.2.1", "192.0.2.1.example.com", false},
        {"::ffff:192.0.2.1", "192.0.2.1", true},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.0/25", "192.0.2.127", true},
        {"192.0.2.0/25", "192.0.2.128", false},
        {"192.0.2.4/31", "192.0.2.5", true},
        {"192.0.2.4/31", "192.0.2.6", false},
        {"192.0.2.4/32", "192.0.2.4", true},
        {"192.0.2.4/32", "192.0.2.5", false},
        {"0.0.0.0/0", "192.0.2.1", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"0.0.0.0/0", "example.com", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"::/0", "::ffff:192.0.2.1", false},
        {"2001:db8::1", "2001:db8::1", true},
        {"2001:db8::1", "[2001:DB8:0:0::1]", true},
        {"2001:db8::1", "2001:db8::2", false},
        {"2001:db8::1", "[2001:db8::1", false},
        {"2001:db8::1", "[]", false},
        {"2001:db8::1", "[", false},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"2001:db8::1/128", "2001:db8::1", true},
        {"fe80::/10", "febf::1", true},
        {"fe80::/10", "fec0::1", false},
        {"::ffff:10.0.0.0/104", "10.255.0.1", true},
        {"::ffff:10.0.0.0/104", "11.0.0.1", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span pattern = span_from_string(rows[i].pattern);
        if (pattern.len) {
            assert_null(config_host_pattern_error(pattern));
        }
        if (config_host_matches(rows[i].pattern, span_from_string(rows[i].host)) !=
            rows[i].matches) {
            fail_msg("[%s] [%s]: not %d", rows[i].pattern, rows[i].host, rows[i].matches);
        }
    }
}

static void test_refused(void **state)
{
    static const char *const rows[] = {
        "",          ".",          "..",          "*.",          "**",         "*example.com",
        "a.*",       "a.*.b",      "a..b",        "a.",          ".a.",        "*..a",
        "-a",        "a-",         "a b",         "a/b",         "a:1",        "http://a",
        "1",         "1.2.3",      "1.2.3.4.5",   "1.2.3.256",   "01.2.3.4",   "1.2.3.4/",
        "1.2.3.4/x", "1.2.3.0/33", "1.2.3.4/24",  "1.2.3.0/024", "1.2.3.0/-1", "1.2.3.0/24/1",
        "::/129",    "::1/64",     "[::1]",       "::1%lo",      "a.123",      "\xc3\xa9.example",
        ":",         "/",          "1.2.3.0/ 24", "a\nb",        "1.2.3.4:80", "::ffff:1.2.3.4/8",
    };
    char label[70], name[300];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (!config_host_pattern_error(span_from_string(rows[i]))) {
            fail_msg("[%s] was taken", rows[i]);
        }
    }
    memset(label, 'a', sizeof(label));
    assert_null(config_host_pattern_error(span_make(label, 63)));
    assert_non_null(config_host_pattern_error(span_make(label, 64)));
    for (size_t i = 0; i < sizeof(name); i++) {
        name[i] = i % 10 == 9 ? '.' : 'a';
    }
    assert_null(config_host_pattern_error(span_make(name, 253)));
    assert_non_null(config_host_pattern_error(span_make(name, 254)));
    assert_non_null(config_host_pattern_error(SPAN_LITERAL("192.0.2.1\0")));
}

static void test_is_address(void **state)
{
    (void)state;
    assert_true(config_host_pattern_is_address(SPAN_LITERAL("192.0.2.1")));
    assert_true(config_host_pattern_is_address(SPAN_LITERAL("192.0.2.0/24")));
    assert_true(config_host_pattern_is_address(SPAN_LITERAL("::1")));
    assert_false(config_host_pattern_is_address(SPAN_LITERAL("a.example")));
    assert_false(config_host_pattern_is_address(SPAN_LITERAL("*")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_is_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
