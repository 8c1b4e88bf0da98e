/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_tail.h"

#include <string.h>

void load_tail_add(struct load_tail *tail, int64_t latency_ns, struct histogram *tails)
{
    for (unsigned i = 0; i < LOAD_TAIL_RANK; i++) {
        if (latency_ns > tail->highest_ns[i]) {
            int64_t lower_ns = tail->highest_ns[i];
            tail->highest_ns[i] = latency_ns;
            latency_ns = lower_ns;
        }
    }
    if (++tail->count == LOAD_TAIL_COUNT) {
        histogram_add(tails, tail->highest_ns[LOAD_TAIL_RANK - 1]);
        memset(tail, 0, sizeof(*tail));
    }
}
