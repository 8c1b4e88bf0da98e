/* SPDX-License-Identifier: Apache-2.0 */
#include "http/authority.h"

#include "core/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define LABEL_63 "a23456789012345678901234567890123456789012345678901234567890123"

struct row {
    const char *text;
    const char *host; /* null: refused */
    uint16_t port;
    const char *words; /* of the reason */
    bool is_ip;
    bool is_ipv6;
};

/* Both a Host field and, with a port, CONNECT. */
static const struct row rows[] = {
    {"example.com:443", "example.com", 443, NULL, false, false},
    {"example.com", "example.com", 0, NULL, false, false},
    {"EXAMPLE.Com:80", "example.com", 80, NULL, false, false},
    {"example.com.:80", "example.com", 80, NULL, false, false},
    {"localhost.", "localhost", 0, NULL, false, false},
    {"a:1", "a", 1, NULL, false, false},
    {"a:65535", "a", 65535, NULL, false, false},
    {"_dmarc.a_b.example:80", "_dmarc.a_b.example", 80, NULL, false, false},
    {"r3---sn-a.example", "r3---sn-a.example", 0, NULL, false, false},
    {"xn--bcher-kva.example:443", "xn--bcher-kva.example", 443, NULL, false, false},
    {"1.example", "1.example", 0, NULL, false, false},
    {"1a", "1a", 0, NULL, false, false},
    {"a.0b", "a.0b", 0, NULL, false, false},
    {"0x7f.example", "0x7f.example", 0, NULL, false, false},
    {LABEL_63 ".example:80", LABEL_63 ".example", 80, NULL, false, false},
    {LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, NULL, 0, "253", false, false},
    {LABEL_63 "x.example", NULL, 0, "63 bytes", false, false},
    {"127.0.0.1:80", "127.0.0.1", 80, NULL, true, false},
    {"0.0.0.0", "0.0.0.0", 0, NULL, true, false},
    {"255.255.255.255:1", "255.255.255.255", 1, NULL, true, false},
    {"[::1]:443", "::1", 443, NULL, true, true},
    {"[::1]", "::1", 0, NULL, true, true},
    {"[::]:80", "::", 80, NULL, true, true},
    {"[2001:DB8:0:0:0:0:0:1]:443", "2001:db8::1", 443, NULL, true, true},
    {"[::ffff:127.0.0.1]:80", "::ffff:127.0.0.1", 80, NULL, true, true},
    {"[64:ff9b::7f00:1]:80", "64:ff9b::7f00:1", 80, NULL, true, true},
    {"", NULL, 0, "no host", false, false},
    {":443", NULL, 0, "no host", false, false},
    {".", NULL, 0, "empty label", false, false},
    {"..", NULL, 0, "empty label", false, false},
    {".example", NULL, 0, "empty label", false, false},
    {"a..b", NULL, 0, "empty label", false, false},
    {"a..", NULL, 0, "empty label", false, false},
    {"a b", NULL, 0, "no DNS name", false, false},
    {" a", NULL, 0, "no DNS name", false, false},
    {"a\t", NULL, 0, "no DNS name", false, false},
    {"a/b", NULL, 0, "no DNS name", false, false},
    {"a\\b", NULL, 0, "no DNS name", false, false},
    {"a?b", NULL, 0, "no DNS name", false, false},
    {"a#b", NULL, 0, "no DNS name", false, false},
    {"a,b", NULL, 0, "no DNS name", false, false},
    {"*.example", NULL, 0, "no DNS name", false, false},
    {"user@a:80", NULL, 0, "no DNS name", false, false},
    {"user:password@a:80", NULL, 0, "several colons", false, false},
    {"a%2eb", NULL, 0, "percent", false, false},
    {"b\303\274cher.example", NULL, 0, "no DNS name", false, false},
    {"example\343\200\202com", NULL, 0, "no DNS name", false, false}, /* ideographic full stop */
    {"a\001", NULL, 0, "no DNS name", false, false},
    {"127.1", NULL, 0, "IPv4", false, false},
    {"127.0.1:80", NULL, 0, "IPv4", false, false},
    {"2130706433", NULL, 0, "IPv4", false, false},
    {"0177.0.0.1", NULL, 0, "IPv4", false, false},
    {"127.0.0.01", NULL, 0, "IPv4", false, false},
    {"127.0.0.00", NULL, 0, "IPv4", false, false},
    {"0x7f000001", NULL, 0, "IPv4", false, false},
    {"0x7f.0x0.0x0.0x1", NULL, 0, "IPv4", false, false},
    {"127.0.0.0x1", NULL, 0, "IPv4", false, false},
    {"127.0.0.0X", NULL, 0, "IPv4", false, false},
    {"127.0.0.256", NULL, 0, "IPv4", false, false},
    {"127.0.0.1000", NULL, 0, "IPv4", false, false},
    {"1.2.3.4.5", NULL, 0, "IPv4", false, false},
    {"127.0.0.1.", NULL, 0, "IPv4", false, false},
    {"example.127", NULL, 0, "IPv4", false, false},
    {"::1", NULL, 0, "several colons", false, false},
    {"::1:443", NULL, 0, "several colons", false, false},
    {"a:b:443", NULL, 0, "several colons", false, false},
    {"[::1", NULL, 0, "not closed", false, false},
    {"[]", NULL, 0, "IPv6", false, false},
    {"[]:80", NULL, 0, "IPv6", false, false},
    {"[a]:80", NULL, 0, "IPv6", false, false},
    {"[127.0.0.1]:80", NULL, 0, "IPv6", false, false},
    {"[::1%lo]:80", NULL, 0, "zone", false, false},
    {"[::1%25lo]:80", NULL, 0, "zone", false, false},
    {"[::12345]:80", NULL, 0, "IPv6", false, false},
    {"[1:2:3:4:5:6:7:8:9]", NULL, 0, "IPv6", false, false},
    {"[v1.a]", NULL, 0, "IPv6", false, false},
    {"[ ::1]", NULL, 0, "IPv6", false, false},
    {"[0000:0000:0000:0000:0000:0000:0000:0000:0000]", NULL, 0, "IPv6", false, false},
    {"[::1]80", NULL, 0, "port", false, false},
    {"[::1]x:80", NULL, 0, "port", false, false},
    {"a:", NULL, 0, "port", false, false},
    {"a:0", NULL, 0, "port", false, false},
    {"a:00", NULL, 0, "port", false, false},
    {"a:0443", NULL, 0, "port", false, false},
    {"a:+443", NULL, 0, "port", false, false},
    {"a:-1", NULL, 0, "port", false, false},
    {"a: 443", NULL, 0, "port", false, false},
    {"a:443 ", NULL, 0, "port", false, false},
    {"a:0x1bb", NULL, 0, "port", false, false},
    {"a:https", NULL, 0, "port", false, false},
    {"a:65536", NULL, 0, "port", false, false},
    {"a:100000", NULL, 0, "port", false, false},
    {"a:443/", NULL, 0, "port", false, false},
};

