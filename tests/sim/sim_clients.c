/* SPDX-License-Identifier: Apache-2.0 */
/* What the clients of a world do. */
#include "core/base/clock.h"
#include "core/engine/address.h"
#include "tests/sim/sim_world.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

static void start_visit(void *context);
static void go_on(struct visit *v);

/* ---- plans ---- */

static struct world *world_of(const struct visit *v)
{
    return v->client->world;
}

static size_t some_length(struct world *world)
{
    switch (world_below(world, 8)) {
    case 0:
        return 0;
    case 1:
    case 2:
    case 3:
        return world_below(world, 300);
    case 4:
    case 5:
        return world_below(world, 5000);
    case 6:
        return world_below(world, 40000);
    default:
        return world_below(world, 150000);
    }
}

static void plan_exchange(struct visit *v, struct exchange *x)
{
    static const char *const methods[] = {"GET", "GET", "GET", "HEAD", "POST", "PUT"};
    struct world *world = world_of(v);

    *x = (struct exchange){.visit = v, .id = ++world->next_id};
    x->method = methods[world_below(world, COUNT_OF(methods))];
    if (x->method[0] == 'P') {
        x->up_len = some_length(world);
        x->up_chunked = world_chance(world, 40);
        x->expects = world_chance(world, 20);
    }
    x->answer = (enum answer_kind)world_below(world, ANSWER_UPGRADE);
    if (strcmp(x->method, "HEAD") == 0 && x->answer == ANSWER_UNTIL_CLOSE) {
        x->answer = ANSWER_LENGTH;
    }
    x->down_len = some_length(world);
    x->interims = world_chance(world, 15) ? (uint8_t)(1 + world_below(world, 3)) : 0;
    x->http10 = v->kind == VISIT_FORWARD && world_chance(world, 8);
    x->up_chunked &= !x->http10;
    x->expects &= !x->http10;
    x->client_closes = world_chance(world, 5);
    x->server_closes = world_chance(world, 10);
    x->delay_ns = world_chance(world, 50) ? 0 : (int64_t)world_below(world, 300 * NS_PER_MS);
    if (world_chance(world, 8)) {
        x->answer = ANSWER_GOOD_COUNT +
                    (enum answer_kind)world_below(world, ANSWER_KIND_COUNT - ANSWER_GOOD_COUNT);
        x->down_len = 1000 + some_length(world);
        if (v->kind != VISIT_FORWARD && x->answer != ANSWER_NONE && x->answer != ANSWER_SILENCE) {
            x->answer = ANSWER_CUT; /* what is malformed inside TLS is not weir's to judge */
        }
        v->strict = false;
    }
    if (x->up_len && world_chance(world, 10)) {
        x->early = true;
        v->strict = false;
    }
}

static void plan_exchanges(struct visit *v)
{
    struct world *world = world_of(v);
    size_t count = 1 + world_below(world, v->again ? 2 : EXCHANGES_MAX);

    for (size_t i = 0; i < count; i++) {
        if (v->again && !world_chance(world, 10)) {
            exchange_plan_simple(v, &v->exchanges[v->exchange_count++], some_length(world));
        } else {
            plan_exchange(v, &v->exchanges[v->exchange_count++]);
        }
    }
    if (world_chance(world, v->again ? 3 : 10)) {
        struct exchange *last = &v->exchanges[count - 1];
        last->answer = ANSWER_UPGRADE;
        last->method = "GET";
        last->up_len = 0;
        last->up_chunked = last->expects = last->http10 = last->early = false;
        last->client_closes = last->server_closes = false;
        last->interims = 0;
    }
    v->pipelined = world_chance(world, 30);
    v->think_ns = world_chance(world, 50) ? 0 : (int64_t)world_below(world, 3 * NS_PER_S);
    for (size_t i = 0; i + 1 < count; i++) {
        /* What follows on a connection that ends is never answered. */
        const struct exchange *x = &v->exchanges[i];
        bool ends = x->client_closes || x->http10 || x->answer == ANSWER_UNTIL_CLOSE ||
                    (v->kind == VISIT_TLS && x->server_closes);
        if (ends) {
            v->exchange_count = i + 1;
            break;
        }
    }
}

