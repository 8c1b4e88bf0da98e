/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config/config_read.h"

#include "core/config/suggest.h"

#include <stdlib.h>

/* One struct that is being filled: the whole configuration, or one element of a list of maps. */
struct scope {
    const struct config_field *list; /* null: the whole */
    void *base;
    const struct config_node *keys[CONFIG_FIELD_COUNT]; /* where each field was given */
};

static const char *const reserved[] = {
#define FIELD(...)
#define SECTION(...)
#define RESERVED(path) path,
#include "core/config/config_fields.def"
#undef FIELD
#undef SECTION
#undef RESERVED
};

static void read_scope(struct scope *scope, const struct config_node *map,
                       struct config_source *source);

/* Whether `path` is `prefix` and directly behind it `name`, which is a key of one map. */
static bool is_path(const char *path, struct span prefix, struct span name)
{
    struct span whole = span_from_string(path);

    return whole.len == prefix.len + name.len &&
           span_equal(span_sub(whole, 0, prefix.len), prefix) &&
           span_equal(span_skip(whole, prefix.len), name) && span_find(name, '.') == name.len;
}

/* "limits." of "limits.head_bytes", "listeners[]." of "listeners[].mode", "" of "workers". */
static struct span path_prefix(const char *path)
{
    const char *dot = strrchr(path, '.');
    return span_make(path, dot ? (size_t)(dot - path) + 1 : 0);
}

static const struct config_field *field_find(struct span prefix, struct span name)
{
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        if (is_path(config_fields[i].path, prefix, name)) {
            return &config_fields[i];
        }
    }
    return NULL;
}

static bool is_reserved(struct span prefix, struct span name)
{
    for (size_t i = 0; i < COUNT_OF(reserved); i++) {
        if (is_path(reserved[i], prefix, name)) {
            return true;
        }
    }
    return false;
}

/* The only section that has a key of this name, or null. */
static const struct config_field *field_elsewhere(struct span name)
{
    const struct config_field *found = NULL;

    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        if (span_equal(span_from_string(config_field_name(&config_fields[i])), name)) {
            if (found) {
                return NULL;
            }
            found = &config_fields[i];
        }
    }
    return found;
}

/* The key of the same map that was probably meant; empty if none is near. */
static struct span key_meant(struct span prefix, struct span name)
{
    struct suggest suggest = suggest_make(name);

    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        if (span_equal(path_prefix(config_fields[i].path), prefix)) {
            suggest_offer(&suggest, span_from_string(config_field_name(&config_fields[i])));
        }
    }
    return suggest.best;
}

static void report_unknown(struct config_source *source, struct span prefix,
                           const struct config_node *key)
{
    struct config_quote name = config_quote(key->text);
    struct span meant;
    const struct config_field *elsewhere;

    if (!config_source_has_room(source)) {
        config_error(source, key->mark, "unknown key");
        return;
    }
    if (is_reserved(prefix, key->text)) {
        config_error(source, key->mark, "%s is not supported by this version", name.text);
        return;
    }
    meant = key_meant(prefix, key->text);
    elsewhere = field_elsewhere(key->text);
    if (elsewhere) {
        struct span home = path_prefix(elsewhere->path);
        if (home.len == 0) {
            config_error(source, key->mark, "unknown key %s here; it belongs to the top level",
                         name.text);
        } else {
            config_error(source, key->mark, "unknown key %s here; it belongs under \"%.*s\"",
                         name.text, (int)home.len - 1, (const char *)home.data);
        }
    } else if (meant.len) {
        config_error(source, key->mark, "unknown key %s; did you mean \"%.*s\"?", name.text,
                     SPAN_PRINTF(meant));
    } else if (span_find(key->text, '.') < key->text.len) {
        config_error(source, key->mark, "unknown key %s; keys are nested, not joined with dots",
                     name.text);
    } else {
        config_error(source, key->mark, "unknown key %s", name.text);
    }
}

