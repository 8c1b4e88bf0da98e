/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/visit_line.h"

#include "core/base/clock.h"
#include "detect/record.h"

#include <stdlib.h>

enum { NAME_MAX_LEN = 512, TIME_MAX = 64 };

static bool set_span(json_t *object, const char *name, struct span value)
{
    return json_object_set_new(object, name, json_from_bytes(value)) == 0;
}

static bool set_text(json_t *object, const char *name, const char *value)
{
    return set_span(object, name, span_from_string(value));
}

/* "curl 7.88.1" is curl in version 7.88.1; "Debian GNU/Linux" has no version. */
static bool set_with_version(json_t *object, const char *name, const char *version_name,
                             const char *value)
{
    struct span whole = span_from_string(value);
    const char *blank = strrchr(value, ' ');

    if (!blank || blank == value || blank[1] < '0' || blank[1] > '9') {
        return set_span(object, name, whole);
    }
    return set_span(object, name, span_sub(whole, 0, (size_t)(blank - value))) &&
           set_text(object, version_name, blank + 1);
}

static bool set_name(json_t *object, const struct options *options)
{
    char room[NAME_MAX_LEN];
    struct text t = text_make(room, sizeof(room));

    text_string(&t, options->client);
    text_string(&t, " on ");
    text_string(&t, options->system);
    if (options->product) {
        text_string(&t, " behind ");
        text_string(&t, options->product);
    }
    return set_span(object, "name", text_view(&t));
}

static bool set_time(json_t *object, int64_t time_ns)
{
    char room[TIME_MAX];
    struct text day = text_make(room, sizeof(room));
    struct text time = text_make(room, sizeof(room));

    record_day_print(&day, clock_day(time_ns));
    if (!set_span(object, "date", text_view(&day))) {
        return false;
    }
    text_time(&time, time_ns);
    return set_span(object, "time", text_view(&time));
}

static bool set_hello(json_t *object, const struct hello_facts *facts)
{
    struct span message = facts->hello.message;
    size_t cap = 2 * message.len;
    char *room = malloc(cap + 1);
    struct text t = text_make(room, cap);
    bool done = false;

    if (room) {
        text_hex(&t, message);
        done = set_span(object, "client_hello", text_view(&t)) && hello_facts_set(facts, object);
    }
    free(room);
    return done;
}

json_t *visit_line_new(const struct options *options, const struct hello_facts *facts,
                       int64_t time_ns)
{
    json_t *line = json_object();

    if (line && set_name(line, options) &&
        set_with_version(line, "client", "version", options->client) &&
        set_with_version(line, "system", "system_version", options->system) &&
        (!options->product || set_text(line, "product", options->product)) &&
        set_text(line, "command", options->command_line) && set_time(line, time_ns) &&
        set_hello(line, facts)) {
        return line;
    }
    json_decref(line);
    return NULL;
}

static struct span names_of(const struct http_first_request *request)
{
    return request ? span_make(request->names, request->names_len) : (struct span){NULL, 0};
}

/* The hello's fingerprint with the names in it; the bounds of a list are those of the tap's. */
static bool print_fingerprint(struct text *out, struct span hello, struct span names)
{
    struct request_fingerprint *fp = malloc(sizeof(*fp));
    struct detect_fault fault;
    bool done = fp && request_fingerprint_parse(fp, hello, &fault);

    if (done) {
        if (!word_list_parse(&fp->headers, names, &fault)) {
            fp->headers.count = 0;
        }
        request_fingerprint_print(out, fp);
        done = !out->overflow;
    }
    free(fp);
    return done;
}

static bool set_headers(json_t *line, struct span names)
{
    json_t *list = json_array();
    bool done = list != NULL;

    while (done && names.len) {
        size_t len = span_find(names, ',');

        done = json_array_append_new(list, json_from_bytes(span_sub(names, 0, len))) == 0;
        names = span_skip(names, len + 1);
    }
    done = done && json_object_set(line, "headers", list) == 0;
    json_decref(list);
    return done;
}

static bool set_request(json_t *line, const struct http_first_request *request)
{
    if (!request) {
        return true;
    }
    return set_headers(line, names_of(request)) &&
           (!request->are_names_cut ||
            json_object_set_new(line, "headers_cut", json_true()) == 0) &&
           (!request->is_user_agent_cut ||
            json_object_set_new(line, "raw_ua_cut", json_true()) == 0) &&
           (!request->has_user_agent ||
            set_span(line, "raw_ua", span_make(request->user_agent, request->user_agent_len)));
}

bool visit_line_end(json_t *line, const struct visit *visit, struct text *fingerprint)
{
    const struct http_first_request *request = visit_request(visit);
    const json_t *hello = json_object_get(line, "request_fingerprint");

    return print_fingerprint(fingerprint,
                             span_make(json_string_value(hello), json_string_length(hello)),
                             names_of(request)) &&
           set_span(line, "request_fingerprint", text_view(fingerprint)) &&
           (!visit->is_open || (set_text(line, "tls", visit->info.version) &&
                                set_span(line, "protocol", visit->info.alpn))) &&
           set_request(line, request) && set_text(line, "ending", visit->ending);
}