static void plan_raw(struct visit *v)
{
    struct world *world = world_of(v);
    bool bulk = world_chance(world, 25);

    v->end = world_chance(world, 70) ? (enum raw_end)world_below(world, RAW_CLIENT_RESETS)
                                     : (enum raw_end)world_below(world, RAW_END_COUNT);
    v->up_len = bulk && world_chance(world, 50) ? world_below(world, 300000) : some_length(world);
    v->down_len = bulk && world_chance(world, 50) ? world_below(world, 300000) : some_length(world);
    v->eager = world_chance(world, 30);
    v->waits = v->kind == VISIT_RAW && v->end != RAW_CLIENT_FIRST && world_chance(world, 30);
    if (v->up_len < 20) {
        v->up_len = 20;
    }
    if (v->end == RAW_CLIENT_STALLS || v->end == RAW_SERVER_STALLS) {
        v->up_len += 300000;
        v->down_len += 300000;
    }
    v->stop_at = world_below(world, 20000);
    if (v->end >= RAW_CLIENT_RESETS) {
        v->strict = false;
        v->may_cut = true;
    }
    /* What begins like TLS or HTTP would be read as such. */
    snprintf(v->lead, sizeof(v->lead), "%s",
             world_chance(world, 70)   ? "\x8e\x01"
             : world_chance(world, 50) ? "SSH-2.0-sim\r\n"
                                       : "\x80HELLO");
    if (v->host->kind == HOST_RAW && world_chance(world, 20)) {
        snprintf(v->lead, sizeof(v->lead), "%s",
                 world_chance(world, 50) ? "\x16\x03\x01\x02\x02\x01\x01" : "GET / x");
        v->strict &= v->end != RAW_CLIENT_FIRST;
    }
    v->lead_len = (uint8_t)strlen(v->lead);
}

static const struct host *pick_host(struct world *world)
{
    if (world->is_crowded && world_chance(world, 80)) {
        return &sim_hosts[SIM_HOST_SLOW];
    }
    if (world_chance(world, 10)) {
        return &sim_hosts[SIM_HOST_FLIPS];
    }
    /* The first ones are good, and most visits go there: so that what is remembered is used. */
    if (world_chance(world, 65)) {
        return &sim_hosts[world_below(world, 4)];
    }
    return &sim_hosts[world_below(world, sim_host_count)];
}

static const struct host *own_host(struct visit *v)
{
    struct client *c = v->client;
    unsigned index = (unsigned)(v - c->visits);
    bool by_rule = world_chance(world_of(v), 50);

    snprintf(v->own_name, sizeof(v->own_name), "c%uv%u.%s", c->index, index,
             by_rule ? "tun" : "open");
    snprintf(v->own_address, sizeof(v->own_address), "20.0.%u.%u", 3 + index, c->index + 1);
    v->own_host =
        (struct host){v->own_name, v->own_address, by_rule ? HOST_RAW : HOST_RAW_OPEN, -1};
    return &v->own_host;
}

static void plan_target(struct visit *v)
{
    struct world *world = world_of(v);

    v->by_address = v->host->kind == HOST_GOOD && world_chance(world, 15);
    if (v->by_address) {
        size_t len = span_find(span_from_string(v->host->addresses), ' ');
        bool is_v6 = memchr(v->host->addresses, ':', len) != NULL;
        snprintf(v->target, sizeof(v->target), is_v6 ? "[%.*s]" : "%.*s", (int)len,
                 v->host->addresses);
    } else {
        snprintf(v->target, sizeof(v->target), "%s", v->host->name);
    }
}

