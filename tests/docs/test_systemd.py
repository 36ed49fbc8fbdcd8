"""The units of systemd run what `manage.py up` runs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from brokerage.stack.processes import Child, children
from brokerage.stack.where import CHECKOUT

UNITS = CHECKOUT / "deploy" / "systemd"
THERE = "/opt/brokerage"
TABLE = children("127.0.0.1", 8000, {}, socket=Path("/run/brokerage/web.sock"))


def as_installed(child: Child) -> str:
    """Its command as it stands in a unit: with the paths of there, HAProxy of the machine, and no warning silenced."""
    words = [*child.command]
    if "-W" in words:
        del words[words.index("-W") : words.index("-W") + 2]
    if child.name == "proxy":
        words[0] = "/usr/sbin/haproxy"
    return shlex.join(words).replace(sys.executable, f"{THERE}/.venv/bin/python").replace(str(CHECKOUT), THERE)


@pytest.mark.parametrize("child", TABLE, ids=lambda child: child.name)
def test_each_process_of_up_is_a_unit_with_the_same_command_that_is_started_again(child: Child) -> None:
    unit = (UNITS / f"brokerage-{child.name}.service").read_text()
    said = dict(re.findall(r"^(?!Environment=)(\w+)=(.*)$", unit, re.MULTILINE))

    assert said["ExecStart"] == as_installed(child)
    assert said["Restart"] == "always"
    assert {"MemoryMax", "TasksMax"} <= set(said)
    for name, value in child.environ.items():
        assert f"Environment={name}={value.replace(str(CHECKOUT), THERE)}\n" in unit


def test_the_target_wants_them_all_and_only_who_changes_or_copies_all_tables_knows_the_owner() -> None:
    (wanted,) = re.findall(r"^Wants=(.+)$", (UNITS / "brokerage.target").read_text(), re.MULTILINE)
    units = {path.name: path.read_text() for path in UNITS.rglob("*") if path.is_file()}

    assert set(wanted.split()) == {f"brokerage-{child.name}.service" for child in TABLE}
    assert {name for name, text in units.items() if "migration_database_url" in text} == {
        "brokerage-migrate.service",
        "brokerage-archive.service",
    }


@pytest.mark.parametrize(
    ("words", "is_owner", "may_copy"),
    [
        (("audit_ledger", "--verify", "a b"), False, False),
        (("migrate",), True, False),
        (("backup", "dump"), True, True),
        (("archive_wal",), True, True),
        (("restore", "/var/backups/brokerage/20261201T020000Z-dump"), True, True),
    ],
)
def test_a_command_by_hand_runs_as_the_units_do(
    words: tuple[str, ...], is_owner: bool, may_copy: bool, tmp_path: Path
) -> None:
    """What systemd is asked for. The unit's name is one that brokerage-.service.d is for."""
    asked = tmp_path / "systemd-run"
    asked.write_text('#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done\nexit 4\n')
    asked.chmod(0o755)

    run = subprocess.run(
        [CHECKOUT / "deploy" / "brokerage-manage", *words],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "BROKERAGE_BY": "night job@firm.example"},
        capture_output=True,
        text=True,
        check=False,
    )

    said = run.stdout.splitlines()
    assert run.returncode == 4, run.stderr
    assert said[-2 - len(words) :] == [f"{THERE}/.venv/bin/python", f"{THERE}/manage.py", *words]
    assert any(re.fullmatch(r"--unit=brokerage-manage-\d+", word) for word in said)
    assert {"--wait", "--collect", "--pipe", "--setenv=BROKERAGE_BY=night job@firm.example"} <= set(said)
    assert any("migration_database_url" in word for word in said) is is_owner
    assert ("--property=ReadWritePaths=-/var/backups/brokerage" in said) is may_copy


def test_the_tables_are_made_after_this_machines_own_servers_are_there() -> None:
    (migrate,) = re.findall(r"^After=(.+)$", (UNITS / "brokerage-migrate.service").read_text(), re.MULTILINE)

    assert {"network-online.target", "postgresql.service", "redis-server.service"} <= set(migrate.split())


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    for path in UNITS.iterdir():
        if path.is_file():
            there = re.sub(r"^(ExecStart(?:Pre)?=)\S+", r"\1/bin/true", path.read_text(), flags=re.MULTILINE)
            (tmp_path / path.name).write_text(there)
    shutil.copytree(UNITS / "brokerage-.service.d", tmp_path / "brokerage-.service.d")

    run = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(path) for path in tmp_path.iterdir() if path.is_file())],
        capture_output=True,
        text=True,
        check=False,
    )

    complaints = [line for line in run.stderr.splitlines() if "brokerage" in line]
    assert complaints == []
