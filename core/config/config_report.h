/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_report: collects what is wrong with one configuration text and prints it in the order of
 * the text, each with its position, the source line and a caret. One thread, one load.
 */
#ifndef WEIR_CONFIG_REPORT_H
#define WEIR_CONFIG_REPORT_H

#include "core/config/config.h"

enum {
    CONFIG_ISSUES_MAX = 100,     /* printed; the rest is counted */
    CONFIG_ISSUE_TEXT_MAX = 512, /* bytes of a message */
    CONFIG_ISSUE_QUOTE_MAX = 64, /* bytes of a value that a message repeats */
};

/* A place in the text, counted from zero; columns count characters, not bytes. */
struct config_mark {
    uint32_t line;
    uint32_t column;
};

struct config_issue {
    struct config_mark mark;
    bool has_mark; /* false: about the file as a whole */
    bool is_warning;
    char message[CONFIG_ISSUE_TEXT_MAX];
};

struct config_source {
    const char *name;
    struct span text;
    struct config_report *report;
    struct config_issue *issues;
    size_t issue_count;
    size_t issue_cap;
    uint32_t error_count;
    uint32_t warning_count;
};

void config_source_init(struct config_source *source, const char *name, struct span text,
                        struct config_report *report);
/* Prints everything, adds to the report's counts, and frees. */
void config_source_fini(struct config_source *source);

/* False when more than CONFIG_ISSUES_MAX were found: a long explanation would not be seen. */
static inline bool config_source_has_room(const struct config_source *source)
{
    return source->issue_count < CONFIG_ISSUES_MAX;
}

/* Whether one of the first `count` issues is an error at this very place. */
bool config_source_has_error_at(const struct config_source *source, size_t count,
                                struct config_mark mark);

void config_error(struct config_source *source, struct config_mark mark, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void config_warning(struct config_source *source, struct config_mark mark, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* About the file as a whole: no line is shown. */
void config_file_error(struct config_source *source, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A value as messages show it: in quotes, escaped, cut after CONFIG_ISSUE_QUOTE_MAX bytes. */
struct config_quote {
    char text[CONFIG_ISSUE_QUOTE_MAX * 6 + 8];
};
struct config_quote config_quote(struct span value);

/* Bytes of the first character, or 0 if they are not UTF-8 (RFC 3629 4); text.len must not be 0. */
size_t config_utf8_next(struct span text, uint32_t *character);

/* Bytes of the line break at the start: 0, 1, 2 (CR LF, NEL) or 3 (LS, PS), as YAML 1.1 has them.
 */
size_t config_line_break(struct span text);

#endif
