/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/idle.h"

#include "core/base/table.h"

#include <stdlib.h>

enum {
    KEY_USUAL = 64,  /* bytes: entries have room for such keys at least */
    SPARES_MAX = 64, /* entries kept for the next connections */
};

struct idle_entry {
    struct actor actor;
    struct table_node node;
    struct list_node age_link; /* oldest first */
    struct idle_pool *pool;
    struct conn *conn;
    struct idle_entry *next; /* while spare */
    struct timer timer;
    size_t key_cap;
    size_t key_len;
    uint8_t key[];
};

struct idle_pool {
    struct worker *worker;
    struct table table;
    struct list_node age;
    struct idle_entry *spare;
    uint32_t spare_count;
    uint32_t cap;
    int64_t idle_ns;
};

struct idle_pool *idle_pool_new(struct worker *worker, uint32_t cap, int64_t idle_ns)
{
    struct idle_pool *pool = calloc(1, sizeof(*pool));

    if (!pool) {
        return NULL;
    }
    if (table_init(&pool->table, 64) < 0) {
        free(pool);
        return NULL;
    }
    pool->worker = worker;
    pool->cap = cap;
    pool->idle_ns = idle_ns;
    list_init(&pool->age);
    return pool;
}

/* The entry of the connection that was taken last serves the next one. */
static struct idle_entry *entry_new(struct idle_pool *pool, size_t key_len)
{
    size_t key_cap = key_len > KEY_USUAL ? key_len : KEY_USUAL;
    struct idle_entry *e = pool->spare;

    if (e && e->key_cap >= key_len) {
        pool->spare = e->next;
        pool->spare_count--;
        return e;
    }
    e = malloc(sizeof(*e) + key_cap);
    if (e) {
        e->key_cap = key_cap;
    }
    return e;
}

static void entry_free(struct idle_entry *e)
{
    struct idle_pool *pool = e->pool;

    if (pool->spare_count == SPARES_MAX) {
        free(e);
        return;
    }
    e->next = pool->spare;
    pool->spare = e;
    pool->spare_count++;
}

/* Out of the pool; the connection is the caller's. */
static struct conn *take_out(struct idle_entry *e)
{
    struct conn *c = e->conn;

    table_remove(&e->pool->table, &e->node);
    list_remove(&e->age_link);
    timer_clear(&e->pool->worker->timers, &e->timer);
    actor_fini(&e->actor);
    entry_free(e);
    return c;
}

static struct idle_entry *oldest_of(struct idle_pool *pool)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was taken out is in no list */
    return CONTAINER_OF(pool->age.next, struct idle_entry, age_link);
}

void idle_pool_set_limits(struct idle_pool *pool, uint32_t cap, int64_t idle_ns)
{
    pool->cap = cap;
    pool->idle_ns = idle_ns;
}

static void end_conn(struct conn *c)
{
    conn_close(c, c->tls ? CONN_CLOSE_FLUSH : CONN_CLOSE_NOW);
}

/* Anything that happens to an idle connection ends it: FIN, an error, time, or bytes nobody asked
 * for, after which its framing could not be trusted. */
static void run_entry(struct actor *actor)
{
    struct idle_entry *e = CONTAINER_OF(actor, struct idle_entry, actor);
    struct conn *c = e->conn;

    if (e->timer.fired || c->eof || c->receiving == CONN_RECV_ENDED || c->rx.len || c->error) {
        end_conn(take_out(e));
        return;
    }
    conn_receive(c, c->worker->buffer_high);
}

void idle_put(struct idle_pool *pool, struct idle_key key, struct conn *c)
{
    struct idle_entry *e = NULL;

    if (pool->cap && !c->error && !c->eof && c->rx.len == 0 && c->tx.len == 0 && !c->sending) {
        e = entry_new(pool, key.bytes.len);
    }
    if (!e) {
        end_conn(c);
        return;
    }
    while (pool->table.count >= pool->cap) {
        end_conn(take_out(oldest_of(pool)));
    }
    e->pool = pool;
    e->conn = c;
    e->key_len = key.bytes.len;
    memcpy(e->key, key.bytes.data, key.bytes.len);
    actor_init(&e->actor, &pool->worker->ready, run_entry);
    timer_init(&e->timer, &e->actor);
    timer_set(&pool->worker->timers, &e->timer, worker_now(pool->worker) + pool->idle_ns);
    list_init(&e->age_link);
    list_push_back(&pool->age, &e->age_link);
    table_insert(&pool->table, &e->node, key.hash);
    conn_set_owner(c, &e->actor);
    conn_receive(c, c->worker->buffer_high);
}

static bool is_usable(const struct conn *c)
{
    return c->receiving != CONN_RECV_ENDED && !c->eof && c->rx.len == 0 && !c->error;
}

static struct idle_entry *entry_of(struct table_node *node)
{
    return CONTAINER_OF(node, struct idle_entry, node);
}

bool idle_has(const struct idle_pool *pool, uint64_t hash)
{
    struct table_node *node = table_first(&pool->table, hash);

    while (node && !is_usable(entry_of(node)->conn)) {
        node = table_next(node);
    }
    return node != NULL;
}

struct conn *idle_take(struct idle_pool *pool, struct idle_key key, struct actor *owner)
{
    struct table_node *node = table_first(&pool->table, key.hash);

    for (; node; node = table_next(node)) {
        struct idle_entry *e = entry_of(node);
        struct conn *c = e->conn;
        if (is_usable(c) && span_equal(span_make(e->key, e->key_len), key.bytes)) {
            take_out(e);
            conn_set_owner(c, owner);
            return c;
        }
    }
    return NULL;
}

void idle_pool_close_all(struct idle_pool *pool)
{
    while (!list_is_empty(&pool->age)) {
        end_conn(take_out(oldest_of(pool)));
    }
}

void idle_pool_free(struct idle_pool *pool)
{
    ASSERT(pool->table.count == 0);
    while (pool->spare) {
        struct idle_entry *e = pool->spare;
        pool->spare = e->next;
        free(e);
    }
    table_fini(&pool->table);
    free(pool);
}

uint32_t idle_pool_count(const struct idle_pool *pool)
{
    return (uint32_t)pool->table.count;
}
