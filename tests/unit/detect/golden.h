/* SPDX-License-Identifier: Apache-2.0 */
/*
 * golden: reads the reference results, one JSON object a line, that lie outside the project.
 * Included by the tests that compare with them. It reads what those files hold: strings without
 * escapes other than \uXXXX and \/, null, and flat lists, and fails the test on anything else.
 */
#ifndef WEIR_TESTS_GOLDEN_H
#define WEIR_TESTS_GOLDEN_H

#include "tls/client_hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

enum { GOLDEN_LINE_MAX = 256 * 1024, GOLDEN_VALUE_MAX = 128 * 1024 };

/* Null, after saying so, where the data is not there. */
static inline FILE *golden_open(const char *name)
{
    static const char *const folders[] = {"../shared/data", "../../shared/data"};
    const char *given = getenv("WEIR_SHARED_DATA");
    /* This file is tests/unit/detect/golden.h below the source root. */
    const char *root_end = strstr(__FILE__, "tests/unit/");
    char path[4096];
    FILE *file = NULL;

    if (given) {
        snprintf(path, sizeof(path), "%s/%s", given, name);
        file = fopen(path, "r");
    }
    for (size_t i = 0; i < 2 && !given && !file; i++) {
        snprintf(path, sizeof(path), "%.*s%s/%s", root_end ? (int)(root_end - __FILE__) : 0,
                 __FILE__, folders[i], name);
        file = fopen(path, "r");
    }
    if (!file) {
        print_message("skipped: no %s (set WEIR_SHARED_DATA)\n", name);
    }
    return file;
}

static inline bool golden_next(FILE *file, char *line)
{
    if (!fgets(line, GOLDEN_LINE_MAX, file)) {
        return false;
    }
    assert_non_null(strchr(line, '\n')); /* whole lines only */
    return true;
}

/* Where the value of `"key": ` starts, or null. Keys are unique and no value holds `"key": `. */
static inline const char *golden_find(const char *line, const char *key)
{
    char quoted[64];
    const char *at;

    snprintf(quoted, sizeof(quoted), "\"%s\": ", key);
    at = strstr(line, quoted);
    return at ? at + strlen(quoted) : NULL;
}

/* The string of a key in `value`, which has GOLDEN_VALUE_MAX bytes. False: absent or null. */
static inline bool golden_string(const char *line, const char *key, char *value)
{
    const char *at = golden_find(line, key);
    size_t len;

    if (!at || *at != '"') {
        assert_true(!at || strncmp(at, "null", 4) == 0);
        return false;
    }
    len = strcspn(at + 1, "\"");
    assert_true(len < GOLDEN_VALUE_MAX);
    memcpy(value, at + 1, len);
    value[len] = '\0';
    assert_null(strchr(value, '\\'));
    return true;
}

static inline unsigned golden_nibble(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = strchr(digits, c);

    assert_true(c != '\0' && at != NULL);
    return (unsigned)(at - digits);
}

/* The bytes of a hex string of a key. The caller frees data. False: absent. */
static inline bool golden_bytes(const char *line, const char *key, uint8_t **data, size_t *len)
{
    char *hex = malloc(GOLDEN_VALUE_MAX);
    bool found;

    assert_non_null(hex);
    found = golden_string(line, key, hex);
    if (found) {
        *len = strlen(hex) / 2;
        *data = malloc(*len);
        assert_non_null(*data);
        for (size_t i = 0; i < *len; i++) {
            (*data)[i] = (uint8_t)(golden_nibble(hex[2 * i]) << 4 | golden_nibble(hex[2 * i + 1]));
        }
    }
    free(hex);
    return found;
}

/*
 * Calls `check` with every hello of a file and its line; returns how many there were, -1 if there
 * is no file. A hello must parse: all of these are real clients'.
 */
static inline long golden_each(const char *name, const char *hello_key,
                               void (*check)(const char *line, const struct client_hello *hello))
{
    FILE *file = golden_open(name);
    char *line;
    long count = 0;

    if (!file) {
        return -1;
    }
    line = malloc(GOLDEN_LINE_MAX);
    assert_non_null(line);
    while (golden_next(file, line)) {
        struct client_hello hello;
        struct client_hello_fault fault;
        uint8_t *data;
        size_t len;

        if (!golden_bytes(line, hello_key, &data, &len)) {
            continue;
        }
        if (!client_hello_parse(&hello, span_make(data, len), &fault)) {
            fail_msg("%s at %zu: %.200s", fault.field, fault.offset, line);
        }
        check(line, &hello);
        free(data);
        count++;
    }
    free(line);
    fclose(file);
    return count;
}

#endif
