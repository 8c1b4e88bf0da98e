/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer: a hashed wheel per worker. Setting and clearing are O(1). An expired timer only sets its
 * `fired` flag and makes its actor ready; nothing is called back. Deadlines are nanoseconds of
 * ring_now(); they fire up to one tick late, never early.
 */
#ifndef WEIR_ENGINE_TIMER_H
#define WEIR_ENGINE_TIMER_H

#include "core/base/list.h"

#include <stdint.h>

#define TIMER_TICK_NS INT64_C(8000000) /* 8 ms */

enum { TIMER_LEVELS = 4, TIMER_SLOTS = 64 }; /* 64^4 ticks: 37 hours, farther ones are re-filed */

struct actor;

struct timer {
    struct list_node link;
    struct actor *owner; /* made ready on expiry */
    int64_t deadline_ns; /* 0: not set */
    uint32_t filed_tick; /* where it lies in the wheel, modulo 2^32: not behind the deadline */
    bool fired;          /* the owner clears it */
};

struct timer_wheel {
    struct list_node slots[TIMER_LEVELS][TIMER_SLOTS];
    uint64_t occupied[TIMER_LEVELS]; /* a bit a slot */
    int64_t tick;                    /* the last tick that was expired */
    uint32_t count;
};

void timer_wheel_init(struct timer_wheel *wheel, int64_t now_ns);

void timer_init(struct timer *timer, struct actor *owner);
/* Sets or moves the deadline; clears `fired`. */
void timer_set(struct timer_wheel *wheel, struct timer *timer, int64_t deadline_ns);
void timer_clear(struct timer_wheel *wheel, struct timer *timer);

/* Nanoseconds until there is something to do, an expiry at the earliest; -1: nothing is set. */
int64_t timer_wheel_next(const struct timer_wheel *wheel, int64_t now_ns);

/* Takes the timers that are due, one a call, with `fired` set; null when there are none left. */
struct timer *timer_wheel_expire(struct timer_wheel *wheel, int64_t now_ns);

#endif
