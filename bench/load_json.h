/* SPDX-License-Identifier: Apache-2.0 */
/* load_json: what the JSON of `weir bench run` and of `weir bench grow` have in common. The values
 * are the caller's, null without memory. */
#ifndef WEIR_BENCH_LOAD_JSON_H
#define WEIR_BENCH_LOAD_JSON_H

#include "bench/load_results.h"

#include <jansson.h>

json_t *load_json_text(const char *text) MUST_CHECK; /* null: null */
json_t *load_json_machine(const struct load_machine *machine) MUST_CHECK;
json_t *load_json_warnings(const struct load_results *results) MUST_CHECK;
/* Takes `answer`, which may be null. False: no memory, or the stream has an error. */
bool load_json_write(json_t *answer, FILE *out) MUST_CHECK;

#endif
