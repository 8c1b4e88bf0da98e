/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate authorities and servers' certificates for the tests of leaf. */
#ifndef WEIR_TESTS_LEAF_KIT_H
#define WEIR_TESTS_LEAF_KIT_H

#include "certificate_kit.h"
#include "tls/ca.h"
#include "tls/leaf.h"

#include <time.h>

enum { AUTHORITY_P256, AUTHORITY_P384, AUTHORITY_RSA, AUTHORITY_BELOW, AUTHORITY_COUNT };

/* What the tests sign with: CAs that were loaded, and what a client would trust. */
static struct authority {
    const char *name;
    enum kit_kind kind;
    struct ca *ca;
    X509 *trusted;
    EVP_PKEY *key;
    int nid; /* signature algorithm */
} authorities[AUTHORITY_COUNT] = {
    {"P-256", KIT_P256, NULL, NULL, NULL, NID_ecdsa_with_SHA256},
    {"P-384", KIT_P384, NULL, NULL, NULL, NID_ecdsa_with_SHA384},
    {"RSA", KIT_RSA2048, NULL, NULL, NULL, NID_sha256WithRSAEncryption},
    {"P-256 below a root", KIT_P256, NULL, NULL, NULL, NID_ecdsa_with_SHA256},
};

static struct leaf_keys *keys;

static struct ca *open_ca(EVP_PKEY *key, X509 *const *chain, size_t count)
{
    char folder[64];
    char error[512] = "";
    struct ca *ca;
    bool created;

    kit_make_folder(folder);
    kit_write_ca(folder, key, chain, count);
    ca = ca_open(folder, kit_now, &created, error, sizeof(error));
    assert_string_equal(error, "");
    assert_non_null(ca);
    assert_false(created);
    kit_remove_folder(folder);
    return ca;
}

static inline int set_up(void **state)
{
    (void)state;
    kit_now = time(NULL); /* certtool knows no other time */
    keys = leaf_keys_new();
    assert_non_null(keys);
    for (int i = 0; i < AUTHORITY_COUNT; i++) {
        struct authority *a = &authorities[i];
        EVP_PKEY *root_key = i == AUTHORITY_BELOW ? kit_key(KIT_P256) : NULL;
        struct kit_options options = {
            .common_name = a->name, .organization = "test", .ca = 1, .key_usage = 0x06};
        struct kit_options root_options = {.common_name = "root", .ca = 1, .key_usage = 0x06};
        X509 *chain[2] = {NULL, NULL};

        a->key = kit_key(a->kind);
        if (root_key) {
            root_options.key_id = "root.";
            chain[1] = kit_certificate(&root_options, root_key);
            options.issuer = chain[1];
            options.issuer_key = root_key;
        }
        chain[0] = kit_certificate(&options, a->key);
        a->ca = open_ca(a->key, chain, root_key ? 2 : 1);
        a->trusted = root_key ? chain[1] : chain[0];
        if (root_key) {
            X509_free(chain[0]);
            EVP_PKEY_free(root_key);
        }
    }
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < AUTHORITY_COUNT; i++) {
        ca_free(authorities[i].ca);
        X509_free(authorities[i].trusted);
        EVP_PKEY_free(authorities[i].key);
    }
    leaf_keys_free(keys);
    return 0;
}

static inline struct leaf_request make_request(const char *asked)
{
    struct leaf_request request = {
        .asked_name = span_from_string(asked), .kind = LEAF_ECDSA, .now_s = kit_now, .days = 30};

    if (asked[0]) {
        assert_true(leaf_name_is_valid(request.asked_name, &request.asked_is_ip));
    }
    return request;
}

static inline struct leaf *mint(int authority, const struct leaf_request *request)
{
    char error[256] = "";
    struct leaf *leaf = leaf_mint(authorities[authority].ca, keys, request, error, sizeof(error));

    assert_string_equal(error, "");
    assert_non_null(leaf);
    return leaf;
}

/* One GeneralName a call; `tag` is the context tag: 1 mail, 2 DNS, 7 IP. */
struct names_der {
    CBB out;
    CBB list;
    uint8_t *der;
    size_t len;
};

static inline void names_begin(struct names_der *names)
{
    assert_true(CBB_init(&names->out, 256));
    assert_true(CBB_add_asn1(&names->out, &names->list, CBS_ASN1_SEQUENCE));
}

static inline void names_put(struct names_der *names, unsigned tag, const void *value, size_t len)
{
    CBB child;

    assert_true(CBB_add_asn1(&names->list, &child, CBS_ASN1_CONTEXT_SPECIFIC | tag));
    assert_true(CBB_add_bytes(&child, value, len));
    assert_true(CBB_flush(&names->list));
}

static inline void names_put_dns(struct names_der *names, const char *name)
{
    names_put(names, 2, name, strlen(name));
}

static inline struct span names_end(struct names_der *names)
{
    assert_true(CBB_finish(&names->out, &names->der, &names->len));
    return span_make(names->der, names->len);
}

/* A server's certificate with these names; its DER is OPENSSL_free()d by the caller. */
static inline struct span make_server(const char *common_name, struct names_der *names)
{
    struct kit_options options = {.common_name = common_name, .organization = "Server Ltd"};
    X509 *certificate;
    struct span der;

    if (names) {
        options.names = names_end(names);
    }
    certificate = kit_certificate(&options, authorities[AUTHORITY_P256].key);
    der = kit_der(certificate);
    X509_free(certificate);
    if (names) {
        OPENSSL_free(names->der);
    }
    return der;
}

#endif
