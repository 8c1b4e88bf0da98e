/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/config/config.h"
#include "core/config/config_fields.h"
#include "core/config/config_yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* A load with what it printed. */
struct loaded {
    struct config *config;
    struct config_report report;
    char *printed;
    size_t printed_len;
};

static struct loaded load_span(struct span text)
{
    struct loaded l = {0};

    l.report.out = open_memstream(&l.printed, &l.printed_len);
    assert_non_null(l.report.out);
    l.config = config_load_text("test.yaml", text, &l.report);
    fclose(l.report.out);
    assert_int_equal(l.config == NULL, l.report.error_count != 0);
    return l;
}

static struct loaded load_text(const char *text)
{
    return load_span(span_from_string(text));
}

static struct loaded load_path(const char *path)
{
    struct loaded l = {0};

    l.report.out = open_memstream(&l.printed, &l.printed_len);
    assert_non_null(l.report.out);
    l.config = config_load(path, &l.report);
    fclose(l.report.out);
    return l;
}

static void unload(struct loaded *l)
{
    config_put(l->config);
    free(l->printed);
}

static struct loaded load_good(const char *text)
{
    struct loaded l = load_text(text);

    if (!l.config) {
        fail_msg("%s", l.printed);
    }
    return l;
}

/* Exactly one error, which says this. */
static void assert_error(const char *text, const char *message)
{
    struct loaded l = load_text(text);

    if (l.report.error_count != 1 || !strstr(l.printed, message)) {
        fail_msg("expected one error with [%s], found %u in:\n%s%s", message, l.report.error_count,
                 text, l.printed);
    }
    unload(&l);
}

