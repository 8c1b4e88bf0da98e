/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/user_agent.h"

#include "detect/user_agent_marks.h"
#include "tests/unit/detect/golden.h"

enum { FP_TEXT_MAX = 256, GOLDEN_COUNT = 2863, MIB = 1024 * 1024 };

static const struct {
    struct span raw;
    const char *compatible;
    const char *today;
} cases[] = {
// clang-format off
#define SAME(header, answer) {SPAN_LITERAL(header), answer, answer},
#define EACH(header, compatible, today) {SPAN_LITERAL(header), compatible, today},
#include "tests/unit/detect/user_agent_cases.def"
    // clang-format on
};

/* Parses a copy with no byte behind it, so that a sanitizer sees every read too far. */
static void parse(struct ua_fingerprint *fp, struct span raw, enum user_agent_mode mode)
{
    uint8_t *copy = malloc(raw.len ? raw.len : 1);

    assert_non_null(copy);
    if (raw.len) {
        memcpy(copy, raw.data, raw.len);
    }
    memset(fp, 0x5a, sizeof(*fp));
    user_agent_parse(fp, span_make(copy, raw.len), mode);
    free(copy);
}

static void check(struct span raw, enum user_agent_mode mode, const char *expected)
{
    struct ua_fingerprint fp;
    char memory[FP_TEXT_MAX];
    struct text out = text_make(memory, sizeof(memory) - 1);

    parse(&fp, raw, mode);
    ua_fingerprint_print(&out, &fp);
    assert_false(out.overflow);
    memory[out.len] = '\0';
    if (strcmp(memory, expected) != 0) {
        fail_msg("%s is not %s: %.*s", memory, expected, SPAN_PRINTF(span_sub(raw, 0, 300)));
    }
}

static void check_same(struct span raw, const char *expected)
{
    check(raw, USER_AGENT_COMPATIBLE, expected);
    check(raw, USER_AGENT_DEFAULT, expected);
}

/* What must hold for any bytes. */
static void check_any(struct span raw)
{
    struct ua_fingerprint fp;

    parse(&fp, raw, USER_AGENT_COMPATIBLE);
    assert_true(fp.browser >= 0 && fp.browser <= UA_BROWSER_YAHOO_BOT);
    assert_true(fp.platform >= 0 && fp.platform <= UA_PLATFORM_BOT);
    assert_true(fp.os >= 0 && fp.os <= UA_OS_BOT);
    assert_true(fp.device >= 0 && fp.device <= UA_DEVICE_TV);
    assert_int_equal(fp.quirks.count, 0);
    parse(&fp, raw, USER_AGENT_DEFAULT);
    assert_true(fp.browser == 0 || strcmp(ua_browser_name(fp.browser), "Unknown") != 0);
    assert_true(fp.platform == 0 || strcmp(ua_platform_name(fp.platform), "Unknown") != 0);
    assert_true(fp.os == 0 || strcmp(ua_os_name(fp.os), "Unknown") != 0);
    assert_true(fp.device >= 0 && fp.device <= UA_DEVICE_TV);
    assert_int_equal(fp.quirks.count, 0);
}

/* ---- The reference results. ---- */

/* The string of a key with its escapes undone, of which only \t is used. */
static struct span golden_text(const char *line, const char *key, char *value)
{
    char quoted[64];
    const char *at;
    size_t len = 0;

    snprintf(quoted, sizeof(quoted), "\"%s\":\"", key);
    at = strstr(line, quoted);
    if (!at) {
        return (struct span){NULL, 0};
    }
    for (at += strlen(quoted); *at != '"'; at++) {
        assert_true(*at != '\0' && *at != '\n' && (*at != '\\' || at[1] == 't'));
        value[len++] = *at == '\\' ? '\t' : *at;
        at += *at == '\\';
    }
    value[len] = '\0';
    return span_make(value, len);
}

static struct span golden_raw(const char *line, char *value)
{
    static char hex[GOLDEN_VALUE_MAX];
    struct span raw = golden_text(line, "raw_ua", value);
    struct span digits;

    if (raw.data) {
        return raw;
    }
    digits = golden_text(line, "raw_ua_hex", hex);
    assert_true(digits.len > 0 && digits.len % 2 == 0);
    for (size_t i = 0; i < digits.len; i += 2) {
        value[i / 2] = (char)(golden_nibble(hex[i]) << 4 | golden_nibble(hex[i + 1]));
    }
    return span_make(value, digits.len / 2);
}

