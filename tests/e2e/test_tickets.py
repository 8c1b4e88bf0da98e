# SPDX-License-Identifier: Apache-2.0
"""Ticket keys from a file: clients resume at another weir, after a reload and after a rotation of the
keys, and never at another host."""
import base64
import os
import signal
import ssl

import harness
from harness import program, run, wait_for
import origins

VERSIONS = ("tls1_2", "tls1_3")


def new_key():
    return base64.b64encode(os.urandom(80)).decode()


@program("openssl", "openssl")
class TicketsCase(harness.WeirCase):
    START_WEIR = False

    @classmethod
    def prepare(cls):
        cls.server = origins.HttpOrigin(origins.server_context(cls.certificate))
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.folder, self.id().rpartition(".")[2])
        self.keys = [new_key() for _ in range(3)]
        self.write_keys()

    def write_keys(self, path=None):
        path = path or self.path
        with open(path + ".new", "w", encoding="ascii") as out:
            out.write("# previous, current, next\n" + "\n".join(self.keys) + "\n")
        os.replace(path + ".new", path)

    def start(self, name, path=None, ca_of=None):
        """A weir that is stopped at the end of the test."""
        config = {"tls": {"ticket_keys": path}} if path else {}
        if ca_of:
            config["intercept"] = {"ca_dir": ca_of.ca_dir}
        weir = self.new_weir(f"{self.id().rpartition('.')[2]}-{name}", config)
        if ca_of:
            weir.ca = ca_of.ca
        self.addCleanup(weir.kill)
        weir.start()
        self.addCleanup(weir.stop)
        return weir

    def visit(self, weir, version, ticket=None, keep=None, host="www.origin.test", name=None):
        """One request with openssl through `weir`: was the session of `ticket` resumed? The one
        that it brings is written to `keep`."""
        command = ["openssl", "s_client", "-proxy", f"127.0.0.1:{weir.port}", "-connect",
                   f"{host}:{self.server.port}", "-servername", name or host, "-CAfile", weir.ca,
                   "-verify_return_error", "-ign_eof", f"-{version}"]
        command += ["-sess_in", self.session(ticket)] if ticket else []
        command += ["-sess_out", self.session(keep)] if keep else []
        request = os.path.join(self.folder, "request")
        with open(request, "w", encoding="ascii", newline="") as out:
            out.write(f"GET /bytes/1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
        count = len(weir.records())
        with open(request, "rb") as stdin:
            done = run(["sh", "-c", 'exec "$@" <"$0"', stdin.name, *command])
        text = done.stdout.decode("latin-1")
        self.assertIn("HTTP/1.1 200", text, done.stderr)
        resumed = "\nReused, TLS" in text
        self.assertEqual("\nNew, TLS" in text, not resumed, text)
        record = wait_for("its line", lambda: next(
            (r for r in weir.records()[count:] if r.kind == "tunnel"), None))
        self.assertEqual(record.client_resumed, resumed)
        return resumed

    def session(self, name):
        return f"{self.path}-{name}"

    def told(self, weir, text, count):
        wait_for(text, lambda: weir.stderr().count(text) >= count)


class Tickets(TicketsCase):
    def test_another_weir(self):
        """With the same authority and the same file a client resumes at another weir; with another
        authority, or another file, it does not."""
        one = self.start("one", self.path)
        two = self.start("two", self.path, ca_of=one)
        other_path = self.path + "-other"
        self.keys = [new_key() for _ in range(3)]
        self.write_keys(other_path)
        other_keys = self.start("keys", other_path, ca_of=one)
        other_authority = self.start("authority", self.path)
        for version in VERSIONS:
            with self.subTest(version=version):
                self.assertFalse(self.visit(one, version, keep=version))
                self.assertTrue(self.visit(one, version, ticket=version))
                self.assertTrue(self.visit(two, version, ticket=version))
                self.assertFalse(self.visit(other_keys, version, ticket=version))
                self.assertFalse(self.visit(other_authority, version, ticket=version))

    def test_other_hosts(self):
        """A ticket of one host opens no session of another, here or elsewhere, by whichever of
        target and server name the other is asked for."""
        one = self.start("one", self.path)
        two = self.start("two", self.path, ca_of=one)
        for version in VERSIONS:
            self.visit(one, version, keep=version)
            for weir in (one, two):
                with self.subTest(version=version, weir=weir.folder):
                    self.assertFalse(self.visit(weir, version, ticket=version,
                                                host="mail.origin.test"))
                    self.assertFalse(self.visit(weir, version, ticket=version,
                                                name="mail.origin.test"))
                    self.assertTrue(self.visit(weir, version, ticket=version))

    def test_reload(self):
        """With a file a session outlives a reload; without one it does not."""
        one = self.start("one", self.path)
        none = self.start("none")
        for version in VERSIONS:
            self.visit(one, version, keep=version)
            self.visit(none, version, keep=version + "-none")
            self.assertTrue(self.visit(none, version, ticket=version + "-none"))
        for weir in (one, none):
            weir.signal(signal.SIGHUP)
            self.told(weir, "configuration reloaded", 1)
        for version in VERSIONS:
            self.assertTrue(self.visit(one, version, ticket=version))
            self.assertFalse(self.visit(none, version, ticket=version + "-none"))

    def test_rotation(self):
        """After one rotation old tickets resume and are renewed; after two they do not, and the
        renewed ones do."""
        one = self.start("one", self.path)
        self.visit(one, "tls1_3", keep="old")
        old, resumed = self.visit_12(one)
        self.assertFalse(resumed)
        self.rotate(one, 1)
        self.assertTrue(self.visit(one, "tls1_3", ticket="old", keep="renewed"))
        renewed, resumed = self.visit_12(one, old)
        self.assertTrue(resumed)
        self.rotate(one, 2)
        self.assertFalse(self.visit(one, "tls1_3", ticket="old"))
        self.assertTrue(self.visit(one, "tls1_3", ticket="renewed"))
        self.assertFalse(self.visit_12(one, old)[1])
        self.assertTrue(self.visit_12(one, renewed)[1])

    def visit_12(self, weir, session=None):
        """With Python's TLS 1.2, since openssl s_client does not write a renewed ticket of that.
        Returns the session and whether it was resumed."""
        if not hasattr(self, "context"):
            self.context = harness.client_context(weir.ca, maximum=ssl.TLSVersion.TLSv1_2)
        sock = self.tunnel(f"www.origin.test:{self.server.port}", weir)
        tls = self.context.wrap_socket(sock, server_hostname="www.origin.test", session=session)
        self.assertEqual(self.get(tls, "/bytes/1").status, 200)
        session, resumed = tls.session, tls.session_reused
        tls.close()
        return session, resumed

    def rotate(self, weir, count):
        self.keys = [*self.keys[1:], new_key()]
        self.write_keys()
        self.told(weir, "new ticket keys", count)

    def test_one_ahead(self):
        """While weirs change their keys one after the other, each opens the tickets of the others."""
        slow_path = self.path + "-behind"
        self.write_keys(slow_path)
        fast = self.start("fast", self.path)
        slow = self.start("slow", slow_path, ca_of=fast)
        self.rotate(fast, 1)
        for version in VERSIONS:
            self.visit(fast, version, keep=version + "-fast")
            self.visit(slow, version, keep=version + "-slow")
            self.assertTrue(self.visit(slow, version, ticket=version + "-fast"))
            self.assertTrue(self.visit(fast, version, ticket=version + "-slow"))

    def test_broken_file(self):
        """A wrong file is told with the line, keeps weir from starting, a reload from happening, and
        running ones their keys."""
        one = self.start("one", self.path)
        self.visit(one, "tls1_3", keep="before")
        good = list(self.keys)
        for number, (keys, text) in enumerate((
                ([good[0], "nonsense", good[2]], f"{self.path}:3: error: no key"),
                (good[:2], f"{self.path}: 2 keys: expected three"),
                ([*good, new_key()], f"{self.path}:5: error: a fourth key"),
                ([good[0], good[1], good[0]], f"{self.path}:4: error: a key with the name"),
                ([good[0], good[1], good[2][:-4]], f"{self.path}:4: error: no key")), 1):
            with self.subTest(text=text):
                self.keys = keys
                self.write_keys()
                self.told(one, text, 1)
                one.signal(signal.SIGHUP)
                self.told(one, "reload failed", number)
                two = self.new_weir(f"broken-{number}", {"tls": {"ticket_keys": self.path}})
                two.write_config()
                two.launch()
                self.addCleanup(two.kill)
                self.assertEqual(two.process.wait(harness.WAIT_S), harness.EXIT_CONFIG)
                self.assertIn(text, two.stderr())
                self.assertIn("openssl rand -base64 80", two.stderr())
        os.unlink(self.path)
        self.told(one, "cannot be read", 1)
        for key in good:
            self.assertNotIn(key, one.stderr())
        self.assertTrue(self.visit(one, "tls1_3", ticket="before"))


if __name__ == "__main__":
    harness.main()
