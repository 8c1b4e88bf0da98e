/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_client.h"

#include "bench/load_pace.h"
#include "bench/load_pki.h"
#include "bench/load_readings.h"
#include "bench/load_stream.h"
#include "bench/load_tail.h"
#include "core/base/clock.h"
#include "core/base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    REQUEST_MAX = 1024,
    PIECE = 16 * 1024,
    WAITING_MAX = 65536, /* open loop: requests whose time has come and that have no connection */
    TICKETS_MAX = 2 * LOAD_CONNECTIONS_MAX,
    IDLE_WARM_UP = 64, /* connections that come and go before memory is looked at */
    IDLE_AT_ONCE = 64, /* that open at the same time */
    /* Those that ended wait for the peer's end beside the ones that are used. */
    CONNS_MAX = 2 * LOAD_CONNECTIONS_MAX,
    SOURCES = 64, /* addresses that connections come from, in turn */
    MIX_MEDIUM_BYTES = 64 * 1024,
};

#define TURN_NS_MAX   (20 * NS_PER_MS)
#define RETRY_NS      (20 * NS_PER_MS)
#define ENDING_NS     NS_PER_S
#define SETTLE_NS     (300 * NS_PER_MS)
#define IDLE_LIMIT_NS (60 * NS_PER_S)
#define MEET_NS       (200 * NS_PER_US)
#define FIRST_SOURCE  0x7f010001U /* 127.1.0.1 */

enum lane_step {
    LANE_FREE,       /* nothing to do; there may be a connection */
    LANE_CONNECTING, /* TCP */
    LANE_TUNNEL,     /* CONNECT was said */
    LANE_HANDSHAKE,
    LANE_ANSWER, /* the request was said, or is being said */
    LANE_BODY,
    LANE_ENDING, /* the last answer was had, and the connection is to be closed by the origin */
    LANE_FAILED, /* waits a little */
};

struct client;

/* One of the connections that there are at the same time, and the request that it carries. */
struct lane {
    struct client *client;
    struct actor actor;
    struct load_stream stream;
    struct timer timer;
    enum lane_step step;
    bool is_slow;
    bool is_last;   /* of its connection, this request */
    bool is_upload; /* this request */
    bool is_pausing;
    int64_t intended_ns, sent_ns;
    uint64_t asked;    /* bytes of the response */
    uint64_t at;       /* of the body that is received */
    uint64_t piece_at; /* slow: of the last pause */
    uint64_t sent, to_send;
    char host[LOAD_HOST_MAX]; /* of this connection */
    struct lane *next_free;
};

/* Times are those of the clock, not of the worker, which stand still during a turn: many requests
 * are sent in one. */
struct client {
    struct worker worker;
    const struct load_plan *plan;
    struct load_meeting *meetings;
    struct load_result *result;
    struct tls_context *tls;
    struct ticket_store *tickets;
    struct lane *lanes;
    struct lane *free_lanes; /* each has its turn: all are used at any rate */
    struct lane **free_end;
    struct load_pace pace;
    int64_t waiting[WAITING_MAX]; /* intended times, a ring */
    uint64_t waiting_first, waiting_end;
    int64_t window_start_ns;
    uint64_t host_count;
    bool has_sources; /* chooses where its connections come from */
    uint64_t random;
    unsigned answered; /* ever */
    unsigned failed;   /* ever */
    bool holds;        /* idle: answered connections stay as they are */
    struct load_tail tail;
};

static bool is_measuring(const struct client *c)
{
    return c->result->phase == LOAD_MEASURING;
}

static uint32_t next_random(struct client *c)
{
    c->random = c->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(c->random >> 33);
}

static void begin_request(struct lane *lane, int64_t intended_ns);
static void lane_free(struct lane *lane);

/* ---- what went wrong ---- */

