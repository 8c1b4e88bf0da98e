/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included before BoringSSL's ssl_buffer.cc, which takes the buffer of each record from malloc(),
 * past the library's own allocator. With this they come from there, and so from tls/memory.c.
 */
#ifndef WEIR_THIRD_PARTY_RECORD_BUFFERS_H
#define WEIR_THIRD_PARTY_RECORD_BUFFERS_H

/* Before the macros: these declare what the macros replace. */
#ifdef __cplusplus
#include <cstdlib>
#endif

#include <stdlib.h>

#include <openssl/mem.h>

#define malloc(size)  OPENSSL_malloc(size)
#define free(pointer) OPENSSL_free(pointer)

#endif
