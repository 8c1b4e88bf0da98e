/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_worker: an engine worker with everything its sessions use. What is the process's (cache,
 * minter, log) is borrowed; what is the worker's own is owned and never shared.
 */
#ifndef WEIR_SESSION_SESSION_WORKER_H
#define WEIR_SESSION_SESSION_WORKER_H

#include "core/admin/log_sink.h"
#include "core/admin/pages.h"
#include "core/engine/worker.h"
#include "core/session/close_reason.h"
#include "core/session/doorman.h"
#include "core/session/minter.h"
#include "core/session/snapshot.h"
#include "detect/user_agent_memo.h"
#include "detect/verdict_table.h"

#include <stdatomic.h>

/* What all workers share. None of it is on the path of bytes. */
struct session_shared {
    struct leaf_cache *leaves;
    struct minter *minter;
    struct doorman *doorman;        /* null: no listener has users */
    struct log_sink *access_log;    /* null: none is written */
    struct verdict_table *verdicts; /* null: nothing is judged */
    const struct page_ca *page_ca;  /* null: there is no magic host */
    /* Instead of the sink, for tests: sees each line. */
    void (*on_log_line)(void *context, struct span line);
    void *on_log_line_context;
    uint64_t id_seed; /* session ids start here */
};

struct session_stats {
    uint64_t sessions;
    uint64_t requests;
    uint64_t taken_over; /* connections to servers, from one client by the next */
    uint64_t sent_again; /* requests, since such a connection ended without an answer */
    uint64_t closed[CLOSE_REASON_COUNT];
};

struct session_worker {
    struct worker engine; /* first: CONTAINER_OF back from it */
    struct session_shared *shared;
    struct snapshot_hold *hold; /* the current one */
    struct ticket_store *tickets;
    struct verdict_reader *verdicts;     /* null: nothing is judged */
    struct user_agent_memo *user_agents; /* with `verdicts` */
    struct pool sessions;
    struct pool forwards;
    struct session_stats stats;
    uint64_t next_id;
    bool draining;        /* answers tell clients not to stay */
    bool ending;          /* no new sessions either */
    int64_t idle_end_ns;  /* ending: then idle sessions end */
    int64_t grace_end_ns; /* ending: then what is left is cut off */
};

static inline struct session_worker *session_worker_of(struct worker *worker)
{
    return CONTAINER_OF(worker, struct session_worker, engine);
}

struct session_worker_options {
    uint32_t index;
    uint32_t conn_cap; /* connections, both sides counted */
    const struct ring_options *ring;
    struct session_shared *shared;
    struct snapshot *snapshot; /* a reference is taken */
    struct own_addresses *own; /* borrowed; null: it is not known */
};

/* On the worker's own thread; accepts nothing until worker_listen(). Returns 0 or -errno with a
 * sentence in error. */
int session_worker_init(struct session_worker *worker, const struct session_worker_options *options,
                        char *error, size_t error_cap) MUST_CHECK;

/* New sessions use this one from now on; takes a reference. On the worker's thread. */
void session_worker_publish(struct session_worker *worker, struct snapshot *snapshot);

/* Answers say from now on that their connection ends, and so it does. The listeners stay open. */
void session_worker_drain(struct session_worker *worker);

/* The same, and stops accepting: ends sessions that are idle after idle_ms, and all that are left
 * after grace_ms. */
void session_worker_end(struct session_worker *worker, uint32_t idle_ms, uint32_t grace_ms);

/* Turns until it was told to end, and is empty. */
void session_worker_run(struct session_worker *worker);

/* Frees everything; sessions that are left are cut off. False: something was lost (a bug). */
bool session_worker_fini(struct session_worker *worker);

/* For a panic or a debugger: what this worker is doing, on standard error. */
void session_worker_describe(const struct session_worker *worker);

#endif
