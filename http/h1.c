/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of judgement: the start line, the structure of the field section, what the fields say
 * about framing, and last llhttp, which must have read the same fields. The first fault found is
 * the one reported, so that it names the cause and not a consequence.
 */
#include "http/h1.h"

#include "http/authority.h"
#include "http/field.h"

enum {
    EMPTY_LINES_MAX = 4,
    SCAN_EMPTY_LINES = 7, /* struct h1_scan, state: how many were skipped */
    SCAN_IN_FIELDS = 8,   /* the start line is over */
};

/* The first byte of a request says which protocol came here by mistake. */
static const char *first_byte_complaint(uint8_t c)
{
    if (c == 0x16 || c == 0x80) {
        return "this is a TLS handshake on a plain HTTP port";
    }
    if (c == 4 || c == 5) {
        return "this is a SOCKS greeting on an HTTP port";
    }
    return c == ' ' || c == '\t' ? "the request line starts with white space"
                                 : "the first byte is not the start of an HTTP request";
}

/* The first bytes of a start line, as soon as they are there. False with a fault. */
static bool start_is_possible(struct span line, size_t offset, bool is_request,
                              struct http_fault *fault)
{
    struct span protocol = SPAN_LITERAL("HTTP/");

    if (is_request) {
        return line.data[0] == '\r' || line.data[0] == '\n' || char_is(line.data[0], CHAR_TOKEN) ||
               fault_set(fault, true, 400, offset, first_byte_complaint(line.data[0]));
    }
    if (line.data[0] == 0x15 || line.data[0] == 0x16) {
        return fault_set(fault, false, 502, offset, "the server answers plain HTTP with TLS");
    }
    protocol.len = line.len < protocol.len ? line.len : protocol.len;
    return span_equal(span_sub(line, 0, protocol.len), protocol) ||
           fault_set(fault, false, 502, offset, "the answer does not start with \"HTTP/\"");
}

static const char start_line_too_long[] = "the request line is too long";
static const char bare_line_feed[] = "a line ends with LF alone; lines end with CR LF";

/* Up to the end of the start line. */
static enum h1_result scan_start_line(struct h1_scan *scan, struct span bytes, bool is_request,
                                      const struct h1_limits *limits, struct http_fault *fault)
{
    while (scan->offset < bytes.len) {
        size_t begin = scan->offset - scan->line_length;
        size_t at = scan->offset + span_find(span_skip(bytes, scan->offset), '\n');
        size_t len = at - begin; /* without the LF */

        if (!start_is_possible(span_skip(bytes, begin), begin, is_request, fault)) {
            return H1_BAD;
        }
        if (len > (size_t)limits->line_bytes + 1 || at >= limits->head_bytes) {
            fault_set(fault, is_request, 414, at,
                      is_request ? start_line_too_long : "the status line is too long");
            return H1_BAD;
        }
        scan->line_length = (uint32_t)len;
        scan->offset = at;
        if (at == bytes.len) {
            return H1_MORE;
        }
        if (len == 0 || bytes.data[at - 1] != '\r') {
            fault_set(fault, is_request, 400, at, bare_line_feed);
            return H1_BAD;
        }
        scan->offset = at + 1;
        scan->line_length = 0;
        if (len > 1) {
            scan->state |= SCAN_IN_FIELDS;
            return H1_DONE;
        }
        if ((scan->state & SCAN_EMPTY_LINES) == EMPTY_LINES_MAX) {
            fault_set(fault, is_request, 400, at, "too many empty lines before the request line");
            return H1_BAD;
        }
        scan->state++;
    }
    return H1_MORE;
}

enum h1_result h1_scan_head(struct h1_scan *scan, struct span bytes, bool is_request,
                            const struct h1_limits *limits, struct http_fault *fault)
{
    ASSERT(scan->offset <= bytes.len);
    if (!(scan->state & SCAN_IN_FIELDS)) {
        enum h1_result result = scan_start_line(scan, bytes, is_request, limits, fault);
        if (result != H1_DONE) {
            return result;
        }
    }
    return field_section_scan(scan, bytes, limits->line_bytes, limits->head_bytes, is_request,
                              fault);
}

