/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four things, from the asker down to the kernel:
 *
 *   lookup   struct resolve, the asker's. Waits in the list of its entry.
 *   entry    a name in the cache: being asked for (waiters), or settled with addresses or an error.
 *   flight   the A and AAAA questions for one entry that c-ares has. It outlives the entry's
 * interest in it, because c-ares cannot take back one question: then its answers go nowhere.
 *   channel  c-ares, which knows about retries, servers, truncation and TCP, but of sockets only
 * what the functions below let it do, and of time only what our timer tells it.
 *
 * c-ares calls back from inside ares_query(), ares_process_fd() and ares_cancel(); those callbacks
 * only store and make actors ready, and never call c-ares.
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
#include "core/engine/dns_server.h"
#include "core/engine/dns_socket.h"
#include "core/engine/file_watch.h"
#include "core/engine/hosts.h"

#include <ares.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

enum {
    FLIGHTS_MAX = 2048,      /* names being asked for at once */
    SERVER_FILE_MAX = 65536, /* bytes of resolv.conf that are read */
    UDP_ANSWER_BYTES = 1232, /* fits any path without fragments */
    FAILURE_TTL_S = 1,       /* no answer is an answer for this long (RFC 9520 3.2) */
    FAMILY_RETRY_S = 30,     /* addresses of one family, while the other has not been learnt */
    CLASS_IN = 1,
};

/* The other family is waited for this long after the first success. AAAA first: an answer without
 * A is of no use to a machine that has no IPv6 route, so A gets more time than RFC 8305 3 asks. */
#define AAAA_DELAY_NS  (50 * NS_PER_MS)
#define A_DELAY_NS     (250 * NS_PER_MS)
#define FILES_CHECK_NS (2 * NS_PER_S)

enum family { FAMILY_V6, FAMILY_V4, FAMILY_COUNT };

/* The later one is the better reason when the two families fail differently. */
enum outcome {
    OUTCOME_OPEN,
    OUTCOME_ADDRESSES,
    OUTCOME_NO_NAME,
    OUTCOME_NO_DATA,
    OUTCOME_TIMEOUT,
    OUTCOME_BAD,
    OUTCOME_SERVER,
    OUTCOME_MEMORY,
};

static const char *const outcome_sentences[] = {
    [OUTCOME_OPEN] = "no answer in time",
    [OUTCOME_ADDRESSES] = NULL,
    [OUTCOME_NO_NAME] = "no such name",
    [OUTCOME_NO_DATA] = "the name has no address",
    [OUTCOME_BAD] = "the DNS server's answer cannot be read",
    [OUTCOME_SERVER] = "the DNS server failed or refused to answer",
    [OUTCOME_TIMEOUT] = "no answer in time",
    [OUTCOME_MEMORY] = "out of memory",
};

struct flight;

struct entry {
    struct pool_slot slot;
    struct table_node node;
    struct list_node age_link; /* in `ages` when settled */
    struct list_node waiters;  /* empty when settled */
    struct flight *flight;     /* what still teaches this entry, or null */
    bool settled;
    enum outcome outcome; /* of a settled entry */
    int64_t expires_ns;
    struct dns_answer families[FAMILY_COUNT];
    int64_t family_expires_ns[FAMILY_COUNT];
    size_t name_len;
    char name[DNS_NAME_TEXT_MAX + 1]; /* lower case */
};

struct question {
    struct flight *flight;
    enum family family;
    enum outcome outcome;
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
    struct actor actor; /* c-ares' clock */
    struct timer timer;
    ares_channel channel; /* null when stopped */
    bool is_reasking;     /* questions cancelled now will be asked again */

    struct dns_sockets sockets;

    struct pool entries;
    struct pool flights;
    struct table names;
    struct list_node ages; /* settled entries, the one used last in front */

    struct hosts hosts;
    struct file_watch hosts_file;
    struct file_watch server_file; /* when no servers were configured */
    struct address servers[DNS_SERVERS_MAX];
    size_t server_count;
    int64_t files_checked_ns;
    struct log_limit file_log;

    int64_t timeout_ns;
    uint32_t cache_count;
    uint32_t ttl_max_s;
    uint32_t negative_ttl_s;
    struct resolver_stats stats;
};

/* ---- c-ares: its sockets and its clock ---- */

