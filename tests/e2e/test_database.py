# SPDX-License-Identifier: Apache-2.0
"""The database that is built in: each capture it was made of is judged as what it was, and JA3 and
JA4 are what others compute from the same bytes: tshark (JA3), and the npm package
read-tls-client-hello (both), where NODE_PATH or WEIR_NODE_MODULES leads to it."""
import json
import os
import shutil
import subprocess

import captures
import harness
import tools_case

DATABASE = os.path.join(tools_case.harness.ROOT, "detect", "database")
NODE = """
const { readTlsClientHello, calculateJa3, calculateJa4 } = require('read-tls-client-hello');
const { PassThrough } = require('stream');
(async () => {
  for (const line of require('fs').readFileSync(0, 'utf8').trim().split('\\n')) {
    const stream = new PassThrough();
    stream.write(Buffer.from(line, 'hex'));
    const hello = await readTlsClientHello(stream);
    console.log(JSON.stringify({ja3: calculateJa3(hello), ja4: calculateJa4(hello)}));
  }
})();
"""


def read_metadata():
    with open(os.path.join(DATABASE, "metadata.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def wire(line):
    return captures.records(bytes.fromhex(line["client_hello"]))


class Database(tools_case.Case):
    @classmethod
    def prepare(cls):
        cls.lines = read_metadata()

    def test_is_clean(self):
        """No line of it is one that lint complains of."""
        code, out, err = self.weir_command("signatures", "lint", DATABASE)
        self.assertEqual(code, 0, out + err)
        self.assertNotRegex(out, "[1-9][0-9]* (error|warning)")

    def test_each_capture_is_genuine(self):
        """Every visit with a User-Agent, but those through products, is what its record says."""
        lines = [line for line in self.lines if line.get("raw_ua") and not line.get("product")]
        self.assertGreater(len(lines), 40)
        questions = [{"raw_ua": line["raw_ua"], "request_fingerprint": line["request_fingerprint"]}
                     for line in lines]
        for line, answer in zip(lines, self.answers(questions, ("detect", "--database", DATABASE))):
            self.assertEqual(answer["report"]["verdict"], "genuine", line["name"])

    def test_each_product_is_named(self):
        """Every visit through a product, whichever of the browsers it is said to be."""
        agents = {line["client"]: line["raw_ua"] for line in self.lines
                  if line["client"] in ("Chromium", "Firefox ESR") and line.get("raw_ua")}
        self.assertEqual(len(agents), 2)
        lines = [line for line in self.lines if line.get("product")]
        self.assertGreater(len(lines), 8)
        for agent in agents.values():
            questions = [{"raw_ua": agent, "request_fingerprint": line["request_fingerprint"]}
                         for line in lines]
            answers = self.answers(questions, ("detect", "--database", DATABASE))
            for line, answer in zip(lines, answers):
                self.assertEqual((answer["report"]["verdict"], answer["report"]["matched_mitm_name"]),
                                 ("intercepted", line["product"]), line["name"])

    def test_no_client_passes_for_another(self):
        """A client that says it is another one is found out, unless the two send the same hello."""
        one_each = {}
        for line in self.lines:
            if line.get("raw_ua") and not line.get("product"):
                one_each.setdefault(line["client"], line)
        questions, pairs = [], []
        for browser in ("Chromium", "Firefox ESR"):
            for client, line in one_each.items():
                if client != browser:
                    questions.append({"raw_ua": one_each[browser]["raw_ua"],
                                      "request_fingerprint": line["request_fingerprint"]})
                    pairs.append((client, browser))
        answers = self.answers(questions, ("detect", "--database", DATABASE))
        for pair, answer in zip(pairs, answers):
            self.assertEqual(answer["report"]["verdict"], "intercepted", pair)

    def test_recorded_fingerprints(self):
        """JA3 and JA4 in the metadata are those of the hello beside them."""
        answers = self.answers([{"client_hello": line["client_hello"]} for line in self.lines])
        for line, answer in zip(self.lines, answers):
            self.assertEqual((answer["ja3"], answer["ja4"]), (line["ja3"], line["ja4"]))

    def compare(self, others, names):
        self.assertEqual(len(others), len(self.lines))
        for line, other in zip(self.lines, others):
            for name in names:
                self.assertEqual(line[name], other[name], line["name"])

    def test_tshark(self):
        """JA3 as Wireshark computes it."""
        if not shutil.which("tshark"):
            self.skipTest("tshark is not installed")
        packets = []
        for number, line in enumerate(self.lines):
            packets += captures.connection(wire(line), ports=(40000 + number, 443))
        path = self.write("hellos.pcap", captures.pcap(packets))
        done = subprocess.run(["tshark", "-r", path, "-Y", "tls.handshake.type==1", "-T", "fields",
                               "-e", "tcp.srcport", "-e", "tls.handshake.ja3"],
                              capture_output=True, text=True, check=True, timeout=120)
        found = dict(row.split("\t") for row in done.stdout.splitlines())
        self.compare([{"ja3": found.get(str(40000 + number))}
                      for number in range(len(self.lines))], ("ja3",))

    def test_read_tls_client_hello(self):
        """JA3 and JA4 as that package computes them."""
        modules = os.environ.get("WEIR_NODE_MODULES") or os.environ.get("NODE_PATH") or ""
        if not shutil.which("node") or not os.path.isdir(
                os.path.join(modules, "read-tls-client-hello")):
            self.skipTest("read-tls-client-hello is not installed")
        done = subprocess.run(["node", "-e", NODE], capture_output=True, text=True, check=True,
                              env=dict(os.environ, NODE_PATH=modules), timeout=120,
                              input="\n".join(wire(line).hex() for line in self.lines))
        self.compare([json.loads(row) for row in done.stdout.splitlines()], ("ja3", "ja4"))


if __name__ == "__main__":
    harness.main()
