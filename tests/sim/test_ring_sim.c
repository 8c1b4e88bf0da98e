/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated kernel, tried with a small relay: it accepts clients, dials a server for each and
 * moves bytes both ways, with receives and sends or with splice. Under every seed the bytes must
 * arrive as they were sent, or the connection must have died; at the end nothing may be left. And
 * each rule that the simulation checks is broken once on purpose.
 */
#include "core/base/clock.h"
#include "core/engine/ring.h"
#include "tests/sim/ring_sim.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { CLIENTS = 6, HIGH = 512, SIDES = 2, TURNS_MAX = 200000 };

static const struct sockaddr_in relay_address = {.sin_family = AF_INET, .sin_port = 0x901f};
static const struct sockaddr_in server_address = {
    .sin_family = AF_INET, .sin_port = 0xbb01, .sin_addr = {0x0100007f}};

static const struct ring_options small_options = {
    .sq_entries = 4,
    .cq_entries = 8,
    .group = {{.count = 8, .size = 128}, {.count = 4, .size = 512}},
};

/* ---- Scripts ---- */

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 131 + (at >> 7) + (at >> 15));
}

/* Sends `len` bytes, expects them back, then a FIN. */
struct client {
    struct sim_peer *peer;
    size_t len, checked;
    bool done; /* everything came back */
    bool over; /* done or reset */
};

static void client_open(struct sim_peer *peer, void *context)
{
    struct client *client = context;
    uint8_t *bytes = malloc(client->len);

    for (size_t i = 0; i < client->len; i++) {
        bytes[i] = pattern(i);
    }
    sim_peer_send(peer, span_make(bytes, client->len));
    sim_peer_shutdown(peer);
    free(bytes);
}

static void client_data(struct sim_peer *peer, void *context)
{
    struct client *client = context;
    struct span view = sim_peer_view(peer);
    size_t len = 1 + sim_random(sim_peer_sim(peer)) % view.len;

    for (size_t i = 0; i < len; i++) {
        assert_int_equal(view.data[i], pattern(client->checked + i));
    }
    client->checked += len;
    sim_peer_consume(peer, len);
}

/* A peer that reads now and then: what is left is told again when more arrives, or here. */
static void client_again(void *context)
{
    struct client *client = context;

    if (!client->over) {
        if (sim_peer_view(client->peer).len > 0) {
            client_data(client->peer, client);
        }
        sim_after(sim_peer_sim(client->peer), 200 * NS_PER_US, client_again, client);
    }
}

static void client_eof(struct sim_peer *peer, void *context)
{
    struct client *client = context;

    client->over = true;
    client->done = client->checked == client->len;
    sim_peer_close(peer);
}

static void client_reset(struct sim_peer *peer, void *context, int error)
{
    struct client *client = context;

    (void)peer;
    assert_true(error > 0);
    client->over = true;
}

static const struct sim_peer_ops client_ops = {
    .on_open = client_open,
    .on_data = client_data,
    .on_eof = client_eof,
    .on_reset = client_reset,
};

static void server_data(struct sim_peer *peer, void *context)
{
    struct span view = sim_peer_view(peer);

    (void)context;
    sim_peer_send(peer, view);
    sim_peer_consume(peer, view.len);
}

static void server_eof(struct sim_peer *peer, void *context)
{
    (void)context;
    sim_peer_shutdown(peer);
}

static const struct sim_peer_ops server_ops = {.on_data = server_data, .on_eof = server_eof};

static int server_accepts(void *context, struct sim_peer *peer, const struct sim_peer_ops **ops,
                          void **peer_context)
{
    (void)context;
    *ops = &server_ops;
    *peer_context = peer;
    return 0;
}

/* ---- The relay ---- */

struct side {
    int fd;
    struct buf_queue queue;   /* received here, to be sent on the other side */
    struct buf_queue sending; /* of the other side's queue, the front in flight here */
    bool is_sending;
    bool armed, cancelled, starved, eof, shut;
    bool polling_in, polling_out;
    size_t in_pipe;
    int pipe_fds[2]; /* bytes received here; -1: none */
    size_t pipe_cap;
};

struct session {
    bool live, connected, closing, with_splice;
    uint32_t generation;
    uint32_t in_flight;
    struct side side[SIDES];
};

struct relay {
    struct sim *sim;
    struct ring *ring;
    struct buf_cache cache;
    int listener;
    bool accepting;
    int64_t accept_at_ns;
    struct session sessions[CLIENTS * 4];
    uint32_t generation;
    uint64_t stale;
};

