"""A backup's manifest: what it is, of what, and the checksum of each of its files. It is written last."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import connection

from accounts import seals
from accounts.management.exits import Refused
from brokerage.stack.where import CHECKOUT

NAME: Final = "manifest.json"
FORMAT: Final = 1
KINDS: Final = ("base", "dump")

_ABOUT = """
SELECT current_setting('server_version'), current_database(), pg_database_size(current_database()),
    (SELECT app || '.' || name FROM django_migrations ORDER BY applied DESC, id DESC LIMIT 1)
"""
# PostgreSQL lets everybody call a function unless somebody says otherwise, and no dump without privileges says it.
_NOT_PUBLIC = """
SELECT p.oid::regprocedure::text FROM pg_proc p
WHERE p.pronamespace = current_schema()::regnamespace
  AND NOT EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
ORDER BY 1
"""


def of_the_database(at: datetime) -> dict[str, Any]:
    """What is known before anything is copied. The chain's head is read first, so every copy holds it."""
    head = seals.head()
    with connection.cursor() as cursor:
        cursor.execute(_ABOUT)
        server, database, size, migration = cursor.fetchone()
        cursor.execute(_NOT_PUBLIC)
        functions = [name for (name,) in cursor.fetchall()]
    return {
        "format": FORMAT,
        "began_at": at.isoformat(),
        "version": package_version(),
        "sandbox": settings.SANDBOX,
        "migration": migration,
        "server": server,
        "database": database,
        "database_bytes": size,
        "head": {"number": head.number, "hash": head.hash} if head else None,
        "functions_not_public": functions,
    }


def package_version() -> str:
    """Of this code: of the installed package, else of the checkout."""
    try:
        return version("brokerage")
    except PackageNotFoundError:
        lines = (CHECKOUT / "pyproject.toml").read_text().splitlines()
        return next((line.split('"')[1] for line in lines if line.startswith("version = ")), "unknown")


def checksums(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of each file in the folder."""
    return {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.iterdir())
        if path.name != NAME
    }


def sha256(path: Path) -> str:
    """Of a file's bytes, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(folder: Path, facts: dict[str, Any]) -> None:
    """Write the manifest, and see that every file is on the disk, for nobody else to read."""
    (folder / NAME).write_text(json.dumps(facts, indent=1) + "\n")
    for path in (*folder.iterdir(), folder):
        path.chmod(0o700 if path.is_dir() else 0o600)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a backup whose files are as they were written.

    Raises:
        Refused: there is none, it is of a later version, or a file is missing, cut short or changed.
    """
    try:
        facts = json.loads((folder / NAME).read_bytes())
        kind, files = facts["kind"], facts["files"]
        began = datetime.fromisoformat(facts["began_at"]), datetime.fromisoformat(facts["ended_at"])
    except FileNotFoundError:
        raise Refused(f"{folder} is no backup: it has no {NAME}, which is written last.") from None
    except (OSError, ValueError, KeyError, TypeError) as unreadable:
        raise Refused(f"The manifest of {folder} can't be read: {unreadable}.") from None
    if facts.get("format") != FORMAT or kind not in KINDS or not all(moment.tzinfo for moment in began):
        raise Refused(f"The manifest of {folder} is of another version than this: format {facts.get('format')}.")
    for name, said in files.items():
        _refuse_damaged(folder, str(name), said)
    return dict(facts)


def _refuse_damaged(folder: Path, name: str, said: dict[str, Any]) -> None:
    path = folder / name
    if Path(name).name != name or not path.is_file():
        raise Refused(f"The backup {folder} is damaged: {name} is missing. Take another one.")
    if path.stat().st_size != said["bytes"] or sha256(path) != said["sha256"]:
        raise Refused(f"The backup {folder} is damaged: {name} isn't what was written. Take another one.")
