/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/grow.h"

#include "bench/grow_results.h"
#include "bench/proc.h"
#include "core/base/clock.h"
#include "core/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { CASES_MAX = GROW_CURVE_COUNT * GROW_POINTS_MAX };

/* Exit statuses of this command alone. */
enum { STATUS_BENDS = 99 };

struct grow_line *grow_results_find(struct grow_results *results, enum grow_curve curve)
{
    for (size_t i = 0; i < results->line_count; i++) {
        if (results->lines[i].curve == curve) {
            return &results->lines[i];
        }
    }
    return NULL;
}

/* Amounts above what the curve has are left out; one with none is, too. */
static void make_lines(struct grow_results *results)
{
    const struct load_options *o = results->options;

    for (int curve = 0; curve < GROW_CURVE_COUNT; curve++) {
        const struct grow_curve_row *row = &grow_curves[curve];
        const unsigned *amounts = o->point_count ? o->points : row->points;
        size_t cap = o->point_count ? o->point_count : GROW_POINTS_MAX;
        struct grow_line *line = &results->lines[results->line_count];

        *line = (struct grow_line){.curve = (enum grow_curve)curve};
        for (size_t i = 0; i < cap && amounts[i] && amounts[i] <= row->max; i++) {
            line->points[line->count++] = (struct grow_point){.amount = amounts[i], .bytes = NAN};
        }
        results->line_count += o->has_curve[curve] && line->count;
    }
}

/* Tables are looked at on the core that the proxy had. */
static bool measure(struct grow_results *results, struct load_processes *processes, FILE *err)
{
    int core = load_cores_of(&processes->cores[LOAD_AT_PROXY], 0);

    if (!grow_load_measure(results, processes, err)) {
        return false;
    }
    if (core >= 0 && !proc_pin(core)) {
        fprintf(err, "weir bench: core %d: %s\n", core, strerror(errno));
        return false;
    }
    return grow_leaf_measure(results, processes->folder, err) && grow_detect_measure(results, err);
}

typedef bool (*write_function)(const struct grow_results *results, FILE *out);

static bool write_file(const struct grow_results *results, const char *path, write_function write,
                       FILE *out, FILE *err)
{
    bool is_output = strcmp(path, "-") == 0;
    FILE *file = is_output ? out : fopen(path, "we");
    bool done = file && write(results, file);

    if (file && !is_output) {
        done = fclose(file) == 0 && done;
    }
    if (!done) {
        fprintf(err, "weir bench: %s: %s\n", path, errno ? strerror(errno) : "out of memory");
    }
    return done;
}

static int answer(const struct grow_results *results, FILE *out, FILE *err)
{
    const struct load_options *o = results->options;
    bool done = true;

    if (!o->json_file || strcmp(o->json_file, "-") != 0) {
        grow_results_print(results, out);
    }
    if (o->json_file) {
        done = write_file(results, o->json_file, grow_results_write_json, out, err);
    }
    if (o->html_file) {
        done = write_file(results, o->html_file, grow_results_write_html, out, err) && done;
    }
    if (!done) {
        return EXIT_STATUS_CANNOT_CREATE;
    }
    for (size_t i = 0; i < results->line_count; i++) {
        if (grow_judge(&results->lines[i]) == GROW_BENDS) {
            return STATUS_BENDS;
        }
    }
    return EXIT_STATUS_OK;
}

static int run(struct grow_results *results, struct load_processes *processes, FILE *out, FILE *err)
{
    make_lines(results);
    if (results->line_count == 0) {
        fputs("weir bench: --points: none that a curve that was named has\n", err);
        return EXIT_STATUS_USAGE;
    }
    if (!load_processes_init(processes, results->options, err)) {
        return EXIT_STATUS_USAGE;
    }
    memcpy(results->load.cores, processes->cores, sizeof(results->load.cores));
    if (!load_processes_begin(processes, err) || !measure(results, processes, err)) {
        return EXIT_STATUS_RUNTIME;
    }
    load_results_warn(&results->load);
    return answer(results, out, err);
}

int grow_run(const struct load_options *options, FILE *out, FILE *err)
{
    static struct load_processes processes;
    static struct load_options no_rate; /* bench/grow_load.c has two, and warns itself */
    struct grow_results *results = calloc(1, sizeof(*results));
    struct load_case *cases = calloc(CASES_MAX, sizeof(*cases));
    int status = EXIT_STATUS_RUNTIME;

    if (results && cases) {
        results->options = options;
        results->rate_hz = options->rate_hz ? options->rate_hz : GROW_RATE_HZ;
        no_rate = *options;
        no_rate.rate_hz = 0;
        results->load = (struct load_results){.options = &no_rate, .cases = cases};
        results->load.wall_ns = clock_wall_ns();
        load_machine_read(&results->load.machine);
        processes.options = options;
        status = run(results, &processes, out, err);
    } else {
        fputs("weir bench: out of memory\n", err);
    }
    load_processes_end(&processes);
    free(results);
    free(cases);
    return status;
}
