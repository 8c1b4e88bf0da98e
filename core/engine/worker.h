/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: one thread, one core, one ring; owns every connection it accepted until the end. Workers
 * share nothing on the path of bytes. A turn has four phases: take completions (they are only
 * stored), expire timers, run the actors that became ready, and, with the next turn's one system
 * call, submit what they started.
 *
 * Thread: everything belongs to the worker's own thread, but worker_post().
 */
#ifndef WEIR_ENGINE_WORKER_H
#define WEIR_ENGINE_WORKER_H

#include "core/base/buf.h"
#include "core/base/pool.h"
#include "core/engine/actor.h"
#include "core/engine/resolve.h"
#include "core/engine/ring.h"
#include "core/engine/timer.h"

struct listener;
struct own_addresses;
struct worker;
struct conn;

enum {
    WORKER_SCRATCH_CAP = 80 * 1024, /* one plaintext record, one rewritten head */
    WORKER_SPLICE_PIPES_MAX = 32,
    WORKER_YOUNG_MAX = 1024,    /* a power of 2; with more, the oldest is watched sooner */
    WORKER_LATE_ADDRESSES = 64, /* remembered; a power of two */
};

/* A message from another thread. Owned by whoever posted it until `deliver` runs, on the worker's
 * thread. */
struct letter {
    struct letter *next;
    void (*deliver)(struct letter *letter);
};

/* An address that answered later than another one of its host, or not at all: dial.c. */
struct late_address {
    uint64_t hash;
    int64_t until_ns; /* in the past: there is none */
};

/* A pipe(2) pair for splicing. */
struct splice_pipe {
    struct splice_pipe *next_free; /* while nobody has it */
    int fds[2];
    size_t capacity; /* bytes; 0: there are no descriptors yet */
    size_t filled;   /* bytes */
};

/* A conn whose end is not watched yet; it may be gone. */
struct young_conn {
    int64_t begin_ns;
    uint32_t slot;
    uint32_t generation;
};

struct worker_stats {
    uint64_t accepted;
    uint64_t accept_pauses; /* out of descriptors, or at the connection limit */
    uint64_t dialled;
    uint64_t stale_events; /* completions for something already gone: must stay 0 */
    uint64_t starved;      /* receives that found no buffer */
    uint64_t private_receives;
    uint64_t parked_bytes; /* copied out of ring buffers because a peer was slow */
    uint64_t spliced_bytes;
    uint64_t close_overdue; /* closes that took too long: must stay 0 */
};

struct worker {
    uint32_t index;
    bool stopping; /* set by the composition: worker_run() returns when nothing is left */
    struct ring *ring;
    struct buf_cache bufs;
    struct timer_wheel timers;
    struct list_node ready;   /* actors */
    struct list_node starved; /* conns that wait for a receive buffer, longest first */
    struct pool conns;
    struct {
        struct actor actor;
        struct timer timer;
    } reaper; /* conn_reaper_init() */
    struct {
        struct actor actor;
        struct timer timer;
        uint32_t first;   /* counts on; the place is the rest modulo WORKER_YOUNG_MAX */
        uint32_t unacked; /* from here on a connect may wait to be acknowledged */
        uint32_t end;
        struct young_conn conns[WORKER_YOUNG_MAX];
    } young; /* young.h; oldest first */
    struct pool dials;
    struct late_address late_addresses[WORKER_LATE_ADDRESSES]; /* by their hashes */
    struct resolver *resolver;
    struct idle_pool *idle;
    struct listener *listeners; /* array */
    size_t listener_count;
    uint32_t conn_cap; /* accepting pauses when this many conns are live */
    struct splice_pipe splice_pipes[WORKER_SPLICE_PIPES_MAX];
    struct splice_pipe *free_splice_pipe; /* null: all are taken */
    struct worker_stats stats;

    /* Marks of back-pressure a direction, bytes. */
    uint32_t buffer_high;
    uint32_t buffer_low;

    uint32_t mark;             /* of every socket that connects (SO_MARK); 0: none */
    struct own_addresses *own; /* the process's; null: it is not known */

    /* A new client connection; the callee owns the descriptor. */
    void (*accepted)(struct worker *worker, struct listener *listener, int fd);

    _Atomic(struct letter *) mail;
    _Atomic uint32_t posting;  /* threads inside worker_post(): the ring must stay */
    uint32_t letters_expected; /* answers under way from other threads: waited for at the end */
    uint8_t *scratch;          /* WORKER_SCRATCH_CAP bytes, valid within one actor's run */
};

struct worker_options {
    uint32_t index;
    uint32_t conn_cap;
    uint32_t dial_cap;
    uint32_t idle_cap;
    int64_t idle_ns;
    uint32_t buffer_high;
    uint32_t buffer_low;
    const struct ring_options *ring;         /* null: the defaults */
    const struct resolver_options *resolver; /* its mark is that of the worker */
    uint32_t mark;                           /* SO_MARK of every socket that connects; 0: none */
    struct own_addresses *own;               /* borrowed; null: it is not known */
    void (*accepted)(struct worker *worker, struct listener *listener, int fd);
};

/* On the worker's own thread. Returns 0 or -errno with a sentence in error. */
int worker_init(struct worker *worker, const struct worker_options *options, char *error,
                size_t error_cap) MUST_CHECK;

/* One of possibly several sockets of a listener. */
struct listen_socket {
    int fd;
    uint32_t listener; /* its place in the configuration */
};

/* Listens on descriptors that were bound before (listener.h); they become the worker's. Once. */
int worker_listen(struct worker *worker, const struct listen_socket *sockets,
                  size_t count) MUST_CHECK;

/* One turn; waits for something to happen, at most limit_ns (negative: as long as it takes), and
 * not at all when an actor is ready. */
void worker_turn_within(struct worker *worker, int64_t limit_ns);
static inline void worker_turn(struct worker *worker)
{
    worker_turn_within(worker, -1);
}

/* Ends what is left (no session may be alive) and frees everything. Returns false when the kernel
 * kept something in flight. */
bool worker_fini(struct worker *worker);

/* Any thread: `letter->deliver` runs on the worker's thread, soon. */
void worker_post(struct worker *worker, struct letter *letter);

static inline int64_t worker_now(const struct worker *worker)
{
    return ring_now(worker->ring);
}

/*
 * Whether an accepted connection from `client`, on its way to `target`, is one that this process
 * has dialled itself, and that the kernel has sent back. The answer is certain once the client's
 * first bytes are there, or should be: before, whoever dialled may not know yet that it is
 * connected.
 */
bool worker_is_own_client(struct worker *worker, const struct address *client,
                          const struct address *target);

/* An empty pipe for splicing; null when there are none to be had, then bytes are copied. Given back
 * with bytes in it, it is closed. */
struct splice_pipe *worker_take_splice_pipe(struct worker *worker) MUST_CHECK;
void worker_give_splice_pipe(struct worker *worker, struct splice_pipe *pipe);

#endif
