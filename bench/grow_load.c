/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests over more and more kept connections, and new connections to one of more and more hosts.
 * Both come in an open loop at a rate that is the same at every point: in a closed loop more
 * connections would make the proxy busier, and the busier it is, the more it does with one system
 * call. All connections are there before, and each has its turn.
 *
 * For connections each trial has a weir of its own. For hosts a weir lives as long as the run, one
 * for each point, as it takes minutes to get to know that many.
 */
#include "bench/grow_results.h"
#include "bench/load_run.h"
#include "core/base/clock.h"

#include <math.h>
#include <unistd.h>

enum {
    CASES_MAX = GROW_CURVE_COUNT * GROW_POINTS_MAX,
    FILL_MS = 10, /* that it may take to get to know a host */
    RATE_MISSED_PERCENT = 2,
};

/* One point of a line, with what its trials came to. */
struct spot {
    struct grow_line *line;
    struct grow_point *point;
    struct load_case *one;
    unsigned number;
    struct address proxy; /* hosts: that knows them */
    pid_t proxy_pid;
};

struct run {
    struct grow_results *results;
    struct load_processes *processes;
    FILE *err;
    struct spot spots[CASES_MAX];
    size_t count;
    unsigned trial;
    const struct spot *watched;
    bool is_terminal;
};

static const struct {
    enum load_mode mode;
    enum load_profile profile;
} cases[] = {
    [GROW_FORWARD] = {LOAD_FORWARD, LOAD_SMALL},
    [GROW_CONNECT] = {LOAD_CONNECT, LOAD_SMALL},
    [GROW_INTERCEPT] = {LOAD_INTERCEPT, LOAD_SMALL},
    [GROW_HOSTS] = {LOAD_INTERCEPT, LOAD_HOSTS},
};

static void make_spots(struct run *run)
{
    struct load_results *load = &run->results->load;

    for (size_t i = 0; i < run->results->line_count; i++) {
        struct grow_line *line = &run->results->lines[i];

        for (size_t k = 0; line->curve < COUNT_OF(cases) && k < line->count; k++) {
            struct load_case *one = &load->cases[load->case_count++];

            one->mode = cases[line->curve].mode;
            one->profile = cases[line->curve].profile;
            one->workers = 1;
            run->spots[run->count] = (struct spot){.line = line,
                                                   .point = &line->points[k],
                                                   .one = one,
                                                   .number = (unsigned)run->count};
            run->count++;
        }
    }
}

static double rate_of(const struct run *run, const struct spot *spot)
{
    return spot->one->profile == LOAD_HOSTS ? (double)run->results->rate_hz / GROW_NEW_SHARE
                                            : run->results->rate_hz;
}

static struct load_plan make_plan(const struct run *run, const struct spot *spot)
{
    struct load_plan plan =
        load_run_plan(run->processes, spot->one, rate_of(run, spot), run->trial);

    if (spot->one->profile == LOAD_HOSTS) {
        plan.host_cap = spot->point->amount;
        plan.trial = spot->number;        /* the hosts are the same in each round */
        plan.closer = LOAD_ORIGIN_CLOSES; /* the proxy's ports in TIME-WAIT would grow, too */
    } else {
        plan.connections = spot->point->amount;
        plan.opens_first = true;
    }
    return plan;
}

static void watch(void *context, const struct load_live *live)
{
    const struct run *run = context;

    if (run->is_terminal) {
        fprintf(run->err, "\r\033[K%s, %u %s: %llu so far",
                grow_curves[run->watched->line->curve].name, run->watched->point->amount,
                grow_curves[run->watched->line->curve].amount, (unsigned long long)live->units);
        fflush(run->err);
    }
}

static bool make_trial(struct run *run, const struct spot *spot, const struct load_plan *plan)
{
    bool done;

    run->watched = spot;
    done = load_trial_run(run->processes, plan, watch, run, run->err);
    if (run->is_terminal) {
        fputs("\r\033[K", run->err);
    }
    return done;
}

/* ---- hosts ---- */

static bool fill(struct run *run, struct spot *spot)
{
    struct load_plan plan = make_plan(run, spot);
    int64_t start_ns = clock_monotonic_ns();

    if (!load_proxy_start(run->processes, &plan, run->err)) {
        return false;
    }
    spot->proxy = plan.proxy;
    spot->proxy_pid = plan.proxy_pid;
    plan.fills = true;
    plan.rate_hz = 0;
    plan.window_ns = (int64_t)spot->point->amount * FILL_MS * NS_PER_MS + NS_PER_S;
    if (!make_trial(run, spot, &plan)) {
        return false;
    }
    fprintf(run->err, "hosts, %u: known after %.1f s\n", spot->point->amount,
            (double)(clock_monotonic_ns() - start_ns) / NS_PER_S);
    return true;
}

