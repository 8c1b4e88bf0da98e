/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every visit becomes a line of metadata and a part of the one signature. What was written before
 * is read when the capture begins, so that nobody visits in vain, and again when there is something
 * to write.
 */
#include "core/tools/signatures_capture.h"

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/tools/database_append.h"
#include "core/tools/metadata_line.h"
#include "core/tools/visit_line.h"
#include "core/tools/visitors.h"
#include "detect/signature_draft.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    VISIT_MS = 10000,  /* from the hello to the end of the first request's head */
    LINGER_MS = 2000,  /* for the client to close, so that it reads the answer */
    PIECE_MAX = 16384, /* bytes taken at once */
    MESSAGE_CAP = 512,
    SHOWN_MAX = 1024, /* of a peer's text */
    PATH_MAX_LEN = 4096,
};

static const char command[] = "signatures capture";

struct capture {
    const struct options *options;
    FILE *out, *err;
    const char *record_name; /* "browser.txt" or "mitm.txt" */
    struct mitm_info product;
    struct visit_server server;
    struct words *words;
    struct signature_draft draft;
    unsigned wanted; /* visits; 0: as many as come in time */
    unsigned count;
    bool failed; /* no memory */
    json_t *lines;
    char ua[SIGNATURE_OF_HEADER_MAX]; /* the signature of the first header that names a client */
    size_t ua_len;
    char unknown_ua[SHOWN_MAX]; /* the last header that names nobody that is known */
    struct hello_facts facts;
    uint8_t piece[PIECE_MAX];
    char fingerprint[VISIT_FINGERPRINT_MAX];
};

/* Who is visiting. */
struct guest {
    struct visit *visit;
    json_t *line;
    bool is_lingering; /* all is said; the client's end is waited for */
};

static void complain(struct capture *capture, const char *what)
{
    fprintf(capture->err, "weir %s: %s\n", command, what);
}

static void complain_of(struct capture *capture, const struct visitor *visitor, const char *what)
{
    fprintf(capture->err, "weir %s: %s: %s\n", command, visitor->origin.client, what);
}

/* ---- visits ---- */

static void guest_free(struct guest *guest)
{
    if (guest) {
        visit_free(guest->visit);
        json_decref(guest->line);
        free(guest);
    }
}

static void drop(void *context, struct visitor *visitor)
{
    (void)context;
    guest_free(visitor->visit);
    visitor->visit = NULL;
}

static unsigned room(void *context)
{
    const struct capture *capture = context;
    unsigned wanted = capture->wanted ? capture->wanted : SIGNATURES_CAPTURE_VISITS_MAX;

    return capture->failed || capture->count >= wanted ? 0 : VISITORS_MAX;
}

/* False, and said why: the header is of another client than the first one's. */
static bool take_user_agent(struct capture *capture, const struct visitor *visitor,
                            const struct http_first_request *request)
{
    char signature[SIGNATURE_OF_HEADER_MAX];
    struct text t = text_make(signature, sizeof(signature));
    struct text shown = text_make(capture->unknown_ua, sizeof(capture->unknown_ua) - 1);
    struct span raw = {NULL, 0};

    if (request) {
        raw = span_make(request->user_agent, request->user_agent_len);
    }
    if (capture->options->product || raw.len == 0) {
        return true;
    }
    if (!signature_of_header_print(&t, raw)) {
        text_escaped(&shown, raw);
        capture->unknown_ua[shown.len] = '\0';
        return true;
    }
    if (capture->ua_len == 0) {
        memcpy(capture->ua, signature, t.len);
        capture->ua_len = t.len;
    }
    if (span_equal(text_view(&t), span_make(capture->ua, capture->ua_len))) {
        return true;
    }
    complain_of(capture, visitor, "not counted: the User-Agent is another client's than the first");
    return false;
}

/* False: no memory. */
static bool add_to_draft(struct capture *capture, struct span fingerprint)
{
    struct request_fingerprint *fp = malloc(sizeof(*fp));
    struct detect_fault fault;
    bool done = fp && request_fingerprint_parse(fp, fingerprint, &fault) &&
                signature_draft_add(&capture->draft, fp);

    free(fp);
    return done;
}

