/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca: the certificate authority that signs leaves. Its files have the names and modes that users of
 * mitmproxy know:
 *     weir-ca.pem            key and certificate (and its chain), mode 0600
 *     weir-ca-cert.pem/.cer  certificate, PEM, for browsers and systems
 *     weir-ca-cert.p12       certificate, PKCS#12, for Windows
 * Made at first run (ECDSA P-256, ten years, for leaves alone: path length 0); an existing file is
 * used: RSA of 2048 to 8192 bits, or ECDSA P-256 or P-384. Its certificate may be followed by its
 * issuers upwards; clients are sent them, without a root. The key never leaves this object.
 */
#ifndef WEIR_TLS_CA_H
#define WEIR_TLS_CA_H

#include "core/base/assert.h"
#include "core/base/span.h"

#include <stdint.h>

struct ca;

/*
 * Loads DIR/weir-ca.pem, or makes the folder (0700) and the files if there is none. *created tells
 * which. Refuses a key file that others may read, a certificate that is no CA or is expired, a key
 * that does not belong to it. Two processes that start at once end up with the same CA. Null on
 * failure, with a sentence in error that names the file and the remedy.
 */
struct ca *ca_open(const char *directory, int64_t now_s, bool *created, char *error,
                   size_t error_cap) MUST_CHECK;
void ca_free(struct ca *ca);

struct span ca_certificate_der(const struct ca *ca);
void ca_fingerprint(const struct ca *ca, uint8_t sha256[32]);
const char *ca_subject(const struct ca *ca);
int64_t ca_not_after_s(const struct ca *ca);

#endif