/* What weir itself must say, when nothing else goes wrong. */
static int expected_status(const struct visit *v)
{
    switch (v->host->kind) {
    case HOST_REFUSED:
    case HOST_UNKNOWN:
        return 502;
    case HOST_HANGS:
    case HOST_SLOW_NAME:
        return 504;
    case HOST_PRIVATE:
    case HOST_FORBIDDEN:
        return 403;
    case HOST_SNI_FORBIDDEN:
        return v->kind == VISIT_TLS && v->with_sni ? 403 : 0;
    case HOST_BAD_CERTIFICATE:
    case HOST_TLS_STALLS:
    case HOST_TLS_GARBAGE:
    case HOST_TLS_ENDS:
    case HOST_TLS_RESETS:
        return v->kind == VISIT_TLS ? 502 : 0;
    default:
        return 0;
    }
}

static void plan_tls(struct visit *v)
{
    struct world *world = world_of(v);

    v->tls_kind = v->again ? world->usual_tls : (int)world_below(world, CLIENT_TLS_KINDS);
    v->with_sni = !v->by_address && !world_chance(world, 10);
    v->resumes = world_chance(world, 70);
    v->distrusts = world_chance(world, 5);
    /* Edited, bytes that begin like HTTP are held to it. */
    v->raw_inside = world_chance(world, v->again ? 4 : 25) && !world->edits;
    v->eager = world_chance(world, 20);
    if (v->raw_inside) {
        plan_raw(v);
        v->eager = false;
        v->waits = false;
        v->end = v->end == RAW_SERVER_FIRST ? RAW_BOTH : v->end;
        snprintf(v->lead, sizeof(v->lead), "R%010u\n", v->id);
        v->lead_len = (uint8_t)strlen(v->lead);
        /* Servers in front of which no HTTP is spoken learn from the first bytes whose they are. */
    } else {
        plan_exchanges(v);
    }
    v->expect_status = expected_status(v);
    v->strict &= !v->distrusts;
    if (v->host->kind == HOST_FLIPS || world->refuses ||
        (v->host->kind == HOST_SNI_FORBIDDEN && !v->with_sni) ||
        /* A server that speaks or ends before the hello has come is passed on as it is. */
        v->host->kind == HOST_TLS_GARBAGE || v->host->kind == HOST_TLS_ENDS ||
        v->host->kind == HOST_TLS_RESETS ||
        (v->host->kind == HOST_PASSES && (!v->with_sni || v->tls_kind == 3)) ||
        (v->host->kind == HOST_BAD_CERTIFICATE && !v->with_sni)) {
        v->strict = false;
    }
    if (v->expect_status && v->raw_inside) {
        v->strict = false; /* no page answers what is no request */
    }
    if (v->expect_status && v->exchanges[0].up_len > 10000) {
        v->strict = false; /* where buffers are few its record comes too slowly for a page */
    }
}

static const char *const odd_openings[] = {
    "",
    "GET / HTTP/1.1\r\nHost: h0.test\r\n\r\n",
    "GET https://h0.test/ HTTP/1.1\r\nHost: h0.test\r\n\r\n",
    "NONSENSE\r\n\r\n",
    "GET http://h0.test/ HTTP/1.1\r\nHost: h0.test\r\nBad Field: x\r\n\r\n",
    ("POST http://h0.test/ HTTP/1.1\r\nHost: h0.test\r\nContent-Length: 5\r\nContent-Length: "
     "6\r\n\r\n"),
    "CONNECT h0.test:22 HTTP/1.1\r\nHost: h0.test:22\r\n\r\n",
    "CONNECT nonsense HTTP/1.1\r\n\r\n",
    "GET http://h0.test/ HTTP/1.1\r\nHost:",
    "CONNECT h0.test:443 HTTP/1.1\r\nHost: h0.test\r\n\r\n",
    "CONNECT h0.test:443 HTTP/1.1\r\nHost: h0.test\r\n\r\n\x16\x03\x01\x02",
    "CONNECT h0.test:443 HTTP/1.1\r\nHost: h0.test\r\n\r\n\x16\x03\x01\x01\x01\x07zzzzzzzz",
    "CONNECT h0.test:443 HTTP/1.1\r\nHost: h0.test\r\n\r\nGE",
    "CONNECT nx.test:443 HTTP/1.1\r\nHost: h0.test\r\n\r\nGET / HTTP/1.1\r\nHost: nx.test\r\n\r\n",
    "CONNECT refuse.test:443 HTTP/1.1\r\nHost: h0.test\r\n\r\n",
    "CONNECT h0.test:443 HTTP/1.1\r\nHost: h0.test\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT stall.test:443 HTTP/1.1\r\nHost: h0.test\r\n\r\n",
};