static void tell_visit(struct capture *capture, const struct visitor *visitor,
                       const struct visit *visit)
{
    const struct http_first_request *request = visit_request(visit);
    char shown[SHOWN_MAX];
    struct text t = text_make(shown, sizeof(shown));

    if (request) {
        text_escaped(&t, span_make(request->user_agent, request->user_agent_len));
    }
    fprintf(capture->err, "weir %s: visit %u, %s: %s%s%.*s\n", command, capture->count,
            visitor->origin.client, visit->ending, t.len ? ", " : "", (int)t.len, shown);
}

/* The visit is over, and becomes a part of the capture. False, for the caller to return. */
static bool end(struct capture *capture, struct visitor *visitor)
{
    struct guest *guest = visitor->visit;
    struct text fingerprint = text_make(capture->fingerprint, sizeof(capture->fingerprint));

    if (take_user_agent(capture, visitor, visit_request(guest->visit))) {
        capture->count++;
        if (visit_line_end(guest->line, guest->visit, &fingerprint) &&
            json_object_set_new(guest->line, "visit", json_integer(capture->count)) == 0 &&
            add_to_draft(capture, text_view(&fingerprint)) &&
            json_array_append(capture->lines, guest->line) == 0) {
            tell_visit(capture, visitor, guest->visit);
        } else {
            capture->failed = true;
        }
    }
    drop(capture, visitor);
    return false;
}

static void set_deadline(struct visitor *visitor, int ms)
{
    visitor->deadline_ns = clock_monotonic_ns() + ms * NS_PER_MS;
}

/* Sends what there is to send; behind the last of it, begins to linger. False: it is over. */
static bool move(struct capture *capture, struct visitor *visitor)
{
    struct guest *guest = visitor->visit;
    struct buf_queue *queue = &guest->visit->out;

    while (queue->len) {
        struct span bytes = buf_view(queue->first);
        ssize_t sent = send(visitor->descriptor, bytes.data, bytes.len, MSG_NOSIGNAL);

        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
            visitor->events = POLLOUT | (guest->visit->is_over ? 0 : POLLIN);
            return true;
        }
        if (sent < 0) {
            visit_end(guest->visit, "the client went away");
            return end(capture, visitor);
        }
        buf_queue_consume(queue, &capture->server.cache, (size_t)sent);
    }
    visitor->events = POLLIN;
    if (guest->visit->is_over) {
        guest->is_lingering = true;
        set_deadline(visitor, LINGER_MS);
        shutdown(visitor->descriptor, SHUT_WR);
    }
    return true;
}

static bool go_on(void *context, struct visitor *visitor, bool is_late)
{
    struct capture *capture = context;
    struct guest *guest = visitor->visit;
    ssize_t got;

    if (is_late) {
        visit_end(guest->visit, guest->visit->is_open ? "no request came within 10 s"
                                                      : "the handshake was not done within 10 s");
        return end(capture, visitor);
    }
    if (guest->visit->is_over && !guest->is_lingering) {
        return move(capture, visitor);
    }
    got = recv(visitor->descriptor, capture->piece, sizeof(capture->piece), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return guest->is_lingering || move(capture, visitor);
    }
    if (got <= 0) {
        visit_end(guest->visit, guest->visit->is_open
                                    ? "the client closed the connection without a request"
                                    : "the client closed the connection during the handshake");
        return end(capture, visitor);
    }
    if (guest->is_lingering) {
        return true;
    }
    visit_take(guest->visit, span_make(capture->piece, (size_t)got));
    return move(capture, visitor);
}

/* "127.0.0.1" of "127.0.0.1:8443", "::1" of "[::1]:8443" */
static void print_own_ip(char own_ip[HELLO_ENDPOINT_MAX], const char *endpoint)
{
    struct span text = span_from_string(endpoint);
    const char *colon = strrchr(endpoint, ':');

    text = span_sub(text, 0, colon ? (size_t)(colon - endpoint) : text.len);
    if (text.len > 2 && text.data[0] == '[') {
        text = span_sub(text, 1, text.len - 2);
    }
    memcpy(own_ip, text.data, text.len);
    own_ip[text.len] = '\0';
}

