/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/database_folder.h"

#include "core/tools/database_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* One folder, while the database is made of it. */
struct folder {
    struct database_file files[3]; /* of zeroes until they are read */
    struct database_options options;
};

/* All files of one set, also when the folder is exchanged meanwhile. False: said why not. */
static bool read_folder(struct folder *folder, const char *dir, const char *command, FILE *err)
{
    struct database_options *options = &folder->options;
    const struct {
        const char *name;
        struct database_source *source;
    } rows[] = {
        {"browser.txt", &options->browsers},
        {"mitm.txt", &options->products},
        {"badheader.txt", &options->bad_headers},
    };
    int failed = 0;
    int opened;

    if (strcmp(dir, DATABASE_BUILTIN) == 0) {
        database_builtin(options);
        return true;
    }
    opened = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0) {
        fprintf(err, "weir %s: %s: %s\n", command, dir, strerror(errno));
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(rows) && !failed; i++) {
        struct database_file *file = &folder->files[i];
        failed = database_file_open_at(file, opened, dir, rows[i].name);
        if (failed) {
            database_file_complain(file, command, failed, err);
        } else {
            *rows[i].source = (struct database_source){file->text, file->path};
        }
    }
    close(opened);
    return !failed;
}

static void print_faults(const struct record_faults *faults, const char *command, FILE *err)
{
    for (size_t i = 0; i < faults->count && i < RECORD_FAULTS_MAX; i++) {
        const struct record_fault *fault = &faults->items[i];
        fprintf(err, "%s:%zu:%zu: error: %s expected\n", fault->source, fault->line, fault->column,
                fault->expected);
    }
    if (faults->count > RECORD_FAULTS_MAX) {
        fprintf(err, "weir %s: and %zu faults more\n", command, faults->count - RECORD_FAULTS_MAX);
    }
}

struct database *database_folders_load(const struct database_folders *folders, FILE *err)
{
    struct folder *read = calloc(folders->count, sizeof(*read));
    struct record_faults faults = {0};
    struct database *db = NULL;
    bool good = read != NULL;

    ASSERT(folders->count > 0 && folders->count <= DATABASE_FOLDERS_MAX);
    for (size_t i = 0; good && i < folders->count; i++) {
        read[i].options.mode = folders->mode;
        read[i].options.age_max_days = folders->age_max_days;
        read[i].options.more = i + 1 < folders->count ? &read[i + 1].options : folders->more;
        good = read_folder(&read[i], folders->dirs[i], folders->command, err);
    }
    if (good) {
        db = database_new(&read[0].options, &faults);
        print_faults(&faults, folders->command, err);
    }
    if (!read || (good && !db && faults.count == 0)) {
        fprintf(err, "weir %s: out of memory\n", folders->command);
    }
    for (size_t i = 0; read && i < folders->count; i++) {
        for (size_t j = 0; j < COUNT_OF(read[i].files); j++) {
            database_file_close(&read[i].files[j]);
        }
    }
    free(read);
    if (folders->strict && faults.count) {
        database_free(db);
        return NULL;
    }
    return db;
}
