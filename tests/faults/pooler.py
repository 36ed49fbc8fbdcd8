"""What a pooler before PostgreSQL says to a client that it doesn't take: a server that speaks the protocol so far."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ASKS_FOR_TLS = 80877103


@contextmanager
def refusing_pooler(sentence: str) -> Iterator[int]:
    """A port at which each client is refused with this sentence."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, sentence), daemon=True).start()
        yield server.getsockname()[1]


def _serve(server: socket.socket, sentence: str) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client, client.makefile("rb") as stream:
            _refuse(client, stream, sentence)


def _refuse(client, stream, sentence: str) -> None:
    while header := stream.read(8):
        length, code = struct.unpack("!II", header)
        stream.read(length - 8)
        if code == ASKS_FOR_TLS:
            client.sendall(b"N")
            continue
        fields = b"SFATAL\0" + b"C08P01\0" + b"M" + sentence.encode() + b"\0\0"
        client.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)
        return
