/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config/config_report.h"

#include "core/base/assert.h"
#include "core/base/text.h"

#include <stdarg.h>
#include <stdlib.h>

enum { LINE_CHARACTERS_MAX = 120, LINE_BEFORE_CARET_MAX = 80, NAME_MAX_SHOWN = 4096 };

void config_source_init(struct config_source *source, const char *name, struct span text,
                        struct config_report *report)
{
    *source = (struct config_source){.name = name, .text = text, .report = report};
}

size_t config_utf8_next(struct span text, uint32_t *character)
{
    const uint8_t *s = text.data;
    size_t len;
    uint32_t value, least;

    if (s[0] < 0x80) {
        *character = s[0];
        return 1;
    } else if ((s[0] & 0xe0) == 0xc0) {
        len = 2, value = s[0] & 0x1f, least = 0x80;
    } else if ((s[0] & 0xf0) == 0xe0) {
        len = 3, value = s[0] & 0x0f, least = 0x800;
    } else if ((s[0] & 0xf8) == 0xf0) {
        len = 4, value = s[0] & 0x07, least = 0x10000;
    } else {
        return 0;
    }
    if (text.len < len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (s[i] & 0x3f);
    }
    if (value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
        return 0;
    }
    *character = value;
    return len;
}

size_t config_line_break(struct span text)
{
    uint32_t character = 0;
    size_t len = text.len ? config_utf8_next(text, &character) : 0;

    switch (len ? character : 0) {
    case '\r':
        return text.len > 1 && text.data[1] == '\n' ? 2 : 1;
    case '\n':
    case 0x85:
    case 0x2028:
    case 0x2029:
        return len;
    default:
        return 0;
    }
}

struct config_quote config_quote(struct span value)
{
    struct config_quote quote;
    struct text t = text_make(quote.text, sizeof(quote.text) - 1);
    struct span shown = value;
    uint32_t character;

    if (value.len > CONFIG_ISSUE_QUOTE_MAX) {
        shown.len = 0;
        while (shown.len < CONFIG_ISSUE_QUOTE_MAX - 4) {
            size_t len = config_utf8_next(span_skip(value, shown.len), &character);
            shown.len += len ? len : 1;
        }
    }
    text_char(&t, '"');
    text_escaped(&t, shown);
    text_string(&t, shown.len < value.len ? "...\"" : "\"");
    quote.text[t.len] = '\0';
    return quote;
}

__attribute__((format(printf, 3, 0))) static void
issue_add(struct config_source *source, struct config_issue issue, const char *format, va_list args)
{
    if (issue.is_warning) {
        source->warning_count++;
    } else {
        source->error_count++;
    }
    if (source->issue_count == CONFIG_ISSUES_MAX) {
        return;
    }
    if (source->issue_count == source->issue_cap) {
        size_t cap = source->issue_cap ? source->issue_cap * 2 : 8;
        struct config_issue *grown = realloc(source->issues, cap * sizeof(*grown));
        if (!grown) {
            return; /* counted, and so still an error; printed as "more" */
        }
        source->issues = grown;
        source->issue_cap = cap;
    }
    vsnprintf(issue.message, sizeof(issue.message), format, args);
    source->issues[source->issue_count++] = issue;
}

void config_error(struct config_source *source, struct config_mark mark, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    issue_add(source, (struct config_issue){.mark = mark, .has_mark = true}, format, args);
    va_end(args);
}

void config_warning(struct config_source *source, struct config_mark mark, const char *format, ...)
{
    struct config_issue issue = {.mark = mark, .has_mark = true, .is_warning = true};
    va_list args;

    va_start(args, format);
    issue_add(source, issue, format, args);
    va_end(args);
}

void config_file_error(struct config_source *source, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    issue_add(source, (struct config_issue){.has_mark = false}, format, args);
    va_end(args);
}

bool config_source_has_error_at(const struct config_source *source, size_t count,
                                struct config_mark mark)
{
    for (size_t i = 0; i < count && i < source->issue_count; i++) {
        const struct config_issue *issue = &source->issues[i];
        if (issue->has_mark && !issue->is_warning && issue->mark.line == mark.line &&
            issue->mark.column == mark.column) {
            return true;
        }
    }
    return false;
}

static int compare_places(const void *a, const void *b)
{
    const struct config_issue *left = a, *right = b;

    if (left->has_mark != right->has_mark) {
        return left->has_mark ? 1 : -1;
    }
    if (left->mark.line != right->mark.line) {
        return left->mark.line < right->mark.line ? -1 : 1;
    }
    if (left->mark.column != right->mark.column) {
        return left->mark.column < right->mark.column ? -1 : 1;
    }
    return strcmp(left->message, right->message);
}

