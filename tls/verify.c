/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of checks decides what is said of a chain that has several faults: what can be decoded,
 * our own CA, the path to a root with its dates and constraints, the strength of what the path
 * consists of, and last the name.
 *
 * Revocation is not looked at here: no list and no response is handed in.
 */
#include "tls/verify_private.h"

#include "core/base/clock.h"
#include "core/base/text.h"

#include <openssl/bytestring.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/obj.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <openssl/ec.h>
#include <time.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 16384, SUBJECT_SHOWN_MAX = 64, HOST_LEN_MAX = 255 };

/* One verification. */
struct check {
    struct trust *trust;
    int64_t now_s;
    char name[HOST_LEN_MAX + 1];
    size_t name_len;
    bool name_is_ip;
    X509 *leaf;
    STACK_OF(X509) * others;
    X509_STORE_CTX *store_ctx;
    struct verify_fault *fault;
    struct text text;
};

const char *verify_class_name(enum verify_class class)
{
    static const char *const names[VERIFY_CLASS_COUNT] = {
        [VERIFY_OK] = "ok",
        [VERIFY_EXPIRED] = "expired",
        [VERIFY_NOT_YET_VALID] = "not_yet_valid",
        [VERIFY_WRONG_HOST] = "wrong_host",
        [VERIFY_SELF_SIGNED] = "self_signed",
        [VERIFY_UNKNOWN_ISSUER] = "unknown_issuer",
        [VERIFY_BAD_PURPOSE] = "bad_purpose",
        [VERIFY_WEAK] = "weak",
        [VERIFY_REVOKED] = "revoked",
        [VERIFY_OWN_CA] = "own_ca",
        [VERIFY_NO_CERTIFICATE] = "no_certificate",
        [VERIFY_MALFORMED] = "malformed",
    };

    return (unsigned)class < VERIFY_CLASS_COUNT ? names[class] : "unknown";
}

/* Text of a peer, for a sentence: printable ASCII, at most SUBJECT_SHOWN_MAX of it. */
static void text_of_peer(struct text *t, struct span value)
{
    size_t shown = value.len < SUBJECT_SHOWN_MAX ? value.len : SUBJECT_SHOWN_MAX;

    for (size_t i = 0; i < shown; i++) {
        uint8_t c = value.data[i];
        if (c > 0x20 && c < 0x7f && c != '\\') {
            text_char(t, (char)c);
        } else if (c == ' ') {
            text_char(t, ' ');
        } else {
            text_string(t, "\\x");
            text_hex(t, span_make(&c, 1));
        }
    }
    if (shown < value.len) {
        text_string(t, "...");
    }
}

/* One attribute of the subject; false: it has none of that kind. */
static bool text_attribute(struct text *t, const X509 *certificate, int nid, const char *label)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int index = X509_NAME_get_index_by_NID(subject, nid, -1);
    uint8_t *utf8 = NULL;
    int len;

    if (index < 0) {
        return false;
    }
    len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
    if (len <= 0) {
        OPENSSL_free(utf8);
        return false;
    }
    text_string(t, label);
    text_of_peer(t, span_make(utf8, (size_t)len));
    OPENSSL_free(utf8);
    return true;
}

/* "the certificate of CN=example.test" */
static void text_certificate(struct text *t, const X509 *certificate)
{
    text_string(t, "the certificate of ");
    if (!certificate || (!text_attribute(t, certificate, NID_commonName, "CN=") &&
                         !text_attribute(t, certificate, NID_organizationalUnitName, "OU=") &&
                         !text_attribute(t, certificate, NID_organizationName, "O="))) {
        text_string(t, "an unnamed subject");
    }
}

/* Seconds since 1970; false: not a time. */
static bool time_of(const ASN1_TIME *time, int64_t *seconds)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days;
    int rest;
    bool done = epoch && ASN1_TIME_diff(&days, &rest, epoch, time);

    ASN1_TIME_free(epoch);
    if (done) {
        *seconds = (int64_t)days * S_PER_DAY + rest;
    }
    return done;
}

