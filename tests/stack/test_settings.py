"""Settings refuse what would go wrong later; the process table follows them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts.management.exits import Exit
from brokerage.environment import Environment
from brokerage.management.commands.up import _refuse_metrics_at, environ_of
from brokerage.stack.failure import StackError
from brokerage.stack.processes import NAMES, children, metrics_port
from brokerage.stack.system import System
from brokerage.stack.where import CHECKOUT
from tests.stack.running import free_port

KEYS = {"SECRET_KEY": "s" * 64, "JWT_SIGNING_KEY": "j" * 64}
GOOD = {"SANDBOX": "0", "SECRET_KEY": "secret key " * 6, "JWT_SIGNING_KEY": "signing key " * 6}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"SANDBOX": "0", "SECRET_KEY": "", "JWT_SIGNING_KEY": ""}, "SECRET_KEY and JWT_SIGNING_KEY must be set"),
        (GOOD | {"SECRET_KEY": "a"}, "SECRET_KEY must have at least 50 characters, 5 different ones"),
        (GOOD | {"SECRET_KEY": "ab" * 40}, "SECRET_KEY must have at least 50 characters, 5 different ones"),
        (
            GOOD | {"SECRET_KEY": "django-insecure-" + GOOD["SECRET_KEY"]},
            "SECRET_KEY must have at least 50 characters, 5 different ones",
        ),
        (GOOD | {"JWT_SIGNING_KEY": "ab" * 40}, "JWT_SIGNING_KEY must have at least 5 different characters"),
        (KEYS | {"LIMIT_LOGIN_ACCOUNT": "ten"}, "'ten' is no limit such as 10/minute;50/hour"),
        (KEYS | {"LIMIT_CUSTOMER": "1/second;2/hour"}, "must be one limit such as 600/minute"),
        (KEYS | {"WEB_WORKERS": "many"}, "WEB_WORKERS can't be read: "),
        (KEYS | {"WEB_WORKERS": "0"}, "WEB_WORKERS must be at least 1"),
        (KEYS | {"PASSWORD_HASHES_AT_ONCE": "0"}, "PASSWORD_HASHES_AT_ONCE must be at least 1"),
        (KEYS | {"JWT_SIGNING_KEY": "short"}, "JWT_SIGNING_KEY must be at least 32 bytes long"),
        (KEYS | {"ALERT_URL": "https://watch.example/one"}, "ALERT_URL must be an address with {} in it"),
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
    """Guard for what can't be read: `ImproperlyConfigured` in `Environment`."""
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


