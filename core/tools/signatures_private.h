/* SPDX-License-Identifier: Apache-2.0 */
/* signatures_private: what match and merge share. */
#ifndef WEIR_TOOLS_SIGNATURES_PRIVATE_H
#define WEIR_TOOLS_SIGNATURES_PRIVATE_H

#include "core/tools/json_lines.h"
#include "detect/fault.h"
#include "detect/mode.h"

/* The context of both commands. */
struct signatures {
    enum detect_mode mode;
};

/* "signature: byte 3: a hex number expected" */
void signatures_write_fault(struct text *error, const char *where,
                            const struct detect_fault *fault);

#endif