/* A start line without its CR LF, *at behind it. */
static bool read_start_line(struct span *line, size_t *at, struct span bytes, bool is_request,
                            const struct h1_limits *limits, struct http_fault *fault)
{
    size_t end = *at + span_find(span_skip(bytes, *at), '\n');

    *line = span_make(NULL, 0);
    if (end - *at > (size_t)limits->line_bytes + 1) {
        return fault_set(fault, is_request, 414, end,
                         is_request ? start_line_too_long : "the status line is too long");
    }
    if (end == bytes.len || end == *at || bytes.data[end - 1] != '\r') {
        return fault_set(fault, is_request, 400, end, bare_line_feed);
    }
    *line = span_sub(bytes, *at, end - 1 - *at);
    *at = end + 1;
    return start_is_possible(*line, 0, is_request, fault);
}

/* HTTP-version (RFC 9112 2.3). Two versions are served; *status says how others are refused. */
static const char *read_version(enum http_version *version, uint16_t *status, struct span text)
{
    *status = 400;
    if (text.len != 8 || memcmp(text.data, "HTTP/", 5) != 0 || !char_is(text.data[5], CHAR_DIGIT) ||
        text.data[6] != '.' || !char_is(text.data[7], CHAR_DIGIT)) {
        return "the HTTP version is malformed; HTTP/1.1 was expected";
    }
    *status = 505;
    if (text.data[5] != '1' || text.data[7] > '1') {
        return "this version of HTTP is not served; HTTP/1.1 and HTTP/1.0 are";
    }
    *version = text.data[7] == '1' ? HTTP_VERSION_1_1 : HTTP_VERSION_1_0;
    return NULL;
}

/* What is left of a line after its first space, which must be there. */
static bool cut_at_space(struct span *word, struct span *rest)
{
    size_t space = span_find(*rest, ' ');

    *word = span_sub(*rest, 0, space);
    if (space == rest->len) {
        return false;
    }
    *rest = span_skip(*rest, space + 1);
    return true;
}

static const char *target_complaint(uint8_t c)
{
    if (c == '#') {
        return "the request-target has a fragment, which is never sent";
    }
    if (c >= 0x80) {
        return "the request-target holds bytes above 0x7e that are not percent-encoded";
    }
    return c <= 0x20 || c == 0x7f ? "the request-target holds white space or a control character"
                                  : "the request-target holds a character that no URI may have";
}

/* Characters of a request-target; a backslash, which some servers take for '/', not in the path. */
static const char *check_target_chars(struct span target, size_t *bad_at)
{
    size_t path_end = span_find(target, '?');

    for (size_t i = 0; i < target.len; i++) {
        uint8_t c = target.data[i];
        if (!char_is(c, CHAR_TARGET) || (c == '\\' && i < path_end)) {
            *bad_at = i;
            return target_complaint(c);
        }
    }
    return NULL;
}

/* The four forms of RFC 9112 3.2, each only with the methods that may have it. */
static bool read_target(struct http_head *head, size_t offset, struct http_fault *fault)
{
    struct http_target *parts = &head->parts;
    size_t bad_at = 0;
    const char *what = check_target_chars(head->target, &bad_at);

    if (what || head->target.len == 0) {
        return fault_set(fault, true, 400, offset + bad_at,
                         what ? what : "the request line has no request-target, or two spaces");
    }
    if (span_equal(head->method, SPAN_LITERAL("CONNECT"))) {
        parts->form = HTTP_FORM_AUTHORITY;
        if (!authority_parse_connect(&parts->authority, head->target, fault)) {
            fault->offset += offset;
            return false;
        }
        return true;
    }
    if (head->target.data[0] == '/') {
        parts->form = HTTP_FORM_ORIGIN;
        return true;
    }
    if (span_equal(head->target, SPAN_LITERAL("*"))) {
        parts->form = HTTP_FORM_ASTERISK;
        return span_equal(head->method, SPAN_LITERAL("OPTIONS")) ||
               fault_set(fault, true, 400, offset, "the request-target * is for OPTIONS alone");
    }
    parts->form = HTTP_FORM_ABSOLUTE;
    if (!authority_parse_absolute(&parts->authority, &parts->scheme, &parts->path, head->target,
                                  fault)) {
        fault->offset += offset;
        return false;
    }
    return true;
}

