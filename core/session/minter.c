/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/minter.h"

#include "core/base/clock.h"
#include "core/base/log.h"

#include <pthread.h>
#include <stdlib.h>

/* What the minting thread works on; independent of the sessions that wait. */
struct order {
    struct list_node link;
    struct leaf_key key;
    bool asked_is_ip;
    uint32_t days;
    char asked_name[LEAF_NAME_MAX + 1];
    int64_t now_s;
    size_t certificate_len;
    uint8_t certificate[];
};

struct minter {
    struct minter_options options;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* the fields below; never held while minting */
    pthread_cond_t wake;
    struct list_node orders;
    uint32_t order_count;
    bool ending;
};

static void mint_order(struct minter *m, struct order *order)
{
    const struct leaf_request request = {
        .server_certificate = span_make(order->certificate, order->certificate_len),
        .asked_name = order->key.asked_name,
        .asked_is_ip = order->asked_is_ip,
        .kind = order->key.kind,
        .now_s = order->now_s,
        .days = order->days,
    };
    char error[256] = "";
    struct leaf *leaf = leaf_mint(m->options.ca, m->options.keys, &request, error, sizeof(error));

    if (!leaf) {
        log_write(LOG_WARN, "no certificate could be minted for %s: %s", order->asked_name, error);
    }
    leaf_cache_fill(m->options.cache, &order->key, leaf);
    if (leaf) {
        leaf_put(leaf);
    }
    free(order);
}

static void *run(void *argument)
{
    struct minter *m = argument;

    pthread_mutex_lock(&m->lock);
    for (;;) {
        struct list_node *first = list_pop_front(&m->orders);
        if (first) {
            m->order_count--;
            pthread_mutex_unlock(&m->lock);
            mint_order(m, CONTAINER_OF(first, struct order, link));
            pthread_mutex_lock(&m->lock);
        } else if (m->ending) {
            pthread_mutex_unlock(&m->lock);
            return NULL;
        } else {
            pthread_cond_wait(&m->wake, &m->lock);
        }
    }
}

struct minter *minter_new(const struct minter_options *options)
{
    struct minter *m = calloc(1, sizeof(*m));

    if (!m) {
        return NULL;
    }
    m->options = *options;
    list_init(&m->orders);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->wake, NULL);
    if (!options->inline_only) {
        if (pthread_create(&m->thread, NULL, run, m) != 0) {
            free(m);
            return NULL;
        }
        m->has_thread = true;
    }
    return m;
}

void minter_free(struct minter *m)
{
    if (m->has_thread) {
        pthread_mutex_lock(&m->lock);
        m->ending = true;
        pthread_cond_signal(&m->wake);
        pthread_mutex_unlock(&m->lock);
        pthread_join(m->thread, NULL);
    }
    pthread_cond_destroy(&m->wake);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

/* On the worker's thread. */
static void deliver(struct letter *letter)
{
    struct mint *mint = CONTAINER_OF(letter, struct mint, letter);

    mint->worker->letters_expected--;
    mint->done = true;
    mint->end_ns = worker_now(mint->worker);
    if (mint->owner) {
        actor_ready(mint->owner);
        return;
    }
    mint_drop(mint);
}

/* On whatever thread filled the cache. */
static void on_filled(struct leaf_waiter *waiter, struct leaf *leaf)
{
    struct mint *mint = CONTAINER_OF(waiter, struct mint, waiter);

    mint->leaf = leaf;
    worker_post(mint->worker, &mint->letter);
}

static struct order *order_new(const struct leaf_key *key, bool asked_is_ip, uint32_t days,
                               int64_t now_s, struct span certificate)
{
    struct order *order = calloc(1, sizeof(*order) + certificate.len);

    if (!order) {
        return NULL;
    }
    ASSERT(key->asked_name.len <= LEAF_NAME_MAX);
    list_init(&order->link);
    order->key = *key;
    if (key->asked_name.len) {
        memcpy(order->asked_name, key->asked_name.data, key->asked_name.len);
    }
    order->key.asked_name = span_make(order->asked_name, key->asked_name.len);
    order->asked_is_ip = asked_is_ip;
    order->days = days;
    order->now_s = now_s;
    order->certificate_len = certificate.len;
    if (certificate.len) {
        memcpy(order->certificate, certificate.data, certificate.len);
    }
    return order;
}

/* False: too many wait already. */
static bool enqueue(struct minter *m, struct order *order)
{
    bool accepted;

    if (!m->has_thread) {
        mint_order(m, order);
        return true;
    }
    pthread_mutex_lock(&m->lock);
    accepted = m->order_count < MINTER_QUEUE_MAX;
    if (accepted) {
        m->order_count++;
        list_push_back(&m->orders, &order->link);
        pthread_cond_signal(&m->wake);
    }
    pthread_mutex_unlock(&m->lock);
    return accepted;
}

struct mint *minter_ask(struct minter *m, struct worker *worker, struct actor *owner,
                        const struct leaf_key *key, bool asked_is_ip, uint32_t days,
                        struct span certificate)
{
    int64_t now_s = ring_wall(worker->ring) / NS_PER_S;
    struct mint *mint = calloc(1, sizeof(*mint));
    struct order *order;

    if (!mint) {
        return NULL;
    }
    mint->worker = worker;
    mint->owner = owner;
    mint->waiter.wake = on_filled;
    mint->letter.deliver = deliver;
    list_init(&mint->waiter.link);
    mint->begin_ns = worker_now(worker);
    worker->letters_expected++;
    switch (leaf_cache_get(m->options.cache, key, now_s, &mint->waiter, &mint->leaf)) {
    case LEAF_HIT:
        worker->letters_expected--;
        mint->hit = true;
        mint->done = true;
        mint->end_ns = mint->begin_ns;
        break;
    case LEAF_PENDING:
        break;
    case LEAF_REFUSED:
        worker->letters_expected--;
        free(mint);
        return NULL;
    case LEAF_YOURS:
        order = order_new(key, asked_is_ip, days, now_s, certificate);
        if (!order || !enqueue(m, order)) {
            free(order);
            leaf_cache_fill(m->options.cache, key, NULL);
        }
        break;
    }
    return mint;
}

void mint_drop(struct mint *mint)
{
    mint->owner = NULL;
    if (!mint->done) {
        return; /* its letter is still to come, and frees it */
    }
    if (mint->leaf) {
        leaf_put(mint->leaf);
    }
    free(mint);
}
