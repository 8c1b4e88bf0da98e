/* SPDX-License-Identifier: Apache-2.0 */
/* Matching, parsing and grading in compatible mode against the reference results, case by case. */
#include "tests/unit/detect/json.h"

#include "detect/grade.h"
#include "detect/mitm_info.h"
#include "detect/request_signature.h"
#include "detect/user_agent_signature.h"

enum { TEXT_MAX = 1 << 17 };

static const struct request_match_rules compatible = {.mode = DETECT_COMPATIBLE};
static char memory[TEXT_MAX];

static bool has_kind(const struct json *line, const char *kind)
{
    return span_equal(json_text(line, "kind"), span_from_string(kind));
}

static void check_level(enum match_level level, struct span expected, const struct json *line)
{
    struct span about = json_text(line, "signature");
    assert_span_equal(span_from_string(match_level_name(level)), expected, about);
}

static void match_list(const struct json *line, struct words *words)
{
    struct list_match_rules rules = {DETECT_COMPATIBLE, words != NULL, false};
    struct request_fingerprint fp = {0};
    struct list_signature sig;
    struct detect_fault fault;
    struct request_view view;
    uint32_t similarity;

    assert_true(list_signature_parse(&sig, json_text(line, "signature"), words, &fault));
    if (words) {
        assert_true(word_list_parse(&fp.headers, json_text(line, "fingerprint"), &fault));
    } else {
        assert_true(number_list_parse(&fp.ciphers, json_text(line, "fingerprint"), &fault));
    }
    request_view_make(&view, &fp, words);
    check_level(list_signature_match(&sig, rules, &view.lists[words ? 4 : 0], &similarity),
                json_text(line, "match"), line);
    if (!words) {
        assert_int_equal(similarity, json_number(line, "similarity"));
    }
    list_signature_fini(&sig);
}

static void match_request(const struct json *line, struct words *words)
{
    const struct json *fields = json_find(line, "fields");
    struct request_signature sig;
    struct request_fingerprint fp;
    struct request_match match;
    struct request_view view;
    struct detect_fault fault;

    assert_true(request_signature_parse(&sig, json_text(line, "signature"), words, &fault));
    if (!request_fingerprint_parse(&fp, json_text(line, "fingerprint"), &fault)) {
        assert_non_null(json_find(line, "parse_error"));
        request_signature_fini(&sig);
        return;
    }
    assert_non_null(fields);
    request_view_make(&view, &fp, words);
    request_signature_match(&match, &sig, compatible, &view);
    check_level(match.level, json_text(line, "match"), line);
    assert_int_equal(match.similarity, json_number(line, "similarity"));
    for (int i = 0; i < REQUEST_FIELD_COUNT; i++) {
        check_level(match.fields[i], json_text(fields, request_field_name((enum request_field)i)),
                    line);
    }
    assert_int_equal(request_signature_level(&sig, compatible, &view), match.level);
    request_signature_fini(&sig);
}

static void match_version(const struct json *line)
{
    struct version_signature sig;
    struct detect_fault fault;
    uint16_t version;

    assert_true(version_signature_parse(&sig, json_text(line, "signature"), &fault));
    assert_true(request_version_parse(&version, json_text(line, "fingerprint")));
    check_level(version_signature_match(sig, version), json_text(line, "match"), line);
}

static void match_user_agent(const struct json *line, struct words *words)
{
    uint16_t numbers[WORD_LIST_MAX];
    struct value_set quirks;
    struct ua_fingerprint fp;
    struct ua_signature sig;
    struct detect_fault fault;

    assert_true(ua_signature_parse(&sig, json_text(line, "signature"), words, &fault));
    assert_true(ua_fingerprint_parse(&fp, json_text(line, "fingerprint"), &fault));
    for (size_t i = 0; i < fp.quirks.count; i++) {
        numbers[i] = words_find(words, fp.quirks.items[i]);
    }
    value_set_make(&quirks, numbers, fp.quirks.count);
    check_level(ua_signature_match(&sig, DETECT_COMPATIBLE, &fp, &quirks), json_text(line, "match"),
                line);
    ua_signature_fini(&sig);
}