static struct ring_owner side_owner(const struct relay *r, const struct session *s, int side)
{
    return (struct ring_owner){(uint32_t)(s - r->sessions) * SIDES + (uint32_t)side, s->generation};
}

static void relay_open(struct relay *r, int client_fd)
{
    struct session *s = r->sessions;

    while (s->live) {
        s++;
        assert_true(s < r->sessions + COUNT_OF(r->sessions));
    }
    memset(s, 0, sizeof(*s));
    s->live = true;
    s->generation = ++r->generation;
    s->with_splice = sim_random(r->sim) % 3 == 0;
    s->side[0].fd = client_fd;
    s->side[1].fd = ring_socket(r->ring, AF_INET);
    for (int i = 0; i < SIDES; i++) {
        s->side[i].pipe_fds[0] = -1;
    }
    if (s->side[1].fd < 0) {
        s->closing = true;
        return;
    }
    ring_connect(r->ring, s->side[1].fd, side_owner(r, s, 1),
                 (const struct sockaddr *)&server_address, sizeof(server_address));
    s->in_flight++;
}

/* One direction by receives and sends: from `in` to `out`. */
static void relay_copy(struct relay *r, struct session *s, int from)
{
    struct side *in = &s->side[from], *out = &s->side[!from];
    struct iovec iov[RING_SEND_IOVECS_MAX];
    int count = 0;

    if (!in->armed && !in->eof && in->queue.len < HIGH) {
        ring_recv(r->ring, in->fd, side_owner(r, s, from),
                  from ? RING_GROUP_BULK : RING_GROUP_SMALL, HIGH - in->queue.len, in->starved);
        s->in_flight++;
        in->armed = true;
        in->cancelled = false;
    } else if (in->armed && !in->cancelled && in->queue.len >= HIGH &&
               !ring_has_recv_cap(r->ring)) {
        ring_cancel(r->ring, RING_RECV, side_owner(r, s, from));
        in->cancelled = true;
    }
    if (out->is_sending || out->polling_out) {
        return;
    }
    buf_queue_move(&out->sending, &in->queue);
    for (struct buf *b = out->sending.first; b && count < RING_SEND_IOVECS_MAX; b = b->next) {
        iov[count++] = (struct iovec){b->data + b->start, b->end - b->start};
    }
    if (count > 0) {
        out->is_sending = true;
        ring_send(r->ring, out->fd, side_owner(r, s, !from), iov, count);
        s->in_flight++;
    } else if (in->eof && !out->shut) {
        out->shut = true;
        (void)ring_shutdown(r->ring, out->fd, SHUT_WR);
    }
}

/* The same by splice. False: an error. */
static bool relay_splice(struct relay *r, struct session *s, int from)
{
    struct side *in = &s->side[from], *out = &s->side[!from];
    ssize_t n;

    if (in->pipe_fds[0] < 0 && ring_pipe(r->ring, in->pipe_fds, &in->pipe_cap) < 0) {
        in->pipe_fds[0] = -1;
        return false;
    }
    for (;;) {
        bool moved = false;
        if (!in->eof && in->in_pipe < in->pipe_cap && !in->polling_in) {
            n = ring_splice(r->ring, in->fd, in->pipe_fds[1], in->pipe_cap);
            if (n < 0 && n != -EAGAIN) {
                return false;
            }
            in->eof = n == 0;
            in->in_pipe += n > 0 ? (size_t)n : 0;
            moved = n > 0;
        }
        if (in->in_pipe > 0 && !out->polling_out) {
            n = ring_splice(r->ring, in->pipe_fds[0], out->fd, in->in_pipe);
            if (n < 0 && n != -EAGAIN) {
                return false;
            }
            in->in_pipe -= n > 0 ? (size_t)n : 0;
            moved = moved || n > 0;
        }
        if (!moved) {
            break;
        }
    }
    if (in->in_pipe > 0 && !out->polling_out) {
        ring_poll(r->ring, out->fd, side_owner(r, s, !from), RING_POLL_OUT, POLLOUT);
        out->polling_out = true;
        s->in_flight++;
    }
    if (!in->eof && in->in_pipe < in->pipe_cap && !in->polling_in) {
        ring_poll(r->ring, in->fd, side_owner(r, s, from), RING_POLL_IN, POLLIN);
        in->polling_in = true;
        s->in_flight++;
    }
    if (in->eof && in->in_pipe == 0 && !out->shut) {
        out->shut = true;
        (void)ring_shutdown(r->ring, out->fd, SHUT_WR);
    }
    return true;
}

