/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/merge.h"

#include <stdlib.h>

enum { LOOSE_OPTIONAL_MAX = 10 }; /* optional items of an unordered list that is still a pattern */

static bool merge_pair(struct record_list *list, size_t i, size_t j)
{
    struct record merged;

    if (!record_merge(&merged, &list->items[i], &list->items[j], list->words, list->mode)) {
        return false;
    }
    record_fini(&list->items[i]);
    list->items[i] = merged;
    record_list_remove(list, j);
    return true;
}

/* The walk of the original: i stays where it is although records before it may go, and the record
 * that takes the place of the removed one is not looked at. */
static bool merge_compatible(struct record_list *list, record_pair_test *test, void *state)
{
    bool ok = true;

    for (size_t i = 0; i < list->count && ok; i++) {
        /* i < count: else the original would read past the end here. */
        for (size_t j = 0; j < list->count && i < list->count && ok; j++) {
            if (j != i && test(state, list, &list->items[i], &list->items[j], &ok) && ok) {
                ok = merge_pair(list, i, j);
            }
        }
    }
    return ok;
}

static bool merge_all(struct record_list *list, record_pair_test *test, void *state)
{
    bool ok = true;

    for (size_t i = 0; i < list->count && ok; i++) {
        size_t j = 0;
        while (j < list->count && ok) {
            if (j == i || !test(state, list, &list->items[i], &list->items[j], &ok) || !ok) {
                j++;
                continue;
            }
            ok = merge_pair(list, i, j);
            i -= j < i && ok;
        }
    }
    return ok;
}

bool record_list_merge_by(struct record_list *list, record_pair_test *test, void *state)
{
    return list->mode == DETECT_COMPATIBLE ? merge_compatible(list, test, state)
                                           : merge_all(list, test, state);
}

/* Removes what is marked; the marks belong to the places before the first removal. */
static void delete_marked(struct record_list *list, const bool *marked)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (marked[i]) {
            record_fini(&list->items[i]);
        } else {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
}

/* The original removes at the places found, although earlier removals have moved the records.
 * False: it would run past the end. */
static bool delete_compatible(struct record_list *list, const bool *marked)
{
    size_t count = list->count;
    size_t removed = 0;

    for (size_t i = 0; i < count; i++) {
        if (marked[i] && i >= count - removed++) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (marked[i]) {
            record_list_remove(list, i);
        }
    }
    return true;
}

bool record_list_delete_by(struct record_list *list, record_test *test, void *state)
{
    bool *marked = calloc(list->count + 1, sizeof(*marked));

    if (!marked) {
        return false;
    }
    for (size_t i = 0; i < list->count; i++) {
        marked[i] = test(state, list, &list->items[i]);
    }
    if (list->mode == DETECT_DEFAULT || !delete_compatible(list, marked)) {
        delete_marked(list, marked);
    }
    free(marked);
    return true;
}

/* ---- the automatic steps ---- */

/* Do both lists write the same text? */
static bool same_list(const struct list_signature *a, const struct list_signature *b,
                      const struct words *words, enum detect_mode mode, bool *ok)
{
    size_t a_max = list_signature_text_max(a, words);
    size_t b_max = list_signature_text_max(b, words);
    char *memory = malloc(a_max + b_max);
    struct text left = text_make(memory, a_max);
    struct text right = text_make(memory ? memory + a_max : NULL, b_max);
    bool same;

    if (!memory) {
        *ok = false;
        return false;
    }
    list_signature_print(&left, a, words, mode);
    list_signature_print(&right, b, words, mode);
    ASSERT(!left.overflow && !right.overflow);
    same = span_equal(text_view(&left), text_view(&right));
    free(memory);
    return same;
}

static bool same_field(const struct record_list *list, const struct request_signature *a,
                       const struct request_signature *b, enum request_field field, bool *ok)
{
    return same_list(request_signature_list(a, field), request_signature_list(b, field),
                     request_field_is_words(field) ? list->words : NULL, list->mode, ok);
}

/* Ranges that differ write different texts. */
static bool same_version(struct version_signature a, struct version_signature b)
{
    return a.min == b.min && a.expected == b.expected && a.max == b.max;
}

bool record_same_request(const struct record_list *list, const struct request_signature *a,
                         const struct request_signature *b, bool *ok)
{
    bool same = same_version(a->version, b->version);

    for (int field = REQUEST_CIPHERS; field < REQUEST_FIELD_COUNT && same && *ok; field++) {
        same = same_field(list, a, b, (enum request_field)field, ok);
    }
    return same && *ok;
}

static bool is_loose(const struct list_signature *sig)
{
    return !sig->is_ordered && sig->optional_count > LOOSE_OPTIONAL_MAX;
}

/* Is the merger no looser than is good? */
static bool merges_well(const struct record_list *list, const struct request_signature *a,
                        const struct request_signature *b, bool *ok)
{
    struct request_signature merged;
    bool well;

    if (!request_signature_merge(&merged, a, b, list->mode, list->words)) {
        *ok = false;
        return false;
    }
    well = record_same_request(list, &merged, a, ok) || record_same_request(list, &merged, b, ok) ||
           (!is_loose(request_signature_list(&merged, REQUEST_CIPHERS)) &&
            !is_loose(request_signature_list(&merged, REQUEST_EXTENSIONS)));
    request_signature_fini(&merged);
    return well && *ok;
}

static bool want_browsers(void *state, const struct record_list *list, const struct record *a,
                          const struct record *b, bool *ok)
{
    (void)state;
    return a->ua.browser == b->ua.browser && a->ua.os == b->ua.os && a->ua.device == b->ua.device &&
           ua_version_range_equal(a->ua.os_version, b->ua.os_version) &&
           same_version(a->request.version, b->request.version) &&
           same_list(&a->ua.quirks, &b->ua.quirks, list->words, list->mode, ok) &&
           same_field(list, &a->request, &b->request, REQUEST_QUIRKS, ok) &&
           same_field(list, &a->request, &b->request, REQUEST_CURVES, ok) &&
           same_field(list, &a->request, &b->request, REQUEST_POINT_FORMATS, ok) &&
           merges_well(list, &a->request, &b->request, ok);
}

static bool want_products(void *state, const struct record_list *list, const struct record *a,
                          const struct record *b, bool *ok)
{
    (void)state;
    return record_same_request(list, &a->request, &b->request, ok);
}

bool record_list_merge_browsers(struct record_list *list)
{
    return record_list_merge_by(list, want_browsers, NULL);
}

bool record_list_merge_products(struct record_list *list)
{
    return record_list_merge_by(list, want_products, NULL);
}
