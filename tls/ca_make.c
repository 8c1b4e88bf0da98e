/* SPDX-License-Identifier: Apache-2.0 */
/* A new certificate authority, and the encodings of its files. */
#include "core/base/clock.h"
#include "core/base/text.h"
#include "tls/ca_private.h"
#include "tls/certificate.h"
#include "tls/leaf.h"

#include <openssl/bio.h>
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
#include <stdio.h>
#include <unistd.h>

enum {
    LIFE_S = 3652 * S_PER_DAY, /* ten years */
    BACKDATE_S = 2 * S_PER_DAY,
    HOST_MAX = 32, /* the common name is at most 64 bytes long, RFC 5280 A.1 */
};

EVP_PKEY *ca_make_p256_key(void)
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

static bool write_name(CBB *out, struct span common_name)
{
    CBB name;

    return CBB_add_asn1(out, &name, CBS_ASN1_SEQUENCE) &&
           certificate_write_attribute(&name, ATTRIBUTE_COMMON_NAME, common_name) &&
           certificate_write_attribute(&name, ATTRIBUTE_ORGANIZATION, SPAN_LITERAL("weir")) &&
           CBB_flush(out);
}

/* No CA below this one: all it signs are leaves. */
static bool write_extensions(CBB *tbs, const EVP_PKEY *key)
{
    static const uint8_t constraints[] = {0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x00};
    static const uint8_t usage[] = {0x03, 0x02, 0x01, 0x06}; /* keyCertSign, cRLSign */
    uint8_t id[CA_KEY_ID_LEN];
    CBB wrapper;
    CBB list;

    return ca_key_id(key, id) && CBB_add_asn1(tbs, &wrapper, CERTIFICATE_TAG_EXTENSIONS) &&
           CBB_add_asn1(&wrapper, &list, CBS_ASN1_SEQUENCE) &&
           certificate_write_extension(&list, EXTENSION_BASIC_CONSTRAINTS, true,
                                       span_make(constraints, sizeof(constraints))) &&
           certificate_write_extension(&list, EXTENSION_KEY_USAGE, true,
                                       span_make(usage, sizeof(usage))) &&
           certificate_write_key_id(&list, span_make(id, sizeof(id))) && CBB_flush(tbs);
}

static bool write_tbs(CBB *out, const struct ca *signer, int64_t now_s)
{
    char text[65];
    struct span common_name;
    CBB tbs;
    CBB version;

    make_common_name(text, sizeof(text));
    common_name = span_from_string(text);
    return CBB_add_asn1(out, &tbs, CBS_ASN1_SEQUENCE) &&
           CBB_add_asn1(&tbs, &version, CERTIFICATE_TAG_VERSION) &&
           CBB_add_asn1_uint64(&version, 2) && certificate_write_serial(&tbs) &&
           CBB_add_bytes(&tbs, signer->sigalg.data, signer->sigalg.len) &&
           write_name(&tbs, common_name) &&
           certificate_write_validity(&tbs, now_s - BACKDATE_S, now_s - BACKDATE_S + LIFE_S) &&
           write_name(&tbs, common_name) && EVP_marshal_public_key(&tbs, signer->key) &&
           write_extensions(&tbs, signer->key) && CBB_flush(out);
}

static CRYPTO_BUFFER *make_certificate(const struct ca *signer, int64_t now_s)
{
    CRYPTO_BUFFER *certificate = NULL;
    uint8_t signature[CA_SIGNATURE_MAX];
    size_t signature_len;
    uint8_t *tbs = NULL;
    size_t tbs_len;
    CBB out;

    if (!CBB_init(&out, 1024) || !write_tbs(&out, signer, now_s) ||
        !CBB_finish(&out, &tbs, &tbs_len)) {
        CBB_cleanup(&out);
        return NULL;
    }
    if (ca_sign(signer, span_make(tbs, tbs_len), signature, &signature_len)) {
        certificate = certificate_wrap(span_make(tbs, tbs_len), signer->sigalg,
                                       span_make(signature, signature_len));
    }
    OPENSSL_free(tbs);
    return certificate;
}

/* PKCS#8. */
static bool write_key(BIO *bio, const EVP_PKEY *key)
{
    uint8_t *der = NULL;
    size_t len;
    bool done;
    CBB out;

    if (!CBB_init(&out, 256) || !EVP_marshal_private_key(&out, key) ||
        !CBB_finish(&out, &der, &len)) {
        CBB_cleanup(&out);
        return false;
    }
    done = PEM_write_bio(bio, "PRIVATE KEY", "", der, (long)len) > 0;
    OPENSSL_cleanse(der, len);
    OPENSSL_free(der);
    return done;
}

static bool write_certificate(BIO *bio, const CRYPTO_BUFFER *certificate)
{
    return PEM_write_bio(bio, "CERTIFICATE", "", CRYPTO_BUFFER_data(certificate),
                         (long)CRYPTO_BUFFER_len(certificate)) > 0;
}

static uint8_t *copy_of(BIO *bio, size_t *len)
{
    const uint8_t *data;

    return BIO_mem_contents(bio, &data, len) ? OPENSSL_memdup(data, *len) : NULL;
}

char *ca_make_pem(int64_t now_s, size_t *len, char *error, size_t error_cap)
{
    struct ca signer = {.key = ca_make_p256_key()};
    CRYPTO_BUFFER *certificate = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    uint8_t *pem = NULL;

    if (bio && signer.key && ca_pick_sigalg(&signer)) {
        certificate = make_certificate(&signer, now_s);
    }
    if (certificate && write_key(bio, signer.key) && write_certificate(bio, certificate)) {
        pem = copy_of(bio, len);
    }
    if (!pem) {
        snprintf(error, error_cap, "the CA's key and certificate could not be made: out of memory");
        ERR_clear_error();
    }
    CRYPTO_BUFFER_free(certificate);
    BIO_free(bio);
    EVP_PKEY_free(signer.key);
    return (char *)pem;
}

uint8_t *ca_make_public_pem(const CRYPTO_BUFFER *certificate, size_t *len)
{
    BIO *bio = BIO_new(BIO_s_mem());
    uint8_t *pem = bio && write_certificate(bio, certificate) ? copy_of(bio, len) : NULL;

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
