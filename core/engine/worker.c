/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/worker.h"

#include "core/engine/conn.h"
#include "core/engine/dial.h"
#include "core/engine/idle.h"
#include "core/engine/listener.h"
#include "core/engine/own_address.h"
#include "core/engine/young.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LAST_TURNS_MAX = 100000 }; /* of the ring, in worker_fini() */

int worker_init(struct worker *w, const struct worker_options *options, char *error,
                size_t error_cap)
{
    int result;

    w->index = options->index;
    w->conn_cap = options->conn_cap;
    w->buffer_high = options->buffer_high;
    w->buffer_low = options->buffer_low;
    w->mark = options->mark;
    w->own = options->own;
    w->accepted = options->accepted;
    list_init(&w->ready);
    list_init(&w->starved);
    buf_cache_init(&w->bufs);
    atomic_store(&w->mail, NULL);

    result = ring_new(&w->ring, options->ring ? options->ring : &ring_options_default, &w->bufs,
                      error, error_cap);
    if (result < 0) {
        return result;
    }
    timer_wheel_init(&w->timers, ring_now(w->ring));
    w->scratch = malloc(WORKER_SCRATCH_CAP);
    /* Conns that are closing outlive their sessions for a while: leave them room. */
    if (!w->scratch || pool_init(&w->conns, "conns", sizeof(struct conn), 2 * w->conn_cap) < 0 ||
        pool_init(&w->dials, "dials", sizeof(struct dial), options->dial_cap) < 0) {
        goto no_memory;
    }
    conn_reaper_init(w);
    young_init(w);
    for (size_t i = COUNT_OF(w->splice_pipes); i-- > 0;) {
        worker_give_splice_pipe(w, &w->splice_pipes[i]);
    }
    w->idle = idle_pool_new(w, options->idle_cap, options->idle_ns);
    if (!w->idle) {
        goto no_memory;
    }
    w->resolver = resolver_new(options->resolver, w->ring, &w->timers, &w->ready, error, error_cap);
    if (!w->resolver) {
        result = -EINVAL;
        goto failed;
    }
    return 0;

no_memory:
    result = -ENOMEM;
    snprintf(error, error_cap, "worker %u: out of memory at start", w->index);
failed:
    if (w->idle) {
        idle_pool_free(w->idle);
    }
    if (w->dials.slabs) {
        pool_fini(&w->dials);
    }
    if (w->conns.slabs) {
        pool_fini(&w->conns);
    }
    free(w->scratch);
    ring_free(w->ring);
    buf_cache_fini(&w->bufs);
    return result;
}

int worker_listen(struct worker *w, const struct listen_socket *sockets, size_t count)
{
    w->listeners = calloc(count ? count : 1, sizeof(*w->listeners));
    if (!w->listeners) {
        return -ENOMEM;
    }
    w->listener_count = count;
    for (size_t i = 0; i < count; i++) {
        listener_init(&w->listeners[i], w, sockets[i].fd, sockets[i].listener);
    }
    return 0;
}

void worker_post(struct worker *w, struct letter *letter)
{
    struct letter *head = atomic_load_explicit(&w->mail, memory_order_relaxed);

    /* The letter may be delivered, and be the one that ends the worker, before this returns. */
    atomic_fetch_add_explicit(&w->posting, 1, memory_order_relaxed);
    do {
        letter->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&w->mail, &head, letter, memory_order_release,
                                                    memory_order_relaxed));
    if (!head) {
        ring_wake(w->ring);
    }
    atomic_fetch_sub_explicit(&w->posting, 1, memory_order_release);
}

/* Letters in the order they were posted. */
static void read_mail(struct worker *w)
{
    struct letter *newest = atomic_exchange_explicit(&w->mail, NULL, memory_order_acquire);
    struct letter *oldest = NULL;

    while (newest) {
        struct letter *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct letter *letter = oldest;
        oldest = letter->next;
        letter->deliver(letter);
    }
}

static void take_event(struct worker *w, const struct ring_event *event)
{
    struct conn *c;

    switch (event->kind) {
    case RING_WAKED:
        read_mail(w);
        return;
    case RING_RESOLVE:
        resolver_on_event(w->resolver, event);
        return;
    case RING_ACCEPT:
        ASSERT(event->owner.slot < w->listener_count);
        listener_on_event(&w->listeners[event->owner.slot], event);
        return;
    default:
        break;
    }
    c = pool_find(&w->conns, event->owner.slot, event->owner.generation);
    if (c) {
        conn_on_event(c, event);
        return;
    }
    w->stats.stale_events++;
    if (event->buf) {
        buf_put(&w->bufs, event->buf);
    }
}

