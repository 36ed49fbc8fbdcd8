"""The process: it listens, its loops run, and it ends when it is asked to or when one of them does."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import threading
from typing import Final

from django.conf import settings

from accounts.management.exits import Refused
from brokerage.stream.admitting import Admission
from brokerage.stream.connected import Connection
from brokerage.stream.figures import Figures
from brokerage.stream.hub import Hub
from brokerage.stream.orders import Orders
from brokerage.stream.reading import CATCHING_UP, Reading

log = logging.getLogger("stream")

OTHER_FILES: Final = 64  # beside the connections: the servers', the log, the program
BACKLOG: Final = 16_384  # that the kernel keeps, if it may: who finds no place there tries again after 1, 3, 7, 15 s
STOP_SECONDS: Final = 1.0  # for the last words; then the process ends, whatever a thread waits for


def run(host: str, port: int) -> None:
    """Until SIGTERM or SIGINT. Raises Refused where it can't listen there."""
    most = _possible(settings.STREAM_CONNECTIONS)
    asyncio.run(_run(host, port, Hub(most, settings.STREAM_CONNECTIONS_OF_CALLER, settings.STREAM_PATIENCE_SECONDS)))


def _possible(most: int) -> int:
    """As many connections as files may be open, after asking for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = most + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < needed:
            log.warning("at most %s connections: this process may open %s files", soft - OTHER_FILES, soft)
            return max(1, soft - OTHER_FILES)
    return most


async def _run(host: str, port: int, hub: Hub) -> None:
    telling, loop = asyncio.Lock(), asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, hub, stopped)
    reading, admission = Reading(hub, telling), Admission(hub, telling)
    starting = asyncio.ensure_future(_started(hub, reading, host, port))
    waiting = asyncio.ensure_future(stopped.wait())
    await asyncio.wait((starting, waiting), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        return
    server = starting.result()
    log.info("listening on %s:%s", host, port)
    loops = [
        *(reading.events(), reading.prices(), reading.time(), admission.admit(), admission.check()),
        *(reading.catch_up() for _ in range(CATCHING_UP)),
        *(Orders(hub).tell(), Figures(hub).tell()),
    ]
    tasks = [asyncio.ensure_future(one) for one in loops]
    gc.collect()
    gc.freeze()  # what is there from the start isn't looked through again and again
    done, _ = await asyncio.wait((waiting, *tasks), return_when=asyncio.FIRST_COMPLETED)
    server.close()
    for one in done:
        one.result()  # a loop never ends but by what it couldn't bear
    give_up = loop.time() + STOP_SECONDS
    while len(hub) and loop.time() < give_up:
        await asyncio.sleep(0.02)


async def _started(hub: Hub, reading: Reading, host: str, port: int) -> asyncio.Server:
    await reading.start()
    try:
        return await asyncio.get_running_loop().create_server(
            lambda: Connection(hub), host, port, backlog=BACKLOG, reuse_address=True
        )
    except OSError as error:
        raise Refused(f"Can't listen on {host}:{port}: {error.strerror or error}") from None


def _stop(hub: Hub, stopped: asyncio.Event) -> None:
    """Say goodbye; a call that hangs in a server that doesn't answer is not waited for."""
    stopped.set()
    hub.stop()
    last = threading.Timer(STOP_SECONDS + 0.3, os._exit, (0,))
    last.daemon = True
    last.start()
