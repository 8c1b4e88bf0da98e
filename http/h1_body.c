/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of chunks (RFC 9112 7.1) without its white space around ';' and '=', which senders
 * must not write and which parsers have been found to disagree on. One byte decides one step, so
 * any split of the input gives the same result; runs of payload are not looked at.
 */
#include "http/h1_body.h"

#include "http/field.h"

enum body_state {
    SIZE,           /* hexadecimal digits; size_digits were read */
    SIZE_LF,        /* after the CR that ends the line of a chunk's size */
    EXTENSION_NAME, /* after ';': at least one character must come */
    EXTENSION_NAME_REST,
    EXTENSION_VALUE, /* after '=' */
    EXTENSION_TOKEN,
    EXTENSION_QUOTED,
    EXTENSION_ESCAPED, /* after a backslash in quotes */
    EXTENSION_END,     /* after the closing quote */
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILERS,
    DONE,
    BAD,
};

enum { SIZE_DIGITS_MAX = 16 };

void h1_body_init(struct h1_body *body, enum http_framing framing, uint64_t content_length)
{
    *body = (struct h1_body){.framing = framing};
    body->left = framing == HTTP_LENGTH ? content_length : 0;
    body->state = framing == HTTP_CHUNKED ? SIZE : framing == HTTP_NO_BODY ? DONE : DATA;
}

/* Null and the next state, or what is wrong with a byte of the size. */
static const char *step_size(struct h1_body *body, uint8_t c)
{
    if (char_is(c, CHAR_HEX)) {
        unsigned digit = c <= '9' ? c - 0x30u : (c | 0x20u) - 0x61u + 10;

        if (++body->size_digits > SIZE_DIGITS_MAX) {
            return "a chunk size has more than 16 digits";
        }
        body->left = body->left << 4 | digit;
        return body->left > INT64_MAX ? "a chunk size is not below 2^63" : NULL;
    }
    if (body->size_digits == 0) {
        return c == '\r' ? "a chunk size is missing" : "a chunk size is no hexadecimal number";
    }
    if (c != ';' && c != '\r') {
        return c == '\n' ? "the line of a chunk size ends with LF alone"
                         : "a chunk size is followed by something else than ';' or CR LF";
    }
    body->state = c == ';' ? EXTENSION_NAME : SIZE_LF;
    return NULL;
}

/* What follows a complete name, value or quoted string. */
static bool step_extension_end(struct h1_body *body, uint8_t c)
{
    body->state = c == ';' ? EXTENSION_NAME : SIZE_LF;
    return c == ';' || c == '\r';
}

static bool step_extension_byte(struct h1_body *body, uint8_t c)
{
    switch (body->state) {
    case EXTENSION_NAME:
        body->state = EXTENSION_NAME_REST;
        return char_is(c, CHAR_TOKEN);
    case EXTENSION_NAME_REST:
        if (c == '=') {
            body->state = EXTENSION_VALUE;
            return true;
        }
        return char_is(c, CHAR_TOKEN) || step_extension_end(body, c);
    case EXTENSION_VALUE:
        body->state = c == '"' ? EXTENSION_QUOTED : EXTENSION_TOKEN;
        return c == '"' || char_is(c, CHAR_TOKEN);
    case EXTENSION_TOKEN:
        return char_is(c, CHAR_TOKEN) || step_extension_end(body, c);
    case EXTENSION_QUOTED:
        body->state = c == '"' ? EXTENSION_END : c == '\\' ? EXTENSION_ESCAPED : EXTENSION_QUOTED;
        return c == '"' || c == '\\' || char_is(c, CHAR_QUOTED);
    case EXTENSION_ESCAPED:
        body->state = EXTENSION_QUOTED;
        return c == '"' || c == '\\' || char_is(c, CHAR_QUOTED);
    default:
        return step_extension_end(body, c);
    }
}

