# SPDX-License-Identifier: Apache-2.0
"""A small internet in network namespaces: a client, a gateway and a server, each of them alone.

    client 10.77.1.2, fd77:1::2  --cl0--  gateway 10.77.1.1, fd77:1::1
                                          gateway 10.77.2.1, fd77:2::1  --sv0--  server 10.77.2.2, fd77:2::2

The gateway forwards. Nothing outside of these namespaces is changed, and they are gone when the
Network is closed; processes in them belong to whoever started them."""
import ctypes
import os
import shutil
import subprocess
import threading
import unittest

CLONE_NEWNET = 0x40000000  # linux/sched.h

CLIENT = {4: "10.77.1.2", 6: "fd77:1::2"}
GATEWAY = {4: "10.77.1.1", 6: "fd77:1::1"}  # the side of the client
GATEWAY_OUT = {4: "10.77.2.1", 6: "fd77:2::1"}  # the side of the server
SERVER = {4: "10.77.2.2", 6: "fd77:2::2"}
CLIENT_INTERFACE = "cl0"  # the gateway's


class Unavailable(Exception):
    """What is missing, as a sentence."""


def ip(*arguments):
    done = subprocess.run(["ip", *arguments], capture_output=True, check=False, text=True)
    if done.returncode != 0:
        raise Unavailable(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def bracketed(address):
    return f"[{address}]" if ":" in address else address


class Network:
    NAMES = ("client", "gateway", "server")

    def __init__(self):
        self.client, self.gateway, self.server = self.names = [
            f"weir-{os.getpid()}-{name}" for name in self.NAMES]
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        for name in self.names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        self._join(self.client, "eth0", CLIENT, self.gateway, CLIENT_INTERFACE, GATEWAY)
        self._join(self.server, "eth0", SERVER, self.gateway, "sv0", GATEWAY_OUT)
        for family in (4, 6):
            ip("-n", self.client, f"-{family}", "route", "add", "default", "via", GATEWAY[family])
            ip("-n", self.server, f"-{family}", "route", "add", "default", "via",
               GATEWAY_OUT[family])
        for key in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.check(self.gateway, "sh", "-c", f"echo 1 > /proc/sys/net/{key}")
        self.check(self.gateway, "nft", "list", "ruleset")

    @staticmethod
    def _join(one, one_name, one_addresses, other, other_name, other_addresses):
        ip("link", "add", one_name, "netns", one, "type", "veth",
           "peer", "name", other_name, "netns", other)
        for namespace, name, addresses in ((one, one_name, one_addresses),
                                           (other, other_name, other_addresses)):
            # The kernel would add the address of the link by itself, but at some time later.
            ip("-n", namespace, "link", "set", name, "addrgenmode", "none")
            ip("-n", namespace, "address", "add", addresses[4] + "/24", "dev", name)
            # Nobody else has them: they need not be asked for first.
            for address in (addresses[6], f"fe80::{addresses[6].rpartition(':')[2]}"):
                ip("-n", namespace, "address", "add", address + "/64", "dev", name, "nodad")
            ip("-n", namespace, "link", "set", name, "up")

    @staticmethod
    def inside(namespace):
        """What a command begins with that runs there."""
        return ["ip", "netns", "exec", namespace]

    def check(self, namespace, *command):
        """What a command there prints. Unavailable, if it fails."""
        done = subprocess.run([*self.inside(namespace), *command], capture_output=True, check=False,
                              text=True)
        if done.returncode != 0:
            raise Unavailable(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    @staticmethod
    def call(namespace, function, *arguments, **more):
        """function(...) on a thread that is in that namespace: sockets that it makes belong there,
        and may be used anywhere."""
        result = {}

        def enter():
            libc = ctypes.CDLL(None, use_errno=True)
            try:
                with open(f"/run/netns/{namespace}", "rb") as door:
                    if libc.setns(door.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                result["value"] = function(*arguments, **more)
            except BaseException as error:  # pylint: disable=broad-except
                result["error"] = error

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if "error" in result:
            raise result["error"]
        return result["value"]

    def state(self):
        """Everything that weir transparent may change on the gateway, as text."""
        commands = [["nft", "list", "ruleset"]]
        for family in ("-4", "-6"):
            commands += [["ip", family, "rule"], ["ip", family, "route", "show", "table", "all"]]
        return "".join(f"# {' '.join(command)}\n{self.check(self.gateway, *command)}"
                       for command in commands)

    def close(self):
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def network():
    """A Network, or SkipTest with what it lacks."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("network namespaces need root")
    for program, package in (("ip", "iproute2"), ("nft", "nftables")):
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            raise unittest.SkipTest(f"{program} is absent: install {package}")
    try:
        return Network()
    except Unavailable as error:
        raise unittest.SkipTest(f"this kernel or container has no network namespaces: {error}") \
            from error
