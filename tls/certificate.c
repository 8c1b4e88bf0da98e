/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/certificate.h"

#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <time.h>

enum {
    TAG_CONTEXT_0 = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0,
    TAG_CONTEXT_3 = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 3,
    TAG_ISSUER_ID = CBS_ASN1_CONTEXT_SPECIFIC | 1,
    TAG_SUBJECT_ID = CBS_ASN1_CONTEXT_SPECIFIC | 2,
    SERIAL_LEN = 16,
};

/* ---- reading ---- */

bool certificate_read(struct span der, struct certificate_view *view)
{
    CBS outer = cbs_from_span(der);
    CBS certificate;
    CBS tbs;
    CBS subject;
    CBS wrapper;
    CBS extensions;

    *view = (struct certificate_view){{NULL, 0}, {NULL, 0}};
    if (!CBS_get_asn1(&outer, &certificate, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&certificate, &tbs, CBS_ASN1_SEQUENCE) ||
        !CBS_get_optional_asn1(&tbs, NULL, NULL, TAG_CONTEXT_0) ||
        !CBS_get_asn1(&tbs, NULL, CBS_ASN1_INTEGER) ||
        !CBS_get_asn1(&tbs, NULL, CBS_ASN1_SEQUENCE) || /* signature */
        !CBS_get_asn1(&tbs, NULL, CBS_ASN1_SEQUENCE) || /* issuer */
        !CBS_get_asn1(&tbs, NULL, CBS_ASN1_SEQUENCE) || /* validity */
        !CBS_get_asn1_element(&tbs, &subject, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&tbs, NULL, CBS_ASN1_SEQUENCE)) { /* subjectPublicKeyInfo */
        return false;
    }
    view->subject = cbs_span(&subject);
    if (CBS_get_optional_asn1(&tbs, NULL, NULL, TAG_ISSUER_ID) &&
        CBS_get_optional_asn1(&tbs, NULL, NULL, TAG_SUBJECT_ID) &&
        CBS_get_asn1(&tbs, &wrapper, TAG_CONTEXT_3) &&
        CBS_get_asn1(&wrapper, &extensions, CBS_ASN1_SEQUENCE)) {
        view->extensions = cbs_span(&extensions);
    }
    return true;
}

struct span certificate_extension(const struct certificate_view *view, uint8_t last_arc)
{
    const uint8_t wanted[] = {0x55, 0x1d, last_arc};
    CBS extensions = cbs_from_span(view->extensions);
    CBS extension;
    CBS oid;
    CBS value;

    while (CBS_get_asn1(&extensions, &extension, CBS_ASN1_SEQUENCE)) {
        if (!CBS_get_asn1(&extension, &oid, CBS_ASN1_OBJECT) ||
            !CBS_get_optional_asn1(&extension, NULL, NULL, CBS_ASN1_BOOLEAN) ||
            !CBS_get_asn1(&extension, &value, CBS_ASN1_OCTETSTRING)) {
            break;
        }
        if (CBS_mem_equal(&oid, wanted, sizeof(wanted))) {
            return cbs_span(&value);
        }
    }
    return (struct span){NULL, 0};
}

static bool is_byte_string(unsigned tag)
{
    return tag == CBS_ASN1_UTF8STRING || tag == CBS_ASN1_PRINTABLESTRING ||
           tag == CBS_ASN1_IA5STRING || tag == CBS_ASN1_T61STRING;
}

struct span certificate_common_name(const struct certificate_view *view)
{
    static const uint8_t common_name[] = {0x55, 0x04, 0x03};
    struct span found = {NULL, 0};
    CBS outer = cbs_from_span(view->subject);
    CBS names;
    CBS set;
    CBS attribute;
    CBS oid;
    CBS value;
    unsigned tag;

    if (!CBS_get_asn1(&outer, &names, CBS_ASN1_SEQUENCE)) {
        return found;
    }
    while (CBS_get_asn1(&names, &set, CBS_ASN1_SET)) {
        while (CBS_get_asn1(&set, &attribute, CBS_ASN1_SEQUENCE)) {
            if (CBS_get_asn1(&attribute, &oid, CBS_ASN1_OBJECT) &&
                CBS_mem_equal(&oid, common_name, sizeof(common_name)) &&
                CBS_get_any_asn1(&attribute, &value, &tag)) {
                found = is_byte_string(tag) ? cbs_span(&value) : (struct span){NULL, 0};
            }
        }
    }
    return found;
}

/* ---- writing ---- */

