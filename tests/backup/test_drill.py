"""The whole product is destroyed under load and comes back: `make drill` at a small size."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backup.drill import Drill, new_home
from tests.stack.running import end

pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.faults, pytest.mark.timeout(3600)]


@pytest.fixture
def home() -> Iterator[Path]:
    place = new_home()
    yield place
    for machine in place.iterdir():
        end(machine, ())
    shutil.rmtree(place, ignore_errors=True)


def test_what_clients_were_told_is_there_after_the_machine_is_gone(home: Path) -> None:
    """Guards: `BACKUP_SYNCHRONOUS`, and the last, half-written segment of WAL that `wal.segments` takes."""
    drill = Drill(home)

    drill.play(people=2, deeds=12)

    assert {one.what for one in drill.told} == {"opened", "closed", "trade"}
    assert drill.lost == []
