/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/visitors.h"

#include "core/base/clock.h"
#include "core/engine/address.h"
#include "core/options.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 128, WAIT_MS_MAX = 3600000 };

struct visitors {
    const struct visitors_options *options;
    int listener;
    int64_t end_ns; /* 0: none */
    unsigned count;
    struct visitor items[VISITORS_MAX];
    uint8_t join[CLIENT_HELLO_MAX]; /* room to look for the hello's end in */
};

static int open_listener(struct visitors *visitors);
static int serve(struct visitors *visitors);
static void remove_one(struct visitors *visitors, unsigned index);

int visitors_run(const struct visitors_options *options)
{
    struct visitors *visitors = calloc(1, sizeof(*visitors));
    int status;

    if (!visitors) {
        fprintf(options->err, "weir %s: out of memory\n", options->command);
        return EXIT_STATUS_RUNTIME;
    }
    visitors->options = options;
    status = open_listener(visitors);
    if (status == EXIT_STATUS_OK) {
        status = serve(visitors);
        close(visitors->listener);
    }
    while (visitors->count) {
        if (visitors->items[0].visit) {
            options->drop(options->context, &visitors->items[0]);
        }
        remove_one(visitors, 0);
    }
    free(visitors);
    return status;
}

/* ---- the address ---- */

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

