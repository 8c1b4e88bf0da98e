/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_results.h"

#include "bench/core_latency.h"
#include "core/base/clock.h"
#include "core/base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define BUSY_MAX        0.9  /* share of a core that a client may use */
#define OTHERS_MAX      0.1  /* of one core */
#define LATE_US_MAX     1000 /* of an open loop */
#define RATE_MISSED_MAX 0.02
#define PORTS_SHARE_MAX 0.48 /* dialled in a second: the kernel tries half of them first */

const double load_curve_shares[LOAD_CURVE_POINTS] = {0.01, 0.1,  0.25,  0.5,    0.75,   0.9,
                                                     0.95, 0.99, 0.999, 0.9999, 0.99999};

struct load_spread load_case_spread(const struct load_case *one, enum load_figure figure)
{
    double values[LOAD_ROUNDS_MAX];

    for (size_t i = 0; i < one->rounds; i++) {
        values[i] = one->figures[i][figure];
    }
    return load_spread_of(values, one->rounds);
}

const struct load_case *load_results_find(const struct load_results *results, enum load_mode mode,
                                          enum load_profile profile)
{
    for (size_t i = 0; i < results->case_count; i++) {
        if (results->cases[i].mode == mode && results->cases[i].profile == profile) {
            return &results->cases[i];
        }
    }
    return NULL;
}

const struct load_case *load_results_reference(const struct load_results *results,
                                               const struct load_case *one)
{
    unsigned workers = one->variant == LOAD_PLAIN ? results->options->workers[0] : one->workers;

    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *other = &results->cases[i];

        if (other->mode == one->mode && other->profile == one->profile && other != one &&
            other->variant == LOAD_PLAIN && other->workers == workers) {
            return other;
        }
    }
    return NULL;
}

const struct load_case *load_results_base(const struct load_results *results,
                                          const struct load_case *one)
{
    const struct load_options *o = results->options;
    bool says_throughput = o->rate_hz == 0 && !o->is_together; /* of a weir that has its cores */
    const struct load_case *base = one;

    for (size_t i = 0; i < results->case_count && says_throughput; i++) {
        const struct load_case *other = &results->cases[i];

        if (other->mode == one->mode && other->profile == one->profile &&
            other->variant == one->variant && other->workers < base->workers) {
            base = other;
        }
    }
    return base == one ? NULL : base;
}

void load_case_name(const struct load_case *one, char name[LOAD_CASE_NAME_MAX])
{
    bool is_plain = one->variant == LOAD_PLAIN;
    int len = snprintf(name, LOAD_CASE_NAME_MAX, "%s/%s%s%s", load_modes[one->mode].name,
                       load_profiles[one->profile].name, is_plain ? "" : "+",
                       is_plain ? "" : load_variants[one->variant]);

    if (one->workers > 1) {
        snprintf(name + len, LOAD_CASE_NAME_MAX - (size_t)len, "@%u", one->workers);
    }
}

/* ---- the machine ---- */

void load_machine_read(struct load_machine *machine)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    struct utsname system;
    char line[256];

    *machine = (struct load_machine){
        .cpu = "unknown",
        .core_count = (int)sysconf(_SC_NPROCESSORS_ONLN),
        .memory_mib = sysconf(_SC_PHYS_PAGES) / 1024 * (sysconf(_SC_PAGESIZE) / 1024),
    };
    while (file && fgets(line, sizeof(line), file)) {
        char *name = strchr(line, ':');

        if (name && strncmp(line, "model name", 10) == 0) {
            name[strcspn(name, "\n")] = '\0';
            snprintf(machine->cpu, sizeof(machine->cpu), "%.90s", name + 2);
            break;
        }
    }
    if (file) {
        fclose(file);
    }
    if (uname(&system) == 0) {
        snprintf(machine->kernel, sizeof(machine->kernel), "%.12s %.60s %.16s", system.sysname,
                 system.release, system.machine);
    }
}

/* ---- why not to trust it ---- */

void load_results_add_warning(struct load_results *results, const char *format, ...)
{
    va_list arguments;

    if (results->warning_count == LOAD_WARNINGS_MAX) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(results->warnings[results->warning_count++], LOAD_WARNING_MAX, format, arguments);
    va_end(arguments);
}

/* The highest of all trials; 0: of none it is known. */
static double highest_of(const struct load_results *results, enum load_figure figure)
{
    double most = 0;

    for (size_t i = 0; i < results->case_count; i++) {
        most = fmax(most, load_case_spread(&results->cases[i], figure).max); /* NAN: the other */
    }
    return most;
}

