/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recognise: what does a peer speak, from its first bytes. A table of recognisers, each answering
 * yes, no, or that it needs more bytes; the first yes counts. The answer does not depend on how the
 * bytes were cut. A pure function: any thread, nothing kept.
 */
#ifndef WEIR_SESSION_RECOGNISE_H
#define WEIR_SESSION_RECOGNISE_H

#include "core/base/span.h"

enum protocol {
    PROTOCOL_UNKNOWN, /* not decided yet */
    PROTOCOL_TLS,
    PROTOCOL_HTTP1,
    PROTOCOL_HTTP2, /* with prior knowledge, in clear text (RFC 9113 3.3) */
    PROTOCOL_SSH,
    PROTOCOL_SOCKS4, /* and 4a */
    PROTOCOL_SOCKS5, /* RFC 1928 */
    PROTOCOL_PROXY1, /* the PROXY protocol: its line of text */
    PROTOCOL_PROXY2, /* and its binary header */
    PROTOCOL_RAW,    /* none of the above */
};

const char *protocol_name(enum protocol protocol);

/* The protocols that make sense where the question is asked: bits of 1 << enum protocol. All others
 * are raw there, and no byte is waited for because of them. */
enum recognise_set {
    /* Within a tunnel: what the client speaks with the server. */
    RECOGNISE_INSIDE =
        1 << PROTOCOL_TLS | 1 << PROTOCOL_HTTP1 | 1 << PROTOCOL_HTTP2 | 1 << PROTOCOL_SSH,
    /* At the start of a connection: what the client may speak with weir as well. */
    RECOGNISE_OUTSIDE = RECOGNISE_INSIDE | 1 << PROTOCOL_SOCKS4 | 1 << PROTOCOL_SOCKS5 |
                        1 << PROTOCOL_PROXY1 | 1 << PROTOCOL_PROXY2,
};

/* The longest opening that any recogniser wants to see before it answers. */
enum { RECOGNISE_BYTES_MAX = 24 };

/*
 * `protocols`: RECOGNISE_INSIDE, RECOGNISE_OUTSIDE or a set of the caller's own.
 * PROTOCOL_UNKNOWN: more bytes are needed (or time, after which the caller takes RAW).
 */
enum protocol recognise(struct span opening, unsigned protocols);

/* Something came, it decides nothing yet, and a TLS record may begin like it. */
bool recognise_may_be_tls(struct span opening);

#endif
