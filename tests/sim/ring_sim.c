/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated kernel: descriptors, operations and provided buffers, behind the functions of
 * core/engine/ring.h. An operation is tried when it is submitted and whenever its descriptor
 * changes; what it yields is posted and becomes visible a little later, so that completions of
 * different operations change places while those of one operation stay in order.
 *
 * What the caller did wrong is found here, see ring_sim.h; sim_fail() never returns.
 */
#include "tests/sim/sim_kernel.h"

#include <errno.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define WEIR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_ASAN 1
#endif
#endif
#ifdef WEIR_ASAN
#include <sanitizer/asan_interface.h>
#endif

const struct ring_options ring_options_default = {
    .sq_entries = 1024,
    .cq_entries = 8192,
    .group = {{.count = 128, .size = 4096}, {.count = 32, .size = 16384}},
    .without_recv_cap = false,
};

/* ---- Descriptors ---- */

struct descriptor *sim_fd_find(struct sim *sim, int fd)
{
    struct descriptor *d;

    if (fd < FD_FIRST || fd >= FD_FIRST + FD_COUNT) {
        sim_fail(sim, "descriptor %d is unknown", fd);
    }
    d = &sim->kernel->fds[fd - FD_FIRST];
    if (d->kind == FD_FREE) {
        sim_fail(sim, "descriptor %d is closed", fd);
    }
    return d;
}

/* The lowest free number, as in a real kernel, so that numbers are soon used again. */
static int fd_new(struct sim *sim, enum descriptor_kind kind)
{
    for (int i = 0; i < FD_COUNT; i++) {
        struct descriptor *d = &sim->kernel->fds[i];
        if (d->kind == FD_FREE) {
            memset(d, 0, sizeof(*d));
            d->kind = kind;
            sim->kernel->fd_top = i < sim->kernel->fd_top ? sim->kernel->fd_top : i + 1;
            return FD_FIRST + i;
        }
    }
    return -EMFILE;
}

int sim_fd_of_conn(struct sim *sim, struct sim_conn *conn, int side)
{
    int fd = fd_new(sim, FD_SOCKET);

    if (fd >= 0) {
        struct descriptor *d = sim_fd_find(sim, fd);
        d->conn = conn;
        d->side = side;
        d->family = conn->end[side].name.ss_family;
        conn->end[side].fd = fd;
    }
    return fd;
}

void sim_kernel_new(struct sim *sim)
{
    sim->kernel = calloc(1, sizeof(*sim->kernel));
    ASSERT(sim->kernel);
}

void sim_kernel_free(struct sim *sim)
{
    ASSERT(!sim->kernel->ring);
    for (int i = 0; i < sim->kernel->fd_top; i++) {
        if (sim->kernel->fds[i].kind != FD_FREE) {
            sim_fail(sim, "descriptor %d was left open", FD_FIRST + i);
        }
    }
    free(sim->kernel);
}

int sim_listen(struct sim *sim, const struct sockaddr *address, socklen_t address_len)
{
    int fd = fd_new(sim, FD_LISTENER);

    ASSERT(fd >= 0);
    memcpy(&sim_fd_find(sim, fd)->name, address, address_len);
    return fd;
}

static bool listener_takes(const struct descriptor *d, const struct sockaddr_storage *to)
{
    static const struct in6_addr any;
    const struct sockaddr_in *own4 = (const void *)&d->name, *to4 = (const void *)to;
    const struct sockaddr_in6 *own6 = (const void *)&d->name, *to6 = (const void *)to;

    if (d->kind != FD_LISTENER || d->backlog_count == BACKLOG_MAX ||
        d->name.ss_family != to->ss_family) {
        return false;
    }
    if (sim_name_equal(&d->name, to)) {
        return true;
    }
    if (to->ss_family == AF_INET) {
        return own4->sin_addr.s_addr == 0 && own4->sin_port == to4->sin_port;
    }
    return memcmp(&own6->sin6_addr, &any, sizeof(any)) == 0 && own6->sin6_port == to6->sin6_port;
}

bool sim_kernel_backlog(struct sim *sim, struct sim_conn *conn, const struct sockaddr_storage *to)
{
    for (int i = 0; i < sim->kernel->fd_top; i++) {
        struct descriptor *d = &sim->kernel->fds[i];
        if (listener_takes(d, to)) {
            d->backlog[d->backlog_count++] = conn;
            if (conn->end[0].peer) {
                sim_peer_opened(conn->end[0].peer);
            }
            sim_kernel_kick(sim, FD_FIRST + i);
            return true;
        }
    }
    return false;
}

