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

/* A copy of 4 to 32 bytes in two halves that may overlap, each of a fixed length: words are so
 * short that a call would cost more. */
static inline void copy_short(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len >= 16) {
        memcpy(to, from, 16);
        memcpy(to + len - 16, from + len - 16, 16);
    } else if (len >= 8) {
        memcpy(to, from, 8);
        memcpy(to + len - 8, from + len - 8, 8);
    } else {
        memcpy(to, from, 4);
        memcpy(to + len - 4, from + len - 4, 4);
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

static void insert(struct number_list *sorted, uint16_t value)
{
    size_t at = sorted->count++;

    for (; at && sorted->items[at - 1] > value; at--) {
        sorted->items[at] = sorted->items[at - 1];
    }
    sorted->items[at] = value;
}

/* Without GREASE. Was there any? */
static bool put_clean(struct writer *out, const struct number_list *list, enum detect_mode mode)
{
    size_t size = sizeof(list->items[0]);
    uint8_t *count_at = out->at;
    uint8_t *at;

    put_u16(out, 0);
    if (list->count * size > (size_t)(out->end - out->at)) {
        out->overflow = true;
        return false;
    }
    at = out->at; /* in a register: bytes that are written might be those of `out` */
    for (size_t i = 0; i < list->count; i++) {
        memcpy(at, &list->items[i], size);
        at += request_is_grease(list->items[i], mode) ? 0 : size;
    }
    size = (size_t)(at - out->at) / size;
    out->at = at;
    memcpy(count_at, &(uint16_t){(uint16_t)size}, sizeof(uint16_t));
    return size != list->count;
}

/* The same bytes for any order: types below 64, nearly all of a real hello's, as a mask; the
 * others, and one that is there again, which a hello does not have, as a sorted list. */
static bool put_unordered(struct writer *out, const struct number_list *list, enum detect_mode mode)
{
    struct number_list others;
    uint64_t low = 0;
    bool has_grease = false;

    others.count = 0;
    for (size_t i = 0; i < list->count; i++) {
        uint16_t value = list->items[i];
        uint64_t bit = value < 64 ? UINT64_C(1) << value : 0;

        if (bit & ~low) {
            low |= bit;
        } else if (request_is_grease(value, mode)) {
            has_grease = true;
        } else {
            insert(&others, value);
        }
    }
    put(out, &low, sizeof(low));
    (void)put_clean(out, &others, mode);
    return has_grease;
}

static void put_words(struct writer *out, const struct word_list *list)
{
    uint8_t *at;

    put_u16(out, list->count);
    at = out->at; /* in a register: bytes that are written might be those of `out` */
    for (size_t i = 0; i < list->count; i++) {
        struct span word = list->items[i];
        uint16_t len = (uint16_t)word.len;

        if (word.len + sizeof(len) > (size_t)(out->end - at)) {
            out->overflow = true;
            break;
        }
        memcpy(at, &len, sizeof(len));
        at += sizeof(len);
        if (word.len >= 4 && word.len <= 32) {
            copy_short(at, word.data, word.len);
        } else if (word.len) {
            memcpy(at, word.data, word.len);
        }
        at += word.len;
    }
    out->at = at;
}

/* All numbers stand before the quirks, without gaps. */
static void put_user_agent(struct writer *out, const struct ua_fingerprint *ua)
{
    _Static_assert(offsetof(struct ua_fingerprint, quirks) == 10 * sizeof(int64_t), "gaps");
    put(out, ua, offsetof(struct ua_fingerprint, quirks));
    put_words(out, &ua->quirks);
}

bool verdict_key_begin(struct verdict_key *key, const struct database *db,
                       const struct detect_question *question)
{
    const struct request_fingerprint *request = question->request;
    struct writer out = {key->bytes, key->bytes + sizeof(key->bytes), false};
    int32_t today = database_age_max_days(db) ? question->today : 0;

    key->mode = database_mode(db);
    put(&out, &today, sizeof(today));
    put_u16(&out, detect_header_quirks(question->raw_ua));
    put_u16(&out, question->without_headers);
    put_user_agent(&out, question->ua);
    put_u16(&out, request->version);
    key->has_grease = put_clean(&out, &request->ciphers, key->mode);
    key->has_grease |= put_clean(&out, &request->curves, key->mode);
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
    bool has_grease;

    put_u16(&out, form);
    has_grease = form == VERDICT_KEY_SORTED ? put_unordered(&out, extensions, key->mode)
                                            : put_clean(&out, extensions, key->mode);
    put_u16(&out, has_grease || key->has_grease);
    key->len = (size_t)(out.at - key->bytes);
    key->hash = hash_bytes(verdict_key_view(key));
    return !out.overflow;
}
