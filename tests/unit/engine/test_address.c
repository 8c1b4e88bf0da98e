/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/base/assert.h"

static struct address parsed(const char *text, uint16_t port)
{
    struct address address;

    if (!address_parse_ip(&address, span_from_string(text), port)) {
        fail_msg("\"%s\" was not parsed", text);
    }
    return address;
}

static void test_parse_and_format(void **state)
{
    static const struct {
        const char *text, *with_port, *without;
    } rows[] = {
        {"0.0.0.0", "0.0.0.0:443", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255:443", "255.255.255.255"},
        {"192.0.2.1", "192.0.2.1:443", "192.0.2.1"},
        {"::", "[::]:443", "::"},
        {"::1", "[::1]:443", "::1"},
        {"2001:DB8::A", "[2001:db8::a]:443", "2001:db8::a"},
        {"2001:0db8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]:443", "2001:db8::1:0:0:1"},
        {"::ffff:192.0.2.1", "192.0.2.1:443", "192.0.2.1"},
        {"64:ff9b::192.0.2.33", "[64:ff9b::c000:221]:443", "64:ff9b::c000:221"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:443",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address address = parsed(rows[i].text, 443);
        char text[ADDRESS_TEXT_MAX];
        address_format(&address, text);
        assert_string_equal(text, rows[i].with_port);
        address_format_ip(&address, text);
        assert_string_equal(text, rows[i].without);
        assert_int_equal(address_port(&address), 443);
    }
}

/* Every other spelling of an address is left to be a name, and no name looks like these. */
static void test_parse_refuses(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.001",
        "00.0.0.0",
        "256.0.0.1",
        "1.2.3.4.5",
        "1.2.3.",
        "1.2.3.4.",
        ".1.2.3.4",
        "1..2.3",
        "1.2.3.4 ",
        " 1.2.3.4",
        "+1.2.3.4",
        "-1.2.3.4",
        "1.2.3.4:80",
        "1.2.3.4/8",
        "1.2.3.4%eth0",
        "１.2.3.4",
        "1。2。3。4",
        "localhost",
        "[::1]",
        "[::1]:80",
        "::1%lo",
        "::1%25lo",
        "fe80::1%1",
        ":",
        ":::",
        "1::2::3",
        ":1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:",
        "12345::",
        "::00001",
        "::g",
        "::ffff:127.1",
        "::ffff:0177.0.0.1",
        "::ffff:127.0.0.256",
        "1:2:3:4:5:6:7:1.2.3.4",
        "::1 ",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff0",
        "0000000000000000000000000000000000000000000000000000000000000001",
    };
    struct address address;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (address_parse_ip(&address, span_from_string(rows[i]), 1)) {
            fail_msg("\"%s\" was parsed", rows[i]);
        }
    }
    assert_false(address_parse_ip(&address, span_make("1.2.3.4\0", 8), 1));
    assert_false(address_parse_ip(&address, span_make("::1\0x", 5), 1));
    assert_false(address_parse_ip(&address, span_make(NULL, 0), 1));
    /* A view into longer text ends where the view ends. */
    assert_true(address_parse_ip(&address, span_make("10.0.0.12", 8), 1));
    assert_true(address.u.v4.sin_addr.s_addr == htonl(0x0a000001));
}

static void test_ports_and_equality(void **state)
{
    struct address a = parsed("192.0.2.1", 80), b = parsed("192.0.2.1", 80);
    struct address c = parsed("2001:db8::1", 80), d = parsed("2001:db8::1", 80);
    struct address mapped = parsed("::ffff:192.0.2.1", 80);

    (void)state;
    assert_true(address_equal(&a, &b));
    address_set_port(&b, 81);
    assert_int_equal(address_port(&b), 81);
    assert_false(address_equal(&a, &b));
    assert_true(address_equal(&c, &d));
    address_set_port(&d, 65535);
    assert_int_equal(address_port(&d), 65535);
    assert_false(address_equal(&c, &d));
    d = c;
    d.u.v6.sin6_scope_id = 2;
    assert_false(address_equal(&c, &d));
    d = c;
    d.u.v6.sin6_flowinfo = 7;
    assert_true(address_equal(&c, &d));
    d.u.v6.sin6_addr.s6_addr[15] = 2;
    assert_false(address_equal(&c, &d));
    assert_false(address_equal(&a, &c));
    assert_false(address_equal(&a, &mapped));
    b = parsed("192.0.2.2", 80);
    assert_false(address_equal(&a, &b));
}