static void match_user_agent_version(const struct json *line)
{
    struct ua_version_range range;
    struct ua_version version;
    struct detect_fault fault;
    bool covers;

    assert_true(ua_version_range_parse(&range, json_text(line, "signature"), &fault));
    assert_true(ua_version_parse(&version, json_text(line, "fingerprint"), &fault));
    covers = ua_version_range_covers(range, version, DETECT_COMPATIBLE);
    check_level(covers ? MATCH_POSSIBLE : MATCH_IMPOSSIBLE, json_text(line, "match"), line);
}

static void match_mitm_info(const struct json *line)
{
    struct mitm_info a;
    struct mitm_info b;
    struct detect_fault fault;

    assert_true(mitm_info_parse(&a, json_text(line, "signature"), DETECT_COMPATIBLE, &fault));
    assert_true(mitm_info_parse(&b, json_text(line, "fingerprint"), DETECT_COMPATIBLE, &fault));
    check_level(mitm_info_match(&a, &b) ? MATCH_POSSIBLE : MATCH_IMPOSSIBLE,
                json_text(line, "match"), line);
    mitm_info_fini(&a);
    mitm_info_fini(&b);
}

static void check_match(const struct json *line, void *state)
{
    struct words *words = words_new();

    (void)state;
    assert_non_null(words);
    if (has_kind(line, "int") || has_kind(line, "string")) {
        match_list(line, has_kind(line, "int") ? NULL : words);
    } else if (has_kind(line, "request")) {
        match_request(line, words);
    } else if (has_kind(line, "version")) {
        match_version(line);
    } else if (has_kind(line, "ua")) {
        match_user_agent(line, words);
    } else if (has_kind(line, "ua_version")) {
        match_user_agent_version(line);
    } else {
        assert_true(has_kind(line, "mitm_info"));
        match_mitm_info(line);
    }
    words_free(words);
}

static void test_match(void **state)
{
    long count = json_each("mitmengine/match_golden.jsonl", check_match, NULL);

    (void)state;
    if (count < 0) {
        skip();
    }
    assert_int_equal(count, 5227);
}

/* ---- parsing ---- */

static bool print_request_signature(struct text *out, const struct json *line, struct words *words,
                                    struct detect_fault *fault)
{
    const struct list_signature *ciphers;
    struct request_signature sig;

    if (!request_signature_parse(&sig, json_text(line, "in"), words, fault)) {
        return false;
    }
    ciphers = request_signature_list(&sig, REQUEST_CIPHERS);
    assert_span_equal(span_from_string(grade_name(grade_of_ciphers(
                          ciphers->items, ciphers->ordered_count, DETECT_COMPATIBLE))),
                      json_text(line, "grade"), json_text(line, "in"));
    assert_int_equal(
        ciphers_first_is_pfs(ciphers->items, ciphers->ordered_count, DETECT_COMPATIBLE),
        json_number(line, "pfs"));
    request_signature_print(out, &sig, words, DETECT_COMPATIBLE);
    assert_true(out->len <= request_signature_text_max(&sig, words));
    request_signature_fini(&sig);
    return true;
}

static bool print_user_agent(struct text *out, const struct json *line, struct words *words,
                             struct detect_fault *fault)
{
    struct ua_fingerprint fp;
    struct ua_signature sig;

    if (has_kind(line, "ua_fingerprint")) {
        if (!ua_fingerprint_parse(&fp, json_text(line, "in"), fault)) {
            return false;
        }
        ua_fingerprint_print(out, &fp);
        return true;
    }
    if (!ua_signature_parse(&sig, json_text(line, "in"), words, fault)) {
        return false;
    }
    ua_signature_print(out, &sig, words, DETECT_COMPATIBLE);
    assert_true(out->len <= ua_signature_text_max(&sig, words));
    ua_signature_fini(&sig);
    return true;
}

