/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files are gathered in a folder beside the database, each from the source or, where nothing
 * changed, from the database; all of them are judged, and only then they take its place together.
 */
#include "core/tools/checksums.h"
#include "core/tools/database_file.h"
#include "core/tools/database_swap.h"
#include "core/tools/fetch_helper.h"
#include "core/tools/fetch_source.h"
#include "core/tools/fetch_state.h"
#include "core/tools/metadata_line.h"
#include "core/tools/signatures_database.h"
#include "detect/database.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

enum { MESSAGE_CAP = 512, HEX_CAP = 2 * DIGEST_LEN + 1, HTTP_OK = 200, HTTP_NOT_MODIFIED = 304 };

static const char command[] = "signatures fetch";

/* A file of the new set. */
struct fetched {
    struct database_file file; /* named after the source */
    bool is_there;
    bool is_kept; /* it is the one of the database */
    uint8_t digest[DIGEST_LEN];
    bool was_there; /* the database has one */
    uint8_t old_digest[DIGEST_LEN];
};

struct fetching {
    const struct options *options;
    FILE *err;
    struct fetch_source source;
    struct database_swap swap;
    struct fetch_state before, after;
    const char *helper;
    char found_helper[FETCH_HELPER_PATH_CAP];
    const char *region;         /* S3 alone */
    uint8_t pinned[DIGEST_LEN]; /* what --sha256 says */
    struct fetched files[FETCH_FILE_COUNT];
    size_t browser_count, product_count; /* records */
};

/* Functions that return a status return 0 to go on, or the one to exit with, having said why. */

static int no_memory(const struct fetching *f)
{
    fprintf(f->err, "weir %s: out of memory\n", command);
    return EXIT_STATUS_RUNTIME;
}

static bool is_needed(enum fetch_file file)
{
    return file == FETCH_BROWSERS || file == FETCH_PRODUCTS || file == FETCH_BAD_HEADERS;
}

static bool needs_checksums(const struct fetching *f)
{
    return f->options->checksums || f->options->sha256;
}

static struct span digest_span(const uint8_t digest[DIGEST_LEN])
{
    return span_make(digest, DIGEST_LEN);
}

static bool same_digest(const uint8_t a[DIGEST_LEN], const uint8_t b[DIGEST_LEN])
{
    return span_equal(digest_span(a), digest_span(b));
}

static void print_hex(char hex[HEX_CAP], const uint8_t digest[DIGEST_LEN])
{
    struct text t = text_make(hex, HEX_CAP - 1);

    text_hex(&t, digest_span(digest));
    hex[t.len] = '\0';
}

/* ---- one file ---- */

/* Messages are to name where the file came from. */
static void name_file(struct fetching *f, enum fetch_file file)
{
    char *path = f->files[file].file.path;
    struct text t = text_make(path, DATABASE_PATH_CAP - 1);

    text_string(&t, f->source.base);
    text_string(&t, fetch_file_name(file));
    path[t.len] = '\0';
}

static int complain(struct fetching *f, enum fetch_file file, const char *why, int status)
{
    name_file(f, file);
    fprintf(f->err, "weir %s: %s: %s\n", command, f->files[file].file.path, why);
    return status;
}

/* The file in `dir` is the one of the new set; unless that is where the set is made, it is copied
 * there. -ENOENT is left to the caller. */
static int take_file(struct fetching *f, enum fetch_file file, const char *dir)
{
    struct fetched *fetched = &f->files[file];
    int failed = database_file_open(&fetched->file, dir, fetch_file_name(file));

    if (failed == -EFBIG) {
        return complain(f, file, "larger than 2 MiB", EXIT_STATUS_DATA);
    }
    if (failed == -ENOENT) {
        return failed;
    }
    if (failed) {
        return complain(f, file, strerror(-failed), EXIT_STATUS_UNAVAILABLE);
    }
    fetched->is_there = true;
    digest_sha256(fetched->digest, fetched->file.text);
    failed = dir == f->swap.staging
                 ? 0
                 : database_swap_write(&f->swap, fetch_file_name(file), fetched->file.text);
    name_file(f, file);
    if (failed) {
        fprintf(f->err, "weir %s: %s: %s\n", command, f->swap.staging, strerror(-failed));
    }
    return failed ? EXIT_STATUS_CANNOT_CREATE : 0;
}