static void check_name(const char *line, const char *key, const char *name, int64_t number,
                       bool (*find)(int64_t *number, struct span name))
{
    char value[FP_TEXT_MAX];
    int64_t found;

    golden_text(line, key, value);
    assert_string_equal(name, value);
    assert_true(find(&found, span_from_string(value)));
    assert_int_equal(found, number);
}

static void check_golden(const char *line)
{
    static char value[GOLDEN_VALUE_MAX];
    char expected[FP_TEXT_MAX];
    struct span raw = golden_raw(line, value);
    struct ua_fingerprint fp;

    assert_non_null(golden_text(line, "ua_fingerprint", expected).data);
    check(raw, USER_AGENT_COMPATIBLE, expected);
    parse(&fp, raw, USER_AGENT_COMPATIBLE);
    check_name(line, "browser", ua_browser_name(fp.browser), fp.browser, ua_browser_find);
    check_name(line, "os_platform", ua_platform_name(fp.platform), fp.platform, ua_platform_find);
    check_name(line, "os_name", ua_os_name(fp.os), fp.os, ua_os_find);
    check_name(line, "device_type", ua_device_name(fp.device), fp.device, ua_device_find);
    check_any(raw);
}

static void test_golden(void **state)
{
    FILE *file = golden_open("mitmengine/ua_golden.jsonl");
    char *line;
    long count = 0;

    (void)state;
    if (!file) {
        skip();
    }
    line = malloc(GOLDEN_LINE_MAX);
    assert_non_null(line);
    for (; golden_next(file, line); count++) {
        check_golden(line);
    }
    assert_int_equal(count, GOLDEN_COUNT);
    free(line);
    fclose(file);
}

/* ---- Headers of today. ---- */

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        check(cases[i].raw, USER_AGENT_COMPATIBLE, cases[i].compatible);
        check(cases[i].raw, USER_AGENT_DEFAULT, cases[i].today);
    }
}

/* Case of letters never matters. */
static void test_cases_upper(void **state)
{
    char upper[1024];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct span raw = cases[i].raw;
        assert_true(raw.len <= sizeof(upper));
        for (size_t at = 0; at < raw.len; at++) {
            uint8_t c = raw.data[at];
            upper[at] = (char)(c >= 'a' && c <= 'z' ? c & ~0x20 : c);
        }
        check(span_make(upper, raw.len), USER_AGENT_COMPATIBLE, cases[i].compatible);
        check(span_make(upper, raw.len), USER_AGENT_DEFAULT, cases[i].today);
    }
}

static void test_prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (size_t len = 0; len <= cases[i].raw.len; len++) {
            check_any(span_sub(cases[i].raw, 0, len));
            check_any(span_skip(cases[i].raw, len));
        }
    }
}

/* ---- Hostile headers. ---- */

static void test_odd_bytes(void **state)
{
    uint8_t all[512];

    (void)state;
    for (size_t i = 0; i < sizeof(all); i++) {
        all[i] = (uint8_t)(i ^ i >> 8);
    }
    check_same(span_make(NULL, 0), "0:0.0.0:0:0:0.0.0:0:");
    check_same(SPAN_LITERAL(""), "0:0.0.0:0:0:0.0.0:0:");
    check_any(span_make(all, sizeof(all)));
    for (size_t i = 0; i < 256; i++) {
        check_same(span_make(&all[i], 1), "0:0.0.0:0:0:0.0.0:0:");
        check_any(span_make(&all[i], 256));
    }
    /* A NUL is a byte like others: it splits a mark, ends nothing, separates in versions. */
    check_same(SPAN_LITERAL("(X11\0) AppleWebKit Chrome/70"), "1:70.0.0:0:0:0.0.0:0:");
    check_same(SPAN_LITERAL("\0(X11) AppleWebKit\0Chrome/70\0"
                            "5"),
               "1:70.5.0:3:10:0.0.0:1:");
    check_same(SPAN_LITERAL("AppleWeb\0Kit Chrome/70"), "0:0.0.0:0:0:0.0.0:0:");
}

