/* SPDX-License-Identifier: Apache-2.0 */
/* process_private: what the start and the end of a run (process.c) share with what is between
 * (serve.c). */
#ifndef WEIR_PROCESS_PRIVATE_H
#define WEIR_PROCESS_PRIVATE_H

#include "core/admin/admin.h"
#include "core/options.h"
#include "core/session/session_worker.h"
#include "core/upgrade.h"

#include <pthread.h>

struct ca;
struct database;
struct leaf_keys;
struct own_addresses;

struct thread {
    struct session_worker worker;
    pthread_t handle;
    struct process *process;
    uint32_t index;
    int cpu; /* to be pinned to; negative: none */
    struct listen_socket *sockets;
    size_t socket_count;
    int status; /* exit status; EXIT_STATUS_OK unless it could not start */
    bool clean;
};

struct process {
    const struct options *options;
    struct config *config; /* the one it was started with, for what a reload cannot change */
    struct snapshot *snapshot;
    struct session_shared shared;
    struct ca *ca;
    struct leaf_keys *keys;
    struct own_addresses *own;
    struct thread *threads;
    uint32_t thread_count;
    uint32_t threads_running;
    uint32_t conn_cap;
    uint64_t serial;
    int signal_fd;
    pthread_t second; /* waits for the second signal, while draining */
    bool has_second;
    pthread_barrier_t ready;        /* the workers can serve, they may, and they do */
    struct sockaddr_storage *bound; /* of each listener */
    struct page_ca page_ca;
    struct admin *admin;     /* null: none */
    struct worker **workers; /* those of the threads */
    struct sockaddr_storage admin_bound;
    int admin_fd;
    struct inheritance inheritance; /* from the process before this one */
    struct upgrade upgrade;         /* to the one after it */
    char *program;
    char **argv;
};

/* process.c */
/* What sessions begin with from now on; null with a sentence in error. */
struct snapshot *process_make_snapshot(struct process *process, struct config *config, char *error,
                                       size_t error_cap) MUST_CHECK;

/* serve.c */

/* SIGTERM, SIGINT, SIGHUP and SIGUSR2 come to main only, and only when it asks; threads made from
 * now on inherit that. An exit status. */
int process_open_signals(struct process *process);

/* Workers ask the new set from now on; it is taken. False: they go on with the old one. */
bool process_publish_database(struct process *process, struct database *db) MUST_CHECK;

/* Reloads and upgrades, until the workers were told to end. */
void process_serve(struct process *process);

#endif
