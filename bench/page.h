/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page: what the pages of `weir bench` are made of: one file without scripts and without anything
 * from elsewhere, with drawings in SVG whose colours are those of the reader's scheme, light or
 * dark. Errors of the stream are found by ferror().
 */
#ifndef WEIR_BENCH_PAGE_H
#define WEIR_BENCH_PAGE_H

#include <stdio.h>

enum {
    PAGE_WIDTH = 460, /* of a drawing */
    PAGE_HEIGHT = 260,
    PAGE_LEFT = 64, /* room for the axes' words */
    PAGE_BOTTOM = 40,
    PAGE_TOP = 12,
    PAGE_RIGHT = 26,
    PAGE_PLOT_WIDTH = PAGE_WIDTH - PAGE_LEFT - PAGE_RIGHT,
    PAGE_PLOT_HEIGHT = PAGE_HEIGHT - PAGE_TOP - PAGE_BOTTOM,
    PAGE_LEVELS = 4,
    PAGE_COLOURS = 8, /* of lines: classes "line m0" to "line m7" */
    PAGE_DASHES = 4,  /* and "d0", none, to "d3" */
};

/* Up to and with the opened heading; the sentence and </h1> are the caller's. */
void page_begin(FILE *out);
void page_end(FILE *out);

/* At most 4096 bytes of it. */
void page_write_escaped(FILE *out, const char *words);
/* Three digits or more; a dash for NAN. */
void page_write_number(FILE *out, double value);

/* A drawing begins; `what` is HTML. It ends with page_end_drawing(). */
void page_begin_drawing(FILE *out, const char *what);
void page_end_drawing(FILE *out);

/* Where shares of the plot's width and height, from its lower left corner, are. */
double page_x(double share);
double page_y(double share);

/* A horizontal rule at that share of the height, with its words on the left. */
void page_write_level(FILE *out, double share, const char *words);
/* Rules from 0 to above `high`, at round numbers; returns what is at the top. */
double page_write_levels(FILE *out, double high);
/* Words below the plot; `row` 1 is a line further down. */
void page_write_tick(FILE *out, double share, int row, const char *words);

/* What a line is called: a piece of it, and the name. */
void page_write_key(FILE *out, int colour, unsigned dashes, const char *name);

#endif
