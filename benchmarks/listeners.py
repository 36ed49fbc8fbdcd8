"""Many connections to the event stream in a process of their own, which note when each event came.

Told by lines on stdin: `connect N` so many more, `report` what came since the last one, `back`: the process is going to
end, wait for that and come back to the next one (`benchmarks.returning`). Answered by a line each.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import selectors
import socket
import sys
import time

from benchmarks.returning import One, come_back, last_place

EVENT = re.compile(rb'"type":"event","guid":"(\w+)"')
AT_ONCE = 200  # requests on their way


def main(port: int, query: str, tokens: list[str]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
    came: dict[socket.socket, list[tuple[float, bytes]]] = {}
    whose: dict[socket.socket, str] = {}
    while True:
        for key, _ in selector.select():
            if isinstance(key.fileobj, socket.socket):
                piece = key.fileobj.recv(262_144)
                came[key.fileobj].append((time.time(), piece))
                if not piece:
                    sys.exit("a connection was closed")
                continue
            word, _, number = os.read(sys.stdin.fileno(), 100).decode().strip().partition(" ")
            if word == "connect":
                for first in range(0, int(number), AT_ONCE):
                    some = [tokens.pop() for _ in range(min(AT_ONCE, int(number) - first))]
                    for wire, token in [(_asked(port, query, token), token) for token in some]:
                        whose[wire] = token
                        head = wire.recv(16)
                        if b"200" not in head:
                            sys.exit(f"refused: {head + wire.recv(4096)!r}")
                        selector.register(wire, selectors.EVENT_READ)
                        came[wire] = []
                print("connected", flush=True)
            elif word == "back":
                print("watching", flush=True)
                everybody = [One(whose[wire], last_place(_to_the_end(wire, its))) for wire, its in came.items()]
                print(come_back(port, query, everybody), flush=True)
                return
            elif word == "report":
                print(json.dumps(_report(came)), flush=True)
            else:
                return


def _asked(port: int, query: str, token: str) -> socket.socket:
    wire = socket.create_connection(("127.0.0.1", port), 60)
    wire.sendall(f"GET /api/events/stream{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    return wire


def _to_the_end(wire: socket.socket, pieces: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
    """All that a connection was sent, once it is closed."""
    with contextlib.suppress(ConnectionResetError):
        while piece := wire.recv(262_144):
            pieces.append((time.time(), piece))
    wire.close()
    return pieces


def _report(came: dict[socket.socket, list[tuple[float, bytes]]]) -> dict[str, list[float]]:
    """By event's guid when it came, wherever it did."""
    found: dict[str, list[float]] = {}
    for pieces in came.values():
        rest = b""
        for at, piece in pieces:
            *whole, rest = (rest + piece).split(b"\n\n")
            for block in whole:
                if event := EVENT.search(block):
                    found.setdefault(event[1].decode(), []).append(at)
        pieces[:] = [(0.0, rest)] if rest else []
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], open(sys.argv[3]).read().split())  # noqa: PTH123, SIM115
