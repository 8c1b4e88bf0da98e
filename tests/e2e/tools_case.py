# SPDX-License-Identifier: Apache-2.0
"""What the tests of the commands that answer questions share.

Reference results lie outside the project, in WEIR_SHARED_DATA or ../shared/data from the source root;
where they are not, the tests that compare with them are skipped."""
import json
import os
import signal
import subprocess
import unittest

import harness


def shared_data():
    for folder in (os.environ.get("WEIR_SHARED_DATA"),
                   os.path.join(harness.ROOT, "..", "shared", "data"),
                   os.path.join(harness.ROOT, "..", "..", "shared", "data")):
        if folder and os.path.isdir(folder):
            return folder
    return None


def golden(name):
    path = os.path.join(shared_data() or "", name)
    if not os.path.exists(path):
        raise unittest.SkipTest(f"no {name}: set WEIR_SHARED_DATA")
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Case(harness.WeirCase):
    START_WEIR = False

    def weir_command(self, *arguments, given=b""):
        done = subprocess.run([harness.BINARY, *arguments], input=given, timeout=120,
                              cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False)
        self.assertIsNone(harness.COMPLAINTS.search(done.stderr.decode()), done.stderr.decode())
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def listening(self, name, words):
        """The command `name` that listens on loopback and says so, and its port."""
        weir = subprocess.Popen(words, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, cwd=self.folder)
        self.addCleanup(self.stop_listening, weir)
        line = weir.stderr.readline().decode()
        self.assertRegex(line, rf"^weir {name}: listening on (127\.0\.0\.1|\[::1\]):\d+\n")
        return weir, int(line.rsplit(":", 1)[1])

    @staticmethod
    def stop_listening(weir):
        if weir.poll() is None:
            weir.send_signal(signal.SIGTERM)
        weir.communicate(timeout=harness.WAIT_S)

    def fingerprint(self, *arguments, given=b""):
        return self.weir_command("fingerprint", *arguments, given=given)

    def answers(self, lines, command=("fingerprint",)):
        """What is answered to these objects, or raw lines, one each."""
        given = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
                         for line in lines)
        code, out, err = self.weir_command(*command, "--json", "-", given=given)
        self.assertEqual((code, err), (0, ""))
        return [json.loads(line) for line in out.splitlines()]

    def write(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as out:
            out.write(data)
        return path

    def hellos(self, data, code=0, name="some.pcap"):
        """The hellos of a capture, and what was said about it."""
        got, out, err = self.fingerprint("--json", self.write(name, data))
        self.assertEqual(got, code, out + err)
        return [json.loads(line) for line in out.splitlines()], err