static void plan_odd(struct visit *v)
{
    v->odd = odd_openings[world_below(world_of(v), COUNT_OF(odd_openings))];
    v->strict = false;
    v->leave_how = 2;
}

static void plan_visit(struct visit *v)
{
    struct world *world = world_of(v);
    uint64_t pick = world_below(world, 100);

    v->id = ++world->next_id;
    v->strict = world->is_kind && !world->drains && !world->is_crowded;
    v->again = world->revisits && world_chance(world, 85);
    v->kind = v->again    ? VISIT_TLS
              : pick < 38 ? VISIT_FORWARD
              : pick < 58 ? VISIT_RAW
              : pick < 92 ? VISIT_TLS
                          : VISIT_ODD;
    v->host = v->again               ? &sim_hosts[world->usual_host]
              : v->kind == VISIT_RAW ? own_host(v)
                                     : pick_host(world);
    plan_target(v);
    v->leave_how = v->again && world_chance(world, 80) ? 0 : (int)world_below(world, 3);
    switch (v->kind) {
    case VISIT_FORWARD:
        plan_exchanges(v);
        v->expect_status = expected_status(v);
        if (v->expect_status) {
            v->pipelined = false;
            v->exchange_count = 1;
        }
        break;
    case VISIT_RAW:
        plan_raw(v);
        break;
    case VISIT_TLS:
        plan_tls(v);
        break;
    case VISIT_ODD:
        plan_odd(v);
        break;
    }
    if (world_chance(world, 30)) {
        v->piece_max = 1 + world_below(world, 2000);
        v->pace_ns = 1 + (int64_t)world_below(world, 10 * NS_PER_MS);
    }
    if (world_chance(world, 25)) {
        v->read_max = 500 + world_below(world, 5000);
        v->pace_ns = 1 + (int64_t)world_below(world, 10 * NS_PER_MS);
    }
    if (world_chance(world, 15)) {
        v->vanish_ns =
            1 + (int64_t)world_below(world, 3 * NS_PER_S) / (1 + (int64_t)world_below(world, 100));
        v->vanish_how = (int)world_below(world, 3);
        v->strict = false;
    }
    if (v->kind == VISIT_TLS && world_chance(world, 30)) {
        /* The first two bytes of a hello do not say TLS for sure. */
        v->halt_after = 1 + world_below(world, 8);
        v->halt_ns = 1 + (int64_t)world_below(world, 2 * NS_PER_S);
    }
    v->strict &= !proxies_get_in_the_way(v);
    if (v->piece_max && v->piece_max < 40) {
        v->strict = false; /* so slow that time limits may strike */
    }
    if (world->idle_fins) {
        v->strict = false; /* a request may meet the server's FIN */
    }
}

void client_plan(struct world *world, uint32_t index)
{
    struct client *c = &world->clients[index];

    c->world = world;
    c->index = index;
    c->visit_count = 1 + world_below(world, VISITS_MAX);
    for (size_t i = 0; i < c->visit_count; i++) {
        c->visits[i].client = c;
        plan_visit(&c->visits[i]);
    }
}

/* ---- the end of a visit ---- */

void visit_check_strict(const struct visit *v)
{
    struct world *world = world_of(v);

    if (!v->strict) {
        return;
    }
    if (v->kind == VISIT_RAW || v->raw_inside) {
        if (v->down_seen != v->down_len || v->up_seen != v->up_len) {
            world_fail(world, v, "of the tunnel's bytes %zu of %zu went up, %zu of %zu down",
                       v->up_seen, v->up_len, v->down_seen, v->down_len);
        }
        return;
    }
    for (size_t i = 0; i < v->exchange_count; i++) {
        const struct exchange *x = &v->exchanges[i];
        if (v->expect_status ? x->status != v->expect_status : !x->done) {
            world_fail(world, v, "exchange %u: status %d, done %d, served %u; expected %d", x->id,
                       x->status, x->done, x->served, v->expect_status);
        }
        if (v->expect_status) {
            break; /* weir may have ended the connection behind it */
        }
    }
}

