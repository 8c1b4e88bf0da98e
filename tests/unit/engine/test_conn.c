/* SPDX-License-Identifier: Apache-2.0 */
/* Connections on a real worker that share few receive buffers: who holds them, and who waits. */
#include "tests/unit/engine/worker_kit.h"

#include <linux/tcp.h>

/* Sends what is missing to so many bytes in rx, and waits for them. */
static void fill(struct kit *kit, const struct peer *peer, size_t len)
{
    static const uint8_t bytes[BUFFERS * BUFFER_LEN];
    int64_t give_up_ns = clock_monotonic_ns() + 2 * NS_PER_S;
    size_t missing = len - peer->conn->rx.len;

    assert_int_equal(write(peer->fd, bytes, missing), missing);
    conn_receive(peer->conn, len);
    while (peer->conn->rx.len < len && clock_monotonic_ns() < give_up_ns) {
        turn(kit);
    }
    assert_int_equal(peer->conn->rx.len, len);
}

/* As soon as others have given enough back, and not only once the time is up that a private
 * receive waits for. */
static void test_starved(void **state)
{
    struct kit kit;
    struct peer greedy, starved;
    int64_t give_up_ns = clock_monotonic_ns() + 2 * NS_PER_S;

    (void)state;
    kit_open(&kit);
    greedy = peer_open(&kit);
    starved = peer_open(&kit);
    fill(&kit, &greedy, BUFFERS * BUFFER_LEN);
    assert_int_equal(ring_group_free(kit.worker.ring, RING_GROUP_SMALL), 0);
    assert_int_equal(write(starved.fd, "x", 1), 1);
    conn_receive(starved.conn, BUFFER_LEN);
    while (starved.conn->receiving != CONN_RECV_STARVED && clock_monotonic_ns() < give_up_ns) {
        turn(&kit);
    }
    assert_int_equal(kit.worker.stats.starved, 1);

    buf_queue_consume(&greedy.conn->rx, &kit.worker.bufs, BUFFERS * BUFFER_LEN);
    turn(&kit);
    assert_int_equal(starved.conn->receiving, CONN_RECV_ARMED);
    while (starved.conn->rx.len == 0 && clock_monotonic_ns() < give_up_ns) {
        turn(&kit);
    }
    assert_int_equal(starved.conn->rx.len, 1);
    assert_int_equal(kit.worker.stats.private_receives, 0);
    peer_close(&greedy);
    peer_close(&starved);
    kit_close(&kit);
}

/* What is sent on may stay where it was received into while half of the buffers are free. */
static void test_push(void **state)
{
    struct kit kit;
    struct peer from, to;

    (void)state;
    kit_open(&kit);
    from = peer_open(&kit);
    to = peer_open(&kit);
    fill(&kit, &from, BUFFERS / 2 * BUFFER_LEN);
    conn_push(to.conn, buf_queue_pop(&from.conn->rx));
    assert_int_equal(to.conn->tx.last->size_class, BUF_CLASS_RING);
    assert_int_equal(kit.worker.stats.parked_bytes, 0);

    fill(&kit, &from, BUFFERS / 2 * BUFFER_LEN);
    assert_true(ring_group_free(kit.worker.ring, RING_GROUP_SMALL) < BUFFERS / 2);
    conn_push(to.conn, buf_queue_pop(&from.conn->rx));
    assert_int_not_equal(to.conn->tx.last->size_class, BUF_CLASS_RING);
    assert_int_equal(kit.worker.stats.parked_bytes, BUFFER_LEN);
    peer_close(&from);
    peer_close(&to);
    kit_close(&kit);
}