/* The text in memory of its own size, for the sanitizers. */
static struct span exactly(const char *text)
{
    size_t len = strlen(text);
    char *copy = malloc(len ? len : 1);

    assert_non_null(copy);
    memcpy(copy, text, len);
    return span_make(copy, len);
}

static void check(const struct row *row, const struct http_authority *got, bool accepted,
                  bool need_port, const struct http_fault *fault)
{
    bool want = row->host && (row->port || !need_port);

    if (accepted != want) {
        fail_msg("\"%s\": %s", row->text, accepted ? "accepted" : fault->what);
    }
    if (!accepted) {
        assert_int_equal(fault->status, 400);
        assert_string_equal(fault->error, "http_request_error");
        assert_true(fault->offset <= strlen(row->text));
        if (!strstr(fault->what, row->words ? row->words : "no port")) {
            fail_msg("\"%s\": %s", row->text, fault->what);
        }
        return;
    }
    assert_string_equal(got->host, row->host);
    assert_int_equal(got->host_len, strlen(row->host));
    assert_int_equal(got->port, row->port);
    assert_int_equal(got->is_ip, row->is_ip);
    assert_int_equal(got->is_ipv6, row->is_ipv6);
}

static void test_hosts_and_ports(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span text = exactly(rows[i].text);
        struct http_authority got;
        struct http_fault fault;
        bool accepted = authority_parse_host(&got, text, &fault);

        check(&rows[i], &got, accepted, false, &fault);
        memset(&got, 0xff, sizeof(got));
        accepted = authority_parse_connect(&got, text, &fault);
        check(&rows[i], &got, accepted, true, &fault);
        free((void *)text.data);
    }
}

/* 253 bytes are a name, 254 are not; a trailing dot does not count. */
static void test_longest_name(void **state)
{
    char text[300];
    struct http_authority got;
    struct http_fault fault;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = i % 50 == 49 ? '.' : 'a';
    }
    assert_true(authority_parse_host(&got, span_make(text, 253), &fault));
    assert_int_equal(got.host_len, 253);
    assert_int_equal(strlen(got.host), 253);
    assert_false(authority_parse_host(&got, span_make(text, 254), &fault));
    text[253] = '.';
    assert_true(authority_parse_host(&got, span_make(text, 254), &fault));
    assert_int_equal(got.host_len, 253);
}

