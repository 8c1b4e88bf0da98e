/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body_pass: moves what has arrived of the body of an HTTP/1 message from one conn to another,
 * framed as the receiver was told (RFC 9112 6, 7). Part of forward.c; on the session's worker.
 */
#ifndef WEIR_SESSION_BODY_PASS_H
#define WEIR_SESSION_BODY_PASS_H

#include "core/session/session.h"
#include "http/h1_body.h"

enum body_flow { BODY_WAITS, BODY_ENDED, BODY_BROKEN, BODY_NO_MEMORY };

/* One direction; all borrowed. */
struct body_way {
    struct h1_body *body; /* as the sender frames it */
    struct conn *from;
    struct conn *to;
    enum header_to side; /* the receiver */
    bool chunked;        /* as what goes on is framed; else as it comes */
    bool drops_trailers;
    uint64_t *count;   /* grows by the payload, bytes */
    int64_t *moved_ns; /* becomes now when anything moved */
};

/* Up to the high mark of the receiver's queue. BODY_BROKEN: the fault says why; what was sound
 * before it has been passed on. */
enum body_flow body_pass(struct session *session, const struct body_way *way,
                         struct http_fault *fault) MUST_CHECK;

#endif
