/* SPDX-License-Identifier: Apache-2.0 */
#include "http/authority.h"

#include "http/field.h"

#include <arpa/inet.h>

enum { LABEL_MAX = 63, NAME_MAX_LEN = 253 };

static bool refuse(struct http_fault *fault, size_t offset, const char *what)
{
    return fault_set(fault, true, 400, offset, what);
}

/* RFC 9110 4.2.1 counts ports as digits; one number has one spelling here. */
static bool read_port(uint16_t *port, struct span text)
{
    uint32_t value = 0;

    if (text.len > 5 || !span_is_all(text, CHAR_DIGIT) || text.data[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

/* Four decimal numbers of 0 to 255 without leading zeros. */
static bool is_dotted_quad(struct span text)
{
    for (int part = 0; part < 4; part++) {
        size_t dot = span_find(text, '.');
        struct span digits = span_sub(text, 0, dot);

        if ((dot == text.len) != (part == 3) || digits.len > 3 ||
            !span_is_all(digits, CHAR_DIGIT) || (digits.data[0] == '0' && digits.len > 1) ||
            (digits.len == 3 && memcmp(digits.data, "255", 3) > 0)) {
            return false;
        }
        text = span_skip(text, dot + 1);
    }
    return true;
}

/* A name whose last label resolvers may take for a number (inet_aton's spellings of addresses). */
static bool ends_in_number(struct span name)
{
    size_t begin = name.len;

    while (begin && name.data[begin - 1] != '.') {
        begin--;
    }
    struct span label = span_skip(name, begin);
    return span_is_all(label, CHAR_DIGIT) ||
           span_equal_nocase(span_sub(label, 0, 2), SPAN_LITERAL("0x"));
}

/* The name in lower case into authority->host. Null, or what is wrong. */
static const char *copy_name(struct http_authority *authority, struct span name)
{
    size_t label_len = 0;

    if (name.len > NAME_MAX_LEN) {
        return "the host name is longer than 253 bytes";
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];

        if (c == '.') {
            if (label_len == 0) {
                return "the host name has an empty label";
            }
            label_len = 0;
        } else if (!char_is(c, CHAR_NAME)) {
            return c == '%' ? "the host name is percent-encoded"
                            : "the host name holds a character that no DNS name has";
        } else if (++label_len > LABEL_MAX) {
            return "a label of the host name is longer than 63 bytes";
        }
        authority->host[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    authority->host[name.len] = '\0';
    authority->host_len = name.len;
    return label_len == 0 ? "the host name has an empty label" : NULL;
}

static const char *read_name(struct http_authority *authority, struct span name)
{
    bool dotted = name.len > 1 && name.data[name.len - 1] == '.';
    const char *what;

    if (name.len == 0) {
        return "there is no host";
    }
    name.len -= dotted ? 1 : 0; /* "example.com." is the same name, written in full */
    what = copy_name(authority, name);
    if (what) {
        return what;
    }
    if (ends_in_number(name)) {
        if (dotted || !is_dotted_quad(name)) {
            return "the host looks like an IPv4 address, but is not four plain decimal numbers";
        }
        authority->is_ip = true;
    }
    return NULL;
}

/* What stands between the brackets, into its one canonical spelling (RFC 5952). */
static const char *read_ipv6(struct http_authority *authority, struct span text)
{
    char spelt[INET6_ADDRSTRLEN];
    struct in6_addr address;

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '%') {
            return "an IPv6 zone has no meaning for a proxy";
        }
    }
    if (text.len == 0 || text.len >= sizeof(spelt)) {
        return "there is no IPv6 address between the brackets";
    }
    memcpy(spelt, text.data, text.len);
    spelt[text.len] = '\0';
    if (strlen(spelt) != text.len || inet_pton(AF_INET6, spelt, &address) != 1) {
        return "there is no IPv6 address between the brackets";
    }
    inet_ntop(AF_INET6, &address, authority->host, sizeof(authority->host));
    authority->host_len = strlen(authority->host);
    authority->is_ip = true;
    authority->is_ipv6 = true;
    return NULL;
}

static bool parse(struct http_authority *authority, struct span text, bool port_required,
                  struct http_fault *fault)
{
    bool bracketed = text.len && text.data[0] == '[';
    size_t host_end = span_find(text, bracketed ? ']' : ':');
    const char *what;
    struct span rest;

    authority->is_ip = false;
    authority->is_ipv6 = false;
    authority->port = 0;
    if (bracketed && host_end == text.len) {
        return refuse(fault, 0, "the bracket of an IPv6 address is not closed");
    }
    if (!bracketed && host_end < text.len &&
        span_find(span_skip(text, host_end + 1), ':') + host_end + 1 < text.len) {
        return refuse(fault, host_end, "there are several colons; an IPv6 address needs brackets");
    }
    what = bracketed ? read_ipv6(authority, span_sub(text, 1, host_end - 1))
                     : read_name(authority, span_sub(text, 0, host_end));
    if (what) {
        return refuse(fault, 0, what);
    }
    rest = span_skip(text, host_end + (bracketed ? 1 : 0));
    if (rest.len == 0) {
        return !port_required || refuse(fault, text.len, "there is no port; host:port is needed");
    }
    return (rest.data[0] == ':' && read_port(&authority->port, span_skip(rest, 1))) ||
           refuse(fault, text.len - rest.len,
                  "the port is not a plain decimal number from 1 to 65535");
}

bool authority_parse_connect(struct http_authority *authority, struct span text,
                             struct http_fault *fault)
{
    return parse(authority, text, true, fault);
}

bool authority_parse_host(struct http_authority *authority, struct span text,
                          struct http_fault *fault)
{
    return parse(authority, text, false, fault);
}

bool authority_parse_absolute(struct http_authority *authority, enum http_scheme *scheme,
                              struct span *path, struct span target, struct http_fault *fault)
{
    struct span http = SPAN_LITERAL("http://");
    struct span https = SPAN_LITERAL("https://");
    size_t begin;
    size_t end;

    if (span_equal_nocase(span_sub(target, 0, http.len), http)) {
        *scheme = HTTP_SCHEME_HTTP;
        begin = http.len;
    } else if (span_equal_nocase(span_sub(target, 0, https.len), https)) {
        *scheme = HTTP_SCHEME_HTTPS;
        begin = https.len;
    } else if (target.len && target.data[0] == '/') {
        return refuse(fault, 0, "this is a proxy: it needs a whole URI, such as http://host/path");
    } else {
        return refuse(fault, 0, "the request-target is neither a path nor an http or https URI");
    }
    if (span_find(target, '#') < target.len) {
        return refuse(fault, span_find(target, '#'),
                      "the request-target has a fragment, which is never sent");
    }
    for (end = begin; end < target.len && target.data[end] != '/' && target.data[end] != '?';) {
        if (target.data[end++] == '@') {
            return refuse(fault, end - 1, "user information in a URI is not served");
        }
    }
    if (!parse(authority, span_sub(target, begin, end - begin), false, fault)) {
        fault->offset += begin;
        return false;
    }
    if (authority->port == 0) {
        authority->port = *scheme == HTTP_SCHEME_HTTPS ? 443 : 80;
    }
    *path = span_skip(target, end);
    return true;
}

void authority_write(struct text *out, const char *host, uint16_t port)
{
    if (strchr(host, ':')) {
        text_char(out, '[');
        text_string(out, host);
        text_char(out, ']');
    } else {
        text_string(out, host);
    }
    text_char(out, ':');
    text_unsigned(out, port);
}