static void text_date(struct text *t, const ASN1_TIME *time)
{
    int64_t seconds;
    time_t clock;
    struct tm utc;

    if (!time_of(time, &seconds)) {
        text_string(t, "an unreadable date");
        return;
    }
    clock = (time_t)seconds;
    gmtime_r(&clock, &utc);
    text_printf(t, "%04d-%02d-%02d %02d:%02d:%02d UTC", utc.tm_year + 1900, utc.tm_mon + 1,
                utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

static bool refuse(struct check *check, enum verify_class class)
{
    check->fault->class = class;
    return false;
}

/* "the certificate of CN=x " + what */
static bool refuse_certificate(struct check *check, enum verify_class class,
                               const X509 *certificate, const char *what)
{
    text_certificate(&check->text, certificate);
    text_char(&check->text, ' ');
    text_string(&check->text, what);
    return refuse(check, class);
}

/* Strength. */

/*
 * RSASSA-PSS-params (RFC 4055 3.1) begin with [0] { AlgorithmIdentifier } of the digest; without
 * it, the digest is SHA-1. True: one of SHA-256, SHA-384 and SHA-512.
 */
static bool is_strong_pss(const X509 *certificate)
{
    const ASN1_BIT_STRING *signature;
    const X509_ALGOR *algorithm;
    const void *value;
    int type;
    CBS params;
    CBS sequence;
    CBS tagged;
    CBS digest;

    X509_get0_signature(&signature, &algorithm, certificate);
    X509_ALGOR_get0(NULL, &type, &value, algorithm);
    if (type != V_ASN1_SEQUENCE) {
        return false;
    }
    CBS_init(&params, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    if (!CBS_get_asn1(&params, &sequence, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&sequence, &tagged, CBS_ASN1_CONSTRUCTED | CBS_ASN1_CONTEXT_SPECIFIC | 0) ||
        !CBS_get_asn1(&tagged, &digest, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&digest, &tagged, CBS_ASN1_OBJECT)) {
        return false;
    }
    switch (OBJ_cbs2nid(&tagged)) {
    case NID_sha256:
    case NID_sha384:
    case NID_sha512:
        return true;
    default:
        return false;
    }
}

static bool is_weak_signature(const X509 *certificate)
{
    switch (X509_get_signature_nid(certificate)) {
    case NID_md2WithRSAEncryption:
    case NID_md4WithRSAEncryption:
    case NID_md5WithRSAEncryption:
    case NID_md5WithRSA:
    case NID_sha1WithRSAEncryption:
    case NID_sha1WithRSA:
    case NID_ecdsa_with_SHA1:
    case NID_dsaWithSHA1:
    case NID_dsaWithSHA1_2:
        return true;
    case NID_rsassaPss:
        return !is_strong_pss(certificate);
    default:
        return false;
    }
}

static bool is_weak_key(X509 *certificate)
{
    EVP_PKEY *key = X509_get_pubkey(certificate);
    bool weak = true;

    if (!key) {
        return true;
    }
    if (EVP_PKEY_id(key) == EVP_PKEY_RSA) {
        weak = EVP_PKEY_bits(key) < RSA_BITS_MIN || EVP_PKEY_bits(key) > RSA_BITS_MAX;
    } else if (EVP_PKEY_id(key) == EVP_PKEY_EC) {
        weak = EVP_PKEY_bits(key) < 256;
    } else if (EVP_PKEY_id(key) == EVP_PKEY_ED25519) {
        weak = false;
    }
    EVP_PKEY_free(key);
    return weak;
}

/* The path as it was built, the root last. A root's own signature says nothing. */
static bool check_strength(struct check *check)
{
    STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(check->store_ctx);
    size_t count = sk_X509_num(path);

    for (size_t i = 0; i < count; i++) {
        X509 *certificate = sk_X509_value(path, i);
        if (i + 1 < count && is_weak_signature(certificate)) {
            return refuse_certificate(check, VERIFY_WEAK, certificate,
                                      "is signed with MD5 or SHA-1");
        }
        if (is_weak_key(certificate)) {
            return refuse_certificate(check, VERIFY_WEAK, certificate,
                                      "has a weak key or one of an unknown kind");
        }
    }
    return true;
}

/* The path. */

static bool refuse_date(struct check *check, const X509 *certificate, bool expired)
{
    text_certificate(&check->text, certificate);
    if (expired) {
        text_string(&check->text, " expired on ");
        text_date(&check->text, X509_get0_notAfter(certificate));
        return refuse(check, VERIFY_EXPIRED);
    }
    text_string(&check->text, " is not valid before ");
    text_date(&check->text, X509_get0_notBefore(certificate));
    return refuse(check, VERIFY_NOT_YET_VALID);
}

/* No issuer was found: is there one in the chain that was passed over, as its key may not sign
 * certificates? */
static X509 *find_forbidden_issuer(const struct check *check, const X509 *certificate)
{
    for (size_t i = 0; i < sk_X509_num(check->others); i++) {
        X509 *other = sk_X509_value(check->others, i);
        if (X509_NAME_cmp(X509_get_subject_name(other), X509_get_issuer_name(certificate)) == 0 &&
            !(X509_get_key_usage(other) & X509v3_KU_KEY_CERT_SIGN)) {
            return other;
        }
    }
    return NULL;
}

static bool refuse_unknown_issuer(struct check *check, const X509 *certificate)
{
    const X509 *issuer = find_forbidden_issuer(check, certificate);

    if (issuer) {
        return refuse_certificate(check, VERIFY_BAD_PURPOSE, issuer,
                                  "was used to issue, but is not a CA's");
    }
    return refuse_certificate(check, VERIFY_UNKNOWN_ISSUER, certificate,
                              "has an issuer that is neither known nor in the chain");
}

static bool refuse_by_error(struct check *check, int error, const X509 *certificate)
{
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return refuse_date(check, certificate, true);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return refuse_date(check, certificate, false);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return refuse_certificate(check, VERIFY_SELF_SIGNED, certificate, "is self-signed");
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return refuse_certificate(check, VERIFY_UNKNOWN_ISSUER, certificate,
                                  "is a root that is not trusted");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return refuse_unknown_issuer(check, certificate);
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_REJECTED:
        return refuse_certificate(check, VERIFY_UNKNOWN_ISSUER, certificate,
                                  "is not trusted for servers");
    case X509_V_ERR_CERT_REVOKED:
        return refuse_certificate(check, VERIFY_REVOKED, certificate, "is revoked");
    case X509_V_ERR_INVALID_PURPOSE:
        return refuse_certificate(check, VERIFY_BAD_PURPOSE, certificate,
                                  "is not meant for servers (extended key usage)");
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_INVALID_NON_CA:
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
        return refuse_certificate(check, VERIFY_BAD_PURPOSE, certificate,
                                  "was used to issue, but is not a CA's");
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        if (is_weak_signature(certificate)) {
            return refuse_certificate(check, VERIFY_WEAK, certificate,
                                      "is signed with MD5 or SHA-1");
        }
        return refuse_certificate(check, VERIFY_MALFORMED, certificate, "has a broken signature");
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
        return refuse_certificate(check, VERIFY_MALFORMED, certificate,
                                  "has more CAs below it than it allows");
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
        return refuse_certificate(check, VERIFY_MALFORMED, certificate,
                                  "has a name that its issuer may not certify");
    default:
        text_certificate(&check->text, certificate);
        text_printf(&check->text, " is not acceptable: %s", X509_verify_cert_error_string(error));
        return refuse(check, VERIFY_MALFORMED);
    }
}

static bool check_path(struct check *check)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *param;

    check->store_ctx = ctx;
    if (!ctx || !X509_STORE_CTX_init(ctx, check->trust->store, check->leaf, check->others) ||
        !X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER) ||
        !X509_STORE_CTX_set_trust(ctx, X509_TRUST_SSL_SERVER)) {
        text_string(&check->text, "memory is exhausted");
        return refuse(check, VERIFY_MALFORMED);
    }
    param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_depth(param, VERIFY_CHAIN_MAX);
    /* A trusted root ends the search, so that an expired cross-signature is not followed. */
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_TRUSTED_FIRST);
    X509_STORE_CTX_set_time(ctx, 0, (time_t)check->now_s);
    if (X509_verify_cert(ctx) <= 0) {
        const X509 *certificate = X509_STORE_CTX_get_current_cert(ctx);
        return refuse_by_error(check, X509_STORE_CTX_get_error(ctx),
                               certificate ? certificate : check->leaf);
    }
    return true;
}

