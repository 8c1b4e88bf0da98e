/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_run.h"

#include "bench/core_latency.h"
#include "bench/grow.h"
#include "bench/load_network.h"
#include "bench/load_pki.h"
#include "bench/load_results.h"
#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BULK_CONNECTIONS_MAX = 4, /* more only wait for each other */
    SEARCH_TRIALS = 8,
    STEADY_TRIES_MAX = 5, /* of a trial, until nothing disturbed it */
};

#define STEADY_WAIT_NS (20 * NS_PER_S) /* for the latency that is wanted, before each of them */
#define STEADY_NAP_NS  (200 * NS_PER_MS)

/* Exit statuses of this command alone. */
enum { STATUS_REQUIRE = 99 };

struct run {
    const struct load_options *options;
    struct load_processes processes;
    struct load_results results;
    FILE *err;
    bool is_terminal;
    unsigned trial_count; /* to be made */
    unsigned trial;
    uint64_t watched_units;
    int64_t watched_ns;
    double core_latency_ns;           /* that trials are to have; NAN: any */
    char watched[LOAD_CASE_NAME_MAX]; /* what is being done, the first side of it */
    unsigned sides;                   /* cases that are measured at the same time */
};

/* ---- what is to be done ---- */

/* Modes in the order of the table: baselines come first. */
static bool wants(const struct load_options *o, enum load_mode mode, enum load_profile profile)
{
    bool is_wanted = o->has_mode[mode];

    for (int other = 0; other < LOAD_MODE_COUNT && !o->is_alone; other++) {
        is_wanted |= o->has_mode[other] && load_modes[other].baseline == mode &&
                     load_is_case((enum load_mode)other, profile);
    }
    return is_wanted && o->has_profile[profile] && load_is_case(mode, profile);
}

/* One for each weir that is asked for; without a proxy there is one. */
static void add_cases(struct run *run, enum load_mode mode, enum load_profile profile)
{
    const struct load_options *o = run->options;
    struct load_results *results = &run->results;

    for (size_t i = 0; i < o->workers_len; i++) {
        for (int variant = 0; variant < LOAD_VARIANT_COUNT; variant++) {
            struct load_case *one = &results->cases[results->case_count];

            if (!o->has_variant[variant]) {
                continue;
            }
            one->mode = mode;
            one->profile = profile;
            one->workers = o->workers[i];
            one->variant = (enum load_variant)variant;
            results->case_count++;
            if (!load_modes[mode].has_proxy) {
                one->workers = 1;
                one->variant = LOAD_PLAIN;
                return;
            }
        }
    }
}

static bool make_cases(struct run *run)
{
    struct load_results *results = &run->results;

    results->cases = calloc(LOAD_CASES_MAX, sizeof(*results->cases));
    if (!results->cases) {
        fputs("weir bench: out of memory\n", run->err);
        return false;
    }
    for (int profile = 0; profile < LOAD_PROFILE_COUNT; profile++) {
        for (int mode = 0; mode < LOAD_MODE_COUNT; mode++) {
            if (wants(run->options, (enum load_mode)mode, (enum load_profile)profile)) {
                add_cases(run, (enum load_mode)mode, (enum load_profile)profile);
            }
        }
    }
    if (results->case_count == 0) {
        fputs("weir bench: no mode that was named has a profile that was named: resumed needs a "
              "mode with TLS\n",
              run->err);
    }
    return results->case_count != 0;
}

