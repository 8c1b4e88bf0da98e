/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/forward.h"

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/engine/idle.h"
#include "core/session/access_log.h"
#include "core/session/answer.h"
#include "core/session/body_pass.h"
#include "core/session/magic_host.h"
#include "core/session/session_steps.h"
#include "http/h1_body.h"
#include "http/h1_rewrite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    INTERIM_RESPONSES_MAX = 16, /* 1xx before the final one */
};

enum forward_phase {
    FORWARD_NONE,
    FORWARD_DIALLING,
    FORWARD_HEAD, /* request under way, response head not yet seen */
    FORWARD_BODY, /* response under way */
};

/* What a server connection was made for. Its bytes are those from `serial` on. */
struct forward_key {
    uint64_t hash;
    size_t target_len;
    uint64_t serial; /* of the snapshot */
    uint32_t place;
    uint32_t port;
    char target[HTTP_HOST_MAX];
};

struct forward {
    struct pool_slot pool;
    struct session *session;
    enum forward_phase phase;
    struct route route;
    struct buf_queue held; /* the rewritten head until a server is there; kept for a retry */
    struct h1_scan scan;   /* of the response head */
    struct h1_body up;     /* the request's body */
    struct h1_body down;   /* the response's */
    bool up_chunked;       /* how we frame what we send on */
    bool down_chunked;
    bool up_done;
    bool down_done;
    bool client_keep_alive;
    bool server_keep_alive;
    bool reused;    /* the server connection had served before */
    bool may_retry; /* idempotent, no body, nothing answered yet */
    bool bound;     /* authentication binds the connection to this client */
    bool wants_upgrade;
    bool wants_trailers; /* the client takes trailers (RFC 9110 10.1.4) */
    bool is_head;
    bool answered;
    bool is_named; /* exchange.authority is that of the session's target */
    uint8_t interim_count;
    uint8_t proxies_failed; /* after they had taken the request */
    uint8_t place;          /* of the way to the server in the list of upstream proxies */
    enum http_version client_version;
    struct forward_key key; /* of the server connection, for the idle pool */
    int64_t moved_ns;       /* when a byte last moved, either way */
    struct address dialled; /* of the last exchange that needed a server; len 0: none */
    struct http_exchange exchange;
};

size_t forward_size(void)
{
    return sizeof(struct forward);
}

const struct address *forward_dialled(const struct forward *f)
{
    return &f->dialled;
}

void forward_forget_dialled(struct forward *f)
{
    f->dialled = (struct address){0};
}

bool forward_was_answered(const struct forward *f)
{
    return f->answered;
}

void forward_free(struct forward *f)
{
    struct session *s = f->session;

    route_end(&f->route);
    buf_queue_clear(&f->held, bufs_of(s));
    s->forward = NULL;
    pool_free(&s->worker->forwards, f);
}

/* ---- answers of our own ---- */

static void log_exchange(struct forward *f)
{
    struct session *s = f->session;

    if (f->phase == FORWARD_NONE) {
        return;
    }
    if (f->exchange.upgraded) {
        f->exchange.request_bytes = s->up.bytes;
        f->exchange.response_bytes = s->down.bytes;
    }
    f->phase = FORWARD_NONE;
    f->exchange.end_ns = session_now(s);
    access_log_request(s, &f->exchange);
    /* A fault belongs to the exchange it was found in. */
    s->error = NULL;
    free(s->fault);
    s->fault = NULL;
}

void forward_log_unfinished(struct forward *f)
{
    log_exchange(f);
}

static enum step next_request(struct session *s)
{
    const struct config *config = session_config(s);

    s->request_scan = (struct h1_scan){0};
    session_set_deadline(s,
                         s->client->rx.len ? config->limits.head_ms : config->limits.keepalive_ms);
    return STEP_REQUEST;
}

static void drop_server(struct session *s)
{
    if (s->server) {
        conn_close(s->server, CONN_CLOSE_NOW);
        s->server = NULL;
    }
}

/* Sends an answer whose connection goes on when the request was read to its end, so that the next
 * one can be found, and ends the exchange. */
static enum step give_answer(struct session *s, struct answer *answer, enum close_reason reason)
{
    struct forward *f = s->forward;

