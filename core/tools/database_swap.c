/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/database_swap.h"

#include "core/options.h"
#include "core/tools/fetch_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int complain(const char *path, int failed, FILE *err)
{
    fprintf(err, "weir signatures fetch: %s: %s\n", path, strerror(failed));
    return failed == EACCES || failed == EPERM ? EXIT_STATUS_PERMISSION : EXIT_STATUS_CANNOT_CREATE;
}

/* False: too long. */
static bool join(char path[DATABASE_PATH_CAP], const char *dir, const char *more)
{
    int len = snprintf(path, DATABASE_PATH_CAP, "%s%s", dir, more);
    return len >= 0 && len < DATABASE_PATH_CAP;
}

static const char *our_name(int i)
{
    return i < FETCH_FILE_COUNT ? fetch_file_name((enum fetch_file)i) : fetch_state_name;
}

static bool is_ours(const char *name)
{
    bool found = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;

    for (int i = 0; i <= FETCH_FILE_COUNT && !found; i++) {
        found = strcmp(name, our_name(i)) == 0;
    }
    return found;
}

/* Returns 0 or the status to exit with. */
static int check_folder(const char *path, bool *is_there, FILE *err)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    int status = 0;

    *is_there = folder != NULL;
    if (!folder) {
        return errno == ENOENT ? 0 : complain(path, errno, err);
    }
    while (status == 0 && (entry = readdir(folder))) {
        if (!is_ours(entry->d_name)) {
            fprintf(err,
                    "weir signatures fetch: %s: %s is no file of a database; a folder for the "
                    "database alone expected\n",
                    path, entry->d_name);
            status = EXIT_STATUS_CANNOT_CREATE;
        }
    }
    closedir(folder);
    return status;
}

/* With what a fetch writes. Returns 0 or an errno. */
static int remove_folder(const char *path)
{
    char name[DATABASE_PATH_CAP];

    for (int i = 0; i <= FETCH_FILE_COUNT; i++) {
        int len = snprintf(name, sizeof(name), "%s/%s", path, our_name(i));

        if (len >= 0 && (size_t)len < sizeof(name) && unlink(name) != 0 && errno != ENOENT) {
            return errno;
        }
    }
    return rmdir(path) == 0 || errno == ENOENT ? 0 : errno;
}

/* ---- beginning ---- */

/* Follows links, since it is the folder that is exchanged. False: too long. */
static bool resolve(struct database_swap *swap, const char *dir)
{
    char *resolved = realpath(dir, NULL);
    const char *path = resolved ? resolved : dir;
    size_t len = strlen(path);
    bool fits;

    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    fits = len < DATABASE_PATH_CAP;
    if (fits) {
        memcpy(swap->dir, path, len);
        swap->dir[len] = '\0';
    }
    free(resolved);
    return fits;
}

static int take_lock(struct database_swap *swap, const char *path, FILE *err)
{
    swap->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (swap->lock < 0) {
        return complain(path, errno, err);
    }
    if (flock(swap->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            return complain(path, errno, err);
        }
        fprintf(err, "weir signatures fetch: %s: another fetch is under way; try again later\n",
                path);
        return EXIT_STATUS_TEMPORARY;
    }
    return 0;
}

static int make_staging(struct database_swap *swap, FILE *err)
{
    struct stat status;
    int failed = remove_folder(swap->staging);

    if (!failed && mkdir(swap->staging, 0777) != 0) {
        failed = errno;
    }
    if (failed) {
        return complain(swap->staging, failed, err);
    }
    swap->has_staging = true;
    if (swap->is_there &&
        (stat(swap->dir, &status) != 0 || chmod(swap->staging, status.st_mode & 07777) != 0)) {
        return complain(swap->staging, errno, err);
    }
    return 0;
}

