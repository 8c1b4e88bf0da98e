/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/measure_report.h"

bool measure_has_slow_checks(void)
{
#ifdef WEIR_SLOW_CHECKS
    return true;
#else
    return false;
#endif
}

const char *measure_heap_name(enum measure_heap heap)
{
    static const char *const names[] = {"unknown", "untouched", "touched"};
    return names[heap];
}

json_t *measure_pack_figure(const struct measure_figure *figure)
{
    return json_pack("{s:f,s:f,s:f,s:f,s:f}", "median", figure->median, "min", figure->min, "low",
                     figure->low, "high", figure->high, "max", figure->max);
}
