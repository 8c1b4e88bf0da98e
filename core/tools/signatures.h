/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signatures: the commands `signatures match` and `signatures merge`, which try signatures one at a
 * time. JSON Lines; the column `kind` says what is written in the others.
 */
#ifndef WEIR_TOOLS_SIGNATURES_H
#define WEIR_TOOLS_SIGNATURES_H

#include "core/options.h"

/* Return the status to exit with. */
int signatures_match_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;
int signatures_merge_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;

#endif
