/* SPDX-License-Identifier: Apache-2.0 */
/*
 * word_list: the words of a fingerprint (header names, quirks) in the order seen, duplicates kept.
 * A value: the words are borrowed, from the text that was parsed or from whoever added them, and
 * must stay put as long as the list is used. Any bytes but those that the text forms split at.
 */
#ifndef WEIR_DETECT_WORD_LIST_H
#define WEIR_DETECT_WORD_LIST_H

#include "core/base/assert.h"
#include "core/base/text.h"
#include "detect/fault.h"

/* More than any client sends; a longer list is not a fingerprint. */
enum { WORD_LIST_MAX = 160 };

struct word_list {
    size_t count;
    struct span items[WORD_LIST_MAX]; /* the first `count` are set */
};

/* False: the list is full, and stays as it is. */
bool word_list_add(struct word_list *list, struct span word) MUST_CHECK;

bool word_list_has(const struct word_list *list, struct span word);

/* A comma list; empty text is the empty list, otherwise empty words are words. False: more than
 * WORD_LIST_MAX. */
bool word_list_parse(struct word_list *list, struct span text,
                     struct detect_fault *fault) MUST_CHECK;

void word_list_print(struct text *out, const struct word_list *list);

/* Copies the words that are there, not the room behind them. */
void word_list_copy(struct word_list *to, const struct word_list *from);

#endif
