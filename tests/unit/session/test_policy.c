/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* Each test writes the rules as a person would, and asks. */
static struct config *config;

static void load(const char *rules)
{
    char text[4096];
    struct config_report report = {.out = stderr};
    int len = snprintf(text, sizeof(text),
                       "listeners:\n  - address: \"127.0.0.1:8080\"\nintercept:\n%s", rules);

    assert_true(len > 0 && (size_t)len < sizeof(text));
    config = config_load_text("test", span_from_string(text), &report);
    assert_non_null(config);
}

static int tear_down(void **state)
{
    (void)state;
    if (config) {
        config_put(config);
        config = NULL;
    }
    return 0;
}

enum { OPEN = -1 };

/* sni null: the hello is not known yet. */
static void expect_at(int line, const char *host, uint16_t port, const char *sni, int decision,
                      const char *rule)
{
    const struct policy_question question = {
        .host = host,
        .port = port,
        .hello_known = sni != NULL,
        .sni = sni && sni[0] ? span_from_string(sni) : span_make(NULL, 0),
    };
    struct policy_answer answer = policy_decide(config, &question);

    if (answer.open != (decision == OPEN) || (!answer.open && (int)answer.decision != decision) ||
        (rule && strcmp(answer.rule, rule) != 0)) {
        fail_msg("line %d: %s by %s", line, answer.open ? "open" : decision_name(answer.decision),
                 answer.rule);
    }
}

#define EXPECT(host, port, sni, decision, rule) expect_at(__LINE__, host, port, sni, decision, rule)

static int ask(const struct policy_question *question)
{
    struct policy_answer answer = policy_decide(config, question);

    return answer.open ? OPEN : (int)answer.decision;
}

static void a_client_is_asked_before_the_hello(void **state)
{
    struct policy_question q = {.host = "a.example", .port = 443};

    (void)state;
    load("  rules:\n"
         "    - {client: [192.0.2.0/24, \"2001:db8::/32\"], action: refuse}\n");
    q.client = SPAN_LITERAL("192.0.2.77");
    assert_int_equal(ask(&q), DECISION_REFUSE);
    q.client = SPAN_LITERAL("2001:db8::1");
    assert_int_equal(ask(&q), DECISION_REFUSE);
    q.client = SPAN_LITERAL("192.0.3.77");
    assert_int_equal(ask(&q), DECISION_INTERCEPT);
}

static void names_that_disagree_are_asked_with_the_hello(void **state)
{
    struct policy_question q = {.host = "192.0.2.1", .port = 443};

    (void)state;
    load("  rules:\n"
         "    - {mismatch: sni, action: refuse}\n"
         "    - {mismatch: [host, sni], action: tunnel}\n");
    assert_true(policy_asks_names(config));
    assert_int_equal(ask(&q), OPEN);
    q.hello_known = true;
    assert_int_equal(ask(&q), DECISION_INTERCEPT);
    q.host_mismatch = true;
    assert_int_equal(ask(&q), DECISION_TUNNEL);
    q.sni_mismatch = true;
    assert_int_equal(ask(&q), DECISION_REFUSE);
    tear_down(NULL);
    load("  rules: [{host: a.example, action: tunnel}]\n");
    assert_false(policy_asks_names(config));
}

static void fingerprints_are_asked_for_by_rules(void **state)
{
    (void)state;
    load("  rules: [{host: a.example, action: tunnel}]\n");
    assert_false(policy_asks_fingerprints(config));
    tear_down(NULL);
    load("  rules: [{ja3: 0123456789abcdef0123456789abcdef, action: tunnel}]\n");
    assert_true(policy_asks_fingerprints(config));
    tear_down(NULL);
    load("  rules: [{ja4: t13d0914h1_f91f431d341e_827b515c4f52, action: refuse}]\n");
    assert_true(policy_asks_fingerprints(config));
}

