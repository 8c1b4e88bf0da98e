/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/ca.h"

#include "certificate_kit.h"
#include "core/base/log.h"
#include "tls/ca_private.h"

#include <dirent.h>
#include <openssl/pkcs8.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <sys/wait.h>

static char error[512];

static struct ca *open_quietly(const char *folder, bool *created)
{
    error[0] = '\0';
    return ca_open(folder, kit_now, created, error, sizeof(error));
}

static struct ca *open_well(const char *folder, bool *created)
{
    struct ca *ca = open_quietly(folder, created);

    assert_string_equal(error, "");
    assert_non_null(ca);
    return ca;
}

static unsigned mode_of(const char *folder, const char *name)
{
    char path[256];
    struct stat file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(stat(path, &file), 0);
    return file.st_mode & 07777;
}

static size_t read_file(const char *folder, const char *name, uint8_t *content, size_t cap)
{
    char path[256];
    FILE *file;
    size_t len;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    len = fread(content, 1, cap, file);
    assert_true(len < cap);
    fclose(file);
    return len;
}

static int count_files(const char *folder)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;
    int count = 0;

    assert_non_null(directory);
    while ((entry = readdir(directory))) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(directory);
    return count;
}

/* ---- making ---- */

static void the_first_run_makes_everything(void **state)
{
    char folder[64];
    char inner[128];
    uint8_t pem[4096];
    uint8_t cer[4096];
    uint8_t first[32];
    uint8_t second[32];
    struct ca *ca;
    size_t len;
    bool created;
    mode_t mask = umask(0);

    (void)state;
    kit_make_folder(folder);
    snprintf(inner, sizeof(inner), "%s/a/b", folder);
    ca = open_well(inner, &created);
    umask(mask);
    assert_true(created);
    assert_int_equal(mode_of(folder, "a"), 0700);
    assert_int_equal(mode_of(inner, "."), 0700);
    assert_int_equal(mode_of(inner, "weir-ca.pem"), 0600);
    assert_int_equal(mode_of(inner, "weir-ca-cert.pem"), 0644);
    assert_int_equal(mode_of(inner, "weir-ca-cert.cer"), 0644);
    assert_int_equal(mode_of(inner, "weir-ca-cert.p12"), 0644);
    assert_int_equal(count_files(inner), 4);
    len = read_file(inner, "weir-ca-cert.pem", pem, sizeof(pem));
    assert_int_equal(read_file(inner, "weir-ca-cert.cer", cer, sizeof(cer)), len);
    assert_memory_equal(pem, cer, len);
    pem[len] = '\0';
    assert_null(strstr((char *)pem, "PRIVATE"));
    ca_fingerprint(ca, first);
    SHA256(ca_certificate_der(ca).data, ca_certificate_der(ca).len, second);
    assert_memory_equal(first, second, sizeof(first));
    ca_free(ca);

    ca = open_well(inner, &created);
    assert_false(created);
    ca_fingerprint(ca, second);
    assert_memory_equal(first, second, sizeof(first));
    ca_free(ca);
    kit_remove_folder(folder);
}

static void the_made_certificate_is_a_good_ca(void **state)
{
    char folder[64];
    bool created;
    struct ca *ca;
    const uint8_t *at;
    X509 *certificate;
    EVP_PKEY *key;

    (void)state;
    kit_make_folder(folder);
    ca = open_well(folder, &created);
    at = ca_certificate_der(ca).data;
    certificate = d2i_X509(NULL, &at, (long)ca_certificate_der(ca).len);
    assert_non_null(certificate);
    assert_non_null(strstr(ca_subject(ca), "CN=weir CA "));
    assert_non_null(strstr(ca_subject(ca), "O=weir"));
    assert_int_equal(ca_not_after_s(ca), kit_now + (3652 - 2) * kit_day);
    assert_int_equal(X509_get_version(certificate), 2);
    assert_int_equal(X509_get_pathlen(certificate), 0);
    assert_true(X509_get_extension_flags(certificate) & EXFLAG_CA);
    assert_int_equal(X509_get_key_usage(certificate), X509v3_KU_KEY_CERT_SIGN | X509v3_KU_CRL_SIGN);
    assert_true(X509_EXTENSION_get_critical(
        X509_get_ext(certificate, X509_get_ext_by_NID(certificate, NID_basic_constraints, -1))));
    assert_true(X509_EXTENSION_get_critical(
        X509_get_ext(certificate, X509_get_ext_by_NID(certificate, NID_key_usage, -1))));
    assert_int_equal(ASN1_STRING_length(X509_get0_subject_key_id(certificate)), CA_KEY_ID_LEN);
    assert_in_range(ASN1_STRING_length((const ASN1_STRING *)X509_get_serialNumber(certificate)), 15,
                    17);
    key = X509_get_pubkey(certificate);
    assert_int_equal(EVP_PKEY_bits(key), 256);
    assert_int_equal(X509_verify(certificate, key), 1);
    EVP_PKEY_free(key);
    X509_free(certificate);
    ca_free(ca);
    kit_remove_folder(folder);
}

