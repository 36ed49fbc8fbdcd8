"""What a change would fire, stated beforehand by the engine's own book and rules, and changing nothing."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from quotes import prices
from quotes.judging import Fault, PriceLimits
from quotes.models import Instrument, InstrumentChange
from tests.given import a_customer, balance, btc_at, market_closed_at, price_at, usd, what_the_audit_finds
from tests.trades.engine_steps import became, cash, fires, happened, judges, opens, places
from tests.trades.instruments.staff import BTC, a_hedger, any_spread_counts, now, proposes
from trades.instruments.change import would_fire
from trades.instruments.errors import NoPriceToStateBy
from trades.instruments.statement import ChangeStatement, lines
from trades.instruments.stress import stress
from trades.models import Order, OrderEvent

pytestmark = pytest.mark.django_db

WIDE = {"spread_bps": "9999"}


def test_the_operators_9999_states_what_it_would_close_and_closes_nothing():
    """The middle is 40,010.00, so 9999 bps are 20,007.00 / 60,013.00: the long's stop loses (20,007.00 - 40,020.00)
    x 0.1 = 2,001.30, the short's (40,000.00 - 60,013.00) x 0.1 = 2,001.30."""
    alice, long, short = a_hedger()
    before = cash(alice)

    statement, is_narrow = would_fire(BTC, WIDE)

    assert (statement.bid, statement.ask) == (Decimal("20007.00"), Decimal("60013.00"))
    assert statement == ChangeStatement(
        bid=statement.bid, ask=statement.ask, stop_losses=2, customers=1, losses=Decimal("4002.60")
    )
    assert not is_narrow
    assert lines(statement) == [
        "2 positions closed by their stop loss",
        "1 customers whose orders it touches",
        "losses of customers: 4002.60",
    ]
    assert (became(long), became(short), cash(alice)) == (("OPEN", ""), ("OPEN", ""), before)


def test_what_was_stated_is_what_the_engine_does_at_that_price():
    """The statement against the engine itself, of a book with every kind of trigger."""
    alice, *_ = a_hedger()
    carol = a_customer("carol", with_usd="500.00")
    dora = a_customer("dora", with_usd="10_000.00")
    held = opens(carol, quantity="0.1", leverage=100)
    orders = [
        opens(dora, quantity="0.01", trailingStop="500"),
        opens(dora, type="sell", quantity="0.01", takeProfit="39000"),
        places(dora, "buy stop", "41000", quantity="0.01", stopLoss="40500"),  # the spread would close it
        places(dora, "buy stop", "41000", quantity="0.01"),
        places(dora, "buy limit", "38000", quantity="0.01"),
        places(dora, "sell stop", "39500", quantity="0.01", takeProfit="39400"),
    ]
    told, _ = would_fire(BTC, WIDE)

    prices.publish([(BTC, told.bid, told.ask)], limits={BTC: PriceLimits(Decimal(50), Decimal(200))})
    live = Order.objects.filter(status__in=["OPEN", "PENDING"])
    everything = [*live.order_by("id")]
    fires(*everything)
    fires(*Order.objects.filter(status="OPEN", pk__in=[o.pk for o in orders]))
    judges(alice, carol, dora)

    closed = list(Order.objects.filter(status="CLOSED"))
    reasons = [order.close_reason for order in closed]
    assert told.stop_losses == reasons.count("stop_loss") == 2
    assert told.trailing_stops == reasons.count("trailing_stop") == 1
    assert told.stopped_out == reasons.count("stop_out") == 1
    assert told.stop_outs == happened(carol).count("stop_out") == 1
    assert told.opened == 1
    assert told.cancelled == Order.objects.filter(status="CANCELLED").count() == 2
    assert told.losses == -sum(order.profit for order in closed if order.profit < 0) / 100
    assert told.called == OrderEvent.objects.filter(kind="margin_call").count()
    assert told.customers == 3
    assert became(held) == ("CLOSED", "stop_out")
    assert told.borne * 100 == -(usd("500.00") - -Order.objects.get(pk=held.pk).profit) > 0
    assert cash(carol) == 0
    assert what_the_audit_finds() == []


