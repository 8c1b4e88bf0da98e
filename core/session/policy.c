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

struct policy_answer policy_decide(const struct config *config,
                                   const struct policy_question *question)
{
    for (size_t i = 0; i < config->intercept.rule_count; i++) {
        const struct config_rule *rule = &config->intercept.rules[i];
        struct span host = span_from_string(question->host);
        if (!port_matches(rule, question->port) ||
            !any_matches(rule->hosts, rule->host_count, host)) {
            continue;
        }
        if (rule->sni_count && !question->hello_known) {
            return (struct policy_answer){.open = true, .rule = rule->name};
        }
        if (any_matches(rule->snis, rule->sni_count, question->sni)) {
            return (struct policy_answer){.decision = rule->action, .rule = rule->name};
        }
    }
    return (struct policy_answer){.decision = config->intercept.default_decision,
                                  .rule = "default"};
}
