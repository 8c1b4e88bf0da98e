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

#include "core/engine/file_watch.h"
#include "core/session/doorman.h"
#include "core/session/upstream.h"
#include "tls/context.h"

struct snapshot {
    _Atomic uint32_t references;     /* holds, and whoever publishes */
    uint64_t serial;                 /* counts up with every reload */
    struct config *config;           /* owned */
    struct tls_context *tls;         /* owned */
    struct upstreams *upstreams;     /* owned */
    struct ticket_keys *ticket_keys; /* a reference; null: those of the process */
    struct file_watch ticket_file;   /* borrows the path; main's thread */
    struct doorman *doorman;         /* borrowed */
    struct user_file **users; /* of each listener, null: nobody is asked; null: nobody anywhere */
    /* Our name in Via: unlike that of another weir, or a chain of two would look like a loop. */
    char pseudonym[72];
};

struct snapshot_options {
    uint64_t serial;
    struct span own_ca_der;  /* never trusted upstream */
    int64_t (*wall_s)(void); /* the time for certificates; null: the system's clock */
    struct doorman *doorman; /* borrowed, outlives the snapshot; null: no listener has users */
};

/* Takes over the configuration, also on failure. Null with a sentence in error. Main's thread. */
struct snapshot *snapshot_new(struct config *config, const struct snapshot_options *options,
                              char *error, size_t error_cap) MUST_CHECK;
void snapshot_put(struct snapshot *snapshot);

/* Reads ticket keys again when they have changed; keys that cannot be used are told in the log and
 * change nothing. Main's thread, about once a second. */
void snapshot_look_at_files(struct snapshot *snapshot);

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