static void relay_close(struct relay *r, struct session *s)
{
    for (int i = 0; i < SIDES; i++) {
        struct side *side = &s->side[i];
        if (side->fd >= 0 && s->in_flight > 0 && !side->cancelled) {
            ring_cancel_fd(r->ring, side->fd);
            side->cancelled = true;
        }
    }
    if (s->in_flight > 0) {
        return;
    }
    for (int i = 0; i < SIDES; i++) {
        struct side *side = &s->side[i];
        buf_queue_clear(&side->queue, &r->cache);
        buf_queue_clear(&side->sending, &r->cache);
        if (side->fd >= 0) {
            ring_close(r->ring, side->fd);
        }
        if (side->pipe_fds[0] >= 0) {
            ring_close(r->ring, side->pipe_fds[0]);
            ring_close(r->ring, side->pipe_fds[1]);
        }
    }
    s->live = false;
}

static void relay_fail(struct session *s)
{
    if (!s->closing) {
        s->closing = true;
        s->side[0].cancelled = s->side[1].cancelled = false;
    }
}

static void relay_run(struct relay *r, struct session *s)
{
    if (s->live && s->connected && !s->closing) {
        for (int from = 0; from < SIDES; from++) {
            if (!s->with_splice) {
                relay_copy(r, s, from);
            } else if (!relay_splice(r, s, from)) {
                relay_fail(s);
                break;
            }
        }
        if (s->side[0].shut && s->side[1].shut && s->in_flight == 0) {
            s->closing = true;
        }
    }
    if (s->live && s->closing) {
        relay_close(r, s);
    }
}

static void relay_side_event(struct relay *r, struct session *s, int i,
                             const struct ring_event *event)
{
    struct side *side = &s->side[i];

    s->in_flight -= !event->more;
    switch (event->kind) {
    case RING_CONNECT:
        s->connected = event->res == 0;
        if (event->res < 0) {
            relay_fail(s);
        }
        break;
    case RING_RECV:
        side->armed = event->more;
        side->starved = event->res == -ENOBUFS;
        side->eof = side->eof || event->res == 0;
        if (event->buf) {
            buf_queue_push(&side->queue, event->buf);
        } else if (event->res < 0 && event->res != -ENOBUFS && event->res != -ECANCELED &&
                   event->res != -ENOMEM) {
            relay_fail(s);
        }
        break;
    case RING_SEND:
        side->is_sending = false;
        if (event->res == -EAGAIN) {
            ring_poll(r->ring, side->fd, event->owner, RING_POLL_OUT, POLLOUT);
            side->polling_out = true;
            s->in_flight++;
        } else if (event->res <= 0) {
            relay_fail(s);
        } else {
            buf_queue_consume(&side->sending, &r->cache, (size_t)event->res);
        }
        break;
    case RING_POLL_IN:
        side->polling_in = false;
        break;
    case RING_POLL_OUT:
        side->polling_out = false;
        break;
    default:
        fail_msg("event of kind %d", (int)event->kind);
    }
}

static void relay_event(struct relay *r, const struct ring_event *event)
{
    if (event->kind == RING_ACCEPT) {
        r->accepting = event->more;
        if (event->res >= 0) {
            relay_open(r, event->res);
        } else {
            r->accept_at_ns = ring_now(r->ring) + NS_PER_MS;
        }
        return;
    }
    struct session *s = &r->sessions[event->owner.slot / SIDES];
    assert_true(s->live && s->generation == event->owner.generation);
    relay_side_event(r, s, (int)(event->owner.slot % SIDES), event);
}

static bool relay_is_idle(const struct relay *r)
{
    for (size_t i = 0; i < COUNT_OF(r->sessions); i++) {
        if (r->sessions[i].live) {
            return false;
        }
    }
    return true;
}

static bool clients_over(const struct client *clients)
{
    for (int i = 0; i < CLIENTS; i++) {
        if (!clients[i].over) {
            return false;
        }
    }
    return true;
}

static void relay_turn(struct relay *r)
{
    struct ring_event events[5];

    if (!r->accepting && ring_now(r->ring) >= r->accept_at_ns) {
        ring_accept(r->ring, r->listener, (struct ring_owner){1U << 20, 1});
        r->accepting = true;
    }
    for (size_t i = 0; i < COUNT_OF(r->sessions); i++) {
        relay_run(r, &r->sessions[i]);
    }
    int count = ring_turn(r->ring, NS_PER_MS, events, (int)COUNT_OF(events));
    for (int i = 0; i < count; i++) {
        relay_event(r, &events[i]);
    }
}

