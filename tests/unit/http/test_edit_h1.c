/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/http/edit_script.h"

#define FIELD NAME ": genuine\r\n"
#define CLOSE "Connection: close\r\n"

/* A conversation, and what is to go on of it, side by side. */
struct row {
    struct line lines[8];
    const char *to_server;
    const char *to_client;
};

static size_t line_count(const struct line *lines)
{
    size_t count = 0;

    while (count < 8 && lines[count].bytes.len) {
        count++;
    }
    return count;
}

static void expect_row(const struct row *row, const char *alpn)
{
    FOR_EACH_EDIT(alpn, row->lines, line_count(row->lines))
    {
        expect_passed(C, span_from_string(row->to_server));
        expect_passed(S, span_from_string(row->to_client));
        assert_false(edited.sides[C].stopped || edited.sides[S].stopped);
    }
}

#define GET     "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST    "POST /p HTTP/1.1\r\nHost: a\r\n"
#define OK      "HTTP/1.1 200 OK\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

static const struct row rows[] = {
    {{LINE(C, GET "\r\n"), LINE(S, OK "Content-Length: 2\r\n\r\nhi")},
     GET FIELD "\r\n",
     OK "Content-Length: 2\r\n" FIELD "\r\nhi"},
    /* Without any field of its own; a body that looks like a head. */
    {{LINE(C, "GET / HTTP/1.0\r\n\r\n"), LINE(S, "HTTP/1.0 204 \r\n\r\n"),
      LINE(C, POST "Content-Length: 4\r\n\r\n\r\n\r\n"), LINE(S, OK "\r\n\r\n\r\n")},
     "GET / HTTP/1.0\r\n" FIELD "\r\n" POST "Content-Length: 4\r\n" FIELD "\r\n\r\n\r\n",
     "HTTP/1.0 204 \r\n" FIELD "\r\n" OK FIELD "\r\n\r\n\r\n"},
    /* Pipelined, with chunks and trailers, in one run with empty lines between; 1xx. */
    {{LINE(C, POST CHUNKED "Expect: 100-continue\r\n\r\n3\r\nabc\r\n0\r\nT: t\r\n\r\n"
                           "\r\n" GET "\r\n" GET "\r\n"),
      LINE(S, "HTTP/1.1 100 Continue\r\n\r\n"
              "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" OK CHUNKED
              "\r\n1\r\nx\r\n0\r\n\r\n" OK CHUNKED "\r\n0\r\nT: t\r\n\r\n"
              "HTTP/1.1 304 Not Modified\r\n\r\n")},
     POST CHUNKED "Expect: 100-continue\r\n" FIELD "\r\n3\r\nabc\r\n0\r\nT: t\r\n\r\n"
                  "\r\n" GET FIELD "\r\n" GET FIELD "\r\n",
     "HTTP/1.1 100 Continue\r\n\r\n"
     "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" OK CHUNKED FIELD
     "\r\n1\r\nx\r\n0\r\n\r\n" OK CHUNKED FIELD "\r\n0\r\nT: t\r\n\r\n"
     "HTTP/1.1 304 Not Modified\r\n" FIELD "\r\n"},
    /* What follows a switch is not touched, nor what the client held ready for it. */
    {{LINE(C, GET "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"), LINE(C, "EARLY"),
      LINE(S,
           "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" OK "\r\n"),
      LINE(C, GET NAME ": mine\r\n\r\n")},
     GET "Connection: upgrade\r\nUpgrade: websocket\r\n" FIELD "\r\n"
         "EARLY" GET NAME ": mine\r\n\r\n",
     "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" OK "\r\n"},
    {{LINE(C, "CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n"), LINE(S, OK "\r\n"), LINE(S, OK "\r\n"),
      LINE(C, GET NAME ": mine\r\n\r\n")},
     "CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n" FIELD "\r\n" GET NAME ": mine\r\n\r\n",
     OK "\r\n" OK "\r\n"},
    /* A refused CONNECT is an exchange like others. */
    {{LINE(C, "CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n"),
      LINE(S, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), LINE(C, GET "\r\n")},
     "CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n" FIELD "\r\n" GET FIELD "\r\n",
     "HTTP/1.1 403 No\r\nContent-Length: 0\r\n" FIELD "\r\n"},
    /* Names that are alike are others'. */
    {{LINE(C, GET "Weir-Verdicts: a\r\nX-Weir-Verdict: b\r\nWeirVerdict: c\r\n\r\n")},
     GET "Weir-Verdicts: a\r\nX-Weir-Verdict: b\r\nWeirVerdict: c\r\n" FIELD "\r\n",
     ""},
};

