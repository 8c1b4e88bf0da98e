/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fingerprint: the command. Says for every ClientHello in files, captures, JSON Lines, on the
 * command line or on a socket what it is: JA3, JA4, SNI, ALPN and MITMEngine's request fingerprint.
 */
#ifndef WEIR_TOOLS_FINGERPRINT_H
#define WEIR_TOOLS_FINGERPRINT_H

#include "core/options.h"

/* Returns the status to exit with: 0 when every hello that was found has its fingerprints, and one
 * was found in each input; for JSON Lines when each was answered. */
int fingerprint_run(const struct options *options, FILE *out, FILE *err);

#endif
