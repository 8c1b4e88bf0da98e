/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/live.h"

#include "core/base/clock.h"
#include "core/engine/address.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 128 };

struct live_connection {
    int descriptor;
    uint8_t *bytes; /* RECORD_BYTES_MAX */
    size_t len;
    int64_t deadline_ns;
    struct record_scan scan;
    struct hello_origin origin;
};

struct live {
    const struct options *options;
    struct hello_output *output;
    struct hello_facts *facts;
    FILE *err;
    int listener;
    int64_t end_ns; /* 0: none */
    unsigned answered;
    unsigned connection_count;
    struct live_connection connections[LIVE_CONNECTIONS_MAX];
};

static int open_listener(struct live *live);
static int serve(struct live *live);
static void connection_free(struct live *live, unsigned index);

int live_run(const struct options *options, struct hello_output *output, struct hello_facts *facts,
             FILE *err)
{
    struct live *live = calloc(1, sizeof(*live));
    int status;

    if (!live) {
        fputs("weir fingerprint: out of memory\n", err);
        return EXIT_STATUS_RUNTIME;
    }
    live->options = options;
    live->output = output;
    live->facts = facts;
    live->err = err;
    status = open_listener(live);
    if (status == EXIT_STATUS_OK) {
        status = serve(live);
        close(live->listener);
    }
    while (live->connection_count) {
        connection_free(live, 0);
    }
    free(live);
    return status;
}

/* "127.0.0.1:8443" or "[::1]:8443" */
static bool parse_address(struct address *address, struct span text)
{
    size_t colon = text.len;
    struct span ip;
    uint32_t port = 0;

    while (colon && text.data[colon - 1] != ':') {
        colon--;
    }
    if (colon < 2 || colon == text.len || text.len - colon > 5) {
        return false;
    }
    for (size_t i = colon; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        port = port * 10 + (text.data[i] - '0');
    }
    ip = span_sub(text, 0, colon - 1);
    if (ip.data[0] == '[' && ip.len > 2 && ip.data[ip.len - 1] == ']') {
        ip = span_sub(ip, 1, ip.len - 2);
    } else if (span_find(ip, ':') < ip.len) {
        return false;
    }
    return port <= UINT16_MAX && address_parse_ip(address, ip, (uint16_t)port);
}