/* Who is interrupted works on in smaller pieces, and with cold caches: CPU times grow, too. */
static void warn_of_others(struct load_results *results)
{
    double most = highest_of(results, FIGURE_OTHERS_BUSY);

    if (most > OTHERS_MAX) {
        load_results_add_warning(results,
                                 "others used the cores of the trials, in one of them %.0f %% of a "
                                 "core: all figures are worse than they should be",
                                 most * 100);
    }
}

/* Pauses of a few milliseconds: a tail is made of them before a median is. */
static void warn_of_stolen(struct load_results *results)
{
    double most = highest_of(results, FIGURE_STOLEN);

    if (most > LOAD_STOLEN_MAX) {
        load_results_add_warning(results,
                                 "the host of this virtual machine took its cores away, in one "
                                 "trial for %.0f %% of a core: the tails of latencies are its",
                                 most * 100);
    }
}

/* Trials at different latencies cannot be compared. */
static void warn_of_core_latency(struct load_results *results)
{
    double least = NAN, most = NAN;

    for (size_t i = 0; i < results->case_count; i++) {
        struct load_spread spread = load_case_spread(&results->cases[i], FIGURE_CORE_LATENCY_NS);

        least = fmin(least, spread.min); /* NAN: the other one */
        most = fmax(most, spread.max);
    }
    if (!core_latency_alike(least, most)) {
        load_results_add_warning(results,
                                 "a cache line took %.0f ns from core to core in one trial, %.0f "
                                 "in another: %s",
                                 least, most,
                                 results->options->is_steady
                                     ? "rounds differ by that"
                                     : "compare none of them; --steady makes those of a round "
                                       "alike");
    }
}

/* A core that is full says more of who is on it than of the proxy. */
static void warn_of_busy(struct load_results *results)
{
    char names[LOAD_WARNING_MAX - 128], name[LOAD_CASE_NAME_MAX];
    struct text t = text_make(names, sizeof(names));

    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];

        if (load_case_spread(one, FIGURE_LOAD_BUSY).median > BUSY_MAX) {
            load_case_name(one, name);
            text_printf(&t, "%s%s", t.len ? ", " : "", name);
        }
    }
    if (t.len) {
        load_results_add_warning(results,
                                 "the core of a client or an origin was full: rate and latency are "
                                 "theirs, CPU time of the proxy stands: %.*s%s",
                                 (int)t.len, names, t.overflow ? ", ..." : "");
    }
}

/* That the kernel chooses from. 0: not known. */
static unsigned count_ports(void)
{
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    unsigned first, last;
    bool is_known = file && fscanf(file, "%u %u", &first, &last) == 2 && last >= first;

    if (file) {
        fclose(file);
    }
    return is_known ? last - first + 1 : 0;
}

static void warn_of_case(struct load_results *results, const struct load_case *one)
{
    char name[LOAD_CASE_NAME_MAX];
    double errors = load_case_spread(one, FIGURE_ERRORS).max;
    double mismatches = load_case_spread(one, FIGURE_MISMATCHES).max;
    double late_us = load_case_spread(one, FIGURE_LATE_P99_US).median;
    double rate_hz = load_case_spread(one, FIGURE_RATE_HZ).median;
    double dropped = load_case_spread(one, FIGURE_DROPPED).max;
    double ports_max = PORTS_SHARE_MAX * count_ports();

    load_case_name(one, name);
    if (mismatches > 0) {
        load_results_add_warning(results, "%s: a body came as another one than was sent: %s", name,
                                 one->first_error);
    } else if (errors > 0) {
        load_results_add_warning(results, "%s: up to %.0f errors a round; the first: %s", name,
                                 errors, one->first_error);
    }
    if (late_us > LATE_US_MAX) {
        load_results_add_warning(
            results, "%s: requests were sent late, one in a hundred by %.0f us", name, late_us);
    }
    if (results->options->rate_hz && one->profile != LOAD_IDLE &&
        rate_hz < results->options->rate_hz * (1 - RATE_MISSED_MAX)) {
        load_results_add_warning(results, "%s: %u/s were intended, %.0f/s were answered", name,
                                 results->options->rate_hz, rate_hz);
    }
    if (dropped > 0) {
        load_results_add_warning(results,
                                 "%s: %.0f requests never found a connection and are missing "
                                 "from the latencies",
                                 name, dropped);
    }
    if (one->out_of_ports) {
        load_results_add_warning(results, "%s: the client ran out of ports", name);
    }
    if (results->options->closer == LOAD_CLIENT_CLOSES && one->dialled_hz > ports_max &&
        ports_max > 0 &&
        (one->has_one_source || (load_modes[one->mode].has_proxy && one->mode != LOAD_FORWARD))) {
        load_results_add_warning(
            results,
            "%s: %.0f connections a second were ended by the client: %s are "
            "in TIME-WAIT for a second each, and above %.0f a second the "
            "kernel's search for free ones may be in the figures",
            name, one->dialled_hz,
            one->has_one_source ? "its ports" : "the proxy's ports to the origin", ports_max);
    }
    if (one->out_of_descriptors) {
        load_results_add_warning(results, "%s: the client ran out of descriptors: raise ulimit -n",
                                 name);
    }
}

