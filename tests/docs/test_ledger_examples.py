"""docs/ledger.md, played through the real services: the page's numbers are the only ones."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from accounts import services
from accounts.models import Asset, Customer, LedgerAccount, Transfer
from quotes.quoting import FeeTerms
from tests.docs.ledger_page import Example, Told, examples, number
from tests.given import (
    a_customer,
    a_trade,
    an_exit_quote,
    balance,
    btc,
    btc_at,
    executes,
    settle_everything,
    stores,
    what_the_audit_finds,
)
from tests.trades.orders.engine_room import closing, opens, tick
from trades.models import SettlementBatch, Trade

CHECKOUT = Path(__file__).resolve().parents[2]
AMOUNT = r"(?P<amount>[\d,.]+) (?P<asset>[A-Z]{3})"


class Player:
    """Does what a story's lines say. `named` holds what the page calls by a letter."""

    def __init__(self) -> None:
        self.people: dict[str, Customer] = {}
        self.named: dict[str, str] = {"start": UUID(int=0).hex}
        self.trades: dict[str, Trade] = {}

    def who(self, name: str) -> Customer:
        if name not in self.people:
            self.people[name] = a_customer(name)
        return self.people[name]

    def play(self, line: str) -> None:
        for pattern, does in self.verbs():
            if said := re.fullmatch(pattern, line):
                does(**said.groupdict())
                return
        raise AssertionError(f"nobody knows how to do: {line}")

    def verbs(self) -> list[tuple[str, Callable[..., None]]]:
        return [
            (rf"(?P<who>\w+) has {AMOUNT}", self._has),
            (rf"(?P<who>\w+) deposits {AMOUNT} under the key (?P<key>\S+)", self._deposits),
            (rf"(?P<who>\w+) withdraws {AMOUNT} under the key (?P<key>\S+)", self._withdraws),
            (
                r"(?P<who>\w+) opens (?P<name>\w): (?P<side>buy|sell) (?P<quantity>\S+) (?P<symbol>\S+)"
                r" at (?P<price>\S+), leverage (?P<leverage>\d+)",
                self._opens,
            ),
            (r"(?P<who>\w+) closes (?P<name>\w) at (?P<price>\S+)", self._closes),
            (
                r"(?P<who>\w+) (?P<side>buy|sell)s (?P<name>\w): (?P<quantity>\S+) BTC at (?P<price>\S+),"
                r" fee (?P<percent>\S+) %",
                self._trades,
            ),
            (r"(?P<who>\w+) exits (?P<original>\w) as (?P<name>\w) at (?P<price>\S+)", self._exits),
            (r"everything that is settling is cut into batch (?P<name>\w) and settled", self._settles),
        ]

    def _has(self, who: str, amount: str, asset: str) -> None:
        self._deposits(who, amount, asset, f"before:{asset}")

    def _deposits(self, who: str, amount: str, asset: str, key: str) -> None:
        units = base_units(f"{amount} {asset}")
        assert services.deposit(self.who(who), asset, units, key, timezone.now(), "test")

    def _withdraws(self, who: str, amount: str, asset: str, key: str) -> None:
        units = base_units(f"{amount} {asset}")
        assert services.withdraw(self.who(who), asset, units, key, timezone.now(), "test")

    def _opens(self, who: str, name: str, side: str, quantity: str, symbol: str, price: str, leverage: str) -> None:
        btc_at(price.replace(",", ""))
        order = opens(self.who(who), symbol=symbol, type=side, quantity=quantity, leverage=int(leverage))
        self.named[name] = order.code

    def _closes(self, who: str, name: str, price: str) -> None:
        btc_at(price.replace(",", ""))
        (told,) = tick(closing(self.who(who), self.named[name]))
        assert told.status == 200, told.text

    def _trades(self, who: str, side: str, name: str, quantity: str, price: str, percent: str) -> None:
        btc_at(price.replace(",", ""))
        given: Any = {"receive" if side == "buy" else "deliver": btc(quantity)}
        self._settling(name, a_trade(self.who(who), side, fees=FeeTerms(number(percent) * 100), **given))

    def _exits(self, who: str, original: str, name: str, price: str) -> None:
        btc_at(price.replace(",", ""))
        trade = executes(an_exit_quote(self.trades[original]))
        stores(trade)
        assert trade.customer_id == self.who(who).pk
        self._settling(name, trade)

    def _settling(self, name: str, trade: Trade) -> None:
        assert trade.state == "settling", trade.failure_code
        self.trades[name], self.named[name] = trade, trade.pk.hex

    def _settles(self, name: str) -> None:
        batch: SettlementBatch = settle_everything()
        assert batch.state == "completed"
        self.named[name] = batch.pk.hex


