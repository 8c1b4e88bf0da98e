/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/base64.h"

enum { NO_DIGIT = 64 };

static uint32_t digit_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : NO_DIGIT;
}

bool base64_decode(struct span text, uint8_t *memory, size_t cap, size_t *len)
{
    size_t padding = 0;

    *len = 0;
    if (text.len % 4) {
        return false;
    }
    while (padding < 2 && padding < text.len && text.data[text.len - 1 - padding] == '=') {
        padding++;
    }
    for (size_t i = 0; i < text.len; i += 4) {
        size_t bytes = i + 4 == text.len ? 3 - padding : 3;
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            uint32_t digit = j <= bytes ? digit_of(text.data[i + j]) : 0;
            if (digit == NO_DIGIT) {
                return false;
            }
            group = group << 6 | digit;
        }
        if (bytes > cap - *len || (group & ((1u << 8 * (3 - bytes)) - 1))) {
            return false;
        }
        for (size_t j = 0; j < bytes; j++) {
            memory[(*len)++] = (uint8_t)(group >> (16 - 8 * j));
        }
    }
    return true;
}
