/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/checksums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
#define ZEROES "0000000000000000000000000000000000000000000000000000000000000000"

static void test_good(void **state)
{
    static const struct {
        const char *text;
        bool is_there;
    } rows[] = {
        {"", false},
        {"\n\n# " DIGITS "  a\n", false},
        {DIGITS "  a", true},
        {DIGITS " *a\n", true},
        {DIGITS "  ./a\r\n", true},
        {ZEROES "  b\n" DIGITS "  a\n" ZEROES "  c\n", true},
        {ZEROES "  aa\n" ZEROES "   a\n" ZEROES "  A\n" ZEROES "  x/a\n" ZEROES "  ././a\n", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct checksums_fault fault;
        uint8_t digest[DIGEST_LEN] = {0};
        bool is_there;

        assert_true(checksums_find(span_from_string(rows[i].text), SPAN_LITERAL("a"), digest,
                                   &is_there, &fault));
        assert_int_equal(is_there, rows[i].is_there);
        assert_int_equal(digest[1], rows[i].is_there ? 0x11 : 0);
        assert_int_equal(digest[31], rows[i].is_there ? 0xff : 0);
    }
}

static void test_bad(void **state)
{
    static const struct {
        const char *text;
        size_t line, column;
    } rows[] = {
        {"x", 1, 1},
        {ZEROES "  b\n\n<html>\n", 3, 1},
        {ZEROES, 1, 65},
        {ZEROES "  ", 1, 65},
        {ZEROES " a", 1, 65},
        {ZEROES "\ta", 1, 65},
        {ZEROES "0  a", 1, 65},
        {"\\" ZEROES "  a\\n", 1, 1},
        {"SHA256 (a) = " ZEROES, 1, 1},
        {DIGITS "  a\n" DIGITS "  ./a\n", 2, 67},
        {DIGITS "  a\nx\n", 2, 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct checksums_fault fault = {0};
        uint8_t digest[DIGEST_LEN];
        bool is_there;

        assert_false(checksums_find(span_from_string(rows[i].text), SPAN_LITERAL("a"), digest,
                                    &is_there, &fault));
        assert_int_equal(fault.line, rows[i].line);
        assert_int_equal(fault.column, rows[i].column);
        assert_non_null(fault.expected);
    }
}

static void test_digest(void **state)
{
    uint8_t digest[DIGEST_LEN];

    (void)state;
    assert_true(checksums_digest(digest, SPAN_LITERAL(DIGITS)));
    assert_int_equal(digest[15], 0xff);
    assert_false(checksums_digest(digest, SPAN_LITERAL(DIGITS "0")));
    assert_false(checksums_digest(digest, span_sub(SPAN_LITERAL(DIGITS), 0, 63)));
    assert_false(checksums_digest(digest, span_make(NULL, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
