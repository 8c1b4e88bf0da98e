/* SPDX-License-Identifier: Apache-2.0 */
#include "http/field.h"

#include <llhttp.h>

/* One row per 16 bytes, from 0x00; test_h1 builds the table again from the RFCs' alphabets. */
/* clang-format off */
const uint8_t field_char_classes[256] = {
     0,  0,  0,  0,  0,  0,  0,  0,  0, 32,  0,  0,  0,  0,  0,  0, /* 00 */
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0, /* 10 */
    32, 41,  0, 33, 41, 41, 41, 41, 40, 40, 41, 41, 40, 57, 41, 40, /* 20 */
    63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 40, 40, 32, 40, 32, 40, /* 30 */
    40, 61, 61, 61, 61, 61, 61, 57, 57, 57, 57, 57, 57, 57, 57, 57, /* 40 */
    57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 40,  8, 40, 41, 57, /* 50 */
    41, 61, 61, 61, 61, 61, 61, 57, 57, 57, 57, 57, 57, 57, 57, 57, /* 60 */
    57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 40, 41, 40, 41,  0, /* 70 */
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, /* 80 */
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, /* 90 */
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, /* a0 */
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, /* b0 */
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, /* c0 */
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, /* d0 */
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, /* e0 */
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, /* f0 */
};
/* clang-format on */

/* RFC 9209 2.3 */
static const char *response_error_type(uint16_t status)
{
    switch (status) {
    case 414:
    case 431:
        return "http_response_header_section_size";
    case 501:
        return "http_response_transfer_coding";
    default:
        return "http_protocol_error";
    }
}

bool fault_set(struct http_fault *fault, bool is_request, uint16_t status, size_t offset,
               const char *what)
{
    fault->status = is_request ? status : 502;
    fault->error = is_request ? "http_request_error" : response_error_type(status);
    fault->what = what;
    fault->offset = offset;
    return false;
}

bool span_is_all(struct span text, unsigned classes)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!char_is(text.data[i], classes)) {
            return false;
        }
    }
    return text.len != 0;
}

static uint64_t load(const void *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word;
}

/* Among tokens, setting bit 5 folds the letters and makes no other byte equal to a letter, a digit
 * or '-'; '_' it changes. Eight bytes at a time, the last eight again where they overlap. */
static bool is_name(struct span name, const char *lower)
{
    const uint64_t fold = UINT64_C(0x2020202020202020);
    size_t i = 0;

    for (; name.len - i >= 8; i += 8) {
        if ((load(name.data + i) | fold) != load(lower + i)) {
            return false;
        }
    }
    if (i && i < name.len) {
        return (load(name.data + name.len - 8) | fold) == load(lower + name.len - 8);
    }
    for (; i < name.len; i++) {
        if ((name.data[i] | 0x20) != (uint8_t)lower[i]) {
            return false;
        }
    }
    return true;
}

enum field_id field_identify(struct span name)
{
    switch (name.len) {
    case 2:
        return is_name(name, "te") ? FIELD_TE : FIELD_OTHER;
    case 3:
        return is_name(name, "via") ? FIELD_VIA : FIELD_OTHER;
    case 4:
        return is_name(name, "host") ? FIELD_HOST : FIELD_OTHER;
    case 6:
        return is_name(name, "expect") ? FIELD_EXPECT : FIELD_OTHER;
    case 7:
        return is_name(name, "upgrade")   ? FIELD_UPGRADE
               : is_name(name, "trailer") ? FIELD_TRAILER
                                          : FIELD_OTHER;
    case 10:
        return is_name(name, "connection")   ? FIELD_CONNECTION
               : is_name(name, "keep-alive") ? FIELD_KEEP_ALIVE
                                             : FIELD_OTHER;
    case 12:
        return is_name(name, "max-forwards") ? FIELD_MAX_FORWARDS : FIELD_OTHER;
    case 14:
        return is_name(name, "content-length")                           ? FIELD_CONTENT_LENGTH
               : is_name(name, "http2-settings")                         ? FIELD_HTTP2_SETTINGS
               : span_equal_nocase(name, SPAN_LITERAL("content_length")) ? FIELD_DISGUISED
                                                                         : FIELD_OTHER;
    case 16:
        return is_name(name, "proxy-connection") ? FIELD_PROXY_CONNECTION : FIELD_OTHER;
    case 17:
        return is_name(name, "transfer-encoding") ? FIELD_TRANSFER_ENCODING
               : span_equal_nocase(name, SPAN_LITERAL("transfer_encoding")) ? FIELD_DISGUISED
                                                                            : FIELD_OTHER;
    case 18:
        return is_name(name, "proxy-authenticate") ? FIELD_PROXY_AUTHENTICATE : FIELD_OTHER;
    case 19:
        return is_name(name, "proxy-authorization") ? FIELD_PROXY_AUTHORIZATION : FIELD_OTHER;
    case 25:
        return is_name(name, "proxy-authentication-info") ? FIELD_PROXY_AUTHENTICATION_INFO
                                                          : FIELD_OTHER;
    default:
        return FIELD_OTHER;
    }
}

