/* SPDX-License-Identifier: Apache-2.0 */
/*
 * detect: the command bench detect. Measures what detection costs: a ClientHello's fingerprints, a
 * remembered verdict, a check, and lookups while sets are published.
 */
#ifndef WEIR_BENCH_DETECT_H
#define WEIR_BENCH_DETECT_H

#include "core/options.h"

/* Returns the status to exit with. A bound that is missed is told, and does not fail. */
int bench_detect_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;

#endif
