/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/leaf.h"

#include "leaf_kit.h"
#include "core/base/text.h"
#include "tls/leaf_private.h"

#include <arpa/inet.h>
#include <openssl/pool.h>
#include <pthread.h>

static X509 *parse(const struct leaf *leaf)
{
    struct span der = leaf_der(leaf);
    const uint8_t *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.len);

    assert_non_null(certificate);
    assert_ptr_equal(at, der.data + der.len);
    return certificate;
}

static void assert_verified(const struct leaf *leaf, X509 *trusted, const char *name, bool is_ip)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    STACK_OF(X509) *others = sk_X509_new_null();
    X509 *certificate = parse(leaf);

    for (size_t i = 1; i < leaf->chain_count; i++) {
        X509 *other = X509_parse_from_buffer(leaf->chain[i]);
        assert_true(other && sk_X509_push(others, other));
    }
    assert_true(X509_STORE_add_cert(store, trusted));
    assert_true(X509_STORE_CTX_init(context, store, certificate, others));
    X509_STORE_CTX_set_time(context, 0, (time_t)kit_now);
    assert_true(X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER));
    if (is_ip) {
        assert_true(X509_VERIFY_PARAM_set1_ip_asc(X509_STORE_CTX_get0_param(context), name));
    } else {
        assert_true(
            X509_VERIFY_PARAM_set1_host(X509_STORE_CTX_get0_param(context), name, strlen(name)));
    }
    if (X509_verify_cert(context) != 1) {
        fail_msg("%s: %s", name, X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
    }
    sk_X509_pop_free(others, X509_free);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    X509_free(certificate);
}

/* The SANs as text, in order: "DNS:a DNS:b IP:192.0.2.1". */
static void print_names(const struct leaf *leaf, char *out, size_t cap)
{
    X509 *certificate = parse(leaf);
    struct text t = text_make(out, cap - 1);
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

    assert_non_null(names);
    for (size_t i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const ASN1_STRING *value = name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
        int len = ASN1_STRING_length(value);
        char address[64];

        text_string(&t, i ? " " : "");
        if (name->type == GEN_DNS) {
            text_string(&t, "DNS:");
            text_escaped(&t, span_make(ASN1_STRING_get0_data(value), (size_t)len));
        } else {
            assert_int_equal(name->type, GEN_IPADD);
            assert_true(len == 4 || len == 16);
            inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), address,
                      sizeof(address));
            text_printf(&t, "IP:%s", address);
        }
    }
    assert_false(t.overflow);
    out[t.len] = '\0';
    GENERAL_NAMES_free(names);
    X509_free(certificate);
}

/* "" when there is no subject; anything but one CN fails. */
static void print_subject(const struct leaf *leaf, char *out, size_t cap)
{
    X509 *certificate = parse(leaf);
    X509_NAME *name = X509_get_subject_name(certificate);

    out[0] = '\0';
    assert_true(X509_NAME_entry_count(name) <= 1);
    if (X509_NAME_entry_count(name) == 1) {
        assert_true(X509_NAME_get_text_by_NID(name, NID_commonName, out, (int)cap) > 0);
    }
    X509_free(certificate);
}

/* ---- names ---- */

