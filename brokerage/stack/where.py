"""Where the data lives and where the embedded servers answer: what every `manage.py` command asks first.

`manage.py up` writes `stack.json` into the data directory; this module only reads it. Settings import
it at every start, so it is the standard library only and takes well under five milliseconds.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

CHECKOUT = Path(__file__).resolve().parents[2]
URLS = ("DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL")
CONNECT_SECONDS = 0.5


def data_dir() -> Path:
    """The directory that holds everything this installation keeps: BROKERAGE_DATA_DIR, or `.data` here."""
    chosen = os.environ.get("BROKERAGE_DATA_DIR", "")
    return Path(chosen).expanduser().absolute() if chosen else CHECKOUT / ".data"


def read_state(data: Path) -> dict[str, Any]:
    """What `stack.json` says; empty when there is none, or when it belongs to somebody else."""
    try:
        state = json.loads((data / "stack.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def embedded_urls() -> dict[str, str]:
    """DATABASE_URL, MIGRATION_DATABASE_URL and REDIS_URL of the embedded servers, while they answer."""
    state = read_state(data_dir())
    written = {name: state.get(name) for name in URLS}
    return {name: url for name, url in written.items() if isinstance(url, str) and answers(socket_path(url))}


def running_url() -> str:
    """The base URL of the web process of a running `manage.py up`, or an empty string."""
    url = _said_by_up("url")
    parts = urlsplit(url)
    if not parts.hostname or not parts.port:
        return ""
    try:
        socket.create_connection((parts.hostname, parts.port), CONNECT_SECONDS).close()
    except OSError:
        return ""
    return url


def stream_url() -> str:
    """The base URL of the event stream of the last `manage.py up`, or an empty string where it runs without one."""
    return _said_by_up("stream")


def socket_path(url: str) -> str:
    """The unix socket behind a URL that the embedded servers hand out."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return unquote(parts.path)
    host, _, port = parts.netloc.rpartition("@")[2].rpartition(":")
    return f"{unquote(host)}/.s.PGSQL.{port}"


def _said_by_up(name: str) -> str:
    up = read_state(data_dir()).get("up")
    return str(up.get(name, "")) if isinstance(up, dict) else ""


def answers(path: str) -> bool:
    """Whether something accepts connections on this unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_SECONDS)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