/* Reads one scalar of a field, or an item of its list. */
static void read_value(const struct config_field *field, const struct config_node *node,
                       void *place, struct config_source *source)
{
    char error[CONFIG_VALUE_ERROR_MAX];

    if (node->kind != CONFIG_NODE_SCALAR) {
        config_error(source, node->mark, "%s: expected a single value, found %s",
                     config_field_name(field), config_node_name(node));
    } else if (config_node_is_nothing(node)) {
        config_error(source, node->mark, "%s has no value; write one or take the line out",
                     config_field_name(field));
    } else if (!config_value_read(field, node->text, place, error)) {
        config_error(source, node->mark, "%s: %s", config_field_name(field), error);
    }
}

static void *list_allocate(const struct config_field *field, void *base, size_t count)
{
    void *items = count ? calloc(count, field->item_size) : NULL;

    if (items) {
        *(void **)((char *)base + field->offset) = items;
        *(size_t *)(void *)((char *)base + field->count_offset) = count;
    }
    return items;
}

static void read_element(const struct config_field *field, const struct config_node *node,
                         void *item, struct config_source *source)
{
    struct scope scope = {.list = field, .base = item};

    if (node->kind == CONFIG_NODE_MAP) {
        read_scope(&scope, node, source);
    } else {
        config_error(source, node->mark, "%s: expected a map of keys, found %s",
                     config_field_name(field), config_node_name(node));
    }
}

static void read_list(const struct config_field *field, const struct config_node *node, void *base,
                      struct config_source *source)
{
    bool is_single = node->kind == CONFIG_NODE_SCALAR && field->type != CONFIG_MAP_LIST;
    size_t count = is_single ? 1 : node->count;
    const struct config_node *item = is_single ? node : node->first;
    char *items;

    if (config_node_is_nothing(node)) {
        config_error(source, node->mark, "%s has no value; %s", config_field_name(field),
                     field->min ? "it takes at least one item" : "[] is an empty list");
        return;
    }
    if (!is_single && node->kind != CONFIG_NODE_LIST) {
        config_error(source, node->mark,
                     "%s: expected a list (each item begins with \"- \"), found "
                     "%s",
                     config_field_name(field), config_node_name(node));
        return;
    }
    if ((int64_t)count < field->min || (int64_t)count > field->max) {
        config_error(source, node->mark, "%s: %zu items; %lld to %lld are taken",
                     config_field_name(field), count, (long long)field->min, (long long)field->max);
        return;
    }
    items = list_allocate(field, base, count);
    if (!items && count) {
        config_error(source, node->mark, "out of memory");
        return;
    }
    for (; item; item = is_single ? NULL : item->next, items += field->item_size) {
        if (field->type == CONFIG_MAP_LIST) {
            read_element(field, item, items, source);
        } else {
            read_value(field, item, items, source);
        }
    }
}

static void read_map(struct scope *scope, const struct config_node *map, struct span prefix,
                     struct config_source *source);

static void read_section(struct scope *scope, const struct config_field *section,
                         const struct config_node *node, struct config_source *source)
{
    char prefix[64];
    int len = snprintf(prefix, sizeof(prefix), "%s.", section->path);

    ASSERT(len > 0 && (size_t)len < sizeof(prefix));
    if (node->kind == CONFIG_NODE_MAP) {
        read_map(scope, node, span_make(prefix, (size_t)len), source);
    } else if (!config_node_is_nothing(node)) {
        config_error(source, node->mark, "%s: expected a map of keys, found %s", section->path,
                     config_node_name(node));
    }
}

static void read_field(struct scope *scope, const struct config_field *field,
                       const struct config_node *key, struct config_source *source)
{
    size_t index = (size_t)(field - config_fields);
    const struct config_node *node = key->value;

    if (scope->keys[index]) {
        config_error(source, key->mark, "%s is given twice; the first is on line %u",
                     config_quote(key->text).text, scope->keys[index]->mark.line + 1);
        return;
    }
    scope->keys[index] = key;
    if (field->type == CONFIG_SECTION) {
        read_section(scope, field, node, source);
    } else if (config_field_is_list(field)) {
        read_list(field, node, scope->base, source);
    } else {
        read_value(field, node, (char *)scope->base + field->offset, source);
    }
}

static void read_map(struct scope *scope, const struct config_node *map, struct span prefix,
                     struct config_source *source)
{
    for (const struct config_node *key = map->first; key; key = key->next) {
        const struct config_field *field = field_find(prefix, key->text);

        if (field) {
            read_field(scope, field, key, source);
        } else {
            report_unknown(source, prefix, key);
        }
    }
}

