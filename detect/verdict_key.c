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

enum { CHUNK_COUNT = 8 };

/* Is one of these like GREASE in any mode? Of a fixed length, so that compilers make a vector of
 * it; what lies behind a list's end may say so as well, to no harm. */
static inline bool may_have_grease(const uint16_t *items)
{
    uint16_t found = 0;

    for (size_t i = 0; i < CHUNK_COUNT; i++) {
        found |= (items[i] & 0x0f0f) == 0x0a0a;
    }
    return found;
}

/* Without GREASE. Was there any? In chunks: how many there are is easier to foresee than how many
 * numbers there are. */
static bool put_clean(struct writer *out, const struct number_list *list, enum detect_mode mode)
{
    size_t size = sizeof(list->items[0]);
    uint8_t *count_at = out->at;
    uint8_t *at;

    _Static_assert(COUNT_OF(list->items) % CHUNK_COUNT == 0, "a chunk ends behind the list");
    put_u16(out, 0);
    if ((list->count + CHUNK_COUNT) * size > (size_t)(out->end - out->at)) {
        out->overflow = true;
        return false;
    }
    at = out->at; /* in a register: bytes that are written might be those of `out` */
    for (size_t i = 0; i < list->count; i += CHUNK_COUNT) {
        size_t count = list->count - i < CHUNK_COUNT ? list->count - i : CHUNK_COUNT;

        if (!may_have_grease(&list->items[i])) {
            memcpy(at, &list->items[i], CHUNK_COUNT * size);
            at += count * size;
            continue;
        }
        for (size_t k = i; k < i + count; k++) {
            memcpy(at, &list->items[k], size);
            at += request_is_grease(list->items[k], mode) ? 0 : size;
        }
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
    put_numbers(out, &others);
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

/* Four numbers of 16 bits, or what does not fit. One more each, so that UA_VERSION_ANY fits. */
static inline uint64_t narrow(const int64_t *numbers, uint64_t *all)
{
    uint64_t a = (uint64_t)numbers[0] + 1, b = (uint64_t)numbers[1] + 1;
    uint64_t c = (uint64_t)numbers[2] + 1, d = (uint64_t)numbers[3] + 1;

    *all |= a | b | c | d;
    return a | b << 16 | c << 32 | d << 48;
}

/* All numbers stand before the quirks, without gaps, and hardly ever need more than 16 bits. The
 * narrow ones are made in registers: small writes that are read in one must get to memory first. */
static void put_user_agent(struct writer *out, const struct ua_fingerprint *ua)
{
    int64_t numbers[12] = {0};
    uint64_t all = 0;
    uint64_t narrowed[3];

    _Static_assert(offsetof(struct ua_fingerprint, quirks) == 10 * sizeof(int64_t), "gaps");
    memcpy(numbers, ua, 10 * sizeof(int64_t));
    for (size_t i = 0; i < COUNT_OF(narrowed); i++) {
        narrowed[i] = narrow(numbers + 4 * i, &all);
    }
    put_u16(out, all <= UINT16_MAX);
    if (all <= UINT16_MAX) {
        put(out, narrowed, sizeof(narrowed));
    } else {
        put(out, numbers, 10 * sizeof(int64_t));
    }
    put_words(out, &ua->quirks);
}

struct verdict_key_rules verdict_key_rules(const struct database *db)
{
    return (struct verdict_key_rules){database_mode(db), database_age_max_days(db) != 0};
}

bool verdict_key_begin(struct verdict_key *key, struct verdict_key_rules rules,
                       const struct detect_question *question)
{
    const struct request_fingerprint *request = question->request;
    struct writer out = {key->bytes, key->bytes + sizeof(key->bytes), false};
    int32_t today = rules.has_days ? question->today : 0;

    key->mode = rules.mode;
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

/* ---- and back ---- */

struct parser {
    const uint8_t *at;
    const uint8_t *end;
    bool is_bad; /* sticks, and what is got then is 0 */
};

static void get(struct parser *in, void *data, size_t len)
{
    if (in->is_bad || len > (size_t)(in->end - in->at)) {
        in->is_bad = true;
        memset(data, 0, len);
    } else if (len) {
        memcpy(data, in->at, len);
        in->at += len;
    }
}

static uint16_t get_u16(struct parser *in)
{
    uint16_t value;

    get(in, &value, sizeof(value));
    return value;
}

/* At most `max`. */
static size_t get_count(struct parser *in, size_t max)
{
    size_t count = get_u16(in);

    in->is_bad |= count > max;
    return in->is_bad ? 0 : count;
}

/* Adds to what is there. */
static void get_numbers(struct parser *in, struct number_list *list)
{
    size_t count = get_count(in, COUNT_OF(list->items) - list->count);

    get(in, list->items + list->count, count * sizeof(list->items[0]));
    list->count += count;
}

static void get_unordered(struct parser *in, struct number_list *list)
{
    uint64_t low;

    get(in, &low, sizeof(low));
    for (uint16_t i = 0; i < 64; i++) {
        if (low >> i & 1) {
            list->items[list->count++] = i;
        }
    }
    get_numbers(in, list);
}

static struct span get_word(struct parser *in)
{
    size_t len = get_u16(in);
    const uint8_t *data = in->at;

    in->is_bad |= len > (size_t)(in->end - in->at);
    len = in->is_bad ? 0 : len;
    in->at += len;
    return span_make(data, len);
}

static void get_words(struct parser *in, struct word_list *list)
{
    list->count = get_count(in, COUNT_OF(list->items));
    for (size_t i = 0; i < list->count; i++) {
        list->items[i] = get_word(in);
    }
}

static void get_user_agent(struct parser *in, struct ua_fingerprint *ua)
{
    int64_t numbers[10];

    if (get_u16(in)) {
        uint16_t narrowed[12];

        get(in, narrowed, sizeof(narrowed));
        for (size_t i = 0; i < COUNT_OF(numbers); i++) {
            numbers[i] = (int64_t)narrowed[i] - 1;
        }
    } else {
        get(in, numbers, sizeof(numbers));
    }
    memcpy(ua, numbers, sizeof(numbers));
    get_words(in, &ua->quirks);
}

/* Which value it was does not count, nor where it stood. */
static void get_grease(struct parser *in, struct number_list *list)
{
    if (!get_u16(in)) {
        return;
    }
    in->is_bad |= list->count == COUNT_OF(list->items);
    if (!in->is_bad) {
        list->items[list->count++] = 0x0a0a;
    }
}

bool verdict_key_read(struct verdict_question *to, struct span key)
{
    struct parser in = {key.data, key.data + key.len, false};
    struct text raw_ua = text_make(to->raw_ua, sizeof(to->raw_ua));
    struct request_fingerprint *request = &to->request;
    struct detect_question *question = &to->question;

    get(&in, &question->today, sizeof(question->today));
    detect_print_header(&raw_ua, get_u16(&in));
    question->without_headers = get_u16(&in);
    get_user_agent(&in, &to->ua);
    request->version = get_u16(&in);
    request->ciphers.count = request->extensions.count = 0;
    request->curves.count = request->point_formats.count = 0;
    get_numbers(&in, &request->ciphers);
    get_numbers(&in, &request->curves);
    get_numbers(&in, &request->point_formats);
    get_words(&in, &request->headers);
    get_words(&in, &request->quirks);
    if (get_u16(&in) == VERDICT_KEY_SORTED) {
        get_unordered(&in, &request->extensions);
    } else {
        get_numbers(&in, &request->extensions);
    }
    get_grease(&in, &request->extensions);
    question->ua = &to->ua;
    question->raw_ua = text_view(&raw_ua);
    question->request = request;
    return !in.is_bad && in.at == in.end;
}
