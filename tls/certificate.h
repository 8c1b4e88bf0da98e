/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate: where the fields of a DER certificate lie (RFC 5280 4.1), without decoding more of
 * it than is asked for, and how they are written. Inside tls/ only. Spans that were read point into
 * the certificate's own bytes; writers return false when memory is exhausted.
 */
#ifndef WEIR_TLS_CERTIFICATE_H
#define WEIR_TLS_CERTIFICATE_H

#include "core/base/assert.h"
#include "core/base/span.h"

#include <openssl/bytestring.h>

/* Last arcs of 2.5.29, the certificate extensions, and of 2.5.4, the attributes of a name. */
enum {
    EXTENSION_SUBJECT_KEY_ID = 14,
    EXTENSION_KEY_USAGE = 15,
    EXTENSION_SUBJECT_ALT_NAME = 17,
    EXTENSION_BASIC_CONSTRAINTS = 19,
    EXTENSION_AUTHORITY_KEY_ID = 35,
    EXTENSION_EXTENDED_KEY_USAGE = 37,
    ATTRIBUTE_COMMON_NAME = 3,
    ATTRIBUTE_ORGANIZATION = 10,
};

enum {
    CERTIFICATE_TAG_VERSION = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0,
    CERTIFICATE_TAG_EXTENSIONS = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 3,
};

struct certificate_view {
    struct span subject;    /* the Name with its header; "30 00" when there are no attributes */
    struct span extensions; /* the Extension elements, without the outer headers; may be empty */
};

/* False when the certificate cannot be walked so far; *view is then empty. */
bool certificate_read(struct span der, struct certificate_view *view) MUST_CHECK;

/* The value (inside the OCTET STRING) of the first extension 2.5.29.`last_arc`; empty: not there.
 * A broken element ends the search. */
struct span certificate_extension(const struct certificate_view *view, uint8_t last_arc);

/* The last commonName of the subject if it is of a type of one byte a character; otherwise empty.
 * The bytes are as untrusted as the certificate. */
struct span certificate_common_name(const struct certificate_view *view);

/* 128 random bits. */
bool certificate_write_serial(CBB *out) MUST_CHECK;

/* Also false for dates outside 1950 to 9999. */
bool certificate_write_validity(CBB *out, int64_t not_before_s, int64_t not_after_s) MUST_CHECK;

/* A UTF8String 2.5.4.`last_arc`, in a relative name of its own. */
bool certificate_write_attribute(CBB *name, uint8_t last_arc, struct span value) MUST_CHECK;

/* An extension with a DER value; or opened, so that `value` takes what its OCTET STRING holds. */
bool certificate_write_extension(CBB *list, uint8_t last_arc, bool is_critical,
                                 struct span value) MUST_CHECK;
bool certificate_begin_extension(CBB *list, uint8_t last_arc, bool is_critical, CBB *extension,
                                 CBB *value) MUST_CHECK;
bool certificate_write_key_id(CBB *list, struct span id) MUST_CHECK; /* of the subject */

/* The certificate, of its signed part, the AlgorithmIdentifier and the signature. */
CRYPTO_BUFFER *certificate_wrap(struct span tbs, struct span sigalg,
                                struct span signature) MUST_CHECK;

static inline CBS cbs_from_span(struct span view)
{
    CBS cbs;
    CBS_init(&cbs, view.data, view.len);
    return cbs;
}

static inline struct span cbs_span(const CBS *cbs)
{
    return span_make(CBS_data(cbs), CBS_len(cbs));
}

#endif
