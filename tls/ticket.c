/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/ticket_private.h"

#include "core/base/hash.h"
#include "core/base/list.h"
#include "core/base/table.h"

#include <openssl/ssl.h>
#include <stdlib.h>

/* What one key has; there as long as it has any. */
struct ticket_group {
    struct table_node node;
    struct list_node tickets; /* newest last */
    uint32_t count;
    uint8_t key[TICKET_KEY_LEN];
};

/* One session. */
struct ticket {
    struct list_node of_group;
    struct list_node by_age;
    struct ticket_group *group;
    SSL_SESSION *session;
};

struct ticket_store {
    struct table table;
    struct list_node by_age; /* least recently used first */
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
    list_remove(&ticket->of_group);
    list_remove(&ticket->by_age);
    SSL_SESSION_free(ticket->session);
    if (--ticket->group->count == 0) {
        table_remove(&store->table, &ticket->group->node);
        free(ticket->group);
    }
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

static struct ticket_group *group_find(const struct ticket_store *store,
                                       const uint8_t key[TICKET_KEY_LEN])
{
    struct table_node *node = table_first(&store->table, hash_of(key));

    for (; node; node = table_next(node)) {
        struct ticket_group *group = CONTAINER_OF(node, struct ticket_group, node);
        if (memcmp(group->key, key, TICKET_KEY_LEN) == 0) {
            return group;
        }
    }
    return NULL;
}

/* Null: memory is exhausted. */
static struct ticket_group *group_new(struct ticket_store *store, const uint8_t key[TICKET_KEY_LEN])
{
    struct ticket_group *group = calloc(1, sizeof(*group));

    if (group) {
        list_init(&group->tickets);
        memcpy(group->key, key, TICKET_KEY_LEN);
        table_insert(&store->table, &group->node, hash_of(key));
    }
    return group;
}

static struct ticket *oldest_of(const struct ticket_group *group)
{
    return CONTAINER_OF(group->tickets.next, struct ticket, of_group);
}

static struct ticket *newest_of(const struct ticket_group *group)
{
    return CONTAINER_OF(group->tickets.prev, struct ticket, of_group);
}

/* Room for one more. May free the group, when it is the store's oldest that goes. */
static void make_room(struct ticket_store *store, const struct ticket_group *group)
{
    if (group && group->count >= TICKETS_PER_KEY_MAX) {
        ticket_free(store, oldest_of(group));
    } else if (store->count >= store->cap) {
        ticket_free(store, CONTAINER_OF(store->by_age.next, struct ticket, by_age));
    }
}

bool ticket_store_put(struct ticket_store *store, const uint8_t key[TICKET_KEY_LEN],
                      SSL_SESSION *session)
{
    struct ticket *ticket = store->cap ? malloc(sizeof(*ticket)) : NULL;
    struct ticket_group *group;

    if (!ticket) {
        return false;
    }
    make_room(store, group_find(store, key));
    group = group_find(store, key);
    if (!group) {
        group = group_new(store, key);
    }
    if (!group) {
        free(ticket);
        return false;
    }
    ticket->group = group;
    ticket->session = session;
    list_init(&ticket->of_group);
    list_init(&ticket->by_age);
    list_push_back(&group->tickets, &ticket->of_group);
    list_push_back(&store->by_age, &ticket->by_age);
    group->count++;
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
    struct ticket_group *group;
    struct ticket *ticket;
    SSL_SESSION *session;

    while ((group = group_find(store, key)) && is_expired(newest_of(group)->session, now_s)) {
        ticket_free(store, newest_of(group));
    }
    if (!group) {
        return NULL;
    }
    ticket = newest_of(group);
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
    struct ticket_group *group;

    while ((group = group_find(store, key))) {
        ticket_free(store, oldest_of(group));
    }
}
