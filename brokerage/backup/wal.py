"""Archived WAL: its files' names in order, and which are missing. A segment is 16 MB, PostgreSQL's own default."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SEGMENT_BYTES: Final = 16 * 2**20
_SEGMENTS_A_LOG: Final = 2**32 // SEGMENT_BYTES
_NAME: Final = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial)?")


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of WAL: its timeline and number, and whether it was still being written (`.partial`)."""

    path: Path
    timeline: int
    number: int
    is_partial: bool

    @property
    def name(self) -> str:
        """As PostgreSQL asks for it, whole or not."""
        return self.path.name.removesuffix(".partial")


def folder_name(system: str, timeline: int) -> str:
    """An archive holds one timeline of one cluster: what is written after a restore belongs to another."""
    return f"{system}-{timeline}"


def number_of(lsn: str) -> int:
    """The number of the segment that holds this place, e.g. "0/3000028"."""
    high, low = lsn.split("/")
    return ((int(high, 16) << 32) + int(low, 16)) // SEGMENT_BYTES


def name_of(timeline: int, lsn: str) -> str:
    """The name of the segment that holds this place: what is archived before it, no later backup needs."""
    log, segment = divmod(number_of(lsn), _SEGMENTS_A_LOG)
    return f"{timeline:08X}{log:08X}{segment:08X}"


def taken(archives: Iterable[Path], system: str) -> int:
    """The highest timeline of a cluster that has a folder in these archives; 0: none has."""
    names = (path.name.rpartition("-") for archive in archives for path in archive.glob(f"{system}-*"))
    return max((int(number) for name, _, number in names if name == system and number.isdecimal()), default=0)


def segments(folder: Path, timeline: int) -> list[Segment]:
    """The archived segments of a timeline in their order; of one that is there twice, the whole one."""
    found: dict[int, Segment] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match and int(match[1], 16) == timeline:
            number = int(match[2], 16) * _SEGMENTS_A_LOG + int(match[3], 16)
            if number not in found or found[number].is_partial:
                found[number] = Segment(path, timeline, number, bool(match[4]))
    return [found[number] for number in sorted(found)]


def missing_from(needed: int, archived: list[Segment]) -> int | None:
    """The number of the first segment from `needed` on that isn't there though a later one is; None: no gap."""
    expected = needed
    for segment in archived:
        if segment.number < needed:
            continue
        if segment.number != expected:
            return expected
        expected += 1
    return None


def copy_for_restoring(archived: list[Segment], target: Path) -> None:
    """Put segments where the server that is being restored reads them, under their whole names."""
    target.mkdir(mode=0o700)
    for segment in archived:
        shutil.copyfile(segment.path, target / segment.name)