/* Keeps the file of the database, if there is one. */
static int keep_file(struct fetching *f, enum fetch_file file)
{
    int status = take_file(f, file, f->swap.dir);

    f->files[file].is_kept = status == 0;
    if (status == 0 && strcmp(f->before.base, f->source.base) == 0) {
        f->after.files[file] = f->before.files[file];
    }
    return status == -ENOENT ? 0 : status;
}

static int take_reply(struct fetching *f, enum fetch_file file, const struct fetch_reply *reply)
{
    int status = take_file(f, file, f->swap.staging);

    if (status == -ENOENT) {
        return complain(f, file, "it vanished", EXIT_STATUS_RUNTIME);
    }
    if (status == 0) {
        memcpy(f->after.files[file].etag, reply->etag, FETCH_FIELD_CAP);
        memcpy(f->after.files[file].last_modified, reply->last_modified, FETCH_FIELD_CAP);
        memcpy(f->after.files[file].digest, f->files[file].digest, DIGEST_LEN);
        f->after.files[file].is_there = true;
    }
    return status;
}

/* May the server be asked for changes alone? The file must be the one that it sent. */
static bool is_known(const struct fetching *f, enum fetch_file file)
{
    return strcmp(f->before.base, f->source.base) == 0 && f->before.files[file].is_there &&
           f->files[file].was_there &&
           same_digest(f->before.files[file].digest, f->files[file].old_digest);
}

/* -ENOENT: it is not there. */
static int fetch_file(struct fetching *f, enum fetch_file file)
{
    char path[DATABASE_PATH_CAP];
    char why[MESSAGE_CAP];
    int len = snprintf(path, sizeof(path), "%s/%s", f->swap.staging, fetch_file_name(file));
    struct fetch_request request = {
        .helper = f->helper,
        .url = f->files[file].file.path,
        .path = path,
        .ca_file = f->options->ca_file,
        .region = f->region,
        .seconds = f->options->seconds,
        .bytes_max = DATABASE_FILE_MAX,
        .allow_http = f->options->allow_http,
    };
    struct fetch_reply reply;
    int status;

    if (len < 0 || (size_t)len >= sizeof(path)) {
        return complain(f, file, strerror(ENAMETOOLONG), EXIT_STATUS_CANNOT_CREATE);
    }
    if (is_known(f, file)) {
        request.etag = f->before.files[file].etag[0] ? f->before.files[file].etag : NULL;
        request.last_modified =
            f->before.files[file].last_modified[0] ? f->before.files[file].last_modified : NULL;
    }
    name_file(f, file);
    status = fetch_helper_run(&request, &reply, f->err);
    if (status) {
        return status;
    }
    if (reply.status == HTTP_OK) {
        return take_reply(f, file, &reply);
    }
    if (reply.status == HTTP_NOT_MODIFIED && (request.etag || request.last_modified)) {
        return keep_file(f, file);
    }
    /* S3 answers 403 for what is not there to those who may not list the bucket. */
    if (reply.status == 404 || reply.status == 410 ||
        (reply.status == 403 && f->region && !is_needed(file) && !needs_checksums(f))) {
        return -ENOENT;
    }
    snprintf(why, sizeof(why), "the server answered %d%s", reply.status,
             reply.status == 403 && f->region ? "; are keys, bucket and AWS_REGION right?"
             : reply.status >= 300 && reply.status < 400 && f->region
                 ? ": the bucket is elsewhere; set AWS_ENDPOINT and AWS_REGION"
                 : "");
    return complain(f, file, why, EXIT_STATUS_UNAVAILABLE);
}

/* ---- checksums ---- */

/* What SHA256SUMS says of the file; it says nothing where it is not there. */
static int find_checksum(struct fetching *f, enum fetch_file file, uint8_t digest[DIGEST_LEN],
                         bool *is_listed)
{
    const struct fetched *sums = &f->files[FETCH_CHECKSUMS];
    struct checksums_fault fault = {.line = 0};

    *is_listed = false;
    if (checksums_find(sums->file.text, span_from_string(fetch_file_name(file)), digest, is_listed,
                       &fault)) {
        return 0;
    }
    fprintf(f->err, "%s:%zu:%zu: error: %s expected\n", sums->file.path, fault.line, fault.column,
            fault.expected);
    return EXIT_STATUS_DATA;
}