static const char *request_line_complaint(struct span line)
{
    return span_equal(span_sub(line, 0, 6), SPAN_LITERAL("PROXY "))
               ? "this is a PROXY protocol header on a port that does not expect one"
               : "the request line has no HTTP version, or not one space between its three parts";
}

static bool read_request_line(struct http_head *head, struct span line, size_t offset,
                              struct http_fault *fault)
{
    struct span version = line;
    uint16_t status;
    const char *what;

    if (!cut_at_space(&head->method, &version) || !span_is_all(head->method, CHAR_TOKEN)) {
        return fault_set(fault, true, 400, offset,
                         "the request line does not start with a method and a space");
    }
    if (head->method.len > HTTP_METHOD_MAX) {
        return fault_set(fault, true, 501, offset, "the method is longer than any that is served");
    }
    if (!cut_at_space(&head->target, &version) ||
        (head->target.len && span_find(version, ' ') != version.len)) {
        return fault_set(fault, true, 400, offset, request_line_complaint(line));
    }
    if (span_equal(line, SPAN_LITERAL("PRI * HTTP/2.0"))) {
        return fault_set(fault, true, 505, offset,
                         "this is HTTP/2 with prior knowledge; this port speaks HTTP/1.1, and "
                         "HTTP/2 only inside TLS");
    }
    if (!read_target(head, offset + head->method.len + 1, fault)) {
        return false;
    }
    what = read_version(&head->version, &status, version);
    return !what ||
           fault_set(fault, true, status, offset + (size_t)(version.data - line.data), what);
}

/* What the fields of a head say, gathered in one pass. */
struct findings {
    struct span content_length;
    struct span transfer_encoding;
    struct span expect;
    unsigned host_count;
    unsigned content_length_count;
    unsigned transfer_encoding_count;
    unsigned expect_count;
    bool has_upgrade;
    bool disguised;
    bool close; /* tokens of Connection, and of a client's Proxy-Connection */
    bool keep_alive;
    bool upgrade;
};

static void find_connection_tokens(struct findings *found, struct span value)
{
    struct span token;

    while (list_next(&value, &token)) {
        found->close |= span_equal_nocase(token, SPAN_LITERAL("close"));
        found->keep_alive |= span_equal_nocase(token, SPAN_LITERAL("keep-alive"));
        found->upgrade |= span_equal_nocase(token, SPAN_LITERAL("upgrade"));
    }
}

static void find_facts(struct findings *found, struct http_head *head, bool is_request)
{
    struct findings none = {0};

    *found = none;
    head->host = span_make(NULL, 0);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        struct span protocol;
        struct span rest;

        switch (field->id) {
        case FIELD_HOST:
            found->host_count++;
            head->host = field->value;
            break;
        case FIELD_CONTENT_LENGTH:
            found->content_length_count++;
            found->content_length = field->value;
            break;
        case FIELD_TRANSFER_ENCODING:
            found->transfer_encoding_count++;
            found->transfer_encoding = field->value;
            break;
        case FIELD_EXPECT:
            found->expect_count++;
            found->expect = field->value;
            break;
        case FIELD_UPGRADE:
            rest = field->value;
            found->has_upgrade |= upgrade_next(&rest, &protocol);
            break;
        case FIELD_CONNECTION:
            find_connection_tokens(found, field->value);
            break;
        case FIELD_PROXY_CONNECTION:
            if (is_request) {
                find_connection_tokens(found, field->value);
            }
            break;
        case FIELD_DISGUISED:
            found->disguised = true;
            break;
        default:
            break;
        }
    }
}

