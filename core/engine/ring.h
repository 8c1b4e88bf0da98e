/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: the only door between weir and the kernel's sockets. One header, two link targets:
 * core/engine/ring.c drives io_uring, tests/sim/ring_sim.c is a seeded kernel with faults. No other
 * file of the engine or of a session makes a system call on a socket.
 *
 * Model: an operation is started with an owner (pool slot and generation) and a kind; each of its
 * completions comes back as one ring_event from ring_turn(). An operation is over with the event
 * whose `more` is false, whatever its result: that, and nothing else, is what in-flight counts are
 * kept by. Starting an operation never fails; a full submission queue is submitted on the way.
 *
 * Thread: everything but ring_wake() belongs to the thread that called ring_new(). Times are
 * nanoseconds of the ring's own clock, ring_now().
 *
 * Memory: iovecs and socket addresses are copied when an operation is started. Payload of a send
 * must stay until the send's event. Bytes received arrive in a struct buf that now belongs to
 * whoever took the event: give it back with buf_put() on the cache that ring_new() was given.
 */
#ifndef WEIR_ENGINE_RING_H
#define WEIR_ENGINE_RING_H

#include "core/base/buf.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum ring_kind {
    RING_ACCEPT = 1, /* res: the new descriptor, non-blocking and close-on-exec, or -errno */
    RING_RECV,       /* res: bytes in buf, 0 at the peer's FIN, or -errno (-ENOBUFS: no buffer) */
    RING_RECV_INTO,  /* as RING_RECV, into the caller's memory; no buf */
    RING_SEND, /* res: bytes sent, fewer than asked when there was no room, or -errno (-EAGAIN) */
    RING_POLL_IN,     /* res: poll(2) mask, or -errno */
    RING_POLL_OUT,    /* the same */
    RING_POLL_BROKEN, /* the same, for POLLERR and POLLHUP alone: the connection is over */
    RING_CONNECT,     /* res: 0 or -errno */
    RING_RESOLVE,     /* a poll of the resolver's */
    RING_WAKED,       /* ring_wake() was called, once or more often since the last one */
};

/* Whom an event is for; copied into the kernel's user_data (kind 8 bits, generation 32, slot 24).
 */
struct ring_owner {
    uint32_t slot; /* below 2^24 */
    uint32_t generation;
};

struct ring_event {
    enum ring_kind kind;
    bool more; /* further events of the same operation follow */
    int32_t res;
    struct ring_owner owner;
    struct buf *buf; /* RING_RECV with res > 0 (and only then): the bytes; the taker owns it */
};

enum ring_group {
    RING_GROUP_SMALL, /* handshakes, heads, interactive data: 4 KiB each by default */
    RING_GROUP_BULK,  /* established streams: 16 KiB each by default, one TLS record */
    RING_GROUP_COUNT,
};

enum {
    RING_SEND_IOVECS_MAX = 16,
    RING_SEND_BYTES_MAX = 256 * 1024, /* a larger send starves the other streams */
    RING_EVENTS_MAX = 256,            /* events of one turn */
};

/* As busy_poll_ns: never sleeps, however little there is to do. */
#define RING_BUSY_POLL_ALWAYS (INT64_MAX / 4)

struct ring_options {
    uint32_t sq_entries; /* power of two; default 1024 */
    uint32_t cq_entries; /* power of two; default 8192 */
    struct {
        uint32_t count; /* buffers, a power of two */
        uint32_t size;  /* bytes each, a power of two */
    } group[RING_GROUP_COUNT];
    int64_t busy_poll_ns;  /* ring_turn() looks that long before it sleeps; default 0 */
    bool without_recv_cap; /* tests: behave as on a kernel before 6.17 */
};

extern const struct ring_options ring_options_default;

struct ring_stats {
    uint64_t enters;        /* io_uring_enter calls */
    uint64_t sleeps;        /* of these: those that could wait */
    uint64_t looked_ns;     /* of busy polling: looks in vain */
    uint64_t sqes;          /* operations submitted */
    uint64_t cqes;          /* completions seen */
    uint64_t sq_full;       /* submissions forced by a full queue */
    uint64_t cq_overflows;  /* turns that found the overflow flag set */
    uint64_t buffers_empty; /* receives that ended with ENOBUFS */
    uint64_t recv_bytes;
    uint64_t send_bytes;
    uint64_t fd_cancels; /* ring_cancel_fd() calls */
};

struct ring;

/*
 * Makes the calling thread's ring, or returns -errno with a full sentence in `error` that says what
 * is missing and how to mend it (the caller prints it and exits with status 71). Ring bufs go back
 * through `cache`, whose return hook this sets.
 */
int ring_new(struct ring **made, const struct ring_options *options, struct buf_cache *cache,
             char *error, size_t error_cap) MUST_CHECK;

/*
 * Start-up self-test: does, on loopback sockets of its own, everything that weir relies on, and
 * says which optional features work. Returns 0 with a sentence for the log in `error` (the kernel
 * and the features), or -errno with a sentence as ring_new() does. Any thread; makes and drops a
 * ring of its own.
 */
int ring_self_test(char *error, size_t error_cap) MUST_CHECK;

/* Cancels what is left, reaps it (2 s at most), unmaps. False: something stayed in flight, and the
 * ring's memory was left to the kernel on purpose. */
bool ring_free(struct ring *ring);