/* The two characters that become ASCII letters, and what looks like them. */
static void test_fold(void **state)
{
    (void)state;
    check_same(SPAN_LITERAL("L\xc4\xb0nux"), "0:0.0.0:3:10:0.0.0:1:");
    check_same(SPAN_LITERAL("L\xc4\xb1nux"), "0:0.0.0:0:0:0.0.0:0:");
    check_same(SPAN_LITERAL("\xe2\x84\xaa"
                            "indle/3"),
               "0:0.0.0:3:8:0.0.0:2:");
    check_same(SPAN_LITERAL("\xe2\x84\xab"
                            "indle/3"),
               "0:0.0.0:0:0:0.0.0:0:");
    check_same(SPAN_LITERAL("Ro\xe2\x84\xaau"), "0:0.0.0:0:0:0.0.0:6:");
    check_same(SPAN_LITERAL("Ro\xe2\x84"), "0:0.0.0:0:0:0.0.0:0:");
    check_same(SPAN_LITERAL("L\xc4"), "0:0.0.0:0:0:0.0.0:0:");
    /* The spec is compared in lower case too, and so is the model's name. */
    check_same(SPAN_LITERAL("(\xc4\xb0pad; cpu os 9_3) AppleWebKit"), "3:9.3.0:4:4:9.3.0:2:");
    check_same(SPAN_LITERAL("( \xe2\x84\xaa"
                            "f\xc4\xb0t )"),
               "0:0.0.0:3:8:0.0.0:2:");
    /* Of a first parenthesis that never closes, all but the first character is the group. */
    check_same(SPAN_LITERAL("\xe2\x84\xaaX11;("), "0:0.0.0:3:10:0.0.0:1:");
    check_same(SPAN_LITERAL("\xe2\x84\xabX11;("), "0:0.0.0:0:0:0.0.0:0:");
}

/*
 * A version counts the bytes that the lower case of a character has: behind "70" one byte makes the
 * "5" the second number, two make it the third, more put it out of reach.
 */
