/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/text.h"

#include "core/base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

void text_bytes(struct text *t, struct span bytes)
{
    if (bytes.len > t->cap - t->len) {
        t->overflow = true;
        bytes.len = t->cap - t->len;
    }
    if (bytes.len) {
        memcpy(t->data + t->len, bytes.data, bytes.len);
        t->len += bytes.len;
    }
}

void text_char(struct text *t, char c)
{
    if (t->len == t->cap) {
        t->overflow = true;
    } else {
        t->data[t->len++] = c;
    }
}

static void write_digits(char *to, size_t count, uint64_t value)
{
    while (count-- > 0) {
        to[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

void text_unsigned(struct text *t, uint64_t value)
{
    char digits[20];
    size_t count = 1;

    for (uint64_t limit = 10; value >= limit && count < sizeof(digits); limit *= 10) {
        count++;
    }
    if (count <= t->cap - t->len) {
        write_digits(t->data + t->len, count, value);
        t->len += count;
    } else {
        write_digits(digits, count, value);
        text_bytes(t, span_make(digits, count));
    }
}

void text_signed(struct text *t, int64_t value)
{
    if (value < 0) {
        text_char(t, '-');
        text_unsigned(t, -(uint64_t)value);
    } else {
        text_unsigned(t, (uint64_t)value);
    }
}

static const char hex_digit[] = "0123456789abcdef";

void text_hex(struct text *t, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char pair[2] = {hex_digit[bytes.data[i] >> 4], hex_digit[bytes.data[i] & 15]};
        text_bytes(t, span_make(pair, 2));
    }
}

void text_base64(struct text *t, struct span bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    while (bytes.len) {
        size_t count = bytes.len < 3 ? bytes.len : 3;
        uint32_t group = 0;

        for (size_t i = 0; i < 3; i++) {
            group = group << 8 | (i < count ? bytes.data[i] : 0);
        }
        for (size_t i = 0; i < 4; i++) {
            text_char(t, i <= count ? digits[group >> (18 - 6 * i) & 63] : '=');
        }
        bytes = span_skip(bytes, count);
    }
}

void text_printf(struct text *t, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= sizeof(line)) {
        t->overflow = true;
        len = len < 0 ? 0 : (int)sizeof(line) - 1;
    }
    text_bytes(t, span_make(line, (size_t)len));
}

void text_time(struct text *t, int64_t wall_ns)
{
    /* Most lines are of the same second as the line before. */
    static __thread struct {
        time_t seconds;
        size_t len; /* 0: none yet */
        char shown[32];
    } last;
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    char rest[] = ".000000Z";

    if (last.len == 0 || last.seconds != seconds) {
        struct tm utc;

        gmtime_r(&seconds, &utc);
        last.seconds = seconds;
        last.len = strftime(last.shown, sizeof(last.shown), "%Y-%m-%dT%H:%M:%S", &utc);
    }
    text_bytes(t, span_make(last.shown, last.len));
    write_digits(rest + 1, 6, (uint64_t)(wall_ns % NS_PER_S / NS_PER_US));
    text_bytes(t, span_make(rest, sizeof(rest) - 1));
}

/* Length of the valid UTF-8 sequence at the front (RFC 3629), or 0. */
static size_t utf8_sequence(struct span s)
{
    uint8_t first = s.data[0];
    size_t len = first < 0x80   ? 1
                 : first < 0xc2 ? 0
                 : first < 0xe0 ? 2
                 : first < 0xf0 ? 3
                 : first < 0xf5 ? 4
                                : 0;

    if (len == 0 || len > s.len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((s.data[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((first == 0xe0 && s.data[1] < 0xa0) || (first == 0xed && s.data[1] > 0x9f) ||
        (first == 0xf0 && s.data[1] < 0x90) || (first == 0xf4 && s.data[1] > 0x8f)) {
        return 0;
    }
    return len;
}

/* How many bytes at the front are printable ASCII that stands for itself. */
static size_t plain_len(struct span value)
{
    size_t len = 0;

    while (len < value.len && value.data[len] >= 0x20 && value.data[len] < 0x7f &&
           value.data[len] != '"' && value.data[len] != '\\') {
        len++;
    }
    return len;
}

void text_escaped(struct text *t, struct span value)
{
    while (value.len) {
        size_t plain = plain_len(value);

        if (plain) {
            text_bytes(t, span_sub(value, 0, plain));
            value = span_skip(value, plain);
            continue;
        }
        uint8_t c = value.data[0];
        size_t len = utf8_sequence(value);

        if (len == 2 && c == 0xc2 && value.data[1] < 0xa0) {
            len = 0; /* U+0080 to U+009F are controls: a terminal may obey them */
        }
        if (c == '"' || c == '\\') {
            text_char(t, '\\');
            text_char(t, (char)c);
        } else if (c == '\n') {
            text_string(t, "\\n");
        } else if (c == '\r') {
            text_string(t, "\\r");
        } else if (c == '\t') {
            text_string(t, "\\t");
        } else if (c < 0x20 || c == 0x7f || len == 0) {
            text_string(t, "\\u00");
            text_hex(t, span_make(&c, 1));
        } else {
            text_bytes(t, span_sub(value, 0, len));
        }
        value = span_skip(value, len ? len : 1);
    }
}

void text_json(struct text *t, struct span value)
{
    text_char(t, '"');
    text_escaped(t, value);
    text_char(t, '"');
}

void text_html(struct text *t, struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (c < 0x20 || c >= 0x7f || c == '&' || c == '<' || c == '>' || c == '"' || c == '\'') {
            text_string(t, "&#");
            text_unsigned(t, c);
            text_char(t, ';');
        } else {
            text_char(t, (char)c);
        }
    }
}
