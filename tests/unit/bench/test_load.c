/* SPDX-License-Identifier: Apache-2.0 */
/* The load harness without load: intended times, figures, what it writes, and its verdict on two
 * results. */
#include "bench/load_pace.h"
#include "bench/load_readings.h"
#include "bench/load_results.h"
#include "bench/load_run.h"
#include "bench/load_tail.h"
#include "bench/proc.h"
#include "core/base/clock.h"
#include "core/options.h"
#include "core/tools/json_lines.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- intended times ---- */

static void constant_pace(void **state)
{
    struct load_pace pace;

    (void)state;
    load_pace_init(&pace, 1000, 3, false, 1);
    for (int64_t i = 0; i < 1000000; i++) {
        int64_t exact_ns = 1000 + i * NS_PER_S / 3;
        int64_t told_ns = load_pace_take(&pace);

        assert_true(told_ns - exact_ns <= 1 && exact_ns - told_ns <= 1); /* no drift */
    }
}

static void poisson_pace(void **state)
{
    enum { COUNT = 200000, RATE_HZ = 1000 };
    struct load_pace pace, again;
    double sum = 0, squares = 0;
    int64_t before_ns = 0;

    (void)state;
    load_pace_init(&pace, 0, RATE_HZ, true, 7);
    load_pace_init(&again, 0, RATE_HZ, true, 7);
    for (int i = 0; i < COUNT; i++) {
        int64_t now_ns = load_pace_take(&pace);
        double gap = (double)(now_ns - before_ns) / NS_PER_MS;

        assert_int_equal(now_ns, load_pace_take(&again));
        assert_true(now_ns >= before_ns);
        before_ns = now_ns;
        sum += gap;
        squares += gap * gap;
    }
    /* Exponential gaps: mean 1 ms, and a mean square of 2. */
    assert_true(fabs(sum / COUNT - 1) < 0.02);
    assert_true(fabs(squares / COUNT - 2) < 0.1);
}

/* ---- figures ---- */

static void figures_of_a_trial(void **state)
{
    static struct load_result result;
    struct load_plan plan = {
        .mode = LOAD_INTERCEPT, .profile = LOAD_NEW, .clients = 1, .sides = 1, .origins = 1};
    double figures[FIGURE_COUNT], baseline[FIGURE_COUNT];

    (void)state;
    result.units = 1000;
    result.connections = 500;
    result.resumed = 250;
    result.down_bytes = 1024 * 1024;
    result.window_ns = 2 * NS_PER_S;
    result.proxy_cpu_ns = NS_PER_S;
    result.client_cpu_ns[0] = NS_PER_S;
    result.origin_cpu_ns[0] = -1;
    histogram_add(&result.latency, 100 * NS_PER_US);
    load_figures_take(&plan, &result, figures);
    assert_true(figures[FIGURE_RATE_HZ] == 500);
    assert_true(figures[FIGURE_MIB_S] == 0.5);
    assert_true(figures[FIGURE_CPU_US] == 1000);
    assert_true(figures[FIGURE_CONN_CPU_US] == 2000);
    assert_true(figures[FIGURE_PROXY_BUSY] == 0.5);
    assert_true(figures[FIGURE_CLIENT_BUSY] == 0.5);
    assert_true(figures[FIGURE_RESUMED] == 0.5);
    assert_true(isnan(figures[FIGURE_ORIGIN_BUSY]));
    assert_true(isnan(figures[FIGURE_GIB_CPU_MS]));
    assert_true(isnan(figures[FIGURE_IDLE_BYTES]));
    assert_true(isnan(figures[FIGURE_LATE_P99_US]));
    load_figures_clear(baseline);
    baseline[FIGURE_P50_US] = 40;
    load_figures_add(figures, baseline);
    assert_true(fabs(figures[FIGURE_ADDED_P50_US] - 60) < 1);
    assert_true(isnan(figures[FIGURE_ADDED_P99_US]));
}

