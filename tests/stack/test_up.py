"""What the operator of `manage.py up` relies on, with real servers and processes of a few lines each."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from brokerage.stack.pids import process
from brokerage.stack.where import CHECKOUT
from tests.stack.running import STUB, Up, eventually, everyone_of

FIND_SERVERS = (sys.executable, "-c", "from brokerage.stack.where import embedded_urls; print(sorted(embedded_urls()))")


def order_of(log: str) -> list[str]:
    return [line.rpartition(" ")[2] for line in log.splitlines() if "up       | stopping " in line]


def test_it_starts_says_when_it_is_ready_and_stops_in_order(start: Callable[..., Up], data: Path, port: int) -> None:
    up = start()
    up.says(f"API http://127.0.0.1:{port}/")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
        assert answer.status == 200

    up.signal(signal.SIGTERM)

    assert up.ends() == 0
    assert order_of(up.log) == ["web", "feed", "worker", "engine", "valkey", "postgres"]
    assert up.lines[-1].endswith("everything is stopped")
    assert everyone_of(data) == {}
    assert not (data / "stack.json").exists()


def test_no_process_is_told_who_owns_the_tables(start: Callable[..., Up]) -> None:
    up = start()
    up.says("ready after")

    for name in ("web", "feed", "worker", "engine"):
        told = Path(f"/proc/{up.child(name)}/environ").read_bytes().split(b"\0")
        assert [value for value in told if value.startswith(b"DATABASE_URL=postgres://brokerage_app@")], name
        assert not [value for value in told if value.startswith(b"MIGRATION_DATABASE_URL=")], name


def test_two_ctrl_cs_stop_it_as_one_does(start: Callable[..., Up], data: Path) -> None:
    up = start()
    up.says("ready after")

    up.signal(signal.SIGINT)
    up.says("stopping web")
    up.signal(signal.SIGINT)

    assert up.ends() == 0
    assert order_of(up.log)[-1] == "postgres"
    assert everyone_of(data) == {}


def test_stopped_while_it_starts_it_leaves_nothing(start: Callable[..., Up], data: Path) -> None:
    up = start(SLOW_STEP="60")
    up.says("migrating slowly")

    up.signal(signal.SIGTERM)

    assert up.ends() == 0
    assert everyone_of(data) == {}


def test_a_step_that_fails_stops_everything_with_one_clear_line(start: Callable[..., Up], data: Path) -> None:
    up = start(FAIL_STEP="1")

    assert up.ends() == 1
    assert up.lines[-1] == "migrate failed with exit status 3"
    assert everyone_of(data) == {}


def test_a_killed_stack_is_taken_over_by_the_next_start(start: Callable[..., Up], data: Path) -> None:
    killed = start()
    killed.says("ready after")
    servers = {name: killed.child(name) for name in ("postgres", "valkey")}
    others = {name: killed.child(name) for name in ("web", "feed", "worker", "engine")}
    killed.signal(signal.SIGKILL)
    killed.ends()

    up = start()
    up.says("ready after")

    assert {name: up.child(name) for name in servers} == servers
    assert "postgres was still running: adopted" in up.log
    assert all(process(pid) is None for pid in others.values())
    up.signal(signal.SIGTERM)
    assert up.ends() == 0
    assert everyone_of(data) == {}


def test_a_child_that_dies_is_started_again_and_said_so(start: Callable[..., Up]) -> None:
    up = start()
    up.says("ready after")
    first = up.child("engine")
    seen = len(up.lines)

    os.kill(first, signal.SIGKILL)

    up.says("engine was killed by SIGKILL; starting it again in 0.5 s")
    up.says("matching on", after=seen)
    assert up.child("engine") != first


def test_a_child_that_keeps_dying_is_started_ever_more_slowly(start: Callable[..., Up]) -> None:
    up = start(BROKEN_FEED="1")

    for pause in ("0.5", "1", "2"):
        up.says(f"feed ended with exit status 7; starting it again in {pause} s")


def test_a_killed_postgres_is_started_again(start: Callable[..., Up], data: Path) -> None:
    up = start()
    up.says("ready after")

    os.kill(up.child("postgres"), signal.SIGKILL)

    up.says("postgres ended by itself; starting it again in 0.5 s")
    up.says("postgres is ready again")
    assert "postgres" in "".join(everyone_of(data).values())


def test_a_taken_port_is_one_clear_line(start: Callable[..., Up], data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        up = start(*STUB, str(port))

        assert up.ends() == 1
    assert len(up.lines) == 1
    assert up.lines[0].startswith(f"Port {port} is taken; choose another with PORT=")
    assert everyone_of(data) == {}


def test_a_second_one_beside_it_is_refused(start: Callable[..., Up], port: int) -> None:
    first = start()
    first.says("ready after")

    second = start()

    assert second.ends() == 1
    assert second.lines == [f"It runs already: pid {first.process.pid} at http://127.0.0.1:{port}."]
    assert first.process.poll() is None


def test_other_commands_find_its_servers_while_they_run_and_only_then(start: Callable[..., Up]) -> None:
    up = start()
    up.says("ready after")
    beside = start(*FIND_SERVERS)
    assert beside.ends() == 0
    assert beside.lines == ["['DATABASE_URL', 'MIGRATION_DATABASE_URL', 'REDIS_URL']"]

    state = (up.data / "stack.json").read_bytes()
    up.signal(signal.SIGTERM)
    up.ends()
    (up.data / "stack.json").write_bytes(state)

    alone = start(*FIND_SERVERS)
    assert alone.ends() == 0
    assert alone.lines == ["[]"]


def test_a_server_that_the_environment_names_is_not_started(start: Callable[..., Up], data: Path) -> None:
    up = start(REDIS_URL="redis://localhost:1/0")
    up.says("matching on redis://localhost:1/0")
    up.says("ready after")

    assert "valkey" not in "".join(everyone_of(data).values())


def test_its_log_names_whose_line_it_is_without_colours_in_a_pipe(start: Callable[..., Up]) -> None:
    up = start()

    line = up.says("matching on")
    assert time.strptime(line[:8], "%H:%M:%S")
    assert line[8:].startswith(" engine   | matching on unix:///")
    assert "\x1b" not in up.log


def test_an_ordinary_user_needs_nothing_installed(data: Path, port: int) -> None:
    """Neither root, nor psql or redis on the PATH, nor a home directory."""
    user, python = _ordinary_user(), _python_for_everyone()
    checkout = data / "checkout"
    for package in ("brokerage", "tests"):
        shutil.copytree(CHECKOUT / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__"))
    own = checkout / "data"
    own.mkdir()
    if user:
        for path in (checkout, own):
            shutil.chown(path, user["user"], user["group"])
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    environ = {"PATH": "/nonexistent", "HOME": "/nonexistent", "PYTHONPATH": f"{checkout}:{packages}"}

    up = Up(own, python, "-m", "tests.stack.stub", str(port), cwd=checkout, user=user, **environ)
    try:
        up.says("ready after")
        owner = Path(f"/proc/{up.child('postgres')}").stat().st_uid
        assert owner == (user["user"] if user else os.getuid())
        up.signal(signal.SIGTERM)
        assert up.ends() == 0
        assert everyone_of(own) == {}
    finally:
        if up.process.poll() is None:
            up.process.kill()


def test_the_database_outlives_a_restart(start: Callable[..., Up]) -> None:
    for _ in range(2):
        up = start()
        up.says("ready after")
        url = _database_url(up)
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS starts (at timestamptz)")
            connection.execute("INSERT INTO starts VALUES (now())")
            (starts,) = connection.execute("SELECT count(*) FROM starts").fetchone() or (0,)
        up.signal(signal.SIGTERM)
        up.ends()
    assert starts == 2


def _database_url(up: Up) -> str:
    from brokerage.stack.where import read_state

    return str(read_state(up.data)["MIGRATION_DATABASE_URL"])


def _ordinary_user() -> dict[str, object]:
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _python_for_everyone() -> str:
    """An interpreter that an ordinary user can run: the environment's may live in root's home."""
    fit = "import sys; sys.exit(sys.version_info[:2] != " + repr(sys.version_info[:2]) + ")"
    for python in (sys.executable, "/usr/bin/python3", f"/usr/bin/python3.{sys.version_info[1]}"):
        try:
            if subprocess.run([python, "-c", fit], check=False, cwd="/", **_ordinary_user()).returncode == 0:  # type: ignore[call-overload]
                return python
        except OSError:
            continue
    pytest.skip("no interpreter here that an ordinary user can run")


def test_no_process_of_a_killed_stack_outlives_it_for_long(start: Callable[..., Up]) -> None:
    """On Linux the children are told to stop when the parent dies, even if nobody ever starts it again."""
    up = start()
    up.says("ready after")
    web = up.child("web")

    up.signal(signal.SIGKILL)
    up.ends()

    assert eventually(lambda: process(web) is None, 5)
