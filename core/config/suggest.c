/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config/suggest.h"

#include <ctype.h>

struct suggest suggest_make(struct span word)
{
    return (struct suggest){.word = word, .best_distance = SIZE_MAX};
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool is_same_letter(uint8_t a, uint8_t b)
{
    return tolower(a) == tolower(b) || (a == '-' && b == '_');
}

/*
 * Insertions, deletions, changes and exchanges of two neighbours that make one word of the other
 * (optimal string alignment). Both are at most SUGGEST_WORD_MAX long.
 */
static size_t distance(struct span a, struct span b)
{
    size_t rows[3][SUGGEST_WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b.len; j++) {
        above[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t *oldest = before;

        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = is_same_letter(a.data[i - 1], b.data[j - 1]);
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + !same);
            if (i > 1 && j > 1 && is_same_letter(a.data[i - 1], b.data[j - 2]) &&
                is_same_letter(a.data[i - 2], b.data[j - 1])) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
        }
        before = above;
        above = row;
        row = oldest;
    }
    return above[b.len];
}

void suggest_offer(struct suggest *suggest, struct span candidate)
{
    size_t found;

    if (suggest->word.len == 0 || suggest->word.len > SUGGEST_WORD_MAX ||
        candidate.len > SUGGEST_WORD_MAX) {
        return;
    }
    found = distance(suggest->word, candidate);
    /* Two words of three letters always are within three of each other: that is no likeness. */
    if (found < suggest->best_distance &&
        found <= (least(suggest->word.len, candidate.len) + 2) / 3) {
        suggest->best = candidate;
        suggest->best_distance = found;
    }
}
