/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/engine/dns_fake.h"

#include "core/base/assert.h"
#include "core/base/clock.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LATER_MAX = 256, LOG_MAX = 16384, MESSAGE_MAX = 4096, A = 1, CNAME = 5, AAAA = 28 };

struct later {
    int64_t due_ns;
    struct sockaddr_in to;
    size_t len;
    uint8_t bytes[512];
};

struct dns_fake {
    pthread_t thread;
    pthread_mutex_t lock;
    int udp, tcp, stop[2];
    uint16_t port;
    unsigned asked, asked_tcp;
    char labels[LOG_MAX][16];
    struct later later[LATER_MAX];
    size_t later_count;
};

struct reply {
    uint8_t bytes[MESSAGE_MAX];
    size_t len;
    unsigned delay_ms;
    bool silent;
};

/* What a question was. */
struct asked {
    char label[64];
    uint16_t type;
    size_t question_end;
    bool tcp;
};

static void put(struct reply *r, const void *bytes, size_t len)
{
    ASSERT(r->len + len <= sizeof(r->bytes));
    memcpy(r->bytes + r->len, bytes, len);
    r->len += len;
}

static void put16(struct reply *r, unsigned value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    put(r, bytes, 2);
}

/* Owner: wire bytes, or a pointer to the question's name when null. */
static void put_record(struct reply *r, const char *owner, size_t owner_len, unsigned type,
                       uint32_t ttl_s, const void *data, size_t len)
{
    if (owner) {
        put(r, owner, owner_len);
    } else {
        put16(r, 0xc00c);
    }
    put16(r, type);
    put16(r, 1);
    put16(r, ttl_s >> 16);
    put16(r, ttl_s & 0xffff);
    put16(r, (unsigned)len);
    put(r, data, len);
    r->bytes[7]++; /* answers */
}

static void put_a(struct reply *r, const char *owner, size_t owner_len, uint32_t ttl_s,
                  const char *text)
{
    uint8_t bytes[16];

    if (inet_pton(AF_INET, text, bytes) == 1) {
        put_record(r, owner, owner_len, A, ttl_s, bytes, 4);
    } else {
        ASSERT(inet_pton(AF_INET6, text, bytes) == 1);
        put_record(r, owner, owner_len, AAAA, ttl_s, bytes, 16);
    }
}

static void put_plain(struct reply *r, uint16_t type, uint32_t ttl_s)
{
    put_a(r, NULL, 0, ttl_s, type == A ? "192.0.2.1" : "2001:db8::1");
}

static bool is(const struct asked *q, const char *label)
{
    return strcmp(q->label, label) == 0;
}

static void answer_odd(struct reply *r, const struct asked *q)
{
    if (is(q, "alias")) {
        static const char there[] = "\5there\4test";
        static const char here[] = "\4here\4test";
        if (q->type == A) { /* the records come in the wrong order */
            put_a(r, here, sizeof(here), 600, "192.0.2.7");
        }
        put_record(r, there, sizeof(there), CNAME, 500, here, sizeof(here));
        put_record(r, NULL, 0, CNAME, 1, there, sizeof(there));
    } else if (is(q, "planted")) {
        static const char other[] = "\5other\4test";
        put_a(r, other, sizeof(other), 60, "192.0.2.66");
        put_plain(r, q->type, 60);
    } else if (is(q, "loop")) {
        static const char back[] = "\4back\4test";
        put_record(r, NULL, 0, CNAME, 60, back, sizeof(back));
        put_record(r, back, sizeof(back), CNAME, 60, r->bytes + 12, q->question_end - 16);
    } else if (is(q, "garbage")) {
        r->bytes[7] = 3;
        put(r, "\xff\xff\xff\xff\xc0", 5);
    } else if (is(q, "truncated")) {
        if (!q->tcp) {
            r->bytes[2] |= 2;
        } else if (q->type == A) {
            for (int i = 1; i <= 40; i++) {
                char text[24];
                snprintf(text, sizeof(text), "192.0.2.%d", i);
                put_a(r, NULL, 0, 60, text);
            }
        }
    } else if (is(q, "many")) {
        for (int i = 1; i <= 12; i++) {
            char text[32];
            snprintf(text, sizeof(text), q->type == A ? "192.0.2.%d" : "2001:db8::%d", i);
            put_a(r, NULL, 0, 60, text);
        }
    } else {
        put_plain(r, q->type, 300);
    }
}

