/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/checksums.h"

enum { DIGITS = 2 * DIGEST_LEN };

static int digit_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = span_fold(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool checksums_digest(uint8_t digest[DIGEST_LEN], struct span text)
{
    for (size_t i = 0; i < DIGITS; i++) {
        int value = i < text.len ? digit_value(text.data[i]) : -1;

        if (value < 0) {
            return false;
        }
        digest[i / 2] = (uint8_t)(i % 2 ? digest[i / 2] | value : value << 4);
    }
    return text.len == DIGITS;
}

/* The name, empty where the line says nothing. False: the line is bad. */
static bool parse_line(struct span line, struct span *name, uint8_t digest[DIGEST_LEN],
                       struct checksums_fault *fault)
{
    *name = span_make(NULL, 0);
    if (line.len == 0 || line.data[0] == '#') {
        return true;
    }
    if (!checksums_digest(digest, span_sub(line, 0, DIGITS))) {
        fault->column = 1;
        fault->expected = "64 hexadecimal digits";
        return false;
    }
    *name = span_skip(line, DIGITS + 2);
    if (name->len == 0 || line.data[DIGITS] != ' ' ||
        (line.data[DIGITS + 1] != ' ' && line.data[DIGITS + 1] != '*')) {
        fault->column = DIGITS + 1;
        fault->expected = "two spaces, or a space and *, and a name";
        return false;
    }
    if (span_equal(span_sub(*name, 0, 2), SPAN_LITERAL("./"))) {
        *name = span_skip(*name, 2);
    }
    return true;
}

bool checksums_find(struct span text, struct span name, uint8_t digest[DIGEST_LEN], bool *is_there,
                    struct checksums_fault *fault)
{
    *is_there = false;
    for (fault->line = 1; text.len; fault->line++) {
        struct span line = span_sub(text, 0, span_find(text, '\n'));
        uint8_t read[DIGEST_LEN];
        struct span its;

        text = span_skip(text, line.len + 1);
        if (line.len && line.data[line.len - 1] == '\r') {
            line.len--;
        }
        if (!parse_line(line, &its, read, fault)) {
            return false;
        }
        if (!its.len || !span_equal(its, name)) {
            continue;
        }
        if (*is_there) {
            fault->column = DIGITS + 3;
            fault->expected = "each name once";
            return false;
        }
        memcpy(digest, read, DIGEST_LEN);
        *is_there = true;
    }
    return true;
}
