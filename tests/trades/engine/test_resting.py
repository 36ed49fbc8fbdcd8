"""An engine's turns while a market rests: what its prices move, what they don't, and what goes on afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from accounts import clock, streams
from accounts.identity import SYSTEM
from brokerage.sandbox import moving
from quotes import symbols
from quotes.hours import MarketHours, Switch
from quotes.switching import switch_market
from tests.given import a_customer, price_at
from tests.hours import ALWAYS, FX, keeps, market, moment
from tests.moved_clock import moved_ahead
from tests.trades.engine.test_engine import answers, engine, send, takes_up
from tests.trades.engine_steps import became, closing, now, opening, opens, placing, says
from trades.engine.process import Engine
from trades.engine.resting import Withheld
from trades.margin.commands import stream_name
from trades.models import Order, PriceExtreme

__all__ = ["engine"]
pytestmark = pytest.mark.django_db
EUR = {"symbol": "EUR-USD", "quantity": "10000", "leverage": 100}


@pytest.fixture
def euro() -> Order:
    """Bought at 1.0875 with a stop at 1.08."""
    price_at("EUR-USD", "1.0875")
    return opens(a_customer(with_usd="10_000.00"), **EUR, stopLoss="1.08")


def next_saturday() -> datetime:
    today = clock.firm_now().replace(hour=12, minute=0, second=0, microsecond=0)
    return today + timedelta(days=(5 - today.weekday() - 1) % 7 + 1)


@pytest.fixture
def weekend(engine: Engine) -> Iterator[datetime]:
    """It is Saturday; gives when the market opens."""
    keeps("EUR-USD", "fx")
    with moved_ahead(next_saturday() - clock.firm_now()):
        opening_ = symbols.hours_of("EUR-USD").state_at(clock.firm_now()).next_open
        assert opening_ is not None
        yield opening_


def opens_a_second_ago(opening_: datetime) -> None:
    moving.move_to(opening_ + timedelta(seconds=1), by_client=None)
    clock.firm_now()


def switches(to: Switch) -> None:
    """A second ago."""
    switch_market("EUR-USD", to, by=SYSTEM, reason="a test", at=clock.firm_now() - timedelta(seconds=1))
    symbols.forget()


def test_a_stop_waits_over_a_weekend_and_a_crash_and_fires_at_the_first_price_after(
    engine: Engine, euro: Order, weekend: datetime
) -> None:
    """Guard: `Withheld`, and `is_after_gap` in the tick. Without either the stop fires on Saturday."""
    takes_up(engine, euro)
    price_at("EUR-USD", "1.05")
    engine.turn()
    engine.turn()
    assert became(euro) == ("OPEN", "")

    engine.lease.give_back()
    successor = Engine()
    assert successor._start()
    successor.turn()
    assert became(euro) == ("OPEN", "")

    opens_a_second_ago(weekend)
    price_at("EUR-USD", "1.0512")
    successor.turn()
    assert (became(euro), now(euro).close_price) == (("CLOSED", "stop_loss"), Decimal("1.0512"))
    successor.lease.give_back()


def test_commands_are_decided_by_the_tick_s_time(engine: Engine, euro: Order, weekend: datetime) -> None:
    """A close that came while it was open, for all the web process knew, is refused: its stream waited."""
    price_at("EUR-USD", "1.09")
    send(closing(euro.customer, euro.code))
    send(opening(euro.customer, **EUR))
    engine.turn()
    told = [answer.body for answer in answers()]
    assert [body for body in told if "Market closed for symbol: EUR-USD. Next opening: " not in body] == []
    assert len(told) == 2


def test_prices_of_a_halted_market_move_margin_levels_and_no_trailing_stop(engine: Engine, euro: Order) -> None:
    """Guard: the book's triggers and the extremes see what trades alone. Up by 2 cents and back again would fire it."""
    says(placing(euro.customer, "buy limit", "1.05", **EUR))
    trailing = opens(euro.customer, **EUR, trailingStop="0.01")
    takes_up(engine, euro, trailing)
    engine.turn()
    switches(Switch.HALTED)
    price_at("EUR-USD", "1.11")
    engine.turn()
    assert engine.book.state()[1][euro.customer_id][4] == pytest.approx(2 * 10_000 * (1.11 - 1.0875) * 100)

    switches(Switch.NONE)
    price_at("EUR-USD", "1.0885")
    engine.turn()
    assert became(trailing) == ("OPEN", "")
    assert not PriceExtreme.objects.filter(highest_bid__gt=Decimal("1.0885")).exists()  # what a successor would go by
    price_at("EUR-USD", "1.0784")
    engine.turn()
    assert became(trailing) == ("CLOSED", "trailing_stop")


def test_a_price_is_withheld_until_one_comes_that_was_said_after_the_opening() -> None:
    """Guard: the first price that counts is shown once, and none of before it ever is."""
    hours = {"EUR-USD": MarketHours(FX), "BTC-USD": MarketHours(ALWAYS)}
    withheld = Withheld()

    def shown(at: str, price: str, *, moved: bool = True) -> tuple[list[str], list[str]]:
        prices = market(at, eur=price).by_symbol.values() if moved else ()
        trading, resting, _ = withheld.parted(prices, hours, moment(at), moment(at))
        return [p.symbol for p in trading], [p.symbol for p in resting]

    assert shown("2026-11-29 21:59:59.9", "1.05") == (["BTC-USD"], ["EUR-USD"])
    assert shown("2026-11-29 22:00:00.1", "", moved=False) == ([], [])
    assert shown("2026-11-29 22:00:00.1", "1.0512") == (["EUR-USD", "BTC-USD"], [])
    assert shown("2026-11-29 22:00:01", "", moved=False) == ([], [])


def test_a_price_that_a_late_answer_made_too_old_is_looked_at_again() -> None:
    """Guard: what is withheld is looked at again each turn. A quiet market's only price would be lost."""
    hours, withheld = {"EUR-USD": MarketHours(FX)}, Withheld()
    at, late = moment("2026-11-29 22:00:00.030"), moment("2026-11-29 22:00:00.040")
    (price,) = [p for p in market("2026-11-29 22:00:00.030").by_symbol.values() if p.symbol == "EUR-USD"]
    assert withheld.parted([price], hours, at, at + timedelta(milliseconds=100)).resting == [price]
    assert withheld.waits_for_a_price(hours, at)
    assert withheld.parted([], hours, late, late).trading == [price]
    assert not withheld.waits_for_a_price(hours, late)


def test_where_it_is_for_closing_only_no_pending_order_is_looked_at(engine: Engine, euro: Order) -> None:
    said = says(placing(euro.customer, "buy limit", "1.07", **EUR))
    pending = Order.objects.get(code=said["orderId"])
    takes_up(engine, euro, pending)
    engine.turn()
    switches(Switch.CLOSE_ONLY)
    price_at("EUR-USD", "1.0601")
    assert engine.turn() == 1  # the stop
    assert (became(euro), became(pending)) == (("CLOSED", "stop_loss"), ("PENDING", ""))
    switches(Switch.NONE)
    price_at("EUR-USD", "1.0602")
    engine.turn()
    assert (now(pending).status, now(pending).open_price) == ("OPEN", Decimal("1.0602"))


def test_the_stream_is_empty_after_all_of_it() -> None:
    assert streams.client().xlen(stream_name(0)) == 0
