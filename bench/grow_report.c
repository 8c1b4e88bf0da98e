/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/grow_results.h"
#include "bench/load_json.h"
#include "bench/page.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/tools/hello_facts.h"
#include "tls/context.h"

#include <math.h>

static struct load_spread spread_of(const struct grow_point *point)
{
    return load_spread_of(point->costs, point->rounds);
}

void grow_results_sentence(const struct grow_results *results, char *text, size_t cap)
{
    struct text t = text_make(text, cap - 1);
    size_t count = 0;

    for (size_t i = 0; i < results->line_count; i++) {
        const struct grow_line *line = &results->lines[i];

        if (grow_judge(line) == GROW_BENDS) {
            text_printf(&t, "%s%s",
                        count++ ? ", " : "These bend upward: ", grow_curves[line->curve].name);
        }
    }
    if (count == 0) {
        text_string(&t, "No curve bends upward");
    }
    text_char(&t, '.');
    text[t.len] = '\0';
}

/* ---- text ---- */

static void print_cell(FILE *out, int width, double value)
{
    if (isnan(value)) {
        fprintf(out, " %*s", width, "-");
    } else {
        fprintf(out, " %*.*f", width, fabs(value) < 99.95 ? 2 : 0, value);
    }
}

static void print_line(const struct grow_line *line, FILE *out)
{
    const struct grow_curve_row *row = &grow_curves[line->curve];

    fprintf(out, "\n%s: %s; %s: %s\n", row->name, row->what, row->unit,
            grow_verdict_name(grow_judge(line)));
    fprintf(out, "%12s %9s %9s %9s %7s %9s %7s %7s  %s\n", row->amount, "median", "lowest",
            "highest", "ratio", "a decade", "load", "loads", "bytes");
    for (size_t i = 0; i < line->count; i++) {
        struct load_spread spread = spread_of(&line->points[i]);

        fprintf(out, "%12u", line->points[i].amount);
        print_cell(out, 9, spread.median);
        print_cell(out, 9, spread.min);
        print_cell(out, 9, spread.max);
        print_cell(out, 7, grow_ratio(line, i));
        print_cell(out, 9, grow_slope(line, i));
        print_cell(out, 7, grow_load_median(line, i));
        print_cell(out, 7, grow_loads(line, i));
        if (!isnan(line->points[i].bytes)) {
            fprintf(out, "  %.0f %s", line->points[i].bytes, row->memory);
        }
        fputc('\n', out);
    }
}

void grow_results_print(const struct grow_results *results, FILE *out)
{
    const struct load_options *o = results->options;
    char sentence[512];

    grow_results_sentence(results, sentence, sizeof(sentence));
    fprintf(out,
            "%s\n\nCPU time of weir %s for one; medians of %u rounds. Requests come at %u/s, new "
            "connections at %u/s.\n",
            sentence, WEIR_VERSION, o->rounds, results->rate_hz, results->rate_hz / GROW_NEW_SHARE);
    for (size_t i = 0; i < results->line_count; i++) {
        print_line(&results->lines[i], out);
    }
    if (results->load.warning_count) {
        fputs("\nWith care:\n", out);
        for (size_t i = 0; i < results->load.warning_count; i++) {
            fprintf(out, "  %s\n", results->load.warnings[i]);
        }
    }
}

/* ---- JSON ---- */

static json_t *pack_number(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

static json_t *pack_line(const struct grow_line *line)
{
    const struct grow_curve_row *row = &grow_curves[line->curve];
    json_t *points = json_array();

    for (size_t i = 0; i < line->count; i++) {
        const struct grow_point *point = &line->points[i];
        struct load_spread spread = spread_of(point);
        json_t *rounds = json_array();

        for (size_t r = 0; r < point->rounds; r++) {
            json_array_append_new(rounds, pack_number(point->costs[r]));
        }
        json_array_append_new(
            points,
            json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "amount",
                      (json_int_t)point->amount, "median", pack_number(spread.median), "min",
                      pack_number(spread.min), "max", pack_number(spread.max), "rounds", rounds,
                      "ratio", pack_number(grow_ratio(line, i)), "a_decade",
                      pack_number(grow_slope(line, i)), "bytes", pack_number(point->bytes),
                      "load_ns", pack_number(grow_load_median(line, i)), "loads",
                      pack_number(grow_loads(line, i))));
    }
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:o}", "name", row->name, "what", row->what, "amount",
                     row->amount, "unit", row->unit, "verdict", grow_verdict_name(grow_judge(line)),
                     "points", points);
}

