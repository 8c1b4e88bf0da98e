/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, certificates and CA folders for the tests of ca and leaf. Failures end the test. */
#ifndef WEIR_TESTS_CERTIFICATE_KIT_H
#define WEIR_TESTS_CERTIFICATE_KIT_H

#include "core/base/span.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t kit_now = INT64_C(1800000000); /* 2027-01-15; a test may change it */
static const int64_t kit_day = 86400;

enum kit_kind { KIT_P256, KIT_P384, KIT_P521, KIT_RSA1024, KIT_RSA2048, KIT_ED25519 };

struct kit_options {
    const char *common_name; /* null: none */
    const char *organization;
    int64_t not_before_s; /* 0: a day before kit_now */
    int64_t not_after_s;  /* 0: ten years after kit_now */
    int ca;               /* 1: CA:TRUE, 0: CA:FALSE, -1: no basicConstraints */
    int key_usage;        /* last byte of the BIT STRING, 0: no extension */
    int purpose;          /* NID of the only extended key usage, 0: no extension */
    bool without_key_id;
    const char *key_id; /* five characters; null: "keyid" */
    struct span names;  /* value of the subjectAltName extension; empty: none */
    X509 *issuer;       /* null: self-signed */
    EVP_PKEY *issuer_key;
};

static EVP_PKEY *kit_ec_key(int curve)
{
    EC_KEY *ec = EC_KEY_new_by_curve_name(curve);
    EVP_PKEY *key = EVP_PKEY_new();

    assert_true(ec && key && EC_KEY_generate_key(ec) && EVP_PKEY_assign_EC_KEY(key, ec));
    return key;
}

static EVP_PKEY *kit_rsa_key(int bits)
{
    RSA *rsa = RSA_new();
    BIGNUM *e = BN_new();
    EVP_PKEY *key = EVP_PKEY_new();

    assert_true(rsa && e && key && BN_set_word(e, RSA_F4) &&
                RSA_generate_key_ex(rsa, bits, e, NULL) && EVP_PKEY_assign_RSA(key, rsa));
    BN_free(e);
    return key;
}

static EVP_PKEY *kit_ed25519_key(void)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL);
    EVP_PKEY *key = NULL;

    assert_true(context && EVP_PKEY_keygen_init(context) && EVP_PKEY_keygen(context, &key));
    EVP_PKEY_CTX_free(context);
    return key;
}

static inline EVP_PKEY *kit_key(enum kit_kind kind)
{
    switch (kind) {
    case KIT_P256:
        return kit_ec_key(NID_X9_62_prime256v1);
    case KIT_P384:
        return kit_ec_key(NID_secp384r1);
    case KIT_P521:
        return kit_ec_key(NID_secp521r1);
    case KIT_RSA1024:
        return kit_rsa_key(1024);
    case KIT_RSA2048:
        return kit_rsa_key(2048);
    case KIT_ED25519:
        break;
    }
    return kit_ed25519_key();
}

static void kit_extend(X509 *certificate, int nid, bool is_critical, const void *value, size_t len)
{
    ASN1_OCTET_STRING *string = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension;

    assert_true(string && ASN1_STRING_set(string, value, (int)len));
    extension = X509_EXTENSION_create_by_NID(NULL, nid, is_critical, string);
    assert_true(extension && X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(string);
}

static void kit_set_times(X509 *certificate, const struct kit_options *options)
{
    int64_t not_before_s = options->not_before_s ? options->not_before_s : kit_now - kit_day;
    int64_t not_after_s = options->not_after_s ? options->not_after_s : kit_now + 3650 * kit_day;
    ASN1_TIME *not_before = ASN1_TIME_set(NULL, (time_t)not_before_s);
    ASN1_TIME *not_after = ASN1_TIME_set(NULL, (time_t)not_after_s);

    assert_true(not_before && X509_set1_notBefore(certificate, not_before));
    assert_true(not_after && X509_set1_notAfter(certificate, not_after));
    ASN1_STRING_free(not_before);
    ASN1_STRING_free(not_after);
}

static void kit_set_names(X509 *certificate, const struct kit_options *options)
{
    X509_NAME *name = X509_get_subject_name(certificate);

    if (options->common_name) {
        assert_true(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                               (const uint8_t *)options->common_name, -1, -1, 0));
    }
    if (options->organization) {
        assert_true(X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_UTF8,
                                               (const uint8_t *)options->organization, -1, -1, 0));
    }
    if (options->issuer) {
        name = X509_get_subject_name(options->issuer);
    }
    assert_true(X509_set_issuer_name(certificate, name));
}

