/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/request_signature.h"

#include "detect/fields.h"

static struct words *words_of(struct words *words, enum request_field field)
{
    return request_field_is_words(field) ? words : NULL;
}

static const struct words *const_words_of(const struct words *words, enum request_field field)
{
    return request_field_is_words(field) ? words : NULL;
}

/* ---- version ---- */

static bool is_above(uint16_t a, uint16_t b)
{
    return a && b && a > b;
}

bool version_signature_parse(struct version_signature *sig, struct span text,
                             struct detect_fault *fault)
{
    uint16_t versions[3] = {0, 0, 0};
    struct span rest = text;
    size_t count = 0;

    while (rest.data) {
        struct span part = fields_next(&rest, ',');
        if (count == COUNT_OF(versions) || !request_version_parse(&versions[count], part)) {
            return fields_fault(fault, text, part, "a TLS version (200, 300 to 304), or three");
        }
        count++;
    }
    if (count == 2) {
        return fields_fault(fault, text, text, "one TLS version, or min,expected,max");
    }
    *sig = count < 2 ? (struct version_signature){versions[0], versions[0], versions[0]}
                     : (struct version_signature){versions[0], versions[1], versions[2]};
    if (is_above(sig->min, sig->expected) || is_above(sig->min, sig->max) ||
        is_above(sig->expected, sig->max)) {
        return fields_fault(fault, text, text, "min <= expected <= max");
    }
    return true;
}

void version_signature_print(struct text *out, struct version_signature sig, enum detect_mode mode)
{
    bool swapped = mode == DETECT_COMPATIBLE;

    if (sig.min == sig.expected && sig.expected == sig.max) {
        request_version_print(out, sig.min);
        return;
    }
    request_version_print(out, swapped ? sig.expected : sig.min);
    text_char(out, ',');
    request_version_print(out, swapped ? sig.min : sig.expected);
    text_char(out, ',');
    request_version_print(out, sig.max);
}

static uint16_t lower_bound(uint16_t a, uint16_t b)
{
    return a < b ? a : b; /* none is 0 */
}

struct version_signature version_signature_merge(struct version_signature a,
                                                 struct version_signature b)
{
    struct version_signature merged = {lower_bound(a.min, b.min),
                                       lower_bound(a.expected, b.expected), 0};

    if (a.max && b.max) {
        merged.max = a.max > b.max ? a.max : b.max;
    }
    return merged;
}

enum match_level version_signature_match(struct version_signature sig, uint16_t version)
{
    if ((sig.min && version < sig.min) || (sig.max && version > sig.max)) {
        return MATCH_IMPOSSIBLE;
    }
    return sig.expected && version < sig.expected ? MATCH_UNLIKELY : MATCH_POSSIBLE;
}

/* ---- the seven fields ---- */

bool request_signature_parse(struct request_signature *sig, struct span text, struct words *words,
                             struct detect_fault *fault)
{
    struct span parts[REQUEST_FIELD_COUNT];
    int field = REQUEST_CIPHERS;

    fault->expected = "seven fields separated by ':'";
    if (!fields_split(parts, REQUEST_FIELD_COUNT, text, ':', &fault->offset)) {
        return false;
    }
    if (!version_signature_parse(&sig->version, parts[REQUEST_VERSION], fault)) {
        return fields_fault_within(fault, text, parts[REQUEST_VERSION]);
    }
    while (field < REQUEST_FIELD_COUNT &&
           list_signature_parse(&sig->lists[field - REQUEST_CIPHERS], parts[field],
                                words_of(words, (enum request_field)field), fault)) {
        field++;
    }
    if (field < REQUEST_FIELD_COUNT) {
        fault->offset += fields_offset(text, parts[field]);
        while (field-- > REQUEST_CIPHERS) {
            list_signature_fini(&sig->lists[field - REQUEST_CIPHERS]);
        }
        return false;
    }
    return true;
}

void request_signature_fini(struct request_signature *sig)
{
    for (size_t i = 0; i < REQUEST_LIST_COUNT; i++) {
        list_signature_fini(&sig->lists[i]);
    }
}

void request_signature_print_field(struct text *out, const struct request_signature *sig,
                                   enum request_field field, const struct words *words,
                                   enum detect_mode mode)
{
    if (field == REQUEST_VERSION) {
        version_signature_print(out, sig->version, mode);
    } else {
        list_signature_print(out, request_signature_list(sig, field), const_words_of(words, field),
                             mode);
    }
}

void request_signature_print(struct text *out, const struct request_signature *sig,
                             const struct words *words, enum detect_mode mode)
{
    for (int field = 0; field < REQUEST_FIELD_COUNT; field++) {
        if (field) {
            text_char(out, ':');
        }
        request_signature_print_field(out, sig, (enum request_field)field, words, mode);
    }
}

