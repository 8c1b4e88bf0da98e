/* SPDX-License-Identifier: Apache-2.0 */
/* The check and its database with records made up here: both modes, verdicts, faults of files. */
#include "tests/unit/detect/database_kit.h"

#include "detect/merge.h"

#include <inttypes.h>

static const char browsers[] =
    "# what browsers look like\n"
    "1:70-75:1:2:10:1:|303:1301,c02b,2f:0,a,b:17,18:0:*:~?grease|:0:0|2019-06-01\n"
    "1:76-:1:2:10:1:|303:1301,c02b,2f:0,a,b,2b:17,18:0:*:~?grease|:0:0|2026-01-01\n"
    "4:60-68:1:2:10:1:|303:c02b,c02f,2f:0,a,b:17,18,19:0::|:0:0\n"
    "4:60-68:1:2:10:1:|303:c02b,2f:0,a,b:17:0:*:|:0:0\n"
    "3:12.1:2:3:10.14:1:|301,303,304:~c02b,2f:~0,a:*:*:*:*|:0:0\n";

static const char products[] = "0::0:0::0:|301:2f,5:0,a:17:0::|Acme-Guard:1:3\n"
                               "0::0:0::0:|:*:*:*:*:*x-acme-proxy:*|Acme:5:0\n"
                               "4::0:0::0:|301:2f,5:0,a:17:0::|Second:1:0\n"
                               "0::0:0::0:|303:~9c,?9d:*:*:*:*:*|Loose:5:2\n";

static struct database *load(const char *b, const char *p, enum detect_mode mode,
                             struct record_faults *faults)
{
    struct database_options options = {.mode = mode,
                                       .browsers = {span_from_string(b), "b"},
                                       .products = {span_from_string(p), "p"},
                                       .bad_headers = {SPAN_LITERAL("Bad-One\r\n\n x-bad\n"), "h"},
                                       .age_max_days = 365};
    return database_new(&options, faults);
}

/* Made-up records of default mode, without their days in compatible mode. */
static struct database *load_own(enum detect_mode mode)
{
    char plain[sizeof(browsers)];
    struct record_faults faults;
    struct database *db;
    char *at;

    memcpy(plain, browsers, sizeof(browsers));
    while (mode == DETECT_COMPATIBLE && (at = strstr(plain, "|20")) != NULL) {
        memmove(at, at + strlen("|2019-06-01"), strlen(at + strlen("|2019-06-01")) + 1);
    }
    db = load(plain, products, mode, &faults);
    assert_non_null(db);
    assert_int_equal(faults.count, 0);
    return db;
}

static struct detect_report report;
static struct request_fingerprint request;
static struct ua_fingerprint ua;

static void check(const struct database *db, const char *user_agent, const char *fingerprint,
                  const char *today)
{
    struct detect_question question = {&ua, {NULL, 0}, &request, 0, false};
    struct detect_fault fault;

    assert_true(ua_fingerprint_parse(&ua, span_from_string(user_agent), &fault));
    assert_true(request_fingerprint_parse(&request, span_from_string(fingerprint), &fault));
    assert_true(!today || record_day_parse(&question.today, span_from_string(today)));
    memset(&report, 0xa5, sizeof(report));
    detect_check(db, &question, &report);
    if (database_mode(db) == DETECT_COMPATIBLE) {
        kit_check_linear(db, &question, &report);
    }
}

static void expect_texts(const struct database *db, const char *reason, const char *details,
                         const char *product)
{
    char memory[512];
    char expected[512];
    struct text out = text_make(memory, sizeof(memory));

    detect_print_reason(&out, report.level, report.reason);
    text_char(&out, '|');
    detect_print_details(&out, db, &report);
    text_char(&out, '|');
    text_bytes(&out, detect_product_names(&report));
    text_char(&out, '\0');
    snprintf(expected, sizeof(expected), "%s|%s|%s", reason, details, product);
    assert_string_equal(memory, expected);
}