/* What the kernel says is an address; what the client calls it counts as well. */
static void host_patterns_match_the_name_that_was_given(void **state)
{
    struct policy_question q = {.host = "192.0.2.1", .port = 443, .hello_known = true};

    (void)state;
    load("  rules:\n"
         "    - {host: .bank.example, action: tunnel}\n"
         "    - {host: 192.0.2.0/28, action: refuse}\n");
    assert_int_equal(ask(&q), DECISION_REFUSE);
    q.name = SPAN_LITERAL("www.bank.example");
    assert_int_equal(ask(&q), DECISION_TUNNEL);
    q.name = SPAN_LITERAL("www.other.example");
    assert_int_equal(ask(&q), DECISION_REFUSE);
}

static void without_rules_the_default_decides(void **state)
{
    static const enum decision each[] = {DECISION_INTERCEPT, DECISION_TUNNEL, DECISION_REFUSE};

    (void)state;
    load("  rules: []\n");
    for (size_t i = 0; i < 3; i++) {
        config->intercept.default_decision = each[i];
        EXPECT("example.com", 443, NULL, (int)each[i], "default");
        EXPECT("example.com", 443, "", (int)each[i], "default");
        EXPECT("192.0.2.1", 1, "x.test", (int)each[i], "default");
    }
}

static void the_first_rule_that_matches_decides(void **state)
{
    (void)state;
    load("  default: intercept\n"
         "  rules:\n"
         "    - {name: one, host: [a.test], action: refuse}\n"
         "    - {name: two, host: [a.test, b.test], action: tunnel}\n"
         "    - {name: three, host: [b.test], action: refuse}\n"
         "    - {host: [c.test], action: tunnel}\n");
    EXPECT("a.test", 443, NULL, DECISION_REFUSE, "one");
    EXPECT("b.test", 443, NULL, DECISION_TUNNEL, "two");
    EXPECT("c.test", 443, NULL, DECISION_TUNNEL, "rule 4");
    EXPECT("d.test", 443, NULL, DECISION_INTERCEPT, "default");
    EXPECT("A.Test", 443, NULL, DECISION_REFUSE, "one");
    EXPECT("xa.test", 443, NULL, DECISION_INTERCEPT, "default");
    EXPECT("a.test.evil.test", 443, NULL, DECISION_INTERCEPT, "default");
}

static void every_pattern_list_of_a_rule_must_match(void **state)
{
    (void)state;
    load("  default: intercept\n"
         "  rules:\n"
         "    - {name: all, host: [h.test], sni: [s.test], port: [443, 8443], action: refuse}\n"
         "    - {name: host, host: [h.test], action: tunnel}\n");
    EXPECT("h.test", 443, "s.test", DECISION_REFUSE, "all");
    EXPECT("h.test", 8443, "S.TEST", DECISION_REFUSE, "all");
    EXPECT("h.test", 444, "s.test", DECISION_TUNNEL, "host");
    EXPECT("h.test", 443, "t.test", DECISION_TUNNEL, "host");
    EXPECT("h.test", 443, "", DECISION_TUNNEL, "host");
    EXPECT("g.test", 443, "s.test", DECISION_INTERCEPT, "default");
}

/* A question stays open only when a rule on the SNI stands before the answer. */
static void rules_on_the_sni_are_open_until_the_hello(void **state)
{
    (void)state;
    load("  default: intercept\n"
         "  rules:\n"
         "    - {name: early, host: [early.test], action: refuse}\n"
         "    - {name: sni, host: [.open.test], port: [443], sni: [s.test], action: tunnel}\n"
         "    - {name: late, host: [.open.test], action: refuse}\n");
    EXPECT("early.test", 443, NULL, DECISION_REFUSE, "early");
    EXPECT("open.test", 443, NULL, OPEN, "sni");
    EXPECT("a.open.test", 443, NULL, OPEN, "sni");
    EXPECT("open.test", 443, "s.test", DECISION_TUNNEL, "sni");
    EXPECT("open.test", 443, "other.test", DECISION_REFUSE, "late");
    EXPECT("open.test", 443, "", DECISION_REFUSE, "late");
    /* Host or port rule it out already: nothing to wait for. */
    EXPECT("open.test", 80, NULL, DECISION_REFUSE, "late");
    EXPECT("closed.test", 443, NULL, DECISION_INTERCEPT, "default");
}

