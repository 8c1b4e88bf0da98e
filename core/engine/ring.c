/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real ring, on io_uring through liburing.
 *
 * One io_uring_enter a turn submits, waits and lets the kernel run its deferred half of the
 * completions (IORING_SETUP_DEFER_TASKRUN). liburing sets the ring up and fills queue entries; the
 * queues themselves are driven here, because its submit functions may enter twice or not at all.
 *
 * Receive buffers lie in two groups. A buffer belongs to the kernel from its publication to the
 * completion that names it, then to the taker of the event until it comes back through the buf
 * cache's hook; it is published again with the next turn. Buffer ids are unique over both groups,
 * since a completion names no group.
 *
 * What a queue entry points at (message headers, iovecs, addresses) must stay until the
 * io_uring_enter that consumes the entry has returned. It lies in an arena that is emptied whenever
 * the kernel has consumed everything.
 *
 * ring_calls.c has the plain system calls, ring_self_test.c the start-up test.
 *
 * user_data is kind (8 bits) | generation (32) | slot (24). Kinds from 0xf0 on are the ring's own.
 */
#include "core/engine/ring.h"

#include "core/base/clock.h"
#include "core/engine/uring_abi.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

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

enum {
    KIND_WAKE = 0xf0,   /* the read of the wake-up eventfd */
    KIND_CANCEL = 0xf1, /* a cancel: not counted, never surfaced */

    SLOT_BITS = 24,
    KIND_SHIFT = 56,

    ARENA_BYTES_A_SQE = 96, /* most operations need nothing, a send of two iovecs 88 bytes */
    ARENA_BYTES_MIN = 4096,
};

#define DRAIN_NS (2 * NS_PER_S)  /* how long ring_free() waits for what it cancelled */
#define RETRY_NS (2 * NS_PER_S)  /* locked memory of a process that just ended is freed late */
#define STUCK_NS (10 * NS_PER_S) /* a kernel that takes no submission for that long is lost */
#define PAUSE_NS NS_PER_MS

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

/* Where a buffer is. */
enum place { PLACE_KERNEL, PLACE_TAKEN };

const struct ring_options ring_options_default = {
    .sq_entries = 1024,
    .cq_entries = 8192,
    .group = {{.count = 128, .size = 4096}, {.count = 32, .size = 16384}},
    .without_recv_cap = false,
};

static void ring_return(void *hook, struct buf *b);

/* ---- Submission ---- */

static unsigned sq_pending(const struct ring *ring)
{
    return ring->sq_tail - __atomic_load_n(ring->sq_khead, __ATOMIC_ACQUIRE);
}

