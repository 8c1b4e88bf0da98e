/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time, chance, connections and scripted peers of the simulation. Everything that happens later is
 * an action in one heap; actions of the same time run in the order in which they were scheduled.
 */
#include "tests/sim/sim_net.h"

#include "core/base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEATH_WITHIN_MS = 200 };

struct sim_peer {
    struct sim *sim;
    struct list_node link;
    struct sim_conn *conn;
    int side;
    const struct sim_peer_ops *ops;
    void *context;
    uint8_t *unsent;
    size_t unsent_len;
    size_t unsent_cap;
    bool fin_wanted;
    bool eof_told;
    bool over; /* reset or closed: no more callbacks */
};

struct server {
    struct list_node link;
    struct sockaddr_storage address;
    sim_on_connect_fn callback;
    void *context;
};

struct timer_call {
    void (*callback)(void *context);
    void *context;
};

_Thread_local struct sim *sim_current;

static const struct sim_peer_ops no_ops;

const struct sim_profile sim_profile_calm = {
    .name = "calm",
    .latency_min_ns = 20 * NS_PER_US,
    .latency_max_ns = 400 * NS_PER_US,
    .completion_max_ns = 5 * NS_PER_US,
    .socket_buffer_min = 2000,
    .socket_buffer_max = 40000,
};

const struct sim_profile sim_profile_rough = {
    .name = "rough",
    .latency_min_ns = NS_PER_US,
    .latency_max_ns = 3 * NS_PER_MS,
    .completion_max_ns = 50 * NS_PER_US,
    .socket_buffer_min = 64,
    .socket_buffer_max = 8000,
    .short_recv = 300,
    .multishot_end = 100,
    .oversleep = 10,
};

const struct sim_profile sim_profile_storm = {
    .name = "storm",
    .latency_min_ns = NS_PER_US,
    .latency_max_ns = 20 * NS_PER_MS,
    .completion_max_ns = 200 * NS_PER_US,
    .socket_buffer_min = 64,
    .socket_buffer_max = 8000,
    .short_recv = 200,
    .multishot_end = 100,
    .recv_error = 10,
    .send_error = 20,
    .accept_error = 100,
    .socket_error = 50,
    .connect_error = 100,
    .connect_hang = 20,
    .pipe_error = 100,
    .death = 150,
    .deaf_recv = 500,
    .oversleep = 10,
};

/* ---- Trace ---- */

static void trace_print(const struct sim_trace_line *line)
{
    fprintf(stderr, "%10lld.%03d us %s:", (long long)(line->now_ns / NS_PER_US),
            (int)(line->now_ns % NS_PER_US), line->what);
    for (int i = 0; i < SIM_TRACE_VALUES; i++) {
        fprintf(stderr, " %lld", (long long)line->value[i]);
    }
    fputc('\n', stderr);
}

