/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/fetch_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct fetch_s3 virtual_host = {"s3.example:9000", "fallback", false};
static const struct fetch_s3 path_style = {"http://s3.example/", NULL, true};
static const struct fetch_s3 nothing = {NULL, NULL, false};

static void test_good(void **state)
{
    static const struct {
        const char *text, *base;
        const struct fetch_s3 *s3;
        enum fetch_kind kind;
        enum fetch_file only;
    } rows[] = {
        {"db", "db/", &nothing, FETCH_FOLDER, FETCH_FILE_COUNT},
        {"/var/db/", "/var/db/", &nothing, FETCH_FOLDER, FETCH_FILE_COUNT},
        {"/", "/", &nothing, FETCH_FOLDER, FETCH_FILE_COUNT},
        {"a b?#@", "a b?#@/", &nothing, FETCH_FOLDER, FETCH_FILE_COUNT},
        {"db/mitm.txt", "db/", &nothing, FETCH_FOLDER, FETCH_PRODUCTS},
        {"browser.txt", "browser.txt/", &nothing, FETCH_FOLDER, FETCH_FILE_COUNT},
        {"./browser.txt", "./", &nothing, FETCH_FOLDER, FETCH_BROWSERS},
        {"db/SHA256SUMS", "db/SHA256SUMS/", &nothing, FETCH_FOLDER, FETCH_FILE_COUNT},
        {"https://a", "https://a/", &nothing, FETCH_URL, FETCH_FILE_COUNT},
        {"https://[::1]:8443/a%20b", "https://[::1]:8443/a%20b/", &nothing, FETCH_URL,
         FETCH_FILE_COUNT},
        {"http://a/b/badheader.txt", "http://a/b/", &nothing, FETCH_URL, FETCH_BAD_HEADERS},
        {"https://a/fingerprint_metadata.jsonl", "https://a/", &nothing, FETCH_URL,
         FETCH_MITMENGINE_METADATA},
        {"s3://b", "https://b.s3.example:9000/", &virtual_host, FETCH_S3, FETCH_FILE_COUNT},
        {"s3://b.c/d/e/", "https://b.c.s3.example:9000/d/e/", &virtual_host, FETCH_S3,
         FETCH_FILE_COUNT},
        {"s3://", "https://fallback.s3.example:9000/", &virtual_host, FETCH_S3, FETCH_FILE_COUNT},
        {"s3:///d", "https://fallback.s3.example:9000/d/", &virtual_host, FETCH_S3,
         FETCH_FILE_COUNT},
        {"s3://b/a b?#@%\xff", "http://s3.example/b/a%20b%3F%23%40%25%FF/", &path_style, FETCH_S3,
         FETCH_FILE_COUNT},
        {"s3://b/d/browser.txt", "http://s3.example/b/d/", &path_style, FETCH_S3, FETCH_BROWSERS},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fetch_source source;
        char room[256];
        struct text error = text_make(room, sizeof(room));

        if (!fetch_source_parse(&source, rows[i].text, rows[i].s3, &error)) {
            fail_msg("[%s]: %.*s", rows[i].text, (int)error.len, room);
        }
        assert_string_equal(source.base, rows[i].base);
        assert_int_equal(source.kind, rows[i].kind);
        assert_int_equal(source.only, rows[i].only);
        assert_null(source.missing);
    }
}

static void test_bad(void **state)
{
    static const struct fetch_s3 no_bucket = {"a", " ", false}, blank = {" ", "b", false};
    static const struct fetch_s3 with_path = {"a/b", "b", false}, with_user = {"u@a", "b", false};
    static const struct {
        const char *text, *message, *missing;
        const struct fetch_s3 *s3;
    } rows[] = {
        {"", "a source of at most 2047 bytes", NULL, &nothing},
        {"ftp://a/", "a folder, https:// or s3://", NULL, &nothing},
        {"https://", "https://HOST/PATH expected", NULL, &nothing},
        {"https:///a", "https://HOST/PATH expected", NULL, &nothing},
        {"https://a/b c", "https://HOST/PATH expected", NULL, &nothing},
        {"https://a/\xc3\xa4", "https://HOST/PATH expected", NULL, &nothing},
        {"https://a/b\r\nc", "https://HOST/PATH expected", NULL, &nothing},
        {"https://u:p@a/", "without @, ? and #", NULL, &nothing},
        {"https://a/?t=1", "without @, ? and #", NULL, &nothing},
        {"https://a/#t", "without @, ? and #", NULL, &nothing},
        {"s3://b/", "AWS_ENDPOINT is not set", "AWS_ENDPOINT", &nothing},
        {"s3://b/", "AWS_ENDPOINT is not set", "AWS_ENDPOINT", &blank},
        {"s3://", "AWS_BUCKET_NAME is not set", "AWS_BUCKET_NAME", &no_bucket},
        {"s3://b@c/", "a bucket of letters", NULL, &virtual_host},
        {"s3://b", "AWS_ENDPOINT: HOST or HOST:PORT", NULL, &with_path},
        {"s3://b", "AWS_ENDPOINT: HOST or HOST:PORT", NULL, &with_user},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fetch_source source;
        char room[256] = "";
        struct text error = text_make(room, sizeof(room) - 1);

        if (fetch_source_parse(&source, rows[i].text, rows[i].s3, &error) ||
            !strstr(room, rows[i].message)) {
            fail_msg("[%s]: %s", rows[i].text, room);
        }
        assert_string_equal(source.missing ? source.missing : "",
                            rows[i].missing ? rows[i].missing : "");
    }
}

/* On both sides of what fits; a slash is added. */
static void test_long(void **state)
{
    static char text[FETCH_BASE_CAP + 1];
    struct fetch_source source;
    char room[256];
    struct text error = text_make(room, sizeof(room));

    (void)state;
    memset(text, 'a', FETCH_BASE_CAP - 2);
    assert_true(fetch_source_parse(&source, text, &nothing, &error));
    assert_int_equal(strlen(source.base), FETCH_BASE_CAP - 1);
    text[FETCH_BASE_CAP - 2] = 'a';
    assert_false(fetch_source_parse(&source, text, &nothing, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
