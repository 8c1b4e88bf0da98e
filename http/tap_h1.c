/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1: two readers, one a side, and the queue of exchanges between them. The client's reader
 * appends an exchange with each request head; the server's answers the first that has no response.
 * An exchange is over when both of its messages are, which for an early answer is the request's
 * end. Only the last exchange can have an unfinished request, so they end in order.
 *
 * A head that lies whole in the bytes fed is parsed where it lies; any other is gathered, and so
 * are trailers. What follows a 101, or a 2xx to CONNECT, is not HTTP: that exchange is reported at
 * once, without the bytes that come after it, and the tap is blind.
 */
#include "http/tap_private.h"

#include <stdlib.h>

enum { PHASE_HEAD, PHASE_BODY, PHASE_TRAILERS };

/* As much as the parser can: this is somebody else's conversation. */
static const struct h1_limits limits = {
    .head_bytes = HTTP_HEAD_BYTES_MAX,
    .line_bytes = HTTP_HEAD_BYTES_MAX - 4,
    .field_count = HTTP_FIELDS_MAX,
};

static const char no_memory[] = "no memory to read along";

/* The first exchange, if the server has not answered it. If it has, so are all others unasked. */
static struct tap_open *unanswered(const struct tap_h1 *h1)
{
    return h1->first && !h1->first->response_over ? h1->first : NULL;
}

/* "http://host:port/path?query" is judged by the parser; here it is only cut. */
static void cut_absolute_target(struct span *authority, struct span *path, struct span target)
{
    size_t slash = span_find(target, '/');
    size_t end = 0;

    *authority = span_skip(target, slash + 2);
    while (end < authority->len && authority->data[end] != '/' && authority->data[end] != '?') {
        end++;
    }
    *path = end < authority->len ? span_skip(*authority, end) : SPAN_LITERAL("/");
    *authority = span_sub(*authority, 0, end);
}

static struct tap_open *open_exchange(const struct http_head *head, int64_t now_ns)
{
    const struct http_field *user_agent = http_find_field(head, SPAN_LITERAL("user-agent"));
    struct tap_open *open;
    struct span text[TAP_TEXT_COUNT] = {
        [TAP_METHOD] = head->method,
        [TAP_AUTHORITY] = head->host,
        [TAP_PATH] = head->target,
        [TAP_USER_AGENT] = user_agent ? user_agent->value : span_make(NULL, 0),
    };

    if (span_equal(head->method, SPAN_LITERAL("CONNECT"))) {
        text[TAP_AUTHORITY] = head->target;
        text[TAP_PATH] = span_make(NULL, 0);
    } else if (head->target.data[0] != '/' && head->target.data[0] != '*') {
        cut_absolute_target(&text[TAP_AUTHORITY], &text[TAP_PATH], head->target);
    }
    open = tap_open_new(text, now_ns);
    if (open) {
        open->http_major = 1;
        open->http_minor = head->version == HTTP_VERSION_1_1;
    }
    return open;
}

static void message_over(struct tap_h1 *h1, enum http_tap_side side)
{
    h1->sides[side].phase = PHASE_HEAD;
    if (side == HTTP_TAP_CLIENT) {
        h1->last->request_over = true;
    } else {
        h1->first->response_over = true;
    }
}

static void begin_body(struct tap_h1 *h1, enum http_tap_side side, const struct http_head *head)
{
    struct h1_body *body = &h1->sides[side].body;
    struct http_fault fault;
    struct span payload;
    size_t consumed;

    h1_body_init(body, head->framing, head->content_length);
    h1->sides[side].phase = PHASE_BODY;
    if (h1_body_feed(body, span_make(NULL, 0), &consumed, &payload, &fault) == H1_BODY_DONE) {
        message_over(h1, side);
    }
}

static bool spends_connection(const struct http_head *head, struct span authentication)
{
    return !head->keep_alive || head->version != HTTP_VERSION_1_1 ||
           http_binds_connection(head, authentication);
}

/* Null, or why the tap cannot follow. */
static const char *take_request(struct http_tap *tap, const struct http_head *head, int64_t now_ns)
{
    struct tap_h1 *h1 = &tap->h1;
    struct tap_open *open = open_exchange(head, now_ns);
    struct http_first_request *first;

    if (!open) {
        return no_memory;
    }
    first = tap_first_begin(tap);
    for (size_t i = 0; first && i < head->field_count; i++) {
        tap_first_add(first, head->fields[i].name, head->fields[i].value);
    }
    if (h1->last) {
        h1->last->next = open;
    } else {
        h1->first = open;
    }
    h1->last = open;
    h1->count++;
    h1->is_spent |= head->framing != HTTP_NO_BODY ||
                    !span_equal(head->method, SPAN_LITERAL("GET")) ||
                    http_find_field(head, SPAN_LITERAL("Upgrade")) ||
                    spends_connection(head, SPAN_LITERAL("Authorization"));
    begin_body(h1, HTTP_TAP_CLIENT, head);
    return NULL;
}

