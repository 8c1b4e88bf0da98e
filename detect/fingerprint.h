/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fingerprint: a ClientHello as MITMEngine writes it, in its canonical form:
 *
 *     version:ciphers:extensions:curves:ecpointformats:headers:quirks
 *
 * Numbers are lower-case hex without leading zeros, lists are separated by commas in wire order,
 * GREASE included (the check takes it out); version is the hello's own legacy_version, 303 for
 * TLS 1.3 too. No allocation; any thread.
 */
#ifndef WEIR_DETECT_FINGERPRINT_H
#define WEIR_DETECT_FINGERPRINT_H

#include "core/base/assert.h"
#include "core/base/text.h"
#include "tls/client_hello.h"

enum {
    /* A hello with a list longer than this has no fingerprint of any kind (this, JA3, JA4): all
     * registered values together are fewer, and the work for a hostile hello stays bounded. */
    FINGERPRINT_LIST_MAX = 512,

    /* Room for fingerprint_print_hello() of any hello: a version, the two long lists of 5 bytes an
     * item, the extensions, the point formats of 3 bytes an item, and the colons. */
    FINGERPRINT_HELLO_MAX =
        4 + 5 * (2 * FINGERPRINT_LIST_MAX + CLIENT_HELLO_EXTENSIONS_MAX) + 3 * 255 + 4,
};

/* May this hello have fingerprints, that is, is no list longer than FINGERPRINT_LIST_MAX? */
bool fingerprint_is_bounded(const struct client_hello *hello);

/* The first five fields, without a colon at the end. False: the hello has no fingerprint, or `out`
 * is full; what is in it then must not be used. */
bool fingerprint_print_hello(struct text *out, const struct client_hello *hello) MUST_CHECK;

/*
 * All seven fields. `headers` and `quirks` are comma lists that the caller made, possibly empty;
 * `compr` is put before the quirks if the hello offers more than one compression method.
 */
bool fingerprint_print(struct text *out, const struct client_hello *hello, struct span headers,
                       struct span quirks) MUST_CHECK;

#endif
