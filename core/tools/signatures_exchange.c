/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between MITMEngine's files and ours. Records mean the same in both, so they are read by the rules
 * of the one and written so that the other reads the same; the day of a record, which MITMEngine
 * has no place for, stands in a comment: "... # captured 2026-11-21".
 */
#include "core/tools/database_file.h"
#include "core/tools/metadata_line.h"
#include "core/tools/signatures_database.h"

#include <errno.h>
#include <stdlib.h>

enum { MESSAGE_CAP = 512, HEADER_NAME_MAX = 256 };

static const char day_mark[] = "# captured ";

struct exchange {
    bool is_import;
    const char *command;
    FILE *err;
    struct database_output output;
    struct database_file *file; /* that is read */
    struct words *words;
    size_t fault_count;
    size_t count; /* of records, names or captures in the file */
};

static void print_error(struct exchange *exchange, size_t line, size_t column, const char *message)
{
    exchange->fault_count++;
    fprintf(exchange->err, "%s:%zu:%zu: error: %s\n", exchange->file->path, line, column, message);
}

/* ---- records ---- */

static void take_fault(void *context, const struct record_fault *fault)
{
    char message[MESSAGE_CAP];

    snprintf(message, sizeof(message), "%s expected", fault->expected);
    print_error(context, fault->line, fault->column, message);
}

/* What export wrote behind the record; 0: nothing. */
static int32_t day_of_comment(struct span line)
{
    struct span comment = record_trim(span_skip(line, span_find(line, '#')));
    struct span mark = span_from_string(day_mark);
    int32_t day;

    if (span_equal(span_sub(comment, 0, mark.len), mark) &&
        record_day_parse(&day, span_skip(comment, mark.len))) {
        return day;
    }
    return 0;
}

static void write_day(FILE *out, int32_t day)
{
    char room[MESSAGE_CAP];
    struct text t = text_make(room, sizeof(room));

    record_day_print(&t, day);
    fprintf(out, " %s%.*s", day_mark, (int)t.len, room);
}

/* What one side takes, the other may refuse: a product's type of 9, or a TAB, behind which
 * MITMEngine begins to read. */
static void check_reads(struct exchange *exchange, const struct record_list *list, size_t line,
                        struct span text)
{
    enum detect_mode mode = exchange->is_import ? DETECT_DEFAULT : DETECT_COMPATIBLE;
    struct detect_fault fault = {0, "a record without a TAB"};
    char message[MESSAGE_CAP];
    struct record record;

    if (span_find(text, '\t') == text.len &&
        record_parse(&record, text, list->words, mode, &fault)) {
        record_fini(&record);
        return;
    }
    snprintf(message, sizeof(message), "as it is to be written, byte %zu: %s expected",
             fault.offset, fault.expected);
    print_error(exchange, line, 1, message);
}

/* False: no memory. */
static bool write_record(struct exchange *exchange, const struct record_list *list,
                         const struct record_line *line, struct record *record)
{
    FILE *out = exchange->output.stream;
    int32_t day = exchange->is_import ? day_of_comment(line->text) : record->captured_day;
    size_t len;
    char *text;

    record->captured_day = exchange->is_import ? day : 0;
    /* MITMEngine's own way of writing would not be read as the same by MITMEngine itself. */
    text = record_file_print(record, list->words, DETECT_DEFAULT, &len);
    if (!text) {
        return false;
    }
    check_reads(exchange, list, line->number, span_make(text, len));
    exchange->count++;
    fwrite(text, 1, len, out);
    if (!exchange->is_import && day) {
        write_day(out, day);
    }
    fputc('\n', out);
    free(text);
    return true;
}

/* To MITMEngine a TAB ends a comment, and a byte-order mark is no part of one. */
static void write_comment(struct exchange *exchange, struct span text)
{
    FILE *out = exchange->output.stream;
    struct span mark = SPAN_LITERAL("\xef\xbb\xbf");

    if (!exchange->is_import && span_equal(span_sub(text, 0, mark.len), mark)) {
        text = span_skip(text, mark.len);
    }
    for (size_t i = 0; i < text.len; i++) {
        fputc(text.data[i] == '\t' ? ' ' : text.data[i], out);
    }
    fputc('\n', out);
}

/* A line without a record is a comment, or is told as a fault and ends in no file. */
static bool take_line(void *context, struct record_list *list, const struct record_line *line)
{
    struct exchange *exchange = context;
    bool done = true;

    if (line->has_record) {
        done = write_record(exchange, list, line, &list->items[list->count - 1]);
        record_list_remove(list, list->count - 1);
    } else {
        write_comment(exchange, line->text);
    }
    return done;
}

/* The functions that convert return 0 or a negative errno. */

static int convert_records(struct exchange *exchange)
{
    struct record_reader reader = {take_line, take_fault, exchange};
    struct record_list list;
    bool done;

    record_list_init(&list, exchange->words,
                     exchange->is_import ? DETECT_COMPATIBLE : DETECT_DEFAULT);
    done = database_file_records(exchange->file, &list, &reader);
    record_list_fini(&list);
    return done ? 0 : -ENOMEM;
}

/* ---- the other files ---- */

