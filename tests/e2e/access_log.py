# SPDX-License-Identifier: Apache-2.0
"""The access log's field names, in one place. A record is one JSON object a line."""
import json

# Record.<attribute> -> path of keys in the JSON object.
FIELDS = {
    "time": ("time",),
    "session": ("session",),
    "kind": ("kind",),  # "request" or "tunnel"
    "client": ("client",),
    "user": ("user",),
    "listener": ("listener",),
    "decision": ("decision",),  # "intercept", "tunnel" or "refuse"
    "rule": ("rule",),
    "target": ("target",),
    "dialled": ("dialled",),
    "upstream": ("upstream",),
    "sni": ("sni",),
    "alpn": ("alpn",),
    "protocol": ("protocol",),
    "ja3": ("ja3",),
    "ja4": ("ja4",),
    "server_tls": ("server_tls", "version"),
    "server_cipher": ("server_tls", "cipher"),
    "server_resumed": ("server_tls", "resumed"),
    "server_reused": ("server_reused",),
    "client_tls": ("client_tls", "version"),
    "client_cipher": ("client_tls", "cipher"),
    "client_resumed": ("client_tls", "resumed"),
    "leaf": ("leaf",),  # "hit", "minted" or "recalled"
    "method": ("method",),
    "authority": ("authority",),
    "path": ("path",),
    "mode": ("mode",),
    "balancer": ("balancer",),
    "http_host": ("http_host",),
    "mismatch": ("mismatch",),
    "status": ("status",),
    "up_bytes": ("bytes", "up"),
    "down_bytes": ("bytes", "down"),
    "phases": ("phases_us",),
    "close": ("close",),
    "error": ("error",),
    "fault": ("fault",),
}


class Record:
    """One line of the log; a field that is not there reads as None."""

    def __init__(self, line):
        self.line = line
        value = json.loads(line)
        for name, path in FIELDS.items():
            found = value
            for key in path:
                found = found.get(key) if isinstance(found, dict) else None
            setattr(self, name, found)

    def __repr__(self):
        return self.line.strip()


def read(path):
    """All whole lines of the log; a line that is still being written is left for the next read."""
    try:
        with open(path, encoding="utf-8") as log:
            return [Record(line) for line in log if line.endswith("\n")]
    except FileNotFoundError:
        return []
