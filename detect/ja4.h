/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ja4: the JA4 fingerprint of a ClientHello over TCP (github.com/FoxIO-LLC/ja4,
 * technical_details/JA4.md). GREASE is left out everywhere. No allocation; any thread.
 *
 * Where the published text and the test data of FoxIO's own program disagree, the data counts: an
 * ALPN name that begins with a byte above 0x7f is written "99".
 */
#ifndef WEIR_DETECT_JA4_H
#define WEIR_DETECT_JA4_H

#include "detect/fingerprint.h"

enum {
    JA4_LEN = 36, /* t13d1516h2_8daaf6152771_e5627efa2ab1 */

    /* Room for ja4_print_raw() of any hello: 10 bytes, then 5 a number with its separator. */
    JA4_RAW_MAX = 10 + 5 * (2 * FINGERPRINT_LIST_MAX + CLIENT_HELLO_EXTENSIONS_MAX) + 3,
};

/* JA4_LEN characters and a NUL. False: the hello has no fingerprint (FINGERPRINT_LIST_MAX). */
bool ja4_compute(char ja4[JA4_LEN + 1], const struct client_hello *hello) MUST_CHECK;

/* JA4_r, the lists themselves in place of their hashes. False: the hello has no fingerprint, or
 * `out` is full; what is in it then must not be used. */
bool ja4_print_raw(struct text *out, const struct client_hello *hello) MUST_CHECK;

#endif
