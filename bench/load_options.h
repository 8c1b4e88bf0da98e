/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_options: the command line of `weir bench run`, `origin`, `compare` and `grow`, behind these
 * words.
 * core/options.c hands it over whole; help and complaints are as there.
 */
#ifndef WEIR_BENCH_LOAD_OPTIONS_H
#define WEIR_BENCH_LOAD_OPTIONS_H

#include "bench/grow_curve.h"
#include "bench/load_figures.h"
#include "bench/load_origin.h"

#include <stdio.h>

enum {
    LOAD_REQUIRES_MAX = 32,
    LOAD_ROUNDS_MAX = 50,
    LOAD_WINDOW_MS_MIN = 100,
    LOAD_WINDOW_MS_MAX = 600 * 1000,
    LOAD_OPERANDS_MAX = 2,
    LOAD_WORKER_COUNTS_MAX = 8,
};

struct load_options {
    bool has_mode[LOAD_MODE_COUNT];
    bool has_profile[LOAD_PROFILE_COUNT];
    bool has_variant[LOAD_VARIANT_COUNT];
    unsigned workers[LOAD_WORKER_COUNTS_MAX]; /* of weir; each is a case of its own */
    size_t workers_len;
    unsigned connections, idle_connections;
    unsigned clients, origins; /* processes; the clients share the connections and the rate */
    unsigned rate_hz;          /* 0: closed loop */
    bool is_poisson;
    enum load_closer closer;
    unsigned window_ms, warm_up_ms, rounds;
    unsigned small_bytes, bulk_kib;
    struct load_ports ports;
    const char *ca_dir; /* of the origin; null: one that goes again */
    const char *proxy;  /* null: weir, started by the harness */
    unsigned proxy_pid;
    const char *proxy_ca;
    const char *host;
    bool is_fixed;    /* that proxy has one destination, and is asked as the origin is */
    bool is_alone;    /* no direct way beside it */
    bool is_together; /* all weirs at the same time, on the same cores; then is_alone, too */
    const char *cores;
    bool is_steady;           /* all trials of a round at like latencies between the cores */
    bool is_awake;            /* client and origin never sleep */
    unsigned core_latency_ns; /* that this is about; 0: as in the round's first trial */
    const char *commit;
    const char *json_file, *html_file;
    struct load_require requires[LOAD_REQUIRES_MAX];
    size_t require_count;
    struct load_require find_max;
    bool has_find_max;
    bool has_curve[GROW_CURVE_COUNT];
    unsigned points[GROW_POINTS_MAX]; /* ascending; of all curves */
    size_t point_count;               /* 0: those of each */
    const char *operands[LOAD_OPERANDS_MAX];
    size_t operand_count;
};

/* The name of the origin that a request of this mode has. */
const char *load_options_host(const struct load_options *options, enum load_mode mode);

/* Weirs at the same time: together each variant with each number of workers, else one. */
unsigned load_options_sides(const struct load_options *options);

/* Is there a transparent mode among them? */
bool load_options_need_network(const struct load_options *options);

enum load_verb { LOAD_VERB_RUN, LOAD_VERB_ORIGIN, LOAD_VERB_COMPARE, LOAD_VERB_GROW };

/* -1 to go on, or the status to exit with, 0 behind help. `arguments` stay. */
int load_options_parse(enum load_verb verb, char *const *arguments, size_t count,
                       struct load_options *options, FILE *out, FILE *err) MUST_CHECK;

#endif