static void names_are_valid_or_not(void **state)
{
    static const struct {
        const char *name;
        size_t len;  /* 0: up to the NUL */
        int verdict; /* 0 invalid, 1 name, 2 address */
    } rows[] = {
        {"example.com", 0, 1},
        {"EXAMPLE.com", 0, 1},
        {"a", 0, 1},
        {"localhost", 0, 1},
        {"xn--bcher-kva.example", 0, 1},
        {"_dmarc.example", 0, 1},
        {"a-b_c.d0", 0, 1},
        {"-a-.example", 0, 1},
        {"1.2.3", 0, 1},
        {"192.0.2.1", 0, 2},
        {"::1", 0, 2},
        {"2001:db8::1", 0, 2},
        {"::ffff:192.0.2.1", 0, 2},
        {"", 0, 0},
        {".", 0, 0},
        {"example.com.", 0, 0},
        {".example.com", 0, 0},
        {"a..b", 0, 0},
        {"*.example.com", 0, 0},
        {"a b", 0, 0},
        {"a,DNS:b", 0, 0},
        {"a\r\nb", 0, 0},
        {"a\0.example", 10, 0},
        {"192.0.2.1\0x", 11, 0},
        {"b\xc3\xbc"
         "cher.example",
         0, 0},
        {"a/b", 0, 0},
        {"a:443", 0, 0},
        {"[::1]", 0, 0},
        {"fe80::1%eth0", 0, 0},
        {"::1::", 0, 0},
        {"a@b", 0, 0},
        {"\x7f", 0, 0},
    };
    char name[300];
    bool is_ip;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = rows[i].len ? rows[i].len : strlen(rows[i].name);
        bool valid = leaf_name_is_valid(span_make(rows[i].name, len), &is_ip);

        if (valid != (rows[i].verdict != 0) || is_ip != (rows[i].verdict == 2)) {
            fail_msg("row %zu (%s): valid %d, address %d", i, rows[i].name, valid, is_ip);
        }
    }
    memset(name, 'a', sizeof(name));
    assert_true(leaf_name_is_valid(span_make(name, 63), &is_ip));
    assert_false(leaf_name_is_valid(span_make(name, 64), &is_ip));
    for (size_t i = 49; i < sizeof(name); i += 50) {
        name[i] = '.';
    }
    assert_true(leaf_name_is_valid(span_make(name, 253), &is_ip));
    assert_false(leaf_name_is_valid(span_make(name, 254), &is_ip));
    assert_false(leaf_name_is_valid(span_make(NULL, 0), &is_ip));
}

static void an_invalid_asked_name_is_refused(void **state)
{
    static const char *const rows[] = {"a,DNS:evil.example", "a b", "*.example", "a..b", "a\n"};
    struct leaf_request request = make_request("");
    char error[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        request.asked_name = span_from_string(rows[i]);
        error[0] = '\0';
        assert_null(leaf_mint(authorities[0].ca, keys, &request, error, sizeof(error)));
        assert_non_null(strstr(error, "not a valid host name"));
    }
    request.asked_name = span_make("a.example\0.evil.example", 23);
    assert_null(leaf_mint(authorities[0].ca, keys, &request, error, sizeof(error)));
    /* Text and flag must agree. */
    request.asked_name = span_from_string("192.0.2.1");
    request.asked_is_ip = false;
    assert_null(leaf_mint(authorities[0].ca, keys, &request, error, sizeof(error)));
    request.asked_name = span_from_string("a.example");
    request.asked_is_ip = true;
    assert_null(leaf_mint(authorities[0].ca, keys, &request, error, sizeof(error)));
}

static void the_asked_name_comes_first_and_none_twice(void **state)
{
    struct leaf_request request = make_request("WWW.Example.com");
    static const uint8_t v4[] = {192, 0, 2, 1};
    static const uint8_t v6[16] = {0x20, 1, 0x0d, 0xb8, [15] = 1};
    struct names_der names;
    struct leaf *leaf;
    char text[1024];

    (void)state;
    names_begin(&names);
    names_put_dns(&names, "example.com");
    names_put(&names, 7, v4, sizeof(v4));
    names_put_dns(&names, "www.example.COM");
    names_put_dns(&names, "*.example.com");
    names_put(&names, 1, "mail@example.com", 16);
    names_put(&names, 7, v6, sizeof(v6));
    names_put_dns(&names, "EXAMPLE.com");
    names_put(&names, 7, v4, sizeof(v4));
    names_put_dns(&names, "*.EXAMPLE.com");
    request.server_certificate = make_server("ignored.example", &names);
    leaf = mint(AUTHORITY_P256, &request);
    print_names(leaf, text, sizeof(text));
    assert_string_equal(text, "DNS:www.example.com DNS:example.com IP:192.0.2.1 "
                              "DNS:*.example.com IP:2001:db8::1");
    print_subject(leaf, text, sizeof(text));
    assert_string_equal(text, "www.example.com");
    leaf_put(leaf);
    OPENSSL_free((void *)request.server_certificate.data);
}

