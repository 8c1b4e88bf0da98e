/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list: intrusive doubly linked list with a sentinel. A node that is in no list points to itself,
 * so list_remove() is safe to call twice and list_is_linked() needs no flag.
 */
#ifndef WEIR_BASE_LIST_H
#define WEIR_BASE_LIST_H

#include "core/base/assert.h"

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *next;
    struct list_node *prev;
};

static inline void list_init(struct list_node *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool list_is_empty(const struct list_node *head)
{
    return head->next == head;
}

static inline bool list_is_linked(const struct list_node *node)
{
    return node->next != node;
}

static inline void list_push_back(struct list_node *head, struct list_node *node)
{
    ASSERT_SLOW(!list_is_linked(node));
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_push_front(struct list_node *head, struct list_node *node)
{
    list_push_back(head->next, node);
}

static inline void list_remove(struct list_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline struct list_node *list_pop_front(struct list_node *head)
{
    struct list_node *first = head->next;
    if (first == head) {
        return NULL;
    }
    /* The analyzer loses a node's way out of its list, and takes it for still there when freed. */
    list_remove(first); /* NOLINT(clang-analyzer-unix.Malloc) */
    return first;
}

#define LIST_FOREACH(node, head)                                                                   \
    for (struct list_node *node = (head)->next; node != (head); node = node->next)

/* The body may remove `node`. */
#define LIST_FOREACH_SAFE(node, head)                                                              \
    for (struct list_node *node = (head)->next, *node##_next = node->next; node != (head);         \
         node = node##_next, node##_next = node->next)

#endif
