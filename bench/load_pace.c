/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_pace.h"

#include "core/base/clock.h"

#include <math.h>

/* xorshift64*: good enough for gaps between requests, and the same everywhere. */
static double random_share(struct load_pace *pace)
{
    pace->random ^= pace->random >> 12;
    pace->random ^= pace->random << 25;
    pace->random ^= pace->random >> 27;
    return (double)((pace->random * UINT64_C(2685821657736338717)) >> 11) / 9007199254740992.0;
}

void load_pace_init(struct load_pace *pace, int64_t start_ns, double rate_hz, bool is_poisson,
                    uint64_t seed)
{
    *pace = (struct load_pace){
        .start_ns = start_ns,
        .interval_ns = (double)NS_PER_S / rate_hz,
        .random = seed ? seed : 1,
        .is_poisson = is_poisson,
    };
}

int64_t load_pace_next(const struct load_pace *pace)
{
    return pace->start_ns + (int64_t)pace->next;
}

int64_t load_pace_take(struct load_pace *pace)
{
    int64_t intended_ns = load_pace_next(pace);

    pace->count++;
    if (pace->is_poisson) {
        pace->next += -log(1 - random_share(pace)) * pace->interval_ns;
    } else {
        /* Not a sum: that would drift. */
        pace->next = (double)pace->count * pace->interval_ns;
    }
    return intended_ns;
}