static void test_genuine(void **state)
{
    (void)state;
    for (int mode = DETECT_DEFAULT; mode <= DETECT_COMPATIBLE; mode++) {
        struct database *db = load_own((enum detect_mode)mode);
        check(db, "1:72:1:2:10:1:", "303:2a2a,1301,c02b,2f:0,a,b,fafa:17,18:0:host:", NULL);
        assert_int_equal(report.verdict, VERDICT_GENUINE);
        assert_int_equal(report.level, MATCH_POSSIBLE);
        assert_ptr_equal(report.browser, &database_browsers(db)->items[0]);
        assert_null(report.product);
        assert_int_equal(report.seen.ciphers.count, 3);
        assert_int_equal(report.seen.extensions.count, 3);
        assert_int_equal(report.seen.quirks.count, 1);
        /* GREASE in the original's eyes only */
        check(db, "1:72:1:2:10:1:", "303:1a2a,1301,c02b,2f:0,a,b:17,18:0:host:", NULL);
        assert_int_equal(report.level, mode == DETECT_DEFAULT ? MATCH_IMPOSSIBLE : MATCH_POSSIBLE);
        database_free(db);
    }
}

static void test_mismatch(void **state)
{
    struct database *db = load_own(DETECT_COMPATIBLE);

    (void)state;
    check(db, "4:65:1:2:10:1:", "301:2f,5:0,a:17:0::", NULL);
    assert_int_equal(report.verdict, VERDICT_INTERCEPTED);
    /* Two records have two values in common with it; the later one is taken. */
    expect_texts(db, "impossible_version", "303 vs 301", "acmeguard");
    assert_int_equal(report.actual_grade, GRADE_C);
    assert_int_equal(report.browser_grade, GRADE_A);
    assert_false(report.weak_ciphers);
    check(db, "4:65:1:2:10:1:", "303:c02b,2f:0,a,b:17:0:x-acme-proxy,via:bad", NULL);
    expect_texts(db, "impossible_quirk", " vs bad", "acme");
    assert_int_equal(detect_product_type(&report), MITM_PROXY);
    check(db, "4:65:1:2:10:1:", "303:c02b,2f:0,a,b:17:0:Bad-One:", NULL);
    expect_texts(db, "impossible_quirk", " vs badhdr", "");
    database_free(db);

    db = load_own(DETECT_DEFAULT);
    check(db, "4:65:1:2:10:1:", "301:2f,5:0,a:17:0:host:grease", NULL);
    assert_int_equal(report.verdict, VERDICT_INTERCEPTED);
    /* Its user-agent part agrees too, but that of the first does as well. */
    expect_texts(db, "impossible_version", "303 vs 301", "acmeguard");
    assert_true(report.weak_ciphers);
    assert_true(report.loses_pfs);
    assert_int_equal(report.match.fields[REQUEST_CIPHERS], MATCH_IMPOSSIBLE);
    check(db, "4:65:1:2:10:1:", "303:c02b,2f:0,a,b:17:0:bad-one:", NULL);
    expect_texts(db, "impossible_quirk", " vs badhdr", "");
    database_free(db);
}

