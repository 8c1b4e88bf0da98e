/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc32c: the checksum CRC-32C (Castagnoli), as in iSCSI, SCTP and the PROXY protocol (RFC 3720
 * 12.1, RFC 4960 appendix B). Finds accidents, not forgeries.
 */
#ifndef WEIR_BASE_CRC32C_H
#define WEIR_BASE_CRC32C_H

#include "core/base/span.h"

/* Of the bytes before, whose checksum is `crc`, and these; 0: there are none before. */
uint32_t crc32c_extend(uint32_t crc, struct span bytes);

#endif