static void answer(struct reply *r, const struct asked *q)
{
    bool v4 = q->type == A;

    if (is(q, "both")) {
        put_plain(r, q->type, 300);
        if (v4) {
            put_a(r, NULL, 0, 300, "192.0.2.2");
            put_a(r, NULL, 0, 300, "192.0.2.2");
            put_a(r, NULL, 0, 300, "192.0.2.3");
        }
    } else if (is(q, "four") || is(q, "six")) {
        if (v4 == is(q, "four")) {
            put_plain(r, q->type, 300);
        }
    } else if (is(q, "zero")) {
        put_plain(r, q->type, 0);
    } else if (is(q, "none")) {
        r->bytes[3] |= 3;
    } else if (is(q, "failing")) {
        r->bytes[3] |= 2;
    } else if (is(q, "refusing")) {
        r->bytes[3] |= 5;
    } else if (is(q, "half")) { /* AAAA fails, A is there */
        if (v4) {
            put_plain(r, A, 300);
        } else {
            r->bytes[3] |= 2;
        }
    } else if (is(q, "nodata")) {
        r->delay_ms = 0;
    } else if (is(q, "silent") || (is(q, "never6") && !v4) || (is(q, "never4") && v4)) {
        r->silent = true;
    } else if (is(q, "late6") || is(q, "late4")) {
        put_plain(r, q->type, 300);
        r->delay_ms = is(q, "late6") == v4 ? 0 : v4 ? 80 : 700;
    } else if (is(q, "slow")) {
        put_plain(r, q->type, 300);
        r->delay_ms = 100;
    } else {
        answer_odd(r, q);
    }
}

static bool read_question(const uint8_t *bytes, size_t len, struct asked *q)
{
    size_t at = 12;

    if (len < 17 || bytes[12] == 0 || bytes[12] >= sizeof(q->label) || 13u + bytes[12] > len) {
        return false;
    }
    memcpy(q->label, bytes + 13, bytes[12]);
    q->label[bytes[12]] = 0;
    while (at < len && bytes[at] != 0) {
        at += bytes[at] + 1u;
    }
    if (at + 5 > len) {
        return false;
    }
    q->type = (uint16_t)(bytes[at + 1] << 8 | bytes[at + 2]);
    q->question_end = at + 5;
    return true;
}

static bool make_reply(struct dns_fake *fake, const uint8_t *bytes, size_t len, bool tcp,
                       struct reply *r, struct asked *q)
{
    *r = (struct reply){.len = 0};
    if (!read_question(bytes, len, q)) {
        return false;
    }
    q->tcp = tcp;
    pthread_mutex_lock(&fake->lock);
    snprintf(fake->labels[fake->asked++ % LOG_MAX], sizeof(fake->labels[0]), "%.15s", q->label);
    fake->asked_tcp += tcp;
    pthread_mutex_unlock(&fake->lock);
    put(r, bytes, q->question_end);
    r->bytes[2] = 0x81; /* response, recursion desired */
    r->bytes[3] = 0x80;
    memset(r->bytes + 6, 0, 6);
    answer(r, q);
    return !r->silent;
}

static void send_later(struct dns_fake *fake, const struct reply *r, const struct sockaddr_in *to)
{
    struct later *later = &fake->later[fake->later_count++];

    ASSERT(fake->later_count < LATER_MAX && r->len <= sizeof(later->bytes));
    later->due_ns = clock_monotonic_ns() + r->delay_ms * NS_PER_MS;
    later->to = *to;
    later->len = r->len;
    memcpy(later->bytes, r->bytes, r->len);
}

static void send_udp(struct dns_fake *fake, const struct reply *r, const struct sockaddr_in *to)
{
    (void)sendto(fake->udp, r->bytes, r->len, 0, (const void *)to, sizeof(*to));
}

static void on_udp(struct dns_fake *fake)
{
    uint8_t bytes[MESSAGE_MAX];
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    struct reply r;
    struct asked q;
    ssize_t len = recvfrom(fake->udp, bytes, sizeof(bytes), 0, (void *)&from, &from_len);

    if (len <= 0 || !make_reply(fake, bytes, (size_t)len, false, &r, &q)) {
        return;
    }
    if (is(&q, "empty")) {
        (void)sendto(fake->udp, NULL, 0, 0, (void *)&from, sizeof(from));
    } else if (is(&q, "forged") && q.type == A) {
        struct reply forged = r;
        forged.bytes[0] ^= 0x55;
        forged.bytes[forged.len - 1] = 99;
        send_udp(fake, &forged, &from);
        forged.bytes[0] ^= 0x55;
        forged.bytes[13] ^= 1; /* the right number, for another name */
        send_udp(fake, &forged, &from);
        send_udp(fake, &(struct reply){.len = 3}, &from);
        r.delay_ms = 30;
    }
    if (r.delay_ms > 0) {
        send_later(fake, &r, &from);
    } else {
        send_udp(fake, &r, &from);
    }
}

static bool read_exactly(int fd, uint8_t *bytes, size_t len)
{
    return recv(fd, bytes, len, MSG_WAITALL) == (ssize_t)len;
}

