/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate: where the fields of a DER certificate lie (RFC 5280 4.1), without decoding more of
 * it than is asked for. Inside tls/ only. Spans point into the certificate's own bytes.
 */
#ifndef WEIR_TLS_CERTIFICATE_H
#define WEIR_TLS_CERTIFICATE_H

#include "core/base/assert.h"
#include "core/base/span.h"

#include <openssl/bytestring.h>

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
