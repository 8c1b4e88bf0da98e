/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/database_append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The content to be of one file, on disk under another name. */
struct draft {
    char name[64]; /* empty: nothing is to be done */
};

int database_append_lock(const char *dir)
{
    int lock;
    int failed;

    if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
        return -errno;
    }
    lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0) {
        return -errno;
    }
    if (faccessat(lock, ".", W_OK | X_OK, AT_EACCESS) == 0 && flock(lock, LOCK_EX) == 0) {
        return lock;
    }
    failed = -errno;
    close(lock);
    return failed;
}

static bool write_all(int descriptor, struct span bytes)
{
    while (bytes.len) {
        ssize_t done = write(descriptor, bytes.data, bytes.len);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return false;
        }
        bytes = span_skip(bytes, (size_t)done);
    }
    return true;
}

/* `old` is the file as it is, or null. A draft that is there was left by a crash: under the lock
 * they are nobody else's. */
static int write_draft(int dir, const struct draft *draft, struct span before, struct span lines,
                       const struct stat *old)
{
    bool is_cut = before.len && before.data[before.len - 1] != '\n';
    int descriptor;
    int failed = 0;

    unlinkat(dir, draft->name, 0);
    descriptor = openat(dir, draft->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        return -errno;
    }
    if ((old && fchmod(descriptor, old->st_mode & 0777) != 0) || !write_all(descriptor, before) ||
        !write_all(descriptor, is_cut ? SPAN_LITERAL("\n") : SPAN_LITERAL("")) ||
        !write_all(descriptor, lines) || fsync(descriptor) != 0) {
        failed = -errno;
    }
    if (close(descriptor) != 0 && !failed) {
        failed = -errno;
    }
    return failed;
}

static int make_draft(int lock, const char *dir, struct database_file *file,
                      const struct database_addition *addition, struct draft *draft)
{
    struct stat status;
    bool is_there = fstatat(lock, addition->name, &status, 0) == 0;
    int failed = database_file_open_at(file, lock, dir, addition->name);

    if (failed && failed != -ENOENT) {
        return failed;
    }
    if (is_there && !addition->lines.len) {
        database_file_close(file);
        return 0;
    }
    if (file->text.len + addition->lines.len + 1 > DATABASE_FILE_MAX) {
        database_file_close(file);
        return -EFBIG;
    }
    snprintf(draft->name, sizeof(draft->name), ".%s.new", addition->name);
    failed = write_draft(lock, draft, file->text, addition->lines, is_there ? &status : NULL);
    database_file_close(file);
    return failed;
}

int database_append(int lock, const char *dir, const struct database_addition *additions,
                    size_t count, char path[DATABASE_PATH_CAP])
{
    struct draft drafts[DATABASE_ADDITIONS_MAX] = {{.name = ""}};
    struct database_file *file = calloc(1, sizeof(*file));
    int failed = file ? 0 : -ENOMEM;

    ASSERT(count <= DATABASE_ADDITIONS_MAX);
    snprintf(path, DATABASE_PATH_CAP, "%s", dir);
    for (size_t i = 0; i < count && !failed; i++) {
        failed = make_draft(lock, dir, file, &additions[i], &drafts[i]);
        snprintf(path, DATABASE_PATH_CAP, "%s", file->path);
    }
    for (size_t i = 0; i < count && !failed; i++) {
        if (drafts[i].name[0] && renameat(lock, drafts[i].name, lock, additions[i].name) != 0) {
            failed = -errno;
        } else {
            drafts[i].name[0] = '\0';
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (drafts[i].name[0]) {
            unlinkat(lock, drafts[i].name, 0);
        }
    }
    if (!failed && fsync(lock) != 0) {
        failed = -errno;
    }
    free(file);
    return failed;
}