/* The busiest one counts, and the busiest core with all that are on it. */
static void figures_of_several(void **state)
{
    static struct load_result result;
    struct load_plan plan = {.mode = LOAD_FORWARD,
                             .clients = 3,
                             .sides = 1,
                             .origins = 2,
                             .client_cores = {4, 4, 5},
                             .origin_cores = {5, 6}};
    double figures[FIGURE_COUNT];

    (void)state;
    result.window_ns = 10 * NS_PER_S;
    result.client_cpu_ns[0] = 3 * NS_PER_S;
    result.client_cpu_ns[1] = 4 * NS_PER_S;
    result.client_cpu_ns[2] = 6 * NS_PER_S;
    result.origin_cpu_ns[0] = 2 * NS_PER_S;
    result.origin_cpu_ns[1] = NS_PER_S;
    result.proxy_cpu_ns = 10 * NS_PER_S;
    result.cores_cpu_ns = 27 * NS_PER_S;
    result.cores_stolen_ns = NS_PER_S / 5;
    load_figures_take(&plan, &result, figures);
    assert_true(fabs(figures[FIGURE_CLIENT_BUSY] - 0.6) < 1e-9);
    assert_true(fabs(figures[FIGURE_ORIGIN_BUSY] - 0.2) < 1e-9);
    assert_true(fabs(figures[FIGURE_LOAD_BUSY] - 0.8) < 1e-9);
    assert_true(fabs(figures[FIGURE_OTHERS_BUSY] - 0.1) < 1e-9);
    assert_true(fabs(figures[FIGURE_STOLEN] - 0.02) < 1e-9);
    for (int i = 0; i < 3; i++) {
        plan.client_cores[i] = plan.origin_cores[i] = -1; /* not pinned: each for itself */
    }
    load_figures_take(&plan, &result, figures);
    assert_true(fabs(figures[FIGURE_LOAD_BUSY] - 0.6) < 1e-9);
    result.origin_cpu_ns[1] = -1;
    load_figures_take(&plan, &result, figures);
    assert_true(fabs(figures[FIGURE_ORIGIN_BUSY] - 0.2) < 1e-9);
    assert_true(isnan(figures[FIGURE_OTHERS_BUSY]));
    result.cores_stolen_ns = -1;
    load_figures_take(&plan, &result, figures);
    assert_true(isnan(figures[FIGURE_STOLEN]));
}

/* Each of two at the same time has figures of its own, and shares cores with the other one. */
static void figures_of_sides(void **state)
{
    static struct load_result results[2];
    struct load_plan plan = {.mode = LOAD_FORWARD,
                             .clients = 1,
                             .sides = 2,
                             .side = 1,
                             .origins = 1,
                             .client_cores = {4, 4},
                             .origin_cores = {4}};
    double figures[FIGURE_COUNT];

    (void)state;
    assert_int_equal(load_plan_all_clients(&plan), 2);
    assert_int_equal(load_plan_first_client(&plan), 1);
    for (int i = 0; i < 2; i++) {
        results[i].window_ns = 10 * NS_PER_S;
        results[i].units = 1000;
        results[i].client_cpu_ns[i] = (3 + i) * NS_PER_S;
        results[i].proxy_cpu_ns = (4 + i) * NS_PER_S;
        results[i].origin_cpu_ns[0] = NS_PER_S;
        results[i].cores_cpu_ns = 18 * NS_PER_S;
    }
    load_result_add_side(&results[1], &results[0]);
    load_figures_take(&plan, &results[1], figures);
    assert_true(fabs(figures[FIGURE_CPU_US] - 5000) < 1e-9);
    assert_true(fabs(figures[FIGURE_CLIENT_BUSY] - 0.4) < 1e-9);
    assert_true(fabs(figures[FIGURE_LOAD_BUSY] - 0.8) < 1e-9);
    assert_true(fabs(figures[FIGURE_OTHERS_BUSY] - 0.1) < 1e-9);
    results[0].proxy_cpu_ns = -1; /* not known */
    load_result_add_side(&results[1], &results[0]);
    assert_int_equal(results[1].beside_cpu_ns, 4 * NS_PER_S);
}

/* Who never sleeps is busy for as long as there is something to do. */
static void figures_of_those_awake(void **state)
{
    static struct load_result result;
    struct load_plan plan = {.mode = LOAD_FORWARD,
                             .clients = 1,
                             .sides = 1,
                             .origins = 1,
                             .is_awake = true,
                             .origin_cores = {0}};
    double figures[FIGURE_COUNT];

    (void)state;
    result.window_ns = 10 * NS_PER_S;
    result.client_cpu_ns[0] = 6 * NS_PER_S;
    result.origin_cpu_ns[0] = 4 * NS_PER_S;
    result.client_looked_ns[0] = 8 * NS_PER_S;
    result.origin_looked_ns[0] = 9 * NS_PER_S;
    result.cores_cpu_ns = 11 * NS_PER_S;
    load_figures_take(&plan, &result, figures);
    assert_true(fabs(figures[FIGURE_CLIENT_BUSY] - 0.2) < 1e-9);
    assert_true(fabs(figures[FIGURE_ORIGIN_BUSY] - 0.1) < 1e-9);
    assert_true(fabs(figures[FIGURE_LOAD_BUSY] - 0.3) < 1e-9);
    assert_true(fabs(figures[FIGURE_OTHERS_BUSY] - 0.1) < 1e-9); /* that is CPU time */
    result.origin_looked_ns[0] = result.window_ns + NS_PER_MS;
    load_figures_take(&plan, &result, figures);
    assert_true(figures[FIGURE_ORIGIN_BUSY] == 0);
}

