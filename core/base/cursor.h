/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor: a bounded reader of network byte order with a sticky failure. A parser reads as many
 * fields as it likes and asks once, at the end, whether all of them were there: after the first
 * failure every read returns 0 or an empty span, and `fail_offset` names the byte where it was.
 */
#ifndef WEIR_BASE_CURSOR_H
#define WEIR_BASE_CURSOR_H

#include "core/base/span.h"

struct cursor {
    const uint8_t *base; /* offsets are counted from here, also in sub-cursors */
    const uint8_t *next;
    const uint8_t *end;
    bool failed;
    size_t fail_offset; /* from base; valid when failed */
};

static inline struct cursor cursor_make(struct span view)
{
    return (struct cursor){view.data, view.data, view.data ? view.data + view.len : NULL, false, 0};
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->next);
}

static inline size_t cursor_offset(const struct cursor *c)
{
    return (size_t)(c->next - c->base);
}

static inline void cursor_fail(struct cursor *c)
{
    if (!c->failed) {
        c->failed = true;
        c->fail_offset = cursor_offset(c);
    }
    c->next = c->end;
}

static inline struct span cursor_take(struct cursor *c, size_t len)
{
    struct span taken = {NULL, 0};

    if (len > cursor_left(c)) {
        cursor_fail(c);
        return taken;
    }
    taken = span_make(c->next, len);
    if (len) { /* a null pointer, of an empty view, has nothing added to it */
        c->next += len;
    }
    return taken;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    struct span s = cursor_take(c, 1);
    return s.len ? s.data[0] : 0;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
    struct span s = cursor_take(c, 2);
    return s.len ? (uint16_t)(s.data[0] << 8 | s.data[1]) : 0;
}

static inline uint32_t cursor_u24(struct cursor *c)
{
    struct span s = cursor_take(c, 3);
    return s.len ? (uint32_t)s.data[0] << 16 | (uint32_t)s.data[1] << 8 | s.data[2] : 0;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
    struct span s = cursor_take(c, 4);
    return s.len ? (uint32_t)s.data[0] << 24 | (uint32_t)s.data[1] << 16 |
                       (uint32_t)s.data[2] << 8 | s.data[3]
                 : 0;
}

/* A vector with a length prefix of 1, 2 or 3 bytes (RFC 8446 3.4). */
static inline struct span cursor_vector8(struct cursor *c)
{
    return cursor_take(c, cursor_u8(c));
}

static inline struct span cursor_vector16(struct cursor *c)
{
    return cursor_take(c, cursor_u16(c));
}

static inline struct span cursor_vector24(struct cursor *c)
{
    return cursor_take(c, cursor_u24(c));
}

/* A cursor over a part of what `c` reads; its offsets still count from c's base. */
static inline struct cursor cursor_within(const struct cursor *c, struct span part)
{
    const uint8_t *start = part.data ? part.data : c->next;
    const uint8_t *end = part.len ? start + part.len : start;
    return (struct cursor){c->base, start, end, c->failed, c->fail_offset};
}

#endif
