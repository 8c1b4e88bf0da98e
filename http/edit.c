/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was fed and has not gone on is `held`, from earlier runs, and `run`, in this order. `mark`
 * is where in the run the head or frame begins that is not decided on yet; if something is held, it
 * began there. The readers of both protocols say where heads and frames begin and end.
 */
#include "http/edit.h"

#include "core/base/text.h"
#include "http/field.h"
#include "http/tap_private.h"

#include <stdlib.h>

enum {
    FRAME_HEADER_LEN = 9,
    FRAME_MAX = 16 * 1024, /* every peer takes that much (RFC 9113 4.2) */
    FRAME_FLAGS = 4,       /* where they stand in a frame's header */
    FRAME_STREAM = 5,
    GOAWAY_LEN = 8,
    BLANK_LINE = 2, /* its length */
};

static const char not_allowed[] = "the first request may not go on";

bool http_tap_edit(struct http_tap *tap, enum http_tap_side side, const struct http_editor *editor)
{
    struct tap_edit *edit = calloc(1, sizeof(*edit));

    ASSERT(!tap->edits[side] && editor->name.len <= HTTP_EDIT_NAME_MAX);
    if (!edit) {
        return false;
    }
    edit->owner = *editor;
    edit->side = side;
    tap->edits[side] = edit;
    return true;
}

bool http_tap_edit_stopped(const struct http_tap *tap, enum http_tap_side side)
{
    return tap->edits[side]->stopped;
}

void edit_free(struct tap_edit *edit)
{
    if (edit) {
        tap_gather_clear(&edit->held);
        free(edit);
    }
}

static void emit(struct tap_edit *edit, struct span bytes)
{
    if (bytes.len && !edit->stopped && !edit->owner.emit(edit->owner.context, bytes)) {
        edit->stopped = true;
    }
}

/* Everything before `at`, which is in the run, goes on. */
static void pass_to(struct tap_edit *edit, const uint8_t *at)
{
    size_t len = (size_t)(at - edit->run.data);

    emit(edit, span_make(edit->held.data, edit->held.len));
    tap_gather_clear(&edit->held);
    emit(edit, span_sub(edit->run, 0, len));
    edit->run = span_skip(edit->run, len);
}

static void pass_to_mark(struct tap_edit *edit)
{
    if (edit->mark > edit->run.data) {
        pass_to(edit, edit->mark);
    }
}

void edit_stop(struct tap_edit *edit)
{
    pass_to_mark(edit);
    edit->stopped = true;
}

void edit_begin(struct tap_edit *edit, struct span run)
{
    edit->run = run;
    edit->mark = run.data;
}

void edit_mark(struct tap_edit *edit, const uint8_t *at)
{
    if (edit->held.len) {
        pass_to(edit, at);
    }
    edit->mark = at;
}

const char *edit_settle(struct tap_edit *edit, const uint8_t *at, bool holds)
{
    struct span rest;

    if (!holds) {
        pass_to(edit, at);
        return NULL;
    }
    pass_to_mark(edit);
    rest = span_sub(edit->run, 0, (size_t)(at - edit->run.data));
    if (rest.len > TAP_GATHER_MAX - edit->held.len ||
        !tap_gather_add(&edit->held, &rest, rest.len)) {
        edit->stopped = true;
        return "no room for a head that comes in pieces";
    }
    return NULL;
}

void http_tap_edit_end(struct http_tap *tap, enum http_tap_side side)
{
    struct tap_edit *edit = tap->edits[side];

    if (!edit->owner.name.len || (tap->stats.blind && tap->blindness != HTTP_TAP_LOST)) {
        emit(edit, span_make(edit->held.data, edit->held.len));
    }
    tap_gather_clear(&edit->held);
}

bool edit_forbids(const struct tap_edit *edit, struct span name)
{
    return edit && edit->owner.name.len && field_is_like(name, edit->owner.name);
}

const char *edit_forged(const struct tap_edit *edit)
{
    return edit->side == HTTP_TAP_CLIENT ? "the client sent one itself"
                                         : "the server sent one itself";
}

/* ---- HTTP/1 ---- */

const char *edit_h1_check(const struct tap_edit *edit, const struct http_head *head)
{
    struct span name = edit->owner.name;

    for (size_t i = 0; i < head->field_count; i++) {
        if (edit_forbids(edit, head->fields[i].name)) {
            return edit_forged(edit);
        }
    }
    return name.len && http_has_token(head, SPAN_LITERAL("connection"), name)
               ? "Connection names it, for the next hop to drop"
               : NULL;
}

static void put_line(struct text *out, struct span name, struct span value)
{
    text_bytes(out, name);
    text_string(out, ": ");
    text_bytes(out, value);
    text_string(out, "\r\n");
}

/* The blank line of a head that ends at `end` is all that is left of it. False: a part of the blank
 * line has gone on before there was an editor. */
static bool pass_to_blank_line(struct tap_edit *edit, const uint8_t *end)
{
    size_t in_run = (size_t)(end - edit->run.data);
    size_t kept = in_run < BLANK_LINE ? BLANK_LINE - in_run : 0;

    if (edit->held.len < kept) {
        return false;
    }
    if (kept) {
        edit->held.len -= (uint32_t)kept;
        emit(edit, span_make(edit->held.data, edit->held.len));
        memmove(edit->held.data, edit->held.data + edit->held.len, kept);
        edit->held.len = (uint32_t)kept;
    } else {
        pass_to(edit, end - BLANK_LINE);
    }
    return true;
}

