"""What docs/operations.md shows of counterparties and instructions, typed in its order, with a bank that answers."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts.models import User
from brokerage.stack.where import CHECKOUT
from tests.commands import ran
from tests.docs.console import Step, is_as_told, steps_in
from tests.given import a_customer, btc, btc_at
from tests.trades.settlement.instructions.bank import Booked, statement
from tests.trades.settlement.instructions.batches import a_window, cut_of, that_morning
from tests.trades.settlement.instructions.counterparties import OWN_BANK, a_counterparty, agreed
from trades.models import SettlementInstruction

pytestmark = pytest.mark.django_db

PAGE = (CHECKOUT / "docs" / "operations.md").read_text()
# What is another one each time: guids, ids of instructions and files, references of payments.
NAMES = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])|(?:SI|PF)[0-9A-Z]{13}|RF[0-9]{2}[0-9A-Z]{12}")


def section(title: str) -> list[Step]:
    start = PAGE.index(f"\n### {title}\n")
    return steps_in(PAGE[start : PAGE.index("\n### ", start + 1)])


def types(step: Step, names: dict[str, str]) -> None:
    """Type a command with the names that it has here, and learn those of its answer."""
    ours, *command = (names.get(word, word) for word in shlex.split(step.command))
    code, text, sentence = ran(*command)
    assert ours == "manage.py"
    begins = {1: "Finding: ", 3: "Refused: ", 4: "Waits for a person: "}.get(code, "")
    lines = [*text.splitlines(), *([f"{begins}{sentence}"] if code else [])]
    answer = "".join(lines)
    assert is_as_told(answer, step.answer), (step.command, answer)
    names |= dict(zip(NAMES.findall(step.answer), NAMES.findall("\n".join(lines)), strict=True))


def test_the_page_s_instructions_are_made_paid_and_carried_forward(tmp_path: Path, monkeypatch) -> None:
    """A day's 8,000.00 USD are paid in part; what is missing goes with the next day's 4,000.00."""
    monkeypatch.chdir(tmp_path)
    for email in ("ann@firm.example", "ben@firm.example"):
        User.objects.create_user(email, is_staff=True, is_superuser=True)
    agreed(a_counterparty("The Firm Ltd", is_own=True), "USD", OWN_BANK, is_default=False)
    btc_at("40_000.00")
    alice, window = a_customer(with_usd="90_000.00"), a_window(netting="day", carries_forward=True)

    def a_day(hour: int, bought: str) -> None:
        that_morning(alice, receive=btc(bought))
        cut_of(window, hour)

    def the_bank_answers() -> None:
        one = SettlementInstruction.objects.get(payment_file__isnull=False)
        (tmp_path / "statement.xml").write_bytes(statement(Booked(one.reference, "5000.00", "7100042")))

    before: dict[str, Callable[[], None]] = {
        "instructions net --day 2026-03-04": lambda: a_day(10, "0.2"),
        "instructions import statement.xml --dry-run": the_bank_answers,
        "instructions net --day 2026-03-05": lambda: a_day(34, "0.1"),
    }
    names: dict[str, str] = {}
    for step in section("Counterparties") + section("Instructions, payment files, statements"):
        for begins, does in list(before.items()):
            if step.command.startswith(f"manage.py {begins}"):
                does()
                del before[begins]
        types(step, names)

    assert before == {}