static void visit_over(struct visit *v)
{
    struct client *c = v->client;

    if (v->stage == STAGE_OVER) {
        return;
    }
    v->stage = STAGE_OVER;
    message_free(&v->message);
    c->current++;
    if (c->current == c->visit_count) {
        c->current = c->visit_count - 1;
        c->finished = true;
    } else {
        sim_after(c->world->sim, 1 + (int64_t)world_below(c->world, NS_PER_S), start_visit, c);
    }
}

/* Everything that was planned happened. */
static void leave(struct visit *v)
{
    switch (v->leave_how) {
    case 0:
        wire_close(v->wire);
        visit_over(v);
        break;
    case 1:
        wire_reset(v->wire);
        visit_over(v);
        break;
    default:
        break; /* weir's turn */
    }
}

/* ---- requests and answers ---- */

static void send_request(struct visit *v, struct exchange *x)
{
    struct world *world = world_of(v);
    struct bytes all = {NULL, 0, 0};
    uint8_t *memory = malloc(x->up_len + 1);
    char head[1024];
    char framing[64] = "";
    bool absolute = v->kind == VISIT_FORWARD;

    ASSERT(memory);
    if (x->up_chunked) {
        snprintf(framing, sizeof(framing), "Transfer-Encoding: chunked\r\n");
    } else if (x->method[0] == 'P') {
        snprintf(framing, sizeof(framing), "Content-Length: %zu\r\n", x->up_len);
    }
    snprintf(head, sizeof(head), "%s %s%s/x/%u?q=%s HTTP/1.%d\r\nHost: %s\r\n%s%s%s%s%s\r\n",
             x->method, absolute ? "http://" : "", absolute ? v->target : "", x->id,
             world_chance(world, 20) ? "%22%0a\\" : "1", x->http10 ? 0 : 1, v->target, framing,
             x->expects ? "Expect: 100-continue\r\n" : "",
             x->answer == ANSWER_UPGRADE ? "Connection: upgrade\r\nUpgrade: sim\r\n"
             : x->client_closes          ? "Connection: close\r\n"
                                         : "",
             world_chance(world, 50) ? "User-Agent: sim \"\\\xff\r\n" : "",
             x->id % 2 ? "TE: trailers\r\n" : "");
    bytes_append(&all, span_from_string(head));
    size_t head_len = all.len;
    pattern_fill(x->id * 2, 0, memory, x->up_len);
    for (size_t at = 0; x->up_chunked && at < x->up_len;) {
        size_t piece = 1 + world_below(world, x->up_len - at);
        snprintf(head, sizeof(head), "%zx\r\n", piece);
        bytes_append(&all, span_from_string(head));
        bytes_append(&all, span_make(memory + at, piece));
        bytes_append(&all, SPAN_LITERAL("\r\n"));
        at += piece;
    }
    if (x->up_chunked) {
        bytes_append(&all, SPAN_LITERAL("0\r\n\r\n"));
    } else {
        bytes_append(&all, span_make(memory, x->up_len));
    }
    if (x->up_len && x->id % 4 == 0) {
        wire_send(v->wire, span_make(all.data, head_len)); /* a record of its own */
        bytes_consume(&all, head_len);
    }
    wire_send(v->wire, span_make(all.data, all.len));
    bytes_free(&all);
    free(memory);
}

static void send_next(void *context)
{
    struct visit *v = context;

    if (v->stage != STAGE_OPEN || wire_is_over(v->wire)) {
        return;
    }
    do {
        if (v->sent == v->exchange_count) {
            return;
        }
        send_request(v, &v->exchanges[v->sent++]);
    } while (v->pipelined && v->exchanges[v->sent - 1].answer != ANSWER_UPGRADE);
}

