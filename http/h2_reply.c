/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2_reply.h"

#include "core/base/assert.h"

#include <nghttp2/nghttp2.h>

enum { FRAME_HEADER_LEN = 9, BODY_MAX = 999 };

static void write_frame_header(struct text *out, size_t len, uint8_t type, uint8_t flags,
                               uint32_t stream)
{
    const uint8_t header[FRAME_HEADER_LEN] = {
        (uint8_t)(len >> 16),
        (uint8_t)(len >> 8),
        (uint8_t)len,
        type,
        flags,
        (uint8_t)(stream >> 24),
        (uint8_t)(stream >> 16),
        (uint8_t)(stream >> 8),
        (uint8_t)stream,
    };

    text_bytes(out, span_make(header, sizeof(header)));
}

void h2_write_preface(struct text *out)
{
    write_frame_header(out, 0, NGHTTP2_SETTINGS, NGHTTP2_FLAG_NONE, 0);
}

uint32_t h2_first_stream(struct span bytes)
{
    struct span rest = span_skip(bytes, NGHTTP2_CLIENT_MAGIC_LEN);

    while (rest.len >= FRAME_HEADER_LEN) {
        const uint8_t *b = rest.data;
        size_t len = (size_t)b[0] << 16 | (size_t)b[1] << 8 | b[2];

        if (b[3] == NGHTTP2_HEADERS) {
            return (uint32_t)(b[5] & 0x7f) << 24 | (uint32_t)b[6] << 16 | (uint32_t)b[7] << 8 |
                   b[8];
        }
        rest = span_skip(rest, FRAME_HEADER_LEN + len);
    }
    return 0;
}

/* RFC 7541 6.1 and 6.2.2: names by their place in the static table, values as they are. */
static void write_fields(struct text *out, size_t body_len)
{
    static const uint8_t status_200[] = {0x80 | 8};
    static const uint8_t content_type[] = {0x0f, 31 - 15};
    static const uint8_t content_length[] = {0x0f, 28 - 15};
    struct span type = SPAN_LITERAL("text/plain");
    char digits[4];
    struct text t = text_make(digits, sizeof(digits));

    text_bytes(out, span_make(status_200, sizeof(status_200)));
    text_bytes(out, span_make(content_type, sizeof(content_type)));
    text_char(out, (char)type.len);
    text_bytes(out, type);
    text_unsigned(&t, body_len);
    text_bytes(out, span_make(content_length, sizeof(content_length)));
    text_char(out, (char)t.len);
    text_bytes(out, text_view(&t));
}

void h2_write_text(struct text *out, uint32_t stream, struct span body, bool head_only)
{
    char room[H2_REPLY_MAX];
    struct text fields = text_make(room, sizeof(room));
    const uint8_t goaway[] = {(uint8_t)(stream >> 24),
                              (uint8_t)(stream >> 16),
                              (uint8_t)(stream >> 8),
                              (uint8_t)stream,
                              0,
                              0,
                              0,
                              NGHTTP2_NO_ERROR};

    ASSERT(body.len <= BODY_MAX);
    write_fields(&fields, body.len);
    write_frame_header(out, 0, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0);
    write_frame_header(out, fields.len, NGHTTP2_HEADERS,
                       NGHTTP2_FLAG_END_HEADERS | (head_only ? NGHTTP2_FLAG_END_STREAM : 0),
                       stream);
    text_bytes(out, text_view(&fields));
    if (!head_only) {
        write_frame_header(out, body.len, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, stream);
        text_bytes(out, body);
    }
    write_frame_header(out, sizeof(goaway), NGHTTP2_GOAWAY, NGHTTP2_FLAG_NONE, 0);
    text_bytes(out, span_make(goaway, sizeof(goaway)));
}
