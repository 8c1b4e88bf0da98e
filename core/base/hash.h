/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash: XXH3 with a per-process random seed, so that no peer can choose keys that collide.
 */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include "core/base/span.h"

/* Sets the seed; main calls it once before any thread starts. The simulator passes its own. */
void hash_set_seed(uint64_t seed);

uint64_t hash_bytes(struct span bytes);
uint64_t hash_combine(uint64_t hash, struct span bytes);

#endif
