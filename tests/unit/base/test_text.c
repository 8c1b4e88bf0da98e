/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/text.h"

#include "core/base/assert.h"
#include "core/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static char memory[8192];

#define TEXT(name, room) struct text name = text_make(memory, room)

static void assert_text(const struct text *t, const char *expected)
{
    struct span view = text_view(t);

    if (!span_equal(view, span_from_string(expected))) {
        fail_msg("\"%.*s\" instead of \"%s\"", SPAN_PRINTF(view), expected);
    }
}

static void exactly_what_fits_is_kept(void **state)
{
    (void)state;
    for (size_t cap = 0; cap <= 12; cap++) {
        memset(memory, '#', sizeof(memory));
        TEXT(t, cap);
        text_string(&t, "abcdef");
        assert_int_equal(t.overflow, cap < 6);
        assert_int_equal(t.len, cap < 6 ? cap : 6);
        text_char(&t, 'g');
        assert_int_equal(t.overflow, cap < 7);
        text_bytes(&t, span_make(NULL, 0));
        assert_int_equal(t.overflow, cap < 7);
        text_bytes(&t, SPAN_LITERAL("hij"));
        assert_int_equal(t.overflow, cap < 10);
        assert_int_equal(t.len, cap < 10 ? cap : 10);
        assert_memory_equal(memory, "abcdefghij", t.len);
        assert_int_equal(memory[t.len], '#'); /* not a byte behind, and no NUL */
        assert_int_equal(memory[cap], '#');
    }
}

static void overflow_is_never_forgotten(void **state)
{
    TEXT(t, 4);

    (void)state;
    text_string(&t, "abcde");
    assert_true(t.overflow);
    text_string(&t, "");
    text_unsigned(&t, 1);
    assert_true(t.overflow);
    assert_text(&t, "abcd");
}

static void numbers_have_all_their_digits(void **state)
{
    TEXT(t, sizeof(memory));

    (void)state;
    text_unsigned(&t, 0);
    text_char(&t, ' ');
    text_unsigned(&t, UINT64_MAX);
    text_char(&t, ' ');
    text_signed(&t, 0);
    text_char(&t, ' ');
    text_signed(&t, -1);
    text_char(&t, ' ');
    text_signed(&t, INT64_MIN);
    text_char(&t, ' ');
    text_signed(&t, INT64_MAX);
    text_char(&t, ' ');
    text_unsigned(&t, 1090);
    assert_text(&t, "0 18446744073709551615 0 -1 -9223372036854775808 9223372036854775807 1090");
}

static void hex_is_lower_case_pairs(void **state)
{
    TEXT(t, sizeof(memory));
    uint8_t all[256];
    char expected[513];

    (void)state;
    for (int i = 0; i < 256; i++) {
        all[i] = (uint8_t)i;
        snprintf(expected + 2 * i, 3, "%02x", i);
    }
    text_hex(&t, span_make(all, 256));
    assert_text(&t, expected);
}

/* RFC 4648 10. */
static void base64_is_padded(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xfe\xfb", "//77"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        TEXT(t, sizeof(memory));
        text_base64(&t, span_from_string(rows[i][0]));
        assert_text(&t, rows[i][1]);
    }
}

static void printf_is_cut_with_a_flag(void **state)
{
    char line[1400];
    TEXT(t, sizeof(memory));

    (void)state;
    memset(line, 'x', sizeof(line));
    text_printf(&t, "%d-%s-%.*s", 7, "a", 1017, line); /* 1021 bytes */
    assert_int_equal(t.len, 1021);
    text_printf(&t, "%.*s", 1023, line);
    assert_int_equal(t.len, 2044);
    assert_false(t.overflow);
    text_printf(&t, "%.*s", 1024, line);
    assert_true(t.overflow);
    assert_int_equal(t.len, 2044 + 1023);
    assert_null(memchr(memory, 0, t.len));
}

static void time_is_rfc3339(void **state)
{
    static const struct {
        int64_t wall_ns;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {999, "1970-01-01T00:00:00.000000Z"},
        {1000, "1970-01-01T00:00:00.000001Z"},
        {NS_PER_S - 1, "1970-01-01T00:00:00.999999Z"},
        {INT64_C(951827696) * NS_PER_S + 20 * NS_PER_MS, "2000-02-29T12:34:56.020000Z"},
        {INT64_C(1795255200) * NS_PER_S, "2026-11-21T10:00:00.000000Z"},
        {INT64_C(4102444799) * NS_PER_S + 123456789, "2099-12-31T23:59:59.123456Z"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        TEXT(t, sizeof(memory));
        text_time(&t, rows[i].wall_ns);
        assert_text(&t, rows[i].text);
    }
}

/* Each byte alone, between two letters. */
static void each_byte_has_its_json(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        uint8_t value[] = {'a', (uint8_t)i, 'b'};
        char expected[16];
        TEXT(t, sizeof(memory));
        if (i == '"' || i == '\\') {
            snprintf(expected, sizeof(expected), "\"a\\%cb\"", i);
        } else if (i == '\n' || i == '\r' || i == '\t') {
            snprintf(expected, sizeof(expected), "\"a\\%cb\"",
                     i == '\n'   ? 'n'
                     : i == '\r' ? 'r'
                                 : 't');
        } else if (i < 0x20 || i >= 0x7f) {
            snprintf(expected, sizeof(expected), "\"a\\u00%02xb\"", i);
        } else {
            snprintf(expected, sizeof(expected), "\"a%cb\"", i);
        }
        text_json(&t, span_make(value, 3));
        assert_text(&t, expected);
        assert_false(t.overflow);
    }
}

