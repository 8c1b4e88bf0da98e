/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/user_agent_private.h"

#define MARK_TEXT(key, name, first, second, text) text,
static const char *const mark_text[MARK_COUNT] = {USER_AGENT_MARKS(MARK_TEXT, 0)};

#define MARK_SECOND_CHARACTER(key, name, first, second, text) second,
static const uint8_t mark_second[MARK_COUNT] = {USER_AGENT_MARKS(MARK_SECOND_CHARACTER, 0)};

/*
 * Marks by their first character modulo 32, which is 0 for a blank and the same for a letter in
 * either case. Other characters fall on these or on empty buckets and then match nothing. `seconds`
 * has bits for the second characters modulo 64, for a letter one for each case, and turns nearly
 * every position away.
 */
struct bucket {
    uint8_t start; /* marks from here to the next bucket's start */
    uint64_t seconds;
};

enum { BUCKET_COUNT = 32 };

#define SECOND_BIT(character) (UINT64_C(1) << ((character)&63))
#define SECOND_BITS(second)                                                                        \
    (SECOND_BIT(second) | ((second) >= 'a' && (second) <= 'z' ? SECOND_BIT((second)-32) : 0))
#define MARK_BELOW(key, name, first, second, text) +(((first)&31) < (key))
#define MARK_SECONDS(key, name, first, second, text)                                               \
    | (((first)&31) == (key) ? SECOND_BITS(second) : 0)
#define BUCKET(key)                                                                                \
    {                                                                                              \
        0 USER_AGENT_MARKS(MARK_BELOW, key), 0 USER_AGENT_MARKS(MARK_SECONDS, key)                 \
    }

static const struct bucket buckets[BUCKET_COUNT + 1] = {
    BUCKET(0),  BUCKET(1),  BUCKET(2),  BUCKET(3),  BUCKET(4),  BUCKET(5),  BUCKET(6),
    BUCKET(7),  BUCKET(8),  BUCKET(9),  BUCKET(10), BUCKET(11), BUCKET(12), BUCKET(13),
    BUCKET(14), BUCKET(15), BUCKET(16), BUCKET(17), BUCKET(18), BUCKET(19), BUCKET(20),
    BUCKET(21), BUCKET(22), BUCKET(23), BUCKET(24), BUCKET(25), BUCKET(26), BUCKET(27),
    BUCKET(28), BUCKET(29), BUCKET(30), BUCKET(31), BUCKET(32),
};