static const char *step_extension(struct h1_body *body, uint8_t c)
{
    if (!step_extension_byte(body, c)) {
        return "a chunk extension is malformed";
    }
    /* The first ';' was not counted, the CR at the end is: together they are one byte too. */
    if (++body->extension_len > H1_CHUNK_EXTENSION_MAX) {
        return "a chunk extension is longer than 256 bytes";
    }
    if (++body->extensions_total > H1_CHUNK_EXTENSIONS_TOTAL_MAX) {
        return "the chunk extensions of this message are longer than 16 KiB together";
    }
    return NULL;
}

static const char *step_size_lf(struct h1_body *body, uint8_t c)
{
    body->state = body->left ? DATA : TRAILERS;
    return c == '\n' ? NULL : "the line of a chunk size has a CR without LF";
}

static const char *step_data_end(struct h1_body *body, uint8_t c)
{
    bool good = c == (body->state == DATA_CR ? '\r' : '\n');

    if (body->state == DATA_LF) {
        body->state = SIZE;
        body->size_digits = 0;
        body->extension_len = 0;
    } else {
        body->state = DATA_LF;
    }
    return good ? NULL : "the data of a chunk is not as long as its size says";
}

/* One byte of chunk framing. Null, or what is wrong with it. */
static const char *step_framing(struct h1_body *body, uint8_t c)
{
    switch (body->state) {
    case SIZE:
        return step_size(body, c);
    case SIZE_LF:
        return step_size_lf(body, c);
    case DATA_CR:
    case DATA_LF:
        return step_data_end(body, c);
    default:
        return step_extension(body, c);
    }
}

/* DATA: a run of payload, as much as is there. */
static enum h1_body_result take_payload(struct h1_body *body, struct span input, size_t *consumed,
                                        struct span *payload)
{
    struct span rest = span_skip(input, *consumed);

    if (body->framing != HTTP_UNTIL_CLOSE && rest.len > body->left) {
        rest.len = (size_t)body->left;
    }
    if (rest.len == 0) {
        return H1_BODY_MORE;
    }
    *payload = rest;
    *consumed += rest.len;
    if (body->framing != HTTP_UNTIL_CLOSE) {
        body->left -= rest.len;
    }
    if (body->framing == HTTP_CHUNKED && body->left == 0) {
        body->state = DATA_CR;
    }
    return H1_BODY_PAYLOAD;
}

static enum h1_body_result fail(struct h1_body *body, size_t offset, const char *what,
                                struct http_fault *fault)
{
    body->state = BAD;
    fault_set(fault, !body->is_response, 400, offset, what);
    return H1_BODY_BAD;
}

enum h1_body_result h1_body_feed(struct h1_body *body, struct span input, size_t *consumed,
                                 struct span *payload, struct http_fault *fault)
{
    *consumed = 0;
    *payload = span_make(NULL, 0);
    if (body->framing == HTTP_LENGTH && body->left == 0) {
        body->state = DONE;
    }
    for (;;) {
        const char *what;

        switch (body->state) {
        case DATA:
            return take_payload(body, input, consumed, payload);
        case TRAILERS:
            return H1_BODY_TRAILERS;
        case DONE:
            return H1_BODY_DONE;
        case BAD:
            return fail(body, 0, "this message was malformed before", fault);
        default:
            break;
        }
        if (*consumed == input.len) {
            return H1_BODY_MORE;
        }
        what = step_framing(body, input.data[*consumed]);
        if (what) {
            return fail(body, *consumed, what, fault);
        }
        (*consumed)++;
    }
}

/*
 * Fields that a trailer section must not have (RFC 9110 6.5.1): those of framing, routing,
 * authentication, content coding, and those that change how a request is handled. The ones that
 * field_identify() knows are all of these.
 */
