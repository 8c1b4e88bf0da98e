/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/session_worker.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/engine/idle.h"
#include "core/engine/listener.h"
#include "core/session/forward.h"
#include "core/session/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TICKETS_MAX = 4096, /* server sessions to resume, a worker */
    IDLE_SHARE = 4,     /* of the connections of a worker, one in so many may be idle */
};

/* Idle connections count as connections, and are not to keep new ones out. */
static uint32_t idle_cap(const struct config *config, uint32_t conn_cap)
{
    uint32_t share = conn_cap / IDLE_SHARE;

    return config->upstream.idle_count < share ? config->upstream.idle_count : share;
}

int session_worker_init(struct session_worker *w, const struct session_worker_options *options,
                        char *error, size_t error_cap)
{
    const struct config *config = options->snapshot->config;
    const struct resolver_options resolver = {
        .servers = (const char *const *)config->dns.servers,
        .server_count = config->dns.server_count,
        /* null: the system's, which may be missing */
        .hosts_file =
            strcmp(config->dns.hosts_file, "/etc/hosts") == 0 ? NULL : config->dns.hosts_file,
        .timeout_ms = config->dns.timeout_ms,
        .cache_count = config->dns.cache_count,
        .ttl_max_s = config->dns.ttl_max_s,
        .negative_ttl_s = config->dns.negative_ttl_s,
        .mark = config->transparent.mark,
    };
    struct ring_options ring = options->ring ? *options->ring : ring_options_default;
    const struct worker_options engine = {
        .index = options->index,
        .conn_cap = options->conn_cap,
        .dial_cap = options->conn_cap / 2 + 1,
        .idle_cap = idle_cap(config, options->conn_cap),
        .idle_ns = config->upstream.idle_ms * NS_PER_MS,
        .buffer_high = config->limits.buffer_high_bytes,
        .buffer_low = config->limits.buffer_low_bytes,
        .ring = &ring,
        .resolver = &resolver,
        .mark = config->transparent.mark,
        .own = options->own,
        .accepted = session_accept,
    };
    int result;

    ring.busy_poll_ns = config->busy_poll_us * NS_PER_US;

    memset(w, 0, sizeof(*w));
    w->shared = options->shared;
    /* Ids of different workers and of different runs do not meet. */
    w->next_id = options->shared->id_seed + ((uint64_t)options->index << 48);
    result = worker_init(&w->engine, &engine, error, error_cap);
    if (result < 0) {
        return result;
    }
    w->tickets = ticket_store_new(TICKETS_MAX);
    w->hold = snapshot_hold_new(options->snapshot);
    w->verdicts = w->shared->verdicts ? verdict_reader_new(w->shared->verdicts) : NULL;
    w->user_agents = w->verdicts ? user_agent_memo_new() : NULL;
    if (!w->tickets || !w->hold || (w->shared->verdicts && !w->user_agents) ||
        pool_init(&w->sessions, "sessions", sizeof(struct session), options->conn_cap) < 0 ||
        pool_init(&w->forwards, "forwards", forward_size(), options->conn_cap) < 0) {
        snprintf(error, error_cap, "worker %u: out of memory at start", options->index);
        return -ENOMEM; /* the process ends */
    }
    return 0;
}

void session_worker_publish(struct session_worker *w, struct snapshot *snapshot)
{
    struct snapshot_hold *hold = snapshot_hold_new(snapshot);
    const struct config *config = snapshot->config;

    if (!hold) {
        return; /* the old one stays in force */
    }
    snapshot_hold_retire(w->hold);
    w->hold = hold;
    w->engine.buffer_high = config->limits.buffer_high_bytes;
    w->engine.buffer_low = config->limits.buffer_low_bytes;
    idle_pool_set_limits(w->engine.idle, idle_cap(config, w->engine.conn_cap),
                         config->upstream.idle_ms * NS_PER_MS);
    idle_pool_close_all(w->engine.idle);
}

/* Draining: what each session is told, or how it ends. */
static void visit_sessions(struct session_worker *w, void (*visit)(struct session *))
{
    struct session *s;
    uint32_t at = 0;

    while ((s = pool_next(&w->sessions, &at))) {
        visit(s);
    }
}

static void cut_off(struct session *s)
{
    session_close(s, CLOSE_GRACE_OVER);
}

void session_worker_drain(struct session_worker *w)
{
    w->draining = true;
    idle_pool_close_all(w->engine.idle);
}