static void test_unknown(void **state)
{
    struct database *db = load_own(DETECT_DEFAULT);

    (void)state;
    check(db, "9:1:1:2:10:1:", "303:1301:0:17:0::", NULL);
    assert_int_equal(report.error, DETECT_ERROR_UNKNOWN_USER_AGENT);
    assert_int_equal(report.unknown, UNKNOWN_BROWSER);
    check(db, "4:69:1:2:10:1:", "303:1301:0:17:0::", NULL);
    assert_int_equal(report.unknown, UNKNOWN_VERSION);
    check(db, "4:60:2:3:10:1:", "303:1301:0:17:0::", NULL);
    assert_int_equal(report.unknown, UNKNOWN_SYSTEM);
    assert_null(report.browser);
    /* The range 76- is open, but nothing newer than 76 was seen. */
    check(db, "1:90:1:2:10:1:", "303:1302,c02b:0,a:17:0::", NULL);
    assert_non_null(report.browser);
    assert_int_equal(report.verdict, VERDICT_UNKNOWN);
    assert_int_equal(report.unknown, UNKNOWN_VERSION);
    check(db, "1:76:1:2:10:1:", "303:1302,c02b:0,a:17:0::", NULL);
    assert_int_equal(report.verdict, VERDICT_INTERCEPTED);
    /* A product is named with any user agent. */
    check(db, "9:1:1:2:10:1:", "303:1301:0:17:0:x-acme-proxy:", NULL);
    assert_int_equal(report.verdict, VERDICT_UNKNOWN);
    assert_true(span_equal(detect_product_names(&report), SPAN_LITERAL("acme")));
    database_free(db);

    db = load_own(DETECT_COMPATIBLE);
    check(db, "9:1:1:2:10:1:", "303:1301:0:17:0:x-acme-proxy:", NULL);
    assert_int_equal(report.error, DETECT_ERROR_UNKNOWN_USER_AGENT);
    assert_null(report.product);
    assert_int_equal(report.actual_grade, GRADE_EMPTY);
    database_free(db);
}

static void test_outdated(void **state)
{
    struct database *db = load_own(DETECT_DEFAULT);

    (void)state;
    check(db, "1:72:1:2:10:1:", "303:1302,c02b:0,a:17:0::", "2020-05-01");
    assert_int_equal(report.verdict, VERDICT_INTERCEPTED);
    check(db, "1:72:1:2:10:1:", "303:1302,c02b:0,a:17:0::", "2026-11-21");
    assert_int_equal(report.verdict, VERDICT_OUTDATED);
    check(db, "1:72:1:2:10:1:", "303:1302,c02b:0,a:17:0::", NULL);
    assert_int_equal(report.verdict, VERDICT_INTERCEPTED);
    /* A product is reason enough. */
    check(db, "1:72:1:2:10:1:", "301:2f,5:0,a:17:0::", "2026-11-21");
    assert_int_equal(report.verdict, VERDICT_INTERCEPTED);
    /* A match does not age. */
    check(db, "1:72:1:2:10:1:", "303:1301,c02b,2f:0,a,b:17,18:0::", "2026-11-21");
    assert_int_equal(report.verdict, VERDICT_GENUINE);
    database_free(db);
}

static void test_permuted(void **state)
{
    struct database *db = load_own(DETECT_DEFAULT);

    (void)state;
    check(db, "1:110:1:2:10:1:", "303:1301,c02b,2f:2b,b,a,0:17,18:0::", NULL);
    assert_int_equal(report.verdict, VERDICT_GENUINE);
    check(db, "1:76:1:2:10:1:", "303:1301,c02b,2f:2b,b,a,0:17,18:0::", NULL);
    assert_int_equal(report.reason, REQUEST_EXTENSIONS);
    database_free(db);
}

