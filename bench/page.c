/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/page.h"

#include "core/base/text.h"

#include <math.h>

enum { ESCAPED_MAX = 4096, ROW_HEIGHT = 12 };

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
    "p.soft{color:var(--soft)}li,td.warn{color:var(--warn)}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;"
    "font-size:.85rem}td,th{padding:.2rem .6rem;text-align:right;border-bottom:1px solid "
    "var(--faint);white-space:nowrap}td:first-child,th:first-child{text-align:left}"
    ".pair{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}figcaption{color:var(--soft);"
    "font-size:.85rem}"
    "svg{max-width:100%;height:auto}svg text{fill:var(--soft);font-size:11px}"
    ".axis{stroke:var(--faint);stroke-width:1}.line{fill:none;stroke-width:2;stroke-linejoin:round}"
    ".loads{stroke-width:1;stroke-dasharray:2 4}"
    ".m0{stroke:var(--c0)}.m1{stroke:var(--c1)}.m2{stroke:var(--c2)}.m3{stroke:var(--c3)}"
    ".m4{stroke:var(--c4)}.m5{stroke:var(--c5)}.m6{stroke:var(--c6)}"
    ".m7{stroke:var(--c7)}.d1{stroke-dasharray:7 3}.d2{stroke-dasharray:2 3}"
    ".d3{stroke-dasharray:7 3 2 3}.key{display:flex;flex-wrap:wrap;gap:1rem;"
    "font-size:.85rem;margin:.3rem 0}.key svg{vertical-align:middle}";

void page_begin(FILE *out)
{
    fprintf(out,
            "<!doctype html>\n<html lang=en><meta charset=utf-8>\n"
            "<meta name=viewport content=\"width=device-width\">\n"
            "<title>weir bench</title>\n<style>%s</style>\n<h1>",
            style);
}

void page_end(FILE *out)
{
    fputs("</html>\n", out);
}

void page_write_escaped(FILE *out, const char *words)
{
    char memory[ESCAPED_MAX];
    struct text t = text_make(memory, sizeof(memory));

    text_html(&t, span_from_string(words));
    fwrite(memory, 1, t.len, out);
}

void page_write_number(FILE *out, double value)
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

/* ---- drawings ---- */

void page_begin_drawing(FILE *out, const char *what)
{
    fprintf(out,
            "<figure><figcaption>%s</figcaption><svg viewBox=\"0 0 %d %d\" width=%d height=%d "
            "role=img aria-label=\"%s\">\n",
            what, PAGE_WIDTH, PAGE_HEIGHT, PAGE_WIDTH, PAGE_HEIGHT, what);
}

void page_end_drawing(FILE *out)
{
    fputs("</svg></figure>\n", out);
}

double page_x(double share)
{
    return PAGE_LEFT + PAGE_PLOT_WIDTH * share;
}

double page_y(double share)
{
    return PAGE_TOP + PAGE_PLOT_HEIGHT * (1 - share);
}

void page_write_level(FILE *out, double share, const char *words)
{
    fprintf(
        out, "<path class=axis d=\"M%d %.1fH%d\"/><text x=%d y=%.1f text-anchor=end>%s</text>\n",
        PAGE_LEFT, page_y(share), PAGE_WIDTH - PAGE_RIGHT, PAGE_LEFT - 6, page_y(share) + 4, words);
}

double page_write_levels(FILE *out, double high)
{
    double step = pow(10, floor(log10(high / PAGE_LEVELS)));

    step *= high / PAGE_LEVELS / step > 5 ? 10 : high / PAGE_LEVELS / step > 2 ? 5 : 2;
    for (int i = 0; i <= PAGE_LEVELS; i++) {
        char words[32];

        snprintf(words, sizeof(words), "%.6g", i * step);
        page_write_level(out, (double)i / PAGE_LEVELS, words);
    }
    return step * PAGE_LEVELS;
}

void page_write_tick(FILE *out, double share, int row, const char *words)
{
    fprintf(out, "<text x=%.1f y=%d text-anchor=middle>%s</text>\n", page_x(share),
            PAGE_HEIGHT - PAGE_BOTTOM + 18 + row * ROW_HEIGHT, words);
}

void page_write_key(FILE *out, int colour, unsigned dashes, const char *name)
{
    fprintf(out,
            "<span><svg width=24 height=8><path class=\"line m%d d%u\" d=\"M0 4H24\"/></svg> "
            "%s</span>",
            colour, dashes, name);
}
