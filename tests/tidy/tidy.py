#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks house rules that a machine can check, and says for each fault what to do instead.

  tidy.py arrows     who may include whom, and which third-party header has which user
  tidy.py headers    every header compiles alone, and twice
  tidy.py calls      functions that are not used here
  tidy.py text       file length, white space, licence line, numberless reminders, private paths
  tidy.py libraries  what the program is linked with, all of it
"""
import argparse
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))

# Folder -> what it may include: a folder, or one header. The longest matching folder counts.
ARROWS = {
    "core/base": ["core/base"],
    "core/config": ["core/base", "core/config"],
    "core/engine": ["core/base", "core/engine", "tls"],
    "core/fetch": ["core/base", "core/options.h"],
    "core/session": ["core", "tls", "http", "detect"],
    "core/admin": ["core", "tls", "http", "detect"],
    "core/tools": ["core/base", "core/tools", "core/options.h", "core/engine/address.h",
                   "core/config/config.h", "core/config/suggest.h", "tls", "http", "detect"],
    "core": ["core", "tls", "http", "detect"],
    # The program offers what bench/ measures as a command; nothing else knows of it.
    "core/main.c": ["core", "tls", "http", "detect", "bench"],
    "tls": ["core/base", "tls"],
    "http": ["core/base", "http"],
    "detect": ["core/base", "detect", "tls/client_hello.h", "http/message.h"],
    "bench": ["core", "tls", "http", "detect", "bench"],
    "tests": ["core", "tls", "http", "detect", "bench", "tests"],
}
OURS = ("core/", "tls/", "http/", "detect/", "bench/", "tests/", "third_party/")

# Third-party header -> its users: files or folders. Tests and benchmarks may use any.
THIRD_PARTY = {
    r"liburing(/.*)?\.h": ["core/engine/uring_abi.h"],
    r"linux/io_uring\.h": [],
    r"yaml\.h": ["core/config/config_yaml.c"],
    r"ares(_.*)?\.h": ["core/engine/dns_channel.c"],
    r"crypt\.h": ["core/session/users.c"],
    r"jansson\.h": ["core/tools"],
    r"curl/.*": ["core/fetch"],
    r"openssl/.*": ["tls"],
    r"llhttp\.h": ["http"],
    r"nghttp2/.*": ["http"],
    r"xxhash\.h": ["core/base/hash.c", "detect"],
    r"cmocka\.h": [],
}

# Header of ours -> its users, in the program. One called NAME_private.h without a row here is for
# the files of its folder alone.
PRIVATE = {
    "core/engine/uring_abi.h": ["core/engine/ring_private.h"],
    "core/engine/ring_private.h": ["core/engine/ring.c", "core/engine/ring_setup.c"],
}

CALLS = {
    "strcpy": "copy a span into a text (core/base/text.h)",
    "stpcpy": "copy a span into a text (core/base/text.h)",
    "strcat": "append to a text (core/base/text.h)",
    "strncpy": "copy a span into a text (core/base/text.h); strncpy does not end what it cuts",
    "strncat": "append to a text (core/base/text.h)",
    "sprintf": "text_append_format, or snprintf with a look at its result",
    "vsprintf": "vsnprintf with a look at its result",
    "gets": "fgets",
    "strtok": "a cursor (core/base/cursor.h)",
    "atoi": "a parser that reports overflow and rubbish (span_parse_uint, strtol with its checks)",
    "atol": "a parser that reports overflow and rubbish",
    "atof": "strtod with its checks",
    "system": "posix_spawn with an argument vector",
    "popen": "posix_spawn with an argument vector",
    "getaddrinfo": "core/engine/resolve.h: the library's own resolver blocks the worker",
    "gethostbyname": "core/engine/resolve.h",
    "rand": "core/base/random.h",
    "srand": "core/base/random.h: it needs no seed",
    "drand48": "core/base/random.h",
    "alloca": "a bounded array, or a buffer with an owner",
    "mktemp": "mkstemp",
    "tmpnam": "mkstemp",
    "localtime": "localtime_r",
    "gmtime": "gmtime_r",
    "longjmp": "return a value",
}

# Test programs have one thread and no worker to block.
TESTS_MAY_CALL = {"system", "popen", "getaddrinfo"}

LINES_MAX = 900
ODD_ON_PURPOSE = ["tests/config"]  # test data
SKIPPED_FOLDERS = {".git", "__pycache__", ".cache", "corpus", "data"}
TEXT_ENDINGS = (".c", ".h", ".def", ".py", ".sh", ".md", ".txt", ".json", ".yaml", ".yml", ".js",
                ".conf", ".cfg", ".cnf", ".css", ".html", ".dict", ".bt", ".gdb")
LONG_BY_NATURE = {"LICENSE", "CHANGELOG.md"}


def tree(root=ROOT):
    """Paths of all files, relative to the root, without what is built or fetched."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS
                            and not (name.startswith("build") and folder == root))
        for name in sorted(files):
            if name == ".git":  # a linked work tree
                continue
            path = os.path.relpath(os.path.join(folder, name), root)
            if not os.path.islink(os.path.join(root, path)):
                yield path


