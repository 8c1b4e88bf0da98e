/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/list_signature.h"

#include "detect/fields.h"

#include <stdlib.h>

enum set { REQUIRED, OPTIONAL, UNLIKELY, EXCLUDED, SET_COUNT };

static const uint8_t prefixes[SET_COUNT] = {0, '?', '!', '^'};

/* Lists while they are built. All five share one block. */
struct draft {
    uint16_t *block;
    uint16_t *ordered;
    size_t ordered_count;
    uint16_t *sets[SET_COUNT];
    size_t counts[SET_COUNT];
};

/* Room for `cap` values in each list. */
static bool draft_init(struct draft *draft, size_t cap)
{
    *draft = (struct draft){.block = malloc((SET_COUNT + 1) * (cap + 1) * sizeof(uint16_t))};
    if (!draft->block) {
        return false;
    }
    draft->ordered = draft->block;
    for (size_t s = 0; s < SET_COUNT; s++) {
        draft->sets[s] = draft->block + (s + 1) * (cap + 1);
    }
    return true;
}

static int compare_values(const void *a, const void *b)
{
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

static size_t sort_distinct(uint16_t *values, size_t count)
{
    size_t kept = 0;

    qsort(values, count, sizeof(*values), compare_values);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || values[kept - 1] != values[i]) {
            values[kept++] = values[i];
        }
    }
    return kept;
}

static bool has(const uint16_t *values, size_t count, uint16_t value)
{
    return count && bsearch(&value, values, count, sizeof(value), compare_values) != NULL;
}

static bool sets_meet(const struct draft *draft, enum set a, enum set b)
{
    for (size_t i = 0; i < draft->counts[a]; i++) {
        if (has(draft->sets[b], draft->counts[b], draft->sets[a][i])) {
            return true;
        }
    }
    return false;
}

/* Packs the draft, whose sets are sorted, and ends it. The flags of `sig` are the caller's. */
static bool draft_finish(struct draft *draft, struct list_signature *sig)
{
    size_t total = draft->ordered_count;
    uint16_t *to;

    for (size_t s = 0; s < SET_COUNT; s++) {
        total += draft->counts[s];
    }
    sig->items = malloc((total ? total : 1) * sizeof(uint16_t));
    if (!sig->items) {
        free(draft->block);
        return false;
    }
    memcpy(sig->items, draft->ordered, draft->ordered_count * sizeof(uint16_t));
    to = sig->items + draft->ordered_count;
    for (size_t s = 0; s < SET_COUNT; s++) {
        memcpy(to, draft->sets[s], draft->counts[s] * sizeof(uint16_t));
        to += draft->counts[s];
    }
    sig->ordered_count = (uint32_t)draft->ordered_count;
    sig->required_count = (uint32_t)draft->counts[REQUIRED];
    sig->optional_count = (uint32_t)draft->counts[OPTIONAL];
    sig->unlikely_count = (uint32_t)draft->counts[UNLIKELY];
    sig->excluded_count = (uint32_t)draft->counts[EXCLUDED];
    sig->sets_overlap = sets_meet(draft, REQUIRED, OPTIONAL) ||
                        sets_meet(draft, UNLIKELY, REQUIRED) ||
                        sets_meet(draft, UNLIKELY, OPTIONAL);
    free(draft->block);
    return true;
}

void list_signature_fini(struct list_signature *sig)
{
    free(sig->items);
    sig->items = NULL;
}

static enum set prefix_set(struct span item)
{
    for (int s = OPTIONAL; s < SET_COUNT; s++) {
        if (item.len && item.data[0] == prefixes[s]) {
            return (enum set)s;
        }
    }
    return REQUIRED;
}

static bool parse_item(struct draft *draft, struct span text, struct span item, struct words *words,
                       struct detect_fault *fault)
{
    enum set set = prefix_set(item);
    struct span rest = set == REQUIRED ? item : span_skip(item, 1);
    uint16_t value;

