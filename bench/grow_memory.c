/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/grow_memory.h"

#include "bench/measure.h"

#include <math.h>
#include <stdlib.h>

enum {
    LINE_LEN = 64,
    BYTES_MIN = 16 * LINE_LEN,
    BYTES_MAX = 1024 * 1024 * 1024,
};

struct line {
    uint32_t number;
    uint8_t rest[LINE_LEN - sizeof(uint32_t)];
};

struct walk {
    struct line *lines;
    uint64_t count;
    uint64_t random;
};

/* Each address is made of what the load before brought. */
static void run_walk(void *context, size_t count)
{
    struct walk *walk = context;

    for (size_t i = 0; i < count; i++) {
        uint64_t at = (walk->random >> 32) * walk->count >> 32;

        walk->random = walk->random * UINT64_C(6364136223846793005) + walk->lines[at].number;
    }
    measure_keep(walk);
}

double grow_load_ns(const struct grow_point *point, int64_t budget_ns)
{
    double bytes = fmin(fmax(point->bytes * point->amount, BYTES_MIN), BYTES_MAX);
    struct walk walk = {.count = (uint64_t)bytes / LINE_LEN, .random = 1};
    struct measure_work work = {run_walk, &walk, 1};
    double load_ns;

    walk.lines = isnan(point->bytes) ? NULL : malloc(walk.count * LINE_LEN);
    if (!walk.lines) {
        return NAN;
    }
    for (uint64_t i = 0; i < walk.count; i++) { /* odd, as the step of such a generator is */
        walk.lines[i].number = (uint32_t)(2 * i + 1);
    }
    load_ns = measure_run(&work, budget_ns).cpu.median;
    free(walk.lines);
    return load_ns;
}