static bool take_hello(void *context, struct visitor *visitor)
{
    struct capture *capture = context;
    char own_ip[HELLO_ENDPOINT_MAX];
    char error[MESSAGE_CAP] = "out of memory";
    struct guest *guest;

    if (!hello_facts_gather(&capture->facts, span_make(visitor->bytes, visitor->len))) {
        complain_of(capture, visitor, capture->facts.error);
        return false;
    }
    guest = calloc(1, sizeof(*guest));
    print_own_ip(own_ip, visitor->origin.server);
    if (guest) {
        guest->line = visit_line_new(capture->options, &capture->facts, visitor->origin.time_ns);
    }
    if (guest && guest->line) {
        guest->visit =
            visit_new(&capture->server, &capture->facts.hello,
                      span_make(visitor->bytes, visitor->len), own_ip, error, sizeof(error));
    }
    if (!guest || !guest->visit) {
        complain_of(capture, visitor, error);
        guest_free(guest);
        return false;
    }
    visitor->visit = guest;
    set_deadline(visitor, VISIT_MS);
    return move(capture, visitor);
}

/* ---- the database ---- */

/* Is `text`, a record without its day, in the list? False too, with capture->failed: no memory. */
static bool has_record(struct capture *capture, struct record_list *list, struct span text)
{
    bool found = false;

    for (size_t i = 0; i < list->count && !found && !capture->failed; i++) {
        size_t len;
        char *there;

        list->items[i].captured_day = 0;
        there = record_file_print(&list->items[i], list->words, DETECT_DEFAULT, &len);
        found = there && span_equal(span_make(there, len), text);
        capture->failed = !there;
        free(there);
    }
    return found;
}

/* Returns the status to exit with; *found: the record is there. */
static int read_records(struct capture *capture, const char *name, struct span text, bool *found)
{
    struct record_file *file = calloc(1, sizeof(*file));
    struct words *words = words_new();
    size_t fault_count = 0;
    int failed = -ENOMEM;
    int status = EXIT_STATUS_OK;

    if (file && words) {
        failed = record_file_load(file, capture->options->database_dir, name, words, DETECT_DEFAULT,
                                  &fault_count, capture->err);
        if (!failed && text.len) {
            *found = has_record(capture, &file->list, text);
            failed = capture->failed ? -ENOMEM : 0;
        }
    }
    if (failed && failed != -ENOENT) {
        fprintf(capture->err, "weir %s: %s/%s: %s\n", command, capture->options->database_dir, name,
                failed == -EFBIG ? "larger than 2 MiB" : strerror(-failed));
        status = EXIT_STATUS_CONFIG;
    } else if (fault_count) {
        status = EXIT_STATUS_CONFIG;
    }
    if (file) {
        record_file_fini(file);
    }
    free(file);
    words_free(words);
    return status;
}

static int check_metadata(struct capture *capture)
{
    struct database_file *file = calloc(1, sizeof(*file));
    int status = EXIT_STATUS_OK;
    struct span rest, line;
    int failed;

    if (!file) {
        complain(capture, "out of memory");
        return EXIT_STATUS_RUNTIME;
    }
    failed = database_file_open(file, capture->options->database_dir, "metadata.jsonl");
    if (failed && failed != -ENOENT) {
        database_file_complain(file, command, failed, capture->err);
        status = EXIT_STATUS_CONFIG;
    }
    rest = file->text;
    for (size_t number = 1; record_line_next(&rest, &line); number++) {
        char shown[MESSAGE_CAP];
        struct text message = text_make(shown, sizeof(shown));
        size_t column;

        if (record_trim(line).len && !metadata_line_check(line, &column, &message)) {
            fprintf(capture->err, "%s:%zu:%zu: error: %.*s\n", file->path, number, column,
                    (int)message.len, shown);
            status = EXIT_STATUS_CONFIG;
        }
    }
    database_file_close(file);
    free(file);
    return status;
}

