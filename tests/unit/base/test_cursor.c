/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const uint8_t bytes[] = {0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8, 0x09, 0x1a};

static struct cursor over(size_t len)
{
    return cursor_make(span_make(bytes, len));
}

static void numbers_are_read_in_network_order(void **state)
{
    struct cursor c = over(10);

    (void)state;
    assert_int_equal(cursor_u8(&c), 0x81);
    assert_int_equal(cursor_u16(&c), 0x92a3);
    assert_int_equal(cursor_u24(&c), 0xb4c5d6);
    assert_int_equal(cursor_offset(&c), 6);
    assert_int_equal(cursor_u32(&c), 0xe7f8091a);
    assert_int_equal(cursor_left(&c), 0);
    assert_int_equal(cursor_offset(&c), 10);
    assert_false(c.failed);
}

static uint32_t read_number(struct cursor *c, size_t width)
{
    return width == 1   ? cursor_u8(c)
           : width == 2 ? cursor_u16(c)
           : width == 3 ? cursor_u24(c)
                        : cursor_u32(c);
}

/* Each width at each distance from the end: there wholly, or not at all. */
static void a_number_cut_off_fails_where_it_begins(void **state)
{
    (void)state;
    for (size_t width = 1; width <= 4; width++) {
        for (size_t left = 0; left <= 5; left++) {
            struct cursor c = over(3 + left);
            assert_int_equal(cursor_take(&c, 3).len, 3);
            uint32_t value = read_number(&c, width);
            assert_int_equal(c.failed, left < width);
            if (c.failed) {
                assert_int_equal(value, 0);
                assert_int_equal(c.fail_offset, 3);
                assert_int_equal(cursor_left(&c), 0);
            } else {
                assert_int_not_equal(value, 0);
                assert_int_equal(cursor_offset(&c), 3 + width);
            }
        }
    }
}

static void failure_sticks_and_keeps_its_offset(void **state)
{
    struct cursor c = over(10);

    (void)state;
    assert_int_equal(cursor_take(&c, 4).len, 4);
    assert_int_equal(cursor_take(&c, 7).len, 0);
    assert_true(c.failed);
    assert_int_equal(c.fail_offset, 4);
    /* Six bytes were left, but nothing is read any more. */
    assert_int_equal(cursor_u8(&c), 0);
    assert_int_equal(cursor_u16(&c), 0);
    assert_int_equal(cursor_u24(&c), 0);
    assert_int_equal(cursor_u32(&c), 0);
    assert_int_equal(cursor_take(&c, 1).len, 0);
    assert_int_equal(cursor_take(&c, 0).len, 0);
    assert_int_equal(cursor_vector8(&c).len, 0);
    cursor_fail(&c);
    assert_true(c.failed);
    assert_int_equal(c.fail_offset, 4);
}

static void fail_by_hand_names_the_place(void **state)
{
    struct cursor c = over(10);

    (void)state;
    (void)cursor_u16(&c);
    cursor_fail(&c);
    assert_true(c.failed);
    assert_int_equal(c.fail_offset, 2);
    assert_int_equal(cursor_left(&c), 0);
}

static void huge_lengths_do_not_wrap(void **state)
{
    struct cursor c = over(10);

    (void)state;
    (void)cursor_u8(&c);
    assert_int_equal(cursor_take(&c, SIZE_MAX).len, 0);
    assert_true(c.failed);
    assert_int_equal(c.fail_offset, 1);
}

static void vectors_have_their_length_in_front(void **state)
{
    static const uint8_t data[] = {2, 'a', 'b', 0, 1, 'c', 0, 0, 1, 'd', 0, 3, 'x', 'y'};
    struct cursor c = cursor_make(span_make(data, sizeof(data)));

    (void)state;
    assert_true(span_equal(cursor_vector8(&c), SPAN_LITERAL("ab")));
    assert_true(span_equal(cursor_vector16(&c), SPAN_LITERAL("c")));
    assert_true(span_equal(cursor_vector24(&c), SPAN_LITERAL("d")));
    assert_int_equal(cursor_vector8(&c).len, 0);
    assert_false(c.failed); /* an empty vector is one */
    assert_int_equal(cursor_vector8(&c).len, 0);
    assert_true(c.failed); /* three bytes promised, two there */
    assert_int_equal(c.fail_offset, 12);
}

static void a_sub_cursor_counts_from_the_same_base(void **state)
{
    struct cursor c = over(10);
    struct cursor sub;

    (void)state;
    (void)cursor_u24(&c);
    sub = cursor_within(&c, cursor_take(&c, 4));
    assert_int_equal(cursor_left(&sub), 4);
    assert_int_equal(cursor_offset(&sub), 3);
    assert_int_equal(cursor_u24(&sub), 0xb4c5d6);
    assert_int_equal(cursor_u16(&sub), 0); /* one byte is left of the part */
    assert_true(sub.failed);
    assert_int_equal(sub.fail_offset, 6);
    assert_false(c.failed); /* the whole goes on */
    assert_int_equal(cursor_u8(&c), 0xf8);
}

static void a_sub_cursor_of_what_failed_has_failed(void **state)
{
    struct cursor c = over(5);
    struct cursor sub;
    struct span part;

    (void)state;
    (void)cursor_u8(&c);
    part = cursor_take(&c, 9);
    sub = cursor_within(&c, part);
    assert_true(sub.failed);
    assert_int_equal(sub.fail_offset, 1);
    assert_int_equal(cursor_left(&sub), 0);
    assert_int_equal(cursor_u8(&sub), 0);
}

static void nothing_can_be_read_too(void **state)
{
    struct cursor c = cursor_make(span_make(NULL, 0));
    struct cursor sub;

    (void)state;
    assert_int_equal(cursor_left(&c), 0);
    assert_int_equal(cursor_offset(&c), 0);
    assert_int_equal(cursor_take(&c, 0).len, 0);
    assert_false(c.failed);
    sub = cursor_within(&c, span_make(NULL, 0));
    assert_int_equal(cursor_left(&sub), 0);
    assert_int_equal(cursor_u8(&c), 0);
    assert_true(c.failed);
    assert_int_equal(c.fail_offset, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_in_network_order),
        cmocka_unit_test(a_number_cut_off_fails_where_it_begins),
        cmocka_unit_test(failure_sticks_and_keeps_its_offset),
        cmocka_unit_test(fail_by_hand_names_the_place),
        cmocka_unit_test(huge_lengths_do_not_wrap),
        cmocka_unit_test(vectors_have_their_length_in_front),
        cmocka_unit_test(a_sub_cursor_counts_from_the_same_base),
        cmocka_unit_test(a_sub_cursor_of_what_failed_has_failed),
        cmocka_unit_test(nothing_can_be_read_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