/* Of those who never sleep it is known what their core gave to others; of the proxy, when it
 * waited. */
static void figures_of_taken(void **state)
{
    static struct load_result result;
    struct load_plan plan = {.mode = LOAD_FORWARD,
                             .is_awake = true,
                             .clients = 2,
                             .sides = 1,
                             .origins = 1,
                             .client_cores = {4, 5},
                             .origin_cores = {4}};
    double figures[FIGURE_COUNT];

    (void)state;
    result.window_ns = 10 * NS_PER_S;
    result.client_cpu_ns[0] = 6 * NS_PER_S;
    result.origin_cpu_ns[0] = 3 * NS_PER_S; /* core 4 gave 1 s */
    result.client_cpu_ns[1] = 8 * NS_PER_S; /* and core 5 2 s */
    result.proxy_waited_ns = NS_PER_S / 2;
    load_figures_take(&plan, &result, figures);
    assert_true(fabs(figures[FIGURE_TAKEN] - 0.25) < 1e-9);
    plan.mode = LOAD_DIRECT;
    load_figures_take(&plan, &result, figures);
    assert_true(fabs(figures[FIGURE_TAKEN] - 0.2) < 1e-9);
    result.proxy_waited_ns = -1;
    load_figures_take(&plan, &result, figures);
    assert_true(fabs(figures[FIGURE_TAKEN] - 0.2) < 1e-9);
    result.client_cpu_ns[1] = 11 * NS_PER_S; /* clocks were read a little earlier and later */
    load_figures_take(&plan, &result, figures);
    assert_true(fabs(figures[FIGURE_TAKEN] - 0.1) < 1e-9);

    plan.mode = LOAD_FORWARD;
    load_figures_take(&plan, &result, figures);
    assert_true(isnan(figures[FIGURE_TAKEN])); /* the kernel does not tell when the proxy waited */
    result.proxy_waited_ns = 0;
    plan.is_awake = false;
    load_figures_take(&plan, &result, figures);
    assert_true(isnan(figures[FIGURE_TAKEN]));
    plan.is_awake = true;
    result.origin_cpu_ns[0] = -1;
    load_figures_take(&plan, &result, figures);
    assert_true(isnan(figures[FIGURE_TAKEN]));
    result.origin_cpu_ns[0] = 0;
    plan.client_cores[0] = plan.client_cores[1] = plan.origin_cores[0] = -1;
    load_figures_take(&plan, &result, figures);
    assert_true(isnan(figures[FIGURE_TAKEN]));
}

/* Each piece has its own, whatever the order within it, and one that is not whole has none. */
static void tails(void **state)
{
    static struct histogram tails;
    struct load_tail tail = {0};

    (void)state;
    for (int i = 0; i < 2 * LOAD_TAIL_COUNT; i++) {
        int place = i % LOAD_TAIL_COUNT;
        int64_t base_ns = i < LOAD_TAIL_COUNT ? 1000 : 2000;
        /* The highest are base + 199, 197 and 195, each between lower ones. */
        load_tail_add(&tail, base_ns + (place % 2 ? place : -place), &tails);
        assert_int_equal(tails.count, (i + 1) / LOAD_TAIL_COUNT);
    }
    assert_int_equal(tails.max, 2000 + LOAD_TAIL_COUNT - 5);
    assert_int_equal(tails.sum, 3000 + 2 * (LOAD_TAIL_COUNT - 5));
    for (int i = 0; i < LOAD_TAIL_COUNT - 1; i++) {
        load_tail_add(&tail, 9000, &tails);
    }
    assert_int_equal(tails.count, 2);
}

/* Two requests of 200 are beyond it, three are not. */
static void tails_of_pauses(void **state)
{
    static struct histogram tails;
    struct load_tail tail = {0};

    (void)state;
    for (int late = 2; late <= 3; late++) {
        for (int i = 0; i < LOAD_TAIL_COUNT; i++) {
            load_tail_add(&tail, i < late ? 5000000 : 1000, &tails);
        }
        assert_int_equal(tails.max, late == 2 ? 1000 : 5000000);
    }
}

