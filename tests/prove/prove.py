#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows in a few lines that weir works, without a network: `./run` calls this after the start.

A server of its own on loopback, a certificate authority of its own for that server, and a second
weir beside the one that ./run started, with the same certificate authority (--ca-dir) and the
default configuration but for what loopback needs: a server there may be reached
(connect.allow_private), on its port (connect.ports), and its authority is trusted
(upstream.trust_files). Then three requests through it, and what the access log says about them.
"""
import argparse
import http.client
import http.server
import json
import os
import queue
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

WAIT_S = 20
GREETING = b"hello from the server\n"


class Failed(Exception):
    pass


def openssl(*arguments, data=None):
    done = subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=False)
    if done.returncode != 0:
        raise Failed(f"openssl {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def make_server_certificate(folder):
    """A throw-away authority and a certificate for localhost; returns their paths."""
    path = {name: os.path.join(folder, name) for name in
            ("ca.key", "ca.pem", "key", "csr", "extensions", "pem")}
    for name in ("ca.key", "key"):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path[name])
    openssl("req", "-x509", "-new", "-key", path["ca.key"], "-out", path["ca.pem"], "-days", "2",
            "-subj", "/CN=authority of the demonstration")
    openssl("req", "-new", "-key", path["key"], "-out", path["csr"], "-subj", "/CN=localhost")
    with open(path["extensions"], "w", encoding="ascii") as out:
        out.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", path["csr"], "-CA", path["ca.pem"], "-CAkey", path["ca.key"],
            "-CAcreateserial", "-days", "2", "-extfile", path["extensions"], "-out", path["pem"])
    return path["ca.pem"], path["pem"], path["key"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together, and at once
    disable_nagle_algorithm = True

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(GREETING)))
        self.end_headers()
        self.wfile.write(GREETING)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """HTTP and HTTPS on one port: a TLS record begins with 0x16, which no method does."""

    def __init__(self, certificate, key):
        super().__init__(("127.0.0.1", 0), Handler)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)

    def finish_request(self, request, client_address):
        request.settimeout(WAIT_S)
        if request.recv(1, socket.MSG_PEEK) == b"\x16":
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, *_):
        pass  # the client's side of the same trouble is what gets reported


class Weir:
    """A weir on a port that the system picks; its access log is read from its standard output."""

    def __init__(self, program, folder, ca_dir, server_port, trust_file):
        config = os.path.join(folder, "weir.yaml")
        with open(config, "w", encoding="utf-8") as out:
            json.dump({  # JSON is YAML
                "listeners": [{"address": "127.0.0.1:0"}],
                "intercept": {"ca_dir": ca_dir},
                "connect": {"allow_private": True, "ports": [server_port]},
                "upstream": {"trust_files": [trust_file]},
                "log": {"access": {"path": "-"}},
            }, out, indent=2)
        self.process = subprocess.Popen([program, "run", "--config", config],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.records = queue.Queue()
        self.messages = []
        self.port = None
        self.ready = threading.Event()
        for target in (self._read_records, self._read_messages):
            threading.Thread(target=target, daemon=True).start()
        if not self.ready.wait(WAIT_S) or not self.port:
            raise Failed("weir did not start:\n" + "".join(self.messages))

    def _read_records(self):
        for line in self.process.stdout:
            self.records.put(json.loads(line))

    def _read_messages(self):
        for line in self.process.stderr:
            self.messages.append(line)
            if "listening" in line and "127.0.0.1:" in line:
                self.port = int(line.split("127.0.0.1:")[1].split()[0].strip(",;()"))
                self.ready.set()
        self.ready.set()

    def record(self, what, **wanted):
        """The next record with these values."""
        end = time.monotonic() + WAIT_S
        while True:
            try:
                record = self.records.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise Failed(f"no {what} in the access log") from None
            if all(record.get(name) == value for name, value in wanted.items()):
                return record

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


def fetch(connection, target, host):
    connection.request("GET", target, headers={"Host": host})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200 or body != GREETING:
        raise Failed(f"GET {target}: {answer.status}, {answer.getheader('Proxy-Status')}: "
                     f"{body[:300].decode(errors='replace')}")


def took(record, *names):
    phases = record.get("phases_us") or {}
    return ", ".join(f"{name.replace('_', ' ')} {phases[name] / 1000:.1f} ms"
                     for name in names if phases.get(name) is not None)


def describe_leaf(pem):
    text = openssl("x509", "-noout", "-subject", "-issuer", "-ext", "subjectAltName", data=pem)
    lines = [line.strip() for line in text.splitlines()]
    subject = next(line.partition("=")[2].strip() for line in lines if line.startswith("subject"))
    issuer = next(line.partition("=")[2].strip() for line in lines if line.startswith("issuer"))
    names = next((after for line, after in zip(lines, lines[1:])
                  if "Subject Alternative Name" in line), "none")
    return subject, names, issuer


def prove(weir, server_port):
    port = server_port
    plain = http.client.HTTPConnection("127.0.0.1", weir.port, timeout=WAIT_S)
    fetch(plain, f"http://localhost:{port}/", f"localhost:{port}")
    plain.close()
    record = weir.record("request", kind="request")
    print(f"  HTTP         GET http://localhost:{port}/ -> {record.get('status')}"
          f"  ({took(record, 'connect', 'total')})")

    tunnel = http.client.HTTPConnection("127.0.0.1", weir.port, timeout=WAIT_S)
    tunnel.set_tunnel("localhost", port)
    fetch(tunnel, "/", f"localhost:{port}")
    tunnel.close()
    record = weir.record("tunnel", kind="tunnel")
    sent = record.get("bytes") or {}
    print(f"  tunnel       CONNECT localhost:{port}, no TLS inside: {sent.get('up')} bytes up,"
          f" {sent.get('down')} down  ({took(record, 'connect', 'total')})")

    context = ssl.create_default_context(cafile=weir.ca)
    secure = http.client.HTTPSConnection("127.0.0.1", weir.port, timeout=WAIT_S, context=context)
    secure.set_tunnel("localhost", port)
    secure.connect()
    leaf = ssl.DER_cert_to_PEM_cert(secure.sock.getpeercert(binary_form=True)).encode()
    fetch(secure, "/", f"localhost:{port}")
    client_version = secure.sock.version()
    secure.close()
    record = weir.record("intercepted request", leaf="minted")
    server_version = (record.get("server_tls") or {}).get("version", "?")
    subject, names, issuer = describe_leaf(leaf)
    print(f"  intercepted  GET https://localhost:{port}/ -> 200"
          f"  ({took(record, 'connect', 'server_tls', 'mint', 'client_tls', 'total')})")
    print(f"               leaf {subject}; names {names}; issued by {issuer}")
    print(f"               client to weir {client_version}, weir to server {server_version}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", required=True, help="the program")
    parser.add_argument("--ca-dir", required=True, help="the folder of its certificate authority")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="weir-prove-")
    weir = server = None
    try:
        authority, certificate, key = make_server_certificate(folder)
        server = Server(certificate, key)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        weir = Weir(arguments.weir, folder, arguments.ca_dir, port, authority)
        weir.ca = os.path.join(arguments.ca_dir, "weir-ca-cert.pem")
        print("\nThree requests through a second weir, to a server of the demonstration's own:")
        prove(weir, port)
        code = weir.stop()
        if code != 0:
            raise Failed(f"the second weir ended with {code}")
        sys.stdout.flush()
    except (Failed, OSError, http.client.HTTPException, StopIteration) as error:
        print(f"prove: error: {error}", file=sys.stderr)
        if weir:
            print("".join(weir.messages[-10:]), file=sys.stderr, end="")
            weir.stop()
        sys.exit(1)
    finally:
        if server:
            server.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
