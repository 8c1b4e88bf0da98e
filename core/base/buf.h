/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf: a run of received or to-be-sent bytes with exactly one owner. A buf is in one place at a
 * time: the kernel's buffer ring, one queue, or one send in flight. Ownership moves with the
 * pointer; whoever holds a buf last gives it back with buf_put().
 *
 * buf_queue: bufs in order, with the sum of their bytes.
 *
 * buf_cache: where bufs come from and go back to. One per thread, never shared. Private blocks come
 * in four sizes and are kept on short free lists, so that steady traffic never reaches malloc;
 * blocks above the bound of a free list go back to the heap, so that a burst leaves nothing behind.
 * A buf that belongs to a kernel buffer ring is returned through the ring's own hook.
 */
#ifndef WEIR_BASE_BUF_H
#define WEIR_BASE_BUF_H

#include "core/base/assert.h"
#include "core/base/span.h"

enum {
    BUF_SMALL_CAP = 2048,             /* a request head, a handshake flight */
    BUF_RECORD_CAP = 16 * 1024 + 512, /* one sealed TLS record with room for its overhead */
    BUF_HEAD_CAP = 64 * 1024 + 512,   /* the longest HTTP head */
    BUF_HELLO_CAP = 96 * 1024,        /* the longest ClientHello, 64 KiB, with its record headers */
    BUF_CAP_MAX = BUF_HELLO_CAP,
    BUF_CLASS_COUNT = 4,
    BUF_CLASS_RING = 0xff, /* storage belongs to a kernel buffer ring */
};

struct buf {
    struct buf *next; /* in a queue or free list; otherwise null */
    uint8_t *data;    /* storage, `cap` bytes */
    uint32_t start;   /* the filled part is data[start, end) */
    uint32_t end;
    uint32_t cap;
    uint8_t size_class; /* index of the private size, or BUF_CLASS_RING */
    uint8_t group;      /* ring bufs: buffer group */
    uint16_t id;        /* ring bufs: buffer id in the group */
};

struct buf_queue {
    struct buf *first;
    struct buf *last;
    size_t len; /* bytes over all bufs */
};

struct buf_cache {
    struct buf *free[BUF_CLASS_COUNT];
    uint32_t free_count[BUF_CLASS_COUNT];
    uint64_t live_count;  /* private bufs in use: must be 0 when a worker ends */
    uint64_t heap_allocs; /* times that malloc was asked: flat under steady traffic */
    /* Gives a ring buf back to its ring; set by the ring that made such bufs. */
    void (*ring_return)(void *ring, struct buf *b);
    void *ring;
};

void buf_cache_init(struct buf_cache *cache);
void buf_cache_fini(struct buf_cache *cache); /* frees the free lists; live_count must be 0 */

/*
 * A private block with room for at least min_cap bytes (at most BUF_CAP_MAX), empty.
 * Returns null only when the heap is exhausted.
 */
struct buf *buf_new(struct buf_cache *cache, size_t min_cap) MUST_CHECK;
void buf_put(struct buf_cache *cache, struct buf *b);

static inline struct span buf_view(const struct buf *b)
{
    return span_make(b->data + b->start, b->end - b->start);
}

static inline size_t buf_room(const struct buf *b)
{
    return b->cap - b->end;
}

static inline void buf_queue_push(struct buf_queue *queue, struct buf *b)
{
    ASSERT_SLOW(b->next == NULL);
    if (queue->last) {
        queue->last->next = b;
    } else {
        queue->first = b;
    }
    queue->last = b;
    queue->len += b->end - b->start;
}

/* Moves everything from `from` to the end of `to`. */
void buf_queue_move(struct buf_queue *to, struct buf_queue *from);

/* Takes the first buf out, or returns null. */
struct buf *buf_queue_pop(struct buf_queue *queue);

/* Drops `count` bytes (at most queue->len) from the front; emptied bufs go back. */
void buf_queue_consume(struct buf_queue *queue, struct buf_cache *cache, size_t count);

/* Copies bytes to the end: into the room of the last private buf, then into new blocks.
 * Returns false, with nothing appended, when the heap is exhausted. */
bool buf_queue_append(struct buf_queue *queue, struct buf_cache *cache,
                      struct span bytes) MUST_CHECK;

/* Gives everything back. */
void buf_queue_clear(struct buf_queue *queue, struct buf_cache *cache);

/*
 * Makes the first `want` bytes (or all, if there are fewer) lie in the first buf, copying at most
 * once, and returns a view of the whole first buf. The view stays valid until the queue changes.
 * want must be at most BUF_CAP_MAX. An empty view when the queue is empty or the heap exhausted.
 */
struct span buf_queue_gather(struct buf_queue *queue, struct buf_cache *cache, size_t want);

#endif
