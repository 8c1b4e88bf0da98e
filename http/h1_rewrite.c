/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the fields plans (what is each, what does Connection name, may this be forwarded at
 * all), a second one writes. Nothing is written before the plan stands, and framing fields are
 * always ours, in the place of the sender's where there was one.
 *
 * TE is answered for the next hop: "TE: trailers" goes on if the client said so, because trailers
 * are passed on; every other transfer coding ends here.
 */
#include "http/h1_rewrite.h"

#include "http/field.h"

enum { CONNECTION_OPTIONS_MAX = 32 };

/* What is to be done with the fields of one head. */
struct plan {
    const struct http_head *head;
    const struct h1_rewrite_options *options;
    bool is_request;
    bool upgrade;     /* Upgrade goes on */
    bool te_trailers; /* TE: trailers goes on */
    bool keep_length; /* responses to HEAD, and 304: the length is a fact */
    bool framing_written;
    bool host_written;
    size_t dropped_count; /* options of Connection that are not known field names */
    struct span dropped[CONNECTION_OPTIONS_MAX];
};

static void put_field(struct text *out, struct span name, struct span value)
{
    char *at = out->data + out->len;
    size_t len = name.len + value.len + 4;

    if (len > out->cap - out->len) {
        out->overflow = true;
        return;
    }
    memcpy(at, name.data, name.len);
    memcpy(at + name.len, ": ", 2);
    if (value.len) {
        memcpy(at + name.len + 2, value.data, value.len);
    }
    memcpy(at + len - 2, "\r\n", 2);
    out->len += len;
}

/* Fields that Connection must not name: without them the message would mean something else
 * (RFC 9110 7.6.1). */
static bool must_not_be_dropped(struct span name)
{
    static const struct span names[] = {
        SPAN_LITERAL("cookie"),
        SPAN_LITERAL("set-cookie"),
        SPAN_LITERAL("authorization"),
        SPAN_LITERAL("content-type"),
        SPAN_LITERAL("content-range"),
        SPAN_LITERAL("content-encoding"),
        SPAN_LITERAL("cache-control"),
        SPAN_LITERAL("location"),
        SPAN_LITERAL("range"),
        SPAN_LITERAL("origin"),
        SPAN_LITERAL("www-authenticate"),
    };

    switch (field_identify(name)) {
    case FIELD_OTHER:
        break;
    case FIELD_HOST:
    case FIELD_CONTENT_LENGTH:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_CONNECTION:
    case FIELD_VIA:
    case FIELD_EXPECT:
    case FIELD_MAX_FORWARDS:
    case FIELD_DISGUISED:
        return true;
    default:
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (span_equal_nocase(name, names[i])) {
            return true;
        }
    }
    return false;
}

static const char *plan_connection(struct plan *plan, struct span value)
{
    struct span option;

    while (list_next(&value, &option)) {
        if (must_not_be_dropped(option)) {
            return "Connection names a field that must reach the other side";
        }
        if (field_identify(option) != FIELD_OTHER ||
            span_equal_nocase(option, SPAN_LITERAL("close"))) {
            continue; /* these are dealt with by what they are */
        }
        if (plan->dropped_count == CONNECTION_OPTIONS_MAX) {
            return "Connection has too many options";
        }
        plan->dropped[plan->dropped_count++] = option;
    }
    return NULL;
}

/* Is our name the received-by of any element (RFC 9110 7.6.3)? */
static bool via_names(struct span value, struct span pseudonym)
{
    struct span element;

    while (list_next(&value, &element)) {
        size_t end = 0;
        struct span by;

        while (end < element.len && element.data[end] != ' ' && element.data[end] != '\t') {
            end++;
        }
        by = span_trim(span_skip(element, end));
        for (end = 0; end < by.len && by.data[end] != ' ' && by.data[end] != '\t';) {
            end++;
        }
        if (span_equal_nocase(span_sub(by, 0, end), pseudonym)) {
            return true;
        }
    }
    return false;
}

static bool has_token(struct span value, struct span token)
{
    struct span item;

    while (list_next(&value, &item)) {
        if (span_equal_nocase(item, token)) {
            return true;
        }
    }
    return false;
}