static void begin_exchanges(struct visit *v)
{
    v->stage = STAGE_OPEN;
    message_init(&v->message, false);
    send_next(v);
}

/* ---- raw bytes ---- */

static void raw_send_all(struct visit *v)
{
    size_t len = v->up_len;
    uint8_t *memory;

    if (v->client_began) {
        return;
    }
    v->client_began = true;
    if (v->end == RAW_CLIENT_RESETS && len > v->stop_at) {
        len = v->stop_at + v->lead_len;
    }
    memory = malloc(len + 1);
    ASSERT(memory);
    pattern_fill(v->id * 2, 0, memory, len);
    memcpy(memory, v->lead, v->lead_len < len ? v->lead_len : len);
    wire_send(v->wire, span_make(memory, len));
    free(memory);
    if (v->end == RAW_CLIENT_RESETS) {
        wire_reset(v->wire);
        visit_over(v);
    } else if (v->end != RAW_IDLE) {
        wire_finish(v->wire);
    }
}

static void begin_raw(struct visit *v)
{
    v->stage = STAGE_RAW;
    if (!v->waits && v->end != RAW_SERVER_FIRST) {
        raw_send_all(v);
    }
}

static void raw_data(struct visit *v)
{
    struct wire *w = v->wire;

    if (v->raw_inside && !v->strict && v->down_seen == 0 && w->in.len >= 4 &&
        memcmp(w->in.data, "HTTP", 4) == 0) {
        v->stage = STAGE_REFUSED; /* weir's page, for what it took for a request */
        return;
    }
    size_t right = pattern_match(v->id * 2 + 1, v->down_seen, span_make(w->in.data, w->in.len));

    if (right != w->in.len) {
        world_fail(world_of(v), v, "the client got a wrong byte at %zu", v->down_seen + right);
    }
    v->down_seen += w->in.len;
    bytes_consume(&w->in, w->in.len);
    if (v->down_seen > v->down_len) {
        world_fail(world_of(v), v, "the client got %zu bytes of %zu", v->down_seen, v->down_len);
    }
    if (v->end == RAW_CLIENT_STALLS && v->down_seen >= v->stop_at) {
        w->silent = true;
        visit_over(v);
        return;
    }
    if (v->end != RAW_SERVER_FIRST) {
        raw_send_all(v);
    }
}

/* ---- answers ---- */

static void check_own_answer(struct visit *v, struct exchange *x)
{
    char value[256];

    if (!message_field(&v->message, "Proxy-Status", value, sizeof(value)) &&
        !message_field(&v->message, "X-Proxy", value, sizeof(value))) {
        world_fail(world_of(v), v, "an answer that no server gave: %.200s", v->message.head);
    }
    if (v->message.status < 400 || v->message.status > 599) {
        world_fail(world_of(v), v, "weir itself answered %d", v->message.status);
    }
    x->status = v->message.status;
}

static void take_answer_head(struct visit *v)
{
    struct exchange *x = &v->exchanges[v->answered];
    char value[64];

    if (v->answered >= v->sent) {
        world_fail(world_of(v), v, "an answer to nothing: %.100s", v->message.head);
    }
    v->message.no_body = strcmp(x->method, "HEAD") == 0;
    bool has_id = message_field(&v->message, "X-Id", value, sizeof(value));
    if (has_id && strtoul(value, NULL, 10) != x->id) {
        world_fail(world_of(v), v, "the answer to %s came for %u", value, x->id);
    }
    if (v->message.status / 100 == 1 && v->message.status != 101) {
        if (x->http10) {
            world_fail(world_of(v), v, "an interim response for HTTP/1.0");
        }
        return;
    }
    x->status = v->message.status;
    if (!has_id) {
        check_own_answer(v, x);
        return;
    }
    v->message.checks_body = true;
    v->message.pattern = x->id * 2 + 1;
}

