"""Making a backup: a base copy of the whole server, or a dump of the database. Whole under its name, or not there."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection

from accounts import clock
from accounts.management.exits import Refused, TryAgain
from brokerage.backup import manifest, programs, wal

_A_DAY: Final = 86_400
_SPARE_BYTES: Final = 64 * 2**20  # WAL that comes meanwhile


def place_of(said: str, name: str) -> Path:
    """Where something is written: as said, or under this name in BACKUP_DIR. Raises CommandError where neither is
    set."""
    if not (said or settings.BACKUP_DIR):
        raise CommandError("Say where to: --to DIR, or set BACKUP_DIR.")
    return (Path(said) if said else Path(settings.BACKUP_DIR) / name).expanduser().absolute()


def target_of(kind: str, said: str, at: datetime) -> Path:
    """Where a backup goes: in BACKUP_DIR under its time, unless it was said. Raises CommandError as `place_of`."""
    return place_of(said, f"{at:%Y%m%dT%H%M%SZ}-{kind}")


def make(kind: str, target: Path, at: datetime) -> dict[str, Any]:
    """Make one; its manifest.

    Raises:
        Refused: the target is there.
        TryAgain: the disk is too small or full, or the server is away; nothing is left behind.
    """
    if target.exists() or target.is_symlink():
        raise Refused(f"{target} is there already: choose another place.")
    facts = {"kind": kind, **manifest.of_the_database(at)}
    making = target.with_name(f".{target.name}.making")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_leftovers(target.parent, kind, at)
        shutil.rmtree(making, ignore_errors=True)  # of one that was killed
        making.mkdir(mode=0o700)
        facts |= _base(making) if kind == "base" else _dump(making)
        facts["ended_at"] = clock.now().isoformat()
        facts["files"] = manifest.checksums(making)
        facts["bytes"] = sum(one["bytes"] for one in facts["files"].values())
        manifest.write(making, facts)
        making.rename(target)
    except OSError as failure:
        raise TryAgain(f"{target} can't be written: {failure.strerror or failure}.") from failure
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return facts


def _remove_leftovers(parent: Path, kind: str, at: datetime) -> None:
    """What backups of this kind that were killed have left: nothing has been written there for a day."""
    for left in parent.glob(f".*-{kind}.making"):
        if at.timestamp() - max(path.stat().st_mtime for path in (left, *left.iterdir())) > _A_DAY:
            shutil.rmtree(left, ignore_errors=True)


def _dump(folder: Path) -> dict[str, Any]:
    """One consistent snapshot of the database, as its owner reads it."""
    arguments = ("--format=custom", "--no-owner", "--no-password", f"--file={folder / 'database.dump'}")
    programs.run("pg_dump", *arguments, database=settings.OWNER_DATABASE)
    return {"program": programs.run("pg_dump", "--version", database=settings.OWNER_DATABASE).strip()}


def _base(folder: Path) -> dict[str, Any]:
    """Every file of the server, and the WAL that makes them one moment."""
    _refuse_a_small_disk(folder)
    arguments = ("--format=tar", "--wal-method=stream", "--checkpoint=fast", "--no-password")
    into = (f"--pgdata={folder}", "--manifest-checksums=SHA256")
    programs.run("pg_basebackup", *arguments, *into, database=programs.who_copies())
    said = json.loads((folder / "backup_manifest").read_bytes())
    (span,) = said["WAL-Ranges"]
    return {
        "system": str(said["System-Identifier"]),
        "timeline": int(span["Timeline"]),
        "start": span["Start-LSN"],
        "first_wal": wal.name_of(int(span["Timeline"]), span["Start-LSN"]),
        "end": span["End-LSN"],
        "wal": wal.folder_name(str(said["System-Identifier"]), int(span["Timeline"])),
    }


def _refuse_a_small_disk(folder: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(pg_database_size(oid))::bigint FROM pg_database WHERE datallowconn")
        (size,) = cursor.fetchone()
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE_BYTES:
        raise TryAgain(f"The disk is too small: {size + _SPARE_BYTES:,} bytes are needed, {free:,} are free.")
