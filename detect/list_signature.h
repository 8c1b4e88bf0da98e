/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_signature: a pattern of one list of a fingerprint, of numbers or of words:
 *
 *     [~*]item,item,...        ~ in any order; * in any order, and others too
 *
 * and before each item nothing (required), ? (optional), ! (unlikely) or ^ (excluded). Without ~
 * or * the order matters: the fingerprint's list must be a subsequence. Empty text is a list that
 * must be empty.
 *
 * Words are held as numbers of a `struct words`. Every function takes it: null says that this is a
 * list of numbers. Owned memory is one block; immutable once made, then any thread.
 */
#ifndef WEIR_DETECT_LIST_SIGNATURE_H
#define WEIR_DETECT_LIST_SIGNATURE_H

#include "core/base/text.h"
#include "detect/fault.h"
#include "detect/match_level.h"
#include "detect/mode.h"
#include "detect/value_set.h"
#include "detect/words.h"

enum {
    LIST_SIGNATURE_MAX = 4096, /* items read; far more than any hello or head holds */

    LIST_SIGNATURE_ITEM_MAX = 6, /* bytes that an item is printed in, but for a word's own */
};

struct list_signature {
    uint16_t *items; /* owned: the order, then the four sets, each ascending and without doubles */
    uint32_t ordered_count;
    uint32_t required_count;
    uint32_t optional_count;
    uint32_t unlikely_count;
    uint32_t excluded_count;
    bool is_ordered;     /* false: there is no order, and ordered_count is 0 */
    bool is_open;        /* written with `*`: others are allowed too */
    bool lacks_optional; /* words only: there is no set of optional ones, not even an empty one */
    bool sets_overlap;   /* some value is in two of required, optional, unlikely */
};

static inline const uint16_t *list_signature_required(const struct list_signature *sig)
{
    return sig->items + sig->ordered_count;
}

static inline const uint16_t *list_signature_optional(const struct list_signature *sig)
{
    return list_signature_required(sig) + sig->required_count;
}

static inline const uint16_t *list_signature_unlikely(const struct list_signature *sig)
{
    return list_signature_optional(sig) + sig->optional_count;
}

static inline const uint16_t *list_signature_excluded(const struct list_signature *sig)
{
    return list_signature_unlikely(sig) + sig->unlikely_count;
}

/* Does it allow one list only? Ordered, each once, and all of them required. */
static inline bool list_signature_is_exact(const struct list_signature *sig)
{
    return sig->is_ordered && sig->ordered_count == sig->required_count;
}

/* False: `fault` says where and why (detect_fault_no_memory among them), nothing is owned. */
bool list_signature_parse(struct list_signature *sig, struct span text, struct words *words,
                          struct detect_fault *fault) MUST_CHECK;
void list_signature_fini(struct list_signature *sig);

/* A value in several sets is written with one prefix: that of the first of optional, unlikely,
 * excluded. Compatible: as MITMEngine writes it, which is not always what it read (`~?1` becomes
 * `*?1`). */
void list_signature_print(struct text *out, const struct list_signature *sig,
                          const struct words *words, enum detect_mode mode);

/* Room that list_signature_print() needs at most. */
size_t list_signature_text_max(const struct list_signature *sig, const struct words *words);

/* A signature meant to cover what both cover. False: no memory. */
bool list_signature_merge(struct list_signature *sig, const struct list_signature *a,
                          const struct list_signature *b, enum detect_mode mode,
                          const struct words *words) MUST_CHECK;

struct list_match_rules {
    enum detect_mode mode;
    bool is_words;     /* MITMEngine's rules for the two kinds differ in one point */
    bool is_any_order; /* an ordered signature is compared as a set */
};

/* `similarity`, if not null, gets how many of the required and optional ones were there, whatever
 * the level. */
enum match_level list_signature_match(const struct list_signature *sig,
                                      struct list_match_rules rules, const struct value_set *seen,
                                      uint32_t *similarity);

#endif
