/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/reuse.h"

#include "core/base/hash.h"
#include "core/engine/idle.h"
#include "core/session/reading.h"
#include "core/session/talk.h"

/* ---- which connection is for whom ---- */

static struct idle_pool *pool_of(const struct session *s)
{
    return s->worker->engine.idle;
}

static bool may_share(const struct session *s, uint8_t place)
{
    return session_config(s)->upstream.idle_count && !session_listener(s)->spoof &&
           !route_is_personal(s, place);
}

/* What is known before the hello; the whole key is compared afterwards. */
static uint64_t hash_target(const struct session *s, uint8_t place)
{
    const uint64_t rest[] = {s->hold->snapshot->serial, s->port, place};

    return hash_combine(hash_bytes(span_from_string(s->target)), span_make(rest, sizeof(rest)));
}

static uint8_t first_place(const struct session *s)
{
    return upstreams_first(s->hold->snapshot->upstreams, s->via, session_now(s));
}

static struct idle_key key_of(const struct session *s)
{
    return (struct idle_key){span_make(s->tls->reuse_key, sizeof(s->tls->reuse_key)),
                             s->tls->reuse_hash};
}

bool reuse_is_likely(const struct session *s)
{
    uint8_t place = first_place(s);

    return s->decision == DECISION_INTERCEPT && may_share(s, place) &&
           idle_has(pool_of(s), hash_target(s, place));
}

/* ---- taking over ---- */

static struct conn *take_confirmed(struct session *s, struct idle_key key)
{
    struct conn *c;

    while ((c = idle_take(pool_of(s), key, &s->actor))) {
        if (tls_engine_confirm(c->tls, span_from_string(talk_verify_name(s)),
                               talk_verifies_address(s))) {
            return c;
        }
        conn_close(c, CONN_CLOSE_FLUSH);
    }
    return NULL;
}

bool reuse_take(struct session *s)
{
    struct session_talk *talk = s->talk;
    uint8_t place = first_place(s);
    uint64_t hash;

    if (!talk->opens_client || !talk->opens_server || talk->wants_own || !may_share(s, place)) {
        return false;
    }
    hash = hash_target(s, place);
    if (!idle_has(pool_of(s), hash) || !talk_have_tls(s)) {
        return false;
    }
    s->upstream =
        place == UPSTREAM_DIRECT ? NULL : upstream_name(s->hold->snapshot->upstreams, place);
    talk_digest_visit(s);
    s->server =
        take_confirmed(s, (struct idle_key){span_make(talk->visit, sizeof(talk->visit)), hash});
    if (!s->server) {
        s->upstream = NULL;
        talk->visit_known = false; /* it may be dialled another way */
        return false;
    }
    talk->dialled = s->server->peer;
    talk->place = place;
    s->tls->was_taken = true;
    s->worker->stats.taken_over++;
    return true;
}

void reuse_consider(struct session *s)
{
    const struct session_talk *talk = s->talk;
    const char *alpn = s->tls->alpn;

    s->tls->is_reusable = talk->opens_client && may_share(s, talk->place) &&
                          (alpn[0] == '\0' || strcmp(alpn, "http/1.1") == 0);
    if (s->tls->is_reusable) {
        s->tls->reuse_hash = hash_target(s, talk->place);
        memcpy(s->tls->reuse_key, talk->visit, sizeof(s->tls->reuse_key));
    }
}

/* ---- leaving it to others ---- */

static bool is_at_rest(const struct conn *c)
{
    return !c->error && !c->eof && c->rx.len == 0 && c->tx.len == 0 && !c->sending &&
           !c->fin_wanted && tls_engine_status(c->tls) == TLS_OPEN &&
           !tls_engine_has_partial_record(c->tls);
}

bool reuse_may_leave(const struct session *s)
{
    if (!s->tls || !s->tls->is_reusable || !s->server || s->worker->draining ||
        s->hold != s->worker->hold || !is_at_rest(s->server)) {
        return false;
    }
    if (s->relaying) {
        return s->tap && http_tap_is_reusable(s->tap);
    }
    return s->tls->was_taken; /* nothing of this session went over it */
}

void reuse_leave(struct session *s)
{
    idle_put(pool_of(s), key_of(s), s->server);
    s->server = NULL;
}

/* ---- REUSE ---- */

/* From the beginning, and not over somebody else's: what the client was promised stays. */
static enum step dial_own(struct session *s)
{
    struct session_talk *talk = s->talk;

    talk->wants_own = true;
    talk->was_recalled = true;
    talk->visit_known = false;
    talk->first_scan = (struct h1_scan){0};
    s->upstream = NULL;
    s->tls->was_taken = false;
    s->tls->is_reusable = false;
    s->tls->server = (struct session_tls_side){.version = NULL};
    session_set_deadline(s, 0);
    return STEP_DIAL;
}

