/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading is strict, because everything that clients will refuse later is better said at start-up:
 * each check has a sentence of its own that names the file and the remedy.
 */
#include "tls/ca.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "tls/ca_private.h"
#include "tls/certificate.h"
#include "tls/leaf_private.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

/* A leaf's chain holds the leaf, then what the CA sends; a root at the end of ours is not sent. */
_Static_assert((int)CA_CHAIN_MAX <= (int)LEAF_CHAIN_MAX, "the CA's chain fits a leaf's");

enum { PATH_CAP = 4096 };

static const char private_name[] = "weir-ca.pem";

/* What is read from weir-ca.pem on the way to a struct ca. */
struct loading {
    const char *path;
    int64_t now_s;
    EVP_PKEY *key;
    X509 *certificates[CA_CHAIN_MAX];
    size_t count;
    char *error;
    size_t error_cap;
};

/* ---- signing ---- */

bool ca_sign(const struct ca *ca, struct span tbs, uint8_t signature[CA_SIGNATURE_MAX], size_t *len)
{
    EVP_MD_CTX context;
    bool done;

    EVP_MD_CTX_init(&context);
    *len = CA_SIGNATURE_MAX;
    done = EVP_DigestSignInit(&context, NULL, ca->digest, NULL, ca->key) &&
           EVP_DigestSign(&context, signature, len, tbs.data, tbs.len);
    EVP_MD_CTX_cleanup(&context);
    return done;
}

bool ca_key_id(const EVP_PKEY *key, uint8_t id[CA_KEY_ID_LEN])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    uint8_t *der = NULL;
    size_t len;
    CBB out;
    CBS outer;
    CBS info;
    CBS bits;
    bool done = false;

    if (!CBB_init(&out, 512) || !EVP_marshal_public_key(&out, key) ||
        !CBB_finish(&out, &der, &len)) {
        CBB_cleanup(&out);
        return false;
    }
    CBS_init(&outer, der, len);
    if (CBS_get_asn1(&outer, &info, CBS_ASN1_SEQUENCE) &&
        CBS_get_asn1(&info, NULL, CBS_ASN1_SEQUENCE) &&
        CBS_get_asn1(&info, &bits, CBS_ASN1_BITSTRING) && CBS_skip(&bits, 1)) {
        SHA256(CBS_data(&bits), CBS_len(&bits), digest);
        memcpy(id, digest, CA_KEY_ID_LEN);
        done = true;
    }
    OPENSSL_free(der);
    return done;
}

/* ---- reading the PEM ---- */

/* Any password would be asked for on a terminal that a daemon does not have. */
static bool take_key(struct loading *l, const char *name, const char *header, const uint8_t *der,
                     size_t len)
{
    if (strcmp(name, "ENCRYPTED PRIVATE KEY") == 0 || strstr(header, "ENCRYPTED")) {
        snprintf(l->error, l->error_cap,
                 "%s: the key is encrypted; store it without a password: "
                 "openssl pkey -in %s -out KEY.pem, then put the certificates after it",
                 l->path, l->path);
        return false;
    }
    if (l->key) {
        snprintf(l->error, l->error_cap, "%s: holds more than one private key; keep the CA's",
                 l->path);
        return false;
    }
    l->key = d2i_AutoPrivateKey(NULL, &der, (long)len);
    if (!l->key) {
        snprintf(l->error, l->error_cap,
                 "%s: the private key cannot be read; RSA and ECDSA keys in PEM are understood",
                 l->path);
        return false;
    }
    return true;
}

static bool take_certificate(struct loading *l, const uint8_t *der, size_t len)
{
    const uint8_t *end = der;

    if (l->count == CA_CHAIN_MAX) {
        snprintf(l->error, l->error_cap, "%s: holds more than %d certificates; leave out the root",
                 l->path, CA_CHAIN_MAX);
        return false;
    }
    l->certificates[l->count] = d2i_X509(NULL, &end, (long)len);
    if (!l->certificates[l->count] || end != der + len) {
        X509_free(l->certificates[l->count]);
        snprintf(l->error, l->error_cap, "%s: certificate %zu cannot be read", l->path,
                 l->count + 1);
        return false;
    }
    l->count++;
    return true;
}