/* What is built on Chromium permutes, too, each since a version of its own. */
static void test_permuting_browsers(void **state)
{
    static const struct {
        int64_t browser;
        int64_t since; /* 0: never */
    } rows[] = {
        {UA_BROWSER_CHROME, 106},
        {UA_BROWSER_EDGE, 110},
        {UA_BROWSER_BRAVE, 110},
        {UA_BROWSER_HEADLESS_CHROME, 110},
        {UA_BROWSER_ANDROID_WEBVIEW, 110},
        {UA_BROWSER_OPERA, 92},
        {UA_BROWSER_SAMSUNG, 21},
        {UA_BROWSER_VIVALDI, 6},
        {UA_BROWSER_YANDEX, 23},
        {UA_BROWSER_ELECTRON, 23},
        {UA_BROWSER_WHALE, 4},
        {UA_BROWSER_COC_COC, 116},
        {UA_BROWSER_FIREFOX, 0},
        {UA_BROWSER_SAFARI, 0},
        {UA_BROWSER_IE, 0},
        {UA_BROWSER_DUCK_DUCK_GO, 0},
        {UA_BROWSER_CURL, 0},
        {INT64_MAX, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char records[128], asked[64];
        struct record_faults faults;
        struct database *db;

        for (int64_t major = rows[i].since ? rows[i].since - 1 : 500; major <= 500; major += 7) {
            bool permutes = rows[i].since && major >= rows[i].since;

            snprintf(records, sizeof(records),
                     "%" PRId64 ":1-500:1:2::1:|303:1301:0,a,b:17:0:*:|:0:0\n", rows[i].browser);
            snprintf(asked, sizeof(asked), "%" PRId64 ":%" PRId64 ":1:2:10:1:", rows[i].browser,
                     major);
            db = load(records, "", DETECT_DEFAULT, &faults);
            assert_non_null(db);
            check(db, asked, "303:1301:b,0,a:17:0::", NULL);
            assert_int_equal(report.verdict, permutes ? VERDICT_GENUINE : VERDICT_INTERCEPTED);
            check(db, asked, "303:1301:0,a,b:17:0::", NULL);
            assert_int_equal(report.verdict, VERDICT_GENUINE);
            assert_int_equal(detect_permutes_extensions(&ua), permutes);
            database_free(db);
        }
    }
}

/* The index may not change which record comes first: records that cover a user agent in different
 * ways lie in different groups. */
static void test_index_order(void **state)
{
    static const char *const lines[] = {
        "0::0:0::0:|303:~1:*:*:*:*:*|:0:0\n", "1::0:0::0:|303:~2:*:*:*:*:*|:0:0\n",
        "0::1:0::1:|303:~1:*:*:*:*:*|:0:0\n", "1::1:2::1:|303:~2:*:*:*:*:*|:0:0\n",
        "1::0:2::0:|303:~1,2:*:*:*:*:*|:0:0\n"};
    char text[1024];
    struct record_faults faults;

    (void)state;
    for (size_t first = 0; first < COUNT_OF(lines); first++) {
        struct database *db;
        struct text out = text_make(text, sizeof(text) - 1);
        for (size_t i = 0; i < COUNT_OF(lines); i++) {
            text_string(&out, lines[(first + i) % COUNT_OF(lines)]);
        }
        text[out.len] = '\0';
        db = load(text, "", DETECT_COMPATIBLE, &faults);
        assert_non_null(db);
        check(db, "1:1:1:2:1:1:", "303:1:::::", NULL); /* compared with the walk there */
        assert_non_null(report.browser);
        check(db, "1:1:1:2:1:1:", "303:3:::::", NULL);
        check(db, "2:1:1:2:1:1:", "303:2:::::", NULL);
        check(db, "1:1:2:2:1:1:", "303:1,2:::::", NULL);
        database_free(db);
    }
}

/* Those of one major version are looked up, the others are gone through; 0 and none are versions,
 * too. */
static void test_index_majors(void **state)
{
    static const char *const versions[] = {"7",  "7.1", "7.0-7.5", "6-7", "7-8", "7-",
                                           "-7", "",    "0",       "0-7", "8"};
    static const char *const asked[] = {"7", "7.1.0", "6", "8", "0", "9", ""};
    char text[1024], ua_text[64];
    struct record_faults faults;

    (void)state;
    for (size_t first = 0; first < COUNT_OF(versions); first++) {
        for (int mode = DETECT_COMPATIBLE; mode <= DETECT_DEFAULT; mode++) {
            struct text out = text_make(text, sizeof(text) - 1);
            struct database *db;

            for (size_t i = 0; i < COUNT_OF(versions); i++) {
                text_printf(&out, "1:%s:1:2::1:|303:~%zu:*:*:*:*:*|:0:0\n",
                            versions[(first + i) % COUNT_OF(versions)], 1 + i % 3);
            }
            text[out.len] = '\0';
            db = load(text, "", (enum detect_mode)mode, &faults);
            assert_non_null(db);
            for (size_t i = 0; i < COUNT_OF(asked); i++) {
                snprintf(ua_text, sizeof(ua_text), "1:%s:1:2:10:1:", asked[i]);
                for (int cipher = 1; cipher <= 4; cipher++) {
                    char request_text[32];

                    snprintf(request_text, sizeof(request_text), "303:%d:::::", cipher);
                    check(db, ua_text, request_text, NULL); /* compared with the walk there */
                }
            }
            database_free(db);
        }
    }
}

static void test_faults(void **state)
{
    static const char bad[] = "\xef\xbb\xbf# c\tomment\n"
                              "x\t \"1:70:1:2:10:1:|303::::::|:0:0\" # tail\r\n"
                              "1:70:1:2:10:1:|303:1,zz:::::|:0:0\n"
                              "  1:70:1:2:10:1:|303\n"
                              "1:70:1:2:10:1:|303::::::|:0:9\n"
                              "1:70:1:2:10:1:|303::::::|:0:0|2026-02-29";
    struct record_faults faults;
    struct database *db = load(bad, "", DETECT_DEFAULT, &faults);

    (void)state;
    assert_non_null(db);
    assert_int_equal(database_browsers(db)->count, 1);
    assert_int_equal(faults.count, 4);
    assert_int_equal(faults.items[0].line, 3);
    assert_int_equal(faults.items[0].column, 22);
    assert_string_equal(faults.items[0].source, "b");
    assert_int_equal(faults.items[1].line, 4);
    assert_int_equal(faults.items[2].column, 29);
    assert_int_equal(faults.items[3].line, 6);
    assert_int_equal(faults.items[3].column, 31);
    database_free(db);
    assert_null(load(bad, "", DETECT_COMPATIBLE, &faults));
    assert_int_equal(faults.count, 1);
    assert_int_equal(faults.items[0].line, 1);
}

/* A line that is too long: the end, or a fault. */
static void test_long_line(void **state)
{
    static const char record[] = "1:70:1:2:10:1:|303::::::|:0:0\n";
    size_t len = RECORD_LINE_MAX + 1;
    char *text = malloc(len + 2 * sizeof(record) + 8);
    struct record_faults faults;
    struct database *db;

    (void)state;
    assert_non_null(text);
    for (int extra = 0; extra <= 1; extra++) {
        memcpy(text, record, sizeof(record) - 1);
        memset(text + sizeof(record) - 1, '#', RECORD_LINE_MAX + (size_t)extra);
        text[sizeof(record) - 1 + RECORD_LINE_MAX + (size_t)extra] = '\n';
        memcpy(text + sizeof(record) + RECORD_LINE_MAX + (size_t)extra, record, sizeof(record));
        db = load(text, "", DETECT_COMPATIBLE, &faults);
        assert_non_null(db);
        assert_int_equal(database_browsers(db)->count, extra ? 1 : 2);
        database_free(db);
        db = load(text, "", DETECT_DEFAULT, &faults);
        assert_non_null(db);
        assert_int_equal(database_browsers(db)->count, 2);
        assert_int_equal(faults.count, (size_t)extra);
        database_free(db);
    }
    free(text);
}

static void test_bad_headers(void **state)
{
    struct database *db = load_own(DETECT_DEFAULT);

    (void)state;
    assert_true(database_is_bad_header(db, SPAN_LITERAL("bad-one")));
    assert_true(database_is_bad_header(db, SPAN_LITERAL("x-bad")));
    assert_false(database_is_bad_header(db, SPAN_LITERAL("")));
    database_free(db);
    db = load_own(DETECT_COMPATIBLE);
    assert_true(database_is_bad_header(db, SPAN_LITERAL("Bad-One")));
    assert_false(database_is_bad_header(db, SPAN_LITERAL("bad-one")));
    assert_true(database_is_bad_header(db, SPAN_LITERAL(" x-bad")));
    assert_true(database_is_bad_header(db, SPAN_LITERAL("")));
    database_free(db);
}

static void test_days(void **state)
{
    static const struct {
        const char *text;
        int32_t day;
    } rows[] = {{"1970-01-02", 1},
                {"2000-02-29", 11016},
                {"2026-11-21", 20778},
                {"2024-12-31", 20088},
                {"9999-12-31", 2932896}};
    static const char *const bad[] = {"1970-01-01", "2026-13-01", "2026-00-10", "2026-02-29",
                                      "2026-1-01",  "2026/01/01", "x026-01-01", ""};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char memory[16];
        struct text out = text_make(memory, sizeof(memory));
        int32_t day;
        assert_true(record_day_parse(&day, span_from_string(rows[i].text)));
        assert_int_equal(day, rows[i].day);
        record_day_print(&out, day);
        assert_true(span_equal(text_view(&out), span_from_string(rows[i].text)));
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int32_t day;
        assert_false(record_day_parse(&day, span_from_string(bad[i])));
    }
}

