/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/sample_hello.h"

#include "core/base/assert.h"
#include "core/base/text.h"

enum {
    GREASE_FIRST = 0x4a4a,
    GREASE_LAST = 0xdada,
    GROUP_X25519 = 0x001d,
    GROUP_X25519MLKEM768 = 0x11ec,
    X25519_LEN = 32,
    X25519MLKEM768_LEN = 1184 + X25519_LEN, /* an encapsulation key of ML-KEM-768 before it */
    RANDOM_LEN = 32,
};

enum {
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_STATUS_REQUEST = 5,
    EXTENSION_SUPPORTED_GROUPS = 10,
    EXTENSION_EC_POINT_FORMATS = 11,
    EXTENSION_SIGNATURE_ALGORITHMS = 13,
    EXTENSION_ALPN = 16,
    EXTENSION_SIGNED_CERTIFICATE_TIMESTAMP = 18,
    EXTENSION_PADDING = 21,
    EXTENSION_EXTENDED_MASTER_SECRET = 23,
    EXTENSION_COMPRESS_CERTIFICATE = 27,
    EXTENSION_SESSION_TICKET = 35,
    EXTENSION_SUPPORTED_VERSIONS = 43,
    EXTENSION_PSK_KEY_EXCHANGE_MODES = 45,
    EXTENSION_KEY_SHARE = 51,
    EXTENSION_APPLICATION_SETTINGS = 0x44cd,
    EXTENSION_ENCRYPTED_CLIENT_HELLO = 0xfe0d,
    EXTENSION_RENEGOTIATION_INFO = 0xff01,
};

static void put_u8(struct text *out, unsigned value)
{
    text_char(out, (char)value);
}

static void put_u16(struct text *out, unsigned value)
{
    put_u8(out, value >> 8);
    put_u8(out, value & 0xff);
}

static void put_list(struct text *out, const uint16_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_u16(out, values[i]);
    }
}

/* Bytes that look like any. */
static void put_noise(struct text *out, size_t len)
{
    uint32_t state = 1;

    for (size_t i = 0; i < len; i++) {
        state = state * 1664525 + 1013904223;
        put_u8(out, state >> 24);
    }
}

/* A vector with its length in `prefix_len` bytes before it; the length is set at its end. */
static size_t begin_vector(struct text *out, size_t prefix_len)
{
    for (size_t i = 0; i < prefix_len; i++) {
        put_u8(out, 0);
    }
    return out->len;
}

static void end_vector(struct text *out, size_t start, size_t prefix_len)
{
    size_t len = out->len - start;

    for (size_t i = 1; i <= prefix_len; i++, len >>= 8) {
        out->data[start - i] = (char)(len & 0xff);
    }
}

static void put_vector_of(struct text *out, size_t prefix_len, const uint16_t *values, size_t count)
{
    size_t start = begin_vector(out, prefix_len);

    put_list(out, values, count);
    end_vector(out, start, prefix_len);
}

static void put_key_share(struct text *out, unsigned group, size_t len)
{
    put_u16(out, group);
    put_u16(out, (unsigned)len);
    put_noise(out, len);
}

static void put_body(struct text *out, unsigned type, enum sample_hello which)
{
    static const uint16_t large_groups[] = {GREASE_FIRST, GROUP_X25519MLKEM768, GROUP_X25519, 23,
                                            24};
    static const uint16_t small_groups[] = {GREASE_FIRST, GROUP_X25519, 23, 24};
    static const uint16_t sigalgs[] = {0x0403, 0x0804, 0x0401, 0x0503,
                                       0x0805, 0x0501, 0x0806, 0x0601};
    static const uint16_t versions[] = {GREASE_LAST, 0x0304, 0x0303};
    size_t start;

    switch (type) {
    case EXTENSION_SERVER_NAME:
        start = begin_vector(out, 2);
        put_u8(out, 0);
        put_u16(out, 15);
        text_string(out, "www.example.com");
        end_vector(out, start, 2);
        break;
    case EXTENSION_STATUS_REQUEST:
        text_bytes(out, SPAN_LITERAL("\1\0\0\0\0"));
        break;
    case EXTENSION_SUPPORTED_GROUPS:
        put_vector_of(out, 2, which == SAMPLE_HELLO_LARGE ? large_groups : small_groups,
                      which == SAMPLE_HELLO_LARGE ? COUNT_OF(large_groups)
                                                  : COUNT_OF(small_groups));
        break;
    case EXTENSION_EC_POINT_FORMATS:
        text_bytes(out, SPAN_LITERAL("\1\0"));
        break;
    case EXTENSION_SIGNATURE_ALGORITHMS:
        put_vector_of(out, 2, sigalgs, COUNT_OF(sigalgs));
        break;
    case EXTENSION_ALPN:
        text_bytes(out, SPAN_LITERAL("\0\14\2h2\10http/1.1"));
        break;
    case EXTENSION_COMPRESS_CERTIFICATE:
        text_bytes(out, SPAN_LITERAL("\2\0\2"));
        break;
    case EXTENSION_SUPPORTED_VERSIONS:
        put_vector_of(out, 1, versions, COUNT_OF(versions));
        break;
    case EXTENSION_PSK_KEY_EXCHANGE_MODES:
        text_bytes(out, SPAN_LITERAL("\1\1"));
        break;
    case EXTENSION_KEY_SHARE:
        start = begin_vector(out, 2);
        put_key_share(out, GREASE_FIRST, 1);
        if (which == SAMPLE_HELLO_LARGE) {
            put_key_share(out, GROUP_X25519MLKEM768, X25519MLKEM768_LEN);
        }
        put_key_share(out, GROUP_X25519, X25519_LEN);
        end_vector(out, start, 2);
        break;
    case EXTENSION_APPLICATION_SETTINGS:
        text_bytes(out, SPAN_LITERAL("\0\3\2h2"));
        break;
    case EXTENSION_RENEGOTIATION_INFO:
    case GREASE_LAST:
        put_u8(out, 0);
        break;
    default: /* empty */
        break;
    }
}

