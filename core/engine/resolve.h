/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve: names to addresses, on the worker's own ring (c-ares; never a blocking call). One
 * resolver a worker: hosts file, configured servers, a cache with the records' TTL, failures cached
 * too, one query for any number of concurrent lookups of a name, A and AAAA at the same time.
 *
 * The files are read when the resolver is made, and again when a lookup finds that they changed; it
 * looks at most every two seconds. Names are asked for as they are: no search list is used.
 *
 * A second link target, in tests/sim, answers from a seeded script.
 */
#ifndef WEIR_ENGINE_RESOLVE_H
#define WEIR_ENGINE_RESOLVE_H

#include "core/engine/actor.h"
#include "core/engine/address.h"
#include "core/engine/ring.h"
#include "core/engine/timer.h"

enum { RESOLVE_ADDRESSES_MAX = 16 };

enum resolve_state {
    RESOLVE_IDLE,
    RESOLVE_PENDING,
    RESOLVE_DONE,   /* `addresses`: IPv6 and IPv4 in turns, IPv6 first (RFC 8305 4) */
    RESOLVE_FAILED, /* `error` */
};

/* One lookup, embedded by who asks. */
struct resolve {
    struct list_node link;
    struct actor *owner; /* made ready when the state changes from PENDING */
    enum resolve_state state;
    const char *error;  /* a static sentence: "no such name", "no answer in time", ... */
    bool timed_out;     /* FAILED: no answer in time, as opposed to a bad one */
    bool cached;        /* answered without a query */
    int64_t arrived_ns; /* when the answer was there */
    size_t address_count;
    struct address addresses[RESOLVE_ADDRESSES_MAX]; /* ports are 0 */
};

struct resolver;

struct resolver_options {
    const char *const *servers; /* "address" or "address:port"; none: the system's */
    size_t server_count;
    const char *server_file; /* read when there are no servers; null: /etc/resolv.conf */
    const char *hosts_file;  /* null: /etc/hosts */
    uint32_t timeout_ms;     /* of a lookup, all tries included */
    uint32_t cache_count;
    uint32_t ttl_max_s;
    uint32_t negative_ttl_s;
    uint32_t mark; /* SO_MARK of the sockets; 0: none */
};

/* Null with a sentence in error. The ring, wheel and ready queue are borrowed. */
struct resolver *resolver_new(const struct resolver_options *options, struct ring *ring,
                              struct timer_wheel *wheel, struct list_node *ready_queue, char *error,
                              size_t error_cap) MUST_CHECK;
/* No lookup may be pending. Operations on the ring must have ended first: resolver_stop() cancels
 * them, resolver_in_flight() counts what is left. */
void resolver_stop(struct resolver *resolver);
uint32_t resolver_in_flight(const struct resolver *resolver);
void resolver_free(struct resolver *resolver);

/* A RING_RESOLVE event. */
void resolver_on_event(struct resolver *resolver, const struct ring_event *event);

/*
 * Looks `name` up (a host name as http_authority has it; the text of an IP address is answered at
 * once). The state may be DONE or FAILED on return. The owner must stay until then or cancel.
 */
void resolve_start(struct resolver *resolver, struct resolve *lookup, struct span name,
                   struct actor *owner);
void resolve_cancel(struct resolver *resolver, struct resolve *lookup);

struct resolver_stats {
    uint64_t queries;       /* names asked of servers, A and AAAA together */
    uint64_t cache_hits;    /* lookups answered by an earlier one's addresses */
    uint64_t negative_hits; /* by an earlier one's failure */
    uint64_t joined;        /* lookups that waited for another one's query */
    uint64_t failures;      /* queries that brought no address */
    uint64_t timeouts;      /* those of them that brought no answer in time */
    uint32_t entries;       /* names in the cache, those being asked for included */
};
void resolver_read_stats(const struct resolver *resolver, struct resolver_stats *stats);

#endif
