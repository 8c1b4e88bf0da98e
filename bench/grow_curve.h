/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grow_curve: what a unit costs, with more and more of something; and whether that bends upward.
 *
 * A cost that is a + b log n is a straight line over a logarithmic axis: it goes up by the same
 * amount a decade. A curve bends upward if, at its end, it is more than GROW_RATIO_MAX times its
 * beginning, and goes up more a decade than it did anywhere before, beyond the spread: the least
 * that the rounds allow for the end is more than the most that they allow for each step before.
 *
 * Where there is more than the processor's caches hold, whatever is looked up waits for memory. A
 * lookup that goes to a bounded number of places takes that many loads, and each load takes longer
 * the more there is. That is no bend as long as all growth is GROW_LOADS_MAX times the growth of a
 * load from as much memory (grow_memory.h).
 */
#ifndef WEIR_BENCH_GROW_CURVE_H
#define WEIR_BENCH_GROW_CURVE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    GROW_POINTS_MAX = 8,
    GROW_POINT_MAX = 1000000, /* of whatever there is */
    GROW_ROUNDS_MAX = 50,
};

#define GROW_RATIO_MAX 1.25

enum { GROW_LOADS_MAX = 12 }; /* places that a lookup may wait for */

enum grow_curve {
    GROW_FORWARD, /* requests on kept connections */
    GROW_CONNECT,
    GROW_INTERCEPT,
    GROW_HOSTS,      /* new connections to known hosts */
    GROW_LEAF,       /* a lookup in a leaf cache */
    GROW_REMEMBERED, /* a verdict that is remembered */
    GROW_GENUINE,    /* a check that finds the browser */
    GROW_UNKNOWN,    /* a check that finds nothing */
    GROW_CURVE_COUNT,
};

struct grow_curve_row {
    const char *name;
    const char *what;                 /* a unit */
    const char *amount;               /* what there are more and more of */
    const char *unit;                 /* of the cost */
    const char *memory;               /* whose bytes there are beside it */
    unsigned max;                     /* of the amount */
    unsigned points[GROW_POINTS_MAX]; /* unless others are asked for; 0 behind the last */
};
extern const struct grow_curve_row grow_curves[GROW_CURVE_COUNT];

struct grow_point {
    unsigned amount;
    size_t rounds; /* that were made */
    double costs[GROW_ROUNDS_MAX];
    double bytes;                    /* of memory, for one of what there are; NAN: not known */
    double load_ns[GROW_ROUNDS_MAX]; /* of a load from so much, of tables; NAN: not known */
};

struct grow_line {
    enum grow_curve curve;
    size_t count;
    struct grow_point points[GROW_POINTS_MAX]; /* amounts ascend */
};

/* Of the line at that point; the median of its rounds, NAN if there are none. */
double grow_median(const struct grow_line *line, size_t point);
/* Against the first point. */
double grow_ratio(const struct grow_line *line, size_t point);
/* By how much a decade it goes up from the point before; of the medians. NAN for the first. */
double grow_slope(const struct grow_line *line, size_t point);

/* Median of the rounds; NAN where it is not known, or of no matter. */
double grow_load_median(const struct grow_line *line, size_t point);
/* By what it goes up from the first point, in units of what a load goes up. NAN: not known, or that
 * is less than a nanosecond. */
double grow_loads(const struct grow_line *line, size_t point);

enum grow_verdict {
    GROW_TOO_SHORT, /* fewer than three points, or no cost: nothing to be said */
    GROW_FLAT,      /* at most GROW_RATIO_MAX */
    GROW_STRAIGHT,  /* more, but not ever faster */
    GROW_WAITS,     /* ever faster, but not more than loads from memory do */
    GROW_BENDS,     /* upward */
};
enum grow_verdict grow_judge(const struct grow_line *line);
const char *grow_verdict_name(enum grow_verdict verdict);

#endif
