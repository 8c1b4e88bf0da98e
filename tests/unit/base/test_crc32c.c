/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* RFC 3720 B.4; there the bytes of each checksum are written in the order in which they are sent,
 * the lowest first. */
static void vectors_of_iscsi(void **state)
{
    static const uint8_t read_pdu[48] = {
        0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02,
    };
    uint8_t bytes[32];

    (void)state;
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(crc32c_extend(0, span_make(bytes, sizeof(bytes))), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(crc32c_extend(0, span_make(bytes, sizeof(bytes))), 0x62a8ab43);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_int_equal(crc32c_extend(0, span_make(bytes, sizeof(bytes))), 0x46dd794e);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(31 - i);
    }
    assert_int_equal(crc32c_extend(0, span_make(bytes, sizeof(bytes))), 0x113fdb5c);
    assert_int_equal(crc32c_extend(0, span_make(read_pdu, sizeof(read_pdu))), 0xd9963a56);
}

static void the_check_value_of_the_catalogues(void **state)
{
    (void)state;
    assert_int_equal(crc32c_extend(0, SPAN_LITERAL("123456789")), 0xe3069283);
    assert_int_equal(crc32c_extend(0, (struct span){NULL, 0}), 0);
}

static void cuts_do_not_matter(void **state)
{
    struct span whole = SPAN_LITERAL("the bytes before, and these");
    uint32_t expected = crc32c_extend(0, whole);

    (void)state;
    for (size_t cut = 0; cut <= whole.len; cut++) {
        uint32_t crc = crc32c_extend(0, span_sub(whole, 0, cut));
        assert_int_equal(crc32c_extend(crc, span_skip(whole, cut)), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_iscsi),
        cmocka_unit_test(the_check_value_of_the_catalogues),
        cmocka_unit_test(cuts_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
