/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_agent_memo: what the User-Agent headers that came last say. Few different ones come with
 * nearly all connections, and to parse one takes longer than all else about a verdict that is
 * remembered. One thread; no memory beyond its own.
 */
#ifndef WEIR_DETECT_USER_AGENT_MEMO_H
#define WEIR_DETECT_USER_AGENT_MEMO_H

#include "detect/user_agent.h"

enum {
    USER_AGENT_MEMO_COUNT = 128,   /* headers; one takes the place of another with its hash */
    USER_AGENT_MEMO_LEN_MAX = 288, /* bytes; longer headers are parsed each time */
};

struct user_agent_memo;

/* 48 KiB. Null: no memory. */
struct user_agent_memo *user_agent_memo_new(void) MUST_CHECK;
void user_agent_memo_free(struct user_agent_memo *memo); /* null is allowed */

/* As user_agent_parse(). */
void user_agent_recall(struct user_agent_memo *memo, struct ua_fingerprint *fp, struct span raw,
                       enum user_agent_mode mode);

#endif
