/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_agent_signature: a pattern of user-agent fingerprints with the same seven fields: a number
 * of 0 is any, versions are `min-max` or one version, quirks are a list signature. Owned memory;
 * immutable once made, then any thread.
 */
#ifndef WEIR_DETECT_USER_AGENT_SIGNATURE_H
#define WEIR_DETECT_USER_AGENT_SIGNATURE_H

#include "detect/list_signature.h"
#include "detect/user_agent_fingerprint.h"

/* A bound whose major is UA_VERSION_ANY is none. */
struct ua_version_range {
    struct ua_version min;
    struct ua_version max;
};

struct ua_signature {
    int64_t browser;
    int64_t platform;
    int64_t os;
    int64_t device;
    struct ua_version_range browser_version;
    struct ua_version_range os_version;
    struct list_signature quirks;
};

bool ua_version_range_parse(struct ua_version_range *range, struct span text,
                            struct detect_fault *fault) MUST_CHECK;
void ua_version_range_print(struct text *out, struct ua_version_range range);
struct ua_version_range ua_version_range_merge(struct ua_version_range a,
                                               struct ua_version_range b);
bool ua_version_range_equal(struct ua_version_range a, struct ua_version_range b);

/* Compatible: only the major numbers are compared. Otherwise the components that the bound gives;
 * one that the fingerprint does not give agrees with every bound. */
bool ua_version_range_covers(struct ua_version_range range, struct ua_version version,
                             enum detect_mode mode);

bool ua_signature_parse(struct ua_signature *sig, struct span text, struct words *words,
                        struct detect_fault *fault) MUST_CHECK;
void ua_signature_fini(struct ua_signature *sig);
void ua_signature_print(struct text *out, const struct ua_signature *sig, const struct words *words,
                        enum detect_mode mode);
size_t ua_signature_text_max(const struct ua_signature *sig, const struct words *words);
bool ua_signature_merge(struct ua_signature *merged, const struct ua_signature *a,
                        const struct ua_signature *b, enum detect_mode mode,
                        const struct words *words) MUST_CHECK;

/* `quirks` are those of the fingerprint and of its raw header, as numbers of the signature's words.
 */
enum match_level ua_signature_match(const struct ua_signature *sig, enum detect_mode mode,
                                    const struct ua_fingerprint *fp,
                                    const struct value_set *quirks);

#endif
