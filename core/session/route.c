/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/route.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/session/destination.h"
#include "core/session/proxy_protocol.h"
#include "core/session/session_steps.h"
#include "core/session/socks.h"
#include "http/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TEXT_MAX = 480,             /* bytes of the sentence that names every proxy that failed */
    REASON_MAX = 240,           /* of one of them */
    INTERIM_RESPONSES_MAX = 16, /* 1xx before the answer to CONNECT */
    CONNECT_MAX = 2048,         /* bytes of a CONNECT with its credentials */
};

enum chain_phase {
    CHAIN_DIALS,
    CHAIN_TLS,    /* handshake with the proxy itself */
    CHAIN_HTTP,   /* CONNECT was sent */
    CHAIN_METHOD, /* SOCKS: the greeting was sent */
    CHAIN_AUTH,   /* the password was sent */
    CHAIN_REPLY,  /* the request was sent */
};

/* Whose fault is a failure? */
enum blame {
    BLAME_PROXY,  /* avoid it for a while; try the next */
    BLAME_TARGET, /* the next may reach it */
    BLAME_NOBODY, /* so it is to be: no other is asked */
};

/* What a route through proxies needs besides. */
struct route_chain {
    struct route *route;
    struct actor self;
    struct timer timer;        /* for the talk with the proxy */
    struct upstream_via order; /* to be tried */
    uint8_t next;
    enum chain_phase phase;
    struct conn *conn; /* to the proxy, not open for us yet */
    struct h1_scan scan;
    uint8_t interim_count;
    bool forwards_http;
    bool has_spoken;   /* the proxy has shown that it is alive */
    const char *error; /* of the failure that is told, when none is left */
    uint16_t status;
    bool target_failed; /* that one is about the target, which is more than one about a proxy */
    size_t text_len;
    char text[TEXT_MAX + 1];
};

static struct upstreams *upstreams_of(const struct session *s)
{
    return s->hold->snapshot->upstreams;
}

static const struct upstream_proxy *proxy_of(const struct route *r)
{
    return &upstreams_of(r->session)->proxies[r->place];
}

const char *route_upstream(const struct route *r)
{
    return r->place == UPSTREAM_DIRECT ? NULL : proxy_of(r)->config->name;
}

static uint16_t dial_status(enum dial_error error)
{
    switch (error) {
    case DIAL_PROHIBITED:
        return 403;
    case DIAL_TIMEOUT:
    case DIAL_DNS_TIMEOUT:
        return 504;
    case DIAL_LIMIT:
        return 503;
    default:
        return 502;
    }
}

/* ---- the PROXY protocol ---- */

static enum send_proxy_protocol header_for(const struct session *s, uint8_t place)
{
    return place == UPSTREAM_DIRECT ? session_listener(s)->send_proxy_protocol
                                    : upstreams_of(s)->proxies[place].config->send_proxy_protocol;
}

bool route_is_personal(const struct session *s, uint8_t place)
{
    return header_for(s, place) != SEND_PROXY_OFF;
}

bool route_takes_urls(const struct session *s, uint8_t place)
{
    return place != UPSTREAM_DIRECT &&
           upstreams_of(s)->proxies[place].config->url.scheme != UPSTREAM_SOCKS5;
}

/* Queues the first bytes on a connection that is to say whose it is. Without memory for them the
 * conn carries the error. */
static void announce_client(const struct route *r, struct conn *c)
{
    const struct session *s = r->session;
    enum send_proxy_protocol how = header_for(s, r->place);
    struct address original;
    const struct address *to = session_original(s, &original) ? &original : &c->peer;
    const char *sni = session_sni(s);
    const struct proxy_header_options options = {.authority = span_from_string(sni ? sni : "")};
    char memory[PROXY_HEADER_WRITE_MAX];
    struct text t = text_make(memory, sizeof(memory));

    if (how == SEND_PROXY_OFF) {
        return;
    }
    if (how == SEND_PROXY_V1) {
        proxy_header_write_v1(&t, session_client(s), to);
    } else {
        proxy_header_write_v2(&t, session_client(s), to, &options);
    }
    if (!conn_write(c, text_view(&t))) {
        actor_ready(c->owner);
    }
}

/* ---- the ends ---- */

static void finish(struct route *r, struct conn *c)
{
    r->state = ROUTE_DONE;
    r->end_ns = session_now(r->session);
    r->conn = c;
    r->address = c->peer;
    conn_set_owner(c, &r->session->actor);
    conn_flush(c); /* a server that speaks first may wait for the PROXY header */
}

