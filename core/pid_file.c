/* SPDX-License-Identifier: Apache-2.0 */
#include "core/pid_file.h"

#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PID_MAX = 1 << 22 /* the kernel's own bound */ };

bool pid_file_write(const char *path)
{
    char beside[PATH_MAX];
    char line[32];
    int len = snprintf(line, sizeof(line), "%d\n", (int)getpid());
    int fd;

    if (!path) {
        return true;
    }
    if (snprintf(beside, sizeof(beside), "%s.%d", path, (int)getpid()) >= (int)sizeof(beside)) {
        log_write(LOG_ERROR, "--pid-file: the path is too long");
        return false;
    }
    fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0 || write(fd, line, (size_t)len) != len || rename(beside, path) < 0) {
        log_write(LOG_ERROR, "--pid-file: cannot write %s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
            unlink(beside);
        }
        return false;
    }
    close(fd);
    return true;
}

pid_t pid_file_read(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[32];
    ssize_t len;
    long number = 0;

    if (fd < 0) {
        return 0;
    }
    len = read(fd, text, sizeof(text));
    close(fd);
    for (ssize_t i = 0; i < len && text[i] != '\n'; i++) {
        if (text[i] < '0' || text[i] > '9' || number > PID_MAX) {
            return 0;
        }
        number = number * 10 + (text[i] - '0');
    }
    return number <= PID_MAX ? (pid_t)number : 0;
}

void pid_file_remove(const char *path)
{
    if (path && pid_file_read(path) == getpid()) {
        unlink(path);
    }
}