/* What is wrong with the fields; `what` is null when nothing is. */
struct judgement {
    uint16_t status;      /* for a request */
    const uint8_t *where; /* the value at fault; null: the fields as a whole */
    const char *what;
};

static const struct judgement passed = {0, NULL, NULL};

static struct judgement refuse(uint16_t status, struct span where, const char *what)
{
    return (struct judgement){status, where.data, what};
}

static const struct span nowhere = {NULL, 0};

/*
 * Transfer-Encoding is "chunked" or the message is refused. A list that ends in chunked and has
 * other codings is well-formed but not served (501); chunked anywhere else, and anything that is no
 * list of tokens, is malformed.
 */
static struct judgement judge_transfer_encoding(struct span value)
{
    struct span rest = value;
    bool chunked_before = false;

    if (span_equal_nocase(value, SPAN_LITERAL("chunked"))) {
        return passed;
    }
    do {
        size_t comma = span_find(rest, ',');
        struct span coding = span_trim(span_sub(rest, 0, comma));

        if (!span_is_all(coding, CHAR_TOKEN)) {
            return refuse(400, value,
                          "Transfer-Encoding is malformed; only the single word "
                          "\"chunked\" is understood");
        }
        if (chunked_before) {
            return refuse(400, value, "in Transfer-Encoding, chunked is not the last coding");
        }
        chunked_before = span_equal_nocase(coding, SPAN_LITERAL("chunked"));
        rest = comma < rest.len ? span_skip(rest, comma + 1) : span_make(NULL, 0);
    } while (rest.data);
    return refuse(501, value, "this transfer coding is not served; only chunked is");
}

/* Fields that speak of framing, each alone and together (RFC 9112 6.1 to 6.3). */
static struct judgement judge_framing_fields(const struct findings *found, struct http_head *head)
{
    head->content_length = 0;
    if (found->disguised) {
        return refuse(400, nowhere,
                      "a framing field is spelt with an underscore, which some "
                      "servers read as a hyphen");
    }
    if (found->transfer_encoding_count && found->content_length_count) {
        return refuse(400, found->content_length,
                      "Transfer-Encoding and Content-Length are both there");
    }
    if (found->transfer_encoding_count > 1) {
        return refuse(400, found->transfer_encoding, "Transfer-Encoding is there more than once");
    }
    if (found->content_length_count > 1) {
        return refuse(400, found->content_length, "Content-Length is there more than once");
    }
    if (found->content_length_count &&
        !content_length_parse(&head->content_length, found->content_length)) {
        return refuse(400, found->content_length,
                      "Content-Length is not one plain decimal number below 2^63");
    }
    if (found->transfer_encoding_count == 0) {
        return passed;
    }
    if (head->version == HTTP_VERSION_1_0) {
        return refuse(400, found->transfer_encoding, "Transfer-Encoding in an HTTP/1.0 message");
    }
    return judge_transfer_encoding(found->transfer_encoding);
}

static void settle_connection(struct http_head *head, const struct findings *found)
{
    head->keep_alive = !found->close && (head->version == HTTP_VERSION_1_1 || found->keep_alive);
    head->upgrade = head->version == HTTP_VERSION_1_1 && found->upgrade && found->has_upgrade;
}

/* Host mostly says what the target says, and that was judged with it. */
static bool host_is_of_target(const struct http_head *head)
{
    const struct http_target *parts = &head->parts;
    size_t begin;

    if (parts->form != HTTP_FORM_ABSOLUTE) {
        return false;
    }
    begin = parts->scheme == HTTP_SCHEME_HTTP ? sizeof("http://") - 1 : sizeof("https://") - 1;
    return span_equal(head->host,
                      span_sub(head->target, begin, head->target.len - parts->path.len - begin));
}

