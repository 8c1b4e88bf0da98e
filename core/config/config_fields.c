/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config/config_fields.h"

#include "core/base/log.h"

#include <stdlib.h>

static const struct config_word decision_words[] = {
    {"intercept", DECISION_INTERCEPT, true},
    {"tunnel", DECISION_TUNNEL, true},
    {"refuse", DECISION_REFUSE, true},
    {NULL, 0, false},
};

static const struct config_word mode_words[] = {
    {"forward", LISTENER_FORWARD, true},
    {"socks5", LISTENER_SOCKS5, true},
    {"transparent", LISTENER_TRANSPARENT, true},
    {"reverse", LISTENER_REVERSE, true},
    {NULL, 0, false},
};

static const struct config_word proxy_protocol_words[] = {
    {"off", PROXY_PROTOCOL_OFF, true},
    {"optional", PROXY_PROTOCOL_OPTIONAL, true},
    {"required", PROXY_PROTOCOL_REQUIRED, true},
    {NULL, 0, false},
};

static const struct config_word send_proxy_words[] = {
    {"off", SEND_PROXY_OFF, true},
    {"v1", SEND_PROXY_V1, true},
    {"v2", SEND_PROXY_V2, true},
    {NULL, 0, false},
};

static const struct config_word target_words[] = {
    {"tcp", TARGET_TCP, true},   {"http", TARGET_TCP, true}, {"tls", TARGET_TLS, true},
    {"https", TARGET_TLS, true}, {NULL, 0, false},
};

static const struct config_word upstream_words[] = {
    {"http", UPSTREAM_HTTP, true},
    {"https", UPSTREAM_HTTPS, true},
    {"socks5", UPSTREAM_SOCKS5, true},
    {NULL, 0, false},
};

static const struct config_word mismatch_words[] = {
    {"sni", 0, true},
    {"host", 0, true},
    {NULL, 0, false},
};

static const struct config_word level_words[] = {
    {"error", LOG_ERROR, true}, {"warn", LOG_WARN, true}, {"info", LOG_INFO, true},
    {"debug", LOG_DEBUG, true}, {NULL, 0, false},
};

static const struct config_word format_words[] = {
    {"json", LOG_FORMAT_JSON, true},
    {NULL, 0, false},
};

static const struct config_word verdict_words[] = {
    {"unknown", 0, true},  {"genuine", 0, true},     {"unlikely", 0, true},
    {"outdated", 0, true}, {"intercepted", 0, true}, {NULL, 0, false},
};

static const struct config_word header_to_words[] = {
    {"server", HEADER_TO_SERVER, true},
    {"client", HEADER_TO_CLIENT, true},
    {"both", HEADER_TO_BOTH, true},
    {NULL, 0, false},
};

/* Enums are stored through an int. */
_Static_assert(sizeof(enum decision) == sizeof(int), "an enum that the table can store");
_Static_assert(sizeof(enum listener_mode) == sizeof(int), "an enum that the table can store");
_Static_assert(sizeof(enum header_to) == sizeof(int), "an enum that the table can store");
_Static_assert(sizeof(enum log_format) == sizeof(int), "an enum that the table can store");
_Static_assert(sizeof(enum proxy_protocol) == sizeof(int), "an enum that the table can store");
_Static_assert(sizeof(enum send_proxy_protocol) == sizeof(int), "an enum that the table can store");

#define AT(type, member) offsetof(struct type, member), 0, 0
#define LIST(type, member, count)                                                                  \
    offsetof(struct type, member), offsetof(struct type, count), sizeof(*((struct type *)0)->member)
#define SECTION(path, sentence)                                                                    \
    {path, CONFIG_SECTION, 0, 0, 0, 0, 0, NULL, NULL, CONFIG_RELOAD, NULL, sentence},
