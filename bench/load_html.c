/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One page without scripts and without anything from elsewhere: the sentence, the table, and for
 * each profile two drawings. Colours are those of the reader's scheme, light or dark.
 */
#include "bench/load_results.h"

#include "core/base/clock.h"
#include "core/base/text.h"

#include <math.h>

enum {
    WIDTH = 460,
    HEIGHT = 260,
    LEFT = 64, /* room for the axes' words */
    BOTTOM = 40,
    TOP = 12,
    RIGHT = 26,
    PLOT_WIDTH = WIDTH - LEFT - RIGHT,
    PLOT_HEIGHT = HEIGHT - TOP - BOTTOM,
    TICKS = 4,
};

static const char style[] =
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1c2024;--faint:#d5d9de;--soft:#5d6670;"
    "--warn:#9a4b00;--c0:#7b8591;--c1:#4d5863;--c2:#1567c4;--c3:#0b8a5f;--c4:#8a6d00;--c5:#c2255c;"
    "--c6:#7048e8;--c7:#d9480f}"
    "@media(prefers-color-scheme:dark){:root{--paper:#15181b;--ink:#e7eaed;--faint:#373d44;"
    "--soft:#9aa5b0;--warn:#ffb366;--c0:#97a3af;--c1:#c3ccd5;--c2:#6cb2ff;--c3:#4fd0a0;"
    "--c4:#e3c44f;--c5:#ff7ba8;--c6:#b197fc;--c7:#ff922b}}"
    "body{background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif;margin:2rem "
    "auto;max-width:62rem;padding:0 1rem}"
    "h1{font-size:1.25rem;font-weight:600}h2{font-size:1.05rem;margin:2rem 0 .5rem}"
    "p.soft{color:var(--soft)}li{color:var(--warn)}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;"
    "font-size:.85rem}td,th{padding:.2rem .6rem;text-align:right;border-bottom:1px solid "
    "var(--faint);white-space:nowrap}td:first-child,th:first-child{text-align:left}"
    ".pair{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}figcaption{color:var(--soft);"
    "font-size:.85rem}"
    "svg{max-width:100%;height:auto}svg text{fill:var(--soft);font-size:11px}"
    ".axis{stroke:var(--faint);stroke-width:1}.line{fill:none;stroke-width:2;stroke-linejoin:round}"
    ".m0{stroke:var(--c0)}.m1{stroke:var(--c1)}.m2{stroke:var(--c2)}.m3{stroke:var(--c3)}"
    ".m4{stroke:var(--c4)}.m5{stroke:var(--c5)}.m6{stroke:var(--c6)}"
    ".m7{stroke:var(--c7)}.d1{stroke-dasharray:7 3}.d2{stroke-dasharray:2 3}"
    ".d3{stroke-dasharray:7 3 2 3}.key{display:flex;flex-wrap:wrap;gap:1rem;"
    "font-size:.85rem;margin:.3rem 0}.key svg{vertical-align:middle}";

static void write_escaped(FILE *out, const char *words)
{
    char memory[4096];
    struct text t = text_make(memory, sizeof(memory));

    text_html(&t, span_from_string(words));
    fwrite(memory, 1, t.len, out);
}

static void write_number(FILE *out, double value)
{
    if (isnan(value)) {
        fputs("&ndash;", out);
    } else {
        fprintf(out, "%.*f",
                fabs(value) >= 99.95 || value == 0 ? 0
                : fabs(value) >= 9.995             ? 1
                                                   : 2,
                value);
    }
}

/* ---- the table ---- */

