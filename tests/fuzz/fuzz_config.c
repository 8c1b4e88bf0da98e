/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text is a configuration or a list of errors, never both and never neither. What loads is
 * sane: every rule's pattern can be matched, and the loaded equals itself loaded again.
 */
#include "core/base/assert.h"
#include "core/config/config.h"
#include "core/config/host_pattern.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_rules(const struct config *config, struct span host)
{
    for (size_t i = 0; i < config->intercept.rule_count; i++) {
        const struct config_rule *rule = &config->intercept.rules[i];

        ASSERT(rule->name && rule->action <= DECISION_REFUSE);
        for (size_t j = 0; j < rule->host_count; j++) {
            struct span pattern = span_from_string(rule->hosts[j]);
            ASSERT(config_host_pattern_error(pattern) == NULL);
            (void)config_host_matches(rule->hosts[j], host);
            /* A plain name or address matches itself. */
            ASSERT(pattern.data[0] == '*' || span_find(pattern, '/') < pattern.len ||
                   config_host_matches(rule->hosts[j],
                                       pattern.data[0] == '.' ? span_skip(pattern, 1) : pattern));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *nowhere;
    struct config_report report = {0}, again = {0};
    struct config *config, *twin;

    if (!nowhere) {
        setenv("HOME", "/home/fuzz", 1);
        nowhere = fopen("/dev/null", "w");
        ASSERT(nowhere != NULL);
    }
    report.out = again.out = nowhere;
    config = config_load_text("fuzz.yaml", span_make(data, size), &report);
    ASSERT((config == NULL) == (report.error_count != 0));
    if (config) {
        twin = config_load_text("fuzz.yaml", span_make(data, size), &again);
        ASSERT(twin && again.warning_count == report.warning_count);
        ASSERT(config_first_difference(config, twin, false) == NULL);
        ASSERT(config->listener_count > 0 && config->listeners[0].address.socket_address_len > 0);
        ASSERT(config->limits.buffer_low_bytes < config->limits.buffer_high_bytes);
        use_rules(config, span_make(data, size < 300 ? size : 300));
        config_put(twin);
        config_put(config);
    }
    return 0;
}
