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

bool metadata_line_check(struct span line, size_t *column, struct text *message)
{
    json_error_t fault;
    json_t *object = json_loadb((const char *)line.data, line.len, JSON_REJECT_DUPLICATES, &fault);
    bool done = false;

    *column = 1;
    if (!object) {
        *column = fault.position > 0 ? (size_t)fault.position : 1;
        text_string(message, fault.text);
    } else if (!json_is_object(object)) {
        text_string(message, "an object expected");
    } else {
        done = check_columns(object, message);
    }
    json_decref(object);
    return done;
}