#define FIELD(path, type, place, min, max, words, default_text, change, example, sentence)         \
    {path, CONFIG_##type, place, min, max, words, default_text, CONFIG_##change, example, sentence},

const struct config_field config_fields[CONFIG_FIELD_COUNT] = {
#include "core/config/config_fields.def"
};

#undef FIELD
#undef SECTION
#undef LIST
#undef AT

const struct config_field *config_field_at(const char *path)
{
    size_t index = 0;

    while (index < CONFIG_FIELD_COUNT && strcmp(config_fields[index].path, path) != 0) {
        index++;
    }
    ASSERT(index < CONFIG_FIELD_COUNT);
    return &config_fields[index];
}

const char *config_field_name(const struct config_field *field)
{
    const char *dot = strrchr(field->path, '.');
    return dot ? dot + 1 : field->path;
}

bool config_field_is_in(const struct config_field *field, const struct config_field *list)
{
    size_t len;

    if (!list) {
        return strstr(field->path, "[].") == NULL;
    }
    len = strlen(list->path);
    return strncmp(field->path, list->path, len) == 0 && strncmp(field->path + len, "[].", 3) == 0;
}

static void *place_of(const struct config_field *field, const void *base)
{
    return (char *)base + field->offset;
}

static size_t list_count(const struct config_field *field, const void *base)
{
    return *(const size_t *)(const void *)((const char *)base + field->count_offset);
}

static char *list_items(const struct config_field *field, const void *base)
{
    return *(char **)place_of(field, base);
}

static bool is_string_type(enum config_type type)
{
    return type >= CONFIG_STRING && type <= CONFIG_LISTEN_ADDRESS;
}

static bool is_text_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_item_equal(const struct config_field *field, const char *a, const char *b,
                          bool restart_only)
{
    if (field->type == CONFIG_PORT_LIST) {
        return memcmp(a, b, field->item_size) == 0;
    }
    if (field->type != CONFIG_MAP_LIST) {
        return is_text_equal(*(char *const *)(const void *)a, *(char *const *)(const void *)b);
    }
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        const struct config_field *part = &config_fields[i];
        if (config_field_is_in(part, field) && !(restart_only && part->change == CONFIG_RELOAD) &&
            !config_field_equal(part, a, b, restart_only)) {
            return false;
        }
    }
    return true;
}

bool config_field_equal(const struct config_field *field, const void *base_a, const void *base_b,
                        bool restart_only)
{
    const void *a = place_of(field, base_a), *b = place_of(field, base_b);

    if (field->type == CONFIG_SECTION) {
        return true;
    }
    if (field->type == CONFIG_BOOL) {
        return *(const bool *)a == *(const bool *)b;
    }
    if (is_string_type(field->type)) {
        return is_text_equal(*(char *const *)a, *(char *const *)b);
    }
    if (!config_field_is_list(field)) {
        return memcmp(a, b, sizeof(uint32_t)) == 0;
    }
    if (list_count(field, base_a) != list_count(field, base_b)) {
        return false;
    }
    for (size_t i = 0; i < list_count(field, base_a); i++) {
        if (!is_item_equal(field, list_items(field, base_a) + i * field->item_size,
                           list_items(field, base_b) + i * field->item_size, restart_only)) {
            return false;
        }
    }
    return true;
}

static void field_free(const struct config_field *field, void *base)
{
    char *items;

    if (is_string_type(field->type)) {
        free(*(char **)place_of(field, base));
    }
    if (!config_field_is_list(field) || !list_items(field, base)) {
        return;
    }
    items = list_items(field, base);
    for (size_t i = 0; i < list_count(field, base); i++) {
        if (field->type == CONFIG_MAP_LIST) {
            config_fields_free(field, items + i * field->item_size);
        } else if (field->type != CONFIG_PORT_LIST) {
            free(((char **)(void *)items)[i]);
        }
    }
    free(items);
}

void config_fields_free(const struct config_field *list, void *base)
{
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        if (config_field_is_in(&config_fields[i], list)) {
            field_free(&config_fields[i], base);
        }
    }
}