/* The median piece's, whatever the others say. */
static void figures_of_tails(void **state)
{
    static struct load_result result;
    struct load_plan plan = {.mode = LOAD_FORWARD, .clients = 1, .sides = 1, .origins = 1};
    double figures[FIGURE_COUNT], baseline[FIGURE_COUNT], median_us;

    (void)state;
    result.window_ns = NS_PER_S;
    load_figures_take(&plan, &result, figures);
    assert_true(isnan(figures[FIGURE_P99_OF_200_US]));
    histogram_add(&result.tails, 90 * NS_PER_US);
    histogram_add(&result.tails, 5000 * NS_PER_US);
    histogram_add(&result.tails, 100 * NS_PER_US);
    median_us = (double)histogram_quantile(&result.tails, 0.5) / NS_PER_US;
    assert_true(fabs(median_us - 100) < 1); /* a bucket of the histogram is 0.8 % */
    load_figures_take(&plan, &result, figures);
    assert_true(fabs(figures[FIGURE_P99_OF_200_US] - median_us) < 1e-9);
    load_figures_clear(baseline);
    baseline[FIGURE_P99_OF_200_US] = 70;
    load_figures_add(figures, baseline);
    assert_true(fabs(figures[FIGURE_ADDED_P99_OF_200_US] - (median_us - 70)) < 1e-9);
}

static struct load_case *make_case(struct load_case *cases, size_t index, enum load_mode mode,
                                   enum load_variant variant, unsigned workers, double cpu_us)
{
    struct load_case *one = &cases[index];

    *one = (struct load_case){
        .mode = mode, .profile = LOAD_NEW, .variant = variant, .workers = workers, .rounds = 1};
    load_figures_clear(one->figures[0]);
    one->figures[0][FIGURE_CPU_US] = cpu_us;
    return one;
}

static void assert_case(const struct load_case *one, const char *name, const char *cost)
{
    char text[LOAD_CASE_NAME_MAX], words[160];

    load_case_name(one, text);
    assert_string_equal(text, name);
    assert_int_equal(load_case_cost(one, words, sizeof(words)), cost != NULL);
    if (cost) {
        assert_string_equal(words, cost);
    }
}

/* A variant is related to the plain one with as many workers, that to the first number of them. */
static void variants_are_related(void **state)
{
    static struct load_case cases[6];
    struct load_options options = {.workers = {1, 2}, .workers_len = 2};
    struct load_results results = {.options = &options, .cases = cases, .case_count = 6};
    static const int references[] = {-1, -1, 1, 1, 1, 4};

    (void)state;
    make_case(cases, 0, LOAD_DIRECT_TLS, LOAD_PLAIN, 1, NAN);
    make_case(cases, 1, LOAD_INTERCEPT, LOAD_PLAIN, 1, 100);
    make_case(cases, 2, LOAD_INTERCEPT, LOAD_LOGS, 1, 112);
    make_case(cases, 3, LOAD_INTERCEPT, LOAD_BLIND, 1, 80);
    make_case(cases, 4, LOAD_INTERCEPT, LOAD_PLAIN, 2, 110);
    make_case(cases, 5, LOAD_INTERCEPT, LOAD_LOGS, 2, 110);
    for (int i = 0; i < 6; i++) {
        const struct load_case *reference = load_results_reference(&results, &cases[i]);

        assert_ptr_equal(reference, references[i] < 0 ? NULL : &cases[references[i]]);
        if (reference) {
            load_figures_relate(cases[i].figures[0], reference->figures[0]);
        }
    }
    assert_case(&cases[0], "direct-tls/new", NULL);
    assert_case(&cases[1], "intercept/new", NULL);
    assert_case(&cases[2], "intercept/new+logs", "logging on costs +12.0 % (+12.0 to +12.0)");
    assert_case(&cases[3], "intercept/new+blind",
                "detection on costs +25.0 % (+25.0 to +25.0); bound 3 %, does not hold");
    assert_case(&cases[4], "intercept/new@2",
                "2 workers cost +10.0 % (+10.0 to +10.0); bound 8 %, does not hold");
    assert_case(&cases[5], "intercept/new+logs@2", "logging on costs +0.0 % (+0.0 to +0.0)");
    cases[2].profile = LOAD_SMALL;
    cases[2].figures[0][FIGURE_CPU_RATIO] = 1.1;
    assert_case(&cases[2], "intercept/small+logs",
                "logging on costs +10.0 % (+10.0 to +10.0); bound 10 %, holds");
}

static void assert_scaling(const struct load_results *results, size_t index, const char *scaling)
{
    char words[160];
    bool is_there = load_case_scaling(results, &results->cases[index], words, sizeof(words));

    assert_int_equal(is_there, scaling != NULL);
    if (scaling) {
        assert_string_equal(words, scaling);
    }
}

