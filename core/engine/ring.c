/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real ring, on io_uring through liburing.
 *
 * One io_uring_enter a turn submits, waits and lets the kernel run its deferred half of the
 * completions (IORING_SETUP_DEFER_TASKRUN); with busy_poll_ns there may be more. liburing sets the
 * ring up and fills queue entries; the queues themselves are driven here, because its submit
 * functions may enter twice or not at all.
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
 * ring_setup.c makes and ends a ring, ring_calls.c has the plain system calls, ring_self_test.c the
 * start-up test.
 *
 * user_data is kind (8 bits) | generation (32) | slot (24). Kinds from 0xf0 on are the ring's own.
 */
#include "core/engine/ring_private.h"

#include "core/base/assert.h"
#include "core/base/clock.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    KIND_WAKE = 0xf0,   /* the read of the wake-up eventfd */
    KIND_CANCEL = 0xf1, /* a cancel: not counted, never surfaced */

    SLOT_BITS = 24,
    KIND_SHIFT = 56,

    /* The mean of the waits moves by an eighth of each, and none counts more than twice
     * busy_poll_ns: looking ends behind six long ones in a row, and goes on while fewer than half
     * of them are long. One alone says nothing, as when a host took the core away. */
    GAP_WEIGHT = 8,
    GAP_MAX = 2,
};

#define STUCK_NS (10 * NS_PER_S) /* a kernel that takes no submission for that long is lost */
#define PAUSE_NS NS_PER_MS

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
    ring->stats.sleeps += wait_count > 0;
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

void ring_arm_wake(struct ring *ring)
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

static void send_bytes(struct ring *ring, int fd, struct ring_owner owner, const struct iovec *iov,
                       int iov_count, int more_flags)
{
    /* Not waiting: the kernel tries a waiting send again at each wake-up, and the peer's FIN is one
     * that stays; after 128 tries (APOLL_MAX_RETRY) it hands the send to a thread of its own. */
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL | more_flags;
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

void ring_send(struct ring *ring, int fd, struct ring_owner owner, const struct iovec *iov,
               int iov_count)
{
    send_bytes(ring, fd, owner, iov, iov_count, 0);
}

void ring_send_last(struct ring *ring, int fd, struct ring_owner owner, const struct iovec *iov,
                    int iov_count)
{
    send_bytes(ring, fd, owner, iov, iov_count, MSG_MORE);
}

void ring_poll(struct ring *ring, int fd, struct ring_owner owner, enum ring_kind kind,
               short poll_mask)
{
    struct io_uring_sqe *sqe = sqe_new(ring);

    ASSERT(kind == RING_POLL_IN || kind == RING_POLL_OUT || kind == RING_POLL_BROKEN ||
           kind == RING_RESOLVE);
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
    ring->stats.fd_cancels++;
}

void ring_cancel_all(struct ring *ring)
{
    sqe_cancel(ring, 0, IORING_ASYNC_CANCEL_ANY);
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

void ring_return(void *hook, struct buf *b)
{
    struct ring *ring = hook;
    struct group *group = &ring->groups[b->group];

    ASSERT_SLOW(b == &group->bufs[b->id]);
    ASSERT(group->free_count < group->count);
    buffer_move(ring, (uint32_t)(b - ring->bufs), PLACE_TAKEN, PLACE_KERNEL);
    group_add(group, b);
}

void ring_publish_buffers(struct ring *ring)
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

uint32_t ring_group_count(const struct ring *ring, enum ring_group group)
{
    return ring->groups[group].count;
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

static bool has_work(const struct ring *ring)
{
    return (__atomic_load_n(ring->sq_kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN) != 0;
}

/*
 * Waits awake for at most limit_ns; returns how long. Nothing is in the completion queue before the
 * kernel is entered, so what is looked at is the flag that says that it would pay. Whoever else
 * wants the core, the kernel's own threads among them, has it between two looks.
 */
static int64_t ring_look(struct ring *ring, int64_t limit_ns)
{
    int64_t began_ns = clock_monotonic_ns();
    int64_t now_ns, vain_ns;

    ring_enter(ring, 0, 0, IORING_ENTER_GETEVENTS);
    now_ns = vain_ns = clock_monotonic_ns();
    while (cq_ready(ring) == 0 && now_ns - began_ns < limit_ns) {
        if (has_work(ring)) {
            ring->stats.looked_ns += (uint64_t)(now_ns - vain_ns);
            ring_enter(ring, 0, 0, IORING_ENTER_GETEVENTS);
            now_ns = vain_ns = clock_monotonic_ns();
        } else {
            sched_yield();
            now_ns = clock_monotonic_ns();
        }
    }
    ring->stats.looked_ns += (uint64_t)(now_ns - vain_ns);
    return now_ns - began_ns;
}

/* Waits for a completion. Looking for it pays only if it comes soon; whether it will is judged by
 * the waits of late, so that a worker with little work sleeps. */
static void ring_wait(struct ring *ring, int64_t wait_ns)
{
    int64_t began_ns = ring->busy_poll_ns ? clock_monotonic_ns() : 0;
    int64_t limit_ns = ring->busy_poll_ns;

    if (wait_ns >= 0 && limit_ns > wait_ns) {
        limit_ns = wait_ns;
    }
    if (limit_ns > 0 && ring->gap_ns < ring->busy_poll_ns) {
        int64_t looked_ns = ring_look(ring, limit_ns);
        if (wait_ns >= 0) {
            wait_ns = wait_ns > looked_ns ? wait_ns - looked_ns : 0;
        }
    }
    if (cq_ready(ring) == 0) {
        ring_enter(ring, wait_ns != 0, wait_ns, IORING_ENTER_GETEVENTS);
    }
    if (ring->busy_poll_ns) {
        int64_t gap_ns = clock_monotonic_ns() - began_ns;
        int64_t most_ns = GAP_MAX * ring->busy_poll_ns;
        ring->gap_ns += ((gap_ns < most_ns ? gap_ns : most_ns) - ring->gap_ns) / GAP_WEIGHT;
    }
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
        ring_wait(ring, wait_ns);
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