@pytest.mark.parametrize("name", [name for name in NAMES if name != "proxy"])
def test_every_process_says_what_is_wrong_with_its_settings_in_one_line(name: str, tmp_path: Path) -> None:
    """Guards: `with_good_settings` in manage.py, `brokerage.web` and `brokerage.background`. Without it: tracebacks, of
    the web process again and again, and code 1."""
    command = next(child.command for child in children("127.0.0.1", free_port(), {}) if child.name == name)
    run = subprocess.run(
        command,
        cwd=CHECKOUT,
        env={**os.environ, **KEYS, "BROKERAGE_DATA_DIR": str(tmp_path), "SWAP_TIME": "five"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.stderr == "Settings: SWAP_TIME must be a time of day such as 17:00.\n"
    assert run.stdout == ""
    assert run.returncode == Exit.SETTINGS


@pytest.mark.parametrize(("given", "is_demanded"), [(GOOD, "True"), (KEYS, "False")])
def test_a_second_factor_is_demanded_by_itself_where_it_matters(given, is_demanded, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import brokerage.settings as s; print(s.SECOND_FACTOR)"],
        cwd=CHECKOUT,
        env={**os.environ, "BROKERAGE_DATA_DIR": str(tmp_path), **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == is_demanded


@pytest.mark.parametrize("by", ["environment", "file"])
def test_a_value_that_begins_with_a_dollar_is_that_value(by: str, tmp_path: Path) -> None:
    """Guard: `Environment`. django-environ took the rest for another variable's name, and its value for the secret."""
    secret = "$JWT_SIGNING_KEY" + "x" * 50
    said = {"SECRET_KEY": secret, "JWT_ISSUER": "$PATH", "BROKERAGE_BY": "$HOME"}
    (tmp_path / "file").write_text("".join(f"{name}={value}\n" for name, value in said.items()))
    script = (
        "import environ; read = environ.Env.read_env\n"
        f"environ.Env.read_env = classmethod(lambda *_: read({str(tmp_path / 'file')!r}))\n"
        "from brokerage import settings as s; print(s.SECRET_KEY, s.SIMPLE_JWT['ISSUER'], s.BROKERAGE_BY)"
    )
    clean = {name: value for name, value in os.environ.items() if name not in said}
    run = subprocess.run(
        [sys.executable, "-c", script if by == "file" else script.splitlines()[-1]],
        cwd=CHECKOUT,
        env={**clean, "BROKERAGE_DATA_DIR": str(tmp_path), **(said if by == "environment" else {})},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [secret, "$PATH", "$HOME"]


@pytest.mark.parametrize(
    ("content", "beside", "sentence"),
    [
        (None, "", "SECRET_KEY_FILE: {} can't be read: No such file or directory."),
        (b"\n", "", "SECRET_KEY_FILE: {} is empty."),
        (b"one\ntwo\n", "", "SECRET_KEY_FILE: {} has more than one line."),
        (b"one\n\n", "", "SECRET_KEY_FILE: {} has more than one line."),
        (b"\xff\xfe", "", "SECRET_KEY_FILE: {} is no text."),
        (b"s" * 64, "s" * 64, "SECRET_KEY and SECRET_KEY_FILE are both set: one of them has to go."),
        (b"$JWT_SIGNING_KEY in a file\r\n", "", ""),
        (b"\xef\xbb\xbf$JWT_SIGNING_KEY in a file", "", ""),
    ],
)
def test_a_secret_in_a_file_is_what_stands_there_or_one_line_says_why_not(
    content: bytes | None, beside: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard for both: the first `raise` of `Environment.secret`."""
    place = tmp_path / "secret"
    if content is not None:
        place.write_bytes(content)
    monkeypatch.setenv("SECRET_KEY", beside)
    monkeypatch.setenv("SECRET_KEY_FILE", str(place))

    if sentence:
        with pytest.raises(ImproperlyConfigured) as refused:
            Environment().secret("SECRET_KEY")
        assert str(refused.value) == sentence.format(place)
    else:
        assert Environment().secret("SECRET_KEY") == "$JWT_SIGNING_KEY in a file"


def test_a_command_whose_secret_is_missing_ends_with_one_line(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=CHECKOUT,
        env={"BROKERAGE_DATA_DIR": str(tmp_path), "DATABASE_URL_FILE": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stdout) == (78, "")
    none = tmp_path / "none"
    assert run.stderr == f"Settings: DATABASE_URL_FILE: {none} can't be read: No such file or directory.\n"


def test_up_starts_no_server_of_its_own_where_a_file_names_one(tmp_path: Path) -> None:
    """Guard: `_FILE` in `System._start_servers`."""
    named = {"DATABASE_URL_FILE": "/run/secrets/a", "REDIS_URL_FILE": "/run/secrets/b"}

    assert System(tmp_path, "127.0.0.1", 1, (), environ=named)._start_servers() == {}


def test_one_command_runs_the_engines_of_all_partitions_and_without_means_none_of_them() -> None:
    environ = {"ENGINE_PARTITIONS": "3"}
    assert [child.command[-1] for child in children("", 0, environ) if child.name == "engine"] == ["run_engine"]
    assert not [child for child in children("", 0, environ, ["engine"]) if child.name == "engine"]


def test_the_stream_listens_one_above_the_api_unless_another_port_is_named() -> None:
    def port_of(environ: dict[str, str]) -> str:
        return next(child.command[-1] for child in children("", 9_000, environ) if child.name == "stream")

    assert (port_of({}), port_of({"STREAM_PORT": "7000"})) == ("9001", "7000")


def test_the_exporter_listens_two_above_the_api_unless_another_port_is_named() -> None:
    assert (metrics_port(9_000, {}), metrics_port(9_000, {"METRICS_PORT": "7000"})) == ("9002", "7000")
    assert environ_of("127.0.0.1", 9_002)["METRICS_PORT"] == "9002"


@pytest.mark.parametrize(
    ("said", "code", "sentence"),
    [
        ("none", 2, "Usage: STREAM_PORT must be a number from 1 to 65535, not 'none'."),
        ("taken", 3, "Refused: Port {} is taken; choose another with STREAM_PORT="),
    ],
)
def test_a_port_that_the_stream_cant_have_is_one_clear_line(
    said: str, code: int, sentence: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        run = subprocess.run(
            [sys.executable, "manage.py", "up", "--port", str(free_port())],
            cwd=CHECKOUT,
            env={
                **os.environ,
                "BROKERAGE_DATA_DIR": str(tmp_path),
                "STREAM_PORT": number if said == "taken" else said,
                "METRICS_PORT": "0",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    assert run.returncode == code
    assert (run.stdout + run.stderr).startswith(sentence.format(number))


@pytest.mark.parametrize(("name", "number"), [("PORT", 7_000), ("STREAM_PORT", 7_059)])
def test_no_process_tells_metrics_where_another_one_listens(name: str, number: int) -> None:
    """Guard: `_refuse_metrics_at`. The stream would be started again and again, and `up` would say ready."""
    _refuse_metrics_at({"PORT": 6_999, "STREAM_PORT": 7_060}, 7_000)
    _refuse_metrics_at({name: number}, None)
    with pytest.raises(StackError, match=f"{name} {number} is one of the 60 ports from METRICS_PORT 7000 on"):
        _refuse_metrics_at({name: number}, 7_000)


@pytest.mark.parametrize(
    ("host", "sandbox", "said", "found"),
    [
        ("127.0.0.1", True, None, "127.0.0.1/32"),
        ("::1", True, None, "127.0.0.1/32"),
        ("0.0.0.0", True, None, None),
        ("192.0.2.1", True, None, None),
        ("127.0.0.1", False, None, None),
        ("127.0.0.1", True, "", ""),
        ("127.0.0.1", True, "10.0.0.1/32", "10.0.0.1/32"),
    ],
)
def test_webhooks_go_to_this_machine_where_only_it_calls_a_sandbox_and_nothing_else_is_said(
    monkeypatch: pytest.MonkeyPatch, settings: Any, host: str, sandbox: bool, said: str | None, found: str | None
) -> None:
    settings.SANDBOX = sandbox
    name = "WEBHOOK_ALLOWED_NETWORKS"
    monkeypatch.delenv(name, raising=False)
    if said is not None:
        monkeypatch.setenv(name, said)
    assert environ_of(host).get(name) == found