    answer->head_only = f->is_head;
    answer->version = f->client_version;
    answer->keep_alive =
        f->up_done && f->client_keep_alive && reason != CLOSE_BAD_REQUEST && !s->worker->draining;
    drop_server(s);
    f->exchange.status = answer->status;
    f->exchange.response_bytes = f->is_head ? 0 : answer->body.len;
    f->answered = true;
    if (!session_answer(s, answer)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    if (!answer->keep_alive) {
        return session_end(s, reason);
    }
    log_exchange(f);
    conn_flush(s->client);
    return next_request(s);
}

/* Answers instead of the server. */
static enum step answer_instead(struct session *s, uint16_t status, const char *error,
                                const char *detail, enum close_reason reason)
{
    struct answer answer = {
        .status = status,
        .error = error,
        .detail = span_from_string(detail),
        .target = span_from_string(s->forward->exchange.authority),
    };

    session_fault(s, error, "%s", detail);
    return give_answer(s, &answer, reason);
}

/* ---- the request ---- */

static bool is_served(const struct http_head *head)
{
    return head->parts.form == HTTP_FORM_ABSOLUTE && head->parts.scheme == HTTP_SCHEME_HTTP;
}

/* What the log says of a request, where anybody reads it. */
static void keep_for_log(struct http_exchange *x, const struct http_head *head)
{
    const struct http_field *user_agent = http_find_field(head, SPAN_LITERAL("User-Agent"));
    struct span path = head->parts.path;

    if (!is_served(head)) {
        path = head->target; /* as it was sent */
    } else if (path.len == 0) {
        path = SPAN_LITERAL("/");
    }
    span_to_string(x->path, sizeof(x->path), path);
    span_to_string(x->user_agent, sizeof(x->user_agent),
                   user_agent ? user_agent->value : span_make(NULL, 0));
}

static void begin_exchange(struct forward *f, const struct http_head *head)
{
    struct http_exchange *x = &f->exchange;

    span_to_string(x->method, sizeof(x->method), head->method);
    x->path[0] = x->user_agent[0] = '\0';
    if (access_log_is_read(f->session)) {
        keep_for_log(x, head);
    }
    if (!is_served(head)) {
        span_to_string(x->authority, sizeof(x->authority), head->host);
        f->is_named = false;
    }
    x->http_major = 1;
    x->http_minor = head->version == HTTP_VERSION_1_1;
    x->status = 0;
    x->upgraded = false;
    x->request_bytes = x->response_bytes = 0;
    x->begin_ns = session_now(f->session);
    x->first_byte_ns = x->end_ns = 0;
    f->phase = FORWARD_DIALLING;
    f->scan = (struct h1_scan){0};
    f->moved_ns = x->begin_ns;
    f->interim_count = 0;
    f->proxies_failed = 0;
    f->answered = false;
    f->bound = false;
    f->reused = false;
    f->down_done = false;
    f->client_version = head->version;
    f->client_keep_alive = head->keep_alive;
    f->wants_upgrade = head->upgrade;
    f->wants_trailers = http_has_token(head, SPAN_LITERAL("TE"), SPAN_LITERAL("trailers"));
    f->is_head = span_equal(head->method, SPAN_LITERAL("HEAD"));
    f->up_done = head->framing == HTTP_NO_BODY;
    f->up_chunked = head->framing == HTTP_CHUNKED;
    h1_body_init(&f->up, head->framing, head->content_length);
}

static bool write_head(struct session *s, const struct http_head *head, struct http_fault *fault)
{
    const struct config *config = session_config(s);
    struct text t = text_make(s->worker->engine.scratch, WORKER_SCRATCH_CAP);
    const struct h1_rewrite_options options = {
        .via = config->http.via,
        .pseudonym = s->hold->snapshot->pseudonym,
        .keep_alive = true,
        .upgrade = head->upgrade,
        .framing = head->framing,
        .content_length = head->content_length,
        .without = session_forbidden_field(s, HEADER_TO_SERVER),
    };

    if (!h1_write_request(&t, head, &head->parts.authority, HTTP_SCHEME_HTTP, head->parts.path,
                          &options, fault)) {
        return false;
    }
    if (t.overflow || !buf_queue_append(&s->forward->held, bufs_of(s), text_view(&t))) {
        *fault = (struct http_fault){431, "the request head is too long to be forwarded",
                                     "http_request_error", 0};
        return false;
    }
    return true;
}

/* For an HTTP proxy: the head in absolute-form, with what it wants to know of us. */
static void write_for_proxy(struct session *s)
{
    struct forward *f = s->forward;
    const char *authorization = s->hold->snapshot->upstreams->proxies[f->place].authorization;
    struct span head = buf_queue_gather(&f->held, bufs_of(s), f->held.len);
    struct text t = text_make(s->worker->engine.scratch, WORKER_SCRATCH_CAP);
    struct span authority = span_from_string(f->exchange.authority);

    authority.len -= s->port == 80 ? 3 : 0; /* as in Host */
    size_t done = h1_write_for_proxy(&t, head, authority, authorization);

    if (!done || !conn_write(s->server, text_view(&t)) ||
        !conn_write(s->server, span_skip(head, done))) {
        s->server->error = ENOMEM;
    }
}

static void send_request(struct session *s)
{
    struct forward *f = s->forward;

    f->phase = FORWARD_HEAD;
    f->scan = (struct h1_scan){0};
    if (route_takes_urls(s, f->place)) {
        write_for_proxy(s); /* may_retry: kept, so that another proxy can be asked */
        if (!f->may_retry) {
            buf_queue_clear(&f->held, bufs_of(s));
        }
    } else if (f->reused && f->may_retry) {
        /* Kept until the server has answered: an idle connection may have died unseen. */
        for (struct buf *b = f->held.first; b; b = b->next) {
            if (!conn_write(s->server, buf_view(b))) {
                return;
            }
        }
    } else {
        buf_queue_move(&s->server->tx, &f->held);
    }
    conn_flush(s->server);
}

static enum step dial_server(struct session *s)
{
    struct forward *f = s->forward;

