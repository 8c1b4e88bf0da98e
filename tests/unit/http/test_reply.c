/* SPDX-License-Identifier: Apache-2.0 */
#include "http/reply.h"

#include "core/base/assert.h"
#include "http/h1.h"
#include "tests/unit/http/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static char memory[HTTP_REPLY_MAX];

/* Writes a reply, reads it with our own strict reader, gives back head and page. */
static struct span write_and_read(const struct http_reply *reply, struct http_head *head)
{
    struct text out = text_make(memory, sizeof(memory));
    struct http_fault fault;
    struct span method = reply->head_only ? SPAN_LITERAL("HEAD") : SPAN_LITERAL("GET");

    http_write_reply(&out, reply);
    assert_false(out.overflow);
    if (h1_parse_response(head, text_view(&out), method, &wire_limits, &fault) != H1_DONE) {
        fail_msg("our own reply is refused: %s", fault.what);
    }
    return span_skip(text_view(&out), head->len);
}

static bool contains(struct span page, const char *words)
{
    return memmem(page.data, page.len, words, strlen(words)) != NULL;
}

static void check_field(const struct http_head *head, const char *name, const char *value)
{
    const struct http_field *field = http_find_field(head, span_from_string(name));

    if (!value) {
        assert_null(field);
    } else if (!field || !span_equal(field->value, span_from_string(value))) {
        fail_msg("%s: %.*s", name, SPAN_PRINTF(field ? field->value : SPAN_LITERAL("(none)")));
    }
}

static const struct http_reply sample = {
    .status = 502,
    .error = "connection_refused",
    .detail = {(const uint8_t *)"connection refused by 192.0.2.1:443", 35},
    .target = {(const uint8_t *)"example.com:443", 15},
    .pseudonym = "weir",
    .session_id = 4711,
    .keep_alive = false,
    .version = HTTP_VERSION_1_1,
};

static void test_page_and_fields(void **state)
{
    struct http_head head;
    struct span page = write_and_read(&sample, &head);

    (void)state;
    assert_int_equal(head.status, 502);
    assert_true(span_equal(head.reason, SPAN_LITERAL("Bad Gateway")));
    assert_int_equal(head.framing, HTTP_LENGTH);
    assert_int_equal(head.content_length, page.len);
    assert_false(head.keep_alive);
    check_field(&head, "Content-Type", "text/html; charset=utf-8");
    check_field(&head, "Cache-Control", "no-store");
    check_field(&head, "Connection", "close");
    check_field(&head, "Proxy-Status",
                "weir; error=connection_refused; details=\"connection refused by 192.0.2.1:443\"");
    check_field(&head, "Proxy-Authenticate", NULL);
    check_field(&head, "Server", NULL);
    assert_true(contains(page, "<!DOCTYPE html>"));
    assert_true(contains(page, "<h1>502 Bad Gateway</h1>"));
    assert_true(contains(page, "connection refused by 192.0.2.1:443"));
    assert_true(contains(page, "Asked for: example.com:443"));
    assert_true(contains(page, "Nothing listens"));
    assert_true(contains(page, "proxy weir, not"));
    assert_true(contains(page, "Session 1267, error type connection_refused."));
    assert_true(contains(page, "light dark"));
}

static void test_keep_alive_head_and_no_trace(void **state)
{
    struct http_reply reply = sample;
    struct http_head head;
    struct span page;
    size_t page_len = write_and_read(&sample, &head).len;

    (void)state;
    reply.keep_alive = true;
    reply.head_only = true;
    page = write_and_read(&reply, &head);
    assert_int_equal(page.len, 0);
    assert_int_equal(head.content_length, page_len);
    assert_true(head.keep_alive);
    check_field(&head, "Connection", "keep-alive");

    reply = sample;
    reply.pseudonym = NULL;
    page = write_and_read(&reply, &head);
    check_field(&head, "Proxy-Status", NULL);
    assert_false(
        contains(text_view(&(struct text){memory, sizeof(memory), head.len, false}), "weir"));
    assert_false(contains(page, "weir"));

    reply = sample;
    reply.status = 407;
    reply.error = NULL;
    page = write_and_read(&reply, &head);
    check_field(&head, "Proxy-Status", NULL);
    check_field(&head, "Proxy-Authenticate", "Basic realm=\"weir\", charset=\"UTF-8\"");
    check_field(&head, "Retry-After", NULL);
    assert_true(contains(page, "user name"));
    assert_false(contains(page, "error type"));
    reply.error = "http_request_denied"; /* what to do about a 407 comes before what that says */
    page = write_and_read(&reply, &head);
    assert_true(contains(page, "user name"));

    reply = sample;
    reply.status = 503;
    reply.retry_after_s = 5;
    write_and_read(&reply, &head);
    check_field(&head, "Retry-After", "5");
}

