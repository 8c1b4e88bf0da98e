/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signatures_capture: the command `signatures capture`, which lets a real client visit and puts
 * what it showed into a database.
 */
#ifndef WEIR_TOOLS_SIGNATURES_CAPTURE_H
#define WEIR_TOOLS_SIGNATURES_CAPTURE_H

#include "core/options.h"

enum { SIGNATURES_CAPTURE_VISITS_MAX = 100 };

/* Returns the status to exit with. */
int signatures_capture_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;

#endif
