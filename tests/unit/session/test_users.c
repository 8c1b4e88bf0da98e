/* SPDX-License-Identifier: Apache-2.0 */
/* Files of users: what is read, what is complained of and how, and passwords against hashes that
 * others made. */
#include "core/session/users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* Of crypt_blowfish's own tests, which are public. */
#define HASH_A "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" /* U*U */
#define HASH_Y "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
#define HASH_B "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK" /* U*U* */

static char *said;

static struct users *parse_span(struct span content, char *error)
{
    size_t len;
    FILE *out;
    struct users *users;

    free(said);
    out = open_memstream(&said, &len);
    assert_non_null(out);
    error[0] = '\0';
    users = users_parse(content, "FILE", out, error, 256);
    fclose(out);
    return users;
}

static struct users *parse(const char *content, char *error)
{
    return parse_span(span_from_string(content), error);
}

static void users_are_found(void **state)
{
    char error[256];
    struct users *users =
        parse("# a comment\n\nanna:" HASH_A "\r\n b c :" HASH_Y "  \n\xc3\xb6:" HASH_B, error);

    (void)state;
    assert_string_equal(said, "");
    assert_non_null(users);
    assert_int_equal(users_count(users), 3);
    assert_string_equal(users_find(users, SPAN_LITERAL("anna")), HASH_A);
    assert_string_equal(users_find(users, SPAN_LITERAL(" b c ")), HASH_Y);
    assert_string_equal(users_find(users, SPAN_LITERAL("\xc3\xb6")), HASH_B);
    assert_null(users_find(users, SPAN_LITERAL("Anna")));
    assert_null(users_find(users, SPAN_LITERAL("ann")));
    assert_null(users_find(users, SPAN_LITERAL("")));
    assert_null(users_find(users, SPAN_LITERAL("anna\0")));
    /* Who is not there has the hash of one who is, and always the same. */
    for (char c = 'a'; c <= 'z'; c++) {
        const char *decoy = users_decoy(users, span_make(&c, 1));
        assert_non_null(decoy);
        assert_ptr_equal(decoy, users_decoy(users, span_make(&c, 1)));
    }
    users_free(users);
}

static void a_file_may_be_empty(void **state)
{
    static const char *const rows[] = {"", "\n", "#", "# nobody\n\n", "  \n"};
    char error[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct users *users = parse(rows[i], error);
        assert_non_null(users);
        assert_int_equal(users_count(users), 0);
        assert_null(users_find(users, SPAN_LITERAL("")));
        assert_null(users_decoy(users, SPAN_LITERAL("a")));
        users_free(users);
    }
    users_free(NULL);
}

static void bad_lines_are_told(void **state)
{
    static const char tail[] = "CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    static const struct {
        const char *before;
        bool with_tail;
        const char *expected;
    } rows[] = {
        {"anna", false, "FILE:1: error: no colon: expected name:hash"},
        {":$2y$05$", true, "FILE:1: error: bad user name"},
        {"a\tb:$2y$05$", true, "FILE:1: error: bad user name \"a\\tb\""},
        {"\x1b[2J:$2y$05$", true, "FILE:1: error: bad user name \"\\u001b[2J\""},
        {"a:", false, "FILE:1: error: no bcrypt hash for \"a\""},
        {"a:password", false, "htpasswd -B FILE NAME makes one"},
        {"a:$apr1$xyz$abc", false, "FILE:1: error: no bcrypt hash"},
        {"a:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", false, "FILE:1: error: no bcrypt hash"},
        {"a:$2x$05$", true, "FILE:1: error: no bcrypt hash"},
        {"a:$2$05$C", true, "FILE:1: error: no bcrypt hash"},
        {"a:$2y$5$C", true, "FILE:1: error: no bcrypt hash"},
        {"a:$2y$05$C", true, "FILE:1: error: no bcrypt hash"},
        {"a: $2y$05$", true, "FILE:1: error: no bcrypt hash"},
        {"a:$2y$03$", true, "FILE:1: error: bcrypt cost out of range for \"a\": expected 4 to 17"},
        {"a:$2y$18$", true, "FILE:1: error: bcrypt cost out of range"},
        {"a:" HASH_Y "\na:$2y$05$", true,
         "FILE:2: error: a second line for \"a\": line 1 has the name already"},
        {"\n\n#\nx", false, "FILE:4: error: no colon"},
    };
    char error[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char content[256];
        snprintf(content, sizeof(content), "%s%s\n", rows[i].before, rows[i].with_tail ? tail : "");
        assert_null(parse(content, error));
        assert_non_null(strstr(said, rows[i].expected));
        assert_non_null(strstr(error, "FILE: 1 line is wrong"));
        assert_null(strstr(said, "E5YPO"));
        assert_null(strstr(said, ":password\""));
    }
}

