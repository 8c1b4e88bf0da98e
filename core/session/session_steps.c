/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The story of a connection, in the order of time.
 *
 *   explicit HTTP   in REQUEST ............................................. FORWARD REQUEST ...
 *   tunnel          in asked DIAL HELLO DECIDE DIAL ........................ RELAY
 *   intercepted     in asked HELLO DECIDE DIAL SERVER_TLS LEAF CLIENT_TLS    RELAY
 *     over a server connection that has served others ...... LEAF CLIENT_TLS REUSE RELAY
 *   transparent     in HELLO DECIDE DIAL [SERVER_TLS LEAF CLIENT_TLS] ...... RELAY
 *   reverse         the same; SERVER_TLS and CLIENT_TLS each for itself
 *
 *   in: GREET, PROXY_HEADER where there is one, OPENING for HTTP; asked: REQUEST or SOCKS
 *
 * A step looks at what is there and returns the step that follows, STEP_WAIT when something must
 * happen first, or STEP_END when it closed the session. It is run again whenever anything happened
 * to the session's connections, timers, lookups or mints. Bytes are looked at without being
 * consumed until the step that owns them: nothing is ever replayed.
 */
#include "core/session/session_steps.h"

#include "core/base/clock.h"
#include "core/session/access_log.h"
#include "core/session/answer.h"
#include "core/session/destination.h"
#include "core/session/authorize.h"
#include "core/session/detection.h"
#include "core/session/forward.h"
#include "core/session/reading.h"
#include "core/session/reuse.h"
#include "core/session/talk.h"
#include "tls/digest.h"

#include <errno.h>
#include <stdlib.h>

enum {
    HALF_CLOSED_IDLE_MS = 60 * 1000, /* one direction has ended and the other is silent */
};

/* ---- GREET, PROXY_HEADER, OPENING in entrance.c; REQUEST in request.c; SOCKS in socks_steps.c
 * ---- */

/* ---- HELLO is in hello.c ---- */

/* ---- DECIDE ---- */

/* With all that is known by now. */
struct policy_answer session_decide(const struct session *s)
{
    struct policy_question question;
    char client[ADDRESS_TEXT_MAX];

    session_ask(s, &question, client);
    return policy_decide(session_config(s), &question);
}

/* Who is refused is told so in the way that it can still hear. */
static enum step refuse_decided(struct session *s)
{
    talk_drop_server(s);
    s->talk->error_mode = true;
    s->talk->error_status = 403;
    if (s->protocol == PROTOCOL_TLS) {
        return STEP_LEAF;
    }
    if (s->protocol == PROTOCOL_HTTP1) {
        session_set_deadline(s, session_config(s)->limits.head_ms);
        return STEP_ERROR_PAGE;
    }
    return session_end(s, CLOSE_REFUSED);
}

static void decide_ends(struct session *s)
{
    const struct config_listener *listener = session_listener(s);
    struct session_talk *talk = s->talk;

    talk->opens_client = s->decision == DECISION_INTERCEPT && s->protocol == PROTOCOL_TLS;
    talk->opens_server = talk->opens_client;
    if (listener->mode == LISTENER_REVERSE) {
        talk->opens_server = listener->target.scheme == TARGET_TLS &&
                             (talk->opens_client || s->protocol != PROTOCOL_TLS);
    }
}

static enum step step_decide(struct session *s)
{
    struct policy_answer policy;

    if (session_is_decided_tunnel(s) && !session_is_unasked(s)) {
        session_set_deadline(s, 0);
        return STEP_DIAL;
    }
    if (!destination_names_are_compared(s) && policy_asks_names(session_config(s))) {
        return STEP_WAIT; /* the lookup has a time of its own */
    }
    session_set_deadline(s, 0);
    if (s->talk->is_refused || destination_is_loop(s)) {
        return refuse_decided(s);
    }
    policy = session_decide(s);
    s->decision = (uint8_t)policy.decision;
    s->rule = policy.rule;
    if (policy.decision == DECISION_REFUSE) {
        session_fault(s, "http_request_denied", "a rule of this proxy refuses this destination");
        return refuse_decided(s);
    }
    decide_ends(s);
    talk_go_by(s, upstreams_via(s->hold->snapshot->upstreams, policy.via_rule));
    return STEP_DIAL;
}

