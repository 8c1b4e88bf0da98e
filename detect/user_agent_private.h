/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_agent_private: what the files of the User-Agent parser share. All rules are tests for marks,
 * short texts, in the lower-cased header: is it there, and which version stands behind its first
 * occurrence. So one pass notes where each mark first ends, and the rules read that. Only what must
 * stand in the first parenthesis (the group) is searched there, when a rule asks.
 *
 * The header is never copied. It is read as if every letter were lower case, the two others that
 * become ASCII letters included, so offsets are those of the raw bytes.
 */
#ifndef WEIR_DETECT_USER_AGENT_PRIVATE_H
#define WEIR_DETECT_USER_AGENT_PRIVATE_H

#include "detect/user_agent.h"
#include "detect/user_agent_marks.h"

#define MARK_CONSTANT(key, name, first, second, text) MARK_##name,
enum mark { USER_AGENT_MARKS(MARK_CONSTANT, 0) MARK_COUNT };

struct ua_scan {
    struct span raw;
    struct span group;        /* inside of the first parenthesis, or what stands in for it */
    struct span spec;         /* the group up to its first semicolon */
    size_t after[MARK_COUNT]; /* where the mark's first occurrence ends; 0: it does not occur */
};

/* `raw` is not empty and stays put as long as the scan is used. */
void ua_scan_read(struct ua_scan *s, struct span raw);

static inline bool ua_has(const struct ua_scan *s, enum mark mark)
{
    return s->after[mark] != 0;
}

bool ua_has_any(const struct ua_scan *s, const uint8_t *marks, size_t count);

/* Whether the group names a model of Amazon's tablets and phone. */
bool ua_group_has_fire(const struct ua_scan *s);

/* In lower case, as `text` is: where it ends if it stands at `at`, or 0. */
size_t ua_match_at(struct span raw, size_t at, const char *text);

/* Where its first occurrence ends, or 0. */
size_t ua_find_after(struct span raw, const char *text);

bool ua_fold_equal(struct span raw, const char *text);

/* False, and nothing changed: there is no digit at `at`. */
bool ua_version_read(struct ua_version *version, struct span raw, size_t at);

/* Behind the mark's first occurrence; later ones do not count. */
bool ua_version_after(struct ua_version *version, const struct ua_scan *s, enum mark mark);
bool ua_version_in_group(struct ua_version *version, const struct ua_scan *s, const char *text);

static inline void ua_set_system(struct ua_fingerprint *fp, enum ua_platform platform,
                                 enum ua_os os)
{
    fp->platform = platform;
    fp->os = os;
}

/* In tables of these the first row whose mark occurs, or has a version behind it, wins. */
struct browser_row {
    uint8_t mark;
    uint8_t browser;
};

/* Goes from the compatible answer, which is not a bot's, to that of the default mode. */
void ua_extend(struct ua_fingerprint *fp, const struct ua_scan *s);

#endif