static void fail(struct route *r, const char *error, uint16_t status, const char *text)
{
    r->state = ROUTE_FAILED;
    r->end_ns = session_now(r->session);
    r->error = error;
    r->status = status;
    r->text = text;
}

static struct dial *dial_target(struct route *r, struct actor *owner)
{
    const struct session *s = r->session;
    const struct dial_options options = {
        .host = span_from_string(s->target),
        .port = s->port,
        .allow_private = destination_may_be_private(s),
        .connect_ms = session_config(s)->limits.connect_ms,
        .source = session_listener(s)->spoof ? &s->client->peer : NULL,
    };

    return dial_new(&s->worker->engine, &options, owner);
}

static struct dial *dial_proxy(struct route *r, struct actor *owner)
{
    const struct session *s = r->session;
    const struct config_url *url = &proxy_of(r)->config->url;
    const struct dial_options options = {
        .host = span_from_string(url->host),
        .port = url->port,
        .allow_private = true, /* whoever wrote the configuration has named it */
        .connect_ms = session_config(s)->limits.connect_ms,
    };

    return dial_new(&s->worker->engine, &options, owner);
}

/* ---- through proxies: the next one ---- */

static void chain_done(struct route_chain *chain)
{
    struct route *r = chain->route;
    struct session *s = r->session;
    struct conn *c = chain->conn;

    chain->conn = NULL;
    timer_clear(&s->worker->engine.timers, &chain->timer);
    finish(r, c);
    actor_ready(&s->actor);
    if (r->place != UPSTREAM_DIRECT && upstream_mark_working(upstreams_of(s), r->place)) {
        log_write(LOG_INFO, "upstream proxy %s works again", proxy_of(r)->config->name);
    }
}

static void chain_failed(struct route_chain *chain)
{
    timer_clear(&chain->route->session->worker->engine.timers, &chain->timer);
    fail(chain->route, chain->error, chain->status, chain->text);
    actor_ready(&chain->route->session->actor);
}

static void next_way(struct route_chain *chain);

/* next: what is used instead; the same place: nothing. */
static void log_failed(const struct session *s, uint8_t place, const char *reason, uint8_t next)
{
    const struct upstreams *upstreams = upstreams_of(s);
    bool is_alone = next == place;

    log_write(LOG_WARN, "upstream proxy %s failed: %s; %s%s", upstream_name(upstreams, place),
              reason, is_alone ? "there is no other to use" : "using instead: ",
              is_alone ? "" : upstream_name(upstreams, next));
}

void route_blame(struct session *s, uint8_t place, const char *reason)
{
    struct upstreams *upstreams = upstreams_of(s);

    if (upstream_mark_failed(upstreams, place, session_now(s))) {
        log_failed(s, place, reason, upstreams_first(upstreams, s->via, session_now(s)));
    }
}

