/* SPDX-License-Identifier: Apache-2.0 */
/* grow: `weir bench grow`: how costs grow with what there is. */
#ifndef WEIR_BENCH_GROW_H
#define WEIR_BENCH_GROW_H

#include "bench/load_options.h"

/* Returns the status to exit with; 99: a curve bends upward. */
int grow_run(const struct load_options *options, FILE *out, FILE *err);

#endif
