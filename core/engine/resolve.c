/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four things, from the asker down to the servers:
 *
 *   lookup   struct resolve, the asker's. Waits in the list of its entry.
 *   entry    a name in the cache: being asked for (waiters), or settled with addresses or an error.
 *   flight   the A and AAAA questions for one entry that the channel has. It outlives the entry's
 *            interest in it, since no single question can be taken back: its answers go nowhere.
 *   channel  dns_channel.h, which asks the servers.
 *
 * The channel's answers only store and make actors ready, and never call the channel.
 *
 * Names are asked as they are: the search list of resolv.conf is not used, since what a client
 * means by a name must not depend on where the proxy stands.
 */
#include "core/engine/resolve.h"

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/pool.h"
#include "core/base/table.h"
#include "core/engine/dns_answer.h"
#include "core/engine/dns_channel.h"
#include "core/engine/dns_server.h"
#include "core/engine/file_watch.h"
#include "core/engine/hosts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FLIGHTS_MAX = 2048,      /* names being asked for at once */
    SERVER_FILE_MAX = 65536, /* bytes of resolv.conf that are read */
    FAILURE_TTL_S = 1,       /* no answer is an answer for this long (RFC 9520 3.2) */
    FAMILY_RETRY_S = 30,     /* addresses of one family, while the other has not been learnt */
};

/* The other family is waited for this long after the first success. AAAA first: an answer without
 * A is of no use to a machine that has no IPv6 route, so A gets more time than RFC 8305 3 asks. */
#define AAAA_DELAY_NS  (50 * NS_PER_MS)
#define A_DELAY_NS     (250 * NS_PER_MS)
#define FILES_CHECK_NS (2 * NS_PER_S)

enum family { FAMILY_V6, FAMILY_V4, FAMILY_COUNT };

static const char *const outcome_sentences[] = {
    [DNS_OUTCOME_OPEN] = "no answer in time",
    [DNS_OUTCOME_ADDRESSES] = NULL,
    [DNS_OUTCOME_NO_NAME] = "no such name",
    [DNS_OUTCOME_NO_DATA] = "the name has no address",
    [DNS_OUTCOME_BAD] = "the DNS server's answer cannot be read",
    [DNS_OUTCOME_SERVER] = "the DNS server failed or refused to answer",
    [DNS_OUTCOME_TIMEOUT] = "no answer in time",
    [DNS_OUTCOME_MEMORY] = "out of memory",
};

struct flight;

struct entry {
    struct pool_slot slot;
    struct table_node node;
    struct list_node age_link; /* in `ages` when settled */
    struct list_node waiters;  /* empty when settled */
    struct flight *flight;     /* what still teaches this entry, or null */
    bool settled;
    enum dns_outcome outcome; /* of a settled entry */
    int64_t expires_ns;
    struct dns_answer families[FAMILY_COUNT];
    int64_t family_expires_ns[FAMILY_COUNT];
    size_t name_len;
    char name[DNS_NAME_TEXT_MAX + 1]; /* lower case */
};

struct question {
    struct dns_question asked;
    struct flight *flight;
    enum family family;
    enum dns_outcome outcome;
};

struct flight {
    struct pool_slot slot;
    struct resolver *resolver;
    struct entry *entry; /* null: nobody wants to know any more */
    uint32_t holds;      /* questions that c-ares has, and whoever is asking them just now */
    struct question questions[FAMILY_COUNT];
    struct actor actor;
    struct timer timer; /* the lookup's deadline, then the wait for the other family */
};

struct resolver {
    struct ring *ring;
    struct timer_wheel *wheel;
    struct list_node *ready_queue;
    struct dns_channel *channel;
    bool is_stopped;
    bool is_reasking; /* questions given up now will be asked again */

    struct pool entries;
    struct pool flights;
    struct table names;
    struct list_node ages; /* settled entries, the one used last in front */

    struct hosts hosts;
    struct file_watch hosts_file;
    struct file_watch server_file; /* when no servers were configured */
    size_t server_count;
    int64_t files_checked_ns;
    struct log_limit file_log;

