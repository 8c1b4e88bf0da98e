/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/hex.h"

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_separator(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ':';
}

static long refuse(struct text *error, struct span text, size_t at)
{
    text_printf(error, "column %zu: a hexadecimal digit expected, ", at + 1);
    if (at < text.len) {
        text_string(error, "found \"");
        text_escaped(error, span_sub(text, at, 1));
        text_char(error, '"');
    } else {
        text_string(error, "but the text ends");
    }
    return -1;
}

long hex_decode(uint8_t *out, struct span text, struct text *error)
{
    long len = 0;
    size_t at = 0;

    while (at < text.len) {
        int high = digit(text.data[at]);
        int low = at + 1 < text.len ? digit(text.data[at + 1]) : -1;

        if (high < 0 && is_separator(text.data[at])) {
            at++;
            continue;
        }
        if (high < 0 || low < 0) {
            return refuse(error, text, high < 0 ? at : at + 1);
        }
        out[len++] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return len;
}