static void test_defaults(void **state)
{
    struct loaded l = load_good("");
    const struct config *c = l.config;
    const struct sockaddr_in *address = (const void *)&c->listeners[0].address.socket_address;

    (void)state;
    assert_string_equal(l.printed, "");
    assert_int_equal(c->workers, 0);
    assert_int_equal(c->listener_count, 1);
    assert_string_equal(c->listeners[0].address.text, "127.0.0.1:8080");
    assert_int_equal(c->listeners[0].mode, LISTENER_FORWARD);
    assert_int_equal(c->listeners[0].address.socket_address_len, sizeof(*address));
    assert_int_equal(address->sin_family, AF_INET);
    assert_int_equal(ntohs(address->sin_port), 8080);
    assert_int_equal(ntohl(address->sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(c->intercept.default_decision, DECISION_INTERCEPT);
    assert_string_equal(c->intercept.ca_dir, "/home/test/.weir");
    assert_int_equal(c->intercept.rule_count, 0);
    assert_null(c->intercept.rules);
    assert_int_equal(c->intercept.leaf_days, 30);
    assert_int_equal(c->intercept.leaf_cache_count, 10000);
    assert_int_equal(c->upstream.trust_file_count, 0);
    assert_true(c->upstream.system_trust);
    assert_true(c->upstream.verify);
    assert_int_equal(c->upstream.idle_ms, 30000);
    assert_int_equal(c->connect.port_count, 1);
    assert_int_equal(c->connect.ports[0], 443);
    assert_false(c->connect.allow_private);
    assert_true(c->http.via);
    assert_string_equal(c->http.pseudonym, "");
    assert_int_equal(c->dns.server_count, 0);
    assert_string_equal(c->dns.hosts_file, "/etc/hosts");
    assert_int_equal(c->dns.timeout_ms, 5000);
    assert_int_equal(c->dns.cache_count, 4096);
    assert_int_equal(c->dns.ttl_max_s, 3600);
    assert_int_equal(c->dns.negative_ttl_s, 10);
    assert_string_equal(c->log.access_path, "-");
    assert_int_equal(c->log.access_format, LOG_FORMAT_JSON);
    assert_int_equal(c->log.level, LOG_INFO);
    assert_int_equal(c->limits.head_bytes, 65536);
    assert_int_equal(c->limits.line_bytes, 16384);
    assert_int_equal(c->limits.field_count, 128);
    assert_int_equal(c->limits.head_ms, 10000);
    assert_int_equal(c->limits.hello_ms, 5000);
    assert_int_equal(c->limits.connect_ms, 5000);
    assert_int_equal(c->limits.handshake_ms, 10000);
    assert_int_equal(c->limits.keepalive_ms, 60000);
    assert_int_equal(c->limits.password_ms, 30000);
    assert_int_equal(c->limits.tunnel_idle_ms, 600000);
    assert_int_equal(c->limits.send_stall_ms, 30000);
    assert_int_equal(c->limits.connections, 0);
    assert_int_equal(c->limits.buffer_high_bytes, 262144);
    assert_int_equal(c->limits.buffer_low_bytes, 65536);
    assert_int_equal(c->drain.delay_ms, 0);
    assert_int_equal(c->drain.grace_ms, 30000);
    assert_int_equal(c->admin.address.socket_address_len, 0);
    assert_string_equal(c->admin.magic_host, "weir.proxy");
    assert_string_equal(c->admin.pac_proxy.text, "");
    unload(&l);
}

/* The embedded default, the example and an empty file are the same configuration. */
static void test_example(void **state)
{
    struct loaded empty = load_good("# nothing\n");
    struct loaded embedded = load_path(NULL);
    struct loaded example = load_path(WEIR_SOURCE_DIR "/config.example.yaml");
    struct loaded other = load_good("limits:\n  fields: 127\n");

    (void)state;
    assert_non_null(embedded.config);
    assert_null(embedded.config->file);
    assert_string_equal(embedded.printed, "");
    assert_non_null(example.config);
    assert_string_equal(example.config->file, WEIR_SOURCE_DIR "/config.example.yaml");
    assert_string_equal(example.printed, "");
    assert_null(config_first_difference(empty.config, embedded.config, false));
    assert_null(config_first_difference(empty.config, example.config, false));
    assert_string_equal(config_first_difference(empty.config, other.config, false),
                        "limits.fields");
    unload(&empty);
    unload(&embedded);
    unload(&example);
    unload(&other);
}

static void test_example_is_current(void **state)
{
    char *written, *kept = calloc(1, CONFIG_FILE_MAX);
    size_t len, kept_len;
    FILE *out = open_memstream(&written, &len);
    FILE *file = fopen(WEIR_SOURCE_DIR "/config.example.yaml", "r");

    (void)state;
    assert_non_null(kept);
    assert_non_null(out);
    assert_non_null(file);
    config_write_example(out);
    fclose(out);
    kept_len = fread(kept, 1, CONFIG_FILE_MAX - 1, file);
    fclose(file);
    if (kept_len != len || memcmp(kept, written, len) != 0) {
        fail_msg("config.example.yaml is not what the table says: "
                 "write it anew with weir config example > config.example.yaml");
    }
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        char key[64];
        snprintf(key, sizeof(key), "%s:", config_field_name(&config_fields[i]));
        assert_non_null(strstr(written, key));
    }
    free(written);
    free(kept);
}

/* The example's own commented-out rule, with the comment signs taken off, is a valid rule. */
static void test_example_rule(void **state)
{
    struct loaded l = load_good("intercept:\n"
                                "  rules:\n"
                                "    - name: banks\n"
                                "      host: [\"*.bank.example\", 192.0.2.0/24]\n"
                                "      sni: [.bank.example]\n"
                                "      port: [443, 8443]\n"
                                "      ja3: [cd08e31494f9531f560d64c695473da9]\n"
                                "      ja4: [t13d1516h2_8daaf6152771_02713d6af862]\n"
                                "      verdict: [intercepted]\n"
                                "      product: [mitmproxy]\n"
                                "      client: [192.0.2.0/24]\n"
                                "      mismatch: [sni, host]\n"
                                "      via: [direct]\n"
                                "      action: tunnel\n"
                                "    - {host: \"*\", action: refuse}\n");
    const struct config_rule *rules = l.config->intercept.rules;
    char *written, *comment;
    size_t len;
    FILE *out = open_memstream(&written, &len);

    (void)state;
    config_write_example(out);
    fclose(out);
    comment = strstr(written, "  #   - name: banks\n"
                              "  #     host: [\"*.bank.example\", 192.0.2.0/24]\n"
                              "  #     sni: [.bank.example]\n"
                              "  #     port: [443, 8443]\n"
                              "  #     ja3: [cd08e31494f9531f560d64c695473da9]\n"
                              "  #     ja4: [t13d1516h2_8daaf6152771_02713d6af862]\n"
                              "  #     verdict: [intercepted]\n"
                              "  #     product: [mitmproxy]\n"
                              "  #     client: [192.0.2.0/24]\n"
                              "  #     mismatch: [sni, host]\n"
                              "  #     via: [branch, direct]\n"
                              "  #     action: tunnel\n");
    assert_non_null(comment);
    free(written);
    assert_int_equal(l.config->intercept.rule_count, 2);
    assert_string_equal(rules[0].name, "banks");
    assert_int_equal(rules[0].host_count, 2);
    assert_string_equal(rules[0].hosts[0], "*.bank.example");
    assert_string_equal(rules[0].hosts[1], "192.0.2.0/24");
    assert_int_equal(rules[0].sni_count, 1);
    assert_string_equal(rules[0].snis[0], ".bank.example");
    assert_int_equal(rules[0].port_count, 2);
    assert_int_equal(rules[0].ports[0], 443);
    assert_int_equal(rules[0].ports[1], 8443);
    assert_string_equal(rules[0].ja3s[0], "cd08e31494f9531f560d64c695473da9");
    assert_string_equal(rules[0].ja4s[0], "t13d1516h2_8daaf6152771_02713d6af862");
    assert_string_equal(rules[0].verdicts[0], "intercepted");
    assert_string_equal(rules[0].products[0], "mitmproxy");
    assert_int_equal(rules[0].action, DECISION_TUNNEL);
    assert_string_equal(rules[1].name, "rule 2");
    assert_int_equal(rules[1].host_count, 1);
    assert_int_equal(rules[1].sni_count, 0);
    assert_int_equal(rules[1].action, DECISION_REFUSE);
    unload(&l);
}

static void test_values(void **state)
{
    struct loaded l = load_good("workers: 4\n"
                                "listeners:\n"
                                "  - address: \":8443\"\n"
                                "  - {address: \"[::1]:0\", mode: forward}\n"
                                "  - {address: \"[::1]:0\"}\n"
                                "intercept: {default: tunnel, ca_dir: no}\n"
                                "upstream: {verify: \"true\", idle_timeout: 250ms}\n"
                                "connect: {ports: 8443, allow_private: true}\n"
                                "http: {via: false, pseudonym: 0777}\n"
                                "dns:\n"
                                "  servers: [192.0.2.53, \"192.0.2.53:54\", 2001:db8::1,"
                                " \"[2001:db8::1]:54\"]\n"
                                "  ttl_max: 2h\n"
                                "  negative_ttl: 0\n"
                                "  timeout: 2m\n"
                                "log:\n"
                                "  level: debug\n"
                                "  access: {path: \"\"}\n"
                                "limits: {head_bytes: 32k, line_bytes: 4096, buffer_low: 16KIB,\n"
                                "         buffer_high: 1MiB, tunnel_idle_timeout: 1d, splice: 0}\n"
                                "drain: {grace: 0}\n");
    const struct config *c = l.config;
    const struct sockaddr_in6 *any = (const void *)&c->listeners[0].address.socket_address;
    const struct sockaddr_in6 *loopback = (const void *)&c->listeners[1].address.socket_address;

    (void)state;
    assert_int_equal(l.report.warning_count, 0);
    assert_string_equal(c->file, "test.yaml");
    assert_int_equal(c->workers, 4);
    assert_int_equal(c->listener_count, 3);
    assert_int_equal(any->sin6_family, AF_INET6);
    assert_int_equal(ntohs(any->sin6_port), 8443);
    assert_memory_equal(&any->sin6_addr, &in6addr_any, sizeof(in6addr_any));
    assert_memory_equal(&loopback->sin6_addr, &in6addr_loopback, sizeof(in6addr_loopback));
    assert_string_equal(c->listeners[1].address.text, "[::1]:0");
    assert_int_equal(c->intercept.default_decision, DECISION_TUNNEL);
    assert_string_equal(c->intercept.ca_dir, "no");
    assert_true(c->upstream.verify);
    assert_int_equal(c->upstream.idle_ms, 250);
    assert_int_equal(c->connect.port_count, 1);
    assert_int_equal(c->connect.ports[0], 8443);
    assert_true(c->connect.allow_private);
    assert_false(c->http.via);
    assert_int_equal(c->dns.server_count, 4);
    assert_string_equal(c->dns.servers[3], "[2001:db8::1]:54");
    assert_int_equal(c->dns.ttl_max_s, 7200);
    assert_int_equal(c->dns.negative_ttl_s, 0);
    assert_int_equal(c->dns.timeout_ms, 120000);
    assert_int_equal(c->log.level, LOG_DEBUG);
    assert_string_equal(c->log.access_path, "");
    assert_int_equal(c->limits.head_bytes, 32768);
    assert_int_equal(c->limits.line_bytes, 4096);
    assert_int_equal(c->limits.buffer_low_bytes, 16384);
    assert_int_equal(c->limits.buffer_high_bytes, 1048576);
    assert_int_equal(c->limits.tunnel_idle_ms, 86400000);
    assert_int_equal(c->limits.splice_bytes, 0);
    assert_int_equal(c->drain.grace_ms, 0);
    unload(&l);
}

/* A limit that is lowered below another's default takes nobody by surprise. */
static void test_limits_below_defaults(void **state)
{
    struct loaded l = load_good("limits: {head_bytes: 8KiB, tunnel_idle_timeout: 2s}\n"
                                "dns: {ttl_max: 0}\n");

    (void)state;
    assert_int_equal(l.config->limits.line_bytes, 16384);
    assert_string_equal(l.printed, "");
    unload(&l);
}

static void test_references(void **state)
{
    struct loaded l = load_good("workers: 1\n");
    struct config *config = l.config;

    (void)state;
    assert_ptr_equal(config_get(config), config);
    assert_int_equal(atomic_load(&config->references), 2);
    config_put(config);
    assert_int_equal(atomic_load(&config->references), 1);
    assert_int_equal(config->workers, 1);
    unload(&l);
    config_put(NULL);
}

static void *get_and_put(void *argument)
{
    for (int i = 0; i < 20000; i++) {
        config_put(config_get(argument));
    }
    config_put(argument);
    return NULL;
}

static void test_references_of_threads(void **state)
{
    struct loaded l = load_good("");
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        config_get(l.config);
        assert_int_equal(pthread_create(&threads[i], NULL, get_and_put, l.config), 0);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&l.config->references), 1);
    unload(&l);
}

