/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first bytes of a connection. However they are cut, the same is said: what was said once
 * stands whatever follows, and something is said within the bound. What is said fits the bytes.
 * Within a tunnel the same is said as outside, but raw where that is for weir itself.
 */
#include "core/base/assert.h"
#include "core/session/recognise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool begins_with(struct span opening, struct span text)
{
    return span_equal(span_sub(opening, 0, text.len), text);
}

static bool is_http2(struct span opening)
{
    return begins_with(opening, SPAN_LITERAL("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
}

static bool is_proxy1(struct span opening)
{
    return begins_with(opening, SPAN_LITERAL("PROXY TCP4 ")) ||
           begins_with(opening, SPAN_LITERAL("PROXY TCP6 ")) ||
           begins_with(opening, SPAN_LITERAL("PROXY UNKNOWN"));
}

static bool is_proxy2(struct span opening)
{
    return begins_with(opening, SPAN_LITERAL("\r\n\r\n\0\r\nQUIT\n"));
}

static bool fits(struct span opening, enum protocol protocol)
{
    switch (protocol) {
    case PROTOCOL_TLS:
        return begins_with(opening, SPAN_LITERAL("\x16\x03"));
    case PROTOCOL_HTTP1:
        return opening.data[0] >= 'A' && opening.data[0] <= 'Z' &&
               span_find(opening, ' ') < opening.len && !is_http2(opening) && !is_proxy1(opening);
    case PROTOCOL_HTTP2:
        return is_http2(opening);
    case PROTOCOL_SSH:
        return begins_with(opening, SPAN_LITERAL("SSH-"));
    case PROTOCOL_SOCKS4:
        return begins_with(opening, SPAN_LITERAL("\x04\x01")) ||
               begins_with(opening, SPAN_LITERAL("\x04\x02"));
    case PROTOCOL_SOCKS5:
        return opening.data[0] == 5 && opening.data[1] > 0;
    case PROTOCOL_PROXY1:
        return is_proxy1(opening);
    case PROTOCOL_PROXY2:
        return is_proxy2(opening);
    case PROTOCOL_RAW:
        return !begins_with(opening, SPAN_LITERAL("SSH-")) &&
               !begins_with(opening, SPAN_LITERAL("GET /")) && !is_http2(opening) &&
               !begins_with(opening, SPAN_LITERAL("\x16\x03"));
    case PROTOCOL_UNKNOWN:
        break;
    }
    return true;
}

static enum protocol check_all(struct span all, unsigned protocols)
{
    enum protocol said = PROTOCOL_UNKNOWN;

    for (size_t len = 0; len <= all.len; len++) {
        struct span opening = span_sub(all, 0, len);
        enum protocol answer = recognise(opening, protocols);
        ASSERT(said == PROTOCOL_UNKNOWN || answer == said);
        ASSERT(len < RECOGNISE_BYTES_MAX || answer != PROTOCOL_UNKNOWN);
        ASSERT(len > 0 || answer == PROTOCOL_UNKNOWN);
        ASSERT(fits(opening, answer));
        said = answer;
    }
    return said;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span all = span_make(data, size < 64 ? size : 64);
    enum protocol outside = check_all(all, RECOGNISE_OUTSIDE);
    enum protocol inside = check_all(all, RECOGNISE_INSIDE);

    ASSERT(inside == outside || inside == PROTOCOL_RAW);
    ASSERT(inside == PROTOCOL_UNKNOWN || inside == PROTOCOL_RAW || RECOGNISE_INSIDE >> inside & 1);
    ASSERT(outside != PROTOCOL_RAW || (!is_proxy1(all) && !is_proxy2(all)));
    return 0;
}
