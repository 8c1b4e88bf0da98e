/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_figures: what a trial comes to, as a row of numbers that have names and units. Report, JSON,
 * HTML, thresholds and the comparison of two runs all go by the table of rows. A figure that does
 * not exist in a case is NAN.
 */
#ifndef WEIR_BENCH_LOAD_FIGURES_H
#define WEIR_BENCH_LOAD_FIGURES_H

#include "bench/load_plan.h"
#include "core/base/assert.h"

enum load_figure {
    FIGURE_RATE_HZ, /* requests that were answered */
    FIGURE_MIB_S,   /* of bodies, both ways */
    FIGURE_P50_US,  /* latency, from the intended time */
    FIGURE_P90_US,
    FIGURE_P99_US,
    FIGURE_P999_US,
    FIGURE_MAX_US,
    FIGURE_MEAN_US,
    FIGURE_SENT_P50_US, /* latency from when it was sent: not corrected */
    FIGURE_SENT_P99_US,
    FIGURE_SENT_P999_US,
    FIGURE_P99_OF_200_US, /* load_tail.h; of the median piece */
    FIGURE_ADDED_P50_US,  /* more than the baseline's of the same round */
    FIGURE_ADDED_P99_US,
    FIGURE_ADDED_P999_US,
    FIGURE_ADDED_P99_OF_200_US,
    FIGURE_CPU_US,      /* of the proxy, a request */
    FIGURE_CONN_CPU_US, /* the same, a connection; where each request has one of its own */
    FIGURE_GIB_CPU_MS,  /* the same, a GiB of bodies */
    FIGURE_CPU_RATIO,   /* CPU time a request to that of another weir in the same round */
    FIGURE_SCALING, /* requests a worker to those of fewer workers in the same round; 1: linear */
    FIGURE_IDLE_BYTES,  /* memory of the proxy, an idle connection */
    FIGURE_PROXY_KIB,   /* memory of the proxy at the end */
    FIGURE_PROXY_BUSY,  /* shares of the window, 1: all the time */
    FIGURE_ORIGIN_BUSY, /* the busiest of them */
    FIGURE_CLIENT_BUSY,
    FIGURE_LOAD_BUSY,       /* the busiest of their cores: all of them that are on it */
    FIGURE_OTHERS_BUSY,     /* of one core; what was not ours on all the trial's cores */
    FIGURE_STOLEN,          /* of one core; what the host took away of all the trial's cores */
    FIGURE_TAKEN,           /* of a core; what others had of it while we or the proxy wanted it */
    FIGURE_CORE_LATENCY_NS, /* from the proxy's core to the client's, before and behind the trial */
    FIGURE_RESUMED,         /* share of connections */
    FIGURE_LATE_P99_US,
    FIGURE_ERRORS,
    FIGURE_MISMATCHES,
    FIGURE_DROPPED,
    FIGURE_COUNT,
};

struct load_figure_row {
    const char *name; /* in JSON, and in thresholds, where its unit may be left out */
    const char *unit; /* "us", "/s", ...; "" */
    int better;       /* 1: more is, -1: less is, 0: neither */
};
extern const struct load_figure_row load_figure_rows[FIGURE_COUNT];

/* Of one core, two of the kernel's ticks a second: with more, tails of latencies are the host's. */
#define LOAD_STOLEN_MAX 0.02

/* A NAN for each. */
void load_figures_clear(double figures[FIGURE_COUNT]);
/* The added ones stay NAN. */
void load_figures_take(const struct load_plan *plan, const struct load_result *result,
                       double figures[FIGURE_COUNT]);
/* Fills the added ones in. */
void load_figures_add(double figures[FIGURE_COUNT], const double baseline[FIGURE_COUNT]);
/* Fills the ratio in. */
void load_figures_relate(double figures[FIGURE_COUNT], const double reference[FIGURE_COUNT]);
/* Fills the scaling in: against the base, of a weir with a share of the workers. */
void load_figures_scale(double figures[FIGURE_COUNT], const double base[FIGURE_COUNT],
                        double more_workers);

struct load_spread {
    double median, min, max; /* NAN: no round has it */
};
struct load_spread load_spread_of(const double *values, size_t count);

/*
 * A threshold: [MODE/][PROFILE/]FIGURE<NUMBER[UNIT], with <, <=, > or >=; as p99<5ms,
 * intercept/small/cpu_us<=60, errors<=0, rate>10000. Units of time are ns, us, ms and s.
 */
struct load_require {
    const char *text; /* borrowed */
    int mode;         /* -1: each that has a proxy */
    int profile;      /* -1: each */
    enum load_figure figure;
    bool is_above; /* the figure is to be above the bound */
    bool may_be_equal;
    double bound; /* in the figure's unit */
};

/* False: a sentence that says where it is wrong and what was expected. */
bool load_require_parse(struct load_require *require, const char *text, char *error,
                        size_t error_cap) MUST_CHECK;
bool load_require_concerns(const struct load_require *require, enum load_mode mode,
                           enum load_profile profile);
bool load_require_holds(const struct load_require *require, double value); /* NAN: false */

#endif
