# SPDX-License-Identifier: Apache-2.0
"""Small internets in network namespaces, each host alone in one of them: `Routed`, where a gateway
forwards, and `Balanced`, with a balancer before two weirs. Nothing outside of these namespaces is
changed, and they are gone when the network is closed; processes in them belong to whoever started
them."""
import ctypes
import os
import shutil
import subprocess
import threading
import unittest

import harness

CLONE_NEWNET = 0x40000000  # linux/sched.h


def end(link, host):
    """The addresses of one end of a link, by family."""
    return {4: f"10.77.{link}.{host}", 6: f"fd77:{link}::{host}"}


CLIENT, GATEWAY = end(1, 2), end(1, 1)
GATEWAY_OUT, SERVER = end(2, 1), end(2, 2)
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
    """What all of them can do. Each of HOSTS is an attribute: its namespace's name."""

    HOSTS = ()
    PROGRAMS = (("ip", "iproute2"),)  # and the packages they are in

    def __init__(self):
        self.names = [f"weir-{os.getpid()}-{host}" for host in self.HOSTS]
        vars(self).update(zip(self.HOSTS, self.names))
        try:
            for name in self.names:
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        """The links between the namespaces, which are there."""
        raise NotImplementedError

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

    def close(self):
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


class Routed(Network):
    """client 10.77.1.2, fd77:1::2  --cl0--  10.77.1.1, fd77:1::1 gateway
                                 gateway 10.77.2.1, fd77:2::1  --sv0--  10.77.2.2, fd77:2::2 server

    The gateway forwards."""

    HOSTS = ("client", "gateway", "server")
    PROGRAMS = (*Network.PROGRAMS, ("nft", "nftables"))

    def _build(self):
        self._join(self.client, "eth0", CLIENT, self.gateway, CLIENT_INTERFACE, GATEWAY)
        self._join(self.server, "eth0", SERVER, self.gateway, "sv0", GATEWAY_OUT)
        for family in (4, 6):
            ip("-n", self.client, f"-{family}", "route", "add", "default", "via", GATEWAY[family])
            ip("-n", self.server, f"-{family}", "route", "add", "default", "via",
               GATEWAY_OUT[family])
        for key in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.check(self.gateway, "sh", "-c", f"echo 1 > /proc/sys/net/{key}")
        self.check(self.gateway, "nft", "list", "ruleset")

    def state(self):
        """Everything that weir transparent may change on the gateway, as text."""
        commands = [["nft", "list", "ruleset"]]
        for family in ("-4", "-6"):
            commands += [["ip", family, "rule"], ["ip", family, "route", "show", "table", "all"]]
        return "".join(f"# {' '.join(command)}\n{self.check(self.gateway, *command)}"
                       for command in commands)


class Balanced(Network):
    """client .1.2  --  .1.1 balancer .3.1  --  .3.2 weir0 .5.1  --  .5.2 server
                                  .4.1  --  .4.2 weir1 .6.1  --  .6.2

    All in 10.77 and, likewise, fd77. Nobody forwards: neighbours alone can reach each other."""

    HOSTS = ("client", "balancer", "weir0", "weir1", "server")
    LINKS = ((1, "balancer", "client"), (3, "balancer", "weir0"), (4, "balancer", "weir1"),
             (5, "weir0", "server"), (6, "weir1", "server"))

    def _build(self):
        for link, one, other in self.LINKS:
            self._join(getattr(self, one), f"link{link}", end(link, 1),
                       getattr(self, other), f"link{link}", end(link, 2))


class Weir(harness.Weir):
    """weir in a namespace. Nobody else takes ports there, so `config` names its listeners itself;
    `port` is that of the one that comes up last."""

    def __init__(self, namespace, folder, config, port):
        super().__init__(folder, config)
        self.prefix = Network.inside(namespace)
        self.port = port

    def start(self):
        self.write_config()
        self.launch()
        if not self._came_up():
            raise AssertionError("weir did not start:\n" + self.stderr())
        return self


def network(kind=Routed):
    """A network of that kind, or SkipTest with what it lacks."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("network namespaces need root")
    for program, package in kind.PROGRAMS:
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            raise unittest.SkipTest(f"{program} is absent: install {package}")
    try:
        return kind()
    except Unavailable as error:
        raise unittest.SkipTest(f"this kernel or container has no network namespaces: {error}") \
            from error
