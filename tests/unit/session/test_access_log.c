/* SPDX-License-Identifier: Apache-2.0 */
/* The file of access_log is part of this program, with a clock of the test's. */
#define ring_wall test_wall
#include "core/session/access_log.c"
#undef ring_wall

#include "json_check.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define SET(field, text) ((void)snprintf(field, sizeof(field), "%s", text))

static int64_t wall_ns;

int64_t test_wall(const struct ring *ring)
{
    (void)ring;
    return wall_ns;
}

/* A session with nothing around it but what the log reads. */
static struct session_shared shared;
static struct session_worker worker;
static struct config_listener listener;
static struct config config;
static struct snapshot snapshot;
static struct snapshot_hold hold;
static struct conn client;
static struct session session;
static struct conn server;
static struct session_tls tls;
static struct session_hello hello = {.sni_invalid = true, .sni = "www.example.com"};

enum { END_NS = 2000000 };
static struct http_exchange exchange;

static char lines[4][LINE_CAP + 1];
static size_t line_count;

static void keep_line(void *context, struct span line)
{
    assert_ptr_equal(context, lines);
    assert_true(line_count < COUNT_OF(lines));
    assert_true(line.len > 0 && line.len <= LINE_CAP);
    /* One line each, and nothing but JSON in it. */
    assert_int_equal(span_find(line, '\n'), line.len - 1);
    if (!json_is_valid(span_sub(line, 0, line.len - 1))) {
        fail_msg("not JSON: %.*s", SPAN_PRINTF(line));
    }
    memcpy(lines[line_count], line.data, line.len);
    lines[line_count++][line.len] = '\0';
}

static const char *request_line(void)
{
    line_count = 0;
    access_log_request(&session, &exchange);
    assert_int_equal(line_count, 1);
    return lines[0];
}

static const char *tunnel_line(void)
{
    line_count = 0;
    access_log_tunnel(&session, END_NS);
    assert_int_equal(line_count, 1);
    return lines[0];
}

static struct address make_address(const char *ip, uint16_t port)
{
    struct address address;

    assert_true(address_parse_ip(&address, span_from_string(ip), port));
    return address;
}

static int set_up(void **state)
{
    (void)state;
    wall_ns = INT64_C(1795255200) * NS_PER_S + 7 * NS_PER_US;
    line_count = 0;
    shared = (struct session_shared){.on_log_line = keep_line, .on_log_line_context = lines};
    memset(&worker, 0, sizeof(worker));
    worker.shared = &shared;
    listener = (struct config_listener){.address = {.text = (char *)"127.0.0.1:8080"}};
    config = (struct config){.listeners = &listener, .listener_count = 1};
    snapshot.config = &config;
    hold.snapshot = &snapshot;
    memset(&client, 0, sizeof(client));
    memset(&session, 0, sizeof(session));
    client.peer = make_address("192.0.2.7", 51000);
    memset(&server, 0, sizeof(server));
    memset(&tls, 0, sizeof(tls));
    session.worker = &worker;
    session.hold = &hold;
    session.client = &client;
    session.id = 0x1f;
    session.rule = "default";
    memset(&exchange, 0, sizeof(exchange));
    exchange.http_major = exchange.http_minor = 1;
    return 0;
}

#define START                                                                                      \
    "{\"time\":\"2026-11-21T10:00:00.000007Z\",\"session\":\"1f\",\"kind\":\"%s\","                \
    "\"client\":\"192.0.2.7:51000\",\"listener\":\"127.0.0.1:8080\",\"mode\":\"forward\","

static void assert_line(const char *line, const char *kind, const char *rest)
{
    char expected[LINE_CAP];
    int len = snprintf(expected, sizeof(expected), START "%s\n", kind, rest);

    assert_true(len > 0 && (size_t)len < sizeof(expected));
    assert_string_equal(line, expected);
}

