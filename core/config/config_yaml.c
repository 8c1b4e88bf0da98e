/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config/config_yaml.h"

#include <stdlib.h>
#include <yaml.h>

/* One pass over libyaml's events. */
struct builder {
    struct config_source *source;
    struct config_node *root;
    struct config_node *open; /* the innermost list or map that has not ended */
    struct config_node *key;  /* of `open`, waiting for its value */
    size_t node_count;
    size_t depth;
    bool has_document;
    bool stopped; /* an error after which the rest cannot be placed */
};

static struct config_mark mark_of(yaml_mark_t mark)
{
    return (struct config_mark){(uint32_t)mark.line, (uint32_t)mark.column};
}

/* Frees without recursion: the depth is the text's choice. */
void config_node_free(struct config_node *node)
{
    while (node) {
        struct config_node *next;

        /* What hangs below goes between this node and the next one. */
        if (node->value) {
            node->value->next = node->next;
            node->next = node->value;
        }
        if (node->first) {
            node->last->next = node->next;
            node->next = node->first;
        }
        next = node->next;
        free(node);
        node = next;
    }
}

const struct config_node *config_node_item(const struct config_node *list, size_t index)
{
    const struct config_node *item;

    if (!list || list->kind != CONFIG_NODE_LIST) {
        return index == 0 ? list : NULL;
    }
    for (item = list->first; item && index; index--) {
        item = item->next;
    }
    return item;
}

const struct config_node *config_node_find(const struct config_node *root, const char *path)
{
    while (root && *path) {
        struct span name = span_make(path, strcspn(path, "."));
        const struct config_node *key = root->kind == CONFIG_NODE_MAP ? root->first : NULL;

        while (key && !span_equal(key->text, name)) {
            key = key->next;
        }
        root = key ? key->value : NULL;
        path += name.len + (path[name.len] == '.');
    }
    return root;
}

const char *config_node_name(const struct config_node *node)
{
    switch (node->kind) {
    case CONFIG_NODE_LIST:
        return "a list";
    case CONFIG_NODE_MAP:
        return "a map of keys";
    default:
        return config_node_is_nothing(node) ? "nothing" : "a single value";
    }
}

static void stop(struct builder *b, yaml_mark_t mark, const char *sentence)
{
    config_error(b->source, mark_of(mark), "%s", sentence);
    b->stopped = true;
}

static struct config_node *node_new(struct builder *b, enum config_node_kind kind,
                                    const yaml_event_t *event, struct span text)
{
    struct config_node *node;

    if (b->node_count == CONFIG_NODES_MAX) {
        stop(b, event->start_mark, "too many values for a configuration");
        return NULL;
    }
    node = calloc(1, sizeof(*node) + text.len + 1);
    if (!node) {
        stop(b, event->start_mark, "out of memory");
        return NULL;
    }
    node->kind = kind;
    node->mark = mark_of(event->start_mark);
    node->text = span_make(node + 1, text.len);
    if (text.len) {
        memcpy(node + 1, text.data, text.len);
    }
    b->node_count++;
    return node;
}

static void node_place(struct builder *b, struct config_node *node)
{
    struct config_node *open = b->open;

    node->parent = open;
    if (!open) {
        ASSERT(!b->root);
        b->root = node;
    } else if (open->kind == CONFIG_NODE_MAP && b->key) {
        b->key->value = node;
        b->key = NULL;
    } else {
        if (open->last) {
            open->last->next = node;
        } else {
            open->first = node;
        }
        open->last = node;
        open->count++;
        if (open->kind == CONFIG_NODE_MAP) {
            b->key = node;
        }
    }
}

static bool is_key(const struct builder *b)
{
    return b->open && b->open->kind == CONFIG_NODE_MAP && !b->key;
}

/* Anchors and tags change what a text means away from where it is read: none is taken. */
static void check_properties(struct builder *b, const yaml_event_t *event,
                             const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor) {
        config_error(b->source, mark_of(event->start_mark),
                     "anchors (&name) and aliases (*name) are not taken; write the value again");
    }
    if (tag) {
        config_error(b->source, mark_of(event->start_mark),
                     "tags (!name) are not taken; the type of a value comes from its key");
    }
}

static void on_scalar(struct builder *b, const yaml_event_t *event)
{
    struct span text = span_make(event->data.scalar.value, event->data.scalar.length);
    struct config_node *node;

    check_properties(b, event, event->data.scalar.anchor, event->data.scalar.tag);
    if (text.len && memchr(text.data, 0, text.len)) {
        config_error(b->source, mark_of(event->start_mark), "a value cannot hold a NUL character");
        text = (struct span){NULL, 0};
    }
    node = node_new(b, CONFIG_NODE_SCALAR, event, text);
    if (node) {
        node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        node_place(b, node);
    }
}

static void on_open(struct builder *b, const yaml_event_t *event, enum config_node_kind kind)
{
    struct config_node *node;

    if (is_key(b)) {
        stop(b, event->start_mark, "a key must be plain text");
        return;
    }
    if (b->depth == CONFIG_DEPTH_MAX) {
        stop(b, event->start_mark, "nested more than 32 levels deep");
        return;
    }
    node = node_new(b, kind, event, (struct span){NULL, 0});
    if (node) {
        node_place(b, node);
        b->open = node;
        b->depth++;
    }
}

