/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool: fixed-size objects addressed by a 24-bit slot and guarded by a generation. The kernel keeps
 * (slot, generation) in a request's user_data and may answer after the object was freed: a lookup
 * with an old generation finds nothing. One thread; grows by slabs up to its bound; objects never
 * move. The live count must be 0 at the end, which the tests check.
 */
#ifndef WEIR_BASE_POOL_H
#define WEIR_BASE_POOL_H

#include "core/base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POOL_SLOTS_MAX = 1 << 24 };

/* First member of every pooled object. */
struct pool_slot {
    uint32_t slot;       /* index in the pool */
    uint32_t generation; /* bumped when the object is freed; never 0 */
    uint32_t next_free;
    bool live;
};

struct pool {
    const char *name;
    size_t object_size; /* bytes, with the struct pool_slot in front */
    uint32_t slab_count_max;
    uint32_t slab_count;
    uint32_t free_head;
    uint32_t live_count;
    void **slabs;
};

/* `cap` objects at most (rounded up to whole slabs). Returns 0 or -ENOMEM. */
int pool_init(struct pool *pool, const char *name, size_t object_size, uint32_t cap) MUST_CHECK;
void pool_fini(struct pool *pool); /* frees the slabs; live_count must be 0 */

/* A zeroed object (but for its pool_slot), or null when the bound or the heap is reached. */
void *pool_new(struct pool *pool) MUST_CHECK;
void pool_free(struct pool *pool, void *pointer);

/* The live object with that slot and generation, or null. */
void *pool_find(const struct pool *pool, uint32_t slot, uint32_t generation);

/* The live object at or after slot *at, which is moved past it; null at the end. For walks. */
void *pool_next(const struct pool *pool, uint32_t *at);

#endif
