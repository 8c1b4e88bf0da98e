/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t hash_seed = UINT64_C(0x9e3779b97f4a7c15);

void hash_set_seed(uint64_t seed)
{
    hash_seed = seed;
}

uint64_t hash_bytes(struct span bytes)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.len, hash_seed);
}

uint64_t hash_combine(uint64_t hash, struct span bytes)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.len, hash ^ hash_seed);
}