    int64_t timeout_ns;
    uint32_t cache_count;
    uint32_t ttl_max_s;
    uint32_t negative_ttl_s;
    struct resolver_stats stats;
};

/* ---- lookups ---- */

static void lookup_add(struct resolve *lookup, const uint8_t *bytes, size_t len)
{
    struct address *address;

    if (lookup->address_count == RESOLVE_ADDRESSES_MAX) {
        return;
    }
    address = &lookup->addresses[lookup->address_count++];
    memset(address, 0, sizeof(*address));
    if (len == 4) {
        address->u.v4.sin_family = AF_INET;
        memcpy(&address->u.v4.sin_addr, bytes, 4);
        address->len = sizeof(address->u.v4);
    } else {
        address->u.v6.sin6_family = AF_INET6;
        memcpy(&address->u.v6.sin6_addr, bytes, 16);
        address->len = sizeof(address->u.v6);
    }
}

/* IPv6 and IPv4 in turns (RFC 8305 4). */
static void lookup_add_families(struct resolve *lookup, const struct dns_answer *v6,
                                const struct dns_answer *v4)
{
    for (size_t i = 0; i < v6->count || i < v4->count; i++) {
        if (i < v6->count) {
            lookup_add(lookup, v6->addresses[i], 16);
        }
        if (i < v4->count) {
            lookup_add(lookup, v4->addresses[i], 4);
        }
    }
    lookup->state = RESOLVE_DONE;
}

static void lookup_fail(struct resolve *lookup, const char *sentence)
{
    lookup->state = RESOLVE_FAILED;
    lookup->error = sentence;
}

static void lookup_answer(struct resolve *lookup, const struct entry *entry)
{
    if (entry->outcome == DNS_OUTCOME_ADDRESSES) {
        lookup_add_families(lookup, &entry->families[FAMILY_V6], &entry->families[FAMILY_V4]);
    } else {
        lookup_fail(lookup, outcome_sentences[entry->outcome]);
        lookup->timed_out = entry->outcome == DNS_OUTCOME_TIMEOUT;
    }
}

/* ---- entries ---- */

static struct span entry_name(const struct entry *entry)
{
    return span_make(entry->name, entry->name_len);
}

static struct entry *entry_find(struct resolver *resolver, struct span name)
{
    struct table_node *node = table_first(&resolver->names, hash_bytes(name));

    for (; node; node = table_next(node)) {
        struct entry *entry = CONTAINER_OF(node, struct entry, node);
        if (span_equal(entry_name(entry), name)) {
            return entry;
        }
    }
    return NULL;
}

static void entry_free(struct resolver *resolver, struct entry *entry)
{
    ASSERT(list_is_empty(&entry->waiters));
    if (entry->flight) {
        timer_clear(resolver->wheel, &entry->flight->timer);
        entry->flight->entry = NULL;
    }
    list_remove(&entry->age_link);
    table_remove(&resolver->names, &entry->node);
    pool_free(&resolver->entries, entry);
}

/* Null when every place is taken by names that are being asked for. */
static struct entry *entry_new(struct resolver *resolver, struct span name)
{
    struct entry *entry;

    if (resolver->names.count >= resolver->cache_count) {
        if (list_is_empty(&resolver->ages)) {
            return NULL;
        }
        entry_free(resolver, CONTAINER_OF(resolver->ages.prev, struct entry, age_link));
    }
    entry = pool_new(&resolver->entries);
    if (entry) {
        list_init(&entry->age_link);
        list_init(&entry->waiters);
        entry->name_len = name.len;
        memcpy(entry->name, name.data, name.len);
        table_insert(&resolver->names, &entry->node, hash_bytes(name));
    }
    return entry;
}

