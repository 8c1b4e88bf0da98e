/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/dns_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/base/assert.h"

/* A response to a question for "a.test"; the name lies at offset 12. */
#define HEAD(answers)      "\x12\x34\x81\x80\0\1\0" answers "\0\0\0\0"
#define QUESTION           "\1a\4test\0\0\1\0\1"
#define OWNER              "\xc0\x0c"
#define RR(type, ttl, len) "\0" type "\0\1" ttl "\0" len
#define TTL_60             "\0\0\0\x3c"

/* The bytes in memory of exactly their length, so that a read past the end is seen. */
static enum dns_result parse(const char *bytes, size_t len, const char *name, enum dns_type type,
                             struct dns_answer *answer)
{
    uint8_t *copy = malloc(len ? len : 1);
    enum dns_result result;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    result = dns_answer_parse(span_make(copy, len), span_from_string(name), type, answer);
    free(copy);
    return result;
}

#define PARSE(literal, name, type, answer) parse(literal, sizeof(literal) - 1, name, type, answer)

static void test_addresses(void **state)
{
    struct dns_answer answer;

    (void)state;
    assert_int_equal(PARSE(HEAD("\2") QUESTION OWNER RR("\1", TTL_60, "\4") "\xc0\0\2\1" OWNER RR(
                               "\1", "\0\0\0\5", "\4") "\xc0\0\2\2",
                           "A.Test", DNS_TYPE_A, &answer),
                     DNS_ADDRESSES);
    assert_int_equal(answer.count, 2);
    assert_memory_equal(answer.addresses[0], "\xc0\0\2\1", 4);
    assert_memory_equal(answer.addresses[1], "\xc0\0\2\2", 4);
    assert_int_equal(answer.ttl_s, 5);
    assert_int_equal(PARSE(HEAD("\1") QUESTION
                           "\1A\4TEST\0" RR("\x1c", "\x80\0\0\5", "\x10") "0123456789abcdef",
                           "a.test", DNS_TYPE_AAAA, &answer),
                     DNS_ADDRESSES);
    assert_memory_equal(answer.addresses[0], "0123456789abcdef", 16);
    assert_int_equal(answer.ttl_s, 0); /* RFC 2181 8 */
}

static void test_other_records_do_not_count(void **state)
{
    struct dns_answer answer;

    (void)state;
    /* Another owner, another class, another type. */
    assert_int_equal(PARSE(HEAD("\1") QUESTION "\1b\xc0\x0e" RR("\1", TTL_60, "\4") "\xc0\0\2\1",
                           "a.test", DNS_TYPE_A, &answer),
                     DNS_NO_DATA);
    assert_int_equal(PARSE(HEAD("\1") QUESTION OWNER "\0\1\0\3" TTL_60 "\0\4\xc0\0\2\1", "a.test",
                           DNS_TYPE_A, &answer),
                     DNS_NO_DATA);
    assert_int_equal(PARSE(HEAD("\1") QUESTION OWNER RR("\1", TTL_60, "\4") "\xc0\0\2\1", "a.test",
                           DNS_TYPE_AAAA, &answer),
                     DNS_NO_DATA);
    /* A dot inside a label makes another name. */
    assert_int_equal(PARSE(HEAD("\1") QUESTION "\6a.test\0" RR("\1", TTL_60, "\4") "\xc0\0\2\1",
                           "a.test", DNS_TYPE_A, &answer),
                     DNS_NO_DATA);
    assert_int_equal(PARSE(HEAD("\0") QUESTION, "a.test", DNS_TYPE_A, &answer), DNS_NO_DATA);
    assert_int_equal(answer.count, 0);
}

static void test_aliases(void **state)
{
    struct dns_answer answer;
    char message[2048];
    size_t len;

    (void)state;
    for (int links = 1; links <= DNS_ALIASES_MAX + 1; links++) {
        static const char head[] = HEAD("\0") "\1a\0\0\1\0\1";
        len = sizeof(head) - 1;
        memcpy(message, head, len);
        for (int i = 0; i <= links; i++) { /* a -> b -> c ... and an address */
            char record[] = "\1a\0\0\5\0\1\0\0\0\x3c\0\3\1b\0";
            record[1] = (char)('a' + i);
            record[14] = (char)('b' + i);
            if (i == links) {
                memcpy(record + 4, "\1\0\1\0\0\0\x3c\0\4\xc0\0\2", 12);
                message[len + 16] = 1;
            }
            memcpy(message + len, record, 16);
            len += i == links ? 17 : 16;
        }
        message[7] = (char)(links + 1);
        assert_int_equal(parse(message, len, "a", DNS_TYPE_A, &answer),
                         links <= DNS_ALIASES_MAX ? DNS_ADDRESSES : DNS_BAD);
    }
    /* To itself. */
    assert_int_equal(PARSE(HEAD("\1") QUESTION OWNER RR("\5", TTL_60, "\2") OWNER, "a.test",
                           DNS_TYPE_A, &answer),
                     DNS_BAD);
    /* To a name without an address here. */
    assert_int_equal(PARSE(HEAD("\1") QUESTION OWNER RR("\5", TTL_60, "\3") "\1b\0", "a.test",
                           DNS_TYPE_A, &answer),
                     DNS_NO_DATA);
}

