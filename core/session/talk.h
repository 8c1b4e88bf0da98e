/* SPDX-License-Identifier: Apache-2.0 */
/* talk: what a session needs only until its relay begins; made at CONNECT. */
#ifndef WEIR_SESSION_TALK_H
#define WEIR_SESSION_TALK_H

#include "core/session/session.h"

bool talk_new(struct session *session) MUST_CHECK;
void talk_free(struct session *session); /* also when there is none */

/* Sets off to the target, by session->via. False when out of memory. */
bool talk_dial(struct session *session) MUST_CHECK;

/* Is the server there? Takes the connection of a route that is open. */
void talk_look(struct session *session);

/* What was dialled is of no use any more. */
void talk_drop_server(struct session *session);

/* The ways that may be tried are these; what was dialled on others is dropped. */
void talk_go_by(struct session *session, const struct upstream_via *via);

/* The client's hello, as far as later steps need it: copies SNI, ALPN offers and key kind. False
 * when out of memory. */
bool talk_keep_hello(struct session *session, const struct client_hello *hello) MUST_CHECK;

/* All plaintext that the client has sent so far joins first_request, which stays near
 * limits.head_bytes. False: out of memory. */
bool talk_hold_request(struct session *session) MUST_CHECK;

/* Room for what TLS turns out to be. False: out of memory. */
bool talk_have_tls(struct session *session) MUST_CHECK;

/* The name that the server is asked for; "": it has but an address. */
const char *talk_server_name(const struct session *session);
/* The name that it has to prove: the same, or its address where nobody else judges that. */
bool talk_verifies_address(const struct session *session);
const char *talk_verify_name(const struct session *session);

/* Digest of everything that shapes what a server shows us: target, SNI, ALPN offers, key kind and
 * configuration. Keys remembered visits and resumed TLS sessions. */
void talk_digest_visit(struct session *session);

#endif
