/* SPDX-License-Identifier: Apache-2.0 */
/* Turns of a ring, and lines of the access log, which need a ring for the time. */
#include "bench/micro_rows.h"
#include "core/base/clock.h"
#include "core/engine/ring.h"
#include "core/session/access_log.h"
#include "core/session/snapshot.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS_MAX = 64, RECV_CAP = 1 << 30, ERROR_CAP = 512 };

struct ring_work {
    struct ring *ring;
    struct buf_cache cache;
    int pairs[PAIRS_MAX][2]; /* sockets that are connected; -1: none */
    size_t pair_count;       /* that a turn uses */
};

/* ---- turns ---- */

static struct ring_owner owner_of(size_t pair)
{
    return (struct ring_owner){(uint32_t)pair, 1};
}

static void run_poll(void *context, size_t count)
{
    struct ring_work *work = context;
    struct ring_event events[RING_EVENTS_MAX];

    for (size_t i = 0; i < count; i++) {
        size_t seen = 0;

        for (size_t pair = 0; pair < work->pair_count; pair++) {
            ring_poll(work->ring, work->pairs[pair][0], owner_of(pair), RING_POLL_OUT, POLLOUT);
        }
        while (seen < work->pair_count) {
            seen += (size_t)ring_turn(work->ring, -1, events, RING_EVENTS_MAX);
        }
    }
}

/* Waits for `sent` sends and as many receives of one byte. */
static void take(struct ring_work *work, size_t sent)
{
    struct ring_event events[RING_EVENTS_MAX];
    size_t received = 0, left = sent;

    while (left || received < sent) {
        int count = ring_turn(work->ring, -1, events, RING_EVENTS_MAX);

        for (int i = 0; i < count; i++) {
            const struct ring_event *event = &events[i];
            size_t pair = event->owner.slot;

            if (event->kind == RING_SEND) {
                ASSERT(event->res == 1);
                left--;
                continue;
            }
            if (event->buf) {
                received += (size_t)event->res;
                buf_put(&work->cache, event->buf);
            }
            if (!event->more) {
                ring_recv(work->ring, work->pairs[pair][1], event->owner, RING_GROUP_SMALL,
                          RECV_CAP, true);
            }
        }
    }
}

static void run_send(void *context, size_t count)
{
    static char byte = 'w';
    static const struct iovec iov = {&byte, 1};
    struct ring_work *work = context;

    for (size_t i = 0; i < count; i++) {
        for (size_t pair = 0; pair < work->pair_count; pair++) {
            ring_send(work->ring, work->pairs[pair][0], owner_of(pair), &iov, 1);
        }
        take(work, work->pair_count);
    }
}

static void measure_turns(struct micro *micro, struct ring_work *work)
{
    static const size_t counts[] = {1, 8, PAIRS_MAX};
    const struct measure_work poll_work = {run_poll, work, 1}, send_work = {run_send, work, 1};

    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        work->pair_count = counts[i];
        micro_measure(micro, MICRO_TURN_POLL_1 + i, MICRO_HEAP_NO_LOOK, &poll_work);
    }
    for (size_t i = 0; i < PAIRS_MAX; i++) {
        ring_recv(work->ring, work->pairs[i][1], owner_of(i), RING_GROUP_SMALL, RECV_CAP, true);
    }
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        work->pair_count = counts[i];
        micro_measure(micro, MICRO_TURN_SEND_1 + i, MICRO_HEAP_NO_LOOK, &send_work);
    }
}

/* ---- the log ---- */

/* A session with nothing around it but what the log reads. */
struct log_work {
    struct session_shared shared;
    struct session_worker worker;
    struct config_listener listener;
    struct config config;
    struct snapshot snapshot;
    struct snapshot_hold hold;
    struct conn client, server;
    struct session_tls tls;
    struct session session;
    struct http_exchange exchange;
};

static void drop_line(void *context, struct span line)
{
    (void)context;
    measure_keep(line.data);
}

