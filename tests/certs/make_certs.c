/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/certs/make_certs.h"

#include "core/base/assert.h"
#include "core/base/clock.h"

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/digest.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S, SERIAL_BITS = 127 };

struct cert {
    X509 *x509;
    EVP_PKEY *key;
    uint8_t *der;
    size_t der_len;
};

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            ERR_print_errors_fp(stderr);                                                           \
            panic(__FILE__, __LINE__, "test certificate: %s", #condition);                         \
        }                                                                                          \
    } while (0)

static EVP_PKEY *make_ec_key(int curve)
{
    EC_KEY *ec = EC_KEY_new_by_curve_name(curve);
    EVP_PKEY *key = EVP_PKEY_new();

    MUST(ec && key && EC_KEY_generate_key(ec) && EVP_PKEY_assign_EC_KEY(key, ec));
    return key;
}

static EVP_PKEY *make_rsa_key(int bits)
{
    RSA *rsa = RSA_new();
    BIGNUM *exponent = BN_new();
    EVP_PKEY *key = EVP_PKEY_new();

    MUST(rsa && exponent && key && BN_set_word(exponent, RSA_F4));
    MUST(RSA_generate_key_ex(rsa, bits, exponent, NULL) && EVP_PKEY_assign_RSA(key, rsa));
    BN_free(exponent);
    return key;
}

static EVP_PKEY *make_ed25519_key(void)
{
    uint8_t seed[32];
    EVP_PKEY *key;

    RAND_bytes(seed, sizeof(seed));
    key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
    MUST(key);
    return key;
}

static EVP_PKEY *make_key(enum cert_key kind)
{
    switch (kind) {
    case CERT_KEY_P384:
        return make_ec_key(NID_secp384r1);
    case CERT_KEY_P224:
        return make_ec_key(NID_secp224r1);
    case CERT_KEY_RSA_1024:
        return make_rsa_key(1024);
    case CERT_KEY_RSA_2048:
        return make_rsa_key(2048);
    case CERT_KEY_ED25519:
        return make_ed25519_key();
    default:
        return make_ec_key(NID_X9_62_prime256v1);
    }
}

static const EVP_MD *digest_of(enum cert_digest digest, const EVP_PKEY *signer)
{
    if (EVP_PKEY_id(signer) == EVP_PKEY_ED25519) {
        return NULL; /* it brings its own */
    }
    switch (digest) {
    case CERT_SHA384:
        return EVP_sha384();
    case CERT_SHA1:
        return EVP_sha1();
    case CERT_MD5:
        return EVP_md5();
    default:
        return EVP_sha256();
    }
}

static void set_serial(X509 *x509)
{
    BIGNUM *number = BN_new();

    MUST(number && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY));
    MUST(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)));
    BN_free(number);
}

static void set_dates(X509 *x509, const struct cert_spec *spec)
{
    int64_t now_s = clock_wall_ns() / NS_PER_S;
    int64_t not_before_s = spec->not_before_s ? spec->not_before_s : now_s - HOUR_S;
    int64_t not_after_s = spec->not_after_s ? spec->not_after_s : now_s + DAY_S;

    MUST(ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)not_before_s));
    MUST(ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)not_after_s));
}

static void add_extensions(X509 *x509, X509 *issuer, const char *const *extensions)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    for (; extensions && *extensions; extensions += 2) {
        X509_EXTENSION *extension = X509V3_EXT_nconf(NULL, &context, extensions[0], extensions[1]);
        if (!extension) {
            fprintf(stderr, "extension %s = %s\n", extensions[0], extensions[1]);
        }
        MUST(extension && X509_add_ext(x509, extension, -1));
        X509_EXTENSION_free(extension);
    }
}

struct cert *cert_make(const struct cert_spec *spec)
{
    struct cert *cert = calloc(1, sizeof(*cert));
    EVP_PKEY *signer;
    X509 *issuer;
    int len;

    MUST(cert);
    cert->x509 = X509_new();
    MUST(cert->x509 && X509_set_version(cert->x509, spec->version_1 ? 0 : 2));
    if (spec->key_of) {
        cert->key = spec->key_of->key;
        EVP_PKEY_up_ref(cert->key);
    } else {
        cert->key = make_key(spec->key);
    }
    issuer = spec->issuer ? spec->issuer->x509 : cert->x509;
    signer = spec->issuer ? spec->issuer->key : cert->key;
    set_serial(cert->x509);
    set_dates(cert->x509, spec);
    MUST(X509_set_pubkey(cert->x509, cert->key));
    if (spec->common_name) {
        MUST(X509_NAME_add_entry_by_NID(X509_get_subject_name(cert->x509), NID_commonName,
                                        MBSTRING_UTF8, (uint8_t *)(uintptr_t)spec->common_name,
                                        (int)strlen(spec->common_name), -1, 0));
    }
    MUST(X509_set_issuer_name(cert->x509, X509_get_subject_name(issuer)));
    if (!spec->version_1) {
        add_extensions(cert->x509, issuer, spec->extensions);
    }
    if (X509_sign(cert->x509, signer, digest_of(spec->digest, signer)) <= 0) {
        MUST(spec->digest == CERT_MD5);
        ERR_clear_error();
        cert_free(cert);
        return NULL;
    }
    len = i2d_X509(cert->x509, &cert->der);
    MUST(len > 0);
    cert->der_len = (size_t)len;
    if (spec->broken_signature) {
        cert->der[cert->der_len - 1] ^= 1;
    }
    return cert;
}

struct cert *cert_make_ca(const char *common_name)
{
    static const char *const extensions[] = {"basicConstraints",
                                             "critical,CA:TRUE",
                                             "keyUsage",
                                             "critical,keyCertSign,cRLSign",
                                             "subjectKeyIdentifier",
                                             "hash",
                                             NULL};
    struct cert_spec spec = {.common_name = common_name, .extensions = extensions};

    return cert_make(&spec);
}

struct cert *cert_make_leaf(const struct cert *issuer, const char *common_name, const char *san)
{
    const char *extensions[] = {"subjectAltName", san, "extendedKeyUsage", "serverAuth", NULL};
    struct cert_spec spec = {
        .common_name = common_name, .issuer = issuer, .extensions = extensions};

    return cert_make(&spec);
}

void cert_free(struct cert *cert)
{
    if (cert) {
        X509_free(cert->x509);
        EVP_PKEY_free(cert->key);
        OPENSSL_free(cert->der);
        free(cert);
    }
}

struct span cert_der(const struct cert *cert)
{
    return span_make(cert->der, cert->der_len);
}

void cert_write_pem(const struct cert *cert, const char *path, bool with_key)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "a");

    MUST(file);
    if (with_key) {
        MUST(PEM_write_PrivateKey(file, cert->key, NULL, NULL, 0, NULL, NULL));
    }
    MUST(PEM_write(file, "CERTIFICATE", "", cert->der, (long)cert->der_len) > 0);
    MUST(fclose(file) == 0);
}

X509 *cert_x509(const struct cert *cert)
{
    return cert->x509;
}

EVP_PKEY *cert_key(const struct cert *cert)
{
    return cert->key;
}
