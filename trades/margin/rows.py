"""The engine's own copies of rows: what it decides on, and what it writes. No rule of the business is in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from accounts.states import ClientClass
from quotes.conversion import ONE, Rate
from trades.states import OrderType


@dataclass(slots=True)
class OrderRow:
    """An order's row as the engine works on it. `margin`, `profit`, `swap` and `fee` are base units.

    `realized` and `swap_accrued` are base units, too, but exact: what rounding is cumulative over (see the model).
    `open_multiplier` / `open_divisor` is the rate that its margin was converted at; None where nothing was converted.
    `nets_margin`: its margin and that of positions against it hedge each other (see `hedging`).
    """

    id: UUID
    code: str
    customer_id: UUID
    client_order_id: str | None
    command_id: UUID | None
    parent_id: UUID | None
    instrument_id: str
    side: str
    type: OrderType
    quantity: Decimal
    leverage: int
    margin: int
    price: Decimal | None
    open_price: Decimal | None
    take_profit: Decimal | None
    stop_loss: Decimal | None
    trailing_stop: Decimal | None
    trail_peak: Decimal | None
    trail_at: datetime | None
    status: str
    created_at: datetime
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    close_price: Decimal | None = None
    profit: int | None = None
    swap: int = 0
    fee: int = 0
    close_reason: str = ""
    realized: Decimal = Decimal(0)
    swap_accrued: Decimal = Decimal(0)
    open_multiplier: Decimal | None = None
    open_divisor: Decimal | None = None
    nets_margin: bool = False

    @property
    def opened_rate(self) -> Rate:
        """The rate that its margin was converted at."""
        if self.open_multiplier is None or self.open_divisor is None:
            return ONE
        return Rate(self.open_multiplier, self.open_divisor, "as it opened")

    @property
    def opened_price(self) -> Decimal:
        """The price of an order that has opened; a table constraint holds that there is one."""
        if self.open_price is None:
            raise AssertionError("an open order has an open price")
        return self.open_price


COLUMNS = [field.name for field in fields(OrderRow)]


class DealRow(NamedTuple):
    """`bid` and what follows are of the price it was executed at, `price_age_ms` as of the reading of prices."""

    customer_id: UUID
    order_id: UUID
    command_id: UUID | None
    kind: str
    price: Decimal
    quantity: Decimal
    profit: int
    reason: str
    bid: Decimal
    ask: Decimal
    priced_at: datetime
    price_age_ms: int
    hold: int | None
    sources: str
    rate: Rate = ONE  # that its money was converted at


class EventRow(NamedTuple):
    """`detail` is JSON text."""

    customer_id: UUID
    order_id: UUID | None
    kind: str
    command_id: UUID | None
    detail: str | None


Noted = tuple[datetime | None, int, int, datetime | None, Decimal, int]
"""What is noted about a margin account as a whole: called since, drawn, owed, owed since, swap carried, hedged."""


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """Whether a customer may trade right now, as of this tick, and the note about the margin account."""

    user_id: UUID | None
    is_active: bool  # also where there is no login that could be disabled
    may_open: bool
    called_at: datetime | None
    drawn: int
    owed: int
    owed_at: datetime | None
    swap_carried: Decimal
    hedged: int = 0
    generation: int = 0  # of the user's sessions
    client_class: str = ClientClass.RETAIL
    ended: Sequence[UUID] = ()  # of the sessions in which this tick was asked, those that ended by themselves
    limits: UUID | None = None  # the version of the firm's limits, the same in all rows of a tick; None: there are none

    @property
    def noted(self) -> Noted:
        return self.called_at, self.drawn, self.owed, self.owed_at, self.swap_carried, self.hedged


@dataclass(frozen=True, slots=True)
class ClientRow:
    """An API client as of this tick."""

    is_active: bool
    generation: int
    scopes: Sequence[str]


@dataclass(frozen=True, slots=True)
class OrderedRow:
    """A dealer's action that was ordered, as of this tick: by whom it was made, and what it is about."""

    made_by: UUID
    kind: str
    customer_id: UUID | None
    symbol: str | None
    order_code: str
    made_at: datetime
    ordered_at: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer that was given under an Idempotency-Key."""

    request_sha256: str
    command_id: UUID
    status: int
    body: str


@dataclass(slots=True)
class Loss:
    """What a customer's open positions have lost, exactly; `unpriced` is the symbol of one without any price.
    `positions`: how many there are."""

    exactly: Decimal
    unpriced: str | None = None
    positions: int = 0
