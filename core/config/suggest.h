/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suggest: which known word somebody meant. Feed the candidates one by one; the nearest within a
 * third of the word's length is kept.
 */
#ifndef WEIR_CONFIG_SUGGEST_H
#define WEIR_CONFIG_SUGGEST_H

#include "core/base/span.h"

enum { SUGGEST_WORD_MAX = 48 }; /* bytes; longer words get no suggestion */

struct suggest {
    struct span word; /* as written */
    struct span best; /* empty: none is near */
    size_t best_distance;
};

struct suggest suggest_make(struct span word);
void suggest_offer(struct suggest *suggest, struct span candidate);

#endif
