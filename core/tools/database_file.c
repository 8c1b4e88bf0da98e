/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/database_file.h"

#include "core/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_CAP_FIRST = 64 };

/* False: too long; it is cut. */
static bool make_path(char *path, const char *dir, const char *name)
{
    struct text t = text_make(path, DATABASE_PATH_CAP - 1);

    if (dir) {
        text_printf(&t, "%s/", dir);
    }
    text_string(&t, name);
    path[t.len] = '\0';
    return !t.overflow;
}

/* Reads all of file->in, which has just been opened. */
static int read_whole(struct database_file *file)
{
    if (input_fill(&file->in, DATABASE_FILE_MAX + 1) || file->in.error) {
        int failed = file->in.error ? -file->in.error : -EFBIG;
        input_fini(&file->in);
        return failed;
    }
    file->text = input_window(&file->in);
    return 0;
}

int database_file_open(struct database_file *file, const char *dir, const char *name)
{
    int failed = make_path(file->path, dir, dir ? name : input_name(name)) ? 0 : -ENAMETOOLONG;

    input_init(&file->in, -1);
    file->text = (struct span){NULL, 0};
    failed = failed ? failed : input_open(&file->in, dir ? file->path : name);
    if (failed) {
        input_init(&file->in, -1);
        return failed;
    }
    return read_whole(file);
}

int database_file_open_at(struct database_file *file, int folder, const char *dir, const char *name)
{
    int descriptor;

    input_init(&file->in, -1);
    file->text = (struct span){NULL, 0};
    if (!make_path(file->path, dir, name)) {
        return -ENAMETOOLONG;
    }
    descriptor = openat(folder, name, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return -errno;
    }
    input_init(&file->in, descriptor);
    file->in.owns_descriptor = true;
    return read_whole(file);
}

void database_file_close(struct database_file *file)
{
    input_fini(&file->in);
    file->text = (struct span){NULL, 0};
}

void database_file_complain(const struct database_file *file, const char *command, int failed,
                            FILE *err)
{
    fprintf(err, "weir %s: %s: %s\n", command, file->path,
            failed == -EFBIG ? "larger than 2 MiB" : strerror(-failed));
}

/* ---- records ---- */

/* With the line feed before it, if there is one: only a file can begin with a byte-order mark. */
static struct span with_line_feed(struct span whole, struct span line, bool is_first)
{
    const uint8_t *start = is_first ? whole.data : line.data - 1;
    return span_make(start, (size_t)(line.data - start) + line.len);
}

/* False: no memory. */
static bool read_line(const struct database_file *file, struct record_list *list,
                      struct record_line *line, const struct record_reader *reader)
{
    struct span text = with_line_feed(file->text, line->text, line->number == 1);
    struct record_faults faults = {0};
    size_t count = list->count;

    if (line->text.len > RECORD_LINE_MAX) {
        faults.items[0].column = 1;
        faults.items[0].expected = "a line of at most 65535 bytes";
        faults.count = 1;
    } else if (!record_list_load(list, text, file->path, &faults) && faults.count == 0) {
        return false;
    }
    line->has_record = list->count > count;
    for (size_t i = 0; i < faults.count && i < RECORD_FAULTS_MAX; i++) {
        faults.items[i].source = file->path;
        faults.items[i].line = line->number;
        if (faults.items[i].expected == detect_fault_no_memory) {
            return false;
        }
        reader->take_fault(reader->context, &faults.items[i]);
    }
    return true;
}

bool database_file_records(const struct database_file *file, struct record_list *list,
                           const struct record_reader *reader)
{
    struct record_line line = {.number = 0};
    struct span rest = file->text;

    while (record_line_next(&rest, &line.text)) {
        line.number++;
        if (!read_line(file, list, &line, reader) ||
            !reader->take_line(reader->context, list, &line)) {
            return false;
        }
    }
    return true;
}

bool record_lines_add(struct record_lines *lines, const struct record_list *list, size_t number)
{
    if (list->count > lines->cap) {
        size_t cap = lines->cap ? 2 * lines->cap : LINE_CAP_FIRST;
        size_t *bigger = realloc(lines->items, cap * sizeof(*bigger));

        if (!bigger) {
            return false;
        }
        lines->items = bigger;
        lines->cap = cap;
    }
    lines->items[list->count - 1] = number;
    return true;
}

