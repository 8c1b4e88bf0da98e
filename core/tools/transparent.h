/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transparent: the commands that make the kernel send connections to the transparent listeners, and
 * that take it back. They run nft and ip; the caller needs CAP_NET_ADMIN for all but print.
 */
#ifndef WEIR_TOOLS_TRANSPARENT_H
#define WEIR_TOOLS_TRANSPARENT_H

#include "core/options.h"

/* Each returns the status to exit with. */
int transparent_print_run(const struct options *options, FILE *out, FILE *err);
int transparent_setup_run(const struct options *options, FILE *err);
int transparent_undo_run(FILE *err);

#endif
