/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/grade.h"

#include "core/base/assert.h"

enum {
    RENEGOTIATION_SIGNAL = 0x00ff, /* RFC 5746 3.3: not a suite */
    FALLBACK_SIGNAL = 0x5600,      /* RFC 7507: not a suite either */
    PFS = 8,
    WIDE_ROWS = UINT16_MAX + 1,
};

/* The class, and PFS, by number: each check asks for some twenty. Those of 24 bits come behind. */
static const uint8_t rows[] = {
#define CIPHER_GRADE(number, class, pfs)                                                           \
    [(number) <= UINT16_MAX ? (number) : WIDE_ROWS + ((number) >> 16)] =                           \
        GRADE_##class | ((pfs) ? PFS : 0),
#include "detect/cipher_grade.def"
};

static unsigned row_of(uint32_t cipher)
{
    switch (cipher) {
    case 0x10080:
    case 0x60040:
        return rows[WIDE_ROWS + (cipher >> 16)];
    default:
        return cipher <= UINT16_MAX ? rows[cipher] : (unsigned)GRADE_EMPTY;
    }
}

/* What was standardised, or named without "DHE", after the table was made. */
static unsigned mended_row_of(uint32_t cipher)
{
    switch (cipher) {
    case 0x1301: /* RFC 8446 B.4: the key exchange is apart, and always ephemeral */
    case 0x1302:
    case 0x1303:
    case 0x1304:
    case 0x1305:
    case 0xccaa: /* RFC 7905: DHE-RSA with ChaCha20 */
        return GRADE_A | PFS;
    default:
        return row_of(cipher);
    }
}

static unsigned row(uint32_t cipher, enum detect_mode mode)
{
    return mode == DETECT_COMPATIBLE ? row_of(cipher) : mended_row_of(cipher);
}

const char *grade_name(unsigned grade)
{
    static const char *const names[] = {"empty", "A", "B", "C", "F"};
    return grade < COUNT_OF(names) ? names[grade] : "unknown";
}

enum grade grade_of_version(uint16_t version)
{
    switch (version) {
    case 0x0304:
    case 0x0303:
        return GRADE_A;
    case 0x0302:
    case 0x0301:
        return GRADE_B;
    case 0x0300:
        return GRADE_C;
    case 0x0200:
        return GRADE_F;
    default:
        return GRADE_EMPTY;
    }
}

enum grade grade_of_cipher(uint32_t cipher, enum detect_mode mode)
{
    return (enum grade)(row(cipher, mode) & ~(unsigned)PFS);
}

bool cipher_is_pfs(uint32_t cipher, enum detect_mode mode)
{
    return (row(cipher, mode) & PFS) != 0;
}

/* The index of the first suite; `count` if there is none. */
static size_t first_suite(const uint16_t *ciphers, size_t count)
{
    return count && ciphers[0] == RENEGOTIATION_SIGNAL ? 1 : 0;
}

enum grade grade_of_ciphers(const uint16_t *ciphers, size_t count, enum detect_mode mode)
{
    enum grade worst = GRADE_EMPTY;
    size_t first = first_suite(ciphers, count);

    for (size_t i = 0; i < count; i++) {
        enum grade grade = grade_of_cipher(ciphers[i], mode);
        worst = grade > worst ? grade : worst;
    }
    if (worst >= GRADE_C) {
        return worst;
    }
    return first < count ? grade_of_cipher(ciphers[first], mode) : GRADE_EMPTY;
}

bool ciphers_first_is_pfs(const uint16_t *ciphers, size_t count, enum detect_mode mode)
{
    size_t first = first_suite(ciphers, count);
    return first < count && cipher_is_pfs(ciphers[first], mode);
}

static bool any_as_bad(const uint16_t *ciphers, size_t count, enum detect_mode mode,
                       enum grade grade)
{
    for (size_t i = 0; i < count; i++) {
        if (grade_of_cipher(ciphers[i], mode) >= grade) {
            return true;
        }
    }
    return false;
}

bool ciphers_any_broken(const uint16_t *ciphers, size_t count, enum detect_mode mode)
{
    return any_as_bad(ciphers, count, mode, GRADE_F);
}

bool ciphers_any_attacked(const uint16_t *ciphers, size_t count, enum detect_mode mode)
{
    return any_as_bad(ciphers, count, mode, GRADE_C);
}

enum grade grade_of_cipher_set(const uint16_t *ciphers, size_t count, enum detect_mode mode)
{
    enum grade best = GRADE_EMPTY;
    enum grade worst = GRADE_EMPTY;

    for (size_t i = 0; i < count; i++) {
        enum grade grade = grade_of_cipher(ciphers[i], mode);
        bool is_suite = ciphers[i] != RENEGOTIATION_SIGNAL && ciphers[i] != FALLBACK_SIGNAL;
        if (is_suite && grade != GRADE_EMPTY && (best == GRADE_EMPTY || grade < best)) {
            best = grade;
        }
        worst = grade > worst ? grade : worst;
    }
    return worst >= GRADE_C ? worst : best;
}

bool ciphers_any_pfs(const uint16_t *ciphers, size_t count, enum detect_mode mode)
{
    for (size_t i = 0; i < count; i++) {
        if (cipher_is_pfs(ciphers[i], mode)) {
            return true;
        }
    }
    return false;
}
