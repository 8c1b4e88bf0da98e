/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mitm_info: what is known of an interception product: `names:type:grade`. Names are simplified as
 * they are read, so that versions of one product share a name. Owned memory; immutable once made.
 */
#ifndef WEIR_DETECT_MITM_INFO_H
#define WEIR_DETECT_MITM_INFO_H

#include "core/base/assert.h"
#include "core/base/text.h"
#include "detect/fault.h"
#include "detect/mode.h"

enum mitm_type {
    MITM_NONE,
    MITM_ANTIVIRUS,
    MITM_FAKE_BROWSER,
    MITM_MALWARE,
    MITM_PARENTAL_CONTROL,
    MITM_PROXY,
    MITM_TYPE_COUNT,
};

/* "none", "antivirus", ...; "unknown" for numbers that are no type. */
const char *mitm_type_name(unsigned type);

struct mitm_info {
    char *names; /* owned; joined with commas, without NUL */
    size_t names_len;
    size_t name_count; /* no name and one empty name differ */
    uint8_t type;      /* enum mitm_type; compatible: or any number */
    uint8_t grade;     /* enum grade; compatible: or any number */
};

/* Compatible: a vendor's word is found anywhere in a name, and numbers are cut to 8 bits.
 * Otherwise a name must begin with it, and other numbers are faults. */
bool mitm_info_parse(struct mitm_info *info, struct span text, enum detect_mode mode,
                     struct detect_fault *fault) MUST_CHECK;
void mitm_info_fini(struct mitm_info *info);
void mitm_info_print(struct text *out, const struct mitm_info *info);
static inline struct span mitm_info_names(const struct mitm_info *info)
{
    return span_make(info->names, info->names_len);
}
size_t mitm_info_text_max(const struct mitm_info *info);

/* Sorted union of the names, the type where it is the same, the worse grade. False: no memory. */
bool mitm_info_merge(struct mitm_info *merged, const struct mitm_info *a,
                     const struct mitm_info *b) MUST_CHECK;

/* Do both have the same names, or one in common? */
bool mitm_info_match(const struct mitm_info *a, const struct mitm_info *b);

#endif