static bool is_definite(enum dns_outcome outcome)
{
    return outcome == DNS_OUTCOME_ADDRESSES || outcome == DNS_OUTCOME_NO_NAME ||
           outcome == DNS_OUTCOME_NO_DATA;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Until when what has been learnt may be used. */
static int64_t entry_expiry(const struct resolver *resolver, const struct entry *entry,
                            enum dns_outcome v6, enum dns_outcome v4)
{
    int64_t now_ns = ring_now(resolver->ring), expires_ns = INT64_MAX;

    if (entry->outcome != DNS_OUTCOME_ADDRESSES) {
        return now_ns + NS_PER_S * (is_definite(entry->outcome)
                                        ? resolver->negative_ttl_s
                                        : min_u32(resolver->negative_ttl_s, FAILURE_TTL_S));
    }
    if (!is_definite(v6) || !is_definite(v4)) {
        expires_ns = now_ns + FAMILY_RETRY_S * NS_PER_S;
    }
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        if (entry->families[i].count > 0 && entry->family_expires_ns[i] < expires_ns) {
            expires_ns = entry->family_expires_ns[i];
        }
    }
    return expires_ns;
}

/* Why neither question brought an address. One that is still open has run out of time. */
static enum dns_outcome later_outcome(enum dns_outcome v6, enum dns_outcome v4)
{
    v6 = v6 == DNS_OUTCOME_OPEN ? DNS_OUTCOME_TIMEOUT : v6;
    v4 = v4 == DNS_OUTCOME_OPEN ? DNS_OUTCOME_TIMEOUT : v4;
    return v6 > v4 ? v6 : v4;
}

/* Draws the sum of both questions, and tells it to everybody who waits. */
static void entry_settle(struct resolver *resolver, struct entry *entry, enum dns_outcome v6,
                         enum dns_outcome v4)
{
    int64_t now_ns = ring_now(resolver->ring);
    struct list_node *node;

    entry->outcome = v6 == DNS_OUTCOME_ADDRESSES || v4 == DNS_OUTCOME_ADDRESSES
                         ? DNS_OUTCOME_ADDRESSES
                         : later_outcome(v6, v4);
    entry->expires_ns = entry_expiry(resolver, entry, v6, v4);
    if (entry->settled) {
        return; /* the other family came late; it is there for the next one who asks */
    }
    entry->settled = true;
    resolver->stats.failures += entry->outcome != DNS_OUTCOME_ADDRESSES;
    resolver->stats.timeouts += entry->outcome == DNS_OUTCOME_TIMEOUT;
    list_push_front(&resolver->ages, &entry->age_link);
    while ((node = list_pop_front(&entry->waiters)) != NULL) {
        struct resolve *lookup = CONTAINER_OF(node, struct resolve, link);
        lookup->arrived_ns = now_ns;
        lookup_answer(lookup, entry);
        actor_ready(lookup->owner);
    }
}

/* ---- flights ---- */

static void flight_let_go(struct flight *flight)
{
    struct resolver *resolver = flight->resolver;

    ASSERT(flight->holds > 0);
    if (--flight->holds == 0) {
        if (flight->entry) {
            flight->entry->flight = NULL;
        }
        timer_clear(resolver->wheel, &flight->timer);
        actor_fini(&flight->actor);
        pool_free(&resolver->flights, flight);
    }
}

static void flight_settle(struct flight *flight)
{
    entry_settle(flight->resolver, flight->entry, flight->questions[FAMILY_V6].outcome,
                 flight->questions[FAMILY_V4].outcome);
}

/* After an answer: both are there, or the other one gets a little more time. */
static void flight_learn(struct flight *flight, const struct question *question)
{
    struct resolver *resolver = flight->resolver;
    enum family other = question->family == FAMILY_V6 ? FAMILY_V4 : FAMILY_V6;

    if (flight->questions[other].outcome != DNS_OUTCOME_OPEN || flight->entry->settled) {
        timer_clear(resolver->wheel, &flight->timer);
        flight_settle(flight);
    } else if (question->outcome == DNS_OUTCOME_ADDRESSES) {
        int64_t deadline_ns =
            ring_now(resolver->ring) + (question->family == FAMILY_V4 ? AAAA_DELAY_NS : A_DELAY_NS);
        if (deadline_ns < flight->timer.deadline_ns) {
            timer_set(resolver->wheel, &flight->timer, deadline_ns);
        }
    }
}