static void malformed_names_of_the_server_are_left_out(void **state)
{
    struct leaf_request request = make_request("good.example");
    struct names_der names;
    struct leaf *leaf;
    char long_name[300];
    char text[1024];

    (void)state;
    memset(long_name, 'a', sizeof(long_name));
    names_begin(&names);
    names_put_dns(&names, "");
    names_put_dns(&names, "a b.example");
    names_put(&names, 2, "a.example\0.evil", 15);
    names_put_dns(&names, "a\r\n.example");
    names_put_dns(&names, "a..example");
    names_put_dns(&names, "a.example.");
    names_put_dns(&names, ".example");
    names_put_dns(&names, "192.0.2.1"); /* an address is no DNS name */
    names_put_dns(&names, "*");
    names_put_dns(&names, "*.");
    names_put_dns(&names, "a*.example");
    names_put_dns(&names, "*a.example");
    names_put_dns(&names, "*.*.example");
    names_put_dns(&names, "a.*.example");
    names_put_dns(&names, "b\xc3\xbc"
                          "cher.example");
    names_put(&names, 2, long_name, 64);
    names_put(&names, 2, long_name, 300);
    names_put(&names, 7, "abc", 3);
    names_put(&names, 7, "abcde", 5);
    names_put(&names, 7, long_name, 300);
    names_put_dns(&names, "xn--bcher-kva.example");
    names_put_dns(&names, "under_score.example");
    request.server_certificate = make_server(NULL, &names);
    leaf = mint(AUTHORITY_P256, &request);
    print_names(leaf, text, sizeof(text));
    assert_string_equal(text, "DNS:good.example DNS:xn--bcher-kva.example DNS:under_score.example");
    leaf_put(leaf);
    OPENSSL_free((void *)request.server_certificate.data);
}

static size_t count_names(const struct leaf *leaf, size_t *bytes)
{
    X509 *certificate = parse(leaf);
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    size_t count = sk_GENERAL_NAME_num(names);

    *bytes = 0;
    for (size_t i = 0; i < count; i++) {
        *bytes += (size_t)ASN1_STRING_length(sk_GENERAL_NAME_value(names, i)->d.dNSName);
    }
    GENERAL_NAMES_free(names);
    X509_free(certificate);
    return count;
}

static void names_are_bounded_in_count_and_bytes(void **state)
{
    struct leaf_request request = make_request("asked.example");
    struct names_der names;
    struct leaf *leaf;
    char name[256];
    size_t bytes;

    (void)state;
    names_begin(&names);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "h%d.example", i);
        names_put_dns(&names, name);
    }
    request.server_certificate = make_server("h0.example", &names);
    leaf = mint(AUTHORITY_P256, &request);
    assert_int_equal(count_names(leaf, &bytes), LEAF_SANS_MAX + 1);
    assert_verified(leaf, authorities[AUTHORITY_P256].trusted, "h127.example", false);
    leaf_put(leaf);
    request.asked_name = (struct span){NULL, 0};
    leaf = mint(AUTHORITY_P256, &request);
    assert_int_equal(count_names(leaf, &bytes), LEAF_SANS_MAX);
    leaf_put(leaf);
    OPENSSL_free((void *)request.server_certificate.data);

    request.asked_name = span_from_string("asked.example");
    names_begin(&names);
    for (int i = 0; i < 100; i++) {
        size_t len =
            (size_t)snprintf(name, sizeof(name), "h%d.%060d.%060d.%060d.example", i, 0, 0, 0);
        assert_true(len < sizeof(name));
        names_put_dns(&names, name);
    }
    names_put_dns(&names, "short.example"); /* room is left for a short one */
    request.server_certificate = make_server("h0.example", &names);
    leaf = mint(AUTHORITY_P256, &request);
    count_names(leaf, &bytes);
    assert_true(bytes <= LEAF_SAN_BYTES_MAX + sizeof("asked.example"));
    assert_true(bytes > LEAF_SAN_BYTES_MAX - 512);
    assert_verified(leaf, authorities[AUTHORITY_P256].trusted, "asked.example", false);
    leaf_put(leaf);
    OPENSSL_free((void *)request.server_certificate.data);
}

