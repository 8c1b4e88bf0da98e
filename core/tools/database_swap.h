/* SPDX-License-Identifier: Apache-2.0 */
/*
 * database_swap: puts a folder of files in the place of another, all of it at once. The new one is
 * made at DIR.new; then the two names are exchanged in one system call, and the old one is called
 * DIR.previous. Whoever opens DIR has the old set or the new one, whole; what was killed on the way
 * is removed the next time. DIR.lock keeps two of them apart. One thread. It blocks: for tools
 * only.
 */
#ifndef WEIR_TOOLS_DATABASE_SWAP_H
#define WEIR_TOOLS_DATABASE_SWAP_H

#include "core/tools/database_file.h"

struct database_swap {
    char dir[DATABASE_PATH_CAP]; /* no symbolic link */
    char staging[DATABASE_PATH_CAP];
    char previous[DATABASE_PATH_CAP];
    int lock;      /* descriptor; -1: not held */
    bool is_there; /* there is a DIR */
    bool has_staging;
};

/* Makes an empty DIR.new. Returns 0, or the status to exit with, having said why; end it either
 * way. DIR and DIR.previous may hold nothing but what a fetch writes: the latter is deleted. */
int database_swap_begin(struct database_swap *swap, const char *dir, FILE *err) MUST_CHECK;

/* Makes a file in DIR.new. Returns 0 or a negative errno. */
int database_swap_write(const struct database_swap *swap, const char *name,
                        struct span text) MUST_CHECK;

/* DIR.new becomes DIR, on the disk too. As begin. */
int database_swap_commit(struct database_swap *swap, FILE *err) MUST_CHECK;

/* Removes DIR.new, unless it has become DIR, and lets go of the lock. */
void database_swap_end(struct database_swap *swap);

#endif
