/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/user_agent_memo.h"

#include "core/base/hash.h"

#include <stdlib.h>

/* Of a fingerprint all but the quirks, which user_agent_parse() leaves empty. */
enum { NUMBERS_LEN = offsetof(struct ua_fingerprint, quirks) };

struct memo_slot {
    uint64_t hash;
    uint16_t len; /* 0: nothing is here */
    uint8_t mode;
    uint8_t numbers[NUMBERS_LEN];
    uint8_t raw[USER_AGENT_MEMO_LEN_MAX];
};

struct user_agent_memo {
    struct memo_slot slots[USER_AGENT_MEMO_COUNT];
};

struct user_agent_memo *user_agent_memo_new(void)
{
    return calloc(1, sizeof(struct user_agent_memo));
}

void user_agent_memo_free(struct user_agent_memo *memo)
{
    free(memo);
}

static bool is_in(const struct memo_slot *slot, uint64_t hash, struct span raw,
                  enum user_agent_mode mode)
{
    return slot->hash == hash && slot->mode == mode &&
           span_equal(span_make(slot->raw, slot->len), raw);
}

void user_agent_recall(struct user_agent_memo *memo, struct ua_fingerprint *fp, struct span raw,
                       enum user_agent_mode mode)
{
    struct memo_slot *slot;
    uint64_t hash;

    if (raw.len == 0 || raw.len > USER_AGENT_MEMO_LEN_MAX) {
        user_agent_parse(fp, raw, mode);
        return;
    }
    hash = hash_bytes(raw);
    slot = &memo->slots[hash % USER_AGENT_MEMO_COUNT];
    if (is_in(slot, hash, raw, mode)) {
        memcpy(fp, slot->numbers, NUMBERS_LEN);
        fp->quirks.count = 0;
        return;
    }
    user_agent_parse(fp, raw, mode);
    slot->hash = hash;
    slot->len = (uint16_t)raw.len;
    slot->mode = (uint8_t)mode;
    memcpy(slot->numbers, fp, NUMBERS_LEN);
    memcpy(slot->raw, raw.data, raw.len);
}