static void warn_of_workers(struct load_results *results)
{
    const struct load_options *o = results->options;
    unsigned core_count = (unsigned)results->cores[LOAD_AT_PROXY].count;
    unsigned most = 0;

    for (size_t i = 0; i < o->workers_len; i++) {
        most = o->workers[i] > most ? o->workers[i] : most;
    }
    if (core_count && most > core_count) {
        load_results_add_warning(results,
                                 "%u workers share %u of the cores, and what they do to each other "
                                 "on several is not seen: compare their CPU time alone",
                                 most, core_count);
    }
    if (o->workers_len > 1 && !o->rate_hz) {
        load_results_add_warning(results, "CPU times of several workers are only comparable at the "
                                          "same load: choose one with --rate");
    }
}

void load_results_warn(struct load_results *results)
{
#ifdef WEIR_SLOW_CHECKS
    if (!results->options->proxy) {
        load_results_add_warning(results,
                                 "this build of weir has slow checks: do not quote its figures");
    }
#endif
    if (load_cores_share(&results->cores[LOAD_AT_PROXY], &results->cores[LOAD_AT_CLIENT])) {
        load_results_add_warning(results, "proxy and client share a core");
    } else if (load_cores_share(&results->cores[LOAD_AT_PROXY], &results->cores[LOAD_AT_ORIGIN])) {
        load_results_add_warning(results, "proxy and origin share a core");
    } else if (results->cores[LOAD_AT_PROXY].count == 0) {
        load_results_add_warning(results, "nothing is pinned: CPU times vary more");
    }
    warn_of_workers(results);
    warn_of_others(results);
    warn_of_stolen(results);
    warn_of_core_latency(results);
    warn_of_busy(results);
    for (size_t i = 0; i < results->case_count; i++) {
        warn_of_case(results, &results->cases[i]);
    }
}

/* ---- text ---- */

/* Three digits that count, "-" where there is none. */
static void print_number(FILE *out, int width, double value)
{
    if (isnan(value)) {
        fprintf(out, " %*s", width, "-");
    } else if (fabs(value) >= 99.95 || value == 0) {
        fprintf(out, " %*.0f", width, value);
    } else {
        fprintf(out, " %*.*f", width, fabs(value) >= 9.995 ? 1 : 2, value);
    }
}

void load_results_sentence(const struct load_results *results, char *text, size_t cap)
{
    struct text t = text_make(text, cap - 1);
    char name[LOAD_CASE_NAME_MAX];
    bool is_first = true;

    if (!isnan(results->max_rate_hz)) {
        text_printf(&t, "%s holds %s up to %.0f requests a second", results->proxy,
                    results->options->find_max.text, results->max_rate_hz);
    } else {
        text_printf(&t, "%s", results->proxy);
        for (size_t i = 0; i < results->case_count; i++) {
            const struct load_case *one = &results->cases[i];
            double cpu = load_case_spread(one, FIGURE_CPU_US).median;
            double gib = load_case_spread(one, FIGURE_GIB_CPU_MS).median;
            double idle = load_case_spread(one, FIGURE_IDLE_BYTES).median;
            double added = load_case_spread(one, FIGURE_ADDED_P50_US).median;

            if (!load_modes[one->mode].has_proxy || one->profile != results->cases[0].profile ||
                load_results_reference(results, one)) {
                continue; /* the others are in the table */
            }
            load_case_name(one, name);
            text_printf(&t, "%s %s", is_first ? " takes for" : ";", name);
            is_first = false;
            if (!isnan(idle)) {
                text_printf(&t, " %.0f bytes a connection", idle);
            } else if (!isnan(gib)) {
                text_printf(&t, " %.0f ms of CPU a GiB", gib);
            } else if (!isnan(cpu)) {
                text_printf(&t, " %.1f us of CPU a request", cpu);
            }
            if (isnan(gib) && !isnan(added)) {
                text_printf(&t, " and adds %.0f us to the median", added);
            }
        }
    }
    text_char(&t, '.');
    text[t.len] = '\0';
}