/* ---- Completions ---- */

static void run_visible(struct sim *sim, void *object, uint64_t argument)
{
    struct completion *completion = object;

    (void)argument;
    list_push_back(&sim->kernel->ring->ready, &completion->link);
}

void sim_post(struct ring *ring, struct operation *op, int res, bool more, struct buf *b)
{
    struct completion *completion = calloc(1, sizeof(*completion));
    struct sim *sim = ring->sim;
    int64_t at_ns =
        sim->now_ns + (int64_t)sim_below(sim, (uint64_t)sim->profile->completion_max_ns + 1);

    ASSERT(completion);
    op->completion_ns = at_ns > op->completion_ns ? at_ns : op->completion_ns;
    op->over = !more;
    list_init(&completion->link);
    completion->operation = op;
    completion->event = (struct ring_event){
        .kind = op->kind, .more = more, .res = res, .owner = op->owner, .buf = b};
    sim_schedule(sim, op->completion_ns, run_visible, completion, 0);
}

static uint64_t payload_checksum(const struct operation *op)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (int i = 0; i < op->iov_count; i++) {
        const uint8_t *bytes = op->iov[i].iov_base;
        for (size_t at = 0; at < op->iov[i].iov_len; at++) {
            hash = (hash ^ bytes[at]) * UINT64_C(0x100000001b3);
        }
    }
    return hash;
}

/* The last event of an operation reaches its owner. */
static void operation_end(struct ring *ring, struct operation *op)
{
    struct descriptor *d = sim_fd_find(ring->sim, op->fd);

    if (op->kind == RING_SEND && payload_checksum(op) != op->checksum) {
        sim_fail(ring->sim, "payload of a send on descriptor %d changed in flight", op->fd);
    }
    d->in_flight--;
    d->receives -= op->kind == RING_RECV || op->kind == RING_RECV_INTO;
    d->sends -= op->kind == RING_SEND;
    list_remove(&op->link);
    free(op);
}

/* Moves a visible completion to its owner. */
static struct ring_event deliver(struct ring *ring, struct completion *completion)
{
    struct ring_event event = completion->event;

    ring->sim->completions[event.kind][event.res < 0 ? -event.res : 0]++;
    if (event.buf) {
        ring->groups[event.buf->group].held++;
    }
    if ((event.kind == RING_RECV || event.kind == RING_RECV_INTO) && event.res > 0) {
        ring->stats.recv_bytes += (uint32_t)event.res;
    }
    ring->stats.send_bytes += event.kind == RING_SEND && event.res > 0 ? (uint32_t)event.res : 0;
    ring->stats.buffers_empty += event.kind == RING_RECV && event.res == -ENOBUFS;
    ring->stats.cqes++;
    sim_trace(ring->sim, "event kind slot generation res more", (int)event.kind, event.owner.slot,
              event.owner.generation, event.res, event.more);
    if (!event.more && completion->operation) {
        operation_end(ring, completion->operation);
    }
    free(completion);
    return event;
}

/* ---- Buffers ---- */

static void buffer_place(struct group *group, struct buf *b, enum place place)
{
    group->place[b->id] = (uint8_t)place;
#ifdef WEIR_ASAN
    if (place == PLACE_KERNEL) {
        ASAN_POISON_MEMORY_REGION(b->data, b->cap);
    } else {
        ASAN_UNPOISON_MEMORY_REGION(b->data, b->cap);
    }
#endif
}

struct buf *sim_buffer_take(struct group *group)
{
    struct buf *b;

    if (group->free_len == 0) {
        return NULL;
    }
    b = &group->bufs[group->free[group->free_head]];
    group->free_head = (group->free_head + 1) % group->count;
    group->free_len--;
    buffer_place(group, b, PLACE_TAKEN);
    b->next = NULL;
    b->start = b->end = 0;
    return b;
}

