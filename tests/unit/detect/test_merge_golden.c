/* SPDX-License-Identifier: Apache-2.0 */
/* Merging, database files and operations on whole databases in compatible mode against the
 * reference results, case by case. */
#include "tests/unit/detect/database_kit.h"
#include "tests/unit/detect/json.h"

#include "detect/merge.h"

enum { TEXT_MAX = 1 << 19 };

static char memory[TEXT_MAX];

static bool has_kind(const struct json *line, const char *kind)
{
    return span_equal(json_text(line, "kind"), span_from_string(kind));
}

/* ---- signatures ---- */

/* A set or order of the state, null where it is absent. */
static void expect_values(const struct json *expected, bool present, const uint16_t *values,
                          size_t count, const struct words *words)
{
    assert_int_equal(expected->type == JSON_LIST, present);
    if (!present) {
        return;
    }
    assert_int_equal(json_count(expected), count);
    for (const struct json *item = expected->first; item; item = item->next) {
        bool found = false;
        for (size_t i = 0; i < count; i++) {
            long number = item->type == JSON_STRING
                              ? strtol((const char *)item->string.data, NULL, 16)
                              : item->number;
            found |= words ? span_equal(words_text(words, values[i]), item->string)
                           : values[i] == number;
        }
        assert_true(found);
    }
}

static void expect_state(const struct json *state, const struct list_signature *sig,
                         const struct words *words)
{
    expect_values(json_get(state, "ordered"), sig->is_ordered, sig->items, sig->ordered_count,
                  words);
    expect_values(json_get(state, "required"), true, list_signature_required(sig),
                  sig->required_count, words);
    expect_values(json_get(state, "optional"), !sig->lacks_optional, list_signature_optional(sig),
                  sig->optional_count, words);
    expect_values(json_get(state, "unlikely"), true, list_signature_unlikely(sig),
                  sig->unlikely_count, words);
    expect_values(json_get(state, "excluded"), true, list_signature_excluded(sig),
                  sig->excluded_count, words);
}

/* Merges `inputs` from left to right with the functions of one type. */
#define MERGE_ALL(type, parse_, merge_, fini_)                                                     \
    struct type sig;                                                                               \
    const struct json *input = json_get(line, "in")->first;                                        \
    assert_true(parse_(&sig, input->string));                                                      \
    for (input = input->next; input; input = input->next) {                                        \
        struct type next;                                                                          \
        struct type merged;                                                                        \
        assert_true(parse_(&next, input->string));                                                 \
        assert_true(merge_(&merged, &sig, &next));                                                 \
        fini_(&sig);                                                                               \
        fini_(&next);                                                                              \
        sig = merged;                                                                              \
    }

static struct words *words; /* of the case */

static bool parse_list(struct list_signature *sig, struct span text)
{
    struct detect_fault fault;
    return list_signature_parse(sig, text, words, &fault);
}

static bool merge_list(struct list_signature *merged, const struct list_signature *a,
                       const struct list_signature *b)
{
    return list_signature_merge(merged, a, b, DETECT_COMPATIBLE, words);
}

static void merge_lists(const struct json *line, struct text *out)
{
    struct words *all = words;

    words = has_kind(line, "int") ? NULL : all;
    {
        MERGE_ALL(list_signature, parse_list, merge_list, list_signature_fini)
        expect_state(json_get(line, "state"), &sig, words);
        list_signature_print(out, &sig, words, DETECT_COMPATIBLE);
        assert_true(out->len <= list_signature_text_max(&sig, words));
        list_signature_fini(&sig);
    }
    words = all;
}

static bool parse_request(struct request_signature *sig, struct span text)
{
    struct detect_fault fault;
    return request_signature_parse(sig, text, words, &fault);
}

static bool merge_request(struct request_signature *merged, const struct request_signature *a,
                          const struct request_signature *b)
{
    return request_signature_merge(merged, a, b, DETECT_COMPATIBLE, words);
}

static void merge_requests(const struct json *line, struct text *out)
{
    MERGE_ALL(request_signature, parse_request, merge_request, request_signature_fini)
    const struct list_signature *ciphers = request_signature_list(&sig, REQUEST_CIPHERS);

    assert_span_equal(span_from_string(grade_name(grade_of_ciphers(
                          ciphers->items, ciphers->ordered_count, DETECT_COMPATIBLE))),
                      json_text(line, "grade"), json_text(line, "merged"));
    assert_int_equal(
        ciphers_first_is_pfs(ciphers->items, ciphers->ordered_count, DETECT_COMPATIBLE),
        json_number(line, "pfs"));
    request_signature_print(out, &sig, words, DETECT_COMPATIBLE);
    request_signature_fini(&sig);
}