struct load_plan load_run_plan(const struct load_processes *processes, const struct load_case *one,
                               double rate_hz, unsigned trial)
{
    const struct load_options *o = processes->options;
    const struct load_cores *cores = processes->cores;
    unsigned bulk_max = o->clients > BULK_CONNECTIONS_MAX ? o->clients : BULK_CONNECTIONS_MAX;
    bool is_bulk = one->profile == LOAD_DOWN || one->profile == LOAD_UP;
    struct load_plan plan = {
        .mode = one->mode,
        .profile = one->profile,
        .closer = o->closer,
        .variant = one->variant,
        .workers = one->workers,
        .clients = o->clients,
        .sides = 1,
        .origins = o->origins,
        .connections = o->connections,
        .rate_hz = rate_hz,
        .is_poisson = o->is_poisson,
        .is_awake = o->is_awake,
        .origin_states = processes->shared->origins,
        .ramp_ns = o->warm_up_ms * NS_PER_MS / 2,
        .warmup_ns = o->warm_up_ms * NS_PER_MS,
        .window_ns = o->window_ms * NS_PER_MS,
        .body_bytes = is_bulk ? (uint64_t)o->bulk_kib * 1024 : o->small_bytes,
        .has_connect = load_modes[one->mode].says_connect && !o->is_fixed,
        .has_whole_url = one->mode == LOAD_FORWARD && !o->is_fixed,
        .seed = trial + 1,
        .trial = trial,
        .trust_file = load_modes[one->mode].is_opened ? processes->proxy_ca : processes->origin_ca,
    };

    for (unsigned i = 0; i < LOAD_CLIENTS_MAX; i++) { /* each side's are where the first's are */
        plan.client_cores[i] = load_cores_of(&cores[LOAD_AT_CLIENT], i % o->clients);
    }
    for (unsigned i = 0; i < o->origins; i++) {
        plan.origin_cores[i] = load_cores_of(&cores[LOAD_AT_ORIGIN], i);
        plan.origin_pids[i] = processes->origin_pids[i];
    }
    /* Where another proxy runs is only known when it is said. */
    if (!o->proxy) {
        plan.cores =
            o->is_together ? cores[LOAD_AT_PROXY] : load_proxy_cores(processes, one->workers);
    } else if (o->cores) {
        plan.cores = cores[LOAD_AT_PROXY];
    }
    if (plan.cores.count) {
        load_cores_add(&plan.cores, &cores[LOAD_AT_CLIENT]);
        load_cores_add(&plan.cores, &cores[LOAD_AT_ORIGIN]);
    }
    if (one->profile == LOAD_IDLE) {
        plan.connections = o->idle_connections;
        plan.rate_hz = 0;
    } else if (is_bulk && plan.connections > bulk_max) {
        plan.connections = bulk_max;
    }
    (void)address_parse_ip(&plan.origin, SPAN_LITERAL("127.0.0.1"), processes->ports.clear);
    (void)address_parse_ip(&plan.origin_tls, SPAN_LITERAL("127.0.0.1"), processes->ports.tls);
    (void)address_parse_ip(&plan.source, SPAN_LITERAL(LOAD_NETWORK_CLIENT), 0);
    snprintf(plan.host, sizeof(plan.host), "%s", load_options_host(o, one->mode));
    return plan;
}

/* ---- progress ---- */

static void watch(void *context, const struct load_live *live)
{
    static const char *const phases[] = {"starting", "warming up", "measuring", "ending"};
    struct run *run = context;
    int64_t now_ns = clock_monotonic_ns();

    if (run->is_terminal && live->units >= run->watched_units) {
        fprintf(run->err, "\r\033[K%u/%u %s: %s, %.0f/s, %llu errors", run->trial, run->trial_count,
                run->watched, phases[live->phase],
                (double)(live->units - run->watched_units) * NS_PER_S /
                    (double)(now_ns - run->watched_ns),
                (unsigned long long)live->errors);
        fflush(run->err);
    }
    run->watched_units = live->units;
    run->watched_ns = now_ns;
}

static void say_trial(const struct run *run, unsigned number, const struct load_case *one,
                      const double *figures)
{
    char name[LOAD_CASE_NAME_MAX];

    load_case_name(one, name);
    fprintf(run->err, "%s%u/%u %s:", run->is_terminal ? "\r\033[K" : "", number, run->trial_count,
            name);
    if (!isnan(figures[FIGURE_RATE_HZ])) {
        fprintf(run->err, " %.0f/s, %.1f MiB/s", figures[FIGURE_RATE_HZ], figures[FIGURE_MIB_S]);
    }
    if (!isnan(figures[FIGURE_P99_US])) {
        fprintf(run->err, ", p99 %.0f us", figures[FIGURE_P99_US]);
    }
    if (!isnan(figures[FIGURE_CPU_US])) {
        fprintf(run->err, ", %.1f us of CPU each", figures[FIGURE_CPU_US]);
    }
    if (!isnan(figures[FIGURE_IDLE_BYTES])) {
        fprintf(run->err, " %.0f bytes a connection", figures[FIGURE_IDLE_BYTES]);
    }
    fprintf(run->err, "%s\n", figures[FIGURE_ERRORS] > 0 ? ", with errors" : "");
}

