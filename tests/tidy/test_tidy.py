#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tidy's rules against a small tree that breaks each of them, and one that breaks none."""
import argparse
import os
import shutil
import sys
import tempfile
import unittest

import tidy

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"


class Tidy(unittest.TestCase):
    def faults(self, check, files, **more):
        """(path, line) of the faults that a check finds in a tree of these files."""
        root = tempfile.mkdtemp(prefix="weir-tidy-")
        self.addCleanup(shutil.rmtree, root)
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)) or root, exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as out:
                out.write(text)
        arguments = argparse.Namespace(compiler="gcc", build=root, **more)
        return sorted((path, line) for path, line, _ in tidy.CHECKS[check](root, arguments))

    def test_arrows(self):
        """Each forbidden arrow is found, each allowed one is not."""
        self.assertEqual(self.faults("arrows", {
            "core/base/a.h": '#include "tls/b.h"\n',
            "core/engine/uring_abi.h": "#include <liburing.h>\n",
            "core/engine/ring.c": '#include "core/engine/ring_private.h"\n',
            "core/engine/timer.c": '#include "core/engine/ring_private.h"\n',
            "core/engine/conn.c": '#include <liburing.h>\n#include "core/session/s.h"\n',
            "core/fetch/main.c": '#include <curl/curl.h>\n#include "core/options.h"\n'
                                 '#include "tls/a.h"\n',
            "core/tools/fetch.c": "#include <curl/curl.h>\n",
            "core/session/s.c": '#include "core/engine/conn.h"\n#include "tls/engine.h"\n'
                                '#include "tls/leaf_private.h"\n',
            "tls/leaf.c": '#include "tls/leaf_private.h"\n',
            "core/config/config_yaml.c": "#include <yaml.h>\n#include <stdio.h>\n",
            "core/config/config.c": "#include <yaml.h>\n",
            "tls/a.c": '#include "http/h1.h"\n#include <openssl/ssl.h>\n#include "a.h"\n',
            "http/a.c": "#include <openssl/ssl.h>\n",
            "detect/a.c": '#include "tls/client_hello.h"\n#include "tls/engine.h"\n',
            "tests/unit/tls/test_a.c": '#include <openssl/ssl.h>\n#include "core/base/a.h"\n',
        }), [("core/base/a.h", 1), ("core/config/config.c", 1), ("core/engine/conn.c", 1),
             ("core/engine/conn.c", 2), ("core/engine/timer.c", 1), ("core/fetch/main.c", 3),
             ("core/session/s.c", 3), ("core/tools/fetch.c", 1),
             ("detect/a.c", 2), ("http/a.c", 1), ("tls/a.c", 1),
             ("tls/a.c", 3)])

    @unittest.skipUnless(shutil.which("gcc"), "gcc is absent: install gcc")
    def test_headers(self):
        """A header that needs another one first, and one without a guard, are found."""
        self.assertEqual(self.faults("headers", {
            "compile_commands.json": "[]",
            "core/base/good.h": "#ifndef G\n#define G\n#include <stddef.h>\nsize_t f(void);\n#endif\n",
            "core/base/needs.h": "#ifndef N\n#define N\nsize_t f(void);\n#endif\n",
            "core/base/twice.h": "struct s { int i; };\n",
        }), [("core/base/needs.h", 1), ("core/base/twice.h", 1)])

    def test_calls(self):
        """Calls are found; comments, strings, members and longer names are not calls."""
        self.assertEqual(self.faults("calls", {
            "core/a.c": 'strcpy(a, b);\n/* strcpy(a) */\nputs("system(x)");\nx->rand();\n'
                        "my_atoi(s);\n  sprintf (a);\nrandom_bytes(a);\n// gets(a)\ny = rand();\n",
        }), [("core/a.c", 1), ("core/a.c", 6), ("core/a.c", 9)])

    def test_text(self):
        """Each fault of a text is found on its line."""
        reminder, path = "TO" + "DO", "/wo" + "rk/x"
        host = "registry.npm" + "js.org"
        self.assertEqual(self.faults("text", {
            "core/good.c": SPDX + f"/* {reminder}(#12): later */\n",
            "core/none.c": "int i;\n",
            "core/space.c": SPDX + "int i; \n",
            "core/tab.c": SPDX + "\tint i;\n",
            "core/end.c": SPDX + "int i;",
            "core/long.c": SPDX + "\n" * 900,
            "a.md": f"{reminder}: write\n{path}\nhttps://{host}/x\nhomework/ is fine\n",
        }), [("a.md", 1), ("a.md", 2), ("a.md", 3), ("core/end.c", 2), ("core/long.c", 900),
             ("core/none.c", 1), ("core/space.c", 2), ("core/tab.c", 2)])

    @unittest.skipUnless(shutil.which("ldd") and shutil.which("openssl"), "ldd or openssl is absent")
    def test_libraries(self):
        """The openssl program, which has libssl, is found out; env, which has not, passes."""
        self.assertTrue(self.faults("libraries", {}, binary=shutil.which("openssl")))
        self.assertEqual(self.faults("libraries", {}, binary=shutil.which("env")), [])


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main(verbosity=2)
