/* SPDX-License-Identifier: Apache-2.0 */
/* digest: SHA-256 (FIPS 180-4) by the TLS library, for keys that must not be forged. Any thread. */
#ifndef WEIR_TLS_DIGEST_H
#define WEIR_TLS_DIGEST_H

#include "core/base/span.h"

enum { DIGEST_LEN = 32 };

void digest_sha256(uint8_t digest[DIGEST_LEN], struct span bytes);

#endif
