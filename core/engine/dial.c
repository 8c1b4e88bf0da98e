/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/dial.h"

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/engine/own_address.h"

#include <errno.h>
#include <stdio.h>

#define RACE_NS (250 * NS_PER_MS) /* RFC 8305 5, Connection Attempt Delay */
#define LATE_NS (30 * NS_PER_S)   /* how long an address is tried behind the others */

const char *dial_error_type(enum dial_error error)
{
    static const char *const type[DIAL_ERROR_COUNT] = {
        [DIAL_OK] = "",
        [DIAL_DNS_ERROR] = "dns_error",
        [DIAL_DNS_TIMEOUT] = "dns_timeout",
        [DIAL_PROHIBITED] = "destination_ip_prohibited",
        [DIAL_LOOP] = "proxy_loop_detected",
        [DIAL_UNROUTABLE] = "destination_ip_unroutable",
        [DIAL_REFUSED] = "connection_refused",
        [DIAL_TIMEOUT] = "connection_timeout",
        [DIAL_LIMIT] = "connection_limit_reached",
        [DIAL_FAILED_OTHER] = "destination_unavailable",
    };
    return type[error];
}

static enum dial_error classify(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return DIAL_REFUSED;
    case ETIMEDOUT:
        return DIAL_TIMEOUT;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EAFNOSUPPORT:
        return DIAL_UNROUTABLE;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL:
    case EAGAIN:
        return DIAL_LIMIT;
    default:
        return DIAL_FAILED_OTHER;
    }
}

/* ---- addresses that are tried behind the others ---- */

/* Where it is remembered, if it is; it shares the place with others, of which the newest counts. */
static struct late_address *late_place(struct worker *w, const struct address *address,
                                       uint64_t *hash)
{
    *hash = hash_bytes(span_make(&address->u, address->len));
    return &w->late_addresses[*hash % WORKER_LATE_ADDRESSES];
}

static void note_late(struct worker *w, const struct address *address)
{
    uint64_t hash;
    struct late_address *place = late_place(w, address, &hash);

    *place = (struct late_address){.hash = hash, .until_ns = worker_now(w) + LATE_NS};
}

static bool is_late(struct worker *w, const struct address *address)
{
    uint64_t hash;
    const struct late_address *place = late_place(w, address, &hash);

    return place->hash == hash && worker_now(w) < place->until_ns;
}

/* The order stays as it is among those that are not late, and among those that are. */
static void put_late_last(struct dial *d)
{
    struct address late[RESOLVE_ADDRESSES_MAX];
    struct resolve *lookup = &d->lookup;
    size_t late_count = 0;
    size_t count = 0;

    for (size_t i = 0; i < lookup->address_count; i++) {
        struct address address = lookup->addresses[i];
        address_set_port(&address, d->port);
        if (is_late(d->worker, &address)) {
            late[late_count++] = address;
        } else {
            lookup->addresses[count++] = address;
        }
    }
    memcpy(lookup->addresses + count, late, late_count * sizeof(*late));
}

/* ---- attempts ---- */

static size_t attempts_running(const struct dial *d)
{
    size_t count = 0;

    for (size_t i = 0; i < DIAL_ATTEMPTS_MAX; i++) {
        count += d->attempts[i] != NULL;
    }
    return count;
}

static void settle(struct dial *d, enum dial_state state)
{
    d->state = state;
    d->end_ns = worker_now(d->worker);
    timer_clear(&d->worker->timers, &d->timer);
    for (size_t i = 0; i < DIAL_ATTEMPTS_MAX; i++) {
        if (d->attempts[i]) {
            conn_close(d->attempts[i], CONN_CLOSE_RESET);
            d->attempts[i] = NULL;
        }
    }
    actor_ready(d->owner);
}

static void fail(struct dial *d, enum dial_error error, const char *text)
{
    d->error = error;
    snprintf(d->text, sizeof(d->text), "%s", text);
    settle(d, DIAL_FAILED);
}

static void fail_with_last(struct dial *d)
{
    char shown[ADDRESS_TEXT_MAX];
    char text[sizeof(d->text)];
    size_t count = d->lookup.address_count;
    struct address last = d->lookup.addresses[count - 1];

    address_set_port(&last, d->port);
    address_format(&last, shown);
    if (d->last_errno == 0 && d->is_loop) {
        snprintf(text, sizeof(text), "a connection to %s would come back to this proxy (loop)",
                 shown);
        fail(d, DIAL_LOOP, text);
        return;
    }
    if (d->last_errno == 0) {
        snprintf(text, sizeof(text), "%s is a %s, and such destinations are not allowed", shown,
                 d->refusal);
        fail(d, DIAL_PROHIBITED, text);
        return;
    }
    if (count == 1) {
        snprintf(text, sizeof(text), "%s: %s", shown, strerror(d->last_errno));
    } else {
        snprintf(text, sizeof(text), "none of %zu addresses answered; the last, %s: %s", count,
                 shown, strerror(d->last_errno));
    }
    fail(d, classify(d->last_errno), text);
}

static const struct address *source_for(const struct dial *d, const struct address *address)
{
    return d->source.len && d->source.u.any.sa_family == address->u.any.sa_family ? &d->source
                                                                                  : NULL;
}

