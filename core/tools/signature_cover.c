/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/signature_cover.h"

static size_t total_count(const struct list_signature *sig)
{
    return (size_t)sig->ordered_count + sig->required_count + sig->optional_count +
           sig->unlikely_count + sig->excluded_count;
}

static bool same_list(const struct list_signature *a, const struct list_signature *b)
{
    size_t count = total_count(a);

    return a->ordered_count == b->ordered_count && a->required_count == b->required_count &&
           a->optional_count == b->optional_count && a->unlikely_count == b->unlikely_count &&
           a->excluded_count == b->excluded_count && a->is_ordered == b->is_ordered &&
           a->is_open == b->is_open &&
           (count == 0 || memcmp(a->items, b->items, count * sizeof(*a->items)) == 0);
}

/* Open lists of numbers are no cover: of records that do not agree, the one with more similarity is
 * reported as the nearest, and only words do not count for it. */
static bool words_cover(const struct list_signature *a, const struct list_signature *b)
{
    return (a->is_open && total_count(a) == 0) || same_list(a, b);
}

/* No bound, or one that is no tighter. */
static bool bound_covers(uint16_t a, uint16_t b)
{
    return a == 0 || (b != 0 && a <= b);
}

static bool version_covers(struct version_signature a, struct version_signature b)
{
    return bound_covers(a.min, b.min) && bound_covers(a.expected, b.expected) &&
           (a.max == 0 || (b.max != 0 && a.max >= b.max));
}

/* `any` is what a component that is not given counts as. */
static int compare_versions(struct ua_version a, struct ua_version b, int64_t any)
{
    const int64_t left[] = {a.major, a.minor, a.patch};
    const int64_t right[] = {b.major, b.minor, b.patch};

    for (size_t i = 0; i < COUNT_OF(left); i++) {
        int64_t l = left[i] == UA_VERSION_ANY ? any : left[i];
        int64_t r = right[i] == UA_VERSION_ANY ? any : right[i];

        if (l != r) {
            return l < r ? -1 : 1;
        }
    }
    return 0;
}

static bool range_covers(struct ua_version_range a, struct ua_version_range b)
{
    return (a.min.major == UA_VERSION_ANY || compare_versions(a.min, b.min, INT64_MIN) <= 0) &&
           (a.max.major == UA_VERSION_ANY || compare_versions(a.max, b.max, INT64_MAX) >= 0);
}

static bool number_covers(int64_t a, int64_t b)
{
    return a == 0 || a == b;
}

static bool user_agent_covers(const struct ua_signature *a, const struct ua_signature *b)
{
    return number_covers(a->browser, b->browser) && number_covers(a->platform, b->platform) &&
           number_covers(a->os, b->os) && number_covers(a->device, b->device) &&
           range_covers(a->browser_version, b->browser_version) &&
           range_covers(a->os_version, b->os_version) && words_cover(&a->quirks, &b->quirks);
}

bool signature_covers(const struct record *earlier, const struct record *later)
{
    bool covers = user_agent_covers(&earlier->ua, &later->ua) &&
                  version_covers(earlier->request.version, later->request.version);

    for (int field = REQUEST_CIPHERS; field < REQUEST_FIELD_COUNT && covers; field++) {
        const struct list_signature *a =
            request_signature_list(&earlier->request, (enum request_field)field);
        const struct list_signature *b =
            request_signature_list(&later->request, (enum request_field)field);

        covers =
            request_field_is_words((enum request_field)field) ? words_cover(a, b) : same_list(a, b);
    }
    return covers;
}

static bool is_empty_range(struct ua_version_range range)
{
    return range.min.major != UA_VERSION_ANY && range.max.major != UA_VERSION_ANY &&
           range.min.major > range.max.major;
}

/* Is something required and excluded? Both sets ascend. */
static bool list_contradicts(const struct list_signature *sig)
{
    const uint16_t *required = list_signature_required(sig);
    const uint16_t *excluded = list_signature_excluded(sig);
    size_t i = 0;
    size_t j = 0;

    while (i < sig->required_count && j < sig->excluded_count) {
        if (required[i] == excluded[j]) {
            return true;
        }
        if (required[i] < excluded[j]) {
            i++;
        } else {
            j++;
        }
    }
    return false;
}

const char *signature_contradiction(const struct record *record)
{
    if (is_empty_range(record->ua.browser_version)) {
        return "the least browser version is above the greatest";
    }
    if (is_empty_range(record->ua.os_version)) {
        return "the least system version is above the greatest";
    }
    if (list_contradicts(&record->ua.quirks)) {
        return "a quirk of the user agent is required and excluded";
    }
    for (size_t i = 0; i < REQUEST_LIST_COUNT; i++) {
        static const char *const what[REQUEST_LIST_COUNT] = {
            "a cipher is required and excluded", "an extension is required and excluded",
            "a curve is required and excluded",  "a point format is required and excluded",
            "a header is required and excluded", "a quirk is required and excluded",
        };

        if (list_contradicts(&record->request.lists[i])) {
            return what[i];
        }
    }
    return NULL;
}