static void test_lower_len(void **state)
{
    static const char *const one[] = {"\xc4\xb0", "\xe2\x84\xaa", "."};
    static const char *const two[] = {
        "\xe1\xba\x9e", "\xe2\x84\xa6", "\xe2\x84\xab", "\xe2\xb1\xa2",
        "\xe2\xb1\xa4", "\xe2\xb1\xad", "\xe2\xb1\xae", "\xe2\xb1\xaf",
        "\xe2\xb1\xb0", "\xe2\xb1\xbe", "\xe2\xb1\xbf", "\xea\x9e\x8d",
        "\xea\x9e\xaa", "\xea\x9e\xab", "\xea\x9e\xac", "\xea\x9e\xad",
        "\xea\x9e\xae", "\xea\x9e\xb0", "\xea\x9e\xb1", "\xea\x9e\xb2",
        "\xea\x9f\x85", "\xc3\xa9",     "\xc3\x89",     ".."};
    /* Three bytes before and after, two before, four, and what is not UTF-8. */
    static const char *const more[] = {
        "\xe2\x82\xac",     "\xea\x9e\xb3", "\xc8\xba",         "\xc8\xbe",
        "\xf0\x90\x90\x80", "\xff",         "\xf2\x84\x80\xaa", "\xed\xa0\x80",
        "\xc0\x80",         "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xc4",         "\xe2\x84",         "\xc4\x35\x35\x35"};
    const struct {
        const char *const *list;
        size_t count;
        const char *expected;
    } groups[] = {{one, COUNT_OF(one), "1:70.5.0:0:0:0.0.0:0:"},
                  {two, COUNT_OF(two), "1:70.0.5:0:0:0.0.0:0:"},
                  {more, COUNT_OF(more), "1:70.0.0:0:0:0.0.0:0:"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        for (size_t j = 0; j < groups[i].count; j++) {
            char raw[64];
            int len = snprintf(raw, sizeof(raw), "AppleWebKit Chrome/70%s5", groups[i].list[j]);
            check_same(span_make(raw, (size_t)len), groups[i].expected);
        }
    }
}

static void test_models(void **state)
{
    (void)state;
    check_same(SPAN_LITERAL("( kfot )"), "0:0.0.0:3:8:0.0.0:2:");
    check_same(SPAN_LITERAL("(\tkabcde\f)"), "0:0.0.0:3:8:0.0.0:2:");
    check_same(SPAN_LITERAL("( kabcdef )"), "0:0.0.0:0:0:0.0.0:0:");
    check_same(SPAN_LITERAL("( kab )"), "0:0.0.0:0:0:0.0.0:0:");
    check_same(SPAN_LITERAL("( kabc)"), "0:0.0.0:0:0:0.0.0:0:");
    check_same(SPAN_LITERAL("(\vkabc )"), "0:0.0.0:0:0:0.0.0:0:");
    check_same(SPAN_LITERAL("( kab1 )"), "0:0.0.0:0:0:0.0.0:0:");
    check_same(SPAN_LITERAL("( sd1234ur )"), "0:0.0.0:3:8:0.0.0:2:");
    check_same(SPAN_LITERAL("( sd4930ur )"), "0:0.0.0:3:8:0.0.0:0:");
    check_same(SPAN_LITERAL("( sd123ur )"), "0:0.0.0:0:0:0.0.0:0:");
    check_same(SPAN_LITERAL("( sd12345ur )"), "0:0.0.0:0:0:0.0.0:0:");
    check_same(SPAN_LITERAL("( sd12x4ur )"), "0:0.0.0:0:0:0.0.0:0:");
    check_same(SPAN_LITERAL("( sd1234"), "0:0.0.0:0:0:0.0.0:0:");
    check_same(SPAN_LITERAL("( sd1234ur"), "0:0.0.0:0:0:0.0.0:0:");
}

/* A piece over and over, and a header behind it that must still be read. */
static void check_large(const char *piece, const char *tail, const char *expected)
{
    size_t piece_len = strlen(piece);
    uint8_t *large = malloc(MIB + strlen(tail));
    size_t count = MIB / piece_len;

    assert_non_null(large);
    for (size_t i = 0; i < count; i++) {
        memcpy(large + i * piece_len, piece, piece_len);
    }
    memcpy(large + count * piece_len, tail, strlen(tail));
    check_same(span_make(large, count * piece_len + strlen(tail)), expected);
    free(large);
}

static void test_large(void **state)
{
    static const char chrome[] = " (X11) AppleWebKit Chrome/70";

    (void)state;
    check_large("a", chrome, "1:70.0.0:3:10:0.0.0:1:");
    check_large(" ", chrome, "1:70.0.0:3:10:0.0.0:1:");
    check_large("\xe2\x84\xaa", chrome, "1:70.0.0:3:10:0.0.0:1:");
    check_large("\xff", chrome, "1:70.0.0:3:10:0.0.0:1:");
    check_large(" spotif", chrome, "1:70.0.0:3:10:0.0.0:1:");
    check_large("headlesschrom", chrome, "1:70.0.0:3:10:0.0.0:1:");
    check_large("Chrome", chrome, "1:70.0.0:3:10:0.0.0:1:");
    check_large("version/", chrome, "1:70.0.0:3:10:0.0.0:1:");
    check_large("(", chrome, "1:70.0.0:0:0:0.0.0:0:");
    check_large(")(", chrome, "1:70.0.0:0:0:0.0.0:0:");
    check_large("a", "", "0:0.0.0:0:0:0.0.0:0:");
    /* The group is all of it, and is searched for what it nearly holds. */
    check_large("(windows phon", "", "0:0.0.0:1:0:0.0.0:1:");
    check_large("xy kabcd", "", "0:0.0.0:0:0:0.0.0:0:");
    check_large(" sd1234u", "", "0:0.0.0:0:0:0.0.0:0:");
}

/* A version of a mebibyte of digits, zeros or separators. */
static void test_large_version(void **state)
{
    static const char start[] = "AppleWebKit Chrome/1";
    uint8_t *large = malloc(MIB);

    (void)state;
    assert_non_null(large);
    memset(large, '0', MIB);
    memcpy(large, start, strlen(start));
    check_same(span_make(large, MIB), "1:0.0.0:0:0:0.0.0:0:"); /* wraps to nothing */
    memset(large + strlen(start), '.', MIB - strlen(start));
    check_same(span_make(large, MIB), "1:1.0.0:0:0:0.0.0:0:");
    large[strlen(start) - 1] = '0';
    memset(large + strlen(start), '0', MIB - strlen(start));
    large[MIB - 1] = '7';
    check_same(span_make(large, MIB), "1:0.7.0:0:0:0.0.0:0:");
    free(large);
}

/* ---- Names and tables. ---- */

static void test_names(void **state)
{
    int64_t number = 77;

    (void)state;
    assert_true(ua_browser_find(&number, SPAN_LITERAL("samsunginternet")));
    assert_int_equal(number, UA_BROWSER_SAMSUNG);
    assert_true(ua_platform_find(&number, SPAN_LITERAL("IPAD")));
    assert_int_equal(number, UA_PLATFORM_IPAD);
    assert_true(ua_os_find(&number, SPAN_LITERAL("MacOSX")));
    assert_int_equal(number, UA_OS_MACOS);
    assert_true(ua_device_find(&number, SPAN_LITERAL("tv")));
    assert_int_equal(number, UA_DEVICE_TV);
    number = 77;
    assert_false(ua_browser_find(&number, SPAN_LITERAL("")));
    assert_false(ua_browser_find(&number, SPAN_LITERAL("Chrom")));
    assert_false(ua_platform_find(&number, SPAN_LITERAL("Windows\0")));
    assert_false(ua_os_find(&number, SPAN_LITERAL("Chrome")));
    assert_false(ua_device_find(&number, span_make(NULL, 0)));
    assert_int_equal(number, 77);
}

/* In databases and logs these numbers are written: a change would give old records new meanings. */
static void test_numbers(void **state)
{
    (void)state;
    assert_int_equal(UA_BROWSER_YAHOO_BOT, 28);
    assert_int_equal(UA_PLATFORM_BOT, 12);
    assert_int_equal(UA_OS_BOT, 14);
    assert_int_equal(UA_DEVICE_TV, 6);
    assert_string_equal(ua_browser_name(100), "Edge");
    assert_string_equal(ua_browser_name(112), "CocCoc");
    assert_string_equal(ua_browser_name(200), "curl");
    assert_string_equal(ua_browser_name(234), "CFNetwork");
    assert_string_equal(ua_platform_name(102), "BSD");
    assert_string_equal(ua_os_name(106), "NetBSD");
}

struct name_row {
    int64_t number;
    const char *name;
    const char *by_number;
};

/* Every number has its own name and the other way round; below the extension are no gaps. */
static void check_rows(const struct name_row *rows, size_t count,
                       bool (*find)(int64_t *number, struct span name))
{
    for (size_t i = 0; i < count; i++) {
        int64_t number;
        assert_string_equal(rows[i].name, rows[i].by_number);
        assert_true(find(&number, span_from_string(rows[i].name)));
        assert_int_equal(number, rows[i].number);
        assert_true(i == 0 || rows[i].number > rows[i - 1].number);
        assert_true(rows[i].number == (int64_t)i || rows[i].number >= UA_EXTENSION_MIN);
        assert_null(strpbrk(rows[i].name, ":, \""));
    }
}

static void test_name_tables(void **state)
{
    // clang-format off
    static struct name_row browsers[] = {
#define UA_BROWSER(constant, value, text) {value, text, NULL},
#include "detect/user_agent_names.def"
    }, platforms[] = {
#define UA_PLATFORM(constant, value, text) {value, text, NULL},
#include "detect/user_agent_names.def"
    }, systems[] = {
#define UA_OS(constant, value, text) {value, text, NULL},
#include "detect/user_agent_names.def"
    }, devices[] = {
#define UA_DEVICE(constant, value, text) {value, text, NULL},
#include "detect/user_agent_names.def"
    };
    // clang-format on

    (void)state;
    for (size_t i = 0; i < COUNT_OF(browsers); i++) {
        browsers[i].by_number = ua_browser_name(browsers[i].number);
    }
    for (size_t i = 0; i < COUNT_OF(platforms); i++) {
        platforms[i].by_number = ua_platform_name(platforms[i].number);
    }
    for (size_t i = 0; i < COUNT_OF(systems); i++) {
        systems[i].by_number = ua_os_name(systems[i].number);
    }
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        devices[i].by_number = ua_device_name(devices[i].number);
    }
    check_rows(browsers, COUNT_OF(browsers), ua_browser_find);
    check_rows(platforms, COUNT_OF(platforms), ua_platform_find);
    check_rows(systems, COUNT_OF(systems), ua_os_find);
    check_rows(devices, COUNT_OF(devices), ua_device_find);
}

