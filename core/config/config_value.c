/* SPDX-License-Identifier: Apache-2.0 */
/* The text of one value into what its type stores. */
#include "core/base/text.h"
#include "core/config/config_fields.h"
#include "core/config/config_report.h"
#include "core/config/host_pattern.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>

enum { DIGITS_MAX = 9, ADDRESS_WRITTEN_MAX = 64 };

struct unit {
    const char *name;
    int64_t factor; /* of the smallest unit */
};

/* From the largest down, as bounds are printed. */
static const struct unit byte_units[] = {
    {"GiB", 1 << 30}, {"g", 1 << 30}, {"MiB", 1 << 20}, {"m", 1 << 20},
    {"KiB", 1 << 10}, {"k", 1 << 10}, {"B", 1},         {NULL, 0},
};

static const struct unit time_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};

__attribute__((format(printf, 2, 3))) static bool fail(char *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error, CONFIG_VALUE_ERROR_MAX, format, args);
    va_end(args);
    return false;
}

static bool fail_memory(char *error)
{
    return fail(error, "out of memory");
}

static void number_text(const struct config_field *field, int64_t value, struct text *t)
{
    const struct unit *unit = NULL;

    if (field->type == CONFIG_BYTES) {
        unit = byte_units;
    } else if (field->type == CONFIG_DURATION || field->type == CONFIG_DURATION_S) {
        unit = time_units;
        value *= field->type == CONFIG_DURATION_S ? 1000 : 1;
    }
    while (unit && unit->name && (value == 0 || value % unit->factor != 0)) {
        unit++;
    }
    if (!unit || !unit->name) {
        text_signed(t, value);
        return;
    }
    text_signed(t, value / unit->factor);
    text_string(t, unit->name);
}

void config_value_number(const struct config_field *field, uint32_t value, char *memory, size_t cap)
{
    struct text t = text_make(memory, cap - 1);

    number_text(field, value, &t);
    memory[t.len] = '\0';
}

void config_value_bounds(const struct config_field *field, char *memory, size_t cap)
{
    struct text t = text_make(memory, cap - 1);

    if (field->words) {
        for (const struct config_word *word = field->words; word->name; word++) {
            if (word->supported) {
                text_string(&t, t.len ? ", " : "");
                text_string(&t, word->name);
            }
        }
    } else if (field->type == CONFIG_BOOL) {
        text_string(&t, "true, false");
    } else if (field->type >= CONFIG_INTEGER && field->type <= CONFIG_DURATION_S) {
        number_text(field, field->min, &t);
        text_string(&t, " to ");
        number_text(field, field->max, &t);
    }
    memory[t.len] = '\0';
}

/* Plain decimal digits in front; what follows is left in *rest. */
static bool parse_digits(struct span text, int64_t *value, struct span *rest)
{
    size_t len = 0;

    *value = 0;
    while (len < text.len && isdigit(text.data[len])) {
        if (len < DIGITS_MAX) {
            *value = *value * 10 + (text.data[len] - '0');
        }
        len++;
    }
    if (len > DIGITS_MAX) {
        *value = 1LL << 32; /* above every bound, and no unit makes it overflow */
    }
    *rest = span_skip(text, len);
    return len > 0;
}

static bool read_bool(struct span text, void *place, char *error)
{
    if (span_equal(text, SPAN_LITERAL("true"))) {
        *(bool *)place = true;
    } else if (span_equal(text, SPAN_LITERAL("false"))) {
        *(bool *)place = false;
    } else {
        return fail(error, "%s is neither true nor false (only these two words are taken)",
                    config_quote(text).text);
    }
    return true;
}

/* 0777 is octal to some: nobody has to guess here. */
static bool has_leading_zero(struct span text)
{
    return text.len > 1 && text.data[0] == '0' && isdigit(text.data[1]);
}

static bool store_number(const struct config_field *field, struct span text, int64_t value,
                         void *place, char *error)
{
    char bounds[64];

    if (has_leading_zero(text)) {
        return fail(error, "%s: write the number without leading zeros", config_quote(text).text);
    }
    if (value < field->min || value > field->max) {
        config_value_bounds(field, bounds, sizeof(bounds));
        return fail(error, "%s is out of bounds: %s", config_quote(text).text, bounds);
    }
    *(uint32_t *)place = (uint32_t)value;
    return true;
}

