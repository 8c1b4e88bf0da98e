/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of real visits: what of one visit must hold for the next, and who it is bound to. */
#include "detect/signature_draft.h"

#include "tests/unit/detect/words_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { VISITS_MAX = 4 };

static void add(struct signature_draft *draft, const char *fingerprint)
{
    static struct request_fingerprint fp;
    struct detect_fault fault;

    assert_true(request_fingerprint_parse(&fp, span_from_string(fingerprint), &fault));
    assert_true(signature_draft_add(draft, &fp));
}

/* The signature that these visits end as; and each of them is covered by it. */
static void check(bool is_product, const char *const visits[VISITS_MAX], const char *expected)
{
    static char room[4096];
    static struct request_fingerprint fp, clean;
    static struct request_view view;
    struct text t = text_make(room, sizeof(room) - 1);
    struct signature_draft draft;
    struct request_signature sig;
    struct request_match match;
    struct detect_fault fault;
    struct request_match_rules rules = {.mode = DETECT_DEFAULT};

    signature_draft_init(&draft, words, is_product);
    for (size_t i = 0; i < VISITS_MAX && visits[i]; i++) {
        add(&draft, visits[i]);
    }
    assert_true(signature_draft_print(&t, &draft));
    assert_true(t.len <= signature_draft_text_max(&draft));
    room[t.len] = '\0';
    assert_string_equal(room, expected);
    assert_true(request_signature_parse(&sig, text_view(&t), words, &fault));
    for (size_t i = 0; i < VISITS_MAX && visits[i]; i++) {
        assert_true(request_fingerprint_parse(&fp, span_from_string(visits[i]), &fault));
        assert_true(request_fingerprint_clean(&clean, &fp, DETECT_DEFAULT));
        request_view_make(&view, &clean, words);
        request_signature_match(&match, &sig, rules, &view);
        assert_int_equal(match.level, MATCH_POSSIBLE);
    }
    request_signature_fini(&sig);
    signature_draft_fini(&draft);
}

/* Everything in order, but for what depends on the visit; padding and resumption foreseen. */
static void test_one_visit(void **state)
{
    (void)state;
    check(false,
          (const char *const[VISITS_MAX]){"303:1302,c02b:0,b,d,2b,2d,33:1d,17:0:host,accept:"},
          "303:1302,c02b:?0,b,d,2b,2d,33,?15,?29:1d,17:0:*:");
    check(false, (const char *const[VISITS_MAX]){"303:1302:0,2d,15,29:1d:0::"},
          "303:1302:?0,2d,?15,?29:1d:0:*:");
    check(false, (const char *const[VISITS_MAX]){"303:c02b,9c:0,b,44cd:1d:::"},
          "303:c02b,9c:?0,b,?44cd,?15:1d::*:");
    check(false, (const char *const[VISITS_MAX]){"301:5,4::::user-agent:"}, "301:5,4::::*:");
}

/* An address and a host, new and resumed: one order. */
static void test_in_order(void **state)
{
    (void)state;
    check(false,
          (const char *const[VISITS_MAX]){"303:1302:b,23,2d:1d:0::", "303:1302:0,b,23,2d,15:1d:0::",
                                          "303:1302:0,b,2d,2a,29:1d:0::"},
          "303:1302:?0,b,?23,2d,?15,?2a,?29:1d:0:*:");
}

/* Chromium's: any order, GREASE wherever it was. */
static void test_permuted(void **state)
{
    (void)state;
    check(false,
          (const char *const[VISITS_MAX]){
              "303:2a2a,1301:8a8a,b,0,d,2d:1d:0::", "303:4a4a,1301:d,0,2d,b,1a1a:3a3a,1d:0::",
              "303:1a1a,1301:2d,b,d:1d:0::"},
          "303:1301:~?0,b,d,2d,?15,?29:1d:0:*:?grease");
}

/* Of a product nothing is refused in the quirks; of a client only what is foreseen passes. */
static void test_quirks(void **state)
{
    (void)state;
    check(false, (const char *const[VISITS_MAX]){"303:2a2a,1301:b:1d:0::compr"},
          "303:1301:b,?15:1d:0:*:compr,?grease");
    check(true, (const char *const[VISITS_MAX]){"303:2a2a,1301:b:1d:0::compr"},
          "303:1301:b,?15:1d:0:*:*compr");
    check(true, (const char *const[VISITS_MAX]){"303:2a2a,1301:b:1d:0::", "303:1301:b:1d:0::"},
          "303:1301:b,?15:1d:0:*:*");
}

static void test_other_order_of_ciphers(void **state)
{
    struct signature_draft draft;

    (void)state;
    signature_draft_init(&draft, words, false);
    add(&draft, "303:1301,1302:b:1d:0::");
    assert_false(draft.has_server_name);
    assert_true(signature_draft_is_one_client(&draft));
    add(&draft, "303:1301:0,b:1d:0::");
    assert_true(draft.has_server_name);
    assert_true(signature_draft_is_one_client(&draft));
    add(&draft, "303:1302,1301:b:1d:0::");
    assert_false(signature_draft_is_one_client(&draft));
    signature_draft_fini(&draft);
}

static void check_header(const char *raw, const char *expected)
{
    char room[SIGNATURE_OF_HEADER_MAX];
    struct text t = text_make(room, sizeof(room) - 1);

    if (!expected) {
        assert_false(signature_of_header_print(&t, span_from_string(raw)));
        assert_int_equal(t.len, 0);
        return;
    }
    assert_true(signature_of_header_print(&t, span_from_string(raw)));
    room[t.len] = '\0';
    assert_string_equal(room, expected);
}

/* Browsers in their major version, programs in their minor one; nobody for whom nobody knows. */
static void test_headers(void **state)
{
    (void)state;
    check_header("curl/7.88.1", "200:7.88:0:0::0:");
    check_header("Wget/1.21.3", "201:1.21:0:0::0:");
    check_header("Python-urllib/3.11", "202:3.11:0:0::0:");
    check_header("python-requests/2.31.0", "203:2.31:0:0::0:");
    check_header("Go-http-client/2.0", "207:2.0:0:0::0:");
    check_header("Java/17.0.13", "208:17.0:0:0::0:");
    check_header("node", "212:0.0:0:0::0:");
    check_header("git/2.39.5", "221:2.39:0:0::0:");
    check_header("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0",
                 "4:128:1:2:10.0:1:");
    check_header(
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like "
        "Gecko) Version/17.4.1 Safari/605.1.15",
        "3:17:2:3:10.15:1:");
    check_header("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
                 "Chrome/126.0.0.0 Safari/537.36",
                 "1:126:3:10::1:");
    check_header("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
                 "(KHTML, like Gecko) GSA/322.0 Mobile/15E148 Safari/604.1",
                 "3:17:5:4:17:3:gsa");
    check_header("", NULL);
    check_header("something else/1.0", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_visit, words_set_up, words_tear_down),
        cmocka_unit_test_setup_teardown(test_in_order, words_set_up, words_tear_down),
        cmocka_unit_test_setup_teardown(test_permuted, words_set_up, words_tear_down),
        cmocka_unit_test_setup_teardown(test_quirks, words_set_up, words_tear_down),
        cmocka_unit_test_setup_teardown(test_other_order_of_ciphers, words_set_up, words_tear_down),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