/* Not the identifier that ca.c would make, so that a test can tell which of them was used. */
enum { KIT_KEY_ID_LEN = 5 };
static const char kit_key_id[] = "keyid";

static void kit_set_key_ids(X509 *certificate, const struct kit_options *options)
{
    uint8_t own[2 + KIT_KEY_ID_LEN] = {0x04, KIT_KEY_ID_LEN};
    uint8_t issuers[4 + KIT_KEY_ID_LEN] = {0x30, 2 + KIT_KEY_ID_LEN, 0x80, KIT_KEY_ID_LEN};
    const ASN1_OCTET_STRING *issuer_id =
        options->issuer ? X509_get0_subject_key_id(options->issuer) : NULL;

    if (!options->without_key_id) {
        memcpy(own + 2, options->key_id ? options->key_id : kit_key_id, KIT_KEY_ID_LEN);
        kit_extend(certificate, NID_subject_key_identifier, false, own, sizeof(own));
    }
    if (issuer_id) {
        memcpy(issuers + 4, ASN1_STRING_get0_data(issuer_id), KIT_KEY_ID_LEN);
        kit_extend(certificate, NID_authority_key_identifier, false, issuers, sizeof(issuers));
    }
}

static void kit_set_extensions(X509 *certificate, const struct kit_options *options)
{
    static const uint8_t ca_true[] = {0x30, 0x03, 0x01, 0x01, 0xff};
    static const uint8_t ca_false[] = {0x30, 0x00};
    const uint8_t usage[] = {0x03, 0x02, 0x00, (uint8_t)options->key_usage};

    if (options->ca >= 0) {
        kit_extend(certificate, NID_basic_constraints, true, options->ca ? ca_true : ca_false,
                   options->ca ? sizeof(ca_true) : sizeof(ca_false));
    }
    if (options->key_usage) {
        kit_extend(certificate, NID_key_usage, true, usage, sizeof(usage));
    }
    if (options->purpose) {
        const ASN1_OBJECT *object = OBJ_nid2obj(options->purpose);
        uint8_t value[64] = {0x30, 0};
        uint8_t *end = value + 2;

        value[1] = (uint8_t)i2d_ASN1_OBJECT(object, &end);
        kit_extend(certificate, NID_ext_key_usage, false, value, value[1] + 2);
    }
    kit_set_key_ids(certificate, options);
    if (options->names.len) {
        kit_extend(certificate, NID_subject_alt_name, false, options->names.data,
                   options->names.len);
    }
}

static inline X509 *kit_certificate(const struct kit_options *options, EVP_PKEY *key)
{
    static long serial = 1;
    X509 *certificate = X509_new();
    EVP_PKEY *signer = options->issuer_key ? options->issuer_key : key;
    bool is_pure = EVP_PKEY_id(signer) == EVP_PKEY_ED25519;

    assert_true(certificate && X509_set_version(certificate, 2));
    assert_true(ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++));
    kit_set_names(certificate, options);
    kit_set_times(certificate, options);
    assert_true(X509_set_pubkey(certificate, key));
    kit_set_extensions(certificate, options);
    assert_true(X509_sign(certificate, signer, is_pure ? NULL : EVP_sha256()));
    return certificate;
}

static inline struct span kit_der(X509 *certificate)
{
    uint8_t *der = NULL;
    int len = i2d_X509(certificate, &der);

    assert_true(len > 0);
    return span_make(der, (size_t)len); /* OPENSSL_free() */
}

/* ---- files ---- */

static inline void kit_make_folder(char path[64])
{
    /* In memory if possible: hundreds of files are made, and each is flushed to its disk. */
    snprintf(path, 64, "%s/weir-test-ca-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    assert_non_null(mkdtemp(path));
}

static inline void kit_remove_folder(const char *path)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -r '%s'", path);
    assert_int_equal(system(command), 0);
}

static inline void kit_write(const char *folder, const char *name, struct span content,
                             unsigned mode)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content.data, 1, content.len, file), content.len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* Whatever is null is left out. */
static inline void kit_write_ca(const char *folder, EVP_PKEY *key, X509 *const *certificates,
                                size_t count)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const uint8_t *data;
    size_t len;

    assert_non_null(bio);
    assert_true(!key || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
    for (size_t i = 0; i < count; i++) {
        assert_true(PEM_write_bio_X509(bio, certificates[i]));
    }
    assert_true(BIO_mem_contents(bio, &data, &len));
    kit_write(folder, "weir-ca.pem", span_make(data, len), 0600);
    BIO_free(bio);
}

#endif
