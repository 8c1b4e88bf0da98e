/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One walk over the answer section notes where the records of use are; then the chain is followed
 * from name to name, whatever the order of the records. Names are compared in wire form (length,
 * label, length, label), in which a dot inside a label cannot be taken for a separator.
 */
#include "core/engine/dns_answer.h"

#include "core/base/assert.h"
#include "core/base/cursor.h"

enum { NAME_WIRE_MAX = 255, CLASS_IN = 1, HEADER_BYTES = 12 };

struct wire_name {
    uint8_t bytes[NAME_WIRE_MAX];
    size_t len;
};

struct record {
    size_t owner_offset;
    size_t data_offset;
    uint16_t type;
    uint16_t data_len;
    uint32_t ttl_s;
};

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool label_is_valid(struct span label)
{
    if (label.len == 0 || label.len > DNS_LABEL_MAX) {
        return false;
    }
    for (size_t i = 0; i < label.len; i++) {
        uint8_t c = lower(label.data[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_') {
            return false;
        }
    }
    return true;
}

static bool label_is_number(struct span label)
{
    bool hex = label.len > 1 && label.data[0] == '0' && lower(label.data[1]) == 'x';

    for (size_t i = hex ? 2 : 0; i < label.len; i++) {
        uint8_t c = lower(label.data[i]);
        if (!(c >= '0' && c <= '9') && !(hex && c >= 'a' && c <= 'f')) {
            return false;
        }
    }
    return true;
}

bool dns_name_is_valid(struct span name)
{
    if (name.len > DNS_NAME_TEXT_MAX) {
        return false;
    }
    for (;;) {
        size_t len = span_find(name, '.');
        struct span label = span_sub(name, 0, len);
        if (!label_is_valid(label)) {
            return false;
        }
        if (len == name.len) {
            return !label_is_number(label);
        }
        name = span_skip(name, len + 1);
    }
}

static struct wire_name name_from_text(struct span text)
{
    struct wire_name name = {.len = 0};

    ASSERT(text.len <= DNS_NAME_TEXT_MAX);
    for (;;) {
        size_t len = span_find(text, '.');
        name.bytes[name.len++] = (uint8_t)len;
        for (size_t i = 0; i < len; i++) {
            name.bytes[name.len++] = lower(text.data[i]);
        }
        if (len == text.len) {
            break;
        }
        text = span_skip(text, len + 1);
    }
    name.bytes[name.len++] = 0;
    return name;
}

/* Moves past a name without following pointers. */
static void skip_name(struct cursor *c)
{
    for (size_t total = 0; total < NAME_WIRE_MAX && !c->failed;) {
        uint8_t len = cursor_u8(c);
        if ((len & 0xc0) == 0xc0) {
            cursor_u8(c);
            return;
        }
        if (len == 0) {
            return;
        }
        if (len > DNS_LABEL_MAX) {
            break;
        }
        cursor_take(c, len);
        total += (size_t)len + 1;
    }
    cursor_fail(c);
}

/* The name at an offset, in lower case. A pointer must point before the name it ends, so this
 * comes to an end (RFC 1035 4.1.4: "a prior occurrence"). */
static bool read_name(struct span message, size_t offset, struct wire_name *name)
{
    struct cursor c = cursor_make(span_skip(message, offset));
    size_t before = offset;

    name->len = 0;
    for (;;) {
        uint8_t len = cursor_u8(&c);
        if (c.failed) {
            return false;
        }
        if ((len & 0xc0) == 0xc0) {
            size_t target = (size_t)(len & 0x3f) << 8 | cursor_u8(&c);
            if (c.failed || target >= before) {
                return false;
            }
            before = target;
            c = cursor_make(span_skip(message, target));
            continue;
        }
        struct span label = cursor_take(&c, len);
        if (len > DNS_LABEL_MAX || c.failed || name->len + len + 1 > NAME_WIRE_MAX) {
            return false;
        }
        name->bytes[name->len++] = len;
        for (size_t i = 0; i < len; i++) {
            name->bytes[name->len++] = lower(label.data[i]);
        }
        if (len == 0) {
            return true;
        }
    }
}

/* Returns false when the section is not as long as the header says. */
static bool list_records(struct span message, enum dns_type type,
                         struct record records[DNS_RECORDS_MAX], size_t *count)
{
    struct cursor c = cursor_make(message);
    uint16_t questions, answers;

    *count = 0;
    cursor_take(&c, 4);
    questions = cursor_u16(&c);
    answers = cursor_u16(&c);
    cursor_take(&c, 4);
    for (; questions > 0 && !c.failed; questions--) {
        skip_name(&c);
        cursor_take(&c, 4);
    }
    for (; answers > 0 && !c.failed && *count < DNS_RECORDS_MAX; answers--) {
        struct record record = {.owner_offset = cursor_offset(&c)};
        skip_name(&c);
        record.type = cursor_u16(&c);
        uint16_t class = cursor_u16(&c);
        record.ttl_s = cursor_u32(&c);
        record.data_len = cursor_u16(&c);
        record.data_offset = cursor_offset(&c);
        cursor_take(&c, record.data_len);
        if (record.ttl_s > INT32_MAX) {
            record.ttl_s = 0; /* RFC 2181 8 */
        }
        if (class == CLASS_IN && (record.type == type || record.type == DNS_TYPE_CNAME)) {
            records[(*count)++] = record;
        }
    }
    return !c.failed;
}

static bool has_address(const struct dns_answer *answer, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < answer->count; i++) {
        if (memcmp(answer->addresses[i], bytes, len) == 0) {
            return true;
        }
    }
    return false;
}

