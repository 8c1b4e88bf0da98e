/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature_draft: the signature of one client, made of what several visits of it showed, for a
 * record that is to cover its visits elsewhere as well: to hosts and to addresses, new and resumed.
 *
 * Version, ciphers, groups and point formats are as seen, in order; headers are `*`, as they depend
 * on the request. Extensions are in order if the visits agree about it and otherwise unordered;
 * those that only some visits bring, and those that depend on where to and whether for the first
 * time, are optional. One thread.
 */
#ifndef WEIR_DETECT_SIGNATURE_DRAFT_H
#define WEIR_DETECT_SIGNATURE_DRAFT_H

#include "detect/request_signature.h"

struct signature_draft {
    struct words *words; /* borrowed */
    bool is_product;
    size_t visit_count;
    struct request_signature request; /* owned; of all visits, if there was one */
    bool has_server_name;             /* a visit was to a host, not to an address */
};

void signature_draft_init(struct signature_draft *draft, struct words *words, bool is_product);
void signature_draft_fini(struct signature_draft *draft);

/* False: no memory, or a list that no signature can hold; the draft is as it was. */
bool signature_draft_add(struct signature_draft *draft,
                         const struct request_fingerprint *fp) MUST_CHECK;

/* Are the ciphers of all visits in one order, as those of one client are? */
bool signature_draft_is_one_client(const struct signature_draft *draft);

/* Of at least one visit. False: no memory. */
bool signature_draft_print(struct text *out, const struct signature_draft *draft) MUST_CHECK;
size_t signature_draft_text_max(const struct signature_draft *draft);

enum { SIGNATURE_OF_HEADER_MAX = 256 };

/*
 * The user-agent signature of who sends this header: one browser in one major version, or one
 * program in one minor version, on one system. False, and nothing printed: it is nobody that the
 * parser knows, and a signature would cover everybody.
 */
bool signature_of_header_print(struct text *out, struct span raw_ua) MUST_CHECK;

#endif