static bool take_block(struct loading *l, const char *name, const char *header, const uint8_t *der,
                       size_t len)
{
    size_t name_len = strlen(name);

    if (strcmp(name, "CERTIFICATE") == 0) {
        return take_certificate(l, der, len);
    }
    if (name_len >= 11 && strcmp(name + name_len - 11, "PRIVATE KEY") == 0) {
        return take_key(l, name, header, der, len);
    }
    return true; /* EC PARAMETERS and the like */
}

static bool read_pem(struct loading *l, struct span content)
{
    BIO *bio = BIO_new_mem_buf(content.data, (int)content.len);
    bool going = bio != NULL;

    if (!bio) {
        snprintf(l->error, l->error_cap, "%s: out of memory", l->path);
    }
    while (going) {
        char *name = NULL;
        char *header = NULL;
        uint8_t *der = NULL;
        long len = 0;

        if (!PEM_read_bio(bio, &name, &header, &der, &len)) {
            break;
        }
        going = take_block(l, name, header, der, (size_t)len);
        OPENSSL_cleanse(der, (size_t)len);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    BIO_free(bio);
    if (going && (!l->key || l->count == 0)) {
        snprintf(l->error, l->error_cap,
                 "%s: %s; it must hold the CA's private key and certificate in PEM. Put them "
                 "there, or move the file away to have a new CA made",
                 l->path,
                 content.len == 0 ? "is empty"
                 : !l->key        ? "holds no readable private key"
                                  : "holds no readable certificate");
        going = false;
    }
    return going;
}

/* ---- checks ---- */

static bool time_of(const ASN1_TIME *time, int64_t *time_s)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days;
    int seconds;
    bool done = epoch && ASN1_TIME_diff(&days, &seconds, epoch, time);

    if (done) {
        *time_s = (int64_t)days * S_PER_DAY + seconds;
    }
    ASN1_STRING_free(epoch);
    return done;
}

static void format_date(int64_t time_s, char *text, size_t cap)
{
    struct text t = text_make(text, cap - 1);

    text_time(&t, time_s * NS_PER_S);
    t.len = t.len > 10 ? 10 : t.len; /* the date alone */
    text[t.len] = '\0';
}

static bool check_dates(const struct loading *l, size_t index, int64_t *not_before_s,
                        int64_t *not_after_s)
{
    const X509 *certificate = l->certificates[index];
    char date[32];

    if (!time_of(X509_get0_notBefore(certificate), not_before_s) ||
        !time_of(X509_get0_notAfter(certificate), not_after_s)) {
        snprintf(l->error, l->error_cap, "%s: the dates of certificate %zu cannot be read", l->path,
                 index + 1);
        return false;
    }
    if (*not_after_s <= l->now_s) {
        format_date(*not_after_s, date, sizeof(date));
        snprintf(l->error, l->error_cap,
                 "%s: certificate %zu expired on %s; renew it, or move the file away to have a new "
                 "CA made, which clients must then trust",
                 l->path, index + 1, date);
        return false;
    }
    if (*not_before_s > l->now_s) {
        format_date(*not_before_s, date, sizeof(date));
        snprintf(l->error, l->error_cap,
                 "%s: certificate %zu is valid from %s only; is this machine's clock right?",
                 l->path, index + 1, date);
        return false;
    }
    return true;
}

static bool check_is_ca(const struct loading *l, size_t index)
{
    X509 *certificate = l->certificates[index];
    uint32_t flags = X509_get_extension_flags(certificate);
    const char *fault = NULL;

    if (flags & EXFLAG_INVALID) {
        fault = "has extensions that cannot be read";
    } else if (!(flags & EXFLAG_BCONS) || !(flags & EXFLAG_CA)) {
        fault = "is no CA certificate (basicConstraints CA:TRUE is missing)";
    } else if ((flags & EXFLAG_KUSAGE) &&
               !(X509_get_key_usage(certificate) & X509v3_KU_KEY_CERT_SIGN)) {
        fault = "may not sign certificates (keyUsage lacks keyCertSign)";
    } else if ((flags & EXFLAG_XKUSAGE) &&
               !(X509_get_extended_key_usage(certificate) & (XKU_SSL_SERVER | XKU_ANYEKU))) {
        fault = "may not vouch for servers (extendedKeyUsage lacks serverAuth)";
    }
    if (fault) {
        snprintf(l->error, l->error_cap,
                 "%s: certificate %zu %s; use one that may sign server certificates", l->path,
                 index + 1, fault);
    }
    return !fault;
}

