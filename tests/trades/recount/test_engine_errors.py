"""An error of the engine that books a wrong figure everywhere, consistently, is found: here each is planted.

The recount imports no formula of the engine's. With one that did, every test of this file would find nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Customer
from quotes import quoting
from quotes.quoting import FeeTerms
from tests.accounts.sealing import seal
from tests.given import a_customer, a_cut, a_quote, a_settling_buy, a_trade, btc, btc_at, settles
from tests.trades.engine.rollovers import RolloverEngine, at, rates
from tests.trades.engine_steps import closes, closing, opens, says
from tests.trades.recount.forging import found, named
from trades.margin import pricing
from trades.settlement import membership
from trades.settlement.legs import Net

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    btc_at("42_000.00")
    return a_customer(with_usd="20_000.00")


def planted(monkeypatch: pytest.MonkeyPatch, module: object, name: str, wrong: Callable[[Any], Any]) -> None:
    """The rule, with its result made wrong by `wrong`."""
    right = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args, **named: wrong(right(*args, **named)))


def whole() -> set[tuple[str, str]]:
    """What is found once everything is sealed, of which nothing was tampered with."""
    seal()
    assert named() == set()
    return found()


def test_a_profit_that_is_a_hundredth_too_much(alice: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, pricing, "profit", lambda cents: cents + abs(cents) // 100)
    order = opens(alice)
    btc_at("43_000.00")
    closes(alice, order)

    assert whole() == {("order profit", order.pk.hex)}


def test_a_margin_that_is_rounded_down(alice: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, pricing, "margin_required", lambda cents: cents - 1)
    order = opens(alice, quantity="0.00012345", leverage=7)

    assert whole() == {("order margins", order.pk.hex)}


def test_a_part_that_remembers_too_little(alice: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, pricing, "result", lambda exactly: exactly / 2)
    order = opens(alice, quantity="0.3")
    btc_at("42_001.23")
    parts = [closes(alice, order, "0.1") for _ in range(2)]

    assert {("order results", order.pk.hex), ("part margins", parts[1].pk.hex)} <= whole()


def test_swap_that_is_charged_twice(alice: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, pricing, "swap", lambda exactly: 2 * exactly)
    rates("BTC-USD", "-2.5", "-0.5")
    rollover = RolloverEngine("2026-11-18 12:00")
    order = opens(alice, at("2026-11-18 15:00"))
    rollover.runs(at("2026-11-18 22:00"))
    says(closing(alice, order.code), at("2026-11-19 12:00"))

    assert whole() == {("order nights", order.pk.hex)}


@pytest.mark.parametrize("wanted", [{"receive": 10_000_000}, {"deliver": 10_000}])
@pytest.mark.parametrize("more", [-1, 1])
def test_a_quote_that_is_a_cent_beside_its_price(
    alice: Customer, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, int], more: int
) -> None:
    planted(monkeypatch, quoting, "_worth", lambda cents: cents + more)
    planted(monkeypatch, quoting, "_bought_for", lambda units: units + 1000 * more)
    quote = a_quote(alice, **wanted)

    assert whole() == {("quotes", quote.pk.hex)}


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("given", ["receive", "deliver"])
@pytest.mark.parametrize("fees", [FeeTerms(Decimal(25)), FeeTerms(Decimal("1.5"), 7), None])
def test_quotes_of_every_kind_are_right(alice: Customer, side: str, given: str, fees: FeeTerms | None) -> None:
    for number in range(40):
        btc_at(f"{Decimal(40_000) + number * Decimal('7.13')}")
        amount = (10_000 + 977 * number) if (side == "buy") == (given == "deliver") else (1_000_000 + 77_777 * number)
        a_quote(alice, side, fees=fees, **{given: amount})  # type: ignore[arg-type]

    assert whole() == set()


def test_a_fee_that_nobody_takes(alice: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, quoting, "_fee_on", lambda cents: 0)
    quote = a_quote(alice, receive=btc("0.1"), fees=FeeTerms(Decimal(25)))

    assert whole() == {("quotes", quote.pk.hex)}


def test_a_leg_that_forgets_the_fees(alice: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(
        monkeypatch, membership, "_netted", lambda nets: [Net(it.asset, it.received, it.delivered, 0) for it in nets]
    )
    a_trade(alice, receive=btc("0.1"), fees=FeeTerms(Decimal(25)))
    batch = settles(a_cut())

    assert {check for check, _ in whole()} == {"batch legs"}
    assert batch.state == "completed"


def test_nothing_is_found_without_an_error(alice: Customer) -> None:
    order = opens(alice, quantity="0.3")
    a_settling_buy(alice, btc("0.1"))
    btc_at("42_001.23")
    closes(alice, order, "0.1")
    settles(a_cut())

    assert whole() == set()
