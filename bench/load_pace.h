/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_pace: when the requests of an open loop are meant to be sent, whatever happens to those
 * before. Arithmetic alone: whoever asks has the clock. The intended times come one after the other
 * and never move, so that a stall of the proxy is seen by all requests that it held up
 * ("coordinated omission" is what a closed loop does to them).
 */
#ifndef WEIR_BENCH_LOAD_PACE_H
#define WEIR_BENCH_LOAD_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct load_pace {
    int64_t start_ns;
    double interval_ns; /* mean */
    double next;        /* ns after the start */
    uint64_t count;     /* of intended times that were taken */
    uint64_t random;
    bool is_poisson; /* intervals are exponential, else all the same */
};

/* `seed` is for Poisson; the same seed gives the same times. rate_hz above 0. */
void load_pace_init(struct load_pace *pace, int64_t start_ns, double rate_hz, bool is_poisson,
                    uint64_t seed);

/* The next intended time. */
int64_t load_pace_next(const struct load_pace *pace);
/* Takes it, and goes on to the one behind. */
int64_t load_pace_take(struct load_pace *pace);

#endif