/* One connection at a time, until the client closes it. */
static void on_tcp(struct dns_fake *fake)
{
    struct timeval patience = {.tv_sec = 1};
    uint8_t bytes[MESSAGE_MAX];
    int fd = accept(fake->tcp, NULL, NULL);

    if (fd < 0) {
        return;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    while (read_exactly(fd, bytes, 2)) {
        size_t len = (size_t)bytes[0] << 8 | bytes[1];
        struct reply r;
        struct asked q;
        if (len > sizeof(bytes) || !read_exactly(fd, bytes, len) ||
            !make_reply(fake, bytes, len, true, &r, &q)) {
            break;
        }
        uint8_t head[2] = {(uint8_t)(r.len >> 8), (uint8_t)r.len};
        /* In pieces, so that the reader has to wait in the middle. */
        (void)send(fd, head, 1, MSG_NOSIGNAL);
        usleep(5000);
        (void)send(fd, head + 1, 1, MSG_NOSIGNAL);
        (void)send(fd, r.bytes, r.len / 2, MSG_NOSIGNAL);
        usleep(5000);
        (void)send(fd, r.bytes + r.len / 2, r.len - r.len / 2, MSG_NOSIGNAL);
    }
    close(fd);
}

static int send_due(struct dns_fake *fake)
{
    int64_t now_ns = clock_monotonic_ns(), next_ns = -1;

    for (size_t i = 0; i < fake->later_count;) {
        struct later *later = &fake->later[i];
        if (later->due_ns <= now_ns) {
            (void)sendto(fake->udp, later->bytes, later->len, 0, (void *)&later->to,
                         sizeof(later->to));
            *later = fake->later[--fake->later_count];
            continue;
        }
        if (next_ns < 0 || later->due_ns < next_ns) {
            next_ns = later->due_ns;
        }
        i++;
    }
    return next_ns < 0 ? -1 : (int)((next_ns - now_ns) / NS_PER_MS) + 1;
}

static void *serve(void *data)
{
    struct dns_fake *fake = data;
    struct pollfd fds[3] = {{.fd = fake->udp, .events = POLLIN},
                            {.fd = fake->tcp, .events = POLLIN},
                            {.fd = fake->stop[0], .events = POLLIN}};

    while (!fds[2].revents) {
        poll(fds, 3, send_due(fake));
        if (fds[0].revents) {
            on_udp(fake);
        }
        if (fds[1].revents) {
            on_tcp(fake);
        }
    }
    return NULL;
}

struct dns_fake *dns_fake_start(const char *address, uint16_t port)
{
    struct dns_fake *fake = calloc(1, sizeof(*fake));
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t name_len = sizeof(name);
    int big = 8 << 20, on = 1;

    ASSERT(fake);
    inet_pton(AF_INET, address, &name.sin_addr);
    fake->udp = socket(AF_INET, SOCK_DGRAM, 0);
    fake->tcp = socket(AF_INET, SOCK_STREAM, 0);
    ASSERT(pipe(fake->stop) == 0);
    (void)setsockopt(fake->udp, SOL_SOCKET, SO_RCVBUF, &big, sizeof(big));
    (void)setsockopt(fake->tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    pthread_mutex_init(&fake->lock, NULL);
    if (bind(fake->tcp, (void *)&name, sizeof(name)) < 0 || listen(fake->tcp, 16) < 0 ||
        getsockname(fake->tcp, (void *)&name, &name_len) < 0 ||
        bind(fake->udp, (void *)&name, sizeof(name)) < 0 ||
        pthread_create(&fake->thread, NULL, serve, fake) != 0) {
        close(fake->udp);
        close(fake->tcp);
        close(fake->stop[0]);
        close(fake->stop[1]);
        free(fake);
        return NULL;
    }
    fake->port = ntohs(name.sin_port);
    return fake;
}

void dns_fake_stop(struct dns_fake *fake)
{
    ASSERT(write(fake->stop[1], "", 1) == 1);
    pthread_join(fake->thread, NULL);
    close(fake->udp);
    close(fake->tcp);
    close(fake->stop[0]);
    close(fake->stop[1]);
    pthread_mutex_destroy(&fake->lock);
    free(fake);
}

uint16_t dns_fake_port(const struct dns_fake *fake)
{
    return fake->port;
}

unsigned dns_fake_asked(struct dns_fake *fake, const char *label)
{
    unsigned count = 0;

    pthread_mutex_lock(&fake->lock);
    ASSERT(fake->asked <= LOG_MAX);
    for (unsigned i = 0; i < fake->asked; i++) {
        count += !label || strcmp(fake->labels[i], label) == 0;
    }
    pthread_mutex_unlock(&fake->lock);
    return count;
}

unsigned dns_fake_asked_tcp(struct dns_fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    unsigned count = fake->asked_tcp;
    pthread_mutex_unlock(&fake->lock);
    return count;
}
