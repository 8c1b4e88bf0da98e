/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signatures_database: the commands `signatures lint`, `show`, `import`, `export`,
 * `fetch` and `merge --out`, which work on whole databases.
 */
#ifndef WEIR_TOOLS_SIGNATURES_DATABASE_H
#define WEIR_TOOLS_SIGNATURES_DATABASE_H

#include "core/options.h"

/* Return the status to exit with. */
int signatures_lint_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;
int signatures_show_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;
int signatures_merge_database_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;
int signatures_import_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;
int signatures_export_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;
int signatures_fetch_run(const struct options *options, FILE *out, FILE *err) MUST_CHECK;

#endif
