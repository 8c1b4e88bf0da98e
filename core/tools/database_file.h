/* SPDX-License-Identifier: Apache-2.0 */
/*
 * database_file: the files of a database of signatures, read whole and with the line of every
 * record, and written anew. One thread. It blocks: for tools only.
 */
#ifndef WEIR_TOOLS_DATABASE_FILE_H
#define WEIR_TOOLS_DATABASE_FILE_H

#include "core/tools/input.h"
#include "detect/record.h"

enum {
    DATABASE_FILE_MAX = INPUT_WINDOW_MAX - 1, /* bytes */
    DATABASE_PATH_CAP = 4096,
};

struct database_file {
    char path[DATABASE_PATH_CAP]; /* as messages call it */
    struct input in;
    struct span text; /* borrowed from `in` */
};

/* Reads `name` in `dir`, or `name` ("-" is standard input) where `dir` is null. Returns 0, or a
 * negative errno: nothing is owned then, but path is there for a message. */
int database_file_open(struct database_file *file, const char *dir, const char *name) MUST_CHECK;
/* The same in an open folder, which is the same one whatever becomes of its name `dir`. */
int database_file_open_at(struct database_file *file, int folder, const char *dir,
                          const char *name) MUST_CHECK;
void database_file_close(struct database_file *file); /* one of zeroes is allowed */

/* "weir COMMAND: PATH: No such file or directory" */
void database_file_complain(const struct database_file *file, const char *command, int failed,
                            FILE *err);

/* A line, as it is read. */
struct record_line {
    struct span text; /* without its line end */
    size_t number;    /* from 1 */
    bool has_record;  /* it has become the last one of the list */
};

/* Each function returns false to end the walk. */
struct record_reader {
    bool (*take_line)(void *context, struct record_list *list, const struct record_line *line);
    void (*take_fault)(void *context, const struct record_fault *fault);
    void *context;
};

/*
 * Adds the records of the file, in the mode of the list, and tells of every line and every fault:
 * other than record_list_load(), it goes on behind a bad line in compatible mode too. False: no
 * memory, or take_line() said so.
 */
bool database_file_records(const struct database_file *file, struct record_list *list,
                           const struct record_reader *reader) MUST_CHECK;

/* The line of each record of a list. */
struct record_lines {
    size_t *items; /* owned */
    size_t cap;
};

/* Of the last record, for take_line(). False: no memory. */
bool record_lines_add(struct record_lines *lines, const struct record_list *list,
                      size_t number) MUST_CHECK;
void record_lines_fini(struct record_lines *lines);

/* Records with their lines. */
struct record_file {
    struct database_file file;
    struct record_list list;
    struct record_lines lines;
};

/* Prints faults as "PATH:LINE:COLUMN: error: ... expected" to `err` and counts them. Returns 0 or
 * a negative errno; fini either way. */
int record_file_load(struct record_file *file, const char *dir, const char *name,
                     struct words *words, enum detect_mode mode, size_t *fault_count,
                     FILE *err) MUST_CHECK;
void record_file_fini(struct record_file *file); /* one of zeroes is allowed */

/* The text of a record, which the caller frees; null: no memory. */
char *record_file_print(const struct record *record, const struct words *words,
                        enum detect_mode mode, size_t *len) MUST_CHECK;

/* ---- writing ---- */

enum { DATABASE_OUTPUT_MAX = 4 };

/* The files of a new database: all of them are written, or none is left. */
struct database_output {
    const char *dir; /* borrowed */
    bool made_dir;
    FILE *stream; /* of the last file */
    size_t count;
    char paths[DATABASE_OUTPUT_MAX][DATABASE_PATH_CAP];
};

/* Makes the folder if it is not there. Returns 0 or a negative errno. */
int database_output_begin(struct database_output *output, const char *dir) MUST_CHECK;
/* Ends the file before, and makes the next; -EEXIST: it is there. */
int database_output_next(struct database_output *output, const char *name) MUST_CHECK;
/* Ends the last file. Whatever failed, now or before (`failed`), removes what was made, and prints
 * it. Returns the status to exit with. */
int database_output_end(struct database_output *output, int failed, const char *command, FILE *err);
/* Instead of end: removes what was made, and prints nothing. */
void database_output_abandon(struct database_output *output);

#endif