/* A NUL ends no name. */
static void test_nul_is_a_byte(void **state)
{
    struct http_authority got;
    struct http_fault fault;

    (void)state;
    assert_false(authority_parse_host(&got, SPAN_LITERAL("a\000b"), &fault));
    assert_false(authority_parse_host(&got, SPAN_LITERAL("[::1\000]"), &fault));
    assert_false(authority_parse_host(&got, SPAN_LITERAL("a:80\000"), &fault));
}

static void test_absolute(void **state)
{
    static const struct {
        const char *target;
        const char *host; /* null: refused */
        enum http_scheme scheme;
        uint16_t port;
        const char *path;
        const char *words;
    } uris[] = {
        {"http://a", "a", HTTP_SCHEME_HTTP, 80, "", NULL},
        {"http://a/", "a", HTTP_SCHEME_HTTP, 80, "/", NULL},
        {"hTTp://A/B?c=/d", "a", HTTP_SCHEME_HTTP, 80, "/B?c=/d", NULL},
        {"http://a?q", "a", HTTP_SCHEME_HTTP, 80, "?q", NULL},
        {"http://a?q@b", "a", HTTP_SCHEME_HTTP, 80, "?q@b", NULL},
        {"http://a:8080/x", "a", HTTP_SCHEME_HTTP, 8080, "/x", NULL},
        {"https://a", "a", HTTP_SCHEME_HTTPS, 443, "", NULL},
        {"HTTPS://a:444//", "a", HTTP_SCHEME_HTTPS, 444, "//", NULL},
        {"http://[::1]/p", "::1", HTTP_SCHEME_HTTP, 80, "/p", NULL},
        {"http://a/@", "a", HTTP_SCHEME_HTTP, 80, "/@", NULL},
        {"", NULL, 0, 0, "", "neither"},
        {"/p", NULL, 0, 0, "", "whole URI"},
        {"*", NULL, 0, 0, "", "neither"},
        {"http:/a", NULL, 0, 0, "", "neither"},
        {"http:a", NULL, 0, 0, "", "neither"},
        {"//a/", NULL, 0, 0, "", "whole URI"},
        {"ftp://a/", NULL, 0, 0, "", "neither"},
        {"ws://a/", NULL, 0, 0, "", "neither"},
        {"file:///etc", NULL, 0, 0, "", "neither"},
        {"http:\\\\a", NULL, 0, 0, "", "neither"},
        {"http://", NULL, 0, 0, "", "no host"},
        {"http:///p", NULL, 0, 0, "", "no host"},
        {"http://?q", NULL, 0, 0, "", "no host"},
        {"http://u@a/", NULL, 0, 0, "", "user information"},
        {"http://u:p@a/", NULL, 0, 0, "", "user information"},
        {"http://@a/", NULL, 0, 0, "", "user information"},
        {"http://a/#f", NULL, 0, 0, "", "fragment"},
        {"http://a#@b/", NULL, 0, 0, "", "fragment"},
        {"http://a\\@b/", NULL, 0, 0, "", "user information"},
        {"http://a\\b/", NULL, 0, 0, "", "no DNS name"},
        {"http://a:80:80/", NULL, 0, 0, "", "several colons"},
        {"http://a:/", NULL, 0, 0, "", "port"},
        {"http://a:0/", NULL, 0, 0, "", "port"},
        {"http://127.1/", NULL, 0, 0, "", "IPv4"},
        {"http://[fe80::1%25eth0]/", NULL, 0, 0, "", "zone"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(uris); i++) {
        struct span target = exactly(uris[i].target);
        struct http_authority got;
        enum http_scheme scheme = HTTP_SCHEME_HTTP;
        struct http_fault fault;
        struct span path;

        if (authority_parse_absolute(&got, &scheme, &path, target, &fault)) {
            assert_non_null(uris[i].host);
            assert_string_equal(got.host, uris[i].host);
            assert_int_equal(scheme, uris[i].scheme);
            assert_int_equal(got.port, uris[i].port);
            assert_true(span_equal(path, span_from_string(uris[i].path)));
        } else if (uris[i].host || !strstr(fault.what, uris[i].words) ||
                   fault.offset > target.len) {
            fail_msg("\"%s\": %s", uris[i].target, fault.what);
        }
        free((void *)target.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts_and_ports),
        cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_nul_is_a_byte),
        cmocka_unit_test(test_absolute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
