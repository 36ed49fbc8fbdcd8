"""What positions against each other reserve where the instrument has it so: the margin of the larger side."""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from accounts.errors import Malformed
from accounts.ledger import MARGIN
from accounts.models import Customer
from quotes import prices, symbols
from quotes.models import Instrument
from tests.given import a_customer, balance, btc_at, deposit, price_at, usd, what_the_audit_finds
from tests.sizes import size
from tests.trades.corrections.staff import a_member_of_staff
from tests.trades.engine_steps import (
    applied,
    became,
    cash,
    closes,
    closing,
    closing_all,
    drawn,
    fires,
    firing,
    judges,
    judging,
    moved,
    now,
    opening,
    opens,
    places,
    refused,
    says,
    tick,
)
from tests.trades.recount.forging import unsealed_forged
from trades.admin.margin_levels import figures_of as figures_of_a_page
from trades.admin.order_events import account_currency
from trades.instruments import change
from trades.margin.levels import reaches
from trades.models import MarginAccount, Order
from trades.reads import exposure
from trades.reads.figures import figures, shown_figures

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


def larger_side(symbol: str = "BTC-USD", term: str = "larger_side") -> None:
    Instrument.objects.filter(pk=symbol).update(hedged_margin=term)
    symbols.forget()


@pytest.fixture(autouse=True)
def _at_forty_thousand() -> None:
    """A whole bitcoin with leverage 100 has a margin of 400.00."""
    larger_side()
    btc_at("40_000.00")


def buys(by: Customer, quantity: str = "1", **wanted: Any) -> Order:
    return opens(by, quantity=quantity, **({"leverage": 100} | wanted))


def sells(by: Customer, quantity: str = "1", **wanted: Any) -> Order:
    return buys(by, quantity, type="sell", **wanted)


def hedged(by: Customer) -> int:
    return int(MarginAccount.objects.get(customer=by).hedged)


def reserved(by: Customer) -> int:
    return balance(by, MARGIN)


# --- opening -----------------------------------------------------------------------------------------


def test_both_sides_reserve_the_margin_of_the_larger_one() -> None:
    """Guard: `hedging.opens`. Each order keeps its margin."""
    alice = a_customer(with_usd="1_000.00")
    orders = [buys(alice), sells(alice, "0.5"), sells(alice, "1.5"), buys(alice, "0.25")]

    assert [order.margin for order in orders] == [usd("400"), usd("200"), usd("600"), usd("100")]
    assert (reserved(alice), hedged(alice)) == (usd("800.00"), usd("500.00"))
    assert moved(alice) == [
        ("order_margin", usd("400.00")),
        ("order_margin_hedged", usd("200.00")),
        ("order_margin", usd("200.00")),
        ("order_margin_hedged", usd("200.00")),
        ("order_margin", usd("600.00")),
        ("order_margin_hedged", usd("100.00")),
        ("order_margin", usd("100.00")),
    ]


def test_as_it_comes_both_sides_are_reserved_whole() -> None:
    larger_side(term="full")
    alice = a_customer(with_usd="1_000.00")
    buys(alice), sells(alice)
    assert reserved(alice) == usd("800.00")
    assert "order_margin_hedged" not in dict(moved(alice))
    assert Instrument._meta.get_field("hedged_margin").default == "full"


def test_other_symbols_and_other_customers_hedge_nothing() -> None:
    """Guard: the sides are of one symbol, and of one customer."""
    larger_side("ETH-USD")
    price_at("ETH-USD", "2_000.00")
    alice, bob = a_customer(with_usd="1_000.00"), a_customer(with_usd="1_000.00")
    buys(alice), sells(bob)
    sells(alice, "10", symbol="ETH-USD")
    assert (reserved(alice), reserved(bob)) == (usd("600.00"), usd("400.00"))


def test_an_opening_needs_what_is_more_on_the_larger_side() -> None:
    alice = a_customer(with_usd="700.00")
    buys(alice)
    assert refused(opening(alice, type="sell", quantity="1.76", leverage=100)) == (
        "Insufficient balance. Required: $704.00, Available: $700.00"
    )
    sells(alice, "1.75")
    assert (balance(alice), reserved(alice), hedged(alice)) == (0, usd("700.00"), usd("400.00"))


