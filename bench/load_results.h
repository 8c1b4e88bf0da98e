/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_results: what a run of the load harness found out: a case is a mode with a profile, with the
 * figures of each round; and the circumstances, and why not to trust it. Written as text
 * (load_report.c), JSON (load_json.c) and HTML (load_html.c).
 */
#ifndef WEIR_BENCH_LOAD_RESULTS_H
#define WEIR_BENCH_LOAD_RESULTS_H

#include "bench/load_options.h"

/* Of the JSON; bench/README.md tells what is in it. A change that readers would notice gets another
 * number. */
#define LOAD_JSON_SCHEMA "weir-load/1"

enum {
    LOAD_CASES_MAX =
        LOAD_MODE_COUNT * LOAD_PROFILE_COUNT * LOAD_WORKER_COUNTS_MAX * LOAD_VARIANT_COUNT,
    LOAD_CASE_NAME_MAX = 64,
    LOAD_WARNINGS_MAX = 32,
    LOAD_WARNING_MAX = 640,
    LOAD_CURVE_POINTS = 11,
};

struct load_case {
    enum load_mode mode;
    enum load_profile profile;
    enum load_variant variant;
    unsigned workers;
    size_t rounds; /* that were made */
    double figures[LOAD_ROUNDS_MAX][FIGURE_COUNT];
    struct histogram latency; /* of all rounds */
    unsigned slot_count;
    double throughput_hz[LOAD_SLOTS_MAX]; /* tenths of a second, mean of the rounds */
    bool out_of_ports, out_of_descriptors;
    bool has_one_source; /* as in load_result */
    double dialled_hz;   /* new connections a second, warm-up and all, in the round that had most */
    char first_error[LOAD_ERROR_MAX];
};

struct load_machine {
    char cpu[96];
    char kernel[96];
    int core_count;
    long memory_mib;
};

struct load_results {
    const struct load_options *options;
    struct load_machine machine;
    int64_t wall_ns;                           /* when it began */
    char proxy[128];                           /* "weir 0.1.0", or its address */
    struct load_cores cores[LOAD_PLACE_COUNT]; /* none: not pinned */
    struct load_case *cases;
    size_t case_count;
    char warnings[LOAD_WARNINGS_MAX][LOAD_WARNING_MAX];
    size_t warning_count;
    double max_rate_hz; /* of --find-max; NAN: not searched for, 0: not even the least held */
};

struct load_spread load_case_spread(const struct load_case *one, enum load_figure figure);
/* The first with these. Null: it was not measured. */
const struct load_case *load_results_find(const struct load_results *results, enum load_mode mode,
                                          enum load_profile profile);
/* What its CPU time is related to: of a variant the plain one, of a plain one that with as many
 * workers as are named first. Null: it is that itself, or there is none. */
const struct load_case *load_results_reference(const struct load_results *results,
                                               const struct load_case *one);

/* What its throughput is related to: the same weir with the fewest workers that were named, the
 * first of them. Null: it is that itself, the rate was given, or they shared their cores. */
const struct load_case *load_results_base(const struct load_results *results,
                                          const struct load_case *one);

/* "MODE/PROFILE", with "+VARIANT" if it is not plain, and "@WORKERS" if it is not 1. */
void load_case_name(const struct load_case *one, char name[LOAD_CASE_NAME_MAX]);

void load_machine_read(struct load_machine *machine);

/* Why not to trust it, from the cases. */
void load_results_warn(struct load_results *results);
void load_results_add_warning(struct load_results *results, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Shares of requests that the latency curve shows, and the latency there, us. */
extern const double load_curve_shares[LOAD_CURVE_POINTS];

/* What logging, detection or more workers cost in this case, and the bound if there is one. False:
 * it has no ratio. */
bool load_case_cost(const struct load_case *one, char *text, size_t cap);
/* How much more a weir with more workers does in this case. False: it has no such figure. */
bool load_case_scaling(const struct load_results *results, const struct load_case *one, char *text,
                       size_t cap);
/* One sentence, with its full stop. */
void load_results_sentence(const struct load_results *results, char *text, size_t cap);
void load_results_print(const struct load_results *results, FILE *out);

/* Both false: no memory, or the file could not be written (errno). */
bool load_results_write_json(const struct load_results *results, FILE *out) MUST_CHECK;
bool load_results_write_html(const struct load_results *results, FILE *out) MUST_CHECK;
/* The part of a page. */
void load_results_write_warnings(const struct load_results *results, FILE *out);

#endif