static void print_cores(const struct load_results *results, FILE *out)
{
    static const char *const who[] = {"proxy, ", "client, ", "origin; "};
    bool are_many = false;

    for (int i = 0; i < LOAD_PLACE_COUNT; i++) {
        are_many |= results->cores[i].count > 1;
    }
    for (int i = 0; i < LOAD_PLACE_COUNT && results->cores[i].count; i++) {
        char text[LOAD_CORES_TEXT_MAX];

        load_cores_print(&results->cores[i], text);
        fprintf(out, "%s%s for the %s", i ? "" : are_many ? "cores " : "core ", text, who[i]);
    }
}

static void print_circumstances(const struct load_results *results, FILE *out)
{
    const struct load_options *options = results->options;

    fprintf(out, "%s; %s, %d cores, %s\n", results->proxy, results->machine.cpu,
            results->machine.core_count, results->machine.kernel);
    print_cores(results, out);
    fprintf(out, "%u connections, ", options->connections);
    if (options->clients > 1 || options->origins > 1) {
        fprintf(out, "%u clients, %u origins, ", options->clients, options->origins);
    }
    if (options->rate_hz) {
        fprintf(out, "%u/s%s, ", options->rate_hz, options->is_poisson ? " at random times" : "");
    } else {
        fputs("closed loop, ", out);
    }
    fprintf(out, "%u rounds of %g s; the %s closes%s\n\n", options->rounds,
            options->window_ms / 1000.0, load_closers[options->closer],
            options->is_together ? "; weirs at the same time" : "");
}

struct column {
    const char *head;
    enum load_figure figure;
    int width;
};

static const struct column columns[] = {
    {"rate/s", FIGURE_RATE_HZ, 8},    {"MiB/s", FIGURE_MIB_S, 7},
    {"p50 us", FIGURE_P50_US, 7},     {"p99 us", FIGURE_P99_US, 7},
    {"p99.9", FIGURE_P999_US, 7},     {"+p50", FIGURE_ADDED_P50_US, 7},
    {"+p99", FIGURE_ADDED_P99_US, 7}, {"+p99.9", FIGURE_ADDED_P999_US, 7},
    {"cpu us", FIGURE_CPU_US, 7},     {"ms/GiB", FIGURE_GIB_CPU_MS, 7},
    {"idle B", FIGURE_IDLE_BYTES, 7}, {"errors", FIGURE_ERRORS, 6},
};

static void print_table(const struct load_results *results, FILE *out)
{
    char name[LOAD_CASE_NAME_MAX];
    int width = 20;

    for (size_t i = 0; i < results->case_count; i++) {
        load_case_name(&results->cases[i], name);
        width = (int)strlen(name) > width ? (int)strlen(name) : width;
    }
    fprintf(out, "%-*s", width, "");
    for (size_t i = 0; i < COUNT_OF(columns); i++) {
        fprintf(out, " %*s", columns[i].width, columns[i].head);
    }
    fputs("  cpu us, lowest to highest\n", out);
    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];
        struct load_spread cpu = load_case_spread(one, FIGURE_CPU_US);

        load_case_name(one, name);
        fprintf(out, "%-*s", width, name);
        for (size_t j = 0; j < COUNT_OF(columns); j++) {
            print_number(out, columns[j].width, load_case_spread(one, columns[j].figure).median);
        }
        if (!isnan(cpu.median)) {
            fprintf(out, "  %.1f to %.1f", cpu.min, cpu.max);
        }
        fputc('\n', out);
    }
    if (results->options->rate_hz) {
        fputs("\nNot corrected, from when a request was sent: p50, p99, p99.9 in us; late\n", out);
        for (size_t i = 0; i < results->case_count; i++) {
            const struct load_case *one = &results->cases[i];

            load_case_name(one, name);
            fprintf(out, "%-*s", width, name);
            print_number(out, 7, load_case_spread(one, FIGURE_SENT_P50_US).median);
            print_number(out, 7, load_case_spread(one, FIGURE_SENT_P99_US).median);
            print_number(out, 7, load_case_spread(one, FIGURE_SENT_P999_US).median);
            print_number(out, 7, load_case_spread(one, FIGURE_LATE_P99_US).median);
            fputc('\n', out);
        }
    }
}