static void on_close(struct builder *b)
{
    ASSERT(b->open && !b->key);
    b->open = b->open->parent;
    b->depth--;
}

static void on_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->has_document) {
            stop(b, event->start_mark, "a second document begins here; a configuration is one");
        }
        b->has_document = true;
        break;
    case YAML_ALIAS_EVENT:
        stop(
            b, event->start_mark,
            "anchors (&name) and aliases (*name) are not taken; write the value again, or put what "
            "begins with * in quotes");
        break;
    case YAML_SCALAR_EVENT:
        on_scalar(b, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        check_properties(b, event, event->data.sequence_start.anchor,
                         event->data.sequence_start.tag);
        on_open(b, event, CONFIG_NODE_LIST);
        break;
    case YAML_MAPPING_START_EVENT:
        check_properties(b, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        on_open(b, event, CONFIG_NODE_MAP);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        on_close(b);
        break;
    default:
        break;
    }
}

/* The text from the start of a line on; empty when there is no such line. */
static struct span text_from_line(struct span text, uint32_t number)
{
    for (uint32_t line = 0; line < number && text.len;) {
        size_t len = config_line_break(text);
        line += len != 0;
        text = span_skip(text, len ? len : 1);
    }
    return text;
}

/* What people usually did when libyaml says this; empty when it is clear enough. */
static const char *hint_for(const struct config_source *source, const yaml_parser_t *parser)
{
    struct span line = text_from_line(source->text, (uint32_t)parser->problem_mark.line);
    size_t spaces = 0;

    while (spaces < line.len && line.data[spaces] == ' ') {
        spaces++;
    }
    if (spaces < line.len && line.data[spaces] == '\t') {
        return " (a tab cannot indent YAML: use spaces)";
    }
    if (parser->context && strstr(parser->context, "scanning an alias")) {
        return " (put what begins with * in quotes)";
    }
    if (strstr(parser->problem, "cannot start any token")) {
        return " (put the value in quotes)";
    }
    if (strstr(parser->problem, "mapping values are not allowed")) {
        return " (is the indentation uneven, or a space missing after a colon above?)";
    }
    return "";
}

static void report_problem(struct config_source *source, const yaml_parser_t *parser)
{
    struct config_mark mark = mark_of(parser->problem_mark);
    struct config_mark context = mark_of(parser->context_mark);

    if (parser->error == YAML_MEMORY_ERROR) {
        config_file_error(source, "out of memory");
    } else if (!parser->context) {
        config_error(source, mark, "YAML: %s%s", parser->problem, hint_for(source, parser));
    } else if (text_from_line(source->text, mark.line).len == 0) {
        /* What has no end is better shown where it begins. */
        config_error(source, context, "YAML: %s, %s", parser->problem, parser->context);
    } else {
        config_error(source, mark, "YAML: %s, %s (begun on line %u)%s", parser->problem,
                     parser->context, context.line + 1, hint_for(source, parser));
    }
}

/* libyaml names a byte when it meets what is not text; this names the line and the column. */
static bool check_characters(struct config_source *source)
{
    struct span rest = source->text;
    struct config_mark mark = {0, 0};

    while (rest.len) {
        uint32_t c = 0;
        size_t len = config_utf8_next(rest, &c);
        size_t break_len = config_line_break(rest);

        if (!len) {
            config_error(source, mark, "not UTF-8: byte 0x%02x", rest.data[0]);
            return false;
        }
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') ||
            (c >= 0x7f && c < 0xa0 && c != 0x85) || c == 0xfffe || c == 0xffff) {
            config_error(source, mark, "control character U+%04X", c);
            return false;
        }
        mark = break_len ? (struct config_mark){mark.line + 1, 0}
                         : (struct config_mark){mark.line, mark.column + 1};
        rest = span_skip(rest, break_len ? break_len : len);
    }
    return true;
}

static bool parse_events(struct builder *b, yaml_parser_t *parser)
{
    yaml_event_t event;
    yaml_event_type_t type = YAML_NO_EVENT;

    while (type != YAML_STREAM_END_EVENT && !b->stopped) {
        if (!yaml_parser_parse(parser, &event)) {
            report_problem(b->source, parser);
            return false;
        }
        type = event.type;
        on_event(b, &event);
        yaml_event_delete(&event);
    }
    return !b->stopped;
}

struct config_node *config_yaml_parse(struct config_source *source)
{
    struct builder b = {.source = source};
    yaml_parser_t parser;

    if (source->text.len > CONFIG_FILE_MAX) {
        config_file_error(source, "larger than 1 MiB; a configuration is not");
        return NULL;
    }
    if (source->text.len >= 3 && memcmp(source->text.data, "\xef\xbb\xbf", 3) == 0) {
        source->text = span_skip(source->text, 3); /* a byte order mark is no column */
    }
    if (!check_characters(source)) {
        return NULL;
    }
    if (!yaml_parser_initialize(&parser)) {
        config_file_error(source, "out of memory");
        return NULL;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(
        &parser, source->text.len ? source->text.data : (const uint8_t *)"", source->text.len);
    if (!parse_events(&b, &parser)) {
        config_node_free(b.root);
        b.root = NULL;
    }
    yaml_parser_delete(&parser);
    return b.root;
}
