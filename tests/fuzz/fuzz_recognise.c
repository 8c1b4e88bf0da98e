/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first bytes of a connection. However they are cut, the same is said: what was said once
 * stands whatever follows, and something is said within the bound. What is said fits the bytes.
 */
#include "core/base/assert.h"
#include "core/session/recognise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool begins_with(struct span opening, struct span text)
{
    return span_equal(span_sub(opening, 0, text.len), text);
}

static bool fits(struct span opening, enum protocol protocol)
{
    switch (protocol) {
    case PROTOCOL_TLS:
        return begins_with(opening, SPAN_LITERAL("\x16\x03"));
    case PROTOCOL_HTTP1:
        return opening.data[0] >= 'A' && opening.data[0] <= 'Z' &&
               span_find(opening, ' ') < opening.len &&
               !begins_with(opening, SPAN_LITERAL("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    case PROTOCOL_HTTP2:
        return begins_with(opening, SPAN_LITERAL("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    case PROTOCOL_SSH:
        return begins_with(opening, SPAN_LITERAL("SSH-"));
    case PROTOCOL_RAW:
        return !begins_with(opening, SPAN_LITERAL("SSH-")) &&
               !begins_with(opening, SPAN_LITERAL("GET /")) &&
               !begins_with(opening, SPAN_LITERAL("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) &&
               !begins_with(opening, SPAN_LITERAL("\x16\x03"));
    default:
        break;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum protocol said = PROTOCOL_UNKNOWN;
    struct span all = span_make(data, size < 512 ? size : 512);

    for (size_t len = 0; len <= all.len; len++) {
        struct span opening = span_sub(all, 0, len);
        enum protocol answer = recognise(opening, RECOGNISE_INSIDE);
        ASSERT(said == PROTOCOL_UNKNOWN || answer == said);
        ASSERT(len < RECOGNISE_BYTES_MAX || answer != PROTOCOL_UNKNOWN);
        ASSERT(len > 0 || answer == PROTOCOL_UNKNOWN);
        ASSERT(fits(opening, answer));
        said = answer;
    }
    return 0;
}
