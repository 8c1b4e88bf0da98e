/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock: time. Deadlines use the monotonic clock, certificates and logs the wall clock. Library
 * code never asks for the time itself: it is handed in, so that the simulator can make it up.
 */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)

enum { S_PER_DAY = 86400 };

int64_t clock_monotonic_ns(void); /* never goes back; from an unknown start */
int64_t clock_wall_ns(void);      /* since 1970-01-01 UTC */

/* Days since 1970-01-01 of a time that is not before it. */
static inline int32_t clock_day(int64_t wall_ns)
{
    return (int32_t)(wall_ns / NS_PER_S / S_PER_DAY);
}

#endif
