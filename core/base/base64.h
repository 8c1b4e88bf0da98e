/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64: RFC 4648 4, as credentials and key files have it. Strict: padded, nothing else between,
 * and no bits left over, so that each value has one text. Any thread.
 */
#ifndef WEIR_BASE_BASE64_H
#define WEIR_BASE_BASE64_H

#include "core/base/span.h"

/* Bytes that `text_len` characters decode to at most. */
static inline size_t base64_room(size_t text_len)
{
    return text_len / 4 * 3;
}

/* Decodes into `memory`; *len: how many bytes. False: no base64, or more than `cap` bytes. */
bool base64_decode(struct span text, uint8_t *memory, size_t cap, size_t *len);

#endif