/* The chain goes upwards, each certificate issued by the next one. */
static bool check_order(const struct loading *l, size_t index)
{
    if (index != 0 && X509_NAME_cmp(X509_get_issuer_name(l->certificates[index - 1]),
                                    X509_get_subject_name(l->certificates[index])) != 0) {
        snprintf(l->error, l->error_cap,
                 "%s: certificate %zu is not the issuer of the one before; put the CA's own "
                 "certificate first, then its issuers upwards",
                 l->path, index + 1);
        return false;
    }
    return true;
}

static const char refused_key[] =
    "the key's kind is not supported; RSA of 2048 to 8192 bits and ECDSA P-256 and P-384 are";

bool ca_pick_sigalg(struct ca *ca)
{
    static const uint8_t ecdsa_sha256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                           0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    static const uint8_t ecdsa_sha384[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                           0x48, 0xce, 0x3d, 0x04, 0x03, 0x03};
    static const uint8_t rsa_sha256[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                         0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00};
    int curve = 0;

    if (EVP_PKEY_id(ca->key) == EVP_PKEY_RSA) {
        ca->digest = EVP_sha256();
        ca->sigalg = span_make(rsa_sha256, sizeof(rsa_sha256));
        return EVP_PKEY_bits(ca->key) >= CA_RSA_BITS_MIN &&
               EVP_PKEY_bits(ca->key) <= CA_RSA_BITS_MAX;
    }
    if (EVP_PKEY_id(ca->key) == EVP_PKEY_EC) {
        curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(ca->key)));
    }
    if (curve == NID_X9_62_prime256v1) {
        ca->digest = EVP_sha256();
        ca->sigalg = span_make(ecdsa_sha256, sizeof(ecdsa_sha256));
    } else if (curve == NID_secp384r1) {
        ca->digest = EVP_sha384();
        ca->sigalg = span_make(ecdsa_sha384, sizeof(ecdsa_sha384));
    }
    return ca->digest != NULL;
}

static bool check_all(const struct loading *l, struct ca *ca)
{
    ca->not_before_s = INT64_MIN;
    ca->not_after_s = INT64_MAX;
    for (size_t i = 0; i < l->count; i++) {
        int64_t not_before_s;
        int64_t not_after_s;

        if (!check_order(l, i) || !check_is_ca(l, i) ||
            !check_dates(l, i, &not_before_s, &not_after_s)) {
            return false;
        }
        ca->not_before_s = not_before_s > ca->not_before_s ? not_before_s : ca->not_before_s;
        ca->not_after_s = not_after_s < ca->not_after_s ? not_after_s : ca->not_after_s;
    }
    if (!X509_check_private_key(l->certificates[0], l->key)) {
        snprintf(l->error, l->error_cap,
                 "%s: the private key does not belong to the first certificate; put the "
                 "certificate of the key first",
                 l->path);
        return false;
    }
    if (!ca_pick_sigalg(ca)) {
        snprintf(l->error, l->error_cap, "%s: %s", l->path, refused_key);
        return false;
    }
    return true;
}

/* ---- putting it together ---- */

static bool is_root(X509 *certificate)
{
    return X509_NAME_cmp(X509_get_issuer_name(certificate), X509_get_subject_name(certificate)) ==
           0;
}

static CRYPTO_BUFFER *encode(X509 *certificate)
{
    uint8_t *der = NULL;
    int len = i2d_X509(certificate, &der);
    CRYPTO_BUFFER *buffer = len > 0 ? CRYPTO_BUFFER_new(der, (size_t)len, NULL) : NULL;

    OPENSSL_free(der);
    return buffer;
}

