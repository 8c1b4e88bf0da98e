# SPDX-License-Identifier: Apache-2.0
"""The proxies that are compared: how each is started, what it is asked for and how, and what it
does not do. How each is configured is in the file of its name beside this one."""
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))

# Ways through a proxy.
HTTP, TUNNEL, OPEN, MINT = "http", "tunnel", "open", "mint"


class Peer:
    """`ways` says for each way that the proxy has which port of its template it is; `fixed` are
    those where it is asked as the origin is. One that ends a connection behind each request without
    a word of it is asked over a new one each time, else its clients would see errors: not `keeps`.
    `user` is what it becomes when it is started as root; its folder is then that one's."""

    def __init__(self, name, title, package, template, command, ways, *, fixed=(), keeps=True,
                 version=(), prepare=None, user=None, environment=None, file=None, note=""):
        self.name, self.title, self.package = name, title, package
        self.template, self.command, self.ways = template, command, ways
        self.fixed, self.keeps, self.version = fixed, keeps, version
        self.prepare, self.user, self.environment = prepare, user, environment or {}
        self.file = file or template  # what the configuration is called in its folder
        self.note = note

    @property
    def program(self):
        return self.command[0]


# What all have in their environment, weir apart, which does not use OpenSSL.
ENVIRONMENT = {"OPENSSL_CONF": os.path.join(HERE, "openssl.cnf")}

# In commands and environments as in templates, @NAME@ is filled in; @CONFIG@ is the file.
PEERS = {peer.name: peer for peer in (
    Peer("weir", "weir", None, "weir.yaml", ["@WEIR@", "run", "--config", "@CONFIG@"],
         {HTTP: "HTTP_PORT", TUNNEL: "HTTP_PORT", OPEN: "HTTP_PORT", MINT: "HTTP_PORT"},
         version=["@WEIR@", "version"],
         note="reads CONNECT, looks names up and judges each ClientHello; a connection to the "
              "server is taken over by the next client of the same host, but where the client "
              "said Connection: close, which goes on to the server"),
    Peer("haproxy", "HAProxy", "haproxy", "haproxy.cfg", ["haproxy", "-db", "-f", "@CONFIG@"],
         {HTTP: "HTTP_PORT", TUNNEL: "TUNNEL_PORT", OPEN: "TLS_PORT", MINT: "MINT_PORT"},
         fixed=(HTTP, TUNNEL, OPEN, MINT), version=["haproxy", "-v"],
         note="has no CONNECT to read and one origin, with a fixed certificate but for new hosts; "
              "for those the leaf is made from the name alone, before the server was seen; "
              "connections to the origin are shared by all clients"),
    # The same program and configuration, asked at another port.
    Peer("haproxy-own", "HAProxy, own", "haproxy", "haproxy.cfg",
         ["haproxy", "-db", "-f", "@CONFIG@"], {OPEN: "OWN_PORT"}, fixed=(OPEN,),
         version=["haproxy", "-v"],
         note="opens a connection to the origin for each client's; no bound is about it"),
    Peer("nginx", "nginx", "nginx-light", "nginx.conf",
         ["nginx", "-p", "@FOLDER@", "-e", "@FOLDER@/nginx-error.log", "-c", "@CONFIG@"],
         {HTTP: "HTTP_PORT", OPEN: "TLS_PORT"}, fixed=(HTTP, OPEN), version=["nginx", "-v"],
         note="has one origin and a fixed certificate; connections to the origin are shared by all "
              "clients; neither CONNECT nor minting"),
    Peer("squid", "squid", "squid-openssl", "squid.conf", ["squid", "-N", "-f", "@CONFIG@"],
         {HTTP: "HTTP_PORT", TUNNEL: "HTTP_PORT", OPEN: "BUMP_PORT", MINT: "BUMP_PORT"},
         version=["squid", "-v"],
         prepare=["/usr/lib/squid/security_file_certgen", "-c", "-s", "@FOLDER@/leaves", "-M",
                  "64MB"], user="proxy",
         note="does all that is asked; knows all names from a file and asks no DNS server"),
    # The same program and configuration, asked at another port.
    Peer("squid-early", "squid, early", "squid-openssl", "squid.conf",
         ["squid", "-N", "-f", "@CONFIG@"], {OPEN: "EARLY_PORT", MINT: "EARLY_PORT"},
         version=["squid", "-v"],
         prepare=["/usr/lib/squid/security_file_certgen", "-c", "-s", "@FOLDER@/leaves", "-M",
                  "64MB"], user="proxy",
         note="answers clients with a certificate before it has seen the server, and shares "
              "connections to the origin among them; no bound is about it"),
    Peer("tinyproxy", "tinyproxy", "tinyproxy-bin", "tinyproxy.conf",
         ["tinyproxy", "-d", "-c", "@CONFIG@"], {HTTP: "HTTP_PORT", TUNNEL: "HTTP_PORT"},
         keeps=False, version=["tinyproxy", "-v"],
         note="keeps no connection, on neither side: its client opens one for each request, also "
              "where the others keep them; opens no TLS"),
    Peer("sslsplit", "sslsplit", "sslsplit", "sslsplit.conf", ["sslsplit", "-f", "@CONFIG@"],
         {OPEN: "TLS_PORT", MINT: "TLS_PORT"}, fixed=(OPEN, MINT), version=["sslsplit", "-V"],
         environment={"SSL_CERT_FILE": "@ORIGIN_CA@"},
         note="has no CONNECT to read and one origin; verifies the server's chain but not its "
              "name; passes bytes on without reading HTTP; has P-256 alone, which costs each handshake "
              "another ClientHello"),
    Peer("mitmproxy", "mitmproxy", "mitmproxy", "mitmproxy.yaml",
         ["mitmdump", "--set", "confdir=@FOLDER@"], {HTTP: "HTTP_PORT", OPEN: "HTTP_PORT"},
         version=["mitmdump", "--version"], file="config.yaml", prepare=[
             "cp", "@CA@", "@FOLDER@/mitmproxy-ca.pem"],
         note="does all that is asked, in Python"),
)}


class TemplateFault(Exception):
    """A template that cannot be filled in: which line, and what is wrong."""


MARKS = ("logs", "quiet", "polls")


def fill(text, values, marks=(), where="template"):
    """The text with each @NAME@ replaced; of lines behind one of MARKS only those of `marks`."""
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            lines.append(line)
            continue
        found = {mark for mark in MARKS if f"@{mark}@" in line}
        if found - set(marks):
            continue
        for mark in found:
            line = line.replace(f"@{mark}@", "")

        def value_of(match):
            if match[1] not in values:
                raise TemplateFault(f"{where}:{number}: nothing is called {match[0]}; there are "
                                    + ", ".join(sorted(values)))
            return str(values[match[1]])
        lines.append(re.sub(r"@([A-Z_]+)@", value_of, line))
    return "\n".join(lines) + "\n"


def read_template(peer):
    with open(os.path.join(HERE, peer.template), encoding="utf-8") as file:
        return file.read()


def port_names(text):
    """Which ports of its own a template has: each gets one that is free."""
    return sorted(set(re.findall(r"@([A-Z]+_PORT)@", text)))