def base_units(text: str) -> int:
    """`4,000.00 USD` in the asset's base units."""
    amount, code = text.split()
    return int(number(amount).scaleb(Asset.objects.get(pk=code).decimals))


def owner_of(account: LedgerAccount, customer: Customer, people: dict[str, Customer]) -> str:
    """The page's name of an account: whose it is, and its type."""
    if account.customer_id is None:
        assert account.bucket == customer.partition, "a house account of another bucket"
        return f"house `{account.type}`"
    (name,) = [name for name, somebody in people.items() if somebody.pk == account.customer_id]
    return f"{name} `{account.type}`"


def said(transfer: Transfer, people: dict[str, Customer]) -> tuple[str, str, str, int, str, str]:
    """A transfer in the page's words."""
    (customer,) = [somebody for somebody in people.values() if somebody.pk == transfer.customer_id]
    return (
        transfer.kind,
        owner_of(transfer.debit_account, customer, people),
        owner_of(transfer.credit_account, customer, people),
        int(transfer.amount),
        transfer.asset_id,
        transfer.key,
    )


def expected(told: Told, named: dict[str, str]) -> tuple[str, str, str, int, str, str]:
    return (
        told.kind,
        told.debit,
        told.credit,
        base_units(told.amount),
        told.amount.split()[1],
        told.key.format(**named),
    )


@pytest.mark.django_db
@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.title)
def test_the_story_moves_what_the_page_says_and_nothing_else(example: Example) -> None:
    player = Player()
    for line in example.story[:-1]:
        player.play(line)
    before = set(Transfer.objects.values_list("pk", flat=True))

    player.play(example.story[-1])

    moved = Transfer.objects.exclude(pk__in=before).select_related("debit_account", "credit_account")
    assert sorted(said(transfer, player.people) for transfer in moved) == sorted(
        expected(told, player.named) for told in example.transfers
    )
    assert example.balances, "the page doesn't say what is left"
    for who, type_, amount in example.balances:
        assert balance(player.who(who), type_, amount.split()[1]) == base_units(amount), f"{who} {type_}"
    assert what_the_audit_finds() == []


# --- the page is complete --------------------------------------------------------------------------

KIND = re.compile(r"(?:order|trade)_[a-z_]+|deposit|withdrawal")


def product_modules() -> list[Path]:
    apps = ("accounts", "quotes", "trades", "brokerage")
    return [path for app in apps for path in (CHECKOUT / app).rglob("*.py") if "migrations" not in path.parts]


def writers() -> dict[str, ast.Module]:
    """The modules that make movements, besides the ledger itself."""
    found = {}
    for path in product_modules():
        tree = ast.parse(path.read_text())
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        called = {getattr(call, "attr", getattr(call, "id", "")) for call in calls}
        if called & {"Movement", "post_selected"}:
            found[str(path.relative_to(CHECKOUT))] = tree
    found.pop("accounts/ledger.py", None)
    return found


def test_every_kind_of_movement_in_the_code_has_an_example_and_no_example_is_of_a_kind_that_is_gone() -> None:
    in_code = {
        node.value
        for tree in writers().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and KIND.fullmatch(node.value)
    }

    on_page = {told.kind for example in examples() for told in example.transfers}

    assert in_code == on_page


def test_only_the_modules_that_this_page_was_written_from_make_movements() -> None:
    assert sorted(writers()) == [
        "accounts/services/funding.py",
        "trades/orders/apply.py",
        "trades/settlement/settle.py",
        "trades/spot/money.py",
    ]
