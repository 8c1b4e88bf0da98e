/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_processes: the processes of the load harness: origins that live as long as the run, and for
 * each trial a weir of its own, so that no trial inherits the memory and caches of another one, and
 * clients. Trials may be made at the same time: each is one side of what they share. All of them
 * end with the harness, however it ends.
 */
#ifndef WEIR_BENCH_LOAD_PROCESSES_H
#define WEIR_BENCH_LOAD_PROCESSES_H

#include "bench/temp_folder.h"
#include "bench/load_options.h"

#include <signal.h>

enum { LOAD_FAULT_MAX = 512 };

/* Memory that all of them see. */
struct load_shared {
    struct load_origin_state origins[LOAD_ORIGINS_MAX];

    /* Of a trial, by client of all its sides. */
    struct load_meeting meetings[LOAD_MEET_COUNT];
    struct load_result results[LOAD_CLIENTS_MAX];
    char faults[LOAD_CLIENTS_MAX][LOAD_FAULT_MAX];
};

struct load_processes {
    const struct load_options *options;
    struct load_shared *shared;
    char folder[TEMP_FOLDER_PATH_MAX];    /* temporary; configuration, authorities, logs */
    char origin_ca[4096], proxy_ca[4096]; /* certificate files */
    struct load_ports ports;
    struct address proxy;                                               /* another one than weir */
    pid_t proxy_pids[LOAD_SIDES_MAX];                                   /* weirs; 0: none */
    pid_t origin_pids[LOAD_ORIGINS_MAX], client_pids[LOAD_CLIENTS_MAX]; /* 0: none */
    struct load_cores cores[LOAD_PLACE_COUNT];                          /* none: any */
    struct load_result results[LOAD_SIDES_MAX]; /* of the trial, of all clients of a side */
};

/* Set by SIGINT and SIGTERM: the run is to end. */
extern volatile sig_atomic_t load_is_interrupted;

/* Sleeps; a signal ends it sooner. */
void load_nap(int64_t ns);

/* What the options say of cores and of another proxy. False: said what is wrong with it. */
bool load_processes_init(struct load_processes *p, const struct load_options *options,
                         FILE *err) MUST_CHECK;
/* Starts the origins, in a network of the run's own where a mode needs one. False: said why on err.
 */
bool load_processes_begin(struct load_processes *p, FILE *err) MUST_CHECK;
/* Ends what is left and removes the folder. */
void load_processes_end(struct load_processes *p);

/* The cores of a weir with so many workers; there may be fewer than workers. None: any. */
struct load_cores load_proxy_cores(const struct load_processes *p, unsigned workers);

/* A weir as the plan has it, or nothing where another proxy is measured; where it is goes into the
 * plan. False: said why. */
bool load_proxy_start(struct load_processes *p, struct load_plan *plan, FILE *err) MUST_CHECK;
/* Ends the one of the plan. False: it had ended before, by itself; said so. */
bool load_proxy_stop(struct load_processes *p, const struct load_plan *plan, FILE *err) MUST_CHECK;

/* Of a trial that goes on: all its clients together. */
struct load_live {
    int phase; /* enum load_phase */
    uint64_t units, errors;
};

typedef void load_watch_fn(void *context, const struct load_live *live);

/* Makes the trials of the plans, which are as many as the first has sides, at the same time, each
 * client in a process of its own; the results are p->results. `watch` is called a few times a
 * second. False: said why; an origin that has ended is a reason. */
bool load_trial_run(struct load_processes *p, const struct load_plan *plans, load_watch_fn *watch,
                    void *context, FILE *err) MUST_CHECK;

#endif