/* A server that shows what our own CA issued is ourselves, or has our key. */
static bool is_own(const struct trust *trust, X509 *certificate)
{
    EVP_PKEY *key;
    bool own;

    if (!trust->own_ca || X509_NAME_cmp(X509_get_issuer_name(certificate),
                                        X509_get_subject_name(trust->own_ca)) != 0) {
        return false;
    }
    key = X509_get_pubkey(trust->own_ca);
    own = key && X509_verify(certificate, key) == 1;
    EVP_PKEY_free(key);
    return own;
}

static bool check_own_ca(struct check *check)
{
    X509 *certificate = check->leaf;

    for (size_t i = 0; certificate; i++) {
        if (is_own(check->trust, certificate)) {
            return refuse_certificate(check, VERIFY_OWN_CA, certificate,
                                      "was issued by our own CA, which is never trusted upstream");
        }
        certificate = i < sk_X509_num(check->others) ? sk_X509_value(check->others, i) : NULL;
    }
    return true;
}

/* The name. */

static bool check_name(struct check *check)
{
    int good;

    if (check->name_len == 0) {
        return true;
    }
    if (check->name_is_ip) {
        good = X509_check_ip_asc(check->leaf, check->name, 0);
    } else {
        good = X509_check_host(check->leaf, check->name, check->name_len,
                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL);
    }
    if (good == 1) {
        return true;
    }
    text_certificate(&check->text, check->leaf);
    text_string(&check->text, " is not for ");
    text_of_peer(&check->text, span_make(check->name, check->name_len));
    return refuse(check, VERIFY_WRONG_HOST);
}

