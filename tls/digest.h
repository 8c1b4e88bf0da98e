/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest: SHA-256 (FIPS 180-4) by the TLS library, for keys that must not be forged, and what goes
 * with secrets. Any thread.
 */
#ifndef WEIR_TLS_DIGEST_H
#define WEIR_TLS_DIGEST_H

#include "core/base/span.h"

enum { DIGEST_LEN = 32 };

void digest_sha256(uint8_t digest[DIGEST_LEN], struct span bytes);

/* A key for digests: random bytes that cannot be guessed. */
void digest_random(uint8_t *bytes, size_t len);

/* For secrets: takes as long wherever they differ. */
bool digest_equal(struct span a, struct span b);

#endif
