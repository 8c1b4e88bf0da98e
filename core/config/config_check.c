/* SPDX-License-Identifier: Apache-2.0 */
/* What single values cannot show: limits that contradict each other, rules that never match. */
#include "core/config/config_read.h"

#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct config_mark start_of_file = {0, 0};

struct check {
    const struct config *config;
    const struct config_node *root;
    struct config_source *source;
    size_t read_issue_count; /* what was found before the checks: errors of single values */
};

/* Where to point when two values do not fit: at the first if it was written, else at the other. */
static struct config_mark mark_of_pair(const struct check *check, const char *path,
                                       const char *other)
{
    const struct config_node *node = config_node_find(check->root, path);

    node = node ? node : config_node_find(check->root, other);
    return node ? node->mark : start_of_file;
}

/* A value with an error of its own is not compared with others. */
static bool is_read(const struct check *check, const char *path)
{
    const struct config_node *node = config_node_find(check->root, path);

    return !node || !config_source_has_error_at(check->source, check->read_issue_count, node->mark);
}

/* Null when it is a file that can be read. Nothing is opened: a device may act on that. */
static const char *file_error(const char *path)
{
    struct stat status;

    if (stat(path, &status) < 0 || faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0) {
        return strerror(errno);
    }
    return S_ISDIR(status.st_mode) ? strerror(EISDIR) : NULL;
}

static void check_listeners(const struct check *check)
{
    const struct config_node *list = config_node_find(check->root, "listeners");

    for (size_t i = 1; i < check->config->listener_count; i++) {
        const struct config_listener *listener = &check->config->listeners[i];
        const struct sockaddr_in *address =
            (const struct sockaddr_in *)&listener->address.socket_address;
        const struct config_node *node = config_node_item(list, i);

        /* The port lies at one place in both families; port 0 is another one each time. */
        for (size_t j = 0; j < i && listener->address.text && address->sin_port != 0; j++) {
            const struct config_listener *other = &check->config->listeners[j];
            if (other->address.text &&
                memcmp(&listener->address.socket_address, &other->address.socket_address,
                       sizeof(listener->address.socket_address)) == 0) {
                node = config_node_find(node, "address");
                config_error(check->source, node ? node->mark : start_of_file,
                             "address: listener %zu has the address %s already", j + 1,
                             other->address.text);
                break;
            }
        }
    }
}

static void check_admin(const struct check *check)
{
    const struct config_address *admin = &check->config->admin.address;
    const struct sockaddr_in *address = (const struct sockaddr_in *)&admin->socket_address;
    const struct config_node *node = config_node_find(check->root, "admin.address");

    for (size_t i = 0; node && admin->socket_address_len && address->sin_port != 0 &&
                       i < check->config->listener_count;
         i++) {
        if (memcmp(&admin->socket_address, &check->config->listeners[i].address.socket_address,
                   sizeof(admin->socket_address)) == 0) {
            config_error(check->source, node->mark,
                         "address: listener %zu has this address; give admin one of its own",
                         i + 1);
        }
    }
}

/* What a listener says that its mode has no use for, or does not say that it needs. */
static void check_mode(const struct check *check, const struct config_listener *listener,
                       const struct config_node *node)
{
    bool is_transparent = listener->mode == LISTENER_TRANSPARENT;
    bool is_explicit = listener->mode == LISTENER_FORWARD || listener->mode == LISTENER_SOCKS5;
    bool has_target = listener->target.scheme != TARGET_NONE;
    const struct {
        bool is_wrong;
        const char *key; /* to point at, if it was written */
        const char *sentence;
    } rules[] = {
        {listener->mode == LISTENER_REVERSE && !has_target && !config_node_find(node, "target"),
         "mode", "mode: a reverse listener needs a target, like target: https://www.example.com"},
        {listener->mode != LISTENER_REVERSE && has_target, "target",
         "target: only a reverse listener has one"},
        {listener->tproxy && !is_transparent, "tproxy",
         "tproxy: only a transparent listener can be reached so"},
        {listener->spoof && !listener->tproxy, "spoof",
         "spoof: the client's address can only be shown with tproxy: true"},
        {listener->users && listener->users[0] && !is_explicit, "users",
         "users: only clients that know of the proxy can say who they are: mode forward or socks5"},
        {listener->proxy_protocol != PROXY_PROTOCOL_OFF && listener->balancer_count == 0 &&
             !config_node_find(node, "balancers"),
         "proxy_protocol",
         "proxy_protocol: name the networks whose headers are believed in balancers"},
        {listener->proxy_protocol == PROXY_PROTOCOL_OFF && listener->balancer_count, "balancers",
         "balancers: no header is read from them while proxy_protocol is off"},
        {listener->proxy_protocol != PROXY_PROTOCOL_OFF && is_transparent, "proxy_protocol",
         "proxy_protocol: no load balancer is in front of a transparent listener"},
    };

    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        if (rules[i].is_wrong) {
            const struct config_node *key = config_node_find(node, rules[i].key);
            config_error(check->source, key ? key->mark : node->mark, "%s", rules[i].sentence);
        }
    }
}

