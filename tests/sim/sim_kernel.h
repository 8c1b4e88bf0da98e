/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_kernel: what the simulated kernel is made of, descriptors, operations and provided buffers;
 * private to tests/sim. ring_sim.c has the interface, sim_operations.c what operations do.
 */
#ifndef WEIR_SIM_SIM_KERNEL_H
#define WEIR_SIM_SIM_KERNEL_H

#include "core/base/clock.h"
#include "core/engine/ring.h"
#include "tests/sim/sim_net.h"

#include <stdatomic.h>

enum {
    FD_FIRST = 1000, /* so that no real descriptor is meant by mistake */
    FD_COUNT = 4096,
    BACKLOG_MAX = 64,
    SHOTS_MAX = 32,     /* of a multishot receive in a row */
    SPIN_TURNS = 20000, /* in a millisecond of virtual time */
    PIPE_CAP_MIN = 512,
    PIPE_CAP_MAX = 65536,
};

#define WALL_START_NS    (INT64_C(1800000000) * NS_PER_S)
#define DRAIN_NS         (2 * NS_PER_S)
#define OVERSLEEP_MAX_NS (700 * NS_PER_MS)

struct pipe {
    uint8_t *data;
    size_t cap;
    size_t len;
    bool open[2]; /* the read end, the write end */
};

enum descriptor_kind { FD_FREE, FD_LISTENER, FD_SOCKET, FD_PIPE_READ, FD_PIPE_WRITE };

struct descriptor {
    enum descriptor_kind kind;
    struct sim_conn *conn; /* sockets, once connected */
    int side;
    int family;
    bool reset; /* SO_LINGER 0 */
    bool shut_read;
    bool shut_write;
    struct pipe *pipe;
    struct sockaddr_storage name; /* listeners, and the source that a socket was given */
    uint32_t mark;
    struct sim_conn *backlog[BACKLOG_MAX];
    size_t backlog_count;
    uint32_t in_flight, receives, sends; /* operations whose last event was not delivered */
};

struct operation {
    struct list_node link;
    uint64_t sequence;
    enum ring_kind kind;
    struct ring_owner owner;
    int fd;
    bool tried;
    bool deaf;             /* is not told what happens any more; can be cancelled */
    bool over;             /* the last completion is posted */
    int64_t completion_ns; /* of the last one that was posted */
    enum ring_group group;
    size_t cap;
    bool poll_first;
    uint8_t *memory;
    size_t len;
    struct iovec iov[RING_SEND_IOVECS_MAX];
    int iov_count;
    size_t total, sent;
    uint64_t checksum;
    short poll_mask;
    struct sockaddr_storage address;
};

struct completion {
    struct list_node link;
    struct operation *operation;
    struct ring_event event;
};

/* In the order of submission. */
struct submission {
    struct operation *operation; /* null: a cancel */
    bool by_fd;
    int fd;
    enum ring_kind kind;
    struct ring_owner owner;
    uint64_t sequence; /* older operations are meant */
};

enum place { PLACE_KERNEL, PLACE_TAKEN };

struct group {
    struct buf *bufs;
    uint8_t *memory;
    uint8_t *place;
    uint32_t count, size;
    uint16_t *free; /* published ids, first in first out */
    uint32_t free_head, free_len;
    uint16_t *returned; /* given back since the last turn */
    uint32_t returned_len;
    uint32_t held; /* with a taker */
};

struct ring {
    struct sim *sim;
    struct ring_options options;
    struct buf_cache *cache;
    struct group groups[RING_GROUP_COUNT];
    struct submission *submissions; /* options.sq_entries */
    uint32_t submission_count;
    struct list_node operations;
    struct list_node ready; /* completions that are visible */
    atomic_bool woken;
    int64_t spin_start_ns;
    uint32_t spin_turns;
    struct ring_stats stats;
};

struct sim_kernel {
    struct descriptor fds[FD_COUNT];
    int fd_top; /* none was ever used from here on */
    struct ring *ring;
};

/* The open descriptor; anything else ends the simulation. */
struct descriptor *sim_fd_find(struct sim *sim, int fd);
int sim_fd_of_conn(struct sim *sim, struct sim_conn *conn, int side);
struct buf *sim_buffer_take(struct group *group);
/* A completion that becomes visible a little later. */
void sim_post(struct ring *ring, struct operation *op, int res, bool more, struct buf *b);

/* sim_operations.c */
void sim_submit(struct ring *ring);
void sim_operation_cancel(struct ring *ring, struct operation *op);
int sim_take_error(struct sim_end *end); /* a positive errno, once; or 0 */
size_t sim_shortened(struct sim *sim, size_t len);
/* Whether a receive would return: bytes, an end, an error. */
bool sim_is_readable(const struct descriptor *d);
/* What a receive gets when there are no bytes left; call it when sim_is_readable(). */
int sim_read_end(const struct descriptor *d);
void sim_run_kick(struct sim *sim, void *object, uint64_t argument);

#endif
