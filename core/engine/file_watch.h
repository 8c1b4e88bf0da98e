/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_watch: a small system file that may change while weir runs. Whoever uses it asks now and
 * then; one stat(2) tells whether reading it again is worth while. One owner, one thread.
 */
#ifndef WEIR_ENGINE_FILE_WATCH_H
#define WEIR_ENGINE_FILE_WATCH_H

#include "core/base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct file_watch {
    char *path; /* null: nothing is watched */
    bool is_present;
    ino_t inode;
    off_t size;
    struct timespec mtime;
};

/* Whether the file is not what it was at the last call; a file that was never there has not
 * changed while it is absent. */
bool file_watch_changed(struct file_watch *file);

/* The first `cap` bytes, in memory that the caller frees; nothing when it is no regular file.
 * Returns 0 or -errno. */
int file_watch_read(const struct file_watch *file, size_t cap, uint8_t **bytes,
                    size_t *len) MUST_CHECK;

#endif
