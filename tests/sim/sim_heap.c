/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_heap.h"

static uint32_t rarity;
static uint64_t state;
static uint64_t failures;

void sim_heap_set(uint32_t one_of, uint64_t seed)
{
    rarity = one_of;
    state = seed;
}

uint64_t sim_heap_failures(void)
{
    return failures;
}

bool sim_heap_is_out(void)
{
    if (!rarity) {
        return false;
    }
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    bool fails = (state >> 33) % rarity == 0;
    failures += fails;
    return fails;
}