def test_what_has_been_lost_is_taken_off_what_a_hedge_may_be_paid_with() -> None:
    """Guard: `covered` is spent after losses. Else a hedge costs nothing, whatever was lost: with the losing half
    closed, its other half would stand there with a margin that nobody has paid."""
    alice = a_customer(with_usd="500.00")
    bought = buys(alice)
    btc_at("39_800.00")  # 200.00 are lost, and 100.00 were free

    assert refused(opening(alice, type="sell", quantity="1", leverage=100)) == (
        "Insufficient balance. Required: $398.00, Available: $300.00"
    )
    sold = sells(alice, "0.75")
    closes(alice, bought)
    assert (now(sold).status, reserved(alice), drawn(alice)) == ("OPEN", usd("298.50"), 0)


def test_the_margin_level_after_an_opening_is_that_of_the_larger_side() -> None:
    """Guard: `more` in `_refuse_stopped_out_at_once`. The spread takes 200.00 of each; if both margins were used the
    level would be 31 %."""
    alice, bob = a_customer(with_usd="650.00"), a_customer(with_usd="600.00")
    btc_at("40_000.00", "40_200.00")
    buys(alice), buys(bob)
    sells(alice)
    assert figures(alice.pk, prices.latest()).level == Decimal("62.19")
    assert refused(opening(bob, type="sell", quantity="1", leverage=100)).startswith(
        "The margin level would be 49.75% at 40200.00"
    )


def test_a_pending_order_opens_beside_what_stands_against_it() -> None:
    alice = a_customer(with_usd="400.00")
    buys(alice)
    waiting = places(alice, "sell limit", "40100", quantity="0.5", leverage=100)
    btc_at("40_100.00")
    fires(waiting)
    assert became(waiting) == ("OPEN", "")
    assert (reserved(alice), hedged(alice)) == (usd("400.00"), usd("200.50"))


def test_orders_of_one_tick_see_each_other() -> None:
    alice = a_customer(with_usd="800.00")
    first = buys(alice)
    both = {"quantity": "1", "leverage": 100}
    told = tick(
        opening(alice, type="sell", **both),
        opening(alice, type="sell", **both),
        opening(alice, type="sell", **both),
        closing(alice, first.code),
        opening(alice, **both),
    )
    assert [one.status for one in told] == [200, 200, 400, 200, 200]
    assert (reserved(alice), hedged(alice)) == (usd("800.00"), usd("400.00"))


def test_a_converted_instrument_hedges_by_what_was_reserved_in_the_account_currency() -> None:
    larger_side("USD-JPY")
    price_at("USD-JPY", "150.00", "150.30")
    alice = a_customer(with_usd="1_000.00")
    bought = buys(alice, "10000", symbol="USD-JPY")
    sold = sells(alice, "5000", symbol="USD-JPY")
    assert hedged(alice) == sold.margin
    assert reserved(alice) == bought.margin


# --- closing -----------------------------------------------------------------------------------------


def test_closing_any_position_never_raises_what_is_reserved() -> None:
    """Guard: `hedging.closes`. Without it `hedged` stays."""
    alice = a_customer(with_usd="1_000.00")
    bought, sold = buys(alice), sells(alice, "1.5")

    closes(alice, sold, "0.25")
    assert (reserved(alice), hedged(alice)) == (usd("500.00"), usd("400.00"))
    closes(alice, bought, "0.5")
    assert (reserved(alice), hedged(alice)) == (usd("500.00"), usd("200.00"))
    closes(alice, sold)
    assert (reserved(alice), hedged(alice)) == (usd("200.00"), 0)
    closes(alice, bought)
    assert (reserved(alice), hedged(alice)) == (0, 0)
    assert cash(alice) == usd("1_000.00")
    assert [kind for kind, _ in moved(alice, "order_margin_unhedged")] == ["order_margin_unhedged"] * 2


