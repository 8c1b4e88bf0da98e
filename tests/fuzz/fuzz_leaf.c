/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile server's certificate, and a hostile asked name: whatever is minted must be a valid
 * certificate with well-formed names, the asked one first. Input: a length, the asked name, then
 * the server's certificate.
 */
#include "core/base/assert.h"
#include "tls/ca.h"
#include "tls/leaf.h"

#include <openssl/asn1.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t now_s = INT64_C(1800000000);

static struct ca *ca;
static struct leaf_keys *keys;
static EVP_PKEY *ca_key; /* the public half */

static void set_up(void)
{
    static const char *const names[] = {"weir-ca.pem", "weir-ca-cert.pem", "weir-ca-cert.cer",
                                        "weir-ca-cert.p12"};
    char folder[] = "/tmp/weir-fuzz-ca-XXXXXX";
    char error[512];
    const uint8_t *der;
    X509 *certificate;
    bool created;

    ASSERT(mkdtemp(folder));
    ca = ca_open(folder, now_s, &created, error, sizeof(error));
    keys = leaf_keys_new();
    ASSERT(ca && keys);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[64];

        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
    der = ca_certificate_der(ca).data;
    certificate = d2i_X509(NULL, &der, (long)ca_certificate_der(ca).len);
    ASSERT(certificate);
    ca_key = X509_get_pubkey(certificate);
    X509_free(certificate);
}

/* A DNS name, perhaps behind "*.". */
static void check_dns(struct span name)
{
    bool is_ip;

    if (name.len > 2 && name.data[0] == '*' && name.data[1] == '.') {
        name = span_skip(name, 2);
    }
    ASSERT(leaf_name_is_valid(name, &is_ip));
}

static void check_names(X509 *certificate, const struct leaf_request *request)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

    ASSERT(names && sk_GENERAL_NAME_num(names) > 0);
    ASSERT(sk_GENERAL_NAME_num(names) <= LEAF_SANS_MAX + 1);
    for (size_t i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const ASN1_STRING *value = name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
        struct span text =
            span_make(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));

        ASSERT(name->type == GEN_DNS || name->type == GEN_IPADD);
        if (name->type == GEN_IPADD) {
            ASSERT(text.len == 4 || text.len == 16);
        } else {
            check_dns(text);
        }
        if (i == 0 && request->asked_name.len) {
            ASSERT(request->asked_is_ip == (name->type == GEN_IPADD));
            ASSERT(request->asked_is_ip || span_equal_nocase(text, request->asked_name));
        }
    }
    GENERAL_NAMES_free(names);
}

static void check_leaf(const struct leaf *leaf, const struct leaf_request *request)
{
    struct span der = leaf_der(leaf);
    const uint8_t *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.len);

    ASSERT(certificate && at == der.data + der.len);
    ASSERT(!(X509_get_extension_flags(certificate) & (EXFLAG_INVALID | EXFLAG_CA)));
    ASSERT(X509_get_extended_key_usage(certificate) == XKU_SSL_SERVER);
    ASSERT(X509_NAME_entry_count(X509_get_subject_name(certificate)) <= 1);
    ASSERT(X509_verify(certificate, ca_key) == 1);
    check_names(certificate, request);
    X509_free(certificate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = span_make(data, size);
    struct leaf_request request = {.kind = LEAF_ECDSA, .now_s = now_s, .days = 30};
    bool is_valid;
    char error[256] = "";
    struct leaf *leaf;

    if (!ca) {
        set_up();
    }
    if (size == 0) {
        return 0;
    }
    request.asked_name = span_sub(input, 1, data[0]);
    request.server_certificate = span_skip(input, 1 + request.asked_name.len);
    is_valid = leaf_name_is_valid(request.asked_name, &request.asked_is_ip);
    leaf = leaf_mint(ca, keys, &request, error, sizeof(error));
    ASSERT(leaf || error[0]);
    ASSERT(request.asked_name.len == 0 || is_valid == (leaf != NULL));
    if (leaf) {
        check_leaf(leaf, &request);
        leaf_put(leaf);
    }
    return 0;
}