    f->reused = false;
    f->phase = FORWARD_DIALLING;
    s->upstream = NULL;
    if (!route_begin(&f->route, s, s->via, true)) {
        return answer_instead(s, 503, "connection_limit_reached",
                              "too many connections are being opened at the moment",
                              CLOSE_NO_MEMORY);
    }
    return STEP_FORWARD;
}

static struct span key_bytes(const struct forward_key *key)
{
    size_t begin = offsetof(struct forward_key, serial);

    return span_make((const uint8_t *)key + begin,
                     offsetof(struct forward_key, target) - begin + key->target_len);
}

static void make_key(struct session *s)
{
    struct forward_key *key = &s->forward->key;
    size_t target_len = strlen(s->target);
    uint64_t serial = s->hold->snapshot->serial;

    ASSERT(target_len <= sizeof(key->target));
    if (key->target_len == target_len && key->serial == serial && key->port == s->port &&
        key->place == s->forward->place && memcmp(key->target, s->target, target_len) == 0) {
        return; /* as for the request before */
    }
    key->serial = serial;
    key->port = s->port;
    key->place = s->forward->place;
    key->target_len = target_len;
    memcpy(key->target, s->target, target_len);
    key->hash = hash_bytes(key_bytes(key));
}

static struct idle_key key_of(const struct forward *f)
{
    return (struct idle_key){key_bytes(&f->key), f->key.hash};
}

static enum step find_server(struct session *s)
{
    struct forward *f = s->forward;
    const struct upstreams *upstreams = s->hold->snapshot->upstreams;

    if (s->server) {
        f->bound = true; /* it was left to this client, and so it stays */
    } else {
        f->place = upstreams_first(upstreams, s->via, session_now(s));
        make_key(s);
    }
    if (!s->server && !route_is_personal(s, f->place)) {
        s->server = idle_take(s->worker->engine.idle, key_of(f), &s->actor);
    }
    if (!s->server) {
        return dial_server(s);
    }
    f->reused = true;
    f->dialled = s->server->peer;
    s->upstream = f->place == UPSTREAM_DIRECT ? NULL : upstream_name(upstreams, f->place);
    send_request(s);
    return STEP_FORWARD;
}

static struct forward *forward_of(struct session *s)
{
    if (!s->forward) {
        s->forward = pool_new(&s->worker->forwards);
        if (s->forward) {
            s->forward->session = s;
        }
    }
    return s->forward;
}

static void name_target(struct forward *f, const struct http_authority *authority)
{
    struct http_exchange *x = &f->exchange;
    struct text t = text_make(x->authority, sizeof(x->authority) - 1);

    authority_write(&t, authority->host, authority->port);
    x->authority[t.len] = '\0';
    f->is_named = true;
}

static bool set_target(struct session *s, const struct http_authority *authority)
{
    bool same = s->target && strcmp(s->target, authority->host) == 0 && s->port == authority->port;

    if (!same || !s->forward->is_named) {
        name_target(s->forward, authority);
    }
    if (!same) {
        /* A connection that authentication bound to the last target is of no use for this one. */
        drop_server(s);
        free(s->target);
        s->target = strdup(authority->host);
        s->port = authority->port;
        s->target_is_ip = authority->is_ip;
    }
    return s->target != NULL;
}

/* A request for the magic host. */
static enum step answer_page(struct session *s, const struct http_head *head)
{
    struct answer answer;