static void costs_at_the_bounds_are_taken(void **state)
{
    char error[256];
    struct users *users = parse("a:$2y$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n"
                                "b:$2y$17$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n",
                                error);
    (void)state;
    assert_non_null(users);
    users_free(users);
}

static void every_limit_has_two_sides(void **state)
{
    enum { CAP = (USERS_MAX + 2) * 80 };
    char *content = malloc(CAP);
    char error[256];
    size_t len = 0;
    struct users *users;

    (void)state;
    assert_non_null(content);
    for (int count = 0; count < USERS_MAX; count++) {
        len += (size_t)snprintf(content + len, CAP - len, "%d:%s\n", count, HASH_Y);
    }
    users = parse_span(span_make(content, len), error);
    assert_non_null(users);
    assert_int_equal(users_count(users), USERS_MAX);
    assert_non_null(users_find(users, SPAN_LITERAL("16383")));
    users_free(users);
    len += (size_t)snprintf(content + len, CAP - len, "more:%s\n", HASH_Y);
    assert_null(parse_span(span_make(content, len), error));
    assert_non_null(strstr(said, "FILE:16385: error: too many users"));

    /* Names. */
    for (size_t name = USER_NAME_MAX; name <= USER_NAME_MAX + 1; name++) {
        memset(content, 'n', name);
        snprintf(content + name, CAP - name, ":%s\n", HASH_Y);
        users = parse(content, error);
        assert_int_equal(users != NULL, name == USER_NAME_MAX);
        users_free(users);
    }
    /* Lines, those that are skipped too. */
    for (size_t line = USERS_LINE_MAX; line <= USERS_LINE_MAX + 1; line++) {
        memset(content, '#', line);
        users = parse_span(span_make(content, line), error);
        assert_int_equal(users != NULL, line == USERS_LINE_MAX);
        users_free(users);
    }
    /* Complaints. */
    for (size_t i = 0; i < 25; i++) {
        memcpy(content + i * 2, "x\n", 2);
    }
    assert_null(parse_span(span_make(content, 50), error));
    assert_non_null(strstr(said, "FILE:20: error"));
    assert_null(strstr(said, "FILE:21: error"));
    assert_non_null(strstr(said, "FILE: and 5 more\n"));
    assert_string_equal(error, "FILE: 25 lines are wrong, see above");
    /* The file. */
    free(content);
    content = calloc(1, USERS_FILE_MAX + 1);
    assert_non_null(content);
    memset(content, '\n', USERS_FILE_MAX + 1);
    users = parse_span(span_make(content, USERS_FILE_MAX), error);
    assert_non_null(users);
    users_free(users);
    assert_null(parse_span(span_make(content, USERS_FILE_MAX + 1), error));
    free(content);
}

static void passwords_are_verified(void **state)
{
    (void)state;
    assert_true(users_verify(HASH_A, "U*U"));
    assert_true(users_verify(HASH_Y, "U*U"));
    assert_true(users_verify(HASH_B, "U*U*"));
    assert_false(users_verify(HASH_A, "U*u"));
    assert_false(users_verify(HASH_A, ""));
    assert_false(users_verify(HASH_B, "U*U"));
    assert_false(users_verify("$2y$05$CCCC", "U*U"));
}

static int forget(void **state)
{
    (void)state;
    free(said);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_found),
        cmocka_unit_test(a_file_may_be_empty),
        cmocka_unit_test(bad_lines_are_told),
        cmocka_unit_test(costs_at_the_bounds_are_taken),
        cmocka_unit_test(every_limit_has_two_sides),
        cmocka_unit_test(passwords_are_verified),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