static bool read_integer(const struct config_field *field, struct span text, void *place,
                         char *error)
{
    bool negative = text.len > 1 && text.data[0] == '-';
    struct span rest;
    int64_t value;

    if (!parse_digits(span_skip(text, negative), &value, &rest) || rest.len) {
        return fail(error, "%s is not a whole number", config_quote(text).text);
    }
    return store_number(field, text, negative ? -value : value, place, error);
}

static const struct unit *unit_find(const struct unit *units, struct span name, bool fold_case)
{
    for (; units->name; units++) {
        struct span known = span_from_string(units->name);
        if (fold_case ? span_equal_nocase(known, name) : span_equal(known, name)) {
            return units;
        }
    }
    return NULL;
}

static bool read_bytes(const struct config_field *field, struct span text, void *place, char *error)
{
    const struct unit *unit = NULL;
    struct span rest;
    int64_t value;

    if (parse_digits(text, &value, &rest)) {
        unit = unit_find(byte_units, rest.len ? rest : SPAN_LITERAL("B"), true);
    }
    if (!unit) {
        return fail(error, "%s is not a size: write bytes, or a number with KiB, MiB or GiB",
                    config_quote(text).text);
    }
    return store_number(field, text, value * unit->factor, place, error);
}

static bool read_duration(const struct config_field *field, struct span text, void *place,
                          char *error)
{
    const struct unit *unit = NULL;
    struct span rest;
    int64_t value;

    if (parse_digits(text, &value, &rest)) {
        unit = rest.len == 0 && value == 0 ? time_units : unit_find(time_units, rest, false);
    }
    if (!unit) {
        return fail(error, "%s is not a duration: write a number with ms, s, m, h or d",
                    config_quote(text).text);
    }
    value *= unit->factor;
    if (field->type == CONFIG_DURATION_S) {
        if (value % 1000 != 0) {
            return fail(error, "%s: write whole seconds", config_quote(text).text);
        }
        value /= 1000;
    }
    return store_number(field, text, value, place, error);
}

static bool read_enum(const struct config_field *field, struct span text, void *place, char *error)
{
    const struct config_word *word = field->words;
    char words[128];

    while (word->name && !span_equal(span_from_string(word->name), text)) {
        word++;
    }
    if (word->name && word->supported) {
        memcpy(place, &word->value, sizeof(word->value));
        return true;
    }
    config_value_bounds(field, words, sizeof(words));
    if (word->name) {
        return fail(error, "%s is not supported by this version; known: %s",
                    config_quote(text).text, words);
    }
    return fail(error, "%s is none of: %s", config_quote(text).text, words);
}

static bool store_text(const struct config_field *field, struct span before, struct span text,
                       void *place, char *error)
{
    char *copy;

    /* In a list, min and max are of the count of items. */
    if (!config_field_is_list(field) && (int64_t)(before.len + text.len) < field->min) {
        return fail(error, "cannot be empty");
    }
    if (!config_field_is_list(field) && (int64_t)(before.len + text.len) > field->max) {
        return fail(error, "longer than %lld bytes", (long long)field->max);
    }
    copy = malloc(before.len + text.len + 1);
    if (!copy) {
        return fail_memory(error);
    }
    if (before.len) {
        memcpy(copy, before.data, before.len);
    }
    if (text.len) {
        memcpy(copy + before.len, text.data, text.len);
    }
    copy[before.len + text.len] = '\0';
    *(char **)place = copy;
    return true;
}

static const struct span no_prefix = {NULL, 0};

