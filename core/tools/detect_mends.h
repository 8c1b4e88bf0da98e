/* SPDX-License-Identifier: Apache-2.0 */
/*
 * detect_mends: `weir detect mends`, which prints detect/mends.def: how the engine's answers
 * differ from MITMEngine's, and why. As text, or with --json an object a line, with the columns
 * kind ("mend" or "deviation"), name, original, instead and reason.
 */
#ifndef WEIR_TOOLS_DETECT_MENDS_H
#define WEIR_TOOLS_DETECT_MENDS_H

#include "core/options.h"

/* Returns the status to exit with. */
int detect_mends_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;

#endif
