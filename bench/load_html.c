/* SPDX-License-Identifier: Apache-2.0 */
/* One page: the sentence, the table, and for each profile two drawings. */
#include "bench/load_results.h"

#include "bench/page.h"
#include "core/base/clock.h"
#include "core/base/text.h"

#include <math.h>

/* ---- the table ---- */

static const enum load_figure columns[] = {
    FIGURE_CPU_US,       FIGURE_GIB_CPU_MS,    FIGURE_IDLE_BYTES,  FIGURE_RATE_HZ,
    FIGURE_P50_US,       FIGURE_P99_US,        FIGURE_P999_US,     FIGURE_ADDED_P50_US,
    FIGURE_ADDED_P99_US, FIGURE_ADDED_P999_US, FIGURE_MIB_S,       FIGURE_SENT_P99_US,
    FIGURE_LATE_P99_US,  FIGURE_CLIENT_BUSY,   FIGURE_OTHERS_BUSY, FIGURE_STOLEN,
    FIGURE_ERRORS,
};

static void write_table(const struct load_results *results, FILE *out)
{
    char name[LOAD_CASE_NAME_MAX];

    fputs("<div class=wide><table><tr><th>case</th>", out);
    for (size_t i = 0; i < COUNT_OF(columns); i++) {
        fprintf(out, "<th>%s</th>", load_figure_rows[columns[i]].name);
    }
    fputs("</tr>\n", out);
    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];

        load_case_name(one, name);
        fprintf(out, "<tr><td>%s</td>", name);
        for (size_t j = 0; j < COUNT_OF(columns); j++) {
            struct load_spread spread = load_case_spread(one, columns[j]);

            if (isnan(spread.median)) {
                fputs("<td>&ndash;</td>", out);
                continue;
            }
            fputs("<td title=\"", out);
            page_write_number(out, spread.min);
            fputs(" to ", out);
            page_write_number(out, spread.max);
            fputs("\">", out);
            page_write_number(out, spread.median);
            fputs("</td>", out);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];
        char words[160];

        load_case_name(one, name);
        if (load_case_cost(one, words, sizeof(words))) {
            fprintf(out, "<p>%s: %s.</p>\n", name, words);
        }
        if (load_case_scaling(results, one, words, sizeof(words))) {
            fprintf(out, "<p>%s: %s.</p>\n", name, words);
        }
    }
}

/* ---- drawings ---- */

/* A colour for each mode, and dashes for what is not plain, or of more workers. */
static unsigned dashes_of(const struct load_case *one)
{
    return ((unsigned)one->variant + one->workers - 1) % PAGE_DASHES;
}

static void begin_line(const struct load_case *one, FILE *out)
{
    fprintf(out, "<polyline class=\"line m%d d%u\" points=\"", (int)one->mode, dashes_of(one));
}

static void end_line(const struct load_case *one, FILE *out)
{
    char name[LOAD_CASE_NAME_MAX];

    load_case_name(one, name);
    fprintf(out, "\"><title>%s</title></polyline>\n", name);
}

static double curve_us(const struct load_case *one, size_t point)
{
    return (double)histogram_quantile(&one->latency, load_curve_shares[point]) / NS_PER_US;
}

static double point_share(size_t point)
{
    return (double)point / (LOAD_CURVE_POINTS - 1);
}

/* Logarithmic; a decade is a level. */
static void draw_latency(const struct load_results *results, enum load_profile profile, FILE *out)
{
    double low = INFINITY;
    double high = 0;

    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];

        if (one->profile == profile && one->latency.count) {
            low = fmin(low, curve_us(one, 0));
            high = fmax(high, curve_us(one, LOAD_CURVE_POINTS - 1));
        }
    }
    low = floor(log10(fmax(low, 1)));
    high = fmax(ceil(log10(fmax(high, 10))), low + 1);
    page_begin_drawing(out,
                       "Latency in &micro;s, by the share of requests that are at most so slow");
    for (int decade = (int)low; decade <= (int)high; decade++) {
        char words[32];

        snprintf(words, sizeof(words), "%.0f", pow(10, decade));
        page_write_level(out, (decade - low) / (high - low), words);
    }
    for (size_t i = 0; i < LOAD_CURVE_POINTS; i++) {
        char words[32];

        snprintf(words, sizeof(words), "%.7g", load_curve_shares[i] * 100);
        page_write_tick(out, point_share(i), i % 2, words);
    }
    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];

        if (one->profile != profile || !one->latency.count) {
            continue;
        }
        begin_line(one, out);
        for (size_t j = 0; j < LOAD_CURVE_POINTS; j++) {
            double share = (log10(fmax(curve_us(one, j), 1)) - low) / (high - low);
            fprintf(out, "%.1f,%.1f ", page_x(point_share(j)), page_y(share));
        }
        end_line(one, out);
    }
    page_end_drawing(out);
}