static void test_differences(void **state)
{
    static const struct {
        const char *text, *any, *restart;
    } rows[] = {
        {"workers: 2", "workers", "workers"},
        {"listeners: [{address: \"127.0.0.1:8081\"}]", "listeners", "listeners"},
        {"listeners: [{address: \"127.0.0.1:8080\"}]", NULL, NULL},
        {"intercept: {rules: [{host: a.example, action: tunnel}]}", "intercept.rules", NULL},
        {"intercept: {ca_dir: /tmp/x}", "intercept.ca_dir", "intercept.ca_dir"},
        {"upstream: {trust_files: [/dev/null]}", "upstream.trust_files", NULL},
        {"upstream: {verify: false}", "upstream.verify", NULL},
        {"connect: {ports: [443, 444]}", "connect.ports", NULL},
        {"connect: {ports: [444]}", "connect.ports", NULL},
        {"dns: {servers: [192.0.2.1]}", "dns.servers", "dns.servers"},
        {"http: {pseudonym: other}", "http.pseudonym", NULL},
        {"limits: {fields: 9}\nworkers: 1", "workers", "workers"},
    };
    struct loaded base = load_good("");

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loaded l = load_good(rows[i].text);
        const char *any = config_first_difference(base.config, l.config, false);
        const char *restart = config_first_difference(base.config, l.config, true);

        assert_string_equal(any ? any : "none", rows[i].any ? rows[i].any : "none");
        assert_string_equal(restart ? restart : "none", rows[i].restart ? rows[i].restart : "none");
        unload(&l);
    }
    unload(&base);
}