static void fail(struct lane *lane, bool is_mismatch, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void fail(struct lane *lane, bool is_mismatch, const char *format, ...)
{
    struct client *c = lane->client;
    struct load_result *result = c->result;
    int error = lane->stream.conn ? lane->stream.conn->error : errno;
    va_list arguments;

    c->failed++;
    /* A broken body and a want of resources count whenever they are seen. */
    result->mismatches += is_mismatch;
    result->out_of_ports |= error == EADDRNOTAVAIL;
    result->out_of_descriptors |= error == EMFILE || error == ENFILE;
    if (is_measuring(c) || is_mismatch) {
        result->errors++;
    }
    if (!result->first_error[0] && result->phase != LOAD_ENDED) {
        va_start(arguments, format);
        vsnprintf(result->first_error, sizeof(result->first_error), format, arguments);
        va_end(arguments);
    }
    load_stream_close(&lane->stream, CONN_CLOSE_NOW);
    lane->step = LANE_FAILED;
    timer_set(&c->worker.timers, &lane->timer, clock_monotonic_ns() + RETRY_NS);
}

/* ---- what is said ---- */

static uint16_t target_port(const struct lane *lane)
{
    const struct load_plan *plan = lane->client->plan;
    return address_port(load_modes[plan->mode].has_tls ? &plan->origin_tls : &plan->origin);
}

static void choose_host(struct lane *lane)
{
    struct client *c = lane->client;

    if (c->plan->profile == LOAD_HOSTS) {
        uint64_t number = c->host_count++ * c->plan->clients + c->plan->client;

        if (c->plan->host_cap && number >= c->plan->host_cap) {
            number = next_random(c) % c->plan->host_cap;
        }
        snprintf(lane->host, sizeof(lane->host), "h%llu-%u.%.100s", (unsigned long long)number,
                 c->plan->trial, c->plan->host);
    } else {
        snprintf(lane->host, sizeof(lane->host), "%s", c->plan->host);
    }
}

static uint64_t choose_bytes(struct lane *lane)
{
    const struct load_plan *plan = lane->client->plan;

    lane->is_upload = plan->profile == LOAD_UP;
    switch (plan->profile) {
    case LOAD_NEW:
    case LOAD_RESUMED:
    case LOAD_HOSTS:
        lane->is_last = true;
        return plan->body_bytes;
    case LOAD_SLOW:
        return lane->is_slow ? LOAD_SLOW_BYTES : plan->body_bytes;
    case LOAD_MIX: {
        uint32_t dice = next_random(lane->client) % 20;
        lane->is_last = dice < 2;
        lane->is_upload = dice == 2;
        return dice >= 2 && dice < 5 ? MIX_MEDIUM_BYTES : plan->body_bytes;
    }
    default:
        return plan->body_bytes;
    }
}

/* Goes on with an upload, as far as the connection takes it. */
static void send_more(struct lane *lane)
{
    struct conn *conn = lane->stream.conn;

    while (lane->sent < lane->to_send && conn->tx.len < LOAD_STREAM_HIGH) {
        uint64_t left = lane->to_send - lane->sent;
        size_t len = left < PIECE ? left : PIECE;

        if (!load_stream_write(&lane->stream, load_pattern(lane->sent, len))) {
            fail(lane, false, "an upload could not be sent: %s", load_stream_fault(&lane->stream));
            return;
        }
        lane->sent += len;
    }
    if (lane->sent < lane->to_send) {
        conn->tx_wake = LOAD_STREAM_LOW;
    }
}

static void say_request(struct lane *lane)
{
    char memory[REQUEST_MAX];
    struct text words = text_make(memory, sizeof(memory));
    char authority[LOAD_HOST_MAX + 8];
    uint64_t bytes = choose_bytes(lane);

    snprintf(authority, sizeof(authority), "%s:%u", lane->host, target_port(lane));
    text_printf(&words, "%s ", lane->is_upload ? "POST" : "GET");
    if (lane->client->plan->has_whole_url) {
        text_printf(&words, "http://%s", authority);
    }
    if (lane->is_upload) {
        text_printf(&words, "/sink HTTP/1.1\r\nHost: %s\r\nContent-Length: %llu\r\n", authority,
                    (unsigned long long)bytes);
    } else {
        text_printf(&words, "/bytes/%llu HTTP/1.1\r\nHost: %s\r\n", (unsigned long long)bytes,
                    authority);
    }
    text_printf(&words, "User-Agent: weir-bench/%s\r\nAccept: */*\r\n%s\r\n", WEIR_VERSION,
                lane->is_last && lane->client->plan->closer == LOAD_ORIGIN_CLOSES
                    ? "Connection: close\r\n"
                    : "");
    lane->asked = bytes;
    lane->at = 0;
    lane->piece_at = 0;
    lane->sent = 0;
    lane->to_send = lane->is_upload ? bytes : 0;
    lane->step = LANE_ANSWER;
    /* A connection that was opened for this request belongs to its time. */
    if (lane->sent_ns == 0) {
        lane->sent_ns = clock_monotonic_ns();
    }
    if (!load_stream_write(&lane->stream, text_view(&words))) {
        fail(lane, false, "a request could not be sent: %s", load_stream_fault(&lane->stream));
        return;
    }
    send_more(lane);
}

static void begin_tls(struct lane *lane)
{
    struct client *c = lane->client;
    struct conn *conn = lane->stream.conn;
    uint8_t key[TICKET_KEY_LEN] = {0};
    uint32_t index = (uint32_t)(lane - c->lanes);
    struct tls_connect_options options = {
        .sni = span_from_string(lane->host),
        .verify_name = span_from_string(lane->host),
        .alpn_offers = SPAN_LITERAL("\x08http/1.1"),
        .tickets = c->tickets,
        .ticket_key = key,
    };

    memcpy(key, &index, sizeof(index)); /* a ticket is used once: each lane has its own */
    lane->step = LANE_HANDSHAKE;
    conn->tls = tls_engine_connect(c->tls, &options, &conn->rx, &conn->tx, &c->worker.bufs);
    lane->stream.is_open = false;
    if (!conn->tls) {
        fail(lane, false, "out of memory");
    } else if (tls_engine_handshake(conn->tls) == TLS_FAILED) {
        fail(lane, false, "TLS: %s", load_stream_fault(&lane->stream));
    }
}

static void connection_is_there(struct lane *lane)
{
    struct client *c = lane->client;

    if (load_modes[c->plan->mode].has_tls) {
        begin_tls(lane);
        return;
    }
    c->result->connections += is_measuring(c);
    say_request(lane);
}

static void say_connect(struct lane *lane)
{
    char words[REQUEST_MAX];

    snprintf(words, sizeof(words), "CONNECT %s:%u HTTP/1.1\r\nHost: %s:%u\r\n\r\n", lane->host,
             target_port(lane), lane->host, target_port(lane));
    lane->step = LANE_TUNNEL;
    if (!load_stream_write(&lane->stream, span_from_string(words))) {
        fail(lane, false, "out of memory");
    }
}

/* ---- what is heard ---- */

/* Whoever does not close within a second is not waited for. */
static void end_connection(struct lane *lane)
{
    timer_clear(&lane->client->worker.timers, &lane->timer);
    load_stream_close(&lane->stream, CONN_CLOSE_FLUSH);
    lane_free(lane);
}

static void answered(struct lane *lane)
{
    struct client *c = lane->client;
    struct load_result *result = c->result;
    int64_t now_ns = clock_monotonic_ns();

    c->answered++;
    if (is_measuring(c)) {
        int64_t slot = (now_ns - c->window_start_ns) / LOAD_SLOT_NS;

        result->units++;
        result->down_bytes += lane->at;
        result->up_bytes += lane->to_send;
        if (!lane->is_slow) {
            histogram_add(&result->latency, now_ns - lane->intended_ns);
            histogram_add(&result->uncorrected, now_ns - lane->sent_ns);
            load_tail_add(&c->tail, now_ns - lane->intended_ns, &result->tails);
        }
        if (slot >= 0 && slot < LOAD_SLOTS_MAX) {
            result->slots[slot]++;
        }
    }
    result->live_units++;
    if (c->holds) {
        lane->step = LANE_FREE;
        return;
    }
    if (!lane->is_last) {
        lane_free(lane);
    } else if (c->plan->closer == LOAD_CLIENT_CLOSES) {
        end_connection(lane);
    } else {
        lane->step = LANE_ENDING;
        timer_set(&c->worker.timers, &lane->timer, clock_monotonic_ns() + ENDING_NS);
    }
}

static void read_tunnel(struct lane *lane)
{
    struct http_head head;
    struct http_fault fault = {.what = "no answer"};
    enum h1_result result = load_stream_head(&lane->stream, SPAN_LITERAL("CONNECT"), &head, &fault);

    if (result == H1_MORE) {
        if (load_stream_is_over(&lane->stream)) {
            fail(lane, false, "CONNECT: closed without an answer");
        }
        return;
    }
    if (result == H1_BAD || head.status != 200) {
        fail(lane, false, "CONNECT: %s %u", result == H1_BAD ? fault.what : "status",
             result == H1_BAD ? 0 : head.status);
        return;
    }
    load_stream_consume(&lane->stream, head.len);
    connection_is_there(lane);
}

static void read_handshake(struct lane *lane)
{
    struct client *c = lane->client;
    struct tls_info info;

    if (!lane->stream.is_open) {
        return;
    }
    tls_engine_read_info(lane->stream.conn->tls, &info);
    c->result->connections += is_measuring(c);
    c->result->resumed += info.resumed && is_measuring(c);
    say_request(lane);
}

static void read_answer(struct lane *lane)
{
    struct http_head head;
    struct http_fault fault = {.what = "no answer"};
    struct span method = lane->is_upload ? SPAN_LITERAL("POST") : SPAN_LITERAL("GET");
    enum h1_result result = load_stream_head(&lane->stream, method, &head, &fault);

    if (result == H1_MORE) {
        if (load_stream_is_over(&lane->stream)) {
            fail(lane, false, "closed without an answer");
        }
        return;
    }
    if (result == H1_BAD || head.status != 200) {
        fail(lane, result == H1_DONE && head.status == 422, "response: %s %u",
             result == H1_BAD ? fault.what : "status", result == H1_BAD ? 0 : head.status);
        return;
    }
    if (lane->sent < lane->to_send) {
        fail(lane, true, "an upload was answered before it was sent");
        return;
    }
    lane->is_last = lane->is_last || !head.keep_alive; /* HTTP/1.0 */
    load_stream_consume(&lane->stream, head.len);
    lane->step = LANE_BODY;
}

/* The words that answer an upload are few, and checked by its status. */
static void read_body(struct lane *lane)
{
    struct http_fault fault = {.what = "no fault"};
    enum h1_body_result result;
    struct span payload;
    size_t consumed;

    while (!(lane->is_slow && lane->at - lane->piece_at >= LOAD_SLOW_PIECE) &&
           (result = load_stream_body(&lane->stream, &consumed, &payload, &fault)) !=
               H1_BODY_MORE) {
        if (result == H1_BODY_DONE) {
            if (!lane->is_upload && lane->at != lane->asked) {
                fail(lane, true, "a body of %llu bytes came as one of %llu",
                     (unsigned long long)lane->asked, (unsigned long long)lane->at);
                return;
            }
            if (load_stream_queue(&lane->stream)->len) {
                fail(lane, true, "%zu bytes came behind a body",
                     load_stream_queue(&lane->stream)->len);
                return;
            }
            lane->at = lane->is_upload ? 0 : lane->at;
            answered(lane);
            return;
        }
        if (result == H1_BODY_BAD) {
            fail(lane, true, "body: %s", fault.what);
            return;
        }
        if (!lane->is_upload && !load_pattern_matches(lane->at, payload)) {
            fail(lane, true, "a body is not what was sent, in %zu bytes from byte %llu on",
                 payload.len, (unsigned long long)lane->at);
            return;
        }
        lane->at += payload.len;
        load_stream_consume(&lane->stream, consumed);
    }
    if (lane->is_slow && lane->at - lane->piece_at >= LOAD_SLOW_PIECE) {
        lane->is_pausing = true;
        lane->piece_at = lane->at;
        timer_set(&lane->client->worker.timers, &lane->timer,
                  clock_monotonic_ns() + LOAD_SLOW_MS * NS_PER_MS);
    } else if (load_stream_is_over(&lane->stream)) {
        fail(lane, true, "a body ended after %llu bytes", (unsigned long long)lane->at);
    }
}

/* ---- a lane ---- */

/* The ports of connections that we end are in TIME-WAIT, for a second at least. Half of those that
 * an address has are soon found; so there are many addresses, in turn, if we may choose them. */
static bool choose_source(struct client *c, const struct address *to, struct address *source)
{
    if (load_modes[c->plan->mode].is_transparent) {
        *source = c->plan->source;
        return true;
    }
    if (!c->has_sources || to->u.any.sa_family != AF_INET) {
        return false;
    }
    *source = (struct address){.u.v4 = {.sin_family = AF_INET}, .len = sizeof(source->u.v4)};
    source->u.v4.sin_addr.s_addr = htonl(FIRST_SOURCE + (uint32_t)(c->result->dialled % SOURCES));
    return true;
}

static void connect_lane(struct lane *lane)
{
    struct client *c = lane->client;
    const struct load_plan *plan = c->plan;
    const struct load_mode_row *mode = &load_modes[plan->mode];
    bool is_straight = !mode->has_proxy || mode->is_transparent;
    const struct address *address = !is_straight    ? &plan->proxy
                                    : mode->has_tls ? &plan->origin_tls
                                                    : &plan->origin;
    struct address source;
    bool has_source = choose_source(c, address, &source);
    int error = 0;
    struct conn *conn =
        conn_dial(&c->worker, address, has_source ? &source : NULL, &lane->actor, &error);

    c->result->dialled++;
    choose_host(lane);
    lane->step = LANE_CONNECTING;
    lane->sent_ns = clock_monotonic_ns();
    if (!conn) {
        errno = -error;
        fail(lane, false, "connect: %s", strerror(-error));
        return;
    }
    load_stream_init(&lane->stream, conn);
}

static void begin_request(struct lane *lane, int64_t intended_ns)
{
    lane->intended_ns = intended_ns;
    lane->sent_ns = 0;
    lane->is_last = false;
    if (!lane->stream.conn) {
        connect_lane(lane);
        return;
    }
    say_request(lane);
    if (lane->stream.conn) {
        conn_flush(lane->stream.conn);
    }
}

/* Goes on to the next request: a closed loop's at once. */
static void lane_free(struct lane *lane)
{
    struct client *c = lane->client;

    lane->step = LANE_FREE;
    if (c->result->phase == LOAD_ENDED || c->holds) {
        return;
    }
    if (c->plan->rate_hz == 0) {
        begin_request(lane, clock_monotonic_ns());
    } else if (c->waiting_first < c->waiting_end) {
        begin_request(lane, c->waiting[c->waiting_first++ % WAITING_MAX]);
    } else {
        lane->next_free = NULL;
        *c->free_end = lane;
        c->free_end = &lane->next_free;
    }
}

static void take_step(struct lane *lane)
{
    switch (lane->step) {
    case LANE_CONNECTING:
        if (lane->stream.conn->state == CONN_OPEN) {
            if (lane->client->plan->has_connect) {
                say_connect(lane);
            } else {
                connection_is_there(lane);
            }
        }
        break;
    case LANE_TUNNEL:
        read_tunnel(lane);
        break;
    case LANE_HANDSHAKE:
        read_handshake(lane);
        break;
    case LANE_ANSWER:
        send_more(lane);
        if (lane->step == LANE_ANSWER) {
            read_answer(lane);
        }
        break;
    case LANE_BODY:
        read_body(lane);
        break;
    case LANE_ENDING:
        if (load_stream_is_over(&lane->stream)) {
            end_connection(lane);
        }
        break;
    default:
        break;
    }
}

static void run_lane(struct actor *actor)
{
    struct lane *lane = CONTAINER_OF(actor, struct lane, actor);
    enum lane_step step;

    if (lane->timer.fired) {
        lane->timer.fired = false;
        lane->is_pausing = false;
        if (lane->step == LANE_FAILED) {
            lane_free(lane);
        } else if (lane->step == LANE_ENDING) {
            end_connection(lane);
        }
    }
    if (lane->is_pausing || !lane->stream.conn) {
        return;
    }
    if (lane->stream.conn->state != CONN_CONNECTING && !load_stream_fill(&lane->stream)) {
        if (lane->step == LANE_ENDING) {
            end_connection(lane); /* the answer was had */
            return;
        }
        fail(lane, false, "%s", load_stream_fault(&lane->stream));
        return;
    }
    if (lane->stream.conn->error) {
        fail(lane, false, "connect: %s", strerror(lane->stream.conn->error));
        return;
    }
    do {
        step = lane->step;
        take_step(lane);
    } while (lane->step != step && lane->stream.conn && lane->stream.conn->state == CONN_OPEN &&
             lane->step != LANE_FREE);
    if (lane->stream.conn && lane->step == LANE_FREE && load_stream_is_over(&lane->stream)) {
        load_stream_close(&lane->stream, CONN_CLOSE_NOW); /* the next request opens another */
    }
    if (lane->stream.conn && lane->stream.conn->state == CONN_OPEN && !lane->is_pausing) {
        if (lane->is_slow) {
            conn_flush(lane->stream.conn);
            conn_receive(lane->stream.conn, LOAD_SLOW_PIECE);
        } else {
            load_stream_go_on(&lane->stream);
        }
    }
}

/* ---- a trial ---- */

/* Requests whose time has come. */
static void release(struct client *c, int64_t now_ns)
{
    while (load_pace_next(&c->pace) <= now_ns) {
        int64_t intended_ns = load_pace_take(&c->pace);
        struct lane *lane = c->free_lanes;

        if (lane) {
            c->free_lanes = lane->next_free;
            c->free_end = c->free_lanes ? c->free_end : &c->free_lanes;
            if (is_measuring(c)) {
                histogram_add(&c->result->late, now_ns - intended_ns);
            }
            begin_request(lane, intended_ns);
        } else if (c->waiting_end - c->waiting_first < WAITING_MAX) {
            c->waiting[c->waiting_end++ % WAITING_MAX] = intended_ns;
        } else {
            c->result->dropped++;
        }
    }
}

static void turn_until(struct client *c, int64_t end_ns)
{
    for (;;) {
        int64_t now_ns = clock_monotonic_ns();
        int64_t wait_ns = end_ns - now_ns;

        if (wait_ns <= 0) {
            return;
        }
        if (c->plan->rate_hz > 0) {
            int64_t next_ns;

            release(c, now_ns);
            next_ns = load_pace_next(&c->pace) - clock_monotonic_ns();
            wait_ns = next_ns < wait_ns ? next_ns : wait_ns;
        }
        wait_ns = wait_ns < TURN_NS_MAX ? wait_ns : TURN_NS_MAX;
        worker_turn_within(&c->worker, wait_ns > 0 ? wait_ns : 0);
    }
}

/* Waits until all clients of the trial are here, and does meanwhile what there is to do. Returns
 * when the last one came, which is the same for all. One that does not come has ended, and whoever
 * started us ends us. */
static int64_t meet(struct client *c, enum load_meet where)
{
    struct load_meeting *meeting = &c->meetings[where];
    int64_t time_ns;

    if (atomic_fetch_add(&meeting->arrived, 1) + 1 == load_plan_all_clients(c->plan)) {
        meeting->time_ns = clock_monotonic_ns();
    }
    while ((time_ns = meeting->time_ns) == 0) {
        turn_until(c, clock_monotonic_ns() + MEET_NS);
    }
    return time_ns;
}

/* Opens `count` of the lanes, a few at a time. False: not all of them could be opened. */
static bool open_lanes(struct client *c, unsigned count)
{
    int64_t limit_ns = clock_monotonic_ns() + IDLE_LIMIT_NS;
    unsigned started = 0;

    c->answered = 0;
    c->failed = 0;
    while (c->answered + c->failed < count && clock_monotonic_ns() < limit_ns) {
        while (started < count && started < c->answered + c->failed + IDLE_AT_ONCE) {
            begin_request(&c->lanes[started++], clock_monotonic_ns());
        }
        worker_turn_within(&c->worker, TURN_NS_MAX);
    }
    return c->answered == count;
}

static void open_all(struct client *c)
{
    struct load_result *result = c->result;

    c->holds = true;
    if (!open_lanes(c, c->plan->connections) && !result->errors) {
        result->errors = 1;
        snprintf(result->first_error, sizeof(result->first_error),
                 "not all connections could be opened in time");
    }
    c->holds = false;
}

/* Lanes begin one after the other, over the ramp. */
static void ramp_up(struct client *c, int64_t start_ns)
{
    const struct load_plan *plan = c->plan;

    for (unsigned i = 0; i < plan->connections; i++) {
        turn_until(c, start_ns + plan->ramp_ns * i / plan->connections);
        lane_free(&c->lanes[i]);
    }
}

static void run_loop(struct client *c)
{
    const struct load_plan *plan = c->plan;
    struct load_result *result = c->result;
    struct load_readings before, after;
    struct proc_usage usage;
    struct load_watched proxy;
    int64_t start_ns;

    result->phase = LOAD_WARMING;
    if (plan->opens_first) {
        open_all(c);
    }
    start_ns = meet(c, LOAD_MEET_START);
    if (plan->rate_hz > 0) {
        load_pace_init(&c->pace, start_ns + plan->first_ns, plan->rate_hz, plan->is_poisson,
                       plan->seed);
    }
    ramp_up(c, start_ns);
    load_readings_begin(plan, &proxy);
    turn_until(c, start_ns + plan->warmup_ns);
    before = load_readings_take(plan, &proxy, c->worker.ring);
    c->window_start_ns = meet(c, LOAD_MEET_WINDOW);
    result->phase = LOAD_MEASURING;
    turn_until(c, c->window_start_ns + plan->window_ns);
    result->phase = LOAD_ENDED;
    after = load_readings_take(plan, &proxy, c->worker.ring);
    load_readings_end(plan, &proxy, &after);
    load_readings_store(plan, &before, &after, result);
    result->slot_count = (unsigned)(plan->window_ns / LOAD_SLOT_NS);
    if (result->slot_count > LOAD_SLOTS_MAX) {
        result->slot_count = LOAD_SLOTS_MAX;
    }
    if (load_readings_proxy(plan, &usage)) {
        result->proxy_kib = usage.anonymous_kib;
    }
    (void)meet(c, LOAD_MEET_END);
}

static void close_lanes(struct client *c)
{
    for (unsigned i = 0; i < c->plan->connections; i++) {
        load_stream_close(&c->lanes[i].stream, CONN_CLOSE_FLUSH);
        timer_clear(&c->worker.timers, &c->lanes[i].timer);
        c->lanes[i].step = LANE_FREE;
    }
}

/* A closed loop, as long as the window at most. */
static void run_fill(struct client *c)
{
    int64_t start_ns = clock_monotonic_ns();

    c->result->phase = LOAD_WARMING;
    for (unsigned i = 0; i < c->plan->connections; i++) {
        lane_free(&c->lanes[i]);
    }
    while (c->answered < c->plan->host_cap &&
           clock_monotonic_ns() < start_ns + c->plan->window_ns) {
        turn_until(c, clock_monotonic_ns() + TURN_NS_MAX);
    }
    c->result->units = c->answered;
    c->result->phase = LOAD_ENDED;
}

/* Some connections come and go first: what the first ones make is not theirs alone. */
static void run_idle(struct client *c)
{
    const struct load_plan *plan = c->plan;
    struct load_result *result = c->result;
    unsigned warm_up = plan->connections / 16 + 1;
    struct proc_usage before, after;
    bool is_known;

    result->phase = LOAD_WARMING;
    c->holds = true;
    (void)open_lanes(c, warm_up < IDLE_WARM_UP ? warm_up : IDLE_WARM_UP);
    close_lanes(c);
    turn_until(c, meet(c, LOAD_MEET_START) + SETTLE_NS);
    is_known = load_readings_proxy(plan, &before);
    c->window_start_ns = meet(c, LOAD_MEET_WINDOW);
    result->phase = LOAD_MEASURING;
    if (!open_lanes(c, plan->connections) && !result->errors) {
        result->errors = 1;
        snprintf(result->first_error, sizeof(result->first_error),
                 "not all idle connections could be opened in time");
    }
    result->idle_count = c->answered;
    turn_until(c, meet(c, LOAD_MEET_OPENED) + SETTLE_NS);
    result->window_ns = clock_monotonic_ns() - c->window_start_ns;
    if (is_known && load_readings_proxy(plan, &after)) {
        result->proxy_idle_kib = after.anonymous_kib - before.anonymous_kib;
        result->proxy_kib = after.anonymous_kib;
    }
    result->phase = LOAD_ENDED;
    (void)meet(c, LOAD_MEET_END);
}

/* As ring_set_source() needs it. */
static bool may_choose_sources(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    bool may = fd >= 0 && setsockopt(fd, SOL_IP, IP_TRANSPARENT, &on, sizeof(on)) == 0;

    if (fd >= 0) {
        close(fd);
    }
    return may;
}

static bool client_init(struct client *c, const struct load_plan *plan,
                        struct load_meeting *meetings, struct load_result *result, char *error,
                        size_t error_cap)
{
    c->plan = plan;
    c->meetings = meetings;
    c->result = result;
    c->random = plan->seed;
    c->has_sources = plan->closer == LOAD_CLIENT_CLOSES && may_choose_sources();
    result->has_one_source = !c->has_sources;
    c->free_end = &c->free_lanes;
    c->pace.start_ns = INT64_MAX / 2; /* nothing is due before the start */
    c->host_count = plan->fills ? 0 : plan->host_cap;
    if (load_modes[plan->mode].has_tls) {
        c->tls = load_pki_client(plan->trust_file, error, error_cap);
        if (!c->tls) {
            return false;
        }
    }
    if (load_worker_init(&c->worker, CONNS_MAX, plan->is_awake, NULL, error, error_cap) < 0) {
        return false;
    }
    c->lanes = calloc(plan->connections, sizeof(*c->lanes));
    c->tickets = plan->profile == LOAD_RESUMED ? ticket_store_new(TICKETS_MAX) : NULL;
    if (!c->lanes || (plan->profile == LOAD_RESUMED && !c->tickets)) {
        snprintf(error, error_cap, "out of memory");
        return false;
    }
    for (unsigned i = 0; i < plan->connections; i++) {
        struct lane *lane = &c->lanes[i];

        lane->client = c;
        lane->is_slow = plan->profile == LOAD_SLOW && (plan->first_connection + i) % 2;
        actor_init(&lane->actor, &c->worker.ready, run_lane);
        timer_init(&lane->timer, &lane->actor);
    }
    return true;
}

/* The process ends behind this: what it holds goes with it, but connections end in order. */
bool load_client_run(const struct load_plan *plan, struct load_meeting *meetings,
                     struct load_result *result, char *error, size_t error_cap)
{
    struct client *c = calloc(1, sizeof(*c));

    if (!c) {
        snprintf(error, error_cap, "out of memory");
        return false;
    }
    load_pattern_init();
    if (!client_init(c, plan, meetings, result, error, error_cap)) {
        free(c);
        return false;
    }
    if (plan->profile == LOAD_IDLE) {
        run_idle(c);
    } else if (plan->fills) {
        run_fill(c);
    } else {
        run_loop(c);
    }
    close_lanes(c);
    turn_until(c, clock_monotonic_ns() + SETTLE_NS / 3);
    return true;
}