static void what_is_not_known_is_left_out(void **state)
{
    (void)state;
    assert_line(request_line(), "request",
                "\"decision\":\"intercept\",\"rule\":\"default\",\"http\":\"1.1\","
                "\"bytes\":{\"up\":0,\"down\":0},\"phases_us\":{}}");
    session.reason = CLOSE_IDLE;
    session.requests = 0;
    assert_line(tunnel_line(), "tunnel",
                "\"decision\":\"intercept\",\"rule\":\"default\",\"protocol\":\"unknown\","
                "\"requests\":0,\"bytes\":{\"up\":0,\"down\":0},\"phases_us\":{},"
                "\"close\":\"idle\"}");
}

static void fill_session(void)
{
    session.decision = DECISION_TUNNEL;
    session.rule = "banks";
    session.target = (char *)"example.com";
    session.port = 443;
    server.peer = make_address("203.0.113.9", 443);
    session.server = &server;
    session.hello = &hello;
    session.tls = &tls;
    SET(tls.alpn, "h2");
    tls.server = (struct session_tls_side){"TLSv1.3", "AES", "X25519", 13, 19, true};
    tls.client = (struct session_tls_side){.version = "TLSv1.2", .begin = 31, .end = 39};
    tls.mint_begin = 21;
    tls.mint_end = 28;
    session.leaf_source = LEAF_MINTED;
    session.protocol = PROTOCOL_TLS;
    session.status = 200;
    session.reason = CLOSE_SERVER_GONE;
    session.error = "connection_terminated";
    session.fault = (char *)"the server \"went\"";
    session.up.bytes = 12;
    session.down.bytes = UINT64_MAX;
    session.times = (struct session_times){
        .begin_ns = 1000000,
        .hello = 3,
        .dial_begin = 4,
        .resolved = 7,
        .connected = 12,
        .first_byte = 51,
    };
}

#define CONNECTION                                                                                 \
    "\"decision\":\"tunnel\",\"rule\":\"banks\",\"target\":\"example.com:443\","                   \
    "\"dialled\":\"203.0.113.9:443\",\"sni\":\"www.example.com\",\"sni_invalid\":true,"            \
    "\"alpn\":\"h2\",\"server_tls\":{\"version\":\"TLSv1.3\",\"cipher\":\"AES\","                  \
    "\"group\":\"X25519\",\"resumed\":true},\"client_tls\":{\"version\":\"TLSv1.2\","              \
    "\"resumed\":false},\"leaf\":\"minted\","
#define PHASES "\"hello\":2,\"dns\":3,\"connect\":5,\"server_tls\":6,\"mint\":7,\"client_tls\":8,"

static void a_tunnel_says_all_it_knows(void **state)
{
    (void)state;
    fill_session();
    session.requests = 3;
    assert_line(tunnel_line(), "tunnel",
                CONNECTION "\"protocol\":\"tls\",\"status\":200,\"requests\":3,"
                           "\"bytes\":{\"up\":12,\"down\":18446744073709551615},"
                           "\"phases_us\":{" PHASES "\"first_byte\":50,\"total\":1000},"
                           "\"close\":\"server_gone\",\"error\":\"connection_terminated\","
                           "\"fault\":\"the server \\\"went\\\"\"}");
}

static void fill_exchange(void)
{
    SET(exchange.method, "POST");
    SET(exchange.authority, "example.com:8443");
    SET(exchange.path, "/form");
    SET(exchange.user_agent, "agent \"x\"\x1b[0m");
    exchange.http_major = 2;
    exchange.http_minor = 0;
    exchange.status = 204;
    exchange.upgraded = true;
    exchange.request_bytes = 5;
    exchange.response_bytes = 6;
    exchange.begin_ns = 5000000;
    exchange.first_byte_ns = 5009000;
    exchange.end_ns = 5020000;
}

#define EXCHANGE                                                                                   \
    "\"method\":\"POST\",\"authority\":\"example.com:8443\",\"path\":\"/form\",\"http\":\"2.0\","  \
    "\"user_agent\":\"agent \\\"x\\\"\\u001b[0m\",\"status\":204,"                                 \
    "\"bytes\":{\"up\":5,\"down\":6},\"phases_us\":{"
