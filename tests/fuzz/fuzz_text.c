/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as JSON, as an escaped message and as HTML, into memory of any size. What comes out is
 * valid JSON and harmless, says which bytes went in, and never passes the end of the memory. The
 * first two bytes are the size.
 */
#include "core/base/assert.h"
#include "core/base/text.h"
#include "tests/unit/session/json_check.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef void (*writer)(struct text *t, struct span value);

/* What fits of a longer output is its beginning, and the flag tells that it was cut. */
static void check_cut(writer write, struct span value, struct span whole, size_t cap)
{
    /* Of exactly that size, so that a sanitizer sees a write past the end. */
    char *memory = malloc(cap ? cap : 1);
    struct text t = text_make(memory, cap);

    ASSERT(memory);
    write(&t, value);
    ASSERT(t.overflow == (whole.len > cap));
    ASSERT(span_equal(text_view(&t), span_sub(whole, 0, cap)));
    free(memory);
}

static uint8_t hex_value(uint8_t c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Reads the escapes back: they must give the bytes that went in. */
static void check_bytes(struct span out, struct span value)
{
    size_t at = 0;

    for (size_t i = 0; i < out.len; at++) {
        uint8_t c = out.data[i];
        size_t taken = 1;
        if (c == '\\') {
            uint8_t kind = out.data[i + 1];
            taken = kind == 'u' ? 6 : 2;
            c = kind == 'n'   ? '\n'
                : kind == 'r' ? '\r'
                : kind == 't' ? '\t'
                : kind == 'u'
                    ? (uint8_t)(hex_value(out.data[i + 4]) << 4 | hex_value(out.data[i + 5]))
                    : kind;
        }
        ASSERT(at < value.len && value.data[at] == c);
        i += taken;
    }
    ASSERT(at == value.len);
}

static void check_html(struct span out, struct span value)
{
    size_t at = 0;

    for (size_t i = 0; i < out.len; at++) {
        unsigned c = out.data[i++];
        ASSERT(c >= 0x20 && c < 0x7f && !strchr("<>\"'", (int)c));
        if (c == '&') {
            ASSERT(out.data[i++] == '#');
            for (c = 0; out.data[i] != ';'; i++) {
                ASSERT(out.data[i] >= '0' && out.data[i] <= '9' && c < 256);
                c = c * 10 + out.data[i] - '0';
            }
            i++;
        }
        ASSERT(at < value.len && value.data[at] == c);
    }
    ASSERT(at == value.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char memory[6 * 4096 + 2];
    struct span value = span_make(data, size);
    size_t cap = size > 1 ? (size_t)data[0] << 8 | data[1] : 0;
    struct text t = text_make(memory, sizeof(memory));
    struct span inside;

    value = span_sub(span_skip(value, 2), 0, 4096);
    text_json(&t, value);
    ASSERT(!t.overflow);
    ASSERT(json_is_valid(text_view(&t)));
    check_cut(text_json, value, text_view(&t), cap);

    t = text_make(memory, sizeof(memory));
    text_escaped(&t, value);
    inside = text_view(&t);
    ASSERT(!t.overflow && json_characters(&inside) && inside.len == 0);
    check_bytes(text_view(&t), value);
    check_cut(text_escaped, value, text_view(&t), cap);

    t = text_make(memory, sizeof(memory));
    text_html(&t, value);
    ASSERT(!t.overflow);
    check_html(text_view(&t), value);
    check_cut(text_html, value, text_view(&t), cap);
    return 0;
}
