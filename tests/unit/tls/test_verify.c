/* SPDX-License-Identifier: Apache-2.0 */
/* verify_chain() against a matrix of chains, good ones beside bad ones, all made here. */
#include "core/base/clock.h"
#include "tests/certs/make_certs.h"
#include "tls/verify_private.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S, CHAIN_ROOM = 20 };

static const char *const ca_extensions[] = {"basicConstraints", "critical,CA:TRUE", "keyUsage",
                                            "critical,keyCertSign", NULL};
static const char *const leaf_extensions[] = {"subjectAltName", "DNS:example.test",
                                              "extendedKeyUsage", "serverAuth", NULL};

static struct {
    int64_t now_s;
    struct cert *root;
    struct cert *own_ca;
    struct cert *stranger; /* a root that nobody trusts */
    struct trust *trust;
    char path[64];
} world;

static void make_path(char path[64])
{
    int fd;

    snprintf(path, 64, "/tmp/weir-test-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
}

static int world_init(void **state)
{
    const char *const files[] = {world.path};
    char error[256] = "";

    (void)state;
    world.now_s = clock_wall_ns() / NS_PER_S;
    world.root = cert_make_ca("test root");
    world.own_ca = cert_make_ca("our own CA");
    world.stranger = cert_make_ca("a stranger");
    make_path(world.path);
    cert_write_pem(world.root, world.path, false);
    cert_write_pem(world.own_ca, world.path, false); /* as if the system trusted it */
    world.trust = trust_new(false, files, 1, cert_der(world.own_ca), error, sizeof(error));
    assert_string_equal(error, "");
    assert_non_null(world.trust);
    return 0;
}

static int world_fini(void **state)
{
    (void)state;
    trust_put(world.trust);
    cert_free(world.root);
    cert_free(world.own_ca);
    cert_free(world.stranger);
    unlink(world.path);
    return 0;
}

/* Verifies up to the first null of `certs`; twice, so that what the cache says is compared too. */
static enum verify_class verify(struct trust *trust, const struct cert *const *certs,
                                const char *name, bool is_ip, int64_t now_s,
                                struct verify_fault *fault)
{
    struct span chain[CHAIN_ROOM];
    struct verify_fault again;
    size_t count = 0;

    while (certs[count]) {
        assert_true(count < CHAIN_ROOM);
        chain[count] = cert_der(certs[count]);
        count++;
    }
    verify_chain(trust, chain, count, span_from_string(name), is_ip, now_s, fault);
    assert_int_equal(
        verify_chain(trust, chain, count, span_from_string(name), is_ip, now_s, &again),
        fault->class);
    assert_string_equal(again.text, fault->text);
    assert_true(strlen(fault->text) < sizeof(fault->text));
    assert_true((fault->class == VERIFY_OK) == (fault->text[0] == '\0'));
    for (const char *c = fault->text; *c; c++) {
        assert_in_range(*c, 0x20, 0x7e);
    }
    return fault->class;
}

static void expect_at(const struct cert *const *certs, const char *name, bool is_ip, int64_t now_s,
                      enum verify_class class, const char *part_of_text)
{
    struct verify_fault fault;
    enum verify_class got = verify(world.trust, certs, name, is_ip, now_s, &fault);

    if (got != class || !strstr(fault.text, part_of_text)) {
        fail_msg("expected %s '%s', got %s '%s'", verify_class_name(class), part_of_text,
                 verify_class_name(got), fault.text);
    }
}

static void expect(const struct cert *const *certs, const char *name, enum verify_class class,
                   const char *part_of_text)
{
    expect_at(certs, name, false, world.now_s, class, part_of_text);
}

/* Makes, expects, frees. The issuer is the root unless the spec names one. */
static void expect_leaf(struct cert_spec spec, const char *name, enum verify_class class,
                        const char *part_of_text)
{
    const struct cert *chain[2] = {NULL, NULL};
    struct cert *leaf;

    spec.issuer = spec.issuer ? spec.issuer : world.root;
    spec.extensions = spec.extensions ? spec.extensions : leaf_extensions;
    spec.common_name = spec.common_name ? spec.common_name : "example.test";
    leaf = cert_make(&spec);
    chain[0] = leaf;
    expect(chain, name, class, part_of_text);
    cert_free(leaf);
}

/* root -> intermediate (as specified) -> leaf */
static void expect_under(struct cert_spec intermediate, struct cert_spec leaf,
                         enum verify_class class, const char *part_of_text)
{
    struct cert *middle;
    struct cert *end;

    intermediate.issuer = intermediate.issuer ? intermediate.issuer : world.root;
    intermediate.common_name = "test intermediate";
    middle = cert_make(&intermediate);
    leaf.issuer = middle;
    leaf.common_name = "example.test";
    leaf.extensions = leaf.extensions ? leaf.extensions : leaf_extensions;
    end = cert_make(&leaf);
    const struct cert *chain[] = {end, middle, NULL};
    expect(chain, "example.test", class, part_of_text);
    cert_free(middle);
    cert_free(end);
}

static void test_good_chains(void **state)
{
    struct cert_spec intermediate = {.extensions = ca_extensions};
    struct cert_spec plain = {0};

    (void)state;
    expect_leaf(plain, "example.test", VERIFY_OK, "");
    expect_leaf(plain, "EXAMPLE.Test", VERIFY_OK, "");
    expect_leaf(plain, "example.test.", VERIFY_OK, "");
    expect_leaf(plain, "", VERIFY_OK, "");
    expect_leaf((struct cert_spec){.key = CERT_KEY_RSA_2048}, "example.test", VERIFY_OK, "");
    expect_leaf((struct cert_spec){.key = CERT_KEY_P384, .digest = CERT_SHA384}, "example.test",
                VERIFY_OK, "");
    expect_under(intermediate, plain, VERIFY_OK, "");
    intermediate.key = CERT_KEY_RSA_2048;
    expect_under(intermediate, plain, VERIFY_OK, "");
}

static void test_order_of_chain(void **state)
{
    struct cert_spec middle_spec = {
        .common_name = "middle", .issuer = world.root, .extensions = ca_extensions};
    struct cert *middle = cert_make(&middle_spec);
    struct cert *leaf = cert_make_leaf(middle, "example.test", "DNS:example.test");
    const struct cert *with_root[] = {leaf, middle, world.root, NULL};
    const struct cert *with_foreign[] = {leaf, world.stranger, middle, NULL};
    const struct cert *with_twice[] = {leaf, leaf, middle, middle, NULL};
    const struct cert *incomplete[] = {leaf, NULL};
    const struct cert *reversed[] = {middle, leaf, NULL};

    (void)state;
    expect(with_root, "example.test", VERIFY_OK, "");
    expect(with_foreign, "example.test", VERIFY_OK, "");
    expect(with_twice, "example.test", VERIFY_OK, "");
    expect(incomplete, "example.test", VERIFY_UNKNOWN_ISSUER, "CN=example.test has an issuer");
    expect(reversed, "example.test", VERIFY_BAD_PURPOSE, "CN=middle");
    cert_free(leaf);
    cert_free(middle);
}

static void test_dates(void **state)
{
    struct cert_spec expired = {.not_before_s = 1700000000, .not_after_s = 1704164645};
    struct cert_spec early = {.not_before_s = world.now_s + HOUR_S,
                              .not_after_s = world.now_s + DAY_S};
    struct cert_spec middle = {
        .extensions = ca_extensions, .not_before_s = 1700000000, .not_after_s = 1704164645};
    struct cert_spec plain = {0};

    (void)state;
    expect_leaf(expired, "example.test", VERIFY_EXPIRED,
                "the certificate of CN=example.test expired on 2024-01-02 03:04:05 UTC");
    expect_leaf(early, "example.test", VERIFY_NOT_YET_VALID, "is not valid before 20");
    expect_under(middle, plain, VERIFY_EXPIRED, "CN=test intermediate expired on 2024-01-02");
    middle.not_before_s = world.now_s + HOUR_S;
    middle.not_after_s = 0;
    expect_under(middle, plain, VERIFY_NOT_YET_VALID, "CN=test intermediate");
}

/* A chain that was found good must not stay good in the cache when its time is over. */
static void test_time_passes(void **state)
{
    struct cert *leaf = cert_make_leaf(world.root, "example.test", "DNS:example.test");
    const struct cert *chain[] = {leaf, NULL};

    (void)state;
    expect_at(chain, "example.test", false, world.now_s, VERIFY_OK, "");
    expect_at(chain, "example.test", false, world.now_s + 2 * DAY_S, VERIFY_EXPIRED, "expired");
    expect_at(chain, "example.test", false, world.now_s - DAY_S, VERIFY_NOT_YET_VALID, "");
    expect_at(chain, "example.test", false, world.now_s, VERIFY_OK, "");
    /* Neither for another name. */
    expect(chain, "other.test", VERIFY_WRONG_HOST, "CN=example.test is not for other.test");
    expect_at(chain, "example.test", true, world.now_s, VERIFY_WRONG_HOST, "");
    cert_free(leaf);
}

static void test_expired_root(void **state)
{
    struct cert_spec spec = {.common_name = "old root",
                             .extensions = ca_extensions,
                             .not_before_s = 1700000000,
                             .not_after_s = 1704164645};
    struct cert *root = cert_make(&spec);
    struct cert *leaf = cert_make_leaf(root, "example.test", "DNS:example.test");
    const struct cert *chain[] = {leaf, NULL};
    struct verify_fault fault;
    struct trust *trust;
    char error[256];
    char path[64];
    const char *const files[] = {path};

    (void)state;
    make_path(path);
    cert_write_pem(root, path, false);
    trust = trust_new(false, files, 1, span_make(NULL, 0), error, sizeof(error));
    assert_non_null(trust);
    assert_int_equal(verify(trust, chain, "example.test", false, world.now_s, &fault),
                     VERIFY_EXPIRED);
    assert_non_null(strstr(fault.text, "CN=old root"));
    trust_put(trust);
    unlink(path);
    cert_free(leaf);
    cert_free(root);
}

/* An expired cross-signature must not hide the path to a root that is trusted. */
static void test_cross_signature(void **state)
{
    struct cert_spec crossed_spec = {.common_name = "test root",
                                     .issuer = world.stranger,
                                     .key_of = world.root,
                                     .extensions = ca_extensions,
                                     .not_before_s = 1700000000,
                                     .not_after_s = 1704164645};
    struct cert *crossed = cert_make(&crossed_spec);
    struct cert *leaf = cert_make_leaf(world.root, "example.test", "DNS:example.test");
    const struct cert *chain[] = {leaf, crossed, NULL};

    (void)state;
    expect(chain, "example.test", VERIFY_OK, "");
    cert_free(leaf);
    cert_free(crossed);
}

static void test_issuers(void **state)
{
    struct cert_spec self_signed = {.common_name = "example.test", .extensions = leaf_extensions};
    struct cert *self = cert_make(&self_signed);
    struct cert *foreign = cert_make_leaf(world.stranger, "example.test", "DNS:example.test");
    struct cert_spec imposter_spec = {.common_name = "test root", .extensions = ca_extensions};
    struct cert *imposter = cert_make(&imposter_spec); /* the name of the root, another key */
    struct cert *forged = cert_make_leaf(imposter, "example.test", "DNS:example.test");
    const struct cert *none[] = {NULL};
    const struct cert *self_chain[] = {self, NULL};
    const struct cert *foreign_chain[] = {foreign, NULL};
    const struct cert *foreign_root[] = {foreign, world.stranger, NULL};
    const struct cert *forged_chain[] = {forged, imposter, NULL};
    const struct cert *forged_alone[] = {forged, NULL};

    (void)state;
    expect(none, "example.test", VERIFY_NO_CERTIFICATE, "no certificate");
    expect(self_chain, "example.test", VERIFY_SELF_SIGNED, "CN=example.test is self-signed");
    expect(foreign_chain, "example.test", VERIFY_UNKNOWN_ISSUER, "");
    expect(foreign_root, "example.test", VERIFY_UNKNOWN_ISSUER, "CN=a stranger is a root");
    expect(forged_alone, "example.test", VERIFY_MALFORMED, "broken signature");
    struct verify_fault fault;
    assert_int_not_equal(
        verify(world.trust, forged_chain, "example.test", false, world.now_s, &fault), VERIFY_OK);
    expect_leaf((struct cert_spec){.broken_signature = true}, "example.test", VERIFY_MALFORMED,
                "broken signature");
    cert_free(self);
    cert_free(foreign);
    cert_free(imposter);
    cert_free(forged);
}

static void test_own_ca(void **state)
{
    struct cert_spec middle_spec = {
        .common_name = "middle", .issuer = world.own_ca, .extensions = ca_extensions};
    struct cert *middle = cert_make(&middle_spec);
    struct cert *direct = cert_make_leaf(world.own_ca, "example.test", "DNS:example.test");
    struct cert *below = cert_make_leaf(middle, "example.test", "DNS:example.test");
    const struct cert *direct_chain[] = {direct, NULL};
    const struct cert *with_ca[] = {direct, world.own_ca, NULL};
    const struct cert *below_chain[] = {below, middle, NULL};
    const struct cert *below_alone[] = {below, NULL};
    const struct cert *itself[] = {world.own_ca, NULL};

    (void)state;
    assert_int_equal(world.trust->root_count, 1);
    expect(direct_chain, "example.test", VERIFY_OWN_CA, "our own CA");
    expect(with_ca, "example.test", VERIFY_OWN_CA, "our own CA");
    expect(below_chain, "example.test", VERIFY_OWN_CA, "CN=middle");
    expect(below_alone, "example.test", VERIFY_UNKNOWN_ISSUER, "");
    expect(itself, "example.test", VERIFY_OWN_CA, "");
    cert_free(middle);
    cert_free(direct);
    cert_free(below);
}

/* The same key in another certificate, as a renewed CA would be. */
static void test_own_ca_renewed(void **state)
{
    struct cert_spec renewed_spec = {
        .common_name = "renewed", .key_of = world.own_ca, .extensions = ca_extensions};
    struct cert *renewed = cert_make(&renewed_spec);
    struct cert *leaf = cert_make_leaf(renewed, "example.test", "DNS:example.test");
    const struct cert *chain[] = {leaf, NULL};
    struct verify_fault fault;
    char error[256];
    const char *const files[] = {world.path};
    struct trust *trust;

    (void)state;
    cert_write_pem(renewed, world.path, false);
    trust = trust_new(false, files, 1, cert_der(world.own_ca), error, sizeof(error));
    assert_non_null(trust);
    assert_int_equal(trust->root_count, 1);
    assert_int_not_equal(verify(trust, chain, "example.test", false, world.now_s, &fault),
                         VERIFY_OK);
    trust_put(trust);
    cert_free(leaf);
    cert_free(renewed);
}

static void test_purposes(void **state)
{
    static const char *const client_only[] = {"subjectAltName", "DNS:example.test",
                                              "extendedKeyUsage", "clientAuth", NULL};
    static const char *const no_eku[] = {"subjectAltName", "DNS:example.test", NULL};
    static const char *const critical[] = {"subjectAltName", "DNS:example.test", "1.2.3.4",
                                           "critical,DER:0500", NULL};
    static const char *const not_ca[] = {"basicConstraints", "critical,CA:FALSE", NULL};
    static const char *const no_sign[] = {"basicConstraints", "critical,CA:TRUE", "keyUsage",
                                          "critical,digitalSignature", NULL};
    static const char *const client_ca[] = {"basicConstraints", "critical,CA:TRUE",
                                            "extendedKeyUsage", "clientAuth", NULL};
    static const char *const none[] = {NULL};
    struct cert_spec plain = {0};

    (void)state;
    expect_leaf((struct cert_spec){.extensions = client_only}, "example.test", VERIFY_BAD_PURPOSE,
                "not meant for servers");
    expect_leaf((struct cert_spec){.extensions = no_eku}, "example.test", VERIFY_OK, "");
    expect_leaf((struct cert_spec){.extensions = critical}, "example.test", VERIFY_MALFORMED,
                "critical extension");
    expect_under((struct cert_spec){.extensions = not_ca}, plain, VERIFY_BAD_PURPOSE, "not a CA's");
    expect_under((struct cert_spec){.extensions = none}, plain, VERIFY_BAD_PURPOSE, "not a CA's");
    expect_under((struct cert_spec){.extensions = no_sign}, plain, VERIFY_BAD_PURPOSE,
                 "CN=test intermediate was used to issue");
    expect_under((struct cert_spec){.extensions = client_ca}, plain, VERIFY_BAD_PURPOSE, "");
    expect_under((struct cert_spec){.version_1 = true}, plain, VERIFY_BAD_PURPOSE, "");
}

static void test_constraints(void **state)
{
    static const char *const permitted[] = {"basicConstraints", "critical,CA:TRUE",
                                            "nameConstraints",
                                            "critical,permitted;DNS:example.test", NULL};
    static const char *const elsewhere[] = {"basicConstraints", "critical,CA:TRUE",
                                            "nameConstraints", "critical,permitted;DNS:other.test",
                                            NULL};
    static const char *const excluded[] = {"basicConstraints", "critical,CA:TRUE",
                                           "nameConstraints", "critical,excluded;DNS:example.test",
                                           NULL};
    static const char *const pathlen[] = {"basicConstraints", "critical,CA:TRUE,pathlen:0", NULL};
    struct cert_spec first_spec = {
        .common_name = "first", .issuer = world.root, .extensions = pathlen};
    struct cert *first = cert_make(&first_spec);
    struct cert_spec plain = {0};
    struct cert_spec second_spec = {
        .common_name = "second", .issuer = first, .extensions = ca_extensions};
    struct cert *second = cert_make(&second_spec);
    struct cert *leaf = cert_make_leaf(second, "example.test", "DNS:example.test");
    const struct cert *chain[] = {leaf, second, first, NULL};

    (void)state;
    expect_under((struct cert_spec){.extensions = permitted}, plain, VERIFY_OK, "");
    expect_under((struct cert_spec){.extensions = elsewhere}, plain, VERIFY_MALFORMED,
                 "may not certify");
    expect_under((struct cert_spec){.extensions = excluded}, plain, VERIFY_MALFORMED,
                 "may not certify");
    expect_under((struct cert_spec){.extensions = pathlen}, plain, VERIFY_OK, "");
    expect(chain, "example.test", VERIFY_MALFORMED, "more CAs below it than it allows");
    cert_free(leaf);
    cert_free(second);
    cert_free(first);
}

static void test_strength(void **state)
{
    struct cert_spec weak_key = {.extensions = ca_extensions, .key = CERT_KEY_RSA_1024};
    struct cert_spec plain = {0};

    (void)state;
    expect_leaf((struct cert_spec){.key = CERT_KEY_RSA_1024}, "example.test", VERIFY_WEAK,
                "CN=example.test has a weak key");
    expect_leaf((struct cert_spec){.key = CERT_KEY_P224}, "example.test", VERIFY_WEAK, "weak key");
    expect_leaf((struct cert_spec){.digest = CERT_SHA1}, "example.test", VERIFY_WEAK,
                "signed with MD5 or SHA-1");
    expect_under(weak_key, plain, VERIFY_WEAK, "CN=test intermediate has a weak key");
    expect_under((struct cert_spec){.extensions = ca_extensions, .digest = CERT_SHA1}, plain,
                 VERIFY_WEAK, "CN=test intermediate is signed");
}

static void test_md5(void **state)
{
    struct cert_spec root_spec = {
        .common_name = "RSA root", .key = CERT_KEY_RSA_2048, .extensions = ca_extensions};
    struct cert *root = cert_make(&root_spec);
    struct cert_spec leaf_spec = {.common_name = "example.test",
                                  .issuer = root,
                                  .digest = CERT_MD5,
                                  .extensions = leaf_extensions};
    struct cert *leaf = cert_make(&leaf_spec);
    const struct cert *chain[] = {leaf, NULL};
    struct verify_fault fault;
    char error[256];
    char path[64];
    const char *const files[] = {path};
    struct trust *trust;

    (void)state;
    if (!leaf) {
        cert_free(root);
        skip(); /* this TLS library does not make them */
    }
    make_path(path);
    cert_write_pem(root, path, false);
    trust = trust_new(false, files, 1, span_make(NULL, 0), error, sizeof(error));
    assert_non_null(trust);
    assert_int_equal(verify(trust, chain, "example.test", false, world.now_s, &fault), VERIFY_WEAK);
    trust_put(trust);
    unlink(path);
    cert_free(leaf);
    cert_free(root);
}

static void expect_name(const char *san, const char *name, bool good)
{
    const char *extensions[] = {"subjectAltName", san, NULL};
    struct cert_spec spec = {.extensions = extensions};

    expect_leaf(spec, name, good ? VERIFY_OK : VERIFY_WRONG_HOST, good ? "" : "is not for");
}

static void test_names(void **state)
{
    static const char *const only_cn[] = {"extendedKeyUsage", "serverAuth", NULL};

    (void)state;
    expect_name("DNS:*.example.test", "a.example.test", true);
    expect_name("DNS:*.example.test", "A.EXAMPLE.TEST", true);
    expect_name("DNS:*.example.test", "example.test", false);
    expect_name("DNS:*.example.test", "a.b.example.test", false);
    expect_name("DNS:*.example.test", ".example.test", false);
    expect_name("DNS:a*.example.test", "ab.example.test", false);
    expect_name("DNS:*a.example.test", "ba.example.test", false);
    expect_name("DNS:*.test", "example.test", false);
    expect_name("DNS:*", "example", false);
    expect_name("DNS:*.*.test", "a.b.test", false);
    expect_name("DNS:a.*.test", "a.b.test", false);
    expect_name("DNS:xn--bcher-kva.test", "xn--bcher-kva.test", true);
    expect_name("DNS:a.test,DNS:b.test,DNS:c.test", "c.test", true);
    expect_name("DNS:a.test,DNS:b.test,DNS:c.test", "d.test", false);
    expect_name("DNS:example.test.evil.test", "example.test", false);
    expect_name("DNS:127.0.0.1", "127.0.0.2", false);
    expect_name("email:example.test@x.test", "example.test", false);
    expect_leaf((struct cert_spec){.extensions = only_cn}, "example.test", VERIFY_WRONG_HOST, "");
}

static void test_addresses(void **state)
{
    struct cert *four = cert_make_leaf(world.root, "four", "IP:127.0.0.1");
    struct cert *six = cert_make_leaf(world.root, "six", "IP:2001:db8::1");
    struct cert *text = cert_make_leaf(world.root, "127.0.0.1", "DNS:127.0.0.1");
    const struct cert *four_chain[] = {four, NULL};
    const struct cert *six_chain[] = {six, NULL};
    const struct cert *text_chain[] = {text, NULL};
    int64_t now_s = world.now_s;

    (void)state;
    expect_at(four_chain, "127.0.0.1", true, now_s, VERIFY_OK, "");
    expect_at(four_chain, "127.0.0.2", true, now_s, VERIFY_WRONG_HOST, "is not for 127.0.0.2");
    expect_at(four_chain, "127.0.0.1", false, now_s, VERIFY_WRONG_HOST, "");
    expect_at(four_chain, "no address", true, now_s, VERIFY_WRONG_HOST, "");
    expect_at(six_chain, "2001:db8::1", true, now_s, VERIFY_OK, "");
    expect_at(six_chain, "2001:0DB8:0:0:0:0:0:1", true, now_s, VERIFY_OK, "");
    expect_at(six_chain, "2001:db8::2", true, now_s, VERIFY_WRONG_HOST, "");
    expect_at(text_chain, "127.0.0.1", true, now_s, VERIFY_WRONG_HOST, "");
    cert_free(four);
    cert_free(six);
    cert_free(text);
}

/* What a peer wrote reaches the sentence only as printable ASCII of bounded length. */
static void test_hostile_subject(void **state)
{
    char long_name[61];
    struct cert_spec spec = {.common_name = "\x1b[31m\xc3\xa9\n", .digest = CERT_SHA1};

    (void)state;
    expect_leaf(spec, "example.test", VERIFY_WEAK, "CN=\\x1b[31m\\xc3\\xa9\\x0a");
    memset(long_name, '\n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    spec.common_name = long_name;
    expect_leaf(spec, "example.test", VERIFY_WEAK, "\\x0a\\x0a");
}

static void test_hostile_name(void **state)
{
    struct cert *leaf = cert_make_leaf(world.root, "example.test", "DNS:example.test");
    struct span der = cert_der(leaf);
    struct verify_fault fault;
    char name[400];

    (void)state;
    memset(name, 'a', sizeof(name));
    assert_int_equal(verify_chain(world.trust, &der, 1, span_make(name, sizeof(name)), false,
                                  world.now_s, &fault),
                     VERIFY_WRONG_HOST);
    assert_int_equal(verify_chain(world.trust, &der, 1, SPAN_LITERAL("example.test\0.evil"), false,
                                  world.now_s, &fault),
                     VERIFY_WRONG_HOST);
    assert_int_equal(
        verify_chain(world.trust, &der, 1, SPAN_LITERAL("."), false, world.now_s, &fault),
        VERIFY_WRONG_HOST);
    cert_free(leaf);
}

static void test_long_chains(void **state)
{
    const struct cert *chain[CHAIN_ROOM] = {NULL};
    struct cert *made[CHAIN_ROOM] = {NULL};
    const struct cert *issuer = world.root;
    struct span shown[CHAIN_ROOM];
    struct verify_fault fault;

    (void)state;
    /* 16 intermediates and a leaf: one more than may be; without the first it is just short
     * enough, but ends nowhere. */
    for (int i = 0; i < VERIFY_CHAIN_MAX; i++) {
        char name[16];
        struct cert_spec spec = {
            .common_name = name, .issuer = issuer, .extensions = ca_extensions};
        snprintf(name, sizeof(name), "step %d", i);
        made[i] = cert_make(&spec);
        issuer = made[i];
    }
    made[VERIFY_CHAIN_MAX] = cert_make_leaf(issuer, "example.test", "DNS:example.test");
    for (int i = 0; i <= VERIFY_CHAIN_MAX; i++) {
        chain[i] = made[VERIFY_CHAIN_MAX - i];
    }
    expect(chain, "example.test", VERIFY_MALFORMED, "too long");
    chain[VERIFY_CHAIN_MAX] = NULL;
    expect(chain, "example.test", VERIFY_UNKNOWN_ISSUER, "");
    /* 15 intermediates below the root: as long as may be, and good. */
    struct cert *leaf = cert_make_leaf(made[14], "example.test", "DNS:example.test");
    chain[0] = leaf;
    for (int i = 1; i <= 15; i++) {
        chain[i] = made[15 - i];
    }
    chain[16] = NULL;
    expect(chain, "example.test", VERIFY_OK, "");
    cert_free(leaf);
    for (int i = 0; i <= VERIFY_CHAIN_MAX; i++) {
        cert_free(made[i]);
    }
    /* Bytes. */
    uint8_t *huge = calloc(1, VERIFY_CHAIN_BYTES_MAX + 1);
    shown[0] = span_make(huge, VERIFY_CHAIN_BYTES_MAX + 1);
    assert_int_equal(
        verify_chain(world.trust, shown, 1, SPAN_LITERAL("a"), false, world.now_s, &fault),
        VERIFY_MALFORMED);
    free(huge);
}

/* Each byte of a good certificate changed, each prefix of it, a byte more: never good but where the
 * change is in nothing that is signed or read. */
static void test_garbage_at_every_offset(void **state)
{
    struct cert *leaf = cert_make_leaf(world.root, "example.test", "DNS:example.test");
    struct span der = cert_der(leaf);
    uint8_t *copy = malloc(der.len + 1);
    struct span chain[1] = {{copy, der.len}};
    struct verify_fault fault;

    (void)state;
    memcpy(copy, der.data, der.len);
    copy[der.len] = 0;
    for (size_t i = 0; i < der.len; i++) {
        for (int bit = 0; bit < 8; bit += 3) {
            copy[i] ^= (uint8_t)(1 << bit);
            enum verify_class class = verify_chain(
                world.trust, chain, 1, SPAN_LITERAL("example.test"), false, world.now_s, &fault);
            assert_int_not_equal(class, VERIFY_OK);
            copy[i] = der.data[i];
        }
    }
    for (size_t len = 0; len <= der.len + 1; len++) {
        chain[0].len = len;
        enum verify_class class = verify_chain(world.trust, chain, 1, SPAN_LITERAL("example.test"),
                                               false, world.now_s, &fault);
        assert_int_equal(class, len == der.len ? VERIFY_OK : VERIFY_MALFORMED);
    }
    free(copy);
    cert_free(leaf);
}

/* Far more chains than the cache holds: answers stay right, memory stays bounded. */
static void test_cache_overflows(void **state)
{
    struct cert *leaf = cert_make_leaf(world.root, "example.test", "DNS:*.example.test");
    const struct cert *chain[] = {leaf, NULL};

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1500; i++) {
            char name[64];
            snprintf(name, sizeof(name), "h%d.example.test", i);
            expect(chain, name, VERIFY_OK, "");
        }
    }
    cert_free(leaf);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect_no_trust(const char *path, const char *part_of_text)
{
    const char *const files[] = {path};
    char error[256] = "";

    assert_null(trust_new(false, files, 1, span_make(NULL, 0), error, sizeof(error)));
    if (!strstr(error, path) || !strstr(error, part_of_text)) {
        fail_msg("expected '%s' with '%s', got '%s'", path, part_of_text, error);
    }
}

static void test_trust_files(void **state)
{
    char path[64];

    (void)state;
    make_path(path);
    expect_no_trust(path, "has no certificate");
    write_text(path, "not a certificate\n");
    expect_no_trust(path, "has no certificate");
    write_text(path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    expect_no_trust(path, "certificate 1 cannot be decoded");
    unlink(path);
    cert_write_pem(world.root, path, false);
    FILE *file = fopen(path, "a");
    fputs("-----BEGIN CERTIFICATE-----\nAAAA\n", file);
    fclose(file);
    expect_no_trust(path, "certificate 2 cannot be decoded");
    unlink(path);
    expect_no_trust(path, "No such file");
}

static void test_system_roots(void **state)
{
    const char *const absent[] = {"/nonexistent/roots.pem"};
    const char *const present[] = {"/nonexistent/roots.pem", world.path};
    const char *const files[] = {world.path};
    struct span none = {NULL, 0};
    char error[256] = "";
    struct trust *trust;

    (void)state;
    /* A system without roots is a fault only if there is nothing else to trust. */
    assert_null(trust_new_with_places(absent, 1, NULL, 0, none, error, sizeof(error)));
    assert_non_null(strstr(error, "/nonexistent/roots.pem"));
    trust = trust_new_with_places(absent, 1, files, 1, none, error, sizeof(error));
    assert_non_null(trust);
    trust_put(trust);
    trust = trust_new_with_places(present, 2, NULL, 0, none, error, sizeof(error));
    assert_non_null(trust);
    assert_true(trust->root_count >= 1);
    trust_put(trust_get(trust));
    trust_put(trust);
    assert_null(trust_new(false, files, 1, SPAN_LITERAL("junk"), error, sizeof(error)));
    assert_non_null(strstr(error, "own CA"));
}

static void test_class_names(void **state)
{
    (void)state;
    for (int i = 0; i < VERIFY_CLASS_COUNT; i++) {
        assert_string_not_equal(verify_class_name((enum verify_class)i), "unknown");
    }
    assert_string_equal(verify_class_name(VERIFY_CLASS_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_chains),
        cmocka_unit_test(test_order_of_chain),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_time_passes),
        cmocka_unit_test(test_expired_root),
        cmocka_unit_test(test_cross_signature),
        cmocka_unit_test(test_issuers),
        cmocka_unit_test(test_own_ca),
        cmocka_unit_test(test_own_ca_renewed),
        cmocka_unit_test(test_purposes),
        cmocka_unit_test(test_constraints),
        cmocka_unit_test(test_strength),
        cmocka_unit_test(test_md5),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_hostile_subject),
        cmocka_unit_test(test_hostile_name),
        cmocka_unit_test(test_long_chains),
        cmocka_unit_test(test_garbage_at_every_offset),
        cmocka_unit_test(test_cache_overflows),
        cmocka_unit_test(test_trust_files),
        cmocka_unit_test(test_system_roots),
        cmocka_unit_test(test_class_names),
    };

    return cmocka_run_group_tests(tests, world_init, world_fini);
}
