/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builtin: the database that is part of the program: the files of detect/database. Its texts live
 * for ever; any thread.
 */
#ifndef WEIR_DETECT_BUILTIN_H
#define WEIR_DETECT_BUILTIN_H

#include "detect/database.h"

#define DATABASE_BUILTIN "builtin" /* its name, where folders are named */

/* Sets the three sources of the options, and nothing else. */
void database_builtin(struct database_options *options);

#endif
