/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SLAB_OBJECTS = 64, NO_SLOT = UINT32_MAX };

static struct pool_slot *slot_at(const struct pool *pool, uint32_t slot)
{
    char *slab = pool->slabs[slot / SLAB_OBJECTS];
    return (struct pool_slot *)(void *)(slab + (slot % SLAB_OBJECTS) * pool->object_size);
}

int pool_init(struct pool *pool, const char *name, size_t object_size, uint32_t cap)
{
    memset(pool, 0, sizeof(*pool));
    ASSERT(object_size >= sizeof(struct pool_slot) && cap > 0 && cap <= POOL_SLOTS_MAX);
    pool->name = name;
    pool->object_size = (object_size + 15) & ~(size_t)15;
    pool->slab_count_max = (cap + SLAB_OBJECTS - 1) / SLAB_OBJECTS;
    pool->free_head = NO_SLOT;
    pool->slabs = calloc(pool->slab_count_max, sizeof(*pool->slabs));
    return pool->slabs ? 0 : -ENOMEM;
}

void pool_fini(struct pool *pool)
{
    ASSERT(pool->live_count == 0);
    for (uint32_t i = 0; i < pool->slab_count; i++) {
        free(pool->slabs[i]);
    }
    free(pool->slabs);
    memset(pool, 0, sizeof(*pool));
}

static bool grow(struct pool *pool)
{
    uint32_t first = pool->slab_count * SLAB_OBJECTS;
    void *slab;

    if (pool->slab_count == pool->slab_count_max) {
        return false;
    }
    slab = calloc(SLAB_OBJECTS, pool->object_size);
    if (!slab) {
        return false;
    }
    pool->slabs[pool->slab_count++] = slab;
    for (uint32_t i = SLAB_OBJECTS; i-- > 0;) {
        struct pool_slot *object = slot_at(pool, first + i);
        object->slot = first + i;
        object->generation = 1;
        object->next_free = pool->free_head;
        pool->free_head = first + i;
    }
    return true;
}

void *pool_new(struct pool *pool)
{
    struct pool_slot *object;

    if (pool->free_head == NO_SLOT && !grow(pool)) {
        return NULL;
    }
    object = slot_at(pool, pool->free_head);
    pool->free_head = object->next_free;
    object->live = true;
    pool->live_count++;
    memset(object + 1, 0, pool->object_size - sizeof(*object));
    return object;
}

void pool_free(struct pool *pool, void *pointer)
{
    struct pool_slot *object = pointer;

    ASSERT(object->live && slot_at(pool, object->slot) == object);
    object->live = false;
    if (++object->generation == 0) {
        object->generation = 1;
    }
    object->next_free = pool->free_head;
    pool->free_head = object->slot;
    pool->live_count--;
}

void *pool_find(const struct pool *pool, uint32_t slot, uint32_t generation)
{
    struct pool_slot *object;

    if (slot >= pool->slab_count * SLAB_OBJECTS) {
        return NULL;
    }
    object = slot_at(pool, slot);
    return object->live && object->generation == generation ? object : NULL;
}

void *pool_next(const struct pool *pool, uint32_t *at)
{
    while (*at < pool->slab_count * SLAB_OBJECTS) {
        struct pool_slot *object = slot_at(pool, (*at)++);
        if (object->live) {
            return object;
        }
    }
    return NULL;
}
