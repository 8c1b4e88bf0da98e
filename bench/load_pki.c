/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_pki.h"

#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/base/text.h"

#include <stdio.h>

enum {
    LEAF_DAYS = 7,
    TICKET_KEY_COUNT = 3,
    TICKET_KEY_WORDS = 10, /* of 64 bits: 80 bytes */
};

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
    if (pki->last.leaf) {
        leaf_put(pki->last.leaf);
    }
    for (int i = 0; i < LOAD_PKI_SHARED_MAX; i++) {
        if (pki->shared[i].leaf) {
            leaf_put(pki->shared[i].leaf);
        }
    }
    if (pki->context) {
        tls_context_put(pki->context);
    }
    leaf_keys_free(pki->keys);
    ca_free(pki->ca);
}

/* Null: no name for a certificate, or no memory. */
static struct leaf *mint(struct load_pki *pki, struct span name)
{
    struct leaf_request request = {
        .asked_name = name,
        .kind = LEAF_ECDSA,
        .now_s = clock_wall_ns() / NS_PER_S,
        .days = LEAF_DAYS,
    };
    char error[256];

    return leaf_name_is_valid(name, &request.asked_is_ip)
               ? leaf_mint(pki->ca, pki->keys, &request, error, sizeof(error))
               : NULL;
}

static bool is_for(const struct load_leaf *one, struct span name)
{
    return one->leaf && span_equal(name, span_from_string(one->name));
}

static void keep(struct load_leaf *one, struct leaf *leaf, struct span name)
{
    if (one->leaf) {
        leaf_put(one->leaf);
    }
    one->leaf = leaf;
    snprintf(one->name, sizeof(one->name), "%.*s", SPAN_PRINTF(name));
}

static struct ticket_keys *make_ticket_keys(char *error, size_t error_cap)
{
    char memory[512];
    struct text t = text_make(memory, sizeof(memory));

    for (int i = 0; i < TICKET_KEY_COUNT; i++) {
        uint64_t key[TICKET_KEY_WORDS];

        for (int k = 0; k < TICKET_KEY_WORDS; k++) {
            key[k] = random_seed();
        }
        text_base64(&t, span_make(key, sizeof(key)));
        text_char(&t, '\n');
    }
    return ticket_keys_new(text_view(&t), "ticket keys", error, error_cap);
}

bool load_pki_share(struct load_pki *pki, const char *const names[LOAD_PKI_SHARED_MAX], char *error,
                    size_t error_cap)
{
    struct tls_context_options options = {.ticket_keys = make_ticket_keys(error, error_cap)};
    struct tls_context *context =
        options.ticket_keys ? tls_context_new(&options, error, error_cap) : NULL;

    ticket_keys_put(options.ticket_keys);
    if (!context) {
        return false;
    }
    tls_context_put(pki->context);
    pki->context = context;
    for (int i = 0; i < LOAD_PKI_SHARED_MAX && names[i]; i++) {
        struct span name = span_from_string(names[i]);
        struct leaf *leaf = mint(pki, name);

        if (!leaf) {
            snprintf(error, error_cap, "no certificate can be made for %s", names[i]);
            return false;
        }
        keep(&pki->shared[i], leaf, name);
    }
    return true;
}

struct leaf *load_pki_leaf(struct load_pki *pki, struct span name)
{
    struct leaf *leaf;

    for (int i = 0; i < LOAD_PKI_SHARED_MAX; i++) {
        if (is_for(&pki->shared[i], name)) {
            return pki->shared[i].leaf;
        }
    }
    if (!is_for(&pki->last, name)) {
        leaf = mint(pki, name);
        if (!leaf) {
            return NULL;
        }
        keep(&pki->last, leaf, name);
    }
    return pki->last.leaf;
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
