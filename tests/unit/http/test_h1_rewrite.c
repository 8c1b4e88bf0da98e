/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1_rewrite.h"

#include "core/base/assert.h"
#include "http/h1.h"
#include "tests/unit/http/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct wire_case cases[] = {
#include "tests/unit/http/wire_cases.def"
};

static char memory[80 * 1024];

/* Where the request goes, as a proxy finds out: the target's authority, or else the Host field's.
 */
static struct span find_route(const struct http_head *head, struct http_authority *authority,
                              enum http_scheme *scheme)
{
    struct http_fault fault;
    struct span path = head->target;

    *scheme = HTTP_SCHEME_HTTP;
    if (head->target.data[0] != '/' && head->target.data[0] != '*') {
        assert_true(authority_parse_absolute(authority, scheme, &path, head->target, &fault));
    } else if (!authority_parse_host(authority, head->host, &fault)) {
        assert_true(authority_parse_host(authority, SPAN_LITERAL("fallback"), &fault));
    }
    return path;
}

static const char *const never_passed[] = {
    "Proxy-Connection",
    "Keep-Alive",
    "Trailer",
    "Proxy-Authenticate",
    "TE",
    "Proxy-Authorization",
    "HTTP2-Settings",
    "Proxy-Authentication-Info",
    "Upgrade",
};

static void check_hop_by_hop_is_gone(const struct http_head *head)
{
    for (size_t i = 0; i < COUNT_OF(never_passed); i++) {
        assert_null(http_find_field(head, span_from_string(never_passed[i])));
    }
}

static void check_request(const struct wire_case *row)
{
    struct http_head head;
    struct http_head again;
    struct http_authority authority;
    struct http_fault fault = {0, "", "", 0};
    enum http_scheme scheme;
    struct text out = text_make(memory, sizeof(memory));

    assert_int_equal(h1_parse_request(&head, row->bytes, &wire_limits, &fault), H1_DONE);
    if (span_equal(head.method, SPAN_LITERAL("CONNECT"))) {
        return; /* ends at the proxy */
    }
    struct span path = find_route(&head, &authority, &scheme);
    struct h1_rewrite_options options = {.via = true,
                                         .pseudonym = "weir",
                                         .keep_alive = head.keep_alive,
                                         .framing = head.framing,
                                         .content_length = head.content_length};
    if (!h1_write_request(&out, &head, &authority, scheme, path, &options, &fault) ||
        h1_parse_request(&again, text_view(&out), &wire_limits, &fault) != H1_DONE) {
        fail_msg("wire_cases.def:%d: %s", row->line, fault.what);
    }
    assert_int_equal(again.len, out.len);
    assert_int_equal(again.version, HTTP_VERSION_1_1);
    assert_int_equal(again.framing, head.framing);
    assert_int_equal(again.content_length, head.content_length);
    assert_int_equal(again.keep_alive, head.keep_alive);
    assert_int_equal(again.expect_continue, head.expect_continue);
    assert_true(span_equal(again.method, head.method));
    assert_true(again.target.data[0] == '/' || again.target.data[0] == '*');
    assert_true(http_has_token(&again, SPAN_LITERAL("Via"),
                               head.version == HTTP_VERSION_1_1 ? SPAN_LITERAL("1.1 weir")
                                                                : SPAN_LITERAL("1.0 weir")));
    assert_false(again.upgrade);
    check_hop_by_hop_is_gone(&again);

    /* What comes back to us is known to be ours. */
    assert_false(
        h1_write_request(&out, &again, &authority, scheme, again.target, &options, &fault));
    assert_int_equal(fault.status, 508);
}

