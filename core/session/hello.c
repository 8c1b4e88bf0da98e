/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello: STEP_HELLO: what does the client speak, and, if it is TLS, its whole ClientHello. Bytes
 * are looked at and not consumed.
 */
#include "core/session/session_steps.h"

#include "core/session/destination.h"
#include "core/session/talk.h"

#include <stdlib.h>

enum { OPENING_BYTES_MAX = 16 * 1024 /* of a server that speaks first */ };

bool session_is_decided_tunnel(const struct session *s)
{
    return s->decision == DECISION_TUNNEL && s->server;
}

static enum step relay_undecoded(struct session *s)
{
    s->protocol = PROTOCOL_RAW;
    return STEP_DECIDE;
}

/* An alert in clear (RFC 8446 5.1), for a client whose hello we could not read. */
static enum step hello_is_bad(struct session *s, const struct client_hello_fault *fault)
{
    const uint8_t alert[] = {21, 3, 1, 0, 2, 2, fault->alert};

    if (session_is_decided_tunnel(s)) {
        return relay_undecoded(s);
    }
    session_fault(s, "tls_protocol_error", "ClientHello: bad %s at byte %zu", fault->field,
                  fault->offset);
    if (!conn_write(s->client, span_make(alert, sizeof(alert)))) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    return session_end(s, CLOSE_HELLO_BAD);
}

static enum step gather_hello(struct session *s)
{
    static __thread struct client_hello hello; /* used within this step only */
    struct conn *client = s->client;
    size_t want = client->rx.len < RECORD_BYTES_MAX ? client->rx.len : RECORD_BYTES_MAX;
    struct record_scan *scan = &s->talk->record_scan;
    struct client_hello_fault fault;
    struct span message;
    struct span wire;

    if (client->rx.len < scan->want && !client->eof) {
        conn_receive(client, RECORD_BYTES_MAX);
        return STEP_WAIT;
    }
    wire = buf_queue_gather(&client->rx, bufs_of(s), want);
    if (wire.len < want) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    switch (record_gather_hello(scan, wire, s->worker->engine.scratch, &message)) {
    case RECORD_MORE:
        if (client->eof && session_is_decided_tunnel(s)) {
            return relay_undecoded(s);
        }
        if (client->eof) {
            session_fault(s, NULL, "the client ended in the middle of its ClientHello");
            return session_end(s, CLOSE_HELLO_BAD);
        }
        conn_receive(client, RECORD_BYTES_MAX);
        return STEP_WAIT;
    case RECORD_BAD:
        return hello_is_bad(s, &scan->fault);
    case RECORD_DONE:
        break;
    }
    if (!client_hello_parse(&hello, message, &fault)) {
        return hello_is_bad(s, &fault);
    }
    if (!talk_keep_hello(s, &hello)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    destination_compare_names(s);
    return STEP_DECIDE;
}

/* Of clear HTTP that the kernel or a reverse listener brought here: who is it for? Nobody else has
 * said so by name. A head that cannot be read is relayed as it is. */
static enum step gather_head(struct session *s)
{
    static __thread struct http_head head; /* 5 KiB; used within this step only */
    const struct h1_limits limits = head_limits(s);
    struct conn *client = s->client;
    size_t want = client->rx.len < BUF_HEAD_CAP ? client->rx.len : BUF_HEAD_CAP;
    struct span bytes = buf_queue_gather(&client->rx, bufs_of(s), want);
    struct http_authority host;
    struct http_fault fault;

    switch (h1_read_request(&head, &s->request_scan, bytes, &limits, &fault)) {
    case H1_MORE:
        if (client->eof) {
            return STEP_DECIDE;
        }
        conn_receive(client, limits.head_bytes + 1);
        return STEP_WAIT;
    case H1_BAD:
        return STEP_DECIDE;
    case H1_DONE:
        break;
    }
    if (head.host.len && authority_parse_host(&host, head.host, &fault) && !host.is_ip) {
        s->http_host = strdup(host.host);
        if (!s->http_host) {
            return session_end(s, CLOSE_NO_MEMORY);
        }
        destination_compare_names(s);
    }
    return STEP_DECIDE;
}

/* Nobody asked for the destination in words: the client knows of no proxy. */
bool session_is_unasked(const struct session *s)
{
    enum listener_mode mode = session_listener(s)->mode;

    return mode == LISTENER_TRANSPARENT || mode == LISTENER_REVERSE;
}

static bool server_has_ended(const struct session *s)
{
    return s->server && (s->server->eof || s->server->error);
}

struct span session_client_opening(struct session *s)
{
    return span_sub(buf_queue_gather(&s->client->rx, bufs_of(s), RECOGNISE_BYTES_MAX), 0,
                    RECOGNISE_BYTES_MAX);
}

/* From now on the opening has that long. */
static void await_opening(struct session *s, uint32_t ms)
{
    if (!s->talk->opening_seen) {
        s->talk->opening_seen = true;
        session_set_deadline(s, ms);
    }
}

enum step step_hello(struct session *s)
{
    struct conn *client = s->client;

