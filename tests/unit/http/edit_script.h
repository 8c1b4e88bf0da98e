/* SPDX-License-Identifier: Apache-2.0 */
/* edit_script: conversations of tap_script.h through a tap that edits: what goes on of each side.
 */
#ifndef WEIR_TEST_EDIT_SCRIPT_H
#define WEIR_TEST_EDIT_SCRIPT_H

#include "http/edit.h"
#include "tests/unit/http/tap_script.h"

enum { PASSED_CAP = 1 << 20 };

#define NAME "Weir-Verdict"

/* One side of it. */
struct passed {
    size_t len;
    uint32_t heads;     /* for which a value was asked */
    uint32_t refuses;   /* the head of that number; 0: none */
    uint32_t emits_max; /* then sending fails; 0: never */
    uint32_t emits;
    bool stopped;
    uint8_t bytes[PASSED_CAP];
};

struct edited {
    struct passed sides[2];
    bool is_named[2];    /* the side has an editor with NAME */
    bool is_plain[2];    /* the side has one without */
    size_t leaves_after; /* lines; 0: never */
    struct span value;   /* of the field */
    struct http_tap_stats stats;
    enum http_tap_blindness blindness;
    size_t exchanges;
};

static struct edited edited; /* one at a time */

static bool give_value(void *context, struct span *value)
{
    struct passed *passed = context;

    *value = edited.value;
    return ++passed->heads != passed->refuses;
}

static bool take_bytes(void *context, struct span bytes)
{
    struct passed *passed = context;

    assert_true(bytes.len && bytes.len <= PASSED_CAP - passed->len);
    if (passed->emits_max && passed->emits == passed->emits_max) {
        return false;
    }
    passed->emits++;
    memcpy(passed->bytes + passed->len, bytes.data, bytes.len);
    passed->len += bytes.len;
    return true;
}

static struct span passed_of(enum http_tap_side side)
{
    return span_make(edited.sides[side].bytes, edited.sides[side].len);
}

static void add_editor(struct http_tap *tap, enum http_tap_side side)
{
    const struct http_editor editor = {edited.is_named[side] ? SPAN_LITERAL(NAME)
                                                             : span_make(NULL, 0),
                                       give_value, take_bytes, &edited.sides[side]};

    assert_true(http_tap_edit(tap, side, &editor));
}

/* A side without an editor goes on by itself. */
static void feed_edited(struct http_tap *tap, enum http_tap_side side, struct span piece)
{
    bool has_editor = edited.is_named[side] || edited.is_plain[side];
    struct span rest = piece;
    struct http_exchange done;

    while (http_tap_feed(tap, side, 1, &rest, &done)) {
        edited.exchanges++;
    }
    if (!has_editor) {
        take_bytes(&edited.sides[side], piece);
    } else if (http_tap_edit_stopped(tap, side)) {
        edited.sides[side].stopped = true;
    }
}

static void edit_lines(const char *alpn, const struct line *lines, size_t count, size_t step)
{
    struct http_tap *tap = http_tap_new(span_from_string(alpn));
    struct http_exchange done;

    assert_non_null(tap);
    edited.exchanges = 0;
    for (size_t side = 0; side < 2; side++) {
        struct passed *passed = &edited.sides[side];
        passed->len = passed->heads = passed->emits = 0;
        passed->stopped = false;
        if (edited.is_named[side] || edited.is_plain[side]) {
            add_editor(tap, (enum http_tap_side)side);
        }
    }
    for (size_t i = 0; i < count; i++) {
        enum http_tap_side side = lines[i].side;
        if (edited.leaves_after && i == edited.leaves_after) {
            http_tap_leave(tap);
        }
        for (size_t at = 0; at < lines[i].bytes.len && !edited.sides[side].stopped; at += step) {
            feed_edited(tap, side, span_sub(lines[i].bytes, at, step));
        }
    }
    for (size_t side = 0; side < 2; side++) {
        if (edited.is_named[side] || edited.is_plain[side]) {
            http_tap_edit_end(tap, (enum http_tap_side)side);
        }
    }
    http_tap_read_stats(tap, &edited.stats);
    edited.blindness = http_tap_blindness(tap);
    while (http_tap_finish(tap, 1, &done)) {
    }
    http_tap_free(tap);
}

/* What a test leaves as it is: NAME to both sides, nothing else. */
static void edit_init(void)
{
    edited.is_named[C] = edited.is_named[S] = true;
    edited.is_plain[C] = edited.is_plain[S] = false;
    edited.leaves_after = 0;
    edited.value = SPAN_LITERAL("genuine");
    edited.sides[C].refuses = edited.sides[S].refuses = 0;
    edited.sides[C].emits_max = edited.sides[S].emits_max = 0;
}

#define FOR_EACH_EDIT(alpn, lines, count)                                                          \
    for (size_t cut_index = 0;                                                                     \
         cut_index < COUNT_OF(steps) && (edit_lines(alpn, lines, count, steps[cut_index]), true);  \
         cut_index++)

static inline void expect_passed(enum http_tap_side side, struct span expected)
{
    if (!span_equal(passed_of(side), expected)) {
        fail_msg("side %d: %zu bytes, expected %zu:\n%.*s", side, edited.sides[side].len,
                 expected.len, SPAN_PRINTF(passed_of(side)));
    }
}

#endif