void sim_trace(struct sim *sim, const char *what, int64_t a, int64_t b, int64_t c, int64_t d,
               int64_t e)
{
    struct sim_trace_line *line = &sim->trace[sim->trace_count++ % SIM_TRACE_LINES];
    uint64_t hash = sim->trace_hash ^ (uint64_t)sim->now_ns ^ (uint8_t)what[0];

    *line = (struct sim_trace_line){sim->now_ns, what, {a, b, c, d, e}};
    for (int i = 0; i < SIM_TRACE_VALUES; i++) {
        hash = (hash ^ (uint64_t)line->value[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    sim->trace_hash = hash;
    if (sim->trace_print) {
        trace_print(line);
    }
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    uint64_t first = sim->trace_count > SIM_TRACE_LINES ? sim->trace_count - SIM_TRACE_LINES : 0;
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    for (uint64_t i = first; i < sim->trace_count && !sim->trace_print; i++) {
        trace_print(&sim->trace[i % SIM_TRACE_LINES]);
    }
    panic(__FILE__, __LINE__, "simulation, seed %llu, profile %s: %s",
          (unsigned long long)sim->seed, sim->profile->name, text);
}

uint64_t sim_trace_hash(const struct sim *sim)
{
    return sim->trace_hash;
}

uint64_t sim_fault_count(const struct sim *sim)
{
    return sim->faults;
}

int64_t sim_now(const struct sim *sim)
{
    return sim->now_ns;
}

/* ---- Chance ---- */

/* splitmix64: every seed, 0 too, starts a good sequence. */
uint64_t sim_random(struct sim *sim)
{
    uint64_t z = sim->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t sim_below(struct sim *sim, uint64_t bound)
{
    return sim_random(sim) % bound;
}

bool sim_chance(struct sim *sim, uint32_t thousandths)
{
    bool hit = thousandths > 0 && sim_below(sim, 1000) < thousandths;

    sim->faults += hit;
    return hit;
}

int sim_pick(struct sim *sim, const int *errors, size_t count)
{
    return errors[sim_below(sim, count)];
}

int64_t sim_latency(struct sim *sim)
{
    int64_t range = sim->profile->latency_max_ns - sim->profile->latency_min_ns + 1;

    return sim->profile->latency_min_ns + (int64_t)sim_below(sim, (uint64_t)range);
}

/* ---- Time ---- */

static bool action_before(const struct sim_action *a, const struct sim_action *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

static void *grown(void *memory, size_t *cap, size_t want, size_t size)
{
    if (want > *cap) {
        *cap = want * 2 < 64 ? 64 : want * 2;
        memory = realloc(memory, *cap * size);
        ASSERT(memory);
    }
    return memory;
}

static void action_push(struct sim *sim, struct sim_action action)
{
    size_t i = sim->action_count++;

    action.sequence = sim->sequence++;
    sim->actions = grown(sim->actions, &sim->action_cap, i + 1, sizeof(action));
    for (; i > 0 && action_before(&action, &sim->actions[(i - 1) / 2]); i = (i - 1) / 2) {
        sim->actions[i] = sim->actions[(i - 1) / 2];
    }
    sim->actions[i] = action;
}

void sim_schedule(struct sim *sim, int64_t at_ns, sim_action_fn run, void *object,
                  uint64_t argument)
{
    action_push(sim, (struct sim_action){
                         .at_ns = at_ns, .run = run, .object = object, .argument = argument});
}

void sim_schedule_owned(struct sim *sim, int64_t at_ns, sim_action_fn run, void *object)
{
    action_push(sim,
                (struct sim_action){.at_ns = at_ns, .run = run, .object = object, .owned = true});
}

static struct sim_action action_pop(struct sim *sim)
{
    struct sim_action first = sim->actions[0];
    struct sim_action last = sim->actions[--sim->action_count];
    size_t i = 0;

    for (size_t child = 1; child < sim->action_count; child = 2 * i + 1) {
        if (child + 1 < sim->action_count &&
            action_before(&sim->actions[child + 1], &sim->actions[child])) {
            child++;
        }
        if (!action_before(&sim->actions[child], &last)) {
            break;
        }
        sim->actions[i] = sim->actions[child];
        i = child;
    }
    sim->actions[i] = last;
    return first;
}

bool sim_step(struct sim *sim, int64_t until_ns)
{
    struct sim_action action;

    if (sim->action_count == 0 || sim->actions[0].at_ns > until_ns) {
        return false;
    }
    action = action_pop(sim);
    if (action.at_ns > sim->now_ns) {
        sim->now_ns = action.at_ns;
    }
    action.run(sim, action.object, action.argument);
    return true;
}

static void run_timer_call(struct sim *sim, void *object, uint64_t argument)
{
    struct timer_call call = *(struct timer_call *)object;

    (void)argument;
    free(object);
    sim_trace(sim, "script timer", 0, 0, 0, 0, 0);
    call.callback(call.context);
}

void sim_after(struct sim *sim, int64_t delay_ns, void (*callback)(void *context), void *context)
{
    struct timer_call *call = malloc(sizeof(*call));

    ASSERT(call);
    *call = (struct timer_call){callback, context};
    sim_schedule_owned(sim, sim->now_ns + delay_ns, run_timer_call, call);
}

/* ---- Connections ---- */

static void run_death(struct sim *sim, void *object, uint64_t argument)
{
    struct sim_conn *conn = object;

    (void)argument;
    if (conn->end[0].open && conn->end[1].open && !conn->end[0].dead) {
        static const int errors[] = {ECONNRESET, ETIMEDOUT, EHOSTUNREACH, EPIPE};
        int error = sim_pick(sim, errors, COUNT_OF(errors));
        sim_trace(sim, "death errno", error, 0, 0, 0, 0);
        sim_conn_reset(conn, 0, error);
        sim_conn_reset(conn, 1, error);
    }
}

struct sim_conn *sim_conn_new(struct sim *sim)
{
    uint32_t least = sim->profile->socket_buffer_min;
    uint32_t range = sim->profile->socket_buffer_max - least + 1;
    struct sim_conn *conn = calloc(1, sizeof(*conn));

    ASSERT(conn);
    conn->sim = sim;
    list_init(&conn->link);
    list_push_back(&sim->conns, &conn->link);
    for (int side = 0; side < 2; side++) {
        conn->end[side].fd = -1;
        conn->end[side].open = true;
        conn->stream[side].cap = least + (size_t)sim_below(sim, range);
        conn->stream[side].data = malloc(conn->stream[side].cap);
        ASSERT(conn->stream[side].data);
    }
    if (sim_chance(sim, sim->profile->death)) {
        int64_t after_ms = (int64_t)sim_below(sim, DEATH_WITHIN_MS);
        sim_schedule(sim, sim->now_ns + after_ms * NS_PER_MS, run_death, conn, 0);
    }
    return conn;
}

static void peer_push(struct sim_peer *peer);

/* Tells an end that something changed. */
static void end_kick(struct sim_conn *conn, int side)
{
    struct sim_end *end = &conn->end[side];
    struct sim_stream *in = &conn->stream[!side];
    struct sim_peer *peer = end->peer;

    if (end->fd >= 0) {
        sim_kernel_kick(conn->sim, end->fd);
        return;
    }
    if (!peer || peer->over) {
        return;
    }
    if (end->dead) {
        peer->over = true;
        sim_trace(conn->sim, "peer reset errno", end->error, 0, 0, 0, 0);
        if (peer->ops->on_reset) {
            peer->ops->on_reset(peer, peer->context, end->error);
        }
        return;
    }
    peer_push(peer);
    if (in->visible > 0 && peer->ops->on_data) {
        peer->ops->on_data(peer, peer->context);
    }
    if (!peer->over && !peer->eof_told && in->fin_visible && in->len == 0) {
        peer->eof_told = true;
        if (peer->ops->on_eof) {
            peer->ops->on_eof(peer, peer->context);
        }
    }
}

/* The time at which something sent now by `side` arrives, after what it sent before. */
static int64_t arrival(struct sim_conn *conn, int side)
{
    struct sim_stream *stream = &conn->stream[side];
    int64_t at_ns = conn->sim->now_ns + sim_latency(conn->sim);

    if (at_ns < stream->arrival_ns) {
        at_ns = stream->arrival_ns;
    }
    stream->arrival_ns = at_ns;
    return at_ns;
}

enum { ARRIVES_BYTES, ARRIVES_FIN, ARRIVES_RESET, ARRIVES_ROOM };

/* The argument is what (3 bits), the side that sent it (1 bit), and a count or an errno. */
static void run_arrival(struct sim *sim, void *object, uint64_t argument)
{
    struct sim_conn *conn = object;
    int what = argument & 7;
    int from = argument >> 3 & 1;
    uint64_t value = argument >> 4;
    struct sim_end *end = &conn->end[!from];

    (void)sim;
    if (end->dead) {
        return;
    }
    if (what == ARRIVES_BYTES) {
        conn->stream[from].visible += value;
        if (!end->open) { /* bytes for nobody */
            sim_conn_reset(conn, !from, ECONNRESET);
            return;
        }
    } else if (what == ARRIVES_FIN) {
        conn->stream[from].fin_visible = true;
    } else if (what == ARRIVES_RESET) {
        end->dead = true;
        end->error = (int)value;
    }
    if (end->open) {
        end_kick(conn, !from);
    }
}

static void send_arrival(struct sim_conn *conn, int from, int what, uint64_t value)
{
    sim_schedule(conn->sim, arrival(conn, from), run_arrival, conn,
                 (uint64_t)what | (uint64_t)from << 3 | value << 4);
}

size_t sim_conn_room(const struct sim_conn *conn, int side)
{
    return conn->stream[side].cap - conn->stream[side].len;
}

size_t sim_conn_write(struct sim_conn *conn, int side, struct span bytes)
{
    struct sim_stream *stream = &conn->stream[side];
    size_t room = sim_conn_room(conn, side);
    size_t len = bytes.len < room ? bytes.len : room;

    if (len == 0) {
        return 0;
    }
    if (stream->start + stream->len + len > stream->cap) {
        memmove(stream->data, stream->data + stream->start, stream->len);
        stream->start = 0;
    }
    memcpy(stream->data + stream->start + stream->len, bytes.data, len);
    stream->len += len;
    send_arrival(conn, side, ARRIVES_BYTES, len);
    return len;
}

size_t sim_conn_read(struct sim_conn *conn, int side, void *memory, size_t len)
{
    struct sim_stream *stream = &conn->stream[!side];

    if (len > stream->visible) {
        len = stream->visible;
    }
    if (len > 0) {
        if (memory) {
            memcpy(memory, stream->data + stream->start, len);
        }
        stream->start += len;
        stream->len -= len;
        stream->visible -= len;
        send_arrival(conn, side, ARRIVES_ROOM, 0);
    }
    return len;
}

void sim_conn_fin(struct sim_conn *conn, int side)
{
    if (!conn->stream[side].fin_sent && !conn->end[side].dead) {
        conn->stream[side].fin_sent = true;
        send_arrival(conn, side, ARRIVES_FIN, 0);
    }
}

void sim_conn_reset(struct sim_conn *conn, int side, int error)
{
    send_arrival(conn, side, ARRIVES_RESET, (uint64_t)error);
}

void sim_conn_close(struct sim_conn *conn, int side, bool reset)
{
    struct sim_end *end = &conn->end[side];

    end->open = false;
    end->fd = -1;
    if (end->dead) {
        return;
    }
    if (reset || conn->stream[!side].visible > 0) {
        sim_conn_reset(conn, side, ECONNRESET);
        end->dead = true;
    } else {
        sim_conn_fin(conn, side);
    }
}

/* ---- Names ---- */

bool sim_name_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

    if (a->ss_family != b->ss_family) {
        return false;
    }
    if (a->ss_family == AF_INET) {
        return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    }
    return a6->sin6_port == b6->sin6_port &&
           memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
}

/* 192.0.2.1 or 2001:db8::1, each time with another port. */
void sim_name_client(struct sim *sim, struct sockaddr_storage *name, int family)
{
    struct sockaddr_in *v4 = (void *)name;
    struct sockaddr_in6 *v6 = (void *)name;

    memset(name, 0, sizeof(*name));
    name->ss_family = (sa_family_t)family;
    if (family == AF_INET) {
        v4->sin_port = htons(sim->next_port++);
        v4->sin_addr.s_addr = htonl(0xc0000201);
    } else {
        static const uint8_t bytes[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
        v6->sin6_port = htons(sim->next_port++);
        memcpy(&v6->sin6_addr, bytes, sizeof(bytes));
    }
}

/* ---- Peers ---- */

static struct sim_peer *peer_new(struct sim *sim, struct sim_conn *conn, int side)
{
    struct sim_peer *peer = calloc(1, sizeof(*peer));

    ASSERT(peer);
    peer->sim = sim;
    peer->conn = conn;
    peer->side = side;
    peer->ops = &no_ops;
    list_init(&peer->link);
    list_push_back(&sim->peers, &peer->link);
    conn->end[side].peer = peer;
    return peer;
}

/* Moves what is unsent into the stream, and the FIN behind it. */
static void peer_push(struct sim_peer *peer)
{
    struct sim_stream *out = &peer->conn->stream[peer->side];
    size_t len;

    if (peer->over || out->fin_sent) {
        return;
    }
    len = sim_conn_write(peer->conn, peer->side, span_make(peer->unsent, peer->unsent_len));
    if (len > 0) {
        peer->unsent_len -= len;
        memmove(peer->unsent, peer->unsent + len, peer->unsent_len);
    }
    if (peer->unsent_len == 0) {
        if (peer->fin_wanted) {
            sim_conn_fin(peer->conn, peer->side);
        }
        if (len > 0 && peer->ops->on_sent) {
            peer->ops->on_sent(peer, peer->context);
        }
    }
}

static void run_peer_push(struct sim *sim, void *object, uint64_t argument)
{
    (void)sim, (void)argument;
    peer_push(object);
}

static void peer_push_soon(struct sim_peer *peer)
{
    sim_schedule(peer->sim, peer->sim->now_ns + NS_PER_US, run_peer_push, peer, 0);
}

void sim_peer_send(struct sim_peer *peer, struct span bytes)
{
    ASSERT(!peer->fin_wanted);
    if (bytes.len == 0 || peer->over) {
        return;
    }
    peer->unsent = grown(peer->unsent, &peer->unsent_cap, peer->unsent_len + bytes.len, 1);
    memcpy(peer->unsent + peer->unsent_len, bytes.data, bytes.len);
    peer->unsent_len += bytes.len;
    peer_push_soon(peer);
}

size_t sim_peer_unsent(const struct sim_peer *peer)
{
    return peer->unsent_len;
}

struct span sim_peer_view(const struct sim_peer *peer)
{
    const struct sim_stream *in = &peer->conn->stream[!peer->side];

    return span_make(in->data + in->start, in->visible);
}

static void run_peer_kick(struct sim *sim, void *object, uint64_t argument)
{
    struct sim_peer *peer = object;

    (void)sim, (void)argument;
    end_kick(peer->conn, peer->side);
}

void sim_peer_consume(struct sim_peer *peer, size_t len)
{
    struct sim_stream *in = &peer->conn->stream[!peer->side];

    ASSERT(len <= in->visible);
    sim_conn_read(peer->conn, peer->side, NULL, len);
    if (len > 0 && in->fin_visible && in->len == 0) { /* the FIN was there before */
        sim_schedule(peer->sim, peer->sim->now_ns + NS_PER_US, run_peer_kick, peer, 0);
    }
}

void sim_peer_shutdown(struct sim_peer *peer)
{
    peer->fin_wanted = true;
    peer_push_soon(peer);
}

void sim_peer_reset(struct sim_peer *peer)
{
    if (!peer->over) {
        peer->over = true;
        sim_conn_close(peer->conn, peer->side, true);
    }
}

void sim_peer_close(struct sim_peer *peer)
{
    if (!peer->over) {
        peer->over = true;
        sim_conn_close(peer->conn, peer->side, false);
    }
}

struct sim *sim_peer_sim(const struct sim_peer *peer)
{
    return peer->sim;
}

static void run_peer_dial(struct sim *sim, void *object, uint64_t argument)
{
    struct sim_peer *peer = object;
    struct sim_conn *conn = peer->conn;

    (void)argument;
    if (!peer->over && !sim_kernel_backlog(sim, conn, &conn->end[1].name)) {
        conn->end[0].dead = true;
        conn->end[0].error = ECONNREFUSED;
        end_kick(conn, 0);
    }
}

struct sim_peer *sim_connect(struct sim *sim, const struct sockaddr *to, socklen_t to_len,
                             const struct sim_peer_ops *ops, void *context)
{
    struct sim_conn *conn = sim_conn_new(sim);
    struct sim_peer *peer = peer_new(sim, conn, 0);

    memcpy(&conn->end[1].name, to, to_len);
    sim_name_client(sim, &conn->end[0].name, to->sa_family);
    peer->ops = ops;
    peer->context = context;
    sim_schedule(sim, sim->now_ns + sim_latency(sim), run_peer_dial, peer, 0);
    return peer;
}

void sim_peer_redirected(struct sim_peer *peer, const struct sockaddr *original,
                         socklen_t original_len)
{
    memcpy(&peer->conn->original, original, original_len);
}

void sim_expect_mark(struct sim *sim, uint32_t mark)
{
    sim->mark = mark;
}

/* The listener took it into its backlog. */
void sim_peer_opened(struct sim_peer *peer)
{
    if (!peer->over && peer->ops->on_open) {
        peer->ops->on_open(peer, peer->context);
    }
}

void sim_on_connect(struct sim *sim, const struct sockaddr *address, socklen_t address_len,
                    sim_on_connect_fn callback, void *context)
{
    struct server *server = calloc(1, sizeof(*server));

    ASSERT(server);
    memcpy(&server->address, address, address_len);
    server->callback = callback;
    server->context = context;
    list_init(&server->link);
    list_push_back(&sim->servers, &server->link);
}

int sim_serve(struct sim *sim, struct sim_conn *conn, const struct sockaddr_storage *to)
{
    LIST_FOREACH (node, &sim->servers) {
        struct server *server = CONTAINER_OF(node, struct server, link);
        if (sim_name_equal(&server->address, to)) {
            struct sim_peer *peer = peer_new(sim, conn, 1);
            int res = server->callback(server->context, peer, &peer->ops, &peer->context);
            peer->over = peer->over || res != 0;
            return res;
        }
    }
    return -ECONNREFUSED;
}

/* ---- Life ---- */

struct sim *sim_new(uint64_t seed, const struct sim_profile *profile)
{
    struct sim *sim = calloc(1, sizeof(*sim));

    ASSERT(sim);
    ASSERT(profile->latency_min_ns >= NS_PER_US && profile->socket_buffer_min > 0);
    sim->seed = seed;
    sim->random = seed;
    sim->profile = profile;
    sim->now_ns = NS_PER_S;
    sim->next_port = 10000;
    sim->trace_hash = UINT64_C(0xcbf29ce484222325);
    sim->trace_print = getenv("WEIR_SIM_TRACE") != NULL;
    list_init(&sim->conns);
    list_init(&sim->peers);
    list_init(&sim->servers);
    sim_kernel_new(sim);
    sim_current = sim;
    return sim;
}

void sim_free(struct sim *sim)
{
    struct list_node *node;

    sim_kernel_free(sim);
    for (size_t i = 0; i < sim->action_count; i++) {
        if (sim->actions[i].owned) {
            free(sim->actions[i].object);
        }
    }
    while ((node = list_pop_front(&sim->conns))) {
        struct sim_conn *conn = CONTAINER_OF(node, struct sim_conn, link);
        free(conn->stream[0].data);
        free(conn->stream[1].data);
        free(conn);
    }
    while ((node = list_pop_front(&sim->peers))) {
        struct sim_peer *peer = CONTAINER_OF(node, struct sim_peer, link);
        free(peer->unsent);
        free(peer);
    }
    while ((node = list_pop_front(&sim->servers))) {
        free(CONTAINER_OF(node, struct server, link));
    }
    free(sim->actions);
    free(sim);
    sim_current = NULL;
}