    magic_host_answer(s, head, head->parts.path, &answer);
    buf_queue_consume(&s->client->rx, bufs_of(s), head->len);
    return give_answer(s, &answer, CLOSE_ANSWERED);
}

enum step forward_begin(struct session *s, const struct http_head *head)
{
    const struct config *config = session_config(s);
    struct forward *f = forward_of(s);
    const struct http_authority *authority = &head->parts.authority;
    struct policy_question question;
    struct policy_answer policy;
    char client[ADDRESS_TEXT_MAX];
    struct http_fault fault;

    if (!f) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    begin_exchange(f, head);
    if (head->parts.form != HTTP_FORM_ABSOLUTE) {
        return answer_instead(s, 400, "http_request_error",
                              "this is a proxy: it needs a whole URI, such as http://host/path",
                              CLOSE_BAD_REQUEST);
    }
    if (!is_served(head)) {
        return answer_instead(s, 400, "http_request_error",
                              "an https URL cannot be fetched this way: open a tunnel to its host "
                              "with CONNECT, as clients do when their https proxy is set",
                              CLOSE_BAD_REQUEST);
    }
    if (!set_target(s, authority)) {
        return session_end(s, CLOSE_NO_MEMORY);
    }
    if (magic_host_is(s, authority->host)) {
        return answer_page(s, head);
    }
    session_ask(s, &question, client);
    policy = policy_decide(config, &question);
    s->decision = (uint8_t)policy.decision;
    s->rule = policy.rule;
    s->via = upstreams_via(s->hold->snapshot->upstreams, policy.via_rule);
    f->may_retry = f->up_done && http_is_idempotent(head->method);
    f->bound = http_binds_connection(head, SPAN_LITERAL("Authorization"));
    buf_queue_clear(&f->held, bufs_of(s));
    bool written = write_head(s, head, &fault);
    buf_queue_consume(&s->client->rx, bufs_of(s), head->len);
    if (policy.decision == DECISION_REFUSE) {
        return answer_instead(s, 403, "http_request_denied",
                              "a rule of this proxy refuses this destination", CLOSE_REFUSED);
    }
    if (!written) {
        return answer_instead(s, fault.status, fault.error, fault.what, CLOSE_BAD_REQUEST);
    }
    session_set_deadline(s, config->limits.send_stall_ms);
    return find_server(s);
}

/* STEP_FORWARD: go on. */
static enum step pass_request_body(struct session *s)
{
    struct forward *f = s->forward;
    const struct body_way way = {.body = &f->up,
                                 .from = s->client,
                                 .to = s->server,
                                 .side = HEADER_TO_SERVER,
                                 .chunked = f->up_chunked,
                                 .count = &f->exchange.request_bytes,
                                 .moved_ns = &f->moved_ns};
    struct http_fault fault;

