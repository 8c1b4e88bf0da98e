# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests: made with the openssl command line into a folder that dies with the test.

An Authority signs; issue() makes a key and a certificate of any shape, good or broken.
"""
import datetime
import os
import subprocess


def openssl(*args, data=None):
    """Runs openssl and returns what it prints; its complaint is part of the exception."""
    done = subprocess.run(["openssl", *args], input=data, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(args)}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode(errors="replace")


class Certificate:
    """Paths of a PEM chain (leaf first) and its key."""

    def __init__(self, chain, key):
        self.chain = chain
        self.key = key


def alternative_names(names):
    """subjectAltName's value for a list of DNS names and IP addresses."""
    kinds = []
    for name in names:
        is_ip = ":" in name or name.replace(".", "").isdigit()
        kinds.append(f"{'IP' if is_ip else 'DNS'}:{name}")
    return ",".join(kinds)


def new_key(path, kind):
    if kind == "rsa":
        openssl("genrsa", "-out", path, "2048")
    else:
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)


class Authority:
    """A certificate authority of the test's own: a self-signed root in `folder`."""

    def __init__(self, folder, name):
        self.folder = folder
        self.name = name
        self.key = os.path.join(folder, f"{name}.key")
        self.certificate = os.path.join(folder, f"{name}.pem")
        self.serial = 0
        new_key(self.key, "ec")
        openssl("req", "-x509", "-new", "-key", self.key, "-out", self.certificate, "-days", "30",
                "-subj", f"/O=weir tests/CN={name}",
                "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, names, subject=None, key="ec", days=(-1, 30), usage="serverAuth"):
        """A certificate for `names`, valid from days[0] to days[1] counted from now.

        subject None: CN is the first name; "" leaves the subject empty."""
        base = os.path.join(self.folder, f"{self.name}-{name}")
        new_key(base + ".key", key)
        if subject is None:
            subject = f"/CN={names[0]}"
        openssl("req", "-new", "-key", base + ".key", "-out", base + ".csr",
                "-subj", subject or "/")
        self.serial += 1
        now = datetime.datetime.now(datetime.timezone.utc)
        start, end = ((now + datetime.timedelta(days=day)).strftime("%Y%m%d%H%M%SZ")
                      for day in days)
        with open(base + ".ext", "w", encoding="ascii") as out:
            out.write("basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\n"
                      f"extendedKeyUsage={usage}\n")
            if names:
                out.write(f"subjectAltName={alternative_names(names)}\n")
        with open(base + ".cnf", "w", encoding="ascii") as out:
            out.write("[ca]\ndefault_ca=d\n[d]\npolicy=p\nunique_subject=no\n"
                      f"database={base}.db\nnew_certs_dir={self.folder}\nserial={base}.srl\n"
                      "default_md=sha256\n[p]\nCN=optional\nO=optional\n")
        with open(base + ".db", "w", encoding="ascii"):
            pass
        with open(base + ".srl", "w", encoding="ascii") as out:
            out.write(f"{0x1000 + self.serial:04x}\n")
        openssl("ca", "-batch", "-notext", "-config", base + ".cnf", "-in", base + ".csr",
                "-cert", self.certificate, "-keyfile", self.key, "-out", base + ".pem",
                "-extfile", base + ".ext", "-startdate", start, "-enddate", end)
        return Certificate(base + ".pem", base + ".key")


def self_signed(folder, name, names):
    """A certificate that signs itself and that nobody has reason to trust."""
    base = os.path.join(folder, f"self-{name}")
    new_key(base + ".key", "ec")
    openssl("req", "-x509", "-new", "-key", base + ".key", "-out", base + ".pem", "-days", "30",
            "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={alternative_names(names)}")
    return Certificate(base + ".pem", base + ".key")


def subject_names(pem):
    """CN, issuer and the set of alternative names ("DNS:a", "IP Address:1.2.3.4") of a
    certificate given as PEM text."""
    text = openssl("x509", "-noout", "-subject", "-issuer", "-ext", "subjectAltName",
                   "-nameopt", "multiline,utf8", data=pem.encode())
    common = [line.split("=", 1)[1].strip() for line in text.splitlines() if "commonName" in line]
    names = set()
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if "Subject Alternative Name" in line and index + 1 < len(lines):
            names = {part.strip() for part in lines[index + 1].split(",")}
    return common[0] if common else "", common[-1] if common else "", names
