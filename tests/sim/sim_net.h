/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_net: time, chance and connections of the simulated kernel; private to tests/sim. A connection
 * has two ends, each a descriptor of weir's or a scripted peer, and a bounded stream each way.
 */
#ifndef WEIR_SIM_SIM_NET_H
#define WEIR_SIM_SIM_NET_H

#include "core/base/list.h"
#include "core/engine/ring.h"
#include "tests/sim/ring_sim.h"

struct sim_stream {
    uint8_t *data;
    size_t cap;
    size_t start;   /* of the first unread byte in data */
    size_t len;     /* bytes written and unread */
    size_t visible; /* of these, the ones that have arrived */
    bool fin_sent;
    bool fin_visible;
    int64_t arrival_ns; /* of what was sent last: order is kept */
};

struct sim_end {
    int fd; /* -1: a peer's, or closed */
    struct sim_peer *peer;
    struct sockaddr_storage name;
    bool open;       /* not closed by its owner */
    bool dead;       /* the connection ended with an error */
    int error;       /* positive errno that the next operation gets; then it is forgotten */
    int64_t told_ns; /* when the one that got it completes */
};

struct sim_conn {
    struct sim *sim;
    struct list_node link;
    struct sim_end end[2];            /* 0 dialled, 1 was dialled */
    struct sim_stream stream[2];      /* [i] is written by end i */
    struct sockaddr_storage original; /* where it was going; family 0: where it went */
};

typedef void (*sim_action_fn)(struct sim *sim, void *object, uint64_t argument);

struct sim_action {
    int64_t at_ns;
    uint64_t sequence;
    sim_action_fn run;
    void *object;
    uint64_t argument;
    bool owned; /* the object is freed when the simulation ends before the action runs */
};

enum { SIM_TRACE_LINES = 64, SIM_TRACE_VALUES = 5, SIM_KINDS = RING_WAKED + 1, SIM_ERRNOS = 134 };

/* One line of the trace; it becomes text only when somebody reads it. */
struct sim_trace_line {
    int64_t now_ns;
    const char *what; /* a literal that names the values */
    int64_t value[SIM_TRACE_VALUES];
};

struct sim {
    uint64_t seed;
    uint64_t random;
    const struct sim_profile *profile;
    int64_t now_ns;
    uint64_t sequence;
    struct sim_action *actions; /* a heap, the earliest first */
    size_t action_count;
    size_t action_cap;
    struct list_node conns;
    struct list_node peers;
    struct list_node servers;
    uint16_t next_port;
    uint32_t mark; /* that every socket must have which connects */
    uint64_t trace_hash;
    uint64_t trace_count;
    uint64_t faults;
    uint64_t completions[SIM_KINDS][SIM_ERRNOS]; /* delivered, by ring_kind and errno (0: good) */
    bool trace_print;
    struct sim_trace_line trace[SIM_TRACE_LINES];
    struct sim_kernel *kernel; /* descriptors and operations, ring_sim.c's */
};

_Noreturn void sim_fail(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sim_trace(struct sim *sim, const char *what, int64_t a, int64_t b, int64_t c, int64_t d,
               int64_t e);

uint64_t sim_below(struct sim *sim, uint64_t bound);    /* 0 to bound - 1 */
bool sim_chance(struct sim *sim, uint32_t thousandths); /* counts a fault when true */
int sim_pick(struct sim *sim, const int *errors, size_t count);
int64_t sim_latency(struct sim *sim);

void sim_schedule(struct sim *sim, int64_t at_ns, sim_action_fn run, void *object,
                  uint64_t argument);
/* The same; the action frees its object, and so does the end of the simulation. */
void sim_schedule_owned(struct sim *sim, int64_t at_ns, sim_action_fn run, void *object);
/* Runs the earliest action if it is due at `until_ns`, moving the clock to it. */
bool sim_step(struct sim *sim, int64_t until_ns);

struct sim_conn *sim_conn_new(struct sim *sim);
size_t sim_conn_room(const struct sim_conn *conn, int side);
size_t sim_conn_write(struct sim_conn *conn, int side, struct span bytes); /* as much as has room */
size_t sim_conn_read(struct sim_conn *conn, int side, void *memory, size_t len);
void sim_conn_fin(struct sim_conn *conn, int side);
void sim_conn_reset(struct sim_conn *conn, int side, int error); /* `side` ends it for the other */
void sim_conn_close(struct sim_conn *conn, int side, bool reset);

/* What the other end of a dial is: looks for servers. 0, a negative errno, or SIM_HANG. */
int sim_serve(struct sim *sim, struct sim_conn *conn, const struct sockaddr_storage *to);
bool sim_name_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
void sim_name_client(struct sim *sim, struct sockaddr_storage *name, int family);
void sim_peer_opened(struct sim_peer *peer);

/* ring_sim.c's: something changed on a descriptor; a client wants to connect. */
void sim_kernel_kick(struct sim *sim, int fd);
bool sim_kernel_backlog(struct sim *sim, struct sim_conn *conn, const struct sockaddr_storage *to);
void sim_kernel_new(struct sim *sim);
void sim_kernel_free(struct sim *sim);
extern _Thread_local struct sim *sim_current;

#endif
