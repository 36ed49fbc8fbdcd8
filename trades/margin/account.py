"""A customer's margin account in memory, as one tick changes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from accounts.ledger import Locked
from trades.margin import pricing
from trades.margin.rows import CustomerRow, Loss, Noted, OrderRow
from trades.margin.sides import Sides


@dataclass(slots=True)
class AccountState:
    """A customer's money as the tick goes on; the rows follow when it is stored. Base units of the account currency.

    `free` and `reserved` are what its two ledger accounts hold; only `Session.move` changes them, through `moved`.
    `reserved` is the open orders' margins less `hedged`, what positions against each other need not reserve, and less
    `drawn`, what losses have consumed of them. `free` may be negative while a command is being decided, never after it.
    `owed` is what the house has advanced, `earned` what this command's closings have brought to repay it (see
    `advances`). `swap_carried` is what closed orders' swap has left below a base unit.
    """

    customer_id: UUID
    customer: CustomerRow
    available_row: Locked
    margin_row: Locked
    profit_row: Locked  # the house's, of the customer's partition
    drawn: int
    called_at: datetime | None
    owed: int = 0
    owed_at: datetime | None = None  # of the latest advance; None exactly while nothing is owed
    earned: int = 0
    loss: Loss | None = None  # of all its open positions at the tick's prices, once it was asked for
    swap_carried: Decimal = pricing.NOTHING
    hedged: int = 0
    sides: dict[str, Sides] | None = None  # margins that hedge, by symbol, once they were asked for (see `hedging`)
    live: dict[UUID, OrderRow] | None = None  # every open and pending order by id, once all were read
    _free: int = field(init=False)
    _reserved: int = field(init=False)

    def __post_init__(self) -> None:
        self._free, self._reserved = self.available_row.balance, self.margin_row.balance

    def moved(self, row: Locked, amount: int) -> None:
        """Money has come to a ledger account (or, negative, has gone): where it is one of these two, it counts."""
        if row is self.available_row:
            self._free += amount
        elif row is self.margin_row:
            self._reserved += amount

    @property
    def currency(self) -> str:
        """The asset that its ledger accounts hold."""
        return self.margin_row.account.asset

    @property
    def free(self) -> int:
        return self._free

    @property
    def reserved(self) -> int:
        return self._reserved

    @property
    def cash(self) -> int:
        return self._free + self._reserved

    @property
    def balance(self) -> int:
        """What the account is worth without its positions."""
        return self.cash - self.owed

    @property
    def noted(self) -> Noted:
        """What its row of notes has to say."""
        return self.called_at, self.drawn, self.owed, self.owed_at, self.swap_carried, self.hedged

    @property
    def due(self) -> int:
        """What has to be repaid of an advance after this command."""
        return min(self.owed, self.earned)
