/* SPDX-License-Identifier: Apache-2.0 */
/* Lists: grammar, the four sets, both modes of matching, writing and merging. */
#include "detect/request_signature.h"

#include "tests/unit/detect/words_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static enum match_level match_rules(const char *signature, const char *fingerprint,
                                    struct list_match_rules rules, uint32_t *similarity)
{
    static struct value_set set;
    uint16_t numbers[WORD_LIST_MAX];
    struct number_list list;
    struct word_list seen;
    struct list_signature sig;
    struct detect_fault fault;
    enum match_level level;

    assert_true(list_signature_parse(&sig, span_from_string(signature),
                                     rules.is_words ? words : NULL, &fault));
    if (rules.is_words) {
        assert_true(word_list_parse(&seen, span_from_string(fingerprint), &fault));
        for (size_t i = 0; i < seen.count; i++) {
            numbers[i] = words_find(words, seen.items[i]);
        }
        value_set_make(&set, numbers, seen.count);
    } else {
        assert_true(number_list_parse(&list, span_from_string(fingerprint), &fault));
        value_set_make(&set, list.items, list.count);
    }
    level = list_signature_match(&sig, rules, &set, similarity);
    list_signature_fini(&sig);
    return level;
}

static enum match_level match_numbers(const char *signature, const char *fingerprint,
                                      enum detect_mode mode)
{
    return match_rules(signature, fingerprint, (struct list_match_rules){mode, false, false}, NULL);
}

static enum match_level match_words(const char *signature, const char *fingerprint,
                                    enum detect_mode mode)
{
    return match_rules(signature, fingerprint, (struct list_match_rules){mode, true, false}, NULL);
}

static void test_ordered(void **state)
{
    (void)state;
    for (int mode = DETECT_DEFAULT; mode <= DETECT_COMPATIBLE; mode++) {
        enum detect_mode m = (enum detect_mode)mode;
        assert_int_equal(match_numbers("1,2,?3", "1,2", m), MATCH_POSSIBLE);
        assert_int_equal(match_numbers("1,2,?3", "1,2,3", m), MATCH_POSSIBLE);
        assert_int_equal(match_numbers("1,2,?3", "2,1", m), MATCH_IMPOSSIBLE);
        assert_int_equal(match_numbers("1,2,?3", "1,3", m), MATCH_IMPOSSIBLE);
        assert_int_equal(match_numbers("1,2", "1,2,4", m), MATCH_IMPOSSIBLE);
        assert_int_equal(match_numbers("1,!2", "1,2", m), MATCH_UNLIKELY);
        assert_int_equal(match_numbers("1,^2", "1", m), MATCH_POSSIBLE);
        assert_int_equal(match_numbers("1,1", "1,1", m), MATCH_POSSIBLE);
        assert_int_equal(match_numbers("1", "1,1", m), MATCH_IMPOSSIBLE);
        assert_int_equal(match_numbers("", "", m), MATCH_POSSIBLE);
        assert_int_equal(match_numbers("", "1", m), MATCH_IMPOSSIBLE);
        assert_int_equal(match_words("", "host", m), MATCH_IMPOSSIBLE);
    }
}

static void test_any_order(void **state)
{
    struct list_match_rules rules = {DETECT_DEFAULT, false, true};

    (void)state;
    assert_int_equal(match_rules("1,2,?3", "3,2,1", rules, NULL), MATCH_POSSIBLE);
    assert_int_equal(match_rules("1,2,?3", "2,1", rules, NULL), MATCH_POSSIBLE);
    assert_int_equal(match_rules("1,2,?3", "3,2", rules, NULL), MATCH_IMPOSSIBLE);
    assert_int_equal(match_rules("1,2,?3", "3,2,1,4", rules, NULL), MATCH_IMPOSSIBLE);
}