static void an_open_rule_behind_the_answer_does_not_matter(void **state)
{
    (void)state;
    load("  rules:\n"
         "    - {name: ports, port: [22], action: tunnel}\n"
         "    - {name: sni, sni: [s.test], action: refuse}\n");
    EXPECT("any.test", 22, NULL, DECISION_TUNNEL, "ports");
    EXPECT("any.test", 22, "s.test", DECISION_TUNNEL, "ports");
    EXPECT("any.test", 443, NULL, OPEN, "sni");
}

static void the_empty_pattern_means_no_sni(void **state)
{
    (void)state;
    load("  default: intercept\n"
         "  rules:\n"
         "    - {name: none, sni: [\"\"], action: tunnel}\n"
         "    - {name: star, sni: [\"*\"], host: [star.test], action: refuse}\n"
         "    - {name: either, sni: [\"\", x.test], host: [either.test], action: refuse}\n");
    EXPECT("a.test", 443, NULL, OPEN, "none");
    EXPECT("a.test", 443, "", DECISION_TUNNEL, "none");
    EXPECT("a.test", 443, "a.test", DECISION_INTERCEPT, "default");
    EXPECT("star.test", 443, "a.test", DECISION_REFUSE, "star");
    EXPECT("either.test", 443, "x.test", DECISION_REFUSE, "either");
    EXPECT("either.test", 443, "y.test", DECISION_INTERCEPT, "default");
}

static void a_star_takes_in_a_missing_sni(void **state)
{
    (void)state;
    load("  default: intercept\n"
         "  rules:\n"
         "    - {name: star, sni: [\"*\"], action: refuse}\n");
    EXPECT("a.test", 443, "", DECISION_REFUSE, "star");
    EXPECT("a.test", 443, "b.test", DECISION_REFUSE, "star");
}

static void wildcards_mean_what_is_below(void **state)
{
    (void)state;
    load("  default: intercept\n"
         "  rules:\n"
         "    - {name: below, host: [\"*.below.test\"], action: tunnel}\n"
         "    - {name: both, host: [.both.test], action: tunnel}\n"
         "    - {name: sni, host: [h.test], sni: [\"*.s.test\"], action: refuse}\n");
    EXPECT("below.test", 443, NULL, DECISION_INTERCEPT, "default");
    EXPECT("a.below.test", 443, NULL, DECISION_TUNNEL, "below");
    EXPECT("b.a.below.test", 443, NULL, DECISION_TUNNEL, "below");
    EXPECT("xbelow.test", 443, NULL, DECISION_INTERCEPT, "default");
    EXPECT("both.test", 443, NULL, DECISION_TUNNEL, "both");
    EXPECT("a.both.test", 443, NULL, DECISION_TUNNEL, "both");
    EXPECT("xboth.test", 443, NULL, DECISION_INTERCEPT, "default");
    EXPECT("h.test", 443, "a.s.test", DECISION_REFUSE, "sni");
    EXPECT("h.test", 443, "s.test", DECISION_INTERCEPT, "default");
}

/* The SNI has no part in a rule on hosts, nor an address in a rule on names. */
static void addresses_match_as_addresses(void **state)
{
    (void)state;
    load("  default: intercept\n"
         "  rules:\n"
         "    - {name: one, host: [192.0.2.1], action: tunnel}\n"
         "    - {name: block, host: [198.51.100.0/24], action: refuse}\n"
         "    - {name: six, host: [\"2001:db8::/32\"], action: refuse}\n"
         "    - {name: name, host: [.test], action: tunnel}\n");
    EXPECT("192.0.2.1", 443, NULL, DECISION_TUNNEL, "one");
    EXPECT("192.0.2.10", 443, NULL, DECISION_INTERCEPT, "default");
    EXPECT("198.51.100.255", 443, NULL, DECISION_REFUSE, "block");
    EXPECT("198.51.101.0", 443, NULL, DECISION_INTERCEPT, "default");
    EXPECT("2001:db8::7", 443, NULL, DECISION_REFUSE, "six");
    EXPECT("2001:db9::7", 443, NULL, DECISION_INTERCEPT, "default");
    EXPECT("::ffff:192.0.2.1", 443, NULL, DECISION_TUNNEL, "one");
    EXPECT("203.0.113.1", 443, "a.test", DECISION_INTERCEPT, "default");
    EXPECT("192.0.2.1", 443, "a.test", DECISION_TUNNEL, "one");
}

