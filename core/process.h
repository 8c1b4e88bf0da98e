/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: `weir run`: makes what the workers share (CA, leaf cache, minter, log), binds the
 * listeners, starts a thread a worker, and then waits for signals:
 *     SIGTERM, SIGINT   drain: not ready any more; after drain.delay accept no more, finish what is
 *                       under way, exit 0; a second one ends at once
 *     SIGHUP            read the configuration again, and reopen the access log
 *     SIGUSR2           upgrade: start the program anew, hand the sockets over, drain (upgrade.h)
 */
#ifndef WEIR_PROCESS_H
#define WEIR_PROCESS_H

#include "core/options.h"

struct config;
struct database;

/* The signatures of a configuration that names some. Null: said why not on standard error. */
struct database *process_load_database(const struct config *config, const char *command) MUST_CHECK;

/* argv: what the next process is started with. Returns the status to exit with. */
int process_run(const struct options *options, char **argv);

#endif
