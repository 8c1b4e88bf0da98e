/* SPDX-License-Identifier: Apache-2.0 */
/*
 * detection: was the client's TLS intercepted on its way here, and with what? The worker's table of
 * verdicts is asked with the ClientHello and the User-Agent of the CONNECT as soon as the hello is
 * there, for the rules and for tunnels, and with the head of the first request inside once that
 * was seen; that answer stays. Where there is no table, or no memory, nothing is judged.
 */
#ifndef WEIR_SESSION_DETECTION_H
#define WEIR_SESSION_DETECTION_H

#include "core/session/policy.h"
#include "core/session/session.h"
#include "detect/verdict_table.h"

/* What the report was asked with, beside the hello. */
enum detection_basis { DETECTION_HELLO, DETECTION_CONNECT, DETECTION_REQUEST };

/* Of the session that has one; detection_free() ends it. */
struct detection {
    struct verdict_report report;
    enum detection_basis basis;
    uint16_t *hello; /* packed, about 100 bytes, until the first request; owned */
};

/* `user_agent`: that of the CONNECT; empty without one. */
void detection_take_hello(struct session *session, const struct client_hello *hello,
                          struct span user_agent);

/* False: nothing is judged, or that was settled before. */
bool detection_take_request(struct session *session, const struct http_first_request *first);

/* No request will be read: the report is the last one. */
void detection_settle(struct session *session);

/* Fills what is known of the hello into the question. */
void detection_ask(const struct session *session, struct policy_question *question);

void detection_free(struct session *session);

const char *detection_basis_name(enum detection_basis basis);

#endif
