/* SPDX-License-Identifier: Apache-2.0 */
/* A new certificate authority, and the encodings of its files. */
#include "core/base/text.h"
#include "tls/ca_private.h"
#include "tls/leaf.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/pkcs8.h>
#include <openssl/pool.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

enum {
    LIFE_S = 3652 * 86400, /* ten years */
    BACKDATE_S = 2 * 86400,
    HOST_MAX = 32, /* the common name is at most 64 bytes long, RFC 5280 A.1 */
    SERIAL_LEN = 16,
};

static EVP_PKEY *make_key(void)
{
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EVP_PKEY *key = EVP_PKEY_new();

    if (!ec || !key || !EC_KEY_generate_key(ec) || !EVP_PKEY_set1_EC_KEY(key, ec)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EC_KEY_free(ec);
    return key;
}

/*
 * "weir CA HOST TAG": the host tells people which machine to ask, the random tag tells two CAs of
 * the same machine apart; clients that know both by one name would mix them up.
 */
static void make_common_name(char *name, size_t cap)
{
    char host[256] = "";
    struct text t = text_make(name, cap - 1);
    uint8_t tag[4];
    struct span label;
    bool is_ip;

    gethostname(host, sizeof(host) - 1);
    label = span_from_string(host);
    label = span_sub(label, 0, span_find(label, '.'));
    label = span_sub(label, 0, HOST_MAX);
    text_string(&t, "weir CA ");
    if (leaf_name_is_valid(label, &is_ip) && !span_equal(label, SPAN_LITERAL("localhost"))) {
        text_bytes(&t, label);
        text_char(&t, ' ');
    }
    RAND_bytes(tag, sizeof(tag));
    text_hex(&t, span_make(tag, sizeof(tag)));
    name[t.len] = '\0';
}

static bool set_serial(X509 *certificate)
{
    uint8_t bytes[SERIAL_LEN];
    BIGNUM *number;
    bool done;

    RAND_bytes(bytes, sizeof(bytes));
    bytes[0] |= 1;
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return done;
}

static bool set_names(X509 *certificate)
{
    char common_name[65];
    X509_NAME *name = X509_get_subject_name(certificate);

    make_common_name(common_name, sizeof(common_name));
    return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                      (const uint8_t *)common_name, -1, -1, 0) &&
           X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_UTF8,
                                      (const uint8_t *)"weir", -1, -1, 0) &&
           X509_set_issuer_name(certificate, name);
}

static bool set_dates(X509 *certificate, int64_t now_s)
{
    ASN1_TIME *not_before = ASN1_TIME_set(NULL, (time_t)(now_s - BACKDATE_S));
    ASN1_TIME *not_after = ASN1_TIME_set(NULL, (time_t)(now_s - BACKDATE_S + LIFE_S));
    bool done = not_before && not_after && X509_set1_notBefore(certificate, not_before) &&
                X509_set1_notAfter(certificate, not_after);

    ASN1_STRING_free(not_before);
    ASN1_STRING_free(not_after);
    return done;
}

static bool add_extension(X509 *certificate, int nid, bool is_critical, struct span value)
{
    ASN1_OCTET_STRING *string = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension = NULL;
    bool done = string && ASN1_STRING_set(string, value.data, (int)value.len) &&
                (extension = X509_EXTENSION_create_by_NID(NULL, nid, is_critical, string)) &&
                X509_add_ext(certificate, extension, -1);

    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(string);
    return done;
}

/* No CA below this one: all it signs are leaves. */
static bool add_extensions(X509 *certificate, const EVP_PKEY *key)
{
    static const uint8_t constraints[] = {0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x00};
    static const uint8_t usage[] = {0x03, 0x02, 0x01, 0x06}; /* keyCertSign, cRLSign */
    uint8_t key_id[2 + CA_KEY_ID_LEN] = {0x04, CA_KEY_ID_LEN};

    return ca_key_id(key, key_id + 2) &&
           add_extension(certificate, NID_basic_constraints, true,
                         span_make(constraints, sizeof(constraints))) &&
           add_extension(certificate, NID_key_usage, true, span_make(usage, sizeof(usage))) &&
           add_extension(certificate, NID_subject_key_identifier, false,
                         span_make(key_id, sizeof(key_id)));
}

static X509 *make_certificate(EVP_PKEY *key, int64_t now_s)
{
    X509 *certificate = X509_new();

    if (certificate && X509_set_version(certificate, 2) && set_serial(certificate) &&
        set_names(certificate) && set_dates(certificate, now_s) &&
        X509_set_pubkey(certificate, key) && add_extensions(certificate, key) &&
        X509_sign(certificate, key, EVP_sha256())) {
        return certificate;
    }
    X509_free(certificate);
    return NULL;
}

static uint8_t *copy_of(BIO *bio, size_t *len)
{
    const uint8_t *data;

    return BIO_mem_contents(bio, &data, len) ? OPENSSL_memdup(data, *len) : NULL;
}

char *ca_make_pem(int64_t now_s, size_t *len, char *error, size_t error_cap)
{
    EVP_PKEY *key = make_key();
    X509 *certificate = key ? make_certificate(key, now_s) : NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    uint8_t *pem = NULL;

    if (bio && certificate && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) &&
        PEM_write_bio_X509(bio, certificate)) {
        pem = copy_of(bio, len);
    }
    if (!pem) {
        snprintf(error, error_cap, "the CA's key and certificate could not be made: out of memory");
        ERR_clear_error();
    }
    BIO_free(bio);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return (char *)pem;
}

uint8_t *ca_make_public_pem(const CRYPTO_BUFFER *certificate, size_t *len)
{
    BIO *bio = BIO_new(BIO_s_mem());
    uint8_t *pem = NULL;

    if (bio && PEM_write_bio(bio, "CERTIFICATE", "", CRYPTO_BUFFER_data(certificate),
                             (long)CRYPTO_BUFFER_len(certificate))) {
        pem = copy_of(bio, len);
    }
    BIO_free(bio);
    return pem;
}

/* Without a password and unencrypted: it holds nothing secret, and old ciphers would only keep
 * today's readers from it. */
uint8_t *ca_make_public_pkcs12(const CRYPTO_BUFFER *certificate, size_t *len)
{
    const uint8_t *der = CRYPTO_BUFFER_data(certificate);
    X509 *parsed = d2i_X509(NULL, &der, (long)CRYPTO_BUFFER_len(certificate));
    PKCS12 *p12 = parsed ? PKCS12_create("", NULL, NULL, parsed, NULL, 0, -1, 0, 2048, 0) : NULL;
    uint8_t *out = NULL;
    int out_len = p12 ? i2d_PKCS12(p12, &out) : -1;

    *len = out_len > 0 ? (size_t)out_len : 0;
    PKCS12_free(p12);
    X509_free(parsed);
    return out_len > 0 ? out : NULL;
}
