/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/young.h"

#include "core/base/clock.h"
#include "core/engine/conn.h"

#define YOUNG_NS (10 * NS_PER_MS)

/*
 * The segment that ends the handshake with a server goes with the first bytes to it, where these
 * come soon: most servers have nothing to do before. From then on what they send is acknowledged at
 * once again, as on any new connection; they may wait for that (Nagle's algorithm).
 */
void conn_end_handshake(struct conn *c)
{
    if (c->owes_ack && c->state == CONN_OPEN) {
        c->owes_ack = false;
        (void)ring_set_quick_acks(c->worker->ring, c->fd, true);
    }
}

static struct young_conn *oldest_young(struct worker *w)
{
    return &w->young.conns[w->young.first % WORKER_YOUNG_MAX];
}

static void age_oldest(struct worker *w)
{
    const struct young_conn *young = oldest_young(w);
    struct conn *c = pool_find(&w->conns, young->slot, young->generation);

    w->young.first++;
    if (c) {
        conn_end_handshake(c);
        conn_watch_end(c);
    }
}

void young_add(struct conn *c)
{
    struct worker *w = c->worker;
    int64_t due_ns = worker_now(w) + YOUNG_NS;

    if (w->young.end - w->young.first == WORKER_YOUNG_MAX) {
        age_oldest(w);
    }
    w->young.conns[w->young.end++ % WORKER_YOUNG_MAX] =
        (struct young_conn){due_ns, c->pool.slot, c->pool.generation};
    if (w->young.timer.deadline_ns == 0) {
        timer_set(&w->timers, &w->young.timer, due_ns);
    }
}

static void run_young(struct actor *actor)
{
    struct worker *w = CONTAINER_OF(actor, struct worker, young.actor);

    while (w->young.first != w->young.end && oldest_young(w)->due_ns <= worker_now(w)) {
        age_oldest(w);
    }
    if (w->young.first != w->young.end) {
        timer_set(&w->timers, &w->young.timer, oldest_young(w)->due_ns);
    }
}

void young_init(struct worker *w)
{
    actor_init(&w->young.actor, &w->ready, run_young);
    timer_init(&w->young.timer, &w->young.actor);
}
