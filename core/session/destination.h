/* SPDX-License-Identifier: Apache-2.0 */
/*
 * destination: where a session goes, however its client said so: may it go there, what do the rules
 * say, and the dial that begins. The ways in (request.c, socks_steps.c, entrance.c) end here, and
 * what follows is the same for all.
 */
#ifndef WEIR_SESSION_DESTINATION_H
#define WEIR_SESSION_DESTINATION_H

#include "core/session/session.h"

/* False: out of memory. */
bool destination_set(struct session *session, const char *host, uint16_t port,
                     bool is_ip) MUST_CHECK;

/* For a client that asked (CONNECT, SOCKS) and waits for an answer: refuses, or goes on. The talk
 * is there, and the request consumed. A step's result. */
enum step destination_begin_asked(struct session *session);

/* For a client that knows of no proxy: STEP_HELLO, where what it says first is awaited; a
 * destination that may not be reached is refused once it is known how to say so. */
enum step destination_begin_unasked(struct session *session);

/* The client is a connection of weir's own that the kernel sent back. Known for certain once it has
 * sent something, or had the time to. Notes the fault. */
bool destination_is_loop(struct session *session);

/* Why the session's target, if it is an address, may not be reached: a static phrase, or null. */
const char *destination_refusal(const struct session *session);
/* May private addresses be reached? */
bool destination_may_be_private(const struct session *session);

/* Do the names that the client gave agree with where it wants to go? Looks a name up where the
 * destination is but an address. Call once the names are known. */
void destination_compare_names(struct session *session);
/* Notes what the lookup found. False: it is under way. */
bool destination_names_are_compared(struct session *session);

#endif
