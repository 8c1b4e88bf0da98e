/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message is walked once, front to back. Structure is judged strictly, because a proxy that
 * reads a hello differently from the server behind it can be led past its own policy; values are
 * not judged at all, because new ones (and GREASE) come every year.
 */
#include "tls/client_hello.h"

#include "core/base/assert.h"
#include "core/base/cursor.h"

enum {
    MESSAGE_TYPE_CLIENT_HELLO = 1,
    MESSAGE_HEADER_LEN = 4,
    RANDOM_LEN = 32,
    SESSION_ID_MAX = 32,
    DNS_NAME_MAX = 253, /* RFC 1035 2.3.4, in text form without the root's dot */
    DNS_LABEL_MAX = 63,
};

enum {
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_SUPPORTED_GROUPS = 10,
    EXTENSION_EC_POINT_FORMATS = 11,
    EXTENSION_SIGNATURE_ALGORITHMS = 13,
    EXTENSION_ALPN = 16,
    EXTENSION_SUPPORTED_VERSIONS = 43,
    EXTENSION_KEY_SHARE = 51,
};

/* RFC 8446 6.2 */
enum {
    ALERT_UNEXPECTED_MESSAGE = 10,
    ALERT_ILLEGAL_PARAMETER = 47,
    ALERT_DECODE_ERROR = 50,
};

enum {
    TLS_1_2 = 0x0303,
    TLS_1_3 = 0x0304,
    GROUP_SECP256R1 = 23,
    SIGALG_ECDSA_SECP256R1_SHA256 = 0x0403,
};

static bool parse_message_header(struct cursor *c, struct client_hello_fault *fault);
static bool parse_fields(struct client_hello *hello, struct cursor *c,
                         struct client_hello_fault *fault);
static bool parse_extensions(struct client_hello *hello, struct cursor *c,
                             struct client_hello_fault *fault);

bool client_hello_parse(struct client_hello *hello, struct span message,
                        struct client_hello_fault *fault)
{
    struct cursor c = cursor_make(message);
    const struct span none = {NULL, 0};

    /* Not the whole struct: the extension table is larger than most hellos. */
    hello->message = message;
    hello->extension_count = 0;
    hello->sni = none;
    hello->sni_invalid = false;
    hello->groups = none;
    hello->point_formats = none;
    hello->signature_algorithms = none;
    hello->alpn = none;
    hello->supported_versions = none;
    hello->key_shares = none;
    return parse_message_header(&c, fault) && parse_fields(hello, &c, fault) &&
           parse_extensions(hello, &c, fault);
}

static bool refuse(struct client_hello_fault *fault, const char *field, size_t offset,
                   uint8_t alert)
{
    *fault = (struct client_hello_fault){field, offset, alert};
    return false;
}

static bool parse_message_header(struct cursor *c, struct client_hello_fault *fault)
{
    size_t message_len = cursor_left(c);
    uint8_t type = cursor_u8(c);

    if (c->failed) {
        return refuse(fault, "msg_type", 0, ALERT_DECODE_ERROR);
    }
    if (type != MESSAGE_TYPE_CLIENT_HELLO) {
        return refuse(fault, "msg_type", 0, ALERT_UNEXPECTED_MESSAGE);
    }
    if (message_len > CLIENT_HELLO_MAX) {
        return refuse(fault, "length", 1, ALERT_ILLEGAL_PARAMETER);
    }
    if (cursor_u24(c) != message_len - MESSAGE_HEADER_LEN || c->failed) {
        return refuse(fault, "length", 1, ALERT_DECODE_ERROR);
    }
    return true;
}

static bool parse_fields(struct client_hello *hello, struct cursor *c,
                         struct client_hello_fault *fault)
{
    size_t start;

