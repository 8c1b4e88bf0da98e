/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/histogram.h"

#include "core/base/assert.h"

#include <stdbool.h>

enum { SUB_COUNT = 1 << HISTOGRAM_SUB_BITS };

static const uint64_t value_max = (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1;

/*
 * The first 128 values have a bucket each. Above, the position of the highest bit chooses a row of
 * 128 buckets, and the seven bits behind it one of them.
 */
static unsigned bucket_of(uint64_t value)
{
    unsigned shift;

    if (value < SUB_COUNT) {
        return (unsigned)value;
    }
    shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return ((shift + 1) << HISTOGRAM_SUB_BITS) + (unsigned)(value >> shift) - SUB_COUNT;
}

static int64_t bucket_top(unsigned bucket)
{
    unsigned row = bucket >> HISTOGRAM_SUB_BITS;
    uint64_t sub = bucket & (SUB_COUNT - 1);

    if (row == 0) {
        return (int64_t)sub;
    }
    return (int64_t)(((sub + SUB_COUNT + 1) << (row - 1)) - 1);
}

void histogram_add(struct histogram *h, int64_t value)
{
    uint64_t clipped = value > 0 ? (uint64_t)value : 0;

    h->count++;
    h->sum += clipped;
    if ((int64_t)clipped > h->max) {
        h->max = (int64_t)clipped;
    }
    clipped = clipped < value_max ? clipped : value_max;
    h->buckets[bucket_of(clipped)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    into->count += from->count;
    into->sum += from->sum;
    into->max = from->max > into->max ? from->max : into->max;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
}

int64_t histogram_quantile(const struct histogram *h, double share)
{
    double wanted = share * (double)h->count;
    uint64_t rank = (uint64_t)wanted;
    uint64_t seen = 0;

    if (h->count == 0) {
        return 0;
    }
    rank += (double)rank < wanted; /* rounded up */
    rank = rank < 1 ? 1 : rank > h->count ? h->count : rank;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank) {
            int64_t top = bucket_top(i);
            bool is_last = i == HISTOGRAM_BUCKETS - 1 || top > h->max;
            return is_last ? h->max : top;
        }
    }
    return h->max;
}

double histogram_mean(const struct histogram *h)
{
    return h->count ? (double)h->sum / (double)h->count : 0;
}