#define EXCHANGE_END                                                                               \
    "\"first_byte\":9,\"total\":20},\"upgraded\":true,\"close\":\"server_gone\","                  \
    "\"error\":\"connection_terminated\",\"fault\":\"the server \\\"went\\\"\"}"

/* The price of the connection stands with the first request alone. */
static void a_request_says_all_it_knows(void **state)
{
    (void)state;
    fill_session();
    fill_exchange();
    assert_line(request_line(), "request", CONNECTION EXCHANGE PHASES EXCHANGE_END);
    assert_line(request_line(), "request", CONNECTION EXCHANGE EXCHANGE_END);
    assert_int_equal(session.requests, 2);
    assert_int_equal(worker.stats.requests, 2);
}

static void a_phase_without_an_end_or_before_its_begin_is_left_out(void **state)
{
    (void)state;
    session.times.begin_ns = END_NS - 4000;
    session.tls = &tls;
    tls.server.begin = 3;
    tls.server.end = 2;
    session.times.dial_begin = 2;
    session.times.resolved = 2;
    tls.mint_begin = 3;
    session.times.connected = 1;
    session.times.first_byte = UINT32_MAX; /* when is not known any more */
    assert_non_null(strstr(tunnel_line(), "\"phases_us\":{\"dns\":0,\"total\":4}"));
}

static void moments_are_microseconds_from_one_on(void **state)
{
    const int64_t begin_ns = 5 * NS_PER_US;

    (void)state;
    session.times.begin_ns = begin_ns;
    assert_int_equal(session_moment(&session, 0), 0);
    assert_int_equal(session_moment(&session, begin_ns - 1), 0);
    assert_int_equal(session_moment(&session, begin_ns), 1);
    assert_int_equal(session_moment(&session, begin_ns + 2 * NS_PER_US - 1), 2);
    assert_int_equal(session_moment(&session, begin_ns + (UINT32_MAX - 2) * NS_PER_US),
                     UINT32_MAX - 1);
    assert_int_equal(session_moment(&session, INT64_MAX), UINT32_MAX);
}

static void each_leaf_source_has_its_word(void **state)
{
    static const char *const word[] = {NULL, "hit", "minted", "recalled", "error_page"};

    (void)state;
    for (uint8_t i = 0; i < COUNT_OF(word); i++) {
        char expected[32];
        session.leaf_source = i;
        snprintf(expected, sizeof(expected), "\"leaf\":\"%s\"", word[i] ? word[i] : "");
        assert_int_equal(strstr(tunnel_line(), expected) != NULL, word[i] != NULL);
    }
}

static void addresses_stand_as_they_are_written(void **state)
{
    (void)state;
    session.target = (char *)"2001:db8::1";
    session.target_is_ip = true;
    session.port = 8443;
    server.peer = make_address("2001:db8::1", 8443);
    session.server = &server;
    client.peer = make_address("::1", 9);
    assert_non_null(strstr(tunnel_line(), "\"target\":\"[2001:db8::1]:8443\","
                                          "\"dialled\":\"[2001:db8::1]:8443\""));
    assert_non_null(strstr(lines[0], "\"client\":\"[::1]:9\""));
    session.target = (char *)"192.0.2.1";
    assert_non_null(strstr(tunnel_line(), "\"target\":\"192.0.2.1:8443\""));
}

