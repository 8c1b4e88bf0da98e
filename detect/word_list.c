/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/word_list.h"

#include "detect/fields.h"

bool word_list_add(struct word_list *list, struct span word)
{
    if (list->count == WORD_LIST_MAX) {
        return false;
    }
    list->items[list->count++] = word;
    return true;
}

bool word_list_has(const struct word_list *list, struct span word)
{
    for (size_t i = 0; i < list->count; i++) {
        if (span_equal(list->items[i], word)) {
            return true;
        }
    }
    return false;
}

bool word_list_parse(struct word_list *list, struct span text, struct detect_fault *fault)
{
    struct span rest = text;

    list->count = 0;
    if (text.len == 0) {
        return true;
    }
    while (rest.data) {
        struct span word = fields_next(&rest, ',');
        if (!word_list_add(list, word)) {
            return fields_fault(fault, text, word, "at most 160 words");
        }
    }
    return true;
}

void word_list_print(struct text *out, const struct word_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (i) {
            text_char(out, ',');
        }
        text_bytes(out, list->items[i]);
    }
}

void word_list_copy(struct word_list *to, const struct word_list *from)
{
    to->count = from->count;
    if (from->count) {
        memcpy(to->items, from->items, from->count * sizeof(from->items[0]));
    }
}