/* ---- trials ---- */

/* NAN: nothing is pinned, or all is on one core. */
static double read_core_latency(const struct run *run)
{
    const struct load_cores *cores = run->processes.cores;
    int proxy = load_cores_of(&cores[LOAD_AT_PROXY], 0);
    int client = load_cores_of(&cores[LOAD_AT_CLIENT], 0);

    return proxy >= 0 && client >= 0 ? core_latency_ns(proxy, client) : NAN;
}

/* Waits, if need be and for some time, until it is as wanted. */
static double await_core_latency(struct run *run)
{
    int64_t end_ns = clock_monotonic_ns() + STEADY_WAIT_NS;
    double latency_ns = read_core_latency(run);

    if (!core_latency_alike(latency_ns, run->core_latency_ns)) {
        fprintf(run->err, "a cache line takes %.0f ns from core to core: waiting for some %.0f\n",
                latency_ns, run->core_latency_ns);
    }
    while (!core_latency_alike(latency_ns, run->core_latency_ns) && clock_monotonic_ns() < end_ns &&
           !load_is_interrupted) {
        load_nap(STEADY_NAP_NS);
        latency_ns = read_core_latency(run);
    }
    return latency_ns;
}

/* Cases that are measured at the same time, and where their figures go. */
struct trial {
    unsigned sides; /* at least 1 */
    struct load_case *cases[LOAD_SIDES_MAX];
    double *figures[LOAD_SIDES_MAX];
};

static bool make_trial_once(struct run *run, const struct trial *trial, double rate_hz)
{
    bool has_proxy = load_modes[trial->cases[0]->mode].has_proxy;
    struct load_plan plans[LOAD_SIDES_MAX];
    unsigned first = run->trial + 1;
    bool done;

    run->trial += trial->sides;
    run->watched_units = 0;
    run->watched_ns = clock_monotonic_ns();
    load_case_name(trial->cases[0], run->watched);
    for (unsigned i = 0; i < trial->sides; i++) {
        plans[i] = load_run_plan(&run->processes, trial->cases[i], rate_hz, first + i);
        plans[i].sides = trial->sides;
        plans[i].side = i;
        if (has_proxy && !load_proxy_start(&run->processes, &plans[i], run->err)) {
            return false;
        }
    }
    done = load_trial_run(&run->processes, plans, watch, run, run->err);
    for (unsigned i = 0; i < trial->sides; i++) {
        if (has_proxy && !load_proxy_stop(&run->processes, &plans[i], run->err)) {
            done = false;
        }
        load_figures_take(&plans[i], &run->processes.results[i], trial->figures[i]);
    }
    for (unsigned i = 0; i < trial->sides && done; i++) {
        say_trial(run, first + i, trial->cases[i], trial->figures[i]);
    }
    return done;
}

/* Whether something else than what is measured made it what it is; says what. */
static bool is_disturbed(const struct run *run, double before_ns, double behind_ns, double rate_hz,
                         double stolen)
{
    if (!core_latency_alike(before_ns, behind_ns)) {
        fprintf(run->err,
                "a cache line took %.0f ns from core to core before, %.0f behind it: "
                "again\n",
                before_ns, behind_ns);
        return true;
    }
    if (rate_hz > 0 && stolen > LOAD_STOLEN_MAX) {
        fprintf(run->err, "the host took %.0f %% of a core away: again\n", stolen * 100);
        return true;
    }
    return false;
}

