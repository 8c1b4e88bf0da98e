/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_steps: the steps whose bodies have a file of their own, and what all steps use. The table
 * that puts them in order is in session_steps.c; nobody else calls a step.
 */
#ifndef WEIR_SESSION_SESSION_STEPS_H
#define WEIR_SESSION_SESSION_STEPS_H

#include "core/session/session.h"

enum {
    HANDSHAKE_BYTES_MAX = 64 * 1024, /* received ahead of a handshake's progress */
    SESSION_OPENING_MS = 500,        /* then an opening that fits no TLS counts as raw bytes */
};

static inline struct buf_cache *bufs_of(struct session *s)
{
    return &s->worker->engine.bufs;
}

static inline struct h1_limits head_limits(const struct session *s)
{
    const struct config *config = session_config(s);

    return (struct h1_limits){config->limits.head_bytes, config->limits.line_bytes,
                              config->limits.field_count};
}

static inline enum step session_end(struct session *s, enum close_reason reason)
{
    session_close(s, reason);
    return STEP_END;
}

/* entrance.c */
enum step step_greet(struct session *session);
enum step step_proxy_header(struct session *session);
enum step proxy_header_timed_out(struct session *session);
enum step step_opening(struct session *session);

/* Judges the first request, once its head was read along; a rule may refuse that: false, with the
 * session's fault. */
bool session_judge_request(struct session *session);

/* request.c */
enum step step_request(struct session *session);
enum step request_timed_out(struct session *session);

/* socks_steps.c */
enum step step_socks(struct session *session);
enum step socks_timed_out(struct session *session);

/* hello.c */
enum step step_hello(struct session *session);
enum step hello_timed_out(struct session *session);
/* What the client has sent and nobody has consumed, as far as recognise() wants to see it. */
struct span session_client_opening(struct session *session);
/* Was it decided, and answered, as a tunnel? Then the hello is only looked at for the log. */
bool session_is_decided_tunnel(const struct session *session);
/* Nobody asked for the destination in words: the client knows of no proxy. */
bool session_is_unasked(const struct session *session);

/* What the rules say, with all that is known by now. */
struct policy_answer session_decide(const struct session *session);

/* error_page.c */
enum step step_error_page(struct session *session);
enum step error_page_timed_out(struct session *session);

#endif
