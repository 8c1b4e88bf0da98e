/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/fields.h"

const char detect_fault_no_memory[] = "memory for this (the heap is exhausted)";

size_t fields_offset(struct span whole, struct span part)
{
    if (!part.data || !whole.data) {
        return 0;
    }
    ASSERT_SLOW(part.data >= whole.data && part.data <= whole.data + whole.len);
    return (size_t)(part.data - whole.data);
}

bool fields_fault(struct detect_fault *fault, struct span whole, struct span part,
                  const char *expected)
{
    fault->offset = fields_offset(whole, part);
    fault->expected = expected;
    return false;
}

bool fields_fault_within(struct detect_fault *fault, struct span whole, struct span part)
{
    fault->offset += fields_offset(whole, part);
    return false;
}

struct span fields_next(struct span *rest, char separator)
{
    size_t len = span_find(*rest, (uint8_t)separator);
    struct span part = span_sub(*rest, 0, len);

    *rest = len == rest->len ? span_make(NULL, 0) : span_skip(*rest, len + 1);
    return part;
}

bool fields_split(struct span *parts, size_t count, struct span text, char separator, size_t *at)
{
    struct span rest = text.data ? text : span_make("", 0);
    struct span start = rest;
    size_t found = 0;

    while (rest.data && found < count) {
        parts[found++] = fields_next(&rest, separator);
    }
    *at = rest.data ? fields_offset(start, rest) : text.len;
    return found == count && !rest.data;
}

static bool digit_value(unsigned *value, uint8_t byte, unsigned base)
{
    uint8_t lower = byte | 0x20;

    if (byte >= '0' && byte <= '9') {
        *value = byte - '0';
    } else if (lower >= 'a' && lower <= 'f') {
        *value = lower - 'a' + 10;
    } else {
        return false;
    }
    return *value < base;
}

bool fields_decimal(int64_t *value, struct span text)
{
    bool negative = text.len && text.data[0] == '-';
    int64_t sum = 0;

    if (text.len && (text.data[0] == '-' || text.data[0] == '+')) {
        text = span_skip(text, 1);
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit;
        if (!digit_value(&digit, text.data[i], 10) || __builtin_mul_overflow(sum, 10, &sum)) {
            return false;
        }
        /* Towards the sign, so that the least number is one too. */
        if (negative ? __builtin_sub_overflow(sum, digit, &sum)
                     : __builtin_add_overflow(sum, digit, &sum)) {
            return false;
        }
    }
    *value = sum;
    return text.len > 0;
}

bool fields_decimals(int64_t *const *numbers, const struct span *parts, size_t count,
                     struct span whole, struct detect_fault *fault)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] && !fields_decimal(numbers[i], parts[i])) {
            return fields_fault(fault, whole, parts[i], "a decimal number");
        }
    }
    return true;
}

bool fields_hex(uint16_t *value, struct span text)
{
    unsigned sum = 0;

    for (size_t i = 0; i < text.len; i++) {
        unsigned digit;
        if (!digit_value(&digit, text.data[i], 16)) {
            return false;
        }
        sum = sum << 4 | digit;
        if (sum > UINT16_MAX) {
            return false;
        }
    }
    *value = (uint16_t)sum;
    return text.len > 0;
}

void fields_print_hex(struct text *out, uint16_t value)
{
    static const char digits[] = "0123456789abcdef";
    char hex[4];
    size_t at = sizeof(hex);

    do {
        hex[--at] = digits[value & 15];
        value >>= 4;
    } while (value);
    text_bytes(out, span_make(hex + at, sizeof(hex) - at));
}
