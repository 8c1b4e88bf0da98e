/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Findings are the answer, so they go to standard output; what could not be read is a complaint.
 * Records are compared in pairs: a database has thousands, and most pairs differ in their browser.
 */
#include "core/tools/database_file.h"
#include "core/tools/metadata_line.h"
#include "core/tools/signature_cover.h"
#include "core/tools/signatures_database.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { MESSAGE_CAP = 512, HEADER_NAME_MAX = 256 };

static const char command[] = "signatures lint";

struct lint {
    FILE *out, *err;
    bool json;
    bool failed; /* a line is bad, or a file could not be read */
    const char *path;
    size_t error_count; /* of the file */
    size_t warning_count;
    struct record_lines lines;
};

static void print_finding(struct lint *lint, bool is_error, size_t line, size_t column,
                          const char *message)
{
    const char *severity = is_error ? "error" : "warning";

    lint->error_count += is_error;
    lint->warning_count += !is_error;
    lint->failed = lint->failed || is_error;
    if (lint->json) {
        char room[6 * (DATABASE_PATH_CAP + MESSAGE_CAP) + 128];
        struct text t = text_make(room, sizeof(room));

        text_string(&t, "{\"file\":");
        text_json(&t, span_from_string(lint->path));
        text_printf(&t, ",\"line\":%zu,\"column\":%zu,\"severity\":\"%s\",\"message\":", line,
                    column, severity);
        text_json(&t, span_from_string(message));
        text_string(&t, "}\n");
        fwrite(room, 1, t.len, lint->out);
    } else {
        fprintf(lint->out, "%s:%zu:%zu: %s: %s\n", lint->path, line, column, severity, message);
    }
}

static void print_expected(struct lint *lint, size_t line, size_t column, const char *expected)
{
    char message[MESSAGE_CAP];

    snprintf(message, sizeof(message), "%s expected", expected);
    print_finding(lint, true, line, column, message);
}

/* ---- records ---- */

static void take_fault(void *context, const struct record_fault *fault)
{
    print_expected(context, fault->line, fault->column, fault->expected);
}

/* Do both say the same? The day aside. */
static bool is_same(const struct record *a, const struct record *b)
{
    return signature_covers(a, b) && signature_covers(b, a) && a->mitm.type == b->mitm.type &&
           a->mitm.grade == b->mitm.grade &&
           span_equal(mitm_info_names(&a->mitm), mitm_info_names(&b->mitm));
}

/* Of the list's last record: what stands before it, and itself. */
static void judge_last(struct lint *lint, const struct record_list *list)
{
    size_t last = list->count - 1;
    const struct record *record = &list->items[last];
    const char *contradiction = signature_contradiction(record);
    char message[MESSAGE_CAP];

    if (contradiction) {
        snprintf(message, sizeof(message), "this record is never reached: %s", contradiction);
        print_finding(lint, false, lint->lines.items[last], 1, message);
        return;
    }
    for (size_t i = 0; i < last; i++) {
        if (signature_covers(&list->items[i], record)) {
            bool is_double = is_same(&list->items[i], record);

            snprintf(message, sizeof(message),
                     is_double ? "this record is there already, in line %zu"
                               : "this record is never reached: line %zu covers it",
                     lint->lines.items[i]);
            print_finding(lint, false, lint->lines.items[last], 1, message);
            return;
        }
    }
}

static bool take_line(void *context, struct record_list *list, const struct record_line *line)
{
    struct lint *lint = context;

    if (!line->has_record) {
        return true;
    }
    if (!record_lines_add(&lint->lines, list, line->number)) {
        return false;
    }
    judge_last(lint, list);
    return true;
}

/* Each returns false for no memory, and counts what it read. */

static bool lint_records(struct lint *lint, const struct database_file *file, size_t *count)
{
    struct record_reader reader = {take_line, take_fault, lint};
    struct words *words = words_new();
    struct record_list list;
    bool done;

    if (!words) {
        return false;
    }
    record_list_init(&list, words, DETECT_DEFAULT);
    done = database_file_records(file, &list, &reader);
    *count = list.count;
    record_list_fini(&list);
    words_free(words);
    record_lines_fini(&lint->lines);
    return done;
}

/* ---- header names ---- */

/* RFC 9110 5.6.2 */
static bool is_token(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];

        if (!(c >= '0' && c <= '9') && !(span_fold(c) >= 'a' && span_fold(c) <= 'z') &&
            (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c))) {
            return false;
        }
    }
    return true;
}

