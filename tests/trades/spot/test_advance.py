"""The storing step: what lets a trade go on, and with which code it fails."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.ids import ID_LAG
from accounts.ledger import FEES, LIQUIDITY, SETTLING
from accounts.models import Customer, LedgerAccount, Transfer
from quotes import prices
from quotes.models import Instrument
from tests.given import (
    a_customer,
    a_quote,
    a_settling_buy,
    a_trade,
    an_exit_quote,
    balance,
    btc,
    btc_at,
    deposit,
    executes,
    exits,
    stores,
    usd,
    what_the_audit_finds,
)
from trades.models import Trade, TradeEvent
from trades.spot.advance import advance
from trades.spot.sweep import sweep

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


def nobody_knows() -> None:
    """Redis is away: nobody can read the prices."""


def what_failed(trade: Trade) -> str | None:
    """The code, after making sure that a failed trade moved nothing."""
    assert trade.state == "failed"
    assert not Transfer.objects.filter(subject=trade.pk).exists()
    assert what_the_audit_finds() == []
    return trade.failure_code


def house(type_: str, asset: str) -> int:
    return sum(row.balance for row in LedgerAccount.objects.filter(customer=None, type=type_, asset_id=asset))


def test_a_buy_pays_cost_and_fee_and_puts_the_asset_into_settling(alice):
    trade = a_trade(alice, "buy", receive=btc("0.1"))

    assert trade.state == "settling"
    assert balance(alice) == usd("10_000.00") - usd("4_010.00")
    assert balance(alice, SETTLING, "BTC") == btc("0.1")
    assert (house(LIQUIDITY, "USD"), house(FEES, "USD"), house(LIQUIDITY, "BTC")) == (
        usd("4_000.00"),
        usd("10.00"),
        -btc("0.1"),
    )
    assert list(TradeEvent.objects.filter(trade=trade).order_by("pk").values_list("became", flat=True)) == [
        "storing",
        "settling",
    ]


def test_a_sell_gives_the_asset_and_puts_what_is_left_after_the_fee_into_settling(alice):
    deposit(alice, "BTC", "0.1")
    trade = a_trade(alice, "sell", deliver=btc("0.1"))

    assert trade.state == "settling"
    assert balance(alice, asset="BTC") == 0
    assert balance(alice, SETTLING) == usd("3_990.00")
    assert (house(LIQUIDITY, "USD"), house(FEES, "USD")) == (-usd("4_000.00"), usd("10.00"))
    assert what_the_audit_finds() == []


@pytest.mark.parametrize(("late_by", "state"), [(-1, "settling"), (0, "failed"), (1, "failed")])
def test_a_quote_expires_at_the_very_microsecond_its_answer_says(alice, late_by, state):
    quote = a_quote(alice, receive=1000)
    trade = executes(quote, at=quote.expires_at + timedelta(microseconds=late_by))
    stores(trade)

    assert trade.state == state
    if state == "failed":
        assert what_failed(trade) == "expired_quote"


def test_a_quote_used_in_time_is_not_expired_by_a_slow_worker(alice):
    trade = executes(a_quote(alice, receive=1000))
    an_hour_later = timezone.now() + timedelta(hours=1)

    advance([trade.pk], at=an_hour_later, prices=prices.latest)

    trade.refresh_from_db()
    assert (trade.state, trade.updated_at) == ("settling", an_hour_later)


def test_money_goes_to_the_trades_in_the_order_they_were_made(alice):
    trades = [executes(a_quote(alice, deliver=usd("4_000.00"))) for _ in range(3)]
    smaller = executes(a_quote(alice, deliver=usd("2_000.00")))

    stores(smaller, *reversed(trades))

    assert [trade.state for trade in trades] == ["settling", "settling", "failed"]
    assert what_failed(trades[2]) == "non_sufficient_funds"
    failed = TradeEvent.objects.get(trade=trades[2], became="failed")
    assert (failed.needed, failed.there) == (usd("4_000.00"), usd("2_000.00"))
    assert smaller.state == "settling"
    assert balance(alice) == 0


def test_a_customer_who_never_held_the_asset_has_no_funds():
    btc_at("40_000.00")
    poor = a_customer()

    assert what_failed(a_trade(poor, "sell", deliver=1000)) == "non_sufficient_funds"
    assert what_failed(a_trade(poor, "buy", receive=1000)) == "non_sufficient_funds"


@pytest.mark.parametrize("code", ["expired_quote", "non_sufficient_funds"])
def test_the_sandbox_fails_a_trade_as_asked(alice, code):
    trade = executes(a_quote(alice, receive=1000), expected_error=code)
    stores(trade)

    assert what_failed(trade) == code


def test_more_than_the_instruments_most_is_past_the_limit(alice):
    deposit(alice, "USD", "99_000_000.00")
    Instrument.objects.filter(pk="BTC-USD").update(max_quantity=2)

    assert a_trade(alice, receive=btc("2")).state == "settling"
    assert what_failed(a_trade(alice, receive=btc("2") + 1)) == "limit_exceeded"


def test_a_trade_can_be_taken_back_after_the_limit_was_lowered(alice):
    deposit(alice, "USD", "99_000_000.00")
    bought = a_settling_buy(alice, btc("2"))
    Instrument.objects.filter(pk="BTC-USD").update(max_quantity=1)

    assert exits(bought).state == "settling"


@pytest.mark.parametrize("state", ["frozen", "rejected"])
def test_a_customer_who_may_not_trade_gets_unsupported(alice, state):
    trade = executes(a_quote(alice, receive=1000))
    Customer.objects.filter(pk=alice.pk).update(state=state)
    stores(trade)

    assert what_failed(trade) == "unsupported"


def test_an_instrument_that_is_switched_off_gets_unsupported(alice):
    trade = executes(a_quote(alice, receive=1000))
    Instrument.objects.filter(pk="BTC-USD").update(is_active=False)
    stores(trade)

    assert what_failed(trade) == "unsupported"


def test_a_trade_that_has_moved_is_left_alone(alice):
    trade = a_trade(alice, receive=1000)
    before = balance(alice)

    again = advance([trade.pk], at=timezone.now(), prices=prices.latest)

    assert (again.settling, again.failed) == (0, 0)
    assert balance(alice) == before


def test_a_step_can_be_written_down_once_whoever_asks(alice):
    trade = a_trade(alice, receive=1000)

    with pytest.raises(IntegrityError), transaction.atomic():
        TradeEvent.objects.create(trade=trade, customer=alice, became="settling", at=timezone.now())


def test_a_second_live_exit_is_refused_by_the_table_itself(alice):
    bought = a_settling_buy(alice, btc("0.1"))
    exits(bought)
    second = executes(an_exit_quote(bought))

    with pytest.raises(IntegrityError, match="exiting_trade"), transaction.atomic():
        Trade.objects.filter(pk=second.pk).update(state="settling", exiting_trade=bought)


def test_a_set_costs_the_same_statements_however_many_trades_are_in_it(alice):
    def statements(count: int) -> int:
        trades = [executes(a_quote(alice, receive=1000)) for _ in range(count)]
        latest = prices.latest()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            advance([trade.pk for trade in trades], at=timezone.now(), prices=lambda: latest)
        return len(queries)

    statements(1)  # opens the accounts
    assert statements(20) == statements(2) <= 13


def test_the_sweep_finds_what_no_worker_was_woken_for(alice):
    trades = [executes(a_quote(alice, receive=1000)) for _ in range(3)]
    now = timezone.now()

    mark = sweep(low_water=None, at=now, prices=prices.latest)

    assert set(Trade.objects.filter(pk__in=[t.pk for t in trades]).values_list("state", flat=True)) == {"settling"}
    assert mark < trades[0].pk  # ten minutes back: slow transactions may still bring older ids
    assert sweep(low_water=mark, at=now + 2 * ID_LAG, prices=nobody_knows) > trades[2].pk
