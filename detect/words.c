/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/words.h"

#include "core/base/hash.h"
#include "core/base/table.h"

#include <stdlib.h>

enum { CAP_FIRST = 64 };

struct word {
    struct table_node node;
    uint16_t number;
    size_t len;
    uint8_t bytes[];
};

struct words {
    struct table table;
    struct word **by_number;
    size_t count;
    size_t cap;
};

static struct word *find(const struct words *words, struct span text, uint64_t hash)
{
    struct table_node *node = table_first(&words->table, hash);

    while (node) {
        struct word *word = CONTAINER_OF(node, struct word, node);
        if (span_equal(span_make(word->bytes, word->len), text)) {
            return word;
        }
        node = table_next(node);
    }
    return NULL;
}

struct words *words_new(void)
{
    struct words *words = calloc(1, sizeof(*words));

    if (words && table_init(&words->table, CAP_FIRST) != 0) {
        free(words);
        words = NULL;
    }
    return words;
}

void words_free(struct words *words)
{
    if (!words) {
        return;
    }
    for (size_t i = 0; i < words->count; i++) {
        free(words->by_number[i]);
    }
    free(words->by_number);
    table_fini(&words->table);
    free(words);
}

static bool grow(struct words *words)
{
    size_t cap = words->cap ? 2 * words->cap : CAP_FIRST;
    struct word **bigger;

    if (words->count < words->cap) {
        return true;
    }
    bigger = realloc(words->by_number, cap * sizeof(struct word *));
    if (!bigger) {
        return false;
    }
    words->by_number = bigger;
    words->cap = cap;
    return true;
}

bool words_add(struct words *words, struct span text, uint16_t *number)
{
    uint64_t hash = hash_bytes(text);
    struct word *word = find(words, text, hash);

    if (word) {
        *number = word->number;
        return true;
    }
    if (words->count == WORDS_MAX || !grow(words)) {
        return false;
    }
    word = malloc(sizeof(*word) + text.len);
    if (!word) {
        return false;
    }
    word->number = (uint16_t)words->count;
    word->len = text.len;
    if (text.len) {
        memcpy(word->bytes, text.data, text.len);
    }
    table_insert(&words->table, &word->node, hash);
    words->by_number[words->count++] = word;
    *number = word->number;
    return true;
}

uint16_t words_find(const struct words *words, struct span text)
{
    struct word *word = find(words, text, hash_bytes(text));
    return word ? word->number : WORD_UNKNOWN;
}

struct span words_text(const struct words *words, uint16_t number)
{
    ASSERT(number < words->count);
    return span_make(words->by_number[number]->bytes, words->by_number[number]->len);
}

int words_compare(const struct words *words, uint16_t a, uint16_t b)
{
    struct span left = words_text(words, a);
    struct span right = words_text(words, b);
    size_t common = left.len < right.len ? left.len : right.len;
    int order = common ? memcmp(left.data, right.data, common) : 0;

    return order ? order : (left.len > right.len) - (left.len < right.len);
}

size_t words_count(const struct words *words)
{
    return words->count;
}
