/* SPDX-License-Identifier: Apache-2.0 */
/* Proxies of a configuration: credentials out of files, lists of ways, and who comes last. */
#include "core/session/upstream.h"

#include "core/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static char secret_path[64];
static struct config *config;
static struct upstreams *upstreams;
static char error[512];

static void write_secret(struct span bytes)
{
    FILE *file = fopen(secret_path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

static void drop(void)
{
    upstreams_free(upstreams);
    upstreams = NULL;
    if (config) {
        config_put(config);
        config = NULL;
    }
}

/* Three proxies, the second of which has credentials. */
static void load(void)
{
    char text[2048];
    struct config_report report = {.out = stderr};
    int len = snprintf(text, sizeof(text),
                       "listeners:\n  - address: \"127.0.0.1:8080\"\n"
                       "upstream:\n"
                       "  retry: 10s\n"
                       "  proxies:\n"
                       "    - {name: a, url: \"http://a.test:3128\"}\n"
                       "    - {name: b, url: \"https://b.test\", credentials: \"%s\"}\n"
                       "    - {name: c, url: \"socks5://c.test\"}\n"
                       "  via: [a, b, direct]\n"
                       "intercept:\n"
                       "  rules:\n"
                       "    - {name: own, host: [own.test], action: tunnel, via: [c, a]}\n"
                       "    - {name: none, host: [none.test], action: tunnel}\n",
                       secret_path);

    drop();
    assert_true(len > 0 && (size_t)len < sizeof(text));
    config = config_load_text("test", span_from_string(text), &report);
    assert_non_null(config);
    upstreams = upstreams_new(config, 1, error, sizeof(error));
}

static int set_up(void **state)
{
    int fd;

    (void)state;
    snprintf(secret_path, sizeof(secret_path), "/tmp/weir-upstream-XXXXXX");
    fd = mkstemp(secret_path);
    assert_true(fd >= 0);
    close(fd);
    write_secret(SPAN_LITERAL("user:pass\n"));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    drop();
    unlink(secret_path);
    return 0;
}

static void credentials_are_read(void **state)
{
    static const struct {
        const char *file;
        const char *user;
        const char *password;
        const char *basic;
    } rows[] = {
        {"Aladdin:open sesame", "Aladdin", "open sesame",
         "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, /* RFC 7617 2 */
        {"u:p\n", "u", "p", "Basic dTpw"},
        {"u:pw\r\n", "u", "pw", "Basic dTpwdw=="},
        {"u:p:q:\n\n", "u", "p:q:", "Basic dTpwOnE6"},
        {"u:", "u", "", "Basic dTo="},
        {"test:123\xc2\xa3", "test", "123\xc2\xa3", "Basic dGVzdDoxMjPCow=="}, /* RFC 7617 2.1 */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        write_secret(span_from_string(rows[i].file));
        load();
        assert_non_null(upstreams);
        assert_null(upstreams->proxies[0].authorization);
        assert_int_equal(upstreams->proxies[2].user.len, 0);
        assert_true(span_equal(upstreams->proxies[1].user, span_from_string(rows[i].user)));
        assert_true(span_equal(upstreams->proxies[1].password, span_from_string(rows[i].password)));
        assert_string_equal(upstreams->proxies[1].authorization, rows[i].basic);
    }
}

static void expect_error(struct span file, const char *words)
{
    write_secret(file);
    load();
    if (upstreams || !strstr(error, words) || !strstr(error, secret_path) ||
        !strstr(error, "expected one line: user:password") || strstr(error, "hush")) {
        fail_msg("expected \"%s\", got: %s", words, upstreams ? "no error" : error);
    }
}

static void bad_credentials_are_refused_with_the_file(void **state)
{
    char bytes[2000];

    (void)state;
    expect_error(SPAN_LITERAL(""), "no colon");
    expect_error(SPAN_LITERAL("hush"), "no colon");
    expect_error(SPAN_LITERAL(":hush"), "1 to 255 bytes");
    expect_error(SPAN_LITERAL("a:hush\nb:hush\n"), "more than one line");
    expect_error(SPAN_LITERAL("a:hu\0sh"), "control characters");
    memset(bytes, 'x', sizeof(bytes));
    bytes[255] = ':';
    expect_error(span_make(bytes, 256 + 256), "more than 255 bytes");
    expect_error(span_make(bytes, 600), "too large");
    expect_error(span_make(bytes, sizeof(bytes)), "too large");
    write_secret(span_make(bytes, 256 + 255));
    load();
    assert_non_null(upstreams);
    assert_int_equal(upstreams->proxies[1].user.len, 255);
    assert_int_equal(upstreams->proxies[1].password.len, 255);
    assert_int_equal(strlen(upstreams->proxies[1].authorization), 6 + (511 + 2) / 3 * 4);
    bytes[255] = 'x';
    bytes[256] = ':';
    expect_error(span_make(bytes, 300), "1 to 255 bytes"); /* a user of more than that */
}

static void expect_places(const struct upstream_via *via, const char *expected)
{
    char shown[64];
    int len = 0;

    shown[0] = '\0';
    for (size_t i = 0; i < via->count; i++) {
        len += snprintf(shown + len, sizeof(shown) - (size_t)len, "%s%s", i ? " " : "",
                        upstream_name(upstreams, via->places[i]));
    }
    assert_string_equal(shown, expected);
}

static void rules_have_their_lists(void **state)
{
    (void)state;
    load();
    assert_non_null(upstreams);
    expect_places(upstreams_via(upstreams, NULL), "a b direct");
    expect_places(upstreams_via(upstreams, &config->intercept.rules[0]), "c a");
    expect_places(upstreams_via(upstreams, &config->intercept.rules[1]), "a b direct");
    assert_memory_not_equal(upstreams->proxies[0].ticket_key, upstreams->proxies[1].ticket_key,
                            TICKET_KEY_LEN);
}

static void expect_order(int64_t now_s, const char *first, const char *expected)
{
    struct upstream_via order;

    /* To look at the first changes nothing. */
    assert_string_equal(
        upstream_name(upstreams, upstreams_first(upstreams, &upstreams->via, now_s * NS_PER_S)),
        first);
    order = upstreams_order(upstreams, &upstreams->via, now_s * NS_PER_S);
    expect_places(&order, expected);
}

static void who_failed_comes_last_for_a_while(void **state)
{
    (void)state;
    load();
    assert_non_null(upstreams);
    expect_order(100, "a", "a b direct");
    assert_true(upstream_mark_failed(upstreams, 0, 100 * NS_PER_S));
    assert_false(upstream_mark_failed(upstreams, 0, 101 * NS_PER_S)); /* no news */
    expect_order(101, "b", "b direct a");
    expect_order(110, "b", "b direct a");
    /* When its time is over one caller tries it, the others wait for what that one finds. */
    expect_order(111, "a", "a b direct");
    expect_order(112, "b", "b direct a");
    assert_false(upstream_mark_failed(upstreams, 0, 113 * NS_PER_S));
    expect_order(122, "b", "b direct a");
    expect_order(123, "a", "a b direct");
    assert_true(upstream_mark_working(upstreams, 0));
    assert_false(upstream_mark_working(upstreams, 0));
    expect_order(124, "a", "a b direct");
    expect_order(124, "a", "a b direct");
    assert_true(upstream_mark_failed(upstreams, 0, 125 * NS_PER_S));
    assert_true(upstream_mark_failed(upstreams, 1, 125 * NS_PER_S));
    expect_order(126, "direct", "direct a b");
}

/* With all of them failed the list is what it was. */
static void all_failed(void **state)
{
    const struct upstream_via *via;
    struct upstream_via order;

    (void)state;
    load();
    assert_non_null(upstreams);
    via = upstreams_via(upstreams, &config->intercept.rules[0]);
    assert_true(upstream_mark_failed(upstreams, 0, 0));
    assert_true(upstream_mark_failed(upstreams, 2, 0));
    order = upstreams_order(upstreams, via, NS_PER_S);
    expect_places(&order, "c a");
    assert_string_equal(upstream_name(upstreams, upstreams_first(upstreams, via, NS_PER_S)), "c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(credentials_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_credentials_are_refused_with_the_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(rules_have_their_lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_failed_comes_last_for_a_while, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_failed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