static void test_inserts_into_each_head(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        edit_init();
        expect_row(&rows[i], "http/1.1");
    }
}

/* Each place to cut a head in two, the protocol being found out from the bytes. */
static void test_any_cut(void **state)
{
    static const char sent[] =
        "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GET "\r\n";

    (void)state;
    for (size_t cut = 1; cut < sizeof(sent) - 1; cut++) {
        const struct line lines[] = {{C, span_make(sent, cut)},
                                     {C, span_make(sent + cut, sizeof(sent) - 1 - cut)}};
        edit_init();
        edit_lines("", lines, 2, SIZE_MAX / 2);
        expect_passed(C, SPAN_LITERAL("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" FIELD
                                      "\r\nabc" GET FIELD "\r\n"));
        assert_int_equal(edited.sides[C].heads, 2);
    }
}

/* One side has an editor, the other is only looked at; no value; a value that is refused. */
static void test_sides_and_values(void **state)
{
    const struct line lines[] = {LINE(C, GET "\r\n"), LINE(S, OK "Content-Length: 0\r\n\r\n"),
                                 LINE(C, GET "\r\n" GET)};

    (void)state;
    edit_init();
    edited.is_named[S] = false;
    FOR_EACH_EDIT("", lines, 3)
    {
        expect_passed(C, SPAN_LITERAL(GET FIELD "\r\n" GET FIELD "\r\n"));
        expect_passed(S, lines[1].bytes);
    }
    edit_init();
    edited.value = span_make(NULL, 0);
    FOR_EACH_EDIT("", lines, 3)
    {
        expect_passed(C, SPAN_LITERAL(GET "\r\n" GET "\r\n"));
        assert_int_equal(edited.sides[C].heads, 2);
    }
    edit_init();
    edited.sides[C].refuses = 2;
    FOR_EACH_EDIT("http/1.1", lines, 3)
    {
        expect_passed(C, SPAN_LITERAL(GET FIELD "\r\n"));
        assert_true(edited.sides[C].stopped);
    }
}

/* What cannot be sent ends it; nothing comes out of order. */
static void test_sending_fails(void **state)
{
    const struct line lines[] = {LINE(C, GET "\r\n"), LINE(C, GET "\r\n")};

    (void)state;
    for (uint32_t max = 1; max < 6; max++) {
        edit_init();
        edited.sides[C].emits_max = max;
        edit_lines("http/1.1", lines, 2, SIZE_MAX / 2);
        assert_true(edited.sides[C].stopped);
        assert_memory_equal(edited.sides[C].bytes, GET FIELD "\r\n" GET FIELD "\r\n",
                            edited.sides[C].len);
    }
}