static enum step decide_timed_out(struct session *s)
{
    (void)s;
    return STEP_WAIT; /* what came in time is being looked up */
}

/* ---- DIAL ---- */

/* The server is not to be had: say so in the way that the client can still hear. */
static enum step route_failed(struct session *s)
{
    struct session_talk *talk = s->talk;
    const struct route *route = &talk->route;

    s->times.resolved = session_moment(s, route->resolved_ns);
    session_fault(s, route->error, "%s", route->text);
    talk->error_status = route->status;
    if (talk->tunnel_answer_owed) {
        return session_end(s, session_answer_no_tunnel(s, talk->error_status) ? CLOSE_DIAL_FAILED
                                                                              : CLOSE_NO_MEMORY);
    }
    talk->error_mode = true;
    if (talk->opens_client) {
        return STEP_LEAF;
    }
    if (s->decision == DECISION_INTERCEPT && s->protocol == PROTOCOL_HTTP1) {
        session_set_deadline(s, session_config(s)->limits.head_ms);
        return STEP_ERROR_PAGE;
    }
    return session_end(s, CLOSE_DIAL_FAILED);
}

/* The server is there, and read if it is to be read. */
static enum step after_server(struct session *s)
{
    return s->talk->opens_client ? STEP_LEAF : STEP_RELAY;
}

static enum step step_dial(struct session *s)
{
    if (s->client->error) {
        return session_end(s, CLOSE_CLIENT_GONE);
    }
    talk_look(s);
    if (!s->server && !route_is_begun(&s->talk->route)) {
        if (reuse_take(s)) {
            return STEP_SERVER_TLS;
        }
        if (!talk_dial(s)) {
            return session_end(s, CLOSE_NO_MEMORY);
        }
    }
    if (!s->server) {
        return route_look(&s->talk->route) == ROUTE_FAILED ? route_failed(s) : STEP_WAIT;
    }
    if (s->talk->tunnel_answer_owed) {
        if (!session_answer_tunnel(s)) {
            return session_end(s, CLOSE_NO_MEMORY);
        }
        session_set_deadline(s, session_config(s)->limits.tunnel_idle_ms);
        return STEP_HELLO;
    }
    return s->talk->opens_server ? STEP_SERVER_TLS : after_server(s);
}

/* ---- SERVER_TLS ---- */

/* The handshake is over. */
static void note_tls(const struct session *s, struct session_tls_side *side,
                     const struct tls_engine *engine)
{
    struct tls_info info;

    tls_engine_read_info(engine, &info);
    side->version = info.version;
    side->cipher = info.cipher;
    side->group = info.group;
    side->resumed = info.resumed;
    side->end = session_moment_now(s);
}

static void note_alpn(struct session *s, struct span alpn)
{
    size_t len = alpn.len < VISIT_ALPN_MAX ? alpn.len : VISIT_ALPN_MAX;

    if (len) {
        memcpy(s->tls->alpn, alpn.data, len);
    }
    s->tls->alpn[len] = '\0';
}

/* Last time's leaf and ALPN for exactly this visit: then the client need not wait. */
static void recall_visit(struct session *s)
{
    struct session_talk *talk = s->talk;
    struct leaf_visit seen;

    if (!talk->visit_known) {
        talk_digest_visit(s);
    }
    if (talk->leaf) {
        return; /* the client has it already */
    }
    if (leaf_cache_recall(s->worker->shared->leaves, talk->visit,
                          ring_wall(s->worker->engine.ring) / NS_PER_S, &seen, &talk->leaf)) {
        talk->was_recalled = true;
        memcpy(talk->server_digest, seen.server_digest, sizeof(talk->server_digest));
        note_alpn(s, span_make(seen.alpn, seen.alpn_len));
        s->leaf_source = LEAF_RECALLED;
    }
}

/* To the server of a client that speaks in clear: what the client speaks. */
static void offer_clear_protocol(struct session *s)
{
    struct span offers = s->protocol == PROTOCOL_HTTP1   ? SPAN_LITERAL("\x08http/1.1")
                         : s->protocol == PROTOCOL_HTTP2 ? SPAN_LITERAL("\x02h2")
                                                         : span_make(NULL, 0);

    s->talk->alpn_offers_len = offers.len;
    if (offers.len) {
        memcpy(s->talk->alpn_offers, offers.data, offers.len);
    }
}

