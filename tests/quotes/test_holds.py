"""What an operator holds a price at: history in PostgreSQL, which Redis copies and every answer tells."""

from __future__ import annotations

import json
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from accounts import json_codec, streams
from accounts.identity import Actor
from accounts.models import User
from quotes import prices, references, symbols
from quotes.models import PriceHold
from quotes.prices import HoldState, PriceTick
from quotes.selectors import hold_states
from quotes.services import hold_price, release_price
from tests.admin.actions import page, shown
from tests.commands import told
from tests.given import a_customer, btc_at, every_price_at_its_start
from tests.trades.engine_steps import changing, opening, opens, says
from trades.models import Order
from trades.reads.orders import one_order

BTC = "BTC-USD"

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> User:
    return User.objects.create_superuser("ann@firm.example", "a long enough word")


def holds(bid: str, ask: str = "", **more: object) -> PriceHold:
    return hold_price(symbols.instrument(BTC), Decimal(bid), Decimal(ask or bid), **more).hold  # type: ignore[arg-type]


def releases() -> PriceHold:
    return release_price(symbols.instrument(BTC)).hold


def stands() -> Decimal:
    return prices.latest().by_symbol[BTC].bid


def in_redis() -> prices.Price:
    """Also of a hold that no row says, which nobody reads as a price."""
    return prices.parsed(streams.client().hgetall("prices"))[BTC]


def feed_says(price: str, states: dict[str, HoldState] | None = None) -> None:
    """As a feed does, with what PostgreSQL told it about holds."""
    prices.publish_ticks([PriceTick(BTC, Decimal(price), Decimal(price))], {}, states)


# --- the rows --------------------------------------------------------------------------------------


def test_a_hold_is_a_row_with_the_person_the_reason_and_the_time_and_so_is_its_release(ann):
    out = StringIO()
    words = ["BTC", "43000.5", "43001", "--by", "ann@firm.example", "--reason", "the feed is wrong"]
    call_command("set_price", *words, stdout=out)
    assert out.getvalue().strip() == "BTC-USD is held at 43000.5 / 43001 by ann@firm.example until it is released."

    out = StringIO()
    call_command("set_price", "BTC", "--release", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"symbol": BTC, "held": False}

    first, second = PriceHold.objects.order_by("number")
    assert (first.number, first.bid, first.ask, first.by, first.reason) == (
        1,
        Decimal("43000.5"),
        43001,
        ann,
        "the feed is wrong",
    )
    assert (second.number, second.bid, second.ask, second.by, second.is_held) == (2, None, None, None, False)
    assert first.at < second.at


def test_a_release_of_what_is_not_held_does_nothing_and_says_so():
    assert told("set_price", "BTC", "--release") == {"symbol": BTC, "held": False, "nothing": True}
    told("set_price", "BTC", "100", "101")
    assert told("set_price", "BTC", "--release") == {"symbol": BTC, "held": False}
    assert told("set_price", "BTC", "--release") == {"symbol": BTC, "held": False, "nothing": True}
    assert PriceHold.objects.count() == 2


def test_a_hold_that_only_redis_keeps_is_released_all_the_same():
    """PostgreSQL was restored to a time before the hold. Guard: `may_be_held` compares the numbers."""
    btc_at("100")
    prices.hold(BTC, Decimal(300), Decimal(300), 7)

    assert told("set_price", "BTC", "--release") == {"symbol": BTC, "held": False}
    feed_says("100")
    assert stands() == 100


def test_who_is_no_member_of_staff_holds_nothing():
    with pytest.raises(CommandError, match="no active staff user"):
        call_command("set_price", "BTC", "1", "2", "--by", "bob@firm.example")

    assert not PriceHold.objects.exists()
    assert not prices.latest().by_symbol


@pytest.mark.parametrize(
    "statement",
    ["UPDATE quotes_pricehold SET bid = 1", "DELETE FROM quotes_pricehold", "TRUNCATE quotes_pricehold"],
)
def test_nobody_rewrites_what_was_held(statement):
    holds("100")

    with connection.cursor() as cursor, pytest.raises(IntegrityError, match="never changed or removed"):
        cursor.execute(statement)


@pytest.mark.parametrize(("bid", "ask"), [(0, 1), (-1, 1), (2, 1), (None, 1), (1, None)])
def test_the_database_refuses_a_hold_that_is_no_price(bid, ask):
    with pytest.raises(IntegrityError, match="hold_is_a_price_or_a_release"), transaction.atomic():
        PriceHold.objects.create(instrument_id=BTC, number=1, bid=bid, ask=ask, at="2026-01-01T00:00:00Z")


