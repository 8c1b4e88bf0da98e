/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Minting is on the way of every first visit, so the certificate is written as DER at once, fields
 * in order, instead of being assembled from objects: nearly all of the time is the signature.
 */
#include "tls/leaf.h"

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "tls/ca_private.h"
#include "tls/certificate.h"
#include "tls/leaf_private.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BACKDATE_S = 2 * S_PER_DAY,
    COMMON_NAME_MAX = 64, /* ub-common-name, RFC 5280 A.1 */
    LABEL_MAX = 63,       /* RFC 1035 2.3.4 */
    DNS_NAME_MAX = 253,
    SANS_SCANNED_MAX = 1024, /* elements of the server's SAN that are looked at */
    NAMES_MAX = LEAF_SANS_MAX + 1,
    TAG_SAN_DNS = CBS_ASN1_CONTEXT_SPECIFIC | 2,
    TAG_SAN_IP = CBS_ASN1_CONTEXT_SPECIFIC | 7,
    TAG_AKI_KEY_ID = CBS_ASN1_CONTEXT_SPECIFIC | 0,
};

/* A key with the parts of a certificate that follow from it. */
struct leaf_key_pair {
    EVP_PKEY *key;       /* null: not made yet */
    uint8_t *public_key; /* SubjectPublicKeyInfo, DER */
    size_t public_key_len;
    uint8_t id[CA_KEY_ID_LEN];
};

struct leaf_keys {
    struct leaf_key_pair ecdsa;
    struct leaf_key_pair rsa; /* under the lock until made, then immutable */
    pthread_mutex_t lock;
};

struct leaf_name {
    bool is_ip;
    struct span value; /* text of a DNS name, or the 4 or 16 bytes of an address */
    uint64_t hash;     /* of the value in lower case */
};

struct leaf_names {
    struct leaf_name list[NAMES_MAX];
    size_t count;
    size_t server_count;          /* those of the server alone */
    size_t server_bytes;          /* the same, encoded */
    struct span common_name;      /* empty: none */
    uint8_t asked[LEAF_NAME_MAX]; /* storage of the asked name in lower case */
    uint8_t asked_address[16];
    char address_text[INET6_ADDRSTRLEN];
};

struct validity {
    int64_t not_before_s;
    int64_t not_after_s;
};

/* ---- names ---- */

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static bool is_dns_name(struct span name)
{
    size_t label_len = 0;

    if (name.len == 0 || name.len > DNS_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == '.') {
            if (label_len == 0) {
                return false;
            }
            label_len = 0;
        } else if (!is_name_byte(name.data[i]) || ++label_len > LABEL_MAX) {
            return false;
        }
    }
    return label_len > 0;
}

/* Length of the address (4 or 16 bytes), or 0 when the text is none. */
static size_t parse_address(struct span text, uint8_t address[16])
{
    char string[INET6_ADDRSTRLEN];

    if (text.len == 0 || text.len >= sizeof(string) || memchr(text.data, 0, text.len)) {
        return 0;
    }
    memcpy(string, text.data, text.len);
    string[text.len] = '\0';
    return inet_pton(AF_INET, string, address) == 1    ? 4
           : inet_pton(AF_INET6, string, address) == 1 ? 16
                                                       : 0;
}

bool leaf_name_is_valid(struct span name, bool *is_ip)
{
    uint8_t address[16];

    *is_ip = parse_address(name, address) != 0;
    return *is_ip || is_dns_name(name);
}

/* As is_dns_name(), and "*." may stand in front (RFC 6125 6.4.3). */
static bool is_dns_pattern(struct span name)
{
    if (name.len > DNS_NAME_MAX) {
        return false;
    }
    if (name.len > 2 && name.data[0] == '*' && name.data[1] == '.') {
        name = span_skip(name, 2);
    }
    return is_dns_name(name);
}

static uint64_t name_hash(bool is_ip, struct span value)
{
    uint8_t folded[LEAF_NAME_MAX];

    ASSERT(value.len <= sizeof(folded));
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        folded[i] = !is_ip && c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
    }
    return hash_bytes(span_make(folded, value.len));
}

static bool names_has(const struct leaf_names *names, const struct leaf_name *wanted)
{
    for (size_t i = 0; i < names->count; i++) {
        const struct leaf_name *have = &names->list[i];

        if (have->hash == wanted->hash && have->is_ip == wanted->is_ip &&
            (wanted->is_ip ? span_equal(have->value, wanted->value)
                           : span_equal_nocase(have->value, wanted->value))) {
            return true;
        }
    }
    return false;
}