void session_worker_end(struct session_worker *w, uint32_t idle_ms, uint32_t grace_ms)
{
    if (w->ending) {
        return;
    }
    session_worker_drain(w);
    /* Who is in the backlog was promised an answer: the listener takes them on its way out. */
    for (size_t i = 0; i < w->engine.listener_count; i++) {
        listener_close(&w->engine.listeners[i]);
    }
    w->ending = true;
    w->idle_end_ns = worker_now(&w->engine) + idle_ms * NS_PER_MS;
    w->grace_end_ns = worker_now(&w->engine) + grace_ms * NS_PER_MS;
    if (idle_ms == 0) {
        visit_sessions(w, session_end_if_idle);
    }
}

static bool is_empty(const struct session_worker *w)
{
    for (size_t i = 0; i < w->engine.listener_count; i++) {
        if (!listener_is_closed(&w->engine.listeners[i])) {
            return false;
        }
    }
    return w->sessions.live_count == 0;
}

void session_worker_run(struct session_worker *w)
{
    static const int64_t drain_tick_ns = 50 * NS_PER_MS;
    int64_t next_look_ns = 0;

    while (!w->ending || !is_empty(w)) {
        worker_turn_within(&w->engine, w->draining ? drain_tick_ns : -1);
        int64_t now_ns = worker_now(&w->engine);
        if (!w->draining || now_ns < next_look_ns) {
            continue;
        }
        next_look_ns = now_ns + drain_tick_ns;
        visit_sessions(w, w->ending && now_ns >= w->idle_end_ns ? session_end_if_idle
                                                                : session_ask_to_leave);
        if (w->ending && now_ns >= w->grace_end_ns) {
            visit_sessions(w, cut_off);
        }
    }
}

/* What a worker did, for whoever asks where its time went: how much one system call carried, and
 * how often receives found no buffer. */
static void tell_totals(const struct session_worker *w)
{
    const struct ring_stats *ring = ring_stats(w->engine.ring);
    const struct worker_stats *engine = &w->engine.stats;

    log_write(LOG_DEBUG,
              "worker=%u ended: sessions=%" PRIu64 " requests=%" PRIu64 " dialled=%" PRIu64
              " taken_over=%" PRIu64 " sent_again=%" PRIu64 " enters=%" PRIu64 " slept=%" PRIu64
              " submitted=%" PRIu64 " completed=%" PRIu64 " received=%" PRIu64 " sent=%" PRIu64
              " spliced=%" PRIu64 " copied_out=%" PRIu64 " without_buffer=%" PRIu64
              " received_privately=%" PRIu64,
              w->engine.index, w->stats.sessions, w->stats.requests, engine->dialled,
              w->stats.taken_over, w->stats.sent_again, ring->enters, ring->sleeps, ring->sqes,
              ring->cqes, ring->recv_bytes, ring->send_bytes, engine->spliced_bytes,
              engine->parked_bytes, engine->starved, engine->private_receives);
}

bool session_worker_fini(struct session_worker *w)
{
    bool clean;

    tell_totals(w);
    w->draining = true;
    w->ending = true;
    visit_sessions(w, cut_off);
    clean = worker_fini(&w->engine);
    ticket_store_free(w->tickets);
    verdict_reader_free(w->verdicts);
    user_agent_memo_free(w->user_agents);
    snapshot_hold_retire(w->hold);
    pool_fini(&w->forwards);
    pool_fini(&w->sessions);
    return clean;
}

void session_worker_describe(const struct session_worker *w)
{
    const struct session *s;
    uint32_t at = 0;
    int shown = 0;

    fprintf(stderr, "worker %u: %u sessions, %u conns, %u dials%s\n", w->engine.index,
            w->sessions.live_count, w->engine.conns.live_count, w->engine.dials.live_count,
            w->ending     ? ", ending"
            : w->draining ? ", draining"
                          : "");
    while ((s = pool_next(&w->sessions, &at)) && shown++ < 100) {
        fprintf(stderr, "  session %llx: step %s (before:", (unsigned long long)s->id,
                step_name((enum step)s->step));
        for (uint32_t i = 1; i < SESSION_TRAIL_LEN && i < s->trail_count; i++) {
            fprintf(stderr, " %s",
                    step_name((enum step)s->trail[(s->trail_count - i) % SESSION_TRAIL_LEN]));
        }
        fprintf(stderr, ") target %s\n", s->target ? s->target : "-");
    }
}
