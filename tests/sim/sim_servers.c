/* SPDX-License-Identifier: Apache-2.0 */
/* What the servers of a world do. */
#include "core/base/clock.h"
#include "core/engine/address.h"
#include "tests/sim/resolve_sim.h"
#include "tests/sim/sim_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* An address and port that somebody listens on. */
struct server {
    struct world *world;
    const struct host *host;
    struct visit *visit; /* of a raw host */
    uint16_t port;
    enum way_kind way; /* not WAY_DIRECT: a proxy, which has no host */
    bool is_bad;
};

struct server_conn {
    struct world *world;
    struct server *server;
    struct wire *wire;
    struct message message;
    struct exchange *exchange; /* being served */
    struct visit *visit;       /* of raw bytes */
    bool answering;
    bool answered; /* to what was read last */
    bool raw;
    bool takes_urls; /* an HTTP proxy: requests come in absolute-form */
    struct past past;
    uint8_t socks_step; /* messages of SOCKS that were answered */
};

static struct server servers[256];
static size_t server_count;
static struct server_conn *conns[4096];
static size_t conn_count;

static struct exchange *find_exchange(struct world *world, uint32_t id)
{
    for (size_t c = 0; c < world->client_count; c++) {
        for (size_t v = 0; v < world->clients[c].visit_count; v++) {
            struct visit *visit = &world->clients[c].visits[v];
            for (size_t x = 0; x < visit->exchange_count; x++) {
                if (visit->exchanges[x].id == id) {
                    return &visit->exchanges[x];
                }
            }
        }
    }
    return NULL;
}

/* ---- raw bytes ---- */

static void raw_send_all(struct server_conn *s)
{
    struct visit *v = s->visit;
    size_t len = v->down_len;
    uint8_t *memory;

    if (v->server_began) {
        return;
    }
    v->server_began = true;
    if (v->end == RAW_SERVER_RESETS && len > v->stop_at) {
        len = v->stop_at;
    }
    memory = malloc(len + 1);
    ASSERT(memory);
    pattern_fill(v->id * 2 + 1, 0, memory, len);
    wire_send(s->wire, span_make(memory, len));
    free(memory);
    if (v->end == RAW_SERVER_RESETS) {
        wire_reset(s->wire);
    } else if (v->end != RAW_IDLE) {
        wire_finish(s->wire);
    }
}

static void raw_data(struct server_conn *s)
{
    struct visit *v = s->visit;
    struct wire *w = s->wire;
    size_t lead = v->up_seen < v->lead_len ? v->lead_len - v->up_seen : 0;

    lead = lead < w->in.len ? lead : w->in.len;
    if (lead && memcmp(w->in.data, v->lead + v->up_seen, lead) != 0) {
        world_fail(s->world, v, "the server got a wrong byte near %zu", v->up_seen);
    }
    size_t rest = w->in.len - lead;
    size_t right = pattern_match(v->id * 2, v->up_seen + lead, span_make(w->in.data + lead, rest));
    if (right != rest) {
        world_fail(s->world, v, "the server got a wrong byte at %zu", v->up_seen + lead + right);
    }
    v->up_seen += w->in.len;
    bytes_consume(&w->in, w->in.len);
    if (v->up_seen > v->up_len) {
        world_fail(s->world, v, "the server got %zu bytes of %zu", v->up_seen, v->up_len);
    }
    if (v->end == RAW_SERVER_STALLS && v->up_seen >= v->stop_at) {
        w->silent = true;
        return;
    }
    if (v->end != RAW_CLIENT_FIRST) {
        raw_send_all(s);
    }
}

static void raw_end(struct server_conn *s)
{
    struct visit *v = s->visit;

    if (s->wire->clean_end && v->up_seen != v->up_len && !v->may_cut) {
        world_fail(s->world, v, "the server saw a clean end after %zu bytes of %zu", v->up_seen,
                   v->up_len);
    }
    raw_send_all(s);
    wire_close(s->wire);
}

static void begin_raw(struct server_conn *s, struct visit *v)
{
    s->raw = true;
    s->visit = v;
    if (v->waits || v->end == RAW_SERVER_FIRST) {
        raw_send_all(s);
    }
}

/* ---- HTTP ---- */

static void next_message(struct server_conn *s);

static void send_text(struct wire *w, const char *text)
{
    wire_send(w, span_from_string(text));
}

