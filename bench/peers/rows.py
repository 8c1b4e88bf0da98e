# SPDX-License-Identifier: Apache-2.0
"""What is measured, and what must hold of it: the rows of the table."""
from peers import HTTP, MINT, OPEN, TUNNEL


class Bound:
    """weir's median is at most `limit` times the median of `peers`: of the best of them, or of
    each. Without peers the limit is in the unit itself."""

    def __init__(self, limit, *peers, best=False):
        self.limit, self.peers, self.best = limit, peers, best


class Measure:
    """A figure of `weir bench run --json`; less is better."""

    def __init__(self, figure, unit, bounds, digits=1):
        self.figure, self.unit, self.bounds, self.digits = figure, unit, bounds, digits


class Row:
    """One piece of work, made through each of the peers in every round. `host` is what the client
    asks for. `rate_of`: not as fast as it goes, but at half of what this peer does then. `is_kept`:
    over kept connections, of which a busy worker has many. `closes`: who ends one that is not
    kept; for the origin the client says "Connection: close". `polls`: proxies look for work before
    they sleep."""

    def __init__(self, name, title, way, mode, profile, peers, measures, *, host="127.0.0.1",
                 closes="client", rate_of=None, polls=False, has_logs=True):
        self.name, self.title, self.way = name, title, way
        self.mode, self.profile, self.host, self.closes = mode, profile, host, closes
        self.is_kept = profile == "small"
        self.peers, self.measures = peers, measures
        self.rate_of, self.polls, self.has_logs = rate_of, polls, has_logs


def cpu(*bounds):
    """CPU time of the proxy's processes for a request."""
    return [Measure("cpu_us", "us a request", bounds)]


def gib(*bounds):
    return [Measure("gib_cpu_ms", "ms a GiB", bounds, 0)]


# Nobody has to look the address up where one is enough. A certificate needs a name.
NAME = "localhost"


def open_new(name, title, closes):
    return Row(name, title, OPEN, "intercept", "new",
               ["weir", "haproxy", "haproxy-own", "nginx", "squid", "squid-early", "sslsplit"],
               cpu(Bound(0.80, "haproxy", "nginx", best=True), Bound(0.15, "squid", "sslsplit")),
               host=NAME, closes=closes)


def latency(name, title, way, mode, polls=False, **more):
    return Row(name, f"latency added, {title}, half load", way, mode, "small",
               ["weir", "haproxy"],
               [Measure("added_p50_us", "us added, p50", [Bound(60)]),
                Measure("added_p99_us", "us added, p99", [Bound(0.60, "haproxy")]),
                # Where pauses of the machine's own are 1 % of the time, they make the one above.
                Measure("added_p99_of_200_us", "us added, p99 of 200", [])],
               rate_of="haproxy", polls=polls, has_logs=False, **more)


KEPT = 64  # connections

# Rows of latencies have so many times as many rounds, and short ones. Latencies are those of a
# moment, and of one in which somebody else had a core that was needed they are of that: such a
# trial is made again, and in a short one there is less of that.
RATED_TIMES, RATED_SECONDS, RATED_WARM_UP_MS, RATED_TRIES = 8, 0.3, 200, 8

ROWS = {row.name: row for row in (
    Row("http-kept", "explicit HTTP, kept connections, 1 KiB", HTTP, "forward", "small",
        ["weir", "haproxy", "nginx", "squid", "tinyproxy", "mitmproxy"],
        cpu(Bound(0.80, "haproxy", "nginx", best=True), Bound(0.25, "squid"))),
    Row("tunnel-bulk", "tunnel, bulk down", TUNNEL, "connect", "down",
        ["weir", "haproxy", "squid", "tinyproxy"],
        gib(Bound(1.00, "haproxy"), Bound(0.40, "squid", "tinyproxy"))),
    # Ended by the client, these were more than a proxy has ports for towards one origin.
    Row("tunnel-new", "tunnel, new connection and one request", TUNNEL, "connect", "new",
        ["weir", "haproxy", "squid", "tinyproxy"],
        cpu(Bound(1.00, "haproxy"), Bound(0.50, "squid")), closes="origin"),
    Row("open-kept", "intercepted, kept connections, 1 KiB", OPEN, "intercept", "small",
        ["weir", "haproxy", "nginx", "squid", "sslsplit", "mitmproxy"],
        cpu(Bound(0.80, "haproxy", "nginx", best=True), Bound(0.03, "mitmproxy")), host=NAME),
    open_new("open-new", "intercepted, new connection, known host", "client"),
    open_new("open-new-close", "intercepted, new connection, Connection: close", "origin"),
    Row("open-hosts", "intercepted, new host each: minted and verified", MINT, "intercept", "hosts",
        ["weir", "haproxy", "squid", "squid-early", "sslsplit"],
        cpu(Bound(0.40, "haproxy"), Bound(0.25, "squid", "sslsplit")), host="bench.test"),
    Row("open-bulk", "intercepted, bulk down", OPEN, "intercept", "down",
        ["weir", "haproxy", "nginx", "squid", "sslsplit"],
        gib(Bound(0.80, "haproxy", "nginx")), host=NAME),
    Row("idle", "idle tunnels: memory of the proxy's processes", TUNNEL, "connect", "idle",
        ["weir", "haproxy", "squid", "tinyproxy"],
        [Measure("idle_bytes", "bytes each", [Bound(1024)], 0)], has_logs=False),
    latency("http-latency", "explicit HTTP", HTTP, "forward"),
    latency("http-latency-poll", "explicit HTTP, busy polling", HTTP, "forward", polls=True),
    latency("open-latency", "intercepted", OPEN, "intercept", host=NAME),
    latency("open-latency-poll", "intercepted, busy polling", OPEN, "intercept", polls=True,
            host=NAME),
)}

# With --logs: what its log may cost weir in this row, against itself without one.
QUIET = "weir, no log"
LOG_ROW, LOG_LIMIT = "http-kept", 1.10
