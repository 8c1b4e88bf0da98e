/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/json_lines.h"

#include <errno.h>

/*
 * jansson reads and judges the line; numbers that are no more than passed on must not be lost to
 * their size. The line itself is what is written back, because printing it anew would change how
 * numbers and escapes are written.
 */
enum { READ_FLAGS = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL };

struct answer_state {
    FILE *out;
    json_lines_answer answer;
    void *context;
    uint64_t line_number;
    int failed; /* a negative errno: what is written cannot be relied on */
};

static struct span skip_space(struct span text)
{
    while (text.len && (text.data[0] == ' ' || text.data[0] == '\t' || text.data[0] == '\r' ||
                        text.data[0] == '\n')) {
        text = span_skip(text, 1);
    }
    return text;
}

static size_t string_len(struct span text)
{
    size_t at = 1;

    while (text.data[at] != '"') {
        at += text.data[at] == '\\' ? 2 : 1;
    }
    return at + 1;
}

/* The length of the value at the front of `text`, which is known to be good JSON, with the white
 * space behind it. */
static size_t value_len(struct span text)
{
    size_t depth = 0;
    size_t at = 0;

    for (;;) {
        uint8_t c = text.data[at];

        if (c == '"') {
            at += string_len(span_skip(text, at));
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}')) {
            return at;
        }
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        at++;
    }
}