static void ring_return(void *hook, struct buf *b)
{
    struct ring *ring = hook;
    struct group *group = &ring->groups[b->group];

    if (group->place[b->id] != PLACE_TAKEN) {
        sim_fail(ring->sim, "buffer %u of group %u was given back twice", b->id, b->group);
    }
    LIST_FOREACH (node, &ring->operations) {
        struct operation *op = CONTAINER_OF(node, struct operation, link);
        for (int i = 0; i < op->iov_count; i++) {
            const uint8_t *at = op->iov[i].iov_base;
            if (at < b->data + b->cap && at + op->iov[i].iov_len > b->data) {
                sim_fail(ring->sim, "buffer %u of group %u was given back while it is being sent",
                         b->id, b->group);
            }
        }
    }
    buffer_place(group, b, PLACE_KERNEL);
    group->held--;
    group->returned[group->returned_len++] = b->id;
}

static void publish_buffers(struct ring *ring)
{
    for (int i = 0; i < RING_GROUP_COUNT; i++) {
        struct group *group = &ring->groups[i];
        for (uint32_t n = 0; n < group->returned_len; n++) {
            uint32_t tail = (group->free_head + group->free_len++) % group->count;
            group->free[tail] = group->returned[n];
        }
        group->returned_len = 0;
    }
}

uint32_t ring_group_free(const struct ring *ring, enum ring_group group)
{
    return ring->groups[group].count - ring->groups[group].held;
}

uint32_t ring_group_count(const struct ring *ring, enum ring_group group)
{
    return ring->groups[group].count;
}

/* ---- The interface: operations ---- */

static struct submission *submission_new(struct ring *ring)
{
    if (ring->submission_count == ring->options.sq_entries) {
        ring->stats.sq_full++;
        sim_submit(ring);
    }
    ring->stats.sqes++;
    ring->submissions[ring->submission_count] =
        (struct submission){.sequence = ring->sim->sequence++};
    return &ring->submissions[ring->submission_count++];
}

static struct operation *operation_new(struct ring *ring, enum ring_kind kind, int fd,
                                       struct ring_owner owner)
{
    struct descriptor *d = sim_fd_find(ring->sim, fd);
    struct submission *s = submission_new(ring);
    struct operation *op = calloc(1, sizeof(*op));

    ASSERT(op && owner.slot < 1U << 24);
    list_init(&op->link);
    list_push_back(&ring->operations, &op->link);
    op->sequence = s->sequence;
    op->kind = kind;
    op->fd = fd;
    op->owner = owner;
    s->operation = op;
    d->in_flight++;
    sim_trace(ring->sim, "start kind fd slot generation", (int)kind, fd, owner.slot,
              owner.generation, 0);
    return op;
}

static void count_receive(struct ring *ring, int fd)
{
    if (sim_fd_find(ring->sim, fd)->receives++ > 0) {
        sim_fail(ring->sim, "two receives at a time on descriptor %d", fd);
    }
}

void ring_accept(struct ring *ring, int fd, struct ring_owner owner)
{
    operation_new(ring, RING_ACCEPT, fd, owner);
    if (sim_fd_find(ring->sim, fd)->kind != FD_LISTENER) {
        sim_fail(ring->sim, "accept on descriptor %d, which does not listen", fd);
    }
}

void ring_recv(struct ring *ring, int fd, struct ring_owner owner, enum ring_group group,
               size_t cap, bool poll_first)
{
    struct operation *op = operation_new(ring, RING_RECV, fd, owner);

    ASSERT(cap > 0);
    count_receive(ring, fd);
    op->group = group;
    op->cap = cap;
    op->poll_first = poll_first;
}

void ring_recv_into(struct ring *ring, int fd, struct ring_owner owner, void *memory, size_t len)
{
    struct operation *op = operation_new(ring, RING_RECV_INTO, fd, owner);

    ASSERT(len > 0);
    count_receive(ring, fd);
    op->memory = memory;
    op->len = len;
}

void ring_send(struct ring *ring, int fd, struct ring_owner owner, const struct iovec *iov,
               int iov_count)
{
    struct operation *op = operation_new(ring, RING_SEND, fd, owner);

    if (sim_fd_find(ring->sim, fd)->sends++ > 0) {
        sim_fail(ring->sim, "two sends at a time on descriptor %d", fd);
    }
    ASSERT(iov_count > 0 && iov_count <= RING_SEND_IOVECS_MAX);
    memcpy(op->iov, iov, (size_t)iov_count * sizeof(*iov));
    op->iov_count = iov_count;
    for (int i = 0; i < iov_count; i++) {
        op->total += iov[i].iov_len;
    }
    ASSERT(op->total > 0 && op->total <= RING_SEND_BYTES_MAX);
    op->checksum = payload_checksum(op);
}

