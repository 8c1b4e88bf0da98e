/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap: reads along with an HTTP connection whose bytes pass untouched. It decodes a copy of each
 * direction (HTTP/1.1 with its upgrades, HTTP/2 by nghttp2's header decoder) and reports finished
 * exchanges. It never stops or changes a byte: when it cannot follow, it goes blind, says why, and
 * costs nothing from then on. Bounded memory; no allocation per byte.
 */
#ifndef WEIR_HTTP_TAP_H
#define WEIR_HTTP_TAP_H

#include "http/message.h"

enum { HTTP_TAP_STREAMS_MAX = 256 }; /* open HTTP/2 streams that are followed; others are counted */

enum http_tap_side { HTTP_TAP_CLIENT, HTTP_TAP_SERVER }; /* whose bytes these are */

struct http_tap;

struct http_tap_stats {
    uint64_t exchanges;
    uint64_t lost;     /* exchanges that were not followed: a bound was reached */
    const char *blind; /* null, or why the tap no longer follows */
};

/* alpn: the protocol negotiated ("h2", "http/1.1", empty: HTTP/1, found out from the bytes). Null
 * when memory is exhausted: go on without. */
struct http_tap *http_tap_new(struct span alpn);
void http_tap_free(struct http_tap *tap); /* null is allowed */

/*
 * Reads bytes of one side, in the order they passed. Returns true as soon as an exchange is over,
 * with *done filled and *bytes advanced: call again until it returns false, when all was read.
 */
bool http_tap_feed(struct http_tap *tap, enum http_tap_side side, int64_t now_ns,
                   struct span *bytes, struct http_exchange *done);

/* The connection is over: returns the exchanges that never finished, one a call. */
bool http_tap_finish(struct http_tap *tap, int64_t now_ns, struct http_exchange *done);

/* Between exchanges: nothing is under way. */
bool http_tap_is_idle(const struct http_tap *tap);
/* After a 101, or blind: what follows is not HTTP any more. */
bool http_tap_is_blind(const struct http_tap *tap);

void http_tap_read_stats(const struct http_tap *tap, struct http_tap_stats *stats);

#endif
