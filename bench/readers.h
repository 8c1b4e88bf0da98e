/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readers: what lookups in a verdict table cost while another thread publishes sets, against what
 * they cost while nobody does; in turns, a slice each.
 */
#ifndef WEIR_BENCH_READERS_H
#define WEIR_BENCH_READERS_H

#include "bench/measure.h"
#include "bench/mix.h"

enum {
    READERS_MAX = 64,
    READERS_PUBLISH_HZ = 1000,
    READERS_SLICE_MS = 50,
    READERS_PREPARED = READERS_PUBLISH_HZ * READERS_SLICE_MS / 1000, /* sets, a slice */
    READERS_SLICES_MAX = 256,
    READERS_SLICES_MIN = 3,
};

struct readers_plan {
    const char *dir; /* each published set is made anew of it; null: made up */
    /* Each set has one record more, of its own, about user agents that one of these is about, each
     * in turn; null: all are the same. */
    const struct database *like;
    struct mix_question *const *items; /* looked up in turn */
    size_t count;                      /* 1 or more */
    size_t table_cap;
    unsigned thread_count; /* 1 to READERS_MAX */
    int64_t budget_ns;     /* wall time, making the sets included; about */
};

struct readers_result {
    struct measure_figure alone;      /* CPU nanoseconds a lookup, over slices */
    struct measure_figure publishing; /* the same */
    size_t slice_count;               /* of each kind */
    uint64_t lookup_count;
    double alone_misses;      /* of the lookups that were measured, the part that was checked */
    double publishing_misses; /* the same */
    uint64_t publish_count;
    double publish_hz; /* as it came out */
};

/* Returns the status to exit with; if it is not 0, `err` was told why. */
int readers_run(const struct readers_plan *plan, struct readers_result *result,
                FILE *err) MUST_CHECK;

#endif