static int open_listener(struct live *live)
{
    const char *text = live->options->live;
    struct address address;
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    char shown[ADDRESS_TEXT_MAX];
    int one = 1;

    if (!parse_address(&address, span_from_string(text))) {
        fprintf(live->err,
                "weir fingerprint: --live %s: an address like 127.0.0.1:8443 or "
                "[::1]:8443 expected\n",
                text);
        return EXIT_STATUS_USAGE;
    }
    live->listener = socket(address.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (live->listener < 0 ||
        setsockopt(live->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(live->listener, &address.u.any, address.len) != 0 ||
        listen(live->listener, BACKLOG) != 0 ||
        getsockname(live->listener, (struct sockaddr *)&bound, &len) != 0) {
        int error = errno;
        fprintf(live->err, "weir fingerprint: --live %s: %s\n", text, strerror(error));
        if (live->listener >= 0) {
            close(live->listener);
        }
        return error == EACCES ? EXIT_STATUS_PERMISSION : EXIT_STATUS_CANNOT_CREATE;
    }
    address = address_from_storage(&bound);
    address_format(&address, shown);
    fprintf(live->err, "weir fingerprint: listening on %s\n", shown);
    fflush(live->err);
    if (live->options->seconds) {
        live->end_ns = clock_monotonic_ns() + live->options->seconds * NS_PER_S;
    }
    return EXIT_STATUS_OK;
}

static void print_name(char out[HELLO_ENDPOINT_MAX], int descriptor,
                       int (*get_name)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_storage storage;
    struct address address;
    socklen_t len = sizeof(storage);

    if (get_name(descriptor, (struct sockaddr *)&storage, &len) == 0) {
        address = address_from_storage(&storage);
        address_format(&address, out);
    } else {
        out[0] = '\0';
    }
}

static int get_peer_name(int descriptor, struct sockaddr *address, socklen_t *len)
{
    return getpeername(descriptor, address, len);
}

static int get_own_name(int descriptor, struct sockaddr *address, socklen_t *len)
{
    return getsockname(descriptor, address, len);
}

static bool is_full(const struct live *live)
{
    unsigned left = live->options->count ? live->options->count - live->answered : UINT32_MAX;

    return live->connection_count == LIVE_CONNECTIONS_MAX || live->connection_count >= left;
}

static void accept_one(struct live *live)
{
    int descriptor = accept4(live->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct live_connection *connection = &live->connections[live->connection_count];

    if (descriptor < 0) {
        return; /* it went away; poll() tells of the next one */
    }
    *connection = (struct live_connection){
        .descriptor = descriptor,
        .bytes = malloc(RECORD_BYTES_MAX),
        .deadline_ns = clock_monotonic_ns() + LIVE_HELLO_MS * NS_PER_MS,
        .origin = {.time_ns = clock_wall_ns()},
    };
    if (!connection->bytes) {
        close(descriptor);
        return;
    }
    print_name(connection->origin.client, descriptor, get_peer_name);
    print_name(connection->origin.server, descriptor, get_own_name);
    live->connection_count++;
}

static void connection_free(struct live *live, unsigned index)
{
    struct live_connection *connection = &live->connections[index];

    close(connection->descriptor);
    free(connection->bytes);
    *connection = live->connections[--live->connection_count];
}

/* Writes what came, and ends the connection. */
static void answer(struct live *live, unsigned index)
{
    static const uint8_t handshake_failure[] = {21, 3, 1, 0, 2, 2, 40}; /* RFC 8446 6.2 */
    struct live_connection *connection = &live->connections[index];
    struct span wire = span_make(connection->bytes, connection->len);

    hello_facts_gather(live->facts, wire);
    if (!hello_output_write(live->output, &connection->origin, live->facts)) {
        fputs("weir fingerprint: out of memory\n", live->err);
    }
    fflush(live->output->out);
    if (!live->options->serve && wire.len && record_recognise(wire) == RECORD_DONE) {
        /* A client that has gone does not hear it. */
        (void)!send(connection->descriptor, handshake_failure, sizeof(handshake_failure),
                    MSG_NOSIGNAL);
    }
    connection_free(live, index);
    live->answered++;
}

/* Is what came enough to be answered? */
static bool is_decided(struct live *live, struct live_connection *connection)
{
    struct span wire = span_make(connection->bytes, connection->len);
    struct span message;

    if (wire.len == RECORD_BYTES_MAX) {
        return true;
    }
    if (record_recognise(wire) != RECORD_BAD) {
        return record_gather_hello(&connection->scan, wire, live->facts->join, &message) !=
               RECORD_MORE;
    }
    if (hello_form_recognise(wire) == HELLO_FORM_SSLV2) {
        return wire.len >= hello_sslv2_len(wire);
    }
    return wire.len >= 5 || !(wire.data[0] & 0x80);
}

static void read_one(struct live *live, unsigned index)
{
    struct live_connection *connection = &live->connections[index];
    ssize_t got = recv(connection->descriptor, connection->bytes + connection->len,
                       RECORD_BYTES_MAX - connection->len, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        answer(live, index);
        return;
    }
    connection->len += (size_t)got;
    if (is_decided(live, connection)) {
        answer(live, index);
    }
}

/* -1: wait without end. */
static int wait_ms(const struct live *live, int64_t now_ns)
{
    int64_t next_ns = live->end_ns ? live->end_ns : INT64_MAX;

    for (unsigned i = 0; i < live->connection_count; i++) {
        if (live->connections[i].deadline_ns < next_ns) {
            next_ns = live->connections[i].deadline_ns;
        }
    }
    if (next_ns == INT64_MAX) {
        return -1;
    }
    if (next_ns <= now_ns) {
        return 0;
    }
    next_ns = (next_ns - now_ns) / NS_PER_MS + 1;
    return next_ns < 3600000 ? (int)next_ns : 3600000;
}

static int serve(struct live *live)
{
    struct pollfd polled[LIVE_CONNECTIONS_MAX + 1];
    int64_t now_ns = clock_monotonic_ns();

    while ((!live->options->count || live->answered < live->options->count) &&
           (!live->end_ns || now_ns < live->end_ns) && !ferror(live->output->out)) {
        unsigned count = live->connection_count;

        for (unsigned i = 0; i < count; i++) {
            polled[i] = (struct pollfd){live->connections[i].descriptor, POLLIN, 0};
        }
        polled[count] = (struct pollfd){is_full(live) ? -1 : live->listener, POLLIN, 0};
        if (poll(polled, count + 1, wait_ms(live, now_ns)) < 0 && errno != EINTR) {
            fprintf(live->err, "weir fingerprint: poll: %s\n", strerror(errno));
            return EXIT_STATUS_RUNTIME;
        }
        now_ns = clock_monotonic_ns();
        /* Backwards: an answered connection's place is taken by the last one, which was seen. */
        for (unsigned i = count; i-- > 0;) {
            if (polled[i].revents) {
                read_one(live, i);
            } else if (live->connections[i].deadline_ns <= now_ns) {
                answer(live, i);
            }
        }
        if (polled[count].revents && !is_full(live)) {
            accept_one(live);
        }
    }
    return EXIT_STATUS_OK;
}
