/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_processes: the processes of the load harness: an origin that lives as long as the run, and
 * for each trial a weir of its own, so that no trial inherits the memory and caches of another one,
 * and a client. All of them end with the harness, however it ends.
 */
#ifndef WEIR_BENCH_LOAD_PROCESSES_H
#define WEIR_BENCH_LOAD_PROCESSES_H

#include "bench/temp_folder.h"
#include "bench/load_options.h"

#include <signal.h>

/* A pointer into it may be shared, as processes are forked from the one that maps it. */
struct load_shared {
    _Atomic int origin_is_ready;
    struct load_result result;
    char error[512]; /* of the origin or the client, when it could not begin */
};

struct load_processes {
    const struct load_options *options;
    struct load_shared *shared;
    char folder[TEMP_FOLDER_PATH_MAX];    /* temporary; configuration, authorities, logs */
    char origin_ca[4096], proxy_ca[4096]; /* certificate files */
    struct load_ports ports;
    struct address proxy; /* while there is one */
    pid_t origin_pid, proxy_pid;
    int cores[3]; /* of proxy, client and origin; -1: any. More workers have more: see below. */
};

/* Set by SIGINT and SIGTERM: the run is to end. */
extern volatile sig_atomic_t load_is_interrupted;

/* What the options say of cores and of another proxy. False: said what is wrong with it. */
bool load_processes_init(struct load_processes *p, const struct load_options *options,
                         FILE *err) MUST_CHECK;
/* Starts the origin, in a network of the run's own where a mode needs one. False: said why on err.
 */
bool load_processes_begin(struct load_processes *p, FILE *err) MUST_CHECK;
/* Ends what is left and removes the folder. */
void load_processes_end(struct load_processes *p);

/* The cores of a weir with so many workers: that of the proxy, then those that client and origin
 * leave, from the last one on; there may be fewer than workers. 0: any. */
int load_proxy_cores(const struct load_processes *p, unsigned workers, int cores[LOAD_WORKERS_MAX]);

/* A weir as the plan has it, or nothing where another proxy is measured; where it is goes into the
 * plan. False: said why. */
bool load_proxy_start(struct load_processes *p, struct load_plan *plan, FILE *err) MUST_CHECK;
/* False: it had ended before, by itself; said so. */
bool load_proxy_stop(struct load_processes *p, FILE *err) MUST_CHECK;

/* Makes the plan's trial in a process of its own; the result is p->shared->result. `watch` is
 * called a few times a second. False: said why. */
bool load_trial_run(struct load_processes *p, const struct load_plan *plan,
                    void (*watch)(void *context, const struct load_result *result), void *context,
                    FILE *err) MUST_CHECK;

#endif
