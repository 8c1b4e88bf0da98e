/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_client: does what a plan says, in a process of its own, on io_uring, and counts into the
 * result. Bodies are compared with the pattern, byte by byte.
 *
 * Closed loop: each connection asks again as soon as it was answered. Open loop: requests have
 * intended times (load_pace.h); one whose time has come takes a free connection, or waits for one.
 */
#ifndef WEIR_BENCH_LOAD_CLIENT_H
#define WEIR_BENCH_LOAD_CLIENT_H

#include "bench/load_plan.h"
#include "core/base/assert.h"

/* Until the window is over; `plan` is that client's part, and `meetings`, LOAD_MEET_COUNT of them,
 * are the trial's. False: it could not begin; a sentence. */
bool load_client_run(const struct load_plan *plan, struct load_meeting *meetings,
                     struct load_result *result, char *error, size_t error_cap) MUST_CHECK;

#endif
