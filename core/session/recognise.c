/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/recognise.h"

#include "core/base/assert.h"

#include "tls/record.h"

enum answer { NO, YES, MORE };

enum { METHOD_MAX = 20 }; /* letters of an HTTP method */

static enum answer is_prefix(struct span opening, struct span whole)
{
    size_t len = opening.len < whole.len ? opening.len : whole.len;

    if (memcmp(opening.data, whole.data, len) != 0) {
        return NO;
    }
    return len == whole.len ? YES : MORE;
}

static enum answer is_tls(struct span opening)
{
    switch (record_recognise(opening)) {
    case RECORD_DONE:
        return YES;
    case RECORD_MORE:
        return MORE;
    case RECORD_BAD:
        break;
    }
    return NO;
}

static enum answer is_http2(struct span opening)
{
    return is_prefix(opening, SPAN_LITERAL("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
}

static enum answer is_ssh(struct span opening)
{
    return is_prefix(opening, SPAN_LITERAL("SSH-"));
}

/* A method of capital letters, a space, and the start of a request-target (RFC 9112 3). Anything
 * less common is relayed as raw bytes, which loses nothing but its log line. */
static enum answer is_http1(struct span opening)
{
    size_t at = 0;

    while (at < opening.len && opening.data[at] >= 'A' && opening.data[at] <= 'Z') {
        at++;
    }
    if (at > METHOD_MAX) {
        return NO;
    }
    if (at == opening.len) {
        return MORE;
    }
    if (at < 3 || opening.data[at] != ' ') {
        return NO;
    }
    if (at + 1 == opening.len) {
        return MORE;
    }
    uint8_t target = opening.data[at + 1];
    return target == '/' || target == '*' || target == 'h' || target == 'H' ? YES : NO;
}

/* A request of version 4: CONNECT or BIND. What follows, a port and an address, may be anything. */
static enum answer is_socks4(struct span opening)
{
    if (opening.data[0] != 4) {
        return NO;
    }
    if (opening.len == 1) {
        return MORE;
    }
    return opening.data[1] == 1 || opening.data[1] == 2 ? YES : NO;
}

/* RFC 1928 3: at least one method is offered. What follows, the methods, may be anything. */
static enum answer is_socks5(struct span opening)
{
    if (opening.data[0] != 5) {
        return NO;
    }
    if (opening.len == 1) {
        return MORE;
    }
    return opening.data[1] != 0 ? YES : NO;
}

/* proxy-protocol.txt 2.1: a family as well, since PROXY may be a method of HTTP. */
static enum answer is_proxy1(struct span opening)
{
    enum answer tcp4 = is_prefix(opening, SPAN_LITERAL("PROXY TCP4 "));
    enum answer tcp6 = is_prefix(opening, SPAN_LITERAL("PROXY TCP6 "));
    enum answer none = is_prefix(opening, SPAN_LITERAL("PROXY UNKNOWN"));

    /* At most one of them goes on where they part. */
    return tcp4 != NO ? tcp4 : tcp6 != NO ? tcp6 : none;
}

static enum answer is_proxy2(struct span opening)
{
    return is_prefix(opening, SPAN_LITERAL("\r\n\r\n\0\r\nQUIT\n"));
}

static const struct {
    enum protocol protocol;
    enum answer (*ask)(struct span opening); /* of one byte or more */
    size_t bytes_max;                        /* with so many it answers yes or no */
    const char *name;
} recogniser[] = {
    {PROTOCOL_TLS, is_tls, 2, "tls"},
    {PROTOCOL_HTTP2, is_http2, 24, "http/2"}, /* before HTTP/1, whose grammar its preface fits */
    {PROTOCOL_HTTP1, is_http1, METHOD_MAX + 2, "http/1"},
    {PROTOCOL_SSH, is_ssh, 4, "ssh"},
    {PROTOCOL_SOCKS4, is_socks4, 2, "socks4"},
    {PROTOCOL_SOCKS5, is_socks5, 2, "socks5"},
    {PROTOCOL_PROXY1, is_proxy1, 13, "proxy/1"},
    {PROTOCOL_PROXY2, is_proxy2, 12, "proxy/2"},
};

enum protocol recognise(struct span opening, unsigned protocols)
{
    bool more = opening.len == 0;

    for (size_t i = 0; opening.len && i < COUNT_OF(recogniser); i++) {
        if (!(protocols & 1U << recogniser[i].protocol)) {
            continue;
        }
        switch (recogniser[i].ask(opening)) {
        case YES:
            /* An earlier one that may still say yes goes first. */
            return more ? PROTOCOL_UNKNOWN : recogniser[i].protocol;
        case MORE:
            ASSERT(opening.len < recogniser[i].bytes_max);
            more = true;
            break;
        case NO:
            break;
        }
    }
    return more ? PROTOCOL_UNKNOWN : PROTOCOL_RAW;
}

bool recognise_may_be_tls(struct span opening)
{
    return opening.len && is_tls(opening) == MORE;
}

const char *protocol_name(enum protocol protocol)
{
    for (size_t i = 0; i < COUNT_OF(recogniser); i++) {
        if (recogniser[i].protocol == protocol) {
            return recogniser[i].name;
        }
    }
    return protocol == PROTOCOL_RAW ? "raw" : "unknown";
}
