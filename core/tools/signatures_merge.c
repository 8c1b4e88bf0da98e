/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures are merged as values from left to right and written once, at the end: the values in
 * between need not have a text form.
 */
#include "core/tools/signatures.h"
#include "core/tools/signatures_private.h"
#include "detect/record.h"

#include <stdlib.h>

enum { INPUTS_MAX = 1000, TEXT_ROOM = 256 };

/* Of any kind. */
union signature {
    struct list_signature list;
    struct version_signature version;
    struct ua_version_range range;
    struct request_signature request;
    struct ua_signature ua;
    struct mitm_info mitm;
    struct record record;
};

struct merge {
    enum detect_mode mode;
    struct words *words; /* null while lists of numbers are merged */
    struct detect_fault fault;
};

/* What a kind can do. Functions that fail own nothing afterwards. */
struct kind {
    const char *name;
    bool is_numbers;
    bool (*parse)(struct merge *merge, union signature *sig, struct span text);
    bool (*merge)(struct merge *merge, union signature *sig, const union signature *a,
                  const union signature *b);
    void (*print)(const struct merge *merge, struct text *out, const union signature *sig);
    size_t (*text_max)(const struct merge *merge, const union signature *sig);
    void (*fini)(union signature *sig);
};

static bool list_parse(struct merge *merge, union signature *sig, struct span text)
{
    return list_signature_parse(&sig->list, text, merge->words, &merge->fault);
}

static bool list_merge(struct merge *merge, union signature *sig, const union signature *a,
                       const union signature *b)
{
    return list_signature_merge(&sig->list, &a->list, &b->list, merge->mode, merge->words);
}

static void list_print(const struct merge *merge, struct text *out, const union signature *sig)
{
    list_signature_print(out, &sig->list, merge->words, merge->mode);
}

static size_t list_text_max(const struct merge *merge, const union signature *sig)
{
    return list_signature_text_max(&sig->list, merge->words);
}

static void list_fini(union signature *sig)
{
    list_signature_fini(&sig->list);
}

static bool version_parse(struct merge *merge, union signature *sig, struct span text)
{
    return version_signature_parse(&sig->version, text, &merge->fault);
}

static bool version_merge(struct merge *merge, union signature *sig, const union signature *a,
                          const union signature *b)
{
    (void)merge;
    sig->version = version_signature_merge(a->version, b->version);
    return true;
}

static void version_print(const struct merge *merge, struct text *out, const union signature *sig)
{
    version_signature_print(out, sig->version, merge->mode);
}

static bool range_parse(struct merge *merge, union signature *sig, struct span text)
{
    return ua_version_range_parse(&sig->range, text, &merge->fault);
}

static bool range_merge(struct merge *merge, union signature *sig, const union signature *a,
                        const union signature *b)
{
    (void)merge;
    sig->range = ua_version_range_merge(a->range, b->range);
    return true;
}

static void range_print(const struct merge *merge, struct text *out, const union signature *sig)
{
    (void)merge;
    ua_version_range_print(out, sig->range);
}

/* Versions: TEXT_ROOM is enough. */
static size_t no_text_max(const struct merge *merge, const union signature *sig)
{
    (void)merge;
    (void)sig;
    return 0;
}

static void no_fini(union signature *sig)
{
    (void)sig;
}

static bool request_parse(struct merge *merge, union signature *sig, struct span text)
{
    return request_signature_parse(&sig->request, text, merge->words, &merge->fault);
}

static bool request_merge(struct merge *merge, union signature *sig, const union signature *a,
                          const union signature *b)
{
    return request_signature_merge(&sig->request, &a->request, &b->request, merge->mode,
                                   merge->words);
}

static void request_print(const struct merge *merge, struct text *out, const union signature *sig)
{
    request_signature_print(out, &sig->request, merge->words, merge->mode);
}

static size_t request_text_max(const struct merge *merge, const union signature *sig)
{
    return request_signature_text_max(&sig->request, merge->words);
}

static void request_fini(union signature *sig)
{
    request_signature_fini(&sig->request);
}

static bool ua_parse(struct merge *merge, union signature *sig, struct span text)
{
    return ua_signature_parse(&sig->ua, text, merge->words, &merge->fault);
}

static bool ua_merge(struct merge *merge, union signature *sig, const union signature *a,
                     const union signature *b)
{
    return ua_signature_merge(&sig->ua, &a->ua, &b->ua, merge->mode, merge->words);
}

static void ua_print(const struct merge *merge, struct text *out, const union signature *sig)
{
    ua_signature_print(out, &sig->ua, merge->words, merge->mode);
}

static size_t ua_text_max(const struct merge *merge, const union signature *sig)
{
    return ua_signature_text_max(&sig->ua, merge->words);
}

static void ua_fini(union signature *sig)
{
    ua_signature_fini(&sig->ua);
}

static bool mitm_parse(struct merge *merge, union signature *sig, struct span text)
{
    return mitm_info_parse(&sig->mitm, text, merge->mode, &merge->fault);
}

static bool mitm_merge(struct merge *merge, union signature *sig, const union signature *a,
                       const union signature *b)
{
    (void)merge;
    return mitm_info_merge(&sig->mitm, &a->mitm, &b->mitm);
}

static void mitm_print(const struct merge *merge, struct text *out, const union signature *sig)
{
    (void)merge;
    mitm_info_print(out, &sig->mitm);
}

