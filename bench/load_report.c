/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_results.h"

#include "core/base/clock.h"
#include "core/base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#define BUSY_MAX        0.9  /* share of a core that a client may use */
#define OTHERS_MAX      0.1  /* of one core */
#define LATE_US_MAX     1000 /* of an open loop */
#define RATE_MISSED_MAX 0.02

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

/* Who is interrupted works on in smaller pieces, and with cold caches: CPU times grow, too. */
static void warn_of_others(struct load_results *results)
{
    double most = 0;

    for (size_t i = 0; i < results->case_count; i++) {
        double others = load_case_spread(&results->cases[i], FIGURE_OTHERS_BUSY).max;
        most = others > most ? others : most;
    }
    if (most > OTHERS_MAX) {
        load_results_add_warning(results,
                                 "others used the cores of the trials, in one of them %.0f %% of a "
                                 "core: all figures are worse than they should be",
                                 most * 100);
    }
}

/* A core that is full says more of the client than of the proxy. */
static void warn_of_busy(struct load_results *results)
{
    char names[LOAD_WARNING_MAX - 128];
    struct text t = text_make(names, sizeof(names));

    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];
        double client = load_case_spread(one, FIGURE_CLIENT_BUSY).median;
        double origin = load_case_spread(one, FIGURE_ORIGIN_BUSY).median;

        if ((results->is_shared_core && !isnan(origin) ? client + origin : client) > BUSY_MAX) {
            text_printf(&t, "%s%s/%s", t.len ? ", " : "", load_modes[one->mode].name,
                        load_profiles[one->profile].name);
        }
    }
    if (t.len) {
        load_results_add_warning(results,
                                 "the client's core was full: rate and latency are the client's, "
                                 "CPU time of the proxy stands: %.*s%s",
                                 (int)t.len, names, t.overflow ? ", ..." : "");
    }
}

static void warn_of_case(struct load_results *results, const struct load_case *one)
{
    const char *mode = load_modes[one->mode].name;
    const char *profile = load_profiles[one->profile].name;
    double errors = load_case_spread(one, FIGURE_ERRORS).max;
    double mismatches = load_case_spread(one, FIGURE_MISMATCHES).max;
    double late_us = load_case_spread(one, FIGURE_LATE_P99_US).median;
    double rate_hz = load_case_spread(one, FIGURE_RATE_HZ).median;
    double dropped = load_case_spread(one, FIGURE_DROPPED).max;

    if (mismatches > 0) {
        load_results_add_warning(results, "%s/%s: a body came as another one than was sent: %s",
                                 mode, profile, one->first_error);
    } else if (errors > 0) {
        load_results_add_warning(results, "%s/%s: up to %.0f errors a round; the first: %s", mode,
                                 profile, errors, one->first_error);
    }
    if (late_us > LATE_US_MAX) {
        load_results_add_warning(results,
                                 "%s/%s: requests were sent late, one in a hundred by %.0f us",
                                 mode, profile, late_us);
    }
    if (results->options->rate_hz && one->profile != LOAD_IDLE &&
        rate_hz < results->options->rate_hz * (1 - RATE_MISSED_MAX)) {
        load_results_add_warning(results, "%s/%s: %u/s were intended, %.0f/s were answered", mode,
                                 profile, results->options->rate_hz, rate_hz);
    }
    if (dropped > 0) {
        load_results_add_warning(results,
                                 "%s/%s: %.0f requests never found a connection and are missing "
                                 "from the latencies",
                                 mode, profile, dropped);
    }
    if (one->out_of_ports) {
        load_results_add_warning(results, "%s/%s: the client ran out of ports", mode, profile);
    }
    if (one->out_of_descriptors) {
        load_results_add_warning(
            results, "%s/%s: the client ran out of descriptors: raise ulimit -n", mode, profile);
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
    if (results->cores[0] >= 0 && results->cores[0] == results->cores[1]) {
        load_results_add_warning(results, "proxy and client share a core");
    } else if (results->cores[0] < 0) {
        load_results_add_warning(results, "nothing is pinned: CPU times vary more");
    }
    warn_of_others(results);
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

            if (!load_modes[one->mode].has_proxy || one->profile != results->cases[0].profile) {
                continue; /* the others are in the table */
            }
            text_printf(&t, "%s %s/%s", is_first ? " takes for" : ";", load_modes[one->mode].name,
                        load_profiles[one->profile].name);
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

static void print_circumstances(const struct load_results *results, FILE *out)
{
    const struct load_options *options = results->options;

    fprintf(out, "%s; %s, %d cores, %s\n", results->proxy, results->machine.cpu,
            results->machine.core_count, results->machine.kernel);
    if (results->cores[0] >= 0) {
        fprintf(out, "core %d for the proxy, %d for the client, %d for the origin; ",
                results->cores[0], results->cores[1], results->cores[2]);
    }
    fprintf(out, "%u connections, ", options->connections);
    if (options->rate_hz) {
        fprintf(out, "%u/s%s, ", options->rate_hz, options->is_poisson ? " at random times" : "");
    } else {
        fputs("closed loop, ", out);
    }
    fprintf(out, "%u rounds of %g s\n\n", options->rounds, options->window_ms / 1000.0);
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
    fprintf(out, "%-20s", "");
    for (size_t i = 0; i < COUNT_OF(columns); i++) {
        fprintf(out, " %*s", columns[i].width, columns[i].head);
    }
    fputs("  cpu us, lowest to highest\n", out);
    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];
        struct load_spread cpu = load_case_spread(one, FIGURE_CPU_US);
        char name[48];

        snprintf(name, sizeof(name), "%s/%s", load_modes[one->mode].name,
                 load_profiles[one->profile].name);
        fprintf(out, "%-20s", name);
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
            char name[48];

            snprintf(name, sizeof(name), "%s/%s", load_modes[one->mode].name,
                     load_profiles[one->profile].name);
            fprintf(out, "%-20s", name);
            print_number(out, 7, load_case_spread(one, FIGURE_SENT_P50_US).median);
            print_number(out, 7, load_case_spread(one, FIGURE_SENT_P99_US).median);
            print_number(out, 7, load_case_spread(one, FIGURE_SENT_P999_US).median);
            print_number(out, 7, load_case_spread(one, FIGURE_LATE_P99_US).median);
            fputc('\n', out);
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
    }
    for (size_t i = 0; i < results->warning_count; i++) {
        fprintf(out, "%s%s\n", i == 0 ? "\nWith care:\n  " : "  ", results->warnings[i]);
    }
}
