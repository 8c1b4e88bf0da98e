/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/recognise.h"

#include "core/base/assert.h"

#include "tls/record.h"

enum answer { NO, YES, MORE };

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
    enum { METHOD_MAX = 20 };
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

static const struct {
    enum protocol protocol;
    enum answer (*ask)(struct span opening);
} recogniser[] = {
    {PROTOCOL_TLS, is_tls},
    {PROTOCOL_HTTP2, is_http2}, /* before HTTP/1, whose grammar its preface fits */
    {PROTOCOL_HTTP1, is_http1},
    {PROTOCOL_SSH, is_ssh},
};

enum protocol recognise(struct span opening)
{
    bool more = opening.len == 0;

    for (size_t i = 0; opening.len && i < COUNT_OF(recogniser); i++) {
        switch (recogniser[i].ask(opening)) {
        case YES:
            /* An earlier one that may still say yes goes first. */
            return more ? PROTOCOL_UNKNOWN : recogniser[i].protocol;
        case MORE:
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
    static const char *const name[] = {
        [PROTOCOL_UNKNOWN] = "unknown", [PROTOCOL_TLS] = "tls", [PROTOCOL_HTTP1] = "http/1",
        [PROTOCOL_HTTP2] = "http/2",    [PROTOCOL_SSH] = "ssh", [PROTOCOL_RAW] = "raw",
    };
    return name[protocol];
}