static void without_an_asked_name_the_server_is_copied(void **state)
{
    static const uint8_t v4[] = {192, 0, 2, 1};
    char long_name[80];
    static const struct {
        const char *common_name;
        const char *dns; /* null: no DNS SAN; "long": a valid one of more than 64 bytes */
        bool with_ip;
        const char *subject;
        const char *names;
    } rows[] = {
        {"cn.example", "san.example", false, "cn.example", "DNS:san.example"},
        {"Not A Name", "san.example", true, "san.example", "DNS:san.example IP:192.0.2.1"},
        {NULL, "*.san.example", false, "*.san.example", "DNS:*.san.example"},
        {"cn.example", NULL, false, "cn.example", "DNS:cn.example"},
        {"*.cn.example", NULL, false, "*.cn.example", "DNS:*.cn.example"},
        {"192.0.2.7", NULL, false, "192.0.2.7", "IP:192.0.2.7"},
        {"Not A Name", NULL, true, "192.0.2.1", "IP:192.0.2.1"},
        {NULL, "long", false, "", NULL},
    };

    (void)state;
    memset(long_name, 'a', sizeof(long_name));
    long_name[40] = '.';
    long_name[79] = '\0';
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leaf_request request = make_request("");
        struct names_der names;
        struct leaf *leaf;
        X509 *certificate;
        char text[256];
        int at;

        names_begin(&names);
        if (rows[i].dns) {
            names_put_dns(&names, strcmp(rows[i].dns, "long") == 0 ? long_name : rows[i].dns);
        }
        if (rows[i].with_ip) {
            names_put(&names, 7, v4, sizeof(v4));
        }
        request.server_certificate = make_server(rows[i].common_name, &names);
        leaf = mint(AUTHORITY_P256, &request);
        print_subject(leaf, text, sizeof(text));
        assert_string_equal(text, rows[i].subject);
        certificate = parse(leaf);
        at = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1);
        assert_true(at >= 0);
        assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(certificate, at)),
                         rows[i].subject[0] == '\0');
        X509_free(certificate);
        if (rows[i].names) {
            print_names(leaf, text, sizeof(text));
            assert_string_equal(text, rows[i].names);
        } else {
            assert_verified(leaf, authorities[AUTHORITY_P256].trusted, long_name, false);
        }
        leaf_put(leaf);
        OPENSSL_free((void *)request.server_certificate.data);
    }
}

static void a_long_asked_name_has_no_common_name(void **state)
{
    struct leaf_request request;
    struct leaf *leaf;
    char name[66];
    char text[256];

    (void)state;
    memset(name, 'b', sizeof(name));
    name[30] = '.';
    name[64] = '\0';
    request = make_request(name);
    leaf = mint(AUTHORITY_P256, &request);
    print_subject(leaf, text, sizeof(text));
    assert_string_equal(text, name); /* 64 bytes still fit */
    leaf_put(leaf);
    name[64] = 'b';
    name[65] = '\0';
    request = make_request(name);
    leaf = mint(AUTHORITY_P256, &request);
    print_subject(leaf, text, sizeof(text));
    assert_string_equal(text, "");
    assert_verified(leaf, authorities[AUTHORITY_P256].trusted, name, false);
    leaf_put(leaf);
}

static void no_name_at_all_makes_no_leaf(void **state)
{
    struct leaf_request request = make_request("");
    char error[256] = "";

    (void)state;
    assert_null(leaf_mint(authorities[0].ca, keys, &request, error, sizeof(error)));
    assert_non_null(strstr(error, "no name was asked for"));
    request.server_certificate = make_server("Not A Name", NULL);
    error[0] = '\0';
    assert_null(leaf_mint(authorities[0].ca, keys, &request, error, sizeof(error)));
    assert_non_null(strstr(error, "no name was asked for"));
    OPENSSL_free((void *)request.server_certificate.data);
}

/* ---- fields ---- */

static void check_serial(X509 *certificate)
{
    const ASN1_INTEGER *serial = X509_get_serialNumber(certificate);

    assert_int_equal(ASN1_STRING_type((const ASN1_STRING *)serial), V_ASN1_INTEGER);
    assert_in_range(ASN1_STRING_length((const ASN1_STRING *)serial), 16, 17);
}