    if (item.len == 0) {
        return fields_fault(fault, text, item, "an item between commas");
    }
    if (words && !words_add(words, rest, &value)) {
        return fields_fault(fault, text, item,
                            words_count(words) == WORDS_MAX ? "at most 65535 different words"
                                                            : detect_fault_no_memory);
    }
    if (!words && !fields_hex(&value, rest)) {
        return fields_fault(fault, text, rest, "a hex number up to ffff");
    }
    draft->sets[set][draft->counts[set]++] = value;
    if (set != EXCLUDED) {
        draft->ordered[draft->ordered_count++] = value;
    }
    return true;
}

static bool parse_items(struct draft *draft, struct span text, struct span items,
                        struct words *words, struct detect_fault *fault)
{
    struct span rest = items;

    while (items.len && rest.data) {
        if (!parse_item(draft, text, fields_next(&rest, ','), words, fault)) {
            return false;
        }
    }
    for (size_t s = 0; s < SET_COUNT; s++) {
        draft->counts[s] = sort_distinct(draft->sets[s], draft->counts[s]);
    }
    return true;
}

static size_t count_items(struct span text)
{
    size_t count = 1;

    for (size_t i = 0; i < text.len; i++) {
        count += text.data[i] == ',';
    }
    return count;
}

bool list_signature_parse(struct list_signature *sig, struct span text, struct words *words,
                          struct detect_fault *fault)
{
    char prefix = text.len ? (char)text.data[0] : '\0';
    size_t count = count_items(text);
    struct draft draft;

    *sig = (struct list_signature){.is_ordered = prefix != '~' && prefix != '*',
                                   .is_open = prefix == '*'};
    if (count > LIST_SIGNATURE_MAX) {
        return fields_fault(fault, text, text, "at most 4096 items");
    }
    if (!draft_init(&draft, count)) {
        return fields_fault(fault, text, text, detect_fault_no_memory);
    }
    if (!parse_items(&draft, text, sig->is_ordered ? text : span_skip(text, 1), words, fault)) {
        free(draft.block);
        return false;
    }
    if (!sig->is_ordered) {
        draft.ordered_count = 0;
    }
    if (sig->is_open) {
        draft.counts[OPTIONAL] = 0;
        sig->lacks_optional = words != NULL;
    }
    return draft_finish(&draft, sig) || fields_fault(fault, text, text, detect_fault_no_memory);
}

static bool is_in(const struct list_signature *sig, enum set set, uint16_t value)
{
    switch (set) {
    case REQUIRED:
        return has(list_signature_required(sig), sig->required_count, value);
    case OPTIONAL:
        return has(list_signature_optional(sig), sig->optional_count, value);
    case UNLIKELY:
        return has(list_signature_unlikely(sig), sig->unlikely_count, value);
    default:
        return has(list_signature_excluded(sig), sig->excluded_count, value);
    }
}

static void print_item(struct text *out, const struct list_signature *sig,
                       const struct words *words, uint16_t value, bool is_first)
{
    if (!is_first) {
        text_char(out, ',');
    }
    if (is_in(sig, OPTIONAL, value)) {
        text_char(out, (char)prefixes[OPTIONAL]);
    } else if (is_in(sig, UNLIKELY, value)) {
        text_char(out, (char)prefixes[UNLIKELY]);
    } else if (is_in(sig, EXCLUDED, value)) {
        text_char(out, (char)prefixes[EXCLUDED]);
    }
    if (words) {
        text_bytes(out, words_text(words, value));
    } else {
        fields_print_hex(out, value);
    }
}

static int order_of(const struct words *words, uint16_t a, uint16_t b)
{
    return words ? words_compare(words, a, b) : a - b;
}

/*
 * The least value above `last`, and how often it occurs. Printing is for people, so this looks
 * through all of them again for each value instead of keeping sorted copies.
 */