def read(root, path):
    with open(os.path.join(root, path), "rb") as file:
        return file.read()


def code_without_comments(text):
    """C text with comments and the insides of literals blanked, line numbers kept."""
    def blank(match):
        found = match.group(0)
        if found[0] in "\"'":
            return found[0] + found[0]
        return re.sub(r"[^\n]", " ", found)

    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.DOTALL)


def is_under(path, place):
    return path == place or path.startswith(place + "/")


def private_users(header):
    """Who may include a private header: files or folders; None when it is not private."""
    if header in PRIVATE:
        return PRIVATE[header]
    return [os.path.dirname(header)] if header.endswith("_private.h") else None


def is_user(path, header):
    users = private_users(header)
    return users is None or any(is_under(path, user) for user in users)


def check_arrows(root, _arguments):
    for path in tree(root):
        if not path.endswith((".c", ".h", ".def")):
            continue
        folder = max((f for f in ARROWS if is_under(path, f)), key=len, default=None)
        if folder is None:
            continue
        text = read(root, path).decode("utf-8", "replace")
        for number, line in enumerate(text.splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not found:
                continue
            quote, name = found.groups()
            sibling = os.path.join(root, os.path.dirname(path), name)
            if quote == '"' and folder == "tests" and os.path.exists(sibling):
                continue
            if quote == '"' and not name.startswith(OURS):
                yield path, number, f'"{name}" is not written from the root: "core/base/span.h"'
            elif quote == '"' and not any(is_under(name, place) for place in ARROWS[folder]):
                yield (path, number, f"{folder}/ may not include {name}: only "
                       + ", ".join(ARROWS[folder]))
            elif quote == '"' and folder not in ("tests", "bench") and not is_user(path, name):
                yield (path, number, f"{name} is private to "
                       + ", ".join(private_users(name)))
            elif quote == "<" and folder not in ("tests", "bench"):
                for header, users in THIRD_PARTY.items():
                    if re.fullmatch(header, name) and not any(is_under(path, u) for u in users):
                        yield (path, number, f"<{name}> is only for "
                               + (", ".join(users) or "tests"))


def include_flags(build):
    """-I and -isystem of all commands of the build, once each."""
    flags = []
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        for command in json.load(file):
            words = shlex.split(command["command"])
            for index, word in enumerate(words):
                pair = (word, words[index + 1]) if word == "-isystem" else (
                    (word,) if word.startswith("-I") else None)
                if pair and pair not in flags:
                    flags.append(pair)
    return [word for pair in flags for word in pair]


def check_headers(root, arguments):
    command = [arguments.compiler, "-fsyntax-only", "-std=gnu11", "-Wall", "-Wextra", "-Werror",
               "-Wno-unused-function", "-D_GNU_SOURCE", '-DWEIR_VERSION="0"',
               *include_flags(arguments.build), "-I", root, "-x", "c", "-"]

    def compile_alone(path):
        twice = f'#include "{path}"\n#include "{path}"\n'
        done = subprocess.run(command, input=twice.encode(), capture_output=True, check=False,
                              cwd=root)
        return done.returncode, done.stderr.decode(errors="replace")

    headers = [path for path in tree(root) if path.endswith(".h")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, (code, message) in zip(headers, pool.map(compile_alone, headers)):
            if code != 0:
                yield path, 1, "does not compile alone (include what it uses, guard it):\n" + message


def check_calls(root, _arguments):
    call = re.compile(r"(?<![\w.>])(" + "|".join(CALLS) + r")\s*\(")
    for path in tree(root):
        if not path.endswith((".c", ".h")):
            continue
        text = code_without_comments(read(root, path).decode("utf-8", "replace"))
        for number, line in enumerate(text.splitlines(), 1):
            for found in call.finditer(line):
                if path.startswith("tests/") and found.group(1) in TESTS_MAY_CALL:
                    continue
                yield path, number, f"{found.group(1)}(): use {CALLS[found.group(1)]}"


def is_text(path):
    name = os.path.basename(path)
    return path.endswith(TEXT_ENDINGS) or "." not in name or name.startswith(".")


# Written in pieces, so that this file keeps its own rules.
REMINDER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b(?!\s*\(?#?\d)")
WORK_PATH = re.compile(r"(?<![\w.$}])/wo" r"rk/")
REGISTRY = re.compile(
    r"\b(?:(?:deb|security|archive|registry|proxy|sum|files|repo\d?|index|static|ports)\."
    r"(?:debian|ubuntu|npmjs|yarnpkg|golang|pythonhosted|maven|docker|crates|rubygems|kernel)\."
    r"|(?:pypi|rubygems|crates|npmjs)\.(?:org|io|com)\b)")


def check_text(root, _arguments):
    for path in tree(root):
        if not is_text(path) or any(is_under(path, place) for place in ODD_ON_PURPOSE):
            continue
        data = read(root, path)
        if b"\0" in data:
            continue
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            yield path, 1, "is not UTF-8"
            continue
        lines = text.splitlines()
        if len(lines) > LINES_MAX and os.path.basename(path) not in LONG_BY_NATURE:
            yield path, LINES_MAX, f"{len(lines)} lines: divide it (at most {LINES_MAX})"
        if text and not text.endswith("\n"):
            yield path, len(lines), "no line end at the end of the file"
        if path.endswith((".c", ".h")) and not text.startswith("/* SPDX-License-Identifier: "):
            yield path, 1, "the first line must be /* SPDX-License-Identifier: Apache-2.0 */"
        for number, line in enumerate(lines, 1):
            if line != line.rstrip() and os.path.basename(path) != "LICENSE":
                yield path, number, "white space at the end of the line"
            if "\r" in line:
                yield path, number, "carriage return"
            if path.endswith((".c", ".h")) and "\t" in line:
                yield path, number, "tab: indent with 4 spaces"
            if found := REMINDER.search(line):
                yield path, number, f"{found.group(0)} without the number of an issue"
            if WORK_PATH.search(line):
                yield path, number, "a path of one machine"
            if found := REGISTRY.search(line):
                yield path, number, f"{found.group(0)}: packages come from the system's own sources"


def check_libraries(_root, arguments):
    done = subprocess.run(["ldd", arguments.binary], capture_output=True, text=True, check=False)
    if done.returncode != 0 and "not a dynamic executable" not in done.stderr + done.stdout:
        yield arguments.binary, 0, f"ldd: {done.stderr.strip()}"
    for line in done.stdout.splitlines():  # ldd lists all of them, the indirect ones too
        name = line.split()[0] if line.split() else ""
        if "not found" in line:
            yield arguments.binary, 0, f"library missing: {line.strip()}"
        if re.match(r"lib(ssl|crypto|gnutls|nss3|mbedtls|wolfssl)\b", os.path.basename(name)):
            yield (arguments.binary, 0, f"{name}: a second TLS library in the process; OpenSSL's "
                   "symbols have BoringSSL's names. Run what needs it as a program of its own")


CHECKS = {"arrows": check_arrows, "headers": check_headers, "calls": check_calls,
          "text": check_text, "libraries": check_libraries}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--root", default=ROOT)
    parser.add_argument("--build", default=os.path.join(ROOT, "build-dev"))
    parser.add_argument("--compiler", default="gcc")
    parser.add_argument("--binary", default=os.path.join(ROOT, "build-dev", "weir"))
    arguments = parser.parse_args()
    count = 0
    for path, number, message in CHECKS[arguments.check](arguments.root, arguments):
        print(f"{path}:{number}: {message}")
        count += 1
    print(f"{arguments.check}: {count} faults")
    sys.exit(1 if count else 0)


if __name__ == "__main__":
    main()