static void apply_defaults(struct scope *scope, const struct config_node *map,
                           struct config_source *source);

/* Quotes are there for the example file. */
static struct span default_text(const struct config_field *field)
{
    struct span text = span_from_string(field->default_text);

    return text.len >= 2 && text.data[0] == '"' ? span_sub(text, 1, text.len - 2) : text;
}

static void default_value(const struct config_field *field, struct span text, void *place,
                          struct config_source *source)
{
    char error[CONFIG_VALUE_ERROR_MAX];

    if (!config_value_read(field, text, place, error)) {
        config_file_error(source, "%s, by default: %s", field->path, error);
    }
}

/* A default of a list is "[]", "[{}]" (one element, all defaults) or "[a, b]". */
static void default_list(const struct config_field *field, void *base, struct config_source *source)
{
    struct span text = span_from_string(field->default_text);
    struct span inside = span_sub(text, 1, text.len - 2);
    size_t count = inside.len != 0;
    char *items;

    for (size_t i = 0; i < inside.len; i++) {
        count += inside.data[i] == ',';
    }
    items = list_allocate(field, base, count);
    if (!items && count) {
        config_file_error(source, "out of memory");
        return;
    }
    for (; inside.len; items += field->item_size) {
        size_t len = span_find(inside, ',');
        if (field->type == CONFIG_MAP_LIST) {
            apply_defaults(&(struct scope){.list = field, .base = items}, NULL, source);
        } else {
            default_value(field, span_trim(span_sub(inside, 0, len)), items, source);
        }
        inside = span_skip(inside, len + 1);
    }
}

/* Whether a key of the map looks like this field misspelt: one error is enough for that. */
static bool is_misspelt(const struct config_field *field, const struct config_node *map)
{
    struct span prefix = path_prefix(field->path);

    for (const struct config_node *key = map->first; key; key = key->next) {
        if (!field_find(prefix, key->text) &&
            span_equal(key_meant(prefix, key->text), span_from_string(config_field_name(field)))) {
            return true;
        }
    }
    return false;
}

/* For what the map did not give. `map` is null when the struct itself is a default. */
static void apply_defaults(struct scope *scope, const struct config_node *map,
                           struct config_source *source)
{
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        const struct config_field *field = &config_fields[i];

        if (!config_field_is_in(field, scope->list) || scope->keys[i] ||
            field->type == CONFIG_SECTION) {
            continue;
        }
        if (map && field->change == CONFIG_REQUIRED) {
            if (!config_source_has_room(source) || !is_misspelt(field, map)) {
                config_error(source, map->mark, "%s is missing here", config_field_name(field));
            }
        } else if (config_field_is_list(field) && field->default_text) {
            default_list(field, scope->base, source);
        } else if (field->default_text) {
            default_value(field, default_text(field), (char *)scope->base + field->offset, source);
        }
    }
}

static void read_scope(struct scope *scope, const struct config_node *map,
                       struct config_source *source)
{
    char prefix[64];
    int len = snprintf(prefix, sizeof(prefix), "%s[].", scope->list ? scope->list->path : "");

    ASSERT(len > 0 && (size_t)len < sizeof(prefix));
    if (map) {
        read_map(scope, map, span_make(prefix, scope->list ? (size_t)len : 0), source);
    }
    apply_defaults(scope, map, source);
}

static void name_rules(struct config *config, struct config_source *source)
{
    for (size_t i = 0; i < config->intercept.rule_count; i++) {
        struct config_rule *rule = &config->intercept.rules[i];
        char name[32];

        if (!rule->name) {
            snprintf(name, sizeof(name), "rule %zu", i + 1);
            rule->name = strdup(name);
            if (!rule->name) {
                config_file_error(source, "out of memory");
            }
        }
    }
}

void config_read(struct config *config, const struct config_node *root,
                 struct config_source *source)
{
    struct scope scope = {.base = config};

    if (root && root->kind != CONFIG_NODE_MAP && !config_node_is_nothing(root)) {
        config_error(source, root->mark, "expected a map of keys, found %s",
                     config_node_name(root));
        return;
    }
    read_scope(&scope, root && root->kind == CONFIG_NODE_MAP ? root : NULL, source);
    name_rules(config, source);
}