static int check_digest(struct fetching *f, enum fetch_file file, const uint8_t digest[DIGEST_LEN],
                        const char *source)
{
    char is[HEX_CAP];
    char should_be[HEX_CAP];
    char why[MESSAGE_CAP];

    if (same_digest(f->files[file].digest, digest)) {
        return 0;
    }
    print_hex(is, f->files[file].digest);
    print_hex(should_be, digest);
    snprintf(why, sizeof(why), "its SHA-256 is %s, but %s says %s", is, source, should_be);
    return complain(f, file, why, EXIT_STATUS_DATA);
}

/* --sha256 is about the file that vouches for all others, or about the only one. */
static int check_pinned(struct fetching *f, enum fetch_file file)
{
    bool is_pinned = file == FETCH_CHECKSUMS || file == f->source.only;

    return f->options->sha256 && is_pinned ? check_digest(f, file, f->pinned, "--sha256") : 0;
}

/* ---- all files ---- */

static int gather_from_source(struct fetching *f, enum fetch_file file)
{
    bool is_asked_for = is_needed(file) || f->source.only == file;
    uint8_t digest[DIGEST_LEN];
    bool is_listed = false;
    int status = find_checksum(f, file, digest, &is_listed);

    if (status) {
        return status;
    }
    if (file == FETCH_CHECKSUMS) {
        is_asked_for = needs_checksums(f);
    } else if (f->files[FETCH_CHECKSUMS].is_there && !is_listed) {
        return is_asked_for ? complain(f, file, "SHA256SUMS does not list it", EXIT_STATUS_DATA)
                            : 0;
    }
    status =
        f->source.kind == FETCH_FOLDER ? take_file(f, file, f->source.base) : fetch_file(f, file);
    if (status == -ENOENT) {
        return is_asked_for || is_listed ? complain(f, file, "not found", EXIT_STATUS_UNAVAILABLE)
                                         : 0;
    }
    status = status ? status : check_pinned(f, file);
    return status || !is_listed ? status : check_digest(f, file, digest, "SHA256SUMS");
}

static int gather(struct fetching *f)
{
    int status = 0;

    for (int i = 0; i < FETCH_FILE_COUNT && status == 0; i++) {
        enum fetch_file file = (enum fetch_file)i;

        if (f->source.only == FETCH_FILE_COUNT || f->source.only == file) {
            status = gather_from_source(f, file);
        } else if (file != FETCH_CHECKSUMS) { /* those that are there are of another set */
            status = keep_file(f, file);
        }
    }
    return status;
}

static int read_database(struct fetching *f)
{
    fetch_state_load(&f->before, f->swap.dir);
    memcpy(f->after.base, f->source.base, sizeof(f->after.base));
    for (int i = 0; i < FETCH_FILE_COUNT; i++) {
        struct fetched *fetched = &f->files[i];
        int failed =
            database_file_open(&fetched->file, f->swap.dir, fetch_file_name((enum fetch_file)i));

        fetched->was_there = failed == 0;
        if (failed == -ENOMEM) {
            return no_memory(f);
        }
        if (!failed) {
            digest_sha256(fetched->old_digest, fetched->file.text);
            database_file_close(&fetched->file);
        }
    }
    return 0;
}

static bool is_same_set(const struct fetching *f)
{
    bool same = true;

    for (int i = 0; i < FETCH_FILE_COUNT && same; i++) {
        const struct fetched *fetched = &f->files[i];
        same = fetched->is_there == fetched->was_there &&
               (!fetched->is_there || same_digest(fetched->digest, fetched->old_digest));
    }
    return same;
}

/* ---- judging ---- */

static void print_fault(const struct fetching *f, const struct record_fault *fault)
{
    fprintf(f->err, "%s:%zu:%zu: %s: %s expected\n", fault->source, fault->line, fault->column,
            f->options->lenient ? "warning" : "error", fault->expected);
}

static struct database_source database_source(const struct fetching *f, enum fetch_file file)
{
    return (struct database_source){f->files[file].file.text, f->files[file].file.path};
}

