"""Overnight swap: what holding a position through the night costs or brings, once a night.

The nights here begin at 17:00 in New York: 22:00 UTC in winter, 21:00 UTC in summer.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, transaction

from accounts.clock import TooLate
from accounts.ledger import AVAILABLE, MARGIN, PROTECTION, SWAP
from accounts.models import Transfer
from quotes import symbols
from quotes.prices import Prices
from tests.given import a_customer, balance, usd
from tests.trades.engine.rollovers import RolloverEngine, at, rates, swaps
from tests.trades.engine_steps import (
    applied,
    became,
    cash,
    closing,
    drawn,
    firing,
    happened,
    house,
    moved,
    now,
    opening,
    opens,
    placing,
    says,
    tick,
)
from trades.engine import rollover as engine_rollover
from trades.models import OrderEvent, SwapRun

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]

WEDNESDAY = "2026-11-18"


@pytest.fixture(autouse=True)
def _rates() -> Iterator[None]:
    """Bitcoin: 2.5 hundredths of a percent a night from buyers, 0.5 from sellers. Gold: 1.1 from buyers, 0.4 to
    sellers, Wednesday's night three times and none at weekends.
    """
    for symbol, long, short, triple in (("BTC-USD", "-2.5", "-0.5", None), ("XAU-USD", "-1.1", "0.4", 2)):
        rates(symbol, long, short, triple)
    yield
    symbols.forget()


def test_a_buy_pays_for_the_night() -> None:
    """0.1 x 42,000.00 x 0.025 % = 1.05."""
    alice = a_customer(with_usd="1_000.00")
    rollover = RolloverEngine("2026-11-18 12:00")
    order = opens(alice, at("2026-11-18 15:00"), quantity="0.1")

    rollover.runs(at("2026-11-18 21:59:59"))
    assert swaps(order) == []
    rollover.runs(at("2026-11-18 22:00"))

    assert swaps(order) == [(WEDNESDAY, -usd("1.05"))]
    assert now(order).swap == -usd("1.05")
    assert (cash(alice), house(SWAP)) == (usd("998.95"), usd("1.05"))
    event = OrderEvent.objects.get(customer=alice, kind="swapped")
    assert (event.order_id, event.command_id) == (order.pk, None)
    assert event.detail is not None
    assert event.detail["night"] == WEDNESDAY


def test_a_sell_may_be_paid_and_wednesdays_night_counts_three_times_for_gold() -> None:
    """10 x 2,040.00 x 0.004 % = 0.816: 0.82 on Tuesday. Wednesday brings three times that: 3.264 with Tuesday."""
    alice = a_customer(with_usd="1_000.00")
    rollover = RolloverEngine("2026-11-17 12:00")
    order = opens(alice, at("2026-11-17 15:00"), symbol="XAU-USD", type="sell", quantity="10", leverage=100)

    rollover.runs(at("2026-11-17 22:00"))
    rollover.runs(at("2026-11-18 22:00"))

    assert swaps(order) == [("2026-11-17", usd("0.82")), (WEDNESDAY, usd("2.44"))]
    assert (cash(alice), house(SWAP)) == (usd("1_003.26"), -usd("3.26"))


def test_gold_rests_at_the_weekend_and_bitcoin_never_does() -> None:
    alice = a_customer(with_usd="1_000.00")
    rollover = RolloverEngine("2026-11-13 12:00")
    gold = opens(alice, at("2026-11-13 15:00"), symbol="XAU-USD", quantity="1", leverage=100)
    bitcoin = opens(alice, at("2026-11-13 15:00"), quantity="0.1", leverage=100)

    for day in range(13, 20):  # Friday to Thursday
        rollover.runs(at(f"2026-11-{day} 23:00"))

    assert [night for night, _ in swaps(bitcoin)] == [f"2026-11-{day}" for day in range(13, 20)]
    assert swaps(gold) == [
        ("2026-11-13", -22),  # 2,040.00 x 0.011 % = 0.2244
        ("2026-11-16", -23),  # 0.4488 together
        ("2026-11-17", -22),  # 0.6732
        ("2026-11-18", -68),  # 1.3464
        ("2026-11-19", -22),  # 1.5708
    ]


def test_only_what_was_open_when_the_night_began_is_held_through_it() -> None:
    alice = a_customer(with_usd="10_000.00")
    rollover = RolloverEngine("2026-11-18 12:00")
    held, closed = (opens(alice, at("2026-11-18 15:00")) for _ in range(2))
    says(placing(alice, "buy limit", "41000"), at("2026-11-18 15:00"))
    says(closing(alice, closed.code), at("2026-11-18 21:59:59"))
    on_the_dot = opens(alice, at("2026-11-18 22:00:00"))
    too_late = opens(alice, at("2026-11-18 22:00:01"))

    rollover.runs(at("2026-11-18 22:00:05"))

    charged = [order for order in (held, closed, on_the_dot, too_late) if swaps(order)]
    assert charged == [held, on_the_dot]
    assert Transfer.objects.filter(kind="order_swap").count() == 2


def test_a_new_installation_charges_for_no_night_before_it() -> None:
    alice = a_customer(with_usd="1_000.00")
    order = opens(alice, at("2026-11-16 15:00"))

    RolloverEngine("2026-11-18 23:00").runs(at("2026-11-19 12:00"))

    assert swaps(order) == []
    assert set(SwapRun.objects.values_list("night", flat=True)) == {datetime(2026, 11, 18).date()}
    assert SwapRun.objects.filter(done_at=None).count() == 0


def test_after_an_outage_every_night_that_was_missed_is_charged_once() -> None:
    alice = a_customer(with_usd="1_000.00")
    RolloverEngine("2026-11-16 12:00")
    order = opens(alice, at("2026-11-16 15:00"))

    successor = RolloverEngine()
    successor.runs(at("2026-11-19 12:00", btc="40_000"))
    successor.runs(at("2026-11-19 12:01"))

    assert swaps(order) == [(f"2026-11-{day}", -usd("1.00")) for day in (16, 17, 18)]
    assert now(order).swap == -usd("3.00")


def test_many_missed_nights_are_begun_a_few_at_a_time_and_all_done_in_order() -> None:
    """Guard: `MOST_NIGHTS`. All at once they can't be written in the second that a look may take: none would ever be.
    Bitcoin's hundred nights at 1.05 are charged one after the other, though no time passes and nobody begins anew."""
    alice = a_customer(with_usd="10_000.00")
    rollover = RolloverEngine("2026-07-01 12:00")
    order = opens(alice, at("2026-07-01 15:00"), quantity="0.1")
    known = SwapRun.objects.latest("night").night
    market = at("2026-10-08 22:30")
    most, before = 0, SwapRun.objects.count()

    while rollover.turn(market) is not None:
        count = SwapRun.objects.count()
        most, before = max(most, count - before), count
        undone = SwapRun.objects.filter(done_at=None).values_list("night", flat=True)
        done = SwapRun.objects.filter(done_at__isnull=False)
        assert not undone or done.latest("night").night < min(undone)

    assert most == engine_rollover.MOST_NIGHTS * 16
    missed = [known + timedelta(days=number) for number in range(1, 101)]
    assert swaps(order) == [(night.isoformat(), -usd("1.05")) for night in missed]
    assert SwapRun.objects.filter(night__gt=known, done_at__isnull=False).count() == 100 * 16


