/* SPDX-License-Identifier: Apache-2.0 */
/* match_level: how well a fingerprint agrees with a signature. Ordered: more is better. */
#ifndef WEIR_DETECT_MATCH_LEVEL_H
#define WEIR_DETECT_MATCH_LEVEL_H

enum match_level { MATCH_EMPTY, MATCH_IMPOSSIBLE, MATCH_UNLIKELY, MATCH_POSSIBLE };

static inline const char *match_level_name(enum match_level level)
{
    static const char *const names[] = {"empty", "impossible", "unlikely", "possible"};
    return names[level];
}

static inline enum match_level match_level_worse(enum match_level a, enum match_level b)
{
    return a < b ? a : b;
}

#endif