void record_lines_fini(struct record_lines *lines)
{
    free(lines->items);
    lines->items = NULL;
    lines->cap = 0;
}

/* What record_file_load() hands through. */
struct loading {
    struct record_file *file;
    size_t *fault_count;
    FILE *err;
};

static bool note_line(void *context, struct record_list *list, const struct record_line *line)
{
    const struct loading *loading = context;

    return !line->has_record || record_lines_add(&loading->file->lines, list, line->number);
}

static void print_fault(void *context, const struct record_fault *fault)
{
    const struct loading *loading = context;

    ++*loading->fault_count;
    fprintf(loading->err, "%s:%zu:%zu: error: %s expected\n", fault->source, fault->line,
            fault->column, fault->expected);
}

int record_file_load(struct record_file *file, const char *dir, const char *name,
                     struct words *words, enum detect_mode mode, size_t *fault_count, FILE *err)
{
    struct loading loading = {file, fault_count, err};
    struct record_reader reader = {note_line, print_fault, &loading};
    int failed;

    file->lines = (struct record_lines){NULL, 0};
    record_list_init(&file->list, words, mode);
    failed = database_file_open(&file->file, dir, name);
    if (!failed && !database_file_records(&file->file, &file->list, &reader)) {
        failed = -ENOMEM;
    }
    return failed;
}

void record_file_fini(struct record_file *file)
{
    record_list_fini(&file->list);
    database_file_close(&file->file);
    record_lines_fini(&file->lines);
}

char *record_file_print(const struct record *record, const struct words *words,
                        enum detect_mode mode, size_t *len)
{
    size_t cap = record_text_max(record, words);
    char *room = malloc(cap);
    struct text t = text_make(room, cap);

    if (!room) {
        return NULL;
    }
    record_print(&t, record, words, mode);
    ASSERT(!t.overflow);
    *len = t.len;
    return room;
}

/* ---- writing ---- */

int database_output_begin(struct database_output *output, const char *dir)
{
    *output = (struct database_output){.dir = dir};
    if (mkdir(dir, 0777) == 0) {
        output->made_dir = true;
        return 0;
    }
    return errno == EEXIST ? 0 : -errno;
}

static int end_stream(struct database_output *output)
{
    FILE *stream = output->stream;
    int failed = 0;

    if (stream) {
        failed = ferror(stream) ? -EIO : 0;
        output->stream = NULL;
        if (fclose(stream) != 0 && !failed) {
            failed = -errno;
        }
    }
    return failed;
}

int database_output_next(struct database_output *output, const char *name)
{
    char *path = output->paths[output->count];
    int failed = end_stream(output);
    int descriptor;

    ASSERT(output->count < DATABASE_OUTPUT_MAX);
    if (failed) {
        return failed;
    }
    if (!make_path(path, output->dir, name)) {
        return -ENAMETOOLONG;
    }
    descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        return -errno;
    }
    output->stream = fdopen(descriptor, "w");
    output->count++;
    if (!output->stream) {
        close(descriptor);
        return -ENOMEM;
    }
    return 0;
}

void database_output_abandon(struct database_output *output)
{
    int ended = end_stream(output);

    (void)ended; /* what could not be written goes now */
    for (size_t i = 0; i < output->count; i++) {
        unlink(output->paths[i]);
    }
    if (output->made_dir) {
        rmdir(output->dir);
    }
}

int database_output_end(struct database_output *output, int failed, const char *command, FILE *err)
{
    int ended = end_stream(output);

    failed = failed ? failed : ended;
    if (!failed) {
        return EXIT_STATUS_OK;
    }
    fprintf(err, "weir %s: %s: %s\n", command, output->dir,
            failed == -EEXIST ? "it has files of a database already" : strerror(-failed));
    database_output_abandon(output);
    return failed == -EACCES ? EXIT_STATUS_PERMISSION : EXIT_STATUS_CANNOT_CREATE;
}