static bool make_trial(struct run *run, const struct trial *trial, double rate_hz)
{
    ASSERT(trial->sides > 0 && trial->sides <= LOAD_SIDES_MAX);
    /* Memory is the same at any latency, and another proxy has it from the first time. */
    if (trial->cases[0]->profile == LOAD_IDLE) {
        return make_trial_once(run, trial, rate_hz);
    }
    for (int tries = 1;; tries++) {
        double before_ns = await_core_latency(run);
        bool is_wanted = core_latency_alike(before_ns, run->core_latency_ns);
        double behind_ns;

        if (!make_trial_once(run, trial, rate_hz)) {
            return false;
        }
        behind_ns = read_core_latency(run);
        for (unsigned i = 0; i < trial->sides; i++) {
            trial->figures[i][FIGURE_CORE_LATENCY_NS] = (before_ns + behind_ns) / 2;
        }
        if (!run->options->is_steady || !is_wanted || tries == STEADY_TRIES_MAX ||
            !is_disturbed(run, before_ns, behind_ns, rate_hz, trial->figures[0][FIGURE_STOLEN])) {
            return true;
        }
        run->trial_count += trial->sides;
    }
}

static void keep(const struct run *run, const struct load_result *result, struct load_case *one)
{
    double trial_s = (run->options->warm_up_ms + run->options->window_ms) / 1000.0;

    one->rounds++;
    if (one->profile != LOAD_IDLE) {
        histogram_merge(&one->latency, &result->latency);
    }
    one->slot_count = result->slot_count;
    for (unsigned i = 0; i < result->slot_count; i++) {
        double hz = (double)result->slots[i] * (double)NS_PER_S / (double)LOAD_SLOT_NS;
        one->throughput_hz[i] += (hz - one->throughput_hz[i]) / (double)one->rounds;
    }
    one->out_of_ports |= result->out_of_ports;
    one->out_of_descriptors |= result->out_of_descriptors;
    one->has_one_source |= result->has_one_source;
    one->dialled_hz = fmax(one->dialled_hz, (double)result->dialled / trial_s);
    if (!one->first_error[0]) {
        memcpy(one->first_error, result->first_error, sizeof(one->first_error));
    }
}

/* Of a round's first trial. */
static double wanted_core_latency(const struct load_options *options)
{
    return options->core_latency_ns ? options->core_latency_ns : NAN;
}

/* The first run->sides of these, each in another place than in the round before. */
static bool make_turn(struct run *run, struct load_case *cases, size_t round)
{
    struct trial trial = {.sides = run->sides};

    for (unsigned i = 0; i < trial.sides; i++) {
        trial.cases[i] = &cases[(i + round) % trial.sides];
        trial.figures[i] = trial.cases[i]->figures[round];
    }
    if (!make_trial(run, &trial, run->options->rate_hz)) {
        return false;
    }
    if (run->options->is_steady && isnan(run->core_latency_ns)) {
        run->core_latency_ns = trial.figures[0][FIGURE_CORE_LATENCY_NS];
    }
    for (unsigned i = 0; i < trial.sides; i++) {
        keep(run, &run->processes.results[i], trial.cases[i]);
    }
    return true;
}

/* What the figures of a round are against each other. */
static void relate_cases(struct load_results *results, size_t round)
{
    for (size_t i = 0; i < results->case_count; i++) {
        struct load_case *one = &results->cases[i];
        const struct load_case *baseline =
            load_results_find(results, load_modes[one->mode].baseline, one->profile);
        const struct load_case *reference = load_results_reference(results, one);
        const struct load_case *base = load_results_base(results, one);

        if (load_modes[one->mode].has_proxy && baseline) {
            load_figures_add(one->figures[round], baseline->figures[round]);
        }
        if (reference) {
            load_figures_relate(one->figures[round], reference->figures[round]);
        }
        if (base) {
            load_figures_scale(one->figures[round], base->figures[round],
                               (double)one->workers / base->workers);
        }
    }
}

/* Each round begins with another turn, so that what drifts hits all of them. */
static bool make_rounds(struct run *run)
{
    struct load_results *results = &run->results;
    size_t turns = results->case_count / run->sides;

    run->trial_count = (unsigned)(run->options->rounds * results->case_count);
    for (size_t round = 0; round < run->options->rounds; round++) {
        run->core_latency_ns = wanted_core_latency(run->options);
        for (size_t i = 0; i < turns; i++) {
            if (!make_turn(run, &results->cases[(i + round) % turns * run->sides], round)) {
                return false;
            }
        }
        relate_cases(results, round);
    }
    return true;
}