    if (f->up_done) {
        return STEP_FORWARD;
    }
    switch (body_pass(s, &way, &fault)) {
    case BODY_ENDED:
        f->up_done = true;
        break;
    case BODY_WAITS:
        if (s->client->eof && s->client->rx.len == 0) {
            session_fault(s, NULL, "the client ended in the middle of a request body");
            return session_end(s, CLOSE_CLIENT_GONE);
        }
        break;
    case BODY_BROKEN:
        if (f->phase == FORWARD_HEAD) {
            return answer_instead(s, fault.status, fault.error, fault.what, CLOSE_BAD_REQUEST);
        }
        session_fault(s, fault.error, "%s", fault.what);
        return session_end(s, CLOSE_BAD_REQUEST);
    case BODY_NO_MEMORY:
        return session_end(s, CLOSE_NO_MEMORY);
    }
    conn_flush(s->server);
    return STEP_FORWARD;
}

/* ---- the response ---- */

/* An HTTP proxy had taken the request and has no answer to it that the client could be given: the
 * next one may have. */
static enum step proxy_failed(struct session *s, const char *error, const char *reason)
{
    struct forward *f = s->forward;
    char detail[256];

    route_blame(s, f->place, reason);
    if (f->may_retry && ++f->proxies_failed < s->via->count) {
        drop_server(s);
        return dial_server(s);
    }
    snprintf(detail, sizeof(detail), "upstream proxy %s: %s",
             upstream_name(s->hold->snapshot->upstreams, f->place), reason);
    return answer_instead(s, 502, error, detail, CLOSE_BAD_RESPONSE);
}

static enum step server_failed(struct session *s, const char *detail)
{
    struct forward *f = s->forward;
    bool nothing_came = s->server->rx.len == 0 && f->interim_count == 0;

    if (f->reused && f->may_retry && nothing_came) {
        drop_server(s);
        return dial_server(s);
    }
    if (route_takes_urls(s, f->place) && nothing_came) {
        return proxy_failed(s, "connection_terminated", detail);
    }
    return answer_instead(s, 502, "connection_terminated", detail, CLOSE_SERVER_GONE);
}

static enum step begin_upgrade(struct session *s)
{
    struct forward *f = s->forward;

    f->exchange.upgraded = true;
    f->phase = FORWARD_BODY;
    return STEP_RELAY;
}

/* False with fault->what null: out of memory. */
static bool write_response(struct session *s, const struct http_head *head, bool is_final,
                           struct http_fault *fault)
{
    struct forward *f = s->forward;
    const struct config *config = session_config(s);
    struct text t = text_make(s->worker->engine.scratch, WORKER_SCRATCH_CAP);
    struct h1_rewrite_options options = {
        .via = config->http.via,
        .pseudonym = s->hold->snapshot->pseudonym,
        .keep_alive = true,
        .upgrade = head->status == 101,
        .framing = head->framing,
        .content_length = head->content_length,
        .peer_version = f->client_version,
        .without = session_forbidden_field(s, HEADER_TO_CLIENT),
    };

    if (is_final) {
        /* A client of HTTP/1.0 knows no chunks: for it the end of the connection ends the body. */
        if (options.framing == HTTP_CHUNKED && f->client_version == HTTP_VERSION_1_0) {
            options.framing = HTTP_UNTIL_CLOSE;
        }
        if (options.framing == HTTP_UNTIL_CLOSE || !f->up_done || s->worker->draining) {
            f->client_keep_alive = false;
        }
        options.keep_alive = f->client_keep_alive;
        f->down_chunked = options.framing == HTTP_CHUNKED;
    }
    if (!h1_write_response(&t, head, &options, fault)) {
        return false;
    }
    if (t.overflow) {
        *fault = (struct http_fault){502, "the response head is too long to be forwarded",
                                     "http_response_header_section_size", 0};
        return false;
    }
    f->answered = is_final;
    return conn_write(s->client, text_view(&t));
}

/* A parsed head at the front of the server's rx. */
static enum step take_response_head(struct session *s, const struct http_head *head)
{
    struct forward *f = s->forward;
    bool interim = head->status >= 100 && head->status < 200;
    struct http_fault fault = {.what = NULL};

