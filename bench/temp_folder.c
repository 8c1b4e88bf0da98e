/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/temp_folder.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>

bool temp_folder_make(char path[TEMP_FOLDER_PATH_MAX], FILE *err)
{
    const char *place = getenv("TMPDIR");
    int len = snprintf(path, TEMP_FOLDER_PATH_MAX, "%s/weir-bench-XXXXXX",
                       place && *place ? place : "/tmp");

    if (len < TEMP_FOLDER_PATH_MAX && mkdtemp(path)) {
        return true;
    }
    fprintf(err, "weir bench: %s: %s\n", path,
            len < TEMP_FOLDER_PATH_MAX ? strerror(errno) : "TMPDIR is too long");
    path[0] = '\0';
    return false;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

void temp_folder_remove(const char *path)
{
    if (path[0]) {
        (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
}
