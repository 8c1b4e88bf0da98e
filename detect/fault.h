/* SPDX-License-Identifier: Apache-2.0 */
/* fault: where a text form stopped being one, and what should have been there. A value. */
#ifndef WEIR_DETECT_FAULT_H
#define WEIR_DETECT_FAULT_H

#include <stddef.h>

struct detect_fault {
    size_t offset;        /* bytes from the start of the text that was parsed */
    const char *expected; /* "a hex number up to ffff"; a string that lives for ever */
};

/* What `expected` says when the heap is exhausted, which is no fault of the text. */
extern const char detect_fault_no_memory[];

#endif
