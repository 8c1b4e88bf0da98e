/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ja3: the JA3 fingerprint of a ClientHello (github.com/salesforce/ja3): version, ciphers,
 * extension types, groups and point formats in decimal and wire order, without GREASE, and the MD5
 * of that text. No allocation; any thread.
 */
#ifndef WEIR_DETECT_JA3_H
#define WEIR_DETECT_JA3_H

#include "detect/fingerprint.h"

enum {
    JA3_LEN = 32, /* hex digits */

    /* Room for ja3_print() of any hello: 6 bytes a number, 4 a point format. */
    JA3_TEXT_MAX = 5 + 6 * (2 * FINGERPRINT_LIST_MAX + CLIENT_HELLO_EXTENSIONS_MAX) + 4 * 255 + 4,
};

/* The text that is hashed ("JA3 full"). False: the hello has no fingerprint (FINGERPRINT_LIST_MAX),
 * or `out` is full; what is in it then must not be used. */
bool ja3_print(struct text *out, const struct client_hello *hello) MUST_CHECK;

/* 32 hex digits and a NUL. False: the hello has no fingerprint. */
bool ja3_compute(char hash[JA3_LEN + 1], const struct client_hello *hello) MUST_CHECK;

#endif