/* What nobody takes stays where it is, until three quarters of the buffers are taken. */
static void test_park(void **state)
{
    struct kit kit;
    struct peer peer;

    (void)state;
    kit_open(&kit);
    peer = peer_open(&kit);
    fill(&kit, &peer, (BUFFERS * 3 / 4) * BUFFER_LEN);
    conn_park(peer.conn);
    assert_int_equal(kit.worker.stats.parked_bytes, 0);
    fill(&kit, &peer, BUFFERS * BUFFER_LEN);
    conn_park(peer.conn);
    assert_int_equal(peer.conn->rx.len, BUFFERS * BUFFER_LEN);
    assert_int_equal(ring_group_free(kit.worker.ring, RING_GROUP_SMALL), BUFFERS / 4);
    assert_int_equal(kit.worker.stats.parked_bytes, BUFFERS / 4 * BUFFER_LEN);
    peer_close(&peer);
    kit_close(&kit);
}

/* The last bytes take the FIN with them: after the SYN one segment more. */
static void test_finish(void **state)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    int64_t give_up_ns = clock_monotonic_ns() + 2 * NS_PER_S;
    struct kit kit;
    struct peer peer;
    char text[8];
    ssize_t got;

    (void)state;
    kit_open(&kit);
    peer = peer_open(&kit);
    assert_true(conn_write(peer.conn, SPAN_LITERAL("last")));
    conn_finish(peer.conn);
    while (!peer.conn->fin_sent && clock_monotonic_ns() < give_up_ns) {
        turn(&kit);
    }
    assert_int_equal(read(peer.fd, text, sizeof(text)), 4);
    while ((got = read(peer.fd, text, sizeof(text))) < 0 && clock_monotonic_ns() < give_up_ns) {
        turn(&kit);
    }
    assert_int_equal(got, 0);
    assert_int_equal(getsockopt(peer.fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    assert_int_equal(info.tcpi_segs_in, 2);
    peer_close(&peer);
    kit_close(&kit);
}

/* Dials, and gives the server's end of the connection; what is queued first is sent first. */
static int dial_and_accept(struct kit *kit, struct conn **conn, struct span first, int64_t limit_ns)
{
    int64_t give_up_ns = clock_monotonic_ns() + limit_ns;
    struct sockaddr_in name;
    int listener = listen_on_loopback(&name);
    struct address address = {.len = sizeof(name)};
    int error = 0;
    int fd = -1;

    assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    address.u.v4 = name;
    *conn = conn_dial(&kit->worker, &address, NULL, &kit->owner, &error);
    assert_non_null(*conn);
    assert_true(conn_write(*conn, first));
    while (fd < 0 && clock_monotonic_ns() < give_up_ns) {
        worker_turn_within(&kit->worker, NS_PER_MS);
        conn_flush(*conn);
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    close(listener);
    return fd;
}

/* The first bytes take the end of the handshake with them: after the SYN one segment more. */
static void test_dial_and_send(void **state)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    int64_t give_up_ns = clock_monotonic_ns() + 2 * NS_PER_S;
    struct kit kit;
    struct conn *conn;
    char text[8];
    int fd;

    (void)state;
    kit_open(&kit);
    fd = dial_and_accept(&kit, &conn, SPAN_LITERAL("first"), 2 * NS_PER_S);
    assert_true(fd >= 0);
    while (read(fd, text, sizeof(text)) < 0 && clock_monotonic_ns() < give_up_ns) {
        turn(&kit);
        conn_flush(conn);
    }
    assert_int_equal(getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    assert_int_equal(info.tcpi_segs_out, 2);
    conn_close(conn, CONN_CLOSE_RESET);
    close(fd);
    kit_close(&kit);
}

/* A server that speaks first learns of the connection all the same, and not only after the 200 ms
 * that the kernel would take. */
static void test_dial_and_wait(void **state)
{
    struct kit kit;
    struct conn *conn;
    int fd;

    (void)state;
    kit_open(&kit);
    fd = dial_and_accept(&kit, &conn, span_make(NULL, 0), 100 * NS_PER_MS);
    assert_true(fd >= 0);
    conn_close(conn, CONN_CLOSE_RESET);
    close(fd);
    kit_close(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starved),       cmocka_unit_test(test_push),
        cmocka_unit_test(test_park),          cmocka_unit_test(test_finish),
        cmocka_unit_test(test_dial_and_send), cmocka_unit_test(test_dial_and_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
