/* SPDX-License-Identifier: Apache-2.0 */
/* measure_report: what measure.h found, in the words and the JSON that commands share. */
#ifndef WEIR_BENCH_MEASURE_REPORT_H
#define WEIR_BENCH_MEASURE_REPORT_H

#include "bench/measure.h"

#include <jansson.h>

/* Of this build: then its figures say nothing about the proxy. */
bool measure_has_slow_checks(void);

const char *measure_heap_name(enum measure_heap heap);

/* {"median", "min", "low", "high", "max"}. Null: no memory. */
json_t *measure_pack_figure(const struct measure_figure *figure) MUST_CHECK;

#endif
