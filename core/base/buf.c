/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/buf.h"

#include <stdlib.h>

static const struct {
    uint32_t cap;
    uint32_t keep; /* blocks kept on the free list */
} buf_class[BUF_CLASS_COUNT] = {
    {BUF_SMALL_CAP, 256},
    {BUF_RECORD_CAP, 64},
    {BUF_HEAD_CAP, 4},
    {BUF_HELLO_CAP, 2},
};

void buf_cache_init(struct buf_cache *cache)
{
    memset(cache, 0, sizeof(*cache));
}

void buf_cache_fini(struct buf_cache *cache)
{
    ASSERT(cache->live_count == 0);
    for (int i = 0; i < BUF_CLASS_COUNT; i++) {
        while (cache->free[i]) {
            struct buf *b = cache->free[i];
            cache->free[i] = b->next;
            free(b);
        }
        cache->free_count[i] = 0;
    }
}

struct buf *buf_new(struct buf_cache *cache, size_t min_cap)
{
    int size_class = 0;
    struct buf *b;

    while (buf_class[size_class].cap < min_cap) {
        size_class++;
        ASSERT(size_class < BUF_CLASS_COUNT);
    }
    b = cache->free[size_class];
    if (b) {
        cache->free[size_class] = b->next;
        cache->free_count[size_class]--;
    } else {
        b = malloc(sizeof(*b) + buf_class[size_class].cap);
        if (!b) {
            return NULL;
        }
        cache->heap_allocs++;
        b->data = (uint8_t *)(b + 1);
        b->cap = buf_class[size_class].cap;
        b->size_class = (uint8_t)size_class;
        b->group = 0;
        b->id = 0;
    }
    cache->live_count++;
    b->next = NULL;
    b->start = 0;
    b->end = 0;
    return b;
}

void buf_put(struct buf_cache *cache, struct buf *b)
{
    ASSERT_SLOW(b->next == NULL);
    if (b->size_class == BUF_CLASS_RING) {
        cache->ring_return(cache->ring, b);
        return;
    }
    ASSERT(cache->live_count > 0);
    cache->live_count--;
    if (cache->free_count[b->size_class] >= buf_class[b->size_class].keep) {
        free(b);
        return;
    }
    b->next = cache->free[b->size_class];
    cache->free[b->size_class] = b;
    cache->free_count[b->size_class]++;
}

void buf_queue_move(struct buf_queue *to, struct buf_queue *from)
{
    if (!from->first) {
        return;
    }
    if (to->last) {
        to->last->next = from->first;
    } else {
        to->first = from->first;
    }
    to->last = from->last;
    to->len += from->len;
    *from = (struct buf_queue){NULL, NULL, 0};
}

struct buf *buf_queue_pop(struct buf_queue *queue)
{
    struct buf *b = queue->first;

    if (b) {
        queue->first = b->next;
        if (!queue->first) {
            queue->last = NULL;
        }
        queue->len -= b->end - b->start;
        b->next = NULL;
    }
    return b;
}

void buf_queue_consume(struct buf_queue *queue, struct buf_cache *cache, size_t count)
{
    ASSERT(count <= queue->len);
    while (count > 0) {
        struct buf *b = queue->first;
        size_t len = b->end - b->start;
        if (count < len) {
            b->start += (uint32_t)count;
            queue->len -= count;
            return;
        }
        count -= len;
        buf_put(cache, buf_queue_pop(queue));
    }
}

bool buf_queue_append(struct buf_queue *queue, struct buf_cache *cache, struct span bytes)
{
    struct buf_queue added = {NULL, NULL, 0};
    size_t in_tail = 0;

    if (queue->last && queue->last->size_class != BUF_CLASS_RING) {
        in_tail = buf_room(queue->last) < bytes.len ? buf_room(queue->last) : bytes.len;
    }
    for (size_t done = in_tail; done < bytes.len;) {
        size_t left = bytes.len - done;
        struct buf *b = buf_new(cache, left < BUF_RECORD_CAP ? left : BUF_RECORD_CAP);
        if (!b) {
            buf_queue_clear(&added, cache);
            return false;
        }
        size_t count = left < b->cap ? left : b->cap;
        memcpy(b->data, bytes.data + done, count);
        b->end = (uint32_t)count;
        buf_queue_push(&added, b);
        done += count;
    }
    if (in_tail) {
        memcpy(queue->last->data + queue->last->end, bytes.data, in_tail);
        queue->last->end += (uint32_t)in_tail;
        queue->len += in_tail;
    }
    buf_queue_move(queue, &added);
    return true;
}

void buf_queue_clear(struct buf_queue *queue, struct buf_cache *cache)
{
    struct buf *b;

    while ((b = buf_queue_pop(queue))) {
        buf_put(cache, b);
    }
}

struct span buf_queue_gather(struct buf_queue *queue, struct buf_cache *cache, size_t want)
{
    struct buf *first = queue->first;

    if (!first) {
        return (struct span){NULL, 0};
    }
    if (want > queue->len) {
        want = queue->len;
    }
    if (first->end - first->start >= want) {
        return buf_view(first);
    }
    if (first->size_class == BUF_CLASS_RING || first->cap - first->start < want) {
        struct buf *bigger = buf_new(cache, want);
        if (!bigger) {
            return (struct span){NULL, 0};
        }
        bigger->end = first->end - first->start;
        memcpy(bigger->data, first->data + first->start, bigger->end);
        bigger->next = first->next;
        queue->first = bigger;
        if (queue->last == first) {
            queue->last = bigger;
        }
        first->next = NULL;
        buf_put(cache, first);
        first = bigger;
    }
    while (first->end - first->start < want) {
        struct buf *second = first->next;
        size_t missing = want - (first->end - first->start);
        size_t len = second->end - second->start;
        size_t count = len < missing ? len : missing;
        memcpy(first->data + first->end, second->data + second->start, count);
        first->end += (uint32_t)count;
        second->start += (uint32_t)count;
        if (second->start == second->end) {
            first->next = second->next;
            if (queue->last == second) {
                queue->last = first;
            }
            second->next = NULL;
            buf_put(cache, second);
        }
    }
    return buf_view(first);
}
