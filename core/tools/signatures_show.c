/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/text.h"
#include "core/config/suggest.h"
#include "core/tools/database_file.h"
#include "core/tools/signatures_database.h"
#include "detect/grade.h"
#include "detect/user_agent.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

enum { FIELD_ROOM = 256, NAMES_SEEN_MAX = 1024 };

static const char command[] = "signatures show";

struct show {
    FILE *out, *err;
    bool json;
    bool has_browser;
    int64_t browser;
    bool has_product;
    struct mitm_info product;
    size_t shown_count;
    struct suggest suggest;     /* what product may have been meant */
    char suggested[FIELD_ROOM]; /* a copy: the records go before it is needed */
};

/* ---- what to show ---- */

static bool find_browser(struct show *show, const char *name)
{
    struct suggest suggest = suggest_make(span_from_string(name));

    if (ua_browser_find(&show->browser, span_from_string(name))) {
        show->has_browser = true;
        return true;
    }
    for (int number = 0; number < NAMES_SEEN_MAX; number++) {
        suggest_offer(&suggest, span_from_string(ua_browser_name(number)));
    }
    fprintf(show->err, "weir %s: --browser: no browser of this name is known", command);
    if (suggest.best.len) {
        fprintf(show->err, "; did you mean \"%.*s\"?", SPAN_PRINTF(suggest.best));
    }
    fputc('\n', show->err);
    return false;
}

/* The name is simplified as those in the records are. */
static bool find_product(struct show *show, const char *name)
{
    struct detect_fault fault;
    size_t cap = strlen(name) + sizeof(":0:0");
    char *text = malloc(cap);

    if (!text) {
        fprintf(show->err, "weir %s: out of memory\n", command);
        return false;
    }
    snprintf(text, cap, "%s:0:0", name);
    show->has_product =
        mitm_info_parse(&show->product, span_from_string(text), DETECT_DEFAULT, &fault);
    free(text);
    if (!show->has_product) {
        fprintf(show->err, "weir %s: --product: a name without \":\" expected\n", command);
    } else {
        show->suggest = suggest_make(mitm_info_names(&show->product));
    }
    return show->has_product;
}

static bool is_wanted(struct show *show, const struct record *record)
{
    if (show->has_product && !mitm_info_match(&show->product, &record->mitm)) {
        suggest_offer(&show->suggest, mitm_info_names(&record->mitm));
        return false;
    }
    return !show->has_browser || record->ua.browser == show->browser;
}

/* ---- as text ---- */

/* Nothing of a file reaches a terminal raw. */
static void print_escaped(FILE *out, struct span text)
{
    while (text.len) {
        char room[6 * FIELD_ROOM];
        struct text t = text_make(room, sizeof(room));
        struct span part = span_sub(text, 0, FIELD_ROOM);

        text_escaped(&t, part);
        fwrite(room, 1, t.len, out);
        text = span_skip(text, part.len);
    }
}

static const char *or_any(int64_t number, const char *name)
{
    return number == 0 ? "any" : name;
}

static void print_range(FILE *out, struct ua_version_range range)
{
    char room[FIELD_ROOM];
    struct text t = text_make(room, sizeof(room));

    ua_version_range_print(&t, range);
    if (t.len) {
        fprintf(out, " %.*s", (int)t.len, room);
    }
}

static void print_line(FILE *out, const char *label, struct span value)
{
    if (value.len) {
        fprintf(out, "    %-11s ", label);
        print_escaped(out, value);
        fputc('\n', out);
    }
}

static void print_product(FILE *out, const struct mitm_info *mitm)
{
    if (mitm->name_count == 0 && mitm->type == MITM_NONE && mitm->grade == GRADE_EMPTY) {
        return;
    }
    fprintf(out, "    %-11s ", "product");
    print_escaped(out, mitm_info_names(mitm));
    fprintf(out, " (%s", mitm_type_name(mitm->type));
    if (mitm->grade != GRADE_EMPTY) {
        fprintf(out, ", grade %s", grade_name(mitm->grade));
    }
    fputs(")\n", out);
}