static bool is_forbidden_trailer(const struct http_field *field)
{
    static const struct span names[] = {
        SPAN_LITERAL("authorization"),
        SPAN_LITERAL("cookie"),
        SPAN_LITERAL("set-cookie"),
        SPAN_LITERAL("www-authenticate"),
        SPAN_LITERAL("content-type"),
        SPAN_LITERAL("content-encoding"),
        SPAN_LITERAL("content-range"),
        SPAN_LITERAL("cache-control"),
        SPAN_LITERAL("pragma"),
        SPAN_LITERAL("range"),
        SPAN_LITERAL("location"),
        SPAN_LITERAL("if-match"),
        SPAN_LITERAL("if-none-match"),
        SPAN_LITERAL("if-modified-since"),
        SPAN_LITERAL("if-range"),
        SPAN_LITERAL("if-unmodified-since"),
        SPAN_LITERAL("x-forwarded-for"),
        SPAN_LITERAL("x-forwarded-host"),
        SPAN_LITERAL("x-forwarded-proto"),
        SPAN_LITERAL("forwarded"),
    };

    if (field->id != FIELD_OTHER) {
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (span_equal_nocase(field->name, names[i])) {
            return true;
        }
    }
    return false;
}

static bool read_trailers(struct http_head *trailers, bool is_request, struct span bytes,
                          struct http_fault *fault)
{
    struct field_section section = {.bytes = bytes,
                                    .line_bytes = H1_TRAILER_BYTES_MAX,
                                    .count_max = HTTP_FIELDS_MAX,
                                    .is_request = is_request};

    if (!field_section_read(trailers, &section, &trailers->len, fault)) {
        return false;
    }
    for (size_t i = 0; i < trailers->field_count; i++) {
        if (is_forbidden_trailer(&trailers->fields[i])) {
            return fault_set(fault, is_request, 400,
                             (size_t)(trailers->fields[i].name.data - bytes.data),
                             "a trailer field may not be one of framing, routing, authentication "
                             "or content coding");
        }
    }
    return field_section_confirm(trailers, span_sub(bytes, 0, trailers->len)) ||
           fault_set(fault, is_request, 400, 0,
                     "two parsers read these trailer fields differently");
}

/* A head with nothing in it but the fields of a trailer section. */
static void clear_head(struct http_head *trailers)
{
    trailers->method = trailers->target = trailers->reason = trailers->host = span_make(NULL, 0);
    trailers->status = 0;
    trailers->version = HTTP_VERSION_1_1;
    trailers->framing = HTTP_NO_BODY;
    trailers->content_length = 0;
    trailers->keep_alive = trailers->upgrade = trailers->expect_continue = false;
    trailers->field_count = 0;
    trailers->len = 0;
}

enum h1_result h1_body_trailers(struct h1_body *body, struct span bytes, struct http_head *trailers,
                                struct http_fault *fault)
{
    enum h1_result result;

    ASSERT(body->framing == HTTP_CHUNKED && (body->state == TRAILERS || body->state == BAD));
    clear_head(trailers);
    if (body->state == BAD) {
        fail(body, 0, "this message was malformed before", fault);
        return H1_BAD;
    }
    result = field_section_scan(&body->trailer_scan, bytes, H1_TRAILER_BYTES_MAX,
                                H1_TRAILER_BYTES_MAX, !body->is_response, fault);
    if (result == H1_DONE && !read_trailers(trailers, !body->is_response, bytes, fault)) {
        result = H1_BAD;
    }
    if (result != H1_MORE) {
        body->state = result == H1_DONE ? DONE : BAD;
    }
    /* RFC 9209 has another name for the same fault in trailers. */
    if (result == H1_BAD && strcmp(fault->error, "http_response_header_section_size") == 0) {
        fault->error = "http_response_trailer_section_size";
    }
    return result;
}

bool h1_body_may_end_here(const struct h1_body *body)
{
    return body->state == DONE || body->framing == HTTP_UNTIL_CLOSE ||
           (body->framing == HTTP_LENGTH && body->left == 0);
}
