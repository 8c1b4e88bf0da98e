/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route: a session's way to its target: a dial, or a dial to an upstream proxy and the talk with it
 * until it has opened the way (HTTP CONNECT, in clear or in TLS; SOCKS5). What comes out is a
 * connection behind which the target is, whatever lies between.
 *
 * A list of ways is tried in its order, who failed lately last (upstream.h). A proxy that cannot be
 * reached, does not answer in time or refuses its work (407, 500, 503) is remembered as failed; one
 * that says that the target cannot be had (502, 504) is not, but the next may have more luck; one
 * that forbids the target (403, 404) is believed.
 *
 * Names are looked up by the proxy; an address is judged by the destination guard here.
 */
#ifndef WEIR_SESSION_ROUTE_H
#define WEIR_SESSION_ROUTE_H

#include "core/engine/dial.h"
#include "core/session/upstream.h"

struct session;
struct route_chain;

enum route_state { ROUTE_PENDING, ROUTE_DONE, ROUTE_FAILED };

/* Embedded; all zero: not begun. */
struct route {
    struct session *session;
    struct dial *dial;         /* under way; null: not now */
    struct route_chain *chain; /* null: the target is dialled directly, and that is all */
    enum route_state state;    /* as route_look() saw it */

    /* DONE */
    struct conn *conn;
    struct address address; /* that was dialled */
    uint8_t place;          /* of the proxy, or UPSTREAM_DIRECT */

    /* FAILED */
    const char *error; /* RFC 9209 error type; static */
    const char *text;  /* a sentence; lives as long as the route */
    uint16_t status;   /* of an answer of ours that says so */

    int64_t begin_ns;
    int64_t resolved_ns;
    int64_t end_ns;
};

/*
 * To the session's target. forwards_http: the request is plain HTTP, which an HTTP proxy takes as
 * it is, without CONNECT. The session's actor is made ready when the state changes. False, and not
 * begun, when out of dials or memory. The list must live as long as the session's snapshot.
 */
bool route_begin(struct route *route, struct session *session, const struct upstream_via *via,
                 bool forwards_http) MUST_CHECK;

static inline bool route_is_begun(const struct route *route)
{
    return route->session != NULL;
}

/* The state now. */
enum route_state route_look(struct route *route);

/* Takes the connection of a DONE route; its owner is the session's actor. */
struct conn *route_take(struct route *route);

/* In any state, also not begun; closes what was not taken. Then it can begin anew. */
void route_end(struct route *route);

/* The name of the proxy gone through; null: none. Lives as long as the session's snapshot. */
const char *route_upstream(const struct route *route);

/* Of a way of the session's, by its place: does it take requests of plain HTTP, in absolute-form?
 */
bool route_takes_urls(const struct session *session, uint8_t place);
/* Does a connection say whose it is (PROXY protocol), so that nobody else may use it? */
bool route_is_personal(const struct session *session, uint8_t place);

/* Says that a proxy which had taken a request refused its work after all. */
void route_blame(struct session *session, uint8_t place, const char *reason);

#endif
