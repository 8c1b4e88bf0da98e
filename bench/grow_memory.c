/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/grow_memory.h"

#include "bench/measure.h"

#include <math.h>
#include <stdlib.h>

enum {
    LINE_LEN = 64,
    BYTES_MIN = 16 * LINE_LEN,
    BYTES_MAX = 128 * 1024 * 1024, /* loads from more take no longer */
};

struct line {
    uint32_t next;
    uint8_t rest[LINE_LEN - sizeof(uint32_t)];
};

struct walk {
    struct line *lines;
    uint32_t at;
};

static void run_walk(void *context, size_t count)
{
    struct walk *walk = context;

    for (size_t i = 0; i < count; i++) {
        walk->at = walk->lines[walk->at].next;
    }
    measure_keep(walk);
}

/* One cycle through all lines, each as likely as any other (Sattolo's shuffle). */
static void make_cycle(struct line *lines, size_t count)
{
    uint64_t random = count;

    for (size_t i = 0; i < count; i++) {
        lines[i].next = (uint32_t)i;
    }
    for (size_t i = count - 1; i > 0; i--) {
        uint32_t old = lines[i].next;
        size_t other;

        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        other = (size_t)((random >> 32) * i >> 32);
        lines[i].next = lines[other].next;
        lines[other].next = old;
    }
}

double grow_load_ns(const struct grow_point *point, int64_t budget_ns)
{
    double bytes = fmin(fmax(point->bytes * point->amount, BYTES_MIN), BYTES_MAX);
    struct walk walk = {.lines = isnan(point->bytes) ? NULL
                                                     : calloc((size_t)bytes / LINE_LEN, LINE_LEN)};
    struct measure_work work = {run_walk, &walk, 1};
    double load_ns;

    if (!walk.lines) {
        return NAN;
    }
    make_cycle(walk.lines, (size_t)bytes / LINE_LEN);
    load_ns = measure_run(&work, budget_ns).cpu.median;
    free(walk.lines);
    return load_ns;
}