bool grow_results_write_json(const struct grow_results *results, FILE *out)
{
    const struct load_options *o = results->options;
    char sentence[512], time[40] = "";
    struct text t = text_make(time, sizeof(time) - 1);
    json_t *curves = json_array();

    text_time(&t, results->load.wall_ns);
    grow_results_sentence(results, sentence, sizeof(sentence));
    for (size_t i = 0; i < results->line_count; i++) {
        json_array_append_new(curves, pack_line(&results->lines[i]));
    }
    return load_json_write(
        json_pack("{s:s,s:s,s:s,s:o,s:s,s:s,s:o,s:{s:i,s:i,s:i,s:i,s:i,s:i,s:[i,i,i]},s:o,s:o}",
                  "schema", GROW_JSON_SCHEMA, "sentence", sentence, "weir", WEIR_VERSION, "commit",
                  load_json_text(o->commit), "tls", tls_library_version(), "time", time, "machine",
                  load_json_machine(&results->load.machine), "configuration", "rate_hz",
                  (int)results->rate_hz, "new_rate_hz", (int)(results->rate_hz / GROW_NEW_SHARE),
                  "window_ms", (int)o->window_ms, "warm_up_ms", (int)o->warm_up_ms, "rounds",
                  (int)o->rounds, "small_bytes", (int)o->small_bytes, "cores_proxy_client_origin",
                  load_cores_of(&results->load.cores[LOAD_AT_PROXY], 0),
                  load_cores_of(&results->load.cores[LOAD_AT_CLIENT], 0),
                  load_cores_of(&results->load.cores[LOAD_AT_ORIGIN], 0), "curves", curves,
                  "warnings", load_json_warnings(&results->load)),
        out);
}

/* ---- HTML ---- */

static bool is_beside(const struct grow_line *a, const struct grow_line *b)
{
    const struct grow_curve_row *left = &grow_curves[a->curve];
    const struct grow_curve_row *right = &grow_curves[b->curve];

    return strcmp(left->amount, right->amount) == 0 && strcmp(left->unit, right->unit) == 0;
}

static int colour_of(const struct grow_line *line)
{
    return 2 + (int)line->curve % (PAGE_COLOURS - 2);
}

/* The amounts that a drawing has, and what its costs come to at most. */
struct frame {
    double first, last; /* logarithms */
    double high;
};

static struct frame frame_of(const struct grow_results *results, const struct grow_line *first)
{
    struct frame frame = {INFINITY, 0, 0};

    for (size_t i = 0; i < results->line_count; i++) {
        const struct grow_line *line = &results->lines[i];

        for (size_t k = 0; is_beside(line, first) && k < line->count; k++) {
            double at = log10(line->points[k].amount);

            frame.first = fmin(frame.first, at);
            frame.last = fmax(frame.last, at);
            frame.high = fmax(frame.high, spread_of(&line->points[k]).max);
        }
    }
    frame.last = fmax(frame.last, frame.first + 0.1); /* one point: a width all the same */
    return frame;
}

static double share_of(const struct frame *frame, unsigned amount)
{
    return (log10(amount) - frame->first) / (frame->last - frame->first);
}

static double place(const struct frame *frame, unsigned amount)
{
    return page_x(share_of(frame, amount));
}

/* What as many loads from memory would make of the first point as the last one waits for. */
static void draw_loads(const struct frame *frame, double top, const struct grow_line *line,
                       FILE *out)
{
    double loads = grow_loads(line, line->count - 1);

    if (isnan(loads)) {
        return;
    }
    fprintf(out, "<path class=\"line loads m%d\" d=\"", colour_of(line));
    for (size_t i = 0; i < line->count; i++) {
        double cost =
            grow_median(line, 0) + loads * (grow_load_median(line, i) - grow_load_median(line, 0));

        fprintf(out, "%s%.1f %.1f", i ? "L" : "M", place(frame, line->points[i].amount),
                page_y(cost / top));
    }
    fprintf(out, "\"><title>%.1f loads from memory</title></path>\n", loads);
}

static void draw_line(const struct frame *frame, double top, const struct grow_line *line,
                      FILE *out)
{
    int colour = colour_of(line);

    draw_loads(frame, top, line, out);
    fprintf(out, "<polyline class=\"line m%d\" points=\"", colour);
    for (size_t i = 0; i < line->count; i++) {
        double median = grow_median(line, i);

        if (!isnan(median)) {
            fprintf(out, "%.1f,%.1f ", place(frame, line->points[i].amount), page_y(median / top));
        }
    }
    fprintf(out, "\"><title>%s</title></polyline>\n", grow_curves[line->curve].name);
    for (size_t i = 0; i < line->count; i++) {
        struct load_spread spread = spread_of(&line->points[i]);
        double x = place(frame, line->points[i].amount);

        if (!isnan(spread.median)) {
            fprintf(out,
                    "<path class=\"line m%d\" d=\"M%.1f %.1fV%.1fM%.1f %.1fh7\"><title>%s, %u: "
                    "%.4g, %.4g to %.4g</title></path>\n",
                    colour, x, page_y(spread.min / top), page_y(spread.max / top), x - 3.5,
                    page_y(spread.median / top), grow_curves[line->curve].name,
                    line->points[i].amount, spread.median, spread.min, spread.max);
        }
    }
}