/* Rules differ in their elements' fields, too. */
static void test_difference_in_rules(void **state)
{
    struct loaded a = load_good("intercept: {rules: [{host: [a.example], action: tunnel}]}");
    struct loaded b = load_good("intercept: {rules: [{host: [b.example], action: tunnel}]}");
    struct loaded c = load_good("intercept: {rules: [{host: a.example, action: tunnel}]}");

    (void)state;
    assert_string_equal(config_first_difference(a.config, b.config, false), "intercept.rules");
    assert_null(config_first_difference(a.config, c.config, false));
    unload(&a);
    unload(&b);
    unload(&c);
}

static void test_home(void **state)
{
    (void)state;
    unsetenv("HOME");
    assert_error("workers: 1\n",
                 "test.yaml: error: intercept.ca_dir, by default: \"~/.weir\": HOME "
                 "is not set");
    struct loaded l = load_good("intercept: {ca_dir: /tmp/ca}\n");
    unload(&l);
    setenv("HOME", "relative", 1);
    assert_error("intercept: {ca_dir: ~/x}\n", "HOME is not set to a folder");
    setenv("HOME", "/home/test", 1);
    l = load_good("intercept: {ca_dir: ~/a/~/b}\n");
    assert_string_equal(l.config->intercept.ca_dir, "/home/test/a/~/b");
    unload(&l);
    assert_error("intercept: {ca_dir: ~}\n", "a path begins with ~ only as ~/");
}

