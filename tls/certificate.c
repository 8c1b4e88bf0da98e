/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/certificate.h"

enum {
    TAG_CONTEXT_0 = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0,
    TAG_CONTEXT_3 = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 3,
    TAG_ISSUER_ID = CBS_ASN1_CONTEXT_SPECIFIC | 1,
    TAG_SUBJECT_ID = CBS_ASN1_CONTEXT_SPECIFIC | 2,
};

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
