/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words: the words of a set of signatures, each with a number of 16 bits, so that lists of words
 * are matched like lists of numbers. Words are copied in and never leave. Written by one thread
 * while signatures are read; afterwards any thread may look words up.
 */
#ifndef WEIR_DETECT_WORDS_H
#define WEIR_DETECT_WORDS_H

#include "core/base/assert.h"
#include "core/base/span.h"

enum {
    WORDS_MAX = 65535,    /* different words */
    WORD_UNKNOWN = 65535, /* stands for every word that is not in the set */
};

struct words;

struct words *words_new(void) MUST_CHECK; /* null: no memory */
void words_free(struct words *words);     /* null is allowed */

/* False: no memory, or WORDS_MAX reached. */
bool words_add(struct words *words, struct span text, uint16_t *number) MUST_CHECK;

/* The word's number, or WORD_UNKNOWN. */
uint16_t words_find(const struct words *words, struct span text);

/* The word of a number that words_add gave; stays put until words_free. */
struct span words_text(const struct words *words, uint16_t number);

/* Order by bytes: below 0, 0, above 0. */
int words_compare(const struct words *words, uint16_t a, uint16_t b);

size_t words_count(const struct words *words);

#endif