static void check_key_ids(X509 *certificate, struct ca *ca)
{
    AUTHORITY_KEYID *aki = X509_get_ext_d2i(certificate, NID_authority_key_identifier, NULL, NULL);
    const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(certificate);

    (void)ca;
    assert_true(aki && aki->keyid && !aki->issuer && !aki->serial);
    assert_int_equal(ASN1_STRING_length(aki->keyid), KIT_KEY_ID_LEN);
    assert_memory_equal(ASN1_STRING_get0_data(aki->keyid), kit_key_id, KIT_KEY_ID_LEN);
    assert_non_null(ski);
    assert_int_equal(ASN1_STRING_length(ski), 20);
    AUTHORITY_KEYID_free(aki);
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days;
    int seconds;

    assert_true(ASN1_TIME_diff(&days, &seconds, epoch, time));
    ASN1_STRING_free(epoch);
    return (int64_t)days * 86400 + seconds;
}

static void check_fields(const struct authority *a, const struct leaf *leaf, enum leaf_kind kind)
{
    X509 *certificate = parse(leaf);
    struct span ca_der = ca_certificate_der(a->ca);
    const uint8_t *at = ca_der.data;
    X509 *issuer = d2i_X509(NULL, &at, (long)ca_der.len);
    uint32_t usage = X509v3_KU_DIGITAL_SIGNATURE;
    EVP_PKEY *leaf_key = X509_get_pubkey(certificate);

    assert_int_equal(X509_get_version(certificate), 2);
    check_serial(certificate);
    check_key_ids(certificate, a->ca);
    assert_int_equal(
        X509_NAME_cmp(X509_get_issuer_name(certificate), X509_get_subject_name(issuer)), 0);
    assert_int_equal(X509_get_signature_nid(certificate), a->nid);
    assert_false(X509_get_extension_flags(certificate) & (EXFLAG_INVALID | EXFLAG_CA));
    assert_true(X509_get_extension_flags(certificate) & EXFLAG_BCONS);
    usage |= kind == LEAF_RSA ? X509v3_KU_KEY_ENCIPHERMENT : 0;
    assert_int_equal(X509_get_key_usage(certificate), usage);
    assert_int_equal(X509_get_extended_key_usage(certificate), XKU_SSL_SERVER);
    assert_int_equal(X509_get_ext_count(certificate), 6);
    assert_int_equal(EVP_PKEY_id(leaf_key), kind == LEAF_RSA ? EVP_PKEY_RSA : EVP_PKEY_EC);
    assert_int_equal(EVP_PKEY_bits(leaf_key), kind == LEAF_RSA ? 2048 : 256);
    assert_true(EVP_PKEY_cmp(leaf_key, leaf->key) == 1);
    assert_true(EVP_PKEY_cmp(leaf_key, a->key) != 1);
    assert_int_equal(seconds_of(X509_get0_notAfter(certificate)), kit_now + 30 * kit_day);
    assert_int_equal(leaf_not_after_s(leaf), kit_now + 30 * kit_day);
    /* The test's CAs are younger than two days. */
    assert_int_equal(seconds_of(X509_get0_notBefore(certificate)), kit_now - kit_day);
    EVP_PKEY_free(leaf_key);
    X509_free(issuer);
    X509_free(certificate);
}

static void the_fields_are_right_for_every_ca_and_kind(void **state)
{
    (void)state;
    for (int i = 0; i < AUTHORITY_COUNT; i++) {
        for (enum leaf_kind kind = LEAF_ECDSA; kind <= LEAF_RSA; kind++) {
            struct leaf_request request = make_request("host.example");
            struct leaf *leaf;

            request.kind = kind;
            leaf = mint(i, &request);
            check_fields(&authorities[i], leaf, kind);
            assert_int_equal(leaf->chain_count, i == AUTHORITY_BELOW ? 2 : 1);
            assert_verified(leaf, authorities[i].trusted, "host.example", false);
            leaf_put(leaf);
            request = make_request("2001:db8::7");
            request.kind = kind;
            leaf = mint(i, &request);
            assert_verified(leaf, authorities[i].trusted, "2001:db8::7", true);
            leaf_put(leaf);
        }
    }
}

