/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text: builds text in a fixed piece of memory. What does not fit is dropped and remembered in
 * `overflow`; the memory always holds `len` valid bytes (without a NUL). Nothing is allocated.
 */
#ifndef WEIR_BASE_TEXT_H
#define WEIR_BASE_TEXT_H

#include "core/base/span.h"

struct text {
    char *data;
    size_t cap;
    size_t len;
    bool overflow;
};

static inline struct text text_make(void *memory, size_t cap)
{
    return (struct text){memory, cap, 0, false};
}

static inline struct span text_view(const struct text *t)
{
    return span_make(t->data, t->len);
}

void text_bytes(struct text *t, struct span bytes);

/* In line, so that the length of a literal is known. */
static inline void text_string(struct text *t, const char *string)
{
    text_bytes(t, span_from_string(string));
}

void text_char(struct text *t, char c);
void text_unsigned(struct text *t, uint64_t value);
void text_signed(struct text *t, int64_t value);
void text_hex(struct text *t, struct span bytes);    /* lower case, no separators */
void text_base64(struct text *t, struct span bytes); /* RFC 4648 4, with padding; one line */
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* RFC 3339 in UTC with microseconds: 2026-11-21T10:00:00.000000Z. */
void text_time(struct text *t, int64_t wall_ns);

/*
 * A JSON string with its quotes. Control characters, quotes and backslashes are escaped; bytes that
 * are not valid UTF-8, and those of U+0080 to U+009F, become \u00XX, one each, so that a line is
 * always valid JSON and the bytes can still be told.
 */
void text_json(struct text *t, struct span value);

/* The same escapes without quotes, for messages on a terminal: nothing of a peer reaches it raw. */
void text_escaped(struct text *t, struct span value);

/* HTML text: & < > " ' and everything outside printable ASCII as character references. */
void text_html(struct text *t, struct span value);

#endif
