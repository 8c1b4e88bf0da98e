/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sha256: FIPS 180-4, for the fingerprints that are defined with it (JA4). What must resist an
 * attacker uses the TLS library's. Any thread.
 */
#ifndef WEIR_DETECT_SHA256_H
#define WEIR_DETECT_SHA256_H

#include "core/base/span.h"

enum { SHA256_LEN = 32 };

void sha256(uint8_t digest[SHA256_LEN], struct span bytes);

#endif