static bool is_browser(void *state, const struct record_list *list, const struct record *record)
{
    (void)list;
    return record->ua.browser == *(int64_t *)state;
}

static void load_walk(struct record_list *list, struct words *words, enum detect_mode mode)
{
    static const char text[] = "1::0:0::0:|303::::::|a:0:0\n1::0:0::0:|303::::::|b:0:0\n"
                               "4::0:0::0:|301::::::|c:0:0\n1::0:0::0:|303::::::|d:0:0\n";
    struct record_faults faults = {0};

    record_list_init(list, words, mode);
    assert_true(record_list_load(list, span_from_string(text), "t", &faults));
    assert_int_equal(list->count, 4);
}

/* Default mode deletes what is asked for; compatible mode what the original would: places 0, 1 and
 * 3, the last of which is no more, so that it would crash, and this does it right. */
static void test_walks(void **state)
{
    int64_t chrome = UA_BROWSER_CHROME;

    (void)state;
    for (int mode = DETECT_DEFAULT; mode <= DETECT_COMPATIBLE; mode++) {
        struct words *words = words_new();
        struct record_list list;

        assert_non_null(words);
        load_walk(&list, words, (enum detect_mode)mode);
        assert_true(record_list_merge_products(&list));
        assert_int_equal(list.count, 2);
        record_list_fini(&list);

        load_walk(&list, words, (enum detect_mode)mode);
        assert_true(record_list_delete_by(&list, is_browser, &chrome));
        assert_int_equal(list.count, 1);
        assert_int_equal(list.items[0].ua.browser, UA_BROWSER_FIREFOX);
        record_list_fini(&list);

        load_walk(&list, words, (enum detect_mode)mode);
        record_list_remove(&list, 3);
        assert_true(record_list_delete_by(&list, is_browser, &chrome));
        assert_int_equal(list.count, 1);
        assert_int_equal(list.items[0].ua.browser,
                         mode == DETECT_DEFAULT ? UA_BROWSER_FIREFOX : UA_BROWSER_CHROME);
        record_list_fini(&list);
        words_free(words);
    }
}

