/* SPDX-License-Identifier: Apache-2.0 */
/* close_reason: why a session ended: exactly one row of close_reason.def. */
#ifndef WEIR_SESSION_CLOSE_REASON_H
#define WEIR_SESSION_CLOSE_REASON_H

#include <stdbool.h>

enum close_reason {
    CLOSE_NONE, /* it has not */
#define CLOSE_REASON(name, is_error, sentence) CLOSE_##name,
#include "core/session/close_reason.def"
#undef CLOSE_REASON
    CLOSE_REASON_COUNT,
};

const char *close_reason_name(enum close_reason reason); /* "client_done", ... for the log */
const char *close_reason_text(enum close_reason reason); /* a sentence */
bool close_reason_is_error(enum close_reason reason);

#endif
