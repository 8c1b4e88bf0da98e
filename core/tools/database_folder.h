/* SPDX-License-Identifier: Apache-2.0 */
/*
 * database_folder: a database from folders with browser.txt, mitm.txt and badheader.txt, or the one
 * that is built in, or several of them as one. One thread. It blocks: for tools, and for a proxy
 * that starts or is told to read anew.
 */
#ifndef WEIR_TOOLS_DATABASE_FOLDER_H
#define WEIR_TOOLS_DATABASE_FOLDER_H

#include "detect/builtin.h"

#include <stdio.h>

enum { DATABASE_FOLDERS_MAX = 16 };

struct database_folders {
    const char *command;     /* that messages begin with: "weir COMMAND: " */
    const char *const *dirs; /* asked in this order; DATABASE_BUILTIN is not a folder */
    size_t count;            /* 1 to DATABASE_FOLDERS_MAX */
    enum detect_mode mode;
    int32_t age_max_days;
    bool strict;                         /* a line that is no record is an error, not left out */
    const struct database_options *more; /* what comes after the folders; null: nothing */
};

/* Null: said why not on `err`. Lines that are no records are told as "PATH:LINE:COLUMN: error: ..."
 * in any case. */
struct database *database_folders_load(const struct database_folders *folders,
                                       FILE *err) MUST_CHECK;

#endif