/* Time is up: with one family, that is the answer, and the flight stays to teach the other. */
static void flight_run(struct actor *actor)
{
    struct flight *flight = CONTAINER_OF(actor, struct flight, actor);

    if (!flight->timer.fired || !flight->entry || flight->entry->settled) {
        return;
    }
    flight->timer.fired = false;
    flight_settle(flight);
    if (flight->entry->outcome != DNS_OUTCOME_ADDRESSES) {
        flight->entry->flight = NULL;
        flight->entry = NULL;
    }
}

static enum dns_type family_type(enum family family)
{
    return family == FAMILY_V6 ? DNS_TYPE_AAAA : DNS_TYPE_A;
}

static enum dns_outcome question_read(const struct question *question, struct span message)
{
    struct resolver *resolver = question->flight->resolver;
    struct entry *entry = question->flight->entry;
    struct dns_answer *answer = &entry->families[question->family];
    enum dns_result result =
        dns_answer_parse(message, entry_name(entry), family_type(question->family), answer);
    uint32_t ttl_s = min_u32(answer->ttl_s, resolver->ttl_max_s);

    if (result != DNS_ADDRESSES) {
        answer->count = 0;
        return result == DNS_NO_DATA ? DNS_OUTCOME_NO_DATA : DNS_OUTCOME_BAD;
    }
    entry->family_expires_ns[question->family] =
        ring_now(resolver->ring) + (ttl_s > 0 ? ttl_s : 1) * NS_PER_S;
    return DNS_OUTCOME_ADDRESSES;
}

/* The channel is done with a question. */
static void on_answer(struct dns_question *asked, enum dns_outcome outcome, struct span message)
{
    struct question *question = CONTAINER_OF(asked, struct question, asked);
    struct flight *flight = question->flight;

    ASSERT(!flight->entry || flight->entry->flight == flight);
    if (flight->entry && !flight->resolver->is_reasking) {
        question->outcome =
            outcome == DNS_OUTCOME_ADDRESSES ? question_read(question, message) : outcome;
        flight_learn(flight, question);
    }
    flight_let_go(flight);
}

static void flight_ask(struct flight *flight)
{
    struct resolver *resolver = flight->resolver;

    flight->holds++; /* the channel may answer at once */
    for (enum family i = 0; i < FAMILY_COUNT; i++) {
        if (flight->entry && flight->questions[i].outcome == DNS_OUTCOME_OPEN) {
            flight->holds++;
            dns_channel_ask(resolver->channel, &flight->questions[i].asked, flight->entry->name,
                            family_type(i));
        }
    }
    flight_let_go(flight);
}

static struct flight *flight_new(struct resolver *resolver, struct entry *entry)
{
    struct flight *flight = pool_new(&resolver->flights);

    if (!flight) {
        return NULL;
    }
    flight->resolver = resolver;
    flight->entry = entry;
    entry->flight = flight;
    for (enum family i = 0; i < FAMILY_COUNT; i++) {
        flight->questions[i] = (struct question){{on_answer}, flight, i, DNS_OUTCOME_OPEN};
    }
    actor_init(&flight->actor, resolver->ready_queue, flight_run);
    timer_init(&flight->timer, &flight->actor);
    timer_set(resolver->wheel, &flight->timer, ring_now(resolver->ring) + resolver->timeout_ns);
    return flight;
}

/* ---- servers and files ---- */

/* Takes the servers into use. Questions under way are asked anew: the old servers are probably gone
 * with the old network. Returns 0 or -ENOMEM. */
static int servers_use(struct resolver *resolver, const struct address *servers, size_t count)
{
    struct flight *flight;
    int result;

    for (uint32_t at = 0; (flight = pool_next(&resolver->flights, &at)) != NULL;) {
        flight->holds++;
    }
    resolver->is_reasking = true;
    result = dns_channel_set_servers(resolver->channel, servers, count);
    resolver->is_reasking = false;
    resolver->server_count = count;
    for (uint32_t at = 0; (flight = pool_next(&resolver->flights, &at)) != NULL;) {
        flight_ask(flight);
        flight_let_go(flight);
    }
    return result;
}

