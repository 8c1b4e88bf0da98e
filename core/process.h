/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: `weir run`: makes what the workers share (CA, leaf cache, minter, log), binds the
 * listeners, starts a thread a worker, and then waits for signals:
 *     SIGTERM, SIGINT   drain: stop accepting, finish what is under way, exit 0; a second one ends
 *                       at once
 *     SIGHUP            read the configuration again, and reopen the access log
 */
#ifndef WEIR_PROCESS_H
#define WEIR_PROCESS_H

#include "core/options.h"

struct config;
struct database;

/* The signatures of a configuration that names some. Null: said why not on standard error. */
struct database *process_load_database(const struct config *config, const char *command) MUST_CHECK;

/* Returns the status to exit with. */
int process_run(const struct options *options);

#endif
