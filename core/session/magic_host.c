/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/magic_host.h"

#include <strings.h>

bool magic_host_is(const struct session *s, const char *host)
{
    const char *magic_host = session_config(s)->admin.magic_host;

    return s->worker->shared->page_ca && magic_host[0] && strcasecmp(host, magic_host) == 0;
}

/* The address that the client has reached; null: it cannot be told. */
static const char *name_proxy(const struct session *s, char name[PAGE_PROXY_MAX])
{
    struct sockaddr_storage local;
    struct address address;
    char ip[ADDRESS_TEXT_MAX];

    if (ring_local_name(s->worker->engine.ring, s->client->fd, &local) < 0) {
        return NULL;
    }
    address = address_from_storage(&local);
    address_format_ip(&address, ip);
    return page_name_proxy(session_config(s), session_listener(s), &local, span_from_string(ip),
                           name)
               ? name
               : NULL;
}

static void write_page(struct session *s, const struct page *page, struct span host,
                       struct answer *answer)
{
    uint8_t *upper = s->worker->engine.scratch + WORKER_SCRATCH_CAP / 2;
    struct text body = text_make(upper, PAGE_BYTES_MAX);
    char proxy[PAGE_PROXY_MAX];
    const struct page_facts facts = {.ca = s->worker->shared->page_ca,
                                     .host = host,
                                     .proxy = name_proxy(s, proxy),
                                     .magic_host = session_config(s)->admin.magic_host};

    page->write(&body, &facts);
    ASSERT(!body.overflow);
    answer->type = page->type;
    answer->body = text_view(&body);
}

void magic_host_answer(struct session *s, const struct http_head *head, struct span path,
                       struct answer *answer)
{
    const struct page *page = page_find(path.len && path.data[0] == '/' ? path : SPAN_LITERAL("/"));

    s->decision = DECISION_INTERCEPT;
    s->rule = "admin.magic_host";
    *answer = (struct answer){.status = 200};
    if (!span_equal(head->method, SPAN_LITERAL("GET")) &&
        !span_equal(head->method, SPAN_LITERAL("HEAD"))) {
        answer->status = 405;
        answer->allow = "GET, HEAD";
        answer->detail = SPAN_LITERAL("the pages of this proxy can only be read (GET, HEAD)");
    } else if (!page) {
        answer->status = 404;
        answer->detail = SPAN_LITERAL("this proxy has no such page; its pages begin at /");
    } else {
        write_page(s, page, head->host, answer);
    }
}
