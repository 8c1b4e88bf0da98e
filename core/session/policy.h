/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: intercept, tunnel or refuse, and by which rule. The first rule whose every pattern
 * matches decides; without one, the default. Asked once before the ClientHello is known, once more
 * after it and, where rules on verdicts may still refuse, when the first request was seen.
 */
#ifndef WEIR_SESSION_POLICY_H
#define WEIR_SESSION_POLICY_H

#include "core/config/config.h"

struct policy_question {
    const char *host; /* as struct http_authority has it */
    struct span name; /* where the host is but what the kernel or the configuration says: what the
                         client itself calls it, in its hello or Host; patterns match either */
    uint16_t port;
    struct span client; /* its address, as text */
    bool hello_known;   /* what follows is final; else rules on it are still open */
    struct span sni;    /* empty: none was sent, as with the next two */
    struct span ja3;
    struct span ja4;
    struct span verdict;  /* detect_verdict_name(); empty: nothing is judged */
    struct span products; /* names, joined with commas */
    bool sni_mismatch;
    bool host_mismatch;
};

struct policy_answer {
    bool open; /* depends on the hello: ask again with hello_known */
    enum decision decision;
    const char *rule; /* its name, or "default"; lives as long as the configuration */
    /* The rule whose via is gone through; null: none, upstream.via. While the answer is open, that
     * of any rule that may decide, unless they differ in it: then via_open. */
    const struct config_rule *via_rule;
    bool via_open;
};

struct policy_answer policy_decide(const struct config *config,
                                   const struct policy_question *question);

/* Does any rule ask for JA3 or JA4? */
bool policy_asks_fingerprints(const struct config *config);

/* Does any rule ask whether the client's names agree with its destination? */
bool policy_asks_names(const struct config *config);

const char *decision_name(enum decision decision); /* "intercept", "tunnel", "refuse" */

#endif
