/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/metadata_line.h"

#include "detect/record.h"

#include <jansson.h>

static const char *const string_columns[] = {
    "name", "client", "version", "system", "system_version", "product", "command", "date",
};

static bool check_columns(const json_t *object, struct text *message)
{
    const json_t *date = json_object_get(object, "date");
    const json_t *mitmengine = json_object_get(object, "mitmengine");
    int32_t day;

    if (!json_object_get(object, "name")) {
        text_string(message, "name: missing; a string expected");
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(string_columns); i++) {
        const json_t *value = json_object_get(object, string_columns[i]);

        if (value && !json_is_string(value)) {
            text_printf(message, "%s: a string expected", string_columns[i]);
            return false;
        }
    }
    if (date &&
        !record_day_parse(&day, span_make(json_string_value(date), json_string_length(date)))) {
        text_string(message, "date: a day, as 2026-11-21 expected");
        return false;
    }
    if (mitmengine && !json_is_object(mitmengine)) {
        text_string(message, "mitmengine: an object expected");
        return false;
    }
    return true;
}

/* The object of a line; null: `message` says what is wrong. */
static json_t *load(struct span line, size_t *column, struct text *message)
{
    json_error_t fault;
    json_t *object = json_loadb((const char *)line.data, line.len, JSON_REJECT_DUPLICATES, &fault);

    *column = 1;
    if (!object) {
        *column = fault.position > 0 ? (size_t)fault.position : 1;
        text_string(message, fault.text);
    } else if (!json_is_object(object)) {
        text_string(message, "an object expected");
        json_decref(object);
        object = NULL;
    }
    return object;
}

bool metadata_line_check(struct span line, size_t *column, struct text *message)
{
    json_t *object = load(line, column, message);
    bool done = object && check_columns(object, message);

    json_decref(object);
    return done;
}

/* ---- MITMEngine's form ---- */

/* Where it has what we have a column for; inner is null for a column of the object itself. */
static const struct {
    const char *ours, *outer, *inner;
} pairs[] = {
    {"name", "desc", NULL},
    {"client", "ua_fingerprint", "browser"},
    {"version", "ua_fingerprint", "browser_version"},
    {"system", "ua_fingerprint", "os"},
    {"system_version", "ua_fingerprint", "os_version"},
    {"product", "mitm_fingerprint", "name"},
};

static const char *const its_columns[] = {
    "desc",        "comment",        "handshake_pcap",   "header_pcap",
    "header_json", "ua_fingerprint", "mitm_fingerprint",
};

static bool is_its_column(const char *key)
{
    for (size_t i = 0; i < COUNT_OF(its_columns); i++) {
        if (strcmp(key, its_columns[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* False: something that we have a column for is no string. */
static bool check_its_columns(const json_t *object, struct text *message)
{
    if (!json_object_get(object, "desc")) {
        text_string(message, "desc: missing; a string expected");
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        const json_t *outer = json_object_get(object, pairs[i].outer);
        const json_t *value = pairs[i].inner ? json_object_get(outer, pairs[i].inner) : outer;

        if (outer && pairs[i].inner && !json_is_object(outer)) {
            text_printf(message, "%s: an object expected", pairs[i].outer);
            return false;
        }
        if (value && !json_is_string(value)) {
            text_printf(message, "%s%s%s: a string expected", pairs[i].outer,
                        pairs[i].inner ? "." : "", pairs[i].inner ? pairs[i].inner : "");
            return false;
        }
    }
    return true;
}

/* For both directions. False: no memory. */
static bool copy_columns(json_t *to, json_t *from, bool its)
{
    const char *key;
    json_t *value;

    json_object_foreach(from, key, value)
    {
        if (is_its_column(key) == its && json_object_set_new(to, key, json_deep_copy(value)) != 0) {
            return false;
        }
    }
    return true;
}

/* Our columns from its; empty ones are none. */
static bool fill_ours(json_t *ours, const json_t *its)
{
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        json_t *outer = json_object_get(its, pairs[i].outer);
        json_t *value = pairs[i].inner ? json_object_get(outer, pairs[i].inner) : outer;

        if (value && (!pairs[i].inner || json_string_length(value)) &&
            json_object_set(ours, pairs[i].ours, value) != 0) {
            return false;
        }
    }
    return true;
}

/* Its columns from ours, which may have been changed since. A column that is not there any more
 * becomes empty. */
static bool fill_its(json_t *its, const json_t *ours)
{
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        json_t *value = json_object_get(ours, pairs[i].ours);
        json_t *outer = pairs[i].inner ? json_object_get(its, pairs[i].outer) : its;
        const char *key = pairs[i].inner ? pairs[i].inner : pairs[i].outer;

        if (!value && !json_object_get(outer, key)) {
            continue;
        }
        if (!outer && json_object_set_new(its, pairs[i].outer, outer = json_object()) != 0) {
            return false;
        }
        if (json_object_set_new(outer, key, value ? json_incref(value) : json_string("")) != 0) {
            return false;
        }
    }
    return true;
}

static bool write_line(FILE *out, json_t *object)
{
    if (json_dumpf(object, out, JSON_COMPACT) != 0 && !ferror(out)) {
        return false;
    }
    fputc('\n', out);
    return true;
}

bool metadata_line_import(struct span line, FILE *out, size_t *column, struct text *message)
{
    json_t *its = load(line, column, message);
    json_t *ours = json_object();
    json_t *kept = json_object();
    bool done = false;

    if (its && check_its_columns(its, message)) {
        bool made = ours && kept && fill_ours(ours, its) && copy_columns(ours, its, false) &&
                    copy_columns(kept, its, true) && json_object_set(ours, "mitmengine", kept) == 0;

        if (!made) {
            text_string(message, "out of memory");
        } else if (check_columns(ours, message)) {
            done = write_line(out, ours);
        }
    }
    json_decref(its);
    json_decref(ours);
    json_decref(kept);
    return done;
}

static bool is_our_column(const char *key)
{
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        if (strcmp(key, pairs[i].ours) == 0) {
            return true;
        }
    }
    return strcmp(key, "mitmengine") == 0;
}

/* Columns that MITMEngine does not know, date and command among them. */
static bool add_others(json_t *its, json_t *ours)
{
    const char *key;
    json_t *value;

    json_object_foreach(ours, key, value)
    {
        if (!is_our_column(key) && !is_its_column(key) && json_object_set(its, key, value) != 0) {
            return false;
        }
    }
    return true;
}

bool metadata_line_export(struct span line, FILE *out, size_t *column, struct text *message)
{
    json_t *ours = load(line, column, message);
    json_t *kept = json_object_get(ours, "mitmengine");
    json_t *its = json_object();
    bool done = false;

    if (ours && check_columns(ours, message) && (!kept || check_its_columns(kept, message))) {
        bool made = its && (!kept || copy_columns(its, kept, true)) && fill_its(its, ours) &&
                    add_others(its, ours);

        if (made) {
            done = write_line(out, its);
        } else {
            text_string(message, "out of memory");
        }
    }
    json_decref(ours);
    json_decref(its);
    return done;
}