/* MITMEngine takes lines as they are: an empty one is a name, and so is a blank. */
static int convert_headers(struct exchange *exchange)
{
    FILE *out = exchange->output.stream;
    struct span rest = exchange->file->text;
    struct span line;

    for (size_t number = 1; record_line_next(&rest, &line); number++) {
        struct span name = record_trim(line);

        if (name.len == 0) {
            continue;
        }
        if (name.len > HEADER_NAME_MAX) {
            print_error(exchange, number, 1, "a header name of at most 256 bytes expected");
        }
        for (size_t i = 0; i < name.len; i++) {
            fputc(span_fold(name.data[i]), out);
        }
        fputc('\n', out);
        exchange->count++;
    }
    return 0;
}

static int convert_metadata(struct exchange *exchange)
{
    struct span rest = exchange->file->text;
    struct span line;

    for (size_t number = 1; record_line_next(&rest, &line); number++) {
        char room[MESSAGE_CAP];
        struct text message = text_make(room, sizeof(room) - 1);
        size_t column;
        bool done;

        if (record_trim(line).len == 0) {
            continue;
        }
        done = exchange->is_import
                   ? metadata_line_import(line, exchange->output.stream, &column, &message)
                   : metadata_line_export(line, exchange->output.stream, &column, &message);
        if (done) {
            exchange->count++;
        } else {
            room[message.len] = '\0';
            print_error(exchange, number, column, room);
        }
    }
    return 0;
}

/* ---- all ---- */

static const struct {
    const char *its, *ours, *what;
    bool is_optional;
    int (*convert)(struct exchange *exchange);
} files[] = {
    {"browser.txt", "browser.txt", "records", false, convert_records},
    {"mitm.txt", "mitm.txt", "records", false, convert_records},
    {"badheader.txt", "badheader.txt", "names", false, convert_headers},
    {"fingerprint_metadata.jsonl", "metadata.jsonl", "captures", true, convert_metadata},
};

/* What was written of each file, in their order. */
struct summary {
    bool written[COUNT_OF(files)];
    size_t counts[COUNT_OF(files)];
};

static bool is_absent(int failed, size_t index)
{
    return failed == -ENOENT && files[index].is_optional;
}

/* Returns the status to exit with; said why not. */
static int convert_file(struct exchange *exchange, const char *dir, size_t index,
                        struct summary *summary)
{
    const char *from = exchange->is_import ? files[index].its : files[index].ours;
    const char *to = exchange->is_import ? files[index].ours : files[index].its;
    int failed = database_file_open(exchange->file, dir, from);

    if (failed) {
        if (is_absent(failed, index)) {
            return EXIT_STATUS_OK;
        }
        database_file_complain(exchange->file, exchange->command, failed, exchange->err);
        database_output_abandon(&exchange->output);
        return EXIT_STATUS_CONFIG;
    }
    exchange->count = 0;
    failed = database_output_next(&exchange->output, to);
    failed = failed ? failed : files[index].convert(exchange);
    database_file_close(exchange->file);
    summary->written[index] = true;
    summary->counts[index] = exchange->count;
    return failed ? database_output_end(&exchange->output, failed, exchange->command, exchange->err)
                  : EXIT_STATUS_OK;
}

static int convert_all(struct exchange *exchange, const struct options *options,
                       struct summary *summary)
{
    int failed = database_output_begin(&exchange->output, options->out_dir);
    int status = EXIT_STATUS_OK;

    if (failed) {
        return database_output_end(&exchange->output, failed, exchange->command, exchange->err);
    }
    for (size_t i = 0; i < COUNT_OF(files) && status == EXIT_STATUS_OK; i++) {
        status = convert_file(exchange, options->inputs[0], i, summary);
    }
    if (status == EXIT_STATUS_OK && exchange->fault_count) {
        database_output_abandon(&exchange->output);
        status = EXIT_STATUS_CONFIG;
    } else if (status == EXIT_STATUS_OK) {
        status = database_output_end(&exchange->output, 0, exchange->command, exchange->err);
    }
    return status;
}

static void tell(const struct exchange *exchange, const struct summary *summary, bool json,
                 FILE *out)
{
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        const char *name = exchange->is_import ? files[i].ours : files[i].its;

        if (summary->written[i] && json) {
            fprintf(out, "{\"file\":\"%s\",\"%s\":%zu}\n", name, files[i].what, summary->counts[i]);
        } else if (summary->written[i]) {
            fprintf(out, "%s: %zu %s\n", name, summary->counts[i], files[i].what);
        }
    }
}

static int run(const struct options *options, bool is_import, const char *command, FILE *out,
               FILE *err)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    struct database_file *file = calloc(1, sizeof(*file));
    struct words *words = words_new();
    struct summary summary = {0};
    int status = EXIT_STATUS_RUNTIME;

    if (exchange && file && words) {
        exchange->is_import = is_import;
        exchange->command = command;
        exchange->err = err;
        exchange->file = file;
        exchange->words = words;
        status = convert_all(exchange, options, &summary);
        if (status == EXIT_STATUS_OK) {
            tell(exchange, &summary, options->json, out);
        }
    } else {
        fprintf(err, "weir %s: out of memory\n", command);
    }
    words_free(words);
    free(file);
    free(exchange);
    return status;
}

int signatures_import_run(const struct options *options, FILE *out, FILE *err)
{
    return run(options, true, "signatures import", out, err);
}

int signatures_export_run(const struct options *options, FILE *out, FILE *err)
{
    return run(options, false, "signatures export", out, err);
}