static void test_products(void **state)
{
    struct detect_fault fault;
    struct mitm_info info;

    (void)state;
    assert_true(
        mitm_info_parse(&info, SPAN_LITERAL("Preset,ESET-9:1:0"), DETECT_COMPATIBLE, &fault));
    assert_true(span_equal(mitm_info_names(&info), SPAN_LITERAL("eset,eset")));
    mitm_info_fini(&info);
    assert_true(mitm_info_parse(&info, SPAN_LITERAL("Preset,ESET-9:1:0"), DETECT_DEFAULT, &fault));
    assert_true(span_equal(mitm_info_names(&info), SPAN_LITERAL("preset,eset")));
    mitm_info_fini(&info);
    assert_true(mitm_info_parse(&info, SPAN_LITERAL(":256:-1"), DETECT_COMPATIBLE, &fault));
    assert_int_equal(info.type, 0);
    assert_int_equal(info.grade, 255);
    mitm_info_fini(&info);
    assert_false(mitm_info_parse(&info, SPAN_LITERAL(":256:0"), DETECT_DEFAULT, &fault));
    assert_int_equal(fault.offset, 1);
    assert_string_equal(mitm_type_name(99), "unknown");
}

static void test_user_agents(void **state)
{
    struct ua_version_range range;
    struct detect_fault fault;

    (void)state;
    assert_true(ua_version_range_parse(&range, SPAN_LITERAL("10.11-10.13"), &fault));
    assert_true(ua_version_range_covers(range, (struct ua_version){10, 99, 0}, DETECT_COMPATIBLE));
    assert_false(ua_version_range_covers(range, (struct ua_version){10, 14, 0}, DETECT_DEFAULT));
    assert_true(ua_version_range_covers(range, (struct ua_version){10, 13, 6}, DETECT_DEFAULT));
    assert_true(ua_version_range_covers(range, (struct ua_version){10, -1, -1}, DETECT_DEFAULT));
    assert_false(ua_version_range_covers(range, (struct ua_version){-1, -1, -1}, DETECT_DEFAULT));
    assert_true(ua_fingerprint_parse(&ua, SPAN_LITERAL("1:5..7:0:0:.5:0:a,,b"), &fault));
    assert_int_equal(ua.browser_version.patch, 7);
    assert_int_equal(ua.quirks.count, 3);
    assert_false(ua_fingerprint_parse(&ua, SPAN_LITERAL("1:5.x:0:0::0:"), &fault));
    assert_int_equal(fault.offset, 4);
    assert_false(ua_fingerprint_parse(&ua, SPAN_LITERAL("9223372036854775808::0:0::0:"), &fault));
    assert_true(ua_fingerprint_parse(&ua, SPAN_LITERAL("-9223372036854775808::0:0::0:"), &fault));
    assert_string_equal(ua_browser_name(UA_BROWSER_CHROME), "Chrome");
    assert_string_equal(ua_os_name(-3), "Unknown");
    assert_string_equal(ua_platform_name(UA_PLATFORM_IPAD), "iPad");
    assert_string_equal(ua_device_name(6), "TV");
}