def test_a_number_is_used_once_by_instrument():
    holds("100")

    with pytest.raises(IntegrityError, match="one_hold_per_number"), transaction.atomic():
        PriceHold.objects.create(instrument_id=BTC, number=1, at="2026-01-01T00:00:00Z")


# --- Redis' copy -----------------------------------------------------------------------------------


def test_a_hold_comes_back_with_the_next_tick_after_redis_was_emptied_and_so_does_its_release():
    btc_at("100")
    holds("200", "201")
    streams.client().delete(*prices.KEYS)

    feed_says("100", hold_states({}))
    price = prices.latest().by_symbol[BTC]
    assert (price.bid, price.ask, price.hold) == (200, 201, 1)

    releases()
    streams.client().delete(*prices.KEYS)
    feed_says("101", hold_states({}))
    assert (stands(), prices.latest().by_symbol[BTC].is_held) == (101, False)


def test_a_feed_that_has_not_heard_of_a_hold_or_a_release_undoes_neither():
    """Guard: the script takes the higher number."""
    btc_at("100")
    before = hold_states({})
    holds("200")
    held = hold_states({})

    feed_says("100", before)
    assert stands() == 200

    releases()
    feed_says("101", held)
    assert stands() == 101
    holds("300")
    feed_says("102", held)
    assert stands() == 300


def test_two_holds_that_reach_redis_the_other_way_round_leave_the_later_one():
    btc_at("100")

    assert prices.hold(BTC, Decimal(300), Decimal(300), 2) == 2
    assert prices.hold(BTC, Decimal(200), Decimal(200), 1) == 2

    assert in_redis().bid == 300


def test_a_hold_that_postgresql_does_not_know_any_more_ends_with_what_the_feed_hears_next():
    """PostgreSQL was restored to a time before numbers 2 and 3, which Redis remembers."""
    btc_at("100")
    holds("200")
    prices.release(BTC, 2)
    prices.hold(BTC, Decimal(300), Decimal(300), 3)

    feed_says("100", hold_states({}))
    assert in_redis().bid == 300, "a feed that hasn't seen the number can't say that it is lost"

    feed_says("100", hold_states({BTC: 3}))
    assert (stands(), prices.latest().by_symbol[BTC].hold) == (200, 1)


def test_a_word_after_a_restore_takes_a_number_above_those_that_redis_remembers():
    btc_at("100")
    prices.hold(BTC, Decimal(300), Decimal(300), 7)

    assert holds("200").number == 8

    assert stands() == 200
    feed_says("100", hold_states({BTC: 7}))
    assert stands() == 200


def test_a_hold_that_was_lost_and_numbered_again_is_what_postgresql_says():
    btc_at("100")
    prices.hold(BTC, Decimal(300), Decimal(300), 1)
    PriceHold.objects.create(instrument_id=BTC, number=1, bid=200, ask=200, at="2026-01-01T00:00:00Z")

    feed_says("100", hold_states({BTC: 1}))

    assert stands() == 200


def test_a_hold_without_a_number_stays_until_somebody_says_otherwise_and_is_no_price():
    btc_at("100")
    streams.client().hset("prices:held", BTC, "1000|1000")

    feed_says("100", hold_states({BTC: 0}))
    assert (in_redis().bid, in_redis().hold) == (1000, 0)
    assert prices.latest().faults == {BTC: prices.Fault.HOLD}

    releases()
    feed_says("101", hold_states({}))
    assert stands() == 101


def test_a_hold_stays_written_down_while_redis_is_away_and_the_command_says_so(settings):
    from tests.faults.own_redis import own_redis

    with own_redis(settings) as server:
        server.stop()
        out = StringIO()
        call_command("set_price", "BTC", "200", "201", stdout=out)
        server.start()

        assert "Redis can't be reached: it takes effect once a feed reaches it." in out.getvalue()
        feed_says("100", hold_states({}))
        assert stands() == 200


# --- what is told ----------------------------------------------------------------------------------


@pytest.fixture
def held(ann: User) -> PriceHold:
    every_price_at_its_start()
    return holds("43000", "43010", by=Actor(user_id=ann.pk))