/* What a closed loop reaches bounds the search; each trial halves what is left. */
static bool search_max(struct run *run)
{
    struct load_results *results = &run->results;
    const struct load_require *bound = &run->options->find_max;
    struct load_case *one = NULL;
    double figures[FIGURE_COUNT];
    struct trial trial = {.sides = 1, .figures = {figures}};
    double low = 0, high;

    for (size_t i = 0; i < results->case_count; i++) {
        bool is_wanted =
            load_require_concerns(bound, results->cases[i].mode, results->cases[i].profile);
        if (is_wanted && one) {
            fputs("weir bench: --find-max searches in one case: name one of --modes and one of "
                  "--profiles, or MODE/PROFILE/ in the bound, and no more than one of --workers "
                  "and --variants\n",
                  run->err);
            return false;
        }
        one = is_wanted ? &results->cases[i] : one;
    }
    if (!one || one->profile == LOAD_IDLE) {
        fputs("weir bench: --find-max: no case that it could search in\n", run->err);
        return false;
    }
    trial.cases[0] = one;
    run->trial_count = SEARCH_TRIALS + 1;
    run->core_latency_ns = wanted_core_latency(run->options);
    if (!make_trial(run, &trial, 0)) {
        return false;
    }
    high = figures[FIGURE_RATE_HZ] * 1.25;
    for (int i = 0; i < SEARCH_TRIALS; i++) {
        double rate_hz = (low + high) / 2;
        bool holds;

        if (rate_hz < 1 || !make_trial(run, &trial, rate_hz)) {
            return false;
        }
        holds = load_require_holds(bound, figures[bound->figure]) && figures[FIGURE_ERRORS] == 0 &&
                figures[FIGURE_DROPPED] == 0 && figures[FIGURE_RATE_HZ] >= 0.98 * rate_hz;
        fprintf(run->err, "  %.0f/s: %s\n", rate_hz, holds ? "holds" : "does not hold");
        low = holds ? rate_hz : low;
        high = holds ? high : rate_hz;
    }
    results->max_rate_hz = low;
    results->case_count = 0; /* there is one answer, and no table */
    return true;
}

/* ---- the answer ---- */

typedef bool (*write_function)(const struct load_results *results, FILE *out);

static bool write_file(const struct run *run, const char *path, write_function write, FILE *out)
{
    bool is_output = strcmp(path, "-") == 0;
    FILE *file = is_output ? out : fopen(path, "we");
    bool done = file && write(&run->results, file);

    if (file && !is_output) {
        done = fclose(file) == 0 && done;
    }
    if (!done) {
        fprintf(run->err, "weir bench: %s: %s\n", path, errno ? strerror(errno) : "out of memory");
    }
    return done;
}

/* The figure's median of each case that it is for, and whether there was one. */
static bool check_require(const struct run *run, const struct load_require *require)
{
    const struct load_results *results = &run->results;
    bool holds = true;
    bool is_there = false;

    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];
        double value = load_case_spread(one, require->figure).median;
        const char *unit = load_figure_rows[require->figure].unit;
        char name[LOAD_CASE_NAME_MAX];

        if (!load_require_concerns(require, one->mode, one->profile) ||
            (isnan(value) && (require->profile < 0 || require->figure == FIGURE_CPU_RATIO ||
                              require->figure == FIGURE_SCALING))) {
            continue; /* a figure that this profile, or what others are related to, does not have */
        }
        is_there = true;
        if (!load_require_holds(require, value)) {
            load_case_name(one, name);
            fprintf(run->err, "weir bench: %s does not hold: %s has %.6g%s%s\n", require->text,
                    name, value, unit[0] ? " " : "", unit);
            holds = false;
        }
    }
    if (!is_there) {
        fprintf(run->err, "weir bench: %s: no case has this figure\n", require->text);
    }
    return holds && is_there;
}

