/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check in compatible mode against the reference reports, every field of each, and its index
 * against a walk through the whole database.
 */
#include "tests/unit/detect/database_kit.h"
#include "tests/unit/detect/json.h"

#include <time.h>

enum { TEXT_MAX = 1 << 16, CUSTOM_COUNT = 6, QUESTIONS_MAX = 8192 };

struct golden_state {
    struct database *db;                   /* of all cases, or null: */
    struct database *custom[CUSTOM_COUNT]; /* by the case's own name */
    long refused;                          /* cases that do not parse */
    long linear_every;                     /* compare with the walk every so many cases */
    long count;
};

static char memory[TEXT_MAX];

static void expect(const struct json *line, const char *key, struct span got)
{
    struct span expected = json_text(json_get(line, "report"), key);
    struct span about = json_text(line, "request_fingerprint");

    if (!span_equal(got, expected)) {
        print_message("%s\n", key);
    }
    assert_span_equal(got, expected, about);
}

static void expect_printed(const struct json *line, const char *key, const struct database *db,
                           const struct detect_report *report,
                           void (*print)(struct text *, const struct database *,
                                         const struct detect_report *))
{
    struct text out = text_make(memory, sizeof(memory));

    print(&out, db, report);
    assert_false(out.overflow);
    expect(line, key, text_view(&out));
}

static void expect_number(const struct json *line, const char *key, long got)
{
    assert_int_equal(got, json_number(json_get(line, "report"), key));
}

static void compare_report(const struct json *line, const struct database *db,
                           const struct detect_report *report)
{
    struct text reason = text_make(memory, sizeof(memory));

    detect_print_reason(&reason, report->level, report->reason);
    expect(line, "reason", text_view(&reason));
    expect(line, "error", span_from_string(detect_error_name(report->error)));
    expect(line, "browser_signature_match", span_from_string(match_level_name(report->level)));
    expect(line, "browser_grade", span_from_string(grade_name(report->browser_grade)));
    expect(line, "actual_grade", span_from_string(grade_name(report->actual_grade)));
    expect(line, "matched_mitm_name", detect_product_names(report));
    expect_printed(line, "matched_ua_signature", db, report, detect_print_ua_signature);
    expect_printed(line, "browser_signature", db, report, detect_print_browser_signature);
    expect_printed(line, "reason_details", db, report, detect_print_details);
    expect_printed(line, "matched_mitm_signature", db, report, detect_print_product_signature);
    expect_number(line, "matched_mitm_type", detect_product_type(report));
    expect_number(line, "weak_ciphers", report->weak_ciphers);
    expect_number(line, "loses_pfs", report->loses_pfs);
}

/* Raw user agents that are not UTF-8 are in hex. */
static struct span raw_user_agent(const struct json *line, uint8_t *bytes)
{
    const struct json *raw = json_get(line, "raw_ua");
    struct span hex;

    if (raw->type == JSON_STRING) {
        return raw->string;
    }
    hex = json_text(line, "raw_ua_hex");
    for (size_t i = 0; i < hex.len / 2; i++) {
        bytes[i] = (uint8_t)(golden_nibble((char)hex.data[2 * i]) << 4 |
                             golden_nibble((char)hex.data[2 * i + 1]));
    }
    return span_make(bytes, hex.len / 2);
}

static void check_line(const struct json *line, void *state)
{
    static struct detect_report report;
    struct golden_state *golden = state;
    const struct database *db = golden->db;
    struct request_fingerprint request;
    struct ua_fingerprint ua;
    struct detect_fault fault;
    struct detect_question question = {&ua, {NULL, 0}, &request, 0, false};

    if (!db) {
        db = golden->custom[json_text(line, "db").data[2] - '0'];
    }
    question.raw_ua = raw_user_agent(line, (uint8_t *)memory + TEXT_MAX / 2);
    if (!ua_fingerprint_parse(&ua, json_text(line, "ua_fingerprint"), &fault) ||
        !request_fingerprint_parse(&request, json_text(line, "request_fingerprint"), &fault)) {
        assert_non_null(json_find(line, "parse_error"));
        golden->refused++;
        return;
    }
    assert_null(json_find(line, "parse_error"));
    memset(&report, 0xa5, sizeof(report));
    detect_check(db, &question, &report);
    compare_report(line, db, &report);
    if (golden->count++ % golden->linear_every == 0) {
        kit_check_linear(db, &question, &report);
    }
}

static struct database *load_shipped(enum detect_mode mode)
{
    return kit_load("mitmengine/browser.txt", "mitmengine/mitm.txt", "mitmengine/badheader.txt",
                    mode);
}

static void test_shipped(void **state)
{
    struct golden_state golden = {.db = load_shipped(DETECT_COMPATIBLE), .linear_every = 1};

    (void)state;
    if (!golden.db) {
        skip();
    }
    assert_int_equal(database_browsers(golden.db)->count, 1754);
    assert_int_equal(database_products(golden.db)->count, 116);
    assert_int_equal(json_each("mitmengine/check_golden.jsonl", check_line, &golden), 7809);
    print_message("7809 cases, of which %ld are no fingerprints\n", golden.refused);
    database_free(golden.db);
}

static void test_custom(void **state)
{
    struct golden_state golden = {.linear_every = 1};

    (void)state;
    for (int i = 0; i < CUSTOM_COUNT; i++) {
        char names[3][64];
        const char *const kinds[] = {"browser", "mitm", "badheader"};
        for (int k = 0; k < 3; k++) {
            snprintf(names[k], sizeof(names[k]), "mitmengine/custom_db/db%d_%s.txt", i, kinds[k]);
        }
        golden.custom[i] = kit_load(names[0], names[1], names[2], DETECT_COMPATIBLE);
        if (!golden.custom[i]) {
            skip();
        }
    }
    assert_int_equal(json_each("mitmengine/check_custom_golden.jsonl", check_line, &golden), 1500);
    for (int i = 0; i < CUSTOM_COUNT; i++) {
        database_free(golden.custom[i]);
    }
}

/* Every user agent with every product. The file is compressed. */
static void test_cross(void **state)
{
    struct golden_state golden = {.db = load_shipped(DETECT_COMPATIBLE), .linear_every = 64};
    char path[4096];
    char command[4200];
    FILE *packed;
    FILE *file;

    (void)state;
    packed = golden_open("mitmengine/check_cross_golden.jsonl.gz");
    if (!golden.db || !packed) {
        skip();
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(packed));
    snprintf(command, sizeof(command), "gzip -dc < %s", path);
    file = popen(command, "r");
    assert_non_null(file);
    assert_int_equal(json_each_line(file, check_line, &golden), 53440);
    assert_int_equal(pclose(file), 0);
    fclose(packed);
    database_free(golden.db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shipped),
        cmocka_unit_test(test_custom),
        cmocka_unit_test(test_cross),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
