/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/digest.h"

#include <openssl/sha.h>

void digest_sha256(uint8_t digest[DIGEST_LEN], struct span bytes)
{
    SHA256(bytes.data, bytes.len, digest);
}