static void draw(const struct grow_results *results, const struct grow_line *first, FILE *out)
{
    const struct grow_curve_row *row = &grow_curves[first->curve];
    struct frame frame = frame_of(results, first);
    char words[64];
    double top;

    snprintf(words, sizeof(words), "%s, by %s", strcmp(row->unit, "us") == 0 ? "&micro;s" : "ns",
             row->amount);
    fputs("<div><div class=key>", out);
    for (size_t i = 0; i < results->line_count; i++) {
        if (is_beside(&results->lines[i], first)) {
            page_write_key(out, colour_of(&results->lines[i]), 0,
                           grow_curves[results->lines[i].curve].name);
        }
    }
    fputs("</div>\n", out);
    page_begin_drawing(out, words);
    top = page_write_levels(out, fmax(frame.high, 1));
    for (size_t i = 0; i < first->count; i++) {
        snprintf(words, sizeof(words), "%u", first->points[i].amount);
        page_write_tick(out, share_of(&frame, first->points[i].amount), 0, words);
    }
    for (size_t i = 0; i < results->line_count; i++) {
        if (is_beside(&results->lines[i], first)) {
            draw_line(&frame, top, &results->lines[i], out);
        }
    }
    page_end_drawing(out);
    fputs("</div>\n", out);
}

static void write_cell(FILE *out, double value)
{
    fputs("<td>", out);
    page_write_number(out, value);
    fputs("</td>", out);
}

static void write_table(const struct grow_results *results, FILE *out)
{
    fputs("<div class=wide><table><tr><th>curve</th><th>there are</th><th>median</th>"
          "<th>lowest</th><th>highest</th><th>ratio</th><th>a decade</th><th>load</th>"
          "<th>loads</th><th>bytes</th>"
          "<th>verdict</th></tr>\n",
          out);
    for (size_t i = 0; i < results->line_count; i++) {
        const struct grow_line *line = &results->lines[i];
        const struct grow_curve_row *row = &grow_curves[line->curve];
        enum grow_verdict verdict = grow_judge(line);

        for (size_t k = 0; k < line->count; k++) {
            struct load_spread spread = spread_of(&line->points[k]);

            fprintf(out, "<tr><td>%s</td><td>%u %s</td>", row->name, line->points[k].amount,
                    row->amount);
            fputs("<td>", out);
            page_write_number(out, spread.median);
            fprintf(out, " %s</td>", row->unit);
            write_cell(out, spread.min);
            write_cell(out, spread.max);
            write_cell(out, grow_ratio(line, k));
            write_cell(out, grow_slope(line, k));
            write_cell(out, grow_load_median(line, k));
            write_cell(out, grow_loads(line, k));
            write_cell(out, line->points[k].bytes);
            fprintf(out, "<td%s>%s</td></tr>\n", verdict == GROW_BENDS ? " class=warn" : "",
                    k + 1 == line->count ? grow_verdict_name(verdict) : "");
        }
    }
    fputs("</table></div>\n<p class=soft>", out);
    for (size_t i = 0; i < results->line_count; i++) {
        const struct grow_curve_row *row = &grow_curves[results->lines[i].curve];
        fprintf(out, "%s: %s; bytes of %s<br>\n", row->name, row->what, row->memory);
    }
    fputs("</p>\n", out);
}

bool grow_results_write_html(const struct grow_results *results, FILE *out)
{
    const struct load_options *o = results->options;
    char sentence[512], time[40] = "";
    struct text t = text_make(time, sizeof(time) - 1);

    text_time(&t, results->load.wall_ns);
    grow_results_sentence(results, sentence, sizeof(sentence));
    page_begin(out);
    page_write_escaped(out, sentence);
    fprintf(out, "</h1>\n<p class=soft>CPU time of weir %s%s", WEIR_VERSION, o->commit ? ", " : "");
    page_write_escaped(out, o->commit ? o->commit : "");
    fprintf(out, "; %.10s; ", time);
    page_write_escaped(out, results->load.machine.cpu);
    fprintf(out, ", %d cores, ", results->load.machine.core_count);
    page_write_escaped(out, results->load.machine.kernel);
    fprintf(out,
            "; requests at %u/s, new connections at %u/s, however many there are; %u rounds of %g "
            "s.</p>\n",
            results->rate_hz, results->rate_hz / GROW_NEW_SHARE, o->rounds, o->window_ms / 1000.0);
    load_results_write_warnings(&results->load, out);
    fputs("<div class=pair>\n", out);
    for (size_t i = 0; i < results->line_count; i++) {
        if (i == 0 || !is_beside(&results->lines[i - 1], &results->lines[i])) {
            draw(results, &results->lines[i], out);
        }
    }
    fputs("</div>\n", out);
    write_table(results, out);
    fprintf(
        out,
        "<p class=soft>Medians of the rounds; a bar is from the lowest to the highest. A curve "
        "bends upward if its end is more than a quarter above its beginning and it goes up more "
        "a decade at its end than anywhere before, beyond the spread. load: nanoseconds that a "
        "load from anywhere in so much memory takes; loads: growth in units of what that grows "
        "by, and the dashed line what that many make of the first point. Up to %d of them a curve "
        "waits for memory, and does not bend.</p>",
        GROW_LOADS_MAX);
    page_end(out);
    return !ferror(out);
}
