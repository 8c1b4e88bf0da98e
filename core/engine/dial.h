/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial: a host and port become one open connection. Looks the name up, checks every address by the
 * destination guard before it is used, and races what is allowed: the next address is tried when
 * one fails or after 250 ms (RFC 8305). The first to connect wins, the others are closed. An
 * address that failed or was overtaken is tried after the others for half a minute (RFC 8305 4), so
 * that a host with a broken IPv6 address is slow once, and not with each connection.
 */
#ifndef WEIR_ENGINE_DIAL_H
#define WEIR_ENGINE_DIAL_H

#include "core/engine/conn.h"
#include "core/engine/resolve.h"

enum { DIAL_ATTEMPTS_MAX = 4 /* at the same time */ };

enum dial_state { DIAL_PENDING, DIAL_DONE, DIAL_FAILED };

/* Why it failed, in the words of RFC 9209 2.3. */
enum dial_error {
    DIAL_OK,
    DIAL_DNS_ERROR,
    DIAL_DNS_TIMEOUT,
    DIAL_PROHIBITED, /* every address was refused by the guard */
    DIAL_LOOP,       /* or is one that this process listens on */
    DIAL_UNROUTABLE,
    DIAL_REFUSED,
    DIAL_TIMEOUT,
    DIAL_LIMIT, /* out of descriptors, ports or connections */
    DIAL_FAILED_OTHER,
    DIAL_ERROR_COUNT,
};
const char *dial_error_type(enum dial_error error); /* "dns_error", ...; static */

struct dial {
    struct pool_slot pool;
    struct worker *worker;
    struct actor *owner; /* made ready when the state changes from PENDING */
    struct actor self;
    struct resolve lookup;
    struct timer timer;
    enum dial_state state;
    enum dial_error error;
    char text[160];         /* a sentence, printable ASCII */
    struct conn *conn;      /* DONE: the caller's to take */
    struct address address; /* DONE: the one that answered */

    struct conn *attempts[DIAL_ATTEMPTS_MAX];
    int64_t attempt_deadline_ns[DIAL_ATTEMPTS_MAX];
    size_t next_address;
    int64_t race_ns; /* when the next address may be tried; 0: not before one fails */
    int64_t begin_ns;
    int64_t resolved_ns;
    int64_t end_ns;
    int64_t connect_limit_ns;
    int last_errno;
    const char *refusal; /* the guard's last word */
    uint16_t port;
    bool allow_private;
    bool is_loop;          /* an address was our own */
    struct address source; /* len 0: the system's choice */
};

struct dial_options {
    struct span host; /* as struct http_authority has it */
    uint16_t port;
    bool allow_private;
    uint32_t connect_ms; /* for one address */
    /* Shown to destinations of the same family as where the connection comes from, this machine's
     * or not (that needs CAP_NET_ADMIN); the port does not matter. Null: the system's choice. */
    const struct address *source;
};

/* Null when out of dials. The state may be final on return. */
struct dial *dial_new(struct worker *worker, const struct dial_options *options,
                      struct actor *owner);

/* Takes the connection of a DONE dial; its owner is then the dial's owner. */
struct conn *dial_take(struct dial *dial);

/* In any state; closes what was not taken. */
void dial_free(struct dial *dial);

#endif
