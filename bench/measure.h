/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure: how long an operation takes, in CPU time of its thread and in wall time. It is run in
 * batches of a few milliseconds, after a warm-up; the figures are of batches, not of single
 * operations, which are shorter than a look at the clock. And whether an operation touches the
 * heap.
 */
#ifndef WEIR_BENCH_MEASURE_H
#define WEIR_BENCH_MEASURE_H

#include "core/base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MEASURE_BATCHES_MAX = 4096, MEASURE_BATCHES_MIN = 5 };

/* Runs `count` operations, a multiple of `step`, such as the questions of a mix. */
struct measure_work {
    void (*run)(void *context, size_t count);
    void *context;
    size_t step;
};

/* Nanoseconds an operation, over batches. */
struct measure_figure {
    double median;
    double min;
    double low; /* a tenth of the batches is below, a tenth is above `high` */
    double high;
    double max;
};

struct measure_result {
    uint64_t operation_count; /* that were measured, without the warm-up */
    size_t batch_count;
    struct measure_figure cpu;
    struct measure_figure wall;
};

/* CPU time of the calling thread. */
int64_t measure_cpu_ns(void);

/* Takes about `budget_ns` of wall time, the warm-up included, but runs MEASURE_BATCHES_MIN batches
 * at least. One at a time in the process. */
struct measure_result measure_run(const struct measure_work *work, int64_t budget_ns);

/*
 * For `run`, on its own thread: what is done in between does not count, such as making what an
 * operation uses up. Each costs about two looks at clocks, half of which counts.
 */
void measure_pause(void);
void measure_resume(void);

/* Of `count` values, 1 or more, which are sorted by it. */
struct measure_figure measure_summarise(double *values, size_t count);

/* Bytes that the process has of the C library's heap; 0 with another allocator. */
size_t measure_heap_in_use(void);

enum measure_heap { MEASURE_HEAP_UNKNOWN, MEASURE_HEAP_UNTOUCHED, MEASURE_HEAP_TOUCHED };

/*
 * Runs one step in a thread that never allocated before. The C library gives a thread a cache with
 * its first allocation and keeps it as long as the thread lives, so one allocation shows, even if
 * it is freed at once. Nobody else may allocate meanwhile. Unknown: there was no such trace of an
 * allocation made on purpose, as with another allocator or under sanitizers.
 */
enum measure_heap measure_heap(const struct measure_work *work);

/* What `pointer` points to counts as used: the compiler must have made it. */
static inline void measure_keep(const void *pointer)
{
    __asm__ volatile("" : : "r"(pointer) : "memory");
}

#endif