static bool next_in_order(const struct words *words, const uint16_t *values, size_t count,
                          const uint16_t *last, uint16_t *next, size_t *times)
{
    *times = 0;
    for (size_t i = 0; i < count; i++) {
        int order;
        if (last && order_of(words, values[i], *last) <= 0) {
            continue;
        }
        order = *times ? order_of(words, values[i], *next) : -1;
        if (order < 0) {
            *next = values[i];
            *times = 1;
        } else if (order == 0) {
            ++*times;
        }
    }
    return *times > 0;
}

/* Values ascending, a value in two sets twice. */
static void print_sorted(struct text *out, const struct list_signature *sig,
                         const struct words *words, const uint16_t *values, size_t count,
                         bool is_first)
{
    const uint16_t *after = NULL;
    uint16_t last;
    uint16_t value = 0;
    size_t times;

    while (next_in_order(words, values, count, after, &value, &times)) {
        for (size_t i = 0; i < times; i++) {
            print_item(out, sig, words, value, is_first);
            is_first = false;
        }
        last = value;
        after = &last;
    }
}

/* The prefix of a list without order. */
static char list_prefix(const struct list_signature *sig, const struct words *words,
                        enum detect_mode mode)
{
    bool star = words ? sig->lacks_optional : sig->required_count == 0;

    if (mode == DETECT_DEFAULT) {
        star = sig->is_open;
    }
    return star ? '*' : '~';
}

void list_signature_print(struct text *out, const struct list_signature *sig,
                          const struct words *words, enum detect_mode mode)
{
    size_t set_count = sig->required_count + sig->optional_count + sig->unlikely_count;

    if (!sig->is_ordered) {
        text_char(out, list_prefix(sig, words, mode));
        print_sorted(out, sig, words, list_signature_required(sig), set_count + sig->excluded_count,
                     true);
        return;
    }
    for (size_t i = 0; i < sig->ordered_count; i++) {
        print_item(out, sig, words, sig->items[i], i == 0);
    }
    print_sorted(out, sig, words, list_signature_excluded(sig), sig->excluded_count,
                 sig->ordered_count == 0);
}

size_t list_signature_text_max(const struct list_signature *sig, const struct words *words)
{
    size_t count = sig->ordered_count + sig->required_count + sig->optional_count +
                   sig->unlikely_count + sig->excluded_count;
    size_t len = 1 + count * LIST_SIGNATURE_ITEM_MAX;

    for (size_t i = 0; words && i < count; i++) {
        len += words_text(words, sig->items[i]).len;
    }
    return len;
}

static bool is_subsequence(const struct list_signature *sig, const struct value_set *seen)
{
    size_t at = 0;

    if (seen->count > sig->ordered_count) {
        return false;
    }
    for (size_t i = 0; i < sig->ordered_count && at < seen->count; i++) {
        at += sig->items[i] == seen->items[at];
    }
    return at == seen->count;
}

/* Is every value seen one of the order's? The lists are short. */
static bool is_subset(const struct list_signature *sig, const struct value_set *seen)
{
    for (size_t i = 0; i < seen->count; i++) {
        size_t at = 0;
        while (at < sig->ordered_count && sig->items[at] != seen->items[i]) {
            at++;
        }
        if (at == sig->ordered_count) {
            return false;
        }
    }
    return true;
}

/* What was seen besides the required and optional ones. */
struct extras {
    bool unlikely; /* some are among the unlikely ones */
    bool other;    /* some are not */
};

static struct extras extras_of(const struct list_signature *sig, const struct value_set *seen,
                               size_t named)
{
    struct extras extras = {false, false};

    if (!sig->sets_overlap) {
        size_t unlikely = value_set_count(seen, list_signature_unlikely(sig), sig->unlikely_count);
        extras.unlikely = unlikely > 0;
        extras.other = named + unlikely < seen->distinct_count;
        return extras;
    }
    for (size_t i = 0; i < seen->count; i++) {
        uint16_t value = seen->items[i];
        if (!is_in(sig, REQUIRED, value) && !is_in(sig, OPTIONAL, value)) {
            bool unlikely = is_in(sig, UNLIKELY, value);
            extras.unlikely |= unlikely;
            extras.other |= !unlikely;
        }
    }
    return extras;
}