static void test_from_storage(void **state)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNIX};
    struct address c = parsed("2001:db8::1", 80), back;
    char text[ADDRESS_TEXT_MAX];

    (void)state;
    back = address_from_storage(&storage);
    assert_int_equal(back.len, 0);
    address_format_ip(&back, text);
    assert_string_equal(text, "-");
    assert_string_equal(address_refusal(&back, true), "not an internet address");
    assert_int_equal(address_port(&back), 0);
    memcpy(&storage, &c.u, c.len);
    back = address_from_storage(&storage);
    assert_true(address_equal(&back, &c));
    c = parsed("192.0.2.9", 1);
    memcpy(&storage, &c.u, c.len);
    back = address_from_storage(&storage);
    assert_true(address_equal(&back, &c));
}

struct row {
    const char *text;
    const char *sentence; /* null: open to everybody */
    bool liftable;        /* by allow_private */
};

#define PUBLIC        NULL, false
#define UNSPECIFIED   "unspecified address", false
#define RESERVED      "reserved address", false
#define MULTICAST     "multicast address", false
#define BROADCAST     "broadcast address", false
#define TEREDO        "Teredo address", false
#define LOOPBACK      "loopback address", true
#define LINK_LOCAL    "link-local address", true
#define SITE_LOCAL    "site-local address", true
#define UNIQUE_LOCAL  "unique local address", true
#define PRIVATE       "private address", true
#define CARRIER       "carrier-grade NAT address", true
#define DOCUMENTATION "documentation address", true
#define BENCHMARKING  "benchmarking address", true
#define PRIVATE_NAT64 "private NAT64 address", true

