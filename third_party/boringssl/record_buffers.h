/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included before BoringSSL's ssl_buffer.cc when it is built from a checkout: the buffer of each
 * record comes from the library's allocator, which weir provides, and not from malloc().
 */
#ifndef WEIR_THIRD_PARTY_RECORD_BUFFERS_H
#define WEIR_THIRD_PARTY_RECORD_BUFFERS_H

#include <cstdlib>

#include <stdlib.h>

#include <openssl/mem.h>

#define malloc(size)  OPENSSL_malloc(size)
#define free(pointer) OPENSSL_free(pointer)

#endif
