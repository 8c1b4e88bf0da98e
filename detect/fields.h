/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields: what the text forms of this folder have in common: fixed numbers of fields, comma lists,
 * decimal and hex numbers. Offsets in faults count from `whole`, the text that the caller was
 * given, of which every part here is a view.
 */
#ifndef WEIR_DETECT_FIELDS_H
#define WEIR_DETECT_FIELDS_H

#include "core/base/assert.h"
#include "core/base/text.h"
#include "detect/fault.h"

/* Splits at every `separator` into exactly `count` parts. False, with *at set to the offset of the
 * part that is missing or too many: another number of parts. */
bool fields_split(struct span *parts, size_t count, struct span text, char separator,
                  size_t *at) MUST_CHECK;

/* Takes the part up to the next `separator` off the front of `rest`. The last part leaves `rest`
 * null; so a loop is `while (rest.data) { part = fields_next(&rest, ','); ... }` over a text whose
 * data is not null. */
struct span fields_next(struct span *rest, char separator);

/* An optional sign and decimal digits, in 64 bits. */
bool fields_decimal(int64_t *value, struct span text) MUST_CHECK;

/* Reads those of the parts of `whole` for which there is a number; false with a fault. */
bool fields_decimals(int64_t *const *numbers, const struct span *parts, size_t count,
                     struct span whole, struct detect_fault *fault) MUST_CHECK;

/* Hex digits without prefix or sign, at most ffff, leading zeros allowed. */
bool fields_hex(uint16_t *value, struct span text) MUST_CHECK;

/* Lower-case hex without leading zeros. */
void fields_print_hex(struct text *out, uint16_t value);

/* Sets a fault at the start of `part`, a view of `whole`, and is false. */
bool fields_fault(struct detect_fault *fault, struct span whole, struct span part,
                  const char *expected);

/* A fault of `part` becomes one of `whole`; false. */
bool fields_fault_within(struct detect_fault *fault, struct span whole, struct span part);

/* Offset of `part` in `whole`; 0 for a part without data. */
size_t fields_offset(struct span whole, struct span part);

#endif
