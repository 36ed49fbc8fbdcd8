"""The crontab and the systemd units of docs/operations.md, taken from the page and run as they stand there."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import User
from brokerage.stack.where import CHECKOUT
from tests.given import a_customer, a_settling_buy, btc, btc_at, states
from tests.live import environment
from trades.models import SettlementBatch

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = (CHECKOUT / "docs" / "operations.md").read_text()
HOME = "/srv/brokerage"
BLOCK = r"^```{}\n(.*?)^```"


def blocks(kind: str) -> list[str]:
    return re.findall(BLOCK.format(kind), PAGE, re.MULTILINE | re.DOTALL)


def crontab() -> tuple[dict[str, str], list[str]]:
    """The variables, and the commands as cron gives them to the shell: an escaped % is one."""
    variables, commands = {}, []
    for line in blocks("crontab")[0].splitlines():
        name, equals, value = line.partition("=")
        if equals and re.fullmatch(r"[A-Z_]+", name):
            variables[name] = value
        else:
            commands.append(line.split(None, 5)[5].replace(r"\%", "%"))
    return variables, commands


def units() -> dict[str, configparser.ConfigParser]:
    found = {}
    for text in blocks("ini"):
        unit = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",), strict=True)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read_string(text)
        found[text.splitlines()[0].removeprefix("# ")] = unit
    return found


def shell(command: str, variables: dict[str, str], home: Path) -> tuple[int, dict[str, object]]:
    """The exit code and the one object; `home` stands for the page's directory."""
    ended = subprocess.run(
        ["/bin/sh", "-c", command.replace(HOME, str(home))],
        env=environment() | {"SANDBOX": "0", "ALLOWED_HOSTS": "localhost"} | variables | {"BROKERAGE": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = ended.stdout.splitlines()
    assert len(lines) == 1, (command, ended.stdout, ended.stderr)
    return ended.returncode, json.loads(lines[0])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory that is the checkout, and takes the bank's statement as well."""
    for each in CHECKOUT.iterdir():
        (tmp_path / each.name).symlink_to(each)
    return tmp_path


def test_a_night_of_the_crontab_with_the_second_persons_step(home: Path) -> None:
    btc_at("40_000.00")
    alice = a_customer(with_usd="90_000.00")
    for email in ("nightly@firm.example", "ben@firm.example"):
        User.objects.create_user(email, is_staff=True, is_superuser=True)
    bought = a_settling_buy(alice, btc("0.1"))
    (variables, (cut, settle, status, audit, reconcile)) = crontab()

    code, batch = shell(cut, variables, home)
    assert (code, batch["state"], batch["trades"]) == (0, "cut", 1)
    assert shell(cut, variables, home) == (0, {**batch, "nothing": True})  # cron ran it twice
    assert shell(settle, variables, home)[0] == 4
    confirms = (
        f'cd "$BROKERAGE" && .venv/bin/python manage.py batch confirm {batch["guid"]} --by ben@firm.example --json'
    )
    assert shell(confirms, variables, home)[0] == 0
    code, settled = shell(settle, variables, home)
    assert (code, [one["state"] for one in settled["batches"]]) == (0, ["completed"])  # type: ignore[attr-defined]
    assert states(bought) == ["completed"]
    assert SettlementBatch.objects.get().confirmed_by.email == "ben@firm.example"

    assert shell(status, variables, home)[0] == 0
    assert shell(audit, variables, home)[0] == 0
    (home / "statement.csv").write_text("asset,balance\nUSD,1\n")
    code, run = shell(reconcile, variables, home)
    assert (code, run["ok"]) == (1, False)
    assert timezone.now().strftime("%Y-%m-%d") in str(run["as_of"])


def test_the_units_are_units_and_the_service_runs(home: Path, tmp_path: Path) -> None:
    service, timer = units()["brokerage-settle.service"], units()["brokerage-settle.timer"]
    User.objects.create_user("nightly@firm.example", is_staff=True, is_superuser=True)

    assert (service["Service"]["Type"], timer["Timer"]["Persistent"]) == ("oneshot", "true")
    name, _, value = service["Service"]["Environment"].partition("=")
    code, settled = shell(service["Service"]["ExecStart"], {name: value}, home)

    assert (code, settled) == (0, {"batches": [], "nothing": True})
    assert not {"0", "4", "75"} & set(service["Service"]["RestartPreventExitStatus"].split())


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_itself_takes_the_units(home: Path) -> None:
    written = home / "units"
    written.mkdir()
    for text in blocks("ini"):
        body = text.replace(HOME, str(home)).replace("User=brokerage\n", "")
        (written / text.splitlines()[0].removeprefix("# ")).write_text(body)

    run = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(written.iterdir()))], capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr
