/* SPDX-License-Identifier: Apache-2.0 */
#include "core/admin/admin.h"

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/engine/conn.h"
#include "core/engine/listener.h"
#include "http/authority.h"
#include "http/h1.h"
#include "http/reply.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { CLIENTS_MAX = 64 /* one more ends the one that is there longest */ };

#define REQUEST_NS (10 * NS_PER_S) /* for a whole request */
#define QUIET_NS   (30 * NS_PER_S) /* between requests, or for an answer to be taken */
#define PARTING_NS NS_PER_S        /* at the end, for requests of who is there */
#define TURN_NS    (2 * NS_PER_S)  /* a worker that has not turned for so long is stuck */

static const struct h1_limits head_limits = {
    .head_bytes = 16 * 1024, .line_bytes = 8 * 1024, .field_count = 64};
static const char plain_type[] = "text/plain; charset=utf-8";

/* A letter that goes to a worker and comes back: the worker has turned. */
struct ping {
    struct letter letter;
    struct admin *admin;
    struct worker *worker;
    bool under_way;
    int64_t asked_ns;
    int64_t back_ns;
};

struct admin {
    struct worker engine; /* first: CONTAINER_OF back from it */
    struct admin_options options;
    struct pool clients;
    struct list_node by_age; /* of them, who is there longest first */
    pthread_t thread;
    pthread_barrier_t started;
    struct letter order; /* look at what main has set */
    bool stopping;
    bool clean;
    int result; /* of the thread's start: 0 or -errno */
    char error[512];

    pthread_mutex_t lock; /* of what main sets */
    enum admin_state state;
    bool stop_wanted;
    bool order_under_way;
    bool may_ping;
    struct config *config;
    struct admin_service service; /* worker_count 0: not serving yet */
    struct ping *pings;           /* one a worker; the array itself is set once */
};

struct client {
    struct pool_slot pool;
    struct list_node by_age;
    struct actor actor;
    struct admin *admin;
    struct conn *conn;
    struct timer deadline;
    struct h1_scan scan;
    int64_t asked_ns; /* waits for the workers since then; 0: does not */
    bool asked_keep_alive;
    bool asked_head;
    bool was_answered; /* at least once */
};

/* ---- answers ---- */

static void close_client(struct client *c, enum conn_close_how how)
{
    struct admin *a = c->admin;

    conn_close(c->conn, how);
    timer_clear(&a->engine.timers, &c->deadline);
    actor_fini(&c->actor);
    list_remove(&c->by_age);
    pool_free(&a->clients, c);
}

static void set_deadline(struct client *c, int64_t ns)
{
    timer_set(&c->admin->engine.timers, &c->deadline, worker_now(&c->admin->engine) + ns);
}

/* False: the client is gone. */
static bool send_reply(struct client *c, const struct http_reply *reply)
{
    struct text t = text_make(c->admin->engine.scratch, WORKER_SCRATCH_CAP);

    http_write_reply(&t, reply);
    ASSERT(!t.overflow);
    if (!conn_write(c->conn, text_view(&t))) {
        close_client(c, CONN_CLOSE_RESET);
        return false;
    }
    if (!reply->keep_alive) {
        close_client(c, CONN_CLOSE_FLUSH);
        return false;
    }
    conn_flush(c->conn);
    set_deadline(c, QUIET_NS);
    c->was_answered = true;
    return true;
}

static bool may_stay(struct admin *a)
{
    pthread_mutex_lock(&a->lock);
    bool stays = a->state != ADMIN_HANDED_OVER && !a->stop_wanted;
    pthread_mutex_unlock(&a->lock);
    return stays;
}

static bool send_text(struct client *c, uint16_t status, struct span body, bool keep_alive,
                      bool head_only)
{
    const struct http_reply reply = {
        .status = status,
        .type = plain_type,
        .body = body,
        .keep_alive = keep_alive && may_stay(c->admin),
        .head_only = head_only,
    };

    return send_reply(c, &reply);
}

