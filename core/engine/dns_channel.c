/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/dns_channel.h"

#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/engine/actor.h"
#include "core/engine/dns_server.h"
#include "core/engine/dns_socket.h"

#include <ares.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>

enum {
    UDP_ANSWER_BYTES = 1232, /* fits any path without fragments */
    CLASS_IN = 1,
};

struct dns_channel {
    ares_channel ares; /* null when stopped */
    struct ring *ring;
    struct timer_wheel *wheel;
    struct actor actor; /* c-ares' clock */
    struct timer timer;
    struct dns_sockets sockets;
};

/* ---- Its sockets ---- */

static ares_socket_t on_socket(int family, int type, int protocol, void *data)
{
    struct dns_channel *channel = data;

    return dns_sockets_open(&channel->sockets, family, type, protocol);
}

static int on_close(ares_socket_t fd, void *data)
{
    struct dns_channel *channel = data;

    dns_sockets_close(&channel->sockets, fd);
    return 0;
}

static int on_connect(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t len,
                      void *data)
{
    (void)data;
    return connect(fd, address, len);
}

static ares_ssize_t on_receive(ares_socket_t fd, void *bytes, size_t cap, int flags,
                               struct sockaddr *from, ares_socklen_t *from_len, void *data)
{
    struct dns_channel *channel = data;

    return dns_sockets_receive(&channel->sockets, fd, bytes, cap, flags, from, from_len);
}

static ares_ssize_t on_send(ares_socket_t fd, const struct iovec *iov, int iov_count, void *data)
{
    (void)data;
    return dns_sockets_send(fd, iov, iov_count);
}

static const struct ares_socket_functions socket_functions = {
    .asocket = on_socket,
    .aclose = on_close,
    .aconnect = on_connect,
    .arecvfrom = on_receive,
    .asendv = on_send,
};

static void on_interest(void *data, ares_socket_t fd, int readable, int writable)
{
    struct dns_channel *channel = data;

    dns_sockets_want(&channel->sockets, fd,
                     (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0)));
}

/* ---- Its clock ---- */

/* Lets c-ares look at its clock, and sets ours to its next deadline. */
static void channel_run(struct actor *actor)
{
    struct dns_channel *channel = CONTAINER_OF(actor, struct dns_channel, actor);
    struct timeval wait;

    if (channel->timer.fired) {
        channel->timer.fired = false;
        ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    }
    if (!ares_timeout(channel->ares, NULL, &wait)) {
        timer_clear(channel->wheel, &channel->timer);
        return;
    }
    int64_t wait_ns = wait.tv_sec * NS_PER_S + wait.tv_usec * NS_PER_US;
    timer_set(channel->wheel, &channel->timer,
              ring_now(channel->ring) + (wait_ns > NS_PER_MS ? wait_ns : NS_PER_MS));
}

void dns_channel_on_event(struct dns_channel *channel, const struct ring_event *event)
{
    struct dns_ready ready;

    if (dns_sockets_take_event(&channel->sockets, event, &ready) && channel->ares) {
        ares_process_fd(channel->ares, ready.read_fd, ready.write_fd);
        actor_ready(&channel->actor);
    }
    dns_sockets_resume(&channel->sockets, event->owner);
}

/* ---- Questions ---- */

static enum dns_outcome outcome_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return DNS_OUTCOME_ADDRESSES;
    case ARES_ENODATA:
        return DNS_OUTCOME_NO_DATA;
    case ARES_ENOTFOUND:
        return DNS_OUTCOME_NO_NAME;
    case ARES_ETIMEOUT:
        return DNS_OUTCOME_TIMEOUT;
    case ARES_EBADRESP:
        return DNS_OUTCOME_BAD;
    case ARES_ENOMEM:
        return DNS_OUTCOME_MEMORY;
    default:
        return DNS_OUTCOME_SERVER;
    }
}

static void on_answer(void *data, int status, int timeouts, unsigned char *bytes, int len)
{
    struct dns_question *question = data;
    struct span none = {NULL, 0};

    (void)timeouts;
    question->on_answer(question, outcome_of(status),
                        status == ARES_SUCCESS ? span_make(bytes, (size_t)len) : none);
}