/* A file that is not there is empty; one that cannot be read leaves things as they are. */
static int hosts_reload(struct resolver *resolver)
{
    struct hosts hosts = {.text = NULL};
    uint8_t *bytes;
    size_t len;
    int result = file_watch_read(&resolver->hosts_file, HOSTS_BYTES_MAX + 1, &bytes, &len);

    if (result == 0 || result == -ENOENT) {
        result = hosts_init(&hosts, span_make(bytes, len));
    }
    if (result == 0) {
        hosts_fini(&resolver->hosts);
        resolver->hosts = hosts;
        if (hosts.is_clipped) {
            log_write(LOG_WARN, "%s is larger than %d bytes or %d names; the rest is not used",
                      resolver->hosts_file.path, HOSTS_BYTES_MAX, HOSTS_NAMES_MAX);
        }
    }
    free(bytes);
    return result;
}

static int servers_reload(struct resolver *resolver)
{
    struct address servers[DNS_SERVERS_MAX];
    size_t len, count;
    uint8_t *bytes;
    int result = file_watch_read(&resolver->server_file, SERVER_FILE_MAX, &bytes, &len);

    if (result == 0 || result == -ENOENT) {
        count = dns_servers_read(span_make(bytes, len), resolver->server_file.path, servers);
        result = servers_use(resolver, servers, count);
    }
    free(bytes);
    return result;
}

static void files_check(struct resolver *resolver)
{
    int64_t now_ns = ring_now(resolver->ring);
    int result;

    if (now_ns - resolver->files_checked_ns < FILES_CHECK_NS) {
        return;
    }
    resolver->files_checked_ns = now_ns;
    if (file_watch_changed(&resolver->hosts_file) && (result = hosts_reload(resolver)) < 0) {
        log_limited(&resolver->file_log, now_ns, LOG_WARN, "%s: %s; its last content stays in use",
                    resolver->hosts_file.path, strerror(-result));
    }
    if (file_watch_changed(&resolver->server_file) && (result = servers_reload(resolver)) < 0) {
        log_limited(&resolver->file_log, now_ns, LOG_WARN, "%s: %s; its last content stays in use",
                    resolver->server_file.path, strerror(-result));
    }
}

/* ---- asking ---- */

/* RFC 6761 6.3: these are loopback, and nobody is asked. */
static bool is_localhost(struct span name)
{
    struct span localhost = SPAN_LITERAL("localhost");
    struct span dotted = SPAN_LITERAL(".localhost");

    return span_equal(name, localhost) ||
           (name.len > dotted.len && span_equal(span_skip(name, name.len - dotted.len), dotted));
}

static bool answer_from_hosts(struct resolver *resolver, struct resolve *lookup, struct span name)
{
    struct dns_answer families[FAMILY_COUNT] = {{.count = 0}, {.count = 0}};
    const struct hosts_row *rows;
    size_t count;

    if (is_localhost(name)) {
        static const struct dns_answer v6 = {.count = 1, .addresses = {{[15] = 1}}};
        static const struct dns_answer v4 = {.count = 1, .addresses = {{127, 0, 0, 1}}};
        lookup_add_families(lookup, &v6, &v4);
        return true;
    }
    count = hosts_find(&resolver->hosts, name, &rows);
    for (size_t i = 0; i < count; i++) {
        struct dns_answer *family = &families[rows[i].address_len == 4 ? FAMILY_V4 : FAMILY_V6];
        if (family->count < DNS_ADDRESSES_MAX) {
            memcpy(family->addresses[family->count++], rows[i].address, rows[i].address_len);
        }
    }
    if (count > 0) {
        lookup_add_families(lookup, &families[FAMILY_V6], &families[FAMILY_V4]);
    }
    return count > 0;
}

static void lookup_wait(struct resolve *lookup, struct entry *entry)
{
    lookup->state = RESOLVE_PENDING;
    lookup->cached = false;
    list_push_back(&entry->waiters, &lookup->link);
}