static bool has_control(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool read_string(const struct config_field *field, struct span text, void *place,
                        char *error)
{
    if (has_control(text)) {
        return fail(error, "%s holds a control character", config_quote(text).text);
    }
    return store_text(field, no_prefix, text, place, error);
}

static bool read_word(const struct config_field *field, struct span text, void *place, char *error)
{
    const struct config_word *word = field->words;
    char words[128];

    while (word->name && !span_equal(span_from_string(word->name), text)) {
        word++;
    }
    if (!word->name) {
        config_value_bounds(field, words, sizeof(words));
        return fail(error, "%s is none of: %s", config_quote(text).text, words);
    }
    return store_text(field, no_prefix, text, place, error);
}

static bool read_text(const struct config_field *field, struct span text, void *place, char *error)
{
    return text.len ? read_string(field, text, place, error) : fail(error, "cannot be empty");
}

static bool is_lower_hex(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!text.data[i] || !strchr("0123456789abcdef", text.data[i])) {
            return false;
        }
    }
    return true;
}

static bool read_ja3(const struct config_field *field, struct span text, void *place, char *error)
{
    if (text.len != 32 || !is_lower_hex(text)) {
        return fail(error, "%s is not a JA3: 32 hex digits in lower case", config_quote(text).text);
    }
    return store_text(field, no_prefix, text, place, error);
}

/* "t13d1516h2_8daaf6152771_02713d6af862": ten characters and twice twelve hex digits. */
static bool read_ja4(const struct config_field *field, struct span text, void *place, char *error)
{
    bool is_ja4 = text.len == 36 && text.data[10] == '_' && text.data[23] == '_' &&
                  is_lower_hex(span_sub(text, 11, 12)) && is_lower_hex(span_sub(text, 24, 12));

    for (size_t i = 0; is_ja4 && i < 10; i++) {
        is_ja4 = isalnum(text.data[i]);
    }
    if (!is_ja4) {
        return fail(error, "%s is not a JA4, like t13d1516h2_8daaf6152771_02713d6af862",
                    config_quote(text).text);
    }
    return store_text(field, no_prefix, text, place, error);
}

static bool read_token(const struct config_field *field, struct span text, void *place, char *error)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!isalnum(text.data[i]) && (!text.data[i] || !strchr("!#$%&'*+-.^_`|~", text.data[i]))) {
            return fail(error,
                        "%s is not a token: letters, digits and !#$%%&'*+-.^_`|~ (RFC 9110 5.6.2)",
                        config_quote(text).text);
        }
    }
    return store_text(field, no_prefix, text, place, error);
}

static bool read_path(const struct config_field *field, struct span text, void *place, char *error)
{
    const char *home = getenv("HOME");

    if (text.len >= 1 && text.data[0] == '~' && !has_control(text)) {
        if (text.len < 2 || text.data[1] != '/') {
            return fail(error, "%s: a path begins with ~ only as ~/, in your own home",
                        config_quote(text).text);
        }
        if (!home || home[0] != '/') {
            return fail(error, "%s: HOME is not set to a folder; write the whole path",
                        config_quote(text).text);
        }
        return store_text(field, span_from_string(home), span_skip(text, 1), place, error);
    }
    if (config_field_is_list(field) && text.len == 0) {
        return fail(error, "cannot be empty");
    }
    return read_string(field, text, place, error);
}

