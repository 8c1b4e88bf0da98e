/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program: runs another program of the system, with arguments and never through a shell. It is
 * looked for in PATH, and where those of the administrator are when PATH lacks them. What it writes
 * to standard error is seen.
 */
#ifndef WEIR_TOOLS_PROGRAM_H
#define WEIR_TOOLS_PROGRAM_H

#include "core/base/assert.h"

#include <stdbool.h>
#include <stdio.h>

/* `arguments` begin with the name and end with null. */
struct program {
    const char *const *arguments;
    FILE *input;  /* its standard input, from the start; it must be a file. Null: there is none */
    FILE *output; /* its standard output, if that is wanted, as `input`; null: it is not */
    bool quiet;   /* nor is standard error */
};

/* 0, the program's exit status, 128 and the signal that ended it, or -errno: it could not be
 * started (-ENOENT: it is not there). */
int program_run(const struct program *program) MUST_CHECK;

/* A file in memory, to be read from its start by a program or written by one. Null: see errno. */
FILE *program_file(void) MUST_CHECK;

#endif