@pytest.mark.parametrize("first", ["losing", "winning"])
def test_nobody_is_left_with_a_large_position_for_little_money(first: str) -> None:
    """A million against a million, for the margin of one. The other half has its whole margin, or was stopped out."""
    alice = a_customer(with_usd="10_500.00")
    bought, sold = buys(alice, "25"), sells(alice, "25")
    assert (reserved(alice), hedged(alice)) == (usd("10_000.00"), usd("10_000.00"))

    btc_at("39_900.00")  # 2,500.00 lost and won
    stays, goes = (sold, bought) if first == "losing" else (bought, sold)
    closes(alice, goes)
    judges(alice)

    assert now(stays).status == "OPEN"
    if first == "losing":  # 2,500.00 are gone, 2,500.00 float
        assert (balance(alice), reserved(alice), drawn(alice)) == (0, usd("8_000.00"), usd("2_000.00"))
        assert refused(opening(alice, type="sell", quantity="0.001", leverage=100)).startswith("Insufficient balance")
        assert refused(opening(alice, quantity="25", leverage=100)).startswith("Insufficient balance")
    else:
        assert (balance(alice), reserved(alice), drawn(alice)) == (usd("3_000.00"), usd("10_000.00"), 0)
    assert figures(alice.pk, prices.latest()).level == Decimal("105.00")

    btc_at("40_200.00" if first == "losing" else "39_600.00")  # as either half alone would be
    judges(alice)
    assert became(stays) == ("CLOSED", "stop_out")


def test_a_loss_beyond_all_the_cash_takes_the_winning_half_with_it() -> None:
    alice = a_customer(with_usd="500.00")
    bought, sold = buys(alice), sells(alice)
    btc_at("39_000.00")
    closes(alice, bought)
    assert (became(bought), became(sold)) == (("CLOSED", "manual"), ("CLOSED", "stop_out"))
    assert (balance(alice), reserved(alice), hedged(alice)) == (usd("500.00"), 0, 0)


def test_all_closed_at_once_leaves_nothing_hedged() -> None:
    alice = a_customer(with_usd="1_000.00")
    buys(alice), sells(alice), sells(alice, "0.5")
    says(closing_all(alice))
    assert (balance(alice), reserved(alice), hedged(alice)) == (usd("1_000.00"), 0, 0)


# --- margin call, stop-out, figures ------------------------------------------------------------------


def test_a_full_hedge_is_judged_by_one_side_and_stopped_out_whole() -> None:
    """Guard: `hedged` in `liquidation.figures` and in `_stop_out`. Equity is 500.00 less what the spread takes."""
    alice = a_customer(with_usd="500.00")
    bought, sold = buys(alice), sells(alice)
    btc_at("40_000.00", "40_250.00")
    judges(alice)
    assert (became(bought)[0], became(sold)[0]) == ("OPEN", "OPEN")  # 250.00 of 400.00: 62.5 %; of 800.00, 31.25 %
    assert MarginAccount.objects.get(customer=alice).called_at is not None

    btc_at("40_000.00", "40_300.00")
    judges(alice)
    assert (became(bought), became(sold)) == (("CLOSED", "stop_out"),) * 2
    assert (reserved(alice), hedged(alice)) == (0, 0)


def test_a_stop_out_goes_on_until_what_is_left_is_above_the_mark() -> None:
    """Of four that lose, one: 400.00 are then enough for the 600.00 that the larger side still uses."""
    alice = a_customer(with_usd="1_000.00")
    bought = [buys(alice, "0.5") for _ in range(4)]  # 800.00
    sold = sells(alice, "1")  # 400.00, hedged
    btc_at("39_400.00")  # the buys have lost 1,200.00, the sell has won 600.00
    judges(alice)
    assert [now(order).status for order in bought].count("OPEN") == 3
    assert now(sold).status == "OPEN"
    assert reserved(alice) == usd("600.00")
    assert not reaches(400_00, 600_00, 50)


