/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each message is read from its first byte with each call, in its own order and never past what is
 * there: so the answer cannot depend on how the bytes were cut.
 */
#include "core/session/socks.h"

#include "core/base/assert.h"

#include <arpa/inet.h>

enum { VERSION = 5, VERSION_AUTH = 1, RESERVED = 0 };

/* RFC 1928 5. */
enum { ADDRESS_IPV4 = 1, ADDRESS_NAME = 3, ADDRESS_IPV6 = 4 };

enum { IPV4_LEN = 4, IPV6_LEN = 16 };

/* What was received, and how far it was read. The first result that is not DONE stays. */
struct scan {
    struct span bytes;
    size_t at;
    enum socks_result result;
    struct socks_fault *fault;
};

static bool is_good(const struct scan *scan)
{
    return scan->result == SOCKS_DONE;
}

static void refuse(struct scan *scan, size_t offset, uint8_t reply, const char *what)
{
    if (is_good(scan)) {
        scan->result = SOCKS_BAD;
        *scan->fault = (struct socks_fault){what, offset, reply};
    }
}

/* The next bytes; empty when they are not all there, or something was wrong before. */
static struct span take(struct scan *scan, size_t len)
{
    if (is_good(scan) && scan->bytes.len - scan->at < len) {
        scan->result = SOCKS_MORE;
    }
    if (!is_good(scan)) {
        return (struct span){NULL, 0};
    }
    scan->at += len;
    return span_sub(scan->bytes, scan->at - len, len);
}

static uint8_t take_byte(struct scan *scan)
{
    struct span byte = take(scan, 1);
    return byte.len ? byte.data[0] : 0;
}

/* A byte that has one value only. */
static void expect(struct scan *scan, uint8_t value, const char *what)
{
    if (take_byte(scan) != value) {
        refuse(scan, scan->at - 1, SOCKS_REPLY_FAILURE, what);
    }
}

/* A length of `min` at least, and what has it. */
static struct span take_text(struct scan *scan, size_t min, const char *too_short)
{
    uint8_t len = take_byte(scan);

    if (len < min) {
        refuse(scan, scan->at - 1, SOCKS_REPLY_FAILURE, too_short);
    }
    return take(scan, len);
}

static uint16_t take_port(struct scan *scan)
{
    struct span port = take(scan, 2);
    return port.len ? (uint16_t)(port.data[0] << 8 | port.data[1]) : 0;
}

static void write_port(struct text *out, uint16_t port)
{
    text_char(out, (char)(port >> 8));
    text_char(out, (char)port);
}

/* The address with its type before it, without the port. */
static void write_ip(struct text *out, const struct address *address)
{
    if (address->u.any.sa_family == AF_INET6) {
        text_char(out, ADDRESS_IPV6);
        text_bytes(out, span_make(&address->u.v6.sin6_addr, IPV6_LEN));
    } else {
        text_char(out, ADDRESS_IPV4);
        text_bytes(out, span_make(&address->u.v4.sin_addr, IPV4_LEN));
    }
}

/* ---- As the server ---- */

static bool is_version4(struct span bytes)
{
    return bytes.len && bytes.data[0] == 4;
}

enum socks_result socks_parse_greeting(struct span bytes, struct socks_greeting *greeting,
                                       struct socks_fault *fault)
{
    struct scan scan = {.bytes = bytes, .result = SOCKS_DONE, .fault = fault};

    expect(&scan, VERSION,
           is_version4(bytes) ? "this is SOCKS4; only SOCKS5 is spoken here"
                              : "this is not SOCKS5: the version is not 5");
    greeting->methods = take_text(&scan, 1, "the client offers no authentication method at all");
    greeting->len = scan.at;
    return scan.result;
}

bool socks_is_offered(const struct socks_greeting *greeting, enum socks_method method)
{
    return span_find(greeting->methods, (uint8_t)method) < greeting->methods.len;
}

void socks_write_method(struct text *out, enum socks_method method)
{
    text_char(out, VERSION);
    text_char(out, (char)method);
}

void socks_write_refusal(struct text *out, struct span opening)
{
    if (is_version4(opening)) {
        /* The version of the answer, "rejected or failed", a port and an address that mean nothing.
         */
        text_bytes(out, SPAN_LITERAL("\0\x5b\0\0\0\0\0\0"));
    } else {
        socks_write_method(out, SOCKS_METHOD_REFUSED);
    }
}

enum socks_result socks_parse_auth(struct span bytes, struct socks_auth *auth,
                                   struct socks_fault *fault)
{
    struct scan scan = {.bytes = bytes, .result = SOCKS_DONE, .fault = fault};

