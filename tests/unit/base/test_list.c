/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

struct item {
    char name;
    struct list_node link;
};

static struct item a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
static struct list_node head;

static int set_up(void **state)
{
    (void)state;
    list_init(&head);
    list_init(&a.link);
    list_init(&b.link);
    list_init(&c.link);
    return 0;
}

/* The names forwards and, through `prev`, backwards. */
static void assert_items(const char *expected)
{
    size_t len = strlen(expected);
    size_t count = 0;
    const struct list_node *at = &head;

    LIST_FOREACH (node, &head) {
        assert_true(count < len);
        assert_int_equal(CONTAINER_OF(node, struct item, link)->name, expected[count++]);
    }
    assert_int_equal(count, len);
    while (count > 0) {
        at = at->prev;
        assert_int_equal(CONTAINER_OF(at, struct item, link)->name, expected[--count]);
    }
    assert_ptr_equal(at->prev, &head);
    assert_int_equal(list_is_empty(&head), len == 0);
}

static void nodes_stay_in_order(void **state)
{
    (void)state;
    assert_items("");
    list_push_back(&head, &b.link);
    assert_items("b");
    list_push_back(&head, &c.link);
    list_push_front(&head, &a.link);
    assert_items("abc");
    assert_true(list_is_linked(&b.link));
}

static void a_node_can_be_removed_twice(void **state)
{
    (void)state;
    list_remove(&a.link); /* in no list at all */
    list_push_back(&head, &a.link);
    list_push_back(&head, &b.link);
    list_push_back(&head, &c.link);
    list_remove(&b.link);
    assert_items("ac");
    assert_false(list_is_linked(&b.link));
    list_remove(&b.link);
    assert_items("ac");
    list_remove(&c.link);
    list_remove(&a.link);
    assert_items("");
    list_push_front(&head, &b.link);
    assert_items("b");
}

static void pop_takes_from_the_front(void **state)
{
    (void)state;
    assert_null(list_pop_front(&head));
    list_push_back(&head, &a.link);
    list_push_back(&head, &b.link);
    assert_ptr_equal(list_pop_front(&head), &a.link);
    assert_false(list_is_linked(&a.link));
    assert_items("b");
    assert_ptr_equal(list_pop_front(&head), &b.link);
    assert_null(list_pop_front(&head));
    assert_items("");
}

static void a_safe_walk_may_remove(void **state)
{
    char seen[8] = "";
    size_t count = 0;

    (void)state;
    list_push_back(&head, &a.link);
    list_push_back(&head, &b.link);
    list_push_back(&head, &c.link);
    LIST_FOREACH_SAFE (node, &head) {
        seen[count++] = CONTAINER_OF(node, struct item, link)->name;
        if (node != &b.link) {
            list_remove(node);
        }
    }
    assert_string_equal(seen, "abc");
    assert_items("b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nodes_stay_in_order, set_up),
        cmocka_unit_test_setup(a_node_can_be_removed_twice, set_up),
        cmocka_unit_test_setup(pop_takes_from_the_front, set_up),
        cmocka_unit_test_setup(a_safe_walk_may_remove, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
