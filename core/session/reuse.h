/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reuse: the connection to a server outlives its intercepted session, and serves the next one.
 *
 * When a client leaves and what it spoke through us was followed, unambiguous HTTP/1.1
 * (http_tap_is_reusable()), the server's connection joins the worker's idle ones. The next session
 * that wants exactly the same (target, SNI, ALPN offers, way and configuration:
 * talk_digest_visit()) takes it over behind its ClientHello, without a dial and a handshake; that
 * the certificate is good for the name is verified again.
 *
 * Servers end idle connections when they like, also just then. So the first request is held until
 * it is whole, and goes over a connection that was taken only if it may be sent twice (RFC 9110
 * 9.2.2); it is kept until the answer begins, and sent again over a connection of its own if none
 * does. All other requests have a connection of their own from the start.
 *
 * Never shared: connections that say whose they are (PROXY protocol, the client's own address).
 */
#ifndef WEIR_SESSION_REUSE_H
#define WEIR_SESSION_REUSE_H

#include "core/session/session_steps.h"

/* Before the hello: it may well turn out that there is a connection to take over. */
bool reuse_is_likely(const struct session *session);

/* Takes a connection over, if there is one: session->server, with session->tls->was_taken. */
bool reuse_take(struct session *session);

/* The server's TLS is open, and what is spoken in it is known: may others use it afterwards? */
void reuse_consider(struct session *session);

/* Could the connection be left to others now? */
bool reuse_may_leave(const struct session *session);
/* Leaves it to them. */
void reuse_leave(struct session *session);

/* The client's TLS is open, too. */
enum step reuse_begin(struct session *session);
enum step step_reuse(struct session *session);
enum step reuse_timed_out(struct session *session);

/* STEP_RELAY, where the first request is kept: RELAY when that is over. */
enum step reuse_await_answer(struct session *session);

#endif