struct outcome {
    uint64_t hash;
    uint64_t faults;
    int done; /* clients that got everything back */
};

static struct outcome run_seed(uint64_t seed, const struct sim_profile *profile)
{
    static struct relay r;
    struct client clients[CLIENTS];
    struct outcome outcome = {0, 0, 0};
    char error[128];

    memset(&r, 0, sizeof(r));
    memset(clients, 0, sizeof(clients));
    r.sim = sim_new(seed, profile);
    buf_cache_init(&r.cache);
    assert_int_equal(ring_new(&r.ring, &small_options, &r.cache, error, sizeof(error)), 0);
    r.listener = sim_listen(r.sim, (const struct sockaddr *)&relay_address, sizeof(relay_address));
    sim_on_connect(r.sim, (const struct sockaddr *)&server_address, sizeof(server_address),
                   server_accepts, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].len = 1 + sim_random(r.sim) % 6000;
        clients[i].peer = sim_connect(r.sim, (const struct sockaddr *)&relay_address,
                                      sizeof(relay_address), &client_ops, &clients[i]);
        client_again(&clients[i]);
    }
    for (int turns = 0; !clients_over(clients) || !relay_is_idle(&r); turns++) {
        relay_turn(&r);
        if (ring_now(r.ring) > 60 * NS_PER_S) { /* a dial that hangs, and the like */
            assert_true(profile == &sim_profile_storm);
            for (size_t i = 0; i < COUNT_OF(r.sessions); i++) {
                relay_fail(&r.sessions[i]);
            }
        }
        assert_true(turns < TURNS_MAX);
    }
    ring_cancel(r.ring, RING_ACCEPT, (struct ring_owner){1U << 20, 1});
    while (r.accepting) {
        struct ring_event event;
        if (ring_turn(r.ring, -1, &event, 1) == 1) {
            relay_event(&r, &event);
        }
    }
    ring_close(r.ring, r.listener);
    assert_int_equal(ring_group_free(r.ring, RING_GROUP_SMALL), small_options.group[0].count);
    assert_true(ring_free(r.ring));
    for (int i = 0; i < CLIENTS; i++) {
        outcome.done += clients[i].done;
    }
    outcome.hash = sim_trace_hash(r.sim);
    outcome.faults = sim_fault_count(r.sim);
    sim_free(r.sim);
    buf_cache_fini(&r.cache);
    return outcome;
}

static void test_seeds(void **state)
{
    struct sim_profile without_cap = sim_profile_rough;
    uint64_t faults = 0;
    int done = 0;

    (void)state;
    without_cap.without_recv_cap = true;
    for (uint64_t seed = 0; seed < 500; seed++) {
        assert_int_equal(run_seed(seed, &sim_profile_calm).done, CLIENTS);
        assert_int_equal(run_seed(seed, &sim_profile_rough).done, CLIENTS);
        assert_int_equal(run_seed(seed, &without_cap).done, CLIENTS);
        struct outcome storm = run_seed(seed, &sim_profile_storm);
        done += storm.done;
        faults += storm.faults;
    }
    assert_true(faults > 10000);
    assert_true(done > 500 && done < 500 * CLIENTS);
    print_message("storm: %d of %d clients served, %llu faults\n", done, 500 * CLIENTS,
                  (unsigned long long)faults);
}

static void test_same_seed_same_trace(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        uint64_t hash = run_seed(seed, &sim_profile_storm).hash;
        assert_true(hash == run_seed(seed, &sim_profile_storm).hash);
        assert_true(hash != run_seed(seed + 1000, &sim_profile_storm).hash);
    }
}

/* ---- Rules, each broken once ---- */

struct rule {
    struct sim *sim;
    struct ring *ring;
    struct buf_cache cache;
    struct ring_event event;
    int listener;
    int fd; /* connected to the echo server */
};

static const struct ring_owner owner = {1, 1};

static void rule_await(struct rule *rule)
{
    while (ring_turn(rule->ring, -1, &rule->event, 1) != 1) {
    }
}

