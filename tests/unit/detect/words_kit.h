/* SPDX-License-Identifier: Apache-2.0 */
/* words_kit: words for one test, made before it and freed behind it. */
#ifndef WEIR_TESTS_WORDS_KIT_H
#define WEIR_TESTS_WORDS_KIT_H

#include "detect/words.h"

static struct words *words;

static inline int words_set_up(void **state)
{
    (void)state;
    words = words_new();
    return words ? 0 : -1;
}

static inline int words_tear_down(void **state)
{
    (void)state;
    words_free(words);
    return 0;
}

#endif