static void run_line(void *context, size_t count)
{
    struct log_work *work = context;

    for (size_t i = 0; i < count; i++) {
        access_log_request(&work->session, &work->exchange);
    }
}

#define SET(field, text) ((void)snprintf(field, sizeof(field), "%s", text))

static void measure_line(struct micro *micro, struct ring *ring)
{
    static struct log_work work;
    static struct session_hello hello = {.ja3 = "e7d705a3286e19ea42f587b344ee6865",
                                         .ja4 = "t13d1516h2_8daaf6152771_02713d6af862",
                                         .sni = "www.example.com"};
    static const struct measure_work line = {run_line, &work, 1};
    const struct session_tls_side side = {
        .version = "TLSv1.3", .cipher = "TLS_AES_128_GCM_SHA256", .group = "X25519"};
    struct session *s = &work.session;
    bool done = address_parse_ip(&work.client.peer, SPAN_LITERAL("192.0.2.7"), 51000) &&
                address_parse_ip(&work.server.peer, SPAN_LITERAL("203.0.113.9"), 443);

    ASSERT(done);
    work.shared.on_log_line = drop_line;
    work.worker.shared = &work.shared;
    work.worker.engine.ring = ring;
    work.listener.address.text = (char *)"127.0.0.1:8080";
    work.config.listeners = &work.listener;
    work.config.listener_count = 1;
    work.snapshot.config = &work.config;
    work.hold.snapshot = &work.snapshot;
    s->worker = &work.worker;
    s->hold = &work.hold;
    s->id = 0x5f3759df;
    s->rule = "default";
    s->client = &work.client;
    s->server = &work.server;
    s->target = (char *)"www.example.com";
    s->port = 443;
    s->hello = &hello;
    work.tls = (struct session_tls){.server = side, .client = side, .alpn = "h2"};
    s->tls = &work.tls;
    s->leaf_source = LEAF_FROM_CACHE;
    s->requests = 1; /* it has had one: no phases of the connection */
    work.exchange = (struct http_exchange){.http_major = 2,
                                           .status = 200,
                                           .response_bytes = 1024,
                                           .begin_ns = NS_PER_S,
                                           .first_byte_ns = NS_PER_S + 12 * NS_PER_MS,
                                           .end_ns = NS_PER_S + 13 * NS_PER_MS};
    SET(work.exchange.method, "GET");
    SET(work.exchange.authority, "www.example.com");
    SET(work.exchange.path, "/assets/app/main.js?v=20261122");
    SET(work.exchange.user_agent, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
                                  "(KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36");
    micro_measure(micro, MICRO_LOG_LINE, MICRO_HEAP_LOOK, &line);
}

/* ---- life ---- */

static bool make_pairs(struct ring_work *work, FILE *err)
{
    for (size_t i = 0; i < PAIRS_MAX; i++) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, work->pairs[i]) !=
            0) {
            fprintf(err, "weir bench: socketpair: %s\n", strerror(errno));
            work->pairs[i][0] = work->pairs[i][1] = -1;
            return false;
        }
    }
    return true;
}

bool micro_engine(struct micro *micro)
{
    static struct ring_work work;
    char error[ERROR_CAP];
    bool done;

    memset(work.pairs, -1, sizeof(work.pairs));
    buf_cache_init(&work.cache);
    if (ring_new(&work.ring, &ring_options_default, &work.cache, error, sizeof(error)) < 0) {
        fprintf(micro->err, "weir bench: %s\n", error);
        return false;
    }
    done = make_pairs(&work, micro->err);
    if (done) {
        measure_line(micro, work.ring);
        measure_turns(micro, &work);
    }
    (void)ring_free(work.ring);
    for (size_t i = 0; i < PAIRS_MAX && work.pairs[i][0] >= 0; i++) {
        close(work.pairs[i][0]);
        close(work.pairs[i][1]);
    }
    buf_cache_fini(&work.cache);
    return done;
}
