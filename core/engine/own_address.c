/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/own_address.h"

#include "core/base/hash.h"
#include "core/base/table.h"

#include <pthread.h>
#include <stdlib.h>

enum { DIALLED_EXPECTED = 1024 };

struct own_dialled {
    struct table_node node;
    bool is_listed;
};

struct own_addresses {
    struct address listening[OWN_ADDRESSES_MAX]; /* unmapped */
    size_t listening_count;
    bool remembers_dialled;
    pthread_mutex_t lock; /* of `dialled` */
    struct table dialled; /* by flow_hash(), which stands for the whole key */
};

struct own_addresses *own_addresses_new(bool remembers_dialled)
{
    struct own_addresses *own = calloc(1, sizeof(*own));

    if (!own || (remembers_dialled && table_init(&own->dialled, DIALLED_EXPECTED) < 0)) {
        free(own);
        return NULL;
    }
    own->remembers_dialled = remembers_dialled;
    pthread_mutex_init(&own->lock, NULL);
    return own;
}

void own_addresses_free(struct own_addresses *own)
{
    if (!own) {
        return;
    }
    if (own->remembers_dialled) {
        ASSERT(own->dialled.count == 0);
        table_fini(&own->dialled);
    }
    pthread_mutex_destroy(&own->lock);
    free(own);
}

bool own_addresses_add(struct own_addresses *own, const struct sockaddr_storage *name)
{
    struct address address = address_from_storage(name);

    if (own->listening_count == OWN_ADDRESSES_MAX) {
        return false;
    }
    own->listening[own->listening_count++] = address_unmapped(&address);
    return true;
}

/* ---- listening ---- */

/* A listener on all addresses of IPv6 has those of IPv4 too (listener_bind()). */
static bool is_wildcard_for(const struct address *listening, const struct address *address)
{
    if (listening->u.any.sa_family == AF_INET6) {
        return IN6_IS_ADDR_UNSPECIFIED(&listening->u.v6.sin6_addr);
    }
    return listening->u.v4.sin_addr.s_addr == 0 && address->u.any.sa_family == AF_INET;
}

static bool is_same_ip(const struct address *a, const struct address *b)
{
    if (a->u.any.sa_family != b->u.any.sa_family) {
        return false;
    }
    if (a->u.any.sa_family == AF_INET6) {
        return memcmp(&a->u.v6.sin6_addr, &b->u.v6.sin6_addr, sizeof(struct in6_addr)) == 0;
    }
    return a->u.v4.sin_addr.s_addr == b->u.v4.sin_addr.s_addr;
}

bool own_addresses_listen_on(const struct own_addresses *own, struct ring *ring,
                             const struct address *address)
{
    struct address to = address_unmapped(address);
    bool is_wildcard = false;

    for (size_t i = 0; own && i < own->listening_count; i++) {
        const struct address *listening = &own->listening[i];
        if (address_port(listening) != address_port(&to)) {
            continue;
        }
        if (is_same_ip(listening, &to)) {
            return true;
        }
        is_wildcard |= is_wildcard_for(listening, &to);
    }
    return is_wildcard && ring_is_own_ip(ring, &to.u.any, to.len);
}

/* ---- dialled ---- */

static uint64_t hash_address(uint64_t hash, const struct address *address)
{
    struct address a = address_unmapped(address);
    uint16_t port = address_port(&a);

    hash = a.u.any.sa_family == AF_INET6
               ? hash_combine(hash, span_make(&a.u.v6.sin6_addr, sizeof(a.u.v6.sin6_addr)))
               : hash_combine(hash, span_make(&a.u.v4.sin_addr, sizeof(a.u.v4.sin_addr)));
    return hash_combine(hash, span_make(&port, sizeof(port)));
}

static uint64_t flow_hash(const struct address *from, const struct address *to)
{
    return hash_address(hash_address(0, from), to);
}

bool own_addresses_remember_dialled(const struct own_addresses *own)
{
    return own && own->remembers_dialled;
}

struct own_dialled *own_dialled_new(void)
{
    return calloc(1, sizeof(struct own_dialled));
}

void own_addresses_opened(struct own_addresses *own, struct own_dialled *dialled,
                          const struct address *local, const struct address *peer)
{
    pthread_mutex_lock(&own->lock);
    table_insert(&own->dialled, &dialled->node, flow_hash(local, peer));
    pthread_mutex_unlock(&own->lock);
    dialled->is_listed = true;
}

void own_addresses_closed(struct own_addresses *own, struct own_dialled *dialled)
{
    if (dialled && dialled->is_listed) {
        pthread_mutex_lock(&own->lock);
        table_remove(&own->dialled, &dialled->node);
        pthread_mutex_unlock(&own->lock);
    }
    free(dialled);
}

bool own_addresses_dialled(struct own_addresses *own, const struct address *client,
                           const struct address *target)
{
    bool found;

    if (!own_addresses_remember_dialled(own)) {
        return false;
    }
    pthread_mutex_lock(&own->lock);
    found = table_first(&own->dialled, flow_hash(client, target)) != NULL;
    pthread_mutex_unlock(&own->lock);
    return found;
}