static bool is_loopback(const struct address *address)
{
    if (address->u.any.sa_family == AF_INET) {
        return ntohl(address->u.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    return IN6_IS_ADDR_LOOPBACK(&address->u.v6.sin6_addr);
}

static int complain(const struct visitors *visitors, int status, const char *what)
{
    const struct visitors_options *options = visitors->options;

    fprintf(options->err, "weir %s: %s %s: %s\n", options->command, options->option,
            options->address, what);
    return status;
}

static int open_listener(struct visitors *visitors)
{
    const struct visitors_options *options = visitors->options;
    struct address address;
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    char shown[ADDRESS_TEXT_MAX];
    int one = 1;

    if (!parse_address(&address, span_from_string(options->address))) {
        return complain(visitors, EXIT_STATUS_USAGE,
                        "an address like 127.0.0.1:8443 or [::1]:8443 expected");
    }
    if (options->loopback_only && !is_loopback(&address)) {
        return complain(visitors, EXIT_STATUS_USAGE,
                        "other machines can reach this address; a loopback one (127.0.0.1, [::1]) "
                        "expected, or --any-address");
    }
    visitors->listener =
        socket(address.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (visitors->listener < 0 ||
        setsockopt(visitors->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(visitors->listener, &address.u.any, address.len) != 0 ||
        listen(visitors->listener, BACKLOG) != 0 ||
        getsockname(visitors->listener, (struct sockaddr *)&bound, &len) != 0) {
        int error = errno;
        if (visitors->listener >= 0) {
            close(visitors->listener);
        }
        return complain(visitors,
                        error == EACCES ? EXIT_STATUS_PERMISSION : EXIT_STATUS_CANNOT_CREATE,
                        strerror(error));
    }
    address = address_from_storage(&bound);
    address_format(&address, shown);
    fprintf(options->err, "weir %s: listening on %s\n", options->command, shown);
    fflush(options->err);
    if (options->seconds) {
        visitors->end_ns = clock_monotonic_ns() + options->seconds * NS_PER_S;
    }
    return EXIT_STATUS_OK;
}

/* ---- connections ---- */

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

static void accept_one(struct visitors *visitors)
{
    int descriptor = accept4(visitors->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct visitor *visitor = &visitors->items[visitors->count];

    if (descriptor < 0) {
        return; /* it went away; poll() tells of the next one */
    }
    *visitor = (struct visitor){
        .descriptor = descriptor,
        .events = POLLIN,
        .bytes = malloc(RECORD_BYTES_MAX),
        .deadline_ns = clock_monotonic_ns() + VISITORS_HELLO_MS * NS_PER_MS,
        .origin = {.time_ns = clock_wall_ns()},
    };
    if (!visitor->bytes) {
        close(descriptor);
        return;
    }
    print_name(visitor->origin.client, descriptor, get_peer_name);
    print_name(visitor->origin.server, descriptor, get_own_name);
    visitors->count++;
}

/* The last one takes its place. */
static void remove_one(struct visitors *visitors, unsigned index)
{
    struct visitor *visitor = &visitors->items[index];

    close(visitor->descriptor);
    free(visitor->bytes);
    *visitor = visitors->items[--visitors->count];
}

/* Is what came enough to be looked at? */
static bool is_decided(struct visitors *visitors, struct visitor *visitor)
{
    struct span wire = span_make(visitor->bytes, visitor->len);
    struct span message;

    if (wire.len == RECORD_BYTES_MAX) {
        return true;
    }
    if (record_recognise(wire) != RECORD_BAD) {
        return record_gather_hello(&visitor->scan, wire, visitors->join, &message) != RECORD_MORE;
    }
    if (hello_form_recognise(wire) == HELLO_FORM_SSLV2) {
        return wire.len >= hello_sslv2_len(wire);
    }
    return wire.len >= 5 || !(wire.data[0] & 0x80);
}

/* False: the connection is over. */
static bool read_hello(struct visitors *visitors, struct visitor *visitor, bool is_late)
{
    const struct visitors_options *options = visitors->options;
    ssize_t got = is_late ? 0
                          : recv(visitor->descriptor, visitor->bytes + visitor->len,
                                 RECORD_BYTES_MAX - visitor->len, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    visitor->len += got > 0 ? (size_t)got : 0;
    if (got > 0 && !is_decided(visitors, visitor)) {
        return true;
    }
    visitor->had_hello = true;
    return options->take_hello(options->context, visitor);
}

static void turn(struct visitors *visitors, unsigned index, bool is_ready, int64_t now_ns)
{
    const struct visitors_options *options = visitors->options;
    struct visitor *visitor = &visitors->items[index];
    bool is_late = !is_ready && visitor->deadline_ns <= now_ns;

    if (!is_ready && !is_late) {
        return;
    }
    if (!(visitor->had_hello ? options->go_on(options->context, visitor, is_late)
                             : read_hello(visitors, visitor, is_late))) {
        remove_one(visitors, index);
    }
}

/* -1: wait without end. */
static int wait_ms(const struct visitors *visitors, int64_t now_ns)
{
    int64_t next_ns = visitors->end_ns ? visitors->end_ns : INT64_MAX;

    for (unsigned i = 0; i < visitors->count; i++) {
        if (visitors->items[i].deadline_ns < next_ns) {
            next_ns = visitors->items[i].deadline_ns;
        }
    }
    if (next_ns == INT64_MAX) {
        return -1;
    }
    if (next_ns <= now_ns) {
        return 0;
    }
    next_ns = (next_ns - now_ns) / NS_PER_MS + 1;
    return next_ns < WAIT_MS_MAX ? (int)next_ns : WAIT_MS_MAX;
}

static int serve(struct visitors *visitors)
{
    const struct visitors_options *options = visitors->options;
    struct pollfd polled[VISITORS_MAX + 1];
    int64_t now_ns = clock_monotonic_ns();
    unsigned room;

    while ((room = options->room(options->context)) &&
           (!visitors->end_ns || now_ns < visitors->end_ns)) {
        unsigned count = visitors->count;

        for (unsigned i = 0; i < count; i++) {
            struct visitor *visitor = &visitors->items[i];
            polled[i] = (struct pollfd){visitor->descriptor, visitor->events, 0};
        }
        polled[count] = (struct pollfd){count < room ? visitors->listener : -1, POLLIN, 0};
        if (poll(polled, count + 1, wait_ms(visitors, now_ns)) < 0 && errno != EINTR) {
            fprintf(options->err, "weir %s: poll: %s\n", options->command, strerror(errno));
            return EXIT_STATUS_RUNTIME;
        }
        now_ns = clock_monotonic_ns();
        /* Backwards: the place of one that is over is taken by the last one, which was seen. */
        for (unsigned i = count; i-- > 0;) {
            turn(visitors, i, polled[i].revents != 0, now_ns);
        }
        if (polled[count].revents && visitors->count < VISITORS_MAX) {
            accept_one(visitors);
        }
    }
    return EXIT_STATUS_OK;
}