static void answer_from_cache(struct resolver *resolver, struct resolve *lookup,
                              struct entry *entry)
{
    lookup_answer(lookup, entry);
    resolver->stats.cache_hits += entry->outcome == DNS_OUTCOME_ADDRESSES;
    resolver->stats.negative_hits += entry->outcome != DNS_OUTCOME_ADDRESSES;
    list_remove(&entry->age_link);
    list_push_front(&resolver->ages, &entry->age_link);
}

static void ask_servers(struct resolver *resolver, struct resolve *lookup, struct span name)
{
    struct entry *entry;
    struct flight *flight;

    if (resolver->server_count == 0) {
        lookup_fail(lookup, resolver->server_file.path
                                ? "no DNS server is configured: set dns.servers, or name one in "
                                  "/etc/resolv.conf"
                                : "no DNS server is configured: set dns.servers");
        return;
    }
    entry = entry_new(resolver, name);
    flight = entry ? flight_new(resolver, entry) : NULL;
    if (!flight) {
        if (entry) {
            entry_free(resolver, entry);
        }
        lookup_fail(lookup, "too many names are being looked up at once");
        return;
    }
    resolver->stats.queries++;
    flight_ask(flight);
    if (entry->settled) { /* the channel knew by itself, or had no memory */
        lookup_answer(lookup, entry);
    } else {
        lookup_wait(lookup, entry);
    }
}

void resolve_start(struct resolver *resolver, struct resolve *lookup, struct span name,
                   struct actor *owner)
{
    int64_t now_ns = ring_now(resolver->ring);
    char lower[DNS_NAME_TEXT_MAX];
    struct entry *entry;

