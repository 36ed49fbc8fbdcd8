"""Swap is recounted from the nights: whoever changes what they were, or what was open, is found."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.models import Customer, Transfer
from quotes.prices import Price, Prices
from tests.accounts.sealing import seal
from tests.given import a_customer
from tests.trades.engine.rollovers import RolloverEngine, at, rates, swaps
from tests.trades.engine_steps import closing, opens, says
from tests.trades.recount.forging import forged, found, named, unsealed_forged
from trades.models import Order, SwapRun

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    rates("BTC-USD", "-2.5", "-0.5")
    return a_customer(with_usd="10_000.00")


@pytest.fixture
def held(alice: Customer) -> Order:
    """Held over two nights, a third of it over one."""
    rollover = RolloverEngine("2026-11-16 12:00")
    order = opens(alice, at("2026-11-17 15:00"), quantity="0.3")
    rollover.runs(at("2026-11-17 22:00"))
    says(closing(alice, order.code, quantity="0.1"), at("2026-11-18 12:00"))
    rollover.runs(at("2026-11-18 22:00"))
    order.refresh_from_db()
    assert found() == set()
    return order


def held_at(alice: Customer, night: Prices) -> Order:
    """Held over one night, in which its price was another."""
    rollover = RolloverEngine("2026-11-16 12:00")
    order = opens(alice, at("2026-11-17 15:00"), quantity="0.3")
    rollover.runs(night)
    order.refresh_from_db()
    return order


def test_an_opening_set_back_and_nights_removed_are_named_with_what_the_engine_then_charged(alice: Customer) -> None:
    """What passed before: the live engine charged three nights that were never held."""
    RolloverEngine("2026-11-15 12:00")
    rollover = RolloverEngine()
    rollover.runs(at("2026-11-18 22:00"))
    order = opens(alice, at("2026-11-18 23:00"))
    assert found() == set()

    forged("UPDATE trades_order SET opened_at = '2026-11-15 15:00Z' WHERE id = %s", order.pk)
    removed = {run.pk.hex for run in SwapRun.objects.filter(night__gt="2026-11-15")}
    unsealed_forged("DELETE FROM trades_swaprun WHERE night > '2026-11-15'")
    RolloverEngine().runs(at("2026-11-18 23:30"))

    charged = Transfer.objects.filter(kind="order_swap")
    assert (charged.count(), len(swaps(order))) == (3, 3)
    assert named() == removed  # what was charged just now isn't sealed yet
    seal()
    assert named() == {order.pk.hex, *removed}
    assert {("swap movements", transfer.pk.hex) for transfer in charged} <= found()
    assert ("order nights", order.pk.hex) in found()


def test_swap_that_was_accrued_by_nothing_is_found(held: Order) -> None:
    forged("UPDATE trades_order SET swap_accrued = swap_accrued - 0.001 WHERE id = %s", held.pk)

    assert found() == {("order nights", held.pk.hex)}


@pytest.mark.parametrize(
    "change", ["""rates = jsonb_set(rates, '{BTC-USD}', '["-5", "-0.5", 1]')""", """prices = '{"BTC-USD": "50000"}'"""]
)
def test_other_prices_or_rates_of_a_night_are_found_at_the_orders_that_it_charged(held: Order, change: str) -> None:
    forged(f"UPDATE trades_swaprun SET {change} WHERE night = '2026-11-17'")

    assert found() == {("order nights", held.pk.hex)}


def test_a_night_that_says_no_number_ends_no_recount(held: Order) -> None:
    forged("""UPDATE trades_swaprun SET prices = '{"BTC-USD": "much"}', rates = '{"BTC-USD": {"a": 1}}'""")

    assert ("order nights", held.pk.hex) in found()


@pytest.mark.parametrize(
    ("bid", "ask", "middle"),
    [
        ("0.0000002", "0.0000002", "0.0000002"),
        ("0.00000020", "0.00000021", "0.000000205"),
        ("42000.000000000000000000", "42000.000000000000000001", "42000.0000000000000000005"),
    ],
)
def test_a_middle_of_any_size_and_digits_is_recounted(alice: Customer, bid: str, ask: str, middle: str) -> None:
    """Guards: a run writes its prices without exponents, and the recount reads one decimal more than prices have."""
    night = at("2026-11-17 22:00")
    bitcoin = Price("BTC-USD", Decimal(bid), Decimal(ask), night.now)
    order = held_at(alice, Prices(night.now, night.by_symbol | {"BTC-USD": bitcoin}))

    assert {run.prices["BTC-USD"] for run in SwapRun.objects.filter(night="2026-11-17")} == {middle}
    assert order.swap_accrued == Decimal("0.3") * Decimal(middle) * Decimal("-2.5") / 100
    assert found() == set()


def test_a_price_that_was_written_with_an_exponent_is_read(alice: Customer) -> None:
    """Guard: the exponent in `_number`. Runs of before have them."""
    held_at(alice, at("2026-11-17 22:00", btc="0.0000002"))

    forged("""UPDATE trades_swaprun SET prices = '{"BTC-USD": "2.0E-7"}' WHERE night = '2026-11-17'""")

    assert found() == set()


def test_a_night_that_was_removed_is_found(held: Order) -> None:
    after = set(SwapRun.objects.filter(night="2026-11-18").values_list("pk", flat=True))
    moved = Transfer.objects.filter(kind="order_swap", key__endswith="2026-11-17")

    forged("DELETE FROM trades_swaprun WHERE night = '2026-11-17'")

    assert found() == {
        *(("swap nights", pk.hex) for pk in after),
        *(("swap movements", transfer.pk.hex) for transfer in moved),
        ("order nights", held.pk.hex),
    }


@pytest.mark.parametrize(
    ("sql", "check"),
    [
        ("UPDATE trades_swaprun SET started_at = cutoff - interval '1 second' WHERE id = %s", "swap nights"),
        ("UPDATE accounts_transfer SET at = at - interval '1 hour' WHERE id = %s", "swap movements"),
        ("UPDATE trades_deal SET at = '2026-11-17 22:00:01Z' WHERE id = %s", "swap movements"),
        ("UPDATE accounts_transfer SET amount = amount + 1 WHERE id = %s", "swap events"),
    ],
)
def test_a_night_that_began_too_early_or_moved_what_it_may_not_is_found(held: Order, sql: str, check: str) -> None:
    """Guards: the conditions of `_GAPS`, `_MOVED` and `_TOLD`."""
    charged = Transfer.objects.get(kind="order_swap", key__endswith="2026-11-17")
    night = SwapRun.objects.filter(night="2026-11-17").latest("id")
    row = {"trades_swaprun": night.pk, "accounts_transfer": charged.pk, "trades_deal": held.deals.get().pk}

    unsealed_forged(sql, row[sql.split()[1]])

    assert (check, (night if check == "swap nights" else charged).pk.hex) in found()


def test_a_night_at_its_own_rates_to_its_end(alice: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: the run keeps its rates. With the instrument's of just now the two orders would pay differently, and the
    recount could name neither."""
    monkeypatch.setattr("trades.engine.rollover.SLICE", 1)
    rollover = RolloverEngine("2026-11-18 12:00")
    orders = [opens(alice, at("2026-11-18 15:00")) for _ in range(2)]
    rollover.runs_a_slice(at("2026-11-18 22:00"))
    rates("BTC-USD", "-50", "-50")
    rollover.runs(at("2026-11-18 22:00:05"))

    assert [swaps(order)[0][1] for order in orders] == [-105, -105]
    assert found() == set()


