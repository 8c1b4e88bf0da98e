/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap: reads along with an HTTP connection whose bytes pass untouched. It decodes a copy of each
 * direction (HTTP/1.1 with its upgrades, HTTP/2 by nghttp2's header decoder), tells what the head
 * of the first request said, and reports finished exchanges. It never stops or changes a byte,
 * unless it is given an editor (edit.h): when it cannot follow, it goes blind, says why, and costs
 * nothing from then on. Bounded memory; no allocation per byte.
 */
#ifndef WEIR_HTTP_TAP_H
#define WEIR_HTTP_TAP_H

#include "http/message.h"

enum { HTTP_TAP_STREAMS_MAX = 256 }; /* open HTTP/2 streams that are followed; others are counted */
enum { HTTP_FIRST_NAMES_MAX = 2048, HTTP_FIRST_USER_AGENT_MAX = 1024 }; /* bytes */

enum http_tap_side { HTTP_TAP_CLIENT, HTTP_TAP_SERVER }; /* whose bytes these are */

/* Why a tap follows no more. */
enum http_tap_blindness {
    HTTP_TAP_LOST,     /* it was HTTP, and may be still */
    HTTP_TAP_SWITCHED, /* to another protocol, or to a tunnel */
    HTTP_TAP_NOT_HTTP, /* from the first byte on: no HTTP begins like this */
};

struct http_tap;

/*
 * The head of the client's first request, for its fingerprint. No trailers, no pseudo-header fields
 * of HTTP/2. Texts do not end with a NUL.
 */
struct http_first_request {
    size_t user_agent_len; /* bytes */
    size_t names_len;      /* bytes */
    bool has_user_agent;
    bool is_user_agent_cut; /* it is longer than what is kept */
    bool are_names_cut;     /* the list ends before a name that is no token, or has no room in it */
    /* The value of the first User-Agent as sent: any bytes. */
    char user_agent[HTTP_FIRST_USER_AGENT_MAX];
    /* "host,user-agent,accept": lower case, in order, as often as sent. */
    char names[HTTP_FIRST_NAMES_MAX];
};

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

/*
 * The client's first request, from when its head is whole. Null before, and for good if the head
 * could not be followed or memory was short. Lives until it is dropped or the tap is freed, even if
 * the tap goes blind: ask after each feed, before freeing a blind tap.
 */
const struct http_first_request *http_tap_first_request(const struct http_tap *tap);
/* Frees it, more than 3 KiB. Dropped before it came, it is never kept: for callers without use for
 * it. */
void http_tap_drop_first(struct http_tap *tap);
/* There is none, and none will come any more: no need to ask again. */
bool http_tap_first_is_settled(const struct http_tap *tap);

/* Between exchanges: nothing is under way. */
bool http_tap_is_idle(const struct http_tap *tap);
/*
 * Could requests of another client follow on the server's connection? Of HTTP/1.1 alone, with an
 * exchange behind it and nothing under way; where both sides keep the connection and all requests
 * were GET without a body or an upgrade (a server that answers without reading the one, does the
 * other late, or has its own idea of a method's response would leave something for the next
 * client); where no field authenticates the connection instead of a request (RFC 4559 6), and
 * nothing stood between the messages.
 */
bool http_tap_is_reusable(const struct http_tap *tap);
/* After a 101, or blind: what follows is not HTTP any more. */
bool http_tap_is_blind(const struct http_tap *tap);
/* Of a blind tap. */
enum http_tap_blindness http_tap_blindness(const struct http_tap *tap);

void http_tap_read_stats(const struct http_tap *tap, struct http_tap_stats *stats);

#endif