static int judge(const struct run *run)
{
    bool holds = true;

    for (size_t i = 0; i < run->results.case_count; i++) {
        if (load_case_spread(&run->results.cases[i], FIGURE_MISMATCHES).max > 0) {
            fputs("weir bench: a body came as another one than was sent\n", run->err);
            return EXIT_STATUS_DATA;
        }
    }
    for (size_t i = 0; i < run->options->require_count; i++) {
        holds = check_require(run, &run->options->requires[i]) && holds;
    }
    if (run->options->has_find_max && run->results.max_rate_hz == 0) {
        fprintf(run->err, "weir bench: %s holds at no rate\n", run->options->find_max.text);
        holds = false;
    }
    return holds ? EXIT_STATUS_OK : STATUS_REQUIRE;
}

static int answer(struct run *run, FILE *out)
{
    const struct load_options *o = run->options;
    bool done = true;

    load_results_warn(&run->results);
    if (!o->json_file || strcmp(o->json_file, "-") != 0) {
        load_results_print(&run->results, out);
    }
    if (o->json_file) {
        done = write_file(run, o->json_file, load_results_write_json, out);
    }
    if (o->html_file) {
        done = write_file(run, o->html_file, load_results_write_html, out) && done;
    }
    return done ? judge(run) : EXIT_STATUS_CANNOT_CREATE;
}

static int run_all(const struct load_options *options, FILE *out, FILE *err)
{
    struct run *run = calloc(1, sizeof(*run));
    int status = EXIT_STATUS_RUNTIME;

    if (!run) {
        fputs("weir bench: out of memory\n", err);
        return status;
    }
    run->options = options;
    run->err = err;
    run->is_terminal = isatty(fileno(err));
    run->sides = load_options_sides(options);
    run->results.options = options;
    run->results.max_rate_hz = NAN;
    run->results.wall_ns = clock_wall_ns();
    load_machine_read(&run->results.machine);
    snprintf(run->results.proxy, sizeof(run->results.proxy), "%s%.100s",
             options->proxy ? "the proxy at " : "weir ",
             options->proxy ? options->proxy : WEIR_VERSION);
    if (!load_processes_init(&run->processes, options, err) || !make_cases(run)) {
        status = EXIT_STATUS_USAGE;
    } else if (load_processes_begin(&run->processes, err)) {
        memcpy(run->results.cores, run->processes.cores, sizeof(run->results.cores));
        if (options->has_find_max ? search_max(run) : make_rounds(run)) {
            status = answer(run, out);
        }
    }
    load_processes_end(&run->processes);
    free(run->results.cases);
    free(run);
    return status;
}

/* In this process, until it is ended. */
static int run_origin(const struct load_options *options, FILE *out, FILE *err)
{
    struct load_ports ports = options->ports;
    struct load_listeners listeners;
    static struct load_origin_state state;
    struct load_pki pki;

    if (!options->ca_dir) {
        fputs("weir bench: --ca-dir DIR is missing\nweir bench origin --help explains it\n", err);
        return EXIT_STATUS_USAGE;
    }
    if (!load_origin_bind(&ports, true, &listeners, state.fault, sizeof(state.fault))) {
        fprintf(err, "weir bench: %s\n", state.fault);
        return EXIT_STATUS_CANNOT_CREATE;
    }
    fprintf(out, "{\"http\":%u,\"https\":%u,\"dns\":%u}\n", ports.clear, ports.tls, ports.dns);
    fflush(out);
    if (load_pki_open(&pki, options->ca_dir, state.fault, sizeof(state.fault))) {
        load_origin_serve(&listeners, &pki, false, &state);
    }
    fprintf(err, "weir bench: %s\n", state.fault);
    return EXIT_STATUS_RUNTIME;
}

int load_command_run(enum load_verb verb, char *const *arguments, size_t count, FILE *out,
                     FILE *err)
{
    static struct load_options options;
    int status = load_options_parse(verb, arguments, count, &options, out, err);

    if (status >= 0) {
        return status;
    }
    hash_set_seed(random_seed());
    switch (verb) {
    case LOAD_VERB_RUN:
        return run_all(&options, out, err);
    case LOAD_VERB_ORIGIN:
        return run_origin(&options, out, err);
    case LOAD_VERB_COMPARE:
        return load_compare_run(options.operands[0], options.operands[1], out, err);
    case LOAD_VERB_GROW:
        return grow_run(&options, out, err);
    }
    return EXIT_STATUS_USAGE;
}