/* Each variant is related to itself with the fewest workers, wherever that is in the list. */
static void workers_are_scaled(void **state)
{
    static struct load_case cases[6];
    struct load_options options = {.workers = {4, 1, 2}, .workers_len = 3};
    struct load_results results = {.options = &options, .cases = cases, .case_count = 6};
    static const int bases[] = {-1, 3, 4, -1, -1, 3};
    static const double rates_hz[] = {5000, 3800, 1500, 1000, 500, 1500};

    (void)state;
    make_case(cases, 0, LOAD_DIRECT_TLS, LOAD_PLAIN, 1, NAN);
    make_case(cases, 1, LOAD_INTERCEPT, LOAD_PLAIN, 4, 1);
    make_case(cases, 2, LOAD_INTERCEPT, LOAD_LOGS, 4, 1);
    make_case(cases, 3, LOAD_INTERCEPT, LOAD_PLAIN, 1, 1);
    make_case(cases, 4, LOAD_INTERCEPT, LOAD_LOGS, 2, 1);
    make_case(cases, 5, LOAD_INTERCEPT, LOAD_PLAIN, 2, 1);
    for (int i = 0; i < 6; i++) {
        cases[i].figures[0][FIGURE_RATE_HZ] = rates_hz[i];
    }
    for (int i = 0; i < 6; i++) {
        const struct load_case *base = load_results_base(&results, &cases[i]);

        assert_ptr_equal(base, bases[i] < 0 ? NULL : &cases[bases[i]]);
        if (base) {
            load_figures_scale(cases[i].figures[0], base->figures[0],
                               (double)cases[i].workers / base->workers);
        }
    }
    assert_scaling(&results, 0, NULL);
    assert_scaling(&results, 1,
                   "4 workers do 3.80 times the work of one (3.80 to 3.80), 0.95 of "
                   "linear");
    assert_scaling(&results, 2,
                   "4 workers do 3.00 times the work of 2 (3.00 to 3.00), 1.50 of "
                   "linear");
    assert_scaling(&results, 3, NULL);
    assert_scaling(&results, 5,
                   "2 workers do 1.50 times the work of one (1.50 to 1.50), 0.75 of "
                   "linear");
    options.rate_hz = 100; /* the same for all: no figure of what they could do */
    assert_null(load_results_base(&results, &cases[1]));
}

static void spreads(void **state)
{
    const double values[] = {3, NAN, 1, 2};
    struct load_spread spread = load_spread_of(values, 4);

    (void)state;
    assert_true(spread.median == 2 && spread.min == 1 && spread.max == 3);
    assert_true(isnan(load_spread_of(values + 1, 1).median));
}

static void pattern(void **state)
{
    uint8_t copy[100];

    (void)state;
    load_pattern_init();
    memcpy(copy, load_pattern(70000, sizeof(copy)).data, sizeof(copy));
    assert_true(load_pattern_matches(70000, span_make(copy, sizeof(copy))));
    assert_false(load_pattern_matches(70001, span_make(copy, sizeof(copy))));
    copy[99] ^= 1;
    assert_false(load_pattern_matches(70000, span_make(copy, sizeof(copy))));
}

static void *spin(void *context)
{
    volatile unsigned spun = 0;

    for (int64_t end_ns = clock_monotonic_ns() + 50 * NS_PER_MS; clock_monotonic_ns() < end_ns;) {
        spun++;
    }
    return context;
}

