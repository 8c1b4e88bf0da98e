/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/reading.h"

#include "core/base/clock.h"
#include "core/session/access_log.h"
#include "core/session/detection.h"
#include "core/session/session_steps.h"
#include "http/edit.h"

enum {
    LEAVE_MS = 1000,     /* from when the client was told to leave until it is left: a round trip */
    STAGED_DIRECT = 4096 /* bytes from which on a copy costs more than a record of its own */
};

static void read_along(struct session *s, enum http_tap_side side, struct span bytes)
{
    struct http_exchange exchange;

    while (http_tap_feed(s->tap, side, session_now(s), &bytes, &exchange)) {
        access_log_request(s, &exchange);
    }
}

static struct session *session_of_up(struct pipe *up)
{
    return CONTAINER_OF(up, struct session, up);
}

static struct session *session_of_down(struct pipe *down)
{
    return CONTAINER_OF(down, struct session, down);
}

static bool look_up(struct pipe *up, struct span bytes)
{
    struct session *s = session_of_up(up);

    read_along(s, HTTP_TAP_CLIENT, bytes);
    return session_judge_request(s);
}

static bool look_down(struct pipe *down, struct span bytes)
{
    read_along(session_of_down(down), HTTP_TAP_SERVER, bytes);
    return true;
}

/* ---- the field ---- */

/* RFC 8941 3.3.3: printable ASCII in quotes. */
static void put_string(struct text *t, struct span value)
{
    text_char(t, '"');
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (c == '"' || c == '\\') {
            text_char(t, '\\');
        }
        text_char(t, c >= ' ' && c < 0x7f ? (char)c : '?');
    }
    text_char(t, '"');
}

static void put_token(struct text *t, const char *key, const char *value)
{
    if (value && value[0]) {
        text_printf(t, "; %s=%s", key, value);
    }
}

static void put_verdict(struct text *t, const struct detection *detection)
{
    const struct verdict_report *report = &detection->report;

    text_string(t, detect_verdict_name(report->verdict));
    put_token(t, "basis", detection_basis_name(detection->basis));
    put_token(t, "unknown", detect_unknown_name(report->unknown));
    if (report->reason != REQUEST_FIELD_NONE) {
        text_string(t, "; reason=");
        detect_print_reason(t, report->level, report->reason);
    }
    if (report->has_product) {
        text_string(t, "; product=");
        put_string(t, span_make(report->product, report->product_len));
    }
    if (report->actual_grade != GRADE_EMPTY) {
        put_token(t, "grade", grade_name(report->actual_grade));
    }
}

static bool response_value(void *context, struct span *value)
{
    static __thread char memory[HTTP_EDIT_VALUE_MAX]; /* until the head has gone on */
    const struct session *s = context;
    struct text t = text_make(memory, sizeof(memory));

    if (s->detection) {
        put_verdict(&t, s->detection);
        ASSERT(!t.overflow); /* 96 bytes of product, escaped, and words of ours */
        *value = text_view(&t);
    }
    return true;
}

static bool request_value(void *context, struct span *value)
{
    return session_judge_request(context) && response_value(context, value);
}

/* ---- editing ---- */

/* What goes on of one run, so that what is inserted needs no TLS record of its own. */
static __thread size_t staged_len; /* bytes at staged(); 0 between runs */

static uint8_t *staged(const struct pipe *p)
{
    return p->to->worker->scratch + TLS_RECORD_PLAINTEXT_MAX; /* behind the run itself */
}

static bool send_staged(struct pipe *p)
{
    size_t len = staged_len;

    staged_len = 0;
    return len == 0 || pipe_write(p, span_make(staged(p), len));
}

static bool stage(struct pipe *p, struct span bytes)
{
    if (bytes.len > TLS_RECORD_PLAINTEXT_MAX - staged_len && !send_staged(p)) {
        return false;
    }
    if (bytes.len > TLS_RECORD_PLAINTEXT_MAX || (!staged_len && bytes.len >= STAGED_DIRECT)) {
        return pipe_write(p, bytes);
    }
    memcpy(staged(p) + staged_len, bytes.data, bytes.len);
    staged_len += bytes.len;
    return true;
}

static bool emit_up(void *context, struct span bytes)
{
    return stage(&((struct session *)context)->up, bytes);
}

static bool emit_down(void *context, struct span bytes)
{
    return stage(&((struct session *)context)->down, bytes);
}

static void explain_stop(struct session *s, enum http_tap_side side)
{
    struct http_tap_stats stats;

    http_tap_read_stats(s->tap, &stats);
    session_fault(s, side == HTTP_TAP_CLIENT ? "http_request_error" : "http_protocol_error",
                  "nobody could vouch for the field %s (detect.header): %s",
                  session_config(s)->detect.header, stats.blind ? stats.blind : "");
}

