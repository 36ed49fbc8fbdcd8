"""Trailing stops: a distance behind the best exit price since they were set."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import timezone

from quotes import prices
from tests.given import a_customer, btc_at, usd
from tests.pipelines import in_a_pipeline
from tests.trades.engine_steps import applied, became, changing, closes, firing, now, opens, says
from trades.engine import price_extremes
from trades.engine.price_extremes import Extremes
from trades.models import Order, OrderEvent, PriceExtreme

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]

BTC = {"BTC-USD"}


class Watching:
    """What an engine does with each price: it writes down how far it went and looks at the stops."""

    def __init__(self, *orders: Order) -> None:
        self.orders = orders
        self.extremes = Extremes(0)

    def sees(self, bid: str, ask: str = "") -> None:
        btc_at(bid, ask)
        latest = prices.latest()
        rows = self.extremes.judged(latest.by_symbol.values(), BTC, latest.now)
        applied(*(firing(order) for order in self.orders), at=latest, extremes=rows)
        self.extremes.written()

    def changes(self, order: Order, **to: str | None) -> None:
        assert order.customer.user_id
        done = applied(changing(order.customer, order.code, **to))
        assert done.answers[0].status == 200, done.answers[0].body
        self.extremes.restart(done.trails_set)


def test_a_buys_stop_follows_the_bid_upwards_and_never_down() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00", "42_010.00")
    order = opens(alice, quantity="0.1", trailingStop="500")
    assert order.trail_peak == Decimal(42000)  # the stop begins at 41,500.00
    engine = Watching(order)

    engine.sees("42_800.00", "42_810.00")  # 42,300.00
    engine.sees("42_300.01", "42_310.01")
    assert became(order) == ("OPEN", "")
    engine.sees("43_000.00", "43_010.00")  # 42,500.00
    engine.sees("42_500.01", "42_510.01")
    assert became(order) == ("OPEN", "")
    engine.sees("42_500.00", "42_510.00")

    assert became(order) == ("CLOSED", "trailing_stop")
    assert (now(order).close_price, now(order).profit) == (Decimal(42500), usd("49.00"))


def test_a_sells_stop_follows_the_ask_downwards() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00", "42_010.00")
    order = opens(alice, type="sell", quantity="0.1", trailingStop="500")
    assert order.trail_peak == Decimal(42010)
    engine = Watching(order)

    engine.sees("40_990.00", "41_000.00")  # the stop is at 41,500.00
    engine.sees("41_489.99", "41_499.99")
    assert became(order) == ("OPEN", "")
    engine.sees("41_490.00", "41_500.00")

    assert became(order) == ("CLOSED", "trailing_stop")
    assert (now(order).close_price, now(order).profit) == (Decimal(41500), usd("50.00"))


def test_it_fires_at_its_distance_from_where_it_was_set_when_the_price_only_falls() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00", "42_010.00")
    order = opens(alice, trailingStop="500")
    engine = Watching(order)

    engine.sees("41_500.01")
    assert became(order) == ("OPEN", "")
    engine.sees("41_500.00")

    assert became(order) == ("CLOSED", "trailing_stop")


def test_a_gap_closes_at_what_is_on_offer() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.1", trailingStop="500")

    Watching(order).sees("40_000.00")

    assert became(order) == ("CLOSED", "trailing_stop")
    assert (now(order).close_price, now(order).profit) == (Decimal(40000), -usd("200.00"))


@pytest.mark.parametrize(
    ("limits", "price", "reason"),
    [
        ({"stopLoss": "41500", "trailingStop": "500"}, "41_500.00", "stop_loss"),
        ({"stopLoss": "41400", "trailingStop": "500"}, "41_500.00", "trailing_stop"),
        ({"stopLoss": "41600", "trailingStop": "500"}, "41_600.00", "stop_loss"),
        ({"takeProfit": "43000", "trailingStop": "500"}, "43_000.00", "take_profit"),
    ],
)
def test_the_stop_loss_is_tested_before_the_trailing_stop_and_both_before_the_take_profit(
    limits: dict[str, str], price: str, reason: str
) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, **limits)

    Watching(order).sees(price)

    assert became(order)[1] == reason


def test_a_trailing_stop_that_has_moved_past_the_take_profit_wins_over_it() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, trailingStop="500")
    engine = Watching(order)
    engine.sees("44_000.00")  # the stop is at 43,500.00
    says(changing(alice, order.code, takeProfit="44500"))
    Order.objects.filter(pk=order.pk).update(take_profit=Decimal("43400"))  # nobody could set it there any more
    OrderEvent.objects.create(
        customer=alice, order_id=order.pk, kind="changed", detail={"takeProfit": [44500, 43400]}, at=timezone.now()
    )

    engine.sees("43_450.00")

    assert became(order) == ("CLOSED", "trailing_stop")


# --- after a restart -------------------------------------------------------------------------------


def test_a_killed_engines_successor_knows_how_far_the_stop_had_come() -> None:
    """Guard: the tick writes `extremes` with the prices it judged."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, trailingStop="500")
    Watching(order).sees("43_000.00")  # 42,500.00; and then the engine died

    successor = Watching(order)
    successor.sees("42_500.01")
    assert became(order) == ("OPEN", "")
    successor.sees("42_500.00")

    assert became(order) == ("CLOSED", "trailing_stop")
    assert now(order).trail_peak == Decimal(42000)  # the row itself was never written to
    assert PriceExtreme.objects.filter(instrument="BTC-USD").exists()


