/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reading: the HTTP inside a relay. A tap reads along for the access log and the verdict. Where
 * detect.header is set it also inserts the field of that name; where the worker drains it tells the
 * client to leave. Without either, bytes pass as they come, and nothing is done for this.
 *
 * The field is a structured item (RFC 8941): a token, the verdict, with parameters:
 *
 *     Weir-Verdict: intercepted; basis=request; reason=impossible_cipher; product="mitmproxy";
 *         grade=B
 *
 * basis: hello, connect or request, what the verdict was asked with; unknown: browser, version,
 * system or check, why nothing is known; reason: the part of the fingerprint that decided; product:
 * names of what is between, a string; grade: A, B, C or F, how good the cryptography is. A
 * parameter is left out when there is nothing to say; others may be added. See detection.h.
 */
#ifndef WEIR_SESSION_READING_H
#define WEIR_SESSION_READING_H

#include "core/session/session.h"

/* The relay begins. False: no memory for a field that was promised. */
bool reading_begin(struct session *session) MUST_CHECK;

/* After bytes have moved: gives the tap up when it can follow no more. */
void reading_look(struct session *session);

/* Draining: tells the client to leave, at the first call. */
void reading_ask_to_leave(struct session *session);
/* The same. True: nothing is under way, and requests that were on their way had the time to come.
 */
bool reading_may_leave(struct session *session);

/* What was read is forgotten, without a line in the log: it will be read again. */
void reading_forget(struct session *session);

/* The session ends: exchanges under way are logged. Also without a tap. */
void reading_end(struct session *session);

#endif
