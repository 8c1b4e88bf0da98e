/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: intrusive hash table with chaining. The caller embeds a node, hashes with hash_bytes() and
 * compares whole keys itself: walk table_first()/table_next() over the nodes of one hash. One
 * thread, or under the caller's lock. The table does not own its nodes.
 */
#ifndef WEIR_BASE_TABLE_H
#define WEIR_BASE_TABLE_H

#include "core/base/assert.h"

#include <stddef.h>
#include <stdint.h>

struct table_node {
    struct table_node *next;
    uint64_t hash;
};

struct table {
    struct table_node **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;        /* nodes */
};

/* Room for about `expected` nodes; doubles when it holds more. Returns 0 or -ENOMEM. */
int table_init(struct table *table, size_t expected) MUST_CHECK;
void table_fini(struct table *table); /* frees the buckets only */

void table_insert(struct table *table, struct table_node *node, uint64_t hash);
void table_remove(struct table *table, struct table_node *node);

/* The first node with exactly this hash, then the following ones; null at the end. */
struct table_node *table_first(const struct table *table, uint64_t hash);
struct table_node *table_next(const struct table_node *node);

#endif