static inline bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static inline uint8_t fold_ascii(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

/*
 * The lower-cased character at `at` if that is ASCII, otherwise a byte above 127. Outside ASCII
 * only U+0130 and U+212A (the Kelvin sign) have an ASCII lower case. Their first bytes begin no
 * other character's middle, so this needs no look at what stands before.
 */
static inline uint8_t fold_at(struct span raw, size_t at, size_t *len)
{
    const uint8_t *p = raw.data + at;
    size_t left = raw.len - at;

    *len = 1;
    if (p[0] < 0x80) {
        return fold_ascii(p[0]);
    }
    if (left >= 2 && p[0] == 0xc4 && p[1] == 0xb0) {
        *len = 2;
        return 'i';
    }
    if (left >= 3 && p[0] == 0xe2 && p[1] == 0x84 && p[2] == 0xaa) {
        *len = 3;
        return 'k';
    }
    return p[0];
}

/* Where `text` ends if it stands at `at`, otherwise 0. `text` is lower case and not empty. */
size_t ua_match_at(struct span raw, size_t at, const char *text)
{
    for (; *text; text++) {
        size_t len;
        if (at >= raw.len || fold_at(raw, at, &len) != (uint8_t)*text) {
            return 0;
        }
        at += len;
    }
    return at;
}

bool ua_fold_equal(struct span raw, const char *text)
{
    return raw.len && ua_match_at(raw, 0, text) == raw.len;
}

/* Where the first `text` ends, or 0. */
size_t ua_find_after(struct span raw, const char *text)
{
    for (size_t at = 0; at < raw.len; at++) {
        size_t after = ua_match_at(raw, at, text);
        if (after) {
            return after;
        }
    }
    return 0;
}

/* Notes the marks at `at`, of which one more byte follows, that are in the bucket. */
static void scan_bucket(struct ua_scan *s, size_t at, const struct bucket *bucket)
{
    uint8_t second = fold_ascii(s->raw.data[at + 1]);

    for (size_t mark = bucket[0].start; mark < bucket[1].start; mark++) {
        if (mark_second[mark] == second && !s->after[mark]) {
            s->after[mark] = ua_match_at(s->raw, at, mark_text[mark]);
        }
    }
}

/* The same next to a character outside ASCII, where the second byte need not be the second
 * character. */
static void scan_odd(struct ua_scan *s, size_t at)
{
    size_t len;
    uint8_t first = fold_at(s->raw, at, &len);
    const struct bucket *bucket = &buckets[first & 31];

    for (size_t mark = bucket[0].start; first < 0x80 && mark < bucket[1].start; mark++) {
        if (!s->after[mark]) {
            s->after[mark] = ua_match_at(s->raw, at, mark_text[mark]);
        }
    }
}

static void scan_marks(struct ua_scan *s)
{
    const uint8_t *data = s->raw.data;
    size_t end = s->raw.len - 1;

    for (size_t at = 0; at < end; at++) {
        const struct bucket *bucket = &buckets[data[at] & 31];
        if ((data[at] | data[at + 1]) >= 0x80) {
            scan_odd(s, at);
        } else if (bucket->seconds >> (data[at + 1] & 63) & 1) {
            scan_bucket(s, at, bucket);
        }
    }
}

/* Without a ( the group begins at the start; with the ( behind the ), or without ), it is all but
 * the first byte of the lower-cased header. */
static void scan_group(struct ua_scan *s)
{
    size_t open = span_find(s->raw, '(');
    size_t close = span_find(s->raw, ')');
    size_t first_len;

    if (open == s->raw.len) {
        s->group = span_sub(s->raw, 0, close);
    } else if (open < close && close < s->raw.len) {
        s->group = span_sub(s->raw, open + 1, close - open - 1);
    } else {
        /* Half a character, which stays here whole, is in no mark and no digit either. */
        s->group = span_skip(s->raw, fold_at(s->raw, 0, &first_len) < 0x80 ? first_len : 0);
    }
    s->spec = span_sub(s->group, 0, span_find(s->group, ';'));
}

bool ua_has_any(const struct ua_scan *s, const uint8_t *marks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ua_has(s, marks[i])) {
            return true;
        }
    }
    return false;
}

