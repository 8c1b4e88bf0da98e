/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hex: bytes written as hexadecimal digits, two each, of either case.
 */
#ifndef WEIR_TOOLS_HEX_H
#define WEIR_TOOLS_HEX_H

#include "core/base/assert.h"
#include "core/base/text.h"

/* White space and colons may stand between bytes. Returns the bytes written to `out`, which has
 * room for text.len / 2; or -1, with what was expected at which column in `error`. */
long hex_decode(uint8_t *out, struct span text, struct text *error) MUST_CHECK;

#endif
