/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/resolve_sim.h"

#include "core/base/clock.h"
#include "core/base/pool.h"
#include "core/engine/dns_answer.h"

#include <stdio.h>
#include <stdlib.h>

struct known {
    char name[DNS_NAME_TEXT_MAX + 1]; /* lower case */
    struct address addresses[RESOLVE_ADDRESSES_MAX];
    size_t address_count;
    uint32_t min_ms;
    uint32_t max_ms;
    const char *failure;
};

/* A lookup on its way. */
struct pending {
    struct pool_slot slot;
    struct list_node link;
    struct resolver *resolver;
    struct resolve *lookup;
    struct actor actor;
    struct timer timer;
    char name[DNS_NAME_TEXT_MAX + 1];
};

struct resolver {
    struct ring *ring;
    struct timer_wheel *wheel;
    struct list_node *ready_queue;
    struct pool pool;
    struct list_node pending;
    uint32_t timeout_ms;
    bool is_stopped;
    struct resolver_stats stats;
};

static struct known names[SIM_NAMES_MAX];
static size_t name_count;
static struct known unknown;
static uint64_t random_state;

/* splitmix64: the whole state is one number, which the seed is. */
static uint64_t random_next(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void sim_reset(uint64_t seed)
{
    random_state = seed;
    name_count = 0;
    sim_unknown(1, 20, "no such name");
}

/* Without the dot at its end, in lower case; false when it does not fit. */
static bool name_copy(char copy[DNS_NAME_TEXT_MAX + 1], struct span name)
{
    if (name.len > 0 && name.data[name.len - 1] == '.') {
        name.len--;
    }
    if (!dns_name_is_valid(name)) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        copy[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    copy[name.len] = 0;
    return true;
}

static struct known *known_find(const char *name)
{
    for (size_t i = 0; i < name_count; i++) {
        if (strcmp(names[i].name, name) == 0) {
            return &names[i];
        }
    }
    return NULL;
}

void sim_name(const char *name, const char *addresses, uint32_t min_ms, uint32_t max_ms,
              const char *failure)
{
    struct known known = {.min_ms = min_ms, .max_ms = max_ms, .failure = failure};
    struct span rest = span_from_string(addresses ? addresses : "");
    bool is_good = name_copy(known.name, span_from_string(name));
    struct known *place;

    ASSERT(is_good && min_ms <= max_ms);
    while (rest.len > 0) {
        size_t len = span_find(rest, ' ');
        ASSERT(known.address_count < RESOLVE_ADDRESSES_MAX);
        is_good =
            address_parse_ip(&known.addresses[known.address_count++], span_sub(rest, 0, len), 0);
        ASSERT(is_good);
        rest = span_skip(rest, len + 1);
    }
    ASSERT((known.address_count > 0) != (failure != NULL));
    place = known_find(known.name);
    if (!place) {
        ASSERT(name_count < SIM_NAMES_MAX);
        place = &names[name_count++];
    }
    *place = known;
}

void sim_unknown(uint32_t min_ms, uint32_t max_ms, const char *failure)
{
    ASSERT(min_ms <= max_ms && failure);
    unknown = (struct known){.min_ms = min_ms, .max_ms = max_ms, .failure = failure};
}

static void lookup_end(struct resolver *resolver, struct resolve *lookup, const struct known *known)
{
    lookup->arrived_ns = ring_now(resolver->ring);
    if (known->failure) {
        lookup->error = known->failure;
        lookup->state = RESOLVE_FAILED;
        resolver->stats.failures++;
        return;
    }
    memcpy(lookup->addresses, known->addresses, sizeof(lookup->addresses));
    lookup->address_count = known->address_count;
    lookup->state = RESOLVE_DONE;
}

static void lookup_fail(struct resolve *lookup, const char *sentence)
{
    lookup->error = sentence;
    lookup->state = RESOLVE_FAILED;
}

static void pending_free(struct pending *pending)
{
    list_remove(&pending->link);
    timer_clear(pending->resolver->wheel, &pending->timer);
    actor_fini(&pending->actor);
    pool_free(&pending->resolver->pool, pending);
}

/* The delay is over, or the lookup's whole time. */
static void pending_run(struct actor *actor)
{
    struct pending *pending = CONTAINER_OF(actor, struct pending, actor);
    struct resolver *resolver = pending->resolver;
    struct resolve *lookup = pending->lookup;
    const struct known *known = known_find(pending->name);
    bool is_late =
        ring_now(resolver->ring) >= lookup->arrived_ns + resolver->timeout_ms * NS_PER_MS;

    if (is_late) {
        lookup->arrived_ns = ring_now(resolver->ring);
        lookup_fail(lookup, "no answer in time");
        lookup->timed_out = true;
        resolver->stats.timeouts++;
        resolver->stats.failures++;
    } else {
        lookup_end(resolver, lookup, known ? known : &unknown);
    }
    actor_ready(lookup->owner);
    pending_free(pending);
}

static void lookup_wait(struct resolver *resolver, struct resolve *lookup, const char *name,
                        uint32_t delay_ms)
{
    struct pending *pending = pool_new(&resolver->pool);

    if (!pending) {
        lookup_fail(lookup, "too many names are being looked up at once");
        return;
    }
    pending->resolver = resolver;
    pending->lookup = lookup;
    memcpy(pending->name, name, sizeof(pending->name));
    list_init(&pending->link);
    list_push_back(&resolver->pending, &pending->link);
    actor_init(&pending->actor, resolver->ready_queue, pending_run);
    timer_init(&pending->timer, &pending->actor);
    if (delay_ms > resolver->timeout_ms) {
        delay_ms = resolver->timeout_ms;
    }
    timer_set(resolver->wheel, &pending->timer, lookup->arrived_ns + delay_ms * NS_PER_MS);
    lookup->cached = false;
    lookup->state = RESOLVE_PENDING;
    resolver->stats.queries++;
}

static void add_localhost(struct resolve *lookup)
{
    bool is_good = address_parse_ip(&lookup->addresses[0], SPAN_LITERAL("::1"), 0) &&
                   address_parse_ip(&lookup->addresses[1], SPAN_LITERAL("127.0.0.1"), 0);

    ASSERT(is_good);
    lookup->address_count = 2;
    lookup->state = RESOLVE_DONE;
}

static bool is_localhost(const char *name)
{
    size_t len = strlen(name);

    return strcmp(name, "localhost") == 0 ||
           (len > 10 && strcmp(name + len - 10, ".localhost") == 0);
}

void resolve_start(struct resolver *resolver, struct resolve *lookup, struct span name,
                   struct actor *owner)
{
    char copy[DNS_NAME_TEXT_MAX + 1] = "";
    const struct known *known;

    ASSERT(lookup->state != RESOLVE_PENDING);
    list_init(&lookup->link);
    lookup->owner = owner;
    lookup->error = NULL;
    lookup->timed_out = false;
    lookup->cached = true;
    lookup->address_count = 0;
    lookup->arrived_ns = ring_now(resolver->ring);
    if (address_parse_ip(&lookup->addresses[0], name, 0)) {
        lookup->address_count = 1;
        lookup->state = RESOLVE_DONE;
        return;
    }
    if (!name_copy(copy, name)) {
        lookup_fail(lookup, "not a valid host name");
        return;
    }
    if (resolver->is_stopped) {
        lookup_fail(lookup, "the proxy is stopping");
        return;
    }
    if (is_localhost(copy)) {
        add_localhost(lookup);
        return;
    }
    known = known_find(copy);
    known = known ? known : &unknown;
    uint32_t delay_ms =
        known->min_ms + (uint32_t)(random_next() % (known->max_ms - known->min_ms + UINT64_C(1)));
    if (delay_ms == 0) {
        resolver->stats.cache_hits += !known->failure;
        resolver->stats.negative_hits += known->failure != NULL;
        lookup_end(resolver, lookup, known);
    } else {
        lookup_wait(resolver, lookup, copy, delay_ms);
    }
}

void resolve_cancel(struct resolver *resolver, struct resolve *lookup)
{
    if (lookup->state == RESOLVE_PENDING) {
        LIST_FOREACH_SAFE (node, &resolver->pending) {
            struct pending *pending = CONTAINER_OF(node, struct pending, link);
            if (pending->lookup == lookup) {
                pending_free(pending);
            }
        }
    }
    lookup->state = RESOLVE_IDLE;
}

struct resolver *resolver_new(const struct resolver_options *options, struct ring *ring,
                              struct timer_wheel *wheel, struct list_node *ready_queue, char *error,
                              size_t error_cap)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    if (!resolver ||
        pool_init(&resolver->pool, "sim_lookup", sizeof(struct pending), SIM_LOOKUPS_MAX) < 0) {
        snprintf(error, error_cap, "resolver: out of memory");
        free(resolver);
        return NULL;
    }
    resolver->ring = ring;
    resolver->wheel = wheel;
    resolver->ready_queue = ready_queue;
    resolver->timeout_ms = options->timeout_ms;
    list_init(&resolver->pending);
    return resolver;
}

void resolver_stop(struct resolver *resolver)
{
    ASSERT(list_is_empty(&resolver->pending));
    resolver->is_stopped = true;
}

uint32_t resolver_in_flight(const struct resolver *resolver)
{
    (void)resolver;
    return 0; /* never a ring operation */
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver) {
        return;
    }
    ASSERT(list_is_empty(&resolver->pending));
    pool_fini(&resolver->pool);
    free(resolver);
}

void resolver_on_event(struct resolver *resolver, const struct ring_event *event)
{
    (void)resolver;
    panic(__FILE__, __LINE__, "an event of kind %d for a resolver without operations",
          (int)event->kind);
}

void resolver_read_stats(const struct resolver *resolver, struct resolver_stats *stats)
{
    *stats = resolver->stats;
    stats->entries = (uint32_t)name_count;
}
