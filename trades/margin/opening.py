"""Creating an order: a market order opens at once, a limit or stop order waits for its price."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from django.conf import settings

from accounts.ids import order_code, uuid7
from accounts.money import printed, printed_amount
from quotes.conversion import ONE, Rate
from quotes.models import Instrument
from quotes.prices import Price
from trades.margin import hedging, leverage, pricing, risk_limits, rules
from trades.margin.account import AccountState
from trades.margin.commands import Command
from trades.margin.errors import (
    ClientOrderIdTaken,
    InsufficientBalance,
    LeverageTooHigh,
    LimitReached,
    MayNotOpen,
    PriceNotFound,
    SlippageExceeded,
    StoppedOutAtOnce,
)
from trades.margin.levels import margin_level, reaches
from trades.margin.outcomes import Created
from trades.margin.positions import reserve
from trades.margin.rows import Loss, OrderRow
from trades.margin.rules import number, optional
from trades.margin.session import Kind, Session
from trades.margin.terms import CHANGEABLE, ENTRY_PRICES, PRICES, STOPS
from trades.spendable import Held, loss_of, lost, spendable
from trades.states import CancelReason, OrderStatus, OrderType


def create(session: Session, command: Command, account: AccountState) -> Created:
    """Open a market order, or place a pending one. Raises the refusals of `rules` and those below."""
    terms = command.terms
    made = session.made.get(command.id)
    if made is not None:
        return Created(made)
    name = terms.get("clientOrderId")
    if name and (command.customer_id, name) in session.taken:
        raise ClientOrderIdTaken(session.taken[command.customer_id, name])
    instrument = session.market.tradable(terms["symbol"])
    waits = OrderType(terms.get("orderType") or "market") != OrderType.MARKET
    session.market.refuse_opening(instrument.symbol, terms["symbol"], waits=waits)
    find = session.market.price_to_judge_by if waits else session.market.price
    market = find(instrument.symbol, terms["symbol"])
    order = _order(session, command, instrument)
    rules.check_size(order, instrument)
    leverage.check_caps(order, instrument, account.customer.client_class)
    rules.check_ticks({name: optional(terms.get(name)) for name in PRICES}, instrument)
    if order.type == OrderType.MARKET:
        _check_market(order, instrument, terms, market)
    else:
        price = order.price or Decimal(0)
        rules.check_waits(order, instrument, market)
        rules.check_price_distance(order, instrument, market)
        rules.check_limits(order, instrument, price, "price")
        rules.check_distances(order, instrument, rules.closes_at(price, order.side, market))
        leverage.check_pending(session, account, order, instrument)
        risk_limits.check_pending(session, order)
    if not account.customer.may_open:
        raise MayNotOpen
    if order.type == OrderType.MARKET:
        rate = _open(session, account, order, market)
        session.event(Kind.OPENED, order.customer_id, order.id, command.id, **_agreed(order))
        session.deal(order, command.id, "open", order.opened_price, rate)
    else:
        session.event(Kind.PLACED, order.customer_id, order.id, command.id, **_agreed(order))
    session.add(order)
    session.made[command.id] = order
    if name:
        session.taken[command.customer_id, name] = order.code
    return Created(order)


def open_pending(session: Session, account: AccountState, order: OrderRow, market: Price) -> None:
    """A pending order's price has come: open it at the available price, or cancel it where that can't be."""
    instrument = session.market.instrument_of(order)
    if not session.market.state_of(instrument.symbol).opens:  # it waits on
        return
    reason, rate = "", ONE
    why: dict[str, object] = {}
    if not account.customer.may_open or not instrument.is_active:
        reason = CancelReason.FORBIDDEN
    elif rules.is_past_take_profit(order, market.entry(order.side)):
        reason = CancelReason.GAP
    elif rules.is_past_stop_loss(order, market.exit(order.side)) and not rules.is_past_stop_loss(
        order, market.entry(order.side)
    ):
        reason = CancelReason.SPREAD
    else:
        try:
            leverage.check_caps(order, instrument, account.customer.client_class)
            rate = _open(session, account, order, market)
        except LeverageTooHigh:
            reason = CancelReason.LEVERAGE
        except InsufficientBalance as refusal:
            reason, why = CancelReason.NO_MARGIN, {"required": refusal.required, "available": refusal.available}
        except LimitReached as refusal:
            reason, why = CancelReason.LIMIT, {"limit": refusal.kind}
        except StoppedOutAtOnce:
            reason = CancelReason.SPREAD
        except PriceNotFound:  # of another position: what may be spent is known again when it has one
            return
    if reason:
        cancel_pending(session, order, reason, why=why)
        return
    session.deal(order, None, "open", order.opened_price, rate)
    trail = {} if order.trail_peak is None else {"trailPeak": order.trail_peak}
    session.event(Kind.OPENED, order.customer_id, order.id, None, **trail)


def cancel_pending(
    session: Session,
    order: OrderRow,
    reason: str,
    command: Command | None = None,
    why: Mapping[str, object] | None = None,
) -> None:
    """`why`: what was required, and what was available, where that is the reason, amounts as texts; or which limit."""
    order.status, order.closed_at, order.close_reason = OrderStatus.CANCELLED, session.at, reason
    session.end(order)
    session.event(
        Kind.CANCELLED, order.customer_id, order.id, command.id if command else None, reason=reason, **why or {}
    )


def _open(session: Session, account: AccountState, order: OrderRow, market: Price) -> Rate:
    """Open at the entry side of the market; the rate at which the margin was converted, as what has to be bought.

    Raises LeverageTooHigh, LimitReached, InsufficientBalance, StoppedOutAtOnce, PriceNotFound where a price for that
    rate lacks; nothing has been changed then.
    """
    decimals = session.market.decimals
    price, rate = market.entry(order.side), session.market.conversion(order.instrument_id).loss
    margin = pricing.margin_required(order.quantity, price, order.leverage, decimals, rate)
    leverage.check_exposure(session, account, order, session.market.instrument_of(order), margin)
    risk_limits.check_own(session, order, margin)
    covered = hedging.covered(session, account, order)
    available = may_be_spent(session, account, covered)
    if margin > available:
        raise InsufficientBalance(printed_amount(margin, decimals), printed_amount(available, decimals))
    _refuse_stopped_out_at_once(session, account, order, market, max(0, margin - covered), rate)
    risk_limits.check_firms(session, order, margin)  # last: who can't pay learns nothing of others
    order.open_price, order.margin = price, margin
    order.nets_margin = session.market.nets(order.instrument_id)
    if not rate.is_one:
        order.open_multiplier, order.open_divisor = rate.multiplier, rate.divisor
    order.status, order.opened_at = OrderStatus.OPEN, session.at
    if order.trailing_stop is not None:
        rules.set_trail(session, order, market)
    reserve(session, account, order)
    return rate


def _refuse_stopped_out_at_once(
    session: Session, account: AccountState, order: OrderRow, market: Price, more: int, rate: Rate
) -> None:
    """The spread alone must not stop an order out: it is worth what it would be closed at, beside all the account's
    losses. Profits of other positions count for nothing, as in what can be spent, for they may be gone at the next
    price. Who looks next rounds each position by itself, together with what its parts have brought: a base unit each,
    at the most; the new one's is rounded up here. `more` is what would be reserved beyond what is. Raises
    StoppedOutAtOnce."""
    assert account.loss is not None, "what may be spent was asked for"
    decimals, price = session.market.decimals, market.entry(order.side)
    loss = account.loss.exactly + loss_of(order.side, price, order.quantity, market, rate)
    equity = account.balance - lost(loss, decimals) - account.loss.positions
    used = account.reserved + account.drawn + more
    if reaches(equity, used, settings.STOP_OUT_PERCENT):
        closed_at = printed(market.exit(order.side), session.market.instrument_of(order).price_decimals)
        level = printed(margin_level(equity, used) or Decimal(0), 2)
        raise StoppedOutAtOnce(level, closed_at, settings.STOP_OUT_PERCENT)


def may_be_spent(session: Session, account: AccountState, covered: int = 0) -> int:
    """What the customer can spend, as the tick stands (`spendable`), with so much that is reserved already for what
    this is spent on. Raises PriceNotFound where that can't be known."""
    if account.loss is None:
        account.loss = Loss(Decimal(0))
        for order in session.all_of(account).values():
            if order.status == OrderStatus.OPEN:
                session.lose(account, order)
    if account.loss.unpriced is not None:
        raise PriceNotFound(account.loss.unpriced)
    losses = lost(account.loss.exactly, session.market.decimals)
    return spendable(account.free + covered, Held(account.drawn + account.owed + losses, None))