/* As the proxy loads it. */
static int judge_records(struct fetching *f)
{
    struct database_options options = {
        .mode = DETECT_DEFAULT,
        .browsers = database_source(f, FETCH_BROWSERS),
        .products = database_source(f, FETCH_PRODUCTS),
        .bad_headers = database_source(f, FETCH_BAD_HEADERS),
    };
    struct record_faults faults;
    struct database *db = database_new(&options, &faults);
    size_t kept = faults.count < RECORD_FAULTS_MAX ? faults.count : RECORD_FAULTS_MAX;
    int status = db && (faults.count == 0 || f->options->lenient) ? 0 : EXIT_STATUS_DATA;

    for (size_t i = 0; i < kept; i++) {
        if (faults.items[i].expected == detect_fault_no_memory) {
            status = no_memory(f);
        } else {
            print_fault(f, &faults.items[i]);
        }
    }
    if (faults.count > kept) {
        fprintf(f->err, "weir %s: %zu bad lines more\n", command, faults.count - kept);
    }
    if (db) {
        f->browser_count = database_browsers(db)->count;
        f->product_count = database_products(db)->count;
        database_free(db);
    }
    if (status == 0 && f->browser_count == 0 && f->product_count == 0) {
        fprintf(f->err, "weir %s: %s: browser.txt and mitm.txt have no record\n", command,
                f->source.base);
        status = EXIT_STATUS_DATA;
    }
    return status;
}

/* Of ours it must be valid, of MITMEngine's such that it can be imported. */
static bool check_metadata(enum fetch_file file, struct span line, FILE *nowhere, size_t *column,
                           struct text *message)
{
    return file == FETCH_METADATA ? metadata_line_check(line, column, message)
                                  : metadata_line_import(line, nowhere, column, message);
}

static int judge_metadata(struct fetching *f, enum fetch_file file)
{
    struct span rest = f->files[file].file.text;
    FILE *nowhere = fopen("/dev/null", "we");
    struct span line;
    size_t number = 0;
    size_t faults = 0;

    if (!nowhere) {
        fprintf(f->err, "weir %s: /dev/null: %s\n", command, strerror(errno));
        return EXIT_STATUS_RUNTIME;
    }
    while (record_line_next(&rest, &line) && faults < RECORD_FAULTS_MAX) {
        char room[MESSAGE_CAP];
        struct text message = text_make(room, sizeof(room));
        size_t column = 1;

        number++;
        if (record_trim(line).len && !check_metadata(file, line, nowhere, &column, &message)) {
            faults++;
            fprintf(f->err, "%s:%zu:%zu: %s: %.*s\n", f->files[file].file.path, number, column,
                    f->options->lenient ? "warning" : "error", (int)message.len, room);
        }
    }
    fclose(nowhere);
    return faults && !f->options->lenient ? EXIT_STATUS_DATA : 0;
}

static int judge(struct fetching *f)
{
    int status = judge_records(f);
    int metadata = judge_metadata(f, FETCH_METADATA);
    int its_metadata = judge_metadata(f, FETCH_MITMENGINE_METADATA);

    status = status ? status : metadata;
    return status ? status : its_metadata;
}

/* ---- the outcome ---- */

static const char *outcome(const struct fetching *f, bool is_same)
{
    return is_same ? "not modified" : f->options->dry_run ? "would be replaced" : "fetched";
}

static int tell_json(const struct fetching *f, bool is_same, FILE *out)
{
    json_t *files = json_array();
    json_t *root;
    bool done = files != NULL;

    for (int i = 0; i < FETCH_FILE_COUNT && done; i++) {
        const struct fetched *fetched = &f->files[i];
        char hex[HEX_CAP];

        print_hex(hex, fetched->digest);
        done = !fetched->is_there ||
               json_array_append_new(files, json_pack("{s:s,s:I,s:s,s:b}", "file",
                                                      fetch_file_name((enum fetch_file)i), "bytes",
                                                      (json_int_t)fetched->file.text.len, "sha256",
                                                      hex, "kept", (int)fetched->is_kept)) == 0;
    }
    root = json_pack("{s:s,s:s,s:s,s:I,s:I,s:o}", "source", f->source.base, "database", f->swap.dir,
                     "outcome", outcome(f, is_same), "browsers", (json_int_t)f->browser_count,
                     "products", (json_int_t)f->product_count, "files", files);
    done = done && root && json_dumpf(root, out, JSON_COMPACT) == 0 && fputc('\n', out) != EOF;
    json_decref(root);
    return done ? 0 : no_memory(f);
}

