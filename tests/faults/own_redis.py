"""A Valkey of a test's own, to stop, freeze and empty as it likes: the session's serves the other tests meanwhile."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accounts import streams
from brokerage.stack.valkey import Valkey


class OwnRedis:
    """The server that this process and whatever it starts use inside `own_redis`."""

    def __init__(self, home: Path) -> None:
        self._server = Valkey(home)
        self.url = self._server.url

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        """It ends, with all it held: it keeps nothing on disk."""
        self._server.stop()

    def freeze(self) -> None:
        """It answers nobody, and takes what is sent to it all the same."""
        assert self._server.process is not None
        self._server.process.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._server.process is not None
        self._server.process.signal(signal.SIGCONT)


@contextmanager
def own_redis(settings: Any) -> Iterator[OwnRedis]:
    """A running one, which `settings` (pytest's or Django's) name until the end."""
    before = settings.REDIS_URL, settings.STREAM_URL
    with tempfile.TemporaryDirectory(prefix="own-redis-") as home:
        server = OwnRedis(Path(home))
        server.start()
        try:
            settings.REDIS_URL = settings.STREAM_URL = server.url
            _forget_clients()
            yield server
        finally:
            server.thaw()
            server.stop()
            settings.REDIS_URL, settings.STREAM_URL = before
            _forget_clients()


def _forget_clients() -> None:
    streams.client.cache_clear()
    streams.prompt_client.cache_clear()
