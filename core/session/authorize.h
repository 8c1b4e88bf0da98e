/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authorize: who is it? Clients of a listener with users have to say so before anything is done for
 * them: HTTP with Basic credentials (RFC 7617) in Proxy-Authorization, SOCKS with a user name and a
 * password (RFC 1929). Who was right is s->user->name.
 */
#ifndef WEIR_SESSION_AUTHORIZE_H
#define WEIR_SESSION_AUTHORIZE_H

#include "core/session/doorman.h"
#include "core/session/session.h"

enum { AUTHORIZE_TRIES_MAX = 10 /* wrong ones on a connection, then it ends */ };

/* At its begin; false: out of memory. */
bool session_meet_user(struct session *session) MUST_CHECK;

/* Does this session's listener ask who its clients are? */
bool session_needs_user(const struct session *session);

/*
 * Is it this user? USER_CHECKING: the step waits and asks again, with the same bytes, whenever the
 * session runs; the deadline is the step's to set. USER_RIGHT: session->user->name is the name. A
 * check that is under way when the session ends is dropped with it.
 */
enum user_answer session_check_user(struct session *session, struct span name,
                                    struct span password);

/* With the session: a check under way and the name. */
void session_drop_user(struct session *session);

/* For a request head at the front of rx. True: go on with it. False: *next is the step's result: it
 * is being checked, or was answered 407 (or 503) and consumed, or the session ended. */
bool authorize_request(struct session *session, const struct http_head *head, enum step *next);

/* STEP_AUTHORIZE: waits for the check; then REQUEST once more. */
enum step step_authorize(struct session *session);
enum step authorize_timed_out(struct session *session);

#endif