/* A query string's place is shown, its content is not, wherever it begins. */
static void query_strings_are_not_written(void **state)
{
    static const char *const rows[][2] = {
        {"/a?token=secret", "\"path\":\"/a?\""},
        {"/a?", "\"path\":\"/a?\""},
        {"?secret", "\"path\":\"?\""},
        {"/?secret?secret", "\"path\":\"/?\""},
        {"/a\"b?secret", "\"path\":\"/a\\\"b?\""},
        {"/a%3Fb", "\"path\":\"/a%3Fb\""},
        {"*", "\"path\":\"*\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        SET(exchange.path, rows[i][0]);
        assert_non_null(strstr(request_line(), rows[i][1]));
        assert_null(strstr(lines[0], "secret"));
    }
}

/* HTTP/2 takes any :authority, also one with a name and a password in front. */
static void credentials_of_an_authority_are_not_written(void **state)
{
    static const char *const rows[][2] = {
        {"user:secret@example.com", "\"authority\":\"example.com\""},
        {"secret@example.com:8443", "\"authority\":\"example.com:8443\""},
        {"a:secret@b:secret@example.com", "\"authority\":\"example.com\""},
        {"example.com", "\"authority\":\"example.com\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        SET(exchange.authority, rows[i][0]);
        assert_non_null(strstr(request_line(), rows[i][1]));
        assert_null(strstr(lines[0], "secret"));
    }
    SET(exchange.authority, "user:secret@");
    assert_null(strstr(request_line(), "authority"));
}

/* Everything a peer or a configuration has a say in, as long as it may be and of bytes that take
 * most room. */
static void the_longest_line_fits(void **state)
{
    static char host[HTTP_HOST_MAX + 1], rule[65], fault[256], address[65];
    static char name[USER_NAME_MAX + 1];
    struct session_user user = {.name = name};
    struct session_hello *long_hello = calloc(1, sizeof(*long_hello) + 256);

    (void)state;
    fill_session();
    fill_exchange();
    memset(host, 0xff, sizeof(host) - 1);
    assert_non_null(long_hello);
    memset(long_hello->ja3, 0xff, JA3_LEN);
    memset(long_hello->ja4, 0xff, JA4_LEN);
    memset(long_hello->sni, 0xff, 255);
    long_hello->sni_invalid = true;
    memset(rule, 0xff, sizeof(rule) - 1);
    memset(fault, 0xff, sizeof(fault) - 1);
    memset(name, 0xff, sizeof(name) - 1);
    memset(address, 0xff, sizeof(address) - 1);
    memset(tls.alpn, 0xff, sizeof(tls.alpn) - 1);
    memset(exchange.method, 0xff, sizeof(exchange.method) - 1);
    memset(exchange.authority, 0xff, sizeof(exchange.authority) - 1);
    memset(exchange.path, 0xff, sizeof(exchange.path) - 1);
    memset(exchange.user_agent, 0xff, sizeof(exchange.user_agent) - 1);
    session.target = host;
    session.hello = long_hello;
    session.rule = rule;
    session.fault = fault;
    session.user = &user;
    listener.address.text = address;
    session.port = 65535;
    session.id = UINT64_MAX;
    client.peer = server.peer = make_address("2001:db8:1111:2222:3333:4444:5555:6666", 65535);
    tls.client = tls.server =
        (struct session_tls_side){.version = "TLSv1.3",
                                  .cipher = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                                  .group = "X25519MLKEM768",
                                  .begin = 1,
                                  .end = UINT32_MAX - 1};
    session.times.begin_ns = END_NS - INT64_MAX;
    exchange.status = 65535;
    exchange.http_major = exchange.http_minor = 255;
    exchange.request_bytes = exchange.response_bytes = UINT64_MAX;
    exchange.end_ns = INT64_MAX;
    assert_true(strlen(request_line()) > 10000);
    session.requests = UINT64_MAX;
    session.up.bytes = UINT64_MAX;
    assert_true(strlen(tunnel_line()) > 4000);
    free(long_hello);
}

/* Any byte in any text: still one line of JSON, which keep_line() checks. */
static void any_byte_leaves_a_line_of_json(void **state)
{
    uint32_t seed = 3;

    (void)state;
    fill_session();
    for (int round = 0; round < 2000; round++) {
        char *const text[] = {exchange.method, exchange.authority, exchange.path,
                              exchange.user_agent, tls.alpn};
        for (size_t i = 0; i < COUNT_OF(text); i++) {
            seed = seed * 1664525 + 1013904223;
            size_t len = (seed >> 9) % 20;
            for (size_t j = 0; j < len; j++) {
                seed = seed * 1664525 + 1013904223;
                text[i][j] = (char)(1 + (seed >> 16) % 255);
            }
            text[i][len] = '\0';
        }
        (void)request_line();
    }
}

static void without_a_taker_requests_are_counted_still(void **state)
{
    (void)state;
    shared.on_log_line = NULL;
    access_log_request(&session, &exchange);
    access_log_tunnel(&session, END_NS);
    assert_int_equal(line_count, 0);
    assert_int_equal(session.requests, 1);
    assert_int_equal(worker.stats.requests, 1);
}

/* Through the sink, by the worker's own ring; a test's taker goes before it. */
static void lines_go_to_the_sink_by_worker(void **state)
{
    char path[] = "/tmp/weir-test-access-XXXXXX";
    int fd = mkstemp(path);
    char error[256] = "";
    char content[LINE_CAP] = "";

    (void)state;
    assert_true(fd >= 0);
    shared.access_log = log_sink_new(path, 2, error, sizeof(error));
    assert_non_null(shared.access_log);
    worker.engine.index = 1;
    (void)request_line();
    shared.on_log_line = NULL;
    line_count = 0;
    access_log_request(&session, &exchange);
    assert_int_equal(line_count, 0);
    log_sink_free(shared.access_log);
    assert_true(read(fd, content, sizeof(content) - 1) > 0);
    assert_string_equal(content, lines[0]);
    close(fd);
    unlink(path);
}

/* The judge itself. */
static void json_is_told_from_what_is_none(void **state)
{
    static const char *const good[] = {
        "{}",   "{\"a\":1}", "{\"a\":{\"b\":[true,null]}}", "\"\\u00ff\"", "\"\xc3\xa9\"", "0",
        "-1.5", "[]"};
    static const char *const bad[] = {"",
                                      "{",
                                      "{\"a\"}",
                                      "{\"a\":1,}",
                                      "{,}",
                                      "{\"a\":01}",
                                      "\"\n\"",
                                      "\"\xff\"",
                                      "\"\\x\"",
                                      "\"\\u00g0\"",
                                      "{} ",
                                      "{\"a\":1 }",
                                      "tru",
                                      "{\"a\":1,\"a\":2}",
                                      "\"a",
                                      "\"\xed\xa0\x80\"",
                                      "\"\xc0\x80\"",
                                      "\"\\u00\"",
                                      "{\"a\":}",
                                      "[1,]",
                                      "\"\xc2\x9b\""};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_true(json_is_valid(span_from_string(good[i])));
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (json_is_valid(span_from_string(bad[i]))) {
            fail_msg("%s", bad[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_told_from_what_is_none),
        cmocka_unit_test_setup(what_is_not_known_is_left_out, set_up),
        cmocka_unit_test_setup(a_tunnel_says_all_it_knows, set_up),
        cmocka_unit_test_setup(a_request_says_all_it_knows, set_up),
        cmocka_unit_test_setup(a_phase_without_an_end_or_before_its_begin_is_left_out, set_up),
        cmocka_unit_test_setup(moments_are_microseconds_from_one_on, set_up),
        cmocka_unit_test_setup(each_leaf_source_has_its_word, set_up),
        cmocka_unit_test_setup(addresses_stand_as_they_are_written, set_up),
        cmocka_unit_test_setup(query_strings_are_not_written, set_up),
        cmocka_unit_test_setup(credentials_of_an_authority_are_not_written, set_up),
        cmocka_unit_test_setup(the_longest_line_fits, set_up),
        cmocka_unit_test_setup(any_byte_leaves_a_line_of_json, set_up),
        cmocka_unit_test_setup(without_a_taker_requests_are_counted_still, set_up),
        cmocka_unit_test_setup(lines_go_to_the_sink_by_worker, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
