/* SPDX-License-Identifier: Apache-2.0 */
/* What a tap says of the first request. */
#include "tests/unit/http/tap_heap.h"
#include "tests/unit/http/tap_script.h"
#include "tests/unit/http/tap_script_h2.h"

#include <stdio.h>

/* Told in that line of the conversation; user_agent null: there was none. */
static void expect_first(size_t line, const char *user_agent, const char *names)
{
    const struct http_first_request *first = &heard.first;

    assert_int_equal(heard.first_ns, (int64_t)line * 1000);
    assert_int_equal(first->has_user_agent, user_agent != NULL);
    assert_int_equal(first->user_agent_len, user_agent ? strlen(user_agent) : 0);
    assert_memory_equal(first->user_agent, user_agent ? user_agent : "", first->user_agent_len);
    assert_int_equal(first->names_len, strlen(names));
    assert_memory_equal(first->names, names, first->names_len);
    assert_false(first->is_user_agent_cut || first->are_names_cut);
}

/* It is told when its head is whole, not with its exchange, and no other one changes it. */
static void test_tells_the_first_request_with_its_head(void **state)
{
    static const struct line lines[] = {
        LINE(C, "\r\nPOST /p HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nUser-Agent: \t b/1 \xff\t(c)"),
        LINE(C, " \r\nx-a: 2\r\nTransfer-Encoding: chunked\r\n!#$%&'*+-.^_`|~: 3\r\n\r"),
        LINE(C, "\n"),
        LINE(C, "1\r\nx\r\n0\r\nX-Trailer: 1\r\n\r\n"),
        LINE(S, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: d\r\n\r\n"),
        LINE(C, "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: other\r\n\r\n"),
    };

    (void)state;
    FOR_EACH_STEP(heard, step_index % 2 ? "" : "http/1.1", lines)
    {
        assert_null(heard.stats.blind);
        expect_first(3, "b/1 \xff\t(c)",
                     "host,x-a,user-agent,x-a,transfer-encoding,!#$%&'*+-.^_`|~");
    }
}

static void test_only_the_first_of_a_pipeline_is_told(void **state)
{
    static const struct line bare[] = {
        LINE(C, "GET /1 HTTP/1.0\r\n\r\n"
                "GET /2 HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n\r\n"),
    };
    static const struct line named_twice[] = {
        LINE(C, "GET /1 HTTP/1.1\r\nUSER-AGENT:\r\nHost: a\r\nUser-Agent: x\r\n\r\n"
                "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"),
    };

    (void)state;
    FOR_EACH_STEP(heard, "", bare)
    {
        expect_first(1, NULL, "");
    }
    FOR_EACH_STEP(heard, "", named_twice)
    {
        expect_first(1, "", "user-agent,host,user-agent");
    }
}

static void test_the_first_request_outlives_the_reading(void **state)
{
    static const struct line upgrade[] = {
        LINE(C, "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
        LINE(S, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
                "\r\n"),
        LINE(C, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    };
    static const struct line garbage[] = {
        LINE(C, "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n\r\n\x16\x03\x01"),
    };

    (void)state;
    FOR_EACH_STEP(heard, "", upgrade)
    {
        expect_blind(&heard, "switched protocols");
        expect_first(1, NULL, "host,connection,upgrade");
    }
    FOR_EACH_STEP(heard, "", garbage)
    {
        expect_blind(&heard, "TLS");
        expect_first(1, "b", "host,user-agent");
    }
}

static void test_no_first_request_where_none_was_read(void **state)
{
    static const struct line lines[][1] = {
        {LINE(C, "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\nX: \x01\r\n\r\n")},
        {LINE(C, "GET / HTTP/1.1\r\nUser-Agent: b\r\n\r\n")},
        {LINE(C, "\x16\x03\x01")},
        {LINE(S, "220 mail\r\n")},
    };
    static const struct line unfinished[] = {
        LINE(C, "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n\r"),
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        FOR_EACH_STEP(heard, "", lines[i])
        {
            assert_non_null(heard.stats.blind);
            assert_int_equal(heard.first_ns, 0);
        }
    }
    FOR_EACH_STEP(heard, "", unfinished)
    {
        assert_null(heard.stats.blind);
        assert_int_equal(heard.first_ns, 0);
    }
}

static void test_a_long_user_agent_is_cut(void **state)
{
    static char request[2048];
    struct line lines[] = {{C, {(const uint8_t *)request, 0}}};

    (void)state;
    for (int len = HTTP_FIRST_USER_AGENT_MAX - 1; len <= HTTP_FIRST_USER_AGENT_MAX + 1; len++) {
        bool is_cut = len > HTTP_FIRST_USER_AGENT_MAX;

        lines[0].bytes.len =
            (size_t)snprintf(request, sizeof(request),
                             "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: %0*d\r\n\r\n", len, 7);
        FOR_EACH_STEP(heard, "", lines)
        {
            assert_int_equal(heard.first.user_agent_len, is_cut ? len - 1 : len);
            assert_int_equal(heard.first.is_user_agent_cut, is_cut);
            assert_int_equal(heard.first.user_agent[len - 2], '0');
            assert_int_equal(heard.first.user_agent[heard.first.user_agent_len - 1],
                             is_cut ? '0' : '7');
            assert_false(heard.first.are_names_cut);
        }
    }
}

/* "host,N...N,i": the last name finds room, then not; then the long one does not. */
static void test_names_that_have_no_room_end_the_list(void **state)
{
    static const struct {
        int long_len; /* bytes */
        size_t names_len;
        bool is_cut;
        char last;
    } cases[] = {
        {HTTP_FIRST_NAMES_MAX - 7, HTTP_FIRST_NAMES_MAX, false, 'i'},
        {HTTP_FIRST_NAMES_MAX - 6, HTTP_FIRST_NAMES_MAX - 1, true, '7'},
        {HTTP_FIRST_NAMES_MAX - 5, HTTP_FIRST_NAMES_MAX, true, '7'},
        {HTTP_FIRST_NAMES_MAX - 4, 4, true, 't'},
    };
    static char request[4096];
    struct line lines[] = {{C, {(const uint8_t *)request, 0}}};
    const struct http_first_request *first = &heard.first;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        lines[0].bytes.len = (size_t)snprintf(request, sizeof(request),
                                              "GET / HTTP/1.1\r\nHost: a\r\n%0*d:\r\nI:\r\n\r\n",
                                              cases[i].long_len, 7);
        FOR_EACH_STEP(heard, "", lines)
        {
            assert_int_equal(first->names_len, cases[i].names_len);
            assert_int_equal(first->are_names_cut, cases[i].is_cut);
            assert_memory_equal(first->names, "host", 4);
            assert_int_equal(first->names[first->names_len - 1], cases[i].last);
        }
    }
}

/* One block more while it is kept, none after; and none at all when it is dropped in advance. */
static void test_a_dropped_first_request_costs_nothing(void **state)
{
    (void)state;
    if (!HEAP_IS_COUNTED) {
        skip();
    }
    for (int in_advance = 0; in_advance < 2; in_advance++) {
        struct http_tap *tap = http_tap_new(SPAN_LITERAL(""));
        struct http_exchange done;
        size_t blocks = heap_blocks;
        size_t bytes = heap_bytes;

        assert_non_null(tap);
        assert_false(http_tap_first_is_settled(tap));
        if (in_advance) {
            http_tap_drop_first(tap);
        }
        for (int i = 0; i < 3; i++) {
            struct span request = SPAN_LITERAL("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            struct span answer = SPAN_LITERAL("HTTP/1.1 204 x\r\n\r\n");
            bool is_there = i == 0 && !in_advance;

            assert_false(http_tap_feed(tap, C, 1, &request, &done));
            assert_true(http_tap_feed(tap, S, 1, &answer, &done));
            assert_int_equal(http_tap_first_request(tap) != NULL, is_there);
            assert_int_equal(http_tap_first_is_settled(tap), !is_there);
            assert_int_equal(heap_blocks, blocks + is_there);
            http_tap_drop_first(tap);
            assert_int_equal(heap_bytes, bytes);
        }
        assert_true(http_tap_is_idle(tap));
        http_tap_free(tap);
    }
}

/* ---- HTTP/2 ---- */

/* No pseudo-header fields, no trailers, no promise, no later request. */
static void test_tells_the_fields_of_the_first_request(void **state)
{
    const nghttp2_nv fields[] = {
        FIELD(":method", "POST"), FIELD(":path", "/"),      FIELD("accept", "*/*"),
        FIELD("cookie", "a=1"),   FIELD("X-Old", "1"),      FIELD("user-agent", "b/1 \xff\0\t(c) "),
        FIELD("cookie", "b=2"),   FIELD("user-agent", "d"),
    };
    const nghttp2_nv trailer[] = {FIELD("grpc-status", "0"), FIELD("user-agent", "e")};
    static const char user_agent[] = "b/1 \xff\0\t(c) ";
    static const char names[] = "accept,cookie,x-old,user-agent,cookie,user-agent";
    struct span block;

    (void)state;
    script_init();
    say(C);
    block = deflate(C, trailer, 1);
    add_frame(HEADERS, END_HEADERS | END_STREAM, 2, block.data, block.len); /* not the client's */
    add_frame(PROMISE, END_HEADERS, 1, "\0\0\0\4\x82", 5);                  /* nor this */
    block = deflate(C, fields, COUNT_OF(fields));
    add_frame(HEADERS, 0, 1, block.data, 3);
    add_frame(CONTINUATION, 0, 1, block.data + 3, block.len - 4);
    say(C);
    add_frame(CONTINUATION, END_HEADERS, 1, block.data + block.len - 1, 1);
    say(C);
    add_headers(END_STREAM, 1, trailer, COUNT_OF(trailer));
    add_get(3, "/", END_STREAM);
    say(S);
    add_status(1, "200", END_STREAM);
    FOR_EACH_CUT(cut % 2 ? "" : "h2")
    {
        assert_null(heard.stats.blind);
        assert_int_equal(heard.first_ns, 4000);
        assert_true(heard.first.has_user_agent);
        assert_int_equal(heard.first.user_agent_len, sizeof(user_agent) - 1);
        assert_memory_equal(heard.first.user_agent, user_agent, sizeof(user_agent) - 1);
        assert_int_equal(heard.first.names_len, sizeof(names) - 1);
        assert_memory_equal(heard.first.names, names, sizeof(names) - 1);
        assert_false(heard.first.is_user_agent_cut || heard.first.are_names_cut);
    }
}

static void test_a_first_request_without_fields(void **state)
{
    const nghttp2_nv fields[] = {FIELD(":method", "GET"), FIELD(":user-agent", "x")};

    (void)state;
    script_init();
    say(C);
    add_headers(0, 5, fields, COUNT_OF(fields));
    add_get(7, "/", END_STREAM);
    FOR_EACH_CUT("h2")
    {
        assert_null(heard.stats.blind);
        expect_first(3, NULL, "");
    }
}

/* A name that is no token ends the list, but the User-Agent is still found. */
static void test_names_that_cannot_be_in_a_list_end_it(void **state)
{
    static const struct span names[] = {
        SPAN_LITERAL(""),      SPAN_LITERAL("a:b"),      SPAN_LITERAL("a,b"),
        SPAN_LITERAL("a b"),   SPAN_LITERAL("a\nb"),     SPAN_LITERAL("\0"),
        SPAN_LITERAL("a\x7f"), SPAN_LITERAL("\xc3\xa4"), SPAN_LITERAL(" a"),
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const nghttp2_nv fields[] = {
            FIELD(":path", "/"),
            FIELD("accept", "*/*"),
            {(uint8_t *)names[i].data, (uint8_t *)"", names[i].len, 0, 0},
            FIELD("user-agent", "b"),
        };
        script_init();
        say(C);
        add_headers(END_STREAM, 1, fields, COUNT_OF(fields));
        FOR_EACH_CUT("h2")
        {
            assert_null(heard.stats.blind);
            assert_true(heard.first.are_names_cut);
            heard.first.are_names_cut = false;
            expect_first(3, "b", "accept");
        }
    }
}

static void test_a_long_first_request_is_cut(void **state)
{
    static char agent[HTTP_FIRST_USER_AGENT_MAX + 1];
    static char name[HTTP_FIRST_NAMES_MAX];
    nghttp2_nv fields[] = {FIELD("user-agent", ""), FIELD("", ""), FIELD("x", "")};

    (void)state;
    memset(agent, 'u', sizeof(agent));
    memset(name, 'n', sizeof(name));
    fields[0].value = (uint8_t *)agent;
    fields[1].name = (uint8_t *)name;
    for (size_t more = 0; more < 2; more++) {
        script_init();
        say(C);
        fields[0].valuelen = HTTP_FIRST_USER_AGENT_MAX + more;
        fields[1].namelen = HTTP_FIRST_NAMES_MAX - sizeof("user-agent,x,") + 1 + more;
        add_headers(END_STREAM, 1, fields, COUNT_OF(fields));
        FOR_EACH_CUT("h2")
        {
            assert_int_equal(heard.first.is_user_agent_cut, more);
            assert_int_equal(heard.first.user_agent_len, HTTP_FIRST_USER_AGENT_MAX);
            assert_memory_equal(heard.first.user_agent, agent, HTTP_FIRST_USER_AGENT_MAX);
            assert_int_equal(heard.first.are_names_cut, more);
            assert_int_equal(heard.first.names_len, HTTP_FIRST_NAMES_MAX - more);
            assert_int_equal(heard.first.names[heard.first.names_len - 1], more ? 'n' : 'x');
        }
    }
    script_init();
    say(C);
    fields[1].namelen = HTTP_FIRST_NAMES_MAX;
    add_headers(END_STREAM, 1, fields + 1, 1);
    FOR_EACH_CUT("h2")
    {
        assert_int_equal(heard.first.names_len, HTTP_FIRST_NAMES_MAX);
        assert_false(heard.first.are_names_cut);
    }
}

/* What was read before the fault is not told, nor is it kept. */
static void test_no_first_request_from_a_broken_block(void **state)
{
    static const char broken[] = "\0\0\4\1\4\0\0\0\1\x82\x7a\0\xbf"; /* user-agent, then no entry */
    size_t blocks;

    (void)state;
    script_fini();
    blocks = heap_blocks;
    script_init();
    say(C);
    add_bytes(broken, sizeof(broken) - 1);
    FOR_EACH_CUT("h2")
    {
        expect_blind(&heard, "decoded");
        assert_int_equal(heard.first_ns, 0);
    }
    script_fini();
    assert_int_equal(heap_blocks, blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tells_the_first_request_with_its_head),
        cmocka_unit_test(test_only_the_first_of_a_pipeline_is_told),
        cmocka_unit_test(test_the_first_request_outlives_the_reading),
        cmocka_unit_test(test_no_first_request_where_none_was_read),
        cmocka_unit_test(test_a_long_user_agent_is_cut),
        cmocka_unit_test(test_names_that_have_no_room_end_the_list),
        cmocka_unit_test(test_a_dropped_first_request_costs_nothing),
        cmocka_unit_test(test_tells_the_fields_of_the_first_request),
        cmocka_unit_test(test_a_first_request_without_fields),
        cmocka_unit_test(test_names_that_cannot_be_in_a_list_end_it),
        cmocka_unit_test(test_a_long_first_request_is_cut),
        cmocka_unit_test(test_no_first_request_from_a_broken_block),
    };
    return cmocka_run_group_tests(tests, NULL, script_teardown);
}