const char *edit_h1_head(struct tap_edit *edit, const uint8_t *end)
{
    char lines[HTTP_EDIT_NAME_MAX + HTTP_EDIT_VALUE_MAX + 32];
    struct text t = text_make(lines, sizeof(lines));
    struct span value = {NULL, 0};

    if (edit->owner.name.len && !edit->owner.value(edit->owner.context, &value)) {
        return not_allowed;
    }
    if (value.len) {
        put_line(&t, edit->owner.name, value);
    }
    if (edit->leaving) {
        put_line(&t, SPAN_LITERAL("Connection"), SPAN_LITERAL("close"));
    }
    ASSERT(!t.overflow);
    if (t.len && pass_to_blank_line(edit, end)) {
        emit(edit, text_view(&t));
    }
    return NULL;
}

/* ---- HTTP/2 ---- */

/* RFC 7541 5.1 and 5.2: a string that is not Huffman-coded. */
static void put_string(struct text *out, struct span string, bool is_name)
{
    size_t left = string.len;

    if (left < 0x7f) {
        text_char(out, (char)left);
    } else {
        text_char(out, 0x7f);
        for (left -= 0x7f; left >= 0x80; left >>= 7) {
            text_char(out, (char)(0x80 | (left & 0x7f)));
        }
        text_char(out, (char)left);
    }
    for (size_t i = 0; i < string.len; i++) {
        text_char(out, (char)(is_name ? span_fold(string.data[i]) : string.data[i]));
    }
}

static void write_u24(uint8_t *to, size_t value)
{
    to[0] = (uint8_t)(value >> 16);
    to[1] = (uint8_t)(value >> 8);
    to[2] = (uint8_t)value;
}

/* Takes the header of the frame that begins at the mark out of what has not gone on. */
static void take_frame_header(struct tap_edit *edit, uint8_t header[FRAME_HEADER_LEN])
{
    size_t held = edit->held.len < FRAME_HEADER_LEN ? edit->held.len : FRAME_HEADER_LEN;

    if (held) {
        memcpy(header, edit->held.data, held);
        edit->held.len -= (uint32_t)held;
        memmove(edit->held.data, edit->held.data + held, edit->held.len);
    }
    memcpy(header + held, edit->run.data, FRAME_HEADER_LEN - held);
    edit->run = span_skip(edit->run, FRAME_HEADER_LEN - held);
}

const char *edit_h2_block(struct tap_edit *edit, const uint8_t *end)
{
    struct text t = text_make(edit->literal, sizeof(edit->literal));
    uint8_t *header = edit->frame_header;
    struct span value = {NULL, 0};
    size_t len;

    if (!edit->owner.value(edit->owner.context, &value)) {
        return not_allowed;
    }
    if (value.len == 0) {
        return NULL;
    }
    text_char(&t, 0); /* without indexing, a new name */
    put_string(&t, edit->owner.name, true);
    put_string(&t, value, false);
    ASSERT(!t.overflow);
    pass_to_mark(edit);
    take_frame_header(edit, header);
    len = (size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2];
    if (len + t.len > FRAME_MAX) {
        header[FRAME_FLAGS] &= (uint8_t)~NGHTTP2_FLAG_END_HEADERS;
        emit(edit, span_make(header, FRAME_HEADER_LEN));
        edit->owed_len = (uint16_t)t.len; /* behind the padding */
        return NULL;
    }
    write_u24(header, len + t.len);
    emit(edit, span_make(header, FRAME_HEADER_LEN));
    pass_to(edit, end);
    emit(edit, text_view(&t));
    return NULL;
}

static void emit_goaway(struct tap_edit *edit, uint32_t last_id)
{
    const uint8_t frame[FRAME_HEADER_LEN + GOAWAY_LEN] = {
        [2] = GOAWAY_LEN,
        [3] = NGHTTP2_GOAWAY,
        [9] = (uint8_t)(last_id >> 24),
        [10] = (uint8_t)(last_id >> 16),
        [11] = (uint8_t)(last_id >> 8),
        [12] = (uint8_t)last_id,
    };

    emit(edit, span_make(frame, sizeof(frame)));
    edit->told_to_leave = true;
}

void edit_h2_frame_over(struct tap_edit *edit, const uint8_t *end, bool may_say_goaway)
{
    uint8_t *header = edit->frame_header;

    if (edit->owed_len) {
        pass_to(edit, end);
        write_u24(header, edit->owed_len);
        header[3] = NGHTTP2_CONTINUATION;
        header[FRAME_FLAGS] = NGHTTP2_FLAG_END_HEADERS;
        emit(edit, span_make(header, FRAME_HEADER_LEN)); /* of the same stream */
        emit(edit, span_make(edit->literal, edit->owed_len));
        edit->owed_len = 0;
    }
    if (edit->leaving && !edit->told_to_leave && may_say_goaway) {
        pass_to(edit, end);
        emit_goaway(edit, INT32_MAX);
    }
}

void http_tap_leave(struct http_tap *tap)
{
    struct tap_edit *edit = tap->edits[HTTP_TAP_SERVER];

    edit->leaving = true;
    if (tap->kind != TAP_H2 || tap->stats.blind || !tap_h2_is_between_frames(&tap->h2)) {
        return;
    }
    if (!edit->told_to_leave) {
        emit_goaway(edit, INT32_MAX);
    } else if (tap_h2_is_idle(&tap->h2)) {
        emit_goaway(edit, tap->h2.newest_id);
    }
}