def test_the_latest_prices_say_which_is_held_and_since_when_and_not_by_whom(client, held):
    answer = json_codec.loads(client.get("/api/v1/prices/latest").content)["data"]

    told = {one["symbol"]: one for one in answer}
    since = json_codec.timestamp(held.at)
    assert (told[BTC]["held"], told[BTC]["heldSince"], told[BTC]["heldBy"]) == (True, since, "operator")
    assert not any("held" in key for key in told["ETH-USD"])
    assert b"ann" not in client.get("/api/v1/prices/latest").content

    releases()
    btc_at("43000")
    assert b"held" not in client.get("/api/v1/prices/latest").content


def test_which_prices_are_held_costs_a_query_only_while_one_is(client, django_assert_num_queries):
    def known() -> None:
        """What any request may find a second old: the instruments' rows, and what prices are judged by."""
        symbols.instruments()
        references.forget()
        references.known()

    every_price_at_its_start()
    known()
    with django_assert_num_queries(0):
        client.get("/api/v1/prices/latest")

    holds("43000")
    known()
    with django_assert_num_queries(1):
        client.get("/api/v1/prices/latest")


def test_an_order_says_that_its_current_price_is_held_and_says_nothing_while_it_is_not(ann):
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)

    def listed() -> dict[str, object]:
        return one_order(Order.objects.filter(customer=alice), None, order.code, prices.latest())

    assert "currentPriceHeld" not in listed()
    assert "currentPriceHeld" not in says(changing(alice, order.code, stopLoss="1000"))["order"]

    holds("43000")

    assert (listed()["currentPrice"], listed()["currentPriceHeld"]) == (43000, True)
    assert says(changing(alice, order.code, stopLoss="1001"))["order"]["currentPriceHeld"] is True
    assert says(opening(alice))["order"]["currentPriceHeld"] is True
    assert "currentPriceHeld" not in one_order(Order.objects.filter(customer=alice), None, order.code, None)


def test_the_admin_tells_who_holds_a_price_and_since_when(held, ann):
    browser = Client()
    browser.force_login(ann)
    told = f"held by ann@firm.example since {held.at:%Y-%m-%d %H:%M:%S} UTC"

    assert told in shown(browser.get(reverse("admin:quotes_instrument_changelist")))
    assert f"43000 / 43010 {told}" in shown(browser.get(page("quotes_instrument", BTC)))
    assert "held by" not in shown(browser.get(page("quotes_instrument", "ETH-USD")))
    assert told in shown(browser.get("/admin/"))
    assert "43000 / 43010 ann@firm.example" in shown(browser.get(reverse("admin:quotes_pricehold_changelist")))

    prices.publish([(BTC, Decimal(1), Decimal(1))])  # refused, behind the held one
    assert told in shown(browser.get(reverse("admin:quotes_instrument_accept_refused", args=[BTC])))


def test_the_admin_tells_at_an_open_position_that_its_price_is_held(ann):
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    browser = Client()
    browser.force_login(ann)
    assert "held by" not in shown(browser.get(reverse("admin:trades_position_changelist")))

    holds("43000", by=Actor(user_id=ann.pk))

    assert "held by ann@firm.example since" in shown(browser.get(reverse("admin:trades_position_changelist")))
    assert "held by ann@firm.example since" in shown(browser.get(page("trades_position", order.pk)))


def test_accepting_a_price_tells_that_the_one_that_stands_is_held(ann):
    btc_at("42_000.00")
    hold = holds("43000", by=Actor(user_id=ann.pk))
    prices.publish([(BTC, Decimal(1), Decimal(1))])
    since = f"{hold.at:%Y-%m-%d %H:%M:%S} UTC"

    out = StringIO()
    call_command("accept_price", "BTC", stdout=out)
    assert f", held by ann@firm.example since {since}" in out.getvalue().splitlines()[0]

    out = StringIO()
    call_command("accept_price", "BTC", "--json", stdout=out)
    told = json_codec.loads(out.getvalue().encode())["stands"]
    since = json_codec.timestamp(hold.at)
    assert (told["held"], told["held_by"], told["held_since"]) == (True, "ann@firm.example", since)


def test_a_held_price_is_fresh_only_while_a_feed_publishes():
    holds("200")
    long_ago = prices.clock() - 60_000
    streams.client().hset("prices", BTC, f"200|200|{long_ago}|1")
    assert prices.latest().usable(BTC, 10) is None

    feed_says("100")

    usable = prices.latest().usable(BTC, 10)
    assert usable is not None
    assert (usable.bid, usable.hold) == (200, 1)
