/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_readings: what a client of a load trial reads at the beginning and at the end of the window:
 * CPU time of its own, and, one of the clients, of the proxy, the origins and the trial's cores.
 */
#ifndef WEIR_BENCH_LOAD_READINGS_H
#define WEIR_BENCH_LOAD_READINGS_H

#include "bench/load_plan.h"
#include "bench/proc.h"

struct ring;

/* The proxy's processes and threads as they were in the warm-up. */
struct load_watched {
    struct proc_tree processes;
    struct proc_waits waits;
};

struct load_readings {
    int64_t own_ns, own_looked_ns, wall_ns;
    int64_t origin_looked_ns[LOAD_ORIGINS_MAX];
    /* Of others; -1: not known. */
    int64_t proxy_ns, origin_ns[LOAD_ORIGINS_MAX];
    int64_t proxy_waited_ns; /* runnable, while somebody else ran */
    int64_t cores_ns;        /* busy, whoever used them */
    int64_t cores_stolen_ns; /* by the host */
};

/* Finds the proxy's processes; none if it is another client that reads them. Takes milliseconds,
 * which is why it is not part of what follows: it is done in the warm-up. */
void load_readings_begin(const struct load_plan *plan, struct load_watched *proxy);
/* Takes a tenth of a millisecond, in which no request goes on. `own` is the client's. */
struct load_readings load_readings_take(const struct load_plan *plan,
                                        const struct load_watched *proxy, const struct ring *own);
/* Behind the window: adds the CPU time of processes that were not found, since they began later. */
void load_readings_end(const struct load_plan *plan, struct load_watched *proxy,
                       struct load_readings *readings);
/* What there was between them. */
void load_readings_store(const struct load_plan *plan, const struct load_readings *from,
                         const struct load_readings *to, struct load_result *result);
/* Memory of the proxy. False: it is not known, or another client reads it. */
bool load_readings_proxy(const struct load_plan *plan, struct proc_usage *usage) MUST_CHECK;

#endif
