/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/young.h"

#include "core/base/clock.h"
#include "core/engine/conn.h"

#define ACK_NS   (10 * NS_PER_MS)
#define WATCH_NS (50 * NS_PER_MS)

/*
 * The segment that ends the handshake with a server goes with the first bytes to it, where these
 * come soon: most servers have nothing to do before. From then on what they send is acknowledged at
 * once again, as on any new connection; they may wait for that (Nagle's algorithm).
 */
void young_end_handshake(struct conn *c)
{
    if (c->owes_ack && c->state == CONN_OPEN) {
        c->owes_ack = false;
        (void)ring_set_quick_acks(c->worker->ring, c->fd, true);
    }
}

/* The conn at that place; null: it is no more. */
static struct conn *young_at(struct worker *w, uint32_t place)
{
    const struct young_conn *young = &w->young.conns[place % WORKER_YOUNG_MAX];

    return pool_find(&w->conns, young->slot, young->generation);
}

static int64_t begin_ns(const struct worker *w, uint32_t place)
{
    return w->young.conns[place % WORKER_YOUNG_MAX].begin_ns;
}

static void ack_next(struct worker *w)
{
    struct conn *c = young_at(w, w->young.unacked++);

    if (c) {
        young_end_handshake(c);
    }
}

static void watch_oldest(struct worker *w)
{
    struct conn *c;

    if (w->young.unacked == w->young.first) {
        ack_next(w);
    }
    c = young_at(w, w->young.first++);
    if (c) {
        conn_watch_end(c);
    }
}

/* For what is due first. */
static void set_timer(struct worker *w)
{
    int64_t due_ns;

    if (w->young.first == w->young.end) {
        return;
    }
    due_ns = begin_ns(w, w->young.first) + WATCH_NS;
    if (w->young.unacked != w->young.end && begin_ns(w, w->young.unacked) + ACK_NS < due_ns) {
        due_ns = begin_ns(w, w->young.unacked) + ACK_NS;
    }
    timer_set(&w->timers, &w->young.timer, due_ns);
}

void young_add(struct conn *c)
{
    struct worker *w = c->worker;

    if (w->young.end - w->young.first == WORKER_YOUNG_MAX) {
        watch_oldest(w);
    }
    w->young.conns[w->young.end++ % WORKER_YOUNG_MAX] =
        (struct young_conn){worker_now(w), c->pool.slot, c->pool.generation};
    if (w->young.timer.deadline_ns == 0 || w->young.unacked + 1 == w->young.end) {
        set_timer(w);
    }
}

static void run_young(struct actor *actor)
{
    struct worker *w = CONTAINER_OF(actor, struct worker, young.actor);
    int64_t now_ns = worker_now(w);

    while (w->young.unacked != w->young.end && begin_ns(w, w->young.unacked) + ACK_NS <= now_ns) {
        ack_next(w);
    }
    while (w->young.first != w->young.end && begin_ns(w, w->young.first) + WATCH_NS <= now_ns) {
        watch_oldest(w);
    }
    set_timer(w);
}

void young_init(struct worker *w)
{
    actor_init(&w->young.actor, &w->ready, run_young);
    timer_init(&w->young.timer, &w->young.actor);
}
