/* SPDX-License-Identifier: Apache-2.0 */
/* load_run: `weir bench run`, and the beginning of `origin`, `compare` and `grow`. */
#ifndef WEIR_BENCH_LOAD_RUN_H
#define WEIR_BENCH_LOAD_RUN_H

#include "bench/load_processes.h"
#include "bench/load_results.h"

/* Returns the status to exit with. `arguments`: those behind the two words of the command. */
int load_command_run(enum load_verb verb, char *const *arguments, size_t count, FILE *out,
                     FILE *err);

/* bench/load_compare.c: a verdict on two files of results. */
int load_compare_run(const char *before, const char *after, FILE *out, FILE *err);

/* What the options say of a trial of that case; `trial` is a number of its own. A proxy is known
 * once it was started. */
struct load_plan load_run_plan(const struct load_processes *processes, const struct load_case *one,
                               double rate_hz, unsigned trial);

#endif