static bool print_other(struct text *out, const struct json *line, struct detect_fault *fault)
{
    struct request_fingerprint fp;
    struct mitm_info info;
    uint16_t version;

    if (has_kind(line, "version")) {
        fault->offset = 0;
        fault->expected = "a version";
        if (!request_version_parse(&version, json_text(line, "in"))) {
            return false;
        }
        request_version_print(out, version);
        return true;
    }
    if (has_kind(line, "request_fingerprint")) {
        if (!request_fingerprint_parse(&fp, json_text(line, "in"), fault)) {
            return false;
        }
        request_fingerprint_print(out, &fp);
        return true;
    }
    assert_true(has_kind(line, "mitm_info"));
    if (!mitm_info_parse(&info, json_text(line, "in"), DETECT_COMPATIBLE, fault)) {
        return false;
    }
    mitm_info_print(out, &info);
    assert_true(out->len <= mitm_info_text_max(&info));
    mitm_info_fini(&info);
    return true;
}

static void check_parse(const struct json *line, void *state)
{
    long *record_lines = state;
    struct text out = text_make(memory, sizeof(memory));
    struct detect_fault fault = {SIZE_MAX, NULL};
    struct words *words;
    bool parsed;

    if (has_kind(line, "record_line")) {
        ++*record_lines; /* test_database_golden.c */
        return;
    }
    words = words_new();
    assert_non_null(words);
    if (has_kind(line, "request_signature")) {
        parsed = print_request_signature(&out, line, words, &fault);
    } else if (has_kind(line, "ua_fingerprint") || has_kind(line, "ua_signature")) {
        parsed = print_user_agent(&out, line, words, &fault);
    } else {
        parsed = print_other(&out, line, &fault);
    }
    if (!parsed) {
        assert_non_null(json_find(line, "error"));
        assert_true(fault.offset <= json_text(line, "in").len);
        assert_non_null(fault.expected);
    } else {
        assert_span_equal(text_view(&out), json_text(line, "out"), json_text(line, "in"));
    }
    words_free(words);
}

static void test_parse(void **state)
{
    long record_lines = 0;
    long count = json_each("mitmengine/parse_golden.jsonl", check_parse, &record_lines);

    (void)state;
    if (count < 0) {
        skip();
    }
    assert_int_equal(count, 1169);
    assert_int_equal(record_lines, 390);
}

/* ---- grades ---- */

static void check_grade(const struct json *line, void *state)
{
    struct number_list list;
    struct detect_fault fault;

    (void)state;
    assert_true(number_list_parse(&list, json_text(line, "ciphers"), &fault));
    assert_span_equal(
        span_from_string(grade_name(grade_of_ciphers(list.items, list.count, DETECT_COMPATIBLE))),
        json_text(line, "grade"), json_text(line, "ciphers"));
    assert_int_equal(ciphers_first_is_pfs(list.items, list.count, DETECT_COMPATIBLE),
                     json_number(line, "first_pfs"));
    assert_int_equal(ciphers_any_broken(list.items, list.count, DETECT_COMPATIBLE),
                     json_number(line, "any_trivially_broken"));
    assert_int_equal(ciphers_any_attacked(list.items, list.count, DETECT_COMPATIBLE),
                     json_number(line, "any_known_attack"));
}

static void check_cipher(const struct json *line, void *state)
{
    uint32_t cipher = (uint32_t)strtoul((const char *)json_text(line, "cipher").data, NULL, 16);

    (void)state;
    assert_int_equal(grade_of_cipher(cipher, DETECT_COMPATIBLE), json_number(line, "grade_number"));
    assert_int_equal(cipher_is_pfs(cipher, DETECT_COMPATIBLE), json_number(line, "pfs"));
}

static void test_grades(void **state)
{
    long count = json_each("mitmengine/grade_golden.jsonl", check_grade, NULL);
    long known = 0;

    (void)state;
    if (count < 0) {
        skip();
    }
    assert_int_equal(count, 508);
    assert_int_equal(json_each("mitmengine/cipher_grades.jsonl", check_cipher, NULL), 358);
    for (uint32_t cipher = 0; cipher < 1 << 24; cipher++) {
        known += grade_of_cipher(cipher, DETECT_COMPATIBLE) != GRADE_EMPTY;
    }
    assert_int_equal(known, 358);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_grades),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
