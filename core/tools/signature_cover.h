/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature_cover: which records can never be reached. Says so only where it is certain; that a
 * record is not named here proves nothing. Default mode's rules; any thread.
 */
#ifndef WEIR_TOOLS_SIGNATURE_COVER_H
#define WEIR_TOOLS_SIGNATURE_COVER_H

#include "detect/record.h"

/* Is the later record never chosen, because this earlier one of the same list agrees with all that
 * the later one agrees with, and at no worse level? */
bool signature_covers(const struct record *earlier, const struct record *later);

/* What of the record contradicts itself, so that nothing agrees with it; null: nothing is known
 * to. */
const char *signature_contradiction(const struct record *record);

#endif
