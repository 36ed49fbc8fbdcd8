"""What is told over both ways: in order, once, to whom it belongs."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from accounts import events
from accounts.identity import CUSTOMER_SCOPES
from quotes.models import Instrument
from quotes.services import hold_price, release_price
from tests.accounts.events.places import here
from tests.given import a_customer, a_settling_buy, btc, btc_at, settle_everything, token_of
from tests.stream.listening import Reader, Sse, Stream, kinds
from tests.stream.who import a_customers_token, a_firms_token, freeze, told_by_the_list
from tests.trades.engine_steps import opens

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("stream")]


def test_the_life_of_a_trade_is_told_over_both_ways_alike_and_as_the_list_has_it(stream: Stream) -> None:
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    token = token_of(alice)
    place = events.guid_of(here()).hex
    readers: list[Reader] = [stream.sse(token, last=place), stream.ws(token, f"?after={place}")]
    for one in readers:
        one.first("ready")
    bought = a_settling_buy(alice, btc("0.1"))
    settle_everything()
    listed = told_by_the_list(token, place)

    by_sse, by_socket = (one.events(len(listed)) for one in readers)

    assert ("trade.completed", bought.pk.hex) in kinds(listed)
    assert by_sse == by_socket == [{"type": "event", **one} for one in listed]


def test_what_commits_late_is_told_in_its_place_and_once_across_reconnects(stream: Stream) -> None:
    """Guard: the horizon in `events.after`, by which the hub's place moves on. Without it a transaction that began
    before others and commits after them is passed by."""
    alice, bob = a_customer(), a_customer()
    token = a_firms_token()
    start = events.guid_of(here()).hex
    first = stream.sse(token, "?event_type=customer.frozen,customer.verified", last=start)
    began, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with closing(connection), transaction.atomic():
            freeze(alice)
            began.set()
            may_commit.wait(10)

    first.first("ready")
    writer = threading.Thread(target=slow)
    writer.start()
    assert began.wait(10)
    freeze(bob, 3)
    assert first.is_quiet()
    first.close()
    second = stream.sse(token, "?event_type=customer.frozen,customer.verified", last=first.id)
    second.first("ready")
    may_commit.set()
    writer.join(10)
    told = second.events(2)
    second.close()
    third = stream.ws(token, f"?after={second.id}&event_type=customer.frozen,customer.verified")
    told += third.events(2)

    listed = told_by_the_list(token, start)
    assert [one["object_guid"] for one in told] == [alice.pk.hex, *[bob.pk.hex] * 3]
    assert [one["guid"] for one in told] == [one["guid"] for one in listed]
    assert third.is_quiet()


def test_many_writers_and_a_reader_that_comes_back_all_the_time(stream: Stream) -> None:
    """Guard: what a connection has seen is not told again (`Hub._tell_one`). Without it some events come twice."""
    people = [a_customer() for _ in range(6)]
    token = a_firms_token()
    start = events.guid_of(here()).hex
    reader = stream.sse(token, last=start)

    def writes(number: int) -> None:
        with closing(connection):
            for turn in range(25):
                with transaction.atomic(), connection.cursor() as cursor:
                    freeze(people[number])
                    cursor.execute("SELECT pg_sleep(%s)", [0.001 * ((number * 7 + turn * 3) % 9)])

    writers = [threading.Thread(target=writes, args=(number,)) for number in range(len(people))]
    for one in writers:
        one.start()
    told: list[str] = []
    turn = 0
    while len(told) < 150:
        turn += 1
        told += [one["guid"] for one in reader.events(min(1 + turn * 7 % 13, 150 - len(told)))]
        reader.close()
        reader = stream.sse(token, last=reader.id)
    for one in writers:
        one.join(30)

    assert told == [one["guid"] for one in told_by_the_list(token, start)]
    assert reader.is_quiet()


def test_nobody_is_told_anothers_events(stream: Stream) -> None:
    """Guard: the routes by customer in `Hub._readers`, which say what `events.after` says."""
    alice, bob = a_customer(), a_customer()
    of_alice, of_bob = token_of(alice), token_of(bob)
    limited = a_customers_token(bob, CUSTOMER_SCOPES - {"customers:read"})
    start = events.guid_of(here()).hex
    readers: dict[str, Reader] = {
        "alice": stream.sse(of_alice, last=start),
        "bob": stream.ws(of_bob, f"?after={start}"),
        "bob's at a partner": stream.ws(a_customers_token(bob), f"?after={start}"),
        "bob's, of other kinds": stream.sse(limited, last=start),
        "the firm": stream.sse(a_firms_token(), last=start),
    }
    for one in readers.values():
        one.first("ready")
    freeze(alice)
    freeze(bob)
    freeze(alice)
    hold_price(Instrument.objects.get(symbol="BTC-USD"), Decimal("40000"), Decimal("40010"), reason="a test")
    release_price(Instrument.objects.get(symbol="BTC-USD"), reason="a test")
    here()

    told = {name: [one["event_type"] for one in reader.events(2)] for name, reader in readers.items()}
    for name in ("alice", "bob", "bob's at a partner", "the firm"):
        told[name] += [one["event_type"] for one in readers[name].events(1 if name != "alice" else 2)]

    assert told["alice"] == ["customer.frozen", "customer.verified", "price.held", "price.released"]
    assert told["bob"] == told["bob's at a partner"] == ["customer.frozen", "price.held", "price.released"]
    assert told["bob's, of other kinds"] == ["price.held", "price.released"]
    assert told["the firm"] == ["customer.frozen"] * 2 + ["customer.verified"]
    assert all(readers[name].is_quiet(0.3) for name in readers if name != "the firm")


def test_who_subscribes_to_kinds_and_symbols_is_told_no_others(stream: Stream) -> None:
    btc_at("40_000.00")
    alice = a_customer()
    reader = stream.ws(token_of(alice), "?event_type=customer.verified,prices&symbol=ETH-USD")

    ready = reader.first("ready")
    freeze(alice, 2)
    [event] = reader.events(1)
    reader.say(type="subscribe", event_type=["customer.frozen", "prices"], symbol=["btc"])
    again, first = reader.first("ready"), reader.first_price()
    freeze(alice, 2)

    assert (ready["event_type"], ready["symbol"]) == (["customer.verified"], ["ETH-USD"])
    assert event["event_type"] == "customer.verified"
    assert (again["event_type"], again["symbol"]) == (["customer.frozen"], ["BTC-USD"])
    assert [one["symbol"] for one in first["prices"]] == ["BTC-USD"]
    assert reader.events(1)[0]["event_type"] == "customer.frozen"
    assert reader.is_quiet(0.3)


def test_prices_come_as_a_snapshot_and_then_the_newest_at_most_twice_a_second(stream: Stream) -> None:
    btc_at("40_000.00")
    time.sleep(0.7)
    reader = stream.sse(a_customers_token(a_customer()), "?event_type=prices")
    shown = [reader.first_price()["prices"][0]["sell_price"]]
    began = time.monotonic()
    for step in range(24):
        btc_at(f"40_{step:03}.00")
        time.sleep(0.05)
    while shown[-1] != 4_002_300:
        shown.append(reader.first_price()["prices"][0]["sell_price"])

    assert shown[0] == 4_000_000
    assert 2 <= len(shown) <= 2 + (time.monotonic() - began) / 0.5
    assert shown == sorted(shown)


def test_a_traders_figures_come_first_and_when_something_of_theirs_moves(stream: Stream) -> None:
    btc_at("42_000.00")
    alice = a_customer(with_usd="10_000.00")
    reader, other = stream.ws(token_of(alice), "?event_type=order.opened,figures"), stream.sse(token_of(a_customer()))
    first = reader.first("figures")
    opens(alice)

    opened = reader.until(lambda one: one["type"] == "figures" and one["margin"] > 0)

    assert first == {**first, "customer_guid": alice.pk.hex, "balance": 10_000, "margin": 0, "currency": "USD"}
    assert [one["event_type"] for one in opened if one["type"] == "event"] == ["order.opened"]
    assert other.first("figures")["balance"] == 0


def test_heartbeats_say_the_place_from_which_to_go_on(stream: Stream) -> None:
    alice = a_customer()
    token = token_of(alice)
    readers = [stream.sse(token, "?event_type=customer.frozen") for _ in range(15)]
    for one in readers:
        one.first("ready")
    freeze(alice)
    for one in readers:
        one.events(1)
    told_by_the_list(token, readers[0].id)
    turns = (one for _ in range(200) for one in readers)
    heard, beat = next((one, beat) for one in turns for beat in _heard(one))

    assert heard.id == beat["next"]
    assert (beat["events"], beat["prices"]) == (True, True)
    again = stream.sse(token, "?event_type=customer.frozen", last=heard.id)
    assert again.is_quiet(0.4)


def _heard(one: Sse) -> list[dict[str, Any]]:
    try:
        return [one.first("heartbeat", 0.02)]
    except TimeoutError:
        return []