static const enum load_figure columns[] = {
    FIGURE_CPU_US,       FIGURE_GIB_CPU_MS,    FIGURE_IDLE_BYTES,  FIGURE_RATE_HZ,
    FIGURE_P50_US,       FIGURE_P99_US,        FIGURE_P999_US,     FIGURE_ADDED_P50_US,
    FIGURE_ADDED_P99_US, FIGURE_ADDED_P999_US, FIGURE_MIB_S,       FIGURE_SENT_P99_US,
    FIGURE_LATE_P99_US,  FIGURE_CLIENT_BUSY,   FIGURE_OTHERS_BUSY, FIGURE_ERRORS,
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
            write_number(out, spread.min);
            fputs(" to ", out);
            write_number(out, spread.max);
            fputs("\">", out);
            write_number(out, spread.median);
            fputs("</td>", out);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
    for (size_t i = 0; i < results->case_count; i++) {
        char cost[160];

        if (load_case_cost(&results->cases[i], cost, sizeof(cost))) {
            load_case_name(&results->cases[i], name);
            fprintf(out, "<p>%s: %s.</p>\n", name, cost);
        }
    }
}

/* ---- drawings ---- */

/* A colour for each mode, and dashes for what is not plain, or of more workers. */
static void begin_line(const struct load_case *one, const char *element, FILE *out)
{
    fprintf(out, "<%s class=\"line m%d d%u\" ", element, (int)one->mode,
            ((unsigned)one->variant + one->workers - 1) % 4);
}

static void end_line(const struct load_case *one, FILE *out)
{
    char name[LOAD_CASE_NAME_MAX];

    load_case_name(one, name);
    fprintf(out, "\"><title>%s</title></polyline>\n", name);
}

static double plot_y(double share)
{
    return TOP + PLOT_HEIGHT * (1 - share);
}

static void begin_drawing(FILE *out, const char *what)
{
    fprintf(out,
            "<figure><figcaption>%s</figcaption><svg viewBox=\"0 0 %d %d\" width=%d height=%d "
            "role=img aria-label=\"%s\">\n",
            what, WIDTH, HEIGHT, WIDTH, HEIGHT, what);
}

static void write_level(FILE *out, double share, const char *words)
{
    fprintf(out,
            "<path class=axis d=\"M%d %.1fH%d\"/><text x=%d y=%.1f text-anchor=end>%s</text>\n",
            LEFT, plot_y(share), WIDTH - RIGHT, LEFT - 6, plot_y(share) + 4, words);
}

static double curve_us(const struct load_case *one, size_t point)
{
    return (double)histogram_quantile(&one->latency, load_curve_shares[point]) / NS_PER_US;
}

static double point_x(size_t point)
{
    return LEFT + (double)PLOT_WIDTH * (double)point / (LOAD_CURVE_POINTS - 1);
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
    begin_drawing(out, "Latency in &micro;s, by the share of requests that are at most so slow");
    for (int decade = (int)low; decade <= (int)high; decade++) {
        char words[32];

        snprintf(words, sizeof(words), "%.0f", pow(10, decade));
        write_level(out, (decade - low) / (high - low), words);
    }
    for (size_t i = 0; i < LOAD_CURVE_POINTS; i++) {
        fprintf(out, "<text x=%.1f y=%d text-anchor=middle>%.7g</text>\n", point_x(i),
                HEIGHT - BOTTOM + 18 + (i % 2 ? 12 : 0), load_curve_shares[i] * 100);
    }
    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];

        if (one->profile != profile || !one->latency.count) {
            continue;
        }
        begin_line(one, "polyline", out);
        fputs("points=\"", out);
        for (size_t j = 0; j < LOAD_CURVE_POINTS; j++) {
            double share = (log10(fmax(curve_us(one, j), 1)) - low) / (high - low);
            fprintf(out, "%.1f,%.1f ", point_x(j), plot_y(share));
        }
        end_line(one, out);
    }
    fputs("</svg></figure>\n", out);
}