def _order(session: Session, command: Command, instrument: Instrument) -> OrderRow:
    terms = command.terms
    order = OrderRow(
        id=uuid7(),
        code=order_code(),
        customer_id=command.customer_id,
        client_order_id=terms.get("clientOrderId") or None,
        command_id=command.id,
        parent_id=None,
        instrument_id=instrument.symbol,
        side=terms["side"],
        type=OrderType(terms.get("orderType") or "market"),
        quantity=number(terms["quantity"]),
        leverage=int(terms["leverage"]),
        margin=0,
        price=None,
        open_price=None,
        take_profit=None,
        stop_loss=None,
        trailing_stop=None,
        trail_peak=None,
        trail_at=None,
        status=OrderStatus.PENDING,
        created_at=session.at,
    )
    for term in CHANGEABLE:
        setattr(order, term.column, optional(terms.get(term.name)))
    return order


def _agreed(order: OrderRow) -> dict[str, object]:
    """The terms of a new order, as its first event has them for good; what it hasn't got is left out."""
    terms: dict[str, object] = {
        "symbol": order.instrument_id,
        "type": order.side,
        "quantity": order.quantity,
        "leverage": order.leverage,
    }
    if order.type != OrderType.MARKET:
        terms["orderType"] = order.type
    for term in (*ENTRY_PRICES, *STOPS):
        if (price := getattr(order, term.column)) is not None:
            terms[term.name] = price
    if order.trail_peak is not None:
        terms["trailPeak"] = order.trail_peak
    if order.client_order_id is not None:
        terms["clientOrderId"] = order.client_order_id
    return terms


def _check_market(order: OrderRow, instrument: Instrument, terms: dict[str, object], market: Price) -> None:
    price = market.entry(order.side)
    expected, slippage = optional(terms.get("expectedPrice")), optional(terms.get("slippage"))
    if expected is not None and slippage is not None and pricing.slipped(expected, price, slippage, order.side):
        raise SlippageExceeded(
            printed(slippage), printed(expected, instrument.price_decimals), printed(price, instrument.price_decimals)
        )
    rules.check_limits(order, instrument, price, "execution price")
    rules.check_distances(order, instrument, market.exit(order.side))
