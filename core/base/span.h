/* SPDX-License-Identifier: Apache-2.0 */
/*
 * span: a view of bytes that somebody else owns. Copied by value, never freed. A span with length 0
 * may have a null pointer. Whoever hands out a span says how long the bytes stay put.
 */
#ifndef WEIR_BASE_SPAN_H
#define WEIR_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data;
    size_t len; /* bytes */
};

/* A span over a string literal, without its NUL. */
#define SPAN_LITERAL(literal) ((struct span){(const uint8_t *)(literal), sizeof(literal) - 1})

/* For printf: printf("%.*s", SPAN_PRINTF(s)); only for text known to be printable. */
#define SPAN_PRINTF(view) (int)(view).len, (const char *)(view).data

static inline struct span span_make(const void *data, size_t len)
{
    return (struct span){(const uint8_t *)data, len};
}

static inline struct span span_from_string(const char *text)
{
    return (struct span){(const uint8_t *)text, strlen(text)};
}

/* As a string with a NUL, cut where it does not fit; cap is at least 1. */
static inline void span_to_string(char *to, size_t cap, struct span from)
{
    size_t len = from.len < cap - 1 ? from.len : cap - 1;

    if (len) {
        memcpy(to, from.data, len);
    }
    to[len] = '\0';
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline uint8_t span_fold(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* ASCII case folded, as HTTP field names and DNS names compare (RFC 9110 5.1, RFC 4343). */
static inline bool span_equal_nocase(struct span a, struct span b)
{
    bool equal = a.len == b.len;

    /* Not strncasecmp(): that takes a NUL for the end. */
    for (size_t i = 0; equal && i < a.len; i++) {
        equal = span_fold(a.data[i]) == span_fold(b.data[i]);
    }
    return equal;
}

/* The part from `start`, at most `len` bytes; clipped to the view. */
static inline struct span span_sub(struct span view, size_t start, size_t len)
{
    if (start > view.len) {
        start = view.len;
    }
    if (len > view.len - start) {
        len = view.len - start;
    }
    return (struct span){start > 0 ? view.data + start : view.data, len}; /* data may be null */
}

/* What is left after the first `count` bytes. */
static inline struct span span_skip(struct span view, size_t count)
{
    return span_sub(view, count, SIZE_MAX);
}

/* Index of the first `byte`, or view.len. */
static inline size_t span_find(struct span view, uint8_t byte)
{
    const uint8_t *found = view.len ? memchr(view.data, byte, view.len) : NULL;
    return found ? (size_t)(found - view.data) : view.len;
}

/* Without spaces and tabs at both ends (RFC 9110 5.6.3, OWS). */
static inline struct span span_trim(struct span view)
{
    while (view.len && (view.data[0] == ' ' || view.data[0] == '\t')) {
        view = span_skip(view, 1);
    }
    while (view.len && (view.data[view.len - 1] == ' ' || view.data[view.len - 1] == '\t')) {
        view.len--;
    }
    return view;
}

#endif
