/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/close_reason.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const char *const written[] = {
    "OPEN",
#define CLOSE_REASON(name, is_error, sentence) #name,
#include "core/session/close_reason.def"
#undef CLOSE_REASON
};

/* Whole, in lower case, and unlike all others: the log's readers tell reasons by them. */
static void names_are_whole_and_different(void **state)
{
    char name[CLOSE_REASON_COUNT][64];

    (void)state;
    for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
        snprintf(name[i], sizeof(name[i]), "%s", close_reason_name((enum close_reason)i));
        assert_int_equal(strlen(name[i]), strlen(written[i]));
        assert_int_equal(strcasecmp(name[i], written[i]), 0);
        for (const char *at = name[i]; *at; at++) {
            assert_true(islower((unsigned char)*at) || *at == '_');
        }
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(name[i], name[j]);
        }
    }
    assert_string_equal(name[CLOSE_CLIENT_DONE], "client_done");
    assert_string_equal(name[CLOSE_GRACE_OVER], "grace_over");
}

static void each_has_a_sentence_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
        const char *text = close_reason_text((enum close_reason)i);
        assert_true(strlen(text) > 10);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(text, close_reason_text((enum close_reason)j));
        }
    }
}

static void errors_are_told_from_ends(void **state)
{
    static const enum close_reason end[] = {CLOSE_NONE,      CLOSE_CLIENT_DONE, CLOSE_SERVER_DONE,
                                            CLOSE_BOTH_DONE, CLOSE_ANSWERED,    CLOSE_IDLE,
                                            CLOSE_DRAINED,   CLOSE_REFUSED,     CLOSE_UNAUTHORIZED};
    int ends = 0;

    (void)state;
    for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
        ends += !close_reason_is_error((enum close_reason)i);
    }
    assert_int_equal(ends, sizeof(end) / sizeof(end[0]));
    for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++) {
        assert_false(close_reason_is_error(end[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_whole_and_different),
        cmocka_unit_test(each_has_a_sentence_of_its_own),
        cmocka_unit_test(errors_are_told_from_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