/* UTCTime until 2049, then GeneralizedTime (RFC 5280 4.1.2.5). */
static bool write_time(CBB *out, int64_t time_s)
{
    time_t seconds = (time_t)time_s;
    struct tm utc;
    char text[32];
    int len;
    bool is_short;
    CBB child;

    if (!gmtime_r(&seconds, &utc) || utc.tm_year < 50 || utc.tm_year > 9999 - 1900) {
        return false;
    }
    is_short = utc.tm_year < 150;
    len = is_short ? snprintf(text, sizeof(text), "%02d", utc.tm_year % 100)
                   : snprintf(text, sizeof(text), "%04d", utc.tm_year + 1900);
    len += snprintf(text + len, sizeof(text) - (size_t)len, "%02d%02d%02d%02d%02dZ", utc.tm_mon + 1,
                    utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
    return CBB_add_asn1(out, &child, is_short ? CBS_ASN1_UTCTIME : CBS_ASN1_GENERALIZEDTIME) &&
           CBB_add_bytes(&child, (const uint8_t *)text, (size_t)len) && CBB_flush(out);
}

bool certificate_write_validity(CBB *out, int64_t not_before_s, int64_t not_after_s)
{
    CBB child;

    return CBB_add_asn1(out, &child, CBS_ASN1_SEQUENCE) && write_time(&child, not_before_s) &&
           write_time(&child, not_after_s) && CBB_flush(out);
}

bool certificate_write_serial(CBB *out)
{
    uint8_t serial[SERIAL_LEN];
    CBB child;

    RAND_bytes(serial, sizeof(serial));
    if (serial[0] == 0) {
        serial[0] = 1; /* DER has no leading zeros */
    }
    /* A byte in front where they would read as negative. */
    return CBB_add_asn1(out, &child, CBS_ASN1_INTEGER) &&
           (!(serial[0] & 0x80) || CBB_add_u8(&child, 0)) &&
           CBB_add_bytes(&child, serial, sizeof(serial)) && CBB_flush(out);
}

bool certificate_write_attribute(CBB *name, uint8_t last_arc, struct span value)
{
    const uint8_t oid[] = {0x55, 0x04, last_arc};
    CBB set;
    CBB attribute;
    CBB child;

    return CBB_add_asn1(name, &set, CBS_ASN1_SET) &&
           CBB_add_asn1(&set, &attribute, CBS_ASN1_SEQUENCE) &&
           CBB_add_asn1(&attribute, &child, CBS_ASN1_OBJECT) &&
           CBB_add_bytes(&child, oid, sizeof(oid)) &&
           CBB_add_asn1(&attribute, &child, CBS_ASN1_UTF8STRING) &&
           CBB_add_bytes(&child, value.data, value.len) && CBB_flush(name);
}

bool certificate_begin_extension(CBB *list, uint8_t last_arc, bool is_critical, CBB *extension,
                                 CBB *value)
{
    const uint8_t oid[] = {0x55, 0x1d, last_arc};
    CBB child;

    return CBB_add_asn1(list, extension, CBS_ASN1_SEQUENCE) &&
           CBB_add_asn1(extension, &child, CBS_ASN1_OBJECT) &&
           CBB_add_bytes(&child, oid, sizeof(oid)) &&
           (!is_critical || CBB_add_asn1_bool(extension, 1)) &&
           CBB_add_asn1(extension, value, CBS_ASN1_OCTETSTRING);
}

bool certificate_write_extension(CBB *list, uint8_t last_arc, bool is_critical, struct span value)
{
    CBB extension;
    CBB child;

    return certificate_begin_extension(list, last_arc, is_critical, &extension, &child) &&
           CBB_add_bytes(&child, value.data, value.len) && CBB_flush(list);
}

bool certificate_write_key_id(CBB *list, struct span id)
{
    CBB extension;
    CBB value;

    return certificate_begin_extension(list, EXTENSION_SUBJECT_KEY_ID, false, &extension, &value) &&
           CBB_add_asn1_octet_string(&value, id.data, id.len) && CBB_flush(list);
}

CRYPTO_BUFFER *certificate_wrap(struct span tbs, struct span sigalg, struct span signature)
{
    CRYPTO_BUFFER *buffer = NULL;
    uint8_t *der = NULL;
    size_t len;
    CBB out;
    CBB certificate;
    CBB bits;

    if (CBB_init(&out, tbs.len + signature.len + 64) &&
        CBB_add_asn1(&out, &certificate, CBS_ASN1_SEQUENCE) &&
        CBB_add_bytes(&certificate, tbs.data, tbs.len) &&
        CBB_add_bytes(&certificate, sigalg.data, sigalg.len) &&
        CBB_add_asn1(&certificate, &bits, CBS_ASN1_BITSTRING) && CBB_add_u8(&bits, 0) &&
        CBB_add_bytes(&bits, signature.data, signature.len) && CBB_finish(&out, &der, &len)) {
        buffer = CRYPTO_BUFFER_new(der, len, NULL);
    } else {
        CBB_cleanup(&out);
    }
    OPENSSL_free(der);
    return buffer;
}