/* This process has used some CPU time and memory, and is one. A thread counts when it has ended. */
static void own_usage(void **state)
{
    const struct proc_tree alone = {1, {getpid()}}, nobody = {1, {0x7ffffff0}};
    struct proc_usage usage, later;
    pthread_t thread;

    (void)state;
    assert_true(proc_read_usage(getpid(), &usage));
    assert_int_equal(usage.process_count, 1);
    assert_true(usage.anonymous_kib > 0);
    assert_int_equal(pthread_create(&thread, NULL, spin, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(proc_read_cpu(&alone, &later));
    assert_true(later.cpu_ns > usage.cpu_ns + NS_PER_MS);
    assert_false(proc_read_cpu(&nobody, &later));
}

/* One that began since they were found is added, and only to what is known. */
static void new_processes_are_added(void **state)
{
    const struct load_plan plan = {.proxy_pid = getpid(), .reads_others = true};
    struct load_readings known = {.proxy_ns = 1000}, unknown = {.proxy_ns = -1};
    struct load_watched before, behind;
    int has_spun[2];
    char byte;
    pid_t child;

    (void)state;
    load_readings_begin(&plan, &before);
    assert_int_equal(pipe(has_spun), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)spin(NULL);
        _exit(write(has_spun[1], "", 1) == 1 ? pause() : 1);
    }
    assert_int_equal(read(has_spun[0], &byte, 1), 1);
    load_readings_begin(&plan, &behind);
    assert_int_equal(behind.processes.count, before.processes.count + 1);
    load_readings_end(&plan, &behind, &known);
    assert_int_equal(known.proxy_ns, 1000);
    load_readings_end(&plan, &before, &known);
    assert_true(known.proxy_ns > NS_PER_MS);
    load_readings_end(&plan, &before, &unknown);
    assert_int_equal(unknown.proxy_ns, -1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(has_spun[0]);
    close(has_spun[1]);
}

static pthread_barrier_t have_spun, may_leave;

static void *spin_and_stay(void *context)
{
    (void)spin(context);
    pthread_barrier_wait(&have_spun);
    pthread_barrier_wait(&may_leave);
    return context;
}

/* Two threads on one core wait for each other. */
static void own_waits(void **state)
{
    const struct proc_tree alone = {1, {getpid()}}, nobody = {1, {0x7ffffff0}};
    struct proc_tree many = {.count = PROC_TREE_MAX};
    struct proc_waits waits, none;
    pthread_t threads[2];
    cpu_set_t all, one;
    int64_t before_ns, behind_ns;
    int core;

    (void)state;
    assert_int_equal(proc_cores(&core, 1), 1);
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_ZERO(&one);
    CPU_SET((size_t)core, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(pthread_barrier_init(&have_spun, NULL, 3), 0);
    assert_int_equal(pthread_barrier_init(&may_leave, NULL, 3), 0);
    assert_int_equal(pthread_create(&threads[0], NULL, spin_and_stay, NULL), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, spin_and_stay, NULL), 0);
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
    proc_waits_open(&waits, &alone);
    assert_true(waits.count >= 3); /* a sanitizer may have one more */
    before_ns = proc_waits_read(&waits);
    pthread_barrier_wait(&have_spun);
    behind_ns = proc_waits_read(&waits);
    if (before_ns < 0) {
        print_message("not told how long threads wait: that needs CONFIG_SCHED_INFO\n");
    } else {
        assert_true(behind_ns > before_ns + NS_PER_MS);
    }
    for (unsigned i = 0; i < many.count; i++) {
        many.pids[i] = getpid();
    }
    proc_waits_open(&none, &many);
    assert_int_equal(none.count, 0);
    proc_waits_open(&none, &nobody);
    assert_int_equal(proc_waits_read(&none), -1);
    pthread_barrier_wait(&may_leave);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(pthread_join(threads[1], NULL), 0);
    pthread_barrier_destroy(&have_spun);
    pthread_barrier_destroy(&may_leave);
    proc_waits_close(&waits);
    assert_int_equal(proc_waits_read(&waits), -1);
}

/* Some core has been busy; one that there is not adds nothing. */
static void core_usage(void **state)
{
    struct proc_core sum = {.busy_ns = 5, .stolen_ns = 7};
    int core;

    (void)state;
    assert_false(proc_add_core(1 << 20, &sum));
    assert_true(sum.busy_ns == 5 && sum.stolen_ns == 7);
    assert_int_equal(proc_cores(&core, 1), 1);
    assert_true(proc_add_core(core, &sum));
    assert_true(sum.busy_ns > 5 && sum.stolen_ns >= 7);
}

/* What is written counts, pages of files do not: with whom they are shared changes by itself. */
static void own_memory(void **state)
{
    enum { MAPPED = 16 * 1024 * 1024, SLACK_KIB = 2048 }; /* sanitizers keep what was freed */
    FILE *file = tmpfile();
    struct proc_usage before, mapped, written;
    volatile uint8_t *pages;
    uint8_t *block;

    (void)state;
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), MAPPED), 0);
    assert_true(proc_read_usage(getpid(), &before));
    pages = mmap(NULL, MAPPED, PROT_READ, MAP_PRIVATE, fileno(file), 0);
    assert_true(pages != MAP_FAILED);
    for (size_t i = 0; i < MAPPED; i += 4096) {
        (void)pages[i];
    }
    assert_true(proc_read_usage(getpid(), &mapped));
    assert_in_range(mapped.anonymous_kib - before.anonymous_kib + SLACK_KIB, 0, 2 * SLACK_KIB);
    block = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(block != MAP_FAILED);
    memset(block, 1, MAPPED);
    assert_true(proc_read_usage(getpid(), &written));
    assert_in_range(written.anonymous_kib - mapped.anonymous_kib, MAPPED / 1024 - SLACK_KIB,
                    MAPPED / 1024 + 2 * SLACK_KIB);
    munmap(block, MAPPED);
    munmap((void *)pages, MAPPED);
    fclose(file);
}

