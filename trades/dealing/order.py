"""A dealer's action: one person proposes it, and where it is much another one orders it.

What one person may order alone is what they have closed alone within a day, together with this, up to
`DEALER_ALONE_LIMIT`: many small ones are one large one. Positions of all customers at once, and what has no price to be
valued by but one that somebody holds, always take two. Cancelling what waits moves nothing, and is one person's. The
order of locks is the maker's row, then the action's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

import redis
from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet, Sum, TextField, Value
from django.db.models.functions import Cast, Concat, Replace

from accounts import conflicts
from accounts.errors import Malformed
from accounts.models import User
from accounts.money import NEAREST, exact, to_base_units
from accounts.services.proposals import made_by_dialog, undecided
from quotes import prices as markets
from quotes import references
from quotes.conversion import converted
from quotes.prices import Prices
from quotes.symbols import instruments
from trades.currency import decimals
from trades.dealing.errors import ActionDecided, ActionNotFound, NothingToDo, ProposalTooOld
from trades.errors import MakerIsChecker
from trades.margin.commands import KEPT_FOR
from trades.models import DealersAction, IdempotentAnswer, Order, Position
from trades.spendable import rates_by
from trades.states import OrderStatus

LONGEST_REASON: Final = 200
WITHIN: Final = timedelta(days=1)  # how far back one person's own actions count
ORDERED_WITHIN: Final = timedelta(days=1)  # a proposal; after that its worth is of another day
Kind, State = DealersAction.Kind, DealersAction.State

_HEX: Final = Replace(Cast(OuterRef("pk"), TextField()), Value("-"), Value(""), output_field=TextField())
_ITS_KEY: Final = Concat(Value(KEPT_FOR), _HEX, output_field=TextField())  # `kept_for`, of an action outside


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a dealer wants done: an order by its code, or all positions of a customer, of a symbol, or of both."""

    kind: DealersAction.Kind
    customer_id: UUID | None = None
    order_code: str = ""
    symbol: str | None = None


@conflicts.atomic
def propose(wanted: Wanted, *, reason: str, by: UUID, at: datetime, once: UUID | None = None) -> DealersAction:
    """Propose an action; within what `by`, a member of the staff, may do alone, it comes back ordered.

    `once` is the one-time key of their dialog. Raises Malformed, NothingToDo, and KeyReused where the dialog was
    answered otherwise before.
    """
    reason = reason.strip()
    if not 0 < len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise Malformed(f"An action has a reason of 1 to {LONGEST_REASON} characters on one line.")
    User.objects.select_for_update(no_key=True).get(pk=by)  # what they do alone is added up one after the other
    says = {
        "kind": wanted.kind.value,
        "customer_id": wanted.customer_id,
        "order_code": wanted.order_code,
        "instrument_id": wanted.symbol,
        "reason": reason,
        "made_by_id": by,
    }
    made = made_by_dialog(DealersAction, once, lambda one: all(getattr(one, name) == says[name] for name in says))
    if made is not None:
        return made
    positions = [] if wanted.kind is Kind.CANCEL else list(positions_of(wanted))
    if not positions and not (wanted.kind is Kind.CANCEL and _waits(wanted)):
        raise NothingToDo
    worth = 0 if wanted.kind is Kind.CANCEL else worth_of(positions, _prices())
    is_alone = wanted.kind is Kind.CANCEL or (
        wanted.customer_id is not None and worth is not None and worth + _alone_lately(by, at) <= alone_limit()
    )
    made = DealersAction.objects.create(
        **says, worth=worth, positions_count=len(positions), needs_checker=not is_alone, once=once, made_at=at
    )
    return _decided(made, State.ORDERED, None, at) if is_alone else made


@conflicts.atomic
def order(action_id: UUID, *, by: UUID, at: datetime) -> DealersAction:
    """Order what another one has proposed. Raises ActionNotFound, ActionDecided, MakerIsChecker, ProposalTooOld."""
    action = _undecided(action_id)
    if action.made_by_id == by:
        raise MakerIsChecker("Whoever proposed an action can't order it.")
    if at - action.made_at > ORDERED_WITHIN:
        raise ProposalTooOld
    return _decided(action, State.ORDERED, by, at)


@conflicts.atomic
def refuse(action_id: UUID, *, by: UUID, at: datetime) -> DealersAction:
    """Decide against a proposal; its maker does so by withdrawing it. Raises ActionNotFound, ActionDecided."""
    action = _undecided(action_id)
    return _decided(action, State.REFUSED, None if action.made_by_id == by else by, at)


def positions_of(wanted: Wanted) -> QuerySet[Position]:
    """The open positions that an action is about."""
    found = Position.objects.order_by()
    if wanted.customer_id is not None:
        found = found.filter(customer_id=wanted.customer_id)
    if wanted.order_code:
        found = found.filter(code=wanted.order_code)
    if wanted.symbol is not None:
        found = found.filter(instrument_id=wanted.symbol)
    return found


@exact
def worth_of(positions: Sequence[Position], prices: Prices | None) -> int | None:
    """Quantity times price of positions, base units of the account currency: the exit price, as the latest prices have
    it however old, or the price at which one opened, whichever is greater.

    None where one has no price, or an operator holds its own or one that it is converted by: nobody knows, for whoever
    closes may hold prices as well.
    """
    rates, total = rates_by(prices.by_symbol if prices else {}), Decimal(0)
    for one in positions:
        price = prices.by_symbol.get(one.instrument_id) if prices else None
        counted_in = instruments()[one.instrument_id].counter_asset_id
        conversion = rates.of(counted_in)
        if price is None or conversion is None or prices is None or _is_held(one.instrument_id, counted_in, prices):
            return None
        total += converted(one.quantity * max(price.exit(one.side), one.open_price or price.bid), conversion.loss)
    return to_base_units(total, decimals(), NEAREST)


def _is_held(symbol: str, counted_in: str, prices: Prices) -> bool:
    """Whether an operator holds an instrument's price, or one that it is converted by."""
    legs = rates_by(prices.by_symbol).path(counted_in) or ()
    used = [symbol, *(leg.symbol for leg in legs)]
    held = references.known()
    return any(prices.by_symbol[one].is_held or held[one].hold is not None for one in used)


def alone_limit() -> int:
    """What one person may close alone in a day, base units of the account currency."""
    return to_base_units(settings.DEALER_ALONE_LIMIT, decimals(), NEAREST)


def _alone_lately(by: UUID, at: datetime) -> int:
    """What somebody has ordered alone within a day; what an engine has refused for good closed nothing."""
    mine = DealersAction.objects.filter(
        made_by=by, decided_at__gt=at - WITHIN, state=State.ORDERED, needs_checker=False
    ).exclude(Exists(IdempotentAnswer.objects.filter(customer=OuterRef("customer"), key=_ITS_KEY, status__gte=400)))
    return int(mine.aggregate(all=Sum("worth"))["all"] or 0)


def _waits(wanted: Wanted) -> bool:
    waiting = Order.objects.filter(customer=wanted.customer_id, code=wanted.order_code, status=OrderStatus.PENDING)
    return waiting.exists()


def _prices() -> Prices | None:
    try:
        return markets.latest()
    except redis.RedisError:
        return None


def _decided(action: DealersAction, state: DealersAction.State, checker: UUID | None, at: datetime) -> DealersAction:
    action.state, action.checked_by_id, action.decided_at = state, checker, at
    action.save(update_fields=["state", "checked_by", "decided_at"])
    return action


def _undecided(action_id: UUID) -> DealersAction:
    return undecided(DealersAction, action_id, missing=ActionNotFound, decided=ActionDecided, called="action")
