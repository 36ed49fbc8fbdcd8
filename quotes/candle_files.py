"""What the feed has gathered for candles and not written yet, in files: a process that is killed leaves them.

One file a batch, named by its id; it is gone once PostgreSQL has the batch. A line a price: symbol, microseconds since
1970, mid price, spread (an earlier version wrote none). Whoever writes one holds its lock, and loses it only by dying:
so who starts next knows what was left.
A killed process loses nothing that it had written here, for the operating system has it; a machine that loses its power
may lose the last second.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from accounts.ids import parse_guid, uuid7
from accounts.money import parse_decimal

SUFFIX: Final = ".candles"
MOST_BYTES: Final = 50_000_000  # while PostgreSQL is away: past it what comes is in memory alone
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

log = logging.getLogger("feed")


class Said(NamedTuple):
    """A mid price of a symbol, as of `at`, and how far its bid and ask are apart; None: nobody knows any more."""

    symbol: str
    at: datetime
    mid: Decimal
    spread: Decimal | None = None


class CandleFile:
    """A batch in a file, locked by this process."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path, self._handle = path, handle
        self.size = 0
        self.id = UUID(hex=path.stem)

    def append(self, said: Sequence[Said]) -> None:
        """In one write, so that it is there whole or not at all. Raises OSError."""
        text = "".join(map(_line, said))
        self.size += os.write(self._handle, text.encode("ascii"))

    def read(self) -> Iterator[Said]:
        """Its prices; a last line without an end, or one that is none, is passed over."""
        os.lseek(self._handle, 0, os.SEEK_SET)
        with open(self._handle, encoding="ascii", errors="replace", closefd=False) as lines:
            for line in lines:
                if (said := _read(line)) is not None:
                    yield said

    def remove(self) -> None:
        """Raises OSError; it isn't locked any more all the same."""
        try:
            self.path.unlink(missing_ok=True)
        finally:
            self.close()

    def close(self) -> None:
        """Let it go: whoever asks next what is left finds it."""
        os.close(self._handle)


class CandleFiles:
    """The folder of them. What can't be written is said once; candles go on without."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_broken = False

    def append(self, file: CandleFile | None, said: Sequence[Said]) -> CandleFile | None:
        """To this batch's file, or to a new one."""
        if self._is_broken or (file is not None and file.size > MOST_BYTES):
            return file
        try:
            if file is None:
                file = self._made()
            file.append(said)
        except (OSError, UnicodeEncodeError) as error:
            log.error("candles are kept in memory alone: %s", error)
            self._is_broken = True
        return file

    def left(self) -> Iterator[CandleFile]:
        """Those that no process holds, oldest first. Raises OSError."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if parse_guid(path.stem) is None:
                continue
            try:
                handle = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue
            if _is_locked(handle) and path.exists():
                yield CandleFile(path, handle)
            else:
                os.close(handle)

    def _made(self) -> CandleFile:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{uuid7().hex}{SUFFIX}"
        begun = path.with_suffix(".new")  # until it is locked nobody takes it for one that was left
        handle = os.open(begun, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        _is_locked(handle)
        begun.rename(path)
        return CandleFile(path, handle)


def _is_locked(handle: int) -> bool:
    """Whether this process has the file's lock now."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _line(one: Said) -> str:
    spread = "" if one.spread is None else f",{one.spread:f}"
    return f"{one.symbol},{(one.at - _EPOCH) // _MICROSECOND},{one.mid:f}{spread}\n"


def _read(line: str) -> Said | None:
    if not line.endswith("\n"):
        return None
    symbol, at, mid, apart, *_ = (*line[:-1].split(",", 3), "", "", "")
    price, spread = parse_decimal(mid), parse_decimal(apart)
    if not (at.isascii() and at.isdecimal() and len(at) < 17 and price is not None and price > 0):
        return None
    if apart and (spread is None or spread < 0):
        return None
    return Said(symbol, _EPOCH + int(at) * _MICROSECOND, price, spread)
