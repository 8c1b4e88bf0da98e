/* SPDX-License-Identifier: Apache-2.0 */
/*
 * micro: the command bench micro. Measures the parts that a connection and a request are made of,
 * each for itself, and what the library's own operations in them take.
 */
#ifndef WEIR_BENCH_MICRO_H
#define WEIR_BENCH_MICRO_H

#include "core/options.h"

/* Returns the status to exit with. */
int bench_micro_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;

#endif