static bool cq_overflowed(const struct ring *ring)
{
    return (__atomic_load_n(ring->sq_kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW) != 0;
}

static unsigned cq_ready(const struct ring *ring)
{
    return __atomic_load_n(ring->cq_ktail, __ATOMIC_ACQUIRE) - *ring->cq_khead;
}

/*
 * One io_uring_enter: submits what is in the queue and waits for `wait_count` completions, up to
 * wait_ns (negative: no limit). Time-outs, signals and a kernel short of memory are normal: what
 * was not consumed stays in the queue. Everything else is a lost ring.
 */
static void ring_enter(struct ring *ring, unsigned wait_count, int64_t wait_ns, unsigned flags)
{
    struct __kernel_timespec ts = {.tv_sec = wait_ns / NS_PER_S, .tv_nsec = wait_ns % NS_PER_S};
    struct io_uring_getevents_arg wait = {.sigmask_sz = _NSIG / 8, .ts = (uintptr_t)&ts};
    bool timed = wait_count > 0 && wait_ns >= 0;
    int res;

    __atomic_store_n(ring->sq_ktail, ring->sq_tail, __ATOMIC_RELEASE);
    ring->stats.enters++;
    res = io_uring_enter2((unsigned)ring->enter_fd, sq_pending(ring), wait_count,
                          ring->enter_flags | flags | (timed ? IORING_ENTER_EXT_ARG : 0),
                          timed ? (void *)&wait : NULL, timed ? sizeof(wait) : _NSIG / 8);
    if (res < 0 && res != -ETIME && res != -EINTR && res != -EAGAIN && res != -EBUSY) {
        panic(__FILE__, __LINE__, "io_uring_enter: %s%s", strerror(-res),
              res == -EBADR ? ": completions were lost" : "");
    }
    if (sq_pending(ring) == 0) {
        ring->arena_len = 0;
        ring->fd_cancels = 0;
    }
}

/* Submits without waiting, because the queue or the arena is full. */
static void ring_submit_now(struct ring *ring)
{
    int64_t give_up_ns = 0;

    ring->stats.sq_full++;
    ring_enter(ring, 0, 0, 0);
    while (sq_pending(ring) > 0) {
        /* The kernel has no memory for requests: give it time, with nothing of ours lost. */
        struct timespec pause = {.tv_nsec = PAUSE_NS};
        int64_t now_ns = clock_monotonic_ns();
        if (give_up_ns == 0) {
            give_up_ns = now_ns + STUCK_NS;
        }
        ASSERT(now_ns < give_up_ns);
        nanosleep(&pause, NULL);
        ring_enter(ring, 0, 0, 0);
    }
}

static uint64_t user_data_make(int kind, struct ring_owner owner)
{
    ASSERT_SLOW(owner.slot < 1U << SLOT_BITS);
    return (uint64_t)kind << KIND_SHIFT | (uint64_t)owner.generation << SLOT_BITS | owner.slot;
}

/* A free queue entry. The caller fills it and then calls sqe_own(). */
static struct io_uring_sqe *sqe_new(struct ring *ring)
{
    if (sq_pending(ring) > ring->sq_mask) {
        ring_submit_now(ring);
    }
    return &ring->sqes[ring->sq_tail++ & ring->sq_mask];
}

/* Room that stays until the entry taken next is consumed; call it before sqe_new(). */
static void *arena_new(struct ring *ring, size_t len)
{
    void *room;

    len = (len + 15) & ~(size_t)15;
    if (ring->arena_cap - ring->arena_len < len || sq_pending(ring) > ring->sq_mask) {
        ring_submit_now(ring);
    }
    room = ring->arena + ring->arena_len;
    ring->arena_len += len;
    return room;
}

static void sqe_own(struct ring *ring, struct io_uring_sqe *sqe, int kind, struct ring_owner owner)
{
    sqe->user_data = user_data_make(kind, owner);
    ring->stats.sqes++;
    ring->in_flight++;
}

static void ring_arm_wake(struct ring *ring)
{
    struct io_uring_sqe *sqe = sqe_new(ring);

    io_uring_prep_read(sqe, ring->wake_fd, &ring->wake_count, sizeof(ring->wake_count), 0);
    sqe_own(ring, sqe, KIND_WAKE, (struct ring_owner){0, 0});
}

void ring_accept(struct ring *ring, int fd, struct ring_owner owner)
{
    struct io_uring_sqe *sqe = sqe_new(ring);

    if (ring->accept_oneshot) {
        io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } else {
        io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    }
    sqe_own(ring, sqe, RING_ACCEPT, owner);
}

void ring_recv(struct ring *ring, int fd, struct ring_owner owner, enum ring_group group,
               size_t cap, bool poll_first)
{
    struct io_uring_sqe *sqe = sqe_new(ring);

    ASSERT(cap > 0);
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = (uint16_t)group;
    if (poll_first) {
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
    if (ring->has_recv_cap) {
        uring_sqe_set_optlen(sqe, cap < INT32_MAX ? (uint32_t)cap : INT32_MAX);
    }
    sqe_own(ring, sqe, RING_RECV, owner);
}

void ring_recv_into(struct ring *ring, int fd, struct ring_owner owner, void *memory, size_t len)
{
    struct io_uring_sqe *sqe = sqe_new(ring);

    ASSERT(len > 0);
    io_uring_prep_recv(sqe, fd, memory, len < INT32_MAX ? len : INT32_MAX, 0);
    sqe_own(ring, sqe, RING_RECV_INTO, owner);
}

void ring_send(struct ring *ring, int fd, struct ring_owner owner, const struct iovec *iov,
               int iov_count)
{
    const int flags = MSG_WAITALL | MSG_NOSIGNAL;
    struct io_uring_sqe *sqe;
    size_t len = 0;

    ASSERT(iov_count > 0 && iov_count <= RING_SEND_IOVECS_MAX);
    for (int i = 0; i < iov_count; i++) {
        len += iov[i].iov_len;
    }
    ASSERT(len > 0 && len <= RING_SEND_BYTES_MAX);
    if (iov_count == 1) {
        sqe = sqe_new(ring);
        io_uring_prep_send(sqe, fd, iov->iov_base, iov->iov_len, flags);
    } else {
        size_t iov_bytes = (size_t)iov_count * sizeof(*iov);
        struct msghdr *message = arena_new(ring, sizeof(*message) + iov_bytes);
        memset(message, 0, sizeof(*message));
        message->msg_iov = memcpy(message + 1, iov, iov_bytes);
        message->msg_iovlen = (size_t)iov_count;
        sqe = sqe_new(ring);
        io_uring_prep_sendmsg(sqe, fd, message, (unsigned)flags);
    }
    sqe_own(ring, sqe, RING_SEND, owner);
}

void ring_poll(struct ring *ring, int fd, struct ring_owner owner, enum ring_kind kind,
               short poll_mask)
{
    struct io_uring_sqe *sqe = sqe_new(ring);

    ASSERT(kind == RING_POLL_IN || kind == RING_POLL_OUT || kind == RING_RESOLVE);
    io_uring_prep_poll_add(sqe, fd, (unsigned short)poll_mask);
    sqe_own(ring, sqe, kind, owner);
}

void ring_connect(struct ring *ring, int fd, struct ring_owner owner,
                  const struct sockaddr *address, socklen_t address_len)
{
    void *copy = arena_new(ring, address_len);
    struct io_uring_sqe *sqe = sqe_new(ring);

    memcpy(copy, address, address_len);
    io_uring_prep_connect(sqe, fd, copy, address_len);
    sqe_own(ring, sqe, RING_CONNECT, owner);
}

/* A cancel has no event and no count: the events of its victims are the truth. */
static struct io_uring_sqe *sqe_cancel(struct ring *ring, uint64_t victim, unsigned flags)
{
    struct io_uring_sqe *sqe = sqe_new(ring);

    io_uring_prep_cancel64(sqe, victim, (int)(flags | IORING_ASYNC_CANCEL_ALL));
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = (uint64_t)KIND_CANCEL << KIND_SHIFT;
    ring->stats.sqes++;
    return sqe;
}

void ring_cancel(struct ring *ring, enum ring_kind kind, struct ring_owner owner)
{
    sqe_cancel(ring, user_data_make((int)kind, owner), 0);
}

void ring_cancel_fd(struct ring *ring, int fd)
{
    sqe_cancel(ring, 0, IORING_ASYNC_CANCEL_FD)->fd = fd;
    ring->fd_cancels++;
}

/* ---- Buffers ---- */

/* Slow checks: the buffer changes hands from one place to the other and nowhere else. */
static void buffer_move(struct ring *ring, uint32_t bid, enum place from, enum place to)
{
#ifdef WEIR_SLOW_CHECKS
    ASSERT(ring->where[bid] == from);
    ring->where[bid] = (uint8_t)to;
#else
    (void)ring, (void)bid, (void)from, (void)to;
#endif
#ifdef WEIR_ASAN
    const struct buf *b = &ring->bufs[bid];
    if (to == PLACE_KERNEL) {
        ASAN_POISON_MEMORY_REGION(b->data, b->cap);
    } else {
        ASAN_UNPOISON_MEMORY_REGION(b->data, b->cap);
    }
#endif
}

/* Writes the group's next entry. Not as a whole: entry 0 shares its last field with the tail. */
static void group_add(struct group *group, const struct buf *b)
{
    struct io_uring_buf *entry = &group->entries->bufs[group->tail & (group->count - 1)];

    entry->addr = (uintptr_t)b->data;
    entry->len = group->size;
    entry->bid = (uint16_t)(group->first_bid + b->id);
    group->tail++;
    group->free_count++;
}

static void ring_return(void *hook, struct buf *b)
{
    struct ring *ring = hook;
    struct group *group = &ring->groups[b->group];

    ASSERT_SLOW(b == &group->bufs[b->id]);
    ASSERT(group->free_count < group->count);
    buffer_move(ring, (uint32_t)(b - ring->bufs), PLACE_TAKEN, PLACE_KERNEL);
    group_add(group, b);
}

static void ring_publish_buffers(struct ring *ring)
{
    for (int i = 0; i < RING_GROUP_COUNT; i++) {
        struct group *group = &ring->groups[i];
        if (group->published != group->tail) {
            group->published = group->tail;
            __atomic_store_n(&group->entries->tail, group->tail, __ATOMIC_RELEASE);
        }
    }
}

/* Slow checks: every buffer is somewhere, and as often as the counts say. */
static void ring_check_buffers(const struct ring *ring)
{
#ifdef WEIR_SLOW_CHECKS
    for (int i = 0; i < RING_GROUP_COUNT; i++) {
        const struct group *group = &ring->groups[i];
        uint32_t taken = 0;
        for (uint32_t id = 0; id < group->count; id++) {
            taken += ring->where[group->first_bid + id] == PLACE_TAKEN;
        }
        ASSERT(taken + group->free_count == group->count);
    }
#else
    (void)ring;
#endif
}

uint32_t ring_group_free(const struct ring *ring, enum ring_group group)
{
    return ring->groups[group].free_count;
}

uint32_t ring_group_size(const struct ring *ring, enum ring_group group)
{
    return ring->groups[group].size;
}

/* ---- Completions ---- */

/* The buffer that a completion names, now the taker's, or null when nothing was put in it. */
static struct buf *buffer_take(struct ring *ring, const struct io_uring_cqe *cqe)
{
    uint32_t bid = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    struct buf *b;

    ASSERT(bid < ring->buf_count);
    b = &ring->bufs[bid];
    buffer_move(ring, bid, PLACE_KERNEL, PLACE_TAKEN);
    ring->groups[b->group].free_count--;
    if (cqe->res <= 0) {
        ring_return(ring, b);
        return NULL;
    }
    ASSERT((uint32_t)cqe->res <= b->cap);
    b->next = NULL;
    b->start = 0;
    b->end = (uint32_t)cqe->res;
    return b;
}

/* False: the completion is the ring's own business. */
static bool event_fill(struct ring *ring, struct ring_event *event, const struct io_uring_cqe *cqe)
{
    uint64_t data = cqe->user_data;
    int kind = (int)(data >> KIND_SHIFT);

    if (kind == KIND_CANCEL) {
        return false;
    }
    event->more = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if (!event->more) {
        ASSERT(ring->in_flight > 0);
        ring->in_flight--;
    }
    if (kind == KIND_WAKE) {
        if (!ring->stopping) {
            ring_arm_wake(ring);
        }
        *event = (struct ring_event){.kind = RING_WAKED};
        return cqe->res > 0;
    }
    event->kind = (enum ring_kind)kind;
    event->res = cqe->res;
    event->owner.slot = (uint32_t)data & ((1U << SLOT_BITS) - 1);
    event->owner.generation = (uint32_t)(data >> SLOT_BITS);
    event->buf = NULL;
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        event->buf = buffer_take(ring, cqe);
    }
    if (kind == RING_RECV || kind == RING_RECV_INTO) {
        if (cqe->res > 0) {
            ring->stats.recv_bytes += (uint32_t)cqe->res;
        } else if (cqe->res == -ENOBUFS) {
            ring->stats.buffers_empty++;
        }
    } else if (kind == RING_SEND && cqe->res > 0) {
        ring->stats.send_bytes += (uint32_t)cqe->res;
    }
    return true;
}

static int ring_reap(struct ring *ring, struct ring_event *events, int cap)
{
    unsigned head = *ring->cq_khead;
    unsigned tail = __atomic_load_n(ring->cq_ktail, __ATOMIC_ACQUIRE);
    unsigned first = head;
    int count = 0;

    while (head != tail && count < cap) {
        count += event_fill(ring, &events[count], &ring->cqes[head & ring->cq_mask]);
        head++;
    }
    ring->stats.cqes += head - first;
    __atomic_store_n(ring->cq_khead, head, __ATOMIC_RELEASE);
    return count;
}

int ring_turn(struct ring *ring, int64_t wait_ns, struct ring_event *events, int cap)
{
    bool overflowed = cq_overflowed(ring);

    ASSERT(cap > 0);
    ring_publish_buffers(ring);
    ring->stats.cq_overflows += overflowed;
    if (wait_ns == 0 || overflowed || cq_ready(ring) > 0) {
        ring_enter(ring, 0, 0, IORING_ENTER_GETEVENTS);
    } else {
        ring_enter(ring, 1, wait_ns, IORING_ENTER_GETEVENTS);
    }
    if (sq_pending(ring) > 0) {
        /* Short of memory, the kernel neither took everything nor waited: do not spin. */
        ring_enter(ring, 1, PAUSE_NS, IORING_ENTER_GETEVENTS);
    }
    ring->now_ns = clock_monotonic_ns();
    ring->wall_ns = clock_wall_ns();
    ring_check_buffers(ring);
    return ring_reap(ring, events, cap);
}

int64_t ring_now(const struct ring *ring)
{
    return ring->now_ns;
}

int64_t ring_wall(const struct ring *ring)
{
    return ring->wall_ns;
}

void ring_wake(struct ring *ring)
{
    uint64_t one = 1;

    /* It cannot fail but for a signal: the counter would need 2^64 wake-ups to fill up. */
    while (write(ring->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

bool ring_has_recv_cap(const struct ring *ring)
{
    return ring->has_recv_cap;
}

const struct ring_stats *ring_stats(const struct ring *ring)
{
    return &ring->stats;
}

/*
 * A cancel by descriptor that was not submitted yet would hit whoever gets the number next: it
 * becomes a no-operation. Nothing else of this descriptor may be in the queue.
 */
static void ring_forget_fd(struct ring *ring, int fd)
{
    for (unsigned i = *ring->sq_khead; i != ring->sq_tail; i++) {
        struct io_uring_sqe *sqe = &ring->sqes[i & ring->sq_mask];
        bool is_cancel = sqe->opcode == IORING_OP_ASYNC_CANCEL;
        if (sqe->fd != fd || (is_cancel && !(sqe->cancel_flags & IORING_ASYNC_CANCEL_FD))) {
            continue;
        }
        ASSERT_SLOW(is_cancel || sqe->opcode == IORING_OP_NOP);
        io_uring_prep_nop(sqe);
        sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
        sqe->user_data = (uint64_t)KIND_CANCEL << KIND_SHIFT;
    }
}

void ring_close(struct ring *ring, int fd)
{
#ifdef WEIR_SLOW_CHECKS
    ring_forget_fd(ring, fd);
#endif
    if (ring->fd_cancels > 0) {
        ring_forget_fd(ring, fd);
    }
    close(fd); /* Linux frees the number whatever it returns */
}

/* ---- Life ---- */

static const char *kernel_release(struct utsname *name)
{
    return uname(name) == 0 ? name->release : "(unknown)";
}

/* What the queues and the rings of buffer entries are charged with, roughly. */
static unsigned long locked_kib(const struct ring_options *options)
{
    size_t bytes = (size_t)options->sq_entries * (sizeof(struct io_uring_sqe) + 4) +
                   (size_t)options->cq_entries * sizeof(struct io_uring_cqe) + 8192;

    for (int i = 0; i < RING_GROUP_COUNT; i++) {
        bytes += (size_t)options->group[i].count * sizeof(struct io_uring_buf) + 4096;
    }
    return (unsigned long)(bytes + 1023) / 1024;
}

/* The sentence for a failed set-up; returns `error_number`, negative. */
static int ring_explain(int error_number, const char *what, const struct ring_options *options,
                        char *error, size_t error_cap)
{
    struct utsname name;
    struct rlimit limit = {0, 0};

    switch (error_number) {
    case -ENOSYS:
        snprintf(error, error_cap, "this kernel has no io_uring, or a seccomp filter hides it");
        break;
    case -EPERM:
        snprintf(error, error_cap,
                 "io_uring is blocked: check kernel.io_uring_disabled (0 wanted; 1 needs the group "
                 "in kernel.io_uring_group or CAP_SYS_ADMIN) and the container's seccomp profile");
        break;
    case -ENOMEM:
        (void)getrlimit(RLIMIT_MEMLOCK, &limit);
        if (limit.rlim_cur == RLIM_INFINITY) {
            snprintf(error, error_cap, "no memory for the ring, %lu KiB", locked_kib(options));
        } else {
            snprintf(error, error_cap,
                     "locked-memory limit is %lu KiB, this configuration needs %lu KiB a worker: "
                     "raise RLIMIT_MEMLOCK / LimitMEMLOCK",
                     (unsigned long)(limit.rlim_cur / 1024), locked_kib(options));
        }
        break;
    case -EINVAL:
        snprintf(error, error_cap, "kernel %s lacks %s; 6.1 or newer is needed",
                 kernel_release(&name), what);
        break;
    default:
        snprintf(error, error_cap, "io_uring: %s: %s (kernel %s)", what, strerror(-error_number),
                 kernel_release(&name));
    }
    return error_number;
}

/* Sets the queues up; a process that has just ended may still hold locked memory for a moment. */
static int ring_setup_queues(struct ring *ring, const struct ring_options *options)
{
    int64_t give_up_ns = clock_monotonic_ns() + RETRY_NS;
    struct timespec pause = {.tv_nsec = 50 * NS_PER_MS};
    int res;

    for (;;) {
        struct io_uring_params params = {
            .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED,
            .cq_entries = options->cq_entries,
        };
        res = io_uring_queue_init_params(options->sq_entries, &ring->uring, &params);
        if (res != -ENOMEM || clock_monotonic_ns() >= give_up_ns) {
            break;
        }
        nanosleep(&pause, NULL);
    }
    if (res < 0) {
        return res;
    }
    ring->sqes = ring->uring.sq.sqes;
    ring->sq_khead = ring->uring.sq.khead;
    ring->sq_ktail = ring->uring.sq.ktail;
    ring->sq_kflags = ring->uring.sq.kflags;
    ring->sq_mask = *ring->uring.sq.kring_mask;
    ring->sq_tail = *ring->uring.sq.ktail;
    ring->cqes = ring->uring.cq.cqes;
    ring->cq_khead = ring->uring.cq.khead;
    ring->cq_ktail = ring->uring.cq.ktail;
    ring->cq_mask = *ring->uring.cq.kring_mask;
    for (unsigned i = 0; i <= ring->sq_mask; i++) {
        ring->uring.sq.array[i] = i; /* entry i is always sqes[i] */
    }
    return 0;
}

static size_t page_round(size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (len + page - 1) / page * page;
}

/* Entries and bytes of both groups, in one mapping that a fork does not share. */
static int ring_map_groups(struct ring *ring, const struct ring_options *options)
{
    size_t entries_len[RING_GROUP_COUNT];
    uint8_t *at;

    for (int i = 0; i < RING_GROUP_COUNT; i++) {
        uint32_t count = options->group[i].count;
        uint32_t size = options->group[i].size;
        ASSERT(count > 0 && (count & (count - 1)) == 0 && count <= URING_BUF_RING_ENTRIES_MAX);
        ASSERT(size > 0 && (size & (size - 1)) == 0 && size <= INT32_MAX / 2 / count);
        ring->groups[i].count = count;
        ring->groups[i].size = size;
        ring->groups[i].first_bid = (uint16_t)ring->buf_count;
        ring->buf_count += count;
        entries_len[i] = page_round(count * sizeof(struct io_uring_buf));
        ring->memory_len += entries_len[i] + page_round((size_t)count * size);
    }
    ASSERT(ring->buf_count <= URING_BUFFER_IDS_MAX);
    ring->bufs = calloc(ring->buf_count, sizeof(*ring->bufs));
    ring->where = calloc(ring->buf_count, sizeof(*ring->where));
    ring->memory = mmap(NULL, ring->memory_len, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (!ring->bufs || !ring->where || ring->memory == MAP_FAILED) {
        return -ENOMEM;
    }
    (void)madvise(ring->memory, ring->memory_len, MADV_DONTFORK);
    at = ring->memory;
    for (int i = 0; i < RING_GROUP_COUNT; i++) {
        ring->groups[i].entries = (void *)at;
        ring->groups[i].memory = at + entries_len[i];
        at += entries_len[i] + page_round((size_t)ring->groups[i].count * ring->groups[i].size);
    }
    return 0;
}

static int ring_register_group(struct ring *ring, int index)
{
    struct group *group = &ring->groups[index];
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)group->entries,
        .ring_entries = group->count,
        .bgid = (uint16_t)index,
    };

    group->bufs = ring->bufs + group->first_bid;
    for (uint32_t id = 0; id < group->count; id++) {
        struct buf *b = &group->bufs[id];
        *b = (struct buf){
            .data = group->memory + (size_t)id * group->size,
            .cap = group->size,
            .size_class = BUF_CLASS_RING,
            .group = (uint8_t)index,
            .id = (uint16_t)id,
        };
        buffer_move(ring, group->first_bid + id, PLACE_KERNEL, PLACE_KERNEL);
        group_add(group, b);
    }
    return io_uring_register_buf_ring(&ring->uring, &reg, 0);
}

/*
 * The kernel refuses whatever weir has no use for: operations of a ring are invisible to seccomp,
 * so a hole in this process must not find all of io_uring behind it.
 */
static int ring_restrict(struct ring *ring)
{
    static const uint8_t ops[] = {
        IORING_OP_ACCEPT,       IORING_OP_RECV,     IORING_OP_SEND,
        IORING_OP_SENDMSG,      IORING_OP_CONNECT,  IORING_OP_READ,
        IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_ADD, IORING_OP_NOP,
    };
    static const uint8_t registers[] = {
        IORING_REGISTER_RING_FDS,
        IORING_UNREGISTER_RING_FDS,
        IORING_UNREGISTER_PBUF_RING,
        IORING_REGISTER_ENABLE_RINGS,
    };
    struct io_uring_restriction list[COUNT_OF(ops) + COUNT_OF(registers) + 1];
    unsigned count = 0;

    memset(list, 0, sizeof(list));
    for (size_t i = 0; i < COUNT_OF(ops); i++) {
        list[count].opcode = IORING_RESTRICTION_SQE_OP;
        list[count++].sqe_op = ops[i];
    }
    for (size_t i = 0; i < COUNT_OF(registers); i++) {
        list[count].opcode = IORING_RESTRICTION_REGISTER_OP;
        list[count++].register_op = registers[i];
    }
    list[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    list[count++].sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
    /* By the plain call: the library exports its own functions for these two only since 2.4. */
    return io_uring_register((unsigned)ring->uring.ring_fd, IORING_REGISTER_RESTRICTIONS, list,
                             count);
}

/* Multishot accept of 6.6.1 to 6.7 could report wrong descriptors under deferred task work. */
static bool kernel_accepts_wrongly(void)
{
    struct utsname name;
    int major = 0, minor = 0, patch = 0;

    if (uname(&name) != 0 || sscanf(name.release, "%d.%d.%d", &major, &minor, &patch) < 2) {
        return false;
    }
    return major == 6 && ((minor == 6 && patch >= 1) || minor == 7);
}

/* Whether a multishot receive with a total cap ends by itself: does one, on a socket pair. */
static int ring_probe_recv_cap(struct ring *ring)
{
    struct ring_event event = {.more = true};
    int64_t give_up_ns = clock_monotonic_ns() + RETRY_NS;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
        return -errno;
    }
    ring->has_recv_cap = true;
    if (write(fds[1], "x", 1) != 1) {
        event.more = false;
        event.res = -errno;
    } else {
        ring_recv(ring, fds[0], (struct ring_owner){0, 0}, RING_GROUP_SMALL, 1, false);
    }
    while (event.more && clock_monotonic_ns() < give_up_ns) {
        if (ring_turn(ring, 100 * NS_PER_MS, &event, 1) != 1) {
            continue;
        }
        if (event.buf) {
            buf_put(ring->cache, event.buf);
        }
        if (event.more) { /* the cap was ignored */
            ring->has_recv_cap = false;
            ring_cancel_fd(ring, fds[0]);
        }
    }
    if (event.res < 0) {
        ring->has_recv_cap = false;
    }
    close(fds[0]);
    close(fds[1]);
    memset(&ring->stats, 0, sizeof(ring->stats));
    if (event.more) {
        return -ETIME;
    }
    return event.res == -EINVAL || event.res == -ECANCELED || event.res >= 0 ? 0 : event.res;
}

/* From the queues to a ring that works; `what` says what was tried last. */
static int ring_start(struct ring *ring, const struct ring_options *options, const char **what)
{
    const unsigned features =
        IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;
    int res;

    if ((ring->uring.features & features) != features) {
        *what = "EXT_ARG, NODROP, SUBMIT_STABLE or CQE_SKIP";
        return -EINVAL;
    }
    (void)io_uring_ring_dontfork(&ring->uring);
    *what = "buffer rings";
    res = ring_map_groups(ring, options);
    for (int i = 0; res == 0 && i < RING_GROUP_COUNT; i++) {
        res = ring_register_group(ring, i);
    }
    if (res < 0) {
        return res;
    }
    *what = "IORING_REGISTER_RESTRICTIONS";
    res = ring_restrict(ring);
    if (res < 0) {
        return res;
    }
    *what = "IORING_REGISTER_ENABLE_RINGS";
    res = io_uring_register((unsigned)ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    if (res < 0) {
        return res;
    }
    *what = "IORING_REGISTER_RING_FDS";
    res = io_uring_register_ring_fd(&ring->uring);
    if (res < 0) {
        return res;
    }
    ring->enter_fd = ring->uring.enter_ring_fd;
    ring->enter_flags = IORING_ENTER_REGISTERED_RING;
    ring_publish_buffers(ring);
    *what = "multishot RECV with a buffer ring";
    res = options->without_recv_cap ? 0 : ring_probe_recv_cap(ring);
    if (res == 0) {
        ring_arm_wake(ring);
    }
    return res;
}

/* Frees what ring_new() made; the kernel must be done with it. */
static void ring_release(struct ring *ring)
{
    if (ring->uring.ring_fd >= 0) {
        io_uring_queue_exit(&ring->uring);
    }
    if (ring->memory && ring->memory != MAP_FAILED) {
#ifdef WEIR_ASAN
        ASAN_UNPOISON_MEMORY_REGION(ring->memory, ring->memory_len);
#endif
        munmap(ring->memory, ring->memory_len);
    }
    if (ring->wake_fd >= 0) {
        close(ring->wake_fd);
    }
    free(ring->where);
    free(ring->bufs);
    free(ring->arena);
    free(ring);
}

int ring_new(struct ring **made, const struct ring_options *options, struct buf_cache *cache,
             char *error, size_t error_cap)
{
    const char *what = "memory";
    struct ring *ring = aligned_alloc(64, (sizeof(*ring) + 63) / 64 * 64);
    int res = -ENOMEM;

    *made = NULL;
    if (!ring) {
        return ring_explain(-ENOMEM, what, options, error, error_cap);
    }
    memset(ring, 0, sizeof(*ring));
    ring->uring.ring_fd = -1;
    ring->cache = cache;
    ring->arena_cap = (size_t)options->sq_entries * ARENA_BYTES_A_SQE;
    if (ring->arena_cap < ARENA_BYTES_MIN) {
        ring->arena_cap = ARENA_BYTES_MIN;
    }
    ring->arena = malloc(ring->arena_cap);
    /* Blocking: the ring arms a poll for it; a read of a non-blocking one would say EAGAIN. */
    ring->wake_fd = eventfd(0, EFD_CLOEXEC);
    ring->accept_oneshot = kernel_accepts_wrongly();
    ring->now_ns = clock_monotonic_ns();
    ring->wall_ns = clock_wall_ns();
    if (ring->wake_fd < 0) {
        what = "eventfd";
        res = -errno;
        goto fail;
    }
    if (!ring->arena) {
        goto fail;
    }
    what = "IORING_SETUP_SINGLE_ISSUER and IORING_SETUP_DEFER_TASKRUN";
    res = ring_setup_queues(ring, options);
    if (res < 0) {
        ring->uring.ring_fd = -1;
        goto fail;
    }
    cache->ring_return = ring_return;
    cache->ring = ring;
    res = ring_start(ring, options, &what);
    if (res < 0) {
        goto fail;
    }
    *made = ring;
    return 0;

fail:
    ring_explain(res, what, options, error, error_cap);
    cache->ring_return = NULL;
    cache->ring = NULL;
    ring_release(ring);
    return res;
}

/* Takes what late events brought: nobody else will. */
static void events_drop(struct ring *ring, const struct ring_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        if (events[i].buf) {
            buf_put(ring->cache, events[i].buf);
        } else if (events[i].kind == RING_ACCEPT && events[i].res >= 0) {
            close(events[i].res);
        }
    }
}

bool ring_free(struct ring *ring)
{
    struct ring_event events[64];
    int64_t give_up_ns = clock_monotonic_ns() + DRAIN_NS;

    ring->stopping = true;
    sqe_cancel(ring, 0, IORING_ASYNC_CANCEL_ANY);
    while (ring->in_flight > 0 && clock_monotonic_ns() < give_up_ns) {
        int count = ring_turn(ring, 10 * NS_PER_MS, events, (int)COUNT_OF(events));
        events_drop(ring, events, count);
    }
    if (ring->in_flight > 0) {
        return false;
    }
    for (int i = 0; i < RING_GROUP_COUNT; i++) {
        ASSERT(ring->groups[i].free_count == ring->groups[i].count);
        (void)io_uring_unregister_buf_ring(&ring->uring, i);
    }
    ring->cache->ring_return = NULL;
    ring->cache->ring = NULL;
    ring_release(ring);
    return true;
}
