/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream: the proxies that a configuration goes through, made ready for use: their credentials,
 * and each rule's `via` as places in the list of proxies. Part of a snapshot and immutable like it,
 * but for one number a proxy: since when it is to be avoided. That number is shared by all workers,
 * so that one of them finding a proxy dead is enough.
 */
#ifndef WEIR_SESSION_UPSTREAM_H
#define WEIR_SESSION_UPSTREAM_H

#include "core/config/config.h"
#include "tls/ticket.h"

#include <stdatomic.h>

enum {
    UPSTREAM_VIA_MAX = 16,     /* proxies in one list, as the configuration bounds it */
    UPSTREAM_DIRECT = 0xff,    /* in a list: no proxy at all */
    UPSTREAM_SECRET_MAX = 255, /* bytes of a user name, and of a password (RFC 1929 2) */
};

struct upstream_via {
    uint8_t count; /* at least 1 */
    uint8_t places[UPSTREAM_VIA_MAX];
};

struct upstream_proxy {
    const struct config_upstream *config;
    struct span user; /* credentials; empty: none. Wiped when freed, as the next. */
    struct span password;
    char *authorization; /* "Basic ..." of them; null: none */
    char *secret;        /* what the spans point into; owned */
    uint8_t ticket_key[TICKET_KEY_LEN];
    _Atomic int64_t failed_until_ns; /* avoided until then; 0: it works */
};

struct upstreams {
    const struct config *config;
    struct upstream_proxy *proxies; /* as many as the configuration has */
    struct upstream_via via;        /* of upstream.via */
    struct upstream_via *rules;     /* of each of intercept.rules */
};

/* Reads the files with credentials. Null with a sentence in error. The configuration must outlive
 * it. serial: of the snapshot. */
struct upstreams *upstreams_new(const struct config *config, uint64_t serial, char *error,
                                size_t error_cap) MUST_CHECK;
void upstreams_free(struct upstreams *upstreams); /* null is allowed */

/* What a rule goes through; null: no rule, the default. */
const struct upstream_via *upstreams_via(const struct upstreams *upstreams,
                                         const struct config_rule *rule);

/*
 * The list in the order in which it is to be tried now: who failed lately comes last. Of a proxy
 * whose time to be avoided is over, only the first caller gets it in its place: that one finds out.
 */
struct upstream_via upstreams_order(struct upstreams *upstreams, const struct upstream_via *via,
                                    int64_t now_ns);
/* The first of that order, changing nothing. */
uint8_t upstreams_first(const struct upstreams *upstreams, const struct upstream_via *via,
                        int64_t now_ns);

/* True when that is news. */
bool upstream_mark_failed(struct upstreams *upstreams, uint8_t place, int64_t now_ns);
bool upstream_mark_working(struct upstreams *upstreams, uint8_t place);

/* Its name, or "direct". */
const char *upstream_name(const struct upstreams *upstreams, uint8_t place);

#endif