    talk_look(s);
    if (client->error) {
        return session_end(s, CLOSE_CLIENT_GONE);
    }
    if (s->protocol == PROTOCOL_TLS) {
        return gather_hello(s);
    }
    if (s->protocol == PROTOCOL_HTTP1) {
        return gather_head(s);
    }
    if (client->rx.len == 0) {
        if (client->eof && session_is_unasked(s) && !s->server) {
            return session_end(s, CLOSE_CLIENT_DONE);
        }
        if ((s->server && s->server->rx.len) || client->eof) {
            return relay_undecoded(s); /* the server speaks first, or the client not at all */
        }
        if (session_is_unasked(s) && route_is_begun(&s->talk->route) &&
            route_look(&s->talk->route) == ROUTE_FAILED) {
            return STEP_DIAL; /* it waits for a server to speak that is not to be had */
        }
        if (server_has_ended(s)) {
            /* A ClientHello may be on its way, and its sender can be told why. */
            await_opening(s, SESSION_OPENING_MS);
        }
        conn_receive(client, RECORD_BYTES_MAX);
        if (s->server) {
            conn_receive(s->server, OPENING_BYTES_MAX);
        }
        return STEP_WAIT;
    }
    s->protocol = (uint8_t)recognise(session_client_opening(s), RECOGNISE_INSIDE);
    switch ((enum protocol)s->protocol) {
    case PROTOCOL_UNKNOWN:
        if (client->eof) {
            return relay_undecoded(s);
        }
        await_opening(s, recognise_may_be_tls(session_client_opening(s))
                             ? session_config(s)->limits.hello_ms
                             : SESSION_OPENING_MS);
        conn_receive(client, RECORD_BYTES_MAX);
        return STEP_WAIT;
    case PROTOCOL_TLS:
        session_set_deadline(s, session_config(s)->limits.hello_ms);
        return gather_hello(s);
    case PROTOCOL_HTTP1:
        if (session_is_unasked(s)) {
            session_set_deadline(s, session_config(s)->limits.head_ms);
            return gather_head(s);
        }
        return STEP_DECIDE;
    default:
        return STEP_DECIDE;
    }
}

/* A client that says nothing may be waiting for the server's first word: the way that silence
 * takes. A hello that comes after all may lead elsewhere, see step_decide(). */
static enum step dial_for_silence(struct session *s)
{
    struct policy_answer policy;

    if (destination_is_loop(s)) {
        return session_end(s, CLOSE_REFUSED);
    }
    policy = session_decide(s);
    s->talk->waits_to_dial = false;
    s->via = upstreams_via(s->hold->snapshot->upstreams, policy.via_rule);
    if (policy.decision != DECISION_REFUSE && !s->talk->is_refused && !talk_dial(s)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    session_set_deadline(s, session_config(s)->limits.tunnel_idle_ms);
    return STEP_HELLO;
}

enum step hello_timed_out(struct session *s)
{
    if (s->talk->waits_to_dial && s->client->rx.len == 0) {
        return dial_for_silence(s);
    }
    /* To pause within a hello is no way around the interception. */
    if ((s->protocol == PROTOCOL_TLS || recognise_may_be_tls(session_client_opening(s))) &&
        !session_is_decided_tunnel(s)) {
        return session_end(s, CLOSE_HELLO_TIMEOUT);
    }
    if (s->protocol == PROTOCOL_HTTP1) {
        session_fault(s, "http_request_error", "the request head did not arrive in time");
        return session_end(s, CLOSE_REQUEST_TIMEOUT);
    }
    return s->client->rx.len || server_has_ended(s) ? relay_undecoded(s)
                                                    : session_end(s, CLOSE_IDLE);
}
