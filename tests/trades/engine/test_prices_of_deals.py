"""Each deal keeps the price that it was executed at: bid, ask, as of when, how old, held or made of what."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.models import Customer
from quotes import symbols
from quotes.services import hold_price, release_price
from tests.given import a_customer, market_closed_at, price_at, what_the_audit_finds
from tests.trades.engine_steps import applied, closes, closing_all, firing, judging, opens, places
from tests.trades.priced import OLDEST, made_of_two
from tests.without_guards import without_guards
from trades.models import Deal, Order

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="100_000.00")


def priced(deal: Deal) -> tuple[Any, ...]:
    assert deal.price_age_ms is not None
    assert OLDEST <= deal.price_age_ms < 10_000
    return deal.price, deal.bid, deal.ask, deal.hold, deal.sources


def last() -> Deal:
    deal = Deal.objects.order_by("id").last()
    assert deal is not None
    return deal


def at(side: str, bid: str, ask: str, made_of: str) -> tuple[Any, ...]:
    return Decimal(ask if side == "buy" else bid), Decimal(bid), Decimal(ask), None, made_of


def test_whatever_executes_an_order_writes_down_its_price_with_bid_ask_age_and_sources(alice: Customer) -> None:
    """Guard: `executed` in `Session.deal`."""
    made = made_of_two("42000", "42010")
    whole, bought, sold = opens(alice, quantity="0.3"), opens(alice), opens(alice, type="sell")
    assert priced(whole.deals.get()) == at("buy", "42000", "42010", made)
    assert priced(sold.deals.get()) == at("sell", "42000", "42010", made)

    stopped = opens(alice, stopLoss="41000", takeProfit="44000")
    won = opens(alice, takeProfit="43000")
    limit = places(alice, "buy limit", "41500")

    made = made_of_two("42500", "42510")
    part = closes(alice, whole, "0.1")
    assert priced(part.deals.get()) == at("sell", "42500", "42510", made)
    closes(alice, bought)
    assert priced(last()) == at("sell", "42500", "42510", made)

    made = made_of_two("43100", "43110")
    applied(firing(won))
    assert (last().reason, priced(last())) == ("take_profit", at("sell", "43100", "43110", made))

    made = made_of_two("41400", "41410")
    applied(firing(limit))
    assert (last().kind, priced(last())) == ("open", at("buy", "41400", "41410", made))

    made = made_of_two("40900", "40910")
    applied(firing(stopped))
    assert (last().reason, priced(last())) == ("stop_loss", at("sell", "40900", "40910", made))

    made = made_of_two("40950", "40960")
    applied(closing_all(alice))
    closed = Deal.objects.filter(reason="close_all")
    assert {priced(deal)[0] for deal in closed} == {Decimal(40950), Decimal(40960)}
    assert {priced(deal)[1:] for deal in closed} == {(Decimal(40950), Decimal(40960), None, made)}
    assert what_the_audit_finds() == []


def test_a_stop_out_writes_down_its_price(alice: Customer) -> None:
    poor = a_customer("poor", with_usd="500.00")
    made_of_two("42000", "42010")
    opens(poor, leverage=10)
    made = made_of_two("39000", "39010")
    applied(judging(poor))
    assert (last().reason, priced(last())) == ("stop_out", at("sell", "39000", "39010", made))


def test_a_held_price_says_its_hold_and_has_no_sources(alice: Customer) -> None:
    made_of_two("42000", "42010")
    hold = hold_price(symbols.instrument("BTC-USD"), Decimal(41000), Decimal(41010)).hold
    opens(alice)
    deal = last()
    assert (deal.bid, deal.ask, deal.sources) == (Decimal(41000), Decimal(41010), "")
    assert deal.hold == hold.number
    release_price(symbols.instrument("BTC-USD"))
    opens(alice)
    assert last().hold == hold.number  # it stands until the feed's next price
    assert what_the_audit_finds() == []


@pytest.mark.parametrize("change", ["number = 78", "bid = bid - 1", "ask = ask + 1", "instrument_id = 'ETH-USD'"])
def test_a_deal_that_claims_a_hold_of_which_no_row_says_the_same_is_named_by_the_audit(
    alice: Customer, change: str
) -> None:
    """Guard: `quotes_pricehold` in the check "deal prices"."""
    hold_price(symbols.instrument("BTC-USD"), Decimal(41000), Decimal(41010))
    order = opens(alice)
    without_guards("quotes_pricehold", f"UPDATE quotes_pricehold SET {change}")
    (found,) = what_the_audit_finds()
    assert found.startswith(f"deal prices: The open deal of order {order.code} was executed at 41010")
    assert found.endswith(" held by 1.")


@pytest.mark.parametrize(
    "change",
    [
        "bid = NULL",
        "bid = NULL, ask = NULL, priced_at = NULL, price_age_ms = NULL, sources = NULL",
        "ask = NULL",
        "sources = NULL",
        "priced_at = NULL",
        "price_age_ms = NULL",
        "bid = price + 1, ask = price + 2",
        "bid = ask + 1",
        "sources = 'Robert''); DROP TABLE'",
        "sources = repeat('a', 2001)",
    ],
)
def test_the_database_takes_no_deal_with_half_a_price_or_at_another(alice: Customer, change: str) -> None:
    """Guard: the CHECKs `deal_at_its_price`, `deal_sources_are_short` and `deal_has_its_price`, each by itself."""
    made_of_two("42000", "42010")
    opens(alice)
    with pytest.raises(IntegrityError), transaction.atomic():
        without_guards("trades_deal", f"UPDATE trades_deal SET {change}")


@pytest.mark.parametrize(
    "change",
    [
        "price = bid",  # a buyer who got the bid
        "bid = bid + 5",  # higher than any source
        "ask = ask - 4, price = price - 4",  # lower than any source: the order says otherwise, too
        "priced_at = priced_at + interval '2 seconds'",
        "priced_at = priced_at - interval '1 millisecond'",
        "price_age_ms = -1001",
        "price_age_ms = price_age_ms - 9000",
        "hold = 3",
        "sources = 'coinbase'",
        "sources = replace(sources, 'kraken', '9raken')",
        "sources = sources || ';coinbase,1,2,9999999999999'",
    ],
)
def test_a_price_that_was_forged_is_named_by_the_audit(alice: Customer, change: str) -> None:
    """Guard: the check "deal prices"."""
    made_of_two("42000", "42010")
    order = opens(alice)
    closes(alice, opens(alice))
    assert what_the_audit_finds() == []

    without_guards("trades_deal", f"UPDATE trades_deal SET {change} WHERE order_id = %s", order.pk)
    named = f"deal prices: The open deal of order {order.code} was executed at "
    assert any(found.startswith(named) for found in what_the_audit_finds())


def test_outside_a_sandbox_a_deal_whose_price_names_neither_a_hold_nor_a_source_is_named(
    alice: Customer, settings: Any
) -> None:
    """Guard: the check "deal origins". Whoever can write to Redis wrote that price: a feed says what it is made of."""
    made_of_two("42000", "42010")
    opens(alice)
    hold_price(symbols.instrument("BTC-USD"), Decimal(41000), Decimal(41010))
    opens(alice)
    release_price(symbols.instrument("BTC-USD"))
    price_at("BTC-USD", "42000", "42010")
    order = opens(alice)
    assert what_the_audit_finds() == []

    settings.SANDBOX = False
    (found,) = what_the_audit_finds()
    assert found.startswith(f"deal origins: The open deal of order {order.code} was executed at 42010")


def test_deals_from_before_are_right_without_a_price_and_later_ones_are_not(alice: Customer) -> None:
    """Guard: `d.bid IS NULL THEN` in the check."""
    made_of_two("42000", "42010")
    first, second = opens(alice), opens(alice)
    nothing = "bid = NULL, ask = NULL, priced_at = NULL, price_age_ms = NULL, sources = NULL"
    without_guards("trades_deal", "ALTER TABLE trades_deal DROP CONSTRAINT deal_has_its_price")

    without_guards("trades_deal", f"UPDATE trades_deal SET {nothing} WHERE order_id = %s", first.pk)
    assert what_the_audit_finds() == []

    without_guards("trades_deal", f"UPDATE trades_deal SET {nothing} WHERE order_id = %s", second.pk)
    closes(alice, Order.objects.get(pk=first.pk))
    assert what_the_audit_finds() == []  # the closing deal is the first with a price

    without_guards("trades_deal", f"UPDATE trades_deal SET {nothing} WHERE order_id = %s", first.pk)
    closes(alice, Order.objects.get(pk=second.pk))
    assert what_the_audit_finds() == []
    third = opens(alice)
    without_guards("trades_deal", f"UPDATE trades_deal SET {nothing} WHERE order_id = %s", third.pk)
    assert [found for found in what_the_audit_finds() if third.code in found]


def test_a_market_at_rest_executes_nothing_and_writes_no_deal(alice: Customer) -> None:
    market_closed_at("BTC-USD", "42000")
    with pytest.raises(AssertionError):
        opens(alice)
    assert not Deal.objects.exists()