static void the_pkcs12_file_holds_the_certificate_alone(void **state)
{
    char folder[64];
    char command[256];
    uint8_t content[4096];
    EVP_PKEY *key = NULL;
    STACK_OF(X509) *certificates = sk_X509_new_null();
    struct ca *ca;
    struct span der;
    bool created;
    CBS cbs;

    (void)state;
    kit_make_folder(folder);
    ca = open_well(folder, &created);
    CBS_init(&cbs, content, read_file(folder, "weir-ca-cert.p12", content, sizeof(content)));
    assert_true(PKCS12_get_key_and_certs(&key, certificates, &cbs, ""));
    assert_null(key);
    assert_int_equal(sk_X509_num(certificates), 1);
    der = kit_der(sk_X509_value(certificates, 0));
    assert_true(span_equal(der, ca_certificate_der(ca)));
    OPENSSL_free((void *)der.data);
    sk_X509_pop_free(certificates, X509_free);
    ca_free(ca);
    if (system("command -v openssl >/dev/null") == 0) {
        snprintf(command, sizeof(command),
                 "openssl pkcs12 -in %s/weir-ca-cert.p12 -passin pass: -nokeys 2>&1 | "
                 "grep -q 'BEGIN CERTIFICATE'",
                 folder);
        assert_int_equal(system(command), 0);
    } else {
        print_message("openssl is not installed: its reading of PKCS#12 was not tried\n");
    }
    kit_remove_folder(folder);
}

/* Each process tells the fingerprint that it has, and whether it was the one that made it. */
static void racing_processes_end_with_one_ca(void **state)
{
    enum { PROCESSES = 8 };
    struct report {
        uint8_t fingerprint[32];
        bool created;
    } reports[PROCESSES];
    char folder[64];
    char inner[128];
    int start[2];
    int answers[2];
    int created_count = 0;

    (void)state;
    kit_make_folder(folder);
    snprintf(inner, sizeof(inner), "%s/ca", folder);
    assert_int_equal(pipe(start), 0);
    assert_int_equal(pipe(answers), 0);
    for (int i = 0; i < PROCESSES; i++) {
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            struct report report;
            struct ca *ca;
            char go;

            close(start[1]);
            (void)!read(start[0], &go, 1); /* ends for all at once */
            ca = open_quietly(inner, &report.created);
            if (!ca) {
                fprintf(stderr, "%s\n", error);
                _exit(1);
            }
            ca_fingerprint(ca, report.fingerprint);
            _exit(write(answers[1], &report, sizeof(report)) == sizeof(report) ? 0 : 1);
        }
    }
    close(start[0]);
    close(start[1]);
    for (int i = 0; i < PROCESSES; i++) {
        int status;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(read(answers[0], &reports[i], sizeof(reports[i])), sizeof(reports[i]));
        assert_memory_equal(reports[i].fingerprint, reports[0].fingerprint, 32);
        created_count += reports[i].created;
    }
    close(answers[0]);
    close(answers[1]);
    assert_int_equal(created_count, 1);
    assert_int_equal(count_files(inner), 4); /* and nothing temporary is left */
    kit_remove_folder(folder);
}

