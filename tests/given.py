"""Verbs that build a situation. Amounts are written as people write them: usd("10_000.00"), btc("0.1")."""

from __future__ import annotations

import itertools
import time
import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from accounts import audit, clock, ledger, services, tokens
from accounts.identity import CUSTOMER_SCOPES, FIRM_SCOPES, SYSTEM, Actor, Caller
from accounts.models import Customer, ExternalBankAccount, LedgerAccount
from accounts.services.bank_accounts import GivenAccount, add_bank_account
from accounts.timestamps import in_milliseconds
from quotes import prices
from quotes.judging import PriceLimits
from quotes.models import Instrument, Quote
from quotes.quoting import FeeTerms
from quotes.services import quote_funding, quote_trading
from quotes.symbols import canonical
from tests.accounts.events.places import here
from trades.errors import NothingToCut
from trades.models import Payment, SettlementBatch, Trade
from trades.payments.carry import carry
from trades.payments.execute import Accounts
from trades.payments.execute import execute as execute_payment
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


def firm_now() -> datetime:
    """The time, and as far ahead as this process knows that the firm's is."""
    return timezone.now() + clock.ahead_known()


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
        at=at or firm_now(),
    )


def an_exit_quote(original: Trade) -> Quote:
    return quote_exit(
        customer_id=original.customer_id,
        reference_trade_id=original.pk,
        fees=None,
        prices=prices.latest(),
        at=firm_now(),
    )


def executes(quote: Quote, *, at: datetime | None = None, expected_error: str = "") -> Trade:
    """The quote as a trade in storing."""
    is_exit = quote.product_type == Quote.Product.TRADING_EXIT
    return execute(
        by=the_firm(),
        quote_id=quote.pk,
        trade_type="exit" if is_exit else "platform",
        at=at or firm_now(),
        expected_error=expected_error,
    )


def stores(*trades: Trade) -> None:
    """Let the storing step run over these trades, as a worker would."""
    advance([trade.pk for trade in trades], at=firm_now(), prices=prices.latest)
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
    """What was accepted by now; a virtual machine's clock that was set back a little is waited for."""
    newest = Trade.objects.aggregate(newest=Max("created_at"))["newest"]
    give_up = time.monotonic() + 1
    while (at := firm_now()) and newest and in_milliseconds(at) <= newest and time.monotonic() < give_up:
        time.sleep(0.001)
    try:
        return cut_now(at=at, by=by)
    except NothingToCut as failure:
        failure.add_note(f"{at}: {[*Trade.objects.values_list('pk', 'state', 'created_at', 'batch_id')[:20]]}")
        raise


def settles(batch: SettlementBatch, *, chunk: int = 10_000) -> SettlementBatch:
    """The batch, confirmed and settled to its end."""
    if batch.state == "cut":
        confirm(batch.pk, by=SYSTEM, at=firm_now())
    for _ in settle(batch.pk, clock=firm_now, chunk=chunk):
        pass
    batch.refresh_from_db()
    return batch


def settle_everything() -> SettlementBatch:
    return settles(a_cut())


def states(*trades: Trade) -> list[str]:
    """What became of these trades, as the database has it now."""
    found = dict(Trade.objects.filter(pk__in=[trade.pk for trade in trades]).values_list("pk", "state"))
    return [found[trade.pk] for trade in trades]


# --- payments --------------------------------------------------------------------------------------


def a_funding_quote(
    customer: Customer,
    side: str,
    amount: int,
    *,
    asset: str = "USD",
    fees: FeeTerms | None = None,
    at: datetime | None = None,
    product: str = Quote.Product.FUNDING,
) -> Quote:
    """An offer that delivers `amount`: from outside, or to there."""
    return quote_funding(
        product=product,
        customer_id=customer.pk,
        asset=asset,
        side=side,
        receive=None,
        deliver=amount,
        fees=fees,
        at=at or timezone.now(),
    )


def uses(quote: Quote, *, by: Caller | None = None, **wanted: Any) -> Payment:
    """The quote as a payment, as it was stored."""
    wanted = {"transfer_type": "funding", "at": timezone.now(), **wanted}
    return execute_payment(by=by or the_firm(), quote_id=quote.pk, **wanted)


def a_payment(customer: Customer, side: str, amount: int, **wanted: Any) -> Payment:
    """A quote, used, and carried as far as its rail goes by itself."""
    offer = {name: wanted.pop(name) for name in ("asset", "fees") if name in wanted}
    payment = uses(a_funding_quote(customer, side, amount, **offer), **wanted)
    carry([payment.pk])
    payment.refresh_from_db()
    return payment


def a_bank_account(customer: Customer, asset: str = "USD", number: str = "123456789") -> ExternalBankAccount:
    """The customer's account at a bank in the United States."""
    given = GivenAccount(customer.pk, asset, "salary", "Alice Miller", "ABA", "021000021", number)
    return add_bank_account(given, by=Actor(), at=timezone.now())


def a_delivery(firm: Any) -> tuple[str, str, str]:
    """A subscription that this API client makes, an event, and its delivery: their guids. Nothing is sent."""
    wanted = {"name": "a shop", "type": "webhook", "environment": "sandbox", "url": "https://shop.example/hooks"}
    subscription = firm.post("/api/subscriptions", wanted)[1]["guid"]
    customer = a_customer()
    Customer.objects.filter(pk=customer.pk).update(state="frozen")
    here()
    event = firm.get("/api/events", event_type="customer.frozen", customer_guid=customer.pk.hex)[1]["objects"][0][
        "guid"
    ]
    again = {"subscription_guid": subscription, "subscription_event_guid": event}
    return subscription, firm.post("/api/subscription_deliveries", again)[1]["guid"], event


def account_of(customer: Customer, asset: str = "USD") -> uuid.UUID:
    """The customer's account in an asset, opened where there is none."""
    with transaction.atomic():
        (row,) = ledger.lock([ledger.customers(customer.pk, asset, ledger.AVAILABLE)]).values()
    return row.id


def sends(customer: Customer, other: Customer, amount: int, **wanted: Any) -> Payment:
    """A book transfer that delivers `amount`, as it was stored."""
    offer = {name: wanted.pop(name) for name in ("asset", "fees") if name in wanted}
    quote = a_funding_quote(customer, "deposit", amount, product=Quote.Product.BOOK_TRANSFER, **offer)
    return moves_to(other, quote, **wanted)


def moves_to(other: Customer, quote: Quote, **wanted: Any) -> Payment:
    """A book_transfer quote, used to move its money to another customer."""
    assert quote.asset_id is not None
    between = Accounts(account_of(quote.customer, quote.asset_id), account_of(other, quote.asset_id))
    return uses(quote, **{"transfer_type": "book", "between": between, **wanted})


def what_the_audit_finds() -> list[str]:
    """The checks that found something wrong, in words; empty when the books are right."""
    result = audit.run(timezone.now())
    return [f"{finding['check']}: {finding['sentence']}" for finding in result.findings]
