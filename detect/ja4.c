/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/ja4.h"

#include "detect/sha256.h"

enum {
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_ALPN = 16,
    EXTENSION_SUPPORTED_VERSIONS = 43,
    HASH_LEN = 12, /* hex digits that are kept */
    COUNT_MAX = 99,
    LIST_TEXT_MAX = JA4_RAW_MAX,
};

/* Values without GREASE. */
struct list {
    uint16_t values[FINGERPRINT_LIST_MAX];
    size_t count;
};

static void print_prefix(struct text *out, const struct client_hello *hello);
static void print_ciphers(struct text *out, const struct client_hello *hello);
static void print_extensions(struct text *out, const struct client_hello *hello);

bool ja4_print_raw(struct text *out, const struct client_hello *hello)
{
    if (!fingerprint_is_bounded(hello)) {
        return false;
    }
    print_prefix(out, hello);
    text_char(out, '_');
    print_ciphers(out, hello);
    text_char(out, '_');
    print_extensions(out, hello);
    return !out->overflow;
}

/* The hash of what `print` writes; zeros where that is nothing. */
static void print_hash(struct text *out, const struct client_hello *hello,
                       void (*print)(struct text *, const struct client_hello *))
{
    char memory[LIST_TEXT_MAX];
    uint8_t digest[SHA256_LEN];
    struct text list = text_make(memory, sizeof(memory));

    print(&list, hello);
    ASSERT(!list.overflow);
    if (list.len == 0) {
        text_string(out, "000000000000");
        return;
    }
    sha256(digest, text_view(&list));
    text_hex(out, span_make(digest, HASH_LEN / 2));
}

bool ja4_compute(char ja4[JA4_LEN + 1], const struct client_hello *hello)
{
    struct text out = text_make(ja4, JA4_LEN);

    if (!fingerprint_is_bounded(hello)) {
        return false;
    }
    print_prefix(&out, hello);
    text_char(&out, '_');
    print_hash(&out, hello, print_ciphers);
    text_char(&out, '_');
    print_hash(&out, hello, print_extensions);
    ASSERT(out.len == JA4_LEN && !out.overflow);
    ja4[JA4_LEN] = '\0';
    return true;
}

static void list_add(struct list *list, uint16_t value)
{
    if (!tls_is_grease(value)) {
        ASSERT(list->count < FINGERPRINT_LIST_MAX);
        list->values[list->count++] = value;
    }
}

static void list_add_all(struct list *list, struct span wire)
{
    for (size_t at = 0; at + 2 <= wire.len; at += 2) {
        list_add(list, (uint16_t)(wire.data[at] << 8 | wire.data[at + 1]));
    }
}

/* Shell sort: short lists cost next to nothing, and a hostile one of full length stays cheap. */
static void list_sort(struct list *list)
{
    static const size_t gaps[] = {132, 57, 23, 10, 4, 1};

    for (size_t g = 0; g < COUNT_OF(gaps); g++) {
        size_t gap = gaps[g];
        for (size_t i = gap; i < list->count; i++) {
            uint16_t value = list->values[i];
            size_t at = i;
            while (at >= gap && list->values[at - gap] > value) {
                list->values[at] = list->values[at - gap];
                at -= gap;
            }
            list->values[at] = value;
        }
    }
}

static void list_print(struct text *out, const struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        uint8_t bytes[2] = {(uint8_t)(list->values[i] >> 8), (uint8_t)list->values[i]};
        if (i) {
            text_char(out, ',');
        }
        text_hex(out, span_make(bytes, sizeof(bytes)));
    }
}

static void print_ciphers(struct text *out, const struct client_hello *hello)
{
    struct list list;

    list.count = 0;
    list_add_all(&list, hello->ciphers);
    list_sort(&list);
    list_print(out, &list);
}

/* Extension types sorted, then signature algorithms in wire order. SNI and ALPN are in the prefix.
 */