static void public_files_are_mended(void **state)
{
    char folder[64];
    char path[128];
    uint8_t before[4096];
    uint8_t after[4096];
    bool created;
    size_t len;

    (void)state;
    kit_make_folder(folder);
    ca_free(open_well(folder, &created));
    len = read_file(folder, "weir-ca-cert.pem", before, sizeof(before));
    snprintf(path, sizeof(path), "%s/weir-ca-cert.cer", folder);
    assert_int_equal(unlink(path), 0);
    ca_free(open_well(folder, &created));
    assert_false(created);
    assert_int_equal(read_file(folder, "weir-ca-cert.cer", after, sizeof(after)), len);
    assert_memory_equal(before, after, len);

    kit_write(folder, "weir-ca-cert.pem", SPAN_LITERAL("of a former CA"), 0644);
    kit_write(folder, "weir-ca-cert.p12", SPAN_LITERAL("of a former CA"), 0644);
    ca_free(open_well(folder, &created));
    assert_int_equal(read_file(folder, "weir-ca-cert.pem", after, sizeof(after)), len);
    assert_memory_equal(before, after, len);
    assert_true(read_file(folder, "weir-ca-cert.p12", after, sizeof(after)) > 100);
    kit_remove_folder(folder);
}

/* A folder of secrets may be mounted read-only; here a folder stands where a file should go. */
static void public_files_are_no_condition(void **state)
{
    EVP_PKEY *key = kit_key(KIT_P256);
    struct kit_options options = {.common_name = "ca", .ca = 1};
    X509 *certificate = kit_certificate(&options, key);
    char folder[64];
    char path[128];
    bool created;

    (void)state;
    kit_make_folder(folder);
    kit_write_ca(folder, key, &certificate, 1);
    snprintf(path, sizeof(path), "%s/weir-ca-cert.pem", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    ca_free(open_well(folder, &created));
    kit_remove_folder(folder);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* ---- loading ---- */

static void good_cas_are_accepted(void **state)
{
    static const struct {
        enum kit_kind kind;
        struct kit_options options;
    } rows[] = {
        {KIT_P256, {.common_name = "a", .ca = 1, .key_usage = 0x06}},
        {KIT_P384, {.common_name = "a", .ca = 1, .key_usage = 0x04}},
        {KIT_RSA2048, {.common_name = "a", .ca = 1}},
        {KIT_P256, {.organization = "no common name", .ca = 1}},
        {KIT_P256, {.common_name = "a", .ca = 1, .without_key_id = true}},
        {KIT_P256, {.common_name = "a", .ca = 1, .purpose = NID_server_auth}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EVP_PKEY *key = kit_key(rows[i].kind);
        X509 *certificate = kit_certificate(&rows[i].options, key);
        uint8_t signature[CA_SIGNATURE_MAX];
        uint8_t key_id[CA_KEY_ID_LEN];
        size_t signature_len;
        struct ca *ca;
        char folder[64];
        bool created;

        kit_make_folder(folder);
        kit_write_ca(folder, key, &certificate, 1);
        ca = open_well(folder, &created);
        assert_false(created);
        assert_true(ca_sign(ca, SPAN_LITERAL("signed"), signature, &signature_len));
        assert_true(ca_key_id(key, key_id));
        if (rows[i].options.without_key_id) {
            assert_true(span_equal(ca->key_id, span_make(key_id, sizeof(key_id))));
        } else {
            assert_true(span_equal(ca->key_id, span_make(kit_key_id, KIT_KEY_ID_LEN)));
        }
        ca_free(ca);
        kit_remove_folder(folder);
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
}

static void write_bio(const char *folder, BIO *bio)
{
    const uint8_t *data;
    size_t len;

    assert_true(BIO_mem_contents(bio, &data, &len));
    kit_write(folder, "weir-ca.pem", span_make(data, len), 0600);
    BIO_free(bio);
}

/* As openssl and mitmproxy write them: text around the blocks, older forms of the key. */
static void other_forms_of_pem_are_read(void **state)
{
    EVP_PKEY *rsa = kit_key(KIT_RSA2048);
    EVP_PKEY *ec = kit_key(KIT_P256);
    struct kit_options options = {.common_name = "ca", .ca = 1};
    X509 *rsa_certificate = kit_certificate(&options, rsa);
    X509 *ec_certificate = kit_certificate(&options, ec);
    BIO *bio = BIO_new(BIO_s_mem());
    char folder[64];
    bool created;

    (void)state;
    kit_make_folder(folder);
    assert_true(
        PEM_write_bio_RSAPrivateKey(bio, EVP_PKEY_get0_RSA(rsa), NULL, NULL, 0, NULL, NULL));
    assert_true(PEM_write_bio_X509(bio, rsa_certificate));
    write_bio(folder, bio);
    ca_free(open_well(folder, &created));

    bio = BIO_new(BIO_s_mem());
    BIO_puts(bio, "Certificate:\n    Data: for people\n");
    assert_true(PEM_write_bio_X509(bio, ec_certificate));
    BIO_puts(bio, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n");
    assert_true(
        PEM_write_bio_ECPrivateKey(bio, EVP_PKEY_get0_EC_KEY(ec), NULL, NULL, 0, NULL, NULL));
    write_bio(folder, bio);
    ca_free(open_well(folder, &created));

    kit_remove_folder(folder);
    X509_free(rsa_certificate);
    X509_free(ec_certificate);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
}

/* Opens and expects a refusal that has all of the words, and names the file. */
static void assert_refused(const char *folder, const char *what, const char *remedy)
{
    bool created;
    struct ca *ca = open_quietly(folder, &created);

    if (ca || !strstr(error, what) || !strstr(error, remedy) || !strstr(error, folder)) {
        ca_free(ca);
        fail_msg("expected \"%s\" and \"%s\": %s", what, remedy, ca ? "was accepted" : error);
    }
    assert_false(created);
}

static void bad_certificates_are_refused(void **state)
{
    static const struct {
        enum kit_kind kind;
        struct kit_options options;
        const char *what;
        const char *remedy;
    } rows[] = {
        {KIT_P256, {.common_name = "a", .ca = 0}, "is no CA", "use one that"},
        {KIT_P256, {.common_name = "a", .ca = -1}, "is no CA", "use one that"},
        {KIT_P256, {.common_name = "a", .ca = 1, .key_usage = 0x80}, "keyCertSign", "use one that"},
        {KIT_P256,
         {.common_name = "a", .ca = 1, .purpose = NID_client_auth},
         "serverAuth",
         "use one that"},
        {KIT_P256, {.ca = 1}, "subject is empty", "clients need it"},
        {KIT_P256,
         {.common_name = "a", .ca = 1, .not_after_s = INT64_C(1799999999)},
         "expired on 2027-01-15",
         "renew it"},
        {KIT_P256,
         {.common_name = "a", .ca = 1, .not_before_s = INT64_C(1800000001)},
         "valid from 2027-01-15",
         "clock right"},
        {KIT_RSA1024, {.common_name = "a", .ca = 1}, "not supported", "2048"},
        {KIT_P521, {.common_name = "a", .ca = 1}, "not supported", "P-256"},
        {KIT_ED25519, {.common_name = "a", .ca = 1}, "not supported", "P-256"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EVP_PKEY *key = kit_key(rows[i].kind);
        X509 *certificate = kit_certificate(&rows[i].options, key);
        char folder[64];

        kit_make_folder(folder);
        kit_write_ca(folder, key, &certificate, 1);
        assert_refused(folder, rows[i].what, rows[i].remedy);
        kit_remove_folder(folder);
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
}

static void a_readable_key_is_refused(void **state)
{
    static const unsigned modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0666};
    char folder[64];
    char path[128];
    bool created;

    (void)state;
    kit_make_folder(folder);
    ca_free(open_well(folder, &created));
    snprintf(path, sizeof(path), "%s/weir-ca.pem", folder);
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_refused(folder, "lets others at it", "chmod 600 /");
    }
    assert_int_equal(chmod(path, 0400), 0);
    ca_free(open_well(folder, &created));
    kit_remove_folder(folder);
}

static void bad_files_are_refused(void **state)
{
    static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n"
                                    "-----END ENCRYPTED PRIVATE KEY-----\n";
    static const char old_encrypted[] =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
        "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nMAA=\n"
        "-----END RSA PRIVATE KEY-----\n";
    static const char broken[] = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    static const char cut[] = "-----BEGIN PRIVATE KEY-----\nMAA";
    static const char no_certificate[] =
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    char folder[64];
    char path[128];
    uint8_t *large;

    (void)state;
    kit_make_folder(folder);
    kit_write(folder, "weir-ca.pem", SPAN_LITERAL(""), 0600);
    assert_refused(folder, "is empty", "move the file away");
    kit_write(folder, "weir-ca.pem", SPAN_LITERAL("garbage\n\xff\xfe"), 0600);
    assert_refused(folder, "no readable private key", "move the file away");
    kit_write(folder, "weir-ca.pem", SPAN_LITERAL(cut), 0600);
    assert_refused(folder, "no readable private key", "move the file away");
    kit_write(folder, "weir-ca.pem", SPAN_LITERAL(encrypted), 0600);
    assert_refused(folder, "encrypted", "openssl pkey");
    kit_write(folder, "weir-ca.pem", SPAN_LITERAL(old_encrypted), 0600);
    assert_refused(folder, "encrypted", "openssl pkey");
    kit_write(folder, "weir-ca.pem", SPAN_LITERAL(broken), 0600);
    assert_refused(folder, "private key cannot be read", "RSA and ECDSA");
    kit_write(folder, "weir-ca.pem", SPAN_LITERAL(no_certificate), 0600);
    assert_refused(folder, "certificate 1 cannot be read", "");
    large = calloc(1, CA_FILE_BYTES_MAX + 1);
    assert_non_null(large);
    kit_write(folder, "weir-ca.pem", span_make(large, CA_FILE_BYTES_MAX + 1), 0600);
    free(large);
    assert_refused(folder, "larger than", "");
    snprintf(path, sizeof(path), "%s/weir-ca.pem", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(folder, "not a regular file", "remove it");
    kit_remove_folder(folder);
}

static void keys_and_certificates_must_fit(void **state)
{
    EVP_PKEY *key = kit_key(KIT_P256);
    EVP_PKEY *other = kit_key(KIT_P256);
    EVP_PKEY *rsa = kit_key(KIT_RSA2048);
    struct kit_options options = {.common_name = "ca", .ca = 1};
    X509 *certificate = kit_certificate(&options, key);
    BIO *bio = BIO_new(BIO_s_mem());
    char folder[64];

    (void)state;
    kit_make_folder(folder);
    kit_write_ca(folder, other, &certificate, 1);
    assert_refused(folder, "does not belong", "certificate of the key first");
    kit_write_ca(folder, rsa, &certificate, 1);
    assert_refused(folder, "does not belong", "certificate of the key first");
    kit_write_ca(folder, NULL, &certificate, 1);
    assert_refused(folder, "no readable private key", "move the file away");
    kit_write_ca(folder, key, NULL, 0);
    assert_refused(folder, "no readable certificate", "move the file away");
    assert_true(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
    assert_true(PEM_write_bio_PKCS8PrivateKey(bio, other, NULL, NULL, 0, NULL, NULL));
    write_bio(folder, bio);
    assert_refused(folder, "more than one private key", "keep the CA's");
    kit_remove_folder(folder);
    X509_free(certificate);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(other);
    EVP_PKEY_free(key);
}

/* chain[0] is the lowest; the last one is a root. */
static void make_chain(EVP_PKEY **keys, X509 **chain, size_t count, int64_t second_not_after_s)
{
    char name[32];

    for (size_t i = count; i-- > 0;) {
        struct kit_options options = {.common_name = name, .ca = 1, .key_usage = 0x06};

        snprintf(name, sizeof(name), "ca %zu", i);
        keys[i] = kit_key(KIT_P256);
        options.issuer = i + 1 < count ? chain[i + 1] : NULL;
        options.issuer_key = i + 1 < count ? keys[i + 1] : NULL;
        options.not_after_s = i == 1 ? second_not_after_s : 0;
        chain[i] = kit_certificate(&options, keys[i]);
    }
}

static void free_chain(EVP_PKEY **keys, X509 **chain, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        X509_free(chain[i]);
        EVP_PKEY_free(keys[i]);
    }
}

static void intermediates_follow_in_order(void **state)
{
    EVP_PKEY *keys[5];
    X509 *chain[5];
    X509 *swapped[3];
    struct ca *ca;
    char folder[64];
    bool created;

    (void)state;
    kit_make_folder(folder);
    make_chain(keys, chain, 5, kit_now + 100 * kit_day);
    kit_write_ca(folder, keys[0], chain, 3);
    ca = open_well(folder, &created);
    assert_int_equal(ca->chain_count, 3);
    assert_int_equal(ca->chain_sent_count, 3);
    assert_int_equal(ca_not_after_s(ca), kit_now + 100 * kit_day); /* the earliest */
    ca_free(ca);
    /* Up to a root, which is not sent. */
    kit_write_ca(folder, keys[2], chain + 2, 3);
    ca = open_well(folder, &created);
    assert_int_equal(ca->chain_count, 3);
    assert_int_equal(ca->chain_sent_count, 2);
    ca_free(ca);
    kit_write_ca(folder, keys[0], chain, 5);
    assert_refused(folder, "more than 4 certificates", "leave out the root");
    kit_write_ca(folder, keys[0], chain, 4);
    assert_refused(folder, "more than 3 certificates", "below the root");
    memcpy(swapped, chain, sizeof(swapped));
    swapped[1] = chain[2];
    swapped[2] = chain[1];
    kit_write_ca(folder, keys[0], swapped, 3);
    assert_refused(folder, "certificate 2 is not the issuer", "upwards");
    free_chain(keys, chain, 5);

    make_chain(keys, chain, 3, kit_now);
    kit_write_ca(folder, keys[0], chain, 3);
    assert_refused(folder, "certificate 2 expired", "renew");
    free_chain(keys, chain, 3);
    kit_remove_folder(folder);
}

static void bad_folders_are_refused(void **state)
{
    char folder[64];
    char path[128];
    char *long_name = malloc(5001);
    bool created;

    (void)state;
    assert_non_null(long_name);
    memset(long_name, 'a', 5000);
    long_name[5000] = '\0';
    assert_null(open_quietly("", &created));
    assert_non_null(strstr(error, "empty name"));
    assert_null(open_quietly(long_name, &created));
    assert_non_null(strstr(error, "too long a name"));
    kit_make_folder(folder);
    kit_write(folder, "file", SPAN_LITERAL("x"), 0600);
    snprintf(path, sizeof(path), "%s/file/ca", folder);
    assert_refused(path, "cannot be opened", "Not a directory");
    snprintf(path, sizeof(path), "%s/file", folder);
    assert_refused(path, "cannot be opened", "Not a directory");
    long_name[300] = '\0'; /* a name of more than 255 bytes */
    assert_null(open_quietly(long_name, &created));
    assert_non_null(strstr(error, "File name too long"));
    if (geteuid() == 0) {
        print_message("root may read and write everywhere: modes of folders were not tried\n");
    } else {
        assert_int_equal(chmod(folder, 0500), 0);
        assert_refused(folder, "no file can be made", "Permission denied");
        assert_int_equal(chmod(folder, 0), 0);
        assert_refused(folder, "cannot be opened", "Permission denied");
        assert_int_equal(chmod(folder, 0700), 0);
    }
    kit_remove_folder(folder);
    free(long_name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_run_makes_everything),
        cmocka_unit_test(the_made_certificate_is_a_good_ca),
        cmocka_unit_test(the_pkcs12_file_holds_the_certificate_alone),
        cmocka_unit_test(racing_processes_end_with_one_ca),
        cmocka_unit_test(public_files_are_mended),
        cmocka_unit_test(public_files_are_no_condition),
        cmocka_unit_test(good_cas_are_accepted),
        cmocka_unit_test(other_forms_of_pem_are_read),
        cmocka_unit_test(bad_certificates_are_refused),
        cmocka_unit_test(a_readable_key_is_refused),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(keys_and_certificates_must_fit),
        cmocka_unit_test(intermediates_follow_in_order),
        cmocka_unit_test(bad_folders_are_refused),
    };

    log_set_level(LOG_WARN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