static void run_ready(struct worker *w)
{
    struct list_node now;

    /* Only those that are ready now: one that makes itself ready again waits for the next turn. */
    list_init(&now);
    if (!list_is_empty(&w->ready)) {
        list_push_front(&w->ready, &now);
        list_remove(&w->ready);
    }
    /* Actors join and leave w->ready by their nodes alone, so the head could be exchanged. */
    while (!list_is_empty(&now)) {
        struct list_node *first = list_pop_front(&now);
        struct actor *actor = CONTAINER_OF(first, struct actor, ready_link);
        actor->run(actor);
    }
}

void worker_turn_within(struct worker *w, int64_t limit_ns)
{
    struct ring_event events[RING_EVENTS_MAX];
    struct timer *timer;
    int64_t wait_ns = 0;
    int count;

    if (list_is_empty(&w->ready)) {
        wait_ns = timer_wheel_next(&w->timers, worker_now(w));
        if (wait_ns < 0 || (limit_ns >= 0 && limit_ns < wait_ns)) {
            wait_ns = limit_ns;
        }
    }
    count = ring_turn(w->ring, wait_ns, events, RING_EVENTS_MAX);
    for (int i = 0; i < count; i++) {
        take_event(w, &events[i]);
    }
    while ((timer = timer_wheel_expire(&w->timers, worker_now(w)))) {
        actor_ready(timer->owner);
    }
    run_ready(w);
    if (!list_is_empty(&w->starved)) {
        conn_serve_starved(w);
    }
}

struct splice_pipe *worker_take_splice_pipe(struct worker *w)
{
    struct splice_pipe *pipe = w->free_splice_pipe;

    if (!pipe || (!pipe->capacity && ring_pipe(w->ring, pipe->fds, &pipe->capacity) < 0)) {
        return NULL;
    }
    w->free_splice_pipe = pipe->next_free;
    return pipe;
}

static void splice_pipe_close(struct worker *w, struct splice_pipe *pipe)
{
    if (pipe->capacity) {
        ring_close(w->ring, pipe->fds[0]);
        ring_close(w->ring, pipe->fds[1]);
        pipe->capacity = 0;
        pipe->filled = 0;
    }
}

void worker_give_splice_pipe(struct worker *w, struct splice_pipe *pipe)
{
    if (pipe->filled) {
        splice_pipe_close(w, pipe);
    }
    pipe->next_free = w->free_splice_pipe;
    w->free_splice_pipe = pipe;
}

bool worker_fini(struct worker *w)
{
    bool clean;

    for (size_t i = 0; i < w->listener_count; i++) {
        listener_close(&w->listeners[i]);
    }
    idle_pool_close_all(w->idle);
    resolver_stop(w->resolver);
    /* Bounded by the watchdog of each conn: a close that stays overdue ends as a leak, not a hang.
     */
    for (int turns = 0; turns < LAST_TURNS_MAX; turns++) {
        bool open = w->conns.live_count > 0 || resolver_in_flight(w->resolver) > 0 ||
                    w->letters_expected > 0;
        for (size_t i = 0; i < w->listener_count; i++) {
            open |= !listener_is_closed(&w->listeners[i]);
        }
        if (!open || w->stats.close_overdue) {
            break;
        }
        worker_turn(w);
    }
    for (size_t i = 0; i < COUNT_OF(w->splice_pipes); i++) {
        splice_pipe_close(w, &w->splice_pipes[i]);
    }
    while (atomic_load_explicit(&w->posting, memory_order_acquire)) {
        sched_yield();
    }
    resolver_free(w->resolver);
    clean = ring_free(w->ring);
    if (w->conns.live_count > 0) {
        return false;
    }
    idle_pool_free(w->idle);
    free(w->listeners);
    pool_fini(&w->dials);
    pool_fini(&w->conns);
    free(w->scratch);
    buf_cache_fini(&w->bufs);
    return clean;
}

bool worker_is_own_client(struct worker *w, const struct address *client,
                          const struct address *target)
{
    return own_addresses_dialled(w->own, client, target);
}
