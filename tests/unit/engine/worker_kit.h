/* SPDX-License-Identifier: Apache-2.0 */
/* A real worker with few receive buffers, and connections whose other end is the test's. */
#ifndef WEIR_TESTS_WORKER_KIT_H
#define WEIR_TESTS_WORKER_KIT_H

#include "core/engine/conn.h"

#include "core/base/clock.h"
#include "tests/unit/engine/ring_kit.h"

#include <string.h>

enum { BUFFERS = 8, BUFFER_LEN = 256 };

struct kit {
    struct worker worker;
    struct actor owner;
};

/* One connection of the worker's, and the test's end of it. */
struct peer {
    struct conn *conn;
    int fd;
};

static inline void do_nothing(struct actor *actor)
{
    (void)actor;
}

static inline void kit_open(struct kit *kit)
{
    static const struct ring_options ring = {
        .sq_entries = 64,
        .cq_entries = 128,
        .group = {{.count = BUFFERS, .size = BUFFER_LEN}, {.count = 2, .size = BUFFER_LEN}},
    };
    static const struct resolver_options resolver = {
        .timeout_ms = 1000, .cache_count = 16, .ttl_max_s = 60, .negative_ttl_s = 1};
    static const struct worker_options options = {.conn_cap = 8,
                                                  .dial_cap = 1,
                                                  .idle_cap = 1,
                                                  .idle_ns = NS_PER_S,
                                                  .buffer_high = 65536,
                                                  .buffer_low = 16384,
                                                  .resolver = &resolver,
                                                  .ring = &ring};
    char error[256] = "";

    memset(kit, 0, sizeof(*kit));
    if (worker_init(&kit->worker, &options, error, sizeof(error)) < 0) {
        fail_msg("%s", error);
    }
    actor_init(&kit->owner, &kit->worker.ready, do_nothing);
}

static inline void kit_close(struct kit *kit)
{
    actor_fini(&kit->owner);
    assert_true(worker_fini(&kit->worker));
}

static inline struct peer peer_open(struct kit *kit)
{
    struct peer peer;
    int fds[2];

    tcp_pair(fds, 0);
    peer.fd = fds[1];
    peer.conn = conn_accepted(&kit->worker, fds[0], &kit->owner);
    assert_non_null(peer.conn);
    return peer;
}

static inline void peer_close(const struct peer *peer)
{
    conn_close(peer->conn, CONN_CLOSE_RESET);
    close(peer->fd);
}

static inline void turn(struct kit *kit)
{
    worker_turn_within(&kit->worker, 5 * NS_PER_MS);
}

#endif
