/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metadata_line: one line of a database's metadata.jsonl, which says how a capture was made: a JSON
 * object whose columns name, client, version, system, system_version, product, command and date
 * ("2026-11-21") are strings, all but name optional. mitmengine is an object with what else
 * MITMEngine's fingerprint_metadata.jsonl says of it. Other columns are the reader's own.
 */
#ifndef WEIR_TOOLS_METADATA_LINE_H
#define WEIR_TOOLS_METADATA_LINE_H

#include "core/base/assert.h"
#include "core/base/text.h"

#include <stdio.h>

/* False: `message` says what is wrong, and *column where, from 1. */
bool metadata_line_check(struct span line, size_t *column, struct text *message) MUST_CHECK;

/*
 * Write the line that says the same in the other form, and a line feed: import reads MITMEngine's,
 * export ours. What only one of them has a column for is kept in both directions. False: as above,
 * and nothing is written; that nothing could be written is for the caller to ask of `out`.
 */
bool metadata_line_import(struct span line, FILE *out, size_t *column,
                          struct text *message) MUST_CHECK;
bool metadata_line_export(struct span line, FILE *out, size_t *column,
                          struct text *message) MUST_CHECK;

#endif
