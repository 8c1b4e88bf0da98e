/* SPDX-License-Identifier: Apache-2.0 */
/* request: STEP_REQUEST: reads a request head and sets off: CONNECT here, the rest in forward.c. */
#include "core/session/session_steps.h"

#include "core/base/clock.h"
#include "core/session/access_log.h"
#include "core/session/answer.h"
#include "core/session/destination.h"
#include "core/session/authorize.h"
#include "core/session/forward.h"
#include "core/session/talk.h"

#include <stdlib.h>

/* Refuses in plain HTTP, before anything was promised; the connection ends. */
static enum step refuse_request(struct session *s, uint16_t status, const char *error,
                                const char *detail, struct span target, enum close_reason reason)
{
    const struct answer answer = {.status = status,
                                  .error = error,
                                  .detail = span_from_string(detail),
                                  .target = target,
                                  .version = HTTP_VERSION_1_1};

    session_fault(s, error, "%s", detail);
    if (!session_answer(s, &answer)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    s->status = status;
    return session_end(s, reason);
}

/* A malformed request has a line in the log too, though there is little to put into it. */
static enum step refuse_malformed(struct session *s, const struct http_fault *fault)
{
    struct http_exchange exchange = {.status = fault->status,
                                     .http_major = 1,
                                     .http_minor = 1,
                                     .begin_ns = s->times.begin_ns,
                                     .end_ns = session_now(s)};

    session_fault(s, fault->error, "%s (at byte %zu)", fault->what, fault->offset);
    access_log_request(s, &exchange);
    return refuse_request(s, fault->status, fault->error, fault->what, span_make(NULL, 0),
                          CLOSE_BAD_REQUEST);
}

/* Of the client, or of an interception product between: to be judged with the hello. */
static bool keep_user_agent(struct session *s, const struct http_head *head)
{
    const struct http_field *field = http_find_field(head, SPAN_LITERAL("User-Agent"));

    if (!s->worker->verdicts || !field || field->value.len > HTTP_FIRST_USER_AGENT_MAX) {
        return true;
    }
    s->talk->user_agent = strndup((const char *)field->value.data, field->value.len);
    return s->talk->user_agent != NULL;
}

static enum step begin_connect(struct session *s, const struct http_head *head)
{
    const struct http_authority *authority = &head->parts.authority;

    session_set_deadline(s, 0);
    s->is_connect = true;
    if (s->forward) {
        forward_free(s->forward);
    }
    if (s->server) {
        conn_close(s->server, CONN_CLOSE_NOW);
        s->server = NULL;
    }
    if (!talk_new(s) || !keep_user_agent(s, head) ||
        !destination_set(s, authority->host, authority->port, authority->is_ip)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    buf_queue_consume(&s->client->rx, bufs_of(s), head->len);
    return destination_begin_asked(s);
}

enum step step_request(struct session *s)
{
    static __thread struct http_head head; /* 5 KiB; used within this step only */
    const struct h1_limits limits = head_limits(s);
    struct conn *client = s->client;
    size_t want = client->rx.len < BUF_HEAD_CAP ? client->rx.len : BUF_HEAD_CAP;
    struct span bytes = buf_queue_gather(&client->rx, bufs_of(s), want);
    bool begins = s->request_scan.offset == 0;
    enum h1_result result;
    struct http_fault fault;

    if (client->error) {
        return session_end(s, CLOSE_CLIENT_GONE);
    }
    if (client->tx.len >= s->worker->engine.buffer_high) {
        /* It asks faster than it reads the answers. */
        client->tx_wake = s->worker->engine.buffer_low;
        return STEP_WAIT;
    }
    result = h1_read_request(&head, &s->request_scan, bytes, &limits, &fault);
    if (result == H1_BAD) {
        return refuse_malformed(s, &fault);
    }
    if (result == H1_DONE) {
        enum step next;
        if (!authorize_request(s, &head, &next)) {
            return next;
        }
        return head.parts.form == HTTP_FORM_AUTHORITY ? begin_connect(s, &head)
                                                      : forward_begin(s, &head);
    }
    if (client->eof) {
        if (client->rx.len == 0) {
            return session_end(s, CLOSE_CLIENT_DONE);
        }
        fault = (struct http_fault){400, "the connection ended in the middle of a request head",
                                    "http_request_error", client->rx.len};
        return refuse_malformed(s, &fault);
    }
    if (s->server && (s->server->error || s->server->eof || s->server->rx.len)) {
        /* Kept for this client by its authentication, and now gone. */
        conn_close(s->server, CONN_CLOSE_NOW);
        s->server = NULL;
    }
    if (begins && bytes.len && s->requests) {
        session_set_deadline(s, session_config(s)->limits.head_ms); /* no longer between requests */
    }
    conn_receive(client, limits.head_bytes + 1);
    return STEP_WAIT;
}

enum step request_timed_out(struct session *s)
{
    uint32_t keepalive_ms = session_config(s)->limits.keepalive_ms;
    int64_t quiet_ms = (session_now(s) - s->client->sent_ns) / NS_PER_MS;

    if (s->client->rx.len == 0 && s->requests && quiet_ms < keepalive_ms) {
        /* A slow reader: the time between requests begins with the last byte of an answer. */
        session_set_deadline(s, keepalive_ms - (uint32_t)quiet_ms);
        return STEP_WAIT;
    }
    if (s->client->rx.len == 0) {
        return session_end(s, s->requests ? CLOSE_IDLE : CLOSE_REQUEST_TIMEOUT);
    }
    return refuse_request(s, 408, "http_request_error", "the request head did not arrive in time",
                          span_make(NULL, 0), CLOSE_REQUEST_TIMEOUT);
}
