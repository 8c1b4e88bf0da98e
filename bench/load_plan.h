/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_plan: what one trial of the load harness does, what it counts, and the words for both. A
 * trial is one mode with one profile for a few seconds. Its result lies in memory that the harness
 * shares with the client, which is a process of its own.
 */
#ifndef WEIR_BENCH_LOAD_PLAN_H
#define WEIR_BENCH_LOAD_PLAN_H

#include "bench/histogram.h"
#include "bench/load_cores.h"
#include "core/base/span.h"
#include "core/engine/address.h"

#include <stdatomic.h>
#include <sys/types.h>

/* How a request travels. */
enum load_mode {
    LOAD_DIRECT,      /* HTTP to the origin itself: what the others are compared with */
    LOAD_DIRECT_TLS,  /* HTTPS to the origin itself */
    LOAD_FORWARD,     /* GET http://... to the proxy */
    LOAD_CONNECT,     /* CONNECT, then HTTP in the tunnel */
    LOAD_CONNECT_TLS, /* CONNECT, then HTTPS, which the proxy does not open */
    LOAD_INTERCEPT,   /* the same, and the proxy opens it */
    LOAD_TRANSPARENT, /* HTTP to the origin's address, and the kernel redirects it to the proxy */
    LOAD_TRANSPARENT_TLS, /* the same with HTTPS, and the proxy opens it */
    LOAD_MODE_COUNT,
};

/* What is asked for. */
enum load_profile {
    LOAD_SMALL,   /* small bodies on kept connections */
    LOAD_NEW,     /* a new connection for each request */
    LOAD_RESUMED, /* the same, resuming TLS */
    LOAD_HOSTS,   /* the same as new, to another host each time */
    LOAD_DOWN,    /* large bodies from the origin */
    LOAD_UP,      /* large bodies to the origin */
    LOAD_IDLE,    /* connections that are held and do nothing */
    LOAD_SLOW,    /* small requests beside clients that read slowly */
    LOAD_MIX,     /* small, medium, uploads, and every tenth on a new connection */
    LOAD_PROFILE_COUNT,
};

/* Who ends a connection that has served its one request. The port of whoever closes first is in
 * TIME-WAIT. */
enum load_closer {
    LOAD_CLIENT_CLOSES, /* without a word, as soon as the answer is whole */
    LOAD_ORIGIN_CLOSES, /* the request says Connection: close, and the client awaits the end */
    LOAD_CLOSER_COUNT,
};

/* What a weir is, beside its number of workers: plain is with detection and without a log. */
enum load_variant {
    LOAD_PLAIN,
    LOAD_LOGS,  /* it writes an access log, into a file */
    LOAD_BLIND, /* it judges no ClientHello */
    LOAD_VARIANT_COUNT,
};

struct load_mode_row {
    const char *name;
    bool has_proxy, has_tls;
    enum load_mode baseline;
    bool says_connect;   /* the client, before anything else */
    bool is_opened;      /* TLS ends at the proxy */
    bool is_transparent; /* the client connects to the origin's address, from one of its own */
};
struct load_profile_row {
    const char *name;
    const char *what;
};
extern const struct load_mode_row load_modes[LOAD_MODE_COUNT];
extern const char *const load_closers[LOAD_CLOSER_COUNT];
extern const char *const load_variants[LOAD_VARIANT_COUNT];
extern const struct load_profile_row load_profiles[LOAD_PROFILE_COUNT];

/* Does this mode have this profile? Resuming needs TLS, idle connections a proxy. */
bool load_is_case(enum load_mode mode, enum load_profile profile);

enum {
    LOAD_CONNECTIONS_MAX = 20000,
    LOAD_WORKERS_MAX = 64,
    LOAD_CLIENTS_MAX = 64,
    LOAD_ORIGINS_MAX = 64,
    LOAD_SIDES_MAX = 8, /* trials that share their time and their cores */
    LOAD_HOST_MAX = 128,
    LOAD_SLOTS_MAX = 600, /* tenths of a second of throughput that are kept */
    LOAD_ERROR_MAX = 200,
    LOAD_TARGET_MAX = 256,
    LOAD_SLOW_BYTES = 256 * 1024, /* what a slow client asks for */
    LOAD_SLOW_PIECE = 16 * 1024,  /* and reads at once, */
    LOAD_SLOW_MS = 50,            /* and then not for so long */
};

#define LOAD_SLOT_NS INT64_C(100000000)

struct load_origin_state;

struct load_plan {
    enum load_mode mode;
    enum load_profile profile;
    enum load_closer closer;
    enum load_variant variant; /* of weir */
    unsigned workers;          /* of weir */
    unsigned clients;          /* processes that share the connections and the rate */
    unsigned client;           /* which of them this is for, from 0 */
    unsigned sides;            /* trials at the same time, each with so many clients; at least 1 */
    unsigned side;             /* which of them this is, from 0 */
    unsigned origins;          /* processes */
    unsigned connections;      /* at the same time; idle: that are held; at least one a client */
    unsigned first_connection; /* of this client, in the numbers of all */
    double rate_hz;            /* open loop; 0: closed */
    int64_t first_ns;          /* its first intended time, behind the start */
    bool is_poisson;
    int64_t ramp_ns; /* over which connections begin, part of the warm-up */
    int64_t warmup_ns;
    int64_t window_ns;
    uint64_t body_bytes; /* of a response, or of an upload */
    bool has_connect;    /* a tunnel is asked for before anything else */
    bool has_whole_url;  /* a request names its origin: GET http://... */
    uint64_t seed;
    unsigned trial;    /* a number of its own, so that hosts are new ones */
    bool opens_first;  /* all connections are there before the warm-up */
    unsigned host_cap; /* hosts: of so many, at random; 0: each is another one */
    bool fills;        /* instead: each of these hosts once, by one client, and then the end */