/* Decoding. */

static X509 *parse(struct span der)
{
    CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(der.data, der.len, NULL);
    X509 *certificate = buffer ? X509_parse_from_buffer(buffer) : NULL;

    CRYPTO_BUFFER_free(buffer);
    return certificate;
}

static bool parse_chain(struct check *check, const struct span *chain, size_t count)
{
    check->others = sk_X509_new_null();
    for (size_t i = 0; i < count && check->others; i++) {
        X509 *certificate = parse(chain[i]);
        if (!certificate) {
            text_printf(&check->text, "certificate %zu of the chain cannot be decoded", i + 1);
            return refuse(check, VERIFY_MALFORMED);
        }
        if (i == 0) {
            check->leaf = certificate;
        } else if (!sk_X509_push(check->others, certificate)) {
            X509_free(certificate);
            break;
        }
    }
    if (!check->others || sk_X509_num(check->others) + 1 != count) {
        text_string(&check->text, "memory is exhausted");
        return refuse(check, VERIFY_MALFORMED);
    }
    return true;
}

static bool check_bounds(struct check *check, const struct span *chain, size_t count)
{
    size_t bytes = 0;

    if (count == 0) {
        text_string(&check->text, "the server showed no certificate");
        return refuse(check, VERIFY_NO_CERTIFICATE);
    }
    for (size_t i = 0; i < count && count <= VERIFY_CHAIN_MAX; i++) {
        bytes += chain[i].len;
    }
    if (count > VERIFY_CHAIN_MAX || bytes > VERIFY_CHAIN_BYTES_MAX) {
        text_printf(&check->text,
                    "the server's chain is too long: more than %d certificates or %d bytes",
                    VERIFY_CHAIN_MAX, VERIFY_CHAIN_BYTES_MAX);
        return refuse(check, VERIFY_MALFORMED);
    }
    return true;
}

