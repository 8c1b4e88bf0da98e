/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/grow_curve.h"

#include "bench/load_figures.h"

#include <math.h>
#include <string.h>

const struct grow_curve_row grow_curves[GROW_CURVE_COUNT] = {
    [GROW_FORWARD] = {"forward",
                      "a request on a kept connection, HTTP",
                      "connections",
                      "us",
                      "a connection",
                      9000,
                      {10, 100, 1000, 9000}},
    [GROW_CONNECT] = {"connect",
                      "a request on a kept connection, tunnelled",
                      "connections",
                      "us",
                      "a connection",
                      9000,
                      {10, 100, 1000, 9000}},
    [GROW_INTERCEPT] = {"intercept",
                        "a request on a kept connection, intercepted",
                        "connections",
                        "us",
                        "a connection",
                        9000,
                        {10, 100, 1000, 9000}},
    [GROW_HOSTS] = {"hosts",
                    "a new intercepted connection to one of the known hosts",
                    "hosts",
                    "us",
                    "a host",
                    100000,
                    {10, 100, 1000, 10000, 100000}},
    [GROW_LEAF] = {"leaf",
                   "a visit recalled and its leaf looked up, of any host",
                   "hosts",
                   "ns",
                   "a host",
                   100000,
                   {10, 100, 1000, 10000, 100000}},
    [GROW_REMEMBERED] = {"remembered",
                         "a remembered verdict, of 256 questions",
                         "records",
                         "ns",
                         "a record",
                         GROW_POINT_MAX,
                         {100, 10000, 1000000}},
    [GROW_GENUINE] = {"genuine",
                      "a check that finds the browser, any of them",
                      "records",
                      "ns",
                      "a record",
                      GROW_POINT_MAX,
                      {100, 10000, 1000000}},
    [GROW_UNKNOWN] = {"unknown",
                      "a check that finds nothing, of any browser",
                      "records",
                      "ns",
                      "a record",
                      GROW_POINT_MAX,
                      {100, 10000, 1000000}},
};

static struct load_spread spread_of(const struct grow_line *line, size_t point)
{
    return load_spread_of(line->points[point].costs, line->points[point].rounds);
}

double grow_median(const struct grow_line *line, size_t point)
{
    return spread_of(line, point).median;
}

double grow_ratio(const struct grow_line *line, size_t point)
{
    return grow_median(line, point) / grow_median(line, 0);
}

static double decades(const struct grow_line *line, size_t point)
{
    return log10((double)line->points[point].amount / line->points[point - 1].amount);
}

double grow_slope(const struct grow_line *line, size_t point)
{
    return point ? (grow_median(line, point) - grow_median(line, point - 1)) / decades(line, point)
                 : NAN;
}

double grow_load_median(const struct grow_line *line, size_t point)
{
    const struct grow_point *one = &line->points[point];

    return strcmp(grow_curves[line->curve].unit, "ns") == 0
               ? load_spread_of(one->load_ns, one->rounds).median
               : NAN;
}

double grow_loads(const struct grow_line *line, size_t point)
{
    double load_ns = grow_load_median(line, point) - grow_load_median(line, 0);

    return load_ns >= 1 ? (grow_median(line, point) - grow_median(line, 0)) / load_ns : NAN;
}

static bool lacks_cost(const struct grow_line *line)
{
    bool lacks = false;

    for (size_t i = 0; i < line->count; i++) {
        lacks |= isnan(grow_median(line, i));
    }
    return lacks;
}

enum grow_verdict grow_judge(const struct grow_line *line)
{
    size_t last = line->count - 1;
    double least;

    if (line->count < 3 || lacks_cost(line)) {
        return GROW_TOO_SHORT;
    }
    if (grow_ratio(line, last) <= GROW_RATIO_MAX) {
        return GROW_FLAT;
    }
    least = (spread_of(line, last).min - spread_of(line, last - 1).max) / decades(line, last);
    for (size_t i = 1; i < last; i++) {
        double most = (spread_of(line, i).max - spread_of(line, i - 1).min) / decades(line, i);

        if (least <= most) {
            return GROW_STRAIGHT;
        }
    }
    return grow_loads(line, last) <= GROW_LOADS_MAX ? GROW_WAITS : GROW_BENDS;
}

const char *grow_verdict_name(enum grow_verdict verdict)
{
    static const char *const names[] = {"too few points", "flat", "straight", "waits for memory",
                                        "bends upward"};
    return names[verdict];
}