static void test_unordered(void **state)
{
    (void)state;
    assert_int_equal(match_numbers("~1", "1,3", DETECT_COMPATIBLE), MATCH_POSSIBLE);
    assert_int_equal(match_numbers("~1", "1,3", DETECT_DEFAULT), MATCH_IMPOSSIBLE);
    assert_int_equal(match_numbers("~1,?2", "1,3", DETECT_COMPATIBLE), MATCH_UNLIKELY);
    assert_int_equal(match_numbers("~1,?2", "1,3", DETECT_DEFAULT), MATCH_IMPOSSIBLE);
    assert_int_equal(match_numbers("~1,?2,!4", "1,3", DETECT_COMPATIBLE), MATCH_IMPOSSIBLE);
    assert_int_equal(match_numbers("~1,?2,!4", "4,1", DETECT_COMPATIBLE), MATCH_UNLIKELY);
    assert_int_equal(match_numbers("~1,?2,!4", "4,1", DETECT_DEFAULT), MATCH_UNLIKELY);
    assert_int_equal(match_numbers("*1", "3,1", DETECT_COMPATIBLE), MATCH_POSSIBLE);
    assert_int_equal(match_numbers("*1", "3,1", DETECT_DEFAULT), MATCH_POSSIBLE);
    assert_int_equal(match_numbers("*1,^3", "3,1", DETECT_DEFAULT), MATCH_IMPOSSIBLE);
    assert_int_equal(match_numbers("*", "", DETECT_DEFAULT), MATCH_POSSIBLE);
    assert_int_equal(match_words("~a,?b", "a,c", DETECT_COMPATIBLE), MATCH_IMPOSSIBLE);
    assert_int_equal(match_words("~a", "a,c", DETECT_COMPATIBLE), MATCH_POSSIBLE);
    assert_int_equal(match_words("~a", "a,c", DETECT_DEFAULT), MATCH_IMPOSSIBLE);
    assert_int_equal(match_words("*a", "unheard,a", DETECT_DEFAULT), MATCH_POSSIBLE);
}

/* A value in two sets counts in each. */
static void test_overlap(void **state)
{
    struct list_match_rules rules = {DETECT_COMPATIBLE, false, false};
    uint32_t similarity;

    (void)state;
    assert_int_equal(match_rules("~1,?1,?2", "1,2", rules, &similarity), MATCH_POSSIBLE);
    assert_int_equal(similarity, 3);
    assert_int_equal(match_rules("~1,?1,!1", "1", rules, &similarity), MATCH_POSSIBLE);
    assert_int_equal(match_rules("~1,?1,!2", "1,2", rules, &similarity), MATCH_UNLIKELY);
    assert_int_equal(match_rules("~1,2", "2", rules, &similarity), MATCH_IMPOSSIBLE);
    assert_int_equal(similarity, 1);
}

static void expect_written(const char *signature, const char *expected, bool is_words,
                           enum detect_mode mode)
{
    char memory[256];
    struct text out = text_make(memory, sizeof(memory));
    struct list_signature sig;
    struct detect_fault fault;

    assert_true(
        list_signature_parse(&sig, span_from_string(signature), is_words ? words : NULL, &fault));
    list_signature_print(&out, &sig, is_words ? words : NULL, mode);
    assert_true(out.len <= list_signature_text_max(&sig, is_words ? words : NULL));
    list_signature_fini(&sig);
    assert_true(span_equal(text_view(&out), span_from_string(expected)));
}

static void test_written(void **state)
{
    (void)state;
    expect_written("*0A,1", "~1,a", false, DETECT_COMPATIBLE);
    expect_written("*0A,1", "*1,a", false, DETECT_DEFAULT);
    expect_written("~?1", "*?1", false, DETECT_COMPATIBLE);
    expect_written("~?1", "~?1", false, DETECT_DEFAULT);
    expect_written("*b,a", "*a,b", true, DETECT_COMPATIBLE);
    expect_written("~b,?a", "~?a,b", true, DETECT_COMPATIBLE);
    expect_written("3,^2,!1,^0", "3,!1,^0,^2", false, DETECT_DEFAULT);
    expect_written("~1,!1", "~!1,!1", false, DETECT_DEFAULT);
    expect_written("^1", "^1", false, DETECT_DEFAULT);
    expect_written("?,!?x", "?,!?x", true, DETECT_DEFAULT);
}

static void expect_fault(const char *signature, bool is_words, size_t offset)
{
    struct list_signature sig;
    struct detect_fault fault;

    assert_false(
        list_signature_parse(&sig, span_from_string(signature), is_words ? words : NULL, &fault));
    assert_int_equal(fault.offset, offset);
    assert_non_null(fault.expected);
}