static ares_socket_t on_socket(int family, int type, int protocol, void *data)
{
    struct resolver *resolver = data;

    return dns_sockets_open(&resolver->sockets, family, type, protocol);
}

static int on_close(ares_socket_t fd, void *data)
{
    struct resolver *resolver = data;

    dns_sockets_close(&resolver->sockets, fd);
    return 0;
}

static int on_connect(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t len,
                      void *data)
{
    (void)data;
    return connect(fd, address, len);
}

static ares_ssize_t on_receive(ares_socket_t fd, void *bytes, size_t cap, int flags,
                               struct sockaddr *from, ares_socklen_t *from_len, void *data)
{
    struct resolver *resolver = data;

    return dns_sockets_receive(&resolver->sockets, fd, bytes, cap, flags, from, from_len);
}

static ares_ssize_t on_send(ares_socket_t fd, const struct iovec *iov, int iov_count, void *data)
{
    (void)data;
    return dns_sockets_send(fd, iov, iov_count);
}

static const struct ares_socket_functions socket_functions = {
    .asocket = on_socket,
    .aclose = on_close,
    .aconnect = on_connect,
    .arecvfrom = on_receive,
    .asendv = on_send,
};

static void on_interest(void *data, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = data;

    dns_sockets_want(&resolver->sockets, fd,
                     (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0)));
}

void resolver_on_event(struct resolver *resolver, const struct ring_event *event)
{
    struct dns_ready ready;

    if (dns_sockets_take_event(&resolver->sockets, event, &ready) && resolver->channel) {
        ares_process_fd(resolver->channel, ready.read_fd, ready.write_fd);
        actor_ready(&resolver->actor);
    }
    dns_sockets_resume(&resolver->sockets, event->owner);
}

uint32_t resolver_in_flight(const struct resolver *resolver)
{
    return resolver->sockets.in_flight;
}

