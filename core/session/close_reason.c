/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/close_reason.h"

#include <ctype.h>
#include <stddef.h>

static const struct {
    const char *name;
    const char *text;
    bool is_error;
} row[CLOSE_REASON_COUNT] = {
    [CLOSE_NONE] = {"OPEN", "the session is open", false},
#define CLOSE_REASON(name, is_error, sentence) [CLOSE_##name] = {#name, sentence, is_error},
#include "core/session/close_reason.def"
#undef CLOSE_REASON
};

const char *close_reason_name(enum close_reason reason)
{
    static __thread char lower[32];
    size_t i = 0;

    for (; row[reason].name[i] && i + 1 < sizeof(lower); i++) {
        lower[i] = (char)tolower((unsigned char)row[reason].name[i]);
    }
    lower[i] = '\0';
    return lower;
}

const char *close_reason_text(enum close_reason reason)
{
    return row[reason].text;
}

bool close_reason_is_error(enum close_reason reason)
{
    return row[reason].is_error;
}
