/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/young.h"

#include "core/base/clock.h"
#include "core/engine/conn.h"

#define WATCH_NS (50 * NS_PER_MS)

static struct young_conn *oldest_young(struct worker *w)
{
    return &w->young.conns[w->young.first % WORKER_YOUNG_MAX];
}

static void watch_oldest(struct worker *w)
{
    const struct young_conn *young = oldest_young(w);
    struct conn *c = pool_find(&w->conns, young->slot, young->generation);

    w->young.first++;
    if (c) {
        conn_watch_end(c);
    }
}

void young_add(struct conn *c)
{
    struct worker *w = c->worker;
    int64_t due_ns = worker_now(w) + WATCH_NS;

    if (w->young.end - w->young.first == WORKER_YOUNG_MAX) {
        watch_oldest(w);
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
        watch_oldest(w);
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
