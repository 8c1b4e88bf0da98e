/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_tail: the 99th percentile of latency in each piece of LOAD_TAIL_COUNT requests of a load
 * trial's window, in the order of their answers. A host that takes a core away a few times a second
 * makes the 99th percentile of the whole window, but not that of most pieces.
 */
#ifndef WEIR_BENCH_LOAD_TAIL_H
#define WEIR_BENCH_LOAD_TAIL_H

#include "bench/histogram.h"

enum {
    LOAD_TAIL_COUNT = 200,
    LOAD_TAIL_RANK = 3, /* the third highest of 200 is their 99th percentile */
};

/* Zeros are a piece without requests. */
struct load_tail {
    unsigned count;
    int64_t highest_ns[LOAD_TAIL_RANK]; /* so far, the highest first */
};

/* The piece that this request makes whole adds its percentile to `tails`. */
void load_tail_add(struct load_tail *tail, int64_t latency_ns, struct histogram *tails);

#endif