static void test_unreadable(void **state)
{
    struct dns_answer answer;
    static const char good[] = HEAD("\1") QUESTION OWNER RR("\1", TTL_60, "\4") "\xc0\0\2\1";

    (void)state;
    for (size_t len = 0; len < sizeof(good) - 1; len++) {
        assert_int_equal(parse(good, len, "a.test", DNS_TYPE_A, &answer), DNS_BAD);
    }
    /* An address of the wrong length; pointers forward, to themselves, in a circle, past the end.
     */
    assert_int_equal(PARSE(HEAD("\1") QUESTION OWNER RR("\1", TTL_60, "\5") "\xc0\0\2\1\1",
                           "a.test", DNS_TYPE_A, &answer),
                     DNS_BAD);
    assert_int_equal(PARSE(HEAD("\1") QUESTION "\xc0\x18" RR("\1", TTL_60, "\4") "\xc0\0\2\1",
                           "a.test", DNS_TYPE_A, &answer),
                     DNS_BAD);
    assert_int_equal(PARSE(HEAD("\1") QUESTION "\xc0\x1e" RR("\1", TTL_60, "\4") "\xc0\0\2\1",
                           "a.test", DNS_TYPE_A, &answer),
                     DNS_BAD);
    assert_int_equal(PARSE(HEAD("\1") QUESTION "\xff\xff" RR("\1", TTL_60, "\4") "\xc0\0\2\1",
                           "a.test", DNS_TYPE_A, &answer),
                     DNS_BAD);
    assert_int_equal(PARSE(HEAD("\1") QUESTION OWNER RR("\5", TTL_60, "\4") "\1a\xc0\x2a", "a.test",
                           DNS_TYPE_A, &answer),
                     DNS_BAD);
    /* A label type that does not exist. */
    assert_int_equal(PARSE(HEAD("\1") QUESTION "\x41"
                                               "a\0" RR("\1", TTL_60, "\4") "\xc0\0\2\1",
                           "a.test", DNS_TYPE_A, &answer),
                     DNS_BAD);
    /* An alias to a name of 256 bytes. */
    char message[512] = HEAD("\1") QUESTION OWNER "\0\5\0\1" TTL_60 "\1\1";
    size_t at = sizeof(HEAD("\1") QUESTION OWNER "\0\5\0\1" TTL_60 "\1\1") - 1;
    for (size_t i = 0; i < 4; i++, at += 64) {
        message[at] = 63;
        memset(message + at + 1, 'x', 63);
    }
    message[at++] = 0;
    assert_int_equal(parse(message, at, "a.test", DNS_TYPE_A, &answer), DNS_BAD);
}

static void test_names(void **state)
{
    static const struct {
        const char *name;
        bool is_valid;
    } rows[] = {
        {"a", true},        {"a.test", true},  {"_dmarc.a-b.test", true},
        {"1.test", true},   {"1a", true},      {"xn--bcher-kva", true},
        {"a.0xg", true},    {"", false},       {".", false},
        {"a.", false},      {".a", false},     {"a..b", false},
        {"a b", false},     {"a/b", false},    {"a@b", false},
        {"a:b", false},     {"*.test", false}, {"\xc3\xa9", false},
        {"a\x7f", false},   {"1", false},      {"a.1", false},
        {"1.2.3.4", false}, {"a.0x", false},   {"a.0XfF", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (dns_name_is_valid(span_from_string(rows[i].name)) != rows[i].is_valid) {
            fail_msg("\"%s\"", rows[i].name);
        }
    }
    assert_false(dns_name_is_valid(span_make("a\0b", 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_other_records_do_not_count),
        cmocka_unit_test(test_aliases),   cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