static void serials_differ_and_are_positive(void **state)
{
    struct leaf_request request = make_request("host.example");
    uint8_t seen[300][20] = {{0}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(seen); i++) {
        struct leaf *leaf = mint(AUTHORITY_P256, &request);
        X509 *certificate = parse(leaf);
        const ASN1_INTEGER *serial = X509_get_serialNumber(certificate);

        check_serial(certificate);
        memcpy(seen[i], ASN1_STRING_get0_data((const ASN1_STRING *)serial), 16);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(seen[i], seen[j], 16);
        }
        X509_free(certificate);
        leaf_put(leaf);
    }
}

static void dates_are_clipped_to_the_ca(void **state)
{
    static const int64_t in_2060 = INT64_C(2840140800);
    EVP_PKEY *key = kit_key(KIT_P256);
    struct kit_options options = {.common_name = "clip",
                                  .ca = 1,
                                  .not_before_s = kit_now - 10 * kit_day,
                                  .not_after_s = in_2060};
    X509 *certificate = kit_certificate(&options, key);
    struct ca *ca = open_ca(key, &certificate, 1);
    struct leaf_request request = make_request("host.example");
    struct leaf *leaf;
    X509 *parsed;
    char error[256] = "";

    (void)state;
    assert_int_equal(ca_not_after_s(ca), in_2060);
    request.days = UINT32_MAX;
    leaf = leaf_mint(ca, keys, &request, error, sizeof(error));
    assert_string_equal(error, "");
    assert_int_equal(leaf_not_after_s(leaf), in_2060);
    parsed = parse(leaf);
    assert_int_equal(seconds_of(X509_get0_notAfter(parsed)), in_2060);
    assert_int_equal(ASN1_STRING_type(X509_get0_notAfter(parsed)), V_ASN1_GENERALIZEDTIME);
    assert_int_equal(ASN1_STRING_type(X509_get0_notBefore(parsed)), V_ASN1_UTCTIME);
    assert_int_equal(seconds_of(X509_get0_notBefore(parsed)), kit_now - 2 * kit_day);
    X509_free(parsed);
    leaf_put(leaf);

    request.days = 0;
    assert_null(leaf_mint(ca, keys, &request, error, sizeof(error)));
    assert_non_null(strstr(error, "is over"));
    request.days = 30;
    request.now_s = in_2060; /* the CA expired while we ran */
    error[0] = '\0';
    assert_null(leaf_mint(ca, keys, &request, error, sizeof(error)));
    assert_non_null(strstr(error, "is over"));
    request.now_s = kit_now - 11 * kit_day; /* the clock went back before the CA */
    assert_null(leaf_mint(ca, keys, &request, error, sizeof(error)));
    ca_free(ca);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* ---- hostile servers ---- */

static void garbage_from_the_server_is_no_hindrance(void **state)
{
    struct leaf_request request = make_request("asked.example");
    struct names_der names;
    struct span der;
    uint8_t *copy;

    (void)state;
    names_begin(&names);
    names_put_dns(&names, "other.example");
    der = make_server("cn.example", &names);
    copy = malloc(der.len);
    assert_non_null(copy);
    for (size_t i = 0; i < der.len * 2; i++) {
        struct leaf *leaf;
        char text[512];

        memcpy(copy, der.data, der.len);
        if (i < der.len) {
            request.server_certificate = span_make(copy, i); /* every prefix */
        } else {
            copy[i - der.len] ^= (uint8_t)(1 + i % 255); /* every byte */
            request.server_certificate = span_make(copy, der.len);
        }
        leaf = mint(AUTHORITY_P256, &request);
        print_names(leaf, text, sizeof(text));
        assert_int_equal(strncmp(text, "DNS:asked.example", 17), 0);
        leaf_put(leaf);
    }
    free(copy);
    OPENSSL_free((void *)der.data);
}

/* ---- keys ---- */

static void *mint_rsa(void *argument)
{
    struct leaf_request request = {
        .asked_name = SPAN_LITERAL("host.example"), .kind = LEAF_RSA, .now_s = kit_now, .days = 30};
    char error[256];

    return leaf_mint(authorities[AUTHORITY_RSA].ca, argument, &request, error, sizeof(error));
}

static void keys_are_made_once_and_for_each_process(void **state)
{
    struct leaf_keys *others = leaf_keys_new();
    struct leaf_request request = make_request("host.example");
    struct leaf *leaf = mint(AUTHORITY_P256, &request);
    struct leaf *other;
    pthread_t threads[8];
    struct leaf *leaves[8];
    char error[256];

    (void)state;
    other = leaf_mint(authorities[0].ca, others, &request, error, sizeof(error));
    assert_non_null(other);
    assert_true(EVP_PKEY_cmp(leaf->key, other->key) != 1);
    leaf_put(other);
    leaf_put(leaf);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, mint_rsa, others), 0);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        pthread_join(threads[i], (void **)&leaves[i]);
        assert_non_null(leaves[i]);
        assert_ptr_equal(leaves[i]->key, leaves[0]->key);
    }
    leaf_keys_free(others); /* leaves hold the key on their own */
    for (size_t i = 0; i < COUNT_OF(leaves); i++) {
        assert_int_equal(EVP_PKEY_bits(leaves[i]->key), 2048);
        leaf_put(leaves[i]);
    }
}