static void answer_whole(struct visit *v)
{
    struct exchange *x = &v->exchanges[v->answered];
    bool is_own = !v->message.checks_body;

    if (v->message.status / 100 == 1 && v->message.status != 101) {
        message_init(&v->message, false);
        return;
    }
    size_t expected = v->message.no_body || x->answer == ANSWER_EMPTY ? 0 : x->down_len;
    if (!is_own && x->answer != ANSWER_UPGRADE && v->message.body_len != expected) {
        world_fail(world_of(v), v, "answer %u ends cleanly after %zu bytes of %zu", x->id,
                   v->message.body_len, expected);
    }
    x->done = !is_own && x->answer < ANSWER_GOOD_COUNT;
    v->answered++;
    if (x->done && x->answer == ANSWER_UPGRADE) {
        begin_raw(v);
        return;
    }
    message_free(&v->message);
    message_init(&v->message, false);
    if (v->answered == v->exchange_count) {
        leave(v);
    } else if (!v->pipelined && v->answered == v->sent) {
        sim_after(world_of(v)->sim, 1 + v->think_ns, send_next, v);
    }
}

static void read_answers(struct visit *v)
{
    struct wire *w = v->wire;

    while (v->stage == STAGE_OPEN && !wire_is_over(w)) {
        if (message_read(&v->message, &w->in)) {
            take_answer_head(v);
            continue;
        }
        if (v->message.phase == MESSAGE_BAD) {
            world_fail(world_of(v), v, "the client got a malformed answer");
        }
        if (v->message.body_is_wrong) {
            world_fail(world_of(v), v, "the body of answer %u is wrong before %zu",
                       v->exchanges[v->answered].id, v->message.body_len);
        }
        if (v->message.phase != MESSAGE_DONE) {
            return;
        }
        answer_whole(v);
    }
    if (v->stage == STAGE_RAW) {
        go_on(v);
    }
}

/* ---- CONNECT ---- */

static void open_inside(struct visit *v)
{
    char value[8];

    if (v->message.status != 200) {
        if (!message_field(&v->message, "Proxy-Status", value, sizeof(value))) {
            world_fail(world_of(v), v, "CONNECT was answered without Proxy-Status: %s",
                       v->message.head);
        }
        if (v->exchange_count) {
            v->exchanges[0].status = v->message.status;
        }
        v->stage = STAGE_REFUSED;
        return;
    }
    message_free(&v->message);
    message_init(&v->message, false);
    if (v->kind == VISIT_TLS) {
        v->stage = STAGE_OPEN;
        v->wire->halt_after = v->halt_after;
        v->wire->halt_ns = v->halt_ns;
        wire_start_tls(v->wire, world_client_ssl(v));
    } else {
        begin_raw(v);
        go_on(v);
    }
}

static void read_connect_answer(struct visit *v)
{
    v->message.no_body = true;
    if (message_read(&v->message, &v->wire->in)) {
        open_inside(v);
    }
}

static void go_on(struct visit *v)
{
    switch (v->stage) {
    case STAGE_CONNECT:
        if (v->kind == VISIT_ODD) {
            bytes_consume(&v->wire->in, v->wire->in.len);
        } else {
            read_connect_answer(v);
        }
        break;
    case STAGE_OPEN:
        if (!v->raw_inside) {
            read_answers(v);
            break;
        }
        if (!v->wire->in.len) {
            break;
        }
        v->stage = STAGE_RAW;
        raw_data(v);
        break;
    case STAGE_RAW:
        if (v->wire->in.len) {
            raw_data(v);
        }
        break;
    case STAGE_REFUSED:
    case STAGE_OVER:
        break;
    }
}

/* ---- the wire ---- */

static void send_connect(struct visit *v)
{
    char head[256];

    snprintf(head, sizeof(head), "CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n", v->target,
             v->target);
    wire_send(v->wire, span_from_string(head));
    v->stage = STAGE_CONNECT;
    message_init(&v->message, false);
    if (v->kind == VISIT_RAW && v->eager && !v->waits && v->end != RAW_SERVER_FIRST) {
        raw_send_all(v);
    }
}

static void on_open(struct wire *w)
{
    struct visit *v = w->context;

    if (v->kind == VISIT_FORWARD) {
        begin_exchanges(v);
    } else if (v->kind == VISIT_ODD) {
        wire_send(w, span_from_string(v->odd));
    } else {
        send_connect(v);
    }
}