static void draw_throughput(const struct load_results *results, enum load_profile profile,
                            FILE *out)
{
    double high = 1;
    unsigned slots = 2;
    double step;

    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];

        for (unsigned j = 0; one->profile == profile && j < one->slot_count; j++) {
            high = fmax(high, one->throughput_hz[j]);
            slots = one->slot_count > slots ? one->slot_count : slots;
        }
    }
    /* To a round number for each level. */
    step = pow(10, floor(log10(high / TICKS)));
    step *= high / TICKS / step > 5 ? 10 : high / TICKS / step > 2 ? 5 : 2;
    begin_drawing(out, "Requests a second, over the seconds of a trial");
    for (int i = 0; i <= TICKS; i++) {
        char words[32];

        snprintf(words, sizeof(words), "%.6g", i * step);
        write_level(out, (double)i / TICKS, words);
    }
    for (int i = 0; i <= TICKS; i++) {
        fprintf(out, "<text x=%.1f y=%d text-anchor=middle>%.3g s</text>\n",
                LEFT + (double)PLOT_WIDTH * i / TICKS, HEIGHT - BOTTOM + 18,
                (double)slots * i / TICKS / 10);
    }
    for (size_t i = 0; i < results->case_count; i++) {
        const struct load_case *one = &results->cases[i];

        if (one->profile != profile || !one->slot_count) {
            continue;
        }
        begin_line(one, "polyline", out);
        fputs("points=\"", out);
        for (unsigned j = 0; j < one->slot_count; j++) {
            fprintf(out, "%.1f,%.1f ", LEFT + PLOT_WIDTH * (j + 0.5) / slots,
                    plot_y(one->throughput_hz[j] / (step * TICKS)));
        }
        end_line(one, out);
    }
    fputs("</svg></figure>\n", out);
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
            fputs("<span><svg width=24 height=8>", out);
            begin_line(one, "path", out);
            fprintf(out, "d=\"M0 4H24\"/></svg> %s</span>", name);
        }
    }
    fputs("</div>\n<div class=pair>\n", out);
    draw_latency(results, profile, out);
    draw_throughput(results, profile, out);
    fputs("</div>\n", out);
}

bool load_results_write_html(const struct load_results *results, FILE *out)
{
    const struct load_options *options = results->options;
    char sentence[2048], time[40] = "";
    struct text t = text_make(time, sizeof(time) - 1);

    text_time(&t, results->wall_ns);
    load_results_sentence(results, sentence, sizeof(sentence));
    fprintf(out,
            "<!doctype html>\n<html lang=en><meta charset=utf-8>\n"
            "<meta name=viewport content=\"width=device-width\">\n"
            "<title>weir bench</title>\n<style>%s</style>\n<h1>",
            style);
    write_escaped(out, sentence);
    fputs("</h1>\n<p class=soft>", out);
    write_escaped(out, results->proxy);
    fputs(options->commit ? ", " : "", out);
    write_escaped(out, options->commit ? options->commit : "");
    fprintf(out, "; %.10s; ", time);
    write_escaped(out, results->machine.cpu);
    fprintf(out, ", %d cores, ", results->machine.core_count);
    write_escaped(out, results->machine.kernel);
    fprintf(out, "; %u connections, ", options->connections);
    if (options->rate_hz) {
        fprintf(out, "open loop with %u/s%s", options->rate_hz,
                options->is_poisson ? " at random times" : "");
    } else {
        fputs("closed loop", out);
    }
    fprintf(out, ", %u rounds of %g s.</p>\n", options->rounds, options->window_ms / 1000.0);
    if (results->warning_count) {
        fputs("<p>With care:</p><ul>\n", out);
        for (size_t i = 0; i < results->warning_count; i++) {
            fputs("<li>", out);
            write_escaped(out, results->warnings[i]);
            fputs("</li>\n", out);
        }
        fputs("</ul>\n", out);
    }
    if (results->case_count) {
        write_table(results, out);
    }
    for (int i = 0; i < LOAD_PROFILE_COUNT; i++) {
        draw_profile(results, (enum load_profile)i, out);
    }
    fputs("<p class=soft>Medians of the rounds; a figure that is pointed at shows its lowest and "
          "highest. added: more than the direct way in the same round. sent: from when a request "
          "was sent; the others count from when it was meant to be.</p></html>\n",
          out);
    return !ferror(out);
}
