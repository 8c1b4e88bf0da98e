/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/ticket_private.h"

#include "core/base/hash.h"
#include "core/base/list.h"
#include "core/base/table.h"

#include <openssl/ssl.h>
#include <stdlib.h>

/* One session; a key has up to TICKETS_PER_KEY_MAX. */
struct ticket {
    struct table_node node;
    struct list_node by_age;
    uint64_t order; /* larger: newer */
    uint8_t key[TICKET_KEY_LEN];
    SSL_SESSION *session;
};

struct ticket_store {
    struct table table;
    struct list_node by_age; /* least recently used first */
    uint64_t order;
    uint32_t count;
    uint32_t cap;
};

static uint64_t hash_of(const uint8_t key[TICKET_KEY_LEN])
{
    return hash_bytes(span_make(key, TICKET_KEY_LEN));
}

struct ticket_store *ticket_store_new(uint32_t cap)
{
    struct ticket_store *store = calloc(1, sizeof(*store));

    if (!store) {
        return NULL;
    }
    if (table_init(&store->table, cap < 64 ? cap : 64) != 0) {
        free(store);
        return NULL;
    }
    list_init(&store->by_age);
    store->cap = cap;
    return store;
}

static void ticket_free(struct ticket_store *store, struct ticket *ticket)
{
    table_remove(&store->table, &ticket->node);
    list_remove(&ticket->by_age);
    SSL_SESSION_free(ticket->session);
    free(ticket);
    store->count--;
}

void ticket_store_free(struct ticket_store *store)
{
    if (!store) {
        return;
    }
    LIST_FOREACH_SAFE (node, &store->by_age) {
        ticket_free(store, CONTAINER_OF(node, struct ticket, by_age));
    }
    table_fini(&store->table);
    free(store);
}

uint32_t ticket_store_count(const struct ticket_store *store)
{
    return store->count;
}

/* Walks the tickets of a key, in no order; `node` starts as table_first(). */
static bool next_of_key(struct table_node **node, const uint8_t key[TICKET_KEY_LEN],
                        struct ticket **ticket)
{
    while (*node) {
        *ticket = CONTAINER_OF(*node, struct ticket, node);
        *node = table_next(*node);
        if (memcmp((*ticket)->key, key, TICKET_KEY_LEN) == 0) {
            return true;
        }
    }
    return false;
}

/* The newest or the oldest ticket of the key; *count tells how many there are. */
static struct ticket *find(const struct ticket_store *store, const uint8_t key[TICKET_KEY_LEN],
                           bool newest, uint32_t *count)
{
    struct table_node *node = table_first(&store->table, hash_of(key));
    struct ticket *found = NULL;
    struct ticket *ticket;

    *count = 0;
    while (next_of_key(&node, key, &ticket)) {
        if (!found || (ticket->order > found->order) == newest) {
            found = ticket;
        }
        ++*count;
    }
    return found;
}

bool ticket_store_put(struct ticket_store *store, const uint8_t key[TICKET_KEY_LEN],
                      SSL_SESSION *session)
{
    struct ticket *ticket = store->cap ? malloc(sizeof(*ticket)) : NULL;
    struct ticket *oldest;
    uint32_t of_key;

    if (!ticket) {
        return false;
    }
    oldest = find(store, key, false, &of_key);
    if (of_key >= TICKETS_PER_KEY_MAX) {
        ticket_free(store, oldest);
    } else if (store->count >= store->cap) {
        ticket_free(store, CONTAINER_OF(store->by_age.next, struct ticket, by_age));
    }
    memcpy(ticket->key, key, TICKET_KEY_LEN);
    ticket->session = session;
    ticket->order = ++store->order;
    list_init(&ticket->by_age);
    list_push_back(&store->by_age, &ticket->by_age);
    table_insert(&store->table, &ticket->node, hash_of(key));
    store->count++;
    return true;
}

static bool is_expired(const SSL_SESSION *session, int64_t now_s)
{
    int64_t made_s = (int64_t)SSL_SESSION_get_time(session);

    return now_s < made_s || now_s - made_s >= (int64_t)SSL_SESSION_get_timeout(session);
}

SSL_SESSION *ticket_store_take(struct ticket_store *store, const uint8_t key[TICKET_KEY_LEN],
                               int64_t now_s)
{
    struct ticket *ticket;
    SSL_SESSION *session;
    uint32_t of_key;

    while ((ticket = find(store, key, true, &of_key)) && is_expired(ticket->session, now_s)) {
        ticket_free(store, ticket);
    }
    if (!ticket) {
        return NULL;
    }
    session = ticket->session;
    SSL_SESSION_up_ref(session);
    if (SSL_SESSION_should_be_single_use(session)) {
        ticket_free(store, ticket);
    } else {
        list_remove(&ticket->by_age);
        list_push_back(&store->by_age, &ticket->by_age);
    }
    return session;
}

void ticket_store_drop(struct ticket_store *store, const uint8_t key[TICKET_KEY_LEN])
{
    struct ticket *ticket;
    uint32_t of_key;

    while ((ticket = find(store, key, true, &of_key))) {
        ticket_free(store, ticket);
    }
}