static bool set_name(struct check *check, struct span name, bool is_ip)
{
    if (!is_ip && name.len > 1 && name.data[name.len - 1] == '.') {
        name.len--; /* the root label, which certificates never have */
    }
    if (name.len > HOST_LEN_MAX || span_find(name, '\0') < name.len) {
        text_string(&check->text, "the name that was asked for is not a host name");
        return refuse(check, VERIFY_WRONG_HOST);
    }
    if (name.len) {
        memcpy(check->name, name.data, name.len);
    }
    check->name[name.len] = '\0';
    check->name_len = name.len;
    check->name_is_ip = is_ip;
    return true;
}

/* The cache of good chains. */

static void digest_part(SHA256_CTX *sha, struct span part)
{
    uint64_t len = part.len;

    SHA256_Update(sha, &len, sizeof(len));
    SHA256_Update(sha, part.data, part.len);
}

static void digest_question(const struct check *check, const struct span *chain, size_t count,
                            uint8_t key[VERIFIED_KEY_LEN])
{
    uint8_t is_ip = check->name_is_ip;
    uint64_t parts = count;
    SHA256_CTX sha;

    SHA256_Init(&sha);
    SHA256_Update(&sha, &parts, sizeof(parts));
    for (size_t i = 0; i < count; i++) {
        digest_part(&sha, chain[i]);
    }
    digest_part(&sha, span_make(check->name, check->name_len));
    SHA256_Update(&sha, &is_ip, 1);
    SHA256_Final(key, &sha);
}

/* When the path that was built is good: from the latest start to the earliest end. */
static void keep(struct check *check, struct verified *verified)
{
    STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(check->store_ctx);

    verified->from_s = INT64_MIN;
    verified->until_s = INT64_MAX;
    for (size_t i = 0; i < sk_X509_num(path); i++) {
        const X509 *certificate = sk_X509_value(path, i);
        int64_t from_s;
        int64_t until_s;
        if (!time_of(X509_get0_notBefore(certificate), &from_s) ||
            !time_of(X509_get0_notAfter(certificate), &until_s)) {
            return;
        }
        verified->from_s = from_s > verified->from_s ? from_s : verified->from_s;
        verified->until_s = until_s < verified->until_s ? until_s : verified->until_s;
    }
    trust_keep_verified(check->trust, verified);
}

static void run(struct check *check, const struct span *chain, size_t count)
{
    struct verified verified;

    digest_question(check, chain, count, verified.key);
    if (trust_find_verified(check->trust, verified.key, check->now_s)) {
        return;
    }
    if (parse_chain(check, chain, count) && check_own_ca(check) && check_path(check) &&
        check_strength(check) && check_name(check)) {
        keep(check, &verified);
    }
}

enum verify_class verify_chain(struct trust *trust, const struct span *chain, size_t chain_count,
                               struct span name, bool name_is_ip, int64_t now_s,
                               struct verify_fault *fault)
{
    struct check check = {.trust = trust, .now_s = now_s, .fault = fault};

    fault->class = VERIFY_OK;
    check.text = text_make(fault->text, sizeof(fault->text) - 1);
    if (check_bounds(&check, chain, chain_count) && set_name(&check, name, name_is_ip)) {
        run(&check, chain, chain_count);
    }
    fault->text[check.text.len] = '\0';
    X509_STORE_CTX_free(check.store_ctx);
    sk_X509_pop_free(check.others, X509_free);
    X509_free(check.leaf);
    ERR_clear_error();
    return fault->class;
}
