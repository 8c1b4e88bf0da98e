/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two request signatures and a fingerprint, a line each: matched in both modes by the engine and by
 * the definition, written, read again, and merged. What default mode writes reads as
 * the same.
 */
#include "detect/request_signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 17 };

static char memory[2][TEXT_MAX];

static bool has(const uint16_t *values, size_t count, uint16_t value)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i] == value) {
            return true;
        }
    }
    return false;
}

/* Greedy, from left to right. */
static bool is_subsequence(const struct list_signature *sig, const struct value_set *seen)
{
    size_t at = 0;

    for (size_t i = 0; i < sig->ordered_count && at < seen->count; i++) {
        at += sig->items[i] == seen->items[at];
    }
    return at == seen->count;
}

/* The definition, step by step, value by value; compatible mode. */
static enum match_level level_of(const struct list_signature *sig, const struct value_set *seen,
                                 bool is_words)
{
    bool extras = false;
    bool other = false;
    bool unlikely = false;

    if (sig->is_ordered && !is_subsequence(sig, seen)) {
        return MATCH_IMPOSSIBLE;
    }
    for (size_t i = 0; i < seen->count; i++) {
        uint16_t value = seen->items[i];
        if (has(list_signature_excluded(sig), sig->excluded_count, value)) {
            return MATCH_IMPOSSIBLE;
        }
        if (!has(list_signature_required(sig), sig->required_count, value) &&
            !has(list_signature_optional(sig), sig->optional_count, value)) {
            bool in = has(list_signature_unlikely(sig), sig->unlikely_count, value);
            extras = true;
            unlikely |= in;
            other |= !in;
        }
    }
    for (size_t i = 0; i < sig->required_count; i++) {
        if (!has(seen->items, seen->count, list_signature_required(sig)[i])) {
            return MATCH_IMPOSSIBLE;
        }
    }
    if (sig->optional_count && extras) {
        return (is_words || sig->unlikely_count) && other ? MATCH_IMPOSSIBLE : MATCH_UNLIKELY;
    }
    return unlikely ? MATCH_UNLIKELY : MATCH_POSSIBLE;
}

static void check_match(const struct request_signature *sig, const struct request_view *seen)
{
    struct request_match_rules rules = {.mode = DETECT_COMPATIBLE};
    struct request_match match;

    request_signature_match(&match, sig, rules, seen);
    ASSERT(request_signature_level(sig, rules, seen) == match.level);
    for (int i = 0; i < REQUEST_LIST_COUNT; i++) {
        enum request_field field = (enum request_field)(REQUEST_CIPHERS + i);
        ASSERT(match.fields[field] ==
               level_of(&sig->lists[i], &seen->lists[i], request_field_is_words(field)));
    }
    rules = (struct request_match_rules){DETECT_DEFAULT, true, true, true, true};
    request_signature_match(&match, sig, rules, seen);
    ASSERT(request_signature_level(sig, rules, seen) == match.level);
}

/* Has it a word that begins like a list prefix? Not everywhere can such a word be written. */
static bool has_odd_words(struct span text)
{
    for (size_t i = 1; i < text.len; i++) {
        if ((text.data[i] == '~' || text.data[i] == '*') && text.data[i - 1] != ':') {
            return true;
        }
    }
    return false;
}

/* Reads what is in memory[from] and writes it to memory[1 - from]. */
static struct span write_again(int from, struct span text, struct words *words)
{
    struct text out = text_make(memory[1 - from], TEXT_MAX);
    struct request_signature copy;
    struct detect_fault fault;

    ASSERT(request_signature_parse(&copy, text, words, &fault));
    request_signature_print(&out, &copy, words, DETECT_DEFAULT);
    ASSERT(!out.overflow);
    request_signature_fini(&copy);
    return text_view(&out);
}

/* A value in several sets is written with the prefix of one; all else reads as it was written. */
static void check_written(const struct request_signature *sig, struct span read,
                          struct words *words)
{
    struct text out = text_make(memory[0], TEXT_MAX);
    struct span once;

    request_signature_print(&out, sig, words, DETECT_COMPATIBLE);
    ASSERT(out.overflow || out.len <= request_signature_text_max(sig, words));
    out = text_make(memory[0], TEXT_MAX);
    request_signature_print(&out, sig, words, DETECT_DEFAULT);
    if (out.overflow || has_odd_words(read)) {
        return;
    }
    ASSERT(out.len <= request_signature_text_max(sig, words));
    once = write_again(0, text_view(&out), words);
    ASSERT(span_equal(write_again(1, once, words), span_make(memory[1], once.len)));
}

static void check_merged(const struct request_signature *a, const struct request_signature *b,
                         const struct request_view *seen, const struct words *words)
{
    for (int mode = DETECT_DEFAULT; mode <= DETECT_COMPATIBLE; mode++) {
        struct text out = text_make(memory[0], TEXT_MAX);
        struct request_signature merged;
        struct request_match match;
        struct request_match_rules rules = {.mode = (enum detect_mode)mode};

        ASSERT(request_signature_merge(&merged, a, b, rules.mode, words));
        request_signature_print(&out, &merged, words, rules.mode);
        ASSERT(out.overflow || out.len <= request_signature_text_max(&merged, words));
        request_signature_match(&match, &merged, rules, seen);
        request_signature_fini(&merged);
    }
}

static struct span take_line(struct span *rest)
{
    size_t len = span_find(*rest, '\n');
    struct span line = span_sub(*rest, 0, len);

    *rest = span_skip(*rest, len + 1);
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct request_fingerprint fp;
    static struct request_view seen;
    struct span rest = span_make(data, size);
    struct words *words = words_new();
    struct span lines[3];
    struct request_signature a, b;
    struct detect_fault fault = {SIZE_MAX, NULL};

    ASSERT(words);
    for (size_t i = 0; i < 3; i++) {
        lines[i] = take_line(&rest);
    }
    if (!request_signature_parse(&a, lines[0], words, &fault)) {
        ASSERT(fault.offset <= lines[0].len && fault.expected);
        words_free(words);
        return 0;
    }
    check_written(&a, lines[0], words);
    if (!request_fingerprint_parse(&fp, lines[2], &fault) &&
        !request_fingerprint_parse(&fp, SPAN_LITERAL("303:1,2,3:a::::"), &fault)) {
        ASSERT(false);
    }
    if (request_signature_parse(&b, lines[1], words, &fault)) {
        request_view_make(&seen, &fp, words);
        check_match(&b, &seen);
        check_merged(&a, &b, &seen, words);
        request_signature_fini(&b);
    }
    request_view_make(&seen, &fp, words);
    check_match(&a, &seen);
    request_signature_fini(&a);
    words_free(words);
    return 0;
}