/* Columns of a terminal that a character takes; near enough for a caret. */
static int character_width(uint32_t c)
{
    static const struct {
        uint32_t first, last;
        int width;
    } ranges[] = {
        {0x0300, 0x036f, 0},   {0x200b, 0x200d, 0}, {0xfe00, 0xfe0f, 0},   {0x1100, 0x115f, 2},
        {0x2e80, 0xa4cf, 2},   {0xac00, 0xd7a3, 2}, {0xf900, 0xfaff, 2},   {0xfe30, 0xfe6f, 2},
        {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2}, {0x1f300, 0x1f64f, 2}, {0x1f900, 0x1f9ff, 2},
        {0x20000, 0x3fffd, 2},
    };

    for (size_t i = 0; i < COUNT_OF(ranges); i++) {
        if (c >= ranges[i].first && c <= ranges[i].last) {
            return ranges[i].width;
        }
    }
    return 1;
}

/* Whether a terminal shows it as one visible thing, and does not act on it or turn the line round.
 */
static bool is_showable(uint32_t c)
{
    return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && !(c >= 0x200e && c <= 0x200f) &&
           !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069) && c != 0xfeff;
}

static struct span source_line(struct span text, uint32_t number)
{
    struct span line = {text.data, 0};

    for (uint32_t at = 0; at < number && text.len;) {
        size_t len = config_line_break(text);
        at += len != 0;
        text = span_skip(text, len ? len : 1);
    }
    line.data = text.data;
    while (line.len < text.len && !config_line_break(span_skip(text, line.len))) {
        line.len++;
    }
    return line;
}

/*
 * The line, as far as it fits on a screen, and a caret below the column. A tab stays a tab in both,
 * so that the caret stands right whatever the terminal makes of it.
 */
static void print_line(FILE *out, struct span line, uint32_t column)
{
    uint32_t first = column > LINE_BEFORE_CARET_MAX ? column - LINE_BEFORE_CARET_MAX / 2 : 0;
    uint32_t at = 0;
    char below[LINE_CHARACTERS_MAX * 2 + 8];
    struct text caret = text_make(below, sizeof(below));

    fputs("    ", out);
    if (first) {
        fputs("...", out);
        text_string(&caret, "   ");
    }
    for (; line.len && at < first + LINE_CHARACTERS_MAX; at++) {
        uint32_t c = 0;
        size_t len = config_utf8_next(line, &c);
        bool shown = len && (c == '\t' || is_showable(c));

        if (at >= first) {
            fwrite(shown ? (const char *)line.data : "?", 1, shown ? len : 1, out);
        }
        for (int i = shown ? character_width(c) : 1; at >= first && at < column && i > 0; i--) {
            text_char(&caret, c == '\t' ? '\t' : ' ');
        }
        line = span_skip(line, len ? len : 1);
    }
    fprintf(out, "%s\n    %.*s^\n", line.len ? "..." : "", (int)caret.len, below);
}

static void print_issue(const struct config_source *source, const struct config_issue *issue,
                        const char *name)
{
    FILE *out = source->report->out;
    const char *kind = issue->is_warning ? "warning" : "error";

    if (!issue->has_mark) {
        fprintf(out, "%s: %s: %s\n", name, kind, issue->message);
        return;
    }
    fprintf(out, "%s:%u:%u: %s: %s\n", name, issue->mark.line + 1, issue->mark.column + 1, kind,
            issue->message);
    print_line(out, source_line(source->text, issue->mark.line), issue->mark.column);
}

void config_source_fini(struct config_source *source)
{
    size_t found = (size_t)source->error_count + source->warning_count;
    char name[NAME_MAX_SHOWN];
    struct text t = text_make(name, sizeof(name) - 1);

    text_escaped(&t, span_from_string(source->name));
    name[t.len] = '\0';
    if (source->issue_count) {
        qsort(source->issues, source->issue_count, sizeof(*source->issues), compare_places);
    }
    for (size_t i = 0; i < source->issue_count; i++) {
        print_issue(source, &source->issues[i], name);
    }
    if (found > source->issue_count) {
        fprintf(source->report->out, "%s: %zu more not shown\n", name, found - source->issue_count);
    }
    source->report->error_count += source->error_count;
    source->report->warning_count += source->warning_count;
    free(source->issues);
    *source = (struct config_source){0};
}