/* False: it was there already. */
static bool names_add(struct leaf_names *names, bool is_ip, struct span value)
{
    struct leaf_name name = {is_ip, value, name_hash(is_ip, value)};

    if (names_has(names, &name)) {
        return false;
    }
    ASSERT(names->count < NAMES_MAX);
    names->list[names->count++] = name;
    return true;
}

/* In lower case, so that a leaf does not depend on how the first client wrote the name. */
static bool names_add_asked(struct leaf_names *names, const struct leaf_request *request)
{
    struct span asked = request->asked_name;
    size_t address_len;

    if (asked.len == 0) {
        return true;
    }
    address_len = parse_address(asked, names->asked_address);
    if (request->asked_is_ip != (address_len != 0) || (!address_len && !is_dns_name(asked))) {
        return false;
    }
    for (size_t i = 0; i < asked.len; i++) {
        uint8_t c = asked.data[i];
        names->asked[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
    }
    asked.data = names->asked;
    if (address_len) {
        names_add(names, true, span_make(names->asked_address, address_len));
    } else {
        names_add(names, false, asked);
    }
    if (asked.len <= COMMON_NAME_MAX) {
        names->common_name = asked;
    }
    return true;
}

/* One name of the server's, if it is well formed and there is room. */
static void names_add_server(struct leaf_names *names, bool is_ip, struct span value)
{
    size_t encoded_len = value.len + (value.len < 128 ? 2 : 3);
    uint8_t address[16];

    if (is_ip ? value.len != 4 && value.len != 16
              : !is_dns_pattern(value) || parse_address(value, address)) {
        return;
    }
    if (names->server_count < LEAF_SANS_MAX &&
        encoded_len <= LEAF_SAN_BYTES_MAX - names->server_bytes && names_add(names, is_ip, value)) {
        names->server_count++;
        names->server_bytes += encoded_len;
    }
}

/* The server's common name counts only where nothing else is there to go by. */
static void names_use_server_common_name(struct leaf_names *names, struct span common_name)
{
    uint8_t address[16];
    size_t address_len = parse_address(common_name, address);

    if (!address_len && !is_dns_pattern(common_name)) {
        return;
    }
    if (names->count == 0) {
        memcpy(names->asked_address, address, address_len);
        names_add(names, address_len != 0,
                  address_len ? span_make(names->asked_address, address_len) : common_name);
    }
    if (common_name.len <= COMMON_NAME_MAX) {
        names->common_name = common_name;
    }
}

static void names_pick_common_name(struct leaf_names *names)
{
    for (size_t i = 0; i < names->count && names->common_name.len == 0; i++) {
        struct span value = names->list[i].value;

        if (!names->list[i].is_ip && value.len <= COMMON_NAME_MAX) {
            names->common_name = value;
        }
    }
    if (names->common_name.len == 0 && names->count && names->list[0].is_ip) {
        struct span address = names->list[0].value;
        const char *text = inet_ntop(address.len == 4 ? AF_INET : AF_INET6, address.data,
                                     names->address_text, sizeof(names->address_text));
        ASSERT(text);
        names->common_name = span_from_string(text);
    }
}

/* Whatever cannot be read is left out: the asked name alone makes a good leaf. */
static void names_read_server(struct leaf_names *names, const struct leaf_request *request)
{
    struct certificate_view view;
    CBS outer;
    CBS list;
    CBS value;
    unsigned tag;

    if (request->server_certificate.len == 0 ||
        !certificate_read(request->server_certificate, &view)) {
        return;
    }
    outer = cbs_from_span(certificate_extension(&view, EXTENSION_SUBJECT_ALT_NAME));
    if (CBS_get_asn1(&outer, &list, CBS_ASN1_SEQUENCE)) {
        for (int i = 0; i < SANS_SCANNED_MAX && CBS_get_any_asn1(&list, &value, &tag); i++) {
            if (tag == TAG_SAN_DNS || tag == TAG_SAN_IP) {
                names_add_server(names, tag == TAG_SAN_IP, cbs_span(&value));
            }
        }
    }
    if (request->asked_name.len == 0) {
        names_use_server_common_name(names, certificate_common_name(&view));
        names_pick_common_name(names);
    }
}

/* ---- keys ---- */

static EVP_PKEY *make_rsa_key(void)
{
    RSA *rsa = RSA_new();
    BIGNUM *exponent = BN_new();
    EVP_PKEY *key = EVP_PKEY_new();

    if (!rsa || !exponent || !key || !BN_set_word(exponent, RSA_F4) ||
        !RSA_generate_key_ex(rsa, 2048, exponent, NULL) || !EVP_PKEY_set1_RSA(key, rsa)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    BN_free(exponent);
    RSA_free(rsa);
    return key;
}

static void key_pair_fini(struct leaf_key_pair *pair)
{
    EVP_PKEY_free(pair->key);
    OPENSSL_free(pair->public_key);
    *pair = (struct leaf_key_pair){.key = NULL};
}

/* Takes the key, which may be null after a failure to make it. */
static bool key_pair_init(struct leaf_key_pair *pair, EVP_PKEY *key)
{
    CBB cbb;

    *pair = (struct leaf_key_pair){.key = key};
    if (!key || !ca_key_id(key, pair->id)) {
        goto failed;
    }
    if (!CBB_init(&cbb, 512) || !EVP_marshal_public_key(&cbb, key) ||
        !CBB_finish(&cbb, &pair->public_key, &pair->public_key_len)) {
        CBB_cleanup(&cbb);
        goto failed;
    }
    return true;
failed:
    key_pair_fini(pair);
    ERR_clear_error();
    return false;
}

struct leaf_keys *leaf_keys_new(void)
{
    struct leaf_keys *keys = calloc(1, sizeof(*keys));

    if (!keys) {
        return NULL;
    }
    if (!key_pair_init(&keys->ecdsa, ca_make_p256_key())) {
        free(keys);
        return NULL;
    }
    pthread_mutex_init(&keys->lock, NULL);
    return keys;
}

void leaf_keys_free(struct leaf_keys *keys)
{
    if (keys) {
        key_pair_fini(&keys->ecdsa);
        key_pair_fini(&keys->rsa);
        pthread_mutex_destroy(&keys->lock);
        free(keys);
    }
}

/* Whoever is first makes the RSA key, which takes tens of milliseconds; others wait. */
static const struct leaf_key_pair *keys_find(struct leaf_keys *keys, enum leaf_kind kind)
{
    bool made;

    if (kind == LEAF_ECDSA) {
        return &keys->ecdsa;
    }
    pthread_mutex_lock(&keys->lock);
    made = keys->rsa.key || key_pair_init(&keys->rsa, make_rsa_key());
    pthread_mutex_unlock(&keys->lock);
    return made ? &keys->rsa : NULL;
}

/* ---- the certificate ---- */

/* Empty where no name is short enough. */
static bool write_subject(CBB *out, struct span common_name)
{
    CBB name;

    return CBB_add_asn1(out, &name, CBS_ASN1_SEQUENCE) &&
           (common_name.len == 0 ||
            certificate_write_attribute(&name, ATTRIBUTE_COMMON_NAME, common_name)) &&
           CBB_flush(out);
}

static bool write_authority_key_id(CBB *list, struct span key_id)
{
    CBB extension;
    CBB value;
    CBB sequence;
    CBB child;

    return certificate_begin_extension(list, EXTENSION_AUTHORITY_KEY_ID, false, &extension,
                                       &value) &&
           CBB_add_asn1(&value, &sequence, CBS_ASN1_SEQUENCE) &&
           CBB_add_asn1(&sequence, &child, TAG_AKI_KEY_ID) &&
           CBB_add_bytes(&child, key_id.data, key_id.len) && CBB_flush(list);
}

/* Critical where it is all that tells whose certificate it is (RFC 5280 4.2.1.6). */
static bool write_names(CBB *list, const struct leaf_names *names)
{
    bool is_critical = names->common_name.len == 0;
    CBB extension;
    CBB value;
    CBB sequence;
    CBB child;

    if (!certificate_begin_extension(list, EXTENSION_SUBJECT_ALT_NAME, is_critical, &extension,
                                     &value) ||
        !CBB_add_asn1(&value, &sequence, CBS_ASN1_SEQUENCE)) {
        return false;
    }
    for (size_t i = 0; i < names->count; i++) {
        const struct leaf_name *name = &names->list[i];

        if (!CBB_add_asn1(&sequence, &child, name->is_ip ? TAG_SAN_IP : TAG_SAN_DNS) ||
            !CBB_add_bytes(&child, name->value.data, name->value.len)) {
            return false;
        }
    }
    return CBB_flush(list);
}

static bool write_extensions(CBB *tbs, const struct ca *ca, const struct leaf_key_pair *pair,
                             enum leaf_kind kind, const struct leaf_names *names)
{
    /* BIT STRINGs: digitalSignature, and keyEncipherment for RSA key exchange. */
    static const uint8_t usage_ecdsa[] = {0x03, 0x02, 0x07, 0x80};
    static const uint8_t usage_rsa[] = {0x03, 0x02, 0x05, 0xa0};
    /* SEQUENCE of the OBJECT IDENTIFIER 1.3.6.1.5.5.7.3.1, serverAuth. */
    static const uint8_t purposes[] = {0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06,
                                       0x01, 0x05, 0x05, 0x07, 0x03, 0x01};
    static const uint8_t no_ca[] = {0x30, 0x00};
    CBB wrapper;
    CBB list;

    return CBB_add_asn1(tbs, &wrapper, CERTIFICATE_TAG_EXTENSIONS) &&
           CBB_add_asn1(&wrapper, &list, CBS_ASN1_SEQUENCE) &&
           certificate_write_extension(&list, EXTENSION_BASIC_CONSTRAINTS, true,
                                       span_make(no_ca, sizeof(no_ca))) &&
           certificate_write_extension(&list, EXTENSION_KEY_USAGE, true,
                                       kind == LEAF_RSA
                                           ? span_make(usage_rsa, sizeof(usage_rsa))
                                           : span_make(usage_ecdsa, sizeof(usage_ecdsa))) &&
           certificate_write_extension(&list, EXTENSION_EXTENDED_KEY_USAGE, false,
                                       span_make(purposes, sizeof(purposes))) &&
           certificate_write_key_id(&list, span_make(pair->id, sizeof(pair->id))) &&
           write_authority_key_id(&list, ca->key_id) && write_names(&list, names) && CBB_flush(tbs);
}

static bool write_tbs(CBB *out, const struct ca *ca, const struct leaf_key_pair *pair,
                      enum leaf_kind kind, const struct leaf_names *names,
                      const struct validity *validity)
{
    CBB tbs;
    CBB version;

    return CBB_add_asn1(out, &tbs, CBS_ASN1_SEQUENCE) &&
           CBB_add_asn1(&tbs, &version, CERTIFICATE_TAG_VERSION) &&
           CBB_add_asn1_uint64(&version, 2) && certificate_write_serial(&tbs) &&
           CBB_add_bytes(&tbs, ca->sigalg.data, ca->sigalg.len) &&
           CBB_add_bytes(&tbs, ca->subject_der.data, ca->subject_der.len) &&
           certificate_write_validity(&tbs, validity->not_before_s, validity->not_after_s) &&
           write_subject(&tbs, names->common_name) &&
           CBB_add_bytes(&tbs, pair->public_key, pair->public_key_len) &&
           write_extensions(&tbs, ca, pair, kind, names) && CBB_flush(out);
}

static CRYPTO_BUFFER *make_certificate(const struct ca *ca, const struct leaf_key_pair *pair,
                                       enum leaf_kind kind, const struct leaf_names *names,
                                       const struct validity *validity)
{
    CRYPTO_BUFFER *certificate = NULL;
    uint8_t signature[CA_SIGNATURE_MAX];
    size_t signature_len;
    uint8_t *tbs = NULL;
    size_t tbs_len;
    CBB out;

    if (!CBB_init(&out, 2048) || !write_tbs(&out, ca, pair, kind, names, validity) ||
        !CBB_finish(&out, &tbs, &tbs_len)) {
        CBB_cleanup(&out);
        return NULL;
    }
    if (ca_sign(ca, span_make(tbs, tbs_len), signature, &signature_len)) {
        certificate = certificate_wrap(span_make(tbs, tbs_len), ca->sigalg,
                                       span_make(signature, signature_len));
    }
    OPENSSL_free(tbs);
    return certificate;
}

/* ---- the leaf ---- */

static bool pick_validity(const struct ca *ca, const struct leaf_request *request,
                          struct validity *validity)
{
    validity->not_before_s = request->now_s - BACKDATE_S;
    validity->not_after_s = request->now_s + (int64_t)request->days * S_PER_DAY;
    if (validity->not_before_s < ca->not_before_s) {
        validity->not_before_s = ca->not_before_s;
    }
    if (validity->not_after_s > ca->not_after_s) {
        validity->not_after_s = ca->not_after_s;
    }
    return validity->not_before_s <= request->now_s && request->now_s < validity->not_after_s;
}

/* Takes the certificate. */
static struct leaf *leaf_new(const struct ca *ca, const struct leaf_key_pair *pair,
                             enum leaf_kind kind, int64_t not_after_s, CRYPTO_BUFFER *certificate)
{
    struct leaf *leaf = calloc(1, sizeof(*leaf));

    if (!leaf) {
        CRYPTO_BUFFER_free(certificate);
        return NULL;
    }
    atomic_init(&leaf->references, 1);
    leaf->kind = kind;
    leaf->not_after_s = not_after_s;
    leaf->chain[leaf->chain_count++] = certificate;
    for (size_t i = 0; i < ca->chain_sent_count; i++) {
        ASSERT(leaf->chain_count < LEAF_CHAIN_MAX);
        CRYPTO_BUFFER_up_ref(ca->chain[i]);
        leaf->chain[leaf->chain_count++] = ca->chain[i];
    }
    EVP_PKEY_up_ref(pair->key);
    leaf->key = pair->key;
    return leaf;
}

/* Each part has one length, but the last. */
static void digest_ticket_context(uint8_t digest[LEAF_DIGEST_LEN], const struct ca *ca,
                                  const struct leaf_request *request)
{
    uint8_t bytes[LEAF_DIGEST_LEN * 2 + 1 + LEAF_NAME_MAX];
    uint8_t *at = bytes;

    ca_fingerprint(ca, at);
    at += LEAF_DIGEST_LEN;
    SHA256(request->server_certificate.data, request->server_certificate.len, at);
    at += LEAF_DIGEST_LEN;
    *at++ = (uint8_t)request->kind;
    for (size_t i = 0; i < request->asked_name.len; i++) {
        *at++ = span_fold(request->asked_name.data[i]);
    }
    SHA256(bytes, (size_t)(at - bytes), digest);
}

struct leaf *leaf_mint(struct ca *ca, struct leaf_keys *keys, const struct leaf_request *request,
                       char *error, size_t error_cap)
{
    struct leaf_names names;
    struct validity validity;
    const struct leaf_key_pair *pair;
    CRYPTO_BUFFER *certificate;
    struct leaf *leaf = NULL;

    names.count = 0;
    names.server_count = 0;
    names.server_bytes = 0;
    names.common_name = (struct span){NULL, 0};
    if (!names_add_asked(&names, request)) {
        snprintf(error, error_cap, "the asked name is not a valid host name or address");
        return NULL;
    }
    names_read_server(&names, request);
    if (names.count == 0) {
        snprintf(error, error_cap,
                 "no name was asked for and the server's certificate has no usable one");
        return NULL;
    }
    if (!pick_validity(ca, request, &validity)) {
        snprintf(error, error_cap, "the CA certificate or the wanted life of the leaf is over");
        return NULL;
    }
    pair = keys_find(keys, request->kind);
    if (!pair) {
        snprintf(error, error_cap, "the RSA key for leaves could not be made: out of memory");
        return NULL;
    }
    certificate = make_certificate(ca, pair, request->kind, &names, &validity);
    if (certificate) {
        leaf = leaf_new(ca, pair, request->kind, validity.not_after_s, certificate);
    }
    if (leaf) {
        digest_ticket_context(leaf->ticket_context, ca, request);
    } else {
        snprintf(error, error_cap, "the certificate could not be signed: out of memory");
        ERR_clear_error();
    }
    return leaf;
}

struct leaf *leaf_get(struct leaf *leaf)
{
    uint32_t before = atomic_fetch_add_explicit(&leaf->references, 1, memory_order_relaxed);

    ASSERT(before > 0 && before < UINT32_MAX);
    return leaf;
}

void leaf_put(struct leaf *leaf)
{
    uint32_t before = atomic_fetch_sub_explicit(&leaf->references, 1, memory_order_acq_rel);

    ASSERT(before > 0);
    if (before == 1) {
        for (size_t i = 0; i < leaf->chain_count; i++) {
            CRYPTO_BUFFER_free(leaf->chain[i]);
        }
        EVP_PKEY_free(leaf->key);
        free(leaf);
    }
}

int64_t leaf_not_after_s(const struct leaf *leaf)
{
    return leaf->not_after_s;
}

struct span leaf_der(const struct leaf *leaf)
{
    return span_make(CRYPTO_BUFFER_data(leaf->chain[0]), CRYPTO_BUFFER_len(leaf->chain[0]));
}