static bool refuse(struct client *c, uint16_t status, const char *detail, bool keep_alive,
                   bool head_only)
{
    const struct http_reply reply = {
        .status = status,
        .detail = span_from_string(detail),
        .allow = status == 405 ? "GET, HEAD" : NULL,
        .keep_alive = keep_alive && may_stay(c->admin),
        .head_only = head_only,
    };

    return send_reply(c, &reply);
}

/* ---- /livez ---- */

static void ping_is_back(struct letter *letter)
{
    struct ping *ping = CONTAINER_OF(letter, struct ping, letter);
    struct admin *a = ping->admin;
    struct client *c;
    uint32_t at = 0;

    ping->under_way = false;
    ping->back_ns = worker_now(&a->engine);
    while ((c = pool_next(&a->clients, &at))) {
        if (c->asked_ns) {
            actor_ready(&c->actor);
        }
    }
}

/* On the worker's thread. */
static void ping_is_there(struct letter *letter)
{
    struct ping *ping = CONTAINER_OF(letter, struct ping, letter);

    letter->deliver = ping_is_back;
    worker_post(&ping->admin->engine, letter);
}

/* Under the lock, so that no worker ends meanwhile. */
static void ping_workers(struct admin *a)
{
    for (uint32_t i = 0; a->may_ping && i < a->service.worker_count; i++) {
        struct ping *ping = &a->pings[i];

        if (!ping->under_way) {
            ping->under_way = true;
            ping->asked_ns = worker_now(&a->engine);
            ping->letter.deliver = ping_is_there;
            worker_post(ping->worker, &ping->letter);
        }
    }
}

static bool has_turned(const struct ping *ping, const struct client *c)
{
    return ping->back_ns >= c->asked_ns;
}

/* Answers if all workers have turned, or their time is over. False: the client is gone. */
static bool tell_liveness(struct client *c, bool is_over)
{
    struct admin *a = c->admin;
    char memory[1024];
    struct text t = text_make(memory, sizeof(memory));
    uint32_t stuck = 0;

    pthread_mutex_lock(&a->lock);
    for (uint32_t i = 0; a->may_ping && i < a->service.worker_count; i++) {
        if (!has_turned(&a->pings[i], c) && stuck++ < 16) {
            text_printf(&t, "worker %u has not turned for %lld ms\n", i,
                        (long long)((worker_now(&a->engine) - a->pings[i].asked_ns) / NS_PER_MS));
        }
    }
    pthread_mutex_unlock(&a->lock);
    if (stuck && !is_over) {
        return true;
    }
    c->asked_ns = 0;
    return send_text(c, stuck ? 503 : 200, stuck ? text_view(&t) : SPAN_LITERAL("ok\n"),
                     c->asked_keep_alive, c->asked_head);
}

/* ---- the pages ---- */

struct request {
    const struct http_head *head;
    struct http_authority host; /* host_len 0: none was sent */
    bool is_head;
    bool keep_alive;
};

static bool answer_livez(struct client *c, const struct request *request)
{
    struct admin *a = c->admin;

    c->asked_ns = worker_now(&a->engine);
    c->asked_keep_alive = request->keep_alive;
    c->asked_head = request->is_head;
    set_deadline(c, TURN_NS);
    pthread_mutex_lock(&a->lock);
    ping_workers(a);
    pthread_mutex_unlock(&a->lock);
    return tell_liveness(c, false);
}

static bool answer_readyz(struct client *c, const struct request *request)
{
    static const char *const words[] = {[ADMIN_STARTING] = "starting\n",
                                        [ADMIN_READY] = "ready\n",
                                        [ADMIN_DRAINING] = "draining\n",
                                        [ADMIN_HANDED_OVER] = "ready\n"};
    struct admin *a = c->admin;

    pthread_mutex_lock(&a->lock);
    enum admin_state state = a->state;
    pthread_mutex_unlock(&a->lock);
    return send_text(c, state == ADMIN_READY || state == ADMIN_HANDED_OVER ? 200 : 503,
                     span_from_string(words[state]), request->keep_alive, request->is_head);
}