static bool start_server_tls(struct session *s)
{
    struct session_talk *talk = s->talk;
    struct conn *server = s->server;

    if (!talk_have_tls(s)) {
        return false;
    }
    if (s->talk->opens_client) {
        recall_visit(s);
    } else {
        offer_clear_protocol(s);
        talk_digest_visit(s);
    }
    const struct tls_connect_options options = {
        .sni = span_from_string(talk_server_name(s)),
        .verify_name = span_from_string(talk_verify_name(s)),
        .verify_name_is_ip = talk_verifies_address(s),
        .alpn_offers = span_make(talk->alpn_offers, talk->alpn_offers_len),
        .tickets = s->worker->tickets,
        .ticket_key = talk->visit,
    };

    s->tls->server.begin = session_moment_now(s);
    session_set_deadline(s, session_config(s)->limits.handshake_ms);
    server->tls =
        tls_engine_connect(s->hold->snapshot->tls, &options, &server->rx, &server->tx, bufs_of(s));
    return server->tls != NULL;
}

/* The handshake with the server failed: the client will be told inside its own TLS. */
static enum step server_tls_failed(struct session *s, const char *error, const char *text)
{
    session_fault(s, error, "%s", text);
    if (s->talk->visit_known) {
        leaf_cache_forget(s->worker->shared->leaves, s->talk->visit);
    }
    conn_flush(s->server);
    conn_close(s->server, CONN_CLOSE_FLUSH);
    s->server = NULL;
    s->talk->error_mode = true;
    s->talk->error_status = 502;
    if (s->client->tls) {
        return STEP_CLIENT_TLS; /* it was promised what was there last time; see there */
    }
    if (!s->talk->opens_client) {
        session_set_deadline(s, session_config(s)->limits.head_ms);
        return s->protocol == PROTOCOL_HTTP1 ? STEP_ERROR_PAGE
                                             : session_end(s, CLOSE_SERVER_TLS_FAILED);
    }
    s->talk->was_recalled = false;
    s->tls->alpn[0] = '\0';
    if (s->talk->leaf) {
        leaf_put(s->talk->leaf);
        s->talk->leaf = NULL;
    }
    return STEP_LEAF;
}

static enum step server_is_open(struct session *s)
{
    struct session_talk *talk = s->talk;
    struct tls_info info;
    uint8_t digest[LEAF_DIGEST_LEN];

    ASSERT(s->tls);
    note_tls(s, &s->tls->server, s->server->tls);
    tls_engine_read_info(s->server->tls, &info);
    digest_sha256(digest, tls_engine_peer_certificate(s->server->tls));
    if (talk->was_recalled && memcmp(digest, talk->server_digest, sizeof(digest)) != 0) {
        leaf_cache_forget(s->worker->shared->leaves, talk->visit);
    }
    if (!talk->was_recalled) {
        note_alpn(s, info.alpn);
    } else if (!span_equal(info.alpn, span_from_string(s->tls->alpn))) {
        leaf_cache_forget(s->worker->shared->leaves, talk->visit);
        session_fault(s, "tls_protocol_error",
                      "the server chose another ALPN protocol than on the last visit, which the "
                      "client was promised");
        return session_end(s, CLOSE_SERVER_CHANGED);
    }
    memcpy(talk->server_digest, digest, sizeof(digest));
    reuse_consider(s);
    return after_server(s);
}

/* With its TLS, which was verified for what this client asks for. */
static enum step server_was_taken(struct session *s)
{
    recall_visit(s);
    session_set_deadline(s, session_config(s)->limits.handshake_ms);
    return server_is_open(s);
}

/* Goes on with the handshake: the next step when it is done, STEP_WAIT while it is not. */
static enum step pump_server_tls(struct session *s)
{
    struct conn *server = s->server;
    enum tls_status status = tls_engine_handshake(server->tls);
    const struct tls_fault *fault;

