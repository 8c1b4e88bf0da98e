/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc: what the kernel says of other processes: CPU time and memory of a process with all its
 * threads and descendants, and on which cores it may run. From /proc and its clock; memory only of
 * processes of the same user, or of anybody for root.
 */
#ifndef WEIR_BENCH_PROC_H
#define WEIR_BENCH_PROC_H

#include "core/base/assert.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    PROC_TREE_MAX = 256,  /* processes of a tree */
    PROC_WAITS_MAX = 256, /* threads of all of them */
};

struct proc_usage {
    int64_t cpu_ns; /* user and system, of all threads, also those that have ended, but not of
                       descendants that have; helper threads of the kernel that work for it
                       (io_uring) are among them */
    int64_t anonymous_kib; /* heap, stacks, what was written of private mappings; also if swapped.
                              Pages of files are left out: they become private or shared with what
                              others start, not with what the process does */
    unsigned process_count;
};

/* A process and its descendants, parents first. */
struct proc_tree {
    unsigned count;
    pid_t pids[PROC_TREE_MAX];
};

/* Looks at every process of the machine: that takes milliseconds, in which the caller does nothing
 * else. */
void proc_list(pid_t root, struct proc_tree *tree);

/* CPU time alone, of those that are still there: microseconds. False: the first of them is not. */
bool proc_read_cpu(const struct proc_tree *tree, struct proc_usage *usage) MUST_CHECK;
/* Lists them, and reads memory, too. False: there is no such process. */
bool proc_read_usage(pid_t root, struct proc_usage *usage) MUST_CHECK;

/* Where the kernel tells how long the threads of some processes waited for a core, each. */
struct proc_waits {
    unsigned count;
    int files[PROC_WAITS_MAX];
};

/* Nothing is open where there are more threads, or where the kernel does not tell. Milliseconds. */
void proc_waits_open(struct proc_waits *waits, const struct proc_tree *tree);
/* Nanoseconds, of all of them since they began: runnable, while somebody else ran. Of one that
 * still waits that is told when it gets the core. Microseconds. -1: not known. */
int64_t proc_waits_read(const struct proc_waits *waits);
void proc_waits_close(struct proc_waits *waits);

/* The calling thread, and what it starts from now on. False: see errno. */
bool proc_pin(int core) MUST_CHECK;
bool proc_pin_to(const int *cores, int count) MUST_CHECK;

/* Of one core since the machine began, ns; in steps of 10 ms. */
struct proc_core {
    int64_t busy_ns;   /* whoever used it */
    int64_t stolen_ns; /* of a virtual machine: there was work, but the host let others run */
};
/* Adds what the core had. False: it is not known, and nothing was added. */
bool proc_add_core(int core, struct proc_core *sum) MUST_CHECK;

/* Cores that this process may use, at most `cap` of them. */
int proc_cores(int *cores, int cap);

#endif