static const char *take_response(struct http_tap *tap, const struct http_head *head, int64_t now_ns)
{
    struct tap_h1 *h1 = &tap->h1;
    struct tap_open *open = h1->first;
    bool to_connect = open->text_len[TAP_METHOD] == 7 && memcmp(open->text, "CONNECT", 7) == 0;

    if (head->status < 200 && head->status != 101) {
        return NULL;
    }
    open->status = head->status;
    open->first_byte_ns = now_ns;
    if (head->status == 101 || (to_connect && head->status < 300)) {
        open->upgraded = open->request_over = open->response_over = true;
        /* To HTTP/2, or to nobody knows what: that is HTTP still. */
        tap->blindness = head->status == 101 && !head->upgrade ? HTTP_TAP_LOST : HTTP_TAP_SWITCHED;
        return head->status == 101 ? "the connection switched protocols"
                                   : "the connection became a tunnel";
    }
    h1->is_spent |= spends_connection(head, SPAN_LITERAL("WWW-Authenticate"));
    begin_body(h1, HTTP_TAP_SERVER, head);
    return NULL;
}

/* Null, or why not. Other protocols are found out by their first bytes rather than by the length
 * of what never becomes a head. */
static const char *check_method(struct span bytes)
{
    size_t len = span_find(span_sub(bytes, 0, HTTP_METHOD_MAX + 1), ' ');

    for (size_t i = 0; i < len && i < bytes.len; i++) {
        if (bytes.data[i] <= ' ' || bytes.data[i] >= 0x7f) {
            return "what the client sends is not an HTTP request";
        }
    }
    return len > HTTP_METHOD_MAX ? "what the client sends is not an HTTP request" : NULL;
}

/* What is there of a head. */
static enum h1_result read_head(struct http_tap *tap, enum http_tap_side side, struct span bytes,
                                struct http_head *head, const char **why)
{
    struct tap_h1 *h1 = &tap->h1;
    bool is_request = side == HTTP_TAP_CLIENT;
    struct http_fault fault;
    struct h1_scan *scan = &h1->sides[side].scan;
    enum h1_result result;

    ASSERT(is_request || h1->first); /* else it was not its turn */
    result = is_request
                 ? h1_read_request(head, scan, bytes, &limits, &fault)
                 : h1_read_response(head, scan, bytes,
                                    span_make(h1->first->text, h1->first->text_len[TAP_METHOD]),
                                    &limits, &fault);
    if (result == H1_MORE && is_request && (*why = check_method(bytes))) {
        return H1_BAD;
    }
    if (result == H1_BAD) {
        *why = fault.what;
    }
    return result;
}

/* The trailer section, of which nothing is kept. */
static enum h1_result read_trailers(struct http_tap *tap, enum http_tap_side side,
                                    struct span bytes, struct http_head *head, const char **why)
{
    struct http_fault fault;
    enum h1_result result = h1_body_trailers(&tap->h1.sides[side].body, bytes, head, &fault);

    if (result == H1_BAD) {
        *why = fault.what;
    }
    return result;
}

/* `end`: where it ends in the bytes fed. */
static const char *take_section(struct http_tap *tap, enum http_tap_side side,
                                const struct http_head *head, const uint8_t *end, int64_t now_ns)
{
    struct tap_edit *edit = tap->edits[side];
    struct tap_h1 *h1 = &tap->h1;
    const char *why = edit ? edit_h1_check(edit, head) : NULL;

    if (why) {
        return why;
    }
    if (h1->sides[side].phase == PHASE_TRAILERS) {
        message_over(h1, side);
        return NULL;
    }
    why = side == HTTP_TAP_CLIENT ? take_request(tap, head, now_ns)
                                  : take_response(tap, head, now_ns);
    if (!why && edit && (side == HTTP_TAP_CLIENT || head->status >= 200)) {
        why = edit_h1_head(edit, end);
    }
    return why;
}

/* Reads a head or trailers at the front of *bytes, which moves on. Null, or why the tap cannot
 * follow. */
static const char *read_section(struct http_tap *tap, enum http_tap_side side, int64_t now_ns,
                                struct span *bytes)
{
    struct tap_h1_side *s = &tap->h1.sides[side];
    bool is_head = s->phase == PHASE_HEAD;
    size_t max = is_head ? HTTP_HEAD_BYTES_MAX : H1_TRAILER_BYTES_MAX;
    struct span view = *bytes; /* in place, as long as nothing is gathered */
    struct span rest = *bytes;
    struct http_head head;
    const char *why = NULL;
    enum h1_result result;