static void check_modes(const struct check *check)
{
    const struct config_node *list = config_node_find(check->root, "listeners");

    for (size_t i = 0; i < check->config->listener_count; i++) {
        const struct config_node *node = config_node_item(list, i);
        if (node && node->kind == CONFIG_NODE_MAP) {
            check_mode(check, &check->config->listeners[i], node);
        }
    }
}

static bool is_proxy(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->upstream.proxy_count; i++) {
        const char *other = config->upstream.proxies[i].name;
        if (other && strcmp(other, name) == 0) {
            return true;
        }
    }
    return strcmp(name, "direct") == 0;
}

static void check_via(const struct check *check, char *const *via, size_t count,
                      const struct config_node *list)
{
    for (size_t i = 0; i < count; i++) {
        const struct config_node *node = config_node_item(list, i);
        if (node && via[i] && !is_proxy(check->config, via[i])) {
            config_error(check->source, node->mark,
                         "via: %s is neither the name of one of upstream.proxies nor direct",
                         config_quote(span_from_string(via[i])).text);
        }
    }
}

static void check_proxies(const struct check *check)
{
    const struct config *config = check->config;
    const struct config_node *list = config_node_find(check->root, "upstream.proxies");
    const struct config_node *rules = config_node_find(check->root, "intercept.rules");

    for (size_t i = 0; i < config->upstream.proxy_count; i++) {
        const struct config_upstream *proxy = &config->upstream.proxies[i];
        const struct config_node *node = config_node_item(list, i);
        const struct config_node *key = config_node_find(node, "name");
        bool is_taken = proxy->name && strcmp(proxy->name, "direct") == 0;

        for (size_t j = 0; j < i && proxy->name; j++) {
            const char *other = config->upstream.proxies[j].name;
            is_taken |= other && strcmp(other, proxy->name) == 0;
        }
        if (is_taken && key) {
            config_error(check->source, key->mark, "name: %s is taken",
                         config_quote(span_from_string(proxy->name)).text);
        }
        const char *error =
            proxy->credentials && proxy->credentials[0] ? file_error(proxy->credentials) : NULL;
        key = config_node_find(node, "credentials");
        if (error && key) {
            config_error(check->source, key->mark, "credentials: cannot read %s: %s",
                         config_quote(span_from_string(proxy->credentials)).text, error);
        }
    }
    check_via(check, config->upstream.via, config->upstream.via_count,
              config_node_find(check->root, "upstream.via"));
    for (size_t i = 0; i < config->intercept.rule_count; i++) {
        const struct config_rule *rule = &config->intercept.rules[i];
        check_via(check, rule->via, rule->via_count,
                  config_node_find(config_node_item(rules, i), "via"));
    }
}

/* Patterns beside the host's. */
static size_t pattern_count(const struct config_rule *rule)
{
    return rule->sni_count + rule->port_count + rule->ja3_count + rule->ja4_count +
           rule->verdict_count + rule->product_count + rule->client_count + rule->mismatch_count;
}

static bool is_catch_all(const struct config_rule *rule)
{
    bool any_host = rule->host_count == 0;

    for (size_t i = 0; i < rule->host_count && !any_host; i++) {
        any_host = rule->hosts[i] && strcmp(rule->hosts[i], "*") == 0;
    }
    return any_host && pattern_count(rule) == 0;
}

