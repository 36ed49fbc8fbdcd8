"""Webhooks' endpoints in a process of their own, which note when each event came: one port answers, one never does.

It prints the two ports. Told by lines on stdin: `wait N SECONDS` until so many calls came or the time is over, `report`
what came since the last one. Answered by a line each.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

CALL = re.compile(rb"POST /(\d+) HTTP/1\.1\r\n.*?\r\n\r\n", re.DOTALL)
ID = re.compile(rb"\r\nwebhook-id: (\w+)\r\n", re.IGNORECASE)
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

came: list[tuple[str, str, float]] = []  # endpoint, event, when


class Answers(asyncio.Protocol):
    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while call := CALL.match(self._rest):
            id_, length = ID.search(call[0]), LENGTH.search(call[0])
            assert id_ is not None
            assert length is not None
            end = call.end() + int(length[1])
            if len(self._rest) < end:
                return
            self._rest = self._rest[end:]
            came.append((call[1].decode(), id_[1].decode(), time.time()))
            self._transport.write(ANSWER)


class Hangs(asyncio.Protocol):
    """It takes what it is sent, and says nothing."""


async def main() -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(kind, "127.0.0.1", 0, backlog=512) for kind in (Answers, Hangs)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    while line := (await asyncio.to_thread(sys.stdin.readline)).split():
        if line[0] == "wait":
            give_up = time.time() + float(line[2])
            while len(came) < int(line[1]) and time.time() < give_up:
                await asyncio.sleep(0.02)
            print(len(came), flush=True)
        else:
            print(json.dumps(came), flush=True)
            came.clear()


if __name__ == "__main__":
    asyncio.run(main())
