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

static bool target_matches(const struct config_rule *rule, const struct policy_question *question)
{
    return port_matches(rule, question->port) &&
           any_matches(rule->clients, rule->client_count, question->client) &&
           (any_matches(rule->hosts, rule->host_count, span_from_string(question->host)) ||
            (question->name.len && any_matches(rule->hosts, rule->host_count, question->name)));
}

static bool same_via(const struct config_rule *a, const struct config_rule *b)
{
    size_t count = a ? a->via_count : 0;

    if (count != (b ? b->via_count : 0)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(a->via[i], b->via[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* The hello will tell which of these rules decides, from `first` on: do all go the same way? Those
 * that refuse go none. */
static struct policy_answer leave_open(const struct config *config,
                                       const struct policy_question *question, size_t first)
{
    const struct config_rule *rules = config->intercept.rules;
    struct policy_answer answer = {.open = true, .rule = rules[first].name};
    bool certain = false; /* a rule was reached that does not ask for the hello */
    bool any = false;

    for (size_t i = first; i < config->intercept.rule_count && !certain; i++) {
        if (!target_matches(&rules[i], question)) {
            continue;
        }
        certain = !asks_hello(&rules[i]);
        if (rules[i].action == DECISION_REFUSE) {
            continue;
        }
        answer.via_open |= any && !same_via(&rules[i], answer.via_rule);
        answer.via_rule = any ? answer.via_rule : &rules[i];
        any = true;
    }
    if (!certain && config->intercept.default_decision != DECISION_REFUSE) {
        answer.via_open |= any && !same_via(NULL, answer.via_rule);
    }
    return answer;
}

struct policy_answer policy_decide(const struct config *config,
                                   const struct policy_question *question)
{
    for (size_t i = 0; i < config->intercept.rule_count; i++) {
        const struct config_rule *rule = &config->intercept.rules[i];
        if (!target_matches(rule, question)) {
            continue;
        }
        if (asks_hello(rule) && !question->hello_known) {
            return leave_open(config, question, i);
        }
        if (hello_matches(rule, question)) {
            return (struct policy_answer){
                .decision = rule->action, .rule = rule->name, .via_rule = rule};
        }
    }
    return (struct policy_answer){.decision = config->intercept.default_decision,
                                  .rule = "default"};
}

bool policy_asks_fingerprints(const struct config *config)
{
    for (size_t i = 0; i < config->intercept.rule_count; i++) {
        if (config->intercept.rules[i].ja3_count || config->intercept.rules[i].ja4_count) {
            return true;
        }
    }
    return false;
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
