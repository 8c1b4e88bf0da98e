/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_agent_lines: the command user-agent. JSON Lines with the column raw_ua (or raw_ua_hex, for
 * headers that are no UTF-8) are answered with ua_fingerprint.
 */
#ifndef WEIR_TOOLS_USER_AGENT_LINES_H
#define WEIR_TOOLS_USER_AGENT_LINES_H

#include "core/options.h"
#include "core/tools/json_lines.h"

/* The bytes of the header in raw_ua or raw_ua_hex; *owned is to be freed whatever comes back.
 * False: `error` says what is wrong. */
bool user_agent_lines_header(const json_t *line, struct span *raw, uint8_t **owned,
                             struct text *error) MUST_CHECK;

/* Returns the status to exit with. */
int user_agent_lines_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;

#endif
