"""What a running stack writes down for others: who it is, where its servers answer, whom it started."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from brokerage.stack.failure import StackError
from brokerage.stack.pids import Process, this_process
from brokerage.stack.where import read_state


class Lock:
    """One stack per data directory. The kernel lets the lock go with the process, however it ends."""

    def __init__(self, data: Path) -> None:
        self._path = data / "up.lock"
        self._file: IO[str] | None = None

    def take(self, url: str) -> None:
        """Hold the lock for the life of this process.

        Raises:
            StackError: another process holds it; its pid and address are in the text.
        """
        try:
            self._file = self._path.open("a+")
        except PermissionError as error:
            raise StackError(f"{self._path} belongs to another user: run as that one, or remove it.") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            raise StackError(f"It runs already: {holder}.") from None
        self._file.truncate(0)
        self._file.write(f"pid {os.getpid()} at {url}")
        self._file.flush()


class StateFile:
    """`stack.json` in the data directory, replaced as a whole so that no reader sees half of it."""

    def __init__(self, data: Path) -> None:
        self._path = data / "stack.json"
        self._state: dict[str, Any] = {"servers": {}, "children": {}}

    def introduce(self, url: str, stream_url: str) -> None:
        """Say who runs the stack, and at which addresses."""
        self._state["up"] = {"url": url, "stream": stream_url, **_written(this_process())}
        self._write()

    def server(self, name: str, running: Process, urls: Mapping[str, str]) -> None:
        """Say where an embedded server answers."""
        self._state["servers"][name] = _written(running)
        self._state.update(urls)
        self._write()

    def child(self, name: str, running: Process) -> None:
        """Say which process does a child's work now."""
        self._state["children"][name] = _written(running)
        self._write()

    def remove(self) -> None:
        """Nothing runs any more."""
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        draft = self._path.with_name("stack.json.new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(self._state, file, indent=1)
        draft.replace(self._path)


def recorded_children(data: Path) -> dict[str, Process]:
    """The children that the last stack of this data directory wrote down, alive or not."""
    children = read_state(data).get("children")
    found = {}
    for name, entry in (children if isinstance(children, dict) else {}).items():
        try:
            found[str(name)] = Process(int(entry["pid"]), str(entry["started"]))
        except (TypeError, KeyError, ValueError):
            continue
    return found


def _written(running: Process) -> dict[str, Any]:
    return {"pid": running.pid, "started": running.started}