static void test_differences(void **state)
{
    static const char *const rows[][4] = {
#define MEND(name, original, instead, reason)      {#name, original, instead, reason},
#define DEVIATION(name, original, instead, reason) {#name, original, instead, reason},
#include "detect/mends.def"
    };

    (void)state;
    assert_true(COUNT_OF(rows) > 30);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(rows[i][0], rows[k][0]);
        }
        assert_true(rows[i][1][0] && rows[i][2][0] && rows[i][3][0]);
    }
}

/* A tunnel: what records say of headers is not asked of browsers, and still names no product. */
static void test_without_headers(void **state)
{
    struct record_faults faults;
    struct database *db =
        load("1:72:1:2:10:1:|303:1301:*:*:*:*host:*|:0:0\n",
             "0::0:0::0:|303:1301:*:*:*:*via:*|Proxy:5:0\n", DETECT_DEFAULT, &faults);
    struct detect_question question = {&ua, {NULL, 0}, &request, 0, false};
    struct detect_fault fault;

    (void)state;
    assert_non_null(db);
    assert_true(ua_fingerprint_parse(&ua, SPAN_LITERAL("1:72:1:2:10:1:"), &fault));
    assert_true(request_fingerprint_parse(&request, SPAN_LITERAL("303:1301:::::"), &fault));
    detect_check(db, &question, &report);
    assert_int_equal(report.verdict, VERDICT_INTERCEPTED);
    question.without_headers = true;
    detect_check(db, &question, &report);
    assert_int_equal(report.verdict, VERDICT_GENUINE);
    assert_true(request_fingerprint_parse(&request, SPAN_LITERAL("303:1302:::::"), &fault));
    detect_check(db, &question, &report);
    assert_int_equal(report.verdict, VERDICT_INTERCEPTED);
    assert_null(report.product);
    database_free(db);
}