/* Multishot receives end by themselves after `cap` bytes (kernel 6.17); else the caller cancels. */
bool ring_has_recv_cap(const struct ring *ring);
const struct ring_stats *ring_stats(const struct ring *ring);

/* How many buffers of a group are free, and how many there are in all. */
uint32_t ring_group_free(const struct ring *ring, enum ring_group group);
uint32_t ring_group_count(const struct ring *ring, enum ring_group group);

/*
 * One turn: submits what was started, waits up to wait_ns (0: not at all, negative: no limit) for
 * at least one completion, and stores up to `cap` events. Returns their number, 0 on time-out or
 * interruption. Buffers given back since the last turn are published first. With busy_poll_ns the
 * thread stays awake for that part of the wait, as long as events have come that fast of late.
 */
int ring_turn(struct ring *ring, int64_t wait_ns, struct ring_event *events, int cap);

int64_t ring_now(const struct ring *ring);  /* monotonic, read once a turn */
int64_t ring_wall(const struct ring *ring); /* since 1970-01-01 UTC, read once a turn */
void ring_wake(struct ring *ring);          /* any thread: makes a turn end with RING_WAKED */

/* Operations. */
void ring_accept(struct ring *ring, int fd, struct ring_owner owner); /* multishot */
/* Multishot; ends after `cap` bytes where ring_has_recv_cap(). poll_first: when the socket is
 * probably idle, or after -ENOBUFS: then no buffer is asked for before there is data. */
void ring_recv(struct ring *ring, int fd, struct ring_owner owner, enum ring_group group,
               size_t cap, bool poll_first);
void ring_recv_into(struct ring *ring, int fd, struct ring_owner owner, void *memory, size_t len);
/* Sends what there is room for, and does not wait: -EAGAIN when there is none. At most one in
 * flight a socket. */
void ring_send(struct ring *ring, int fd, struct ring_owner owner, const struct iovec *iov,
               int iov_count);
/* The same for the last bytes: they may wait for ring_shutdown(), which has to follow, so that the
 * FIN leaves in one segment with them. */
void ring_send_last(struct ring *ring, int fd, struct ring_owner owner, const struct iovec *iov,
                    int iov_count);
void ring_poll(struct ring *ring, int fd, struct ring_owner owner, enum ring_kind kind,
               short poll_mask); /* one shot */
void ring_connect(struct ring *ring, int fd, struct ring_owner owner,
                  const struct sockaddr *address, socklen_t address_len);
/* Asks for an early end of the operation(s) of that owner and kind. Their own events still come,
 * before or after; the request itself has no event. */
void ring_cancel(struct ring *ring, enum ring_kind kind, struct ring_owner owner);
/* The same for everything on a descriptor. The kernel goes through all operations of the ring. */
void ring_cancel_fd(struct ring *ring, int fd);

/* Plain system calls on sockets, cheap and inline: their io_uring twins would run in kernel worker
 * threads. All return 0 (or what is said) or -errno. */
/* accept(2) from the backlog, for the last ones before a listener closes: a descriptor like those
 * of RING_ACCEPT, or -errno. */
int ring_accept_now(struct ring *ring, int fd);
/* TCP, non-blocking, close-on-exec, no delay. The segment that ends its handshake goes with the
 * first bytes, after 200 ms at the latest, or at ring_set_quick_acks(). */
int ring_socket(struct ring *ring, int family);
/* What a socket from ring_socket() can be given before it connects. A mark (SO_MARK) needs
 * CAP_NET_ADMIN, and so does a source that is not this machine's own, which the kernel then takes
 * as it is (IP_TRANSPARENT). The source's port may be 0: one is chosen when it connects. */
int ring_set_mark(struct ring *ring, int fd, uint32_t mark);
int ring_set_source(struct ring *ring, int fd, const struct sockaddr *source, socklen_t source_len);
int ring_shutdown(struct ring *ring, int fd, int how);
void ring_close(struct ring *ring, int fd);      /* only when nothing is in flight on fd */
void ring_set_reset(struct ring *ring, int fd);  /* SO_LINGER 0: the close sends RST */
int ring_set_nodelay(struct ring *ring, int fd); /* of a listener: all that it accepts inherit it */
/* Whether what arrives is acknowledged at once, or together with an answer (in 40 ms at the
 * latest). Of a listener: all that it accepts inherit it. */
int ring_set_quick_acks(struct ring *ring, int fd, bool quick);
int ring_peer_name(struct ring *ring, int fd, struct sockaddr_storage *name);
int ring_local_name(struct ring *ring, int fd, struct sockaddr_storage *name);
/* Where an accepted connection was going before netfilter's REDIRECT or DNAT; `family` is that of
 * the client's address, AF_INET6 for v4-mapped ones too. -ENOENT when it was coming here anyhow.
 * (After TPROXY it is the local name.) */
int ring_original_name(struct ring *ring, int fd, int family, struct sockaddr_storage *name);
/* Whether an IP address is one of this machine's own; the port does not matter. */
bool ring_is_own_ip(struct ring *ring, const struct sockaddr *address, socklen_t address_len);
/* splice(2) pipes for bulk tunnels. ring_pipe() gives the read end in [0]; -EMFILE and -EPERM mean:
 * go on without. splice returns bytes moved, 0 at end of input, -EAGAIN. */
int ring_pipe(struct ring *ring, int pipe_fds[2], size_t *capacity);
ssize_t ring_splice(struct ring *ring, int from_fd, int to_fd, size_t len);

#endif