bool load_case_cost(const struct load_case *one, char *text, size_t cap)
{
    static const double logging_max = 1.10, detection_max = 1.03, workers_max = 1.08;
    struct load_spread ratio = load_case_spread(one, FIGURE_CPU_RATIO);
    bool is_new =
        one->profile == LOAD_NEW || one->profile == LOAD_RESUMED || one->profile == LOAD_HOSTS;
    const char *what = "logging on costs";
    double bound = one->profile == LOAD_SMALL ? logging_max : NAN;
    struct text t = text_make(text, cap - 1);
    char workers[32];

    if (isnan(ratio.median)) {
        return false;
    }
    if (one->variant == LOAD_BLIND) { /* which is without it */
        ratio = (struct load_spread){1 / ratio.median, 1 / ratio.max, 1 / ratio.min};
        what = "detection on costs";
        bound = load_modes[one->mode].has_tls && is_new ? detection_max : NAN;
    } else if (one->variant == LOAD_PLAIN) {
        snprintf(workers, sizeof(workers), "%u workers cost", one->workers);
        what = workers;
        bound = one->workers > 1 ? workers_max : NAN;
    }
    text_printf(&t, "%s %+.1f %% (%+.1f to %+.1f)", what, (ratio.median - 1) * 100,
                (ratio.min - 1) * 100, (ratio.max - 1) * 100);
    if (!isnan(bound)) {
        text_printf(&t, "; bound %.0f %%, %s", (bound - 1) * 100,
                    ratio.median <= bound ? "holds" : "does not hold");
    }
    text[t.len] = '\0';
    return true;
}

/* A line about one case; the first one has the heading. */
static void print_sentence(const struct load_case *one, const char *sentence, const char *heading,
                           bool *is_first, FILE *out)
{
    char name[LOAD_CASE_NAME_MAX];

    load_case_name(one, name);
    fprintf(out, "%s  %s: %s\n", *is_first ? heading : "", name, sentence);
    *is_first = false;
}

/* What the variants are measured for. */
static void print_costs(const struct load_results *results, FILE *out)
{
    bool is_first = true;

    for (size_t i = 0; i < results->case_count; i++) {
        char cost[160];

        if (load_case_cost(&results->cases[i], cost, sizeof(cost))) {
            print_sentence(&results->cases[i], cost,
                           "\nCPU time a request, against the weir without it in the same round:\n",
                           &is_first, out);
        }
    }
}

bool load_case_scaling(const struct load_results *results, const struct load_case *one, char *text,
                       size_t cap)
{
    struct load_spread scaling = load_case_spread(one, FIGURE_SCALING);
    const struct load_case *base = load_results_base(results, one);
    struct text t = text_make(text, cap - 1);
    double more;

    if (!base || isnan(scaling.median)) {
        return false;
    }
    more = (double)one->workers / base->workers;
    text_printf(&t, "%u workers do %.2f times the work of ", one->workers, scaling.median * more);
    if (base->workers > 1) {
        text_unsigned(&t, base->workers);
    } else {
        text_string(&t, "one");
    }
    text_printf(&t, " (%.2f to %.2f), %.2f of linear", scaling.min * more, scaling.max * more,
                scaling.median);
    text[t.len] = '\0';
    return true;
}

static void print_scaling(const struct load_results *results, FILE *out)
{
    bool is_first = true;

    for (size_t i = 0; i < results->case_count; i++) {
        char scaling[160];

        if (load_case_scaling(results, &results->cases[i], scaling, sizeof(scaling))) {
            print_sentence(&results->cases[i], scaling,
                           "\nRequests a second, against fewer workers in the same round:\n",
                           &is_first, out);
        }
    }
}

void load_results_print(const struct load_results *results, FILE *out)
{
    char sentence[2048];

    load_results_sentence(results, sentence, sizeof(sentence));
    fprintf(out, "%s\n\n", sentence);
    print_circumstances(results, out);
    if (results->case_count) {
        print_table(results, out);
        fputs("\nMedians of the rounds. + is what the proxy adds to the direct way in the same "
              "round;\ncpu is the proxy's CPU time a request.\n",
              out);
        print_costs(results, out);
        print_scaling(results, out);
    }
    for (size_t i = 0; i < results->warning_count; i++) {
        fprintf(out, "%s%s\n", i == 0 ? "\nWith care:\n  " : "  ", results->warnings[i]);
    }
}
