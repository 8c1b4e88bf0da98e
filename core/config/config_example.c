/* SPDX-License-Identifier: Apache-2.0 */
/* The commented example, made from the table. */
#include "core/config/config_fields.h"

enum { COLUMNS = 88 };

/* Words up to the margin, each line behind `indent` spaces and "# ". */
static void write_comment(FILE *out, int indent, const char *sentence)
{
    int column = 0;

    while (*sentence) {
        int len = (int)strcspn(sentence, " ");

        if (column && column + 1 + len > COLUMNS - indent) {
            fputc('\n', out);
            column = 0;
        }
        column += column ? fprintf(out, " %.*s", len, sentence)
                         : fprintf(out, "%*s# %.*s", indent, "", len, sentence) - indent;
        sentence += len + (sentence[len] == ' ');
    }
    fputc('\n', out);
}

static void write_notes(FILE *out, int indent, const struct config_field *field)
{
    char bounds[128], line[192];
    const char *change = "";

    config_value_bounds(field, bounds, sizeof(bounds));
    if (field->change == CONFIG_REQUIRED) {
        change = "required";
    } else if (strstr(field->path, "[].") == NULL) {
        change =
            field->change == CONFIG_RESTART ? "a change needs a restart" : "a reload changes it";
    }
    if (bounds[0] || change[0]) {
        snprintf(line, sizeof(line), "(%s%s%s)", bounds, bounds[0] && change[0] ? "; " : "",
                 change);
        write_comment(out, indent, line);
    }
}

static int depth_of(const struct config_field *field)
{
    int dots = 0;

    for (const char *c = field->path; *c; c++) {
        dots += *c == '.';
    }
    return dots;
}

static void write_element(FILE *out, int indent, const struct config_field *list)
{
    const char *dash = "- ";

    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        const struct config_field *field = &config_fields[i];

        if (config_field_is_in(field, list)) {
            write_comment(out, indent + 4, field->sentence);
            write_notes(out, indent + 4, field);
            fprintf(out, "%*s%s%s: %s\n", indent + 2, "", dash, config_field_name(field),
                    field->default_text);
            dash = "  ";
        }
    }
}

/* What an element of a list holds that is empty by default: prose, and an example to uncomment. */
static void write_element_comment(FILE *out, int indent, const struct config_field *list)
{
    const char *dash = "- ";
    char line[512];

    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        const struct config_field *field = &config_fields[i];

        if (config_field_is_in(field, list)) {
            snprintf(line, sizeof(line), "%s: %s", config_field_name(field), field->sentence);
            write_comment(out, indent, line);
            write_notes(out, indent, field);
        }
    }
    write_comment(out, indent, "For example:");
    fprintf(out, "%*s# %s:\n", indent, "", config_field_name(list));
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        const struct config_field *field = &config_fields[i];

        if (config_field_is_in(field, list)) {
            fprintf(out, "%*s#   %s%s: %s\n", indent, "", dash, config_field_name(field),
                    field->example ? field->example : field->default_text);
            dash = "  ";
        }
    }
}

static void write_field(FILE *out, const struct config_field *field)
{
    int indent = depth_of(field) * 2;

    fputc('\n', out);
    if (field->type == CONFIG_SECTION) {
        write_comment(out, indent, field->sentence);
        fprintf(out, "%*s%s:\n", indent, "", config_field_name(field));
        return;
    }
    write_comment(out, indent, field->sentence);
    write_notes(out, indent, field);
    if (field->type != CONFIG_MAP_LIST) {
        fprintf(out, "%*s%s: %s\n", indent, "", config_field_name(field),
                field->default_text[0] ? field->default_text : "\"\"");
    } else if (strcmp(field->default_text, "[]") == 0) {
        write_element_comment(out, indent, field);
        fprintf(out, "%*s%s: []\n", indent, "", config_field_name(field));
    } else {
        fprintf(out, "%*s%s:\n", indent, "", config_field_name(field));
        write_element(out, indent, field);
    }
}

void config_write_example(FILE *out)
{
    write_comment(out, 0,
                  "The configuration of weir: every key with its default. A key that is "
                  "left out has its default too.");
    write_comment(out, 0,
                  "Sizes are bytes, or a number with KiB, MiB or GiB. Durations are a number "
                  "with ms, s, m, h or d. Where a list of single values is taken, one value "
                  "alone is taken too.");
    write_comment(out, 0, "weir check --config FILE finds every mistake in a file.");
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        if (config_field_is_in(&config_fields[i], NULL)) {
            write_field(out, &config_fields[i]);
        }
    }
}
