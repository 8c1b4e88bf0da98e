/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dialling on a real worker over loopback: where a connection comes from, and that it never goes
 * back to where it came from.
 */
#include "core/engine/dial.h"

#include "core/base/clock.h"
#include "core/engine/own_address.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define HOSTS_PATH "/tmp/weir_test_dial_XXXXXX"

struct kit {
    struct worker worker;
    struct own_addresses *own;
    struct actor owner;
    int listener;
    struct sockaddr_storage name;        /* of the listener */
    char hosts_path[sizeof(HOSTS_PATH)]; /* empty: the system's */
};

static void do_nothing(struct actor *actor)
{
    (void)actor;
}

static void kit_open_hosts(struct kit *kit, const char *ip, uint32_t mark, const char *hosts_file)
{
    const struct resolver_options resolver = {.timeout_ms = 1000,
                                              .cache_count = 16,
                                              .ttl_max_s = 60,
                                              .negative_ttl_s = 1,
                                              .mark = mark,
                                              .hosts_file = hosts_file};
    struct worker_options options = {.conn_cap = 16,
                                     .dial_cap = 8,
                                     .idle_cap = 4,
                                     .idle_ns = NS_PER_S,
                                     .buffer_high = 65536,
                                     .buffer_low = 16384,
                                     .resolver = &resolver,
                                     .mark = mark};
    struct address address;
    socklen_t len = sizeof(kit->name);
    char error[256] = "";

    memset(kit, 0, sizeof(*kit));
    kit->own = options.own = own_addresses_new(true);
    assert_non_null(kit->own);
    if (worker_init(&kit->worker, &options, error, sizeof(error)) < 0) {
        fail_msg("%s", error);
    }
    actor_init(&kit->owner, &kit->worker.ready, do_nothing);
    assert_true(address_parse_ip(&address, span_from_string(ip), 0));
    kit->listener = socket(address.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(kit->listener, &address.u.any, address.len), 0);
    assert_int_equal(listen(kit->listener, 4), 0);
    assert_int_equal(getsockname(kit->listener, (struct sockaddr *)&kit->name, &len), 0);
}

static void kit_open(struct kit *kit, const char *ip, uint32_t mark)
{
    kit_open_hosts(kit, ip, mark, NULL);
}

/* At 127.0.0.1, with these lines as its hosts file. */
static void kit_open_with(struct kit *kit, const char *hosts)
{
    char path[] = HOSTS_PATH;
    int fd = mkstemp(path);
    size_t len = strlen(hosts);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, hosts, len), len);
    close(fd);
    kit_open_hosts(kit, "127.0.0.1", 0, path);
    memcpy(kit->hosts_path, path, sizeof(path));
}

static void kit_close(struct kit *kit)
{
    if (kit->hosts_path[0]) {
        unlink(kit->hosts_path);
    }
    close(kit->listener);
    actor_fini(&kit->owner);
    assert_true(worker_fini(&kit->worker));
    own_addresses_free(kit->own);
}

static uint16_t kit_port(const struct kit *kit)
{
    struct address address = address_from_storage(&kit->name);

    return address_port(&address);
}

static struct dial *dial_to(struct kit *kit, const char *host, const struct address *source)
{
    const struct dial_options options = {.host = span_from_string(host),
                                         .port = kit_port(kit),
                                         .allow_private = true,
                                         .connect_ms = 2000,
                                         .source = source};
    int64_t give_up_ns = clock_monotonic_ns() + 3 * NS_PER_S;
    struct dial *dial = dial_new(&kit->worker, &options, &kit->owner);

    assert_non_null(dial);
    while (dial->state == DIAL_PENDING && clock_monotonic_ns() < give_up_ns) {
        worker_turn_within(&kit->worker, 20 * NS_PER_MS);
    }
    return dial;
}

