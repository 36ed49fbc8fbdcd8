"""The commands as processes: from a counterparty to completed trades, and a day that is netted."""

from __future__ import annotations

import json
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from brokerage.stack.processes import MANAGE
from tests.commands import ended
from tests.given import a_customer, a_settling_buy, btc, btc_at, states, what_the_audit_finds
from tests.live import environment
from tests.trades.settlement.instructions.bank import csv_line, csv_statement, pays, statement
from tests.trades.settlement.instructions.batches import a_batch, goes_on, of
from tests.trades.settlement.instructions.counterparties import IBAN, OWN_WALLET, the_firm_and_its_provider
from trades.management.bank_files import _write

pytestmark = pytest.mark.django_db(transaction=True)

ANN, BEN = "ann@firm.example", "ben@firm.example"


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MANAGE, *map(str, command)], env=environment(), capture_output=True, text=True, check=False)


def told(*command: object) -> Any:
    done = run(*command, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def agreed(name: str, asset: str, *where: str) -> None:
    proposed = told("counterparty", "propose", name, asset, *where, "--reason", "their letter", "--by", ANN)
    alone = run("counterparty", "approve", proposed["guid"], "--by", ANN)
    assert alone.returncode != 0
    assert "can't approve it" in alone.stderr
    assert told("counterparty", "approve", proposed["guid"], "--by", BEN)["state"] == "approved"


def test_from_a_counterparty_to_completed_trades(tmp_path: Path) -> None:
    for email in (ANN, BEN):
        User.objects.create_user(email, is_staff=True, is_superuser=True)
    the_firm_and_its_provider()
    told("counterparty", "add", "Provider", "--by", ANN)
    agreed("Provider", "USD", "--holder", "Provider", "--iban", IBAN, "--bic", "COBADEFF", "--default")
    btc_at("40_000.00")
    bought = a_settling_buy(a_customer(with_usd="10_000.00"), btc("0.1"))
    batch = a_batch()

    listed = told("instructions", "list")["instructions"]
    assert {one["amount"]["asset"]: one["amount"]["amount"] for one in listed} == {"USD": 400000, "BTC": 10000000}
    order, answer = tmp_path / "order.xml", tmp_path / "answer.xml"
    made = told("instructions", "file", "--batch", batch.pk.hex, "--format", "pain001", "--output", order, "--by", ANN)
    assert made["control_sums"] == [{"amount": 400000, "asset": "USD", "decimals": 2}]
    assert made["repeat"] is False
    again = ["instructions", "file", "--batch", batch.pk.hex, "--format", "pain001", "--by", ANN, "--output"]
    assert "there already" in run(*again, order).stderr
    told(*again, tmp_path / "c.xml", "--repeat")
    assert (tmp_path / "c.xml").read_bytes() == order.read_bytes()

    answer.write_bytes(statement(*pays(order.read_bytes())))
    assert told("instructions", "import", answer, "--dry-run", "--by", ANN)["entries"][0]["state"] == "matched"
    assert told("instructions", "import", answer, "--by", ANN)["entries"][0]["state"] == "matched"
    assert told("instructions", "import", answer, "--by", ANN)["nothing"] is True
    chain = tmp_path / "chain.csv"
    chain.write_bytes(csv_statement(csv_line(OWN_WALLET, "BTC", "0.1", "incoming", "tx-1", "forgotten")))
    (entry,) = told("instructions", "import", chain, "--by", ANN)["entries"]
    assert entry["reason"] == "nothing_named"
    told("instructions", "match", entry["guid"], of(batch, "BTC").reference, "--reason", "seen on chain", "--by", BEN)

    assert goes_on(batch) == "completed"
    assert states(bought) == ["completed"]
    assert what_the_audit_finds() == []
    assert timezone.now() > batch.cut_at


def test_what_can_t_be_read_is_one_line(tmp_path: Path) -> None:
    User.objects.create_user(ANN, is_staff=True, is_superuser=True)
    (tmp_path / "x.xml").write_bytes(b"<Document/>")
    for command in (
        ("instructions", "import", tmp_path / "nowhere", "--by", ANN),
        ("instructions", "import", tmp_path / "x.xml", "--by", ANN),
        ("instructions", "make", "--batch", "x", "--by", ANN),
        ("instructions", "net", "--day", "tomorrow", "--by", ANN),
    ):
        done = run(*command)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr


def test_no_payment_file_is_made_for_a_name_that_can_t_be_written(tmp_path: Path) -> None:
    User.objects.create_user(ANN, is_staff=True, is_superuser=True)
    the_firm_and_its_provider()
    btc_at("40_000.00")
    a_settling_buy(a_customer(with_usd="10_000.00"), btc("0.1"))
    batch = a_batch()
    for output in (tmp_path / ("a" * 300), tmp_path / "nowhere" / "x.xml"):
        given = ("file", "--batch", batch.pk.hex, "--format", "pain001", "--output", str(output), "--by", ANN)
        assert ended("instructions", *given)[0] == 3
    assert of(batch, "USD").state == "made"


def test_half_a_payment_file_is_none(tmp_path: Path) -> None:
    """The disk is full in the middle of it, as a limit of the process has it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            _write(tmp_path / "x.xml", b"<Document/>")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "x.xml").exists()
