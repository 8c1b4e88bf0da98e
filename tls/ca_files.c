/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the certificate authority: read with care, written whole or not at all. */
#include "core/base/text.h"
#include "tls/ca_private.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_CAP = 4096 };

static bool make_one(const char *directory, char *error, size_t error_cap)
{
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        snprintf(error, error_cap, "%s: the CA's folder cannot be made: %s", directory,
                 strerror(errno));
        return false;
    }
    return true;
}

bool ca_files_make_directory(const char *directory, char *error, size_t error_cap)
{
    char path[PATH_CAP];
    size_t len = strlen(directory);

    if (len >= sizeof(path)) {
        snprintf(error, error_cap, "the CA's folder has too long a name");
        return false;
    }
    memcpy(path, directory, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (path[i] == '/') {
            struct stat there;

            path[i] = '\0';
            if (stat(path, &there) != 0 && !make_one(path, error, error_cap)) {
                return false;
            }
            path[i] = '/';
        }
    }
    return make_one(path, error, error_cap);
}

static bool read_all(int fd, uint8_t *content, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t got = read(fd, content + done, len - done);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            errno = got == 0 ? EIO : errno; /* cut short meanwhile */
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

static bool check_file(const char *path, const struct stat *file, bool is_private, char *error,
                       size_t error_cap)
{
    if (!S_ISREG(file->st_mode)) {
        snprintf(error, error_cap, "%s: is not a regular file; remove it", path);
        return false;
    }
    if (is_private && (file->st_mode & 077)) {
        snprintf(error, error_cap,
                 "%s: holds the CA's private key, but its mode %04o lets others at it; run: "
                 "chmod 600 %s",
                 path, (unsigned)(file->st_mode & 07777), path);
        return false;
    }
    if (file->st_size > CA_FILE_BYTES_MAX) {
        snprintf(error, error_cap, "%s: is larger than %d bytes, which no CA file is", path,
                 CA_FILE_BYTES_MAX);
        return false;
    }
    return true;
}

enum ca_file ca_files_read(const char *path, bool is_private, uint8_t **content, size_t *len,
                           char *error, size_t error_cap)
{
    enum ca_file result = CA_FILE_FAILED;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat file;

    *content = NULL;
    if (fd < 0 && errno == ENOENT) {
        return CA_FILE_ABSENT;
    }
    if (fd < 0) {
        snprintf(error, error_cap, "%s: cannot be opened: %s", path, strerror(errno));
        return result;
    }
    if (fstat(fd, &file) != 0) {
        snprintf(error, error_cap, "%s: %s", path, strerror(errno));
        goto done;
    }
    if (!check_file(path, &file, is_private, error, error_cap)) {
        goto done;
    }
    *len = (size_t)file.st_size;
    *content = OPENSSL_malloc(*len + 1);
    if (!*content || !read_all(fd, *content, *len)) {
        snprintf(error, error_cap, "%s: cannot be read: %s", path,
                 *content ? strerror(errno) : "out of memory");
        OPENSSL_free(*content);
        *content = NULL;
        goto done;
    }
    result = CA_FILE_READ;
done:
    close(fd);
    return result;
}

static bool write_all(int fd, struct span content)
{
    while (content.len) {
        ssize_t sent = write(fd, content.data, content.len);

        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return false;
        }
        content = span_skip(content, (size_t)sent);
    }
    return fsync(fd) == 0;
}

/* Gives the finished file its name. Returns 0 or an errno; EEXIST when another one was faster. */
static int publish(const char *temporary, const char *path, bool replace)
{
    if (replace) {
        return rename(temporary, path) == 0 ? 0 : errno;
    }
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return errno;
    }
    /* A file system without RENAME_NOREPLACE, NFS for one. */
    if (link(temporary, path) != 0) {
        return errno;
    }
    unlink(temporary);
    return 0;
}

/* The new name survives a crash only once the folder is on disk too. */
static void sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        (void)fsync(fd); /* some file systems cannot; the file is in place all the same */
        close(fd);
    }
}

bool ca_files_write(const char *directory, const char *name, struct span content, unsigned mode,
                    bool replace, bool *written, char *error, size_t error_cap)
{
    char path[PATH_CAP];
    char temporary[PATH_CAP];
    int fault = 0;
    int fd;

    *written = false;
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) >= sizeof(path) ||
        (size_t)snprintf(temporary, sizeof(temporary), "%s/.%s.XXXXXX", directory, name) >=
            sizeof(temporary)) {
        snprintf(error, error_cap, "the CA's folder has too long a name");
        return false;
    }
    if (!replace && access(path, F_OK) == 0) {
        return true;
    }
    fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) {
        snprintf(error, error_cap, "%s: no file can be made there: %s", directory, strerror(errno));
        return false;
    }
    if (fchmod(fd, mode) != 0 || !write_all(fd, content)) {
        fault = errno;
    }
    close(fd);
    if (fault == 0) {
        fault = publish(temporary, path, replace);
    }
    if (fault != 0) {
        unlink(temporary);
    }
    if (fault != 0 && fault != EEXIST) {
        snprintf(error, error_cap, "%s: cannot be written: %s", path, strerror(fault));
        return false;
    }
    *written = fault == 0;
    sync_directory(directory);
    return true;
}
