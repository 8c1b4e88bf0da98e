/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_heap: a heap that fails now and then, from a seed. Put in front of the sources of the engine
 * and of sessions (-include) when they are compiled for the simulator; the peers, the simulated
 * kernel and the TLS library have the real heap.
 */
#ifndef WEIR_SIM_SIM_HEAP_H
#define WEIR_SIM_SIM_HEAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One of `rarity` allocations fails; 0: none does. */
void sim_heap_set(uint32_t rarity, uint64_t seed);
uint64_t sim_heap_failures(void);
/* Whether the next one fails. */
bool sim_heap_is_out(void);

#ifdef WEIR_SIM_HEAP_FAILS
#define malloc(size)          (sim_heap_is_out() ? NULL : (malloc)(size))
#define calloc(count, size)   (sim_heap_is_out() ? NULL : (calloc)(count, size))
#define realloc(memory, size) (sim_heap_is_out() ? NULL : (realloc)(memory, size))
#define strdup(string)        (sim_heap_is_out() ? NULL : (strdup)(string))
#define strndup(string, len)  (sim_heap_is_out() ? NULL : (strndup)(string, len))
#endif

#endif
