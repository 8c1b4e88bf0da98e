/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle: server connections between two requests, kept for the next one that wants exactly the same:
 * the key says all that matters (host, port, and the policy that was in force). Each is watched: a
 * FIN, a byte or an error ends it before anybody could pick it. Bounded; the oldest goes first.
 */
#ifndef WEIR_ENGINE_IDLE_H
#define WEIR_ENGINE_IDLE_H

#include "core/engine/conn.h"

struct idle_pool;

/* Whoever puts and takes again and again hashes once. */
struct idle_key {
    struct span bytes;
    uint64_t hash; /* hash_bytes() of them, or of what is known first of what they say */
};

struct idle_pool *idle_pool_new(struct worker *worker, uint32_t cap, int64_t idle_ns) MUST_CHECK;
/* For what is put from now on. */
void idle_pool_set_limits(struct idle_pool *pool, uint32_t cap, int64_t idle_ns);
void idle_pool_close_all(struct idle_pool *pool);
void idle_pool_free(struct idle_pool *pool); /* must be empty */
uint32_t idle_pool_count(const struct idle_pool *pool);

/* Is there any that was put with that hash? */
bool idle_has(const struct idle_pool *pool, uint64_t hash);

/* Gives a clean connection away: nothing unread, nothing unsent. The pool owns it now. */
void idle_put(struct idle_pool *pool, struct idle_key key, struct conn *conn);

/* The one used last, or null. Its owner is then `owner`. */
struct conn *idle_take(struct idle_pool *pool, struct idle_key key, struct actor *owner);

#endif
