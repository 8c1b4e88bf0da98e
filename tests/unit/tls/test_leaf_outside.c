/* SPDX-License-Identifier: Apache-2.0 */
/* Do the X.509 implementations of OpenSSL and GnuTLS, strict ones, accept our leaves? */
#include "leaf_kit.h"
#include "tls/leaf_private.h"

#include <openssl/pool.h>

static void write_chain(const char *folder, const char *name, const struct leaf *leaf, size_t from,
                        size_t to)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const uint8_t *data;
    size_t len;

    for (size_t i = from; i < to; i++) {
        assert_true(PEM_write_bio(bio, "CERTIFICATE", "", CRYPTO_BUFFER_data(leaf->chain[i]),
                                  (long)CRYPTO_BUFFER_len(leaf->chain[i])));
    }
    assert_true(BIO_mem_contents(bio, &data, &len));
    kit_write(folder, name, span_make(data, len), 0600);
    BIO_free(bio);
}

static int run_in(const char *folder, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int run_in(const char *folder, const char *format, ...)
{
    char command[1024];
    int len = snprintf(command, sizeof(command), "cd '%s' && exec >out 2>&1 && ", folder);
    va_list arguments;
    int status;

    va_start(arguments, format);
    vsnprintf(command + len, sizeof(command) - (size_t)len, format, arguments);
    va_end(arguments);
    status = system(command);
    if (status != 0) {
        len = snprintf(command, sizeof(command), "cat '%s/out'", folder);
        (void)!system(command);
    }
    return status;
}

static void write_case(const char *folder, const struct authority *a, const struct leaf *leaf)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const uint8_t *data;
    size_t len;

    assert_true(PEM_write_bio_X509(bio, a->trusted));
    assert_true(BIO_mem_contents(bio, &data, &len));
    kit_write(folder, "root.pem", span_make(data, len), 0600);
    BIO_free(bio);
    write_chain(folder, "leaf.pem", leaf, 0, 1);
    write_chain(folder, "chain.pem", leaf, 0, leaf->chain_count);
}

static bool has_program(const char *name)
{
    char command[64];

    snprintf(command, sizeof(command), "command -v %s >/dev/null", name);
    return system(command) == 0;
}

static void check_outside(bool openssl, bool certtool, const struct authority *a,
                          const struct leaf_request *request, const char *name, bool is_ip)
{
    struct leaf *leaf = mint((int)(a - authorities), request);
    char folder[64];

    kit_make_folder(folder);
    write_case(folder, a, leaf);
    if (openssl) {
        assert_int_equal(run_in(folder,
                                "openssl verify -x509_strict -attime %lld -purpose sslserver %s "
                                "'%s' -CAfile root.pem -untrusted chain.pem leaf.pem",
                                (long long)kit_now, is_ip ? "-verify_ip" : "-verify_hostname",
                                name),
                         0);
    }
    if (certtool) {
        assert_int_equal(
            run_in(folder,
                   "certtool --verify --verify-profile medium "
                   "--load-ca-certificate root.pem --infile chain.pem --verify-hostname '%s' "
                   "--verify-purpose 1.3.6.1.5.5.7.3.1",
                   name),
            0);
    }
    kit_remove_folder(folder);
    leaf_put(leaf);
}

static void other_implementations_accept_our_leaves(void **state)
{
    bool openssl = has_program("openssl");
    bool certtool = has_program("certtool");
    static const uint8_t v4[] = {192, 0, 2, 1};
    char long_name[100];
    struct names_der names;
    struct span server;
    char name[64];

    (void)state;
    if (!openssl && !certtool) {
        print_message("neither openssl nor certtool is installed: skipped\n");
        skip();
    }
    memset(long_name, 'a', sizeof(long_name));
    long_name[50] = '.';
    long_name[99] = '\0';
    names_begin(&names);
    names_put_dns(&names, "*.wild.example");
    names_put(&names, 7, v4, sizeof(v4));
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "h%d.example", i);
        names_put_dns(&names, name);
    }
    server = make_server("cn.example", &names);
    for (int i = 0; i < AUTHORITY_COUNT; i++) {
        const struct authority *a = &authorities[i];
        struct leaf_request request = make_request("xn--bcher-kva.example");

        check_outside(openssl, certtool, a, &request, "xn--bcher-kva.example", false);
        request.kind = LEAF_RSA;
        request.server_certificate = server;
        check_outside(openssl, certtool, a, &request, "any.wild.example", false);
        request = make_request("2001:db8::1");
        request.server_certificate = server;
        check_outside(openssl, certtool, a, &request, "2001:db8::1", true);
        check_outside(openssl, certtool, a, &request, "192.0.2.1", true);
        check_outside(openssl, certtool, a, &request, "h42.example", false);
        request = make_request(long_name); /* no subject, critical SAN */
        check_outside(openssl, certtool, a, &request, long_name, false);
    }
    OPENSSL_free((void *)server.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_implementations_accept_our_leaves),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
