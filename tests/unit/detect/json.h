/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: reads one line of JSON into a tree, for tests that compare with reference results. Strings
 * are decoded in place. Anything that is not JSON fails the test.
 */
#ifndef WEIR_TESTS_JSON_H
#define WEIR_TESTS_JSON_H

#include "core/base/span.h"
#include "tests/unit/detect/golden.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_LIST, JSON_OBJECT };

struct json {
    enum json_type type;
    struct span key;    /* in an object */
    struct span string; /* without its quotes */
    long number;        /* whole numbers only; of a bool 0 or 1 */
    struct json *first; /* of a list or an object */
    struct json *next;
};

enum { JSON_NODES_MAX = 1 << 16, JSON_LINE_MAX = 1 << 20 };

struct json_reader {
    char *at;
    size_t count;
    struct json nodes[JSON_NODES_MAX];
};

static inline struct json *json_value(struct json_reader *r);

static inline void json_expect(struct json_reader *r, const char *literal)
{
    size_t len = strlen(literal);
    if (strncmp(r->at, literal, len) != 0) {
        fail_msg("%s expected at %.80s", literal, r->at);
    }
    r->at += len;
}

static inline void json_blank(struct json_reader *r)
{
    while (*r->at == ' ' || *r->at == '\n') {
        r->at++;
    }
}

static inline char *json_put_utf8(char *to, unsigned code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 63));
    } else {
        assert_false(code >= 0xd800 && code < 0xe000); /* no pairs in these files */
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 63));
        *to++ = (char)(0x80 | (code & 63));
    }
    return to;
}

static inline char *json_escape(struct json_reader *r, char *to)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    const char *found;
    unsigned code = 0;

    if (*r->at == 'u') {
        assert_int_equal(sscanf(r->at + 1, "%4x", &code), 1);
        r->at += 5;
        return json_put_utf8(to, code);
    }
    found = strchr(letters, *r->at++);
    assert_non_null(found);
    *to++ = meanings[found - letters];
    return to;
}

static inline struct span json_string(struct json_reader *r)
{
    char *start = ++r->at;
    char *to = start;

    while (*r->at != '"') {
        assert_int_not_equal(*r->at, '\0');
        if (*r->at == '\\') {
            r->at++;
            to = json_escape(r, to);
        } else {
            *to++ = *r->at++;
        }
    }
    r->at++;
    return span_make(start, (size_t)(to - start));
}

static inline void json_children(struct json_reader *r, struct json *parent, char end)
{
    struct json **link = &parent->first;

    r->at++;
    json_blank(r);
    while (*r->at != end) {
        struct span key = {NULL, 0};
        if (parent->type == JSON_OBJECT) {
            assert_int_equal(*r->at, '"');
            key = json_string(r);
            json_blank(r);
            json_expect(r, ":");
        }
        *link = json_value(r);
        (*link)->key = key;
        link = &(*link)->next;
        json_blank(r);
        if (*r->at != end) {
            json_expect(r, ",");
            json_blank(r);
        }
    }
    r->at++;
}

static inline struct json *json_value(struct json_reader *r)
{
    struct json *value = &r->nodes[r->count++];

    assert_true(r->count < JSON_NODES_MAX);
    memset(value, 0, sizeof(*value));
    json_blank(r);
    switch (*r->at) {
    case '{':
        value->type = JSON_OBJECT;
        json_children(r, value, '}');
        break;
    case '[':
        value->type = JSON_LIST;
        json_children(r, value, ']');
        break;
    case '"':
        value->type = JSON_STRING;
        value->string = json_string(r);
        break;
    case 't':
        value->type = JSON_BOOL;
        value->number = 1;
        json_expect(r, "true");
        break;
    case 'f':
        value->type = JSON_BOOL;
        json_expect(r, "false");
        break;
    case 'n':
        json_expect(r, "null");
        break;
    default:
        value->type = JSON_NUMBER;
        value->number = strtol(r->at, &r->at, 10);
    }
    return value;
}

/* The value of a key, or null. */
static inline const struct json *json_find(const struct json *object, const char *key)
{
    const struct json *value = object->first;

    assert_int_equal(object->type, JSON_OBJECT);
    while (value && !span_equal(value->key, span_from_string(key))) {
        value = value->next;
    }
    return value;
}

static inline const struct json *json_get(const struct json *object, const char *key)
{
    const struct json *value = json_find(object, key);
    if (!value) {
        fail_msg("no key %s", key);
    }
    return value;
}

static inline struct span json_text(const struct json *object, const char *key)
{
    const struct json *value = json_get(object, key);
    assert_int_equal(value->type, JSON_STRING);
    return value->string;
}

static inline long json_number(const struct json *object, const char *key)
{
    const struct json *value = json_get(object, key);
    assert_true(value->type == JSON_NUMBER || value->type == JSON_BOOL);
    return value->number;
}

static inline size_t json_count(const struct json *list)
{
    size_t count = 0;
    for (const struct json *item = list->first; item; item = item->next) {
        count++;
    }
    return count;
}

/* Calls `check` with every line of an open file; returns how many there were. */
static inline long json_each_line(FILE *file, void (*check)(const struct json *line, void *state),
                                  void *state)
{
    struct json_reader *reader = malloc(sizeof(*reader));
    char *line = malloc(JSON_LINE_MAX);
    long count = 0;

    assert_non_null(reader);
    assert_non_null(line);
    while (fgets(line, JSON_LINE_MAX, file)) {
        assert_non_null(strchr(line, '\n'));
        reader->at = line;
        reader->count = 0;
        check(json_value(reader), state);
        count++;
    }
    free(line);
    free(reader);
    return count;
}

/* The same with a reference file; -1 where it is absent. */
static inline long json_each(const char *name, void (*check)(const struct json *line, void *state),
                             void *state)
{
    FILE *file = golden_open(name);
    long count;

    if (!file) {
        return -1;
    }
    count = json_each_line(file, check, state);
    fclose(file);
    return count;
}

#define assert_span_equal(got, expected, about)                                                    \
    do {                                                                                           \
        struct span got_ = (got);                                                                  \
        struct span expected_ = (expected);                                                        \
        if (!span_equal(got_, expected_)) {                                                        \
            fail_msg("\"%.*s\" instead of \"%.*s\" for %.*s", SPAN_PRINTF(got_),                   \
                     SPAN_PRINTF(expected_), SPAN_PRINTF(about));                                  \
        }                                                                                          \
    } while (0)

#endif