static bool same_tickets(const struct leaf *a, struct leaf *b)
{
    bool same = memcmp(a->ticket_context, b->ticket_context, LEAF_DIGEST_LEN) == 0;

    leaf_put(b);
    return same;
}

/* Minted at another time, by another process with the same CA: tickets go on. Anything else that
 * tells one visit from another ends them. */
static void tickets_are_bound_to_what_a_leaf_says(void **state)
{
    struct leaf_keys *ours = keys;
    struct leaf_request request = make_request("host.example");
    struct leaf *leaf = mint(AUTHORITY_P256, &request);
    struct leaf_request other = make_request("HOST.example");

    (void)state;
    keys = leaf_keys_new();
    other.now_s += 100;
    other.days = 10;
    assert_true(same_tickets(leaf, mint(AUTHORITY_P256, &other)));
    assert_false(same_tickets(leaf, mint(AUTHORITY_P384, &other)));
    other.kind = LEAF_RSA;
    assert_false(same_tickets(leaf, mint(AUTHORITY_P256, &other)));
    other = make_request("host.example");
    other.server_certificate = SPAN_LITERAL("another");
    assert_false(same_tickets(leaf, mint(AUTHORITY_P256, &other)));
    other = make_request("host.exampl");
    assert_false(same_tickets(leaf, mint(AUTHORITY_P256, &other)));
    leaf_keys_free(keys);
    keys = ours;
    leaf_put(leaf);
}

static void references_are_counted(void **state)
{
    struct leaf_request request = make_request("host.example");
    struct leaf *leaf = mint(AUTHORITY_P256, &request);

    (void)state;
    assert_ptr_equal(leaf_get(leaf), leaf);
    leaf_put(leaf);
    assert_true(leaf_der(leaf).len > 100); /* still there */
    leaf_put(leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_valid_or_not),
        cmocka_unit_test(an_invalid_asked_name_is_refused),
        cmocka_unit_test(the_asked_name_comes_first_and_none_twice),
        cmocka_unit_test(malformed_names_of_the_server_are_left_out),
        cmocka_unit_test(names_are_bounded_in_count_and_bytes),
        cmocka_unit_test(without_an_asked_name_the_server_is_copied),
        cmocka_unit_test(a_long_asked_name_has_no_common_name),
        cmocka_unit_test(no_name_at_all_makes_no_leaf),
        cmocka_unit_test(the_fields_are_right_for_every_ca_and_kind),
        cmocka_unit_test(serials_differ_and_are_positive),
        cmocka_unit_test(dates_are_clipped_to_the_ca),
        cmocka_unit_test(garbage_from_the_server_is_no_hindrance),
        cmocka_unit_test(keys_are_made_once_and_for_each_process),
        cmocka_unit_test(tickets_are_bound_to_what_a_leaf_says),
        cmocka_unit_test(references_are_counted),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
