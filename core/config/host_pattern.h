/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_pattern: which hosts a rule means.
 *     example.com        that name
 *     *.example.com      every name below it, however deep, and not itself
 *     .example.com       itself and every name below it
 *     192.0.2.1  2001:db8::1      that address
 *     192.0.2.0/24  2001:db8::/32 every address of the block
 *     *                  everything
 * Pure functions; any thread.
 */
#ifndef WEIR_CONFIG_HOST_PATTERN_H
#define WEIR_CONFIG_HOST_PATTERN_H

#include "core/base/span.h"

/* Null if the pattern is well-formed, else a sentence (static) that says what is wrong. */
const char *config_host_pattern_error(struct span pattern);

/* The pattern means an address or a block of them, and so no name. It must be well-formed. */
bool config_host_pattern_is_address(struct span pattern);

/*
 * Whether a host as a client names it matches a well-formed pattern. Letters compare without case
 * (RFC 4343), one dot at the end of the host is ignored, an IPv6 address may stand in brackets, and
 * an IPv4 address inside an IPv6 one (::ffff:192.0.2.1) is that IPv4 address. Names match no
 * address pattern: nothing is looked up. The pattern "" matches the empty host only, "*" also it.
 */
bool config_host_matches(const char *pattern, struct span host);

#endif
