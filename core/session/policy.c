/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/policy.h"

#include "core/config/host_pattern.h"

const char *decision_name(enum decision decision)
{
    static const char *const name[] = {
        [DECISION_INTERCEPT] = "intercept",
        [DECISION_TUNNEL] = "tunnel",
        [DECISION_REFUSE] = "refuse",
    };
    return name[decision];
}

static bool any_matches(char *const *patterns, size_t count, struct span host)
{
    for (size_t i = 0; i < count; i++) {
        if (config_host_matches(patterns[i], host)) {
            return true;
        }
    }
    return count == 0;
}

static bool port_matches(const struct config_rule *rule, uint16_t port)
{
    for (size_t i = 0; i < rule->port_count; i++) {
        if (rule->ports[i] == port) {
            return true;
        }
    }
    return rule->port_count == 0;
}

/* Is one of the words this one? Nothing is none of them. */
static bool any_is(char *const *words, size_t count, struct span text)
{
    for (size_t i = 0; i < count; i++) {
        if (text.len && span_equal(span_from_string(words[i]), text)) {
            return true;
        }
    }
    return count == 0;
}

static bool any_is_product(const struct config_rule *rule, struct span names)
{
    for (size_t at = 0; at < names.len;) {
        struct span name = span_skip(names, at);
        name = span_sub(name, 0, span_find(name, ','));
        for (size_t i = 0; i < rule->product_count; i++) {
            if (span_equal_nocase(span_from_string(rule->products[i]), name)) {
                return true;
            }
        }
        at += name.len + 1;
    }
    return rule->product_count == 0;
}

static bool has_mismatch(const struct config_rule *rule, const struct policy_question *question)
{
    for (size_t i = 0; i < rule->mismatch_count; i++) {
        if (strcmp(rule->mismatches[i], "sni") == 0 ? question->sni_mismatch
                                                    : question->host_mismatch) {
            return true;
        }
    }
    return rule->mismatch_count == 0;
}

static bool asks_hello(const struct config_rule *rule)
{
    return rule->sni_count || rule->mismatch_count || rule->ja3_count || rule->ja4_count ||
           rule->verdict_count || rule->product_count;
}

static bool hello_matches(const struct config_rule *rule, const struct policy_question *question)
{
    return any_matches(rule->snis, rule->sni_count, question->sni) &&
           any_is(rule->ja3s, rule->ja3_count, question->ja3) &&
           any_is(rule->ja4s, rule->ja4_count, question->ja4) &&
           any_is(rule->verdicts, rule->verdict_count, question->verdict) &&
           any_is_product(rule, question->products) && has_mismatch(rule, question);
}

struct policy_answer policy_decide(const struct config *config,
                                   const struct policy_question *question)
{
    for (size_t i = 0; i < config->intercept.rule_count; i++) {
        const struct config_rule *rule = &config->intercept.rules[i];
        struct span host = span_from_string(question->host);
        if (!port_matches(rule, question->port) ||
            !any_matches(rule->clients, rule->client_count, question->client) ||
            !(any_matches(rule->hosts, rule->host_count, host) ||
              (question->name.len && any_matches(rule->hosts, rule->host_count, question->name)))) {
            continue;
        }
        if (asks_hello(rule) && !question->hello_known) {
            return (struct policy_answer){.open = true, .rule = rule->name};
        }
        if (hello_matches(rule, question)) {
            return (struct policy_answer){.decision = rule->action, .rule = rule->name};
        }
    }
    return (struct policy_answer){.decision = config->intercept.default_decision,
                                  .rule = "default"};
}

bool policy_asks_names(const struct config *config)
{
    for (size_t i = 0; i < config->intercept.rule_count; i++) {
        if (config->intercept.rules[i].mismatch_count) {
            return true;
        }
    }
    return false;
}