/* The resolver's own actor: lets c-ares look at its clock, and sets ours to its next deadline. */
static void resolver_run(struct actor *actor)
{
    struct resolver *resolver = CONTAINER_OF(actor, struct resolver, actor);
    struct timeval wait;

    if (resolver->timer.fired) {
        resolver->timer.fired = false;
        ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    }
    if (!ares_timeout(resolver->channel, NULL, &wait)) {
        timer_clear(resolver->wheel, &resolver->timer);
        return;
    }
    int64_t wait_ns = wait.tv_sec * NS_PER_S + wait.tv_usec * NS_PER_US;
    timer_set(resolver->wheel, &resolver->timer,
              ring_now(resolver->ring) + (wait_ns > NS_PER_MS ? wait_ns : NS_PER_MS));
}

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
    if (entry->outcome == OUTCOME_ADDRESSES) {
        lookup_add_families(lookup, &entry->families[FAMILY_V6], &entry->families[FAMILY_V4]);
    } else {
        lookup_fail(lookup, outcome_sentences[entry->outcome]);
        lookup->timed_out = entry->outcome == OUTCOME_TIMEOUT;
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

static bool is_definite(enum outcome outcome)
{
    return outcome == OUTCOME_ADDRESSES || outcome == OUTCOME_NO_NAME || outcome == OUTCOME_NO_DATA;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Until when what has been learnt may be used. */
static int64_t entry_expiry(const struct resolver *resolver, const struct entry *entry,
                            enum outcome v6, enum outcome v4)
{
    int64_t now_ns = ring_now(resolver->ring), expires_ns = INT64_MAX;

    if (entry->outcome != OUTCOME_ADDRESSES) {
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
static enum outcome later_outcome(enum outcome v6, enum outcome v4)
{
    v6 = v6 == OUTCOME_OPEN ? OUTCOME_TIMEOUT : v6;
    v4 = v4 == OUTCOME_OPEN ? OUTCOME_TIMEOUT : v4;
    return v6 > v4 ? v6 : v4;
}

/* Draws the sum of both questions, and tells it to everybody who waits. */
static void entry_settle(struct resolver *resolver, struct entry *entry, enum outcome v6,
                         enum outcome v4)
{
    int64_t now_ns = ring_now(resolver->ring);
    struct list_node *node;

    entry->outcome = v6 == OUTCOME_ADDRESSES || v4 == OUTCOME_ADDRESSES ? OUTCOME_ADDRESSES
                                                                        : later_outcome(v6, v4);
    entry->expires_ns = entry_expiry(resolver, entry, v6, v4);
    if (entry->settled) {
        return; /* the other family came late; it is there for the next one who asks */
    }
    entry->settled = true;
    resolver->stats.failures += entry->outcome != OUTCOME_ADDRESSES;
    resolver->stats.timeouts += entry->outcome == OUTCOME_TIMEOUT;
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

    if (flight->questions[other].outcome != OUTCOME_OPEN || flight->entry->settled) {
        timer_clear(resolver->wheel, &flight->timer);
        flight_settle(flight);
    } else if (question->outcome == OUTCOME_ADDRESSES) {
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
    if (flight->entry->outcome != OUTCOME_ADDRESSES) {
        flight->entry->flight = NULL;
        flight->entry = NULL;
    }
}

static enum outcome outcome_of(int status)
{
    switch (status) {
    case ARES_ENODATA:
        return OUTCOME_NO_DATA;
    case ARES_ENOTFOUND:
        return OUTCOME_NO_NAME;
    case ARES_ETIMEOUT:
        return OUTCOME_TIMEOUT;
    case ARES_EBADRESP:
        return OUTCOME_BAD;
    case ARES_ENOMEM:
        return OUTCOME_MEMORY;
    default:
        return OUTCOME_SERVER;
    }
}

static enum outcome question_read(const struct question *question, struct span message)
{
    struct resolver *resolver = question->flight->resolver;
    struct entry *entry = question->flight->entry;
    enum dns_type type = question->family == FAMILY_V6 ? DNS_TYPE_AAAA : DNS_TYPE_A;
    struct dns_answer *answer = &entry->families[question->family];
    enum dns_result result = dns_answer_parse(message, entry_name(entry), type, answer);
    uint32_t ttl_s = min_u32(answer->ttl_s, resolver->ttl_max_s);

    if (result != DNS_ADDRESSES) {
        answer->count = 0;
        return result == DNS_NO_DATA ? OUTCOME_NO_DATA : OUTCOME_BAD;
    }
    entry->family_expires_ns[question->family] =
        ring_now(resolver->ring) + (ttl_s > 0 ? ttl_s : 1) * NS_PER_S;
    return OUTCOME_ADDRESSES;
}

/* c-ares is done with a question. */
static void on_answer(void *data, int status, int timeouts, unsigned char *bytes, int len)
{
    struct question *question = data;
    struct flight *flight = question->flight;

    (void)timeouts;
    ASSERT(!flight->entry || flight->entry->flight == flight);
    if (flight->entry && !flight->resolver->is_reasking) {
        question->outcome = status == ARES_SUCCESS
                                ? question_read(question, span_make(bytes, (size_t)len))
                                : outcome_of(status);
        flight_learn(flight, question);
    }
    flight_let_go(flight);
}

static void flight_ask(struct flight *flight)
{
    struct resolver *resolver = flight->resolver;

    flight->holds++; /* ares_query() may answer at once */
    for (enum family i = 0; i < FAMILY_COUNT; i++) {
        if (flight->entry && flight->questions[i].outcome == OUTCOME_OPEN) {
            flight->holds++;
            ares_query(resolver->channel, flight->entry->name, CLASS_IN,
                       i == FAMILY_V6 ? DNS_TYPE_AAAA : DNS_TYPE_A, on_answer,
                       &flight->questions[i]);
        }
    }
    flight_let_go(flight);
    actor_ready(&resolver->actor);
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
        flight->questions[i] = (struct question){flight, i, OUTCOME_OPEN};
    }
    actor_init(&flight->actor, resolver->ready_queue, flight_run);
    timer_init(&flight->timer, &flight->actor);
    timer_set(resolver->wheel, &flight->timer, ring_now(resolver->ring) + resolver->timeout_ns);
    return flight;
}

/* ---- servers and files ---- */

/* Takes the servers into use. Questions under way are asked anew, since c-ares changes its servers
 * only when it has none, and the old servers are probably gone with the old network. */
static int servers_use(struct resolver *resolver, const struct address *servers, size_t count)
{
    struct ares_addr_port_node nodes[DNS_SERVERS_MAX];
    struct flight *flight;
    uint32_t at = 0;

    memset(nodes, 0, sizeof(nodes));
    for (size_t i = 0; i < count; i++) {
        nodes[i].next = i + 1 < count ? &nodes[i + 1] : NULL;
        nodes[i].family = servers[i].u.any.sa_family;
        nodes[i].udp_port = nodes[i].tcp_port = address_port(&servers[i]);
        if (nodes[i].family == AF_INET) {
            nodes[i].addr.addr4 = servers[i].u.v4.sin_addr;
        } else {
            memcpy(&nodes[i].addr.addr6, &servers[i].u.v6.sin6_addr, sizeof(struct in6_addr));
        }
        resolver->servers[i] = servers[i];
    }
    while ((flight = pool_next(&resolver->flights, &at)) != NULL) {
        flight->holds++;
    }
    resolver->is_reasking = true;
    ares_cancel(resolver->channel);
    resolver->is_reasking = false;
    resolver->server_count = count;
    int status = count > 0 ? ares_set_servers_ports(resolver->channel, nodes) : ARES_SUCCESS;
    for (at = 0; (flight = pool_next(&resolver->flights, &at)) != NULL;) {
        flight_ask(flight);
        flight_let_go(flight);
    }
    return status;
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
        result = servers_use(resolver, servers, count) == ARES_SUCCESS ? 0 : -ENOMEM;
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
    resolver->stats.cache_hits += entry->outcome == OUTCOME_ADDRESSES;
    resolver->stats.negative_hits += entry->outcome != OUTCOME_ADDRESSES;
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
    if (entry->settled) { /* c-ares knew by itself, or had no memory */
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
    if (!resolver->channel) {
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

static void library_init(void)
{
    ares_library_init(ARES_LIB_INIT_ALL);
}

/* Everything that c-ares would look up in files and the environment is given here. Tries double
 * their patience, so with one server 1 + 2 + 4 parts make the whole time. */
static int channel_new(struct resolver *resolver)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int64_t part_ms = resolver->timeout_ns / 7 / NS_PER_MS;
    char no_file[] = "/dev/null", lookups[] = "b";
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
        .timeout = part_ms > 1 ? (int)part_ms : 1,
        .tries = 3,
        .ndots = 1,
        .lookups = lookups,
        .sock_state_cb = on_interest,
        .sock_state_cb_data = resolver,
        .ednspsz = UDP_ANSWER_BYTES,
        .resolvconf_path = no_file,
    };
    int status;

    pthread_once(&once, library_init);
    status = ares_init_options(&resolver->channel, &options,
                               ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                   ARES_OPT_NDOTS | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS |
                                   ARES_OPT_SORTLIST | ARES_OPT_SOCK_STATE_CB | ARES_OPT_EDNSPSZ |
                                   ARES_OPT_NOROTATE | ARES_OPT_RESOLVCONF);
    if (status == ARES_SUCCESS) {
        ares_set_socket_functions(resolver->channel, &socket_functions, resolver);
    } else {
        resolver->channel = NULL;
    }
    return status;
}

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
        result =
            servers_use(resolver, servers, options->server_count) == ARES_SUCCESS ? 0 : -ENOMEM;
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
    dns_sockets_init(&resolver->sockets, ring);
    resolver->wheel = wheel;
    resolver->ready_queue = ready_queue;
    resolver->timeout_ns = options->timeout_ms * NS_PER_MS;
    resolver->cache_count = options->cache_count > 0 ? options->cache_count : 1;
    resolver->ttl_max_s = options->ttl_max_s;
    resolver->negative_ttl_s = options->negative_ttl_s;
    resolver->files_checked_ns = ring_now(ring);
    actor_init(&resolver->actor, ready_queue, resolver_run);
    timer_init(&resolver->timer, &resolver->actor);
    if (!memory_init(resolver) || channel_new(resolver) != ARES_SUCCESS) {
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

    if (!resolver->channel) {
        return;
    }
    for (uint32_t at = 0; (entry = pool_next(&resolver->entries, &at)) != NULL;) {
        ASSERT(list_is_empty(&entry->waiters));
        entry_free(resolver, entry);
    }
    ares_destroy(resolver->channel);
    resolver->channel = NULL;
    timer_clear(resolver->wheel, &resolver->timer);
    actor_fini(&resolver->actor);
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver) {
        return;
    }
    resolver_stop(resolver);
    ASSERT(resolver->sockets.in_flight == 0);
    hosts_fini(&resolver->hosts);
    table_fini(&resolver->names);
    pool_fini(&resolver->flights);
    pool_fini(&resolver->entries);
    free(resolver->hosts_file.path);
    free(resolver->server_file.path);
    free(resolver);
}
