/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/upstream.h"

#include "core/base/clock.h"
#include "core/base/text.h"
#include "tls/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FILE_MAX = 2 * UPSTREAM_SECRET_MAX + 1, /* "user:password" without the end of its line */
    BASIC_MAX = 6 + (FILE_MAX + 2) / 3 * 4,
};

/* RFC 4648 4. */
static void write_base64(struct text *t, struct span bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16 |
                         (uint32_t)(left > 1 ? bytes.data[i + 1] : 0) << 8 |
                         (left > 2 ? bytes.data[i + 2] : 0);
        text_char(t, digits[group >> 18]);
        text_char(t, digits[group >> 12 & 63]);
        text_char(t, left > 1 ? digits[group >> 6 & 63] : '=');
        text_char(t, left > 2 ? digits[group & 63] : '=');
    }
}

/* The first line of a file into `bytes`, without its end: its length, or -errno. -EFBIG when there
 * is more than that. */
static ssize_t read_line_file(const char *path, char *bytes, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t got = fd < 0 ? -1 : 1;

    while (got > 0 && len < cap) {
        got = read(fd, bytes + len, cap - len);
        len += got > 0 ? (size_t)got : 0;
    }
    int saved = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (got < 0) {
        return -saved;
    }
    while (len && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r')) {
        len--;
    }
    return len == cap ? -EFBIG : (ssize_t)len;
}

/* What is wrong with the text of a file of credentials, or null. */
static const char *credentials_error(struct span text, size_t colon)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < ' ' || text.data[i] == 0x7f) {
            return "it has more than one line, or control characters";
        }
    }
    if (colon == text.len) {
        return "there is no colon in it";
    }
    if (colon == 0 || colon > UPSTREAM_SECRET_MAX) {
        return "the user name must have 1 to 255 bytes";
    }
    return text.len - colon - 1 > UPSTREAM_SECRET_MAX ? "the password has more than 255 bytes"
                                                      : NULL;
}

static bool read_credentials(struct upstream_proxy *proxy, char *error, size_t error_cap)
{
    static const char expected[] = "expected one line: user:password";
    const char *path = proxy->config->credentials;
    const char *wrong;
    struct text t;
    ssize_t len;

    if (!path || !path[0]) {
        return true;
    }
    proxy->secret = calloc(1, FILE_MAX + 3); /* more than fits shows that there is more */
    proxy->authorization = calloc(1, BASIC_MAX + 1);
    if (!proxy->secret || !proxy->authorization) {
        snprintf(error, error_cap, "out of memory");
        return false;
    }
    len = read_line_file(path, proxy->secret, FILE_MAX + 3);
    if (len < 0) {
        snprintf(error, error_cap, "upstream proxy %s: cannot read its credentials from %s: %s; %s",
                 proxy->config->name, path, strerror((int)-len), expected);
        return false;
    }
    struct span text = span_make(proxy->secret, (size_t)len);
    size_t colon = span_find(text, ':');
    wrong = credentials_error(text, colon);
    if (wrong) {
        snprintf(error, error_cap, "upstream proxy %s: the credentials in %s are no good: %s; %s",
                 proxy->config->name, path, wrong, expected);
        return false;
    }
    proxy->user = span_sub(text, 0, colon);
    proxy->password = span_skip(text, colon + 1);
    t = text_make(proxy->authorization, BASIC_MAX);
    text_string(&t, "Basic ");
    write_base64(&t, text);
    return true;
}

static void wipe(char *secret, size_t len)
{
    if (secret) {
        explicit_bzero(secret, len);
        free(secret);
    }
}

static uint8_t place_of(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->upstream.proxy_count; i++) {
        if (strcmp(config->upstream.proxies[i].name, name) == 0) {
            return (uint8_t)i;
        }
    }
    return UPSTREAM_DIRECT; /* the configuration was checked: it says "direct" */
}

static struct upstream_via find_places(const struct config *config, char *const *names,
                                       size_t count)
{
    struct upstream_via via = {.count = 1, .places = {UPSTREAM_DIRECT}};

    for (size_t i = 0; i < count && i < UPSTREAM_VIA_MAX; i++) {
        via.places[i] = place_of(config, names[i]);
        via.count = (uint8_t)(i + 1);
    }
    return via;
}

