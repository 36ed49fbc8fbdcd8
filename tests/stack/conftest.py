"""Every test of the stack has a data directory and a port of its own, and leaves no process."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stack.running import STUB, Up, end, free_port


@pytest.fixture
def data() -> Iterator[Path]:
    """A data directory that root's PostgreSQL user may pass through, as it may through a checkout."""
    home = Path(tempfile.mkdtemp(prefix="stack-"))
    home.chmod(0o711)
    yield home
    end(home, ())
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(data: Path, port: int) -> Iterator[Callable[..., Up]]:
    """Start a stack; by default the stub at the test's own port."""
    started: list[Up] = []

    def begin(*command: str, **environ: str) -> Up:
        up = Up(data, *(command or (*STUB, str(port))), **environ)
        started.append(up)
        return up

    yield begin
    end(data, started)