def test_a_narrower_spread_opens_what_waits_and_ends_a_call():
    btc_at("40_000.00", "40_020.00")
    alice = a_customer(with_usd="1_000.00")
    places(alice, "buy limit", "40_012.00".replace("_", ""), quantity="0.01")

    statement, _ = would_fire(BTC, {"spread_bps": "0.1"})

    assert (statement.bid, statement.ask, statement.opened) == (Decimal("40009.79"), Decimal("40010.21"), 1)
    assert statement.fires


def test_a_resting_market_hides_nothing():
    """Guard: a price that the change moves counts as fresh. Without it a change on Sunday states nothing, and fires
    on Monday."""
    a_hedger()
    market_closed_at(BTC, "40010.00")

    assert would_fire(BTC, WIDE)[0].stop_losses == 2


@pytest.mark.parametrize("rests", [("GBP-USD",), ("EUR-GBP", "GBP-USD")])
def test_a_resting_rate_hides_nothing_either(rests):
    """Guard: `as_if_open`. Without it one person's change on a weekend, and what a move would fire, state nothing of
    what is counted in another currency, and it fires on Monday."""
    price_at("GBP-USD", "1.30")
    price_at("EUR-GBP", "0.85")
    opens(a_customer(with_usd="10_000.00"), symbol="EUR-GBP", quantity="1000", stopLoss="0.84900")
    for symbol in rests:
        market_closed_at(symbol, {"GBP-USD": "1.30", "EUR-GBP": "0.85"}[symbol])

    assert would_fire("EUR-GBP", {"spread_bps": "200"})[0].stop_losses == 1
    assert [one.statement.stop_losses for one in stress("EUR-GBP") if one.percent < 0] == [1, 1, 1]


def test_what_a_resting_market_is_converted_by_states_what_it_would_stop_out():
    """Guard: `moved` in `as_if_open`. Their own prices rest as well, and they can't be closed."""
    price_at("GBP-USD", "1.30")
    price_at("EUR-GBP", "0.85")
    opens(a_customer(with_usd="2_000.00"), symbol="EUR-GBP", quantity="100000", leverage=100)
    market_closed_at("GBP-USD", "1.30")
    market_closed_at("EUR-GBP", "0.839")
    assert [one.statement.stopped_out for one in stress("GBP-USD") if one.percent == 10] == [1]


def test_a_refused_price_hides_nothing_after_the_feed_fell_silent():
    """Guard: a refused price that would count then counts as fresh, too. The feed's next one is as far away."""
    a_hedger()
    market_closed_at(BTC, "40010.00")
    half_a_minute_ago = timezone.now() - timedelta(seconds=30)
    assert prices.publish([(BTC, Decimal("15000"), Decimal("15010"))], at=half_a_minute_ago) == {BTC: Fault.JUMP}

    assert would_fire(BTC, {"jump_limit_percent": "90"})[0].stop_losses == 1


def test_a_raised_age_limit_states_what_an_old_price_would_fire():
    """Guard: `AGES` in `FIRING`. Without it a price counts again that nobody was told of."""
    a_hedger()
    market_closed_at(BTC, "38000.00")

    statement, is_narrow = would_fire(BTC, {"price_age_limit_seconds": 120})

    assert (statement.bid, statement.stop_losses, is_narrow) == (Decimal("38000.00"), 1, False)


def test_without_any_price_nobody_can_say_it():
    from quotes import prices

    a_hedger()
    prices.forget(BTC)

    with pytest.raises(NoPriceToStateBy):
        would_fire(BTC, WIDE)


def test_nothing_open_fires_nothing_and_needs_no_price():
    assert would_fire(BTC, WIDE) == (ChangeStatement(), False)
    assert would_fire("ETH-USD", {"spread_bps": "6.5"}) == (ChangeStatement(), True)


