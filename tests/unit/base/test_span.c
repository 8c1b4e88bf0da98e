/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct span none = {NULL, 0};

static void equality_is_by_length_and_bytes(void **state)
{
    struct span abc = SPAN_LITERAL("abc");

    (void)state;
    assert_true(span_equal(abc, span_from_string("abc")));
    assert_false(span_equal(abc, SPAN_LITERAL("abC")));
    assert_false(span_equal(abc, SPAN_LITERAL("ab")));
    assert_false(span_equal(abc, SPAN_LITERAL("abcd")));
    assert_true(span_equal(none, SPAN_LITERAL("")));
    assert_false(span_equal(none, SPAN_LITERAL("a")));
    assert_true(span_equal(SPAN_LITERAL("a\0b"), SPAN_LITERAL("a\0b")));
    assert_false(span_equal(SPAN_LITERAL("a\0b"), SPAN_LITERAL("a\0c")));
}

/* Of all 65536 pairs of bytes only equal ones and the two cases of a letter are the same. */
static void only_ascii_letters_are_folded(void **state)
{
    (void)state;
    for (int i = 0; i < 0x10000; i++) {
        uint8_t a = (uint8_t)(i >> 8), b = (uint8_t)i;
        bool is_letter = (a >= 'A' && a <= 'Z') || (a >= 'a' && a <= 'z');
        bool same = a == b || (is_letter && (a ^ 0x20) == b);
        uint8_t left[] = {'x', a, 'Y'}, right[] = {'X', b, 'y'};
        assert_int_equal(span_equal_nocase(span_make(left, 3), span_make(right, 3)), same);
    }
    assert_false(span_equal_nocase(SPAN_LITERAL("ab"), SPAN_LITERAL("abc")));
    assert_true(span_equal_nocase(none, SPAN_LITERAL("")));
}

/* Bytes behind a NUL count like all others. */
static void a_nul_does_not_end_a_comparison(void **state)
{
    (void)state;
    assert_true(span_equal_nocase(SPAN_LITERAL("a\0B"), SPAN_LITERAL("A\0b")));
    assert_false(span_equal_nocase(SPAN_LITERAL("a\0b"), SPAN_LITERAL("a\0c")));
}

static void parts_are_clipped(void **state)
{
    struct span abc = SPAN_LITERAL("abc");

    (void)state;
    for (size_t start = 0; start < 6; start++) {
        for (size_t len = 0; len < 6; len++) {
            struct span part = span_sub(abc, start, len);
            size_t from = start < 3 ? start : 3;
            assert_ptr_equal(part.data, abc.data + from);
            assert_int_equal(part.len, len < 3 - from ? len : 3 - from);
        }
    }
    assert_int_equal(span_sub(abc, 1, SIZE_MAX).len, 2);
    assert_int_equal(span_sub(abc, SIZE_MAX, SIZE_MAX).len, 0);
    assert_true(span_equal(span_skip(abc, 1), SPAN_LITERAL("bc")));
    assert_int_equal(span_skip(abc, 3).len, 0);
    assert_int_equal(span_skip(abc, 4).len, 0);
    assert_null(span_skip(none, 4).data);
    assert_int_equal(span_sub(none, 0, 1).len, 0);
}

static void find_gives_the_first_or_the_length(void **state)
{
    (void)state;
    assert_int_equal(span_find(SPAN_LITERAL("abcb"), 'b'), 1);
    assert_int_equal(span_find(SPAN_LITERAL("abcb"), 'a'), 0);
    assert_int_equal(span_find(SPAN_LITERAL("abcb"), 'x'), 4);
    assert_int_equal(span_find(SPAN_LITERAL("ab\0c\xff"), 0), 2);
    assert_int_equal(span_find(SPAN_LITERAL("ab\0c\xff"), 0xff), 4);
    assert_int_equal(span_find(span_sub(SPAN_LITERAL("ab"), 0, 1), 'b'), 1);
    assert_int_equal(span_find(none, 'a'), 0);
}

static void trim_takes_blanks_and_tabs_only(void **state)
{
    (void)state;
    assert_true(span_equal(span_trim(SPAN_LITERAL(" \t a b\t ")), SPAN_LITERAL("a b")));
    assert_true(span_equal(span_trim(SPAN_LITERAL("a")), SPAN_LITERAL("a")));
    assert_true(span_equal(span_trim(SPAN_LITERAL("\na\r")), SPAN_LITERAL("\na\r")));
    assert_int_equal(span_trim(SPAN_LITERAL(" \t \t")).len, 0);
    assert_int_equal(span_trim(none).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_is_by_length_and_bytes),
        cmocka_unit_test(only_ascii_letters_are_folded),
        cmocka_unit_test(a_nul_does_not_end_a_comparison),
        cmocka_unit_test(parts_are_clipped),
        cmocka_unit_test(find_gives_the_first_or_the_length),
        cmocka_unit_test(trim_takes_blanks_and_tabs_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