int database_swap_begin(struct database_swap *swap, const char *dir, FILE *err)
{
    char lock[DATABASE_PATH_CAP];
    bool has_previous;
    int status;

    *swap = (struct database_swap){.lock = -1};
    if (!resolve(swap, dir) || !join(lock, swap->dir, ".lock") ||
        !join(swap->staging, swap->dir, ".new") || !join(swap->previous, swap->dir, ".previous")) {
        return complain(dir, ENAMETOOLONG, err);
    }
    status = take_lock(swap, lock, err);
    status = status ? status : check_folder(swap->dir, &swap->is_there, err);
    status = status ? status : check_folder(swap->previous, &has_previous, err);
    return status ? status : make_staging(swap, err);
}

int database_swap_write(const struct database_swap *swap, const char *name, struct span text)
{
    char path[DATABASE_PATH_CAP];
    int len = snprintf(path, sizeof(path), "%s/%s", swap->staging, name);
    FILE *file;
    bool done;

    if (len < 0 || (size_t)len >= sizeof(path)) {
        return -ENAMETOOLONG;
    }
    file = fopen(path, "wxe");
    if (!file) {
        return -errno;
    }
    errno = 0;
    done = fwrite(text.data, 1, text.len, file) == text.len;
    done = fclose(file) == 0 && done;
    return done ? 0 : errno ? -errno : -EIO;
}

/* ---- the end ---- */

/* Returns 0 or an errno. */
static int sync_path(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    int failed = descriptor < 0 ? errno : 0;

    if (!failed && fsync(descriptor) != 0) {
        failed = errno;
    }
    if (descriptor >= 0) {
        close(descriptor);
    }
    return failed;
}

static int sync_staging(const struct database_swap *swap)
{
    char name[DATABASE_PATH_CAP];
    int failed = 0;

    for (int i = 0; i <= FETCH_FILE_COUNT && !failed; i++) {
        int len = snprintf(name, sizeof(name), "%s/%s", swap->staging, our_name(i));

        failed = len >= 0 && (size_t)len < sizeof(name) ? sync_path(name) : ENAMETOOLONG;
        failed = failed == ENOENT ? 0 : failed; /* not every set has all of them */
    }
    return failed ? failed : sync_path(swap->staging);
}

static int sync_parent(const struct database_swap *swap)
{
    char parent[DATABASE_PATH_CAP];
    const char *slash = strrchr(swap->dir, '/');
    size_t len = slash ? (size_t)(slash - swap->dir) : 0;

    if (!slash) {
        return sync_path(".");
    }
    len = len ? len : 1;
    memcpy(parent, swap->dir, len);
    parent[len] = '\0';
    return sync_path(parent);
}

static int complain_exchange(const struct database_swap *swap, int failed, FILE *err)
{
    const char *why = strerror(failed);

    if (failed == EBUSY || failed == EXDEV) {
        why = "a mount point cannot be replaced; name a folder in it";
    } else if (failed == EINVAL || failed == ENOSYS) {
        why = "its file system cannot exchange two folders at once; use another one";
    }
    fprintf(err, "weir signatures fetch: %s: %s\n", swap->dir, why);
    return EXIT_STATUS_CANNOT_CREATE;
}

int database_swap_commit(struct database_swap *swap, FILE *err)
{
    unsigned flags = swap->is_there ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    int failed = sync_staging(swap);

    if (failed) {
        return complain(swap->staging, failed, err);
    }
    if (renameat2(AT_FDCWD, swap->staging, AT_FDCWD, swap->dir, flags) != 0) {
        return complain_exchange(swap, errno, err);
    }
    swap->has_staging = false; /* what is there now is the set before */
    if (swap->is_there) {
        failed = remove_folder(swap->previous);
        if (!failed && rename(swap->staging, swap->previous) != 0) {
            failed = errno;
        }
        if (failed) {
            return complain(swap->previous, failed, err);
        }
    }
    failed = sync_parent(swap);
    return failed ? complain(swap->dir, failed, err) : 0;
}

void database_swap_end(struct database_swap *swap)
{
    if (swap->has_staging) {
        remove_folder(swap->staging);
        swap->has_staging = false;
    }
    if (swap->lock >= 0) {
        close(swap->lock);
        swap->lock = -1;
    }
}