static void test_files(void **state)
{
    char path[] = "/tmp/weir-config-XXXXXX";
    int fd = mkstemp(path);
    struct loaded l;
    char *large = malloc(CONFIG_FILE_MAX + 1);

    (void)state;
    assert_true(fd >= 0);
    assert_non_null(large);
    memset(large, '#', CONFIG_FILE_MAX + 1);
    assert_int_equal(write(fd, large, CONFIG_FILE_MAX), CONFIG_FILE_MAX);
    l = load_path(path);
    assert_non_null(l.config);
    unload(&l);
    assert_int_equal(write(fd, large, 1), 1);
    l = load_path(path);
    assert_null(l.config);
    assert_non_null(strstr(l.printed, ": error: larger than 1 MiB"));
    unload(&l);
    close(fd);
    unlink(path);
    l = load_path(path);
    assert_null(l.config);
    assert_int_equal(l.report.error_count, 1);
    assert_non_null(strstr(l.printed, ": error: cannot read: No such file or directory\n"));
    unload(&l);
    l = load_path("/");
    assert_null(l.config);
    assert_non_null(strstr(l.printed, "/: error: cannot read: Is a directory\n"));
    unload(&l);
    free(large);
}

/* What the file's own bytes do to the terminal: nothing. */
static void test_hostile_bytes(void **state)
{
    struct loaded l = load_span(SPAN_LITERAL("work\xff: 1\n"));

    (void)state;
    assert_string_equal(l.printed, "test.yaml:1:5: error: not UTF-8: byte 0xff\n"
                                   "    work?: 1\n"
                                   "        ^\n");
    unload(&l);
    l = load_span(SPAN_LITERAL("a\x1b[31m: 1\n"));
    assert_string_equal(l.printed, "test.yaml:1:2: error: control character U+001B\n"
                                   "    a?[31m: 1\n"
                                   "     ^\n");
    unload(&l);
    l = load_span(SPAN_LITERAL("a: \0\n"));
    assert_non_null(strstr(l.printed, "test.yaml:1:4: error: control character U+0000\n"));
    unload(&l);
    l = load_span(SPAN_LITERAL("http: {pseudonym: \"a\\0b\"}\n"));
    assert_non_null(
        strstr(l.printed, "test.yaml:1:19: error: a value cannot hold a NUL character"));
    unload(&l);
    l = load_span(SPAN_LITERAL("\xef\xbb\xbfwork: 1\n"));
    assert_non_null(strstr(l.printed, "test.yaml:1:1: error: unknown key \"work\""));
    unload(&l);
    l = load_span(SPAN_LITERAL("a: \"\\e[31m\xe2\x80\xae\"\nhttp: {pseudonym: \"\\e[31m\"}\n"));
    assert_null(strchr(l.printed, 0x1b));
    assert_null(strstr(l.printed, "\xe2\x80\xae"));
    unload(&l);
}

/* A flood of errors is counted, not printed. */
static void test_many_errors(void **state)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct loaded l;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        fprintf(out, "key%d: 1\n", i);
    }
    fclose(out);
    l = load_text(text);
    assert_int_equal(l.report.error_count, 5000);
    assert_non_null(strstr(l.printed, "test.yaml:100:1: error: unknown key \"key99\"\n"));
    assert_non_null(strstr(l.printed, "test.yaml: 4900 more not shown\n"));
    assert_null(strstr(l.printed, "key100"));
    unload(&l);
    free(text);
}

