/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/digest.h"

#include <openssl/mem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

void digest_sha256(uint8_t digest[DIGEST_LEN], struct span bytes)
{
    SHA256(bytes.data, bytes.len, digest);
}

void digest_random(uint8_t *bytes, size_t len)
{
    RAND_bytes(bytes, len); /* never fails in BoringSSL */
}

bool digest_equal(struct span a, struct span b)
{
    return a.len == b.len && CRYPTO_memcmp(a.data, b.data, a.len) == 0;
}
