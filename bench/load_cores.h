/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_cores: which cores the proxy, the clients and the origins of a load trial are pinned to: as
 * the command line says, or by what there is. Arithmetic and words alone; nothing is pinned here.
 */
#ifndef WEIR_BENCH_LOAD_CORES_H
#define WEIR_BENCH_LOAD_CORES_H

#include "core/base/assert.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    LOAD_CORES_MAX = 256,
    LOAD_CORES_TEXT_MAX = 1280, /* of 256 numbers below 1024, commas and a NUL */
};

/* In the order in which they are taken: a process each, and from the first one on again. None: no
 * pinning. */
struct load_cores {
    int count;
    int list[LOAD_CORES_MAX];
};

enum load_place { LOAD_AT_PROXY, LOAD_AT_CLIENT, LOAD_AT_ORIGIN, LOAD_PLACE_COUNT };

/* How many of each want a core: workers of the proxy, processes of the others. */
struct load_crew {
    unsigned workers, clients, origins;
};

/*
 * By what there is: clients have the first cores, then the origins theirs, one each, and the proxy
 * the others from the last one on. Where that is too little, clients and origins share those that
 * the workers leave, two at least; with two cores they share one.
 */
void load_cores_choose(const struct load_cores *allowed, const struct load_crew *crew,
                       struct load_cores places[LOAD_PLACE_COUNT]);

/*
 * "1,0,0": a core for each place, and workers have those too that clients and origins leave.
 * "0-7/8,9/10-15": lists and ranges, and these alone. "none": no pinning. False: a sentence.
 */
bool load_cores_parse(const char *text, const struct load_cores *allowed,
                      const struct load_crew *crew, struct load_cores places[LOAD_PLACE_COUNT],
                      char *error, size_t error_cap) MUST_CHECK;

/* That of the process with this number, from 0; -1: any. */
int load_cores_of(const struct load_cores *cores, unsigned process);

/* Those that it does not have yet. */
void load_cores_add(struct load_cores *cores, const struct load_cores *others);
bool load_cores_share(const struct load_cores *a, const struct load_cores *b);

/* "0-2,5"; ascending ones become ranges. */
void load_cores_print(const struct load_cores *cores, char text[LOAD_CORES_TEXT_MAX]);

#endif
