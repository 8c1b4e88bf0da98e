/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error_page: STEP_ERROR_PAGE: the client's TLS is up, or it speaks in clear, and there is no
 * server behind it: its request gets a page that says why.
 */
#include "core/session/session_steps.h"

#include "core/session/access_log.h"
#include "core/session/answer.h"
#include "core/session/forward.h"
#include "core/session/talk.h"

static enum step answer_page(struct session *s, const struct http_head *head,
                             const struct http_fault *fault)
{
    const struct answer answer = {
        .status = fault ? fault->status : s->talk->error_status,
        .error = fault ? fault->error : s->error,
        .detail = span_from_string(fault      ? fault->what
                                   : s->fault ? s->fault
                                              : ""),
        .target = span_from_string(session_sni(s) ? session_sni(s) : s->target),
        .head_only = head && span_equal(head->method, SPAN_LITERAL("HEAD")),
        .version = head ? head->version : HTTP_VERSION_1_1,
    };
    struct http_exchange exchange = {.status = answer.status, .http_major = 1, .http_minor = 1};

    if (head) {
        struct text method = text_make(exchange.method, sizeof(exchange.method) - 1);
        struct text path = text_make(exchange.path, sizeof(exchange.path) - 1);
        text_bytes(&method, head->method);
        text_bytes(&path, head->target);
    }
    struct text authority = text_make(exchange.authority, sizeof(exchange.authority) - 1);
    text_bytes(&authority, answer.target);
    exchange.begin_ns = session_now(s);
    exchange.end_ns = exchange.begin_ns;
    access_log_request(s, &exchange);
    if (!session_answer(s, &answer)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    return session_end(s, answer.error && strcmp(answer.error, "tls_certificate_error") == 0
                              ? CLOSE_SERVER_UNVERIFIED
                          : s->decision == DECISION_REFUSE ? CLOSE_REFUSED
                          : s->times.connected             ? CLOSE_SERVER_TLS_FAILED
                                                           : CLOSE_DIAL_FAILED);
}

enum step step_error_page(struct session *s)
{
    static __thread struct http_head head;
    const struct h1_limits limits = head_limits(s);
    struct session_talk *talk = s->talk;
    struct conn *client = s->client;
    struct http_fault fault;
    struct span bytes;
    size_t want;

    if (strcmp(session_alpn(s), "h2") == 0) {
        /* HTTP/2 was promised by an earlier visit; the page is in HTTP/1. The client tries again,
         * and that time nothing is recalled. */
        return session_end(s, CLOSE_SERVER_CHANGED);
    }
    if (!talk_hold_request(s)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    want = talk->first_request.len < BUF_HEAD_CAP ? talk->first_request.len : BUF_HEAD_CAP;
    bytes = buf_queue_gather(&talk->first_request, bufs_of(s), want);
    switch (h1_read_request(&head, &talk->first_scan, bytes, &limits, &fault)) {
    case H1_DONE:
        return answer_page(s, &head, NULL);
    case H1_BAD:
        return answer_page(s, NULL, &fault);
    case H1_MORE:
        break;
    }
    if (client->error || client->eof ||
        (client->tls && tls_engine_status(client->tls) != TLS_OPEN)) {
        return session_end(s, s->times.connected ? CLOSE_SERVER_TLS_FAILED : CLOSE_DIAL_FAILED);
    }
    conn_receive(client, HANDSHAKE_BYTES_MAX);
    return STEP_WAIT;
}

enum step error_page_timed_out(struct session *s)
{
    return session_end(s, s->times.connected ? CLOSE_SERVER_TLS_FAILED : CLOSE_DIAL_FAILED);
}