/* No byte of a peer's gets out of its place: not into the fields, not into the markup. */
static void test_everything_is_escaped(void **state)
{
    static const char nasty[] =
        "x\"\\\r\nSet-Cookie: a=b\r\n\r\n<script>alert('1')</script>&\000\377";
    struct http_reply reply = sample;
    struct http_head head;
    struct span page;
    size_t plain_count;

    (void)state;
    write_and_read(&sample, &head);
    plain_count = head.field_count;
    reply.detail = reply.target = span_make(nasty, sizeof(nasty) - 1);
    page = write_and_read(&reply, &head);
    assert_int_equal(head.field_count, plain_count);
    assert_int_equal(head.content_length, page.len);
    check_field(&head, "Set-Cookie", NULL);
    check_field(&head, "Proxy-Status",
                "weir; error=connection_refused; details=\"x\\\"\\\\??Set-Cookie: a=b????"
                "<script>alert('1')</script>&??\"");
    assert_false(contains(page, "<script"));
    assert_false(contains(page, "'1'"));
    assert_true(
        contains(page, "&#60;script&#62;alert(&#39;1&#39;)&#60;/script&#62;&#38;&#0;&#255;"));
    for (size_t i = 0; i < page.len; i++) {
        assert_true(page.data[i] == '\n' || (page.data[i] >= 0x20 && page.data[i] < 0x7f));
    }
    reply.pseudonym = "my \"proxy\"";
    write_and_read(&reply, &head);
    assert_true(
        span_equal(span_sub(http_find_field(&head, SPAN_LITERAL("Proxy-Status"))->value, 0, 21),
                   SPAN_LITERAL("\"my \\\"proxy\\\"\"; error")));
}

/* The largest there is fits, whatever the bytes. */
static void test_bounded(void **state)
{
    static uint8_t bytes[20000];
    static char pseudonym[1000];
    static const uint8_t fills[] = {0xff, '"', '<', 'a'};
    struct http_reply reply = sample;
    struct http_head head;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(fills); i++) {
        memset(bytes, fills[i], sizeof(bytes));
        memset(pseudonym, fills[i], sizeof(pseudonym) - 1);
        reply.detail = reply.target = span_make(bytes, sizeof(bytes));
        reply.pseudonym = pseudonym;
        reply.session_id = UINT64_MAX;
        reply.error = "tls_certificate_error";
        reply.status = 407;
        assert_true(contains(write_and_read(&reply, &head), "..."));
    }
}

static void test_every_error_type(void **state)
{
    static const char *const types[] = {
        "dns_timeout",
        "dns_error",
        "destination_not_found",
        "destination_unavailable",
        "destination_ip_prohibited",
        "destination_ip_unroutable",
        "connection_refused",
        "connection_terminated",
        "connection_timeout",
        "connection_read_timeout",
        "connection_write_timeout",
        "connection_limit_reached",
        "tls_protocol_error",
        "tls_certificate_error",
        "tls_alert_received",
        "http_request_error",
        "http_request_denied",
        "http_response_incomplete",
        "http_response_header_section_size",
        "http_response_header_size",
        "http_response_body_size",
        "http_response_trailer_section_size",
        "http_response_trailer_size",
        "http_response_transfer_coding",
        "http_response_content_coding",
        "http_response_timeout",
        "http_upgrade_failed",
        "http_protocol_error",
        "proxy_internal_response",
        "proxy_internal_error",
        "proxy_configuration_error",
        "proxy_loop_detected",
    };
    struct http_reply reply = sample;
    struct http_head head;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        char want[80];
        struct span page;

        reply.error = types[i];
        reply.detail.len = 0;
        page = write_and_read(&reply, &head);
        snprintf(want, sizeof(want), "weir; error=%s", types[i]);
        check_field(&head, "Proxy-Status", want);
        assert_true(contains(page, "<p>Asked for: example.com:443</p>\n<p>")); /* advice follows */
    }
}

static void test_reasons(void **state)
{
    static const uint16_t ours[] = {200, 400, 403, 407, 408, 413, 414, 417, 421,
                                    429, 431, 500, 501, 502, 503, 504, 505, 508};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(ours); i++) {
        assert_true(http_reason(ours[i])[0] != '\0');
    }
    assert_string_equal(http_reason(404), "Not Found");
    assert_string_equal(http_reason(508), "Loop Detected");
    assert_string_equal(http_reason(299), "");
    assert_string_equal(http_reason(0), "");
}

static void test_connect_reply(void **state)
{
    struct text out = text_make(memory, sizeof(memory));

    (void)state;
    http_write_connect_reply(&out);
    assert_true(
        span_equal(text_view(&out), SPAN_LITERAL("HTTP/1.1 200 Connection established\r\n\r\n")));
}

/* A body of another's: it comes as it is, and only pages say what they may load. */
static void test_body(void **state)
{
    struct http_reply reply = {.status = 200,
                               .type = "text/plain; charset=utf-8",
                               .body = SPAN_LITERAL("ok\n"),
                               .keep_alive = true};
    struct http_head head;

    (void)state;
    assert_true(span_equal(write_and_read(&reply, &head), SPAN_LITERAL("ok\n")));
    check_field(&head, "Content-Type", "text/plain; charset=utf-8");
    check_field(&head, "X-Content-Type-Options", "nosniff");
    check_field(&head, "Content-Security-Policy", NULL);
    check_field(&head, "Proxy-Status", NULL);
    check_field(&head, "Allow", NULL);
    assert_true(head.keep_alive);

    reply.head_only = true;
    assert_int_equal(write_and_read(&reply, &head).len, 0);

    reply = (struct http_reply){.status = 405, .allow = "GET, HEAD"};
    assert_true(contains(write_and_read(&reply, &head), "405 Method Not Allowed"));
    check_field(&head, "Allow", "GET, HEAD");
    check_field(&head, "Content-Security-Policy",
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action "
                "'none'; frame-ancestors 'none'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_page_and_fields),
        cmocka_unit_test(test_keep_alive_head_and_no_trace),
        cmocka_unit_test(test_everything_is_escaped),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_every_error_type),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_connect_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