static int accept_from(const struct kit *kit, struct address *peer)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);
    int fd = accept4(kit->listener, (struct sockaddr *)&name, &len, SOCK_CLOEXEC);

    assert_true(fd >= 0);
    *peer = address_from_storage(&name);
    *peer = address_unmapped(peer);
    return fd;
}

static bool may_administer_network(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};

    return syscall(SYS_capget, &header, data) == 0 &&
           (data[0].effective & (1U << CAP_NET_ADMIN)) != 0;
}

static void assert_loop(struct kit *kit, const char *host)
{
    struct dial *dial = dial_to(kit, host, NULL);

    assert_int_equal(dial->state, DIAL_FAILED);
    assert_int_equal(dial->error, DIAL_LOOP);
    assert_string_equal(dial_error_type(dial->error), "proxy_loop_detected");
    assert_non_null(strstr(dial->text, "would come back to this proxy (loop)"));
    dial_free(dial);
}

static void assert_reached(struct kit *kit, const char *host)
{
    struct address peer;
    struct dial *dial = dial_to(kit, host, NULL);

    assert_int_equal(dial->state, DIAL_DONE);
    close(accept_from(kit, &peer));
    dial_free(dial);
}

static void test_own_address(void **state)
{
    struct kit kit;

    (void)state;
    kit_open(&kit, "127.0.0.1", 0);
    assert_reached(&kit, "127.0.0.1");
    assert_true(own_addresses_add(kit.own, &kit.name));
    assert_loop(&kit, "127.0.0.1");
    assert_loop(&kit, "::ffff:127.0.0.1");
    kit_close(&kit);
}

/* The same port of another address is somebody else's. */
static void test_other_address(void **state)
{
    struct kit kit;
    struct sockaddr_storage elsewhere;

    (void)state;
    kit_open(&kit, "127.0.0.1", 0);
    elsewhere = kit.name;
    ((struct sockaddr_in *)&elsewhere)->sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    assert_true(own_addresses_add(kit.own, &elsewhere));
    assert_reached(&kit, "127.0.0.1");
    kit_close(&kit);
}

static void test_wildcards(void **state)
{
    static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
    struct kit kit;
    struct address to;

    (void)state;
    kit_open(&kit, "0.0.0.0", 0);
    assert_true(own_addresses_add(kit.own, &kit.name));
    assert_loop(&kit, "127.0.0.1");
    assert_loop(&kit, "127.3.2.1");
    /* Not this machine, whatever the port; and not IPv4. */
    assert_true(address_parse_ip(&to, SPAN_LITERAL("192.0.2.77"), kit_port(&kit)));
    assert_false(own_addresses_listen_on(kit.own, kit.worker.ring, &to));
    to = (struct address){.len = sizeof(to.u.v6)};
    to.u.v6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_addr = loopback, .sin6_port = htons(kit_port(&kit))};
    assert_false(own_addresses_listen_on(kit.own, kit.worker.ring, &to));
    kit_close(&kit);

    kit_open(&kit, "::", 0);
    assert_true(own_addresses_add(kit.own, &kit.name));
    assert_loop(&kit, "127.0.0.1");
    assert_loop(&kit, "::1");
    kit_close(&kit);
}

static void test_own_client(void **state)
{
    struct address client, target, other;
    struct kit kit;
    struct dial *dial;
    int fd;

    (void)state;
    kit_open(&kit, "127.0.0.1", 0);
    dial = dial_to(&kit, "127.0.0.1", NULL);
    assert_int_equal(dial->state, DIAL_DONE);
    fd = accept_from(&kit, &client);
    target = address_from_storage(&kit.name);
    assert_true(worker_is_own_client(&kit.worker, &client, &target));
    other = target;
    address_set_port(&other, (uint16_t)(kit_port(&kit) ^ 1));
    assert_false(worker_is_own_client(&kit.worker, &client, &other));
    other = client;
    address_set_port(&other, (uint16_t)(address_port(&client) ^ 1));
    assert_false(worker_is_own_client(&kit.worker, &other, &target));
    dial_free(dial);
    close(fd);
    while (kit.worker.conns.live_count > 0) {
        worker_turn_within(&kit.worker, 20 * NS_PER_MS);
    }
    assert_false(worker_is_own_client(&kit.worker, &client, &target));
    kit_close(&kit);
}

