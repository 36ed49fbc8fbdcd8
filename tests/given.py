"""Verbs that build a situation. Amounts are written as people write them: usd("10_000.00"), btc("0.1")."""

from __future__ import annotations

import itertools
import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts import audit, ledger, services, tokens
from accounts.identity import CUSTOMER_SCOPES, FIRM_SCOPES, SYSTEM, Actor, Caller
from accounts.models import Customer, LedgerAccount
from quotes import prices
from quotes.judging import PriceLimits
from quotes.models import Instrument, Quote
from quotes.quoting import FeeTerms
from quotes.services import quote_trading
from quotes.symbols import canonical
from trades.models import SettlementBatch, Trade
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.settle import settle
from trades.spot.advance import advance
from trades.spot.execute import execute
from trades.spot.exit_quotes import quote_exit
from trades.states import TradeState

_counter = itertools.count(1)


def usd(amount: str) -> int:
    return services.base_units("USD", amount.replace("_", "")) if Decimal(amount.replace("_", "")) else 0


def btc(amount: str) -> int:
    return services.base_units("BTC", amount.replace("_", ""))


def a_customer(name: str = "alice", *, with_usd: str = "") -> Customer:
    """Somebody who logs in as NAME-N@example.com with the password "correct horse N"."""
    number = next(_counter)
    email = f"{name}-{number}-{uuid.uuid4().hex[:6]}@example.com"
    customer = services.create_customer(email, f"correct horse {number}", name, timezone.now())
    if with_usd:
        deposit(customer, "USD", with_usd)
    return customer


def deposit(customer: Customer, asset: str, amount: str) -> None:
    services.deposit(
        customer,
        asset,
        services.base_units(asset, amount.replace("_", "")),
        key=uuid.uuid4().hex,
        at=timezone.now(),
        by="test",
    )


def token_of(customer: Customer) -> str:
    """The access token of a customer's own user."""
    assert customer.user is not None
    return tokens.trader_pair(customer.user).access


def balance(customer: Customer, type_: str = ledger.AVAILABLE, asset: str = "USD") -> int:
    row = LedgerAccount.objects.filter(customer=customer, asset_id=asset, type=type_).first()
    return row.balance if row else 0


ANYWHERE = PriceLimits(jump=Decimal(10) ** 30)
"""A jump limit in percent that no test's market reaches: what a story says the price is, the price is."""


def price_at(symbol: str, bid: str, ask: str = "", *, at: datetime | None = None) -> None:
    """Make this the latest price, wherever the one before was; one number means bid and ask are the same.

    With `at` it is as old as that says, also where a newer one stood.
    """
    name = canonical(symbol)
    assert name is not None
    bid = bid.replace("_", "")
    if at is not None:
        prices.forget(name)
    prices.publish([(name, Decimal(bid), Decimal(ask.replace("_", "") or bid))], limits={name: ANYWHERE}, at=at)


def btc_at(bid: str, ask: str = "") -> None:
    price_at("BTC-USD", bid, ask)


def market_closed_at(symbol: str, bid: str) -> None:
    """The market of a symbol has closed at this price, a minute ago: it counts, and nothing is executed at it."""
    price_at(symbol, bid, at=timezone.now() - timedelta(minutes=1))


def every_price_at_its_start() -> None:
    for row in Instrument.objects.all():
        price_at(row.symbol, f"{row.simulator_price:f}")


# --- quotes, trades and settlement -----------------------------------------------------------------


def the_firm() -> Caller:
    return Caller(scopes=FIRM_SCOPES, client_id=uuid.uuid4())


def acting_for(customer: Customer) -> Caller:
    return Caller(scopes=CUSTOMER_SCOPES, customer_id=customer.pk)


def a_quote(
    customer: Customer,
    side: str = "buy",
    *,
    receive: int | None = None,
    deliver: int | None = None,
    symbol: str = "BTC-USD",
    fees: FeeTerms | None = None,
    at: datetime | None = None,
) -> Quote:
    return quote_trading(
        customer_id=customer.pk,
        symbol=symbol,
        side=side,
        receive=receive,
        deliver=deliver,
        fees=fees,
        prices=prices.latest(),
        at=at or timezone.now(),
    )


def an_exit_quote(original: Trade) -> Quote:
    return quote_exit(
        customer_id=original.customer_id,
        reference_trade_id=original.pk,
        fees=None,
        prices=prices.latest(),
        at=timezone.now(),
    )


def executes(quote: Quote, *, at: datetime | None = None, expected_error: str = "") -> Trade:
    """The quote as a trade in storing."""
    is_exit = quote.product_type == Quote.Product.TRADING_EXIT
    return execute(
        by=the_firm(),
        quote_id=quote.pk,
        trade_type="exit" if is_exit else "platform",
        at=at or timezone.now(),
        expected_error=expected_error,
    )


def stores(*trades: Trade) -> None:
    """Let the storing step run over these trades, as a worker would."""
    advance([trade.pk for trade in trades], at=timezone.now(), prices=prices.latest)
    for trade in trades:
        trade.refresh_from_db()


def a_trade(customer: Customer, side: str = "buy", **wanted: Any) -> Trade:
    """A quote, executed, and its storing step; `wanted` as for `a_quote`."""
    trade = executes(a_quote(customer, side, **wanted))
    stores(trade)
    return trade


def a_settling_buy(customer: Customer, amount: int, *, at_price: str = "") -> Trade:
    """A settling trade that received `amount` satoshis."""
    if at_price:
        btc_at(at_price)
    trade = a_trade(customer, receive=amount)
    assert trade.state == TradeState.SETTLING, trade.failure_code
    return trade


def exits(original: Trade) -> Trade:
    """An exit of this trade, after its storing step."""
    trade = executes(an_exit_quote(original))
    stores(trade)
    return trade


def a_cut(*, by: Actor = SYSTEM) -> SettlementBatch:
    return cut_now(at=timezone.now(), by=by)


def settles(batch: SettlementBatch, *, chunk: int = 10_000) -> SettlementBatch:
    """The batch, confirmed and settled to its end."""
    if batch.state == "cut":
        confirm(batch.pk, by=SYSTEM, at=timezone.now())
    for _ in settle(batch.pk, clock=timezone.now, chunk=chunk):
        pass
    batch.refresh_from_db()
    return batch


def settle_everything() -> SettlementBatch:
    return settles(a_cut())


def states(*trades: Trade) -> list[str]:
    """What became of these trades, as the database has it now."""
    found = dict(Trade.objects.filter(pk__in=[trade.pk for trade in trades]).values_list("pk", "state"))
    return [found[trade.pk] for trade in trades]


def what_the_audit_finds() -> list[str]:
    """The checks that found something wrong, in words; empty when the books are right."""
    result = audit.run(timezone.now())
    return [f"{finding['check']}: {finding['sentence']}" for finding in result.findings]