/* False: no memory. */
static bool judge_name(struct lint *lint, struct words *names, struct span name, size_t line,
                       size_t column)
{
    char lower[HEADER_NAME_MAX];
    size_t known = words_count(names);
    uint16_t number;

    for (size_t i = 0; i < name.len; i++) {
        lower[i] = (char)span_fold(name.data[i]);
    }
    if (!words_add(names, span_make(lower, name.len), &number)) {
        return false;
    }
    if (words_count(names) == known) {
        print_finding(lint, false, line, column, "this name is there already");
    } else if (!is_token(name)) {
        print_finding(lint, false, line, column, "no request has a header of this name");
    }
    return true;
}

static bool lint_headers(struct lint *lint, const struct database_file *file, size_t *count)
{
    struct words *names = words_new();
    struct span rest = file->text;
    struct span line;
    size_t number = 0;
    bool done = names != NULL;

    while (done && record_line_next(&rest, &line)) {
        struct span name = record_trim(line);

        number++;
        if (name.len > HEADER_NAME_MAX) {
            print_expected(lint, number, 1, "a header name of at most 256 bytes");
        } else if (name.len) {
            done = judge_name(lint, names, name, number, (size_t)(name.data - line.data) + 1);
        }
    }
    *count = names ? words_count(names) : 0;
    words_free(names);
    return done;
}

/* ---- metadata ---- */

static bool lint_metadata(struct lint *lint, const struct database_file *file, size_t *count)
{
    struct span rest = file->text;
    struct span line;
    size_t number = 0;

    while (record_line_next(&rest, &line)) {
        char room[MESSAGE_CAP];
        struct text message = text_make(room, sizeof(room) - 1);
        size_t column = 1;

        number++;
        if (record_trim(line).len == 0) {
            continue;
        }
        if (metadata_line_check(line, &column, &message)) {
            ++*count;
        } else {
            room[message.len] = '\0';
            print_finding(lint, true, number, column, room);
        }
    }
    return true;
}

/* ---- files ---- */

static bool ends_with(const char *path, const char *end)
{
    size_t len = strlen(path);
    size_t end_len = strlen(end);

    return len >= end_len && strcmp(path + len - end_len, end) == 0;
}

static void lint_text(struct lint *lint, const struct database_file *file)
{
    const char *what = "records";
    size_t count = 0;
    bool done;

    lint->path = file->path;
    lint->error_count = 0;
    lint->warning_count = 0;
    if (ends_with(file->path, "badheader.txt")) {
        what = "names";
        done = lint_headers(lint, file, &count);
    } else if (ends_with(file->path, ".jsonl")) {
        what = "captures";
        done = lint_metadata(lint, file, &count);
    } else {
        done = lint_records(lint, file, &count);
    }
    if (!done) {
        lint->failed = true;
        database_file_complain(file, command, -ENOMEM, lint->err);
    } else if (!lint->json) {
        fprintf(lint->out, "%s: %zu %s, %zu error%s, %zu warning%s\n", file->path, count, what,
                lint->error_count, lint->error_count == 1 ? "" : "s", lint->warning_count,
                lint->warning_count == 1 ? "" : "s");
    }
}

static void lint_file(struct lint *lint, const char *dir, const char *name, bool is_optional)
{
    struct database_file *file = malloc(sizeof(*file));
    int failed;

    if (!file) {
        fprintf(lint->err, "weir %s: out of memory\n", command);
        lint->failed = true;
        return;
    }
    failed = database_file_open(file, dir, name);
    if (!failed) {
        lint_text(lint, file);
        database_file_close(file);
    } else if (!is_optional || failed != -ENOENT) {
        database_file_complain(file, command, failed, lint->err);
        lint->failed = true;
    }
    free(file);
}

static bool is_folder(const char *path)
{
    struct stat status;
    return strcmp(path, "-") != 0 && stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

int signatures_lint_run(const struct options *options, FILE *out, FILE *err)
{
    struct lint lint = {.out = out, .err = err, .json = options->json};

    for (size_t i = 0; i < options->input_count; i++) {
        const char *input = options->inputs[i];

        if (is_folder(input)) {
            lint_file(&lint, input, "browser.txt", false);
            lint_file(&lint, input, "mitm.txt", false);
            lint_file(&lint, input, "badheader.txt", false);
            lint_file(&lint, input, "metadata.jsonl", true);
        } else {
            lint_file(&lint, NULL, input, false);
        }
    }
    if (fflush(out) != 0) {
        fprintf(err, "weir %s: standard output: %s\n", command, strerror(errno));
        lint.failed = true;
    }
    return lint.failed ? EXIT_STATUS_RUNTIME : EXIT_STATUS_OK;
}