    switch (status) {
    case TLS_HANDSHAKING:
        break;
    case TLS_OPEN:
    case TLS_CLOSED:
        return server_is_open(s); /* the last flight may leave with the request: session_run() */
    case TLS_FAILED:
        fault = tls_engine_fault(server->tls);
        return server_tls_failed(s,
                                 fault->verify != VERIFY_OK ? "tls_certificate_error"
                                 : fault->alert_received    ? "tls_alert_received"
                                                            : "tls_protocol_error",
                                 fault->text);
    }
    if (server->error || server->eof) {
        return server_tls_failed(s, "connection_terminated",
                                 "the server ended the connection during the TLS handshake");
    }
    conn_receive(server, HANDSHAKE_BYTES_MAX);
    return STEP_WAIT;
}

static enum step step_server_tls(struct session *s)
{
    enum step step;

    if (s->client->error) {
        return session_end(s, CLOSE_CLIENT_GONE);
    }
    if (s->tls && s->tls->was_taken) {
        return server_was_taken(s);
    }
    if (!s->server->tls && !start_server_tls(s)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    step = pump_server_tls(s);
    return step == STEP_WAIT && s->talk->leaf ? STEP_CLIENT_TLS : step;
}

static enum step server_tls_timed_out(struct session *s)
{
    return server_tls_failed(s, "connection_timeout",
                             "the server did not finish the TLS handshake in time");
}

/* ---- LEAF ---- */

/* Is it in the client's ALPN list (RFC 7301 3.1)? */
static bool offers_protocol(const struct session *s, struct span name)
{
    struct span list = span_make(s->talk->alpn_offers, s->talk->alpn_offers_len);

    while (list.len && list.len > list.data[0]) {
        if (span_equal(span_sub(list, 1, list.data[0]), name)) {
            return true;
        }
        list = span_skip(list, 1 + (size_t)list.data[0]);
    }
    return false;
}

static enum step ask_for_leaf(struct session *s)
{
    struct session_talk *talk = s->talk;
    struct span certificate = {NULL, 0};
    /* Names that nobody has verified are not copied: then the leaf is for what was asked alone. */
    bool copies_names =
        !talk->error_mode && talk->opens_server && session_config(s)->upstream.verify;
    const char *sni = session_sni(s);
    const char *name = sni ? sni : s->target_is_ip && copies_names ? "" : s->target;
    struct leaf_key key = {.asked_name = span_from_string(name), .kind = talk->leaf_kind};
    bool is_ip = false;

    if (!talk_have_tls(s)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    if (copies_names) {
        certificate = tls_engine_peer_certificate(s->server->tls);
        memcpy(key.server_digest, talk->server_digest, sizeof(key.server_digest));
    }
    if (key.asked_name.len && !leaf_name_is_valid(key.asked_name, &is_ip)) {
        session_fault(s, "http_request_error", "no certificate can be made for this name");
        return session_end(s, CLOSE_MINT_FAILED);
    }
    if (!talk->error_mode && !talk->opens_server && offers_protocol(s, SPAN_LITERAL("http/1.1"))) {
        note_alpn(s, SPAN_LITERAL("http/1.1")); /* no server could choose */
    }
    s->tls->mint_begin = session_moment_now(s);
    talk->mint = minter_ask(s->worker->shared->minter, &s->worker->engine, &s->actor, &key, is_ip,
                            session_config(s)->intercept.leaf_days, certificate);
    return talk->mint ? STEP_LEAF : session_end(s, CLOSE_NO_MEMORY);
}

static void remember_visit(struct session *s)
{
    struct session_talk *talk = s->talk;
    struct leaf_visit seen = {.alpn_len = (uint8_t)strlen(s->tls->alpn)};

    memcpy(seen.server_digest, talk->server_digest, sizeof(seen.server_digest));
    memcpy(seen.alpn, s->tls->alpn, seen.alpn_len);
    leaf_cache_remember(s->worker->shared->leaves, talk->visit, &seen, talk->leaf);
}

static enum step step_leaf(struct session *s)
{
    struct session_talk *talk = s->talk;