def test_it_is_charged_once_however_often_it_is_looked_at() -> None:
    alice = a_customer(with_usd="1_000.00")
    rollover = RolloverEngine("2026-11-18 12:00")
    order = opens(alice, at("2026-11-18 15:00"))

    for second in range(3):
        rollover.runs(at(f"2026-11-18 22:00:0{second}"))
    RolloverEngine().runs(at("2026-11-18 22:01"))

    assert len(swaps(order)) == 1


def test_a_killed_engines_successor_goes_on_where_it_stopped_and_at_the_same_prices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trades.engine.rollover.SLICE", 1)
    alice = a_customer(with_usd="10_000.00")
    rollover = RolloverEngine("2026-11-18 12:00")
    orders = [opens(alice, at("2026-11-18 15:00")) for _ in range(3)]
    rollover.runs_a_slice(at("2026-11-18 22:00"))
    rollover.is_killed_in_a_slice(at("2026-11-18 22:00:01", btc="50_000"))
    assert [len(swaps(order)) for order in orders] == [1, 0, 0]

    RolloverEngine().runs(at("2026-11-18 22:00:02", btc="50_000"))

    assert [swaps(order) for order in orders] == [[(WEDNESDAY, -usd("1.05"))]] * 3
    assert SwapRun.objects.filter(night=WEDNESDAY, done_at=None).count() == 0
    assert sum(SwapRun.objects.filter(night=WEDNESDAY).values_list("orders_count", flat=True)) == 3