    hello->legacy_version = cursor_u16(c);
    if (c->failed) {
        return refuse(fault, "legacy_version", c->fail_offset, ALERT_DECODE_ERROR);
    }
    hello->random = cursor_take(c, RANDOM_LEN);
    if (c->failed) {
        return refuse(fault, "random", c->fail_offset, ALERT_DECODE_ERROR);
    }
    start = cursor_offset(c);
    hello->session_id = cursor_vector8(c);
    if (c->failed || hello->session_id.len > SESSION_ID_MAX) {
        return refuse(fault, "session_id", c->failed ? c->fail_offset : start, ALERT_DECODE_ERROR);
    }
    start = cursor_offset(c);
    hello->ciphers = cursor_vector16(c);
    if (c->failed || hello->ciphers.len == 0 || hello->ciphers.len % 2) {
        return refuse(fault, "cipher_suites", c->failed ? c->fail_offset : start,
                      ALERT_DECODE_ERROR);
    }
    start = cursor_offset(c);
    hello->compressions = cursor_vector8(c);
    if (c->failed || hello->compressions.len == 0) {
        return refuse(fault, "compression_methods", c->failed ? c->fail_offset : start,
                      ALERT_DECODE_ERROR);
    }
    if (span_find(hello->compressions, 0) == hello->compressions.len) {
        return refuse(fault, "compression_methods", start, ALERT_ILLEGAL_PARAMETER);
    }
    return true;
}

/*
 * The bodies that the rest of weir reads. Each parser leaves its judgement in the cursor: failed
 * means that the body is not what its RFC says it is.
 */

static void fail_at(struct cursor *c, size_t offset)
{
    if (!c->failed) {
        c->failed = true;
        c->fail_offset = offset;
    }
}

static void expect_end(struct cursor *body)
{
    if (cursor_left(body)) {
        fail_at(body, cursor_offset(body));
    }
}

/* The body is one vector with at least one item of `item_len` bytes, and nothing more. */
static void parse_list(struct span *items, struct cursor *body, size_t prefix_len, size_t item_len)
{
    size_t start = cursor_offset(body);

    *items = prefix_len == 1 ? cursor_vector8(body) : cursor_vector16(body);
    if (items->len < item_len || items->len % item_len) {
        fail_at(body, start);
    }
    expect_end(body);
}

/* RFC 7301 3.1: names of 1 to 255 bytes. */
static void parse_alpn(struct span *protocols, struct cursor *body)
{
    struct cursor names;

    parse_list(protocols, body, 2, 1);
    names = cursor_within(body, *protocols);
    while (cursor_left(&names)) {
        size_t start = cursor_offset(&names);
        if (cursor_vector8(&names).len == 0) {
            fail_at(&names, start);
        }
    }
    if (names.failed) {
        fail_at(body, names.fail_offset);
    }
}

/* RFC 8446 4.2.8: the list may be empty, a key may not. */
static void parse_key_shares(struct span *shares, struct cursor *body)
{
    struct cursor entries;

    *shares = cursor_vector16(body);
    expect_end(body);
    entries = cursor_within(body, *shares);
    while (cursor_left(&entries)) {
        size_t start;
        cursor_u16(&entries);
        start = cursor_offset(&entries);
        if (cursor_vector16(&entries).len == 0) {
            fail_at(&entries, start);
        }
    }
    if (entries.failed) {
        fail_at(body, entries.fail_offset);
    }
}

enum name_byte { NAME_BAD, NAME_LETTER, NAME_DIGIT, NAME_DOT };

static const uint8_t name_bytes[256] = {
    ['a' ... 'z'] = NAME_LETTER, ['A' ... 'Z'] = NAME_LETTER, ['-'] = NAME_LETTER,
    ['_'] = NAME_LETTER,         ['0' ... '9'] = NAME_DIGIT,  ['.'] = NAME_DOT,
};

static bool byte_is_hex(uint8_t byte)
{
    uint8_t lower = byte | 0x20;
    return name_bytes[byte] == NAME_DIGIT || (lower >= 'a' && lower <= 'f');
}

/* A last label that resolvers take for a number makes the whole name an IPv4 address (127.1, 0x7f).
 */