    if (s->client->error) {
        return session_end(s, CLOSE_CLIENT_GONE);
    }
    if (talk->leaf) {
        return STEP_CLIENT_TLS;
    }
    if (!talk->mint && ask_for_leaf(s) == STEP_END) {
        return STEP_END;
    }
    if (!talk->mint->done) {
        return STEP_WAIT;
    }
    s->tls->mint_end = session_moment(s, talk->mint->end_ns);
    s->leaf_source = talk->error_mode  ? LEAF_FOR_ERROR
                     : talk->mint->hit ? LEAF_FROM_CACHE
                                       : LEAF_MINTED;
    talk->leaf = talk->mint->leaf;
    talk->mint->leaf = NULL;
    mint_drop(talk->mint);
    talk->mint = NULL;
    if (!talk->leaf) {
        session_fault(s, "proxy_internal_error", "no certificate could be minted for the client");
        return session_end(s, CLOSE_MINT_FAILED);
    }
    if (!talk->error_mode && talk->visit_known) {
        remember_visit(s);
    }
    return STEP_CLIENT_TLS;
}

/* ---- CLIENT_TLS ---- */

/* For a page of our own HTTP/1.1 is spoken, if the client has it. */
static struct span client_alpn(const struct session *s)
{
    return s->talk->error_mode ? SPAN_LITERAL("http/1.1") : span_from_string(s->tls->alpn);
}

static bool start_client_tls(struct session *s)
{
    struct conn *client = s->client;
    const struct tls_accept_options options = {
        .leaf = s->talk->leaf,
        .alpn = client_alpn(s),
        .without_tickets = s->talk->error_mode,
    };

    s->tls->client.begin = session_moment_now(s);
    session_set_deadline(s, session_config(s)->limits.handshake_ms);
    client->tls =
        tls_engine_accept(s->hold->snapshot->tls, &options, &client->rx, &client->tx, bufs_of(s));
    return client->tls != NULL;
}

/* True when the client's side is open; else *next says how it goes on. */
static bool pump_client_tls(struct session *s, enum step *next)
{
    struct conn *client = s->client;
    enum tls_status status = tls_engine_handshake(client->tls);
    const struct tls_fault *fault;

    if (status == TLS_OPEN || status == TLS_CLOSED) {
        if (s->tls->client.end == 0) {
            note_tls(s, &s->tls->client, client->tls);
        }
        return true;
    }
    if (status == TLS_FAILED) {
        fault = tls_engine_fault(client->tls);
        session_fault(s, fault->alert_received ? "tls_alert_received" : "tls_protocol_error", "%s",
                      fault->text);
        *next = session_end(s, CLOSE_CLIENT_TLS_FAILED);
    } else if (client->error || client->eof) {
        session_fault(s, NULL, "the client ended the connection during the TLS handshake");
        *next = session_end(s, CLOSE_CLIENT_TLS_FAILED);
    } else {
        conn_receive(client, HANDSHAKE_BYTES_MAX);
        *next = STEP_WAIT;
    }
    return false;
}

static bool server_is_ready(const struct session *s)
{
    return s->server && (s->tls->server.end || !s->talk->opens_server);
}

static enum step step_client_tls(struct session *s)
{
    enum step step = STEP_WAIT;