void ring_send_last(struct ring *ring, int fd, struct ring_owner owner, const struct iovec *iov,
                    int iov_count)
{
    ring_send(ring, fd, owner, iov, iov_count);
}

void ring_poll(struct ring *ring, int fd, struct ring_owner owner, enum ring_kind kind,
               short poll_mask)
{
    ASSERT(kind == RING_POLL_IN || kind == RING_POLL_OUT || kind == RING_POLL_BROKEN ||
           kind == RING_RESOLVE);
    operation_new(ring, kind, fd, owner)->poll_mask = poll_mask;
}

void ring_connect(struct ring *ring, int fd, struct ring_owner owner,
                  const struct sockaddr *address, socklen_t address_len)
{
    struct operation *op = operation_new(ring, RING_CONNECT, fd, owner);

    if (sim_fd_find(ring->sim, fd)->conn) {
        sim_fail(ring->sim, "descriptor %d is connected already", fd);
    }
    if (sim_fd_find(ring->sim, fd)->mark != ring->sim->mark) {
        sim_fail(ring->sim, "descriptor %d connects with the mark %u", fd,
                 sim_fd_find(ring->sim, fd)->mark);
    }
    memcpy(&op->address, address, address_len);
}

void ring_cancel(struct ring *ring, enum ring_kind kind, struct ring_owner owner)
{
    struct submission *s = submission_new(ring);

    s->kind = kind;
    s->owner = owner;
    sim_trace(ring->sim, "cancel kind slot generation", (int)kind, owner.slot, owner.generation, 0,
              0);
}

void ring_cancel_fd(struct ring *ring, int fd)
{
    struct submission *s = submission_new(ring);

    (void)sim_fd_find(ring->sim, fd);
    s->by_fd = true;
    s->fd = fd;
    ring->stats.fd_cancels++;
    sim_trace(ring->sim, "cancel fd", fd, 0, 0, 0, 0);
}

/* ---- The interface: turns ---- */

static void check_spin(struct ring *ring)
{
    if (ring->sim->now_ns - ring->spin_start_ns > NS_PER_MS) {
        ring->spin_start_ns = ring->sim->now_ns;
        ring->spin_turns = 0;
    } else if (++ring->spin_turns > SPIN_TURNS) {
        sim_fail(ring->sim, "%d turns and the time does not move", SPIN_TURNS);
    }
}

static void run_until(struct sim *sim, int64_t until_ns)
{
    while (sim_step(sim, until_ns)) {
    }
    sim->now_ns = until_ns;
}

/* Until a completion is visible, somebody woke the ring, or the time is over. */
static void wait_ready(struct ring *ring, int64_t wait_ns)
{
    struct sim *sim = ring->sim;
    int64_t until_ns = wait_ns < 0 ? INT64_MAX : sim->now_ns + wait_ns;

    run_until(sim, sim->now_ns);
    while (list_is_empty(&ring->ready) && wait_ns != 0 && !atomic_load(&ring->woken)) {
        if (sim->action_count == 0 && wait_ns < 0) {
            sim_fail(sim, "sleeps for ever, nothing can happen any more");
        }
        if (!sim_step(sim, until_ns)) {
            sim->now_ns = until_ns;
            break;
        }
    }
    if (wait_ns != 0 && sim_chance(sim, sim->profile->oversleep)) {
        sim_trace(sim, "oversleep", 0, 0, 0, 0, 0);
        run_until(sim, sim->now_ns + (int64_t)sim_below(sim, OVERSLEEP_MAX_NS));
    }
}

int ring_turn(struct ring *ring, int64_t wait_ns, struct ring_event *events, int cap)
{
    struct list_node *node;
    int count = 0;

    ASSERT(cap > 0);
    ring->stats.enters++;
    publish_buffers(ring);
    sim_submit(ring);
    check_spin(ring);
    wait_ready(ring, wait_ns);
    if (atomic_exchange(&ring->woken, false)) {
        sim_trace(ring->sim, "woken", 0, 0, 0, 0, 0);
        events[count++] = (struct ring_event){.kind = RING_WAKED};
    }
    while (count < cap && (node = list_pop_front(&ring->ready))) {
        events[count++] = deliver(ring, CONTAINER_OF(node, struct completion, link));
    }
    return count;
}