static struct span buffer_span(const CRYPTO_BUFFER *buffer)
{
    return span_make(CRYPTO_BUFFER_data(buffer), CRYPTO_BUFFER_len(buffer));
}

/* For people: "CN=weir CA box 1a2b3c4d,O=weir", printable ASCII. */
static void describe_subject(struct ca *ca, X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    struct text t = text_make(ca->subject, sizeof(ca->subject) - 1);
    const uint8_t *data;
    size_t len;

    if (bio &&
        X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0 &&
        BIO_mem_contents(bio, &data, &len)) {
        text_escaped(&t, span_make(data, len));
    }
    BIO_free(bio);
    ca->subject[t.len] = '\0';
}

/* The subject and the key identifier, as they stand in the certificate. */
static bool read_identity(struct ca *ca)
{
    struct certificate_view view;
    CBS outer;
    CBS key_id;

    if (!certificate_read(buffer_span(ca->chain[0]), &view) || view.subject.len <= 2 ||
        view.subject.len > CA_SUBJECT_BYTES_MAX) {
        return false;
    }
    ca->subject_der = view.subject;
    outer = cbs_from_span(certificate_extension(&view, EXTENSION_SUBJECT_KEY_ID));
    if (CBS_get_asn1(&outer, &key_id, CBS_ASN1_OCTETSTRING) && CBS_len(&key_id) > 0 &&
        CBS_len(&key_id) <= 64) {
        ca->key_id = cbs_span(&key_id);
        return true;
    }
    ca->key_id = span_make(ca->made_key_id, sizeof(ca->made_key_id));
    return ca_key_id(ca->key, ca->made_key_id);
}

static bool fill(struct ca *ca, struct loading *l)
{
    for (size_t i = 0; i < l->count; i++) {
        ca->chain[i] = encode(l->certificates[i]);
        if (!ca->chain[i]) {
            snprintf(l->error, l->error_cap, "%s: out of memory", l->path);
            return false;
        }
        ca->chain_count++;
    }
    ca->chain_sent_count = ca->chain_count - (is_root(l->certificates[l->count - 1]) ? 1 : 0);
    if (ca->chain_sent_count > LEAF_CHAIN_MAX - 1) {
        snprintf(l->error, l->error_cap, "%s: holds more than %d certificates below the root",
                 l->path, LEAF_CHAIN_MAX - 1);
        return false;
    }
    if (!read_identity(ca)) {
        snprintf(l->error, l->error_cap,
                 "%s: the first certificate's subject is empty or too long; clients need it",
                 l->path);
        return false;
    }
    describe_subject(ca, l->certificates[0]);
    SHA256(CRYPTO_BUFFER_data(ca->chain[0]), CRYPTO_BUFFER_len(ca->chain[0]), ca->fingerprint);
    return true;
}

static struct ca *load(const char *path, struct span content, int64_t now_s, char *error,
                       size_t error_cap)
{
    struct loading l = {.path = path, .now_s = now_s, .error = error, .error_cap = error_cap};
    struct ca *ca = calloc(1, sizeof(*ca));
    bool done = false;

    if (!ca) {
        snprintf(error, error_cap, "%s: out of memory", path);
        return NULL;
    }
    if (read_pem(&l, content)) {
        EVP_PKEY_up_ref(l.key);
        ca->key = l.key;
        done = check_all(&l, ca) && fill(ca, &l);
    }
    for (size_t i = 0; i < l.count; i++) {
        X509_free(l.certificates[i]);
    }
    EVP_PKEY_free(l.key);
    ERR_clear_error(); /* also after success: the end of the PEM leaves an entry */
    if (!done) {
        ca_free(ca);
        ca = NULL;
    }
    return ca;
}

/* ---- files ---- */

/* Missing or outdated copies of the certificate are written again; clients may be told to fetch
 * them. A folder that is mounted read-only is no reason not to start. */