static int tell(const struct fetching *f, bool is_same, FILE *out)
{
    int status = 0;

    if (f->options->json) {
        status = tell_json(f, is_same, out);
    } else if (is_same) {
        fprintf(out, "%s: not modified\n", f->swap.dir);
    } else {
        fprintf(out, "%s: %s: %zu records of browsers, %zu of products\n", f->swap.dir,
                outcome(f, is_same), f->browser_count, f->product_count);
    }
    if (fflush(out) != 0) {
        fprintf(f->err, "weir %s: standard output: %s\n", command, strerror(errno));
        status = EXIT_STATUS_RUNTIME;
    }
    return status;
}

static int install(struct fetching *f)
{
    int failed = f->source.kind == FETCH_FOLDER ? 0 : fetch_state_save(&f->after, f->swap.staging);

    if (failed) {
        fprintf(f->err, "weir %s: %s: %s\n", command, f->swap.staging, strerror(-failed));
        return EXIT_STATUS_CANNOT_CREATE;
    }
    return database_swap_commit(&f->swap, f->err);
}

static int fetch_into(struct fetching *f, FILE *out)
{
    int status = read_database(f);
    bool is_same;

    status = status ? status : gather(f);
    status = status ? status : judge(f);
    if (status) {
        return status;
    }
    is_same = is_same_set(f);
    if (!is_same && !f->options->dry_run) {
        status = install(f);
    }
    return status ? status : tell(f, is_same, out);
}

/* ---- the start ---- */

static int check_environment(struct fetching *f)
{
    static const char *const keys[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"};

    for (size_t i = 0; i < COUNT_OF(keys) && f->source.kind == FETCH_S3; i++) {
        const char *value = getenv(keys[i]);

        if (!value || !*value) {
            fprintf(f->err, "weir %s: the environment variable %s is not set\n", command, keys[i]);
            return EXIT_STATUS_CONFIG;
        }
    }
    return 0;
}

static int parse_source(struct fetching *f)
{
    struct fetch_s3 s3 = {getenv("AWS_ENDPOINT"), getenv("AWS_BUCKET_NAME"),
                          f->options->path_style};
    char room[MESSAGE_CAP];
    struct text error = text_make(room, sizeof(room));
    bool parsed = fetch_source_parse(&f->source, f->options->from, &s3, &error);
    /* The keys are named first, as MITMEngine does. */
    int status = check_environment(f);

    if (status) {
        return status;
    }
    if (!parsed) {
        fprintf(f->err, "weir %s: --from: %.*s\n", command, (int)error.len, room);
        return f->source.missing ? EXIT_STATUS_CONFIG : EXIT_STATUS_USAGE;
    }
    if (f->source.only != FETCH_FILE_COUNT && f->options->checksums) {
        fprintf(f->err, "weir %s: --checksums needs a whole database; --sha256 is for one file\n",
                command);
        return EXIT_STATUS_USAGE;
    }
    if (f->options->sha256 && !checksums_digest(f->pinned, span_from_string(f->options->sha256))) {
        fprintf(f->err, "weir %s: --sha256: 64 hexadecimal digits expected\n", command);
        return EXIT_STATUS_USAGE;
    }
    if (f->source.kind == FETCH_S3) {
        f->region = getenv("AWS_REGION");
        f->region = f->region && *f->region ? f->region : "us-east-1";
    }
    return 0;
}

static int find_helper(struct fetching *f)
{
    f->helper = f->options->helper ? f->options->helper : f->found_helper;
    if (f->source.kind == FETCH_FOLDER || f->options->helper ||
        fetch_helper_find(f->found_helper, f->err)) {
        return 0;
    }
    return EXIT_STATUS_RUNTIME;
}

int signatures_fetch_run(const struct options *options, FILE *out, FILE *err)
{
    struct fetching *f = calloc(1, sizeof(*f));
    int status;

    if (!f) {
        fprintf(err, "weir %s: out of memory\n", command);
        return EXIT_STATUS_RUNTIME;
    }
    f->options = options;
    f->err = err;
    f->swap.lock = -1;
    status = parse_source(f);
    status = status ? status : find_helper(f);
    status = status ? status : database_swap_begin(&f->swap, options->database_dir, err);
    status = status ? status : fetch_into(f, out);
    database_swap_end(&f->swap);
    for (int i = 0; i < FETCH_FILE_COUNT; i++) {
        database_file_close(&f->files[i].file);
    }
    free(f);
    return status;
}