/* `room` has space for any field. */
static void print_text(const struct show *show, const struct record_file *file, size_t index,
                       struct text room)
{
    const struct record *record = &file->list.items[index];
    const struct ua_signature *ua = &record->ua;
    const struct words *words = file->list.words;
    FILE *out = show->out;

    fprintf(out, "%s:%zu: %s", file->file.path, file->lines.items[index],
            or_any(ua->browser, ua_browser_name(ua->browser)));
    print_range(out, ua->browser_version);
    fprintf(out, ", %s", or_any(ua->os, ua_os_name(ua->os)));
    print_range(out, ua->os_version);
    fprintf(out, ", platform %s, device %s\n", or_any(ua->platform, ua_platform_name(ua->platform)),
            or_any(ua->device, ua_device_name(ua->device)));
    print_product(out, &record->mitm);
    list_signature_print(&room, &ua->quirks, words, DETECT_DEFAULT);
    print_line(out, "user agent", text_view(&room));
    for (int field = 0; field < REQUEST_FIELD_COUNT; field++) {
        room.len = 0;
        request_signature_print_field(&room, &record->request, (enum request_field)field, words,
                                      DETECT_DEFAULT);
        print_line(out, request_field_name((enum request_field)field), text_view(&room));
    }
    if (record->captured_day) {
        room.len = 0;
        record_day_print(&room, record->captured_day);
        print_line(out, "captured", text_view(&room));
    }
}

/* ---- as JSON ---- */

static bool set_text(json_t *object, const char *key, const struct text *t)
{
    char *room = malloc(6 * t->len + 3);
    struct text quoted = text_make(room, 6 * t->len + 2);
    bool done = false;

    if (room) {
        text_json(&quoted, text_view(t));
        done = json_object_set_new(
                   object, key,
                   json_loadb(room, quoted.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)) == 0;
    }
    free(room);
    return done;
}

static bool set_name(json_t *object, const char *key, int64_t number, const char *name)
{
    return json_object_set_new(object, key, number ? json_string(name) : json_null()) == 0;
}

static bool set_range(json_t *object, const char *key, struct ua_version_range range)
{
    char room[FIELD_ROOM];
    struct text t = text_make(room, sizeof(room));

    ua_version_range_print(&t, range);
    return set_text(object, key, &t);
}

static bool set_user_agent(json_t *object, const struct ua_signature *ua, const struct words *words,
                           struct text room)
{
    list_signature_print(&room, &ua->quirks, words, DETECT_DEFAULT);
    return set_name(object, "browser", ua->browser, ua_browser_name(ua->browser)) &&
           set_range(object, "browser_version", ua->browser_version) &&
           set_name(object, "platform", ua->platform, ua_platform_name(ua->platform)) &&
           set_name(object, "os", ua->os, ua_os_name(ua->os)) &&
           set_range(object, "os_version", ua->os_version) &&
           set_name(object, "device", ua->device, ua_device_name(ua->device)) &&
           set_text(object, "user_agent_quirks", &room);
}

static bool set_request(json_t *object, const struct request_signature *request,
                        const struct words *words, struct text room)
{
    bool done = true;

    for (int field = 0; field < REQUEST_FIELD_COUNT && done; field++) {
        room.len = 0;
        request_signature_print_field(&room, request, (enum request_field)field, words,
                                      DETECT_DEFAULT);
        done = set_text(object, request_field_name((enum request_field)field), &room);
    }
    return done;
}

static bool set_rest(json_t *object, const struct record *record, const struct words *words,
                     struct text room)
{
    text_bytes(&room, mitm_info_names(&record->mitm));
    if (!set_text(object, "product", &room) ||
        json_object_set_new(object, "type", json_string(mitm_type_name(record->mitm.type))) != 0 ||
        json_object_set_new(object, "grade", json_string(grade_name(record->mitm.grade))) != 0) {
        return false;
    }
    room.len = 0;
    if (record->captured_day) {
        record_day_print(&room, record->captured_day);
        if (!set_text(object, "captured", &room)) {
            return false;
        }
        room.len = 0;
    }
    record_print(&room, record, words, DETECT_DEFAULT);
    return set_text(object, "record", &room);
}

