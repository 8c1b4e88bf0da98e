/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/user_agent_lines.h"

#include "core/tools/hex.h"
#include "detect/user_agent.h"

#include <stdlib.h>

/* The quirks are left empty by the parser: seven numbers of 64 bits and two versions. */
enum { PRINT_MAX = 256 };

bool user_agent_lines_header(const json_t *line, struct span *raw, uint8_t **owned,
                             struct text *error)
{
    struct span digits;
    long len;

    *owned = NULL;
    if (!json_object_get(line, "raw_ua_hex")) {
        return json_lines_string(line, "raw_ua", raw, error);
    }
    if (!json_lines_string(line, "raw_ua_hex", &digits, error)) {
        return false;
    }
    *owned = malloc(digits.len / 2 + 1);
    if (!*owned) {
        text_string(error, "out of memory");
        return false;
    }
    text_string(error, "raw_ua_hex: ");
    len = hex_decode(*owned, digits, error);
    *raw = span_make(*owned, len < 0 ? 0 : (size_t)len);
    return len >= 0;
}

static bool answer_line(void *context, const json_t *line, json_t *results, struct text *error)
{
    const struct options *options = context;
    char room[PRINT_MAX];
    struct text t = text_make(room, sizeof(room));
    struct ua_fingerprint fp;
    struct span raw;
    uint8_t *owned;
    bool done = user_agent_lines_header(line, &raw, &owned, error);

    if (done) {
        user_agent_parse(&fp, raw,
                         options->compatible ? USER_AGENT_COMPATIBLE : USER_AGENT_DEFAULT);
        ua_fingerprint_print(&t, &fp);
        done = !t.overflow &&
               json_object_set_new(results, "ua_fingerprint", json_stringn(room, t.len)) == 0;
        if (!done) {
            text_string(error, "out of memory");
        }
    }
    free(owned);
    return done;
}

int user_agent_lines_run(const struct options *options, FILE *out, FILE *err)
{
    struct options copy = *options;

    return json_lines_run_inputs(options, "user-agent", out, err, answer_line, &copy);
}
