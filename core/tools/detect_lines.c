/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/detect_lines.h"

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/tools/database_folder.h"
#include "core/tools/hello_facts.h"
#include "core/tools/user_agent_lines.h"
#include "detect/check.h"
#include "detect/user_agent.h"

#include <stdlib.h>

enum {
    PRINT_MAX = 4 * RECORD_LINE_MAX, /* any field of a report */
};

struct detection {
    struct database *db;
    bool compatible;
    int32_t today;
    struct ua_fingerprint ua;
    struct request_fingerprint request;
    struct detect_report report;
    char room[PRINT_MAX];
};

static bool answer_line(void *context, const json_t *line, json_t *results, struct text *error);
static struct database *load(const struct options *options, FILE *err);

int detect_lines_run(const struct options *options, FILE *out, FILE *err)
{
    struct detection *detection = calloc(1, sizeof(*detection));
    int status = EXIT_STATUS_RUNTIME;

    if (!detection) {
        fputs("weir detect: out of memory\n", err);
        return status;
    }
    hash_set_seed(random_seed());
    detection->compatible = options->compatible;
    detection->today = clock_day(clock_wall_ns());
    detection->db = load(options, err);
    status = EXIT_STATUS_CONFIG;
    if (detection->db) {
        status = json_lines_run_inputs(options, "detect", out, err, answer_line, detection);
        database_free(detection->db);
    }
    free(detection);
    return status;
}

/* Null: said why not. Bad lines that are left out are told, too. */
static struct database *load(const struct options *options, FILE *err)
{
    const char *dir = options->database_dir ? options->database_dir : DATABASE_BUILTIN;
    const struct database_folders folders = {
        .command = "detect",
        .dirs = &dir,
        .count = 1,
        .mode = options->compatible ? DETECT_COMPATIBLE : DETECT_DEFAULT,
    };

    return database_folders_load(&folders, err);
}

static bool read_fault(struct text *error, const char *column, const struct detect_fault *fault)
{
    text_printf(error, "%s: byte %zu: %s expected", column, fault->offset, fault->expected);
    return false;
}

/* What the header says, or what the column ua_fingerprint claims that it does. */
static bool read_user_agent(struct detection *detection, const json_t *line, struct span raw,
                            struct text *error)
{
    struct detect_fault fault;
    struct span text;

    if (!json_object_get(line, "ua_fingerprint")) {
        user_agent_parse(&detection->ua, raw,
                         detection->compatible ? USER_AGENT_COMPATIBLE : USER_AGENT_DEFAULT);
        return true;
    }
    return json_lines_string(line, "ua_fingerprint", &text, error) &&
           (ua_fingerprint_parse(&detection->ua, text, &fault) ||
            read_fault(error, "ua_fingerprint", &fault));
}

static bool read_request(struct detection *detection, const json_t *line, struct text *error)
{
    struct detect_fault fault;
    struct span text;

    return json_lines_string(line, "request_fingerprint", &text, error) &&
           (request_fingerprint_parse(&detection->request, text, &fault) ||
            read_fault(error, "request_fingerprint", &fault));
}

static bool set_string(json_t *object, const char *name, struct span value)
{
    return json_object_set_new(object, name, json_from_bytes(value)) == 0;
}

static bool set_name(json_t *object, const char *name, const char *value)
{
    return set_string(object, name, span_from_string(value));
}

static bool set_printed(struct detection *detection, json_t *object, const char *name,
                        void (*print)(struct text *, const struct database *,
                                      const struct detect_report *))
{
    struct text t = text_make(detection->room, sizeof(detection->room));

    print(&t, detection->db, &detection->report);
    return !t.overflow && set_string(object, name, text_view(&t));
}

static void print_reason(struct text *out, const struct database *db,
                         const struct detect_report *report)
{
    (void)db;
    detect_print_reason(out, report->level, report->reason);
}

static bool fill(struct detection *d, json_t *object)
{
    const struct detect_report *report = &d->report;

    return set_printed(d, object, "matched_ua_signature", detect_print_ua_signature) &&
           set_printed(d, object, "browser_signature", detect_print_browser_signature) &&
           set_name(object, "browser_signature_match", match_level_name(report->level)) &&
           set_printed(d, object, "reason", print_reason) &&
           set_printed(d, object, "reason_details", detect_print_details) &&
           set_name(object, "browser_grade", grade_name(report->browser_grade)) &&
           set_name(object, "actual_grade", grade_name(report->actual_grade)) &&
           json_object_set_new(object, "weak_ciphers", json_boolean(report->weak_ciphers)) == 0 &&
           json_object_set_new(object, "loses_pfs", json_boolean(report->loses_pfs)) == 0 &&
           set_printed(d, object, "matched_mitm_signature", detect_print_product_signature) &&
           set_string(object, "matched_mitm_name", detect_product_names(report)) &&
           json_object_set_new(object, "matched_mitm_type",
                               json_integer(detect_product_type(report))) == 0 &&
           set_name(object, "error", detect_error_name(report->error)) &&
           (d->compatible || (set_name(object, "verdict", detect_verdict_name(report->verdict)) &&
                              set_name(object, "unknown", detect_unknown_name(report->unknown))));
}

static bool answer_line(void *context, const json_t *line, json_t *results, struct text *error)
{
    struct detection *detection = context;
    struct detect_question question = {
        .ua = &detection->ua, .request = &detection->request, .today = detection->today};
    uint8_t *owned = NULL;
    json_t *object;
    bool done = user_agent_lines_header(line, &question.raw_ua, &owned, error) &&
                read_user_agent(detection, line, question.raw_ua, error) &&
                read_request(detection, line, error);

    if (done) {
        detect_check(detection->db, &question, &detection->report);
        object = json_object();
        done = object && fill(detection, object) && json_object_set(results, "report", object) == 0;
        json_decref(object);
        if (!done) {
            text_string(error, "out of memory");
        }
    }
    free(owned);
    return done;
}