static struct judgement judge_host(const struct http_head *head, const struct findings *found,
                                   struct http_fault *fault)
{
    struct http_authority authority;

    if (found->host_count > 1) {
        return refuse(400, head->host, "Host is there more than once");
    }
    if (found->host_count == 0) {
        /* Of CONNECT the target says all; proxies in front of us leave Host out (mitmproxy does).
         */
        return head->version == HTTP_VERSION_1_0 || head->parts.form == HTTP_FORM_AUTHORITY
                   ? passed
                   : refuse(400, nowhere, "there is no Host field, which HTTP/1.1 requires");
    }
    return host_is_of_target(head) || authority_parse_host(&authority, head->host, fault)
               ? passed
               : refuse(fault->status, head->host, fault->what);
}

/* Methods whose requests have no content (RFC 9110 9.3.6 and 9.3.8); "Content-Length: 0" is said
 * by real clients and does no harm. */
static struct judgement judge_method(const struct http_head *head, const struct findings *found)
{
    bool has_body = found->transfer_encoding_count || head->content_length;

    if (has_body && span_equal(head->method, SPAN_LITERAL("CONNECT"))) {
        return refuse(400, nowhere, "a CONNECT request has a body");
    }
    if (has_body && span_equal(head->method, SPAN_LITERAL("TRACE"))) {
        return refuse(400, nowhere, "a TRACE request has a body");
    }
    return passed;
}

static struct judgement judge_expect(struct http_head *head, const struct findings *found)
{
    head->expect_continue = false;
    if (found->expect_count == 0) {
        return passed;
    }
    if (found->expect_count > 1 ||
        !span_equal_nocase(found->expect, SPAN_LITERAL("100-continue"))) {
        return refuse(417, found->expect, "Expect asks for something else than 100-continue");
    }
    /* From HTTP/1.0, and where no body follows, it is ignored (RFC 9110 10.1.1). */
    head->expect_continue = head->version == HTTP_VERSION_1_1 &&
                            (head->framing == HTTP_CHUNKED || head->content_length != 0);
    return passed;
}

static struct judgement judge_request(struct http_head *head, struct http_fault *fault)
{
    struct findings found;
    struct judgement judgement;

    find_facts(&found, head, true);
    judgement = judge_framing_fields(&found, head);
    if (!judgement.what) {
        judgement = judge_method(head, &found);
    }
    if (!judgement.what) {
        judgement = judge_host(head, &found, fault);
    }
    head->framing = found.transfer_encoding_count ? HTTP_CHUNKED
                    : found.content_length_count  ? HTTP_LENGTH
                                                  : HTTP_NO_BODY;
    if (span_equal(head->method, SPAN_LITERAL("CONNECT"))) {
        head->framing = HTTP_NO_BODY;
    }
    if (!judgement.what) {
        judgement = judge_expect(head, &found);
    }
    settle_connection(head, &found);
    return judgement;
}

/* The field section, from `at` behind the start line; sets head->len. */
static bool read_fields(struct http_head *head, struct span bytes, size_t at,
                        const struct h1_limits *limits, bool is_request, struct http_fault *fault)
{
    struct field_section section = {
        .bytes = span_skip(bytes, at),
        .base = at,
        .line_bytes = limits->line_bytes,
        .count_max = limits->field_count,
        .is_request = is_request,
    };
    size_t len;

    if (!field_section_read(head, &section, &len, fault)) {
        return false;
    }
    head->len = at + len;
    if (head->len > limits->head_bytes) {
        return fault_set(fault, is_request, 431, limits->head_bytes, "the head is too long");
    }
    return true;
}