static void check_response(const struct wire_case *row)
{
    struct http_head head;
    struct http_head again;
    struct http_fault fault = {0, "", "", 0};
    struct text out = text_make(memory, sizeof(memory));
    struct span method = span_from_string(row->method);

    assert_int_equal(h1_parse_response(&head, row->bytes, method, &wire_limits, &fault), H1_DONE);
    if (span_equal(method, SPAN_LITERAL("CONNECT")) || head.status == 101) {
        return;
    }
    struct h1_rewrite_options options = {.keep_alive = head.keep_alive,
                                         .framing = head.framing,
                                         .content_length = head.content_length,
                                         .peer_version = HTTP_VERSION_1_1};
    if (!h1_write_response(&out, &head, &options, &fault) ||
        h1_parse_response(&again, text_view(&out), method, &wire_limits, &fault) != H1_DONE) {
        fail_msg("wire_cases.def:%d: %s", row->line, fault.what);
    }
    assert_int_equal(again.len, out.len);
    assert_int_equal(again.status, head.status);
    assert_true(span_equal(again.reason, head.reason));
    assert_int_equal(again.framing, head.framing);
    assert_int_equal(again.content_length, head.content_length);
    assert_true(again.keep_alive == head.keep_alive || head.status < 200);
    check_hop_by_hop_is_gone(&again);
    assert_null(http_find_field(&again, SPAN_LITERAL("Via")));
}

static void test_wire_cases_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (cases[i].status == 0) {
            if (cases[i].method) {
                check_response(&cases[i]);
            } else {
                check_request(&cases[i]);
            }
        }
    }
}

struct row {
    const char *in;
    const char *out; /* null: refused */
    struct h1_rewrite_options options;
    uint16_t status; /* of the refusal */
    const char *words;
};

#define PLAIN                                                                                      \
    {                                                                                              \
        .keep_alive = true                                                                         \
    }
#define WITH_VIA                                                                                   \
    {                                                                                              \
        .keep_alive = true, .via = true, .pseudonym = "weir"                                       \
    }
#define WITH_UPGRADE                                                                               \
    {                                                                                              \
        .keep_alive = true, .upgrade = true                                                        \
    }
#define LAST                                                                                       \
    {                                                                                              \
        .keep_alive = false                                                                        \
    }
#define FRAMED(how, length)                                                                        \
    {                                                                                              \
        .keep_alive = true, .framing = how, .content_length = length                               \
    }