/* Are values that the signature does not name a contradiction? */
static bool refuses_other(const struct list_signature *sig, struct list_match_rules rules)
{
    if (rules.mode == DETECT_DEFAULT) {
        return !sig->is_open && !sig->is_ordered;
    }
    return sig->optional_count && (rules.is_words || sig->unlikely_count);
}

enum match_level list_signature_match(const struct list_signature *sig,
                                      struct list_match_rules rules, const struct value_set *seen,
                                      uint32_t *similarity)
{
    size_t required = value_set_count(seen, list_signature_required(sig), sig->required_count);
    size_t optional = value_set_count(seen, list_signature_optional(sig), sig->optional_count);
    struct extras extras;

    if (similarity) {
        *similarity = (uint32_t)(required + optional);
    }
    if (required != sig->required_count) {
        return MATCH_IMPOSSIBLE;
    }
    if (sig->is_ordered &&
        !(rules.is_any_order ? is_subset(sig, seen) : is_subsequence(sig, seen))) {
        return MATCH_IMPOSSIBLE;
    }
    if (value_set_count(seen, list_signature_excluded(sig), sig->excluded_count)) {
        return MATCH_IMPOSSIBLE;
    }
    extras = extras_of(sig, seen, required + optional);
    if (extras.other && refuses_other(sig, rules)) {
        return MATCH_IMPOSSIBLE;
    }
    if (extras.unlikely ||
        (extras.other && sig->optional_count && rules.mode == DETECT_COMPATIBLE)) {
        return MATCH_UNLIKELY;
    }
    return MATCH_POSSIBLE;
}

/* ---- merging ---- */

static bool belongs(const struct list_signature *sig, uint16_t value)
{
    return is_in(sig, REQUIRED, value) || is_in(sig, OPTIONAL, value) ||
           is_in(sig, UNLIKELY, value);
}

/*
 * Puts the two orders together. `done` is the ordered part so far, looked through for each value:
 * lists are short and merging is rare. False: they can't be.
 */
static bool merge_order(struct draft *draft, const struct list_signature *a,
                        const struct list_signature *b)
{
    size_t next = 0; /* of b's order */

    for (size_t i = 0; i < a->ordered_count; i++) {
        uint16_t value = a->items[i];
        for (size_t k = 0; k < draft->ordered_count; k++) {
            if (draft->ordered[k] == value) {
                return false;
            }
        }
        if (belongs(b, value)) {
            while (next < b->ordered_count && b->items[next] != value) {
                draft->ordered[draft->ordered_count++] = b->items[next++];
            }
            next++;
        }
        draft->ordered[draft->ordered_count++] = value;
    }
    while (next < b->ordered_count) {
        draft->ordered[draft->ordered_count++] = b->items[next++];
    }
    return true;
}

static void set_intersect(struct draft *draft, enum set to, const uint16_t *a, size_t a_count,
                          const uint16_t *b, size_t b_count)
{
    for (size_t i = 0; i < a_count; i++) {
        if (has(b, b_count, a[i])) {
            draft->sets[to][draft->counts[to]++] = a[i];
        }
    }
}

static void set_add(struct draft *draft, enum set to, const uint16_t *values, size_t count)
{
    if (count) {
        memcpy(draft->sets[to] + draft->counts[to], values, count * sizeof(*values));
        draft->counts[to] += count;
    }
}

static void set_remove(struct draft *draft, enum set from, enum set what)
{
    size_t kept = 0;

    for (size_t i = 0; i < draft->counts[from]; i++) {
        uint16_t value = draft->sets[from][i];
        if (!has(draft->sets[what], draft->counts[what], value)) {
            draft->sets[from][kept++] = value;
        }
    }
    draft->counts[from] = kept;
}