static bool edit(struct session *s, enum http_tap_side side, struct span bytes)
{
    struct pipe *p = side == HTTP_TAP_CLIENT ? &s->up : &s->down;

    ASSERT(staged_len == 0);
    if (bytes.len) {
        read_along(s, side, bytes);
    } else {
        http_tap_edit_end(s->tap, side);
    }
    if (!http_tap_edit_stopped(s->tap, side)) {
        return send_staged(p);
    }
    staged_len = 0;
    if (p->end == PIPE_FLOWS) {
        explain_stop(s, side);
    }
    return false;
}

static bool edit_up(struct pipe *up, struct span bytes)
{
    return edit(session_of_up(up), HTTP_TAP_CLIENT, bytes);
}

static bool edit_down(struct pipe *down, struct span bytes)
{
    return edit(session_of_down(down), HTTP_TAP_SERVER, bytes);
}

/* ---- the life of it ---- */

static bool is_http(const struct session *s)
{
    const char *alpn = session_alpn(s);

    if (s->client->tls) {
        return alpn[0] == '\0' || strcmp(alpn, "h2") == 0 || strcmp(alpn, "http/1.1") == 0 ||
               strcmp(alpn, "http/1.0") == 0;
    }
    return s->decision == DECISION_INTERCEPT && s->protocol == PROTOCOL_HTTP1;
}

static bool edit_requests(struct session *s, struct span name)
{
    const struct http_editor editor = {name, request_value, emit_up, s};

    s->up.edit = edit_up;
    return http_tap_edit(s->tap, HTTP_TAP_CLIENT, &editor);
}

static bool edit_responses(struct session *s, struct span name)
{
    const struct http_editor editor = {name, response_value, emit_down, s};

    if (!http_tap_edit(s->tap, HTTP_TAP_SERVER, &editor)) {
        return false;
    }
    s->down.edit = edit_down;
    return true;
}

bool reading_begin(struct session *s)
{
    const struct config *config = session_config(s);
    struct span name = span_from_string(config->detect.header);

    if (!is_http(s) || !s->is_connect) {
        return true;
    }
    s->tap = http_tap_new(span_from_string(session_alpn(s)));
    if (!s->tap) {
        return name.len == 0; /* unread, without a line for each request */
    }
    if (!s->detection) {
        http_tap_drop_first(s->tap); /* nobody will ask */
    }
    s->up.look = look_up;
    s->down.look = look_down;
    return name.len == 0 ||
           ((!(config->detect.header_to & HEADER_TO_SERVER) || edit_requests(s, name)) &&
            (!(config->detect.header_to & HEADER_TO_CLIENT) || edit_responses(s, name)));
}

/* What was held for nothing goes on. */
static void let_go(struct session *s, enum http_tap_side side, struct pipe *p)
{
    if (p->edit && p->end == PIPE_FLOWS) {
        http_tap_edit_end(s->tap, side);
        if (send_staged(p)) {
            conn_flush(p->to);
        }
    }
    p->edit = NULL;
    p->look = NULL;
}

static void log_unfinished(struct session *s)
{
    struct http_exchange exchange;

    while (http_tap_finish(s->tap, session_now(s), &exchange)) {
        access_log_request(s, &exchange);
    }
}

void reading_look(struct session *s)
{
    if (!s->tap || !http_tap_is_blind(s->tap)) {
        return;
    }
    log_unfinished(s);
    if (session_config(s)->detect.header[0] && http_tap_blindness(s->tap) == HTTP_TAP_LOST) {
        return; /* it stays, to stop what nobody can vouch for */
    }
    let_go(s, HTTP_TAP_CLIENT, &s->up);
    let_go(s, HTTP_TAP_SERVER, &s->down);
    reading_forget(s);
}

/* True: the client could be told, or there is no way to tell it. */
static bool tell_to_leave(struct session *s)
{
    if (s->down.end != PIPE_FLOWS) {
        return true;
    }
    if (!s->down.edit && !edit_responses(s, span_make(NULL, 0))) {
        return false;
    }
    http_tap_leave(s->tap);
    if (send_staged(&s->down)) {
        conn_flush(s->client);
    }
    return true;
}

void reading_ask_to_leave(struct session *s)
{
    if (s->tap && !http_tap_is_blind(s->tap) && !s->leave_ns && tell_to_leave(s)) {
        s->leave_ns = session_now(s);
    }
}

bool reading_may_leave(struct session *s)
{
    if (!s->tap || http_tap_is_blind(s->tap)) {
        return false;
    }
    reading_ask_to_leave(s);
    if (!s->leave_ns || session_now(s) - s->leave_ns < LEAVE_MS * NS_PER_MS ||
        !http_tap_is_idle(s->tap) || s->client->rx.len || s->server->rx.len) {
        return false;
    }
    tell_to_leave(s);
    return true;
}

void reading_forget(struct session *s)
{
    http_tap_free(s->tap);
    s->tap = NULL;
}

void reading_end(struct session *s)
{
    if (s->tap) {
        log_unfinished(s);
        reading_forget(s);
    }
}
