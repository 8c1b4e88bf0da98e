/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_lines: answers JSON Lines. Each line is an object; its columns are written back as they
 * came, byte by byte and in order, and what a function found out is added behind them. A line that
 * cannot be answered gets the column "error", and the next one is answered: line n of the output
 * belongs to line n of the input. Answers are written out when input pauses, so that a program may
 * ask line by line through pipes.
 */
#ifndef WEIR_TOOLS_JSON_LINES_H
#define WEIR_TOOLS_JSON_LINES_H

#include "core/base/text.h"
#include "core/options.h"
#include "core/tools/input.h"

#include <jansson.h>

enum {
    JSON_LINE_MAX = 1024 * 1024, /* bytes, without the newline */
    JSON_ERROR_MAX = 512,
};

/*
 * Sets what it found out about `line` (an object) in `results`; a column of the same name in the
 * line is replaced. False: `error` says what is wrong with which column, and `results` is dropped.
 */
typedef bool (*json_lines_answer)(void *context, const json_t *line, json_t *results,
                                  struct text *error);

/* Until the input ends. Returns 0, or the negative errno of what could not be read or written. */
int json_lines_run(struct input *in, FILE *out, json_lines_answer answer, void *context) MUST_CHECK;

/* The same for every file that the options name, for commands that do nothing else. Complaints
 * begin with `command`. Returns the status to exit with. */
int json_lines_run_inputs(const struct options *options, const char *command, FILE *out, FILE *err,
                          json_lines_answer answer, void *context) MUST_CHECK;

/* For answers. The string in that column, borrowed from the line; false, with the error written:
 * it is not there or not a string. */
bool json_lines_string(const json_t *line, const char *column, struct span *value,
                       struct text *error) MUST_CHECK;

#endif
