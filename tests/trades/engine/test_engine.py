"""The engine's loop, turn by turn, on the real stream: deadlines, triggers, poison, an emptied Redis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts import streams
from accounts.ids import uuid7
from accounts.models import Customer
from quotes import prices, symbols
from quotes.models import Instrument
from tests.given import a_customer, balance, btc_at, price_at, usd
from tests.observe.scraped import scraped
from tests.trades.engine_steps import closing, opening, opens
from trades.book.book import Book
from trades.engine import queries
from trades.engine.apply import Applied
from trades.engine.process import Engine, _together
from trades.margin.commands import Answer, Command, decode_answer, encode, stream_name
from trades.margin.kinds import CLOSE
from trades.models import Deal, Order

pytestmark = pytest.mark.django_db

STREAM = stream_name(0)


@pytest.fixture
def engine() -> Iterator[Engine]:
    streams.client().delete(STREAM, f"{STREAM}:dead", "replies:test")  # what an earlier test never read
    engine = Engine()
    assert engine._start()
    engine.turn()  # nothing is pending
    yield engine
    engine.lease.give_back()
    streams.client().delete(STREAM, f"{STREAM}:dead")


def send(command: Command, *, ttl_ms: int = 5000, reply_to: str = "replies:test") -> str:
    fields = encode(
        Command(
            **{**{name: getattr(command, name) for name in Command.__slots__}, "ttl_ms": ttl_ms, "reply_to": reply_to}
        )
    )
    return streams.client().xadd(STREAM, fields)  # type: ignore[arg-type,return-value]


def answers() -> list[Answer]:
    read = streams.client().lrange("replies:test", 0, -1)
    streams.client().delete("replies:test")
    return [decode_answer(text) for text in read]


def takes_up(engine: Engine, *orders: Order) -> None:
    """Tell an engine's book of orders that a test opened past it, and of their customers' money."""
    engine.book.take_up(orders)
    engine.book.set_cash(queries.cash_of({order.customer_id for order in orders}))


def left_in_the_stream() -> int:
    return streams.client().xlen(STREAM)


def test_commands_are_applied_answered_and_acknowledged(engine: Engine) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    send(closing(alice, order.code))

    assert engine.turn() == 1

    (answer,) = answers()
    assert (answer.status, answer.order_code) == (200, order.code)
    assert left_in_the_stream() == 0
    assert streams.client().xpending(STREAM, "engine")["pending"] == 0


def test_what_the_parts_of_a_tick_did_is_told_together() -> None:
    """Guard: `_together` names every field of `Applied`."""
    at, who = timezone.now(), uuid7()
    told: dict[str, Any] = {"answers": ["one"], "live": ["open"], "ended": ["closed"], "trails_set": {"BTC-USD"}}
    part = Applied(**told, cash={who: 1}, hedged={who: 2}, called={who: True}, at=at)
    assert all(getattr(part, field.name) for field in fields(Applied))
    assert _together([Applied(), part]) == part


def loaded(customer: Customer) -> tuple[object, ...]:
    """What a book that is loaded now knows of a customer, at the latest prices."""
    book = Book.load(0, 1)
    book.fired(prices.latest().by_symbol.values())
    return book.state()[1][customer.pk]


def test_what_is_hedged_is_known_to_the_book_as_another_engine_would_load_it(engine: Engine) -> None:
    """Guard: `set_hedged` in `_take_up`. At 40,250.00 the level is 62.5 % of one side, of both 31.25 %."""
    alice = a_customer(with_usd="500.00")
    Instrument.objects.filter(pk="BTC-USD").update(hedged_margin="larger_side")
    symbols.forget()
    btc_at("40_000.00")
    for side in ("buy", "sell"):
        send(opening(alice, type=side, quantity="1", leverage=100))
        engine.turn()
    assert [answer.status for answer in answers()] == [200, 200]
    assert engine.book.state()[1][alice.pk] == loaded(alice)

    btc_at("40_000.00", "40_250.00")
    engine.turn()
    assert Order.objects.filter(customer=alice, status="OPEN").count() == 2
    order = Order.objects.filter(customer=alice, side="buy").get()
    send(closing(alice, order.code, quantity="0.5"))
    engine.turn()
    assert engine.book.state()[1][alice.pk][6] == usd("200.00")
    assert engine.book.state()[1][alice.pk] == loaded(alice)


def test_a_command_past_its_deadline_is_dropped_and_the_order_stays_open(engine: Engine) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    send(closing(alice, order.code), ttl_ms=0)

    engine.turn()

    assert answers() == []
    assert left_in_the_stream() == 0
    order.refresh_from_db()
    assert order.status == "OPEN"


def test_what_was_read_but_never_acknowledged_is_done_by_the_next_engine(engine: Engine) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    send(closing(alice, order.code))
    streams.client().xreadgroup("engine", "engine", {STREAM: ">"})  # read, and then it died
    engine.turn()
    assert answers() == []

    engine.lease.give_back()
    successor = Engine()
    assert successor._start()
    successor.turn()

    (answer,) = answers()
    assert answer.status == 200
    assert Deal.objects.filter(order=order, kind="close").count() == 1


def test_the_same_message_three_times_is_one_close_and_three_times_the_same_answer(engine: Engine) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    close = closing(alice, order.code)
    for _ in range(3):
        send(close)

    engine.turn()

    bodies = [answer.body for answer in answers()]
    assert len(bodies) == 3
    assert len(set(bodies)) == 1
    assert Deal.objects.filter(order=order, kind="close").count() == 1
    assert balance(alice) == usd("10_000.00")


def test_poison_goes_to_the_dead_letters_and_the_others_flow(engine: Engine) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    streams.client().xadd(STREAM, {"c": "no command"})
    streams.client().xadd(STREAM, {"something": "else"})
    send(Command(uuid7(), CLOSE, alice.pk, alice.user_id, {"no": "order"}))
    send(closing(alice, order.code))

    engine.turn()

    assert [answer.status for answer in answers()] == [200]
    assert streams.client().xlen(f"{STREAM}:dead") == 3
    assert left_in_the_stream() == 0


def test_an_emptied_redis_loses_no_order_and_the_engine_goes_on(engine: Engine) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    streams.client().delete(STREAM)

    engine.turn()
    send(closing(alice, order.code))
    engine.turn()

    assert [answer.status for answer in answers()] == [200]


def test_a_second_engine_waits_while_the_first_holds_the_lease(engine: Engine) -> None:
    other = Engine()
    other.lease.holder = "another-host:1"
    assert not other.lease.take()


@pytest.mark.parametrize(
    ("side", "limits", "price", "reason", "profit"),
    [
        ("buy", {"stopLoss": "41000"}, "40_900.00", "stop_loss", "-110.00"),  # a gap fills where the price is
        ("buy", {"takeProfit": "43000"}, "43_000.00", "take_profit", "100.00"),
        ("sell", {"stopLoss": "43000"}, "43_000.00", "stop_loss", "-100.00"),
        ("sell", {"takeProfit": "41000"}, "40_000.00", "take_profit", "200.00"),
    ],
)
def test_a_price_fires_stop_loss_and_take_profit(
    engine: Engine, side: str, limits: dict[str, str], price: str, reason: str, profit: str
) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, type=side, **limits)
    takes_up(engine, order)
    assert engine.turn() == 0

    btc_at(price)
    assert engine.turn() == 1

    order.refresh_from_db()
    assert (order.status, order.close_reason, order.profit) == ("CLOSED", reason, usd_signed(profit))
    assert len(engine.book) == 0
    assert engine.turn() == 0


def usd_signed(amount: str) -> int:
    return -usd(amount[1:]) if amount.startswith("-") else usd(amount)


def test_the_book_is_rebuilt_from_the_orders_in_the_database(engine: Engine) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    opens(alice)
    watched = opens(alice, stopLoss="41000")
    engine.lease.give_back()

    successor = Engine()
    assert successor._start()

    assert len(successor.book) == 2
    btc_at("40_000.00")
    successor.turn()
    watched.refresh_from_db()
    assert watched.close_reason == "stop_loss"


def test_a_stale_price_fires_nothing(engine: Engine) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, stopLoss="41000")
    takes_up(engine, order)

    price_at("BTC-USD", "40_000.00", at=timezone.now() - timedelta(seconds=60))
    engine.turn()

    order.refresh_from_db()
    assert order.status == "OPEN"


def test_a_fresh_price_fires_what_a_stale_one_did_not(engine: Engine) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, stopLoss="41000")
    takes_up(engine, order)
    price_at("BTC-USD", "40_000.00", at=timezone.now() - timedelta(seconds=60))
    engine.turn()

    btc_at("40_000.00")
    engine.turn()

    order.refresh_from_db()
    assert order.close_reason == "stop_loss"


# --- a rate that moves alone -----------------------------------------------------------------------


def an_order_in_pounds() -> Order:
    """100,000 EUR-GBP at 0.80, which have lost 600 GBP: 750.00 of equity for 1,000.00 of margin at 1.25."""
    bob = a_customer(with_usd="1_500.00")
    price_at("EUR-GBP", "0.80000")
    price_at("GBP-USD", "1.25000")
    order = opens(bob, symbol="EUR-GBP", quantity="100000", leverage=100)
    price_at("EUR-GBP", "0.79400")
    return order


def test_a_rate_alone_stops_an_account_out(engine: Engine) -> None:
    """Guard: `Book._convert` touches what is converted by a price that moved."""
    order = an_order_in_pounds()
    takes_up(engine, order)
    engine.turn()
    assert Order.objects.get(pk=order.pk).status == "OPEN"

    price_at("GBP-USD", "1.70000")
    engine.turn()

    order.refresh_from_db()
    assert (order.status, order.close_reason, order.profit) == ("CLOSED", "stop_out", -usd("1_020.00"))


def test_a_rate_alone_stops_an_account_out_after_the_book_was_loaded(engine: Engine) -> None:
    """Guard: `fill_symbol` takes up what is converted."""
    order = an_order_in_pounds()
    engine.lease.give_back()
    successor = Engine()
    assert successor._start()
    successor.turn()
    assert Order.objects.get(pk=order.pk).status == "OPEN"

    price_at("GBP-USD", "1.70000")
    successor.turn()

    order.refresh_from_db()
    assert (order.status, order.close_reason) == ("CLOSED", "stop_out")


def test_a_rate_that_is_too_old_stops_nobody_out_and_a_fresh_one_does(engine: Engine) -> None:
    order = an_order_in_pounds()
    takes_up(engine, order)
    price_at("GBP-USD", "1.70000", at=timezone.now() - timedelta(minutes=1))
    engine.turn()
    assert Order.objects.get(pk=order.pk).status == "OPEN"

    price_at("GBP-USD", "1.70000")
    engine.turn()

    order.refresh_from_db()
    assert (order.status, order.close_reason) == ("CLOSED", "stop_out")


def test_a_stop_that_waits_for_its_rate_fires_when_that_comes_back(engine: Engine) -> None:
    """Guard: `Book._executing_by`. The euro isn't told again, and rises before it is."""
    price_at("EUR-GBP", "0.85000")
    price_at("GBP-USD", "1.25000")
    order = opens(a_customer(with_usd="10_000.00"), symbol="EUR-GBP", quantity="1000", leverage=100, stopLoss="0.84")
    takes_up(engine, order)
    price_at("GBP-USD", "1.25000", at=timezone.now() - timedelta(minutes=1))
    engine.turn()
    price_at("EUR-GBP", "0.83900")
    engine.turn()
    assert Order.objects.get(pk=order.pk).status == "OPEN"

    price_at("GBP-USD", "1.25000")
    engine.turn()

    order.refresh_from_db()
    assert (order.status, order.close_reason, order.profit) == ("CLOSED", "stop_loss", -usd("13.75"))


def test_an_engine_counts_what_it_applied_and_how_much_at_once(engine: Engine) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    for order in (opens(alice), opens(alice)):
        send(closing(alice, order.code))

    engine.turn()

    told = scraped(engine.counted)
    assert told["brokerage_engine_commands_total", "0", "close"] == 2
    assert told["brokerage_engine_tick_commands_bucket", "0", "1"] == 0
    assert told["brokerage_engine_tick_commands_bucket", "0", "2"] == 1
    assert told["brokerage_engine_tick_seconds_count", "0"] == 1
    assert told["brokerage_engine_tick_commands_sum", "0"] == 2
