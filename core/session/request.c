/* SPDX-License-Identifier: Apache-2.0 */
/* request: STEP_REQUEST: reads a request head and sets off: CONNECT here, the rest in forward.c. */
#include "core/session/session_steps.h"

#include "core/base/clock.h"
#include "core/session/access_log.h"
#include "core/session/answer.h"
#include "core/session/forward.h"
#include "core/session/talk.h"
#include "http/reply.h"

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
                                     .begin_ns = s->times.begin,
                                     .end_ns = session_now(s)};

    session_fault(s, fault->error, "%s (at byte %zu)", fault->what, fault->offset);
    access_log_request(s, &exchange);
    return refuse_request(s, fault->status, fault->error, fault->what, span_make(NULL, 0),
                          CLOSE_BAD_REQUEST);
}

static bool port_is_allowed(const struct config *config, uint16_t port)
{
    for (size_t i = 0; i < config->connect.port_count; i++) {
        if (config->connect.ports[i] == port) {
            return true;
        }
    }
    return false;
}

static bool start_dial(struct session *s)
{
    const struct config *config = session_config(s);
    const struct dial_options options = {
        .host = span_from_string(s->target),
        .port = s->port,
        .allow_private = config->connect.allow_private,
        .connect_ms = config->limits.connect_ms,
    };

    s->talk->dial = dial_new(&s->worker->engine, &options, &s->actor);
    s->times.dial_begin = session_now(s);
    return s->talk->dial != NULL;
}

bool session_answer_connect(struct session *s)
{
    char line[64];
    struct text t = text_make(line, sizeof(line));

    http_write_connect_reply(&t);
    s->status = 200;
    s->talk->tunnel_answer_owed = false;
    return conn_write(s->client, text_view(&t));
}

static bool set_target(struct session *s, const struct http_authority *authority)
{
    free(s->target); /* of earlier requests in absolute-form on this connection */
    s->target = strdup(authority->host);
    s->port = authority->port;
    s->target_is_ip = authority->is_ip;
    return s->target != NULL;
}

static const char *guard_refusal(const struct session *s)
{
    struct address address;

    if (!s->target_is_ip || !address_parse_ip(&address, span_from_string(s->target), s->port)) {
        return NULL;
    }
    return address_refusal(&address, session_config(s)->connect.allow_private);
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
    const struct config *config = session_config(s);
    struct http_authority authority;
    struct policy_answer policy;
    struct http_fault fault;

    if (!authority_parse_connect(&authority, head->target, &fault)) {
        return refuse_malformed(s, &fault);
    }
    s->is_connect = true;
    if (s->forward) {
        forward_free(s->forward);
    }
    if (s->server) {
        conn_close(s->server, CONN_CLOSE_NOW);
        s->server = NULL;
    }
    struct span asked = head->target; /* a view of rx, read before that is consumed */
    if (!talk_new(s) || !set_target(s, &authority) || !keep_user_agent(s, head)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    const struct policy_question question = {.host = s->target, .port = s->port};
    policy = policy_decide(config, &question);
    s->decision = (uint8_t)policy.decision;
    s->rule = policy.rule;
    if (session_is_magic_host(s, s->target)) {
        s->decision = DECISION_REFUSE;
        s->rule = "admin.magic_host";
        session_fault(s, "http_request_denied",
                      "the pages of this proxy are not behind TLS: open http://%s/",
                      config->admin.magic_host);
        return refuse_request(s, 403, "http_request_denied", s->fault ? s->fault : "", asked,
                              CLOSE_REFUSED);
    }
    if (!port_is_allowed(config, s->port)) {
        s->decision = DECISION_REFUSE;
        s->rule = "connect.ports";
        return refuse_request(s, 403, "http_request_denied",
                              "CONNECT to this port is not allowed (connect.ports lists those that "
                              "are)",
                              asked, CLOSE_REFUSED);
    }
    if (!policy.open && policy.decision == DECISION_REFUSE) {
        return refuse_request(s, 403, "http_request_denied",
                              "a rule of this proxy refuses this destination", asked,
                              CLOSE_REFUSED);
    }
    if (guard_refusal(s)) {
        s->decision = DECISION_REFUSE;
        s->rule = "connect.allow_private";
        session_fault(s, "destination_ip_prohibited",
                      "%s is a %s, and such destinations are not allowed (connect.allow_private)",
                      s->target, guard_refusal(s));
        return refuse_request(s, 403, "destination_ip_prohibited", s->fault ? s->fault : "", asked,
                              CLOSE_REFUSED);
    }
    buf_queue_consume(&s->client->rx, bufs_of(s), head->len);
    s->talk->tunnel_answer_owed = !policy.open && policy.decision == DECISION_TUNNEL;
    if (!s->talk->tunnel_answer_owed && !session_answer_connect(s)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    if (!start_dial(s)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    if (s->talk->tunnel_answer_owed) {
        session_set_deadline(s, 0); /* the dial has its own */
        return STEP_DIAL;
    }
    session_set_deadline(s, config->limits.tunnel_idle_ms);
    return STEP_HELLO;
}

enum step step_request(struct session *s)
{
    static __thread struct http_head head; /* 4 KiB; used within this step only */
    const struct h1_limits limits = head_limits(s);
    struct conn *client = s->client;
    size_t want = client->rx.len < BUF_HEAD_CAP ? client->rx.len : BUF_HEAD_CAP;
    struct span bytes = buf_queue_gather(&client->rx, bufs_of(s), want);
    enum h1_result result = H1_MORE;
    struct http_fault fault;

    if (client->error) {
        return session_end(s, CLOSE_CLIENT_GONE);
    }
    if (client->tx.len >= s->worker->engine.buffer_high) {
        /* It asks faster than it reads the answers. */
        client->tx_wake = s->worker->engine.buffer_low;
        return STEP_WAIT;
    }
    if (bytes.len) {
        result = h1_scan_head(&s->request_scan, bytes, true, &limits, &fault);
    }
    if (result == H1_DONE) {
        result = h1_parse_request(&head, bytes, &limits, &fault);
    }
    if (result == H1_BAD) {
        return refuse_malformed(s, &fault);
    }
    if (result == H1_DONE) {
        session_set_deadline(s, 0);
        return span_equal(head.method, SPAN_LITERAL("CONNECT")) ? begin_connect(s, &head)
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
