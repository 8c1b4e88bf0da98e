/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the real ring, for ring.c, which drives it, and ring_setup.c, which makes and ends
 * it. What it is made of is explained in ring.c.
 */
#ifndef WEIR_ENGINE_RING_PRIVATE_H
#define WEIR_ENGINE_RING_PRIVATE_H

#include "core/engine/ring.h"
#include "core/engine/uring_abi.h"

#if defined(__SANITIZE_ADDRESS__)
#define WEIR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_ASAN 1
#endif
#endif
#ifdef WEIR_ASAN
#include <sanitizer/asan_interface.h>
#endif

struct group {
    struct io_uring_buf_ring *entries; /* shared with the kernel */
    struct buf *bufs;
    uint8_t *memory; /* count * size bytes */
    uint32_t count;
    uint32_t size;
    uint32_t free_count; /* not with a taker */
    uint16_t first_bid;  /* of bufs[0] */
    uint16_t tail;       /* where the next returned buffer goes */
    uint16_t published;  /* the tail that the kernel sees */
};

struct ring {
    /* The queues, as mapped by liburing. */
    struct io_uring_sqe *sqes;
    const unsigned *sq_khead;
    unsigned *sq_ktail;
    const unsigned *sq_kflags;
    unsigned sq_tail; /* ours; *sq_ktail follows when an enter publishes it */
    unsigned sq_mask;
    struct io_uring_cqe *cqes;
    unsigned *cq_khead;
    const unsigned *cq_ktail;
    unsigned cq_mask;
    int enter_fd;
    unsigned enter_flags;

    int64_t now_ns;
    int64_t wall_ns;
    int64_t busy_poll_ns;
    int64_t gap_ns; /* how long the waits of late took: a mean, twice busy_poll_ns at most */
    uint8_t *arena;
    size_t arena_len;
    size_t arena_cap;
    uint32_t in_flight;  /* operations without their last event, the wake-up's included */
    uint32_t fd_cancels; /* cancels by descriptor that may be unsubmitted */
    bool has_recv_cap;
    bool accept_oneshot;
    bool stopping; /* ring_free() drains: nothing is re-armed */
    struct group groups[RING_GROUP_COUNT];
    struct ring_stats stats;

    int wake_fd;
    uint64_t wake_count; /* what the read of wake_fd stores */
    struct buf_cache *cache;
    struct buf *bufs; /* of both groups, by buffer id */
    uint32_t buf_count;
    uint8_t *where; /* slow checks: enum place of each buffer id */
    void *memory;   /* entries and bytes of the groups */
    size_t memory_len;
    struct io_uring uring;
};

/* Where a buffer is; when the ring is made, its maker has it. */
enum place { PLACE_TAKEN, PLACE_KERNEL };

/* The buf cache's hook: gives a buffer of ours back. The kernel sees it once it is published. */
void ring_return(void *hook, struct buf *b);
void ring_publish_buffers(struct ring *ring);

/* The read that ends with ring_wake(). */
void ring_arm_wake(struct ring *ring);

/* Asks for an early end of everything. */
void ring_cancel_all(struct ring *ring);

#endif
