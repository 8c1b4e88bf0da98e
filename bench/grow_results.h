/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grow_results: what `weir bench grow` found out, and the parts that find it out. Written as text,
 * JSON and HTML by bench/grow_report.c.
 */
#ifndef WEIR_BENCH_GROW_RESULTS_H
#define WEIR_BENCH_GROW_RESULTS_H

#include "bench/grow_curve.h"
#include "bench/load_processes.h"
#include "bench/load_results.h"

/* Of the JSON; bench/README.md tells what is in it. A change that readers would notice gets another
 * number. */
#define GROW_JSON_SCHEMA "weir-grow/1"

enum {
    GROW_RATE_HZ = 4000,  /* unless another one is asked for */
    GROW_NEW_SHARE = 16,  /* one of so many is the rate of new connections */
    GROW_TABLE_SHARE = 8, /* a look at a table takes one of so many parts of a trial's time */
};

struct grow_results {
    const struct load_options *options;
    unsigned rate_hz;
    struct load_results load; /* of the trials, a case for each point; the machine and warnings */
    struct grow_line lines[GROW_CURVE_COUNT];
    size_t line_count;
};

/* Null: it is not asked for. */
struct grow_line *grow_results_find(struct grow_results *results, enum grow_curve curve);

/* Each measures those of its curves that are asked for, in rounds. False: said why on err. */
bool grow_load_measure(struct grow_results *results, struct load_processes *processes,
                       FILE *err) MUST_CHECK;
bool grow_leaf_measure(struct grow_results *results, const char *folder, FILE *err) MUST_CHECK;
bool grow_detect_measure(struct grow_results *results, FILE *err) MUST_CHECK;

/* One sentence, with its full stop. */
void grow_results_sentence(const struct grow_results *results, char *text, size_t cap);
void grow_results_print(const struct grow_results *results, FILE *out);
/* Both false: no memory, or the file could not be written (errno). */
bool grow_results_write_json(const struct grow_results *results, FILE *out) MUST_CHECK;
bool grow_results_write_html(const struct grow_results *results, FILE *out) MUST_CHECK;

#endif