    ASSERT(lookup->state != RESOLVE_PENDING);
    list_init(&lookup->link);
    lookup->owner = owner;
    lookup->error = NULL;
    lookup->cached = true;
    lookup->arrived_ns = now_ns;
    lookup->address_count = 0;
    if (address_parse_ip(&lookup->addresses[0], name, 0)) {
        lookup->address_count = 1;
        lookup->state = RESOLVE_DONE;
        return;
    }
    if (name.len > 0 && name.data[name.len - 1] == '.') {
        name.len--;
    }
    if (!dns_name_is_valid(name)) {
        lookup_fail(lookup, "not a valid host name");
        return;
    }
    if (resolver->is_stopped) {
        lookup_fail(lookup, "the proxy is stopping");
        return;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    name.data = (const uint8_t *)lower;
    files_check(resolver);
    if (answer_from_hosts(resolver, lookup, name)) {
        return;
    }
    entry = entry_find(resolver, name);
    if (entry && entry->settled && entry->expires_ns <= now_ns) {
        entry_free(resolver, entry);
        entry = NULL;
    }
    if (!entry) {
        ask_servers(resolver, lookup, name);
    } else if (entry->settled) {
        answer_from_cache(resolver, lookup, entry);
    } else {
        resolver->stats.joined++;
        lookup_wait(lookup, entry);
    }
}

void resolve_cancel(struct resolver *resolver, struct resolve *lookup)
{
    (void)resolver; /* the question goes on: its answer will be of use */
    if (lookup->state == RESOLVE_PENDING) {
        list_remove(&lookup->link);
    }
    lookup->state = RESOLVE_IDLE;
}

void resolver_read_stats(const struct resolver *resolver, struct resolver_stats *stats)
{
    *stats = resolver->stats;
    stats->entries = (uint32_t)resolver->names.count;
}

/* ---- life ---- */

static bool memory_init(struct resolver *resolver)
{
    list_init(&resolver->ages);
    return pool_init(&resolver->entries, "resolve_entry", sizeof(struct entry),
                     resolver->cache_count) == 0 &&
           pool_init(&resolver->flights, "resolve_flight", sizeof(struct flight), FLIGHTS_MAX) ==
               0 &&
           table_init(&resolver->names, 256) == 0;
}

static bool servers_init(struct resolver *resolver, const struct resolver_options *options,
                         char *error, size_t error_cap)
{
    struct address servers[DNS_SERVERS_MAX];
    int result;

    if (options->server_count > DNS_SERVERS_MAX) {
        snprintf(error, error_cap, "dns.servers: %zu servers are given; at most %d are used",
                 options->server_count, DNS_SERVERS_MAX);
        return false;
    }
    for (size_t i = 0; i < options->server_count; i++) {
        if (!dns_server_parse(&servers[i], span_from_string(options->servers[i]))) {
            snprintf(error, error_cap,
                     "dns.servers: \"%s\" is not an IP address with or without a port",
                     options->servers[i]);
            return false;
        }
    }
    if (options->server_count > 0) {
        result = servers_use(resolver, servers, options->server_count);
    } else {
        resolver->server_file.path =
            strdup(options->server_file ? options->server_file : "/etc/resolv.conf");
        if (!resolver->server_file.path) {
            result = -ENOMEM;
        } else {
            file_watch_changed(&resolver->server_file);
            result = servers_reload(resolver);
        }
    }
    if (result < 0) {
        snprintf(error, error_cap, "cannot use the DNS servers of %s: %s",
                 options->server_count > 0 ? "dns.servers"
                 : options->server_file    ? options->server_file
                                           : "/etc/resolv.conf",
                 strerror(-result));
    }
    return result == 0;
}

static bool hosts_file_init(struct resolver *resolver, const struct resolver_options *options,
                            char *error, size_t error_cap)
{
    const char *path = options->hosts_file ? options->hosts_file : "/etc/hosts";
    int result = -ENOMEM;

    resolver->hosts_file.path = strdup(path);
    if (resolver->hosts_file.path) {
        bool is_new = file_watch_changed(&resolver->hosts_file);
        result = is_new ? hosts_reload(resolver) : options->hosts_file ? -ENOENT : 0;
    }
    if (result < 0) {
        snprintf(error, error_cap, "dns.hosts_file: cannot read %s: %s", path, strerror(-result));
    }
    return result == 0;
}

struct resolver *resolver_new(const struct resolver_options *options, struct ring *ring,
                              struct timer_wheel *wheel, struct list_node *ready_queue, char *error,
                              size_t error_cap)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    if (!resolver) {
        snprintf(error, error_cap, "resolver: out of memory");
        return NULL;
    }
    resolver->ring = ring;
    resolver->wheel = wheel;
    resolver->ready_queue = ready_queue;
    resolver->timeout_ns = options->timeout_ms * NS_PER_MS;
    resolver->cache_count = options->cache_count > 0 ? options->cache_count : 1;
    resolver->ttl_max_s = options->ttl_max_s;
    resolver->negative_ttl_s = options->negative_ttl_s;
    resolver->files_checked_ns = ring_now(ring);
    if (memory_init(resolver)) {
        resolver->channel =
            dns_channel_new(ring, wheel, ready_queue, resolver->timeout_ns, options->mark);
    }
    if (!resolver->channel) {
        snprintf(error, error_cap, "resolver: out of memory");
        goto fail;
    }
    if (!servers_init(resolver, options, error, error_cap) ||
        !hosts_file_init(resolver, options, error, error_cap)) {
        goto fail;
    }
    return resolver;
fail:
    resolver_free(resolver);
    return NULL;
}

void resolver_stop(struct resolver *resolver)
{
    struct entry *entry;

    if (resolver->is_stopped || !resolver->channel) {
        return;
    }
    resolver->is_stopped = true;
    for (uint32_t at = 0; (entry = pool_next(&resolver->entries, &at)) != NULL;) {
        ASSERT(list_is_empty(&entry->waiters));
        entry_free(resolver, entry);
    }
    dns_channel_stop(resolver->channel);
}

uint32_t resolver_in_flight(const struct resolver *resolver)
{
    return dns_channel_in_flight(resolver->channel);
}

void resolver_on_event(struct resolver *resolver, const struct ring_event *event)
{
    dns_channel_on_event(resolver->channel, event);
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver) {
        return;
    }
    resolver_stop(resolver);
    dns_channel_free(resolver->channel);
    hosts_fini(&resolver->hosts);
    table_fini(&resolver->names);
    pool_fini(&resolver->flights);
    pool_fini(&resolver->entries);
    free(resolver->hosts_file.path);
    free(resolver->server_file.path);
    free(resolver);
}