static bool parse_user_agent(struct ua_signature *sig, struct span text)
{
    struct detect_fault fault;
    return ua_signature_parse(sig, text, words, &fault);
}

static bool merge_user_agent(struct ua_signature *merged, const struct ua_signature *a,
                             const struct ua_signature *b)
{
    return ua_signature_merge(merged, a, b, DETECT_COMPATIBLE, words);
}

static void merge_user_agents(const struct json *line, struct text *out)
{
    MERGE_ALL(ua_signature, parse_user_agent, merge_user_agent, ua_signature_fini)
    ua_signature_print(out, &sig, words, DETECT_COMPATIBLE);
    ua_signature_fini(&sig);
}

static bool parse_info(struct mitm_info *info, struct span text)
{
    struct detect_fault fault;
    return mitm_info_parse(info, text, DETECT_COMPATIBLE, &fault);
}

static void merge_infos(const struct json *line, struct text *out)
{
    MERGE_ALL(mitm_info, parse_info, mitm_info_merge, mitm_info_fini)
    mitm_info_print(out, &sig);
    mitm_info_fini(&sig);
}

static bool parse_record(struct record *record, struct span text)
{
    struct detect_fault fault;
    return record_parse(record, text, words, DETECT_COMPATIBLE, &fault);
}

static bool merge_record(struct record *merged, const struct record *a, const struct record *b)
{
    return record_merge(merged, a, b, words, DETECT_COMPATIBLE);
}

static void merge_records(const struct json *line, struct text *out)
{
    MERGE_ALL(record, parse_record, merge_record, record_fini)
    record_print(out, &sig, words, DETECT_COMPATIBLE);
    assert_true(out->len <= record_text_max(&sig, words));
    record_fini(&sig);
}

static bool parse_version(struct version_signature *sig, struct span text)
{
    struct detect_fault fault;
    return version_signature_parse(sig, text, &fault);
}

static bool merge_version(struct version_signature *merged, const struct version_signature *a,
                          const struct version_signature *b)
{
    *merged = version_signature_merge(*a, *b);
    return true;
}

static void fini_version(struct version_signature *sig)
{
    (void)sig;
}

static void merge_versions(const struct json *line, struct text *out)
{
    MERGE_ALL(version_signature, parse_version, merge_version, fini_version)
    version_signature_print(out, sig, DETECT_COMPATIBLE);
}

static void check_merge(const struct json *line, void *state)
{
    struct text out = text_make(memory, sizeof(memory));

    (void)state;
    words = words_new();
    assert_non_null(words);
    if (has_kind(line, "int") || has_kind(line, "string")) {
        merge_lists(line, &out);
    } else if (has_kind(line, "request")) {
        merge_requests(line, &out);
    } else if (has_kind(line, "ua")) {
        merge_user_agents(line, &out);
    } else if (has_kind(line, "mitm_info")) {
        merge_infos(line, &out);
    } else if (has_kind(line, "version")) {
        merge_versions(line, &out);
    } else {
        assert_true(has_kind(line, "record"));
        merge_records(line, &out);
    }
    assert_span_equal(text_view(&out), json_text(line, "merged"), json_text(line, "merged"));
    words_free(words);
}

static void test_merge(void **state)
{
    long count = json_each("mitmengine/merge_golden.jsonl", check_merge, NULL);

    (void)state;
    if (count < 0) {
        skip();
    }
    assert_int_equal(count, 3115);
}

/* ---- files ---- */

static void expect_records(const struct record_list *list, const struct json *expected)
{
    size_t i = 0;

    assert_int_equal(list->count, json_count(expected));
    for (const struct json *item = expected->first; item; item = item->next, i++) {
        struct text out = text_make(memory, sizeof(memory));
        record_print(&out, &list->items[i], list->words, list->mode);
        assert_span_equal(text_view(&out), item->string, item->string);
    }
}