/* What was found out of the hello; the default where nothing matches. */
static void expect_rule(const char *ja3, const char *ja4, const char *verdict, const char *products,
                        const char *rule)
{
    const struct policy_question question = {
        .host = "a.test",
        .port = 443,
        .hello_known = true,
        .ja3 = span_from_string(ja3),
        .ja4 = span_from_string(ja4),
        .verdict = span_from_string(verdict),
        .products = span_from_string(products),
    };
    assert_string_equal(policy_decide(config, &question).rule, rule);
}

#define JA3_A "0123456789abcdef0123456789abcdef"
#define JA3_B "1123456789abcdef0123456789abcdef"
#define JA4_A "t13d1516h2_8daaf6152771_02713d6af862"
#define JA4_B "t13d1516h2_8daaf6152771_02713d6af863"

static void rules_ask_for_fingerprints_and_verdicts(void **state)
{
    (void)state;
    load("  default: intercept\n"
         "  rules:\n"
         "    - {name: ja3, ja3: [" JA3_A "], action: tunnel}\n"
         "    - {name: ja4, ja4: [" JA4_A "], action: tunnel}\n"
         "    - {name: product, product: [squid, Old Proxy], action: refuse}\n"
         "    - {name: both, verdict: [intercepted], ja3: [" JA3_B "], action: refuse}\n"
         "    - {name: verdict, verdict: [intercepted, unlikely], action: tunnel}\n");
    EXPECT("a.test", 443, NULL, OPEN, "ja3");
    expect_rule("", "", "", "", "default");
    expect_rule(JA3_A, "", "", "", "ja3");
    expect_rule(JA3_B, JA4_A, "", "", "ja4");
    expect_rule(JA3_B, JA4_B, "genuine", "", "default");
    expect_rule("", "", "unknown", "squid", "product");
    expect_rule("", "", "unknown", "other,old proxy", "product");
    expect_rule("", "", "unknown", "other,old", "default");
    expect_rule("", "", "unknown", "squids", "default");
    expect_rule(JA3_B, "", "intercepted", "", "both");
    expect_rule("", "", "intercepted", "", "verdict");
    expect_rule("", "", "unlikely", "other", "verdict");
    expect_rule("", "", "outdated", "", "default");
}

/* No file may say it, but a rule of nothing means everything. */
static void empty_lists_match_everything(void **state)
{
    struct config_rule rule = {.name = (char *)"all", .action = DECISION_REFUSE};
    struct config made = {.intercept = {.rules = &rule, .rule_count = 1}};

    (void)state;
    config = &made;
    EXPECT("a.test", 1, NULL, DECISION_REFUSE, "all");
    EXPECT("192.0.2.1", 65535, "", DECISION_REFUSE, "all");
    EXPECT("a.test", 443, "b.test", DECISION_REFUSE, "all");
    config = NULL;
}

/* The way to go is known before the hello where all rules that may decide go the same way. */
static void expect_via_at(int line, const char *host, const char *sni, bool open, const char *rule)
{
    const struct policy_question question = {
        .host = host,
        .port = 443,
        .hello_known = sni != NULL,
        .sni = span_from_string(sni ? sni : ""),
    };
    struct policy_answer answer = policy_decide(config, &question);
    const char *name = answer.via_rule ? answer.via_rule->name : "default";

    if (answer.via_open != open || (!open && strcmp(name, rule) != 0)) {
        fail_msg("line %d: via of %s%s", line, name, answer.via_open ? ", open" : "");
    }
}