static const struct {
    struct line lines[4];
    enum http_tap_side side; /* that stops */
    const char *words;
    const char *passed; /* of that side; null: something, without its end */
} forged[] = {
    {{LINE(C, GET NAME ": genuine\r\n\r\n")}, C, "client sent one", ""},
    {{LINE(C, GET "\r\n" GET "weir-verdict:\r\n\r\n")}, C, "client sent one", GET FIELD "\r\n"},
    {{LINE(C, GET "WEIR_VERDICT: genuine\r\n\r\n")}, C, "client sent one", ""},
    {{LINE(C, GET "Connection: x, weir-verdict\r\n\r\n")}, C, "Connection names", ""},
    {{LINE(C, POST CHUNKED "\r\n0\r\nWeir-Verdict: x\r\n\r\n")}, C, "client sent one", NULL},
    {{LINE(C, GET "\r\n"), LINE(S, OK "weir-Verdict: x\r\n\r\n")}, S, "server sent one", ""},
    {{LINE(C, GET "\r\n"), LINE(S, "HTTP/1.1 103 Hint\r\nWeir-Verdict: x\r\n\r\n")},
     S,
     "server sent one",
     ""},
    {{LINE(C, GET "Connection: upgrade\r\nUpgrade: a\r\n\r\n"),
      LINE(S, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: a\r\nWeir-Verdict: x\r\n\r\n")},
     S,
     "server sent one",
     ""},
    /* Where it could come unseen. */
    {{LINE(C, GET " folded: line\r\n\r\n")}, C, "", ""},
    {{LINE(C, "GET / HTTP/1.1\nHost: a\nWeir-Verdict: x\n\n")}, C, "", ""},
    {{LINE(C, " GET / HTTP/1.1\r\n\r\n")}, C, "", ""},
    {{LINE(C, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")}, C, "", ""},
    {{LINE(C, GET "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
      LINE(S, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
      LINE(C, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
     C,
     "switched",
     GET "Connection: upgrade\r\nUpgrade: h2c\r\n" FIELD "\r\n"},
    {{LINE(S, OK "\r\n"), LINE(C, GET "\r\n")}, C, "no request asked for", ""},
};

static void test_stops_what_nobody_can_vouch_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(forged); i++) {
        edit_init();
        FOR_EACH_EDIT("http/1.1", forged[i].lines, line_count(forged[i].lines))
        {
            const struct passed *passed = &edited.sides[forged[i].side];
            assert_true(passed->stopped);
            assert_non_null(edited.stats.blind);
            assert_int_equal(edited.blindness, HTTP_TAP_LOST);
            assert_non_null(strstr(edited.stats.blind, forged[i].words));
            if (forged[i].passed) {
                expect_passed(forged[i].side, span_from_string(forged[i].passed));
            } else {
                /* Of trailers only the end is missing. */
                assert_true(passed->len >= 5 &&
                            memcmp(passed->bytes + passed->len - 5, "\r\n\r\n", 4) != 0);
            }
        }
    }
}

/* The same without a promise: all goes on. */
static void test_other_protocols_pass(void **state)
{
    static const struct line binary[] = {LINE(C, "\x01\x02weir-verdict: x\r\n\r\n"),
                                         LINE(S, "\x03\x04")};
    static const struct line server_first[] = {LINE(S, "220 mail\r\n"), LINE(C, "EHLO a\r\n")};

    (void)state;
    edit_init();
    FOR_EACH_EDIT("", binary, 2)
    {
        expect_passed(C, binary[0].bytes);
        expect_passed(S, binary[1].bytes);
        assert_int_equal(edited.blindness, HTTP_TAP_NOT_HTTP);
    }
    FOR_EACH_EDIT("", server_first, 2)
    {
        expect_passed(C, server_first[1].bytes);
        expect_passed(S, server_first[0].bytes);
    }
}

/* A server that begins with what HTTP begins with is held to it. */
static void test_a_server_that_speaks_http_first(void **state)
{
    static const struct line lines[] = {LINE(S, OK NAME ": x\r\n\r\n")};
    static const struct line late[] = {LINE(C, "PRI"), LINE(S, "220 mail\r\n"), LINE(C, "X")};

    (void)state;
    edit_init();
    FOR_EACH_EDIT("", lines, 1)
    {
        assert_true(edited.sides[S].stopped);
        expect_passed(S, SPAN_LITERAL(""));
    }
    /* And so is a client. */
    FOR_EACH_EDIT("", late, 3)
    {
        assert_true(edited.sides[C].stopped);
        expect_passed(C, SPAN_LITERAL(""));
    }
}

/* Heads that are too long or never whole. */
static void test_bounds(void **state)
{
    static char head[HTTP_HEAD_BYTES_MAX + 64];
    static char with_field[sizeof(head) + 64];
    static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    const struct line part[] = {LINE(C, GET)};

    (void)state;
    edit_init();
    for (int over = 0; over < 2; over++) {
        size_t len = HTTP_HEAD_BYTES_MAX + (size_t)over;
        const struct line lines[] = {{C, span_make(head, len)}};
        memset(head, 'x', len);
        memcpy(head, start, sizeof(start) - 1);
        memcpy(head + len - 4, "\r\n\r\n", 4);
        for (size_t step = 1000; step < sizeof(head) * 2; step *= 200) {
            edit_lines("http/1.1", lines, 1, step);
            assert_int_equal(edited.sides[C].stopped, over);
            memcpy(with_field, head, len - 2);
            memcpy(with_field + len - 2, FIELD "\r\n", sizeof(FIELD) + 1);
            expect_passed(C, over ? span_make(NULL, 0)
                                  : span_make(with_field, len + sizeof(FIELD) - 1));
        }
    }
    FOR_EACH_EDIT("http/1.1", part, 1)
    {
        expect_passed(C, SPAN_LITERAL(""));
        assert_false(edited.sides[C].stopped);
    }
}

/* Connection: close from when the worker drains, in final responses, with the field or without. */
static void test_leaving(void **state)
{
    static const struct line lines[] = {
        LINE(C, GET "\r\n" GET "\r\n"),
        LINE(S, OK "Content-Length: 1\r\n\r\nx"),
        LINE(S, "HTTP/1.1 103 Hint\r\n\r\n" OK "Content-Length: 1\r\n\r\ny"),
    };

    (void)state;
    for (int named = 0; named < 2; named++) {
        edit_init();
        edited.is_named[C] = false;
        edited.is_named[S] = named;
        edited.is_plain[S] = true;
        edited.leaves_after = 2;
        FOR_EACH_EDIT("http/1.1", lines, 3)
        {
            expect_passed(C, lines[0].bytes);
            expect_passed(S, named ? SPAN_LITERAL(OK "Content-Length: 1\r\n" FIELD "\r\nx"
                                                     "HTTP/1.1 103 Hint\r\n\r\n" OK
                                                     "Content-Length: 1\r\n" FIELD CLOSE "\r\ny")
                                   : SPAN_LITERAL(OK "Content-Length: 1\r\n\r\nx"
                                                     "HTTP/1.1 103 Hint\r\n\r\n" OK
                                                     "Content-Length: 1\r\n" CLOSE "\r\ny"));
        }
    }
}

/* An editor that comes when a part of a head has gone on: this head, or else the next. */
static void test_an_editor_that_comes_late(void **state)
{
    static const char heads[] = OK "Content-Length: 0\r\n\r\n" OK "Content-Length: 0\r\n\r\n";
    size_t len = sizeof(heads) / 2;

    (void)state;
    edit_init();
    edited.is_named[C] = edited.is_named[S] = false;
    for (size_t cut = 0; cut <= len; cut++) {
        struct http_tap *tap = http_tap_new(SPAN_LITERAL("http/1.1"));
        struct passed *passed = &edited.sides[S];
        bool is_late = cut > len - 2 && cut < len;
        char expected[256];

        passed->len = passed->emits = 0;
        feed_edited(tap, C, SPAN_LITERAL(GET "\r\n" GET "\r\n"));
        if (cut) {
            feed_edited(tap, S, span_make(heads, cut));
        }
        add_editor(tap, S);
        edited.is_plain[S] = true;
        http_tap_leave(tap);
        feed_edited(tap, S, span_make(heads + cut, sizeof(heads) - 1 - cut));
        snprintf(expected, sizeof(expected), "%.*s%s\r\n%.*s" CLOSE "\r\n", (int)(len - 2), heads,
                 is_late || cut == len ? "" : CLOSE, (int)(len - 2), heads);
        expect_passed(S, span_from_string(expected));
        edited.is_plain[S] = false;
        http_tap_free(tap);
    }
}

/* Memory that runs out stops it or is not noticed; nothing is left behind. */
static void test_memory_that_runs_out(void **state)
{
    static const struct line lines[] = {LINE(C, GET "\r\n"), LINE(S, OK "Content-Length: 0\r\n"),
                                        LINE(S, "\r\n"), LINE(C, GET), LINE(C, "\r\n")};
    size_t blocks = heap_blocks;
    bool failed = true;

    (void)state;
    edit_init();
    for (size_t fails_at = 4; failed; fails_at++) { /* the tap and its editors are there */
        heap_asked = 0;
        heap_fails_at = fails_at;
        edit_lines("http/1.1", lines, COUNT_OF(lines), SIZE_MAX / 2);
        failed = heap_asked >= fails_at;
        heap_fails_at = 0;
        assert_int_equal(heap_blocks, blocks);
        if (!failed || !(edited.sides[C].stopped || edited.sides[S].stopped)) {
            expect_passed(C, SPAN_LITERAL(GET FIELD "\r\n" GET FIELD "\r\n"));
            expect_passed(S, SPAN_LITERAL(OK "Content-Length: 0\r\n" FIELD "\r\n"));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inserts_into_each_head),
        cmocka_unit_test(test_any_cut),
        cmocka_unit_test(test_sides_and_values),
        cmocka_unit_test(test_sending_fails),
        cmocka_unit_test(test_stops_what_nobody_can_vouch_for),
        cmocka_unit_test(test_other_protocols_pass),
        cmocka_unit_test(test_a_server_that_speaks_http_first),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_an_editor_that_comes_late),
        cmocka_unit_test(test_memory_that_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