static bool fill_all(struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        if (run->spots[i].one->profile == LOAD_HOSTS && !fill(run, &run->spots[i])) {
            return false;
        }
    }
    return true;
}

static bool stop_all(struct run *run)
{
    bool done = true;

    for (size_t i = 0; i < run->count; i++) {
        if (run->spots[i].proxy_pid) {
            struct load_plan plan = {.proxy_pid = run->spots[i].proxy_pid};

            done = load_proxy_stop(run->processes, &plan, run->err) && done;
            run->spots[i].proxy_pid = 0;
        }
    }
    return done;
}

/* ---- rounds ---- */

static void keep(struct run *run, struct spot *spot, const struct load_plan *plan)
{
    const struct load_result *result = &run->processes->results[0];
    struct load_case *one = spot->one;
    double *figures = one->figures[one->rounds++];

    load_figures_take(plan, result, figures);
    spot->point->costs[spot->point->rounds++] = figures[FIGURE_CPU_US];
    one->out_of_ports |= result->out_of_ports;
    one->out_of_descriptors |= result->out_of_descriptors;
    if (!one->first_error[0]) {
        memcpy(one->first_error, result->first_error, sizeof(one->first_error));
    }
    fprintf(run->err, "%s, %u: %.2f us, %.0f/s%s\n", grow_curves[spot->line->curve].name,
            spot->point->amount, figures[FIGURE_CPU_US], figures[FIGURE_RATE_HZ],
            figures[FIGURE_ERRORS] > 0 ? ", with errors" : "");
}

static bool measure_spot(struct run *run, struct spot *spot)
{
    bool is_kept = spot->proxy_pid != 0;
    struct load_plan plan;
    bool done;

    run->trial++;
    plan = make_plan(run, spot);
    if (is_kept) {
        plan.proxy = spot->proxy;
        plan.proxy_pid = spot->proxy_pid;
    } else if (!load_proxy_start(run->processes, &plan, run->err)) {
        return false;
    }
    done = make_trial(run, spot, &plan);
    if (!is_kept && !load_proxy_stop(run->processes, &plan, run->err)) {
        done = false;
    }
    if (done) {
        keep(run, spot, &plan);
    }
    return done;
}

/* Each round begins with another point, so that what drifts hits all of them. */
static bool make_rounds(struct run *run)
{
    for (size_t round = 0; round < run->results->options->rounds; round++) {
        for (size_t i = 0; i < run->count; i++) {
            if (!measure_spot(run, &run->spots[(i + round) % run->count])) {
                return false;
            }
        }
    }
    return true;
}

/* What one more takes: against the first point of the line. */
static void take_memory(struct run *run)
{
    const struct spot *first = run->spots;

    for (size_t i = 0; i < run->count; i++) {
        struct spot *spot = &run->spots[i];

        first = spot->line == first->line ? first : spot;
        if (spot != first) {
            double kib = load_case_spread(spot->one, FIGURE_PROXY_KIB).median -
                         load_case_spread(first->one, FIGURE_PROXY_KIB).median;
            spot->point->bytes = kib * 1024 / (spot->point->amount - first->point->amount);
        }
    }
}

static void warn_of_rates(struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        const struct spot *spot = &run->spots[i];
        double rate_hz = load_case_spread(spot->one, FIGURE_RATE_HZ).median;

        if (rate_hz < rate_of(run, spot) * (100 - RATE_MISSED_PERCENT) / 100) {
            load_results_add_warning(&run->results->load,
                                     "%s, %u: %.0f/s were intended, %.0f/s were answered",
                                     grow_curves[spot->line->curve].name, spot->point->amount,
                                     rate_of(run, spot), rate_hz);
        }
    }
}

bool grow_load_measure(struct grow_results *results, struct load_processes *processes, FILE *err)
{
    static struct run run;
    bool done;

    run = (struct run){
        .results = results, .processes = processes, .err = err, .is_terminal = isatty(fileno(err))};
    make_spots(&run);
    done = fill_all(&run) && make_rounds(&run);
    done = stop_all(&run) && done;
    if (done) {
        take_memory(&run);
        warn_of_rates(&run);
    }
    return done;
}
