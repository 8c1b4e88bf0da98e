/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_pki.h"

#include "core/base/clock.h"

#include <stdio.h>

enum { LEAF_DAYS = 7 };

bool load_pki_open(struct load_pki *pki, const char *dir, char *error, size_t error_cap)
{
    const struct tls_context_options options = {.trust = NULL};
    bool created;

    *pki = (struct load_pki){.ca = NULL};
    pki->ca = ca_open(dir, clock_wall_ns() / NS_PER_S, &created, error, error_cap);
    if (!pki->ca) {
        return false;
    }
    pki->context = tls_context_new(&options, error, error_cap);
    pki->keys = pki->context ? leaf_keys_new() : NULL;
    if (!pki->keys) {
        load_pki_close(pki);
        return false;
    }
    return true;
}

void load_pki_close(struct load_pki *pki)
{
    if (pki->last) {
        leaf_put(pki->last);
    }
    if (pki->context) {
        tls_context_put(pki->context);
    }
    leaf_keys_free(pki->keys);
    ca_free(pki->ca);
}

struct leaf *load_pki_leaf(struct load_pki *pki, struct span name)
{
    struct leaf_request request = {
        .asked_name = name,
        .kind = LEAF_ECDSA,
        .now_s = clock_wall_ns() / NS_PER_S,
        .days = LEAF_DAYS,
    };
    struct leaf *leaf;
    char error[256];

    if (pki->last && span_equal(name, span_from_string(pki->last_name))) {
        return pki->last;
    }
    if (!leaf_name_is_valid(name, &request.asked_is_ip)) {
        return NULL;
    }
    leaf = leaf_mint(pki->ca, pki->keys, &request, error, sizeof(error));
    if (!leaf) {
        return NULL;
    }
    if (pki->last) {
        leaf_put(pki->last);
    }
    pki->last = leaf;
    snprintf(pki->last_name, sizeof(pki->last_name), "%.*s", SPAN_PRINTF(name));
    return leaf;
}

struct tls_context *load_pki_client(const char *trust_file, char *error, size_t error_cap)
{
    struct trust *trust = trust_new(false, &trust_file, 1, span_make(NULL, 0), error, error_cap);
    struct tls_context_options options = {.trust = trust, .verify = true};
    struct tls_context *context;

    if (!trust) {
        return NULL;
    }
    context = tls_context_new(&options, error, error_cap);
    trust_put(trust);
    return context;
}