/* Are the files that are there as they should be, and is `text` among the records? */
static int check_database(struct capture *capture, struct span text, bool *found)
{
    static const char *const names[] = {"browser.txt", "mitm.txt"};
    int status = check_metadata(capture);

    *found = false;
    for (size_t i = 0; i < COUNT_OF(names) && status == EXIT_STATUS_OK; i++) {
        bool is_mine = strcmp(names[i], capture->record_name) == 0;

        status = read_records(capture, names[i], is_mine ? text : (struct span){NULL, 0}, found);
    }
    return status;
}

/* Returns the descriptor of the lock, or a negative status to exit with. */
static int lock_database(struct capture *capture)
{
    const char *dir = capture->options->database_dir;
    int lock = database_append_lock(dir);

    if (lock >= 0) {
        return lock;
    }
    fprintf(capture->err, "weir %s: --database %s: %s\n", command, dir, strerror(-lock));
    return lock == -EACCES || lock == -EROFS ? -EXIT_STATUS_PERMISSION : -EXIT_STATUS_CANNOT_CREATE;
}

/* ---- the end ---- */

/* Why there can be no record, or null. */
static const char *no_record(const struct capture *capture)
{
    if (!signature_draft_is_one_client(&capture->draft)) {
        return "the visits name the same ciphers in different orders: not one client's";
    }
    if (capture->options->product || capture->ua_len) {
        return NULL;
    }
    return capture->unknown_ua[0]
               ? "its User-Agent names nobody that weir knows, and a record would cover everybody"
               : "no visit had a User-Agent, so there is nothing that a record could be bound to";
}

/* Without its day. The caller frees it; null: no memory. */
static char *print_record(struct capture *capture, size_t *len)
{
    size_t cap = signature_draft_text_max(&capture->draft) + sizeof(capture->ua) +
                 mitm_info_text_max(&capture->product) + 64;
    char *text = malloc(cap);
    struct text t = text_make(text, cap);
    bool done = text != NULL;

    if (done) {
        if (capture->options->product) {
            text_string(&t, "0::0:0::0:*"); /* the product's hello does not depend on whose it is */
        } else {
            text_bytes(&t, span_make(capture->ua, capture->ua_len));
        }
        text_char(&t, '|');
        done = signature_draft_print(&t, &capture->draft);
        text_char(&t, '|');
        mitm_info_print(&t, &capture->product);
        ASSERT(!done || !t.overflow);
    }
    if (!done) {
        free(text);
        return NULL;
    }
    *len = t.len;
    return text;
}

/* The lines of metadata, which the caller frees; null: no memory. */
static char *print_lines(struct capture *capture, bool is_recorded, size_t *len)
{
    char *text = NULL;
    FILE *stream = open_memstream(&text, len);
    bool done = stream != NULL;
    json_t *line;
    size_t index;

    json_array_foreach(capture->lines, index, line)
    {
        done = done &&
               json_object_set_new(line, "record",
                                   is_recorded ? json_string(capture->record_name) : json_null()) ==
                   0 &&
               json_dumpf(line, stream, JSON_COMPACT) == 0 && fputc('\n', stream) != EOF;
    }
    if (stream && fclose(stream) != 0) {
        done = false;
    }
    if (!done) {
        free(text);
        return NULL;
    }
    return text;
}

static int append(struct capture *capture, int lock, struct span record, struct span lines)
{
    const struct database_addition additions[] = {
        {"badheader.txt", {NULL, 0}},
        {capture->options->product ? "browser.txt" : "mitm.txt", {NULL, 0}},
        {"metadata.jsonl", lines},
        {capture->record_name, record},
    };
    char path[DATABASE_PATH_CAP];
    int failed =
        database_append(lock, capture->options->database_dir, additions, COUNT_OF(additions), path);

    if (!failed) {
        return EXIT_STATUS_OK;
    }
    fprintf(capture->err, "weir %s: %s: %s\n", command, path,
            failed == -EFBIG ? "it would be larger than 2 MiB" : strerror(-failed));
    return failed == -EACCES ? EXIT_STATUS_PERMISSION : EXIT_STATUS_CANNOT_CREATE;
}