static void test_source_and_mark(void **state)
{
    struct address source, mapped, peer;
    struct kit kit;
    struct dial *dial;
    uint32_t mark = 0;
    socklen_t len = sizeof(mark);
    int fd;

    (void)state;
    if (!may_administer_network()) {
        skip();
    }
    kit_open(&kit, "127.0.0.1", 4711);
    assert_true(address_parse_ip(&source, SPAN_LITERAL("127.0.0.9"), 1234));
    assert_true(address_parse_ip(&mapped, SPAN_LITERAL("::ffff:127.0.0.9"), 1234));
    for (int i = 0; i < 2; i++) {
        dial = dial_to(&kit, "127.0.0.1", i ? &mapped : &source);
        assert_int_equal(dial->state, DIAL_DONE);
        assert_int_equal(getsockopt(dial->conn->fd, SOL_SOCKET, SO_MARK, &mark, &len), 0);
        assert_int_equal(mark, 4711);
        fd = accept_from(&kit, &peer);
        assert_int_not_equal(address_port(&peer), 1234);
        address_set_port(&peer, 1234);
        assert_true(address_equal(&peer, &source));
        close(fd);
        dial_free(dial);
    }
    /* A source of the other family is of no use. */
    assert_true(address_parse_ip(&source, SPAN_LITERAL("::9"), 0));
    dial = dial_to(&kit, "127.0.0.1", &source);
    assert_int_equal(dial->state, DIAL_DONE);
    close(accept_from(&kit, &peer));
    dial_free(dial);
    kit_close(&kit);
}

/* An address that refused is not tried again before the one that answered. */
static void test_late_address(void **state)
{
    struct kit kit;

    (void)state;
    kit_open_with(&kit, "127.0.0.2 two.test\n127.0.0.1 two.test\n");
    assert_reached(&kit, "two.test");
    assert_int_equal(kit.worker.stats.dialled, 2);
    assert_reached(&kit, "two.test");
    assert_int_equal(kit.worker.stats.dialled, 3);
    kit_close(&kit);
}

/* Late or not, all are tried. */
static void test_all_addresses_late(void **state)
{
    struct kit kit;

    (void)state;
    kit_open_with(&kit, "127.0.0.2 two.test\n127.0.0.3 two.test\n");
    for (uint64_t round = 1; round <= 2; round++) {
        struct dial *dial = dial_to(&kit, "two.test", NULL);
        assert_int_equal(dial->state, DIAL_FAILED);
        assert_int_equal(dial->error, DIAL_REFUSED);
        assert_int_equal(kit.worker.stats.dialled, 2 * round);
        dial_free(dial);
    }
    kit_close(&kit);
}

static void test_many_addresses(void **state)
{
    struct own_addresses *own = own_addresses_new(false);
    struct sockaddr_storage name = {.ss_family = AF_INET};

    (void)state;
    assert_non_null(own);
    for (int i = 0; i < OWN_ADDRESSES_MAX; i++) {
        assert_true(own_addresses_add(own, &name));
    }
    assert_false(own_addresses_add(own, &name));
    assert_false(own_addresses_remember_dialled(own));
    assert_false(own_addresses_remember_dialled(NULL));
    own_addresses_free(own);
    own_addresses_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_address),     cmocka_unit_test(test_other_address),
        cmocka_unit_test(test_wildcards),       cmocka_unit_test(test_own_client),
        cmocka_unit_test(test_source_and_mark), cmocka_unit_test(test_many_addresses),
        cmocka_unit_test(test_late_address),    cmocka_unit_test(test_all_addresses_late),
    };

    return cmocka_run_group_tests_name("dial", tests, NULL, NULL);
}