    if (!s->client->tls && !start_client_tls(s)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    /* After a recall the server's handshake goes on beside the client's. */
    if (s->server && !server_is_ready(s) && pump_server_tls(s) == STEP_END) {
        return STEP_END;
    }
    if (!pump_client_tls(s, &step)) {
        return step;
    }
    if (s->talk->error_mode) {
        session_set_deadline(s, session_config(s)->limits.head_ms);
        return STEP_ERROR_PAGE;
    }
    if (!server_is_ready(s)) {
        return STEP_WAIT;
    }
    return s->tls->was_taken ? reuse_begin(s) : STEP_RELAY;
}

static enum step client_tls_timed_out(struct session *s)
{
    return session_end(s, CLOSE_HANDSHAKE_TIMEOUT);
}

/* ---- ERROR_PAGE is in error_page.c; RELAY ---- */

/* With the head of the first request more is known of who is between; a rule may refuse that. */
bool session_judge_request(struct session *s)
{
    const struct http_first_request *first = http_tap_first_request(s->tap);
    bool is_judged = first && detection_take_request(s, first);
    struct policy_answer policy;

    if (first) {
        http_tap_drop_first(s->tap);
    }
    if (!is_judged) {
        return true;
    }
    policy = session_decide(s);
    if (policy.decision != DECISION_REFUSE) {
        return true;
    }
    s->decision = DECISION_REFUSE;
    s->rule = policy.rule;
    session_fault(s, "http_request_denied", "a rule of this proxy refuses this client");
    return false;
}

/* The server need not know, where others can go on with it. */
static bool client_leaves(struct pipe *up)
{
    return reuse_may_leave(CONTAINER_OF(up, struct session, up));
}

/* The client need not know, where its request goes to the server once more. */
static bool server_leaves(struct pipe *down)
{
    return CONTAINER_OF(down, struct session, down)->talk && down->bytes == 0;
}

/* What the client has said already. */
static void pass_held(struct session *s)
{
    const struct buf *b = s->talk ? s->talk->first_request.first : NULL;

    while (b && pipe_pass(&s->up, buf_view(b))) {
        b = b->next;
    }
}

static bool begin_relay(struct session *s)
{
    bool clear = !s->client->tls && !s->server->tls && !s->server->transport;

    s->relaying = true;
    pipe_init(&s->up, s->client, s->server);
    pipe_init(&s->down, s->server, s->client);
    if (s->tls && s->tls->is_reusable) {
        s->up.leaves = client_leaves;
        s->down.leaves = server_leaves;
    }
    if (!reading_begin(s)) {
        return false;
    }
    if (clear && !s->tap) {
        s->up.splice_after = session_config(s)->limits.splice_bytes;
        s->down.splice_after = s->up.splice_after;
    }
    if (!s->tap) {
        detection_settle(s);
    }
    if (s->talk) {
        destination_names_are_compared(s);
    }
    session_set_deadline(s, session_config(s)->limits.send_stall_ms);
    pass_held(s);
    if (!s->tls || !s->tls->was_taken) {
        talk_free(s);
    }
    return true;
}

static enum step relay_failed(struct session *s)
{
    const struct pipe *pipes[] = {&s->up, &s->down};

    for (size_t i = 0; i < COUNT_OF(pipes); i++) {
        const struct conn *from = pipes[i]->from;
        if (from->error) { /* each conn is the `from` of one of them */
            return session_end(s, from == s->client ? CLOSE_CLIENT_GONE : CLOSE_SERVER_GONE);
        }
        if (from->tls && tls_engine_status(from->tls) == TLS_FAILED) {
            session_fault(s, "tls_protocol_error", "%s", tls_engine_fault(from->tls)->text);
            return session_end(s, from == s->client ? CLOSE_CLIENT_GONE : CLOSE_SERVER_GONE);
        }
    }
    return session_end(s, CLOSE_NO_MEMORY);
}

/* The client's bytes stop here. HTTP/1 can be told why, as long as nothing was answered. */
static enum step relay_refused(struct session *s)
{
    bool by_rule = s->decision == DECISION_REFUSE;
    const struct answer answer = {.status = by_rule ? 403 : 400,
                                  .error = s->error,
                                  .detail = span_from_string(s->fault ? s->fault : ""),
                                  .target =
                                      span_from_string(session_sni(s) ? session_sni(s) : s->target),
                                  .version = HTTP_VERSION_1_1};

    if (strcmp(session_alpn(s), "h2") != 0 && s->down.bytes == 0 && !session_answer(s, &answer)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    return session_end(s, by_rule ? CLOSE_REFUSED : CLOSE_BAD_REQUEST);
}

static enum step step_relay(struct session *s)
{
    if (!s->relaying && !begin_relay(s)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    if (s->talk) {
        enum step step = reuse_await_answer(s);
        if (step != STEP_RELAY) {
            return step;
        }
    }
    pipe_run(&s->up);
    pipe_run(&s->down);
    if (s->times.first_byte == 0 && s->down.bytes) {
        s->times.first_byte = session_moment_now(s);
    }
    reading_look(s);
    if (s->up.end == PIPE_LEFT) {
        return session_end(s, CLOSE_CLIENT_DONE);
    }
    if (s->up.end == PIPE_STOPPED) {
        return relay_refused(s);
    }
    if (s->down.end == PIPE_STOPPED) {
        return session_end(s, CLOSE_BAD_RESPONSE);
    }
    if (s->up.end == PIPE_FAILED || s->down.end == PIPE_FAILED) {
        return relay_failed(s);
    }
    if (pipe_has_ended(&s->up) && pipe_has_ended(&s->down)) {
        return session_end(s, CLOSE_BOTH_DONE);
    }
    /* One side of an HTTP connection is done and nothing is under way: so is the connection. */
    if ((pipe_has_ended(&s->up) || pipe_has_ended(&s->down)) && s->tap &&
        http_tap_is_idle(s->tap) && s->client->rx.len == 0 && s->server->rx.len == 0) {
        return session_end(s, pipe_has_ended(&s->up) ? CLOSE_CLIENT_DONE : CLOSE_SERVER_DONE);
    }
    return STEP_WAIT;
}

static int64_t latest(int64_t a_ns, int64_t b_ns)
{
    return a_ns > b_ns ? a_ns : b_ns;
}

static enum step relay_timed_out(struct session *s)
{
    const struct config *config = session_config(s);
    /* What is moved leaves with sends; before the first one it counts from the server's begin. */
    int64_t connected_ns = s->times.begin_ns + s->times.connected * NS_PER_US;
    int64_t moved_ns = latest(session_sent_ns(s), connected_ns);
    uint32_t idle_ms = config->limits.tunnel_idle_ms;