/* `record` is null or the line; `note`, or null, is what is to be known of it. */
static int tell(struct capture *capture, const char *record, const char *note)
{
    const char *dir = capture->options->database_dir;
    json_t *object;
    int status = EXIT_STATUS_OK;

    if (capture->options->json) {
        object = json_pack("{s:s?, s:s?, s:s?, s:O}", "file", record ? capture->record_name : NULL,
                           "record", record, "note", note, "visits", capture->lines);
        if (!object || json_dumpf(object, capture->out, JSON_COMPACT) != 0) {
            status = EXIT_STATUS_RUNTIME;
        }
        fputc('\n', capture->out);
        json_decref(object);
    } else {
        if (record) {
            fprintf(capture->out, "%s/%s: %s\n", dir, capture->record_name, record);
        }
        fprintf(capture->out, "%s/metadata.jsonl: %u visit%s\n", dir, capture->count,
                capture->count == 1 ? "" : "s");
    }
    if (note) {
        complain(capture, note);
    }
    if (fflush(capture->out) != 0 || ferror(capture->out)) {
        complain(capture, "the output cannot be written");
        status = EXIT_STATUS_RUNTIME;
    }
    return status;
}

/* With the day and a line feed; the caller frees it. */
static char *with_day(const char *record, size_t len)
{
    char *line = malloc(len + MESSAGE_CAP);
    struct text t = text_make(line, len + MESSAGE_CAP - 1);

    if (line) {
        text_bytes(&t, span_make(record, len));
        text_char(&t, '|');
        record_day_print(&t, clock_day(clock_wall_ns()));
        text_char(&t, '\n');
        line[t.len] = '\0';
    }
    return line;
}

/* Writes it all, under the lock. */
static int write_capture(struct capture *capture, int lock)
{
    const char *note = no_record(capture);
    size_t record_len = 0, lines_len = 0;
    char *record = note ? NULL : print_record(capture, &record_len);
    char *record_line = record ? with_day(record, record_len) : NULL;
    char *lines = print_lines(capture, record != NULL, &lines_len);
    int status = EXIT_STATUS_RUNTIME;
    bool is_there = false;
    struct span added = {NULL, 0};

    if (!lines || (!note && !record_line)) {
        complain(capture, "out of memory");
        goto done;
    }
    status = check_database(capture, span_make(record, record_len), &is_there);
    if (status != EXIT_STATUS_OK) {
        goto done;
    }
    if (record_line && !is_there) {
        added = span_from_string(record_line);
    }
    status = append(capture, lock, added, span_make(lines, lines_len));
    if (status != EXIT_STATUS_OK) {
        goto done;
    }
    if (record_line) {
        record_line[strlen(record_line) - 1] = '\0';
    }
    if (is_there) {
        note = "this record was there already; it stays as it is";
    } else if (!note && !capture->draft.has_server_name) {
        note = "no visit was to a host name: the record covers visits to addresses only";
    }
    status = tell(capture, record_line, note);
done:
    free(lines);
    free(record_line);
    free(record);
    return status;
}

static int finish(struct capture *capture)
{
    int lock;
    int status;

    if (capture->failed) {
        complain(capture, "out of memory");
        return EXIT_STATUS_RUNTIME;
    }
    if (capture->count < (capture->wanted ? capture->wanted : 1)) {
        fprintf(capture->err, "weir %s: %u of %u visits came in %u s; nothing is written\n",
                command, capture->count, capture->wanted ? capture->wanted : 1,
                capture->options->seconds);
        return EXIT_STATUS_RUNTIME;
    }
    lock = lock_database(capture);
    if (lock < 0) {
        return -lock;
    }
    status = write_capture(capture, lock);
    close(lock);
    return status;
}

/* ---- the beginning ---- */

/* By its name, or as mitm_info has it. */
static const char *type_number(const char *type)
{
    static const char *const numbers[MITM_TYPE_COUNT] = {"0", "1", "2", "3", "4", "5"};

    for (unsigned i = 0; i < MITM_TYPE_COUNT; i++) {
        if (strcmp(type, mitm_type_name(i)) == 0) {
            return numbers[i];
        }
    }
    return type;
}