/* Any key but these is a pattern, or a pattern's misspelt name, which is an error already. */
static bool has_pattern_key(const struct config_node *rule)
{
    for (const struct config_node *key = rule->first; key; key = key->next) {
        if (!span_equal(key->text, SPAN_LITERAL("name")) &&
            !span_equal(key->text, SPAN_LITERAL("via")) &&
            !span_equal(key->text, SPAN_LITERAL("action"))) {
            return true;
        }
    }
    return false;
}

static void check_rules(const struct check *check)
{
    const struct config_node *list = config_node_find(check->root, "intercept.rules");
    const struct config_node *node = list && list->kind == CONFIG_NODE_LIST ? list->first : NULL;
    const struct config_rule *catch_all = NULL;
    uint32_t catch_all_line = 0;

    for (size_t i = 0; i < check->config->intercept.rule_count && node; i++, node = node->next) {
        const struct config_rule *rule = &check->config->intercept.rules[i];
        bool has_pattern = has_pattern_key(node);
        bool has_values = rule->host_count + pattern_count(rule) != 0;

        if (node->kind != CONFIG_NODE_MAP) {
            continue;
        }
        if (catch_all) {
            config_warning(check->source, node->mark,
                           "this rule never matches: the one on line %u matches everything",
                           catch_all_line + 1);
        } else if (!has_pattern) {
            config_warning(check->source, node->mark,
                           "this rule has no pattern and matches everything; say so with "
                           "host: \"*\"");
        }
        if (!catch_all && is_catch_all(rule) && (has_values || !has_pattern)) {
            catch_all = rule;
            catch_all_line = node->mark.line;
        }
    }
}

static void check_files(const struct check *check)
{
    const struct config *config = check->config;
    const struct config_node *list = config_node_find(check->root, "upstream.trust_files");
    const struct config_node *hosts = config_node_find(check->root, "dns.hosts_file");

    for (size_t i = 0; i < config->upstream.trust_file_count; i++) {
        const char *path = config->upstream.trust_files[i];
        const struct config_node *node = config_node_item(list, i);
        const char *error = path ? file_error(path) : NULL;

        if (error && node) {
            config_error(check->source, node->mark, "trust_files: cannot read %s: %s",
                         config_quote(span_from_string(path)).text, error);
        }
    }
    /* The system's own may be missing, as in a small container; a file of one's own may not. */
    if (hosts && config->dns.hosts_file && strcmp(config->dns.hosts_file, "/etc/hosts") != 0) {
        const char *error = file_error(config->dns.hosts_file);
        if (error) {
            config_error(check->source, hosts->mark, "hosts_file: cannot read %s: %s",
                         config_quote(span_from_string(config->dns.hosts_file)).text, error);
        }
    }
}

/* The built-in signatures have days, which that format does not know. */
static void check_compatible(const struct check *check)
{
    const struct config *config = check->config;
    const struct config_node *node = config_node_find(check->root, "detect.compatible");

    for (size_t i = 0; i < config->detect.database_count && node && config->detect.compatible;
         i++) {
        const char *path = config->detect.databases[i];
        if (path && strcmp(path, "builtin") == 0) {
            config_error(check->source, node->mark,
                         "compatible: the built-in signatures are not in MITMEngine's format; name "
                         "a folder with its own in databases");
            return;
        }
    }
}

/* Its contents are for the start to read: here only that there is something to read. */
static void check_databases(const struct check *check)
{
    const struct config *config = check->config;
    const struct config_node *list = config_node_find(check->root, "detect.databases");

    for (size_t i = 0; i < config->detect.database_count; i++) {
        const char *path = config->detect.databases[i];
        const struct config_node *node = config_node_item(list, i);
        struct stat status;

        if (!path || !node || strcmp(path, "builtin") == 0) {
            continue;
        }
        bool is_there = stat(path, &status) == 0;
        if (is_there && !S_ISDIR(status.st_mode)) {
            config_error(check->source, node->mark,
                         "databases: %s is no folder; name the folder that has browser.txt, "
                         "mitm.txt and badheader.txt, or builtin",
                         config_quote(span_from_string(path)).text);
        } else if (!is_there || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0) {
            config_error(check->source, node->mark, "databases: cannot read %s: %s",
                         config_quote(span_from_string(path)).text, strerror(errno));
        }
    }
}