void dns_channel_ask(struct dns_channel *channel, struct dns_question *question, const char *name,
                     enum dns_type type)
{
    ares_query(channel->ares, name, CLASS_IN, type, on_answer, question);
    actor_ready(&channel->actor);
}

int dns_channel_set_servers(struct dns_channel *channel, const struct address *servers,
                            size_t count)
{
    struct ares_addr_port_node nodes[DNS_SERVERS_MAX];

    ASSERT(count <= DNS_SERVERS_MAX);
    ares_cancel(channel->ares);
    actor_ready(&channel->actor);
    if (count == 0) {
        return 0;
    }
    memset(nodes, 0, sizeof(nodes));
    for (size_t i = 0; i < count; i++) {
        nodes[i].next = i + 1 < count ? &nodes[i + 1] : NULL;
        nodes[i].family = servers[i].u.any.sa_family;
        nodes[i].udp_port = nodes[i].tcp_port = address_port(&servers[i]);
        if (nodes[i].family == AF_INET) {
            nodes[i].addr.addr4 = servers[i].u.v4.sin_addr;
        } else {
            memcpy(&nodes[i].addr.addr6, &servers[i].u.v6.sin6_addr, sizeof(struct in6_addr));
        }
    }
    return ares_set_servers_ports(channel->ares, nodes) == ARES_SUCCESS ? 0 : -ENOMEM;
}

/* ---- Life ---- */

static void library_init(void)
{
    ares_library_init(ARES_LIB_INIT_ALL);
}

/* Everything that c-ares would look up in files and the environment is given here. Tries double
 * their patience, so with one server 1 + 2 + 4 parts make the whole time. */
static int ares_new(struct dns_channel *channel, int64_t timeout_ns)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int64_t part_ms = timeout_ns / 7 / NS_PER_MS;
    char no_file[] = "/dev/null", lookups[] = "b";
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
        .timeout = part_ms > 1 ? (int)part_ms : 1,
        .tries = 3,
        .ndots = 1,
        .lookups = lookups,
        .sock_state_cb = on_interest,
        .sock_state_cb_data = channel,
        .ednspsz = UDP_ANSWER_BYTES,
        .resolvconf_path = no_file,
    };
    int status;

    pthread_once(&once, library_init);
    status = ares_init_options(&channel->ares, &options,
                               ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                   ARES_OPT_NDOTS | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS |
                                   ARES_OPT_SORTLIST | ARES_OPT_SOCK_STATE_CB | ARES_OPT_EDNSPSZ |
                                   ARES_OPT_NOROTATE | ARES_OPT_RESOLVCONF);
    if (status == ARES_SUCCESS) {
        ares_set_socket_functions(channel->ares, &socket_functions, channel);
    } else {
        channel->ares = NULL;
    }
    return status;
}

struct dns_channel *dns_channel_new(struct ring *ring, struct timer_wheel *wheel,
                                    struct list_node *ready_queue, int64_t timeout_ns,
                                    uint32_t mark)
{
    struct dns_channel *channel = calloc(1, sizeof(*channel));

    if (!channel) {
        return NULL;
    }
    channel->ring = ring;
    channel->wheel = wheel;
    dns_sockets_init(&channel->sockets, ring, mark);
    actor_init(&channel->actor, ready_queue, channel_run);
    timer_init(&channel->timer, &channel->actor);
    if (ares_new(channel, timeout_ns) != ARES_SUCCESS) {
        free(channel);
        return NULL;
    }
    return channel;
}

void dns_channel_stop(struct dns_channel *channel)
{
    if (!channel->ares) {
        return;
    }
    ares_destroy(channel->ares);
    channel->ares = NULL;
    timer_clear(channel->wheel, &channel->timer);
    actor_fini(&channel->actor);
}

uint32_t dns_channel_in_flight(const struct dns_channel *channel)
{
    return channel->sockets.in_flight;
}

void dns_channel_free(struct dns_channel *channel)
{
    if (channel) {
        dns_channel_stop(channel);
        ASSERT(channel->sockets.in_flight == 0);
        free(channel);
    }
}
