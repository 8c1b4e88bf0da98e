/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/hello_facts.h"

#include "core/tools/hex.h"
#include "tests/unit/tools/capture_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct hello_builder builder;
static struct hello_facts facts;

/* Every prefix of the records and of the message is named as too short, at a place within it. */
static void test_every_length(void **state)
{
    struct span wire = kit_hello(&builder, "short.example");

    (void)state;
    for (size_t len = 0; len < wire.len; len++) {
        assert_false(hello_facts_gather(&facts, span_sub(wire, 0, len)));
        assert_non_null(strstr(facts.error, len ? "cut short at byte" : "no bytes"));
    }
    assert_true(hello_facts_gather(&facts, wire));
    assert_string_equal(facts.error, "");
    assert_string_equal(facts.ja3_full, "771,4865,0,,");
    assert_string_equal(facts.request_fingerprint, "303:1301:0::::");
    for (size_t len = 1; len < wire.len - 5; len++) {
        assert_false(hello_facts_gather(&facts, span_sub(wire, 5, len)));
        assert_non_null(strstr(facts.error, "is malformed at byte 1 of the handshake message"));
    }
    assert_true(hello_facts_gather(&facts, span_skip(wire, 5)));
}

/* A list that is longer than fingerprints go. */
static void test_long_list(void **state)
{
    struct hello_builder *b = &builder;

    (void)state;
    for (unsigned count = FINGERPRINT_LIST_MAX; count <= FINGERPRINT_LIST_MAX + 1; count++) {
        hello_start(b, 0x0303, 0);
        hello_u16(b, 2 * count);
        for (unsigned i = 0; i < count; i++) {
            hello_u16(b, 0xfff0);
        }
        hello_u16(b, 0x0100);
        b->bytes[2] = (uint8_t)((b->len - 4) >> 8);
        b->bytes[3] = (uint8_t)(b->len - 4);
        assert_int_equal(hello_facts_gather(&facts, span_make(b->bytes, b->len)),
                         count == FINGERPRINT_LIST_MAX);
    }
    assert_non_null(strstr(facts.error, "has no fingerprint"));
}

static long allocations_left;

static void *allocate(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void test_memory(void **state)
{
    bool done = false;

    (void)state;
    assert_true(hello_facts_gather(&facts, kit_hello(&builder, "memory.example")));
    for (long n = 0; !done; n++) {
        json_t *object = json_object();

        assert_true(n < 1000);
        assert_non_null(object);
        allocations_left = n;
        json_set_alloc_funcs(allocate, free);
        done = hello_facts_set(&facts, object);
        json_set_alloc_funcs(malloc, free);
        assert_true(!done || json_object_size(object) == 7);
        json_decref(object);
    }
}

static void test_hex(void **state)
{
    static const struct {
        const char *text;
        long len;
        const char *error;
    } rows[] = {
        {"", 0, ""},
        {"00fFA1", 3, ""},
        {" 00:ff\t0a\r\n", 3, ""},
        {"0", -1, "column 2: a hexadecimal digit expected, but the text ends"},
        {"00 f", -1, "column 5: a hexadecimal digit expected, but the text ends"},
        {"0 0", -1, "column 2: a hexadecimal digit expected, found \" \""},
        {"00g0", -1, "column 3: a hexadecimal digit expected, found \"g\""},
        {"0\x1b", -1, "column 2: a hexadecimal digit expected, found \"\\u001b\""},
        {"/0", -1, "column 1: a hexadecimal digit expected, found \"/\""},
        {"0@", -1, "column 2: a hexadecimal digit expected, found \"@\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t out[8];
        char room[200] = {0};
        struct text error = text_make(room, sizeof(room) - 1);

        assert_int_equal(hex_decode(out, span_from_string(rows[i].text), &error), rows[i].len);
        assert_string_equal(room, rows[i].error);
        assert_true(rows[i].len < 3 || out[1] == 0xff);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_long_list),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
