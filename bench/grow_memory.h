/* SPDX-License-Identifier: Apache-2.0 */
/* grow_memory: how long a load from somewhere in so much memory takes, which is what lookups wait
 * for where there is more than the processor's caches hold. */
#ifndef WEIR_BENCH_GROW_MEMORY_H
#define WEIR_BENCH_GROW_MEMORY_H

#include "bench/grow_curve.h"

#include <stdint.h>

/* Nanoseconds, of as much memory as the point has; each load's address comes from the one before.
 * Takes about `budget_ns`, and what making that much memory takes. NAN: its bytes are not known, or
 * there is not so much. */
double grow_load_ns(const struct grow_point *point, int64_t budget_ns);

#endif
