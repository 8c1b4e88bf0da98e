/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward: explicit HTTP, one exchange at a time: a request in absolute-form is rewritten to
 * origin-form and sent to its server, the response is framed for the client. The only place where
 * weir owns the framing of what passes. Bodies stream; nothing is held whole. Requests that the
 * client sent ahead wait unread in its socket's queue, so answers keep their order.
 */
#ifndef WEIR_SESSION_FORWARD_H
#define WEIR_SESSION_FORWARD_H

#include "core/session/session.h"

struct forward;

/* Starts an exchange with the parsed head at the front of the client's rx; consumes it. A step's
 * result: STEP_FORWARD, or where a refusal led. */
enum step forward_begin(struct session *session, const struct http_head *head);

/* STEP_FORWARD. */
enum step forward_run(struct session *session);
enum step forward_timed_out(struct session *session);

/* Was an answer of our own given, so that the client knows what happened? */
bool forward_was_answered(const struct forward *forward);
/* The address that the last exchange which needed a server went to, see session_dialled(). */
const struct address *forward_dialled(const struct forward *forward);
void forward_forget_dialled(struct forward *forward);
void forward_log_unfinished(struct forward *forward);
void forward_free(struct forward *forward);
size_t forward_size(void); /* of the object, for its pool */

#endif