def test_every_page_says_the_same() -> None:
    alice = a_customer(with_usd="1_000.00")
    buys(alice), sells(alice, "0.5")
    btc_at("40_100.00")
    latest = prices.latest()

    found = figures(alice.pk, latest)
    assert figures_of_a_page([alice.pk], account_currency(), latest)[alice.pk][1] == found
    assert (found.margin, found.hedged) == (usd("400.00"), usd("200.00"))
    shown = shown_figures(found)
    assert (shown["margin"], shown["hedgedMargin"], shown["freeMargin"]) == (400, 200, 650)
    assert found.level == Decimal("262.50")
    (of_symbol,) = exposure.by_symbol(latest)
    (of_customer,) = exposure.by_customer(latest, 5)
    (in_symbol,) = exposure.by_customer(latest, 5, "BTC-USD")
    assert of_symbol.margin == of_customer.margin == in_symbol.margin == usd("400.00")


# --- the term changes --------------------------------------------------------------------------------


def test_a_change_of_the_term_moves_nothing_and_counts_for_what_opens_then() -> None:
    """Guard: `nets_margin` is the order's own."""
    alice = a_customer(with_usd="10_000.00")
    larger_side(term="full")
    buys(alice), sells(alice)
    larger_side()
    assert reserved(alice) == usd("800.00")
    bought, sold = buys(alice), sells(alice)
    assert (reserved(alice), hedged(alice)) == (usd("1_200.00"), usd("400.00"))

    larger_side(term="full")
    sells(alice)
    assert (reserved(alice), hedged(alice)) == (usd("1_600.00"), usd("400.00"))
    closes(alice, bought, "0.5")
    closes(alice, sold)
    assert (reserved(alice), hedged(alice)) == (usd("1_400.00"), 0)


def test_two_persons_change_it() -> None:
    """Guard: `terms_beyond_band` knows no band for it, and that it is no number."""
    larger_side(term="full")
    maker, checker, at = a_member_of_staff("maker").pk, a_member_of_staff("checker").pk, timezone.now()
    made = change.propose("BTC-USD", {"hedged_margin": "larger_side"}, reason="as agreed", by=maker, at=at)
    assert made.needs_checker
    change.apply(made.pk, by=checker, at=at)
    assert Instrument.objects.get(pk="BTC-USD").hedged_margin == "larger_side"
    for wrong in ("none", "half", "", 1):
        with pytest.raises(Malformed, match="one of full, larger_side"):
            change.propose("BTC-USD", {"hedged_margin": wrong}, reason="as agreed", by=maker, at=at)


# --- what the database refuses, and the audit finds ---------------------------------------------------


def test_the_database_keeps_the_term_and_what_an_order_opened_under() -> None:
    """Guards: instrument_hedged_margin_known, order_nets_when_it_has_opened, hedged_not_negative, and the trigger
    open_terms_never_change."""
    alice = a_customer(with_usd="1_000.00")
    order = buys(alice)
    waiting = places(alice, "buy limit", "39000", quantity="1", leverage=100)
    with pytest.raises(IntegrityError, match="instrument_hedged_margin_known"), transaction.atomic():
        larger_side(term="half")
    with pytest.raises(IntegrityError, match="order_nets_when_it_has_opened"), transaction.atomic():
        Order.objects.filter(pk=waiting.pk).update(nets_margin=True)
    sells(alice)
    with pytest.raises(IntegrityError, match="hedged_not_negative"), transaction.atomic():
        MarginAccount.objects.filter(customer=alice).update(hedged=-1)
    with pytest.raises(DatabaseError, match="never"), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(nets_margin=False)


@pytest.mark.parametrize(
    ("forgery", "checks"),
    [
        ("UPDATE trades_marginaccount SET hedged = hedged + 1", {"order hedges", "order margin"}),
        ("UPDATE trades_marginaccount SET hedged = 0", {"order hedges", "order margin"}),
        ("UPDATE trades_order SET nets_margin = false WHERE side = 'buy'", {"order hedges"}),
    ],
)
def test_the_audit_finds_what_is_hedged_otherwise_than_the_positions_say(forgery: str, checks: set[str]) -> None:
    """Guard: the check `order hedges`."""
    alice = a_customer(with_usd="1_000.00")
    buys(alice), sells(alice, "0.5")
    assert what_the_audit_finds() == []
    with transaction.atomic():
        unsealed_forged(forgery)
        found = what_the_audit_finds()
        transaction.set_rollback(True)
    assert {one.partition(":")[0] for one in found} == checks
    if "order margin" in checks:
        assert any(f"Customer {alice.pk.hex}" in one and "it is 20000, by the transfers 20000" in one for one in found)