static uint8_t fold_like_cgi(uint8_t c)
{
    return c == '_' ? '-' : span_fold(c);
}

bool field_is_like(struct span name, struct span other)
{
    bool is_like = name.len == other.len;

    for (size_t i = 0; is_like && i < name.len; i++) {
        is_like = fold_like_cgi(name.data[i]) == fold_like_cgi(other.data[i]);
    }
    return is_like;
}

bool list_next(struct span *rest, struct span *item)
{
    while (rest->len) {
        size_t comma = span_find(*rest, ',');

        *item = span_trim(span_sub(*rest, 0, comma));
        *rest = span_skip(*rest, comma + 1);
        if (item->len) {
            return true;
        }
    }
    return false;
}

bool upgrade_next(struct span *rest, struct span *protocol)
{
    while (list_next(rest, protocol)) {
        if (!span_equal_nocase(*protocol, SPAN_LITERAL("h2c"))) {
            return true;
        }
    }
    return false;
}

bool content_length_parse(uint64_t *length, struct span text)
{
    uint64_t value = 0;

    if (text.len > 19 || !span_is_all(text, CHAR_DIGIT) || (text.data[0] == '0' && text.len > 1)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        value = value * 10 + (uint64_t)(text.data[i] - '0'); /* 19 digits fit 64 bits */
    }
    *length = value;
    return value <= INT64_MAX;
}

enum h1_result field_section_scan(struct h1_scan *scan, struct span bytes, uint32_t line_bytes,
                                  uint32_t section_bytes, bool is_request, struct http_fault *fault)
{
    while (scan->offset < bytes.len) {
        struct span rest = span_skip(bytes, scan->offset);
        size_t at = span_find(rest, '\n');
        size_t line = scan->line_length + at; /* without the LF */
        size_t end = scan->offset + at;

        if (line > (size_t)line_bytes + 1) { /* the CR may stand */
            fault_set(fault, is_request, 431, end, "a field line is too long");
            return H1_BAD;
        }
        if (end >= section_bytes) {
            fault_set(fault, is_request, 431, end, "the fields are too long together");
            return H1_BAD;
        }
        if (at == rest.len) {
            scan->line_length = (uint32_t)line;
            scan->offset = bytes.len;
            return H1_MORE;
        }
        if (line == 0 || bytes.data[end - 1] != '\r') {
            fault_set(fault, is_request, 400, end,
                      "a line ends with LF alone; lines end with CR LF");
            return H1_BAD;
        }
        scan->offset = end + 1;
        scan->line_length = 0;
        if (line == 1) {
            return H1_DONE;
        }
    }
    return H1_MORE;
}

/*
 * The first byte at or after `at` that is a control character other than HTAB, eight at a time.
 * A byte below 0x20 or equal to 0x7f sets the top bit of its lane; a borrow can only reach lanes
 * above a lane that is a hit itself, and bytes of 0x80 and up are masked out.
 */
static const uint8_t *find_control(const uint8_t *at, const uint8_t *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);

    for (;;) {
        while (end - at >= 8) {
            uint64_t word;
            memcpy(&word, at, 8);
            uint64_t delete = word ^ (ones * 0x7f);
            uint64_t hit = ((word - ones * 0x20) | (delete - ones)) & ~word & (ones * 0x80);
            if (hit) {
                break;
            }
            at += 8;
        }
        for (int i = 0; i < 8 && at < end; i++, at++) {
            if ((*at < 0x20 && *at != '\t') || *at == 0x7f) {
                return at;
            }
        }
        if (at == end) {
            return end;
        }
    }
}

static const char *name_complaint(uint8_t c)
{
    if (c == ' ' || c == '\t') {
        return "there is white space in a field name, or between it and the colon";
    }
    if (c == '\r' || c == '\n') {
        return "a field line has no colon";
    }
    return c < 0x20 || c >= 0x7f ? "a field name holds a control character or a byte above 0x7e"
                                 : "a field name holds a character that no name may have";
}

static const char *line_start_complaint(uint8_t c)
{
    if (c == ' ' || c == '\t') {
        return "a field line starts with white space (folding, or a name out of place)";
    }
    if (c == '\r') {
        return "there is a CR where a field line should start";
    }
    return c == ':' ? "a field has no name" : name_complaint(c);
}

