/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_yaml: a YAML text as a tree of nodes that know their places. Refused, with their places:
 * what is not UTF-8, control characters, anchors and aliases, tags, several documents, and whatever
 * libyaml refuses. Scalars stay text; what they mean is the table's business.
 */
#ifndef WEIR_CONFIG_YAML_H
#define WEIR_CONFIG_YAML_H

#include "core/base/assert.h"
#include "core/config/config_report.h"

enum {
    CONFIG_FILE_MAX = 1 << 20, /* bytes */
    CONFIG_DEPTH_MAX = 32,
    CONFIG_NODES_MAX = 100000,
};

enum config_node_kind { CONFIG_NODE_SCALAR, CONFIG_NODE_LIST, CONFIG_NODE_MAP };

/* Owned by the tree, whose root frees all. */
struct config_node {
    enum config_node_kind kind;
    bool quoted;             /* a scalar in quotes, or a block: "" is a value, nothing is not */
    struct config_mark mark; /* where it begins */
    struct span text;        /* of a scalar; a NUL follows */
    struct config_node *first, *last; /* items, or keys */
    size_t count;
    struct config_node *next;  /* the following item or key */
    struct config_node *value; /* of a key */
    struct config_node *parent;
};

/*
 * Null when the text holds nothing but comments, and when an error left no tree. A tree may come
 * with errors, too: those that leave its shape intact. The caller frees it.
 */
struct config_node *config_yaml_parse(struct config_source *source) MUST_CHECK;
void config_node_free(struct config_node *node);

/* A scalar that was left away: "key:" and nothing after it. */
static inline bool config_node_is_nothing(const struct config_node *node)
{
    return node->kind == CONFIG_NODE_SCALAR && !node->quoted && node->text.len == 0;
}

/* The value under a dotted path of plain map keys, or null. */
const struct config_node *config_node_find(const struct config_node *root, const char *path);

/* The item of a list; a single scalar stands for a list of itself. Null when there is none. */
const struct config_node *config_node_item(const struct config_node *list, size_t index);

/* "a list", "a map", "text": for messages. */
const char *config_node_name(const struct config_node *node);

#endif