static void rule_open(struct rule *rule)
{
    char error[128];

    memset(rule, 0, sizeof(*rule));
    rule->sim = sim_new(1, &sim_profile_calm);
    buf_cache_init(&rule->cache);
    assert_int_equal(ring_new(&rule->ring, &small_options, &rule->cache, error, sizeof(error)), 0);
    sim_on_connect(rule->sim, (const struct sockaddr *)&server_address, sizeof(server_address),
                   server_accepts, NULL);
    rule->fd = ring_socket(rule->ring, AF_INET);
    ring_connect(rule->ring, rule->fd, owner, (const struct sockaddr *)&server_address,
                 sizeof(server_address));
    rule_await(rule);
    assert_int_equal(rule->event.res, 0);
}

static void rule_close(struct rule *rule)
{
    assert_true(ring_free(rule->ring));
    sim_free(rule->sim);
    buf_cache_fini(&rule->cache);
}

static uint8_t payload[2000];

static void rule_send(struct rule *rule)
{
    struct iovec iov = {payload, sizeof(payload)};

    ring_send(rule->ring, rule->fd, owner, &iov, 1);
}

static void rule_recv(struct rule *rule)
{
    ring_recv(rule->ring, rule->fd, owner, RING_GROUP_SMALL, 1, true);
}

/* A buffer with bytes that came back. */
static struct buf *rule_receive(struct rule *rule)
{
    rule_send(rule);
    rule_await(rule);
    rule_recv(rule);
    rule_await(rule);
    assert_non_null(rule->event.buf);
    return rule->event.buf;
}

static void break_nothing(struct rule *rule)
{
    buf_put(&rule->cache, rule_receive(rule));
    ring_close(rule->ring, rule->fd);
}

static void break_two_receives(struct rule *rule)
{
    rule_recv(rule);
    rule_recv(rule);
}

static void break_two_sends(struct rule *rule)
{
    rule_send(rule);
    rule_send(rule);
}

static void break_payload(struct rule *rule)
{
    rule_send(rule);
    ring_turn(rule->ring, 0, &rule->event, 1);
    payload[5]++;
    rule_await(rule);
}

static void break_close_in_flight(struct rule *rule)
{
    rule_recv(rule);
    ring_close(rule->ring, rule->fd);
}

static void break_unknown_descriptor(struct rule *rule)
{
    ring_recv(rule->ring, 3, owner, RING_GROUP_SMALL, 1, true);
}

static void break_closed_descriptor(struct rule *rule)
{
    ring_close(rule->ring, rule->fd);
    rule_recv(rule);
}

static void break_buffer_twice(struct rule *rule)
{
    struct buf *b = rule_receive(rule);

    buf_put(&rule->cache, b);
    buf_put(&rule->cache, b);
}

static void break_buffer_in_send(struct rule *rule)
{
    struct buf *b = rule_receive(rule);
    struct iovec iov = {b->data, 1};

    ring_send(rule->ring, rule->fd, owner, &iov, 1);
    buf_put(&rule->cache, b);
}

static void break_buffer_never(struct rule *rule)
{
    (void)rule_receive(rule);
    ring_close(rule->ring, rule->fd);
    ring_free(rule->ring);
}

static void break_descriptor_leak(struct rule *rule)
{
    ring_free(rule->ring);
    sim_free(rule->sim);
}

static void break_sleep_for_ever(struct rule *rule)
{
    rule_recv(rule);
    rule_await(rule);
}

static void break_spin(struct rule *rule)
{
    for (int i = 0; i < 100000; i++) {
        ring_turn(rule->ring, 0, &rule->event, 1);
    }
}

static void break_splice_beside_receive(struct rule *rule)
{
    int pipe_fds[2];
    size_t capacity;

    assert_int_equal(ring_pipe(rule->ring, pipe_fds, &capacity), 0);
    rule_recv(rule);
    ring_splice(rule->ring, rule->fd, pipe_fds[1], 1);
}