static bool label_is_number(struct span label)
{
    bool is_hex = label.len >= 2 && label.data[0] == '0' && (label.data[1] | 0x20) == 'x';

    for (size_t i = is_hex ? 2 : 0; i < label.len; i++) {
        if (is_hex ? !byte_is_hex(label.data[i]) : name_bytes[label.data[i]] != NAME_DIGIT) {
            return false;
        }
    }
    return true;
}

/* RFC 6066 3: a DNS name in ASCII, no IP literal, no dot at the end. '_' is seen in practice. */
static bool host_name_is_usable(struct span name)
{
    size_t label_start = 0;

    if (name.len == 0 || name.len > DNS_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        enum name_byte kind = name_bytes[name.data[i]];
        if (kind == NAME_BAD) {
            return false;
        }
        if (kind == NAME_DOT) {
            if (i == label_start || i - label_start > DNS_LABEL_MAX) {
                return false;
            }
            label_start = i + 1;
        }
    }
    return label_start < name.len && name.len - label_start <= DNS_LABEL_MAX &&
           !label_is_number(span_skip(name, label_start));
}

/*
 * A name that may not be used is no reason to end the parse: what becomes of such a client is
 * policy. An empty body counts as such a name, since some clients send one for "no name".
 */
static void parse_server_name(struct client_hello *hello, struct cursor *body)
{
    struct cursor entries;
    struct span name = {NULL, 0};
    size_t count = 0;
    uint8_t type = 0;

    hello->sni_invalid = true;
    if (cursor_left(body) == 0) {
        return;
    }
    entries = cursor_within(body, cursor_vector16(body));
    expect_end(body);
    while (cursor_left(&entries)) {
        type = cursor_u8(&entries);
        name = cursor_vector16(&entries);
        count++;
    }
    if (entries.failed) {
        fail_at(body, entries.fail_offset);
    } else if (count == 1 && type == 0 && host_name_is_usable(name)) {
        hello->sni = name;
        hello->sni_invalid = false;
    }
}

/* Returns the extension's name if its body was looked into, else null. */
static const char *parse_body(struct client_hello *hello, uint16_t type, struct cursor *body)
{
    switch (type) {
    case EXTENSION_SERVER_NAME:
        parse_server_name(hello, body);
        return "server_name";
    case EXTENSION_SUPPORTED_GROUPS:
        parse_list(&hello->groups, body, 2, 2);
        return "supported_groups";
    case EXTENSION_EC_POINT_FORMATS:
        parse_list(&hello->point_formats, body, 1, 1);
        return "ec_point_formats";
    case EXTENSION_SIGNATURE_ALGORITHMS:
        parse_list(&hello->signature_algorithms, body, 2, 2);
        return "signature_algorithms";
    case EXTENSION_ALPN:
        parse_alpn(&hello->alpn, body);
        return "application_layer_protocol_negotiation";
    case EXTENSION_SUPPORTED_VERSIONS:
        parse_list(&hello->supported_versions, body, 1, 2);
        return "supported_versions";
    case EXTENSION_KEY_SHARE:
        parse_key_shares(&hello->key_shares, body);
        return "key_share";
    default:
        return NULL;
    }
}

/* Types below 64, nearly all of a real hello's, are found in one mask; `low_seen` is that mask. */
static bool extension_is_repeated(const struct client_hello *hello, uint16_t type,
                                  uint64_t *low_seen)
{
    if (type < 64) {
        uint64_t bit = UINT64_C(1) << type;
        bool repeated = *low_seen & bit;
        *low_seen |= bit;
        return repeated;
    }
    return client_hello_has(hello, type);
}

static bool parse_extensions(struct client_hello *hello, struct cursor *c,
                             struct client_hello_fault *fault)
{
    struct cursor block;
    uint64_t low_seen = 0;