/* Starts the next address that may be dialled. False: there is none left. */
static bool start_attempt(struct dial *d)
{
    int64_t now_ns = worker_now(d->worker);

    while (d->next_address < d->lookup.address_count) {
        struct address address = d->lookup.addresses[d->next_address++];
        const char *refusal;
        int error = 0;
        size_t slot = 0;

        address_set_port(&address, d->port);
        refusal = address_refusal(&address, d->allow_private);
        if (refusal) {
            d->refusal = refusal;
            continue;
        }
        if (own_addresses_listen_on(d->worker->own, d->worker->ring, &address)) {
            d->is_loop = true;
            continue;
        }
        while (d->attempts[slot]) {
            slot++;
        }
        d->attempts[slot] =
            conn_dial(d->worker, &address, source_for(d, &address), &d->self, &error);
        if (!d->attempts[slot]) {
            d->last_errno = -error;
            continue;
        }
        d->attempt_deadline_ns[slot] = now_ns + d->connect_limit_ns;
        d->race_ns = d->next_address < d->lookup.address_count ? now_ns + RACE_NS : 0;
        return true;
    }
    d->race_ns = 0;
    return false;
}

/* Those that began before the winner, and would begin before it again. */
static void note_overtaken(struct dial *d, size_t winner)
{
    for (size_t i = 0; i < DIAL_ATTEMPTS_MAX; i++) {
        if (d->attempts[i] && d->attempt_deadline_ns[i] < d->attempt_deadline_ns[winner]) {
            note_late(d->worker, &d->attempts[i]->peer);
        }
    }
}

/* True when one has won. */
static bool look_at_attempts(struct dial *d)
{
    int64_t now_ns = worker_now(d->worker);

    for (size_t i = 0; i < DIAL_ATTEMPTS_MAX; i++) {
        struct conn *c = d->attempts[i];
        if (!c) {
            continue;
        }
        if (c->state == CONN_OPEN && !c->error) {
            d->attempts[i] = NULL;
            d->conn = c;
            d->address = c->peer;
            conn_set_owner(c, d->owner);
            note_overtaken(d, i);
            return true;
        }
        if (c->error || now_ns >= d->attempt_deadline_ns[i]) {
            d->last_errno = c->error ? c->error : ETIMEDOUT;
            note_late(d->worker, &c->peer);
            conn_close(c, CONN_CLOSE_RESET);
            d->attempts[i] = NULL;
            d->race_ns = now_ns; /* no need to wait any longer for the next one */
        }
    }
    return false;
}

static void set_timer(struct dial *d)
{
    int64_t next_ns = d->race_ns;

    for (size_t i = 0; i < DIAL_ATTEMPTS_MAX; i++) {
        if (d->attempts[i] && (next_ns == 0 || d->attempt_deadline_ns[i] < next_ns)) {
            next_ns = d->attempt_deadline_ns[i];
        }
    }
    timer_set(&d->worker->timers, &d->timer, next_ns);
}

static void run_dial(struct actor *actor)
{
    struct dial *d = CONTAINER_OF(actor, struct dial, self);

    if (d->state != DIAL_PENDING || d->lookup.state == RESOLVE_PENDING) {
        return;
    }
    if (d->lookup.state == RESOLVE_FAILED) {
        d->resolved_ns = worker_now(d->worker);
        fail(d, d->lookup.timed_out ? DIAL_DNS_TIMEOUT : DIAL_DNS_ERROR, d->lookup.error);
        return;
    }
    if (d->resolved_ns == 0) {
        d->resolved_ns = worker_now(d->worker);
        d->race_ns = d->resolved_ns;
        if (d->lookup.address_count > 1) {
            put_late_last(d);
        }
    }
    if (look_at_attempts(d)) {
        settle(d, DIAL_DONE);
        return;
    }
    while (attempts_running(d) == 0 || (d->race_ns && worker_now(d->worker) >= d->race_ns &&
                                        attempts_running(d) < DIAL_ATTEMPTS_MAX)) {
        if (!start_attempt(d)) {
            break;
        }
    }
    if (attempts_running(d) == 0) {
        fail_with_last(d);
        return;
    }
    set_timer(d);
}

struct dial *dial_new(struct worker *w, const struct dial_options *options, struct actor *owner)
{
    struct dial *d = pool_new(&w->dials);

    if (!d) {
        return NULL;
    }
    d->worker = w;
    d->owner = owner;
    d->port = options->port;
    d->allow_private = options->allow_private;
    if (options->source) {
        d->source = address_unmapped(options->source);
        address_set_port(&d->source, 0);
    }
    d->connect_limit_ns = options->connect_ms * NS_PER_MS;
    d->begin_ns = worker_now(w);
    actor_init(&d->self, &w->ready, run_dial);
    timer_init(&d->timer, &d->self);
    resolve_start(w->resolver, &d->lookup, options->host, &d->self);
    run_dial(&d->self);
    return d;
}

struct conn *dial_take(struct dial *d)
{
    struct conn *c = d->conn;

    ASSERT(d->state == DIAL_DONE && c);
    d->conn = NULL;
    return c;
}

void dial_free(struct dial *d)
{
    struct worker *w = d->worker;

    if (d->lookup.state == RESOLVE_PENDING) {
        resolve_cancel(w->resolver, &d->lookup);
    }
    for (size_t i = 0; i < DIAL_ATTEMPTS_MAX; i++) {
        if (d->attempts[i]) {
            conn_close(d->attempts[i], CONN_CLOSE_RESET);
        }
    }
    if (d->conn) {
        conn_close(d->conn, CONN_CLOSE_RESET);
    }
    timer_clear(&w->timers, &d->timer);
    actor_fini(&d->self);
    pool_free(&w->dials, d);
}
