/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_network.h"

#include "core/tools/program.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool refuse(FILE *err, const char *what, const char *why)
{
    fprintf(err,
            "weir bench: the transparent modes need a network namespace, nft and connection "
            "tracking in the kernel: %s: %s; run as root, or without these modes\n",
            what, why);
    return false;
}

static bool write_file(const char *path, const char *words)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, words, strlen(words)) == (ssize_t)strlen(words);

    if (fd >= 0) {
        close(fd);
    }
    return done;
}

/* As root of a user namespace, who is the user that we were: nft asks who it is. */
static bool unshare_as_user(void)
{
    char users[32], groups[32];

    snprintf(users, sizeof(users), "0 %u 1", (unsigned)geteuid());
    snprintf(groups, sizeof(groups), "0 %u 1", (unsigned)getegid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 &&
           write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/uid_map", users) &&
           write_file("/proc/self/gid_map", groups);
}

static bool raise_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool done = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;

    if (fd >= 0) {
        close(fd);
    }
    return done;
}

bool load_network_enter(FILE *err)
{
    if (unshare(CLONE_NEWNET) < 0 && (errno != EPERM || !unshare_as_user())) {
        return refuse(err, "a network namespace", strerror(errno));
    }
    return raise_loopback() || refuse(err, "its loopback interface", strerror(errno));
}

bool load_network_redirect(const struct load_ports *ports, FILE *err)
{
    static const char *const arguments[] = {"nft", "-f", "-", NULL};
    FILE *script = program_file();
    int status;

    if (!script) {
        return refuse(err, "a file for nft", strerror(errno));
    }
    /* What `weir transparent setup --local` makes, but for whose connections are taken: all
     * addresses here are this machine's own, so that they are told apart by their source. */
    fprintf(script,
            "add table ip weir_bench\n"
            "add chain ip weir_bench redirect_client "
            "{ type nat hook output priority -100; policy accept; }\n"
            "add rule ip weir_bench redirect_client "
            "ip saddr " LOAD_NETWORK_CLIENT " tcp dport { %u, %u } redirect to :%d\n",
            ports->clear, ports->tls, LOAD_NETWORK_PORT);
    status = program_run(&(struct program){.arguments = arguments, .input = script});
    fclose(script);
    if (status != 0) {
        return refuse(err, "nft", status < 0 ? strerror(-status) : "it failed, as it said");
    }
    /* Closed connections are remembered for two minutes otherwise, and the table would be full
     * within one. Without it the run is as good until then. */
    (void)write_file("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait", "1");
    return true;
}