    if (cursor_left(c) == 0) {
        return true; /* RFC 5246 7.4.1.2: before TLS 1.3 they may be absent */
    }
    block = cursor_within(c, cursor_vector16(c));
    if (c->failed || cursor_left(c)) {
        return refuse(fault, "extensions", c->failed ? c->fail_offset : cursor_offset(c),
                      ALERT_DECODE_ERROR);
    }
    while (cursor_left(&block)) {
        size_t start = cursor_offset(&block);
        uint16_t type = cursor_u16(&block);
        struct span bytes = cursor_vector16(&block);
        struct cursor body = cursor_within(&block, bytes);
        const char *name;

        if (block.failed) {
            return refuse(fault, "extensions", block.fail_offset, ALERT_DECODE_ERROR);
        }
        if (extension_is_repeated(hello, type, &low_seen) ||
            hello->extension_count == CLIENT_HELLO_EXTENSIONS_MAX) {
            return refuse(fault, "extensions", start, ALERT_ILLEGAL_PARAMETER);
        }
        hello->extensions[hello->extension_count++] = (struct client_hello_extension){type, bytes};
        name = parse_body(hello, type, &body);
        if (body.failed) {
            return refuse(fault, name, body.fail_offset, ALERT_DECODE_ERROR);
        }
    }
    return true;
}

bool client_hello_has(const struct client_hello *hello, uint16_t extension_type)
{
    for (size_t i = 0; i < hello->extension_count; i++) {
        if (hello->extensions[i].type == extension_type) {
            return true;
        }
    }
    return false;
}

bool alpn_next(struct span *list, struct span *protocol)
{
    size_t len = list->len ? list->data[0] : 0;

    if (len == 0 || len >= list->len) {
        *list = (struct span){NULL, 0};
        return false;
    }
    *protocol = span_sub(*list, 1, len);
    *list = span_skip(*list, 1 + len);
    return true;
}

static uint16_t list_u16(struct span list, size_t index)
{
    return (uint16_t)(list.data[2 * index] << 8 | list.data[2 * index + 1]);
}

static bool list_has(struct span list, uint16_t value)
{
    for (size_t i = 0; i < list.len / 2; i++) {
        if (list_u16(list, i) == value) {
            return true;
        }
    }
    return false;
}

static bool list_has_any(struct span list, const uint16_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list_has(list, values[i])) {
            return true;
        }
    }
    return false;
}

/* The ECDHE_ECDSA suites that the TLS library has. Others that a client may offer as well (CCM,
 * ARIA, Camellia, RC4 ...) would leave an ECDSA leaf without a suite to go with. */
static const uint16_t ecdsa_suites[] = {
    0xc02b, /* ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 */
    0xc02c, /* ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 */
    0xcca9, /* ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 */
    0xc009, /* ECDHE_ECDSA_WITH_AES_128_CBC_SHA */
    0xc00a, /* ECDHE_ECDSA_WITH_AES_256_CBC_SHA */
};

/* In TLS 1.2 the hash and the curve are chosen apart (RFC 5246 7.4.1.4.1). */
static const uint16_t ecdsa_sigalgs[] = {0x0403, 0x0503, 0x0603, 0x0203};

bool client_hello_accepts_ecdsa(const struct client_hello *hello)
{
    bool has_versions = hello->supported_versions.len != 0;

    /* Where TLS 1.3 is offered it will be chosen, and there the curve is part of the sigalg. */
    if (list_has(hello->supported_versions, TLS_1_3)) {
        return list_has(hello->signature_algorithms, SIGALG_ECDSA_SECP256R1_SHA256);
    }
    if (has_versions ? !list_has(hello->supported_versions, TLS_1_2)
                     : hello->legacy_version < TLS_1_2) {
        return false;
    }
    return list_has_any(hello->ciphers, ecdsa_suites, COUNT_OF(ecdsa_suites)) &&
           (hello->groups.len == 0 || list_has(hello->groups, GROUP_SECP256R1)) &&
           (hello->signature_algorithms.len == 0 ||
            list_has_any(hello->signature_algorithms, ecdsa_sigalgs, COUNT_OF(ecdsa_sigalgs)));
}