int64_t ring_now(const struct ring *ring)
{
    return ring->sim->now_ns;
}

int64_t ring_wall(const struct ring *ring)
{
    return WALL_START_NS + ring->sim->now_ns;
}

void ring_wake(struct ring *ring)
{
    atomic_store(&ring->woken, true);
}

bool ring_has_recv_cap(const struct ring *ring)
{
    return !ring->options.without_recv_cap && !ring->sim->profile->without_recv_cap;
}

const struct ring_stats *ring_stats(const struct ring *ring)
{
    return &ring->stats;
}

/* ---- The interface: plain calls ---- */

int ring_socket(struct ring *ring, int family)
{
    static const int errors[] = {-EMFILE, -ENFILE, -ENOMEM, -ENOBUFS};
    int fd;

    ASSERT(family == AF_INET || family == AF_INET6);
    if (sim_chance(ring->sim, ring->sim->profile->socket_error)) {
        return sim_pick(ring->sim, errors, COUNT_OF(errors));
    }
    fd = fd_new(ring->sim, FD_SOCKET);
    if (fd >= 0) {
        sim_fd_find(ring->sim, fd)->family = family;
    }
    return fd;
}

static struct descriptor *unconnected(struct ring *ring, int fd)
{
    struct descriptor *d = sim_fd_find(ring->sim, fd);

    if (d->kind != FD_SOCKET || d->conn || d->in_flight > 0) {
        sim_fail(ring->sim, "descriptor %d is given a mark or source too late", fd);
    }
    return d;
}

int ring_set_mark(struct ring *ring, int fd, uint32_t mark)
{
    unconnected(ring, fd)->mark = mark;
    return 0;
}

int ring_set_source(struct ring *ring, int fd, const struct sockaddr *source, socklen_t source_len)
{
    struct descriptor *d = unconnected(ring, fd);

    if (d->family != source->sa_family) {
        sim_fail(ring->sim, "descriptor %d is given a source of another family", fd);
    }
    memcpy(&d->name, source, source_len);
    return 0;
}

int ring_shutdown(struct ring *ring, int fd, int how)
{
    struct descriptor *d = sim_fd_find(ring->sim, fd);

    if (!d->conn || d->conn->end[d->side].dead) {
        return -ENOTCONN;
    }
    sim_trace(ring->sim, "shutdown fd how", fd, how, 0, 0, 0);
    if (how != SHUT_RD) {
        d->shut_write = true;
        sim_conn_fin(d->conn, d->side);
    }
    d->shut_read = d->shut_read || how != SHUT_WR;
    sim_schedule(ring->sim, ring->sim->now_ns, sim_run_kick, d, (uint64_t)fd);
    return 0;
}

static void pipe_close(struct descriptor *d)
{
    d->pipe->open[d->kind == FD_PIPE_WRITE] = false;
    if (!d->pipe->open[0] && !d->pipe->open[1]) {
        free(d->pipe->data);
        free(d->pipe);
    }
}

void ring_close(struct ring *ring, int fd)
{
    struct descriptor *d = sim_fd_find(ring->sim, fd);

    if (d->in_flight > 0) {
        sim_fail(ring->sim, "descriptor %d was closed with %u operations in flight", fd,
                 d->in_flight);
    }
    sim_trace(ring->sim, "close fd", fd, 0, 0, 0, 0);
    for (uint32_t i = 0; i < ring->submission_count; i++) {
        struct submission *s = &ring->submissions[i];
        s->fd = s->by_fd && s->fd == fd ? -1 : s->fd; /* as the real ring forgets it */
    }
    for (size_t i = 0; i < d->backlog_count; i++) {
        sim_conn_close(d->backlog[i], 1, true);
    }
    if (d->conn) {
        sim_conn_close(d->conn, d->side, d->reset);
    }
    if (d->pipe) {
        pipe_close(d);
    }
    memset(d, 0, sizeof(*d));
}

void ring_set_reset(struct ring *ring, int fd)
{
    sim_fd_find(ring->sim, fd)->reset = true;
}

int ring_set_nodelay(struct ring *ring, int fd)
{
    (void)sim_fd_find(ring->sim, fd);
    return 0;
}

int ring_set_quick_acks(struct ring *ring, int fd, bool quick)
{
    (void)quick;
    (void)sim_fd_find(ring->sim, fd);
    return 0;
}

