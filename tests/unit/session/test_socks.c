/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each message is parsed from an exact copy of each of its prefixes, so that a sanitizer sees a
 * read past the end: MORE up to one length, from there on one answer.
 */
#include "core/session/socks.h"

#include "core/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum message { GREETING, AUTH, REQUEST, METHOD, METHOD_OR_PASSWORD, AUTH_STATUS, REPLY };

static struct socks_greeting greeting; /* of the last parse; views are of the bytes given */
static struct socks_auth auth;
static struct socks_request request;
static struct socks_reply reply;
static enum socks_method method;
static struct socks_fault fault;
static size_t message_len;

static enum socks_result parse_once(enum message message, struct span bytes)
{
    enum socks_result result = SOCKS_BAD;

    message_len = 2;
    switch (message) {
    case GREETING:
        result = socks_parse_greeting(bytes, &greeting, &fault);
        message_len = greeting.len;
        break;
    case AUTH:
        result = socks_parse_auth(bytes, &auth, &fault);
        message_len = auth.len;
        break;
    case REQUEST:
        result = socks_parse_request(bytes, &request, &fault);
        message_len = request.len;
        break;
    case METHOD:
    case METHOD_OR_PASSWORD:
        result = socks_parse_method(bytes, message == METHOD_OR_PASSWORD, &method, &fault);
        break;
    case AUTH_STATUS:
        result = socks_parse_auth_status(bytes, &fault);
        break;
    case REPLY:
        result = socks_parse_reply(bytes, &reply, &fault);
        message_len = reply.len;
        break;
    }
    return result;
}

/* The answer, and the number of bytes that it comes with. */
static enum socks_result parse(enum message message, struct span bytes, size_t *said_at)
{
    enum socks_result said = SOCKS_MORE;
    struct socks_fault first = {NULL, 0, 0};

    *said_at = 0;
    for (size_t end = 0; end <= bytes.len; end++) {
        uint8_t *copy = malloc(end ? end : 1);
        enum socks_result result;

        assert_non_null(copy);
        memcpy(copy, bytes.data, end);
        result = parse_once(message, span_make(copy, end));
        free(copy);
        if (said == SOCKS_MORE) {
            said = result;
            first = fault;
            *said_at = end;
        }
        assert_int_equal(result, said);
        if (said == SOCKS_DONE) {
            assert_int_equal(message_len, *said_at);
        } else if (said == SOCKS_BAD) {
            assert_ptr_equal(fault.what, first.what);
            assert_int_equal(fault.offset, first.offset);
            assert_int_equal(fault.reply, first.reply);
            assert_true(fault.offset < *said_at);
        }
    }
    assert_int_equal(parse_once(message, bytes), said);
    return said;
}

static void parse_good(enum message message, struct span bytes, size_t len)
{
    size_t said_at;
    enum socks_result result = parse(message, bytes, &said_at);

    if (result == SOCKS_BAD) {
        fail_msg("%s at %zu", fault.what, fault.offset);
    }
    assert_int_equal(result, SOCKS_DONE);
    assert_int_equal(said_at, len);
}

static void parse_bad(enum message message, struct span bytes, size_t expected_said_at,
                      size_t offset, uint8_t code)
{
    size_t said_at;
    enum socks_result result = parse(message, bytes, &said_at);

    if (result != SOCKS_BAD || said_at != expected_said_at || fault.offset != offset ||
        fault.reply != code) {
        fail_msg("answer %d with %zu bytes (%zu), fault at %zu (%zu), reply %u (%u)", result,
                 said_at, expected_said_at, fault.offset, offset, fault.reply, code);
    }
    assert_non_null(fault.what);
}

#define GOOD(message, bytes, len) parse_good(message, SPAN_LITERAL(bytes), len)
#define BAD(message, bytes, said_at, offset, code)                                                 \
    parse_bad(message, SPAN_LITERAL(bytes), said_at, offset, code)

static void assert_address(const struct address *address, const char *expected)
{
    char text[ADDRESS_TEXT_MAX];

    address_format(address, text);
    assert_string_equal(text, expected);
}