/* False: no memory. */
static bool print_json(const struct show *show, const struct record_file *file, size_t index,
                       struct text room)
{
    const struct record *record = &file->list.items[index];
    const struct words *words = file->list.words;
    json_t *object = json_object();
    struct text path = {(char *)file->file.path, 0, strlen(file->file.path), false};
    bool done = object && set_text(object, "file", &path) &&
                json_object_set_new(object, "line",
                                    json_integer((json_int_t)file->lines.items[index])) == 0 &&
                set_user_agent(object, &record->ua, words, room) &&
                set_request(object, &record->request, words, room) &&
                set_rest(object, record, words, room) &&
                (json_dumpf(object, show->out, JSON_COMPACT) == 0 || ferror(show->out));

    fputc('\n', show->out);
    json_decref(object);
    return done;
}

/* ---- all ---- */

static void keep_suggestion(struct show *show)
{
    struct span best = span_sub(show->suggest.best, 0, sizeof(show->suggested));

    if (best.len && best.data != (const uint8_t *)show->suggested) {
        memcpy(show->suggested, best.data, best.len);
        show->suggest.best = span_make(show->suggested, best.len);
    }
}

/* Returns 0 or a negative errno. */
static int show_records(struct show *show, const struct record_file *file)
{
    for (size_t i = 0; i < file->list.count; i++) {
        const struct record *record = &file->list.items[i];
        size_t cap = record_text_max(record, file->list.words) + FIELD_ROOM;
        char *room;
        bool done = true;

        if (!is_wanted(show, record)) {
            continue;
        }
        room = malloc(cap);
        if (!room) {
            return -ENOMEM;
        }
        show->shown_count++;
        if (show->json) {
            done = print_json(show, file, i, text_make(room, cap));
        } else {
            print_text(show, file, i, text_make(room, cap));
        }
        free(room);
        if (!done) {
            return -ENOMEM;
        }
    }
    return 0;
}

static int show_file(struct show *show, const char *dir, const char *name)
{
    struct record_file *file = calloc(1, sizeof(*file));
    struct words *words = words_new();
    size_t fault_count = 0;
    int failed = -ENOMEM;

    if (!file || !words) {
        fprintf(show->err, "weir %s: out of memory\n", command);
    } else {
        failed = record_file_load(file, dir, name, words, DETECT_DEFAULT, &fault_count, show->err);
        failed = failed ? failed : show_records(show, file);
        if (failed) {
            database_file_complain(&file->file, command, failed, show->err);
        }
        keep_suggestion(show);
        record_file_fini(file);
    }
    words_free(words);
    free(file);
    return failed;
}

static int finish(const struct show *show)
{
    if (fflush(show->out) != 0) {
        fprintf(show->err, "weir %s: standard output: %s\n", command, strerror(errno));
        return EXIT_STATUS_RUNTIME;
    }
    if (show->shown_count) {
        return EXIT_STATUS_OK;
    }
    fprintf(show->err, "weir %s: no such record", command);
    if (show->has_product && show->suggest.best.len) {
        fputs("; did you mean \"", show->err);
        print_escaped(show->err, show->suggest.best);
        fputs("\"?", show->err);
    }
    fputc('\n', show->err);
    return EXIT_STATUS_RUNTIME;
}

int signatures_show_run(const struct options *options, FILE *out, FILE *err)
{
    struct show show = {.out = out, .err = err, .json = options->json};
    int status = EXIT_STATUS_USAGE;

    if ((!options->browser || find_browser(&show, options->browser)) &&
        (!options->product || find_product(&show, options->product))) {
        status = EXIT_STATUS_CONFIG;
        if (show_file(&show, options->inputs[0], "browser.txt") == 0 &&
            show_file(&show, options->inputs[0], "mitm.txt") == 0) {
            status = finish(&show);
        }
    }
    if (show.has_product) {
        mitm_info_fini(&show.product);
    }
    return status;
}