static void print_extensions(struct text *out, const struct client_hello *hello)
{
    struct list list;

    list.count = 0;
    for (size_t i = 0; i < hello->extension_count; i++) {
        uint16_t type = hello->extensions[i].type;
        if (type != EXTENSION_SERVER_NAME && type != EXTENSION_ALPN) {
            list_add(&list, type);
        }
    }
    list_sort(&list);
    list_print(out, &list);
    list.count = 0;
    list_add_all(&list, hello->signature_algorithms);
    if (list.count) {
        text_char(out, '_');
        list_print(out, &list);
    }
}

/* Only data of client_hello is used here, none of its functions: detect does not link with tls. */
static bool has_extension(const struct client_hello *hello, uint16_t type)
{
    for (size_t i = 0; i < hello->extension_count; i++) {
        if (hello->extensions[i].type == type) {
            return true;
        }
    }
    return false;
}

static const char *version_name(uint16_t version)
{
    switch (version) {
    case 0x0304:
        return "13";
    case 0x0303:
        return "12";
    case 0x0302:
        return "11";
    case 0x0301:
        return "10";
    case 0x0300:
        return "s3";
    case 0x0002:
        return "s2";
    case 0xfeff:
        return "d1";
    case 0xfefd:
        return "d2";
    case 0xfefc:
        return "d3";
    default:
        return "00";
    }
}

/* The highest of supported_versions where that is there, else the hello's own. */
static uint16_t offered_version(const struct client_hello *hello)
{
    struct span wire = hello->supported_versions;
    uint16_t highest = 0;

    if (!has_extension(hello, EXTENSION_SUPPORTED_VERSIONS)) {
        return hello->legacy_version;
    }
    for (size_t at = 0; at + 2 <= wire.len; at += 2) {
        uint16_t version = (uint16_t)(wire.data[at] << 8 | wire.data[at + 1]);
        if (!tls_is_grease(version) && version > highest) {
            highest = version;
        }
    }
    return highest;
}

static void print_count(struct text *out, size_t count)
{
    if (count > COUNT_MAX) {
        count = COUNT_MAX;
    }
    text_char(out, (char)('0' + count / 10));
    text_char(out, (char)('0' + count % 10));
}

static bool is_alphanumeric(uint8_t byte)
{
    uint8_t lower = byte | 0x20;
    return (byte >= '0' && byte <= '9') || (lower >= 'a' && lower <= 'z');
}

/* First and last character of the first protocol; of its hex form where one of them would not
 * print. */
static void print_alpn(struct text *out, struct span list)
{
    static const char digits[] = "0123456789abcdef";
    struct span name = list.len ? span_sub(list, 1, list.data[0]) : list;
    uint8_t first;
    uint8_t last;

    if (name.len == 0) {
        text_string(out, "00");
        return;
    }
    first = name.data[0];
    last = name.data[name.len - 1];
    if (is_alphanumeric(first) && is_alphanumeric(last)) {
        text_char(out, (char)first);
        text_char(out, (char)last);
    } else if (first > 0x7f) {
        text_string(out, "99");
    } else {
        text_char(out, digits[first >> 4]);
        text_char(out, digits[last & 15]);
    }
}

static void print_prefix(struct text *out, const struct client_hello *hello)
{
    struct span wire = hello->ciphers;
    size_t ciphers = 0;
    size_t extensions = 0;

    for (size_t at = 0; at + 2 <= wire.len; at += 2) {
        ciphers += !tls_is_grease((uint16_t)(wire.data[at] << 8 | wire.data[at + 1]));
    }
    for (size_t i = 0; i < hello->extension_count; i++) {
        extensions += !tls_is_grease(hello->extensions[i].type);
    }
    text_char(out, 't');
    text_string(out, version_name(offered_version(hello)));
    text_char(out, has_extension(hello, EXTENSION_SERVER_NAME) ? 'd' : 'i');
    print_count(out, ciphers);
    print_count(out, extensions);
    print_alpn(out, hello->alpn);
}
