/* SPDX-License-Identifier: Apache-2.0 */
/* capture_private: what the readers of the two formats share. */
#ifndef WEIR_TOOLS_CAPTURE_PRIVATE_H
#define WEIR_TOOLS_CAPTURE_PRIVATE_H

#include "core/tools/capture.h"

/* Numbers in the byte order of the file. */
uint16_t capture_u16(const struct capture *capture, const uint8_t *bytes);
uint32_t capture_u32(const struct capture *capture, const uint8_t *bytes);

/* Writes the fault with the byte that is `at` behind the input's window's start. */
enum capture_result capture_refuse(struct capture *capture, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Makes the window hold `want` bytes. PACKET: it does. END: not one byte is left. BAD: the input
 * ends before, in the middle of `what`. */
enum capture_result capture_want(struct capture *capture, size_t want, const char *what);

bool pcap_start(struct capture *capture) MUST_CHECK;
enum capture_result pcap_next(struct capture *capture, struct capture_packet *packet) MUST_CHECK;
enum capture_result pcapng_next(struct capture *capture, struct capture_packet *packet) MUST_CHECK;

#endif