static bool answer_page(struct client *c, const struct request *request, const struct page *page)
{
    struct admin *a = c->admin;
    struct text body = text_make(a->engine.scratch + WORKER_SCRATCH_CAP / 2, PAGE_BYTES_MAX);
    struct page_facts facts = {
        .ca = a->options.ca,
        .host = request->host.host_len ? request->head->host : SPAN_LITERAL("localhost"),
        .is_admin = true,
    };
    char proxy[PAGE_PROXY_MAX];
    struct span host = span_make(request->host.host, request->host.host_len);

    pthread_mutex_lock(&a->lock);
    struct config *config = config_get(a->config);
    for (size_t i = 0; a->service.worker_count && i < config->listener_count && !facts.proxy; i++) {
        if (page_name_proxy(config, &config->listeners[i], &a->service.bound[i],
                            host.len ? host : SPAN_LITERAL("localhost"), proxy)) {
            facts.proxy = proxy;
        }
    }
    pthread_mutex_unlock(&a->lock);
    facts.magic_host = config->admin.magic_host;
    page->write(&body, &facts);
    config_put(config);
    ASSERT(!body.overflow);
    const struct http_reply reply = {
        .status = 200,
        .type = page->type,
        .body = text_view(&body),
        .keep_alive = request->keep_alive && may_stay(a),
        .head_only = request->is_head,
    };
    return send_reply(c, &reply);
}

static const struct {
    const char *path;
    bool (*answer)(struct client *c, const struct request *request);
} routes[] = {
    {"/livez", answer_livez},
    {"/readyz", answer_readyz},
};

/* Only names that nobody else can make point here (DNS rebinding). HTTP/1.0 knows no Host; those
 * that send none are no browsers. */
static bool knows_host(struct request *request)
{
    struct http_fault fault;

    if (request->head->host.len == 0) {
        return request->head->version == HTTP_VERSION_1_0;
    }
    return authority_parse_host(&request->host, request->head->host, &fault) &&
           (request->host.is_ip || strcmp(request->host.host, "localhost") == 0);
}

/* False: the client is gone. */
static bool answer(struct client *c, const struct http_head *head)
{
    struct request request = {.head = head,
                              .is_head = span_equal(head->method, SPAN_LITERAL("HEAD")),
                              .keep_alive = head->keep_alive && head->framing == HTTP_NO_BODY};
    struct span path = page_path(head->target);
    const struct page *page = page_find(head->target);

    if (!knows_host(&request)) {
        return refuse(c, 421,
                      "the Host of a request to the admin address must be an IP address or "
                      "localhost, so that no web page can reach it by a name of its own",
                      false, request.is_head);
    }
    if (!span_equal(head->method, SPAN_LITERAL("GET")) && !request.is_head) {
        return refuse(c, 405, "this address can only be read (GET, HEAD)", request.keep_alive,
                      false);
    }
    if (path.len == 0 || path.data[0] != '/') {
        return refuse(c, 421, "this is the admin address of the proxy, not the proxy", false,
                      request.is_head);
    }
    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        if (span_equal(path, span_from_string(routes[i].path))) {
            return routes[i].answer(c, &request);
        }
    }
    return page ? answer_page(c, &request, page)
                : refuse(c, 404, "there is no such page; / lists them", request.keep_alive,
                         request.is_head);
}

/* ---- clients ---- */

/* False: the client is gone, or must wait. */
static bool read_request(struct client *c)
{
    static __thread struct http_head head;
    struct conn *conn = c->conn;
    struct buf_cache *bufs = &c->admin->engine.bufs;
    size_t want = conn->rx.len < BUF_HEAD_CAP ? conn->rx.len : BUF_HEAD_CAP;
    struct span bytes = buf_queue_gather(&conn->rx, bufs, want);
    struct http_fault fault;
    bool stays;

    switch (h1_read_request(&head, &c->scan, bytes, &head_limits, &fault)) {
    case H1_BAD:
        (void)refuse(c, fault.status, fault.what, false, false);
        return false;
    case H1_DONE:
        c->scan = (struct h1_scan){0};
        /* The head's spans point into rx, which is consumed behind the answer. */
        stays = answer(c, &head);
        if (stays) {
            buf_queue_consume(&conn->rx, bufs, head.len);
        }
        return stays;
    case H1_MORE:
        break;
    }
    if (conn->eof) {
        close_client(c, CONN_CLOSE_FLUSH);
        return false;
    }
    conn_receive(conn, head_limits.head_bytes + 1);
    return false;
}

