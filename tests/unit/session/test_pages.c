/* SPDX-License-Identifier: Apache-2.0 */
#include "core/admin/pages.h"

#include "core/base/assert.h"
#include "http/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static char memory[PAGE_BYTES_MAX];
static uint8_t der[100];
static struct page_ca ca;
static struct page_facts facts;

static int set_up(void **state)
{
    (void)state;
    memset(der, 0xff, sizeof(der));
    ca = (struct page_ca){
        .der = span_make(der, sizeof(der)), .subject = "O=<b>&amp;,CN=\"it's\"", .not_after_s = 0};
    for (size_t i = 0; i < sizeof(ca.sha256); i++) {
        ca.sha256[i] = (uint8_t)(i * 7);
    }
    facts = (struct page_facts){.ca = &ca,
                                .host = SPAN_LITERAL("<weir>.proxy"),
                                .proxy = "PROXY 192.0.2.1:8080",
                                .magic_host = "weir.proxy"};
    return 0;
}

static struct span write_page(const char *path)
{
    const struct page *page = page_find(span_from_string(path));
    struct text t = text_make(memory, sizeof(memory));

    assert_non_null(page);
    page->write(&t, &facts);
    assert_false(t.overflow);
    return text_view(&t);
}

static bool contains(struct span page, const char *words)
{
    return memmem(page.data, page.len, words, strlen(words)) != NULL;
}

static void test_paths(void **state)
{
    (void)state;
    assert_non_null(page_find(SPAN_LITERAL("/")));
    assert_non_null(page_find(SPAN_LITERAL("/?x=/ca.pem")));
    assert_ptr_equal(page_find(SPAN_LITERAL("/ca.pem?again")), page_find(SPAN_LITERAL("/ca.pem")));
    assert_null(page_find(SPAN_LITERAL("")));
    assert_null(page_find(SPAN_LITERAL("/ca.pe")));
    assert_null(page_find(SPAN_LITERAL("/ca.pem/")));
    assert_null(page_find(SPAN_LITERAL("/readyz")));
    assert_null(page_find(SPAN_LITERAL("/weir-ca.pem")));
}

static void test_certificate(void **state)
{
    struct span pem = write_page("/ca.pem");
    size_t longest = 0;

    (void)state;
    assert_true(contains(pem, "-----BEGIN CERTIFICATE-----\n////"));
    assert_true(contains(pem, "/w==\n-----END CERTIFICATE-----\n"));
    while (pem.len) {
        size_t line = span_find(pem, '\n');
        longest = line > longest ? line : longest;
        pem = span_skip(pem, line + 1);
    }
    assert_int_equal(longest, 64);
    assert_true(span_equal(write_page("/ca.cer"), span_make(der, sizeof(der))));
}

/* What comes from outside is text and never markup. */
static void test_index(void **state)
{
    struct span page = write_page("/");

    (void)state;
    assert_true(contains(page, "00:07:0E:15"));
    assert_true(contains(page, "O=&#60;b&#62;&#38;amp;,CN=&#34;it&#39;s&#34;"));
    assert_true(contains(page, "--proxy 192.0.2.1:8080 http://&#60;weir&#62;.proxy/ca.pem"));
    assert_false(contains(page, "<b>"));
    assert_false(contains(page, "<script"));
    assert_false(contains(page, "readyz"));
    facts.is_admin = true;
    page = write_page("/");
    assert_true(contains(page, "readyz"));
    assert_false(contains(page, "--proxy"));
}

static void test_pac(void **state)
{
    (void)state;
    assert_true(contains(write_page("/proxy.pac"), "var proxy = \"PROXY 192.0.2.1:8080\";"));
    assert_true(contains(write_page("/wpad.dat"), "name === \"weir.proxy\""));
    facts.magic_host = "";
    assert_false(contains(write_page("/proxy.pac"), "name ==="));
    facts.proxy = NULL;
    assert_false(contains(write_page("/proxy.pac"), "PROXY"));
}

static void test_proxy_names(void **state)
{
    static const struct {
        const char *address, *mode, *pac_proxy, *host;
        const char *name; /* null: none */
    } rows[] = {
        {"0.0.0.0:8080", "forward", "", "192.0.2.7", "PROXY 192.0.2.7:8080"},
        {":8080", "forward", "", "2001:db8::1", "PROXY [2001:db8::1]:8080"},
        {":8080", "forward", "", "localhost", "PROXY localhost:8080"},
        {"127.0.0.1:8080", "forward", "", "192.0.2.7", "PROXY 127.0.0.1:8080"},
        {"[::1]:8080", "forward", "", "192.0.2.7", "PROXY [::1]:8080"},
        {":1080", "socks5", "", "192.0.2.7", "SOCKS5 192.0.2.7:1080"},
        {":443", "transparent", "", "192.0.2.7", NULL},
        {":443", "transparent", "http://p.example:3128", "192.0.2.7", "PROXY p.example:3128"},
        {":8080", "forward", "https://p.example", "192.0.2.7", "HTTPS p.example:443"},
        {":8080", "forward", "socks5://[2001:db8::1]:1", "192.0.2.7", "SOCKS5 [2001:db8::1]:1"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config_report report = {.out = stderr};
        char yaml[256];
        char name[PAGE_PROXY_MAX];

        snprintf(yaml, sizeof(yaml),
                 "listeners: [{address: '%s', mode: %s}]\nadmin: {pac_proxy: '%s'}\n",
                 rows[i].address, rows[i].mode, rows[i].pac_proxy);
        struct config *config = config_load_text("test.yaml", span_from_string(yaml), &report);
        assert_non_null(config);
        bool named = page_name_proxy(config, &config->listeners[0],
                                     &config->listeners[0].address.socket_address,
                                     span_from_string(rows[i].host), name);
        if (named != (rows[i].name != NULL) || (named && strcmp(name, rows[i].name) != 0)) {
            fail_msg("%s: %s", yaml, named ? name : "(none)");
        }
        config_put(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_paths, set_up),
        cmocka_unit_test_setup(test_certificate, set_up),
        cmocka_unit_test_setup(test_index, set_up),
        cmocka_unit_test_setup(test_pac, set_up),
        cmocka_unit_test_setup(test_proxy_names, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