static uint8_t memory[SOCKS_BYTES_MAX];

static struct text written(void)
{
    return text_make(memory, sizeof(memory));
}

static void assert_written(const struct text *text, struct span expected)
{
    assert_false(text->overflow);
    assert_true(span_equal(text_view(text), expected));
}

/* ---- As the server ---- */

static void greetings(void **state)
{
    uint8_t longest[SOCKS_GREETING_BYTES_MAX + 1] = {5, 255};

    (void)state;
    GOOD(GREETING, "\x05\x01\x00", 3);
    assert_true(span_equal(greeting.methods, SPAN_LITERAL("\0")));
    assert_true(socks_is_offered(&greeting, SOCKS_METHOD_NONE));
    assert_false(socks_is_offered(&greeting, SOCKS_METHOD_PASSWORD));
    GOOD(GREETING, "\x05\x03\x01\x02\x80", 5);
    assert_false(socks_is_offered(&greeting, SOCKS_METHOD_NONE));
    assert_true(socks_is_offered(&greeting, SOCKS_METHOD_PASSWORD));
    GOOD(GREETING, "\x05\x01\x00\x05\x01\x00\x01", 3); /* the request came along */
    parse_good(GREETING, span_make(longest, sizeof(longest)), SOCKS_GREETING_BYTES_MAX);

    BAD(GREETING, "\x05\x00", 2, 1, SOCKS_REPLY_FAILURE);
    BAD(GREETING, "GET / HTTP/1.1", 1, 0, SOCKS_REPLY_FAILURE);
    BAD(GREETING, "\x06\x01\x00", 1, 0, SOCKS_REPLY_FAILURE);
    BAD(GREETING, "\x00\x01\x00", 1, 0, SOCKS_REPLY_FAILURE);
}

static void socks4_is_told_apart(void **state)
{
    struct text old = written();

    (void)state;
    BAD(GREETING, "\x04\x01\x01\xbb\xc0\x00\x02\x01user\0", 1, 0, SOCKS_REPLY_FAILURE);
    assert_non_null(strstr(fault.what, "SOCKS4"));
    socks_write_refusal(&old, SPAN_LITERAL("\x04\x01"));
    assert_written(&old, SPAN_LITERAL("\0\x5b\0\0\0\0\0\0"));
    BAD(GREETING, "\x16\x03\x01", 1, 0, SOCKS_REPLY_FAILURE);
    assert_null(strstr(fault.what, "SOCKS4"));
    struct text others = written();
    socks_write_refusal(&others, SPAN_LITERAL("\x16\x03"));
    socks_write_refusal(&others, SPAN_LITERAL(""));
    assert_written(&others, SPAN_LITERAL("\x05\xff\x05\xff"));
}

static void names_and_passwords(void **state)
{
    uint8_t longest[SOCKS_AUTH_BYTES_MAX + 1] = {1, 255};

    (void)state;
    GOOD(AUTH, "\x01\x04user\x06secret", 13);
    assert_true(span_equal(auth.username, SPAN_LITERAL("user")));
    assert_true(span_equal(auth.password, SPAN_LITERAL("secret")));
    GOOD(AUTH, "\x01\x02\0\xff\x01:\x05", 6);
    assert_true(span_equal(auth.username, SPAN_LITERAL("\0\xff")));
    assert_true(span_equal(auth.password, SPAN_LITERAL(":")));
    GOOD(AUTH, "\x01\x01u\x00", 4);
    assert_int_equal(auth.password.len, 0);
    longest[257] = 255;
    parse_good(AUTH, span_make(longest, sizeof(longest)), SOCKS_AUTH_BYTES_MAX);
    assert_int_equal(auth.username.len, 255);
    assert_int_equal(auth.password.len, 255);

    BAD(AUTH, "\x05\x01u\x01p", 1, 0, SOCKS_REPLY_FAILURE);
    BAD(AUTH, "\x01\x00\x01p", 2, 1, SOCKS_REPLY_FAILURE);
}