static void test_faults(void **state)
{
    char many[3 * LIST_SIGNATURE_MAX + 8] = "1";

    (void)state;
    expect_fault("1,,2", false, 2);
    expect_fault("1,", false, 2);
    expect_fault("~,1", false, 1);
    expect_fault("1,?", false, 3);
    expect_fault("!?1", false, 1);
    expect_fault("1,~2", false, 2);
    expect_fault("10000", false, 0);
    expect_fault("0x1", false, 0);
    expect_fault("a,,b", true, 2);
    for (size_t i = 0; i < LIST_SIGNATURE_MAX; i++) {
        memcpy(many + 1 + 2 * i, ",1", 3);
    }
    expect_fault(many, false, 0);
}

static void expect_merged(const char *a, const char *b, const char *expected, enum detect_mode mode)
{
    char memory[256];
    struct text out = text_make(memory, sizeof(memory));
    struct list_signature left, right, merged;
    struct detect_fault fault;

    assert_true(list_signature_parse(&left, span_from_string(a), NULL, &fault));
    assert_true(list_signature_parse(&right, span_from_string(b), NULL, &fault));
    assert_true(list_signature_merge(&merged, &left, &right, mode, NULL));
    list_signature_print(&out, &merged, NULL, mode);
    list_signature_fini(&left);
    list_signature_fini(&right);
    list_signature_fini(&merged);
    assert_true(span_equal(text_view(&out), span_from_string(expected)));
}

static void test_merged(void **state)
{
    (void)state;
    expect_merged("1,2,3", "1,4,3", "1,?2,?4,3", DETECT_DEFAULT);
    expect_merged("1,2", "2,1", "~1,2", DETECT_DEFAULT);
    expect_merged("~1,2", "~2,3", "~?1,2,?3", DETECT_DEFAULT);
    expect_merged("~1", "~", "*", DETECT_COMPATIBLE);
    expect_merged("~1", "~", "~?1", DETECT_DEFAULT);
    expect_merged("~1,^5", "*1,^5", "*1,^5", DETECT_DEFAULT);
    expect_merged("~1,!2", "~1,2", "~1,?2", DETECT_DEFAULT);
    expect_merged("~1,2,?3", "*2", "*2", DETECT_DEFAULT);
}

static void test_versions(void **state)
{
    struct version_signature sig;
    struct detect_fault fault;
    char memory[64];
    struct text out = text_make(memory, sizeof(memory));

    (void)state;
    assert_true(version_signature_parse(&sig, SPAN_LITERAL("301,303,304"), &fault));
    assert_int_equal(version_signature_match(sig, 0x300), MATCH_IMPOSSIBLE);
    assert_int_equal(version_signature_match(sig, 0x302), MATCH_UNLIKELY);
    assert_int_equal(version_signature_match(sig, 0x303), MATCH_POSSIBLE);
    assert_int_equal(version_signature_match(sig, 0), MATCH_IMPOSSIBLE);
    version_signature_print(&out, sig, DETECT_COMPATIBLE);
    text_char(&out, ' ');
    version_signature_print(&out, sig, DETECT_DEFAULT);
    assert_true(span_equal(text_view(&out), SPAN_LITERAL("303,301,304 301,303,304")));
    assert_false(version_signature_parse(&sig, SPAN_LITERAL("303,302,"), &fault));
    assert_false(version_signature_parse(&sig, SPAN_LITERAL("303,302"), &fault));
    assert_false(version_signature_parse(&sig, SPAN_LITERAL("1,2,3,4"), &fault));
    assert_false(version_signature_parse(&sig, SPAN_LITERAL("305"), &fault));
    assert_true(version_signature_parse(&sig, SPAN_LITERAL(""), &fault));
    assert_int_equal(version_signature_match(sig, 0), MATCH_POSSIBLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ordered, words_set_up, words_tear_down),
        cmocka_unit_test_setup_teardown(test_any_order, words_set_up, words_tear_down),
        cmocka_unit_test_setup_teardown(test_unordered, words_set_up, words_tear_down),
        cmocka_unit_test_setup_teardown(test_overlap, words_set_up, words_tear_down),
        cmocka_unit_test_setup_teardown(test_written, words_set_up, words_tear_down),
        cmocka_unit_test_setup_teardown(test_faults, words_set_up, words_tear_down),
        cmocka_unit_test_setup_teardown(test_merged, words_set_up, words_tear_down),
        cmocka_unit_test(test_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