    expect(&scan, VERSION_AUTH, "the version of the user name and password is not 1");
    auth->username = take_text(&scan, 1, "the user name is empty");
    auth->password = take_text(&scan, 0, "");
    auth->len = scan.at;
    return scan.result;
}

void socks_write_auth_status(struct text *out, bool accepted)
{
    text_char(out, VERSION_AUTH);
    text_char(out, accepted ? 0 : 1);
}

static void take_target_ip(struct scan *scan, struct http_authority *target, bool is_ipv6)
{
    struct span ip = take(scan, is_ipv6 ? IPV6_LEN : IPV4_LEN);

    if (ip.len) {
        inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, ip.data, target->host, sizeof(target->host));
        target->host_len = strlen(target->host);
        target->is_ip = true;
        target->is_ipv6 = is_ipv6;
    }
}

static void take_target_name(struct scan *scan, struct http_authority *target)
{
    struct span name = take_text(scan, 1, "the domain name is empty");
    size_t begin = scan->at - name.len;
    struct http_fault fault;

    if (!is_good(scan)) {
        return;
    }
    /* Neither a port nor an IPv6 address, both of which an authority may have. */
    if (span_find(name, ':') < name.len) {
        refuse(scan, begin + span_find(name, ':'), SOCKS_REPLY_FAILURE,
               "the domain name holds a colon; an IPv6 address has a type of its own, and the port "
               "a field");
    } else if (!authority_parse_host(target, name, &fault)) {
        refuse(scan, begin + fault.offset, SOCKS_REPLY_FAILURE, fault.what);
    }
}

static void take_target(struct scan *scan, struct http_authority *target)
{
    uint8_t type = take_byte(scan);

    switch (type) {
    case ADDRESS_IPV4:
    case ADDRESS_IPV6:
        take_target_ip(scan, target, type == ADDRESS_IPV6);
        break;
    case ADDRESS_NAME:
        take_target_name(scan, target);
        break;
    default:
        refuse(scan, scan->at - 1, SOCKS_REPLY_ADDRESS_UNSUPPORTED,
               "the address is neither IPv4 nor IPv6 nor a domain name");
    }
    target->port = take_port(scan);
}

enum socks_result socks_parse_request(struct span bytes, struct socks_request *request,
                                      struct socks_fault *fault)
{
    struct scan scan = {.bytes = bytes, .result = SOCKS_DONE, .fault = fault};
    uint8_t command;

    *request = (struct socks_request){.len = 0};
    expect(&scan, VERSION, "the request's version is not 5");
    command = take_byte(&scan);
    if (command < SOCKS_CONNECT || command > SOCKS_UDP_ASSOCIATE) {
        refuse(&scan, 1, SOCKS_REPLY_COMMAND_UNSUPPORTED,
               "the command is none of CONNECT, BIND, UDP ASSOCIATE");
    }
    request->command = (enum socks_command)command;
    expect(&scan, RESERVED, "the reserved byte of the request is not 0");
    take_target(&scan, &request->target);
    if (command == SOCKS_CONNECT && request->target.port == 0) {
        refuse(&scan, scan.at - 2, SOCKS_REPLY_FAILURE, "no connection can be made to port 0");
    }
    request->len = scan.at;
    return scan.result;
}

void socks_write_reply(struct text *out, enum socks_reply_code code, const struct address *bound)
{
    static const struct address none;

    bound = bound && bound->len ? bound : &none;
    text_char(out, VERSION);
    text_char(out, (char)code);
    text_char(out, RESERVED);
    write_ip(out, bound);
    write_port(out, address_port(bound));
}

/* ---- As the client ---- */

void socks_write_greeting(struct text *out, bool has_password)
{
    text_bytes(out, has_password ? SPAN_LITERAL("\x05\x02\x00\x02") : SPAN_LITERAL("\x05\x01\x00"));
}

enum socks_result socks_parse_method(struct span bytes, bool has_password,
                                     enum socks_method *method, struct socks_fault *fault)
{
    struct scan scan = {.bytes = bytes, .result = SOCKS_DONE, .fault = fault};

    expect(&scan, VERSION, "what answers is no SOCKS5 server: the version is not 5");
    *method = (enum socks_method)take_byte(&scan);
    if (*method == SOCKS_METHOD_REFUSED) {
        refuse(&scan, 1, SOCKS_REPLY_FAILURE,
               has_password ? "the SOCKS server takes neither a password nor a client without one"
                            : "the SOCKS server wants authentication, and no user is configured");
    } else if (*method != SOCKS_METHOD_NONE &&
               !(*method == SOCKS_METHOD_PASSWORD && has_password)) {
        refuse(&scan, 1, SOCKS_REPLY_FAILURE,
               "the SOCKS server chose an authentication method that was not offered");
    }
    return scan.result;
}