/* One line. *at moves behind its CR LF. Null, or what is wrong with *at on the byte. */
static const char *read_line(struct http_field *field, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *start = *at;
    const uint8_t *next = start;
    const uint8_t *name_end;

    while (next < end && char_is(*next, CHAR_TOKEN)) {
        next++;
    }
    *at = next;
    if (next == end) {
        return "the fields end without a blank line";
    }
    if (next == start) {
        return line_start_complaint(*next);
    }
    if (*next != ':') {
        return name_complaint(*next);
    }
    name_end = next;
    field->name = span_make(start, (size_t)(name_end - start));
    field->id = (uint8_t)field_identify(field->name);
    next++;
    while (next < end && (*next == ' ' || *next == '\t')) {
        next++;
    }
    start = next;
    next = find_control(next, end);
    *at = next;
    if (end - next < 2) {
        return "the fields end without a blank line";
    }
    if (next[0] == '\n') {
        return "a line ends with LF alone; lines end with CR LF";
    }
    if (next[0] != '\r') {
        return "a field value holds a control character";
    }
    if (next[1] != '\n') {
        return "there is a CR inside a field value";
    }
    *at = next + 2;
    while (next > start && (next[-1] == ' ' || next[-1] == '\t')) {
        next--;
    }
    field->value = span_make(start, (size_t)(next - start));
    field->is_plain = next + 2 == *at && start == name_end + 2 && start[-1] == ' ';
    return NULL;
}

/* llhttp's reading of a field section, compared with ours while it goes on. */
struct second_reading {
    const struct http_head *head;
    size_t names; /* seen so far */
    bool value_seen;
    bool differs;
    bool complete;
};

static bool value_is_settled(const struct second_reading *reading)
{
    return reading->names == 0 || reading->value_seen ||
           reading->head->fields[reading->names - 1].value.len == 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t len)
{
    struct second_reading *reading = parser->data;
    const struct http_field *field = &reading->head->fields[reading->names];

    if (!value_is_settled(reading) || reading->names == reading->head->field_count ||
        field->name.data != (const uint8_t *)at || field->name.len != len) {
        reading->differs = true;
        return HPE_USER;
    }
    reading->names++;
    reading->value_seen = false;
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    struct second_reading *reading = parser->data;
    struct span theirs = span_trim(span_make(at, len));
    struct span ours = {NULL, 0};

    if (reading->names) {
        ours = reading->head->fields[reading->names - 1].value;
    }
    if (reading->value_seen || reading->names == 0 || ours.len != theirs.len ||
        (ours.len && ours.data != theirs.data)) {
        reading->differs = true;
        return HPE_USER;
    }
    reading->value_seen = true;
    return 0;
}

static int on_complete(llhttp_t *parser)
{
    struct second_reading *reading = parser->data;

    reading->complete = value_is_settled(reading) && reading->names == reading->head->field_count;
    return HPE_PAUSED;
}

static const llhttp_settings_t second_settings = {
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_complete,
};

/*
 * Methods, targets and status codes are none of llhttp's business (it refuses methods that it does
 * not know): it gets a start line of ours, and then the fields as they were received. What it makes
 * of the start line is always the same, so each thread reads that once; a parser is plain data.
 */
static void begin_second_reading(llhttp_t *parser, struct second_reading *reading)
{
    static const char start_line[] = "GET / HTTP/1.1\r\n";
    static __thread llhttp_t begun;

    if (!begun.settings) {
        llhttp_init(&begun, HTTP_REQUEST, &second_settings);
        (void)llhttp_execute(&begun, start_line, sizeof(start_line) - 1); /* an error stays in it */
    }
    *parser = begun;
    parser->data = reading;
}

bool field_section_confirm(const struct http_head *head, struct span section)
{
    struct second_reading reading = {head, 0, false, false, false};
    llhttp_t parser;

    begin_second_reading(&parser, &reading);
    return llhttp_execute(&parser, (const char *)section.data, section.len) == HPE_PAUSED &&
           reading.complete && !reading.differs &&
           llhttp_get_error_pos(&parser) == (const char *)section.data + section.len;
}

bool field_section_read(struct http_head *head, const struct field_section *section,
                        size_t *section_len, struct http_fault *fault)
{
    const uint8_t *begin = section->bytes.data;
    const uint8_t *end = begin + section->bytes.len;
    const uint8_t *at = begin;
    size_t count = 0;

    while (end - at < 2 || at[0] != '\r' || at[1] != '\n') {
        const uint8_t *line = at;
        struct http_field spare; /* a fault of the line comes before one of their number */
        bool is_full = count == section->count_max || count == HTTP_FIELDS_MAX;
        const char *what = read_line(is_full ? &spare : &head->fields[count], &at, end);
        size_t offset = section->base + (size_t)(at - begin);

        if (what) {
            return fault_set(fault, section->is_request, 400, offset, what);
        }
        if ((size_t)(at - line) > (size_t)section->line_bytes + 2) {
            return fault_set(fault, section->is_request, 431, offset, "a field line is too long");
        }
        if (is_full) {
            return fault_set(fault, section->is_request, 431, offset, "there are too many fields");
        }
        count++;
    }
    head->field_count = count;
    *section_len = (size_t)(at - begin) + 2;
    return true;
}