def test_what_is_reduced_while_a_night_is_under_way_may_have_been_charged_as_a_whole(
    alice: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard: `most` in `_HELD` has what was taken out since the run began."""
    monkeypatch.setattr("trades.engine.rollover.SLICE", 1)
    rollover = RolloverEngine("2026-11-18 12:00")
    orders = [opens(alice, at("2026-11-18 15:00"), quantity="0.2") for _ in range(2)]
    rollover.runs_a_slice(at("2026-11-18 22:00"))
    for order in orders:
        says(closing(alice, order.code, quantity="0.1"), at("2026-11-18 22:00:01"))
    rollover.runs(at("2026-11-18 22:00:05"))

    assert sorted(swaps(order)[0][1] for order in orders) == [-210, -105]
    assert found() == set()


def test_what_closes_while_a_night_is_under_way_may_have_been_charged_or_not(
    alice: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trades.engine.rollover.SLICE", 1)
    rollover = RolloverEngine("2026-11-18 12:00")
    orders = [opens(alice, at("2026-11-18 15:00"), quantity="0.2") for _ in range(3)]
    rollover.runs_a_slice(at("2026-11-18 22:00"))
    for order in orders[:2]:
        says(closing(alice, order.code), at("2026-11-18 22:00:01"))
    says(closing(alice, orders[2].code, quantity="0.1"), at("2026-11-18 22:00:01"))
    rollover.runs(at("2026-11-18 22:00:05"))

    assert sorted(len(swaps(order)) for order in orders) == [0, 1, 1]
    assert found() == set()