static void merge_optional(struct draft *draft, const struct list_signature *a,
                           const struct list_signature *b)
{
    set_add(draft, OPTIONAL, list_signature_optional(a), a->optional_count);
    set_add(draft, OPTIONAL, list_signature_optional(b), b->optional_count);
    set_add(draft, OPTIONAL, list_signature_required(a), a->required_count);
    set_add(draft, OPTIONAL, list_signature_required(b), b->required_count);
    draft->counts[OPTIONAL] = sort_distinct(draft->sets[OPTIONAL], draft->counts[OPTIONAL]);
    set_remove(draft, OPTIONAL, REQUIRED);
}

static void merge_unlikely(struct draft *draft, const struct list_signature *a,
                           const struct list_signature *b, bool with_optional)
{
    set_add(draft, UNLIKELY, list_signature_unlikely(a), a->unlikely_count);
    set_add(draft, UNLIKELY, list_signature_unlikely(b), b->unlikely_count);
    if (with_optional) {
        set_add(draft, UNLIKELY, list_signature_optional(a), a->optional_count);
        set_add(draft, UNLIKELY, list_signature_optional(b), b->optional_count);
    }
    draft->counts[UNLIKELY] = sort_distinct(draft->sets[UNLIKELY], draft->counts[UNLIKELY]);
    set_remove(draft, UNLIKELY, OPTIONAL);
}

/* MITMEngine loses what is required on one side only where the other requires nothing (numbers). */
static void merge_sets_compatible(struct draft *draft, struct list_signature *sig,
                                  const struct list_signature *a, const struct list_signature *b,
                                  bool is_words)
{
    sig->lacks_optional = is_words && (a->lacks_optional || b->lacks_optional);
    if (is_words ? !sig->lacks_optional : a->required_count && b->required_count) {
        merge_optional(draft, a, b);
    }
    if (is_words || (a->optional_count && b->optional_count)) {
        merge_unlikely(draft, a, b, true);
    }
}

static void merge_sets(struct draft *draft, struct list_signature *sig,
                       const struct list_signature *a, const struct list_signature *b,
                       bool is_words)
{
    merge_optional(draft, a, b);
    merge_unlikely(draft, a, b, false);
    set_remove(draft, UNLIKELY, REQUIRED);
    if (sig->is_open) {
        draft->counts[OPTIONAL] = 0;
        sig->lacks_optional = is_words;
    }
    for (int s = REQUIRED; s < EXCLUDED; s++) {
        set_remove(draft, EXCLUDED, (enum set)s);
    }
}

bool list_signature_merge(struct list_signature *sig, const struct list_signature *a,
                          const struct list_signature *b, enum detect_mode mode,
                          const struct words *words)
{
    size_t cap = a->ordered_count + a->required_count + a->optional_count + a->unlikely_count +
                 a->excluded_count + b->ordered_count + b->required_count + b->optional_count +
                 b->unlikely_count + b->excluded_count;
    struct draft draft;

    *sig = (struct list_signature){.is_open = a->is_open || b->is_open};
    if (!draft_init(&draft, cap)) {
        return false;
    }
    set_intersect(&draft, REQUIRED, list_signature_required(a), a->required_count,
                  list_signature_required(b), b->required_count);
    set_intersect(&draft, EXCLUDED, list_signature_excluded(a), a->excluded_count,
                  list_signature_excluded(b), b->excluded_count);
    if (mode == DETECT_COMPATIBLE) {
        merge_sets_compatible(&draft, sig, a, b, words != NULL);
    } else {
        merge_sets(&draft, sig, a, b, words != NULL);
    }
    sig->is_ordered = a->is_ordered && b->is_ordered && merge_order(&draft, a, b);
    if (!sig->is_ordered) {
        draft.ordered_count = 0;
    }
    return draft_finish(&draft, sig);
}