static void utf8_passes_and_what_is_none_is_shown(void **state)
{
    static const struct {
        const char *value;
        const char *text;
    } rows[] = {
        {"\xc2\xa0", "\xc2\xa0"}, /* the shortest and the longest of each length */
        {"\xdf\xbf", "\xdf\xbf"},
        {"\xe0\xa0\x80", "\xe0\xa0\x80"},
        {"\xed\x9f\xbf", "\xed\x9f\xbf"},
        {"\xee\x80\x80", "\xee\x80\x80"},
        {"\xef\xbf\xbf", "\xef\xbf\xbf"},
        {"\xf0\x90\x80\x80", "\xf0\x90\x80\x80"},
        {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
        {"\xc0\x80", "\\u00c0\\u0080"}, /* longer than needed */
        {"\xc1\xbf", "\\u00c1\\u00bf"},
        {"\xe0\x9f\xbf", "\\u00e0\\u009f\\u00bf"},
        {"\xf0\x8f\xbf\xbf", "\\u00f0\\u008f\\u00bf\\u00bf"},
        {"\xed\xa0\x80", "\\u00ed\\u00a0\\u0080"}, /* a surrogate */
        {"\xed\xbf\xbf", "\\u00ed\\u00bf\\u00bf"},
        {"\xf4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080"}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", "\\u00f5\\u0080\\u0080\\u0080"},
        {"\xff\xfe", "\\u00ff\\u00fe"},
        {"\x80", "\\u0080"}, /* continuations alone, and missing ones */
        {"\xc3", "\\u00c3"},
        {"\xc3(", "\\u00c3("},
        {"\xe2\x82", "\\u00e2\\u0082"},
        {"\xe2\x82z", "\\u00e2\\u0082z"},
        {"\xe2z\xac", "\\u00e2z\\u00ac"},
        {"\xf0\x9f\x98", "\\u00f0\\u009f\\u0098"},
        {"\xf0\x9f\x98z", "\\u00f0\\u009f\\u0098z"},
        {"\xc3\xc3\xa9", "\\u00c3\xc3\xa9"}, /* a good one right behind a bad one */
        {"\xe2\x82\xac\xac", "\xe2\x82\xac\\u00ac"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        TEXT(t, sizeof(memory));
        text_escaped(&t, span_from_string(rows[i].value));
        assert_text(&t, rows[i].text);
    }
}

/* U+0080 to U+009F are control characters too: U+009B begins a terminal's commands. */
static void c1_controls_are_escaped(void **state)
{
    (void)state;
    for (unsigned second = 0x80; second < 0xc0; second++) {
        uint8_t value[] = {0xc2, (uint8_t)second};
        char expected[16];
        TEXT(t, sizeof(memory));
        text_escaped(&t, span_make(value, 2));
        if (second < 0xa0) {
            snprintf(expected, sizeof(expected), "\\u00c2\\u00%02x", second);
        } else {
            snprintf(expected, sizeof(expected), "\xc2%c", (char)second);
        }
        assert_text(&t, expected);
    }
}

static void escapes_take_six_bytes_at_most(void **state)
{
    static uint8_t value[1000];

    (void)state;
    memset(value, 0xff, sizeof(value));
    TEXT(t, 6 * sizeof(value) + 2);
    text_json(&t, span_make(value, sizeof(value)));
    assert_false(t.overflow);
    assert_int_equal(t.len, t.cap);
    TEXT(less, 6 * sizeof(value) + 1);
    text_json(&less, span_make(value, sizeof(value)));
    assert_true(less.overflow);
    assert_int_equal(less.len, less.cap);
    TEXT(empty, 2);
    text_json(&empty, span_make(NULL, 0));
    assert_text(&empty, "\"\"");
}

static void html_is_printable_and_has_no_markup(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        char expected[16];
        TEXT(t, sizeof(memory));
        text_html(&t, span_make(&byte, 1));
        snprintf(expected, sizeof(expected),
                 i < 0x20 || i > 0x7e || strchr("&<>\"'", i) ? "&#%d;" : "%c", i);
        assert_text(&t, expected);
    }
    TEXT(page, sizeof(memory));
    text_html(&page, SPAN_LITERAL("<script a='b\"'>&amp;\xc3\xa9"));
    assert_text(&page, "&#60;script a=&#39;b&#34;&#39;&#62;&#38;amp;&#195;&#169;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_what_fits_is_kept),
        cmocka_unit_test(overflow_is_never_forgotten),
        cmocka_unit_test(numbers_have_all_their_digits),
        cmocka_unit_test(hex_is_lower_case_pairs),
        cmocka_unit_test(base64_is_padded),
        cmocka_unit_test(printf_is_cut_with_a_flag),
        cmocka_unit_test(time_is_rfc3339),
        cmocka_unit_test(each_byte_has_its_json),
        cmocka_unit_test(utf8_passes_and_what_is_none_is_shown),
        cmocka_unit_test(c1_controls_are_escaped),
        cmocka_unit_test(escapes_take_six_bytes_at_most),
        cmocka_unit_test(html_is_printable_and_has_no_markup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