static void way_failed(struct route_chain *chain, enum blame blame, const char *error,
                       uint16_t status, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* This way is none: says why, and tries the next. */
static void way_failed(struct route_chain *chain, enum blame blame, const char *error,
                       uint16_t status, const char *format, ...)
{
    struct route *r = chain->route;
    const struct session *s = r->session;
    struct text t = text_make(chain->text + chain->text_len, TEXT_MAX - chain->text_len);
    char reason[REASON_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    text_string(&t, chain->text_len ? "; " : "");
    text_string(&t, r->place == UPSTREAM_DIRECT ? "" : "upstream proxy ");
    text_string(&t, upstream_name(upstreams_of(s), r->place));
    text_string(&t, ": ");
    text_string(&t, reason);
    chain->text_len += t.len;
    chain->text[chain->text_len] = '\0';
    if (chain->conn) {
        /* After TLS has failed there is an alert to be sent. */
        conn_close(chain->conn, chain->phase == CHAIN_TLS ? CONN_CLOSE_FLUSH : CONN_CLOSE_NOW);
        chain->conn = NULL;
    }
    if (blame != BLAME_PROXY || !chain->target_failed) {
        chain->error = error;
        chain->status = status;
        chain->target_failed = blame != BLAME_PROXY;
    }
    bool is_last = chain->next == chain->order.count;
    if (blame == BLAME_PROXY && r->place != UPSTREAM_DIRECT &&
        upstream_mark_failed(upstreams_of(s), r->place, session_now(s))) {
        log_failed(s, r->place, reason, is_last ? r->place : chain->order.places[chain->next]);
    }
    if (blame == BLAME_NOBODY || is_last) {
        chain_failed(chain);
        return;
    }
    next_way(chain);
}

static void no_memory(struct route_chain *chain)
{
    way_failed(chain, BLAME_NOBODY, "proxy_internal_error", 503, "memory is exhausted");
}

static void next_way(struct route_chain *chain)
{
    struct route *r = chain->route;
    const struct session *s = r->session;
    const char *refusal;

    r->place = chain->order.places[chain->next++];
    r->resolved_ns = 0;
    chain->phase = CHAIN_DIALS;
    chain->has_spoken = false;
    timer_clear(&s->worker->engine.timers, &chain->timer);
    if (r->place == UPSTREAM_DIRECT) {
        r->dial = dial_target(r, &chain->self);
    } else {
        /* An address that may not be reached must not be reached through somebody else either. */
        refusal = destination_refusal(s);
        if (refusal) {
            way_failed(chain, BLAME_NOBODY, dial_error_type(DIAL_PROHIBITED), 403,
                       "%s is a %s, and such destinations are not allowed", s->target, refusal);
            return;
        }
        r->dial = dial_proxy(r, &chain->self);
    }
    if (!r->dial) {
        way_failed(chain, BLAME_NOBODY, "connection_limit_reached", 503,
                   "too many connections are being opened at the moment");
        return;
    }
    actor_ready(&chain->self); /* its state may be final already */
}

/* ---- the talk with a proxy ---- */

static bool send_text(struct route_chain *chain, const struct text *t)
{
    if (t->overflow || !conn_write(chain->conn, text_view(t))) {
        no_memory(chain);
        return false;
    }
    conn_flush(chain->conn);
    return true;
}

static void send_connect(struct route_chain *chain)
{
    const struct session *s = chain->route->session;
    const struct upstream_proxy *proxy = proxy_of(chain->route);
    char memory[CONNECT_MAX];
    char authority_memory[HTTP_HOST_MAX + 16];
    struct text authority = text_make(authority_memory, sizeof(authority_memory));
    struct text t = text_make(memory, sizeof(memory));

    authority_write(&authority, s->target, s->port);
    text_string(&t, "CONNECT ");
    text_bytes(&t, text_view(&authority));
    text_string(&t, " HTTP/1.1\r\nHost: ");
    text_bytes(&t, text_view(&authority));
    text_string(&t, "\r\n");
    if (proxy->authorization) {
        text_printf(&t, "Proxy-Authorization: %s\r\n", proxy->authorization);
    }
    text_string(&t, "\r\n");
    chain->phase = CHAIN_HTTP;
    chain->scan = (struct h1_scan){0};
    chain->interim_count = 0;
    send_text(chain, &t);
    explicit_bzero(memory, sizeof(memory));
}

static void send_greeting(struct route_chain *chain)
{
    char memory[SOCKS_BYTES_MAX];
    struct text t = text_make(memory, sizeof(memory));

    chain->phase = CHAIN_METHOD;
    socks_write_greeting(&t, proxy_of(chain->route)->user.len > 0);
    send_text(chain, &t);
}

static void send_auth(struct route_chain *chain)
{
    const struct upstream_proxy *proxy = proxy_of(chain->route);
    char memory[SOCKS_BYTES_MAX];
    struct text t = text_make(memory, sizeof(memory));

    chain->phase = CHAIN_AUTH;
    socks_write_auth(&t, proxy->user, proxy->password);
    send_text(chain, &t);
    explicit_bzero(memory, sizeof(memory));
}

static void send_socks_connect(struct route_chain *chain)
{
    const struct session *s = chain->route->session;
    char memory[SOCKS_BYTES_MAX];
    struct text t = text_make(memory, sizeof(memory));

    chain->phase = CHAIN_REPLY;
    socks_write_connect(&t, span_from_string(s->target), s->port);
    send_text(chain, &t);
}

/* The connection to the proxy stands, with its TLS if it has that. */
static void begin_talk(struct route_chain *chain)
{
    struct route *r = chain->route;

    if (proxy_of(r)->config->url.scheme == UPSTREAM_SOCKS5) {
        send_greeting(chain);
    } else if (chain->forwards_http) {
        chain_done(chain);
    } else {
        send_connect(chain);
    }
}

static void begin_tls(struct route_chain *chain)
{
    const struct session *s = chain->route->session;
    const struct upstream_proxy *proxy = proxy_of(chain->route);
    struct span host = span_from_string(proxy->config->url.host);
    struct address address;
    bool is_ip = address_parse_ip(&address, host, 0);
    const struct tls_connect_options options = {
        .sni = is_ip ? span_make(NULL, 0) : host,
        .verify_name = host,
        .verify_name_is_ip = is_ip,
        .alpn_offers = SPAN_LITERAL("\x08http/1.1"),
        .tickets = s->worker->tickets,
        .ticket_key = proxy->ticket_key,
    };

    chain->phase = CHAIN_TLS;
    if (!conn_start_transport(chain->conn, s->hold->snapshot->tls, &options)) {
        no_memory(chain);
        return;
    }
    actor_ready(&chain->self);
}

static void look_at_dial(struct route_chain *chain)
{
    struct route *r = chain->route;
    struct session *s = r->session;
    struct dial *dial = r->dial;
    enum dial_error error = dial->error;
    char text[sizeof(dial->text)];

    if (dial->state == DIAL_PENDING) {
        return;
    }
    r->dial = NULL;
    r->resolved_ns = dial->resolved_ns;
    if (dial->state == DIAL_FAILED) {
        memcpy(text, dial->text, sizeof(text));
        dial_free(dial);
        way_failed(chain,
                   error == DIAL_PROHIBITED || error == DIAL_LIMIT ? BLAME_NOBODY : BLAME_PROXY,
                   dial_error_type(error), dial_status(error), "%s", text);
        return;
    }
    chain->conn = dial_take(dial);
    dial_free(dial);
    announce_client(r, chain->conn);
    if (r->place == UPSTREAM_DIRECT) {
        chain_done(chain);
        return;
    }
    timer_set(&s->worker->engine.timers, &chain->timer,
              session_now(s) + session_config(s)->limits.handshake_ms * NS_PER_MS);
    if (proxy_of(r)->config->url.scheme == UPSTREAM_HTTPS) {
        begin_tls(chain);
    } else {
        begin_talk(chain);
    }
}

static void shake_hands(struct route_chain *chain)
{
    const struct tls_fault *fault;

    switch (conn_shake_transport(chain->conn)) {
    case TLS_HANDSHAKING:
        break;
    case TLS_OPEN:
    case TLS_CLOSED:
        chain->has_spoken = true;
        begin_talk(chain);
        break;
    case TLS_FAILED:
        fault = tls_engine_fault(chain->conn->transport->tls);
        way_failed(chain, BLAME_PROXY,
                   fault->verify != VERIFY_OK ? "tls_certificate_error" : "tls_protocol_error", 502,
                   "%s", fault->text);
        break;
    }
}

static void refused_by_status(struct route_chain *chain, uint16_t status)
{
    const char *reason = http_reason(status);

    switch (status) {
    case 407:
        way_failed(chain, BLAME_PROXY, "proxy_configuration_error", 502,
                   proxy_of(chain->route)->authorization
                       ? "it does not accept the credentials that are configured for it (407)"
                       : "it asks for credentials (407), and none are configured for it");
        return;
    case 502:
    case 504:
        way_failed(chain, BLAME_TARGET,
                   status == 504 ? "connection_timeout" : "destination_unavailable", status,
                   "it answered %u %s to CONNECT", status, reason);
        return;
    default:
        break;
    }
    if (status >= 500) {
        way_failed(chain, BLAME_PROXY, "destination_unavailable", status == 503 ? 503 : 502,
                   "it answered %u %s to CONNECT", status, reason);
    } else {
        way_failed(chain, BLAME_NOBODY,
                   status == 403   ? "http_request_denied"
                   : status == 404 ? "destination_not_found"
                                   : "http_request_error",
                   status == 403 ? 403 : 502, "it answered %u %s to CONNECT", status, reason);
    }
}

static void read_connect_answer(struct route_chain *chain)
{
    static __thread struct http_head head; /* used within this call only */
    const struct h1_limits limits = head_limits(chain->route->session);
    struct buf_cache *bufs = bufs_of(chain->route->session);
    struct conn *c = chain->conn;

    while (c->rx.len) {
        size_t want = c->rx.len < BUF_HEAD_CAP ? c->rx.len : BUF_HEAD_CAP;
        struct span bytes = buf_queue_gather(&c->rx, bufs, want);
        struct http_fault fault;
        enum h1_result result;
        if (bytes.len < want) {
            no_memory(chain);
            return;
        }
        result =
            h1_read_response(&head, &chain->scan, bytes, SPAN_LITERAL("CONNECT"), &limits, &fault);
        if (result == H1_MORE) {
            return;
        }
        if (result == H1_BAD) {
            way_failed(chain, BLAME_PROXY, "http_protocol_error", 502,
                       "its answer to CONNECT is no HTTP response: %s (at byte %zu)", fault.what,
                       fault.offset);
            return;
        }
        if (head.status >= 300) {
            refused_by_status(chain, head.status);
            return;
        }
        bool is_final = head.status >= 200;
        buf_queue_consume(&c->rx, bufs, head.len);
        chain->scan = (struct h1_scan){0};
        if (is_final) {
            chain_done(chain);
            return;
        }
        if (head.status == 101 || ++chain->interim_count > INTERIM_RESPONSES_MAX) {
            way_failed(chain, BLAME_PROXY, "http_protocol_error", 502,
                       "it answers CONNECT with interim (1xx) responses alone");
            return;
        }
    }
}

static void refused_by_reply(struct route_chain *chain, const struct socks_fault *fault)
{
    switch (fault->reply) {
    case SOCKS_REPLY_NOT_ALLOWED:
        way_failed(chain, BLAME_NOBODY, "http_request_denied", 403, "%s", fault->what);
        break;
    case SOCKS_REPLY_TTL_EXPIRED:
        way_failed(chain, BLAME_TARGET, "connection_timeout", 504, "%s", fault->what);
        break;
    case SOCKS_REPLY_REFUSED:
        way_failed(chain, BLAME_TARGET, "connection_refused", 502, "%s", fault->what);
        break;
    case SOCKS_REPLY_NETWORK_UNREACHABLE:
    case SOCKS_REPLY_HOST_UNREACHABLE:
        way_failed(chain, BLAME_TARGET, "destination_ip_unroutable", 502, "%s", fault->what);
        break;
    default:
        way_failed(chain, BLAME_TARGET, "destination_unavailable", 502, "%s", fault->what);
        break;
    }
}

static void read_socks(struct route_chain *chain)
{
    struct buf_cache *bufs = bufs_of(chain->route->session);
    struct conn *c = chain->conn;
    size_t want = c->rx.len < SOCKS_BYTES_MAX ? c->rx.len : SOCKS_BYTES_MAX;
    struct span bytes = buf_queue_gather(&c->rx, bufs, want);
    enum socks_method method = SOCKS_METHOD_NONE;
    struct socks_reply reply = {.len = 0};
    enum socks_result result = SOCKS_MORE;
    struct socks_fault fault;
    size_t len = 0;

    if (bytes.len < want) {
        no_memory(chain);
        return;
    }
    if (bytes.len == 0) {
        return;
    }
    switch (chain->phase) {
    case CHAIN_METHOD:
        result = socks_parse_method(bytes, proxy_of(chain->route)->user.len > 0, &method, &fault);
        len = SOCKS_METHOD_BYTES;
        break;
    case CHAIN_AUTH:
        result = socks_parse_auth_status(bytes, &fault);
        len = SOCKS_AUTH_STATUS_BYTES;
        break;
    default:
        result = socks_parse_reply(bytes, &reply, &fault);
        len = reply.len;
        break;
    }
    if (result == SOCKS_MORE) {
        return;
    }
    if (result == SOCKS_BAD) {
        /* A code in its place is an answer about the target, anything else no answer at all. */
        if (chain->phase == CHAIN_REPLY && bytes.len >= 2 && bytes.data[0] == 5 &&
            fault.reply == bytes.data[1]) {
            refused_by_reply(chain, &fault);
        } else {
            way_failed(chain, BLAME_PROXY,
                       chain->phase == CHAIN_REPLY ? "destination_unavailable"
                                                   : "proxy_configuration_error",
                       502, "%s", fault.what);
        }
        return;
    }
    buf_queue_consume(&c->rx, bufs, len);
    chain->has_spoken = true;
    if (chain->phase == CHAIN_REPLY) {
        chain_done(chain);
    } else if (chain->phase == CHAIN_METHOD && method == SOCKS_METHOD_PASSWORD) {
        send_auth(chain);
    } else {
        send_socks_connect(chain);
    }
}

/* What the proxy said so far; the state, the phase or the proxy may be another one afterwards. */
static void hear_proxy(struct route_chain *chain)
{
    switch (chain->phase) {
    case CHAIN_DIALS:
        look_at_dial(chain);
        break;
    case CHAIN_TLS:
        shake_hands(chain);
        break;
    case CHAIN_HTTP:
        read_connect_answer(chain);
        break;
    case CHAIN_METHOD:
    case CHAIN_AUTH:
    case CHAIN_REPLY:
        read_socks(chain);
        break;
    }
}

static void run_chain(struct actor *actor)
{
    struct route_chain *chain = CONTAINER_OF(actor, struct route_chain, self);
    struct route *r = chain->route;
    enum chain_phase phase;
    struct conn *c;

    do {
        if (r->state != ROUTE_PENDING) {
            return;
        }
        phase = chain->phase;
        c = chain->conn;
        hear_proxy(chain);
    } while (chain->phase != phase || chain->conn != c);
    if (r->state != ROUTE_PENDING || !c) {
        return; /* the dial has its own time */
    }
    if (c->error || c->eof) {
        way_failed(chain, BLAME_PROXY, "connection_terminated", 502,
                   c->error ? "the connection to it broke: %s"
                            : "it ended the connection without an answer",
                   strerror(c->error));
    } else if (chain->timer.fired) {
        /* One that has answered so far may be waiting for the target itself. */
        way_failed(chain, chain->has_spoken ? BLAME_TARGET : BLAME_PROXY, "connection_timeout", 504,
                   "it did not answer in time");
    } else {
        conn_receive(c, HANDSHAKE_BYTES_MAX);
    }
}

/* ---- life ---- */

static bool is_only_direct(const struct upstream_via *via)
{
    return via->count == 1 && via->places[0] == UPSTREAM_DIRECT;
}

static bool begin_chain(struct route *r, const struct upstream_via *via, bool forwards_http)
{
    struct session *s = r->session;
    struct route_chain *chain = calloc(1, sizeof(*chain));

    if (!chain) {
        return false;
    }
    r->chain = chain;
    chain->route = r;
    chain->forwards_http = forwards_http;
    chain->order = upstreams_order(upstreams_of(s), via, r->begin_ns);
    actor_init(&chain->self, &s->worker->engine.ready, run_chain);
    timer_init(&chain->timer, &chain->self);
    next_way(chain);
    return true;
}

bool route_begin(struct route *r, struct session *s, const struct upstream_via *via,
                 bool forwards_http)
{
    ASSERT(!route_is_begun(r));
    *r = (struct route){.session = s, .begin_ns = session_now(s), .place = UPSTREAM_DIRECT};
    if (is_only_direct(via)) {
        r->dial = dial_target(r, &s->actor);
    }
    if (!r->dial && (is_only_direct(via) || !begin_chain(r, via, forwards_http))) {
        r->session = NULL;
    }
    return route_is_begun(r);
}

enum route_state route_look(struct route *r)
{
    struct dial *dial = r->dial;

    if (r->chain || r->state != ROUTE_PENDING || dial->state == DIAL_PENDING) {
        return r->state;
    }
    r->resolved_ns = dial->resolved_ns;
    if (dial->state == DIAL_FAILED) {
        fail(r, dial_error_type(dial->error), dial_status(dial->error), dial->text);
    } else {
        struct conn *c = dial_take(dial);
        announce_client(r, c);
        finish(r, c);
    }
    r->end_ns = dial->end_ns;
    return r->state;
}

struct conn *route_take(struct route *r)
{
    struct conn *c = r->conn;

    ASSERT(r->state == ROUTE_DONE && c);
    r->conn = NULL;
    return c;
}

void route_end(struct route *r)
{
    struct route_chain *chain = r->chain;

    if (r->dial) {
        dial_free(r->dial);
    }
    if (r->conn) {
        conn_close(r->conn, CONN_CLOSE_RESET);
    }
    if (chain) {
        if (chain->conn) {
            conn_close(chain->conn, CONN_CLOSE_RESET);
        }
        timer_clear(&r->session->worker->engine.timers, &chain->timer);
        actor_fini(&chain->self);
        free(chain);
    }
    *r = (struct route){.session = NULL};
}