#define EXPECT_VIA(host, sni, open, rule) expect_via_at(__LINE__, host, sni, open, rule)

static void ways_are_known_early_where_rules_agree(void **state)
{
    (void)state;
    load("  default: intercept\n"
         "  rules:\n"
         "    - {name: plain, host: [plain.test], action: tunnel, via: [one]}\n"
         "    - {name: no, host: [same.test], sni: [no.test], action: refuse}\n"
         "    - {name: same-sni, host: [same.test], sni: [s.test], action: tunnel, via: [one, "
         "two]}\n"
         "    - {name: same, host: [same.test], action: intercept, via: [one, two]}\n"
         "    - {name: order, host: [order.test], sni: [s.test], action: tunnel, via: [one, two]}\n"
         "    - {name: order-else, host: [order.test], action: tunnel, via: [two, one]}\n"
         "    - {name: other, host: [other.test], sni: [s.test], action: tunnel, via: [one]}\n"
         "    - {name: agrees, host: [agrees.test], sni: [s.test], action: tunnel}\n"
         "upstream:\n"
         "  proxies:\n"
         "    - {name: one, url: \"http://one.test:1\"}\n"
         "    - {name: two, url: \"http://two.test:2\"}\n");
    EXPECT_VIA("plain.test", NULL, false, "plain");
    EXPECT_VIA("elsewhere.test", NULL, false, "default");
    EXPECT_VIA("same.test", NULL, false, "same-sni");
    EXPECT_VIA("same.test", "s.test", false, "same-sni");
    EXPECT_VIA("same.test", "x.test", false, "same");
    EXPECT_VIA("order.test", NULL, true, NULL);
    EXPECT_VIA("order.test", "x.test", false, "order-else");
    EXPECT_VIA("other.test", NULL, true, NULL);
    EXPECT_VIA("other.test", "x.test", false, "default");
    EXPECT_VIA("agrees.test", NULL, false, "agrees");
    config->intercept.default_decision = DECISION_REFUSE; /* nobody goes anywhere by that */
    EXPECT_VIA("other.test", NULL, false, "other");
}

static void decisions_have_names(void **state)
{
    (void)state;
    assert_string_equal(decision_name(DECISION_INTERCEPT), "intercept");
    assert_string_equal(decision_name(DECISION_TUNNEL), "tunnel");
    assert_string_equal(decision_name(DECISION_REFUSE), "refuse");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_client_is_asked_before_the_hello, tear_down),
        cmocka_unit_test_teardown(names_that_disagree_are_asked_with_the_hello, tear_down),
        cmocka_unit_test_teardown(fingerprints_are_asked_for_by_rules, tear_down),
        cmocka_unit_test_teardown(host_patterns_match_the_name_that_was_given, tear_down),
        cmocka_unit_test_teardown(without_rules_the_default_decides, tear_down),
        cmocka_unit_test_teardown(the_first_rule_that_matches_decides, tear_down),
        cmocka_unit_test_teardown(every_pattern_list_of_a_rule_must_match, tear_down),
        cmocka_unit_test_teardown(rules_on_the_sni_are_open_until_the_hello, tear_down),
        cmocka_unit_test_teardown(an_open_rule_behind_the_answer_does_not_matter, tear_down),
        cmocka_unit_test_teardown(the_empty_pattern_means_no_sni, tear_down),
        cmocka_unit_test_teardown(a_star_takes_in_a_missing_sni, tear_down),
        cmocka_unit_test_teardown(wildcards_mean_what_is_below, tear_down),
        cmocka_unit_test_teardown(addresses_match_as_addresses, tear_down),
        cmocka_unit_test_teardown(rules_ask_for_fingerprints_and_verdicts, tear_down),
        cmocka_unit_test_teardown(ways_are_known_early_where_rules_agree, tear_down),
        cmocka_unit_test(empty_lists_match_everything),
        cmocka_unit_test(decisions_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
