/* SPDX-License-Identifier: Apache-2.0 */
/* upgrade_command: `weir upgrade`: asks a process of weir to start its successor (upgrade.h). */
#ifndef WEIR_UPGRADE_COMMAND_H
#define WEIR_UPGRADE_COMMAND_H

#include "core/options.h"

#include <stdio.h>

/* Returns the status to exit with. */
int upgrade_command_run(const struct options *options, FILE *out, FILE *err);

#endif
