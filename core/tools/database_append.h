/* SPDX-License-Identifier: Apache-2.0 */
/*
 * database_append: puts lines behind those of a database's files. Whoever reads a file meanwhile
 * sees it as it was or as it is to be, never half of it, and so does who comes after a crash. One
 * thread; processes that append to the same folder wait for each other. It blocks: for tools only.
 */
#ifndef WEIR_TOOLS_DATABASE_APPEND_H
#define WEIR_TOOLS_DATABASE_APPEND_H

#include "core/tools/database_file.h"

enum { DATABASE_ADDITIONS_MAX = 4 };

/* `lines` ends with a line feed, or is empty: then the file is only made if it is not there. */
struct database_addition {
    const char *name;
    struct span lines;
};

/* Makes the folder if it is not there and holds off others that append to it. Returns a descriptor,
 * which the caller closes, or a negative errno: -EACCES too if nothing could be written there. */
int database_append_lock(const char *dir) MUST_CHECK;

/*
 * Under the lock. The files get their new content one after the other in this order, when all of it
 * is on disk. Returns 0 or a negative errno, with the path of the file in question in `path`:
 * -EFBIG if it would be larger than a database's file may be.
 */
int database_append(int lock, const char *dir, const struct database_addition *additions,
                    size_t count, char path[DATABASE_PATH_CAP]) MUST_CHECK;

#endif
