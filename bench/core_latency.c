/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/core_latency.h"

#include "bench/proc.h"
#include "core/base/clock.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum {
    LINE = 128, /* bytes: two lines, which some CPUs fetch together */
    BATCHES = 16,
    TRIPS = 500, /* there and back, a batch */
    OVER = -1,
};

#define LIMIT_NS (50 * NS_PER_MS)

/* Nearby cores are some 40 ns apart, others 80 to 200. */
#define ALIKE 1.5

struct ball {
    _Alignas(LINE) _Atomic int turn; /* odd: the other one's; OVER: no more */
    _Alignas(LINE) int core;         /* of the thread that throws it back */
    _Atomic int is_there;            /* 1: that thread plays, -1: it cannot */
    int own_core;
    double best_ns;
};

static void *throw_back(void *context)
{
    struct ball *ball = context;
    int turn;

    ball->is_there = proc_pin(ball->core) ? 1 : -1;
    while (ball->is_there == 1 &&
           (turn = atomic_load_explicit(&ball->turn, memory_order_acquire)) != OVER) {
        if (turn % 2) {
            atomic_store_explicit(&ball->turn, turn + 1, memory_order_release);
        }
    }
    return NULL;
}

static double play_batch(struct ball *ball)
{
    int64_t start_ns = clock_monotonic_ns();

    for (int trip = 0; trip < TRIPS; trip++) {
        int turn = 2 * trip + 1;

        atomic_store_explicit(&ball->turn, turn, memory_order_release);
        while (atomic_load_explicit(&ball->turn, memory_order_acquire) == turn) {
        }
    }
    return (double)(clock_monotonic_ns() - start_ns) / (2 * TRIPS);
}

static void *play(void *context)
{
    struct ball *ball = context;
    int64_t end_ns = clock_monotonic_ns() + LIMIT_NS;

    if (proc_pin(ball->own_core)) {
        while (!ball->is_there) {
        }
        for (int i = 0; ball->is_there == 1 && i < BATCHES && clock_monotonic_ns() < end_ns; i++) {
            ball->best_ns = fmin(ball->best_ns, play_batch(ball)); /* NAN: the other one */
        }
    }
    atomic_store_explicit(&ball->turn, OVER, memory_order_release);
    return NULL;
}

double core_latency_ns(int one, int other)
{
    struct ball ball = {.core = other, .own_core = one, .best_ns = NAN};
    pthread_t player, partner;

    if (one == other || pthread_create(&partner, NULL, throw_back, &ball) != 0) {
        return NAN;
    }
    if (pthread_create(&player, NULL, play, &ball) == 0) {
        pthread_join(player, NULL);
    } else {
        ball.turn = OVER;
    }
    pthread_join(partner, NULL);
    return ball.best_ns;
}

bool core_latency_alike(double a_ns, double b_ns)
{
    return isnan(a_ns) || isnan(b_ns) || (a_ns < b_ns * ALIKE && b_ns < a_ns * ALIKE);
}