def test_other_symbols_positions_are_not_touched_by_themselves_and_fall_with_their_account():
    """A stop-out closes the largest loss of the account first, whatever its symbol."""
    btc_at("40_000.00", "40_020.00")
    price_at("ETH-USD", "2_000.00", "2_001.00")
    alice, bob = a_customer(with_usd="1_000.00"), a_customer("bob", with_usd="1_000.00")
    opens(alice, quantity="0.1", leverage=10)
    opens(alice, symbol="ETH-USD", quantity="1", leverage=10)
    opens(bob, symbol="ETH-USD", quantity="1", leverage=10)

    statement, _ = would_fire(BTC, {"spread_bps": "9000"})

    assert (statement.stop_outs, statement.called, statement.customers) == (1, 1, 1)


def test_a_raised_jump_limit_states_what_the_refused_price_would_fire():
    from quotes import prices

    a_hedger()
    faults = prices.publish([(BTC, Decimal("15000"), Decimal("15010"))], limits={BTC: PriceLimits()})
    assert faults

    statement, is_narrow = would_fire(BTC, {"jump_limit_percent": "90"})

    assert (statement.bid, statement.stop_losses, is_narrow) == (Decimal("15000"), 1, False)


def test_a_refused_price_that_stays_too_wide_is_not_what_is_stated():
    """Guard: `_is_too_wide` in `preview._price`. Without it 2 stop losses are stated that nothing would fire."""
    Instrument.objects.filter(pk=BTC).update(max_spread_percent=5)
    a_hedger()
    assert prices.publish([(BTC, Decimal("15000"), Decimal("62000"))]) == {BTC: Fault.SPREAD}

    statement, _ = would_fire(BTC, {"jump_limit_percent": "90"})

    assert (statement.bid, statement.fires) == (Decimal("40000.00"), False)


def test_terms_that_move_no_price_fire_nothing():
    a_hedger()

    for name, value in {"leverage_cap": 50, "fee_bps": "27", "swap_long_bps": "-2.6"}.items():
        assert would_fire(BTC, {name: value}) == (ChangeStatement(), True), name


def test_a_statement_comes_back_from_its_row_as_it_was():
    a_hedger()
    told, _ = would_fire(BTC, WIDE)

    proposed = proposes(**WIDE)

    assert ChangeStatement.read(InstrumentChange.objects.get(pk=proposed.pk).stated) == told
    assert now().spread_bps == 5
    assert balance(a_customer()) == 0


def test_what_is_converted_by_an_instrument_is_stated_with_its_change():
    """Guard: `preview._moved`. Nobody has an order in GBP-USD; a mark-up there makes lost pounds dearer."""
    any_spread_counts("GBP-USD")
    price_at("EUR-GBP", "0.80000")
    price_at("GBP-USD", "1.25000")
    bob = a_customer(with_usd="1_500.00")
    opens(bob, symbol="EUR-GBP", quantity="100000", leverage=100)
    price_at("EUR-GBP", "0.79400")

    statement, _ = would_fire("GBP-USD", {"markup_bps": "9000"})

    assert (statement.stop_outs, statement.stopped_out) == (1, 1)
    assert statement.losses == Decimal("1087.50")  # 600 GBP at 1.8125


def test_a_stop_that_waits_for_its_rate_is_stated_with_what_lets_the_rate_count():
    """Guard: `Book._executing_by`, in the rehearsal. Stated as nothing, one person would apply it alone."""
    price_at("EUR-GBP", "0.85000")
    price_at("GBP-USD", "1.25000")
    order = opens(a_customer(with_usd="10_000.00"), symbol="EUR-GBP", quantity="1000", leverage=100, stopLoss="0.84")
    market_closed_at("GBP-USD", "1.25000")
    price_at("EUR-GBP", "0.83900")
    fires(order)
    assert became(order) == ("OPEN", "")

    statement, is_narrow = would_fire("GBP-USD", {"price_age_limit_seconds": 120})

    assert (statement.stop_losses, statement.losses, is_narrow) == (1, Decimal("13.75"), False)
