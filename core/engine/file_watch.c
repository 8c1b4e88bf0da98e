/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/file_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_watch_changed(struct file_watch *file)
{
    struct file_watch now = {.path = file->path};
    struct stat status;
    bool changed;

    if (!file->path) {
        return false;
    }
    if (stat(file->path, &status) == 0) {
        now.is_present = true;
        now.inode = status.st_ino;
        now.size = status.st_size;
        now.mtime = status.st_mtim;
    }
    changed = now.is_present != file->is_present || now.inode != file->inode ||
              now.size != file->size || now.mtime.tv_sec != file->mtime.tv_sec ||
              now.mtime.tv_nsec != file->mtime.tv_nsec;
    *file = now;
    return changed;
}

static int read_all(int fd, size_t cap, uint8_t *bytes, size_t *len)
{
    while (*len < cap) {
        ssize_t got = read(fd, bytes + *len, cap - *len);
        if (got == 0) {
            break;
        }
        if (got > 0) {
            *len += (size_t)got;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int file_watch_read(const struct file_watch *file, size_t cap, uint8_t **bytes, size_t *len)
{
    struct stat status;
    int result = 0;
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not stop us */

    *bytes = NULL;
    *len = 0;
    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, &status) < 0) {
        result = -errno;
    } else if (S_ISREG(status.st_mode)) {
        *bytes = malloc(cap);
        result = *bytes ? read_all(fd, cap, *bytes, len) : -ENOMEM;
    }
    if (result < 0) {
        free(*bytes);
        *bytes = NULL;
        *len = 0;
    }
    close(fd);
    return result;
}
