/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve_sim: a second link target for core/engine/resolve.h that asks nobody. Names are answered
 * from a table that the test fills, after a delay drawn from a seed, through a timer: so the same
 * seed gives the same order of events. It does not need ring operations; the ring tells the time.
 *
 * The table is the program's; fill it before the worker starts. One thread.
 */
#ifndef WEIR_TESTS_RESOLVE_SIM_H
#define WEIR_TESTS_RESOLVE_SIM_H

#include "core/engine/resolve.h"

enum { SIM_NAMES_MAX = 256, SIM_LOOKUPS_MAX = 4096 };

/* Forgets every name and starts the delays from `seed`. Call it before each run. */
void sim_reset(uint64_t seed);

/*
 * Makes `name` known. addresses: IP addresses separated by blanks, in the order in which they are
 * to be delivered; at most RESOLVE_ADDRESSES_MAX. A lookup ends min_ms to max_ms after it started,
 * with the addresses, or, where failure is not null, with that sentence (a literal). A delay of 0
 * answers within resolve_start(), as the cache does. Adding a name again replaces it: lookups that
 * are under way end with what is known when their time comes.
 */
void sim_name(const char *name, const char *addresses, uint32_t min_ms, uint32_t max_ms,
              const char *failure);

/* How names end that the table does not have; at first "no such name" after 1 to 20 ms. */
void sim_unknown(uint32_t min_ms, uint32_t max_ms, const char *failure);

#endif