static void assert_target(enum socks_command command, const char *host, uint16_t port, bool is_ip)
{
    assert_int_equal(request.command, command);
    assert_string_equal(request.target.host, host);
    assert_int_equal(request.target.host_len, strlen(host));
    assert_int_equal(request.target.port, port);
    assert_int_equal(request.target.is_ip, is_ip);
    assert_int_equal(request.target.is_ipv6, is_ip && strchr(host, ':') != NULL);
}

#define IPV6_BYTES "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"

static void requests(void **state)
{
    (void)state;
    GOOD(REQUEST, "\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb", 10);
    assert_target(SOCKS_CONNECT, "192.0.2.1", 443, true);
    GOOD(REQUEST, "\x05\x01\x00\x04" IPV6_BYTES "\xff\xff\x16\x03", 22);
    assert_target(SOCKS_CONNECT, "2001:db8::1", 65535, true);
    GOOD(REQUEST, "\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01\x00\x01", 22);
    assert_target(SOCKS_CONNECT, "::ffff:192.0.2.1", 1, true);
    GOOD(REQUEST,
         "\x05\x01\x00\x03\x0b"
         "Example.COM"
         "\x00\x50",
         18);
    assert_target(SOCKS_CONNECT, "example.com", 80, false);
    GOOD(REQUEST,
         "\x05\x01\x00\x03\x02"
         "a."
         "\x00\x50",
         9);
    assert_target(SOCKS_CONNECT, "a", 80, false);
    GOOD(REQUEST,
         "\x05\x01\x00\x03\x09"
         "192.0.2.1"
         "\x00\x50",
         16); /* an address as a name */
    assert_target(SOCKS_CONNECT, "192.0.2.1", 80, true);
    GOOD(REQUEST, "\x05\x02\x00\x01\0\0\0\0\0\0", 10);
    assert_target(SOCKS_BIND, "0.0.0.0", 0, true);
    GOOD(REQUEST, "\x05\x03\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22);
    assert_target(SOCKS_UDP_ASSOCIATE, "::", 0, true);
    GOOD(REQUEST, "\x05\x03\x00\x03\x01x\0\0", 8);
    assert_target(SOCKS_UDP_ASSOCIATE, "x", 0, false);
}

static void requests_that_are_wrong(void **state)
{
    (void)state;
    BAD(REQUEST, "\x04\x01\x00\x01\xc0\x00\x02\x01\x01\xbb", 1, 0, SOCKS_REPLY_FAILURE);
    BAD(REQUEST, "\x05\x00\x00\x01", 2, 1, SOCKS_REPLY_COMMAND_UNSUPPORTED);
    BAD(REQUEST, "\x05\x04\x00\x01", 2, 1, SOCKS_REPLY_COMMAND_UNSUPPORTED);
    BAD(REQUEST, "\x05\xf0\x00\x01", 2, 1, SOCKS_REPLY_COMMAND_UNSUPPORTED); /* Tor's RESOLVE */
    BAD(REQUEST, "\x05\x01\x01\x01", 3, 2, SOCKS_REPLY_FAILURE);
    BAD(REQUEST, "\x05\x01\x00\x00", 4, 3, SOCKS_REPLY_ADDRESS_UNSUPPORTED);
    BAD(REQUEST, "\x05\x01\x00\x02", 4, 3, SOCKS_REPLY_ADDRESS_UNSUPPORTED);
    BAD(REQUEST, "\x05\x01\x00\x05", 4, 3, SOCKS_REPLY_ADDRESS_UNSUPPORTED);
    BAD(REQUEST, "\x05\x01\x00\xff", 4, 3, SOCKS_REPLY_ADDRESS_UNSUPPORTED);
    BAD(REQUEST, "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x00", 10, 8, SOCKS_REPLY_FAILURE);
    BAD(REQUEST, "\x05\x01\x00\x03\x01x\x00\x00", 8, 6, SOCKS_REPLY_FAILURE);
}

/* Names: the rules are those of authority_parse_host(), without its port and brackets. */
static void names_that_are_wrong(void **state)
{
    static const struct {
        struct span name;
        size_t offset; /* within the name */
    } rows[] = {
        {SPAN_LITERAL("a\0b"), 0},
        {SPAN_LITERAL("\0"), 0},
        {SPAN_LITERAL("a\nb"), 0},
        {SPAN_LITERAL("a b"), 0},
        {SPAN_LITERAL("a\x7f"), 0},
        {SPAN_LITERAL("b\xc3\xbc"), 0},
        {SPAN_LITERAL("a..b"), 0},
        {SPAN_LITERAL("."), 0},
        {SPAN_LITERAL(".a"), 0},
        {SPAN_LITERAL("a/b"), 0},
        {SPAN_LITERAL("a@b"), 0},
        {SPAN_LITERAL("%61"), 0},
        {SPAN_LITERAL("1.2.3"), 0},
        {SPAN_LITERAL("1.2.3.256"), 0},
        {SPAN_LITERAL("0x7f000001"), 0},
        {SPAN_LITERAL("2130706433"), 0},
        {SPAN_LITERAL("example.com:80"), 11},
        {SPAN_LITERAL("::1"), 0},
        {SPAN_LITERAL("[::1]"), 1},
        {SPAN_LITERAL("[]"), 0},
        {SPAN_LITERAL("a234567890123456789012345678901234567890123456789012345678901234"), 0},
    };
    uint8_t bytes[SOCKS_REQUEST_BYTES_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text text = text_make(bytes, sizeof(bytes));

        text_bytes(&text, SPAN_LITERAL("\x05\x01\x00\x03"));
        text_char(&text, (char)rows[i].name.len);
        text_bytes(&text, rows[i].name);
        parse_bad(REQUEST, text_view(&text), 5 + rows[i].name.len, 5 + rows[i].offset,
                  SOCKS_REPLY_FAILURE);
    }
    BAD(REQUEST, "\x05\x01\x00\x03\x00\x00\x50", 5, 4, SOCKS_REPLY_FAILURE);
}

static void the_longest_names(void **state)
{
    uint8_t bytes[SOCKS_REQUEST_BYTES_MAX] = {5, 1, 0, 3};

    (void)state;
    for (size_t i = 0; i < 255; i++) {
        bytes[5 + i] = i % 4 == 3 ? '.' : 'a';
    }
    bytes[4] = 253; /* ends with a letter */
    parse_good(REQUEST, span_make(bytes, sizeof(bytes)), 5 + 253 + 2);
    assert_int_equal(request.target.host_len, 253);
    bytes[4] = 255;
    parse_bad(REQUEST, span_make(bytes, sizeof(bytes)), 5 + 255, 5, SOCKS_REPLY_FAILURE);
}

static void what_a_server_writes(void **state)
{
    struct address address;
    struct text text = written();

    (void)state;
    socks_write_method(&text, SOCKS_METHOD_NONE);
    socks_write_method(&text, SOCKS_METHOD_PASSWORD);
    socks_write_method(&text, SOCKS_METHOD_REFUSED);
    socks_write_auth_status(&text, true);
    socks_write_auth_status(&text, false);
    assert_written(&text, SPAN_LITERAL("\x05\x00\x05\x02\x05\xff\x01\x00\x01\x01"));

    text = written();
    socks_write_reply(&text, SOCKS_REPLY_REFUSED, NULL);
    assert_written(&text, SPAN_LITERAL("\x05\x05\x00\x01\0\0\0\0\0\0"));
    text = written();
    address.len = 0;
    address.u.any.sa_family = AF_UNSPEC;
    socks_write_reply(&text, SOCKS_REPLY_NOT_ALLOWED, &address);
    assert_written(&text, SPAN_LITERAL("\x05\x02\x00\x01\0\0\0\0\0\0"));
    text = written();
    assert_true(address_parse_ip(&address, SPAN_LITERAL("192.0.2.1"), 443));
    socks_write_reply(&text, SOCKS_REPLY_SUCCEEDED, &address);
    assert_written(&text, SPAN_LITERAL("\x05\x00\x00\x01\xc0\x00\x02\x01\x01\xbb"));
    text = written();
    assert_true(address_parse_ip(&address, SPAN_LITERAL("2001:db8::1"), 65535));
    socks_write_reply(&text, SOCKS_REPLY_SUCCEEDED, &address);
    assert_written(&text, SPAN_LITERAL("\x05\x00\x00\x04" IPV6_BYTES "\xff\xff"));
}

/* ---- As the client ---- */

static void what_a_client_writes(void **state)
{
    static char name[SOCKS_TEXT_MAX + 1];
    struct text text = written();

    (void)state;
    socks_write_greeting(&text, false);
    assert_written(&text, SPAN_LITERAL("\x05\x01\x00"));
    text = written();
    socks_write_greeting(&text, true);
    assert_written(&text, SPAN_LITERAL("\x05\x02\x00\x02"));
    text = written();
    socks_write_auth(&text, SPAN_LITERAL("me"), SPAN_LITERAL(""));
    assert_written(&text, SPAN_LITERAL("\x01\x02me\x00"));
    text = written();
    socks_write_connect(&text, SPAN_LITERAL("192.0.2.1"), 443);
    assert_written(&text, SPAN_LITERAL("\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb"));
    text = written();
    socks_write_connect(&text, SPAN_LITERAL("2001:db8::1"), 65535);
    assert_written(&text, SPAN_LITERAL("\x05\x01\x00\x04" IPV6_BYTES "\xff\xff"));
    text = written();
    socks_write_connect(&text, SPAN_LITERAL("example.com"), 80);
    assert_written(&text, SPAN_LITERAL("\x05\x01\x00\x03\x0b"
                                       "example.com"
                                       "\x00\x50"));
    /* The longest of all. */
    memset(name, 'n', SOCKS_TEXT_MAX);
    text = written();
    socks_write_auth(&text, span_from_string(name), span_from_string(name));
    assert_false(text.overflow);
    assert_int_equal(text.len, SOCKS_BYTES_MAX);
}

static void method_choices(void **state)
{
    (void)state;
    GOOD(METHOD, "\x05\x00", 2);
    assert_int_equal(method, SOCKS_METHOD_NONE);
    GOOD(METHOD_OR_PASSWORD, "\x05\x00", 2);
    GOOD(METHOD_OR_PASSWORD, "\x05\x02\x01", 2);
    assert_int_equal(method, SOCKS_METHOD_PASSWORD);
    BAD(METHOD, "\x05\x02", 2, 1, SOCKS_REPLY_FAILURE);
    BAD(METHOD, "\x05\xff", 2, 1, SOCKS_REPLY_FAILURE);
    BAD(METHOD_OR_PASSWORD, "\x05\xff", 2, 1, SOCKS_REPLY_FAILURE);
    BAD(METHOD_OR_PASSWORD, "\x05\x01", 2, 1, SOCKS_REPLY_FAILURE);
    BAD(METHOD, "\x04\x00", 1, 0, SOCKS_REPLY_FAILURE);
    BAD(METHOD, "HTTP/1.1 400", 1, 0, SOCKS_REPLY_FAILURE);
    BAD(METHOD, "\x00\x5b", 1, 0, SOCKS_REPLY_FAILURE); /* SOCKS4's refusal */
}

static void statuses(void **state)
{
    (void)state;
    GOOD(AUTH_STATUS, "\x01\x00\x05", 2);
    BAD(AUTH_STATUS, "\x01\x01", 2, 1, SOCKS_REPLY_FAILURE);
    BAD(AUTH_STATUS, "\x01\xff", 2, 1, SOCKS_REPLY_FAILURE);
    BAD(AUTH_STATUS, "\x05\x00", 1, 0, SOCKS_REPLY_FAILURE);
}

static void replies(void **state)
{
    uint8_t longest[SOCKS_REPLY_BYTES_MAX + 1] = {5, 0, 0, 3, 255};

    (void)state;
    GOOD(REPLY, "\x05\x00\x00\x01\xc0\x00\x02\x01\x01\xbb", 10);
    assert_address(&reply.bound, "192.0.2.1:443");
    GOOD(REPLY, "\x05\x00\x00\x01\0\0\0\0\0\0HTTP", 10);
    assert_address(&reply.bound, "0.0.0.0:0");
    GOOD(REPLY, "\x05\x00\x00\x04" IPV6_BYTES "\x00\x09", 22);
    assert_address(&reply.bound, "[2001:db8::1]:9");
    GOOD(REPLY, "\x05\x00\x00\x03\x04host\x00\x50", 11);
    assert_int_equal(reply.bound.len, 0);
    assert_true(span_equal(reply.bound_name, SPAN_LITERAL("host")));
    GOOD(REPLY, "\x05\x00\x00\x03\x00\x00\x00", 7);
    assert_int_equal(reply.bound_name.len, 0);
    parse_good(REPLY, span_make(longest, sizeof(longest)), SOCKS_REPLY_BYTES_MAX);

    BAD(REPLY, "\x04\x00\x00\x01", 1, 0, SOCKS_REPLY_FAILURE);
    BAD(REPLY, "\x05\x00\x01\x01", 3, 2, SOCKS_REPLY_FAILURE);
    BAD(REPLY, "\x05\x00\x00\x02", 4, 3, SOCKS_REPLY_FAILURE);
}

static void each_code_has_its_sentence(void **state)
{
    (void)state;
    for (unsigned code = 1; code < 256; code++) {
        const uint8_t bytes[] = {5, (uint8_t)code, 0, 1, 0, 0, 0, 0, 0, 0};

        parse_bad(REPLY, span_make(bytes, sizeof(bytes)), 2, 1, (uint8_t)code);
        assert_ptr_equal(fault.what, socks_reply_sentence((uint8_t)code));
    }
    for (unsigned code = 0; code <= SOCKS_REPLY_ADDRESS_UNSUPPORTED; code++) {
        assert_ptr_not_equal(socks_reply_sentence((uint8_t)code),
                             socks_reply_sentence((uint8_t)(code + 1)));
    }
    assert_ptr_equal(socks_reply_sentence(9), socks_reply_sentence(255));
}

/* One end of ours understands the other. */
static void both_ends_agree(void **state)
{
    static const char *const hosts[] = {"192.0.2.1", "2001:db8::1", "example.com"};
    struct text text;

    (void)state;
    for (int with_password = 0; with_password < 2; with_password++) {
        text = written();
        socks_write_greeting(&text, with_password);
        parse_good(GREETING, text_view(&text), text.len);
        assert_true(socks_is_offered(&greeting, SOCKS_METHOD_NONE));
        assert_int_equal(socks_is_offered(&greeting, SOCKS_METHOD_PASSWORD), with_password);
    }
    text = written();
    socks_write_auth(&text, SPAN_LITERAL("u"), SPAN_LITERAL("p"));
    parse_good(AUTH, text_view(&text), text.len);
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        struct address address = {.len = 0};

        text = written();
        socks_write_connect(&text, span_from_string(hosts[i]), 8443);
        parse_good(REQUEST, text_view(&text), text.len);
        assert_target(SOCKS_CONNECT, hosts[i], 8443, i < 2);
        address_parse_ip(&address, span_from_string(hosts[i]), 8443);
        text = written();
        socks_write_reply(&text, SOCKS_REPLY_SUCCEEDED, &address);
        parse_good(REPLY, text_view(&text), text.len);
        assert_true(i == 2 || address_equal(&reply.bound, &address));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greetings),
        cmocka_unit_test(socks4_is_told_apart),
        cmocka_unit_test(names_and_passwords),
        cmocka_unit_test(requests),
        cmocka_unit_test(requests_that_are_wrong),
        cmocka_unit_test(names_that_are_wrong),
        cmocka_unit_test(the_longest_names),
        cmocka_unit_test(what_a_server_writes),
        cmocka_unit_test(what_a_client_writes),
        cmocka_unit_test(method_choices),
        cmocka_unit_test(statuses),
        cmocka_unit_test(replies),
        cmocka_unit_test(each_code_has_its_sentence),
        cmocka_unit_test(both_ends_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
