/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials in Proxy-Authorization: what is Basic, and what is nearly so. */
#include "http/credentials.h"

#include "core/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { ROOM = 16 };

static enum http_credentials read_field(struct http_basic *basic, const char *name,
                                        const char *value, size_t count)
{
    static uint8_t memory[ROOM];
    static struct http_head head;

    head.field_count = count;
    for (size_t i = 0; i < count; i++) {
        head.fields[i] =
            (struct http_field){span_from_string(name), span_from_string(value), 0, false};
    }
    return http_read_basic(basic, &head, memory, sizeof(memory));
}

static void basic_is_read(void **state)
{
    static const struct {
        const char *value;
        const char *name;
        const char *password;
    } rows[] = {
        {"Basic QWxhZGRpbjpvcGVu", "Aladdin", "open"},
        {"basic  YTpi", "a", "b"},
        {"BASIC YTpiOmM=", "a", "b:c"},
        {"Basic Og==", "", ""},
        {"Basic YTo=", "a", ""},
        {"Basic OmI=", "", "b"},
        {"Basic MDEyMzQ1NjoxMjM0NTY3OA==", "0123456",
         "12345678"}, /* as much as there is room for */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_basic basic;
        assert_int_equal(read_field(&basic, "proxy-AUTHORIZATION", rows[i].value, 1),
                         HTTP_CREDENTIALS_BASIC);
        assert_true(span_equal(basic.name, span_from_string(rows[i].name)));
        assert_true(span_equal(basic.password, span_from_string(rows[i].password)));
    }
}

static void everything_else_is_bad(void **state)
{
    static const char *const rows[] = {"",
                                       "Basic",
                                       "Basic ",
                                       "Basic YTpi=",
                                       "Basic YTo",
                                       "Basic YWI=" /* no colon */,
                                       "BasicYTpi",
                                       "Bearer YTpi",
                                       "Digest username=\"a\"",
                                       "Basic YTpi, Basic YTpi",
                                       "Basic\tYTpi",
                                       "Basic MDEyMzQ1NjoxMjM0NTY3ODk=" /* one too many */};
    struct http_basic basic;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(read_field(&basic, "Proxy-Authorization", rows[i], 1),
                         HTTP_CREDENTIALS_BAD);
    }
    assert_int_equal(read_field(&basic, "Proxy-Authorization", "Basic YTpi", 2),
                     HTTP_CREDENTIALS_BAD);
    assert_int_equal(read_field(&basic, "Proxy-Authorization", "", 0), HTTP_CREDENTIALS_NONE);
    assert_int_equal(read_field(&basic, "Authorization", "Basic YTpi", 1), HTTP_CREDENTIALS_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(basic_is_read),
        cmocka_unit_test(everything_else_is_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