static void send_body(struct server_conn *s, const struct exchange *x, size_t len, bool chunked)
{
    uint8_t *memory = malloc(len + 1);
    struct bytes all = {NULL, 0, 0};
    size_t at = 0;

    ASSERT(memory);
    pattern_fill(x->id * 2 + 1, 0, memory, len);
    while (at < len) {
        size_t piece = len - at;
        char head[32];
        if (chunked) {
            piece = 1 + world_below(s->world, piece > 9000 ? 9000 : piece);
            snprintf(head, sizeof(head), at % 2 ? "%zx\r\n" : "%zX;ext=1\r\n", piece);
            bytes_append(&all, span_from_string(head));
        }
        bytes_append(&all, span_make(memory + at, piece));
        if (chunked) {
            bytes_append(&all, SPAN_LITERAL("\r\n"));
        }
        at += piece;
    }
    wire_send(s->wire, span_make(all.data, all.len));
    bytes_free(&all);
    free(memory);
}

static void idle_fin(void *context)
{
    struct server_conn *s = context;

    if (!wire_is_over(s->wire) && !s->exchange && s->message.phase == MESSAGE_HEAD &&
        s->wire->in.len == 0) {
        wire_close(s->wire);
    }
}

static bool is_last_of_visit(const struct exchange *x)
{
    return x == &x->visit->exchanges[x->visit->exchange_count - 1];
}

/* Between visits: the next one must not fail by it. */
static void end_between_visits(void *context)
{
    struct server_conn *s = context;

    if (wire_is_over(s->wire) || s->exchange || s->message.phase != MESSAGE_HEAD ||
        s->wire->in.len || !s->past.last || !is_last_of_visit(s->past.last)) {
        return;
    }
    if (world_chance(s->world, 30)) {
        s->past.last->visit->strict = false; /* what is on its way to it is lost */
        s->past.last->may_repeat = s->past.last == s->past.taken_for;
        wire_reset(s->wire);
    } else {
        wire_close(s->wire);
    }
}

static bool is_head(const struct exchange *x)
{
    return strcmp(x->method, "HEAD") == 0;
}

static void send_head(struct server_conn *s, const struct exchange *x, const char *framing)
{
    char head[512];

    snprintf(head, sizeof(head),
             "HTTP/1.1 200 Fine\r\nX-Id: %u\r\nServer: sim\r\nDate: Fri, 15 Jan 2027 08:00:00 "
             "GMT\r\n%s%s\r\n",
             x->id, framing, x->server_closes ? "Connection: close\r\n" : "");
    send_text(s->wire, head);
}

/* Half of the body. */
static void send_half(struct server_conn *s, const struct exchange *x, bool open)
{
    char framing[64];

    snprintf(framing, sizeof(framing), "Content-Length: %zu\r\n", x->down_len);
    send_head(s, x, open ? "" : framing);
    send_body(s, x, x->down_len / 2, false);
}

/* True when the connection may go on. */
static bool answer_well(struct server_conn *s, struct exchange *x)
{
    struct wire *w = s->wire;
    char text[512];

    switch (x->answer) {
    case ANSWER_CHUNKED:
        send_head(s, x, "Transfer-Encoding: chunked\r\n");
        if (!is_head(x)) {
            send_body(s, x, x->down_len, true);
            send_text(w, x->id % 3 ? "0\r\n\r\n" : "0\r\nX-Sum: 1\r\n\r\n");
        }
        return true;
    case ANSWER_UNTIL_CLOSE:
        send_head(s, x, "");
        if (!is_head(x)) {
            send_body(s, x, x->down_len, false);
        }
        wire_close(w);
        return false;
    case ANSWER_EMPTY:
        snprintf(text, sizeof(text), "HTTP/1.1 204 Nothing\r\nX-Id: %u\r\n%s\r\n", x->id,
                 x->server_closes ? "Connection: close\r\n" : "");
        send_text(w, text);
        return true;
    case ANSWER_UPGRADE:
        snprintf(text, sizeof(text),
                 "HTTP/1.1 101 Switched\r\nX-Id: %u\r\nConnection: upgrade\r\nUpgrade: sim\r\n\r\n",
                 x->id);
        send_text(w, text);
        begin_raw(s, x->visit);
        return true;
    default:
        snprintf(text, sizeof(text), "Content-Length: %zu\r\n", x->down_len);
        send_head(s, x, text);
        if (!is_head(x)) {
            send_body(s, x, x->down_len, false);
        }
        return true;
    }
}