static void put_extension(struct text *out, unsigned type, enum sample_hello which)
{
    size_t start;

    put_u16(out, type);
    start = begin_vector(out, 2);
    put_body(out, type, which);
    end_vector(out, start, 2);
}

/* The one whose body fills the hello up to its length, which `behind_len` more bytes follow. */
static void put_filler(struct text *out, unsigned type, size_t behind_len, size_t hello_len)
{
    size_t start;

    put_u16(out, type);
    start = begin_vector(out, 2);
    ASSERT(out->len + behind_len <= hello_len);
    put_noise(out, hello_len - behind_len - out->len);
    end_vector(out, start, 2);
}

static void put_extensions(struct text *out, enum sample_hello which)
{
    static const uint16_t types[] = {
        GREASE_FIRST,
        EXTENSION_SIGNATURE_ALGORITHMS,
        EXTENSION_SESSION_TICKET,
        EXTENSION_APPLICATION_SETTINGS,
        EXTENSION_KEY_SHARE,
        EXTENSION_SERVER_NAME,
        EXTENSION_RENEGOTIATION_INFO,
        EXTENSION_EC_POINT_FORMATS,
        EXTENSION_SUPPORTED_VERSIONS,
        EXTENSION_COMPRESS_CERTIFICATE,
        EXTENSION_ALPN,
        EXTENSION_PSK_KEY_EXCHANGE_MODES,
        EXTENSION_SUPPORTED_GROUPS,
        EXTENSION_EXTENDED_MASTER_SECRET,
        EXTENSION_STATUS_REQUEST,
        EXTENSION_SIGNED_CERTIFICATE_TIMESTAMP,
    };
    enum { GREASE_LAST_LEN = 5 };

    for (size_t i = 0; i < COUNT_OF(types); i++) {
        put_extension(out, types[i], which);
    }
    if (which == SAMPLE_HELLO_LARGE) {
        put_filler(out, EXTENSION_ENCRYPTED_CLIENT_HELLO, GREASE_LAST_LEN, SAMPLE_HELLO_LARGE_LEN);
        put_extension(out, GREASE_LAST, which);
    } else {
        put_extension(out, GREASE_LAST, which);
        put_filler(out, EXTENSION_PADDING, 0, SAMPLE_HELLO_SMALL_LEN);
    }
}

struct span sample_hello_make(uint8_t room[SAMPLE_HELLO_MAX], enum sample_hello which)
{
    static const uint16_t ciphers[] = {GREASE_FIRST, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f,
                                       0xc02c,       0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
                                       0x009c,       0x009d, 0x002f, 0x0035};
    struct text out = text_make(room, SAMPLE_HELLO_MAX);
    size_t record, message, extensions;

    text_bytes(&out, SPAN_LITERAL("\x16\3\1"));
    record = begin_vector(&out, 2);
    put_u8(&out, 1);
    message = begin_vector(&out, 3);
    put_u16(&out, 0x0303);
    put_noise(&out, RANDOM_LEN);
    put_u8(&out, RANDOM_LEN); /* the session id, for middleboxes (RFC 8446 D.4) */
    put_noise(&out, RANDOM_LEN);
    put_vector_of(&out, 2, ciphers, COUNT_OF(ciphers));
    text_bytes(&out, SPAN_LITERAL("\1\0"));
    extensions = begin_vector(&out, 2);
    put_extensions(&out, which);
    end_vector(&out, extensions, 2);
    end_vector(&out, message, 3);
    end_vector(&out, record, 2);
    ASSERT(!out.overflow);
    return text_view(&out);
}