/* ---- why not to trust it ---- */

/* Ports that clients' ends leave in TIME-WAIT are short for whoever dials one address as often. */
static void short_ports_are_told(void **state)
{
    static const struct {
        enum load_closer closer;
        enum load_mode mode;
        bool has_one_source;
        double dialled_hz;
        const char *whose; /* null: nothing is told */
    } rows[] = {
        {LOAD_CLIENT_CLOSES, LOAD_CONNECT, false, 1e6, "the proxy's ports to the origin"},
        {LOAD_CLIENT_CLOSES, LOAD_CONNECT, true, 1e6, "its ports"},
        {LOAD_CLIENT_CLOSES, LOAD_DIRECT, true, 1e6, "its ports"},
        {LOAD_CLIENT_CLOSES, LOAD_DIRECT, false, 1e6, NULL},
        {LOAD_CLIENT_CLOSES, LOAD_FORWARD, false, 1e6, NULL},
        {LOAD_CLIENT_CLOSES, LOAD_CONNECT, false, 100, NULL},
        {LOAD_ORIGIN_CLOSES, LOAD_CONNECT, true, 1e6, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static struct load_case one;
        struct load_options options = {.closer = rows[i].closer, .proxy = "another"};
        struct load_results results = {.options = &options, .cases = &one, .case_count = 1};
        const char *told = NULL;

        make_case(&one, 0, rows[i].mode, LOAD_PLAIN, 1, 10);
        one.has_one_source = rows[i].has_one_source;
        one.dialled_hz = rows[i].dialled_hz;
        load_results_warn(&results);
        for (size_t w = 0; w < results.warning_count; w++) {
            told = strstr(results.warnings[w], "TIME-WAIT") ? results.warnings[w] : told;
        }
        assert_int_equal(told != NULL, rows[i].whose != NULL);
        if (told && !strstr(told, rows[i].whose)) {
            fail_msg("%s", told);
        }
    }
}

/* What others, or the host, had of the cores is told from some share on; not what is not known. */
static void disturbances_are_told(void **state)
{
    static const struct {
        enum load_figure figure;
        double value;
        const char *told; /* null: nothing */
    } rows[] = {
        {FIGURE_OTHERS_BUSY, 0.2, "one of them 20 % of a core"},
        {FIGURE_OTHERS_BUSY, 0.1, NULL},
        {FIGURE_STOLEN, 0.05, "one trial for 5 % of a core"},
        {FIGURE_STOLEN, 0.02, NULL},
        {FIGURE_STOLEN, NAN, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static struct load_case one;
        struct load_options options = {.closer = LOAD_CLIENT_CLOSES, .proxy = "another"};
        struct load_results results = {.options = &options, .cases = &one, .case_count = 1};
        bool told = false;

        make_case(&one, 0, LOAD_FORWARD, LOAD_PLAIN, 1, 10);
        one.figures[0][rows[i].figure] = rows[i].value;
        load_results_warn(&results);
        for (size_t w = 0; w < results.warning_count; w++) {
            told |=
                strstr(results.warnings[w], rows[i].told ? rows[i].told : "% of a core") != NULL;
        }
        assert_int_equal(told, rows[i].told != NULL);
    }
}

/* ---- what is written ---- */

/* Results of one case with three rounds around these figures. */
static void write_results(const char *path, double cpu_us, double rate_hz)
{
    static struct load_case one;
    struct load_options options = {.rounds = 3, .window_ms = 1000, .connections = 4};
    struct load_results results = {.options = &options,
                                   .proxy = "weir <&>",
                                   .cases = &one,
                                   .case_count = 1,
                                   .max_rate_hz = NAN};
    FILE *file = fopen(path, "we");

    one = (struct load_case){.mode = LOAD_FORWARD, .profile = LOAD_SMALL, .rounds = 3};
    for (int i = 0; i < 3; i++) {
        load_figures_clear(one.figures[i]);
        one.figures[i][FIGURE_CPU_US] = cpu_us * (1 + 0.01 * i);
        one.figures[i][FIGURE_RATE_HZ] = rate_hz * (1 - 0.01 * i);
        one.figures[i][FIGURE_ERRORS] = 0;
    }
    one.slot_count = 10;
    histogram_add(&one.latency, 5000);
    assert_non_null(file);
    assert_true(load_results_write_json(&results, file));
    assert_int_equal(fclose(file), 0);
}

struct files {
    char folder[32];
    char before[64], after[64];
};

static struct files make_files(void)
{
    struct files files = {.folder = "/tmp/weir-test-load-XXXXXX"};

    assert_non_null(mkdtemp(files.folder));
    snprintf(files.before, sizeof(files.before), "%s/before", files.folder);
    snprintf(files.after, sizeof(files.after), "%s/after", files.folder);
    return files;
}

static void remove_files(const struct files *files)
{
    unlink(files->before);
    unlink(files->after);
    rmdir(files->folder);
}

static void json_has_its_schema(void **state)
{
    struct files files = make_files();
    const json_t *one, *figures;
    json_t *results;

    (void)state;
    write_results(files.before, 10, 1000);
    results = json_load_file(files.before, 0, NULL);
    assert_non_null(results);
    assert_string_equal(json_string_value(json_object_get(results, "schema")), "weir-load/1");
    assert_string_equal(json_string_value(json_object_get(results, "proxy")), "weir <&>");
    assert_true(json_is_object(json_object_get(results, "machine")));
    assert_true(json_is_object(json_object_get(results, "configuration")));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(results, "configuration"), "closes")),
        "client");
    assert_true(json_is_null(json_object_get(results, "max_rate_hz")));
    one = json_array_get(json_object_get(results, "cases"), 0);
    assert_string_equal(json_string_value(json_object_get(one, "mode")), "forward");
    figures = json_object_get(one, "figures");
    assert_int_equal(json_object_size(figures), 3);
    assert_int_equal(json_array_size(json_object_get(json_object_get(figures, "cpu_us"), "rounds")),
                     3);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(results, "units"), "cpu_us")), "us");
    assert_int_equal(json_array_size(json_object_get(one, "throughput_hz_100ms")), 10);
    json_decref(results);
    remove_files(&files);
}

