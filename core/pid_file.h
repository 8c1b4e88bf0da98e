/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pid_file: the file that names the process that serves. Replaced as a whole, so that a reader
 * never sees half of it, and anew after every upgrade, also after one that failed: then it is
 * another file with the same number in it.
 */
#ifndef WEIR_PID_FILE_H
#define WEIR_PID_FILE_H

#include "core/base/assert.h"

#include <stdbool.h>
#include <sys/types.h>

/* This process. A null path does nothing. False: said why. */
bool pid_file_write(const char *path);
/* Unless it names another process. */
void pid_file_remove(const char *path);
/* The process that it names, or 0. */
pid_t pid_file_read(const char *path) MUST_CHECK;

#endif
