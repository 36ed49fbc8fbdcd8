"""Many settling trades at once, made the way the services make one, but in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from accounts.ids import uuid7
from accounts.models import Customer
from quotes.models import Quote
from quotes.prices import Price, Prices
from trades.models import Trade, TradeEvent
from trades.spot.advance import MOST_AT_ONCE, advance

_PRICE = 40_000
_FEE_CENTS = 10


def many_settling_buys(customers: Sequence[Customer], count: int, *, satoshis: int = 10_000) -> list[Trade]:
    """`count` settling buys of so many satoshis at 40,000.00, dealt out to the customers in turn."""
    trades: list[Trade] = []
    while len(trades) < count:
        some = [
            customers[(len(trades) + turn) % len(customers)] for turn in range(min(MOST_AT_ONCE, count - len(trades)))
        ]
        trades += _stored(some, satoshis)
    moved = advance([trade.pk for trade in trades], at=timezone.now(), prices=the_market)
    assert moved.settling == count, moved
    return trades


def many_exits(originals: Sequence[Trade]) -> list[Trade]:
    """A settling exit of each of these buys, at the same price."""
    exits = many_exits_in_storing(originals)
    moved = advance([trade.pk for trade in exits], at=timezone.now(), prices=the_market)
    assert moved.settling == len(exits), moved
    return exits


def many_exits_in_storing(originals: Sequence[Trade]) -> list[Trade]:
    """An exit of each of these buys, at the same price, that nobody has moved yet."""
    now = timezone.now()
    exits = []
    for original in originals:
        cost = int(original.deliver_amount) - _FEE_CENTS
        quote = _quote(original.customer_id, "sell", cost - _FEE_CENTS, int(original.receive_amount), now, original.pk)
        exits.append(_trade(quote, "exit", "USD", "BTC", now))
    _store([trade.quote for trade in exits], exits)
    return exits


def the_market() -> Prices:
    """It has just stood where every quote here has it."""
    now = timezone.now()
    return Prices(now, {"BTC-USD": Price("BTC-USD", Decimal(_PRICE), Decimal(_PRICE), now)})


def _stored(customers: Sequence[Customer], satoshis: int) -> list[Trade]:
    now = timezone.now()
    cents = -(-satoshis * _PRICE * 100 // 10**8) + _FEE_CENTS
    trades = [
        _trade(_quote(customer.pk, "buy", satoshis, cents, now), "platform", "BTC", "USD", now)
        for customer in customers
    ]
    _store([trade.quote for trade in trades], trades)
    return trades


def _store(quotes: Sequence[Quote], trades: Sequence[Trade]) -> None:
    Quote.objects.bulk_create(quotes)
    Trade.objects.bulk_create(trades)
    TradeEvent.objects.bulk_create(
        TradeEvent(trade=trade, customer_id=trade.customer_id, became="storing", at=trade.created_at)
        for trade in trades
    )


def _quote(customer_id, side, receive, deliver, now, reference=None) -> Quote:
    return Quote(
        id=uuid7(),
        customer_id=customer_id,
        product_type="trading" if reference is None else "trading_exit",
        instrument_id="BTC-USD",
        side=side,
        price=_PRICE,
        receive_amount=receive,
        deliver_amount=deliver,
        fee=_FEE_CENTS,
        reference_trade_id=reference,
        issued_at=now,
        expires_at=now + timedelta(seconds=30),
    )


def _trade(quote: Quote, trade_type: str, receives: str, delivers: str, now) -> Trade:
    return Trade(
        id=uuid7(),
        customer_id=quote.customer_id,
        quote=quote,
        trade_type=trade_type,
        instrument_id=quote.instrument_id,
        side=quote.side,
        receive_asset_id=receives,
        deliver_asset_id=delivers,
        receive_amount=quote.receive_amount,
        deliver_amount=quote.deliver_amount,
        fee=quote.fee,
        reference_trade_id=quote.reference_trade_id,
        created_at=now,
        updated_at=now,
    )