/* Fields that say how a message or its connection is to be read: one more would change that. */
static bool is_field_with_meaning(const char *name)
{
    static const char *const names[] = {
        "connection", "content-length", "cookie",     "date",
        "expect",     "host",           "keep-alive", "set-cookie",
        "te",         "trailer",        "upgrade",    "transfer-encoding",
        "user-agent", "content-type",   "via",        "proxy-connection"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void check_header(const struct check *check)
{
    const struct config_node *header = config_node_find(check->root, "detect.header");
    const struct config *config = check->config;

    if (!header || !config->detect.header || !config->detect.header[0]) {
        return;
    }
    if (is_field_with_meaning(config->detect.header)) {
        config_error(check->source, header->mark,
                     "header: %s is a field that others send and need; choose a name of your own, "
                     "such as Weir-Verdict",
                     config->detect.header);
    } else if (config->detect.database_count == 0) {
        config_warning(check->source, header->mark,
                       "header: without databases nothing is judged, and so the field is only "
                       "refused, never sent");
    }
}

static void check_trust(const struct check *check)
{
    const struct config_node *verify = config_node_find(check->root, "upstream.verify");
    const struct config_node *system = config_node_find(check->root, "upstream.system_trust");
    const struct config_node *files = config_node_find(check->root, "upstream.trust_files");
    bool is_false = verify && span_equal(verify->text, SPAN_LITERAL("false"));
    bool is_off = system && span_equal(system->text, SPAN_LITERAL("false"));
    bool no_files = !files || (files->kind == CONFIG_NODE_LIST && files->count == 0);

    if (is_false) {
        config_warning(check->source, verify->mark,
                       "verify: servers are not verified, so anybody on the way to them can read "
                       "and change everything");
    } else if (is_off && no_files && !(verify && !check->config->upstream.verify)) {
        config_error(check->source, system->mark,
                     "system_trust: without the system's authorities and without trust_files no "
                     "server can be verified");
    }
}

/* Two numbers of which the first must be below the other, or at most equal to it. */
struct pair {
    const char *path, *other;
    bool may_be_equal;
    bool is_vain; /* the first just has no effect then: only if it was written is it a mistake */
    const char *sentence;
};

static const struct pair pairs[] = {
    {"limits.buffer_low", "limits.buffer_high", false, false, "reading would stop and never go on"},
    {"limits.head_bytes", "limits.buffer_high", true, false,
     "reading stops before such a head is whole"},
    {"limits.line_bytes", "limits.head_bytes", true, true, "a line is a part of a head"},
    {"dns.negative_ttl", "dns.ttl_max", true, true, "ttl_max is the longest time"},
    {"limits.send_stall_timeout", "limits.tunnel_idle_timeout", true, true,
     "it would never be reached"},
};

static void check_pair(const struct check *check, const struct pair *pair)
{
    const struct config_field *field = config_field_at(pair->path);
    const struct config_field *other = config_field_at(pair->other);
    uint32_t value, other_value;
    char text[32], other_text[32];

    memcpy(&value, (const char *)check->config + field->offset, sizeof(value));
    memcpy(&other_value, (const char *)check->config + other->offset, sizeof(other_value));
    if (value < other_value || (pair->may_be_equal && value == other_value) ||
        (pair->is_vain && !config_node_find(check->root, pair->path)) ||
        !is_read(check, pair->path) || !is_read(check, pair->other)) {
        return;
    }
    config_value_number(field, value, text, sizeof(text));
    config_value_number(other, other_value, other_text, sizeof(other_text));
    config_error(check->source, mark_of_pair(check, pair->path, pair->other),
                 "%s (%s) must be %s %s (%s): %s", config_field_name(field), text,
                 pair->may_be_equal ? "at most" : "below", config_field_name(other), other_text,
                 pair->sentence);
}

void config_check(const struct config *config, const struct config_node *root,
                  struct config_source *source)
{
    struct check check = {config, root, source, source->issue_count};

    if (!root || root->kind != CONFIG_NODE_MAP) {
        return; /* the defaults fit: a test loads them */
    }
    check_listeners(&check);
    check_modes(&check);
    check_admin(&check);
    check_proxies(&check);
    check_rules(&check);
    check_files(&check);
    check_databases(&check);
    check_compatible(&check);
    check_header(&check);
    check_trust(&check);
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        check_pair(&check, &pairs[i]);
    }
}
