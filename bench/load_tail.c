/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_tail.h"

#include <string.h>

void load_tail_end(struct load_tail *tail, struct load_result *result)
{
    if (tail->index < LOAD_TAILS_MAX && tail->latency.count >= LOAD_TAIL_COUNT_MIN) {
        result->tail_p99_ns[tail->index] = histogram_quantile(&tail->latency, 0.99);
    }
    memset(&tail->latency, 0, sizeof(tail->latency));
}

void load_tail_add(struct load_tail *tail, int64_t since_ns, int64_t latency_ns,
                   struct load_result *result)
{
    int64_t index = since_ns > 0 ? since_ns / LOAD_TAIL_NS : 0;

    if (index != tail->index) {
        load_tail_end(tail, result);
        tail->index = index;
    }
    histogram_add(&tail->latency, latency_ns);
}
