/* SPDX-License-Identifier: Apache-2.0 */
/* temp_folder: a folder for the time of one command, in TMPDIR or /tmp. */
#ifndef WEIR_BENCH_TEMP_FOLDER_H
#define WEIR_BENCH_TEMP_FOLDER_H

#include "core/base/assert.h"

#include <stdbool.h>
#include <stdio.h>

enum { TEMP_FOLDER_PATH_MAX = 64 };

/* False: `err` was told, and the path is empty. */
bool temp_folder_make(char path[TEMP_FOLDER_PATH_MAX], FILE *err) MUST_CHECK;
/* With all that is in it; an empty path is allowed. */
void temp_folder_remove(const char *path);

#endif