static void run_client(struct actor *actor)
{
    struct client *c = CONTAINER_OF(actor, struct client, actor);
    struct conn *conn = c->conn;
    bool is_over = c->deadline.fired;

    c->deadline.fired = false;
    if (conn->error) {
        close_client(c, CONN_CLOSE_NOW);
        return;
    }
    if (c->asked_ns) {
        if (!tell_liveness(c, is_over) || c->asked_ns) {
            return;
        }
    } else if (is_over) {
        close_client(c, conn->tx.len ? CONN_CLOSE_RESET : CONN_CLOSE_FLUSH);
        return;
    }
    for (;;) {
        if (conn->tx.len) {
            conn->tx_wake = 1; /* one answer at a time */
            conn_receive(conn, 1);
            return;
        }
        if (!read_request(c) || c->asked_ns) {
            return;
        }
    }
}

/* The client that is there longest makes room. */
static void make_room(struct admin *a)
{
    if (a->clients.live_count == CLIENTS_MAX) {
        close_client(CONTAINER_OF(a->by_age.next, struct client, by_age), CONN_CLOSE_RESET);
    }
}

static void accept_client(struct worker *engine, struct listener *listener, int fd)
{
    struct admin *a = CONTAINER_OF(engine, struct admin, engine);
    struct client *c;

    (void)listener;
    make_room(a);
    c = pool_new(&a->clients);
    if (!c) {
        ring_close(engine->ring, fd);
        return;
    }
    actor_init(&c->actor, &engine->ready, run_client);
    timer_init(&c->deadline, &c->actor);
    c->conn = conn_accepted(engine, fd, &c->actor);
    if (!c->conn) {
        ring_close(engine->ring, fd);
        pool_free(&a->clients, c);
        return;
    }
    c->admin = a;
    list_init(&c->by_age);
    list_push_back(&a->by_age, &c->by_age);
    set_deadline(c, REQUEST_NS);
    actor_ready(&c->actor);
}

/* ---- the thread ---- */

static void look_at_orders(struct letter *letter)
{
    struct admin *a = CONTAINER_OF(letter, struct admin, order);

    pthread_mutex_lock(&a->lock);
    a->order_under_way = false;
    a->stopping = a->stop_wanted;
    bool accepts = a->state != ADMIN_HANDED_OVER && !a->stopping;
    pthread_mutex_unlock(&a->lock);
    for (size_t i = 0; !accepts && i < a->engine.listener_count; i++) {
        listener_close(&a->engine.listeners[i]);
    }
}

/* Who was accepted and has not been heard yet still gets an answer, if it asks soon. */
static void part_with_clients(struct admin *a)
{
    int64_t end_ns = worker_now(&a->engine) + PARTING_NS;
    struct client *c;

    while (a->clients.live_count) {
        bool is_over = worker_now(&a->engine) >= end_ns;
        uint32_t at = 0;

        while ((c = pool_next(&a->clients, &at))) {
            if (is_over || (c->was_answered && !c->asked_ns && !c->conn->rx.len)) {
                close_client(c, CONN_CLOSE_FLUSH);
            }
        }
        worker_turn_within(&a->engine, PARTING_NS / 20);
    }
}