static bool plan_fields(struct plan *plan, struct http_fault *fault)
{
    const struct http_head *head = plan->head;
    const struct h1_rewrite_options *options = plan->options;
    bool may_upgrade = options->upgrade && head->upgrade;

    ASSERT(head->field_count <= HTTP_FIELDS_MAX);
    for (size_t i = 0; i < head->field_count; i++) {
        struct span value = head->fields[i].value;
        uint8_t id = head->fields[i].id;
        const char *what = NULL;
        struct span protocol;

        if (id == FIELD_CONNECTION || id == FIELD_PROXY_CONNECTION) {
            what = plan_connection(plan, value);
        } else if (id == FIELD_VIA && plan->is_request && options->pseudonym &&
                   via_names(value, span_from_string(options->pseudonym))) {
            fault_set(fault, true, 508, 0, "this request has been here before: Via names us");
            fault->error = "proxy_loop_detected";
            return false;
        } else if (id == FIELD_UPGRADE && may_upgrade) {
            plan->upgrade |= upgrade_next(&value, &protocol);
        } else if (id == FIELD_TE && head->version == HTTP_VERSION_1_1) {
            plan->te_trailers |= plan->is_request && has_token(value, SPAN_LITERAL("trailers"));
        }
        if (what) {
            return fault_set(fault, plan->is_request, 400, 0, what);
        }
    }
    return true;
}

static bool plan_drops(const struct plan *plan, struct span name)
{
    if (field_is_like(name, plan->options->without)) {
        return true;
    }
    for (size_t i = 0; i < plan->dropped_count; i++) {
        if (span_equal_nocase(name, plan->dropped[i])) {
            return true;
        }
    }
    return false;
}

/* The field at `index`, and those behind it that go on just as they came, in one piece. Returns the
 * index of the first one that is left. */
static size_t write_other_fields(struct text *out, const struct plan *plan, size_t index)
{
    const struct http_field *field = &plan->head->fields[index];
    const struct http_field *end = &plan->head->fields[plan->head->field_count];
    struct span run = {field->name.data, 0};

    for (; field < end && field->id == FIELD_OTHER && field->is_plain; field++) {
        if (plan_drops(plan, field->name)) {
            break;
        }
        run.len += field->name.len + field->value.len + 4;
    }
    text_bytes(out, run);
    if (run.len == 0) {
        if (!plan_drops(plan, field->name)) {
            put_field(out, field->name, field->value);
        }
        field++;
    }
    return (size_t)(field - plan->head->fields);
}

static void write_length(struct text *out, struct span name, uint64_t length)
{
    text_bytes(out, name);
    text_string(out, ": ");
    text_unsigned(out, length);
    text_string(out, "\r\n");
}

/* The framing field, once; `name` as the sender spelt it, or our spelling. */
static void write_framing(struct text *out, struct plan *plan, struct span name)
{
    if (!plan->framing_written && plan->options->framing == HTTP_LENGTH) {
        write_length(out, name, plan->options->content_length);
    } else if (!plan->framing_written && plan->options->framing == HTTP_CHUNKED) {
        put_field(out, name, SPAN_LITERAL("chunked"));
    }
    plan->framing_written = true;
}

static void write_host(struct text *out, struct span name, const struct http_authority *authority,
                       enum http_scheme scheme)
{
    uint16_t implied = scheme == HTTP_SCHEME_HTTPS ? 443 : 80;

    text_bytes(out, name);
    text_string(out, authority->is_ipv6 ? ": [" : ": ");
    text_bytes(out, span_make(authority->host, authority->host_len));
    if (authority->is_ipv6) {
        text_char(out, ']');
    }
    if (authority->port && authority->port != implied) {
        text_char(out, ':');
        text_unsigned(out, authority->port);
    }
    text_string(out, "\r\n");
}

/* The protocols of one Upgrade field that go on. */
static void write_upgrade(struct text *out, const struct http_field *field)
{
    struct span rest = field->value;
    struct span protocol;
    bool first = true;

    while (upgrade_next(&rest, &protocol)) {
        if (first) {
            text_bytes(out, field->name);
        }
        text_string(out, first ? ": " : ", ");
        text_bytes(out, protocol);
        first = false;
    }
    text_string(out, first ? "" : "\r\n");
}

/* OPTIONS and TRACE count their hops (RFC 9110 7.6.2). */
static bool counts_hops(const struct plan *plan)
{
    return plan->is_request && (span_equal(plan->head->method, SPAN_LITERAL("OPTIONS")) ||
                                span_equal(plan->head->method, SPAN_LITERAL("TRACE")));
}

static void write_max_forwards(struct text *out, const struct plan *plan,
                               const struct http_field *field)
{
    uint64_t hops;

    if (counts_hops(plan) && content_length_parse(&hops, field->value) && hops > 0) {
        write_length(out, field->name, hops - 1);
    } else {
        put_field(out, field->name, field->value);
    }
}

/* Fields with a meaning for us. Those that end with this hop are not mentioned: they are dropped.
 */