@pytest.mark.parametrize("last_step", ["must_commit_by", "_note"])
def test_what_was_too_late_to_be_committed_is_tried_again_at_the_next_turn(
    last_step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard: `Rollover.turn` begins anew after it. What it remembers of a look or a slice that was undone would have
    the night wait for the next one, or pass over the slice's orders."""
    alice = a_customer(with_usd="10_000.00")
    rollover = RolloverEngine("2026-11-18 12:00")
    orders = [opens(alice, at("2026-11-18 15:00")) for _ in range(3)]
    monkeypatch.setattr("trades.engine.rollover.SLICE", 1)
    too_late_once(last_step, monkeypatch)
    market = at("2026-11-18 22:00")

    assert rollover.turn(market) is None
    assert [swaps(order) for order in orders] == [[], [], []]
    while rollover.turn(market) is not None:
        pass

    assert [swaps(order) for order in orders] == [[(WEDNESDAY, -usd("1.05"))]] * 3
    assert SwapRun.objects.filter(night=WEDNESDAY, done_at__isnull=False).count() == 16


def too_late_once(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL refuses the transaction once, after this last step of it."""
    itself = getattr(engine_rollover, step)

    def refused(*given: Any) -> None:
        monkeypatch.setattr(engine_rollover, step, itself)
        itself(*given)
        raise TooLate("too late to commit") from psycopg.errors.QueryCanceled()

    monkeypatch.setattr(engine_rollover, step, refused)


def test_the_table_refuses_a_second_charge_for_a_night_whoever_asks() -> None:
    """Guard: the night is in the movement's key. A run that forgot how far it came can't charge again."""
    alice = a_customer(with_usd="1_000.00")
    rollover = RolloverEngine("2026-11-17 12:00")
    order = opens(alice, at("2026-11-17 15:00"))
    rollover.runs(at("2026-11-17 22:00"))
    rollover.runs(at("2026-11-18 22:00"))  # another night is another key
    SwapRun.objects.update(through_id=None, done_at=None)

    with pytest.raises(IntegrityError), transaction.atomic():
        RolloverEngine().runs_and_raises(at("2026-11-18 22:01"))
    RolloverEngine().runs(at("2026-11-18 22:01"))  # the engine rests from it

    assert len(swaps(order)) == 2


def test_a_night_waits_until_the_feed_has_published_after_a_start_of_everything() -> None:
    """Guard: `Rollover._knows_the_market`. Begun without prices, the night would be done and nobody charged."""
    alice = a_customer(with_usd="1_000.00")
    rollover = RolloverEngine("2026-11-18 12:00")
    order = opens(alice, at("2026-11-18 15:00"), quantity="0.1")
    market = at("2026-11-18 22:00")

    rollover.runs(Prices(market.now, {}))
    assert swaps(order) == []

    rollover.runs(market)
    assert swaps(order) == [(WEDNESDAY, -usd("1.05"))]


def test_nothing_is_charged_for_an_instrument_without_a_price_or_a_rate() -> None:
    alice = a_customer(with_usd="10_000.00")
    rollover = RolloverEngine("2026-11-18 12:00")
    gold, bitcoin = (
        opens(alice, at("2026-11-18 15:00"), symbol="XAU-USD", quantity="1"),
        opens(alice, at("2026-11-18 15:00")),
    )
    rates("BTC-USD", "0", "0")
    market = at("2026-11-18 22:00")

    rollover.runs(Prices(market.now, {"BTC-USD": market.by_symbol["BTC-USD"]}))

    assert (swaps(gold), swaps(bitcoin)) == ([], [])
    assert happened(alice) == ["opened", "opened"]


def test_a_price_however_old_values_the_night() -> None:
    """A market that rests is still held through the night; nothing executes on this price."""
    alice = a_customer(with_usd="1_000.00")
    rollover = RolloverEngine("2026-11-18 12:00")
    order = opens(alice, at("2026-11-18 15:00"))

    rollover.runs(Prices(at("2026-11-18 22:00").now, at("2026-11-18 15:00").by_symbol))

    assert swaps(order) == [(WEDNESDAY, -usd("1.05"))]


def test_when_the_clocks_change_the_night_begins_an_hour_later_in_utc() -> None:
    alice = a_customer(with_usd="1_000.00")
    rollover = RolloverEngine("2026-10-31 12:00")
    first = opens(alice, at("2026-10-31 20:59"), quantity="0.01")
    rollover.runs(at("2026-10-31 21:00"))  # summer time's last night
    second = opens(alice, at("2026-11-01 21:30"), quantity="0.01")

    rollover.runs(at("2026-11-01 21:59"))
    assert [len(swaps(order)) for order in (first, second)] == [1, 0]
    rollover.runs(at("2026-11-01 22:00"))

    assert [len(swaps(order)) for order in (first, second)] == [2, 1]


# --- what it does to the order ---------------------------------------------------------------------


def test_the_orders_swap_is_in_the_answer_to_its_close_and_its_profit_is_not_touched() -> None:
    alice = a_customer(with_usd="1_000.00")
    rollover = RolloverEngine("2026-11-17 12:00")
    order = opens(alice, at("2026-11-17 15:00"))
    rollover.runs(at("2026-11-18 22:00"))

    told = says(closing(alice, order.code), at("2026-11-18 23:00", btc="43_000"))

    assert (told["order"]["profit"], told["order"]["swap"]) == (100, Decimal("-2.10"))
    assert cash(alice) == usd("1_097.90")


def test_a_part_takes_its_share_of_the_swap_and_no_cent_is_lost() -> None:
    """1.05 a night for 0.1; three nights are 3.15. A third of the quantity is 1.05, and the rest keeps 2.10."""
    alice = a_customer(with_usd="10_000.00")
    rollover = RolloverEngine("2026-11-15 12:00")
    order = opens(alice, at("2026-11-15 15:00"), quantity="0.3")
    rollover.runs(at("2026-11-15 22:00"))
    assert now(order).swap == -usd("3.15")

    first = says(closing(alice, order.code, quantity="0.1"), at("2026-11-16 12:00"))
    rollover.runs(at("2026-11-16 22:00"))  # 2.10 for what is left
    second = says(closing(alice, order.code, quantity="0.07"), at("2026-11-17 12:00"))
    last = says(closing(alice, order.code), at("2026-11-17 12:00"))

    shown = [one["order"]["swap"] for one in (first, second, last)]
    assert shown == [Decimal("-1.05"), Decimal("-1.47"), Decimal("-2.73")]
    assert sum(shown) * 100 == sum(amount for _, amount in swaps(order))


# --- without the cash for it -----------------------------------------------------------------------


def test_what_the_free_cash_does_not_pay_is_drawn_from_the_margin_and_put_back() -> None:
    alice = a_customer(with_usd="421.00")
    rollover = RolloverEngine("2026-11-18 12:00")
    order = opens(alice, at("2026-11-18 15:00"), quantity="0.1")  # 420.00

    rollover.runs(at("2026-11-18 22:00"))

    assert moved(alice)[-2:] == [("order_swap", usd("1.05")), ("order_margin_drawn", usd("0.05"))]
    assert (balance(alice, AVAILABLE), balance(alice, MARGIN), drawn(alice)) == (0, usd("419.95"), usd("0.05"))
    says(closing(alice, order.code), at("2026-11-18 23:00"))
    assert (balance(alice), drawn(alice)) == (usd("419.95"), 0)


def test_what_nothing_pays_is_the_houses() -> None:
    alice = a_customer(with_usd="50.00")
    rollover = RolloverEngine("2026-11-18 12:00")
    opens(alice, at("2026-11-18 15:00"), quantity="0.1", leverage=100)
    rates("BTC-USD", "-200", "0")  # 84.00

    rollover.runs(at("2026-11-18 22:00"))

    assert (cash(alice), drawn(alice), house(PROTECTION)) == (0, usd("42.00"), -usd("34.00"))


def test_a_charge_beyond_the_cash_closes_the_winner_and_the_winner_is_not_charged_any_more() -> None:
    """Guard: a slice looks whether an order is still open before it charges it."""
    alice = a_customer(with_usd="100.00")
    rollover = RolloverEngine("2026-11-18 12:00")
    losing = opens(alice, at("2026-11-18 15:00", btc="40_000"), type="sell", quantity="0.1", leverage=100)
    winning = opens(alice, at("2026-11-18 15:00", btc="40_000"), quantity="0.1", leverage=100)
    rates("BTC-USD", "-400", "-400")  # 164.00 each

    rollover.runs(at("2026-11-18 22:00", btc="41_000"))

    assert (became(losing), became(winning)) == (("OPEN", ""), ("CLOSED", "stop_out"))
    assert (swaps(losing), swaps(winning)) == ([(WEDNESDAY, -usd("164.00"))], [])
    assert cash(alice) == usd("36.00")


def test_an_order_that_was_charged_may_be_closed_for_the_next_ones_charge_and_drawn_upon_again() -> None:
    """Guard: what follows a winner's closing is named after that closing (`make_good`), not after the night again.

    300.00; the charge of 164.00 draws 104.00 for the winner. The second one leaves -28.00 of cash; the winner's 100.00
    and 40.00 of margin don't pay it out of what is free, so 24.00 more are drawn.
    """
    alice = a_customer(with_usd="300.00")
    rollover = RolloverEngine("2026-11-18 12:00")
    winning = opens(alice, at("2026-11-18 15:00", btc="40_000"), quantity="0.1", leverage=100)
    losing = opens(alice, at("2026-11-18 15:00", btc="40_000"), type="sell", quantity="0.1", leverage=20)
    rates("BTC-USD", "-400", "-400")

    rollover.runs(at("2026-11-18 22:00", btc="41_000"))

    assert (became(winning), became(losing)) == (("CLOSED", "stop_out"), ("OPEN", ""))
    assert moved(alice, "order_margin_drawn") == [
        ("order_margin_drawn", usd("104.00")),
        ("order_margin_drawn", usd("24.00")),
    ]
    assert (cash(alice), drawn(alice)) == (usd("72.00"), usd("128.00"))


def test_what_a_night_brings_restores_what_was_drawn() -> None:
    alice = a_customer(with_usd="1_000.00")
    market = at("2026-11-18 15:00")
    rollover = RolloverEngine("2026-11-18 12:00")
    gold: Any = opens(alice, market, symbol="XAU-USD", type="sell", quantity="10", leverage=50)  # 408.00
    bitcoin = opens(alice, market, quantity="0.1", leverage=10)
    says(closing(alice, bitcoin.code), at("2026-11-18 16:00", btc="36_071"))  # -592.90: 0.90 are missing
    assert drawn(alice) == usd("0.90")

    rollover.runs(at("2026-11-18 22:00"))  # 2.45

    assert moved(alice)[-2:] == [("order_swap", usd("2.45")), ("order_margin_restored", usd("0.90"))]
    assert (balance(alice), balance(alice, MARGIN), drawn(alice)) == (usd("1.55"), now(gold).margin, 0)


def test_the_engine_goes_on_trading_between_two_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trades.engine.rollover.SLICE", 1)
    alice = a_customer(with_usd="10_000.00")
    rollover = RolloverEngine("2026-11-18 12:00")
    first, second = opens(alice, at("2026-11-18 15:00")), opens(alice, at("2026-11-18 15:00"), stopLoss="41000")
    rollover.runs_a_slice(at("2026-11-18 22:00"))

    fell = at("2026-11-18 22:00:01", btc="40_000")
    applied(firing(second), at=fell)
    (told,) = tick(opening(alice), at=fell)
    rollover.runs(fell)

    assert told.status == 200
    assert (len(swaps(first)), swaps(second), became(second)) == (1, [], ("CLOSED", "stop_loss"))