def test_extremes_that_are_only_about_to_be_written_count() -> None:
    """Guard: `load._load_more` gives `peaks` the rows of its own transaction.

    An engine's transaction was rolled back; the rows of its prices come with the next one.
    """
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, trailingStop="500")
    watching = Extremes(0)
    btc_at("43_000.00")
    latest = prices.latest()
    watching.judged(latest.by_symbol.values(), BTC, latest.now)  # and then the transaction failed

    btc_at("42_400.00")
    latest = prices.latest()
    applied(firing(order), at=latest, extremes=watching.judged(latest.by_symbol.values(), BTC, latest.now))

    assert became(order) == ("CLOSED", "trailing_stop")


def test_prices_from_before_a_stop_was_set_are_not_its_own() -> None:
    alice, bob = a_customer(with_usd="10_000.00"), a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    early = opens(alice, trailingStop="2000")
    engine = Watching(early)
    engine.sees("43_500.00")

    btc_at("42_000.00")
    late = opens(bob, trailingStop="1000")
    engine = Watching(early, late)
    engine.extremes.restart(BTC)
    engine.sees("41_600.00")

    assert (became(early), became(late)) == (("OPEN", ""), ("OPEN", ""))
    assert in_a_pipeline(price_extremes.peaks, _rows(early, late)) == {
        early.pk: Decimal(43500),
        late.pk: Decimal(42000),
    }


def _rows(*orders: Order) -> list:  # type: ignore[type-arg]
    """The model's rows serve: `peaks` reads nothing that they don't have."""
    return [now(order) for order in orders]


# --- changed ---------------------------------------------------------------------------------------


def test_another_distance_starts_again_from_the_present_price() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, trailingStop="500")
    engine = Watching(order)
    engine.sees("43_000.00")  # the stop is at 42,500.00
    engine.sees("42_600.00")

    engine.changes(order, trailingStop="400")

    order = now(order)
    assert (order.trailing_stop, order.trail_peak) == (Decimal(400), Decimal(42600))
    engine.sees("42_500.00")  # where the old one would have fired
    engine.sees("42_200.01")
    assert became(order) == ("OPEN", "")
    engine.sees("42_200.00")
    assert became(order) == ("CLOSED", "trailing_stop")


def test_the_same_distance_again_keeps_what_was_reached() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, trailingStop="500")
    engine = Watching(order)
    engine.sees("43_000.00")
    engine.sees("42_600.00")

    engine.changes(order, trailingStop="500.00", takeProfit="50000")

    assert now(order).trail_at == order.trail_at
    engine.sees("42_500.00")
    assert became(order) == ("CLOSED", "trailing_stop")


def test_a_trailing_stop_may_be_set_later_and_taken_away_again() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    engine = Watching(order)
    btc_at("42_500.00")

    engine.changes(order, trailingStop="300")
    assert now(order).trail_peak == Decimal(42500)
    engine.changes(order, trailingStop=None)

    order = now(order)
    assert (order.trailing_stop, order.trail_peak, order.trail_at) == (None, None, None)
    engine.sees("40_000.00")
    assert became(order) == ("OPEN", "")


def test_what_is_left_of_an_order_keeps_the_level_it_had_reached() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.3", trailingStop="500")
    engine = Watching(order)
    engine.sees("43_000.00")

    closes(alice, order, "0.1")

    assert now(order).trail_at == order.trail_at
    engine.sees("42_500.00")
    assert became(order) == ("CLOSED", "trailing_stop")
