/* SPDX-License-Identifier: Apache-2.0 */
/* Base64: the vectors of RFC 4648 10, and everything that is nearly base64. */
#include "core/base/base64.h"
#include "core/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void good_text_is_decoded(void **state)
{
    static const struct {
        const char *text;
        const char *value;
    } rows[] = {
        {"", ""},
        {"Zg==", "f"},
        {"Zm8=", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg==", "foob"},
        {"Zm9vYmE=", "fooba"},
        {"Zm9vYmFy", "foobar"},
        {"YTpi+/==", NULL}, /* bits left over */
        {"+/+/", "\xfb\xff\xbf"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t memory[16];
        size_t len;
        bool good = base64_decode(span_from_string(rows[i].text), memory, sizeof(memory), &len);
        assert_int_equal(good, rows[i].value != NULL);
        if (good) {
            assert_int_equal(len, strlen(rows[i].value));
            assert_memory_equal(memory, rows[i].value, len);
        }
    }
}

static void bad_text_is_refused(void **state)
{
    static const char *const rows[] = {
        "Z",      "Zg",   "Zg=",      "Zg===", "=",        "====",
        "Zh==",   "Zm9=", "Zg==Zg==", "Zm-v",  "Zm_v",     "Zm v",
        "Zm9v\n", "Z=g=", "Zm9v====", "Z===",  "Zm9vZg=Z", "\xff\xff\xff\xff"};
    uint8_t memory[16];
    size_t len;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_false(base64_decode(span_from_string(rows[i]), memory, sizeof(memory), &len));
    }
    assert_false(base64_decode(span_make("A\0AA", 4), memory, sizeof(memory), &len));
}

static void room_is_kept(void **state)
{
    uint8_t memory[3];
    size_t len;

    (void)state;
    assert_true(base64_decode(SPAN_LITERAL("Zm9v"), memory, 3, &len));
    assert_false(base64_decode(SPAN_LITERAL("Zm9v"), memory, 2, &len));
    assert_true(base64_decode(SPAN_LITERAL("Zm8="), memory, 2, &len));
    assert_false(base64_decode(SPAN_LITERAL("Zm9vZg=="), memory, 3, &len));
    assert_int_equal(base64_room(8), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_text_is_decoded),
        cmocka_unit_test(bad_text_is_refused),
        cmocka_unit_test(room_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