/* Length of the UTF-8 character at the front (RFC 3629); 0: there is none. */
static size_t utf8_len(struct span s)
{
    uint8_t first = s.data[0];
    uint8_t second = s.len > 1 ? s.data[1] : 0;
    size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;

    if (first < 0xc2 || first > 0xf4 || s.len < len || (first == 0xe0 && second < 0xa0) ||
        (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
        (first == 0xf4 && second > 0x8f)) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((s.data[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

/* How many bytes the lower case of a character has (Unicode 13) that has `len` bytes itself. */
static size_t lower_len(const uint8_t *p, size_t len)
{
    uint32_t code = len == 2 ? (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f)
                             : (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 |
                                   (p[len - 1] & 0x3f);

    if (len == 4) {
        return 4;
    }
    switch (code) {
    case 0x0130: /* i with dot */
    case 0x212a: /* Kelvin */
        return 1;
    case 0x023a:
    case 0x023e:
        return 3;
    case 0x1e9e: /* sharp s */
    case 0x2126: /* Ohm */
    case 0x212b: /* Angstrom */
    case 0x2c62:
    case 0x2c64:
    case 0x2c6d:
    case 0x2c6e:
    case 0x2c6f:
    case 0x2c70:
    case 0x2c7e:
    case 0x2c7f:
    case 0xa78d:
    case 0xa7aa:
    case 0xa7ab:
    case 0xa7ac:
    case 0xa7ad:
    case 0xa7ae:
    case 0xa7b0:
    case 0xa7b1:
    case 0xa7b2:
    case 0xa7c5:
        return 2;
    default:
        return len;
    }
}

/* Reads a version. Each byte of the lower-cased header that is no digit is a separator. */
struct version_reader {
    struct span raw;
    size_t at;
    size_t separators; /* still to come of the character before `at` */
};

static void reader_take_separator(struct version_reader *r)
{
    struct span rest = span_skip(r->raw, r->at);
    size_t len;

    if (rest.data[0] < 0x80) {
        r->at++;
        return;
    }
    len = utf8_len(rest);
    /* What is not UTF-8 becomes U+FFFD, byte by byte. */
    r->separators = (len ? lower_len(rest.data, len) : 3) - 1;
    r->at += len ? len : 1;
}

/*
 * Digits up to a separator, which is eaten. A leading zero is a number of its own: "05" is 0 and
 * then 5, but "00" is one 0. The value wraps at 64 bits.
 */
static int64_t reader_component(struct version_reader *r)
{
    uint64_t value = 0;
    bool seen = false;

    if (r->separators) {
        r->separators--;
        return 0;
    }
    for (; r->at < r->raw.len; r->at++) {
        uint8_t byte = r->raw.data[r->at];
        if (!is_digit(byte)) {
            reader_take_separator(r);
            break;
        }
        if (seen && value == 0) {
            if (byte != '0') {
                break;
            }
            continue;
        }
        value = value * 10 + (uint64_t)(byte - '0');
        seen = true;
    }
    return (int64_t)value;
}

/* False, and nothing changed: no digit at `at`. */
bool ua_version_read(struct ua_version *version, struct span raw, size_t at)
{
    struct version_reader r = {raw, at, 0};

    if (at >= raw.len || !is_digit(raw.data[at])) {
        return false;
    }
    version->major = reader_component(&r);
    version->minor = reader_component(&r);
    version->patch = reader_component(&r);
    return true;
}

/* Behind the mark's first occurrence; later ones do not count. */
bool ua_version_after(struct ua_version *version, const struct ua_scan *s, enum mark mark)
{
    return ua_has(s, mark) && ua_version_read(version, s->raw, s->after[mark]);
}

bool ua_version_in_group(struct ua_version *version, const struct ua_scan *s, const char *text)
{
    size_t after = ua_find_after(s->group, text);
    return after && ua_version_read(version, s->group, after);
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r' && byte != '\v');
}

/* A model name of Amazon's tablets and phone: k and 3 to 5 letters, or sd, 4 digits, ur. */
static bool fire_at(struct span group, size_t at)
{
    size_t sd = ua_match_at(group, at, "sd");
    size_t letters = 0;
    size_t len;

    if (sd) {
        for (size_t i = 0; i < 4; i++, sd++) {
            if (sd >= group.len || !is_digit(group.data[sd])) {
                return false;
            }
        }
        at = ua_match_at(group, sd, "ur");
        return at && at < group.len && is_blank(group.data[at]);
    }
    at = ua_match_at(group, at, "k");
    if (!at) {
        return false;
    }
    for (; at < group.len && letters <= 5; at += len, letters++) {
        uint8_t c = fold_at(group, at, &len);
        if (c < 'a' || c > 'z') {
            break;
        }
    }
    return letters >= 3 && letters <= 5 && at < group.len && is_blank(group.data[at]);
}

bool ua_group_has_fire(const struct ua_scan *s)
{
    for (size_t at = 0; at < s->group.len; at++) {
        if (is_blank(s->group.data[at]) && fire_at(s->group, at + 1)) {
            return true;
        }
    }
    return false;
}

void ua_scan_read(struct ua_scan *s, struct span raw)
{
    *s = (struct ua_scan){.raw = raw};
    scan_marks(s);
    scan_group(s);
}