static void write_text(struct text *out, struct span text)
{
    ASSERT(text.len <= SOCKS_TEXT_MAX);
    text_char(out, (char)text.len);
    text_bytes(out, text);
}

void socks_write_auth(struct text *out, struct span username, struct span password)
{
    ASSERT(username.len > 0);
    text_char(out, VERSION_AUTH);
    write_text(out, username);
    write_text(out, password);
}

enum socks_result socks_parse_auth_status(struct span bytes, struct socks_fault *fault)
{
    struct scan scan = {.bytes = bytes, .result = SOCKS_DONE, .fault = fault};

    expect(&scan, VERSION_AUTH, "the version of the SOCKS server's status is not 1");
    expect(&scan, 0, "the SOCKS server does not accept the user name and password");
    return scan.result;
}

void socks_write_connect(struct text *out, struct span host, uint16_t port)
{
    struct address address;

    text_char(out, VERSION);
    text_char(out, SOCKS_CONNECT);
    text_char(out, RESERVED);
    if (address_parse_ip(&address, host, port)) {
        write_ip(out, &address);
    } else {
        ASSERT(host.len > 0);
        text_char(out, ADDRESS_NAME);
        write_text(out, host);
    }
    write_port(out, port);
}

static struct address take_ip(struct scan *scan, bool is_ipv6)
{
    struct span ip = take(scan, is_ipv6 ? IPV6_LEN : IPV4_LEN);
    struct address address = {.len = 0};

    if (ip.len && is_ipv6) {
        address.len = sizeof(address.u.v6);
        address.u.v6.sin6_family = AF_INET6;
        memcpy(&address.u.v6.sin6_addr, ip.data, IPV6_LEN);
    } else if (ip.len) {
        address.len = sizeof(address.u.v4);
        address.u.v4.sin_family = AF_INET;
        memcpy(&address.u.v4.sin_addr, ip.data, IPV4_LEN);
    }
    return address;
}

static void take_bound(struct scan *scan, struct socks_reply *reply)
{
    uint8_t type = take_byte(scan);
    uint16_t port;

    switch (type) {
    case ADDRESS_IPV4:
    case ADDRESS_IPV6:
        reply->bound = take_ip(scan, type == ADDRESS_IPV6);
        break;
    case ADDRESS_NAME:
        reply->bound_name = take_text(scan, 0, "");
        break;
    default:
        refuse(scan, scan->at - 1, SOCKS_REPLY_FAILURE,
               "the address in the SOCKS server's reply is neither IPv4 nor IPv6 nor a name");
    }
    port = take_port(scan);
    if (reply->bound.len) {
        address_set_port(&reply->bound, port);
    }
}

enum socks_result socks_parse_reply(struct span bytes, struct socks_reply *reply,
                                    struct socks_fault *fault)
{
    struct scan scan = {.bytes = bytes, .result = SOCKS_DONE, .fault = fault};
    uint8_t code;

    *reply = (struct socks_reply){.len = 0};
    expect(&scan, VERSION, "the version of the SOCKS server's reply is not 5");
    code = take_byte(&scan);
    if (code != SOCKS_REPLY_SUCCEEDED) {
        refuse(&scan, 1, code, socks_reply_sentence(code));
    }
    expect(&scan, RESERVED, "the reserved byte of the SOCKS server's reply is not 0");
    take_bound(&scan, reply);
    reply->len = scan.at;
    return scan.result;
}

const char *socks_reply_sentence(uint8_t code)
{
    static const char *const sentences[] = {
        [SOCKS_REPLY_SUCCEEDED] = "the connection was made",
        [SOCKS_REPLY_FAILURE] = "the SOCKS server failed",
        [SOCKS_REPLY_NOT_ALLOWED] = "a rule of the SOCKS server does not allow the connection",
        [SOCKS_REPLY_NETWORK_UNREACHABLE] = "the network is unreachable from the SOCKS server",
        [SOCKS_REPLY_HOST_UNREACHABLE] = "the host is unreachable from the SOCKS server",
        [SOCKS_REPLY_REFUSED] = "the destination refused the SOCKS server's connection",
        [SOCKS_REPLY_TTL_EXPIRED] = "the time to live expired on the SOCKS server's way",
        [SOCKS_REPLY_COMMAND_UNSUPPORTED] = "the SOCKS server does not know the command",
        [SOCKS_REPLY_ADDRESS_UNSUPPORTED] = "the SOCKS server does not know the type of address",
    };

    return code < COUNT_OF(sentences) ? sentences[code]
                                      : "the SOCKS server's reply has a code that nobody assigned";
}