/* Files behind files: one order, one index; days and faults of each its own. */
static void test_more_files(void **state)
{
    const struct database_options second = {
        .browsers = {SPAN_LITERAL("1:72:1:2:10:1:|303:2:*:*:*:*:*|:0:0\nbad\n"), "second"},
        .bad_headers = {SPAN_LITERAL("two\n"), "h2"},
        .captured_day = 300,
    };
    const struct database_options first = {
        .mode = DETECT_DEFAULT,
        .browsers = {SPAN_LITERAL("1:72:1:2:10:1:|303:1:*:*:*:*:*|:0:0\n"), "first"},
        .products = {SPAN_LITERAL("0::0:0::0:|303:3:*:*:*:*:*|Proxy:5:0\n"), "products"},
        .bad_headers = {SPAN_LITERAL("one\n"), "h1"},
        .captured_day = 200,
        .more = &second,
    };
    struct record_faults faults;
    struct database *db = database_new(&first, &faults);

    (void)state;
    assert_non_null(db);
    assert_int_equal(faults.count, 1);
    assert_string_equal(faults.items[0].source, "second");
    assert_int_equal(faults.items[0].line, 2);
    assert_int_equal(database_browsers(db)->count, 2);
    assert_int_equal(database_products(db)->count, 1);
    assert_int_equal(database_browsers(db)->items[0].captured_day, 200);
    assert_int_equal(database_browsers(db)->items[1].captured_day, 300);
    assert_true(database_is_bad_header(db, SPAN_LITERAL("one")));
    assert_true(database_is_bad_header(db, SPAN_LITERAL("two")));
    check(db, "1:72:1:2:10:1:", "303:2:::::", NULL);
    assert_int_equal(report.verdict, VERDICT_GENUINE);
    database_free(db);
}

/* The check's own quirks need room. */
static void test_full_quirks(void **state)
{
    struct database *db = load_own(DETECT_DEFAULT);
    struct detect_question question = {&ua, {NULL, 0}, &request, 0, false};
    struct detect_fault fault;

    (void)state;
    assert_true(ua_fingerprint_parse(&ua, SPAN_LITERAL("1:72:1:2:10:1:"), &fault));
    assert_true(request_fingerprint_parse(&request, SPAN_LITERAL("303:0a0a:::::"), &fault));
    while (word_list_add(&request.quirks, SPAN_LITERAL("q"))) {
    }
    assert_int_equal(request.quirks.count, WORD_LIST_MAX);
    detect_check(db, &question, &report);
    assert_int_equal(report.error, DETECT_ERROR_TOO_MANY_QUIRKS);
    assert_int_equal(report.verdict, VERDICT_UNKNOWN);
    database_free(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_genuine),     cmocka_unit_test(test_mismatch),
        cmocka_unit_test(test_unknown),     cmocka_unit_test(test_outdated),
        cmocka_unit_test(test_permuted),    cmocka_unit_test(test_permuting_browsers),
        cmocka_unit_test(test_index_order), cmocka_unit_test(test_faults),
        cmocka_unit_test(test_long_line),   cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_days),        cmocka_unit_test(test_index_majors),
        cmocka_unit_test(test_walks),       cmocka_unit_test(test_products),
        cmocka_unit_test(test_user_agents), cmocka_unit_test(test_full_quirks),
        cmocka_unit_test(test_differences), cmocka_unit_test(test_without_headers),
        cmocka_unit_test(test_more_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
