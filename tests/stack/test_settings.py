"""Settings refuse what would go wrong later; the process table follows them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from brokerage.stack.processes import children
from brokerage.stack.where import CHECKOUT

KEYS = {"SECRET_KEY": "s" * 64, "JWT_SIGNING_KEY": "j" * 64}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"SANDBOX": "0", "SECRET_KEY": "", "JWT_SIGNING_KEY": ""}, "SECRET_KEY and JWT_SIGNING_KEY must be set"),
        (KEYS | {"JWT_SIGNING_KEY": "short"}, "JWT_SIGNING_KEY must be at least 32 bytes long"),
        (KEYS | {"BROKER_URL": "unix:///run/valkey.sock"}, "redis+socket:///path?virtual_host=0"),
        (KEYS | {"DATABASE_URL": "sqlite:///db"}, "DATABASE_URL must start with postgres://"),
        (KEYS | {"STOP_OUT_PERCENT": "0"}, "STOP_OUT_PERCENT must be above 0 and below MARGIN_CALL_PERCENT"),
        (KEYS | {"STOP_OUT_PERCENT": "100"}, "STOP_OUT_PERCENT must be above 0 and below MARGIN_CALL_PERCENT"),
        (KEYS | {"MARGIN_CALL_PERCENT": "-1"}, "STOP_OUT_PERCENT must be above 0 and below MARGIN_CALL_PERCENT"),
        (
            KEYS | {"MARGIN_CALL_RELEASE_PERCENT": "-1"},
            "MARGIN_CALL_RELEASE_PERCENT must be at least MARGIN_CALL_PERCENT",
        ),
        (
            KEYS | {"MARGIN_CALL_RELEASE_PERCENT": "99"},
            "MARGIN_CALL_RELEASE_PERCENT must be at least MARGIN_CALL_PERCENT",
        ),
        (KEYS | {"SWAP_TIME": "25:00"}, "SWAP_TIME must be a time of day such as 17:00"),
        (KEYS | {"SWAP_TIME": "five"}, "SWAP_TIME must be a time of day such as 17:00"),
        (KEYS | {"SWAP_ZONE": "Mars/Olympus"}, "SWAP_ZONE must be the name of a time zone"),
        (KEYS | {"SWAP_ZONE": "../etc/passwd"}, "SWAP_ZONE must be the name of a time zone"),
        (KEYS | {"SWAP_ZONE": "America"}, "SWAP_ZONE must be the name of a time zone"),
    ],
)
def test_settings_say_what_is_wrong_with_them(given: dict[str, str], sentence: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import brokerage.settings"],
        cwd=CHECKOUT,
        env={**os.environ, "BROKERAGE_DATA_DIR": str(tmp_path), **given},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert sentence in run.stderr


def test_one_command_runs_the_engines_of_all_partitions_and_without_means_none_of_them() -> None:
    environ = {"ENGINE_PARTITIONS": "3"}
    assert [child.command[-1] for child in children("", 0, environ) if child.name == "engine"] == ["run_engine"]
    assert not [child for child in children("", 0, environ, ["engine"]) if child.name == "engine"]