/* False, and said why: no record can hold it. */
static bool read_product(struct capture *capture)
{
    const struct options *options = capture->options;
    const char *name = options->product ? options->product : "";
    char room[MESSAGE_CAP];
    struct text t = text_make(room, sizeof(room));
    struct detect_fault fault;

    for (const char *c = name; *c; c++) {
        if ((unsigned char)*c < ' ' || strchr(":,|#\"", *c)) {
            complain(capture, "--product: a name without : , | # \" expected");
            return false;
        }
    }
    text_printf(&t, "%s:%s:%s", name, type_number(options->type ? options->type : "none"),
                options->grade ? options->grade : "0");
    if (t.overflow || !mitm_info_parse(&capture->product, text_view(&t), DETECT_DEFAULT, &fault)) {
        fprintf(capture->err, "weir %s: --product, --type, --grade: %s expected\n", command,
                t.overflow ? "a shorter name" : fault.expected);
        return false;
    }
    return true;
}

/* --ca-dir, or where `weir run` has its authority. */
static int open_server(struct capture *capture)
{
    const char *home = getenv("HOME");
    char dir[PATH_MAX_LEN];
    char error[MESSAGE_CAP];
    int len;

    if (!capture->options->ca_dir && (!home || home[0] != '/')) {
        complain(capture, "HOME is not set to a folder: --ca-dir DIR expected");
        return EXIT_STATUS_USAGE;
    }
    len = capture->options->ca_dir ? snprintf(dir, sizeof(dir), "%s", capture->options->ca_dir)
                                   : snprintf(dir, sizeof(dir), "%s/.weir", home);
    if (len >= (int)sizeof(dir)) {
        complain(capture, "--ca-dir: a shorter path expected");
        return EXIT_STATUS_USAGE;
    }
    if (!visit_server_open(&capture->server, dir, error, sizeof(error))) {
        complain(capture, error);
        return EXIT_STATUS_CANNOT_CREATE;
    }
    return EXIT_STATUS_OK;
}

static int listen_and_finish(struct capture *capture)
{
    const struct visitors_options visitors = {
        .command = command,
        .option = "--listen",
        .address = capture->options->listen,
        .loopback_only = !capture->options->any_address,
        .seconds = capture->options->seconds,
        .err = capture->err,
        .context = capture,
        .room = room,
        .take_hello = take_hello,
        .go_on = go_on,
        .drop = drop,
    };
    int status = visitors_run(&visitors);

    return status == EXIT_STATUS_OK ? finish(capture) : status;
}

static int run(struct capture *capture)
{
    bool is_there;
    int lock;
    int status;

    if (capture->options->count > SIGNATURES_CAPTURE_VISITS_MAX) {
        fprintf(capture->err, "weir %s: --count: at most %d expected\n", command,
                SIGNATURES_CAPTURE_VISITS_MAX);
        return EXIT_STATUS_USAGE;
    }
    if (!read_product(capture)) {
        return EXIT_STATUS_USAGE;
    }
    lock = lock_database(capture);
    if (lock < 0) {
        return -lock;
    }
    close(lock);
    status = check_database(capture, (struct span){NULL, 0}, &is_there);
    if (status == EXIT_STATUS_OK) {
        status = open_server(capture);
    }
    if (status == EXIT_STATUS_OK) {
        status = listen_and_finish(capture);
        visit_server_close(&capture->server);
    }
    return status;
}

int signatures_capture_run(const struct options *options, FILE *out, FILE *err)
{
    struct capture *capture = calloc(1, sizeof(*capture));
    int status = EXIT_STATUS_RUNTIME;

    if (capture) {
        hash_set_seed(random_seed());
        capture->options = options;
        capture->out = out;
        capture->err = err;
        capture->record_name = options->product ? "mitm.txt" : "browser.txt";
        capture->wanted = options->count ? options->count : !options->seconds;
        capture->words = words_new();
        capture->lines = json_array();
        signature_draft_init(&capture->draft, capture->words, options->product != NULL);
    }
    if (capture && capture->words && capture->lines) {
        status = run(capture);
    } else {
        fprintf(err, "weir %s: out of memory\n", command);
    }
    if (capture) {
        signature_draft_fini(&capture->draft);
        mitm_info_fini(&capture->product);
        json_decref(capture->lines);
        words_free(capture->words);
    }
    free(capture);
    return status;
}