size_t request_signature_text_max(const struct request_signature *sig, const struct words *words)
{
    size_t len = sizeof("303,303,303::::::");

    for (int field = REQUEST_CIPHERS; field < REQUEST_FIELD_COUNT; field++) {
        enum request_field f = (enum request_field)field;
        len += list_signature_text_max(request_signature_list(sig, f), const_words_of(words, f));
    }
    return len;
}

bool request_signature_merge(struct request_signature *sig, const struct request_signature *a,
                             const struct request_signature *b, enum detect_mode mode,
                             const struct words *words)
{
    sig->version = version_signature_merge(a->version, b->version);
    for (int i = 0; i < REQUEST_LIST_COUNT; i++) {
        enum request_field field = (enum request_field)(REQUEST_CIPHERS + i);
        if (!list_signature_merge(&sig->lists[i], &a->lists[i], &b->lists[i], mode,
                                  const_words_of(words, field))) {
            while (i-- > 0) {
                list_signature_fini(&sig->lists[i]);
            }
            return false;
        }
    }
    return true;
}

/* ---- matching ---- */

static struct value_set *view_list(struct request_view *view, enum request_field field)
{
    return &view->lists[field - REQUEST_CIPHERS];
}

static void view_numbers(struct value_set *set, const struct number_list *list)
{
    value_set_make(set, list->items, list->count);
}

static void view_words(struct value_set *set, uint16_t *numbers, const struct word_list *list,
                       const struct words *words)
{
    for (size_t i = 0; i < list->count; i++) {
        numbers[i] = words_find(words, list->items[i]);
    }
    value_set_make(set, numbers, list->count);
}

void request_view_make(struct request_view *view, const struct request_fingerprint *fp,
                       const struct words *words)
{
    view->version = fp->version;
    view_numbers(view_list(view, REQUEST_CIPHERS), &fp->ciphers);
    view_numbers(view_list(view, REQUEST_EXTENSIONS), &fp->extensions);
    view_numbers(view_list(view, REQUEST_CURVES), &fp->curves);
    view_numbers(view_list(view, REQUEST_POINT_FORMATS), &fp->point_formats);
    view_words(view_list(view, REQUEST_HEADERS), view->word_numbers[0], &fp->headers, words);
    view_words(view_list(view, REQUEST_QUIRKS), view->word_numbers[1], &fp->quirks, words);
}

static bool is_skipped(const struct list_signature *list, enum request_field field,
                       struct request_match_rules rules)
{
    bool is_empty = list->is_ordered && list->ordered_count == 0 && list->excluded_count == 0;

    if (field == REQUEST_HEADERS && rules.skips_headers) {
        return true;
    }
    return is_empty && ((field == REQUEST_HEADERS && rules.skips_empty_headers) ||
                        (field == REQUEST_QUIRKS && rules.skips_empty_quirks));
}

static enum match_level match_field(const struct request_signature *sig, enum request_field field,
                                    struct request_match_rules rules,
                                    const struct request_view *seen, uint32_t *similarity)
{
    const struct list_signature *list;
    struct list_match_rules list_rules = {rules.mode, request_field_is_words(field),
                                          field == REQUEST_EXTENSIONS &&
                                              rules.is_any_extension_order};

    if (field == REQUEST_VERSION) {
        return version_signature_match(sig->version, seen->version);
    }
    list = request_signature_list(sig, field);
    if (is_skipped(list, field, rules)) {
        return MATCH_POSSIBLE;
    }
    return list_signature_match(list, list_rules, &seen->lists[field - REQUEST_CIPHERS],
                                list_rules.is_words ? NULL : similarity);
}

void request_signature_match(struct request_match *match, const struct request_signature *sig,
                             struct request_match_rules rules, const struct request_view *seen)
{
    match->level = MATCH_POSSIBLE;
    match->similarity = 0;
    for (int i = 0; i < REQUEST_FIELD_COUNT; i++) {
        uint32_t similarity = 0;
        match->fields[i] = match_field(sig, (enum request_field)i, rules, seen, &similarity);
        match->level = match_level_worse(match->level, match->fields[i]);
        match->similarity += similarity;
    }
}

enum match_level request_signature_level(const struct request_signature *sig,
                                         struct request_match_rules rules,
                                         const struct request_view *seen)
{
    enum match_level level = MATCH_POSSIBLE;

    for (int i = 0; i < REQUEST_FIELD_COUNT && level != MATCH_IMPOSSIBLE; i++) {
        level =
            match_level_worse(level, match_field(sig, (enum request_field)i, rules, seen, NULL));
    }
    return level;
}
