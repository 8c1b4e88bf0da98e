/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grade: how good the cryptography is that a client offers. Larger is worse, and the worse of two
 * is the larger. Pure functions; any thread.
 */
#ifndef WEIR_DETECT_GRADE_H
#define WEIR_DETECT_GRADE_H

#include "detect/mode.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum grade { GRADE_EMPTY, GRADE_A, GRADE_B, GRADE_C, GRADE_F };

/* "empty", "A", "B", "C", "F"; "unknown" for other numbers. */
const char *grade_name(unsigned grade);

static inline uint8_t grade_worse(unsigned a, unsigned b)
{
    return (uint8_t)(a > b ? a : b);
}

/* 0 (no version) is empty. */
enum grade grade_of_version(uint16_t version);

/*
 * The class of one suite, and whether it has forward secrecy. Default: the suites of RFC 8446 and
 * RFC 7905 that MITMEngine does not know, or takes to be without forward secrecy, are right.
 */
enum grade grade_of_cipher(uint32_t cipher, enum detect_mode mode);
bool cipher_is_pfs(uint32_t cipher, enum detect_mode mode);

/* The grade of a list in order of preference: F or C if any suite is, else that of the first one
 * that is not the renegotiation signal. */
enum grade grade_of_ciphers(const uint16_t *ciphers, size_t count, enum detect_mode mode);

/* Has the first suite, not counting the renegotiation signal, forward secrecy? */
bool ciphers_first_is_pfs(const uint16_t *ciphers, size_t count, enum detect_mode mode);

/* Is there a suite of class F; of class C or F? */
bool ciphers_any_broken(const uint16_t *ciphers, size_t count, enum detect_mode mode);
bool ciphers_any_attacked(const uint16_t *ciphers, size_t count, enum detect_mode mode);

/* The grade of suites whose order is not known: F or C if any is, else the best of them. Whether
 * any has forward secrecy. */
enum grade grade_of_cipher_set(const uint16_t *ciphers, size_t count, enum detect_mode mode);
bool ciphers_any_pfs(const uint16_t *ciphers, size_t count, enum detect_mode mode);

#endif