/* `at`: where the fields begin. The second opinion is asked only of what passed the first. */
static enum h1_result conclude(const struct http_head *head, struct judgement judgement,
                               struct span bytes, size_t at, bool is_request,
                               struct http_fault *fault)
{
    if (!judgement.what && !field_section_confirm(head, span_sub(bytes, at, head->len - at))) {
        judgement =
            refuse(is_request ? 400 : 502, nowhere, "two parsers read these fields differently");
    }
    if (judgement.what) {
        fault_set(fault, is_request, judgement.status,
                  judgement.where ? (size_t)(judgement.where - bytes.data) : at, judgement.what);
        return H1_BAD;
    }
    return H1_DONE;
}

enum h1_result h1_parse_request(struct http_head *head, struct span bytes,
                                const struct h1_limits *limits, struct http_fault *fault)
{
    struct span line;
    size_t at = 0;
    size_t begin;

    while (bytes.len - at >= 2 && at < (size_t)EMPTY_LINES_MAX * 2 && bytes.data[at] == '\r' &&
           bytes.data[at + 1] == '\n') {
        at += 2;
    }
    begin = at;
    head->status = 0;
    head->reason = span_make(NULL, 0);
    if (!read_start_line(&line, &at, bytes, true, limits, fault) ||
        !read_request_line(head, line, begin, fault) ||
        !read_fields(head, bytes, at, limits, true, fault)) {
        return H1_BAD;
    }
    return conclude(head, judge_request(head, fault), bytes, at, true, fault);
}

/* "HTTP/1.1 200 OK"; the space after the code may be missing together with the reason, as many
 * servers have it. */
static bool read_status_line(struct http_head *head, struct span line, struct http_fault *fault)
{
    struct span rest = line;
    struct span word;
    uint16_t status;
    const char *what;

    if (!cut_at_space(&word, &rest)) {
        return fault_set(fault, false, 502, 0, "the status line has no status code");
    }
    what = read_version(&head->version, &status, word);
    if (what) {
        return fault_set(fault, false, 502, 0, what);
    }
    word = span_sub(rest, 0, 3);
    if (word.len != 3 || !span_is_all(word, CHAR_DIGIT) || (rest.len > 3 && rest.data[3] != ' ')) {
        return fault_set(fault, false, 502, 9, "the status code is not three digits");
    }
    head->status =
        (uint16_t)((word.data[0] - '0') * 100 + (word.data[1] - '0') * 10 + (word.data[2] - '0'));
    if (head->status < 100 || head->status > 599) {
        return fault_set(fault, false, 502, 9, "the status code is not between 100 and 599");
    }
    head->reason = span_skip(rest, 4);
    for (size_t i = 0; i < head->reason.len; i++) {
        uint8_t c = head->reason.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return fault_set(fault, false, 502, 13 + i,
                             "the reason phrase holds a control character");
        }
    }
    return true;
}

/* RFC 9112 6.3, in its order. */
static struct judgement judge_response(struct http_head *head, struct span request_method)
{
    bool to_connect = span_equal(request_method, SPAN_LITERAL("CONNECT"));
    bool never_has_body = head->status < 200 || head->status == 204;
    struct findings found;
    struct judgement judgement;

    find_facts(&found, head, false);
    judgement = judge_framing_fields(&found, head);
    if (!judgement.what && never_has_body &&
        (found.transfer_encoding_count || head->content_length)) {
        judgement = refuse(502, nowhere, "a response that cannot have a body announces one");
    }
    head->expect_continue = false;
    if (never_has_body || head->status == 304 || span_equal(request_method, SPAN_LITERAL("HEAD")) ||
        (to_connect && head->status < 300)) {
        head->framing = HTTP_NO_BODY;
    } else {
        head->framing = found.transfer_encoding_count ? HTTP_CHUNKED
                        : found.content_length_count  ? HTTP_LENGTH
                                                      : HTTP_UNTIL_CLOSE;
    }
    settle_connection(head, &found);
    head->keep_alive = head->keep_alive && head->framing != HTTP_UNTIL_CLOSE;
    return judgement;
}