/* What the index over the marks relies on. */
static void test_marks(void **state)
{
    static const struct {
        char first;
        char second;
        const char *text;
    } marks[] = {
#define ROW(key, name, first, second, text) {first, second, text},
        USER_AGENT_MARKS(ROW, 0)
#undef ROW
    };

    (void)state;
    assert_true(COUNT_OF(marks) <= UINT8_MAX);
    for (size_t i = 0; i < COUNT_OF(marks); i++) {
        assert_int_equal(marks[i].text[0], marks[i].first);
        assert_int_equal(marks[i].text[1], marks[i].second);
        assert_true(i == 0 || (marks[i - 1].first & 31) <= (marks[i].first & 31));
        for (const char *c = marks[i].text; *c; c++) {
            assert_true(*c >= ' ' && *c <= '~' && !(*c >= 'A' && *c <= 'Z'));
        }
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(marks[i].text, marks[j].text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),      cmocka_unit_test(test_cases),
        cmocka_unit_test(test_cases_upper), cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_odd_bytes),   cmocka_unit_test(test_fold),
        cmocka_unit_test(test_lower_len),   cmocka_unit_test(test_models),
        cmocka_unit_test(test_large),       cmocka_unit_test(test_large_version),
        cmocka_unit_test(test_names),       cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_name_tables), cmocka_unit_test(test_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
