/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/table.h"

#include <errno.h>
#include <stdlib.h>

int table_init(struct table *table, size_t expected)
{
    table->count = 0;
    table->bucket_count = 16;
    while (table->bucket_count < expected) {
        table->bucket_count *= 2;
    }
    table->buckets = calloc(table->bucket_count, sizeof(struct table_node *));
    return table->buckets ? 0 : -ENOMEM;
}

void table_fini(struct table *table)
{
    free(table->buckets);
    *table = (struct table){NULL, 0, 0};
}

static void link_node(struct table_node **buckets, size_t count, struct table_node *node)
{
    struct table_node **bucket = &buckets[node->hash & (count - 1)];
    node->next = *bucket;
    *bucket = node;
}

/* Without memory for more buckets the table works on, with longer chains. */
static void grow(struct table *table)
{
    size_t count = table->bucket_count * 2;
    struct table_node **buckets = calloc(count, sizeof(struct table_node *));

    if (!buckets) {
        return;
    }
    for (size_t i = 0; i < table->bucket_count; i++) {
        struct table_node *node = table->buckets[i];
        while (node) {
            struct table_node *next = node->next;
            link_node(buckets, count, node);
            node = next;
        }
    }
    free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = count;
}

void table_insert(struct table *table, struct table_node *node, uint64_t hash)
{
    node->hash = hash;
    if (table->count >= table->bucket_count) {
        grow(table);
    }
    link_node(table->buckets, table->bucket_count, node);
    table->count++;
}

void table_remove(struct table *table, struct table_node *node)
{
    struct table_node **at = &table->buckets[node->hash & (table->bucket_count - 1)];

    while (*at != node) {
        ASSERT(*at);
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    table->count--;
}

static struct table_node *same_hash(struct table_node *node, uint64_t hash)
{
    while (node && node->hash != hash) {
        node = node->next;
    }
    return node;
}

struct table_node *table_first(const struct table *table, uint64_t hash)
{
    return same_hash(table->buckets[hash & (table->bucket_count - 1)], hash);
}

struct table_node *table_next(const struct table_node *node)
{
    return same_hash(node->next, node->hash);
}
