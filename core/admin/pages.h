/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages: what weir tells everybody about itself: how to trust its CA, the CA, and proxy.pac. Bytes
 * out and nothing else; the same pages are on the admin listener and on the magic host, to which
 * requests come through the proxy. Every value is escaped.
 */
#ifndef WEIR_ADMIN_PAGES_H
#define WEIR_ADMIN_PAGES_H

#include "core/base/text.h"
#include "core/config/config.h"

enum {
    PAGE_BYTES_MAX = 28 * 1024,
    PAGE_PROXY_MAX = 320, /* "SOCKS5 host:port" with its NUL */
};

/* The certificate authority; made once, immutable. */
struct page_ca {
    struct span der;
    uint8_t sha256[32];
    const char *subject;
    int64_t not_after_s; /* since 1970 */
};

/* All borrowed. */
struct page_facts {
    const struct page_ca *ca;
    struct span host;       /* where the reader found the page: host[:port] */
    const char *proxy;      /* as proxy.pac names it, "PROXY 192.0.2.1:8080"; null: there is none */
    const char *magic_host; /* "": none */
    bool is_admin;          /* the index names what only the admin listener has, too */
};

struct page {
    const char *path;
    const char *type; /* http_html_type, or another Content-Type */
    void (*write)(struct text *out, const struct page_facts *facts);
};

/* The page of a request-target in origin-form, whose query does not count. Null: there is none. */
const struct page *page_find(struct span target);
/* The path of a request-target, without its query. */
struct span page_path(struct span target);

/*
 * What proxy.pac is to name: admin.pac_proxy, or else the host at which the reader reached weir, or
 * the listener's own address where that is not all addresses. `host`: without port and brackets;
 * `bound`: of the listener, with its real port. False: this listener speaks to no client that knows
 * of proxies.
 */
bool page_name_proxy(const struct config *config, const struct config_listener *listener,
                     const struct sockaddr_storage *bound, struct span host,
                     char name[PAGE_PROXY_MAX]);

#endif