    do {
        size_t gathered = s->gather.len;
        size_t room = max - gathered < TAP_GATHER_STEP ? max - gathered : TAP_GATHER_STEP;

        if (gathered) {
            if (!tap_gather_add(&s->gather, &rest, room)) {
                return no_memory;
            }
            view = span_make(s->gather.data, s->gather.len);
        }
        result = is_head ? read_head(tap, side, view, &head, &why)
                         : read_trailers(tap, side, view, &head, &why);
        if (result == H1_DONE) {
            ASSERT(head.len > gathered);
            *bytes = span_skip(*bytes, head.len - gathered);
            why = take_section(tap, side, &head, bytes->data, now_ns);
            tap_gather_clear(&s->gather);
            s->scan = (struct h1_scan){0};
            return why;
        }
        if (result == H1_BAD) {
            return why;
        }
        if ((gathered ? s->gather.len : rest.len) >= max) {
            return "a head or trailer section is longer than what is followed";
        }
        if (gathered == 0 && !tap_gather_add(&s->gather, &rest, rest.len)) {
            return no_memory;
        }
        *bytes = rest;
    } while (rest.len);
    return NULL;
}

static const char *read_body(struct http_tap *tap, enum http_tap_side side, struct span *bytes)
{
    struct tap_h1 *h1 = &tap->h1;
    struct tap_h1_side *s = &h1->sides[side];
    struct http_fault fault;
    struct span payload;
    size_t consumed;

    for (;;) {
        enum h1_body_result result = h1_body_feed(&s->body, *bytes, &consumed, &payload, &fault);

        *bytes = span_skip(*bytes, consumed);
        switch (result) {
        case H1_BODY_PAYLOAD:
            if (side == HTTP_TAP_CLIENT) {
                h1->last->request_bytes += payload.len;
            } else {
                h1->first->response_bytes += payload.len;
            }
            break;
        case H1_BODY_MORE:
            return NULL;
        case H1_BODY_TRAILERS:
            s->phase = PHASE_TRAILERS;
            return NULL;
        case H1_BODY_DONE:
            message_over(h1, side);
            return NULL;
        default:
            return fault.what;
        }
    }
}

/* Line ends that some clients send between requests belong to none (RFC 9112 2.2). */
static void skip_line_ends(struct tap_h1 *h1, struct span *bytes)
{
    while (bytes->len && (bytes->data[0] == '\r' || bytes->data[0] == '\n')) {
        h1->is_spent = true;
        *bytes = span_skip(*bytes, 1);
    }
}

/* Before a head: may one come? Null, or why not. */
static const char *check_turn(struct http_tap *tap, enum http_tap_side side)
{
    if (side == HTTP_TAP_SERVER && !unanswered(&tap->h1)) {
        return "the server sent bytes that no request asked for";
    }
    if (side == HTTP_TAP_CLIENT && tap->h1.count == TAP_PIPELINE_MAX) {
        tap->stats.lost++;
        return "more requests are pipelined than are followed";
    }
    return NULL;
}

/* One message, or as much as is there of its next part. */
static const char *read_part(struct http_tap *tap, enum http_tap_side side, int64_t now_ns,
                             struct span *bytes)
{
    struct tap_h1_side *s = &tap->h1.sides[side];
    const char *why;

    if (s->phase == PHASE_BODY) {
        return read_body(tap, side, bytes);
    }
    if (s->phase == PHASE_HEAD && s->gather.len == 0) {
        if (side == HTTP_TAP_CLIENT) {
            skip_line_ends(&tap->h1, bytes);
        }
        why = bytes->len ? check_turn(tap, side) : NULL;
        if (why || bytes->len == 0) {
            return why;
        }
        if (tap->edits[side]) {
            edit_mark(tap->edits[side], bytes->data);
        }
    }
    return read_section(tap, side, now_ns, bytes);
}

bool tap_h1_feed(struct http_tap *tap, enum http_tap_side side, int64_t now_ns, struct span *bytes,
                 struct http_exchange *done)
{
    struct tap_h1 *h1 = &tap->h1;

    while (bytes->len && !tap->stats.blind) {
        const char *why = read_part(tap, side, now_ns, bytes);

        if (why) {
            tap_go_blind(tap, why);
        }
        if (h1->first && h1->first->request_over && h1->first->response_over) {
            tap_open_report(tap, tap_h1_pop(h1), now_ns, done);
            return true;
        }
    }
    return false;
}

struct tap_open *tap_h1_pop(struct tap_h1 *h1)
{
    struct tap_open *open = h1->first;

    if (open) {
        h1->first = open->next;
        h1->count--;
        if (!h1->first) {
            h1->last = NULL;
        }
    }
    return open;
}

void tap_h1_stop(struct tap_h1 *h1)
{
    tap_gather_clear(&h1->sides[HTTP_TAP_CLIENT].gather);
    tap_gather_clear(&h1->sides[HTTP_TAP_SERVER].gather);
}

bool tap_h1_holds(const struct tap_h1 *h1, enum http_tap_side side)
{
    return h1->sides[side].phase == PHASE_HEAD && h1->sides[side].gather.len;
}

bool tap_h1_is_idle(const struct tap_h1 *h1)
{
    return h1->count == 0 && h1->sides[HTTP_TAP_CLIENT].gather.len == 0;
}