static void write_known_field(struct text *out, struct plan *plan, const struct http_field *field)
{
    switch (field->id) {
    case FIELD_CONTENT_LENGTH:
        if (plan->keep_length) {
            put_field(out, field->name, field->value);
        } else if (plan->options->framing == HTTP_LENGTH) {
            write_framing(out, plan, field->name);
        }
        break;
    case FIELD_TRANSFER_ENCODING:
        if (plan->options->framing == HTTP_CHUNKED) {
            write_framing(out, plan, field->name);
        }
        break;
    case FIELD_UPGRADE:
        if (plan->upgrade) {
            write_upgrade(out, field);
        }
        break;
    case FIELD_EXPECT: /* of a request, where it was judged to be ignored, it ends here too */
        if (!plan->is_request || plan->head->expect_continue) {
            put_field(out, field->name, field->value);
        }
        break;
    case FIELD_MAX_FORWARDS:
        write_max_forwards(out, plan, field);
        break;
    case FIELD_HOST: /* a response's has no meaning */
    case FIELD_VIA:
        put_field(out, field->name, field->value);
        break;
    default:
        break;
    }
}

/* The last fields, which are ours. */
static void write_own_fields(struct text *out, struct plan *plan)
{
    const struct h1_rewrite_options *options = plan->options;

    write_framing(out, plan,
                  options->framing == HTTP_LENGTH ? SPAN_LITERAL("Content-Length")
                                                  : SPAN_LITERAL("Transfer-Encoding"));
    if (options->via && options->pseudonym) {
        text_string(out, plan->head->version == HTTP_VERSION_1_1 ? "Via: 1.1 " : "Via: 1.0 ");
        text_string(out, options->pseudonym);
        text_string(out, "\r\n");
    }
    if (plan->te_trailers) {
        text_string(out, "TE: trailers\r\n");
    }
}

/* One Connection field with the given options, or none. */
static void write_connection(struct text *out, const char *life, bool upgrade, bool te)
{
    const char *options[3] = {life, upgrade ? "Upgrade" : NULL, te ? "TE" : NULL};
    const char *before = "Connection: ";

    for (size_t i = 0; i < COUNT_OF(options); i++) {
        if (options[i]) {
            text_string(out, before);
            text_string(out, options[i]);
            before = ", ";
        }
    }
    text_string(out, before[0] == ',' ? "\r\n\r\n" : "\r\n");
}

static bool finish(const struct text *out, bool is_request, struct http_fault *fault)
{
    return !out->overflow ||
           fault_set(fault, is_request, 431, 0, "the head is too long once it is rewritten");
}

static void write_request_line(struct text *out, const struct http_head *head, struct span path)
{
    text_bytes(out, head->method);
    text_char(out, ' ');
    if (path.len == 0) {
        text_char(out, span_equal(head->method, SPAN_LITERAL("OPTIONS")) ? '*' : '/');
    } else if (path.data[0] == '?') { /* an absolute URI without a path */
        text_char(out, '/');
    }
    text_bytes(out, path);
    text_string(out, " HTTP/1.1\r\n");
}

/* Max-Forwards: 0 asks us to answer instead of the server, which we do not. */
static bool hops_are_left(const struct plan *plan, struct http_fault *fault)
{
    for (size_t i = 0; i < plan->head->field_count && counts_hops(plan); i++) {
        if (plan->head->fields[i].id == FIELD_MAX_FORWARDS &&
            span_equal(plan->head->fields[i].value, SPAN_LITERAL("0"))) {
            return fault_set(fault, true, 501, 0,
                             "Max-Forwards says that this proxy is to answer, and it does not "
                             "answer OPTIONS or TRACE itself");
        }
    }
    return true;
}

static void plan_init(struct plan *plan, const struct http_head *head,
                      const struct h1_rewrite_options *options, bool is_request)
{
    plan->head = head;
    plan->options = options;
    plan->is_request = is_request;
    plan->upgrade = plan->te_trailers = plan->keep_length = false;
    plan->framing_written = plan->host_written = false;
    plan->dropped_count = 0;
}

bool h1_write_request(struct text *out, const struct http_head *head,
                      const struct http_authority *authority, enum http_scheme scheme,
                      struct span path, const struct h1_rewrite_options *options,
                      struct http_fault *fault)
{
    struct plan plan;