static void draw_throughput(const struct load_results *results, enum load_profile profile,
                            FILE *out)
{
    double high = 1;
    unsigned slots = 2;
    double top;

    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];

        for (unsigned j = 0; one->profile == profile && j < one->slot_count; j++) {
            high = fmax(high, one->throughput_hz[j]);
            slots = one->slot_count > slots ? one->slot_count : slots;
        }
    }
    page_begin_drawing(out, "Requests a second, over the seconds of a trial");
    top = page_write_levels(out, high);
    for (int i = 0; i <= PAGE_LEVELS; i++) {
        char words[32];

        snprintf(words, sizeof(words), "%.3g s", (double)slots * i / PAGE_LEVELS / 10);
        page_write_tick(out, (double)i / PAGE_LEVELS, 0, words);
    }
    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];

        if (one->profile != profile || !one->slot_count) {
            continue;
        }
        begin_line(one, out);
        for (unsigned j = 0; j < one->slot_count; j++) {
            fprintf(out, "%.1f,%.1f ", page_x((j + 0.5) / slots),
                    page_y(one->throughput_hz[j] / top));
        }
        end_line(one, out);
    }
    page_end_drawing(out);
}

static void draw_profile(const struct load_results *results, enum load_profile profile, FILE *out)
{
    char name[LOAD_CASE_NAME_MAX];
    bool is_there = false;

    for (size_t i = 0; i < results->case_count; i++) {
        is_there |= results->cases[i].profile == profile && results->cases[i].latency.count;
    }
    if (!is_there) {
        return;
    }
    fprintf(out, "<h2>%s: %s</h2>\n<div class=key>", load_profiles[profile].name,
            load_profiles[profile].what);
    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];

        if (one->profile == profile) {
            load_case_name(one, name);
            page_write_key(out, (int)one->mode, dashes_of(one), name);
        }
    }
    fputs("</div>\n<div class=pair>\n", out);
    draw_latency(results, profile, out);
    draw_throughput(results, profile, out);
    fputs("</div>\n", out);
}

void load_results_write_warnings(const struct load_results *results, FILE *out)
{
    if (results->warning_count) {
        fputs("<p>With care:</p><ul>\n", out);
        for (size_t i = 0; i < results->warning_count; i++) {
            fputs("<li>", out);
            page_write_escaped(out, results->warnings[i]);
            fputs("</li>\n", out);
        }
        fputs("</ul>\n", out);
    }
}

bool load_results_write_html(const struct load_results *results, FILE *out)
{
    const struct load_options *options = results->options;
    char sentence[2048], time[40] = "";
    struct text t = text_make(time, sizeof(time) - 1);

    text_time(&t, results->wall_ns);
    load_results_sentence(results, sentence, sizeof(sentence));
    page_begin(out);
    page_write_escaped(out, sentence);
    fputs("</h1>\n<p class=soft>", out);
    page_write_escaped(out, results->proxy);
    fputs(options->commit ? ", " : "", out);
    page_write_escaped(out, options->commit ? options->commit : "");
    fprintf(out, "; %.10s; ", time);
    page_write_escaped(out, results->machine.cpu);
    fprintf(out, ", %d cores, ", results->machine.core_count);
    page_write_escaped(out, results->machine.kernel);
    fprintf(out, "; %u connections, ", options->connections);
    if (options->clients > 1 || options->origins > 1) {
        fprintf(out, "%u clients, %u origins, ", options->clients, options->origins);
    }
    if (options->rate_hz) {
        fprintf(out, "open loop with %u/s%s", options->rate_hz,
                options->is_poisson ? " at random times" : "");
    } else {
        fputs("closed loop", out);
    }
    fprintf(out, ", %u rounds of %g s; the %s closes%s.</p>\n", options->rounds,
            options->window_ms / 1000.0, load_closers[options->closer],
            options->is_together ? "; weirs at the same time" : "");
    load_results_write_warnings(results, out);
    if (results->case_count) {
        write_table(results, out);
    }
    for (int i = 0; i < LOAD_PROFILE_COUNT; i++) {
        draw_profile(results, (enum load_profile)i, out);
    }
    fputs("<p class=soft>Medians of the rounds; a figure that is pointed at shows its lowest and "
          "highest. added: more than the direct way in the same round. sent: from when a request "
          "was sent; the others count from when it was meant to be.</p>",
          out);
    page_end(out);
    return !ferror(out);
}
