/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/user_agent_signature.h"

#include "detect/fields.h"

enum { FIELD_COUNT = 7, NUMBER_TEXT_MAX = 20 };

static const struct ua_version any_version = {UA_VERSION_ANY, UA_VERSION_ANY, UA_VERSION_ANY};

bool ua_version_range_parse(struct ua_version_range *range, struct span text,
                            struct detect_fault *fault)
{
    size_t len = span_find(text, '-');
    struct span max = span_skip(text, len + 1);

    if (!ua_version_parse(&range->min, span_sub(text, 0, len), fault)) {
        return false;
    }
    range->max = range->min;
    return len == text.len || ua_version_parse(&range->max, max, fault) ||
           fields_fault_within(fault, text, max);
}

static bool version_equal(struct ua_version a, struct ua_version b)
{
    return a.major == b.major && a.minor == b.minor && a.patch == b.patch;
}

bool ua_version_range_equal(struct ua_version_range a, struct ua_version_range b)
{
    return version_equal(a.min, b.min) && version_equal(a.max, b.max);
}

void ua_version_range_print(struct text *out, struct ua_version_range range)
{
    ua_version_print(out, range.min);
    if (!version_equal(range.min, range.max)) {
        text_char(out, '-');
        ua_version_print(out, range.max);
    }
}

/* The lower (sign 1) or higher (sign -1) of two bounds; from a component that is any in one of them
 * on, where they first differ, all are any. */
static struct ua_version outer_bound(struct ua_version a, struct ua_version b, int sign)
{
    int64_t left[3] = {a.major, a.minor, a.patch};
    const int64_t right[3] = {b.major, b.minor, b.patch};
    size_t i = 0;

    while (i < 3 && left[i] == right[i]) {
        i++;
    }
    if (i == 3) {
        return a;
    }
    if (left[i] != UA_VERSION_ANY && right[i] != UA_VERSION_ANY) {
        return (left[i] < right[i]) == (sign > 0) ? a : b;
    }
    while (i < 3) {
        left[i++] = UA_VERSION_ANY;
    }
    return (struct ua_version){left[0], left[1], left[2]};
}

struct ua_version_range ua_version_range_merge(struct ua_version_range a, struct ua_version_range b)
{
    return (struct ua_version_range){outer_bound(a.min, b.min, 1), outer_bound(a.max, b.max, -1)};
}

/* Below 0, 0 or above 0, as `version` lies to the bound. */
static int compare_to_bound(struct ua_version version, struct ua_version bound)
{
    const int64_t seen[3] = {version.major, version.minor, version.patch};
    const int64_t given[3] = {bound.major, bound.minor, bound.patch};

    for (size_t i = 0; i < 3; i++) {
        if (given[i] == UA_VERSION_ANY || (i > 0 && seen[i] == UA_VERSION_ANY)) {
            return 0;
        }
        if (seen[i] != given[i]) {
            return seen[i] < given[i] ? -1 : 1;
        }
    }
    return 0;
}

bool ua_version_range_covers(struct ua_version_range range, struct ua_version version,
                             enum detect_mode mode)
{
    if (mode == DETECT_COMPATIBLE) {
        range.min.minor = UA_VERSION_ANY;
        range.max.minor = UA_VERSION_ANY;
    }
    return compare_to_bound(version, range.min) >= 0 && compare_to_bound(version, range.max) <= 0;
}

bool ua_signature_parse(struct ua_signature *sig, struct span text, struct words *words,
                        struct detect_fault *fault)
{
    struct span parts[FIELD_COUNT];
    int64_t *const numbers[FIELD_COUNT] = {&sig->browser, NULL, &sig->platform, &sig->os, NULL,
                                           &sig->device,  NULL};

    fault->expected = "seven fields separated by ':'";
    if (!fields_split(parts, FIELD_COUNT, text, ':', &fault->offset) ||
        !fields_decimals(numbers, parts, FIELD_COUNT, text, fault)) {
        return false;
    }
    if (!ua_version_range_parse(&sig->browser_version, parts[1], fault)) {
        return fields_fault_within(fault, text, parts[1]);
    }
    if (!ua_version_range_parse(&sig->os_version, parts[4], fault)) {
        return fields_fault_within(fault, text, parts[4]);
    }
    return list_signature_parse(&sig->quirks, parts[6], words, fault) ||
           fields_fault_within(fault, text, parts[6]);
}

void ua_signature_fini(struct ua_signature *sig)
{
    list_signature_fini(&sig->quirks);
}

void ua_signature_print(struct text *out, const struct ua_signature *sig, const struct words *words,
                        enum detect_mode mode)
{
    text_signed(out, sig->browser);
    text_char(out, ':');
    ua_version_range_print(out, sig->browser_version);
    text_char(out, ':');
    text_signed(out, sig->platform);
    text_char(out, ':');
    text_signed(out, sig->os);
    text_char(out, ':');
    ua_version_range_print(out, sig->os_version);
    text_char(out, ':');
    text_signed(out, sig->device);
    text_char(out, ':');
    list_signature_print(out, &sig->quirks, words, mode);
}

size_t ua_signature_text_max(const struct ua_signature *sig, const struct words *words)
{
    /* Four numbers and four versions of three, each with a separator behind it. */
    return (4 + 4 * 3) * (NUMBER_TEXT_MAX + 1) + list_signature_text_max(&sig->quirks, words);
}

/* A name and its version range, which means nothing without the name. */
static int64_t merge_named(struct ua_version_range *range, int64_t a, int64_t b,
                           struct ua_version_range a_range, struct ua_version_range b_range)
{
    if (a == b) {
        *range = ua_version_range_merge(a_range, b_range);
        return a;
    }
    *range = (struct ua_version_range){any_version, any_version};
    return 0;
}

bool ua_signature_merge(struct ua_signature *merged, const struct ua_signature *a,
                        const struct ua_signature *b, enum detect_mode mode,
                        const struct words *words)
{
    merged->browser = merge_named(&merged->browser_version, a->browser, b->browser,
                                  a->browser_version, b->browser_version);
    merged->os = merge_named(&merged->os_version, a->os, b->os, a->os_version, b->os_version);
    merged->platform = a->platform == b->platform ? a->platform : 0;
    merged->device = a->device == b->device ? a->device : 0;
    return list_signature_merge(&merged->quirks, &a->quirks, &b->quirks, mode, words);
}

static bool number_covers(int64_t sig, int64_t seen)
{
    return sig == 0 || sig == seen;
}

enum match_level ua_signature_match(const struct ua_signature *sig, enum detect_mode mode,
                                    const struct ua_fingerprint *fp, const struct value_set *quirks)
{
    struct list_match_rules rules = {mode, true, false};

    if (!number_covers(sig->browser, fp->browser) || !number_covers(sig->platform, fp->platform) ||
        !number_covers(sig->os, fp->os) || !number_covers(sig->device, fp->device) ||
        !ua_version_range_covers(sig->browser_version, fp->browser_version, mode) ||
        !ua_version_range_covers(sig->os_version, fp->os_version, mode)) {
        return MATCH_IMPOSSIBLE;
    }
    return list_signature_match(&sig->quirks, rules, quirks, NULL);
}
