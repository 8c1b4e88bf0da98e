/* SPDX-License-Identifier: Apache-2.0 */
/* What proxies of a world are, and how they read what they are asked. */
#include "core/engine/address.h"
#include "tests/sim/sim_world.h"

#include <stdlib.h>

static void write_proxy(struct text *t, const char *name, enum way_kind way, int port,
                        const char *secret_file)
{
    static const char *const scheme[] = {"", "http", "https", "socks5"};

    if (way != WAY_DIRECT) {
        text_printf(t, "    - {name: %s, url: \"%s://proxy.test:%d\", credentials: \"%s\"}\n", name,
                    scheme[way], port + (int)way, secret_file);
    }
}

void proxies_write_config(struct text *t, const struct world *world, const char *secret_file)
{
    if (world->way == WAY_DIRECT) {
        return;
    }
    text_string(t, "  proxies:\n");
    write_proxy(t, "bad", world->bad_way, PROXY_PORT_BAD, secret_file);
    write_proxy(t, "good", world->way, PROXY_PORT, secret_file);
    text_printf(t, "  retry: 1s\n  via: [%sgood]\n", world->bad_way ? "bad, " : "");
}

bool host_is_at(const struct host *host, const char *name)
{
    struct span rest = span_from_string(host->addresses);
    struct address wanted, address;

    if (!address_parse_ip(&wanted, span_from_string(name), 0)) {
        return strcmp(host->name, name) == 0;
    }
    while (rest.len) {
        size_t len = span_find(rest, ' ');
        if (address_parse_ip(&address, span_sub(rest, 0, len), 0) &&
            address_equal(&address, &wanted)) {
            return true;
        }
        rest = span_skip(rest, len + 1);
    }
    return false;
}

uint16_t proxy_split_authority(char *text, char **host)
{
    char *end = text + strcspn(text, "/ ?");
    char *colon;

    *end = '\0';
    colon = strrchr(text, ':');
    *host = text;
    if (text[0] == '[') {
        *host = text + 1;
        colon = strchr(text, ']');
        ASSERT(colon);
        *colon++ = '\0';
        colon = *colon == ':' ? colon : NULL;
    }
    if (!colon) {
        return 80;
    }
    *colon = '\0';
    return (uint16_t)strtoul(colon + 1, NULL, 10);
}

size_t proxy_socks_len(const struct bytes *in, int step)
{
    size_t len;

    if (in->len < 5) {
        return step == 0 && in->len >= 2 && in->len >= 2u + in->data[1] ? 2u + in->data[1] : 0;
    }
    switch (step) {
    case 0:
        len = 2u + in->data[1];
        break;
    case 1:
        len = 2u + in->data[1];
        len = in->len > len ? len + 1 + in->data[len] : in->len + 1;
        break;
    default:
        len = 4u + 2 + (in->data[3] == 1 ? 4 : in->data[3] == 4 ? 16 : 1 + in->data[4]);
        break;
    }
    return in->len >= len ? len : 0;
}

bool proxies_get_in_the_way(const struct visit *v)
{
    const struct world *world = v->client->world;

    bool is_http = world->way == WAY_HTTP || world->way == WAY_HTTPS;

    /* A target that takes for ever looks the same as a proxy that does. */
    if ((world->bad_way || (is_http && v->kind == VISIT_FORWARD)) &&
        (v->host->kind == HOST_HANGS || v->host->kind == HOST_SLOW_NAME)) {
        return true;
    }
    /* The proxy falls silent with the target behind it. */
    if (world->way != WAY_DIRECT && v->host->kind == HOST_TLS_STALLS) {
        return true;
    }
    /* What it has taken as a request of plain HTTP is not always tried again. */
    return v->kind == VISIT_FORWARD && (world->bad_way == WAY_HTTP || world->bad_way == WAY_HTTPS);
}