static enum step drop_server(struct session *s)
{
    conn_close(s->server, CONN_CLOSE_NOW);
    s->server = NULL;
    return dial_own(s);
}

static enum step go_own_way(struct session *s)
{
    if (!reuse_may_leave(s)) {
        return drop_server(s);
    }
    reuse_leave(s);
    return dial_own(s);
}

/* Tickets may come late; anything else does not come unasked, and nobody could tell any more whose
 * answer it is. */
static bool server_is_silent(struct session *s)
{
    struct conn *server = s->server;
    uint8_t *scratch = s->worker->engine.scratch;

    if (server->rx.len && tls_engine_read(server->tls, scratch, TLS_RECORD_PLAINTEXT_MAX) > 0) {
        return false;
    }
    return !server->error && !server->eof && server->rx.len == 0 &&
           tls_engine_status(server->tls) == TLS_OPEN &&
           !tls_engine_has_partial_record(server->tls);
}

/* Whole, and nothing else; it may be sent twice, and leaves the connection as it found it. */
static bool may_go_first(const struct http_head *head, struct span bytes)
{
    return head->len == bytes.len && head->version == HTTP_VERSION_1_1 &&
           head->framing == HTTP_NO_BODY && bytes.data[0] > ' ' &&
           http_is_idempotent(head->method) && !http_find_field(head, SPAN_LITERAL("Upgrade")) &&
           !http_binds_connection(head, SPAN_LITERAL("Authorization"));
}

/* RELAY where the request may go over this connection, DIAL where it needs its own. */
static enum step judge_request(struct session *s)
{
    static __thread struct http_head head; /* 5 KiB; used within this call only */
    const struct h1_limits limits = head_limits(s);
    struct session_talk *talk = s->talk;
    size_t len = talk->first_request.len;
    size_t want = len < BUF_HEAD_CAP ? len : BUF_HEAD_CAP;
    struct span bytes = buf_queue_gather(&talk->first_request, bufs_of(s), want);
    struct http_fault fault;

    switch (h1_read_request(&head, &talk->first_scan, bytes, &limits, &fault)) {
    case H1_MORE:
        return STEP_WAIT;
    case H1_BAD:
        break; /* the server judges */
    case H1_DONE:
        if (len == want && may_go_first(&head, bytes)) {
            return STEP_RELAY;
        }
    }
    return go_own_way(s);
}

enum step reuse_begin(struct session *s)
{
    s->talk->opening_seen = false;
    session_set_deadline(s, session_config(s)->limits.tunnel_idle_ms);
    return STEP_REUSE;
}

static enum step client_has_ended(struct session *s)
{
    const struct conn *client = s->client;

    if (tls_engine_status(client->tls) == TLS_FAILED) {
        session_fault(s, "tls_protocol_error", "%s", tls_engine_fault(client->tls)->text);
    }
    return session_end(s, client->error || tls_engine_status(client->tls) == TLS_FAILED
                              ? CLOSE_CLIENT_GONE
                              : CLOSE_CLIENT_DONE);
}

enum step step_reuse(struct session *s)
{
    struct conn *client = s->client;
    struct session_talk *talk = s->talk;
    enum step step;

    if (!server_is_silent(s)) {
        return drop_server(s);
    }
    if (!talk_hold_request(s)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    step = judge_request(s);
    if (step != STEP_WAIT) {
        return step;
    }
    if (client->error || client->eof || tls_engine_status(client->tls) != TLS_OPEN) {
        return client_has_ended(s);
    }
    if (talk->first_request.len && !talk->opening_seen) {
        talk->opening_seen = true;
        session_set_deadline(s, SESSION_OPENING_MS);
    }
    conn_receive(client, HANDSHAKE_BYTES_MAX);
    conn_receive(s->server, s->worker->engine.buffer_high);
    return STEP_WAIT;
}

enum step reuse_timed_out(struct session *s)
{
    /* Whatever it is that stops there, it may be waiting for an answer. */
    return s->talk->first_request.len ? go_own_way(s) : session_end(s, CLOSE_IDLE);
}

/* ---- RELAY, until the answer begins ---- */

static enum step send_again(struct session *s)
{
    s->worker->stats.sent_again++;
    pipe_fini(&s->up);
    pipe_fini(&s->down);
    reading_forget(s);
    s->relaying = false;
    s->leave_ns = 0;
    return drop_server(s);
}

enum step reuse_await_answer(struct session *s)
{
    if (s->up.end == PIPE_FLOWS) {
        pipe_run(&s->down);
        if (s->client->error) {
            return session_end(s, CLOSE_CLIENT_GONE);
        }
        if (s->down.bytes == 0) {
            bool has_failed = s->down.end != PIPE_FLOWS || s->server->error;
            return has_failed ? send_again(s) : STEP_WAIT;
        }
    }
    talk_free(s);
    return STEP_RELAY;
}