    ASSERT(options->framing != HTTP_UNTIL_CLOSE);
    plan_init(&plan, head, options, true);
    if (!plan_fields(&plan, fault) || !hops_are_left(&plan, fault)) {
        return false;
    }
    write_request_line(out, head, path);
    if (head->host.len == 0) {
        write_host(out, SPAN_LITERAL("Host"), authority, scheme);
        plan.host_written = true;
    }
    for (size_t i = 0; i < head->field_count;) {
        const struct http_field *field = &head->fields[i];

        if (field->id == FIELD_OTHER) {
            i = write_other_fields(out, &plan, i);
            continue;
        }
        if (field->id != FIELD_HOST) {
            write_known_field(out, &plan, field);
        } else if (!plan.host_written) {
            write_host(out, field->name, authority, scheme);
            plan.host_written = true;
        }
        i++;
    }
    write_own_fields(out, &plan);
    write_connection(out, options->keep_alive ? NULL : "close", plan.upgrade, plan.te_trailers);
    return finish(out, true, fault);
}

/* A protocol is switched only where the request that we wrote and the server's answer say so. */
static bool check_switch(const struct plan *plan, struct http_fault *fault)
{
    if (plan->head->status != 101 || plan->upgrade) {
        return true;
    }
    fault_set(fault, false, 502, 0,
              plan->options->upgrade
                  ? "the server switches protocols without saying to which, or to HTTP/2"
                  : "the server switches protocols without having been asked");
    fault->error = "http_upgrade_failed";
    return false;
}

static void write_status_line(struct text *out, const struct http_head *head)
{
    text_string(out, "HTTP/1.1 ");
    text_unsigned(out, head->status);
    text_char(out, ' ');
    text_bytes(out, head->reason);
    text_string(out, "\r\n");
}

/* What the client is told about its connection; an interim response says nothing of it. */
static const char *response_life(const struct http_head *head,
                                 const struct h1_rewrite_options *options)
{
    if (head->status < 200) {
        return NULL;
    }
    if (!options->keep_alive) {
        return "close";
    }
    return options->peer_version == HTTP_VERSION_1_0 ? "keep-alive" : NULL;
}

size_t h1_write_for_proxy(struct text *out, struct span head, struct span authority,
                          const char *authorization)
{
    size_t path = span_find(head, ' ') + 1;
    size_t fields = span_find(head, '\n') + 1;
    struct span rest;

    if (path > fields || fields > head.len) {
        return 0;
    }
    rest = span_sub(head, path, fields - path);
    if (rest.len > 1 && rest.data[0] == '*' && rest.data[1] == ' ') {
        rest = span_skip(rest, 1);
    }
    text_bytes(out, span_sub(head, 0, path));
    text_string(out, "http://");
    text_bytes(out, authority);
    text_bytes(out, rest);
    if (authorization) {
        text_string(out, "Proxy-Authorization: ");
        text_string(out, authorization);
        text_string(out, "\r\n");
    }
    return out->overflow ? 0 : fields;
}

bool h1_write_response(struct text *out, const struct http_head *head,
                       const struct h1_rewrite_options *options, struct http_fault *fault)
{
    struct plan plan;

    ASSERT(options->framing != HTTP_CHUNKED || options->peer_version == HTTP_VERSION_1_1);
    ASSERT(options->framing != HTTP_UNTIL_CLOSE || !options->keep_alive);
    plan_init(&plan, head, options, false);
    plan.keep_length =
        options->framing == HTTP_NO_BODY && head->status >= 200 && head->status != 204;
    if (!plan_fields(&plan, fault) || !check_switch(&plan, fault)) {
        return false;
    }
    write_status_line(out, head);
    for (size_t i = 0; i < head->field_count;) {
        if (head->fields[i].id == FIELD_OTHER) {
            i = write_other_fields(out, &plan, i);
        } else {
            write_known_field(out, &plan, &head->fields[i++]);
        }
    }
    write_own_fields(out, &plan);
    write_connection(out, response_life(head, options), plan.upgrade, false);
    return finish(out, false, fault);
}

void h1_write_trailers(struct text *out, const struct http_head *trailers, struct span without)
{
    for (size_t i = 0; i < trailers->field_count; i++) {
        if (!field_is_like(trailers->fields[i].name, without)) {
            put_field(out, trailers->fields[i].name, trailers->fields[i].value);
        }
    }
    text_string(out, "\r\n");
}

void h1_write_chunk_head(struct text *out, uint64_t len)
{
    static const char digits[] = "0123456789abcdef";
    char line[18];
    size_t at = sizeof(line);

    line[--at] = '\n';
    line[--at] = '\r';
    do {
        line[--at] = digits[len & 15];
        len >>= 4;
    } while (len);
    text_bytes(out, span_make(line + at, sizeof(line) - at));
}
