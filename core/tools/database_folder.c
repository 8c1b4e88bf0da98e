/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/database_folder.h"

#include "core/tools/database_file.h"

#include <stdlib.h>

/* One folder, while the database is made of it. */
struct folder {
    struct database_file files[3];
    struct database_options options;
};

/* False: said why not. */
static bool read_file(struct folder *folder, size_t index, const char *dir, const char *name,
                      struct database_source *source, const char *command, FILE *err)
{
    struct database_file *file = &folder->files[index];
    int failed = database_file_open(file, dir, name);

    if (failed) {
        database_file_complain(file, command, failed, err);
        return false;
    }
    *source = (struct database_source){file->text, file->path};
    return true;
}

static bool read_folder(struct folder *folder, const char *dir, const char *command, FILE *err)
{
    struct database_options *options = &folder->options;

    if (strcmp(dir, DATABASE_BUILTIN) == 0) {
        database_builtin(options);
        return true;
    }
    return read_file(folder, 0, dir, "browser.txt", &options->browsers, command, err) &&
           read_file(folder, 1, dir, "mitm.txt", &options->products, command, err) &&
           read_file(folder, 2, dir, "badheader.txt", &options->bad_headers, command, err);
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
        read[i].options.more = i + 1 < folders->count ? &read[i + 1].options : NULL;
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
