/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of a header is what the parser says of it. */
#include "detect/user_agent_memo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static unsigned parse_count;

static void seam_parse(struct ua_fingerprint *fp, struct span raw, enum user_agent_mode mode)
{
    parse_count++;
    user_agent_parse(fp, raw, mode);
}

#define user_agent_parse seam_parse
#include "detect/user_agent_memo.c"
#undef user_agent_parse

static struct user_agent_memo *memo;

/* Was it remembered? */
static bool recall(struct span raw, enum user_agent_mode mode)
{
    static struct ua_fingerprint fp, expected; /* both begin with zeros, and their gaps stay so */
    unsigned before = parse_count;

    fp.quirks.count = 7;
    user_agent_recall(memo, &fp, raw, mode);
    user_agent_parse(&expected, raw, mode);
    assert_memory_equal(&fp, &expected, NUMBERS_LEN);
    assert_int_equal(fp.quirks.count, 0);
    return parse_count == before;
}

static int set_up(void **state)
{
    (void)state;
    memo = user_agent_memo_new();
    return memo ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    user_agent_memo_free(memo);
    return 0;
}

/* In either mode, and one does not answer for the other. */
static void test_modes(void **state)
{
    static const struct span edge = {
        (const uint8_t *)"Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/131.0 Edg/131.0",
        71};

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_false(recall(edge, USER_AGENT_DEFAULT));
        assert_true(recall(edge, USER_AGENT_DEFAULT));
        assert_false(recall(edge, USER_AGENT_COMPATIBLE));
        assert_true(recall(edge, USER_AGENT_COMPATIBLE));
    }
}

/* What begins as another does, differs in one byte or is as long, is another one. */
static void test_likeness(void **state)
{
    char text[] = "curl/8.5.0";

    (void)state;
    for (size_t len = 1; len < sizeof(text); len++) {
        assert_false(recall(span_make(text, len), USER_AGENT_DEFAULT));
        assert_true(recall(span_make(text, len), USER_AGENT_DEFAULT));
    }
    text[5] = '9';
    assert_false(recall(span_from_string(text), USER_AGENT_DEFAULT));
    text[5] = '8';
    (void)recall(span_from_string(text), USER_AGENT_DEFAULT);
    assert_true(recall(span_from_string(text), USER_AGENT_DEFAULT));
}

/* An empty one has nothing to remember; one that is too long is parsed each time. */
static void test_lengths(void **state)
{
    char text[USER_AGENT_MEMO_LEN_MAX + 1];

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "Chrome/131.0 ", 13);
    for (int i = 0; i < 2; i++) {
        assert_false(recall(span_make(NULL, 0), USER_AGENT_DEFAULT));
        assert_false(recall(span_make(text, sizeof(text)), USER_AGENT_DEFAULT));
        assert_true(recall(span_make(text, sizeof(text) - 1), USER_AGENT_DEFAULT) == (i > 0));
    }
}

/* More than there is room for: some take the places of others, and all answers are right. */
static void test_many(void **state)
{
    unsigned recalled = 0;
    char text[64];

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < USER_AGENT_MEMO_COUNT * 2; i++) {
            snprintf(text, sizeof(text), "Mozilla/5.0 (X11; Linux) Gecko Firefox/%u.0", i);
            recalled += recall(span_from_string(text), USER_AGENT_DEFAULT);
            assert_true(recall(span_from_string(text), USER_AGENT_DEFAULT));
        }
    }
    assert_true(recalled < USER_AGENT_MEMO_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_modes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_likeness, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lengths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
