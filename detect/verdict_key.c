/* SPDX-License-Identifier: Apache-2.0 */
/* A hit costs little more than its key, so the bytes are written without a call for each number. */
#include "detect/verdict_key.h"

#include "core/base/hash.h"

struct writer {
    uint8_t *at;
    uint8_t *end;
    bool overflow;
};

static inline void put(struct writer *out, const void *data, size_t len)
{
    if (len > (size_t)(out->end - out->at)) {
        out->overflow = true;
    } else if (len) {
        memcpy(out->at, data, len);
        out->at += len;
    }
}

/* Counts and lengths: one that does not fit is of something that does not fit either. */
static inline void put_u16(struct writer *out, size_t value)
{
    uint16_t narrow = (uint16_t)value;
    put(out, &narrow, sizeof(narrow));
}

static void put_numbers(struct writer *out, const struct number_list *list)
{
    put_u16(out, list->count);
    put(out, list->items, list->count * sizeof(list->items[0]));
}

static void put_sorted(struct writer *out, const struct number_list *list)
{
    struct number_list sorted;

    sorted.count = list->count;
    for (size_t i = 0; i < list->count; i++) {
        size_t at = i;
        for (; at && sorted.items[at - 1] > list->items[i]; at--) {
            sorted.items[at] = sorted.items[at - 1];
        }
        sorted.items[at] = list->items[i];
    }
    put_numbers(out, &sorted);
}

static void put_words(struct writer *out, const struct word_list *list)
{
    put_u16(out, list->count);
    for (size_t i = 0; i < list->count; i++) {
        put_u16(out, list->items[i].len);
        put(out, list->items[i].data, list->items[i].len);
    }
}

static void put_user_agent(struct writer *out, const struct ua_fingerprint *ua)
{
    const int64_t numbers[] = {
        ua->browser,
        ua->platform,
        ua->os,
        ua->device,
        ua->browser_version.major,
        ua->browser_version.minor,
        ua->browser_version.patch,
        ua->os_version.major,
        ua->os_version.minor,
        ua->os_version.patch,
    };
    put(out, numbers, sizeof(numbers));
    put_words(out, &ua->quirks);
}

bool verdict_key_begin(struct verdict_key *key, const struct database *db,
                       const struct detect_question *question,
                       const struct request_fingerprint *request)
{
    struct writer out = {key->bytes, key->bytes + sizeof(key->bytes), false};
    int32_t today = database_age_max_days(db) ? question->today : 0;

    put(&out, &today, sizeof(today));
    put_u16(&out, detect_header_quirks(question->raw_ua));
    put_u16(&out, question->without_headers);
    put_user_agent(&out, question->ua);
    put_u16(&out, request->version);
    put_numbers(&out, &request->ciphers);
    put_numbers(&out, &request->curves);
    put_numbers(&out, &request->point_formats);
    put_words(&out, &request->headers);
    put_words(&out, &request->quirks);
    key->common_len = (size_t)(out.at - key->bytes);
    return !out.overflow;
}

bool verdict_key_end(struct verdict_key *key, enum verdict_key_form form,
                     const struct number_list *extensions)
{
    struct writer out = {key->bytes + key->common_len, key->bytes + sizeof(key->bytes), false};

    put_u16(&out, form);
    if (form == VERDICT_KEY_SORTED) {
        put_sorted(&out, extensions);
    } else {
        put_numbers(&out, extensions);
    }
    key->len = (size_t)(out.at - key->bytes);
    key->hash = hash_bytes(verdict_key_view(key));
    return !out.overflow;
}