static int end_name(struct ring *ring, int fd, int other, struct sockaddr_storage *name)
{
    struct descriptor *d = sim_fd_find(ring->sim, fd);

    memset(name, 0, sizeof(*name));
    if (d->kind == FD_LISTENER && !other) {
        *name = d->name;
        return 0;
    }
    if (!d->conn || (other && d->conn->end[d->side].dead)) {
        return -ENOTCONN;
    }
    *name = d->conn->end[other ? !d->side : d->side].name;
    return 0;
}

int ring_peer_name(struct ring *ring, int fd, struct sockaddr_storage *name)
{
    return end_name(ring, fd, 1, name);
}

int ring_local_name(struct ring *ring, int fd, struct sockaddr_storage *name)
{
    return end_name(ring, fd, 0, name);
}

int ring_original_name(struct ring *ring, int fd, int family, struct sockaddr_storage *name)
{
    struct descriptor *d = sim_fd_find(ring->sim, fd);

    (void)family;
    memset(name, 0, sizeof(*name));
    if (!d->conn) {
        return -ENOTCONN;
    }
    *name = d->conn->original;
    return name->ss_family ? 0 : -ENOENT;
}

bool ring_is_own_ip(struct ring *ring, const struct sockaddr *address, socklen_t address_len)
{
    /* Where sim_name_client() has connections come from. */
    (void)ring, (void)address_len;
    return address->sa_family == AF_INET &&
           ((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr ==
               htonl(0xc0000201);
}

int ring_pipe(struct ring *ring, int pipe_fds[2], size_t *capacity)
{
    static const int errors[] = {-EMFILE, -EPERM, -ENFILE};
    struct sim *sim = ring->sim;
    struct pipe *pipe;

    if (sim_chance(sim, sim->profile->pipe_error)) {
        return sim_pick(sim, errors, COUNT_OF(errors));
    }
    pipe = calloc(1, sizeof(*pipe));
    ASSERT(pipe);
    pipe->cap = PIPE_CAP_MIN + (size_t)sim_below(sim, PIPE_CAP_MAX - PIPE_CAP_MIN);
    pipe->data = malloc(pipe->cap);
    ASSERT(pipe->data);
    pipe_fds[0] = fd_new(sim, FD_PIPE_READ);
    pipe_fds[1] = fd_new(sim, FD_PIPE_WRITE);
    ASSERT(pipe_fds[0] >= 0 && pipe_fds[1] >= 0);
    for (int i = 0; i < 2; i++) {
        sim_fd_find(sim, pipe_fds[i])->pipe = pipe;
        pipe->open[i] = true;
    }
    *capacity = pipe->cap;
    return 0;
}

static ssize_t splice_in(struct ring *ring, struct descriptor *from, struct pipe *pipe, size_t len)
{
    struct sim_stream *in = &from->conn->stream[!from->side];
    size_t room = pipe->cap - pipe->len;

    if (in->visible == 0) {
        return sim_is_readable(from) ? sim_read_end(from) : -EAGAIN;
    }
    len = len < room ? len : room;
    len = len < in->visible ? len : in->visible;
    if (len == 0) {
        return -EAGAIN; /* the pipe is full */
    }
    len = sim_conn_read(from->conn, from->side, pipe->data + pipe->len,
                        sim_shortened(ring->sim, len));
    pipe->len += len;
    return (ssize_t)len;
}

static ssize_t splice_out(struct ring *ring, struct pipe *pipe, struct descriptor *to, size_t len)
{
    struct sim_end *end = &to->conn->end[to->side];

    if (end->dead) {
        int error = sim_take_error(end);
        return error ? -error : -EPIPE;
    }
    if (to->shut_write) {
        return -EPIPE;
    }
    if (pipe->len == 0) {
        return pipe->open[1] ? -EAGAIN : 0;
    }
    len = len < pipe->len ? len : pipe->len;
    len = sim_conn_write(to->conn, to->side, span_make(pipe->data, sim_shortened(ring->sim, len)));
    if (len == 0) {
        return -EAGAIN;
    }
    pipe->len -= len;
    memmove(pipe->data, pipe->data + len, pipe->len);
    return (ssize_t)len;
}

ssize_t ring_splice(struct ring *ring, int from_fd, int to_fd, size_t len)
{
    struct descriptor *from = sim_fd_find(ring->sim, from_fd);
    struct descriptor *to = sim_fd_find(ring->sim, to_fd);

    if (from->kind == FD_SOCKET && to->kind == FD_PIPE_WRITE && from->conn) {
        if (from->receives > 0) {
            sim_fail(ring->sim, "splice from descriptor %d beside a receive", from_fd);
        }
        return splice_in(ring, from, to->pipe, len);
    }
    if (from->kind == FD_PIPE_READ && to->kind == FD_SOCKET && to->conn) {
        if (to->sends > 0) {
            sim_fail(ring->sim, "splice to descriptor %d beside a send", to_fd);
        }
        return splice_out(ring, from->pipe, to, len);
    }
    return -EINVAL;
}

/* ---- The interface: life ---- */

static void group_init(struct group *group, int index, uint32_t count, uint32_t size)
{
    group->count = count;
    group->size = size;
    group->bufs = calloc(count, sizeof(*group->bufs));
    group->memory = malloc((size_t)count * size);
    group->place = calloc(count, sizeof(*group->place));
    group->free = calloc(count, sizeof(*group->free));
    group->returned = calloc(count, sizeof(*group->returned));
    ASSERT(group->bufs && group->memory && group->place && group->free && group->returned);
    for (uint32_t i = 0; i < count; i++) {
        group->bufs[i] = (struct buf){
            .data = group->memory + (size_t)i * size,
            .cap = size,
            .size_class = BUF_CLASS_RING,
            .group = (uint8_t)index,
            .id = (uint16_t)i,
        };
        group->free[group->free_len++] = (uint16_t)i;
        buffer_place(group, &group->bufs[i], PLACE_KERNEL);
    }
}

int ring_new(struct ring **made, const struct ring_options *options, struct buf_cache *cache,
             char *error, size_t error_cap)
{
    struct sim *sim = sim_current;
    struct ring *ring = calloc(1, sizeof(*ring));

    (void)error, (void)error_cap;
    ASSERT(sim && !sim->kernel->ring && ring);
    ring->sim = sim;
    ring->options = *options;
    ring->cache = cache;
    ring->submissions = calloc(options->sq_entries, sizeof(*ring->submissions));
    ASSERT(ring->submissions);
    list_init(&ring->operations);
    list_init(&ring->ready);
    for (int i = 0; i < RING_GROUP_COUNT; i++) {
        group_init(&ring->groups[i], i, options->group[i].count, options->group[i].size);
    }
    cache->ring_return = ring_return;
    cache->ring = ring;
    sim->kernel->ring = ring;
    *made = ring;
    return 0;
}

int ring_self_test(char *error, size_t error_cap)
{
    (void)error, (void)error_cap;
    return 0;
}

/* What late events bring belongs to nobody. */
static void drop(struct ring *ring, const struct ring_event *event)
{
    if (event->buf) {
        buf_put(ring->cache, event->buf);
    } else if (event->kind == RING_ACCEPT && event->res >= 0) {
        ring_close(ring, event->res);
    }
}

bool ring_free(struct ring *ring)
{
    struct sim *sim = ring->sim;
    int64_t give_up_ns = sim->now_ns + DRAIN_NS;
    struct ring_event event;

    sim_submit(ring);
    LIST_FOREACH (node, &ring->operations) {
        sim_operation_cancel(ring, CONTAINER_OF(node, struct operation, link));
    }
    while (!list_is_empty(&ring->operations) && sim->now_ns < give_up_ns) {
        if (ring_turn(ring, NS_PER_MS, &event, 1) == 1) {
            drop(ring, &event);
        }
    }
    ASSERT(list_is_empty(&ring->operations));
    for (int i = 0; i < RING_GROUP_COUNT; i++) {
        struct group *group = &ring->groups[i];
        for (uint32_t id = 0; id < group->count; id++) {
            if (group->place[id] != PLACE_KERNEL) {
                sim_fail(sim, "buffer %u of group %d was never given back", id, i);
            }
            buffer_place(group, &group->bufs[id], PLACE_TAKEN); /* for the allocator */
        }
        free(group->bufs);
        free(group->memory);
        free(group->place);
        free(group->free);
        free(group->returned);
    }
    ring->cache->ring_return = NULL;
    ring->cache->ring = NULL;
    sim->kernel->ring = NULL;
    free(ring->submissions);
    free(ring);
    return true;
}
