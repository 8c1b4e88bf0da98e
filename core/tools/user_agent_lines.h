/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_agent_lines: the command user-agent. JSON Lines with the column raw_ua (or raw_ua_hex, for
 * headers that are no UTF-8) are answered with ua_fingerprint.
 */
#ifndef WEIR_TOOLS_USER_AGENT_LINES_H
#define WEIR_TOOLS_USER_AGENT_LINES_H

#include "core/options.h"

/* Returns the status to exit with. */
int user_agent_lines_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;

#endif