static char *repeat(const char *front, const char *piece, size_t count, const char *back)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    fputs(front, out);
    for (size_t i = 0; i < count; i++) {
        fputs(piece, out);
    }
    fputs(back, out);
    fclose(out);
    return text;
}

static void test_bounds_of_the_tree(void **state)
{
    char *deep = repeat("a: ", "[", 5000, "");
    char *wide = repeat("connect: {ports: [", "1,", CONFIG_NODES_MAX, "1]}\n");
    char *ports = repeat("connect: {ports: [", "1,", 1024, "1]}\n");
    char *full = repeat("connect: {ports: [", "1,", 1023, "1]}\n");
    char *brackets = repeat("a: ", "[", 31, "1");
    struct loaded l;

    (void)state;
    assert_error(deep, ": error: nested more than 32 levels deep");
    assert_error(wide, ": error: too many values for a configuration");
    assert_error(ports, ": error: ports: 1025 items; 0 to 1024 are taken");
    assert_error(brackets, ": error: YAML: did not find expected ',' or ']'");
    l = load_good(full);
    assert_int_equal(l.config->connect.port_count, 1024);
    unload(&l);
    free(deep);
    free(wide);
    free(ports);
    free(full);
    free(brackets);
}

static void test_long_lines(void **state)
{
    char *text = repeat("http: {pseudonym: ", "x", 400, ", vai: true}\n");
    struct loaded l = load_text(text);

    (void)state;
    assert_int_equal(l.report.error_count, 2);
    assert_non_null(strstr(l.printed, "test.yaml:1:421: error: unknown key \"vai\"; did you mean "
                                      "\"via\"?\n    ...xxxxx"));
    for (const char *line = l.printed; line && *line;) {
        size_t len = strcspn(line, "\n");
        assert_true(len < 200);
        line += len + (line[len] == '\n');
    }
    unload(&l);
    free(text);
}

/* Bounds are taken themselves, one beyond is not; for every number of the table. */
static void test_every_bound(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        const struct config_field *field = &config_fields[i];
        const char *unit = field->type == CONFIG_DURATION     ? "ms"
                           : field->type == CONFIG_DURATION_S ? "s"
                                                              : "";
        const int64_t values[] = {field->min, field->max, field->max + 1, field->min - 1};
        uint32_t place = 12345;
        char text[64], error[CONFIG_VALUE_ERROR_MAX];

        if (field->type < CONFIG_INTEGER || field->type > CONFIG_DURATION_S) {
            continue;
        }
        for (size_t j = 0; j < COUNT_OF(values); j++) {
            bool good;
            snprintf(text, sizeof(text), "%lld%s", (long long)values[j], unit);
            good = config_value_read(field, span_from_string(text), &place, error);
            assert_int_equal(good, j < 2);
            assert_int_equal(place, j < 2 ? values[j] : field->max);
        }
        assert_false(config_value_read(field, SPAN_LITERAL("99999999999999999999"), &place, error));
        assert_false(config_value_read(field, SPAN_LITERAL("4294967296"), &place, error));
        assert_false(config_value_read(field, SPAN_LITERAL(""), &place, error));
    }
}

/* The table itself: sections before their keys, elements behind their list, a sentence each. */
static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        const struct config_field *field = &config_fields[i];
        const char *dot = strrchr(field->path, '.');
        bool found = dot == NULL;

        assert_true(strlen(field->sentence) > 10);
        assert_true(strlen(field->path) < 60);
        assert_int_equal(field->type == CONFIG_ENUM || field->type == CONFIG_WORD_LIST ||
                             field->type == CONFIG_URL,
                         field->words != NULL);
        for (size_t j = 0; j < i && !found; j++) {
            size_t len = strlen(config_fields[j].path);
            found = strncmp(config_fields[j].path, field->path, len) == 0 &&
                    (field->path + len == dot || strncmp(field->path + len, "[].", 3) == 0);
        }
        assert_true(found);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(config_fields[j].path, field->path);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    return setenv("HOME", "/home/test", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_example_is_current),
        cmocka_unit_test(test_example_rule),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_limits_below_defaults),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_references_of_threads),
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_difference_in_rules),
        cmocka_unit_test(test_home),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_many_errors),
        cmocka_unit_test(test_bounds_of_the_tree),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_every_bound),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