static void check_record_line(const struct json *line, void *state)
{
    struct record_faults faults = {0};
    struct record_list list;
    bool loaded;

    if (!has_kind(line, "record_line")) {
        return;
    }
    ++*(long *)state;
    words = words_new();
    assert_non_null(words);
    record_list_init(&list, words, DETECT_COMPATIBLE);
    loaded = record_list_load(&list, json_text(line, "in"), "in", &faults);
    assert_int_equal(loaded, json_find(line, "error") == NULL);
    assert_int_equal(faults.count, loaded ? 0 : 1);
    expect_records(&list, json_get(line, "records"));
    record_list_fini(&list);
    words_free(words);
}

static void test_record_lines(void **state)
{
    long record_lines = 0;

    (void)state;
    if (json_each("mitmengine/parse_golden.jsonl", check_record_line, &record_lines) < 0) {
        skip();
    }
    assert_int_equal(record_lines, 390);
}

/* ---- operations ---- */

struct operation_counts {
    long merged;
    long deleted;
    long crashed; /* in the original */
};

static bool has_browser(void *state, const struct record_list *list, const struct record *record)
{
    (void)list;
    return record->ua.browser == *(long *)state;
}

static bool same_request(void *state, const struct record_list *list, const struct record *a,
                         const struct record *b, bool *ok)
{
    (void)state;
    return record_same_request(list, &a->request, &b->request, ok);
}

static void run_operation(const struct json *line, struct record_list *list,
                          struct operation_counts *counts)
{
    const struct json *expected = json_find(line, "out");
    long browser;

    if (json_find(line, "arg")) {
        browser = json_number(line, "arg");
        assert_true(record_list_delete_by(list, has_browser, &browser));
        for (size_t i = 0; i < list->count && !expected; i++) {
            assert_int_not_equal(list->items[i].ua.browser, browser); /* done right */
        }
        counts->deleted += expected != NULL;
    } else {
        assert_true(record_list_merge_by(list, same_request, NULL));
        counts->merged += expected != NULL;
    }
    if (expected) {
        expect_records(list, expected);
    } else {
        assert_non_null(json_find(line, "panic"));
        counts->crashed++;
    }
}

static void check_operation(const struct json *line, void *state)
{
    struct record_list list;

    words = words_new();
    assert_non_null(words);
    record_list_init(&list, words, DETECT_COMPATIBLE);
    for (const struct json *item = json_get(line, "in")->first; item; item = item->next) {
        struct record record;
        assert_true(parse_record(&record, item->string));
        assert_true(record_list_add(&list, &record));
    }
    run_operation(line, &list, state);
    record_list_fini(&list);
    words_free(words);
}

static void test_operations(void **state)
{
    struct operation_counts counts = {0, 0, 0};
    long count = json_each("mitmengine/dbops_golden.jsonl", check_operation, &counts);

    (void)state;
    if (count < 0) {
        skip();
    }
    assert_int_equal(count, 160);
    assert_int_equal(counts.merged, 78);
    assert_int_equal(counts.deleted, 57);
    assert_int_equal(counts.crashed, 25);
}

/* Every line of a file must be a record's, in order. */
static void expect_file(const struct record_list *list, const char *name, size_t count)
{
    struct span file = kit_read(name);
    struct span rest = file;
    struct span line;
    size_t i = 0;

    assert_int_equal(list->count, count);
    while (record_line_next(&rest, &line)) {
        struct text out = text_make(memory, sizeof(memory));
        assert_true(i < count);
        record_print(&out, &list->items[i++], list->words, list->mode);
        assert_span_equal(text_view(&out), line, line);
    }
    assert_int_equal(i, count);
    free((void *)(uintptr_t)file.data);
}

static void load_list(struct record_list *list, struct span file)
{
    struct record_faults faults = {0};

    record_list_init(list, words, DETECT_COMPATIBLE);
    assert_true(record_list_load(list, file, "file", &faults));
    free((void *)(uintptr_t)file.data);
}

static void test_whole_databases(void **state)
{
    struct span browsers = kit_read("mitmengine/browser.txt");
    struct record_list list;

    (void)state;
    if (!browsers.data) {
        skip();
    }
    words = words_new();
    assert_non_null(words);
    load_list(&list, browsers);
    assert_true(record_list_merge_browsers(&list));
    expect_file(&list, "mitmengine/mergedb_expected_browser.txt", 1313);
    record_list_fini(&list);
    load_list(&list, kit_read("mitmengine/mitm.txt"));
    assert_true(record_list_merge_products(&list));
    assert_true(record_list_merge_products(&list));
    expect_file(&list, "mitmengine/mergedb_expected_mitm.txt", 80);
    record_list_fini(&list);
    words_free(words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_record_lines),
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_whole_databases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