    struct address proxy;
    struct address source;     /* of a transparent client */
    struct address origin;     /* clear */
    struct address origin_tls; /* TLS */
    char host[LOAD_HOST_MAX];  /* what the request names */
    const char *trust_file;    /* the authority of whoever ends the client's TLS */
    pid_t proxy_pid;           /* 0: not known */
    pid_t origin_pids[LOAD_ORIGINS_MAX];
    bool is_awake;                                 /* clients and origins never sleep */
    const struct load_origin_state *origin_states; /* LOAD_ORIGINS_MAX */
    bool reads_others; /* this client reads what proxy, origins and cores use: one of them does */
    int client_cores[LOAD_CLIENTS_MAX], origin_cores[LOAD_ORIGINS_MAX]; /* -1: any */
    struct load_cores cores; /* that the trial has to itself */
};

/* What of a plan the client with this number does. All of them together do the whole of it: their
 * regular times are in turn, and no two make the same new host. */
struct load_plan load_plan_part(const struct load_plan *plan, unsigned client);

/* The clients of all sides, and the first of this one's among them. */
unsigned load_plan_all_clients(const struct load_plan *plan);
unsigned load_plan_first_client(const struct load_plan *plan);

/* Where the clients of a trial, and of those at the same time, wait for each other, so that the
 * times behind it are the same for all. */
enum load_meet {
    LOAD_MEET_START,  /* ready to ask; idle: the first connections have gone */
    LOAD_MEET_WINDOW, /* what was used before is read */
    LOAD_MEET_OPENED, /* idle: all connections are there */
    LOAD_MEET_END,    /* what was used since is read, and connections may go */
    LOAD_MEET_COUNT,
};

/* In memory that the clients share; zeros before a trial. */
struct load_meeting {
    _Atomic unsigned arrived;
    _Atomic int64_t time_ns; /* when the last one came; 0: not yet */
};

enum load_phase { LOAD_STARTING, LOAD_WARMING, LOAD_MEASURING, LOAD_ENDED };

struct load_result {
    _Atomic int phase; /* enum load_phase */
    _Atomic uint64_t live_units;

    /* Of the window alone. */
    uint64_t units; /* requests that were answered in full and as expected */
    uint64_t connections;
    uint64_t resumed; /* of them */
    uint64_t down_bytes, up_bytes;
    uint64_t errors;     /* requests that were not */
    uint64_t mismatches; /* of these: a body that was not the one that was sent */
    uint64_t dropped;    /* open loop: intended, but too many were waiting */
    int64_t window_ns;
    int64_t client_cpu_ns[LOAD_CLIENTS_MAX];    /* of all sides */
    int64_t client_looked_ns[LOAD_CLIENTS_MAX]; /* where it never sleeps: it had nothing to do */
    int64_t beside_cpu_ns;                      /* of the proxies of the other sides */

    /* The same, of the client that reads it; else zeros. */
    int64_t proxy_cpu_ns;                    /* growth; -1: not known */
    int64_t proxy_waited_ns;                 /* runnable, while somebody else ran; -1: not known */
    int64_t origin_cpu_ns[LOAD_ORIGINS_MAX]; /* -1: not known */
    int64_t origin_looked_ns[LOAD_ORIGINS_MAX];
    int64_t cores_cpu_ns;    /* of the trial's cores, whoever used them; -1: not known */
    int64_t cores_stolen_ns; /* what the host took of them away; -1: not known */
    int64_t proxy_idle_kib;  /* growth of memory by the idle connections */
    int64_t proxy_kib;       /* memory at the end of the window; 0: not known */

    uint64_t idle_count;
    bool out_of_ports, out_of_descriptors;
    bool has_one_source; /* all connections are from one address */
    uint64_t dialled;    /* of the whole trial, warm-up and all */
    char first_error[LOAD_ERROR_MAX];

    struct histogram latency;     /* from the intended time, ns */
    struct histogram uncorrected; /* from when it was sent */
    struct histogram late;        /* open loop: from the intended time until it was sent, where a
                                     connection was free */
    struct histogram tails;       /* of each client's pieces: load_tail.h */
    unsigned slot_count;
    uint32_t slots[LOAD_SLOTS_MAX]; /* units in each tenth of a second */
};

/* What the clients of a trial found out, one by one into zeros, is the trial's result. */
void load_result_merge(struct load_result *into, const struct load_result *from);
/* Adds what a client of another side has used, and its proxy, of the cores that they share. */
void load_result_add_side(struct load_result *into, const struct load_result *beside);

/* A body is a piece of an endless pattern, whose period no block size divides, so that what is
 * lost, doubled or moved is noticed. `len` at most LOAD_PATTERN_LEN_MAX. */
enum { LOAD_PATTERN_LEN_MAX = 64 * 1024 };
void load_pattern_init(void); /* once, before the others; makes no thread */
struct span load_pattern(uint64_t offset, size_t len);
bool load_pattern_matches(uint64_t offset, struct span bytes);

#endif