/* 1 to 65535, or from `least` on. */
static bool parse_port(struct span text, int64_t least, uint16_t *port)
{
    struct span rest;
    int64_t value;

    if (!parse_digits(text, &value, &rest) || rest.len || value < least || value > 65535 ||
        has_leading_zero(text)) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

static bool read_port(struct span text, void *place, char *error)
{
    if (!parse_port(text, 1, place)) {
        return fail(error, "%s is not a port: 1 to 65535", config_quote(text).text);
    }
    return true;
}

/* An address without port and brackets, into a socket address with port 0. */
static socklen_t parse_ip(struct span text, struct sockaddr_storage *storage)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;
    char copy[ADDRESS_WRITTEN_MAX];

    if (text.len >= sizeof(copy)) {
        return 0;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    memset(storage, 0, sizeof(*storage));
    if (inet_pton(AF_INET, copy, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        return sizeof(*v4);
    }
    if (inet_pton(AF_INET6, copy, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        return sizeof(*v6);
    }
    return 0;
}

/* Splits at the colon before the port and takes brackets off; false without a port. */
static bool split_port(struct span text, struct span *host, struct span *port)
{
    size_t colon = text.len;

    while (colon && text.data[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0) {
        return false;
    }
    *port = span_skip(text, colon);
    *host = span_sub(text, 0, colon - 1);
    if (host->len && host->data[0] == '[') {
        if (host->data[host->len - 1] != ']') {
            return false;
        }
        *host = span_sub(*host, 1, host->len - 2);
        return span_find(*host, ':') < host->len;
    }
    return span_find(*host, ':') == host->len; /* IPv6 wants brackets beside a port */
}

static bool read_listen_address(const struct config_field *field, struct span text,
                                struct config_address *address, char *error)
{
    struct sockaddr_storage storage;
    struct span host, port_text;
    socklen_t len;
    uint16_t port;

    if (text.len == 0 && field->min == 0) {
        return store_text(field, no_prefix, text, &address->text, error);
    }
    if (!split_port(text, &host, &port_text)) {
        return fail(error,
                    "%s is not an address with a port, like 127.0.0.1:8080, [::1]:8080 or "
                    ":8080",
                    config_quote(text).text);
    }
    if (!parse_port(port_text, 0, &port)) {
        return fail(error, "%s: the port is a number from 0 to 65535", config_quote(text).text);
    }
    len = parse_ip(host.len ? host : SPAN_LITERAL("::"), &storage);
    if (!len) {
        return fail(error,
                    "%s: the address before the port is not an IP address; host names are not "
                    "taken: 127.0.0.1 or [::1] is this machine alone",
                    config_quote(text).text);
    }
    if (!store_text(field, no_prefix, text, &address->text, error)) {
        return false;
    }
    if (storage.ss_family == AF_INET) {
        ((struct sockaddr_in *)&storage)->sin_port = htons(port);
    } else {
        ((struct sockaddr_in6 *)&storage)->sin6_port = htons(port);
    }
    address->socket_address = storage;
    address->socket_address_len = len;
    return true;
}

/* One name or address, and no pattern. */
static bool is_one_host(struct span text)
{
    return text.len && text.len <= CONFIG_HOST_MAX && text.data[0] != '.' &&
           span_find(text, '*') == text.len && span_find(text, '/') == text.len &&
           !config_host_pattern_error(text);
}

/* 0: none is usual, it has to be written. */
static uint16_t usual_port(struct span scheme)
{
    static const struct {
        struct span scheme;
        uint16_t port;
    } known[] = {
        {SPAN_LITERAL("http"), 80},
        {SPAN_LITERAL("https"), 443},
        {SPAN_LITERAL("socks5"), 1080},
    };

    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (span_equal(known[i].scheme, scheme)) {
            return known[i].port;
        }
    }
    return 0;
}

static const struct config_word *find_word(const struct config_field *field, struct span text)
{
    const struct config_word *word = field->words;

    while (word->name && !span_equal(span_from_string(word->name), text)) {
        word++;
    }
    return word->name ? word : NULL;
}

static bool read_url(const struct config_field *field, struct span text, struct config_url *url,
                     char *error)
{
    size_t colon = span_find(text, ':');
    struct span scheme = span_sub(text, 0, colon);
    struct span rest = span_skip(text, colon);
    struct span host, port_text;
    const struct config_word *word = find_word(field, scheme);
    uint16_t port = usual_port(scheme);
    char words[128];

    if (text.len == 0 && field->min == 0) {
        return store_text(field, no_prefix, text, &url->text, error);
    }
    if (!word || !span_equal(span_sub(rest, 0, 3), SPAN_LITERAL("://"))) {
        config_value_bounds(field, words, sizeof(words));
        return fail(error, "%s is not scheme://host:port with one of the schemes: %s",
                    config_quote(text).text, words);
    }
    rest = span_skip(rest, 3);
    if (span_find(rest, '@') < rest.len) {
        return fail(error, "no user and password here, where every reader of this file sees them: "
                           "name a file with them in credentials");
    }
    if (rest.len && rest.data[rest.len - 1] == '/') {
        rest = span_sub(rest, 0, rest.len - 1);
    }
    if (split_port(rest, &host, &port_text)) {
        if (!parse_port(port_text, 1, &port)) {
            return fail(error, "%s: the port is a number from 1 to 65535", config_quote(text).text);
        }
    } else if (port == 0) {
        return fail(error, "%s has no port", config_quote(text).text);
    } else {
        bool has_brackets = rest.len > 2 && rest.data[0] == '[' && rest.data[rest.len - 1] == ']';
        host = span_sub(rest, has_brackets, rest.len - 2 * (size_t)has_brackets);
    }
    if (!is_one_host(host)) {
        return fail(error, "%s: %s is neither a host name nor an IP address (IPv6 in brackets)",
                    config_quote(text).text, config_quote(host).text);
    }
    url->scheme = word->value;
    url->port = port;
    memcpy(url->host, host.data, host.len);
    url->host[host.len] = '\0';
    return store_text(field, no_prefix, text, &url->text, error);
}

static bool read_network(const struct config_field *field, struct span text, void *place,
                         char *error)
{
    const char *sentence = config_host_pattern_error(text);

    if (sentence || !config_host_pattern_is_address(text)) {
        return fail(error, "%s is neither an IP address nor a CIDR block like 192.0.2.0/24",
                    config_quote(text).text);
    }
    return store_text(field, no_prefix, text, place, error);
}

static bool read_server(const struct config_field *field, struct span text, void *place,
                        char *error)
{
    struct sockaddr_storage storage;
    struct span host, port_text;
    uint16_t port;

    if (parse_ip(text, &storage) || (split_port(text, &host, &port_text) && host.len &&
                                     parse_port(port_text, 1, &port) && parse_ip(host, &storage))) {
        return store_text(field, no_prefix, text, place, error);
    }
    return fail(error,
                "%s is not an IP address, nor one with a port like 192.0.2.53:5353 or "
                "[2001:db8::53]:5353",
                config_quote(text).text);
}

static bool read_pattern(const struct config_field *field, struct span text, void *place,
                         char *error)
{
    bool is_sni = field->type == CONFIG_SNI_LIST;
    const char *sentence = is_sni && text.len == 0 ? NULL : config_host_pattern_error(text);

    if (!sentence && is_sni && config_host_pattern_is_address(text)) {
        sentence = "a server name in a ClientHello is never an address (RFC 6066 3)";
    }
    if (sentence) {
        return fail(error, "%s: %s", config_quote(text).text, sentence);
    }
    return store_text(field, no_prefix, text, place, error);
}

bool config_value_read(const struct config_field *field, struct span text, void *place,
                       char error[CONFIG_VALUE_ERROR_MAX])
{
    switch (field->type) {
    case CONFIG_BOOL:
        return read_bool(text, place, error);
    case CONFIG_INTEGER:
        return read_integer(field, text, place, error);
    case CONFIG_BYTES:
        return read_bytes(field, text, place, error);
    case CONFIG_DURATION:
    case CONFIG_DURATION_S:
        return read_duration(field, text, place, error);
    case CONFIG_ENUM:
        return read_enum(field, text, place, error);
    case CONFIG_STRING:
        return read_string(field, text, place, error);
    case CONFIG_TOKEN:
        return read_token(field, text, place, error);
    case CONFIG_PATH:
    case CONFIG_PATH_LIST:
        return read_path(field, text, place, error);
    case CONFIG_LISTEN_ADDRESS:
        return read_listen_address(field, text, place, error);
    case CONFIG_URL:
        return read_url(field, text, place, error);
    case CONFIG_NETWORK_LIST:
        return read_network(field, text, place, error);
    case CONFIG_PORT_LIST:
        return read_port(text, place, error);
    case CONFIG_HOST_LIST:
    case CONFIG_SNI_LIST:
        return read_pattern(field, text, place, error);
    case CONFIG_SERVER_LIST:
        return read_server(field, text, place, error);
    case CONFIG_WORD_LIST:
        return read_word(field, text, place, error);
    case CONFIG_TEXT_LIST:
        return read_text(field, text, place, error);
    case CONFIG_JA3_LIST:
        return read_ja3(field, text, place, error);
    case CONFIG_JA4_LIST:
        return read_ja4(field, text, place, error);
    case CONFIG_SECTION:
    case CONFIG_MAP_LIST:
        break;
    }
    panic(__FILE__, __LINE__, "%s is not a value", field->path);
}