static void verdicts(void **state)
{
    static const struct {
        double cpu_us, rate_hz;
        int status;
        const char *words;
    } rows[] = {
        {10, 1000, 0, "the same: 0 figures better, 0 worse, 3 within the noise.\n"},
        {10.2, 990, 0, "the same: "}, /* the rounds overlap */
        {8, 1000, 0, "better: 1 figures better, 0 worse, 2 within the noise.\n"},
        {8, 2000, 0, "better: 2 figures better"},
        {12, 1000, 99, "worse: 0 figures better, 1 worse"},
        {8, 500, 99, "mixed: 1 figures better, 1 worse"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct files files = make_files();
        size_t len;
        char *text;
        FILE *out = open_memstream(&text, &len);

        write_results(files.before, 10, 1000);
        write_results(files.after, rows[i].cpu_us, rows[i].rate_hz);
        assert_int_equal(load_compare_run(files.before, files.after, out, stderr), rows[i].status);
        fclose(out);
        if (strncmp(text, rows[i].words, strlen(rows[i].words)) != 0) {
            fail_msg("%s", text);
        }
        free(text);
        remove_files(&files);
    }
}

static void verdict_on_nonsense(void **state)
{
    static const char *const texts[] = {"", "{", "[]", "{\"schema\":\"weir-load/2\",\"cases\":[]}",
                                        "{\"schema\":\"weir-load/1\"}"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct files files = make_files();
        FILE *file = fopen(files.before, "we");
        char *text;
        size_t len;
        FILE *err = open_memstream(&text, &len);

        assert_non_null(file);
        fputs(texts[i], file);
        fclose(file);
        write_results(files.after, 1, 1);
        assert_int_equal(load_compare_run(files.before, files.after, stdout, err),
                         EXIT_STATUS_CONFIG);
        fclose(err);
        assert_non_null(strstr(text, files.before));
        free(text);
        remove_files(&files);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_pace),
        cmocka_unit_test(poisson_pace),
        cmocka_unit_test(figures_of_a_trial),
        cmocka_unit_test(figures_of_several),
        cmocka_unit_test(figures_of_sides),
        cmocka_unit_test(figures_of_those_awake),
        cmocka_unit_test(figures_of_taken),
        cmocka_unit_test(tails),
        cmocka_unit_test(tails_of_pauses),
        cmocka_unit_test(figures_of_tails),
        cmocka_unit_test(variants_are_related),
        cmocka_unit_test(workers_are_scaled),
        cmocka_unit_test(spreads),
        cmocka_unit_test(pattern),
        cmocka_unit_test(own_usage),
        cmocka_unit_test(new_processes_are_added),
        cmocka_unit_test(own_waits),
        cmocka_unit_test(core_usage),
        cmocka_unit_test(own_memory),
        cmocka_unit_test(short_ports_are_told),
        cmocka_unit_test(disturbances_are_told),
        cmocka_unit_test(json_has_its_schema),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(verdict_on_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