static const struct row requests[] = {
    {"GET http://EXAMPLE.com/a?b HTTP/1.1\r\nhost: wrong.example\r\nX-a:  1 \r\nAccept:*/*\r\n\r\n",
     "GET /a?b HTTP/1.1\r\nhost: example.com\r\nX-a: 1\r\nAccept: */*\r\n\r\n", PLAIN, 0, NULL},
    {"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN, 0,
     NULL},
    {"GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?q HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN, 0,
     NULL},
    {"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN,
     0, NULL},
    {"GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN, 0,
     NULL},
    {"GET http://a:443/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:443\r\n\r\n",
     PLAIN, 0, NULL},
    {"GET https://a:443/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN,
     0, NULL},
    {"GET http://[2001:DB8::0:1]:81/ HTTP/1.1\r\nHost: a\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: [2001:db8::1]:81\r\n\r\n", PLAIN, 0, NULL},
    {"GET http://a/ HTTP/1.0\r\nX: y\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nVia: 1.0 weir\r\n\r\n", WITH_VIA, 0, NULL},
    {GET("Via: 1.0 other\r\nX: y\r\n"),
     "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 other\r\nX: y\r\nVia: 1.1 weir\r\n\r\n", WITH_VIA, 0,
     NULL},
    {GET("X: y\r\n"), "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nConnection: close\r\n\r\n", LAST, 0,
     NULL},
    {GET("Connection: keep-alive, X-Drop ,x-also\r\nX-Drop: 1\r\nX-Keep: 2\r\nX-ALSO: 3\r\n"
         "X-Drop: 4\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n"),
     "GET / HTTP/1.1\r\nHost: a\r\nX-Keep: 2\r\n\r\n", PLAIN, 0, NULL},
    {GET("X-Drop: 1\r\nConnection: x-drop\r\nConnection: y-drop\r\nY-Drop: 1\r\n"),
     "GET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN, 0, NULL},
    {GET("Proxy-Connection: x-drop\r\nX-Drop: 1\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN,
     0, NULL},
    {GET("Proxy-Authorization: Basic c2VjcmV0\r\nAuthorization: Basic b3RoZXI=\r\n"),
     "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic b3RoZXI=\r\n\r\n", PLAIN, 0, NULL},
    {GET("TE: trailers, gzip;q=0.5\r\nConnection: TE\r\nTrailer: X\r\n"),
     "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n", PLAIN, 0, NULL},
    {GET("TE: gzip\r\nConnection: TE\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN, 0, NULL},
    {GET("TE: trailers\r\nConnection: TE, close\r\n"),
     "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n", LAST, 0, NULL},
    {"GET http://a/ HTTP/1.0\r\nTE: trailers\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN,
     0, NULL},
    {GET("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
     "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
     "Connection: Upgrade\r\n\r\n",
     WITH_UPGRADE, 0, NULL},
    {GET("Connection: Upgrade\r\nUpgrade: websocket\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
     PLAIN, 0, NULL},
    {GET("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"),
     "GET / HTTP/1.1\r\nHost: a\r\n\r\n", WITH_UPGRADE, 0, NULL},
    {GET("Connection: Upgrade\r\nUpgrade: H2C , other/1\r\nHTTP2-Settings: AAMA\r\n"),
     "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: other/1\r\nConnection: Upgrade\r\n\r\n", WITH_UPGRADE,
     0, NULL},
    {GET("Upgrade: websocket\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", WITH_UPGRADE, 0, NULL},
    {POST("content-length: 5\r\nX: y\r\n"),
     "POST /p HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\nX: y\r\n\r\n", FRAMED(HTTP_LENGTH, 5), 0,
     NULL},
    {POST("Content-Length: 5\r\nX: y\r\n"),
     "POST /p HTTP/1.1\r\nHost: a\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n",
     FRAMED(HTTP_CHUNKED, 0), 0, NULL},
    {POST("transfer-encoding: Chunked\r\nX: y\r\n"),
     "POST /p HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\nX: y\r\n\r\n",
     FRAMED(HTTP_CHUNKED, 0), 0, NULL},
    {POST("Transfer-Encoding: chunked\r\nX: y\r\n"),
     "POST /p HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 77\r\n\r\n", FRAMED(HTTP_LENGTH, 77),
     0, NULL},
    {POST("Expect: 100-continue\r\nContent-Length: 5\r\n"),
     "POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
     FRAMED(HTTP_LENGTH, 5), 0, NULL},
    {GET("Expect: 100-continue\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN, 0, NULL},
    {"OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n",
     "OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 9\r\n\r\n", PLAIN, 0, NULL},
    {GET("Max-Forwards: 0\r\n"), "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", PLAIN, 0,
     NULL},
    {GET("X: caf\303\251 \200\r\nEmpty:\r\n"),
     "GET / HTTP/1.1\r\nHost: a\r\nX: caf\303\251 \200\r\nEmpty: \r\n\r\n", PLAIN, 0, NULL},
    {GET("Via: 1.1 weirdo, 1.1 my-weir (weir)\r\n"),
     "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 weirdo, 1.1 my-weir (weir)\r\nVia: 1.1 weir\r\n\r\n",
     WITH_VIA, 0, NULL},

    {GET("Connection: Host\r\n"), NULL, PLAIN, 400, "must reach"},
    {GET("Connection: close, cookie\r\nCookie: a=b\r\n"), NULL, PLAIN, 400, "must reach"},
    {GET("Connection: authorization\r\n"), NULL, PLAIN, 400, "must reach"},
    {GET("Connection: Via\r\n"), NULL, PLAIN, 400, "must reach"},
    {GET("Connection: Content-Type\r\n"), NULL, PLAIN, 400, "must reach"},
    {POST("Connection: Content-Length\r\nContent-Length: 5\r\n"), NULL, FRAMED(HTTP_LENGTH, 5), 400,
     "must reach"},
    {POST("Connection: x, Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n"), NULL,
     FRAMED(HTTP_CHUNKED, 0), 400, "must reach"},
    {GET("Proxy-Connection: Cookie\r\n"), NULL, PLAIN, 400, "must reach"},
    {GET("Connection: a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2,b3,b4,b5,b6,b7,b8,b9,c1,c2,c3,c4,c5,c6,c7,"
         "c8,c9,d1,d2,d3,d4,d5,d6\r\n"),
     NULL, PLAIN, 400, "too many options"},
    {GET("Via: 1.1 weir\r\n"), NULL, WITH_VIA, 508, "been here before"},
    {GET("Via: 1.0 other, HTTP/1.1\tWEIR (comment)\r\n"), NULL, WITH_VIA, 508, "been here before"},
    {GET("Via: 1.0 other\r\nvia: 1.1 x, 2 weir\r\n"), NULL, WITH_VIA, 508, "been here before"},
    {"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", NULL, PLAIN, 501, "Max-Forwards"},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", NULL, PLAIN, 501, "Max-Forwards"},
};

static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        const struct row *row = &requests[i];
        struct text out = text_make(memory, sizeof(memory));
        struct http_head head;
        struct http_authority authority;
        struct http_fault fault = {0, "", "", 0};
        enum http_scheme scheme;

        assert_int_equal(h1_parse_request(&head, span_from_string(row->in), &wire_limits, &fault),
                         H1_DONE);
        struct span path = find_route(&head, &authority, &scheme);
        if (h1_write_request(&out, &head, &authority, scheme, path, &row->options, &fault)) {
            if (!row->out || !span_equal(text_view(&out), span_from_string(row->out))) {
                fail_msg("requests[%zu]:\n%.*s", i, SPAN_PRINTF(text_view(&out)));
            }
        } else if (row->out || fault.status != row->status || !strstr(fault.what, row->words)) {
            fail_msg("requests[%zu]: %d %s", i, fault.status, fault.what);
        }
    }
}

#define OK(fields) "HTTP/1.1 200 OK\r\n" fields "\r\n"

static const struct {
    const char *method;
    struct row row;
    enum http_version client;
} responses[] = {
    {"GET",
     {OK("content-LENGTH: 5\r\nX:y\r\nConnection: X-Hop\r\nx-hop: 1\r\nKeep-Alive: 5\r\n"
         "Proxy-Authenticate: Basic\r\nProxy-Authentication-Info: x\r\nServer: s\r\n"),
      "HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\nX: y\r\nServer: s\r\n\r\n", FRAMED(HTTP_LENGTH, 5),
      0, NULL},
     HTTP_VERSION_1_1},
    {"GET",
     {OK("Content-Length: 5\r\n"),
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
      FRAMED(HTTP_LENGTH, 5), 0, NULL},
     HTTP_VERSION_1_0},
    {"GET",
     {OK("Transfer-Encoding: chunked\r\n"),
      "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
      {.framing = HTTP_UNTIL_CLOSE},
      0,
      NULL},
     HTTP_VERSION_1_0},
    {"GET",
     {"HTTP/1.0 404 Nope\r\n\r\n",
      "HTTP/1.1 404 Nope\r\nTransfer-Encoding: chunked\r\nVia: 1.0 weir\r\n\r\n",
      {.keep_alive = true, .framing = HTTP_CHUNKED, .via = true, .pseudonym = "weir"},
      0,
      NULL},
     HTTP_VERSION_1_1},
    {"GET",
     {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
      FRAMED(HTTP_LENGTH, 0), 0, NULL},
     HTTP_VERSION_1_1},
    {"HEAD",
     {OK("Content-Length: 512\r\n"), "HTTP/1.1 200 OK\r\nContent-Length: 512\r\n\r\n", PLAIN, 0,
      NULL},
     HTTP_VERSION_1_1},
    {"HEAD",
     {OK("Transfer-Encoding: chunked\r\n"), "HTTP/1.1 200 OK\r\n\r\n", PLAIN, 0, NULL},
     HTTP_VERSION_1_1},
    {"GET",
     {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: x\r\n\r\n",
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: x\r\n\r\n", PLAIN, 0, NULL},
     HTTP_VERSION_1_1},
    {"GET",
     {"HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 None\r\n\r\n", PLAIN, 0,
      NULL},
     HTTP_VERSION_1_1},
    {"GET",
     {"HTTP/1.1 103 Hints\r\nLink: <x>\r\n\r\n", "HTTP/1.1 103 Hints\r\nLink: <x>\r\n\r\n", LAST, 0,
      NULL},
     HTTP_VERSION_1_1},
    {"GET",
     {"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: "
      "x\r\n\r\n",
      "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nConnection: "
      "Upgrade\r\n\r\n",
      WITH_UPGRADE, 0, NULL},
     HTTP_VERSION_1_1},
    {"GET",
     {OK("Content-Length: 0\r\nVia: 1.1 weir\r\n"),
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nVia: 1.1 weir\r\nVia: 1.1 weir\r\n\r\n",
      {.keep_alive = true, .framing = HTTP_LENGTH, .via = true, .pseudonym = "weir"},
      0,
      NULL},
     HTTP_VERSION_1_1},
    {"GET",
     {"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", NULL, PLAIN, 502,
      "without having been asked"},
     HTTP_VERSION_1_1},
    {"GET",
     {"HTTP/1.1 101 Go\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", NULL, WITH_UPGRADE, 502,
      "without saying to which, or to HTTP/2"},
     HTTP_VERSION_1_1},
    {"GET",
     {"HTTP/1.1 101 Go\r\n\r\n", NULL, WITH_UPGRADE, 502, "without saying"},
     HTTP_VERSION_1_1},
    {"GET",
     {OK("Content-Length: 0\r\nConnection: Set-Cookie\r\n"), NULL, FRAMED(HTTP_LENGTH, 0), 502,
      "must reach"},
     HTTP_VERSION_1_1},
    {"GET",
     {OK("Content-Length: 0\r\nConnection: content-length\r\n"), NULL, FRAMED(HTTP_LENGTH, 0), 502,
      "must reach"},
     HTTP_VERSION_1_1},
};

static void test_responses(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(responses); i++) {
        const struct row *row = &responses[i].row;
        struct h1_rewrite_options options = row->options;
        struct text out = text_make(memory, sizeof(memory));
        struct http_head head;
        struct http_fault fault = {0, "", "", 0};

        options.peer_version = responses[i].client;
        assert_int_equal(h1_parse_response(&head, span_from_string(row->in),
                                           span_from_string(responses[i].method), &wire_limits,
                                           &fault),
                         H1_DONE);
        if (h1_write_response(&out, &head, &options, &fault)) {
            if (!row->out || !span_equal(text_view(&out), span_from_string(row->out))) {
                fail_msg("responses[%zu]:\n%.*s", i, SPAN_PRINTF(text_view(&out)));
            }
        } else if (row->out || fault.status != row->status || !strstr(fault.what, row->words)) {
            fail_msg("responses[%zu]: %d %s", i, fault.status, fault.what);
        }
    }
}

/* In any room that is too small, the writers say so and stay inside. */
static void test_too_little_room(void **state)
{
    static const struct h1_rewrite_options options = {.via = true,
                                                      .pseudonym = "weir",
                                                      .upgrade = true,
                                                      .framing = HTTP_LENGTH,
                                                      .content_length = 5};
    struct span bytes = SPAN_LITERAL(POST("Content-Length: 5\r\nX: y\r\nTE: trailers\r\n"
                                          "Connection: upgrade\r\nUpgrade: h2c, x, y\r\n"));
    struct http_head head;
    struct http_authority authority;
    struct http_fault fault;
    struct text out = text_make(memory, sizeof(memory));
    size_t full;

    (void)state;
    assert_int_equal(h1_parse_request(&head, bytes, &wire_limits, &fault), H1_DONE);
    assert_true(authority_parse_host(&authority, head.host, &fault));
    assert_true(
        h1_write_request(&out, &head, &authority, HTTP_SCHEME_HTTP, head.target, &options, &fault));
    full = out.len;
    for (size_t cap = 0; cap < full; cap++) {
        char *room = malloc(cap ? cap : 1);

        assert_non_null(room);
        out = text_make(room, cap);
        assert_false(h1_write_request(&out, &head, &authority, HTTP_SCHEME_HTTP, head.target,
                                      &options, &fault));
        assert_int_equal(fault.status, 431);
        assert_true(out.len <= cap);
        free(room);
    }
}

static void test_for_proxy(void **state)
{
    static const struct {
        const char *head;
        const char *authorization;
        const char *front; /* null: refused */
    } rows[] = {
        {"GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n", NULL, "GET http://h:8/a?b HTTP/1.1\r\n"},
        {"GET / HTTP/1.1\r\n\r\n",
         "Basic eA==", "GET http://h:8/ HTTP/1.1\r\nProxy-Authorization: Basic eA==\r\n"},
        {"OPTIONS * HTTP/1.1\r\n\r\n", NULL, "OPTIONS http://h:8 HTTP/1.1\r\n"},
        {"GET /* HTTP/1.1\r\n\r\n", NULL, "GET http://h:8/* HTTP/1.1\r\n"},
        {"GET *x HTTP/1.1\r\n\r\n", NULL, "GET http://h:8*x HTTP/1.1\r\n"},
        {"", NULL, NULL},
        {"GET", NULL, NULL},
        {"GET / HTTP/1.1", NULL, NULL},
        {"\r\n", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span head = span_from_string(rows[i].head);
        struct text out = text_make(memory, sizeof(memory));
        size_t done = h1_write_for_proxy(&out, head, SPAN_LITERAL("h:8"), rows[i].authorization);

        if (done != (rows[i].front ? span_find(head, '\n') + 1 : 0) ||
            (done && !span_equal(text_view(&out), span_from_string(rows[i].front)))) {
            fail_msg("rows[%zu]: %zu, %.*s", i, done, SPAN_PRINTF(text_view(&out)));
        }
        for (size_t cap = 0; done && cap < out.len; cap++) {
            struct text small = text_make(memory, cap);
            assert_int_equal(
                h1_write_for_proxy(&small, head, SPAN_LITERAL("h:8"), rows[i].authorization), 0);
        }
    }
}

static void test_chunk_heads_and_trailers(void **state)
{
    static const struct {
        uint64_t len;
        const char *line;
    } lines[] = {
        {0, "0\r\n"},
        {1, "1\r\n"},
        {0x1a2b, "1a2b\r\n"},
        {UINT64_MAX, "ffffffffffffffff\r\n"},
    };
    struct http_head trailers;
    struct text out;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        out = text_make(memory, 18);
        h1_write_chunk_head(&out, lines[i].len);
        assert_false(out.overflow);
        assert_true(span_equal(text_view(&out), span_from_string(lines[i].line)));
    }
    trailers.field_count = 2;
    trailers.fields[0] = (struct http_field){SPAN_LITERAL("A"), SPAN_LITERAL("b"), 0, false};
    trailers.fields[1] = (struct http_field){SPAN_LITERAL("C"), {NULL, 0}, 0, false};
    out = text_make(memory, sizeof(memory));
    h1_write_trailers(&out, &trailers, span_make(NULL, 0));
    assert_true(span_equal(text_view(&out), SPAN_LITERAL("A: b\r\nC: \r\n\r\n")));
    out = text_make(memory, sizeof(memory));
    h1_write_trailers(&out, &trailers, SPAN_LITERAL("a"));
    assert_true(span_equal(text_view(&out), SPAN_LITERAL("C: \r\n\r\n")));
}

/* A field that is ours alone, whatever it is spelt like. */
static void test_leaves_a_field_out(void **state)
{
    static const struct h1_rewrite_options options = {.keep_alive = true,
                                                      .framing = HTTP_NO_BODY,
                                                      .peer_version = HTTP_VERSION_1_1,
                                                      .without = SPAN_LITERAL("Our-Field")};
    struct span bytes = SPAN_LITERAL("HTTP/1.1 204 No Content\r\nour-field: a\r\nOur-Fields: b\r\n"
                                     "OUR_FIELD: c\r\nOur-Fiel: d\r\n\r\n");
    struct text out = text_make(memory, sizeof(memory));
    struct http_head head;
    struct http_fault fault;

    (void)state;
    assert_int_equal(h1_parse_response(&head, bytes, SPAN_LITERAL("GET"), &wire_limits, &fault),
                     H1_DONE);
    assert_true(h1_write_response(&out, &head, &options, &fault));
    assert_true(
        span_equal(text_view(&out), SPAN_LITERAL("HTTP/1.1 204 No Content\r\nOur-Fields: b\r\n"
                                                 "Our-Fiel: d\r\n\r\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_cases_again),   cmocka_unit_test(test_requests),
        cmocka_unit_test(test_responses),          cmocka_unit_test(test_too_little_room),
        cmocka_unit_test(test_for_proxy),          cmocka_unit_test(test_chunk_heads_and_trailers),
        cmocka_unit_test(test_leaves_a_field_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