static void answer_badly(struct server_conn *s, struct exchange *x)
{
    struct wire *w = s->wire;

    switch (x->answer) {
    case ANSWER_NONE:
        wire_close(w);
        break;
    case ANSWER_CUT:
        send_half(s, x, false);
        wire_close(w);
        break;
    case ANSWER_RESET:
    case ANSWER_OPEN_RESET:
        send_half(s, x, x->answer == ANSWER_OPEN_RESET);
        wire_reset(w);
        break;
    case ANSWER_STALL:
    case ANSWER_OPEN_STALL:
        send_half(s, x, x->answer == ANSWER_OPEN_STALL);
        break;
    case ANSWER_GARBAGE:
        send_text(w, "NOTHTTP what is this\r\n\r\n");
        break;
    case ANSWER_BAD_CHUNK:
        send_head(s, x, "Transfer-Encoding: chunked\r\n");
        send_text(w, "zz\r\nnonsense\r\n");
        break;
    case ANSWER_INTERIMS:
        for (int i = 0; i < 20; i++) {
            send_text(w, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        }
        break;
    case ANSWER_UNASKED_101:
        send_text(w, "HTTP/1.1 101 Switched\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        break;
    default:
        break; /* silence */
    }
}

static void answer(void *context)
{
    struct server_conn *s = context;
    struct exchange *x = s->exchange;
    bool goes_on;

    s->answering = false;
    if (wire_is_over(s->wire) || s->wire->fin_wanted) {
        return; /* it came behind our last word */
    }
    if (x->may_repeat && s->wire->in.len) {
        world_fail(s->world, x->visit, "more came behind request %u, which may have to be repeated",
                   x->id);
    }
    if (s->world->is_kind && x->answer != ANSWER_NONE && x->answer != ANSWER_SILENCE) {
        x->may_repeat = false;
    }
    for (int i = 0; i < x->interims; i++) {
        char text[128];
        snprintf(text, sizeof(text),
                 "HTTP/1.1 103 Early Hints\r\nX-Id: %u\r\nLink: </style.css>; rel=preload\r\n\r\n",
                 x->id);
        send_text(s->wire, text);
    }
    s->answered = true;
    if (x->answer >= ANSWER_GOOD_COUNT) {
        answer_badly(s, x);
        return;
    }
    goes_on = answer_well(s, x);
    if (s->raw || !goes_on) {
        return;
    }
    if (x->server_closes) {
        wire_close(s->wire);
        return;
    }
    if (s->message.phase == MESSAGE_DONE) {
        s->exchange = NULL;
        message_init(&s->message, true);
        next_message(s);
        if (s->world->idle_fins) {
            sim_after(s->world->sim, (int64_t)world_below(s->world, 2 * NS_PER_S), idle_fin, s);
        } else if (s->world->revisits && world_chance(s->world, 30)) {
            sim_after(s->world->sim, (int64_t)world_below(s->world, 2 * NS_PER_S),
                      end_between_visits, s);
        }
    }
}

/* Origin-form for the server, absolute-form and credentials for a proxy, and for nobody else. */
static void check_form(struct server_conn *s, const struct exchange *x)
{
    const char *target = s->message.head + strlen(x->method) + 1;
    char secret[128];
    bool has_secret = message_field(&s->message, "Proxy-Authorization", secret, sizeof(secret));

    if (s->takes_urls ? strncmp(target, "http://", 7) != 0 : target[0] != '/') {
        world_fail(s->world, x->visit, "the target has the wrong form: %.60s", s->message.head);
    }
    if (has_secret != s->takes_urls || (has_secret && strcmp(secret, SIM_SECRET_ENCODED) != 0)) {
        world_fail(s->world, x->visit, "the credentials are wrong: %.200s", s->message.head);
    }
}

static void take_head(struct server_conn *s)
{
    struct world *world = s->world;
    const char *path = strstr(s->message.head, "/x/");
    struct exchange *x = path ? find_exchange(world, (uint32_t)strtoul(path + 3, NULL, 10)) : NULL;
    char host[128];

    if (!x) {
        world_fail(world, NULL, "a server got a request that nobody made: %s", s->message.head);
    }
    if (strncmp(s->message.head, x->method, strlen(x->method)) != 0) {
        world_fail(world, x->visit, "the method changed: %.40s", s->message.head);
    }
    if (!message_field(&s->message, "Host", host, sizeof(host)) ||
        strncmp(host, x->visit->target, strlen(x->visit->target)) != 0) {
        world_fail(world, x->visit, "a request for %s came with another Host", x->visit->target);
    }
    if (s->server->host->kind != HOST_RAW && x->visit->kind == VISIT_FORWARD) {
        check_form(s, x);
    }
    past_add(world, &s->past, x, s->server->port == 443);
    if (server_ends_instead(s->wire, x)) {
        return;
    }
    s->exchange = s->past.last = x;
    s->answered = false;
    s->message.pattern = x->id * 2;
    s->message.checks_body = true;
    if (x->expects) {
        send_text(s->wire, "HTTP/1.1 100 Continue\r\n\r\n");
    }
}

static void begin_answer(struct server_conn *s)
{
    if (!s->answering && !s->answered) {
        s->answering = true;
        if (s->exchange->delay_ns) {
            sim_after(s->world->sim, s->exchange->delay_ns, answer, s);
        } else {
            answer(s);
        }
    }
}

/* Raw bytes inside TLS begin with "R" and the ten digits of their visit. */
static bool is_raw_opening(struct server_conn *s)
{
    const struct bytes *in = &s->wire->in;
    struct world *world = s->world;

    if (s->exchange || s->message.phase != MESSAGE_HEAD || !in->len || in->data[0] != 'R') {
        return false;
    }
    if (s->past.last) {
        world_fail(world, s->past.last->visit, "raw bytes came behind a request");
    }
    if (in->len < 12) {
        return true;
    }
    uint32_t id = (uint32_t)strtoul((const char *)in->data + 1, NULL, 10);
    for (size_t c = 0; c < world->client_count; c++) {
        for (size_t i = 0; i < world->clients[c].visit_count; i++) {
            struct visit *v = &world->clients[c].visits[i];
            if (v->id == id && v->raw_inside) {
                begin_raw(s, v);
                return true;
            }
        }
    }
    world_fail(world, NULL, "raw bytes of visit %u, which there is none of", id);
}

static void next_message(struct server_conn *s)
{
    struct wire *w = s->wire;

    if (!s->raw && is_raw_opening(s) && !s->raw) {
        return;
    }
    if (s->raw) {
        raw_data(s);
        return;
    }
    while (!wire_is_over(w) && !s->raw && s->message.phase != MESSAGE_DONE) {
        if (message_read(&s->message, &w->in)) {
            take_head(s);
            continue;
        }
        if (s->message.phase == MESSAGE_BAD) {
            world_fail(s->world, s->exchange ? s->exchange->visit : NULL,
                       "the server got a malformed request");
        }
        if (s->message.body_is_wrong) {
            world_fail(s->world, s->exchange->visit, "the body of request %u is wrong before %zu",
                       s->exchange->id, s->message.body_len);
        }
        break;
    }
    if (!s->exchange || wire_is_over(w) || s->raw) {
        return;
    }
    if (s->message.phase == MESSAGE_DONE) {
        if (s->message.body_len != s->exchange->up_len && s->exchange->answer != ANSWER_UPGRADE) {
            world_fail(s->world, s->exchange->visit, "request %u has a body of %zu, not %zu",
                       s->exchange->id, s->message.body_len, s->exchange->up_len);
        }
        if (s->answered && s->exchange->answer < ANSWER_GOOD_COUNT) {
            s->exchange = NULL;
            message_init(&s->message, true);
            next_message(s);
            return;
        }
        begin_answer(s);
    } else if (s->exchange->early) {
        begin_answer(s);
    }
}

/* ---- proxies ---- */

static void greet(struct server_conn *s);

/* Null when it is not to be had: *status says why, 0 when that takes for ever. */
static struct server *find_target(const char *name, uint16_t port, int *status)
{
    for (size_t i = 0; i < server_count; i++) {
        struct server *server = &servers[i];
        if (server->way == WAY_DIRECT && server->port == port && host_is_at(server->host, name)) {
            *status = 0;
            return server->host->kind == HOST_HANGS ? NULL : server;
        }
    }
    *status = 502;
    for (size_t i = 0; i < sim_host_count; i++) {
        if (host_is_at(&sim_hosts[i], name)) {
            *status = sim_hosts[i].kind == HOST_SLOW_NAME ? 0
                      : sim_hosts[i].kind == HOST_PRIVATE ? 403
                                                          : 502;
        }
    }
    return NULL;
}

/* From now on the connection is one to that server. */
static void become(struct server_conn *s, struct server *server, bool takes_urls)
{
    s->server = server;
    s->takes_urls = takes_urls;
    message_init(&s->message, true);
    greet(s);
    if (s->wire->in.len && !wire_is_over(s->wire)) {
        next_message(s);
    }
}

static void talk_http(struct server_conn *s)
{
    struct wire *w = s->wire;
    char head[MESSAGE_HEAD_MAX];
    struct server *target;
    char text[128];
    uint16_t port;
    char *end;
    char *host;
    int status;

    size_t len = w->in.len < sizeof(head) - 1 ? w->in.len : sizeof(head) - 1;
    if (len) {
        memcpy(head, w->in.data, len);
    }
    head[len] = '\0';
    end = strstr(head, "\r\n\r\n");
    if (!end) {
        return;
    }
    end[4] = '\0';
    bool is_connect = strncmp(head, "CONNECT ", 8) == 0;
    if (!strstr(head, "\r\nProxy-Authorization: " SIM_SECRET_ENCODED "\r\n")) {
        world_fail(s->world, NULL, "a proxy got no credentials: %s", head);
    }
    if (s->server->is_bad) {
        static const char *const refusals[] = {"407 No", "503 Full", "500 Oops", "502 Far"};
        snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\nno",
                 refusals[world_below(s->world, is_connect ? 4 : 1)]);
        send_text(w, text);
        wire_close(w);
        return;
    }
    host = is_connect ? head + 8 : strstr(head, "http://");
    if (!host) {
        world_fail(s->world, NULL, "a proxy got no absolute-form: %s", head);
    }
    host += is_connect ? 0 : 7;
    len = (size_t)(end + 4 - head);
    port = proxy_split_authority(host, &host);
    target = find_target(host, port, &status);
    if (!target && status == 0) {
        w->silent = true;
    } else if (!target) {
        snprintf(text, sizeof(text),
                 "HTTP/1.1 %d No\r\nX-Proxy: yes\r\nContent-Length: 2\r\n\r\nno", status);
        send_text(w, text);
        wire_close(w);
    } else if (is_connect) {
        bytes_consume(&w->in, len);
        if (world_chance(s->world, 10)) {
            send_text(w, "HTTP/1.1 100 Continue\r\n\r\n");
        }
        send_text(w, "HTTP/1.1 200 Yes\r\nServer: proxy\r\n\r\n");
        become(s, target, false);
    } else {
        become(s, target, true);
    }
}

static void answer_socks_connect(struct server_conn *s, size_t len)
{
    struct wire *w = s->wire;
    uint8_t reply[] = {5, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    const uint8_t *data = w->in.data;
    uint16_t port = (uint16_t)(data[len - 2] << 8 | data[len - 1]);
    struct server *target;
    struct address address = {.len = 0};
    char name[ADDRESS_TEXT_MAX + 256];
    int status;

    if (data[3] == 3) {
        snprintf(name, sizeof(name), "%.*s", data[4], (const char *)data + 5);
    } else {
        struct sockaddr_storage storage = {.ss_family = data[3] == 1 ? AF_INET : AF_INET6};
        if (data[3] == 1) {
            memcpy(&((struct sockaddr_in *)&storage)->sin_addr, data + 4, 4);
        } else {
            memcpy(&((struct sockaddr_in6 *)&storage)->sin6_addr, data + 4, 16);
        }
        address = address_from_storage(&storage);
        address_format_ip(&address, name);
    }
    bytes_consume(&w->in, len);
    target = find_target(name, port, &status);
    if (!target && status == 0) {
        w->silent = true;
        return;
    }
    reply[1] = s->server->is_bad ? 1 : target ? 0 : status == 403 ? 2 : 4;
    wire_send(w, span_make(reply, sizeof(reply)));
    if (reply[1]) {
        wire_close(w);
    } else {
        become(s, target, false);
    }
}

static void talk_socks(struct server_conn *s)
{
    static const char auth[] = "\x01\x04user\x09pass:word";
    struct wire *w = s->wire;
    size_t len;

    while (s->server->way == WAY_SOCKS && !wire_is_over(w) &&
           (len = proxy_socks_len(&s->wire->in, s->socks_step)) > 0) {
        switch (s->socks_step++) {
        case 0:
            if (!memchr(w->in.data + 2, 2, len - 2)) {
                world_fail(s->world, NULL, "no password was offered");
            }
            bytes_consume(&w->in, len);
            send_text(w, "\x05\x02");
            break;
        case 1:
            if (len != sizeof(auth) - 1 || memcmp(w->in.data, auth, len) != 0) {
                world_fail(s->world, NULL, "the password is wrong");
            }
            bytes_consume(&w->in, len);
            wire_send(w, s->server->is_bad && world_chance(s->world, 50)
                             ? SPAN_LITERAL("\x01\x01")
                             : span_make("\x01\x00", 2));
            break;
        default:
            answer_socks_connect(s, len);
            break;
        }
    }
}

/* ---- connections ---- */

static void on_data(struct wire *w)
{
    struct server_conn *s = w->context;

    switch (s->server->way) {
    case WAY_HTTP:
    case WAY_HTTPS:
        talk_http(s);
        break;
    case WAY_SOCKS:
        talk_socks(s);
        break;
    default:
        next_message(s);
        break;
    }
}

static void on_end(struct wire *w)
{
    struct server_conn *s = w->context;

    if (s->raw) {
        raw_end(s);
    } else {
        wire_close(w);
    }
}

static void on_secure(struct wire *w)
{
    if (SSL_session_reused(w->ssl)) {
        world_resumed_by_servers++;
    }
}

static const struct wire_ops server_ops = {
    .on_secure = on_secure, .on_data = on_data, .on_end = on_end};

static void end_soon(void *context)
{
    struct server_conn *s = context;

    if (wire_is_over(s->wire)) {
        return;
    }
    if (s->server->way != WAY_DIRECT || s->server->host->kind == HOST_TLS_ENDS) {
        wire_close(s->wire);
    } else {
        wire_reset(s->wire);
    }
}

static void greet(struct server_conn *s)
{
    struct world *world = s->world;
    const struct host *host = s->server->host;

    if (s->server->way != WAY_DIRECT) {
        if (s->server->way == WAY_HTTPS) {
            wire_start_outer(s->wire, world_server_ssl(world, sim_hosts[0].certificate, false));
        }
        return;
    }
    if (host->kind == HOST_RAW || host->kind == HOST_RAW_OPEN) {
        begin_raw(s, s->server->visit);
        return;
    }
    if (s->server->port != 443) {
        return;
    }
    switch (host->kind) {
    case HOST_TLS_STALLS:
        s->wire->silent = true;
        return;
    case HOST_TLS_GARBAGE:
        send_text(s->wire, "HTTP/1.0 400 Plain text\r\n\r\n");
        wire_close(s->wire);
        return;
    case HOST_TLS_ENDS:
    case HOST_TLS_RESETS:
        sim_after(world->sim, 1 + (int64_t)world_below(world, 20 * NS_PER_MS), end_soon, s);
        return;
    default:
        break;
    }
    bool flips = host->kind == HOST_FLIPS && world_chance(world, 50);
    wire_start_tls(s->wire, world_server_ssl(world, host->certificate, flips));
}

/* A proxy that says nothing, nonsense, or too little. */
static void misbehave(struct server_conn *s)
{
    switch (world_below(s->world, 4)) {
    case 0:
        s->wire->silent = true;
        break;
    case 1:
        send_text(s->wire, "NONSENSE\r\n\r\n");
        wire_close(s->wire);
        break;
    case 2:
        send_text(s->wire, s->server->way == WAY_SOCKS ? "\x05" : "HTTP/1.1 200 Y");
        wire_close(s->wire);
        break;
    default:
        sim_after(s->world->sim, 1 + (int64_t)world_below(s->world, 20 * NS_PER_MS), end_soon, s);
        break;
    }
}

static int on_dial(void *context, struct sim_peer *peer, const struct sim_peer_ops **ops,
                   void **peer_context)
{
    struct server *server = context;
    struct world *world = server->world;
    struct server_conn *s;

    if (server->way == WAY_DIRECT && server->host->kind == HOST_HANGS) {
        return SIM_HANG;
    }
    if (server->is_bad && world_chance(world, 30)) {
        return world_chance(world, 50) ? -ECONNREFUSED : SIM_HANG;
    }
    if (world->refuses && server->way == WAY_DIRECT && server->port == 443 && !server->visit &&
        world_chance(world, 30)) {
        return -ECONNREFUSED;
    }
    s = calloc(1, sizeof(*s));
    ASSERT(s && conn_count < COUNT_OF(conns));
    conns[conn_count++] = s;
    s->world = world;
    s->server = server;
    s->wire = wire_new(world->sim, &server_ops, s);
    s->wire->peer = peer;
    message_init(&s->message, true);
    if (world_chance(world, 30)) {
        s->wire->piece_max = 200 + world_below(world, 5000);
        s->wire->pace_ns = 1 + (int64_t)world_below(world, 20 * NS_PER_MS);
    }
    if (world_chance(world, 20)) {
        s->wire->read_max = 500 + world_below(world, 3000);
        s->wire->pace_ns = 1 + (int64_t)world_below(world, 5 * NS_PER_MS);
    }
    *ops = &wire_peer_ops;
    *peer_context = s->wire;
    if (server->is_bad && world_chance(world, 60)) {
        misbehave(s);
    } else {
        greet(s);
    }
    return 0;
}

static void listen_at(struct world *world, const struct host *host, struct visit *visit,
                      struct span text, uint16_t port)
{
    struct server *server = &servers[server_count++];
    struct address address;
    bool good = address_parse_ip(&address, text, port);

    ASSERT(good && server_count <= COUNT_OF(servers));
    *server = (struct server){.world = world, .host = host, .visit = visit, .port = port};
    sim_on_connect(world->sim, &address.u.any, address.len, on_dial, server);
}

static void open_host(struct world *world, const struct host *host, struct visit *visit)
{
    struct span rest = span_from_string(host->addresses);

    if (host->kind == HOST_SLOW_NAME) {
        sim_name(host->name, "20.0.0.1", 7000, 9000, NULL);
        return;
    }
    if (host->kind == HOST_UNKNOWN) {
        return;
    }
    sim_name(host->name, host->addresses, world_chance(world, 50) ? 0 : 1, 40, NULL);
    if (host->kind == HOST_REFUSED || host->kind == HOST_PRIVATE) {
        return;
    }
    while (rest.len) {
        size_t len = span_find(rest, ' ');
        listen_at(world, host, visit, span_sub(rest, 0, len), 443);
        if (!visit) {
            listen_at(world, host, visit, span_sub(rest, 0, len), 80);
        }
        rest = span_skip(rest, len + 1);
    }
}

static void open_proxy(struct world *world, enum way_kind way, bool is_bad)
{
    struct server *server = &servers[server_count++];
    uint16_t port = (uint16_t)((is_bad ? PROXY_PORT_BAD : PROXY_PORT) + (int)way);
    struct address address;
    bool good = address_parse_ip(&address, SPAN_LITERAL("20.0.9.1"), port);

    ASSERT(good && server_count <= COUNT_OF(servers));
    *server = (struct server){.world = world, .port = port, .way = way, .is_bad = is_bad};
    sim_on_connect(world->sim, &address.u.any, address.len, on_dial, server);
}

void servers_tidy(void)
{
    while (conn_count) {
        struct server_conn *s = conns[--conn_count];
        message_free(&s->message);
        free(s);
    }
}

void servers_prepare(struct world *world)
{
    server_count = 0;
    if (world->way != WAY_DIRECT) {
        sim_name("proxy.test", "20.0.9.1", 0, 40, NULL);
        open_proxy(world, world->way, false);
    }
    if (world->bad_way != WAY_DIRECT) {
        open_proxy(world, world->bad_way, true);
    }
    for (size_t i = 0; i < sim_host_count; i++) {
        open_host(world, &sim_hosts[i], NULL);
    }
    for (size_t i = 0; i < world->client_count; i++) {
        struct client *c = &world->clients[i];
        for (size_t j = 0; j < c->visit_count; j++) {
            if (c->visits[j].kind == VISIT_RAW) {
                open_host(world, c->visits[j].host, &c->visits[j]);
            }
        }
    }
}