    if (head->status == 407 && route_takes_urls(s, f->place)) {
        return proxy_failed(s, "proxy_configuration_error",
                            "it does not take our request for want of credentials (407)");
    }
    if (head->status == 101 && !f->wants_upgrade) {
        return answer_instead(s, 502, "http_protocol_error",
                              "the server switched protocols without having been asked to",
                              CLOSE_BAD_RESPONSE);
    }
    if (interim && ++f->interim_count > INTERIM_RESPONSES_MAX) {
        return answer_instead(s, 502, "http_protocol_error",
                              "the server sent too many interim (1xx) responses",
                              CLOSE_BAD_RESPONSE);
    }
    if (!interim || head->status == 101) {
        f->exchange.status = head->status;
        f->exchange.first_byte_ns = session_now(s);
        f->bound |= http_binds_connection(head, SPAN_LITERAL("WWW-Authenticate"));
        buf_queue_clear(&f->held, bufs_of(s));
    }
    /* Interim responses are unknown to HTTP/1.0 (RFC 9110 15.2). */
    if (!(interim && f->client_version == HTTP_VERSION_1_0) &&
        !write_response(s, head, !interim, &fault)) {
        if (!fault.what) {
            return session_end(s, CLOSE_NO_MEMORY);
        }
        return answer_instead(s, 502, fault.error, fault.what, CLOSE_BAD_RESPONSE);
    }
    buf_queue_consume(&s->server->rx, bufs_of(s), head->len);
    f->scan = (struct h1_scan){0};
    f->moved_ns = session_now(s);
    if (head->status == 101) {
        return begin_upgrade(s);
    }
    if (!interim) {
        h1_body_init(&f->down, head->framing, head->content_length);
        f->down.is_response = true;
        f->server_keep_alive = head->keep_alive && head->framing != HTTP_UNTIL_CLOSE;
        f->down_done = head->framing == HTTP_NO_BODY;
        f->phase = FORWARD_BODY;
    }
    /* It is not flushed yet: what is here of the body leaves with it. */
    return STEP_FORWARD;
}

static enum step read_response_head(struct session *s)
{
    static __thread struct http_head head;
    struct forward *f = s->forward;
    const struct config *config = session_config(s);
    const struct h1_limits limits = {config->limits.head_bytes, config->limits.line_bytes,
                                     config->limits.field_count};
    struct conn *server = s->server;

    while (f->phase == FORWARD_HEAD) {
        size_t want = server->rx.len < BUF_HEAD_CAP ? server->rx.len : BUF_HEAD_CAP;
        struct span bytes = buf_queue_gather(&server->rx, bufs_of(s), want);
        struct http_fault fault;
        enum h1_result result = h1_read_response(
            &head, &f->scan, bytes, span_from_string(f->exchange.method), &limits, &fault);
        enum step step;

        if (result == H1_BAD) {
            return answer_instead(s, fault.status, fault.error, fault.what, CLOSE_BAD_RESPONSE);
        }
        if (result == H1_MORE) {
            if (server->error || server->eof) {
                return server_failed(s, server->rx.len
                                            ? "the server ended in the middle of a response head"
                                            : "the server ended the connection without an answer");
            }
            conn_receive(server, config->limits.head_bytes + 1);
            return STEP_FORWARD;
        }
        step = take_response_head(s, &head);
        if (step != STEP_FORWARD) {
            return step;
        }
    }
    return STEP_FORWARD;
}

static void release_server(struct session *s)
{
    struct forward *f = s->forward;
    struct conn *server = s->server;
    bool clean = f->server_keep_alive && f->up_done && server->rx.len == 0 && !server->error &&
                 !server->eof && server->tx.len == 0 && !server->sending;

    if (clean && f->bound && f->client_keep_alive) {
        return; /* stays with this client */
    }
    s->server = NULL;
    if (clean && !f->bound && !s->worker->draining) {
        idle_put(s->worker->engine.idle, key_of(f), server);
    } else {
        conn_close(server, CONN_CLOSE_FLUSH);
    }
}

static enum step end_exchange(struct session *s)
{
    struct forward *f = s->forward;
    bool goes_on = f->client_keep_alive && f->up_done;

    release_server(s);
    conn_flush(s->client);
    if (!goes_on) {
        return session_end(s, CLOSE_ANSWERED);
    }
    log_exchange(f);
    return next_request(s);
}

static enum step pass_response_body(struct session *s)
{
    struct forward *f = s->forward;
    struct conn *server = s->server;
    struct http_fault fault;
    enum body_flow flow = BODY_ENDED;

