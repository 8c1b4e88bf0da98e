/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/http/tap_heap.h"
#include "tests/unit/http/tap_script.h"

#include <stdio.h>

static void expect_exchange(const struct http_exchange *done, const char *method,
                            const char *authority, const char *path, uint16_t status,
                            uint64_t request_bytes, uint64_t response_bytes)
{
    assert_string_equal(done->method, method);
    assert_string_equal(done->authority, authority);
    assert_string_equal(done->path, path);
    assert_int_equal(done->status, status);
    assert_int_equal(done->request_bytes, request_bytes);
    assert_int_equal(done->response_bytes, response_bytes);
    assert_int_equal(done->http_major, 1);
}

static void test_reports_exchanges_one_after_another(void **state)
{
    static const struct line lines[] = {
        LINE(C, "GET /a?b HTTP/1.1\r\nHost: example.org:8443\r\nUser-Agent: x/1 (y)\r\n\r\n"),
        LINE(S, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        LINE(S, "hello"),
        LINE(C, "POST /p HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\n\r\nabc"),
        LINE(S, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"),
    };
    struct heard heard;

    (void)state;
    FOR_EACH_STEP(heard, step_index % 2 ? "" : "http/1.1", lines)
    {
        assert_int_equal(heard.count, 2);
        assert_int_equal(heard.finished, 0);
        assert_null(heard.stats.blind);
        assert_true(heard.idle);
        expect_exchange(&heard.done[0], "GET", "example.org:8443", "/a?b", 200, 0, 5);
        assert_string_equal(heard.done[0].user_agent, "x/1 (y)");
        assert_int_equal(heard.done[0].http_minor, 1);
        assert_false(heard.done[0].upgraded);
        expect_times(&heard.done[0], 1000, 2000, 3000);
        expect_exchange(&heard.done[1], "POST", "example.org", "/p", 201, 3, 0);
        assert_string_equal(heard.done[1].user_agent, "");
        expect_times(&heard.done[1], 4000, 5000, 5000);
    }
}

static void test_answers_pipelined_requests_in_order(void **state)
{
    static const struct line lines[] = {
        LINE(C, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
                "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
                "HEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n"
                "GET /4 HTTP/1.1\r\nHost: a\r\n\r\n"),
        LINE(S, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                "1\r\nx\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
                "HTTP/1.1 204 No Content\r\n\r\n"
                "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n"
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 78\r\n\r\n"),
    };
    struct heard heard;

    (void)state;
    FOR_EACH_STEP(heard, "", lines)
    {
        assert_null(heard.stats.blind);
        assert_int_equal(heard.count, 4);
        assert_true(heard.idle);
        expect_exchange(&heard.done[0], "GET", "a", "/1", 200, 0, 17);
        expect_exchange(&heard.done[1], "POST", "a", "/2", 204, 3, 0);
        expect_exchange(&heard.done[2], "HEAD", "a", "/3", 200, 0, 0);
        expect_exchange(&heard.done[3], "GET", "a", "/4", 304, 0, 0);
    }
}

static void test_an_early_answer_waits_for_the_request(void **state)
{
    static const struct line lines[] = {
        LINE(C, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc"),
        LINE(S, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"),
        LINE(C, "defGET /q HTTP/1.1\r\nHost: a\r\n\r\n"),
        LINE(S, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    };
    struct heard heard;

    (void)state;
    FOR_EACH_STEP(heard, "http/1.1", lines)
    {
        assert_null(heard.stats.blind);
        assert_int_equal(heard.count, 2);
        expect_exchange(&heard.done[0], "POST", "a", "/p", 413, 6, 2);
        expect_times(&heard.done[0], 1000, 2000, 3000);
        expect_exchange(&heard.done[1], "GET", "a", "/q", 200, 0, 0);
    }
}

static void test_interim_responses_are_passed_over(void **state)
{
    static const struct line lines[] = {
        LINE(C, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"),
        LINE(S, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
        LINE(C, "x"),
        LINE(S, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nContent-Length: 1\r\n\r\ny"),
    };
    struct heard heard;

    (void)state;
    FOR_EACH_STEP(heard, "", lines)
    {
        assert_null(heard.stats.blind);
        assert_int_equal(heard.count, 1);
        expect_exchange(&heard.done[0], "POST", "a", "/", 200, 1, 1);
        expect_times(&heard.done[0], 1000, 4000, 4000);
    }
}

static void test_http_1_0_ends_with_the_connection(void **state)
{
    static const struct line lines[] = {
        LINE(C, "\r\nGET http://Example.org/x HTTP/1.0\r\n\r\n\r\n"),
        LINE(S, "HTTP/1.0 200 OK\r\n\r\n0123456789"),
        LINE(S, "HTTP/1.0 is text here"),
    };
    struct heard heard;

    (void)state;
    FOR_EACH_STEP(heard, "http/1.0", lines)
    {
        assert_null(heard.stats.blind);
        assert_false(heard.idle);
        assert_int_equal(heard.count, 0);
        assert_int_equal(heard.finished, 1);
        expect_exchange(&heard.done[0], "GET", "Example.org", "/x", 200, 0, 31);
        assert_int_equal(heard.done[0].http_minor, 0);
        expect_times(&heard.done[0], 1000, 2000, 4000);
    }
}

static void test_targets_in_other_forms(void **state)
{
    static const struct line lines[] = {
        LINE(C, "GET http://b:81?q HTTP/1.1\r\nHost: b:81\r\n\r\n"
                "GET https://c HTTP/1.1\r\nHost: c\r\n\r\n"
                "OPTIONS * HTTP/1.1\r\nHost: d\r\n\r\n"),
    };
    struct heard heard;

    (void)state;
    FOR_EACH_STEP(heard, "", lines)
    {
        assert_int_equal(heard.finished, 3);
        expect_exchange(&heard.done[0], "GET", "b:81", "?q", 0, 0, 0);
        expect_exchange(&heard.done[1], "GET", "c", "/", 0, 0, 0);
        expect_exchange(&heard.done[2], "OPTIONS", "d", "*", 0, 0, 0);
        expect_times(&heard.done[2], 1000, 0, 2000);
    }
}

static void test_an_upgrade_is_reported_and_ends_the_reading(void **state)
{
    static const struct line lines[] = {
        LINE(C, "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "\r\n"),
        LINE(S, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                "Upgrade: websocket\r\n\r\n\x81\x02hi"),
        LINE(C, "\x81\x82....GET /x HTTP/1.1\r\nHost: a\r\n\r\n"),
    };
    struct heard heard;

    (void)state;
    FOR_EACH_STEP(heard, "http/1.1", lines)
    {
        expect_blind(&heard, "switched protocols");
        assert_int_equal(heard.count, 1);
        assert_int_equal(heard.finished, 0);
        expect_exchange(&heard.done[0], "GET", "a", "/chat", 101, 0, 0);
        assert_true(heard.done[0].upgraded);
        expect_times(&heard.done[0], 1000, 2000, 2000);
    }
}

static void test_an_upgrade_that_is_not_taken_stays_http(void **state)
{
    static const struct line lines[] = {
        LINE(C, "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
        LINE(S, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
        LINE(C, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"),
        LINE(S, "HTTP/1.1 204 No Content\r\n\r\n"),
    };
    struct heard heard;

    (void)state;
    FOR_EACH_STEP(heard, "", lines)
    {
        assert_null(heard.stats.blind);
        assert_int_equal(heard.count, 2);
        assert_false(heard.done[0].upgraded);
        expect_exchange(&heard.done[1], "GET", "a", "/2", 204, 0, 0);
    }
}

static void test_a_tunnel_within(void **state)
{
    static const struct line refused_then_opened[] = {
        LINE(C, "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"),
        LINE(S, "HTTP/1.1 407 No\r\nContent-Length: 3\r\n\r\nno\n"),
        LINE(C, "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"),
        LINE(S, "HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01"),
    };
    struct heard heard;

    (void)state;
    FOR_EACH_STEP(heard, "", refused_then_opened)
    {
        expect_blind(&heard, "tunnel");
        assert_int_equal(heard.count, 2);
        expect_exchange(&heard.done[0], "CONNECT", "b:443", "", 407, 0, 3);
        assert_false(heard.done[0].upgraded);
        expect_exchange(&heard.done[1], "CONNECT", "b:443", "", 200, 0, 0);
        assert_true(heard.done[1].upgraded);
    }
}

#define GET                  "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_WITH(field)      "GET / HTTP/1.1\r\nHost: a\r\n" field "\r\n\r\n"
#define ONE_BYTE             "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
#define ONE_BYTE_WITH(field) "HTTP/1.1 200 OK\r\n" field "\r\nContent-Length: 1\r\n\r\nx"
#define NOTHING_WITH(field)  "HTTP/1.1 401 No\r\n" field "\r\nContent-Length: 0\r\n\r\n"

/* A conversation, and what it is about. */
struct reuse_case {
    const char *about;
    struct line lines[5];
};

static void expect_reusable(const struct reuse_case *cases, size_t count, const char *alpn,
                            bool reusable)
{
    struct heard heard;

    for (size_t i = 0; i < count; i++) {
        FOR_EACH_STEP(heard, alpn, cases[i].lines)
        {
            if (heard.reusable != reusable) {
                fail_msg("%s, ALPN \"%s\", cuts of %zu: reusable %d", cases[i].about, alpn,
                         steps[step_index], heard.reusable);
            }
        }
    }
}

static void test_another_client_may_go_on(void **state)
{
    static const struct reuse_case cases[] = {
        {"a length", {LINE(C, GET), LINE(S, ONE_BYTE)}},
        {"204", {LINE(C, GET), LINE(S, "HTTP/1.1 204 No Content\r\n\r\n")}},
        {"304", {LINE(C, GET), LINE(S, "HTTP/1.1 304 Same\r\nContent-Length: 7\r\n\r\n")}},
        {"chunks",
         {LINE(C, GET),
          LINE(S, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")}},
        {"trailers",
         {LINE(C, GET), LINE(S, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
                                "X-Sum: 1\r\n\r\n")}},
        {"interim responses",
         {LINE(C, GET),
          LINE(S, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                  "HTTP/1.1 100 Continue\r\n\r\n"),
          LINE(S, ONE_BYTE)}},
        {"one after another", {LINE(C, GET), LINE(S, ONE_BYTE), LINE(C, GET), LINE(S, ONE_BYTE)}},
        {"pipelined", {LINE(C, GET GET GET), LINE(S, ONE_BYTE ONE_BYTE), LINE(S, ONE_BYTE)}},
        {"authentication of each request",
         {LINE(C, GET_WITH("Authorization: Basic Negotiate")),
          LINE(S, NOTHING_WITH("WWW-Authenticate: Basic realm=\"NTLM\""))}},
        {"an upgrade that nobody asked for",
         {LINE(C, GET), LINE(S, ONE_BYTE_WITH("Connection: Upgrade\r\nUpgrade: h2, x"))}},
        {"keep-alive that is said",
         {LINE(C, GET_WITH("Connection: keep-alive")),
          LINE(S, ONE_BYTE_WITH("Connection: keep-alive"))}},
    };

    (void)state;
    expect_reusable(cases, COUNT_OF(cases), "http/1.1", true);
    expect_reusable(cases, COUNT_OF(cases), "", true);
}

/* What has come so far lacks something, or more has come than a clean exchange. */
static void test_nobody_else_may_go_on_now(void **state)
{
    static const struct reuse_case cases[] = {
        {"no exchange yet", {LINE(C, "")}},
        {"a request alone", {LINE(C, GET)}},
        {"some of a head", {LINE(C, GET), LINE(S, ONE_BYTE), LINE(C, "GET / HT")}},
        {"one byte of a head", {LINE(C, GET), LINE(S, ONE_BYTE), LINE(C, "G")}},
        {"the next request", {LINE(C, GET GET), LINE(S, ONE_BYTE)}},
        {"some of a response's head", {LINE(C, GET), LINE(S, "HTTP/1.1 20")}},
        {"no byte of a body",
         {LINE(C, GET), LINE(S, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")}},
        {"some of a body",
         {LINE(C, GET), LINE(S, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell")}},
        {"the last chunk without an end",
         {LINE(C, GET), LINE(S, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")}},
        {"an interim response alone", {LINE(C, GET), LINE(S, "HTTP/1.1 103 Hints\r\n\r\n")}},
        {"a byte that nobody asked for", {LINE(C, GET), LINE(S, ONE_BYTE), LINE(S, "H")}},
        {"a response that nobody asked for", {LINE(C, GET), LINE(S, ONE_BYTE ONE_BYTE)}},
        {"a line end that nobody asked for", {LINE(C, GET), LINE(S, ONE_BYTE "\r\n")}},
        {"an interim response that nobody asked for",
         {LINE(C, GET), LINE(S, ONE_BYTE "HTTP/1.1 103 Hints\r\n\r\n")}},
        {"an early answer, and a body that is still to come",
         {LINE(C, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx"), LINE(S, ONE_BYTE)}},
        {"no HTTP", {LINE(C, "*1\r\n$4\r\nPING\r\n"), LINE(S, "+PONG\r\n")}},
        {"no HTTP behind an exchange", {LINE(C, GET), LINE(S, ONE_BYTE), LINE(C, "\x01")}},
    };

    (void)state;
    expect_reusable(cases, COUNT_OF(cases), "http/1.1", false);
    expect_reusable(cases, COUNT_OF(cases), "", false);
}

/* Whatever follows: a clean exchange behind it changes nothing. */
static void test_nobody_else_may_ever_go_on(void **state)
{
    static const struct reuse_case cases[] = {
        {"a body",
         {LINE(C, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"), LINE(S, ONE_BYTE)}},
        {"HEAD",
         {LINE(C, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
          LINE(S, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")}},
        {"DELETE without a body",
         {LINE(C, "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n"), LINE(S, ONE_BYTE)}},
        {"a body of GET", {LINE(C, GET_WITH("Content-Length: 1") "x"), LINE(S, ONE_BYTE)}},
        {"a body of chunks",
         {LINE(C, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
          LINE(S, ONE_BYTE)}},
        {"the client's close", {LINE(C, GET_WITH("Connection: close")), LINE(S, ONE_BYTE)}},
        {"the server's close", {LINE(C, GET), LINE(S, ONE_BYTE_WITH("Connection: x, Close"))}},
        {"HTTP/1.0 of the client", {LINE(C, "GET / HTTP/1.0\r\n\r\n"), LINE(S, ONE_BYTE)}},
        {"the same, with keep-alive",
         {LINE(C, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
          LINE(S, ONE_BYTE_WITH("Connection: keep-alive"))}},
        {"HTTP/1.0 of the server",
         {LINE(C, GET), LINE(S, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
                                "Content-Length: 1\r\n\r\nx")}},
        {"an upgrade that is refused",
         {LINE(C, GET_WITH("Connection: Upgrade\r\nUpgrade: h2c")), LINE(S, ONE_BYTE)}},
        {"another that is refused",
         {LINE(C, GET_WITH("Connection: Upgrade\r\nUpgrade: websocket")), LINE(S, ONE_BYTE)}},
        {"an upgrade",
         {LINE(C, GET_WITH("Connection: Upgrade\r\nUpgrade: x")),
          LINE(S, "HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")}},
        {"a tunnel",
         {LINE(C, "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"),
          LINE(S, "HTTP/1.1 200 OK\r\n\r\n")}},
        {"a response until the close", {LINE(C, GET), LINE(S, "HTTP/1.1 200 OK\r\n\r\nx")}},
        {"an LF in front", {LINE(C, "\n" GET), LINE(S, ONE_BYTE)}},
        {"a line end in front", {LINE(C, "\r\n" GET), LINE(S, ONE_BYTE)}},
        {"a line end between", {LINE(C, GET "\r\n" GET), LINE(S, ONE_BYTE ONE_BYTE)}},
        {"a line end behind", {LINE(C, GET), LINE(S, ONE_BYTE), LINE(C, "\r\n")}},
        {"a line end of the server's between",
         {LINE(C, GET GET), LINE(S, ONE_BYTE "\r\n" ONE_BYTE)}},
        {"NTLM of the client", {LINE(C, GET_WITH("authorization: ntlm TlRM")), LINE(S, ONE_BYTE)}},
        {"Negotiate of the client",
         {LINE(C, GET_WITH("Authorization: Negotiate YII=")), LINE(S, ONE_BYTE)}},
        {"NTLM of the server", {LINE(C, GET), LINE(S, NOTHING_WITH("WWW-Authenticate: NTLM"))}},
        {"Negotiate of the server in a list",
         {LINE(C, GET),
          LINE(S, NOTHING_WITH("WWW-Authenticate: Basic realm=\"a, b\", \tNegotiate"))}},
        {"Negotiate of the server behind another",
         {LINE(C, GET),
          LINE(S, NOTHING_WITH("WWW-Authenticate: Basic\r\nWWW-Authenticate: negotiate"))}},
    };
    struct reuse_case longer[COUNT_OF(cases)];

    (void)state;
    memcpy(longer, cases, sizeof(cases));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct line *next = &longer[i].lines[longer[i].lines[2].bytes.len ? 3 : 2];
        next[0] = (struct line)LINE(C, GET);
        next[1] = (struct line)LINE(S, ONE_BYTE);
    }
    expect_reusable(cases, COUNT_OF(cases), "http/1.1", false);
    expect_reusable(cases, COUNT_OF(cases), "", false);
    expect_reusable(longer, COUNT_OF(cases), "http/1.1", false);
}

static void test_undecided_is_not_reusable(void **state)
{
    static const struct reuse_case cases[] = {
        {"nothing", {LINE(C, "")}},
        {"the preface's beginning", {LINE(C, "PR")}},
    };

    (void)state;
    expect_reusable(cases, COUNT_OF(cases), "", false);
}

/* Each goes blind, for the reason said, with so many exchanges that never finished. */
static void test_goes_blind(void **state)
{
    static const struct {
        const char *words;
        size_t open;
        struct line lines[2];
    } cases[] = {
        {"not an HTTP request", 0, {LINE(C, "*1\r\n$4\r\nPING\r\n")}},
        {"not an HTTP request", 0, {LINE(C, "0123456789012345678901234567890123 / HTTP")}},
        {"first byte", 0, {LINE(C, "\x01GET / HTTP/1.1\r\n")}},
        {"TLS", 0, {LINE(C, "\x16\x03\x01\x02")}},
        {"spoke first", 0, {LINE(S, "220 mail\r\n"), LINE(C, "EHLO x\r\n")}},
        {"LF alone", 0, {LINE(C, "GET / HTTP/1.1\nHost: a\n\n")}},
        {"no Host", 0, {LINE(C, "GET / HTTP/1.1\r\n\r\n")}},
        {"no request asked",
         1,
         {LINE(C, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
          LINE(S, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n")}},
        {"\"HTTP/\"", 1, {LINE(C, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), LINE(S, "ICY 200 OK")}},
        {"both there",
         1,
         {LINE(C, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
          LINE(S, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n")}},
        {"chunk size",
         1,
         {LINE(C, "POST / HTTP/1.1\r\nHost: a\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\nz"),
          LINE(S, "HTTP/1.1 200 O")}},
        {"trailer field",
         1,
         {LINE(C, "POST / HTTP/1.1\r\nHost: a\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n")}},
    };
    struct heard heard;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        FOR_EACH_STEP(heard, "", cases[i].lines)
        {
            expect_blind(&heard, cases[i].words);
            assert_int_equal(heard.count + heard.finished, cases[i].open);
        }
    }
}

static void test_the_preface_is_no_http_1(void **state)
{
    static const struct line lines[] = {LINE(C, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")};
    static const struct line nearly[] = {LINE(C, "PRI * HTTP/2.0\r\n\r\nX")};
    static const struct line other[] = {LINE(C, "PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n")};
    struct heard heard;

    (void)state;
    FOR_EACH_STEP(heard, "http/1.1", lines)
    {
        expect_blind(&heard, "prior knowledge");
    }
    FOR_EACH_STEP(heard, "", nearly)
    {
        expect_blind(&heard, "prior knowledge");
    }
    FOR_EACH_STEP(heard, "", other)
    {
        assert_null(heard.stats.blind);
        expect_exchange(&heard.done[0], "PROPFIND", "a", "/", 0, 0, 0);
    }
}

static void test_other_protocols_are_not_followed(void **state)
{
    static const struct line lines[] = {LINE(C, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")};
    struct heard heard;

    (void)state;
    FOR_EACH_STEP(heard, "h3", lines)
    {
        expect_blind(&heard, "not HTTP");
        assert_int_equal(heard.count + heard.finished, 0);
    }
}

static void test_the_pipeline_is_bounded(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct line lines[17];
    struct heard heard;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        lines[i] = (struct line){C, SPAN_LITERAL(request)};
    }
    FOR_EACH_STEP(heard, "", lines)
    {
        expect_blind(&heard, "pipelined");
        assert_int_equal(heard.finished, 16);
        assert_int_equal(heard.stats.lost, 1);
    }
    hear(&heard, "", lines, 16, 5);
    assert_null(heard.stats.blind);
    assert_int_equal(heard.stats.lost, 0);
}

static void test_long_texts_are_cut(void **state)
{
    static char request[4096];
    struct line lines[] = {{C, {(const uint8_t *)request, 0}}};
    char path[1001] = "/";
    char agent[1001];
    struct heard heard;

    (void)state;
    memset(path + 1, 'p', 999);
    memset(agent, 'u', 1000);
    path[1000] = agent[1000] = '\0';
    lines[0].bytes.len = (size_t)snprintf(
        request, sizeof(request),
        "QUITELONGMETHODNAMEWITH32LETTERS %s HTTP/1.1\r\nHost: a\r\nUser-Agent: %s\r\n\r\n", path,
        agent);
    FOR_EACH_STEP(heard, "", lines)
    {
        assert_string_equal(heard.done[0].method, "QUITELONGMETHODNAMEWITH32LETTERS");
        assert_int_equal(strlen(heard.done[0].path), sizeof(heard.done[0].path) - 1);
        assert_memory_equal(heard.done[0].path, path, sizeof(heard.done[0].path) - 1);
        assert_int_equal(strlen(heard.done[0].user_agent), sizeof(heard.done[0].user_agent) - 1);
    }
}

/* A head of `len` bytes, made of many fields. There must be room for one more. */
static struct span long_head(char *room, size_t len)
{
    size_t cap = len + 1, fields = 0;
    size_t at = (size_t)snprintf(room, cap, "GET / HTTP/1.1\r\nHost: a\r\n");

    while (len - at > 4000) {
        at += (size_t)snprintf(room + at, cap - at, "x-%03zu: %0*d\r\n", fields++, 2000, 0);
    }
    at += (size_t)snprintf(room + at, cap - at, "x-last: %0*d\r\n\r\n", (int)(len - at) - 12, 0);
    assert_int_equal(at, len);
    return span_make(room, len);
}

static void test_heads_up_to_64_kib(void **state)
{
    char *room = malloc(128 * 1024);
    struct line lines[] = {{C, {NULL, 0}}, LINE(S, "HTTP/1.1 204 x\r\n\r\n")};
    struct heard heard;

    (void)state;
    assert_non_null(room);
    for (size_t len = HTTP_HEAD_BYTES_MAX - 3; len <= HTTP_HEAD_BYTES_MAX + 3; len++) {
        lines[0].bytes = long_head(room, len);
        FOR_EACH_STEP(heard, "", lines)
        {
            assert_int_equal(heard.count, len <= HTTP_HEAD_BYTES_MAX);
            assert_int_equal(heard.stats.blind != NULL, len > HTTP_HEAD_BYTES_MAX);
            assert_int_equal(heard.first_ns != 0, len <= HTTP_HEAD_BYTES_MAX);
        }
    }
    free(room);
}

/* Whatever the cut, no block stays but the tap, and heads that come whole cost one block. */
static void test_between_exchanges_nothing_is_kept(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n\r\n";
    static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    struct http_exchange done;
    struct http_tap *tap;
    size_t blocks = heap_blocks;
    size_t bytes = heap_bytes;

    (void)state;
    if (!HEAP_IS_COUNTED) {
        skip();
    }
    tap = http_tap_new(SPAN_LITERAL("http/1.1"));
    assert_non_null(tap);
    print_message("an idle HTTP/1 tap holds %zu bytes\n", heap_bytes - bytes);
    assert_true(heap_bytes - bytes <= 400);
    http_tap_drop_first(tap); /* nobody will ask */
    for (size_t cut = 0; cut < sizeof(request) - 1; cut++) {
        struct span pieces[] = {
            span_make(request, cut),
            span_make(request + cut, sizeof(request) - 1 - cut),
            SPAN_LITERAL(response),
        };
        size_t asked = heap_asked;

        assert_false(http_tap_feed(tap, C, 1, &pieces[0], &done));
        assert_int_equal(http_tap_is_idle(tap), cut == 0);
        assert_false(http_tap_feed(tap, C, 1, &pieces[1], &done));
        assert_false(http_tap_is_idle(tap));
        assert_int_equal(heap_blocks, blocks + 2);
        assert_true(http_tap_feed(tap, S, 1, &pieces[2], &done));
        assert_true(http_tap_is_idle(tap));
        assert_int_equal(heap_blocks, blocks + 1);
        assert_int_equal(heap_asked - asked, cut ? 2 : 1);
    }
    http_tap_free(tap);
    http_tap_free(NULL);
    assert_int_equal(heap_blocks, blocks);
}

static void test_memory_that_runs_out(void **state)
{
    static const struct line lines[] = {
        LINE(C, "GET / HTTP/1.1\r\nHo"),
        LINE(C, "st: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        LINE(S, "HTTP/1.1 200 OK\r\nTransfer-"),
        LINE(S, "Encoding: chunked\r\n\r\n0\r\n"),
        LINE(S, "X: y\r\n\r"),
        LINE(S, "\nHTTP/1.1 204 x\r\n\r\n"),
    };
    size_t fails_at;

    (void)state;
    if (!HEAP_IS_COUNTED) {
        skip();
    }
    for (fails_at = 1; hear_failing("", lines, COUNT_OF(lines), fails_at); fails_at++) {
    }
    assert_int_equal(fails_at, 8); /* the tap, two exchanges, three pieces, the first request */
}

static void test_freed_with_everything_under_way(void **state)
{
    static const char both[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHo";
    struct http_tap *tap = http_tap_new(SPAN_LITERAL(""));
    struct heard heard = {.count = 0};

    (void)state;
    assert_non_null(tap);
    assert_true(http_tap_is_idle(tap));
    feed_piece(tap, C, SPAN_LITERAL(both), 1, &heard);
    feed_piece(tap, S, SPAN_LITERAL("HTTP/1.1 2"), 1, &heard);
    assert_false(http_tap_is_idle(tap));
    http_tap_free(tap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reports_exchanges_one_after_another),
        cmocka_unit_test(test_answers_pipelined_requests_in_order),
        cmocka_unit_test(test_an_early_answer_waits_for_the_request),
        cmocka_unit_test(test_interim_responses_are_passed_over),
        cmocka_unit_test(test_http_1_0_ends_with_the_connection),
        cmocka_unit_test(test_targets_in_other_forms),
        cmocka_unit_test(test_an_upgrade_is_reported_and_ends_the_reading),
        cmocka_unit_test(test_an_upgrade_that_is_not_taken_stays_http),
        cmocka_unit_test(test_a_tunnel_within),
        cmocka_unit_test(test_another_client_may_go_on),
        cmocka_unit_test(test_nobody_else_may_go_on_now),
        cmocka_unit_test(test_nobody_else_may_ever_go_on),
        cmocka_unit_test(test_undecided_is_not_reusable),
        cmocka_unit_test(test_goes_blind),
        cmocka_unit_test(test_the_preface_is_no_http_1),
        cmocka_unit_test(test_other_protocols_are_not_followed),
        cmocka_unit_test(test_the_pipeline_is_bounded),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_heads_up_to_64_kib),
        cmocka_unit_test(test_between_exchanges_nothing_is_kept),
        cmocka_unit_test(test_memory_that_runs_out),
        cmocka_unit_test(test_freed_with_everything_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