static void write_public_files(const struct ca *ca, const char *directory)
{
    static const char *const names[] = {"weir-ca-cert.pem", "weir-ca-cert.cer", "weir-ca-cert.p12"};
    char path[PATH_CAP];
    char error[512] = "out of memory";
    size_t pem_len = 0;
    uint8_t *pem = ca_make_public_pem(ca->chain[0], &pem_len);
    size_t p12_len = 0;
    uint8_t *p12 = ca_make_public_pkcs12(ca->chain[0], &p12_len);
    uint8_t *present = NULL;
    size_t present_len = 0;
    bool done = pem && p12;
    bool replace;

    snprintf(path, sizeof(path), "%s/%s", directory, names[0]);
    replace =
        done &&
        ca_files_read(path, false, &present, &present_len, error, sizeof(error)) == CA_FILE_READ &&
        !span_equal(span_make(present, present_len), span_make(pem, pem_len));
    for (size_t i = 0; i < COUNT_OF(names) && done; i++) {
        struct span content = i == 2 ? span_make(p12, p12_len) : span_make(pem, pem_len);
        bool written;

        done = ca_files_write(directory, names[i], content, 0644, replace, &written, error,
                              sizeof(error));
    }
    if (!done) {
        log_write(LOG_WARN, "the CA's public certificate files could not be written: %s", error);
        ERR_clear_error();
    }
    OPENSSL_free(present);
    OPENSSL_free(p12);
    OPENSSL_free(pem);
}

/* Writes a new CA's private file, unless another process was faster. */
static bool create(const char *directory, int64_t now_s, bool *created, char *error,
                   size_t error_cap)
{
    size_t len;
    char *pem;
    bool done;

    if (!ca_files_make_directory(directory, error, error_cap)) {
        return false;
    }
    pem = ca_make_pem(now_s, &len, error, error_cap);
    if (!pem) {
        return false;
    }
    done = ca_files_write(directory, private_name, span_make(pem, len), 0600, false, created, error,
                          error_cap);
    OPENSSL_cleanse(pem, len);
    OPENSSL_free(pem);
    return done;
}

struct ca *ca_open(const char *directory, int64_t now_s, bool *created, char *error,
                   size_t error_cap)
{
    char path[PATH_CAP];
    uint8_t *content = NULL;
    size_t len = 0;
    enum ca_file found;
    struct ca *ca = NULL;

    *created = false;
    if (directory[0] == '\0' ||
        (size_t)snprintf(path, sizeof(path), "%s/%s", directory, private_name) >= sizeof(path)) {
        snprintf(error, error_cap, "the CA's folder has %s name",
                 directory[0] == '\0' ? "an empty" : "too long a");
        return NULL;
    }
    found = ca_files_read(path, true, &content, &len, error, error_cap);
    if (found == CA_FILE_ABSENT && create(directory, now_s, created, error, error_cap)) {
        /* Read back, so that a process that lost a race uses the winner's. */
        found = ca_files_read(path, true, &content, &len, error, error_cap);
        if (found == CA_FILE_ABSENT) {
            snprintf(error, error_cap, "%s: vanished right after it was written", path);
        }
    }
    if (found == CA_FILE_READ) {
        ca = load(path, span_make(content, len), now_s, error, error_cap);
        OPENSSL_cleanse(content, len);
        OPENSSL_free(content);
    }
    if (ca) {
        write_public_files(ca, directory);
    }
    return ca;
}

void ca_free(struct ca *ca)
{
    if (ca) {
        EVP_PKEY_free(ca->key);
        for (size_t i = 0; i < ca->chain_count; i++) {
            CRYPTO_BUFFER_free(ca->chain[i]);
        }
        free(ca);
    }
}

struct span ca_certificate_der(const struct ca *ca)
{
    return buffer_span(ca->chain[0]);
}

void ca_fingerprint(const struct ca *ca, uint8_t sha256[32])
{
    memcpy(sha256, ca->fingerprint, sizeof(ca->fingerprint));
}

const char *ca_subject(const struct ca *ca)
{
    return ca->subject;
}

int64_t ca_not_after_s(const struct ca *ca)
{
    return ca->not_after_s;
}