    if (!f->down_done) {
        const struct body_way way = {.body = &f->down,
                                     .from = server,
                                     .to = s->client,
                                     .side = HEADER_TO_CLIENT,
                                     .chunked = f->down_chunked,
                                     .drops_trailers = !f->wants_trailers,
                                     .count = &f->exchange.response_bytes,
                                     .moved_ns = &f->moved_ns};
        flow = body_pass(s, &way, &fault);
    }
    switch (flow) {
    case BODY_ENDED:
        return end_exchange(s);
    case BODY_BROKEN:
        session_fault(s, fault.error, "%s", fault.what);
        f->answered = false; /* the client must not take what it has for the whole */
        return session_end(s, CLOSE_BAD_RESPONSE);
    case BODY_NO_MEMORY:
        return session_end(s, CLOSE_NO_MEMORY);
    case BODY_WAITS:
        break;
    }
    conn_flush(s->client);
    if (s->client->tx.len >= s->worker->engine.buffer_high) {
        s->client->tx_wake = s->worker->engine.buffer_low;
        return STEP_FORWARD;
    }
    if (server->rx.len == 0 && (server->eof || server->error)) {
        if (server->eof && !server->error && !server->truncated && h1_body_may_end_here(&f->down)) {
            return end_exchange(s);
        }
        session_fault(s, "http_response_incomplete",
                      "the server ended in the middle of a response body");
        f->answered = false;
        return session_end(s, CLOSE_SERVER_GONE);
    }
    conn_receive(server, s->worker->engine.buffer_high);
    return STEP_FORWARD;
}

static enum step take_dialled(struct session *s)
{
    struct forward *f = s->forward;
    struct route *route = &f->route;
    enum route_state state = route_look(route);

    if (state == ROUTE_PENDING) {
        return STEP_WAIT;
    }
    if (state == ROUTE_FAILED) {
        const char *error = route->error;
        uint16_t status = route->status;
        session_fault(s, error, "%s", route->text);
        route_end(route);
        return answer_instead(s, status, error, s->fault ? s->fault : "", CLOSE_DIAL_FAILED);
    }
    if (s->times.dial_begin == 0) {
        s->times.dial_begin = session_moment(s, route->begin_ns);
        s->times.resolved = session_moment(s, route->resolved_ns);
        s->times.connected = session_moment(s, route->end_ns);
    }
    s->server = route_take(route);
    f->dialled = route->address;
    s->upstream = route_upstream(route);
    f->place = route->place;
    f->bound |= route_is_personal(s, f->place);
    make_key(s);
    route_end(route);
    send_request(s);
    return STEP_FORWARD;
}

enum step forward_run(struct session *s)
{
    struct forward *f = s->forward;
    enum step step;

    if (s->client->error) {
        return session_end(s, CLOSE_CLIENT_GONE);
    }
    if (f->phase == FORWARD_DIALLING) {
        step = take_dialled(s);
        if (step != STEP_FORWARD) {
            return step;
        }
    }
    step = pass_request_body(s);
    if (step == STEP_FORWARD && f->phase == FORWARD_HEAD) {
        step = read_response_head(s);
    }
    if (step == STEP_FORWARD && f->phase == FORWARD_BODY) {
        step = pass_response_body(s);
    }
    if (step != STEP_FORWARD) {
        return step;
    }
    /* Also when the request was read: a client that goes away is noticed. */
    conn_receive(s->client,
                 f->up_done ? session_config(s)->limits.head_bytes : s->worker->engine.buffer_high);
    return STEP_WAIT;
}

enum step forward_timed_out(struct session *s)
{
    struct forward *f = s->forward;
    const struct config *config = session_config(s);
    int64_t sent_ns = session_sent_ns(s);
    /* What was moved leaves with its sends, of which the last ones may take long. */
    int64_t moved_ns = sent_ns > f->moved_ns ? sent_ns : f->moved_ns;

    if (session_send_is_stalled(s)) {
        return session_end(s, CLOSE_SEND_STALLED);
    }
    if (session_now(s) - moved_ns >= config->limits.tunnel_idle_ms * NS_PER_MS) {
        if (f->phase != FORWARD_BODY) {
            return answer_instead(s, 504, "http_response_timeout",
                                  "the server did not answer in time", CLOSE_SERVER_TIMEOUT);
        }
        session_fault(s, "http_response_timeout", "the server stopped in a response body");
        f->answered = false; /* the client must not take what it has for the whole */
        return session_end(s, CLOSE_SERVER_TIMEOUT);
    }
    session_set_deadline(s, config->limits.send_stall_ms);
    return STEP_WAIT;
}