enum h1_result h1_parse_response(struct http_head *head, struct span bytes,
                                 struct span request_method, const struct h1_limits *limits,
                                 struct http_fault *fault)
{
    struct span line;
    size_t at = 0;

    head->method = span_make(NULL, 0);
    head->target = span_make(NULL, 0);
    if (!read_start_line(&line, &at, bytes, false, limits, fault) ||
        !read_status_line(head, line, fault) ||
        !read_fields(head, bytes, at, limits, false, fault)) {
        return H1_BAD;
    }
    return conclude(head, judge_response(head, request_method), bytes, at, false, fault);
}

/*
 * Most heads come in one piece, so the first read parses at once: nothing passes that which the
 * search for the end would have refused. Only what does not pass is searched, for its end or for
 * its fault, and parsed when it is whole.
 */
enum h1_result h1_read_request(struct http_head *head, struct h1_scan *scan, struct span bytes,
                               const struct h1_limits *limits, struct http_fault *fault)
{
    enum h1_result result;

    if (bytes.len == 0) {
        return H1_MORE;
    }
    if (scan->offset == 0 && h1_parse_request(head, bytes, limits, fault) == H1_DONE) {
        return H1_DONE;
    }
    result = h1_scan_head(scan, bytes, true, limits, fault);
    return result == H1_DONE ? h1_parse_request(head, bytes, limits, fault) : result;
}

enum h1_result h1_read_response(struct http_head *head, struct h1_scan *scan, struct span bytes,
                                struct span request_method, const struct h1_limits *limits,
                                struct http_fault *fault)
{
    enum h1_result result;

    if (bytes.len == 0) {
        return H1_MORE;
    }
    if (scan->offset == 0 &&
        h1_parse_response(head, bytes, request_method, limits, fault) == H1_DONE) {
        return H1_DONE;
    }
    result = h1_scan_head(scan, bytes, false, limits, fault);
    return result == H1_DONE ? h1_parse_response(head, bytes, request_method, limits, fault)
                             : result;
}

const struct http_field *http_find_field(const struct http_head *head, struct span name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (span_equal_nocase(head->fields[i].name, name)) {
            return &head->fields[i];
        }
    }
    return NULL;
}

bool http_has_token(const struct http_head *head, struct span name, struct span token)
{
    for (size_t i = 0; i < head->field_count; i++) {
        struct span rest = head->fields[i].value;
        struct span item;

        if (!span_equal_nocase(head->fields[i].name, name)) {
            continue;
        }
        while (list_next(&rest, &item)) {
            if (span_equal_nocase(item, token)) {
                return true;
            }
        }
    }
    return false;
}

bool http_is_idempotent(struct span method)
{
    return span_equal(method, SPAN_LITERAL("GET")) || span_equal(method, SPAN_LITERAL("HEAD")) ||
           span_equal(method, SPAN_LITERAL("OPTIONS")) || span_equal(method, SPAN_LITERAL("TRACE"));
}

/* A value may ask for several ways (RFC 9110 11.6.1). Their parameters have commas, too; one of
 * them taken for such a way does no harm. */
static bool names_connection_scheme(struct span value)
{
    while (value.len) {
        size_t comma = span_find(value, ',');

        if (span_equal_nocase(span_sub(value, 0, 4), SPAN_LITERAL("NTLM")) ||
            span_equal_nocase(span_sub(value, 0, 9), SPAN_LITERAL("Negotiate"))) {
            return true;
        }
        value = span_skip(value, comma < value.len ? comma + 1 : value.len);
        while (value.len && (value.data[0] == ' ' || value.data[0] == '\t')) {
            value = span_skip(value, 1);
        }
    }
    return false;
}

bool http_binds_connection(const struct http_head *head, struct span name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (span_equal_nocase(head->fields[i].name, name) &&
            names_connection_scheme(head->fields[i].value)) {
            return true;
        }
    }
    return false;
}