static int start(struct admin *a)
{
    /* Few connections, small heads, and no names to look up. */
    static const struct ring_options ring = {
        .sq_entries = 64,
        .cq_entries = 1024,
        .group = {{.count = 16, .size = 2048}, {.count = 2, .size = 16384}},
    };
    static const char *const no_server = "127.0.0.1";
    const struct resolver_options resolver = {
        .servers = &no_server, .server_count = 1, .hosts_file = "/dev/null", .timeout_ms = 1000};
    const struct worker_options engine = {
        .conn_cap = 2 * CLIENTS_MAX,
        .dial_cap = 1,
        .idle_cap = 1,
        .idle_ns = NS_PER_S,
        .buffer_high = 64 * 1024,
        .buffer_low = 16 * 1024,
        .ring = &ring,
        .resolver = &resolver,
        .accepted = accept_client,
    };
    const struct listen_socket socket = {a->options.fd, 0};
    int result = worker_init(&a->engine, &engine, a->error, sizeof(a->error));

    list_init(&a->by_age);
    if (result < 0) {
        return result;
    }
    if (pool_init(&a->clients, "admin clients", sizeof(struct client), CLIENTS_MAX) < 0 ||
        worker_listen(&a->engine, &socket, 1) < 0) {
        snprintf(a->error, sizeof(a->error), "admin: out of memory at start");
        return -ENOMEM; /* the process ends */
    }
    return 0;
}

static void *run_admin(void *argument)
{
    struct admin *a = argument;

    prctl(PR_SET_NAME, "weir-admin");
    a->result = start(a);
    pthread_barrier_wait(&a->started);
    if (a->result < 0) {
        return NULL;
    }
    while (!a->stopping) {
        worker_turn(&a->engine);
    }
    part_with_clients(a);
    a->clean = worker_fini(&a->engine);
    pool_fini(&a->clients);
    return NULL;
}

struct admin *admin_new(const struct admin_options *options, char *error, size_t error_cap)
{
    struct admin *a = calloc(1, sizeof(*a));

    if (!a) {
        snprintf(error, error_cap, "admin: out of memory at start");
        close(options->fd);
        return NULL;
    }
    a->options = *options;
    a->config = config_get(options->config);
    a->order.deliver = look_at_orders;
    pthread_mutex_init(&a->lock, NULL);
    pthread_barrier_init(&a->started, NULL, 2);
    int result = options->service && !admin_set_service(a, options->service) ? ENOMEM : 0;
    if (result == 0) {
        result = pthread_create(&a->thread, NULL, run_admin, a);
    }
    if (result != 0) {
        snprintf(error, error_cap, "admin: no thread could be started: %s", strerror(result));
    } else {
        pthread_barrier_wait(&a->started);
        if (a->result == 0) {
            return a;
        }
        pthread_join(a->thread, NULL);
        snprintf(error, error_cap, "admin: %s", a->error);
    }
    close(options->fd);
    config_put(a->config);
    free(a->pings);
    free(a);
    return NULL;
}

/* ---- main's side ---- */

/* With the lock held. A letter under way will see what was set. */
static void tell(struct admin *a)
{
    if (!a->order_under_way) {
        a->order_under_way = true;
        worker_post(&a->engine, &a->order);
    }
}

bool admin_set_service(struct admin *a, const struct admin_service *service)
{
    struct ping *pings = calloc(service->worker_count, sizeof(*pings));

    if (!pings) {
        return false;
    }
    for (uint32_t i = 0; i < service->worker_count; i++) {
        pings[i].admin = a;
        pings[i].worker = service->workers[i];
    }
    pthread_mutex_lock(&a->lock);
    a->service = *service;
    a->pings = pings;
    a->may_ping = true;
    a->state = ADMIN_READY;
    pthread_mutex_unlock(&a->lock);
    return true;
}

void admin_forget_workers(struct admin *a)
{
    pthread_mutex_lock(&a->lock);
    a->may_ping = false;
    pthread_mutex_unlock(&a->lock);
}

void admin_set_config(struct admin *a, struct config *config)
{
    pthread_mutex_lock(&a->lock);
    config_put(a->config);
    a->config = config_get(config);
    pthread_mutex_unlock(&a->lock);
}

void admin_set_state(struct admin *a, enum admin_state state)
{
    pthread_mutex_lock(&a->lock);
    a->state = state;
    tell(a);
    pthread_mutex_unlock(&a->lock);
}

bool admin_free(struct admin *a)
{
    bool clean;

    pthread_mutex_lock(&a->lock);
    a->stop_wanted = true;
    tell(a);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    clean = a->clean;
    pthread_mutex_destroy(&a->lock);
    pthread_barrier_destroy(&a->started);
    config_put(a->config);
    free(a->pings);
    free(a);
    return clean;
}
