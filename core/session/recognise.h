/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recognise: what does a peer speak, from its first bytes. A table of recognisers, each answering
 * yes, no, or that it needs more bytes; the first yes counts. The answer does not depend on how the
 * bytes were cut.
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
    PROTOCOL_RAW, /* none of the above */
};

const char *protocol_name(enum protocol protocol);

/* The longest opening that any recogniser wants to see before it answers. */
enum { RECOGNISE_BYTES_MAX = 64 };

/* PROTOCOL_UNKNOWN: more bytes are needed (or time, after which the caller takes RAW). */
enum protocol recognise(struct span opening);

/* Something came, it decides nothing yet, and a TLS record may begin like it. */
bool recognise_may_be_tls(struct span opening);

#endif