    if ((pipe_has_ended(&s->up) || pipe_has_ended(&s->down)) && idle_ms > HALF_CLOSED_IDLE_MS) {
        idle_ms = HALF_CLOSED_IDLE_MS;
    }
    if (session_now(s) - moved_ns >= idle_ms * NS_PER_MS) {
        return session_end(s, CLOSE_IDLE);
    }
    if (session_send_is_stalled(s)) {
        return session_end(s, CLOSE_SEND_STALLED);
    }
    session_set_deadline(s, config->limits.send_stall_ms < idle_ms ? config->limits.send_stall_ms
                                                                   : idle_ms);
    return STEP_WAIT;
}

/* ---- the table and its driver ---- */

static const struct {
    const char *name;
    enum step (*run)(struct session *s);
    enum step (*timed_out)(struct session *s); /* null: the step sets no deadline */
} row[STEP_COUNT] = {
    [STEP_GREET] = {"greet", step_greet, NULL},
    [STEP_PROXY_HEADER] = {"proxy_header", step_proxy_header, proxy_header_timed_out},
    [STEP_OPENING] = {"opening", step_opening, request_timed_out},
    [STEP_REQUEST] = {"request", step_request, request_timed_out},
    [STEP_SOCKS] = {"socks", step_socks, socks_timed_out},
    [STEP_AUTHORIZE] = {"authorize", step_authorize, authorize_timed_out},
    [STEP_HELLO] = {"hello", step_hello, hello_timed_out},
    [STEP_DECIDE] = {"decide", step_decide, decide_timed_out},
    [STEP_DIAL] = {"dial", step_dial, NULL},
    [STEP_SERVER_TLS] = {"server_tls", step_server_tls, server_tls_timed_out},
    [STEP_LEAF] = {"leaf", step_leaf, client_tls_timed_out},
    [STEP_CLIENT_TLS] = {"client_tls", step_client_tls, client_tls_timed_out},
    [STEP_REUSE] = {"reuse", step_reuse, reuse_timed_out},
    [STEP_RELAY] = {"relay", step_relay, relay_timed_out},
    [STEP_FORWARD] = {"forward", forward_run, forward_timed_out},
    [STEP_ERROR_PAGE] = {"error_page", step_error_page, error_page_timed_out},
};

const char *step_name(enum step step)
{
    return row[step].name;
}

static void enter(struct session *s, enum step step)
{
    if (s->step != step) {
        s->step = (uint8_t)step;
        s->trail[++s->trail_count % SESSION_TRAIL_LEN] = (uint8_t)step;
    }
}

void session_run(struct actor *actor)
{
    struct session *s = CONTAINER_OF(actor, struct session, actor);
    enum step next = (enum step)s->step;

    /* What arrived in the turn of the deadline arrived in time: the step looks at it first, and a
     * step that goes on, or sets its deadline anew, has taken `fired` back. */
    for (;;) {
        while (next != STEP_WAIT && next != STEP_END) {
            enter(s, next);
            next = row[next].run(s);
        }
        if (next == STEP_END) {
            return;
        }
        if (!s->deadline.fired) {
            break;
        }
        s->deadline.fired = false;
        ASSERT(row[s->step].timed_out);
        next = row[s->step].timed_out(s);
    }
    conn_flush(s->client);
    conn_park(s->client);
    if (s->server) {
        conn_flush(s->server);
        conn_park(s->server);
    }
}
