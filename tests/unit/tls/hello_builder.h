/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello_builder: writes ClientHellos field by field, right or wrong as a test asks. Included by the
 * tests of everything that reads one.
 */
#ifndef WEIR_TESTS_HELLO_BUILDER_H
#define WEIR_TESTS_HELLO_BUILDER_H

#include "core/base/assert.h"
#include "core/base/span.h"

enum { HELLO_BUILDER_CAP = 80 * 1024 };

/* Lengths are patched in when what they count is whole. */
struct hello_builder {
    uint8_t bytes[HELLO_BUILDER_CAP];
    size_t len;
    size_t extensions; /* where the block's length is; 0: no block yet */
    size_t extension;  /* where the open extension's length is */
};

static inline void hello_u8(struct hello_builder *b, unsigned value)
{
    ASSERT(b->len < HELLO_BUILDER_CAP);
    b->bytes[b->len++] = (uint8_t)value;
}

static inline void hello_u16(struct hello_builder *b, unsigned value)
{
    hello_u8(b, value >> 8 & 0xff);
    hello_u8(b, value & 0xff);
}

static inline void hello_bytes(struct hello_builder *b, const void *bytes, size_t len)
{
    ASSERT(len <= HELLO_BUILDER_CAP - b->len);
    memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
}

static inline void hello_patch_u16(struct hello_builder *b, size_t at, size_t value)
{
    b->bytes[at] = (uint8_t)(value >> 8);
    b->bytes[at + 1] = (uint8_t)value;
}

/* Header, version, random, and a session id of that length. */
static inline void hello_start(struct hello_builder *b, unsigned version, size_t session_id_len)
{
    b->len = 0;
    b->extensions = 0;
    hello_u8(b, 1);
    hello_u8(b, 0);
    hello_u16(b, 0);
    hello_u16(b, version);
    for (unsigned i = 0; i < 32; i++) {
        hello_u8(b, 0xa0 + i);
    }
    hello_u8(b, (unsigned)session_id_len);
    for (size_t i = 0; i < session_id_len; i++) {
        hello_u8(b, (unsigned)i);
    }
}

static inline void hello_list16(struct hello_builder *b, const uint16_t *values, size_t count)
{
    hello_u16(b, (unsigned)(2 * count));
    for (size_t i = 0; i < count; i++) {
        hello_u16(b, values[i]);
    }
}

#define HELLO_LIST16(b, ...)                                                                       \
    hello_list16((b), (const uint16_t[]){__VA_ARGS__},                                             \
                 sizeof((const uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t))

/* The one method: null. */
static inline void hello_no_compression(struct hello_builder *b)
{
    hello_u8(b, 1);
    hello_u8(b, 0);
}

static inline void hello_open(struct hello_builder *b, unsigned type)
{
    if (b->extensions == 0) {
        b->extensions = b->len;
        hello_u16(b, 0);
    }
    hello_u16(b, type);
    b->extension = b->len;
    hello_u16(b, 0);
}

static inline void hello_close(struct hello_builder *b)
{
    hello_patch_u16(b, b->extension, b->len - b->extension - 2);
}

static inline void hello_extension(struct hello_builder *b, unsigned type, const void *body,
                                   size_t len)
{
    hello_open(b, type);
    hello_bytes(b, body, len);
    hello_close(b);
}

static inline void hello_server_name(struct hello_builder *b, struct span name)
{
    hello_open(b, 0);
    hello_u16(b, (unsigned)(name.len + 3));
    hello_u8(b, 0);
    hello_u16(b, (unsigned)name.len);
    hello_bytes(b, name.data, name.len);
    hello_close(b);
}

static inline void hello_alpn(struct hello_builder *b, const char *const *names, size_t count)
{
    size_t list;

    hello_open(b, 16);
    list = b->len;
    hello_u16(b, 0);
    for (size_t i = 0; i < count; i++) {
        hello_u8(b, (unsigned)strlen(names[i]));
        hello_bytes(b, names[i], strlen(names[i]));
    }
    hello_patch_u16(b, list, b->len - list - 2);
    hello_close(b);
}

#define HELLO_ALPN(b, ...)                                                                         \
    hello_alpn((b), (const char *const[]){__VA_ARGS__},                                            \
               sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* An extension that is one list of 2-byte values with a 2-byte length. */
#define HELLO_VALUES(b, type, ...)                                                                 \
    do {                                                                                           \
        hello_open((b), (type));                                                                   \
        HELLO_LIST16((b), __VA_ARGS__);                                                            \
        hello_close((b));                                                                          \
    } while (0)

static inline void hello_versions(struct hello_builder *b, const uint16_t *versions, size_t count)
{
    hello_open(b, 43);
    hello_u8(b, (unsigned)(2 * count));
    for (size_t i = 0; i < count; i++) {
        hello_u16(b, versions[i]);
    }
    hello_close(b);
}

#define HELLO_VERSIONS(b, ...)                                                                     \
    hello_versions((b), (const uint16_t[]){__VA_ARGS__},                                           \
                   sizeof((const uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t))

/* Fills the message up to `len` bytes with a padding extension (RFC 7685); len must leave room. */
static inline void hello_pad_to(struct hello_builder *b, size_t len)
{
    ASSERT(len >= b->len + (b->extensions ? 4 : 6));
    hello_open(b, 21);
    while (b->len < len) {
        hello_u8(b, 0);
    }
    hello_close(b);
}

/* Patches the two outer lengths; the view lives as long as the builder. */
static inline struct span hello_finish(struct hello_builder *b)
{
    size_t body = b->len - 4;

    if (b->extensions) {
        hello_patch_u16(b, b->extensions, b->len - b->extensions - 2);
    }
    b->bytes[1] = (uint8_t)(body >> 16);
    hello_patch_u16(b, 2, body & 0xffff);
    return span_make(b->bytes, b->len);
}

/* What a present-day browser sends, a message of 517 bytes. */
static inline struct span hello_browser(struct hello_builder *b)
{
    uint8_t key[32];

    hello_start(b, 0x0303, 32);
    HELLO_LIST16(b, 0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8,
                 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035);
    hello_no_compression(b);
    hello_extension(b, 0x5a5a, "", 0);
    hello_server_name(b, SPAN_LITERAL("www.weir.example"));
    hello_extension(b, 23, "", 0);
    hello_extension(b, 0xff01, "\0", 1);
    HELLO_VALUES(b, 10, 0x3a3a, 29, 23, 24);
    hello_extension(b, 11, "\1\0", 2);
    hello_extension(b, 35, "", 0);
    HELLO_ALPN(b, "h2", "http/1.1");
    hello_extension(b, 5, "\1\0\0\0\0", 5);
    HELLO_VALUES(b, 13, 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601);
    hello_extension(b, 18, "", 0);
    memset(key, 0x77, sizeof(key));
    hello_open(b, 51);
    hello_u16(b, 5 + 36);
    hello_u16(b, 0x3a3a);
    hello_u16(b, 1);
    hello_u8(b, 0);
    hello_u16(b, 29);
    hello_u16(b, 32);
    hello_bytes(b, key, sizeof(key));
    hello_close(b);
    hello_extension(b, 45, "\1\1", 2);
    HELLO_VERSIONS(b, 0x4a4a, 0x0304, 0x0303);
    hello_extension(b, 27, "\2\0\2", 3);
    hello_extension(b, 0x4469, "\0\3\2h2", 5);
    hello_extension(b, 0x6a6a, "\0", 1);
    hello_pad_to(b, 517);
    return hello_finish(b);
}

#endif