/* TLS sessions of a proxy are resumed with that proxy alone, under the same configuration. */
static void make_ticket_key(struct upstream_proxy *proxy, uint64_t serial)
{
    char memory[512];
    struct text t = text_make(memory, sizeof(memory));

    text_printf(&t, "upstream proxy\n%llu\n", (unsigned long long)serial);
    text_string(&t, proxy->config->name);
    digest_sha256(proxy->ticket_key, text_view(&t));
}

struct upstreams *upstreams_new(const struct config *config, uint64_t serial, char *error,
                                size_t error_cap)
{
    struct upstreams *u = calloc(1, sizeof(*u));

    if (u) {
        u->config = config;
        u->proxies = calloc(config->upstream.proxy_count + 1, sizeof(*u->proxies));
        u->rules = calloc(config->intercept.rule_count + 1, sizeof(*u->rules));
    }
    if (!u || !u->proxies || !u->rules) {
        snprintf(error, error_cap, "out of memory");
        upstreams_free(u);
        return NULL;
    }
    for (size_t i = 0; i < config->upstream.proxy_count; i++) {
        u->proxies[i].config = &config->upstream.proxies[i];
        make_ticket_key(&u->proxies[i], serial);
        if (!read_credentials(&u->proxies[i], error, error_cap)) {
            upstreams_free(u);
            return NULL;
        }
    }
    u->via = find_places(config, config->upstream.via, config->upstream.via_count);
    for (size_t i = 0; i < config->intercept.rule_count; i++) {
        const struct config_rule *rule = &config->intercept.rules[i];
        u->rules[i] = rule->via_count ? find_places(config, rule->via, rule->via_count) : u->via;
    }
    return u;
}

void upstreams_free(struct upstreams *u)
{
    if (!u) {
        return;
    }
    for (size_t i = 0; u->proxies && i < u->config->upstream.proxy_count; i++) {
        wipe(u->proxies[i].secret, FILE_MAX + 3);
        wipe(u->proxies[i].authorization, BASIC_MAX + 1);
    }
    free(u->proxies);
    free(u->rules);
    free(u);
}

const struct upstream_via *upstreams_via(const struct upstreams *u, const struct config_rule *rule)
{
    return rule ? &u->rules[rule - u->config->intercept.rules] : &u->via;
}

struct upstream_via upstreams_order(struct upstreams *u, const struct upstream_via *via,
                                    int64_t now_ns)
{
    struct upstream_via order = {.count = via->count};
    struct upstream_via last = {.count = 0};
    uint8_t count = 0;

    for (size_t i = 0; i < via->count; i++) {
        uint8_t place = via->places[i];
        int64_t until_ns =
            place == UPSTREAM_DIRECT ? 0 : atomic_load(&u->proxies[place].failed_until_ns);
        bool is_well = until_ns == 0;
        if (!is_well && now_ns >= until_ns) {
            is_well = atomic_compare_exchange_strong(
                &u->proxies[place].failed_until_ns, &until_ns,
                now_ns + (int64_t)u->config->upstream.retry_ms * NS_PER_MS);
        }
        if (is_well) {
            order.places[count++] = place;
        } else {
            last.places[last.count++] = place;
        }
    }
    for (size_t i = 0; i < last.count; i++) {
        order.places[count++] = last.places[i];
    }
    return order;
}

uint8_t upstreams_first(const struct upstreams *u, const struct upstream_via *via, int64_t now_ns)
{
    for (size_t i = 0; i < via->count; i++) {
        uint8_t place = via->places[i];
        if (place == UPSTREAM_DIRECT || now_ns >= atomic_load(&u->proxies[place].failed_until_ns)) {
            return place;
        }
    }
    return via->places[0];
}

bool upstream_mark_failed(struct upstreams *u, uint8_t place, int64_t now_ns)
{
    return atomic_exchange(&u->proxies[place].failed_until_ns,
                           now_ns + (int64_t)u->config->upstream.retry_ms * NS_PER_MS) == 0;
}

bool upstream_mark_working(struct upstreams *u, uint8_t place)
{
    return atomic_load(&u->proxies[place].failed_until_ns) != 0 &&
           atomic_exchange(&u->proxies[place].failed_until_ns, 0) != 0;
}

const char *upstream_name(const struct upstreams *u, uint8_t place)
{
    return place == UPSTREAM_DIRECT ? "direct" : u->proxies[place].config->name;
}
