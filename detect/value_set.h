/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value_set: one list of a fingerprint, made ready to be compared with many signatures: the list as
 * it was, and its set as a bit map in two levels, which costs little to make and one load to ask.
 * A value; borrows the list.
 */
#ifndef WEIR_DETECT_VALUE_SET_H
#define WEIR_DETECT_VALUE_SET_H

#include "core/base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { VALUE_SET_PAGES = 257 }; /* one for each high byte, and the empty one */

struct value_set {
    const uint16_t *items; /* borrowed; in the order seen, duplicates kept */
    size_t count;
    size_t distinct_count;
    uint16_t page_count;
    uint16_t page_of[256];              /* by high byte; 0 is the empty page */
    uint64_t pages[VALUE_SET_PAGES][4]; /* the first `page_count` are set */
};

static inline bool value_set_has(const struct value_set *set, uint16_t value)
{
    return set->pages[set->page_of[value >> 8]][value >> 6 & 3] >> (value & 63) & 1;
}

static inline void value_set_make(struct value_set *set, const uint16_t *items, size_t count)
{
    set->items = items;
    set->count = count;
    set->distinct_count = 0;
    set->page_count = 1;
    memset(set->page_of, 0, sizeof(set->page_of));
    memset(set->pages[0], 0, sizeof(set->pages[0]));
    for (size_t i = 0; i < count; i++) {
        uint16_t value = items[i];
        if (value_set_has(set, value)) {
            continue;
        }
        if (set->page_of[value >> 8] == 0) {
            memset(set->pages[set->page_count], 0, sizeof(set->pages[0]));
            set->page_of[value >> 8] = set->page_count++;
        }
        set->pages[set->page_of[value >> 8]][value >> 6 & 3] |= UINT64_C(1) << (value & 63);
        set->distinct_count++;
    }
}

/* How many of `values`, which are all different, are in the set. */
static inline size_t value_set_count(const struct value_set *set, const uint16_t *values,
                                     size_t count)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        found += value_set_has(set, values[i]);
    }
    return found;
}

#endif