static size_t mitm_text_max(const struct merge *merge, const union signature *sig)
{
    (void)merge;
    return mitm_info_text_max(&sig->mitm);
}

static void mitm_fini(union signature *sig)
{
    mitm_info_fini(&sig->mitm);
}

static bool whole_parse(struct merge *merge, union signature *sig, struct span text)
{
    return record_parse(&sig->record, text, merge->words, merge->mode, &merge->fault);
}

static bool whole_merge(struct merge *merge, union signature *sig, const union signature *a,
                        const union signature *b)
{
    return record_merge(&sig->record, &a->record, &b->record, merge->words, merge->mode);
}

static void whole_print(const struct merge *merge, struct text *out, const union signature *sig)
{
    record_print(out, &sig->record, merge->words, merge->mode);
}

static size_t whole_text_max(const struct merge *merge, const union signature *sig)
{
    return record_text_max(&sig->record, merge->words);
}

static void whole_fini(union signature *sig)
{
    record_fini(&sig->record);
}

static const struct kind kinds[] = {
    {"int", true, list_parse, list_merge, list_print, list_text_max, list_fini},
    {"string", false, list_parse, list_merge, list_print, list_text_max, list_fini},
    {"version", false, version_parse, version_merge, version_print, no_text_max, no_fini},
    {"request", false, request_parse, request_merge, request_print, request_text_max, request_fini},
    {"ua", false, ua_parse, ua_merge, ua_print, ua_text_max, ua_fini},
    {"ua_version", false, range_parse, range_merge, range_print, no_text_max, no_fini},
    {"mitm_info", false, mitm_parse, mitm_merge, mitm_print, mitm_text_max, mitm_fini},
    {"record", false, whole_parse, whole_merge, whole_print, whole_text_max, whole_fini},
};

static const struct kind *find_kind(struct span name, struct text *error)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (span_equal(name, span_from_string(kinds[i].name))) {
            return &kinds[i];
        }
    }
    text_string(error, "kind: one of");
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        text_printf(error, " %s", kinds[i].name);
    }
    text_string(error, " expected");
    return NULL;
}

/* Reads the signature at `index` of the list. */
static bool read_one(struct merge *merge, const struct kind *kind, const json_t *list, size_t index,
                     union signature *sig, struct text *error)
{
    const json_t *text = json_array_get(list, index);
    char where[32];

    snprintf(where, sizeof(where), "in[%zu]", index);
    if (!json_is_string(text)) {
        text_printf(error, "%s: a string expected", where);
        return false;
    }
    if (!kind->parse(merge, sig, span_make(json_string_value(text), json_string_length(text)))) {
        signatures_write_fault(error, where, &merge->fault);
        return false;
    }
    return true;
}

/* Merges the one at `index` into `sig`. False: `sig` is as it was. */
static bool merge_one(struct merge *merge, const struct kind *kind, const json_t *list,
                      size_t index, union signature *sig, struct text *error)
{
    union signature next;
    union signature merged;
    bool done;

    if (!read_one(merge, kind, list, index, &next, error)) {
        return false;
    }
    done = kind->merge(merge, &merged, sig, &next);
    kind->fini(&next);
    if (!done) {
        text_string(error, "out of memory");
        return false;
    }
    kind->fini(sig);
    *sig = merged;
    return true;
}

static bool set_merged(const struct merge *merge, const struct kind *kind,
                       const union signature *sig, json_t *results, struct text *error)
{
    size_t cap = kind->text_max(merge, sig) + TEXT_ROOM;
    char *room = malloc(cap);
    struct text t = text_make(room, cap);
    bool done = false;

    if (room) {
        kind->print(merge, &t, sig);
        done =
            !t.overflow && json_object_set_new(results, "merged", json_stringn(room, t.len)) == 0;
    }
    if (!done) {
        text_string(error, "out of memory");
    }
    free(room);
    return done;
}

static bool merge_all(struct merge *merge, const struct kind *kind, const json_t *list,
                      json_t *results, struct text *error)
{
    union signature sig;
    bool done = read_one(merge, kind, list, 0, &sig, error);

    if (!done) {
        return false;
    }
    for (size_t i = 1; done && i < json_array_size(list); i++) {
        done = merge_one(merge, kind, list, i, &sig, error);
    }
    done = done && set_merged(merge, kind, &sig, results, error);
    kind->fini(&sig);
    return done;
}

static bool answer_line(void *context, const json_t *line, json_t *results, struct text *error)
{
    const struct signatures *signatures = context;
    const json_t *list = json_object_get(line, "in");
    struct merge merge = {.mode = signatures->mode};
    const struct kind *kind;
    struct words *words;
    struct span name;
    bool done = false;

    if (!json_lines_string(line, "kind", &name, error) || !(kind = find_kind(name, error))) {
        return false;
    }
    if (json_array_size(list) == 0 || json_array_size(list) > INPUTS_MAX) {
        text_printf(error, "in: a list of 1 to %d signatures expected", INPUTS_MAX);
        return false;
    }
    words = words_new();
    if (words) {
        merge.words = kind->is_numbers ? NULL : words;
        done = merge_all(&merge, kind, list, results, error);
    } else {
        text_string(error, "out of memory");
    }
    words_free(words);
    return done;
}

int signatures_merge_run(const struct options *options, FILE *out, FILE *err)
{
    struct signatures signatures = {options->compatible ? DETECT_COMPATIBLE : DETECT_DEFAULT};

    return json_lines_run_inputs(options, "signatures merge", out, err, answer_line, &signatures);
}