static void on_secure(struct wire *w)
{
    struct visit *v = w->context;

    if (v->stage == STAGE_OVER) {
        return; /* it was leaving while this was under way */
    }
    world_resumed_by_clients += (uint64_t)SSL_session_reused(w->ssl);
    if (v->raw_inside) {
        begin_raw(v);
    } else {
        begin_exchanges(v);
    }
}

static void on_data(struct wire *w)
{
    struct visit *v = w->context;

    if (v->stage != STAGE_OVER) {
        go_on(v);
    }
}

/* An open-ended body is whole when the connection ends cleanly. */
static void check_end(struct visit *v)
{
    /* A tunnel that was promised before the server was there may end before it begins. */
    bool promised = v->host->kind == HOST_RAW;
    /* Behind a proxy a server may begin with what weir never sees. */
    bool begun = promised || v->down_seen || (v->server_began && world_of(v)->way == WAY_DIRECT);

    if (v->stage == STAGE_RAW && begun && v->wire->clean_end && v->down_seen != v->down_len &&
        !v->may_cut) {
        world_fail(world_of(v), v, "the client saw a clean end after %zu bytes of %zu",
                   v->down_seen, v->down_len);
    }
    if (v->stage == STAGE_OPEN && v->message.phase == MESSAGE_UNTIL_CLOSE && v->wire->clean_end) {
        answer_whole(v);
    }
}

static void on_end(struct wire *w)
{
    struct visit *v = w->context;

    if (v->stage == STAGE_OVER) {
        return;
    }
    check_end(v);
    if (v->stage == STAGE_RAW && !v->client_began) {
        raw_send_all(v);
    }
    if (v->stage == STAGE_OVER) {
        return;
    }
    wire_close(w);
    visit_over(v);
}

static void check_tls_error(struct visit *v)
{
    uint32_t reason = ERR_GET_REASON(v->wire->tls_error);

    if (v->wire->tls_error && reason == SSL_R_CERTIFICATE_VERIFY_FAILED && !v->distrusts) {
        world_fail(world_of(v), v, "the client did not accept the certificate");
    }
}

static void on_gone(struct wire *w)
{
    struct visit *v = w->context;

    check_tls_error(v);
    visit_over(v);
}

static const struct wire_ops client_ops = {.on_open = on_open,
                                           .on_secure = on_secure,
                                           .on_data = on_data,
                                           .on_end = on_end,
                                           .on_gone = on_gone};

static void vanish(void *context)
{
    struct visit *v = context;

    if (v->stage == STAGE_OVER || wire_is_over(v->wire)) {
        return;
    }
    if (v->vanish_how == 0) {
        wire_reset(v->wire);
    } else if (v->vanish_how == 1) {
        wire_close(v->wire);
    } else {
        v->wire->silent = true;
    }
    v->may_cut = true;
    visit_over(v);
}

static void start_visit(void *context)
{
    static const struct sockaddr_in proxy = {.sin_family = AF_INET, .sin_port = 0x901f};
    struct client *c = context;
    struct visit *v = &c->visits[c->current];

    v->wire = wire_new(c->world->sim, &client_ops, v);
    v->wire->piece_max = v->piece_max;
    v->wire->read_max = v->read_max;
    v->wire->pace_ns = v->pace_ns;
    v->stage = STAGE_CONNECT;
    v->wire->peer = sim_connect(c->world->sim, (const struct sockaddr *)&proxy, sizeof(proxy),
                                &wire_peer_ops, v->wire);
    if (v->vanish_ns) {
        sim_after(c->world->sim, v->vanish_ns, vanish, v);
    }
}

void client_start(struct client *c)
{
    int64_t most_ns = c->world->is_crowded ? 50 * NS_PER_MS
                      : c->world->revisits ? 8 * NS_PER_S
                                           : 2 * NS_PER_S;

    sim_after(c->world->sim, 1 + (int64_t)world_below(c->world, (uint64_t)most_ns), start_visit, c);
}
