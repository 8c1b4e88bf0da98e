/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_tail: the 99th percentile of latency in each LOAD_TAIL_NS of a load trial's window. A host
 * that takes a core away a few times a second makes the 99th percentile of the whole window, but
 * not that of most of these.
 */
#ifndef WEIR_BENCH_LOAD_TAIL_H
#define WEIR_BENCH_LOAD_TAIL_H

#include "bench/load_plan.h"

enum { LOAD_TAIL_COUNT_MIN = 200 }; /* requests: of fewer it is no more than the highest */

struct load_tail {
    int64_t index; /* which of them `latency` is of */
    struct histogram latency;
};

/* A request that was answered so long after the beginning of the window; never less than the one
 * before. */
void load_tail_add(struct load_tail *tail, int64_t since_ns, int64_t latency_ns,
                   struct load_result *result);
/* The window is over. */
void load_tail_end(struct load_tail *tail, struct load_result *result);

#endif