static const struct row rows[] = {
    {"0.0.0.0", UNSPECIFIED},
    {"0.0.0.1", UNSPECIFIED},
    {"0.255.255.255", UNSPECIFIED},
    {"1.0.0.0", PUBLIC},
    {"1.1.1.1", PUBLIC},
    {"8.8.8.8", PUBLIC},
    {"9.255.255.255", PUBLIC},
    {"10.0.0.0", PRIVATE},
    {"10.255.255.255", PRIVATE},
    {"11.0.0.0", PUBLIC},
    {"100.63.255.255", PUBLIC},
    {"100.64.0.0", CARRIER},
    {"100.100.100.200", CARRIER}, /* a cloud's metadata */
    {"100.127.255.255", CARRIER},
    {"100.128.0.0", PUBLIC},
    {"126.255.255.255", PUBLIC},
    {"127.0.0.0", LOOPBACK},
    {"127.0.0.1", LOOPBACK},
    {"127.1.2.3", LOOPBACK},
    {"127.255.255.255", LOOPBACK},
    {"128.0.0.0", PUBLIC},
    {"169.253.255.255", PUBLIC},
    {"169.254.0.0", LINK_LOCAL},
    {"169.254.169.254", LINK_LOCAL}, /* metadata of most clouds */
    {"169.254.170.2", LINK_LOCAL},   /* and of their containers */
    {"169.254.255.255", LINK_LOCAL},
    {"169.255.0.0", PUBLIC},
    {"172.15.255.255", PUBLIC},
    {"172.16.0.0", PRIVATE},
    {"172.31.255.255", PRIVATE},
    {"172.32.0.0", PUBLIC},
    {"191.255.255.255", PUBLIC},
    {"192.0.0.0", RESERVED},
    {"192.0.0.192", RESERVED}, /* a cloud's metadata */
    {"192.0.0.255", RESERVED},
    {"192.0.1.0", PUBLIC},
    {"192.0.2.1", DOCUMENTATION},
    {"192.0.3.0", PUBLIC},
    {"192.88.98.255", PUBLIC},
    {"192.88.99.1", RESERVED},
    {"192.88.100.0", PUBLIC},
    {"192.167.255.255", PUBLIC},
    {"192.168.0.0", PRIVATE},
    {"192.168.255.255", PRIVATE},
    {"192.169.0.0", PUBLIC},
    {"198.17.255.255", PUBLIC},
    {"198.18.0.0", BENCHMARKING},
    {"198.19.255.255", BENCHMARKING},
    {"198.20.0.0", PUBLIC},
    {"198.51.100.7", DOCUMENTATION},
    {"203.0.113.7", DOCUMENTATION},
    {"203.0.114.0", PUBLIC},
    {"223.255.255.255", PUBLIC},
    {"224.0.0.1", MULTICAST},
    {"239.255.255.255", MULTICAST},
    {"240.0.0.0", RESERVED},
    {"255.255.255.254", RESERVED},
    {"255.255.255.255", BROADCAST},
    {"::", UNSPECIFIED},
    {"::1", LOOPBACK},
    {"::2", RESERVED},
    {"::127.0.0.1", RESERVED}, /* IPv4-compatible, RFC 4291 2.5.5.1 */
    {"::8.8.8.8", RESERVED},
    {"::ffff:0:127.0.0.1", RESERVED}, /* IPv4-translated, RFC 2765 */
    {"::ffff:8.8.8.8", PUBLIC},
    {"::ffff:0.0.0.0", UNSPECIFIED},
    {"::ffff:127.0.0.1", LOOPBACK},
    {"::ffff:10.1.2.3", PRIVATE},
    {"::ffff:169.254.169.254", LINK_LOCAL},
    {"::ffff:a9fe:a9fe", LINK_LOCAL},
    {"::ffff:224.0.0.1", MULTICAST},
    {"::ffff:255.255.255.255", BROADCAST},
    {"::fffe:127.0.0.1", RESERVED},
    {"64:ff9b::8.8.8.8", PUBLIC},
    {"64:ff9b::127.0.0.1", LOOPBACK},
    {"64:ff9b::10.0.0.1", PRIVATE},
    {"64:ff9b::169.254.169.254", LINK_LOCAL},
    {"64:ff9b::0.0.0.0", UNSPECIFIED},
    {"64:ff9b::1:127.0.0.1", RESERVED}, /* beside the prefix */
    {"64:ff9b:1::10.0.0.1", PRIVATE_NAT64},
    {"64:ff9b:1:ffff::8.8.8.8", PRIVATE_NAT64},
    {"64:ff9b:2::8.8.8.8", RESERVED},
    {"100::1", RESERVED}, /* discard only, RFC 6666 */
    {"1fff:ffff::1", RESERVED},
    {"2000::1", PUBLIC},
    {"2001::1", TEREDO},
    {"2001:0:7f00:1::", TEREDO},
    {"2001:1::1", RESERVED},
    {"2001:2::1", BENCHMARKING},
    {"2001:2:1::1", RESERVED},
    {"2001:10::1", RESERVED}, /* ORCHID, RFC 4843 */
    {"2001:1ff:ffff::1", RESERVED},
    {"2001:200::1", PUBLIC},
    {"2001:4860:4860::8888", PUBLIC},
    {"2001:db7:ffff::1", PUBLIC},
    {"2001:db8::1", DOCUMENTATION},
    {"2001:db8:ffff:ffff::1", DOCUMENTATION},
    {"2001:db9::1", PUBLIC},
    {"2002:808:808::1", PUBLIC},
    {"2002:7f00:1::1", LOOPBACK},
    {"2002:a00:1::1", PRIVATE},
    {"2002:a9fe:a9fe::1", LINK_LOCAL},
    {"2002:c0a8:101::", PRIVATE},
    {"2002:e000:1::1", MULTICAST},
    {"2002::1", UNSPECIFIED},
    {"2003::1", PUBLIC},
    {"2606:4700:4700::1111", PUBLIC},
    {"3ffe::1", PUBLIC},
    {"3fff::1", DOCUMENTATION},
    {"3fff:fff:ffff::1", DOCUMENTATION},
    {"3fff:1000::1", PUBLIC},
    {"4000::1", RESERVED},
    {"5f00::1", RESERVED}, /* segment identifiers, RFC 9602 */
    {"fbff::1", RESERVED},
    {"fc00::1", UNIQUE_LOCAL},
    {"fd00:ec2::254", UNIQUE_LOCAL}, /* a cloud's metadata */
    {"fdff:ffff::1", UNIQUE_LOCAL},
    {"fe00::1", RESERVED},
    {"fe80::1", LINK_LOCAL},
    {"fe80::a9fe:a9fe", LINK_LOCAL},
    {"febf::1", LINK_LOCAL},
    {"fec0::1", SITE_LOCAL},
    {"feff::1", SITE_LOCAL},
    {"ff00::1", MULTICAST},
    {"ff02::1", MULTICAST},
    {"ffff::1", MULTICAST},
};

static void check_refusal(const struct row *row, bool allow_private, const char *expected)
{
    struct address address = parsed(row->text, 443);
    const char *found = address_refusal(&address, allow_private);

    if ((found == NULL) != (expected == NULL) || (found && strcmp(found, expected) != 0)) {
        fail_msg("%s, private %s: \"%s\", expected \"%s\"", row->text,
                 allow_private ? "allowed" : "refused", found ? found : "(open)",
                 expected ? expected : "(open)");
    }
}

static void test_refusal(void **state)
{
    (void)state;
    assert_true(COUNT_OF(rows) >= 70);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        check_refusal(&rows[i], false, rows[i].sentence);
        check_refusal(&rows[i], true, rows[i].liftable ? NULL : rows[i].sentence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_ports_and_equality),
        cmocka_unit_test(test_from_storage),
        cmocka_unit_test(test_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
