/* SPDX-License-Identifier: Apache-2.0 */
/* database_kit: what the tests of the database and the check share. */
#ifndef WEIR_TESTS_DATABASE_KIT_H
#define WEIR_TESTS_DATABASE_KIT_H

#include "detect/check.h"
#include "tests/unit/detect/golden.h"

/* The whole file; the caller frees data. Empty with null data where it is absent. */
static inline struct span kit_read(const char *name)
{
    enum { FILE_MAX = 1 << 21 };
    FILE *file = golden_open(name);
    uint8_t *data;
    size_t len;

    if (!file) {
        return span_make(NULL, 0);
    }
    data = malloc(FILE_MAX);
    assert_non_null(data);
    len = fread(data, 1, FILE_MAX, file);
    assert_true(len < FILE_MAX);
    fclose(file);
    return span_make(data, len);
}

/* A database of reference files, or null where they are absent. */
static inline struct database *kit_load(const char *browsers, const char *products,
                                        const char *bad_headers, enum detect_mode mode)
{
    struct database_options options = {.mode = mode,
                                       .browsers = {kit_read(browsers), browsers},
                                       .products = {kit_read(products), products},
                                       .bad_headers = {kit_read(bad_headers), bad_headers}};
    struct record_faults faults;
    struct database *db = NULL;

    if (options.browsers.text.data) {
        db = database_new(&options, &faults);
        assert_non_null(db);
        assert_int_equal(faults.count, 0);
    }
    free((void *)(uintptr_t)options.browsers.text.data);
    free((void *)(uintptr_t)options.products.text.data);
    free((void *)(uintptr_t)options.bad_headers.text.data);
    return db;
}

/*
 * Which records the check must choose, by walking through all of them as MITMEngine does: the
 * reference for the index. Compatible mode only.
 */
static inline const struct record *kit_browser(const struct database *db,
                                               const struct detect_question *question,
                                               const struct request_view *seen)
{
    static const char *const parts[][2] = {{"Dragon/", "dragon"},
                                           {"GSA/", "gsa"},
                                           {"Silk-Accelerated=true", "silk_accelerated"},
                                           {"PlayStation Vita", "playstation"}};
    const struct record_list *list = database_browsers(db);
    struct request_match_rules rules = {.mode = DETECT_COMPATIBLE};
    const struct record *best = NULL;
    uint16_t numbers[WORD_LIST_MAX + 4];
    struct value_set quirks;
    uint32_t similarity = 0;
    size_t count = 0;

    for (size_t i = 0; i < question->ua->quirks.count; i++) {
        numbers[count++] = words_find(database_words(db), question->ua->quirks.items[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        if (question->raw_ua.len &&
            memmem(question->raw_ua.data, question->raw_ua.len, parts[i][0], strlen(parts[i][0]))) {
            numbers[count++] = words_find(database_words(db), span_from_string(parts[i][1]));
        }
    }
    value_set_make(&quirks, numbers, count);
    for (size_t i = 0; i < list->count; i++) {
        struct request_match match;
        if (ua_signature_match(&list->items[i].ua, DETECT_COMPATIBLE, question->ua, &quirks) ==
            MATCH_IMPOSSIBLE) {
            continue;
        }
        request_signature_match(&match, &list->items[i].request, rules, seen);
        if (match.level == MATCH_POSSIBLE) {
            return &list->items[i];
        }
        if (match.similarity >= similarity) {
            similarity = match.similarity;
            best = &list->items[i];
        }
    }
    return best;
}

static inline const struct record *kit_product(const struct database *db,
                                               const struct request_view *seen)
{
    const struct record_list *list = database_products(db);
    struct request_match_rules rules = {.mode = DETECT_COMPATIBLE};

    for (size_t i = 0; i < list->count; i++) {
        struct request_match match;
        request_signature_match(&match, &list->items[i].request, rules, seen);
        if (match.level != MATCH_IMPOSSIBLE) {
            return &list->items[i];
        }
    }
    return NULL;
}

/* Fails the test unless a walk through all records chooses what the report did. */
static inline void kit_check_linear(const struct database *db,
                                    const struct detect_question *question,
                                    const struct detect_report *report)
{
    static struct request_view seen;
    const struct record *browser;

    request_view_make(&seen, &report->seen, database_words(db));
    browser = kit_browser(db, question, &seen);
    assert_ptr_equal(report->browser, browser);
    assert_ptr_equal(report->product,
                     browser && report->level != MATCH_POSSIBLE ? kit_product(db, &seen) : NULL);
}

#endif
