/* SPDX-License-Identifier: Apache-2.0 */
/*
 * md5: RFC 1321, for JA3 alone, which is defined with it. Not for anything that must resist an
 * attacker. Any thread.
 */
#ifndef WEIR_DETECT_MD5_H
#define WEIR_DETECT_MD5_H

#include "core/base/span.h"

enum { MD5_LEN = 16 };

void md5(uint8_t digest[MD5_LEN], struct span bytes);

#endif
