/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a ring begins and ends: queues, buffers, what the kernel is told to refuse, what it can do,
 * and what to tell a person when it cannot.
 */
#include "core/engine/ring_private.h"

#include "core/base/assert.h"
#include "core/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum {
    ARENA_BYTES_A_SQE = 96, /* most operations need nothing, a send of two iovecs 88 bytes */
    ARENA_BYTES_MIN = 4096,
};

#define DRAIN_NS (2 * NS_PER_S) /* how long ring_free() waits for what it cancelled */
#define RETRY_NS (2 * NS_PER_S) /* locked memory of a process that just ended is freed late */

const struct ring_options ring_options_default = {
    .sq_entries = 1024,
    .cq_entries = 8192,
    .group = {{.count = 128, .size = 4096}, {.count = 32, .size = 16384}},
    .without_recv_cap = false,
};

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
        if (options->busy_poll_ns) {
            params.flags |= IORING_SETUP_TASKRUN_FLAG; /* what has come is told in sq_kflags */
        }
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
        ring_return(ring, b);
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
    ring->busy_poll_ns = options->busy_poll_ns;
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
    ring_cancel_all(ring);
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
