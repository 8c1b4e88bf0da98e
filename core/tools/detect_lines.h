/* SPDX-License-Identifier: Apache-2.0 */
/*
 * detect_lines: the command detect. JSON Lines with a User-Agent header and a request fingerprint
 * are answered with a report; its columns are those of MITMEngine's, and without --compatible also
 * `verdict` and `unknown`.
 */
#ifndef WEIR_TOOLS_DETECT_LINES_H
#define WEIR_TOOLS_DETECT_LINES_H

#include "core/options.h"

/* Returns the status to exit with. */
int detect_lines_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;

#endif