# --- any history, against a plain model ---------------------------------------------------------------


class Plain:
    """Every open order by code: symbol, side, margin, whether it nets. No movements, no sums that are kept up."""

    def __init__(self) -> None:
        self.orders: dict[str, tuple[str, str, int, bool]] = {}

    @property
    def hedged(self) -> int:
        sides: defaultdict[str, dict[str, int]] = defaultdict(lambda: {"buy": 0, "sell": 0})
        for symbol, side, margin, nets in self.orders.values():
            sides[symbol][side] += margin * nets
        return sum(min(one.values()) for one in sides.values())

    @property
    def margin(self) -> int:
        return sum(margin for _, _, margin, _ in self.orders.values())


@pytest.mark.parametrize("seed", range(size(6, 300)))
def test_after_any_history_the_larger_sides_are_reserved_to_the_cent(seed: int) -> None:
    """Seen to fail where a part is split off before the sides are summed up, and where a close hedges by its margin."""
    dice, plain = random.Random(seed), Plain()
    alice = a_customer(with_usd="3_000.00")
    stand = {"BTC-USD": Decimal(40_000), "ETH-USD": Decimal(2_000)}
    terms = {"BTC-USD": True, "ETH-USD": False}
    for symbol, price in stand.items():
        price_at(symbol, f"{price}")
    for _ in range(40):
        what = dice.choice(["open", "open", "open", "close", "part", "both", "term", "price", "all", "money"])
        symbol = dice.choice(sorted(stand))
        if what == "open":
            value = Decimal(dice.choice([7_000, 20_000, 40_000]))
            quantity = (value / stand[symbol]).quantize(Decimal("0.001"))
            tick(opening(alice, symbol=symbol, type=dice.choice(["buy", "sell"]), quantity=f"{quantity}", leverage=97))
        elif what in ("close", "part", "both") and plain.orders:
            codes = dice.sample(sorted(plain.orders), min(len(plain.orders), 2 if what == "both" else 1))
            tick(*(closing(alice, code, quantity="0.033" if what == "part" else "") for code in codes))
        elif what == "term":
            terms[symbol] = not terms[symbol]
            larger_side(symbol, "larger_side" if terms[symbol] else "full")
        elif what == "price":
            stand[symbol] = (stand[symbol] * Decimal(dice.choice(["0.99", "0.995", "1.004", "1.01"]))).quantize(
                Decimal("0.01")
            )
            price_at(symbol, f"{stand[symbol]}", f"{stand[symbol] * Decimal('1.0002'):.2f}")
        elif what == "all" and dice.random() < 0.3:
            tick(closing_all(alice))
        elif what == "money" and cash(alice) < usd("1_000.00"):
            deposit(alice, "USD", "1_000.00")
        before = {code: one[3] for code, one in plain.orders.items()}
        live = Order.objects.filter(customer=alice, status="OPEN")
        if what == "price":
            applied(*(firing(order) for order in live), judging(alice))
        plain.orders = {
            order.code: (
                order.instrument_id,
                order.side,
                int(order.margin),
                before.get(order.code, terms[order.instrument_id]),
            )
            for order in live.all()
        }
        noted = MarginAccount.objects.filter(customer=alice).first()
        assert (int(noted.hedged) if noted else 0) == plain.hedged
        assert reserved(alice) == plain.margin - plain.hedged - drawn(alice)
        assert balance(alice) >= 0
        found = figures(alice.pk, prices.latest())
        assert found.margin == plain.margin - plain.hedged
        if what == "price":
            assert not reaches(found.equity, found.margin, 50)
    assert what_the_audit_finds() == []
