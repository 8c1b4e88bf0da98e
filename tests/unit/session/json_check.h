/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict judge of JSON (RFC 8259): one value, no white space around it, strings of valid UTF-8
 * without raw controls, no key twice in an object.
 */
#ifndef WEIR_TESTS_JSON_CHECK_H
#define WEIR_TESTS_JSON_CHECK_H

#include "core/base/span.h"

enum { JSON_DEPTH_MAX = 8, JSON_KEYS_MAX = 64 };

static inline bool json_value(struct span *at, int depth);

static inline bool json_eat(struct span *at, const char *word)
{
    size_t len = strlen(word);

    if (!span_equal(span_sub(*at, 0, len), span_from_string(word))) {
        return false;
    }
    *at = span_skip(*at, len);
    return true;
}

/* Length of the UTF-8 sequence at the front by its value, not by its form; 0: none. */
static inline size_t json_utf8(struct span s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = s.data[0];
    size_t len = first < 0x80           ? 1
                 : (first >> 5) == 0x06 ? 2
                 : (first >> 4) == 0x0e ? 3
                 : (first >> 3) == 0x1e ? 4
                                        : 0;
    uint32_t value = len < 2 ? first : first & (0x7fu >> len);

    if (len == 0 || len > s.len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((s.data[i] >> 6) != 2) {
            return 0;
        }
        value = value << 6 | (s.data[i] & 0x3f);
    }
    return value >= least[len] && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff) ? len : 0;
}

static inline bool json_is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The inside of a string, up to its quote or the end. Controls of C1 count as raw ones too. */
static inline bool json_characters(struct span *at)
{
    while (at->len && at->data[0] != '"') {
        size_t len = json_utf8(*at);
        if (len == 0 || at->data[0] < 0x20 || at->data[0] == 0x7f ||
            (at->data[0] == 0xc2 && at->data[1] < 0xa0)) {
            return false;
        }
        if (at->data[0] == '\\') {
            len = at->len > 1 && at->data[1] == 'u' ? 6 : 2;
            if (at->len < len || at->data[1] == 0 || !strchr("\"\\/bfnrtu", at->data[1])) {
                return false;
            }
            for (size_t i = 2; i < len; i++) {
                if (!json_is_hex(at->data[i])) {
                    return false;
                }
            }
        }
        *at = span_skip(*at, len);
    }
    return true;
}

static inline bool json_string(struct span *at)
{
    return json_eat(at, "\"") && json_characters(at) && json_eat(at, "\"");
}

static inline bool json_digits(struct span *at)
{
    size_t count = 0;

    while (at->len && at->data[0] >= '0' && at->data[0] <= '9') {
        *at = span_skip(*at, 1);
        count++;
    }
    return count > 0;
}

static inline bool json_number(struct span *at)
{
    (void)json_eat(at, "-");
    if (!json_eat(at, "0") && !json_digits(at)) {
        return false;
    }
    return !json_eat(at, ".") || json_digits(at);
}

static inline bool json_members(struct span *at, int depth)
{
    struct span keys[JSON_KEYS_MAX];
    size_t count = 0;

    if (json_eat(at, "}")) {
        return true;
    }
    do {
        struct span key = *at;
        if (count == JSON_KEYS_MAX || !json_string(at)) {
            return false;
        }
        key.len -= at->len;
        for (size_t i = 0; i < count; i++) {
            if (span_equal(keys[i], key)) {
                return false;
            }
        }
        keys[count++] = key;
        if (!json_eat(at, ":") || !json_value(at, depth)) {
            return false;
        }
    } while (json_eat(at, ","));
    return json_eat(at, "}");
}

static inline bool json_elements(struct span *at, int depth)
{
    if (json_eat(at, "]")) {
        return true;
    }
    do {
        if (!json_value(at, depth)) {
            return false;
        }
    } while (json_eat(at, ","));
    return json_eat(at, "]");
}

static inline bool json_value(struct span *at, int depth)
{
    if (depth == JSON_DEPTH_MAX || at->len == 0) {
        return false;
    }
    switch (at->data[0]) {
    case '{':
        return json_eat(at, "{") && json_members(at, depth + 1);
    case '[':
        return json_eat(at, "[") && json_elements(at, depth + 1);
    case '"':
        return json_string(at);
    default:
        return json_eat(at, "true") || json_eat(at, "false") || json_eat(at, "null") ||
               json_number(at);
    }
}

static inline bool json_is_valid(struct span text)
{
    return json_value(&text, 0) && text.len == 0;
}

#endif