static void add_address(struct dns_answer *answer, const uint8_t *bytes, size_t len)
{
    if (answer->count < DNS_ADDRESSES_MAX && !has_address(answer, bytes, len)) {
        memset(answer->addresses[answer->count], 0, sizeof(answer->addresses[0]));
        memcpy(answer->addresses[answer->count++], bytes, len);
    }
}

static void lower_ttl(struct dns_answer *answer, uint32_t ttl_s)
{
    if (ttl_s < answer->ttl_s) {
        answer->ttl_s = ttl_s;
    }
}

/* One step of the chain: takes what `name` has; true when it was an alias, and moves `name`. */
static bool take_name(struct span message, const struct record *records, size_t count,
                      enum dns_type type, struct wire_name *name, struct dns_answer *answer,
                      bool *bad)
{
    size_t address_len = type == DNS_TYPE_A ? 4 : 16;
    const struct record *alias = NULL;
    struct wire_name owner;

    for (size_t i = 0; i < count; i++) {
        if (!read_name(message, records[i].owner_offset, &owner)) {
            *bad = true;
            return false;
        }
        if (owner.len != name->len || memcmp(owner.bytes, name->bytes, name->len) != 0) {
            continue;
        }
        if (records[i].type == DNS_TYPE_CNAME) {
            alias = alias ? alias : &records[i];
        } else if (records[i].data_len != address_len) {
            *bad = true;
            return false;
        } else {
            add_address(answer, message.data + records[i].data_offset, address_len);
            lower_ttl(answer, records[i].ttl_s);
        }
    }
    if (answer->count > 0 || !alias) {
        return false;
    }
    lower_ttl(answer, alias->ttl_s);
    *bad = !read_name(message, alias->data_offset, name);
    return !*bad;
}

enum dns_result dns_answer_parse(struct span message, struct span name, enum dns_type type,
                                 struct dns_answer *answer)
{
    struct record records[DNS_RECORDS_MAX];
    struct wire_name current = name_from_text(name);
    size_t count, steps = 0;
    bool bad = false;

    answer->count = 0;
    answer->ttl_s = UINT32_MAX;
    if (message.len < HEADER_BYTES || !list_records(message, type, records, &count)) {
        return DNS_BAD;
    }
    while (take_name(message, records, count, type, &current, answer, &bad)) {
        if (++steps > DNS_ALIASES_MAX) {
            return DNS_BAD;
        }
    }
    if (bad) {
        return DNS_BAD;
    }
    return answer->count > 0 ? DNS_ADDRESSES : DNS_NO_DATA;
}