/* The exit of a process of its own: 0, or the signal that ended it. */
static int run_rule(void (*break_it)(struct rule *rule), char *text, size_t text_cap)
{
    int status = 0, fds[2];
    ssize_t len;
    size_t used = 0;
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rule rule;
        dup2(fds[1], STDERR_FILENO);
        rule_open(&rule);
        break_it(&rule);
        if (break_it == break_nothing) {
            rule_close(&rule);
        }
        _exit(0);
    }
    close(fds[1]);
    while ((len = read(fds[0], text + used, text_cap - 1 - used)) > 0) {
        used += (size_t)len;
    }
    text[used] = 0;
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_rules(void **state)
{
    static const struct {
        void (*break_it)(struct rule *rule);
        const char *says;
    } rows[] = {
        {break_two_receives, "two receives at a time"},
        {break_two_sends, "two sends at a time"},
        {break_payload, "changed in flight"},
        {break_close_in_flight, "closed with 1 operations in flight"},
        {break_unknown_descriptor, "descriptor 3 is unknown"},
        {break_closed_descriptor, "is closed"},
        {break_buffer_twice, "given back twice"},
        {break_buffer_in_send, "given back while it is being sent"},
        {break_buffer_never, "never given back"},
        {break_descriptor_leak, "was left open"},
        {break_sleep_for_ever, "sleeps for ever"},
        {break_spin, "the time does not move"},
        {break_splice_beside_receive, "beside a receive"},
    };
    static char text[65536];

    (void)state;
    assert_int_equal(run_rule(break_nothing, text, sizeof(text)), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_true(run_rule(rows[i].break_it, text, sizeof(text)) != 0);
        if (!strstr(text, rows[i].says) || !strstr(text, "seed 1")) {
            fail_msg("expected \"%s\", got: %s", rows[i].says, text);
        }
    }
}

/* ---- Single behaviours ---- */

static void test_time_and_wake(void **state)
{
    struct rule rule;
    int64_t before_ns;

    (void)state;
    rule_open(&rule);
    before_ns = ring_now(rule.ring);
    assert_int_equal(ring_turn(rule.ring, 5 * NS_PER_S, &rule.event, 1), 0);
    assert_true(ring_now(rule.ring) == before_ns + 5 * NS_PER_S);
    assert_true(sim_now(rule.sim) == ring_now(rule.ring));
    ring_wake(rule.ring);
    ring_wake(rule.ring);
    assert_int_equal(ring_turn(rule.ring, -1, &rule.event, 1), 1);
    assert_int_equal(rule.event.kind, RING_WAKED);
    assert_int_equal(ring_turn(rule.ring, 0, &rule.event, 1), 0);
    ring_close(rule.ring, rule.fd);
    rule_close(&rule);
}

static void test_cancel_and_empty_group(void **state)
{
    struct buf *held[8];
    struct rule rule;

    (void)state;
    rule_open(&rule);
    rule_recv(&rule);
    ring_cancel(rule.ring, RING_RECV, owner);
    rule_await(&rule);
    assert_int_equal(rule.event.res, -ECANCELED);
    assert_false(rule.event.more);
    for (int i = 0; i < 8; i++) {
        held[i] = rule_receive(&rule);
        assert_false(rule.event.more); /* one byte was allowed */
    }
    assert_int_equal(ring_group_free(rule.ring, RING_GROUP_SMALL), 0);
    ring_recv(rule.ring, rule.fd, owner, RING_GROUP_SMALL, 1, false);
    rule_await(&rule);
    assert_int_equal(rule.event.res, -ENOBUFS);
    for (int i = 0; i < 8; i++) {
        buf_put(&rule.cache, held[i]);
    }
    ring_recv_into(rule.ring, rule.fd, owner, payload, 1);
    rule_await(&rule);
    assert_int_equal(rule.event.res, 1);
    ring_close(rule.ring, rule.fd);
    rule_close(&rule);
}

static void test_names_and_refusal(void **state)
{
    struct sockaddr_in nobody = server_address;
    struct sockaddr_storage name;
    struct rule rule;
    int fd;

    (void)state;
    rule_open(&rule);
    assert_int_equal(ring_peer_name(rule.ring, rule.fd, &name), 0);
    assert_memory_equal(&name, &server_address, sizeof(server_address));
    assert_int_equal(ring_local_name(rule.ring, rule.fd, &name), 0);
    assert_int_equal(name.ss_family, AF_INET);
    nobody.sin_port++;
    fd = ring_socket(rule.ring, AF_INET);
    assert_int_equal(ring_peer_name(rule.ring, fd, &name), -ENOTCONN);
    ring_connect(rule.ring, fd, owner, (struct sockaddr *)&nobody, sizeof(nobody));
    rule_await(&rule);
    assert_int_equal(rule.event.res, -ECONNREFUSED);
    ring_close(rule.ring, fd);
    ring_close(rule.ring, rule.fd);
    rule_close(&rule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_and_wake),        cmocka_unit_test(test_cancel_and_empty_group),
        cmocka_unit_test(test_names_and_refusal),    cmocka_unit_test(test_rules),
        cmocka_unit_test(test_same_seed_same_trace), cmocka_unit_test(test_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
