/* SPDX-License-Identifier: Apache-2.0 */
/* answer: what weir says itself to a client, in clear or inside its TLS. */
#ifndef WEIR_SESSION_ANSWER_H
#define WEIR_SESSION_ANSWER_H

#include "core/session/session.h"

struct answer {
    uint16_t status;
    const char *error;      /* RFC 9209 error type */
    struct span detail;     /* a sentence */
    struct span target;     /* what was asked for; may be empty */
    uint32_t retry_after_s; /* when to try again; 0: not said */
    bool head_only;         /* the request was HEAD */
    bool keep_alive;        /* the connection goes on; else the caller closes it */
    enum http_version version;
    const char *allow; /* methods, of a 405; else null */
    const char *type;  /* of the body; null: a page about the error */
    struct span body;  /* may lie in the upper half of the worker's scratch */
};

/* Queues the answer. False: out of memory. */
bool session_answer(struct session *session, const struct answer *answer) MUST_CHECK;

/* To a client that asked for a tunnel, in the words in which it asked: it is there, or it is not,
 * for the session's fault; the caller then closes. False: out of memory. */
bool session_answer_tunnel(struct session *session) MUST_CHECK;
bool session_answer_no_tunnel(struct session *session, uint16_t status) MUST_CHECK;

#endif