/* `key` has its quotes. */
static bool is_column_of(const json_t *results, struct span key)
{
    json_t *decoded;
    bool found;

    if (span_find(key, '\\') == key.len) {
        return json_object_getn(results, (const char *)key.data + 1, key.len - 2);
    }
    decoded = json_loadb((const char *)key.data, key.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    found = decoded &&
            json_object_getn(results, json_string_value(decoded), json_string_length(decoded));
    json_decref(decoded);
    return found;
}

static void write_column(FILE *out, bool *is_first, struct span key, struct span value)
{
    fputc(*is_first ? '{' : ',', out);
    *is_first = false;
    fwrite(key.data, 1, key.len, out);
    fputc(':', out);
    fwrite(value.data, 1, value.len, out);
}

/* `line` is an object that jansson has read. */
static void write_line_columns(FILE *out, bool *is_first, struct span line, const json_t *results)
{
    struct span rest = skip_space(span_skip(skip_space(line), 1));

    while (rest.data[0] != '}') {
        struct span key = span_sub(rest, 0, string_len(rest));
        struct span value = skip_space(span_skip(rest, key.len));

        value = skip_space(span_skip(value, 1)); /* the colon */
        rest = span_skip(value, value_len(value));
        value.len -= rest.len;
        while (value.data[value.len - 1] == '\r') {
            value.len--;
        }
        value = span_trim(value);
        if (!is_column_of(results, key)) {
            write_column(out, is_first, key, value);
        }
        if (rest.data[0] == ',') {
            rest = skip_space(span_skip(rest, 1));
        }
    }
}

static bool write_results(FILE *out, bool *is_first, json_t *results)
{
    const char *name;
    json_t *value;

    json_object_foreach(results, name, value)
    {
        fprintf(out, "%c\"%s\":", *is_first ? '{' : ',', name);
        *is_first = false;
        if (json_dumpf(value, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0 && !ferror(out)) {
            return false;
        }
    }
    return true;
}

static void write_error(FILE *out, bool *is_first, const struct text *error)
{
    char room[JSON_ERROR_MAX * 6 + 2];
    struct text t = text_make(room, sizeof(room));

    text_json(&t, text_view(error));
    fprintf(out, "%c\"error\":%.*s", *is_first ? '{' : ',', (int)t.len, room);
    *is_first = false;
}

/* Also for lines that are no object: those have no columns. */
static void write_refusal(const struct answer_state *state, struct span line, bool is_object,
                          const struct text *error)
{
    json_t *error_column = is_object ? json_pack("{s:n}", "error") : NULL;
    bool is_first = true;

    if (error_column) {
        write_line_columns(state->out, &is_first, line, error_column);
    }
    write_error(state->out, &is_first, error);
    fputs("}\n", state->out);
    json_decref(error_column);
}

static void answer_line(struct answer_state *state, struct span line)
{
    char room[JSON_ERROR_MAX];
    struct text error = text_make(room, sizeof(room));
    bool is_first = true;
    json_error_t fault;
    json_t *results = json_object();
    json_t *object = json_loadb(line.len ? (const char *)line.data : "", line.len,
                                READ_FLAGS | JSON_DECODE_ANY, &fault);

    if (!object) {
        text_printf(&error, "line %llu, byte %d: %s", (unsigned long long)state->line_number,
                    fault.position, fault.text);
    } else if (!json_is_object(object)) {
        text_printf(&error, "line %llu: an object expected",
                    (unsigned long long)state->line_number);
    } else if (!results) {
        text_string(&error, "out of memory");
    } else if (state->answer(state->context, object, results, &error)) {
        write_line_columns(state->out, &is_first, line, results);
        if (!write_results(state->out, &is_first, results)) {
            state->failed = -ENOMEM;
        }
        fputs(is_first ? "{}\n" : "}\n", state->out);
        goto out;
    }
    write_refusal(state, line, json_is_object(object), &error);
out:
    json_decref(object);
    json_decref(results);
}

static void refuse_long_line(struct answer_state *state)
{
    char room[JSON_ERROR_MAX];
    struct text error = text_make(room, sizeof(room));

    text_printf(&error, "line %llu: longer than %d bytes", (unsigned long long)state->line_number,
                JSON_LINE_MAX);
    write_refusal(state, (struct span){NULL, 0}, false, &error);
}

/* Skips to behind the next newline, or the end. */
static void skip_line(struct input *in)
{
    struct span window;
    size_t len;

    do {
        input_fill(in, 1);
        window = input_window(in);
        len = span_find(window, '\n');
        input_skip(in, len < window.len ? len + 1 : len);
    } while (window.len && len == window.len);
}

int json_lines_run(struct input *in, FILE *out, json_lines_answer answer, void *context)
{
    struct answer_state state = {.out = out, .answer = answer, .context = context};
    size_t searched = 0;

    in->flush = out;
    while (!ferror(out) && !state.failed) {
        struct span window = input_window(in);
        size_t len = searched + span_find(span_skip(window, searched), '\n');

        if (len == window.len && len <= JSON_LINE_MAX && input_fill(in, len + 1)) {
            searched = len;
            continue;
        }
        if (in->error || window.len == 0) {
            break;
        }
        state.line_number++;
        searched = 0;
        if (len > JSON_LINE_MAX) {
            refuse_long_line(&state);
            skip_line(in);
            continue;
        }
        window = input_window(in);
        answer_line(&state, span_sub(window, 0, len));
        input_skip(in, len < window.len ? len + 1 : len);
    }
    if (fflush(out) != 0 || ferror(out)) {
        return -EIO;
    }
    return state.failed ? state.failed : -in->error;
}

static int complain(FILE *err, const char *command, const char *name, int failed)
{
    fprintf(err, "weir %s: %s: %s\n", command, name, strerror(-failed));
    return failed == -EACCES ? EXIT_STATUS_PERMISSION : EXIT_STATUS_RUNTIME;
}

int json_lines_run_inputs(const struct options *options, const char *command, FILE *out, FILE *err,
                          json_lines_answer answer, void *context)
{
    int status = EXIT_STATUS_OK;

    for (size_t i = 0; i < options->input_count; i++) {
        const char *name = input_name(options->inputs[i]);
        struct input in;
        int failed = input_open(&in, options->inputs[i]);

        if (!failed) {
            failed = json_lines_run(&in, out, answer, context);
            input_fini(&in);
        }
        if (failed) {
            int one = complain(err, command, name, failed);
            status = status == EXIT_STATUS_OK ? one : status;
        }
    }
    return status;
}

bool json_lines_string(const json_t *line, const char *column, struct span *value,
                       struct text *error)
{
    const json_t *string = json_object_get(line, column);

    if (!string) {
        text_printf(error, "%s: missing; a string expected", column);
        return false;
    }
    if (!json_is_string(string)) {
        text_printf(error, "%s: a string expected", column);
        return false;
    }
    *value = span_make(json_string_value(string), json_string_length(string));
    return true;
}
