/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot: a configuration and what is made from it, as one immutable value. A session keeps the
 * one that it began with. A reload publishes another one; the old one goes with its last session.
 *
 * Each worker counts its sessions for itself (struct snapshot_hold), so the shared count is touched
 * only when a worker takes or drops a snapshot, never by a connection.
 */
#ifndef WEIR_SESSION_SNAPSHOT_H
#define WEIR_SESSION_SNAPSHOT_H

#include "core/session/upstream.h"
#include "tls/context.h"

struct snapshot {
    _Atomic uint32_t references; /* holds, and whoever publishes */
    uint64_t serial;             /* counts up with every reload */
    struct config *config;       /* owned */
    struct tls_context *tls;     /* owned */
    struct upstreams *upstreams; /* owned */
    /* Our name in Via: unlike that of another weir, or a chain of two would look like a loop. */
    char pseudonym[72];
};

/* Takes over the configuration, also on failure. own_ca_der: never trusted upstream. Null with a
 * sentence in error. */
struct snapshot *snapshot_new(struct config *config, uint64_t serial, struct span own_ca_der,
                              int64_t (*wall_s)(void), char *error, size_t error_cap) MUST_CHECK;
void snapshot_put(struct snapshot *snapshot);

/* One worker's view; its thread only. */
struct snapshot_hold {
    struct snapshot *snapshot;
    uint32_t sessions;
    bool current; /* the worker's newest */
};

struct snapshot_hold *snapshot_hold_new(struct snapshot *snapshot) MUST_CHECK;
void snapshot_hold_get(struct snapshot_hold *hold);
void snapshot_hold_put(struct snapshot_hold *hold);
void snapshot_hold_retire(struct snapshot_hold *hold); /* no longer current */

#endif
