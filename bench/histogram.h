/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram: how often each duration was seen, in fixed memory. Buckets are log-linear: 128 of
 * equal width for each doubling, so a value is told apart from one that is 0.8 % larger, whatever
 * its size. Plain data without pointers: may be copied, zeroed, and lie in memory that processes
 * share.
 */
#ifndef WEIR_BENCH_HISTOGRAM_H
#define WEIR_BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 7,
    HISTOGRAM_VALUE_BITS = 37, /* 137 s in nanoseconds; longer ones count as that */
    HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS,
};

struct histogram {
    uint64_t count;
    uint64_t sum; /* of the values as they were */
    int64_t max;
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

/* A negative value counts as 0. */
void histogram_add(struct histogram *histogram, int64_t value);

void histogram_merge(struct histogram *into, const struct histogram *from);

/*
 * The value that a share (0 to 1) of all values does not exceed: the largest one of its bucket, and
 * never more than the largest value that was added. 0 if there are none.
 */
int64_t histogram_quantile(const struct histogram *histogram, double share);

double histogram_mean(const struct histogram *histogram); /* 0 if there are none */

#endif
