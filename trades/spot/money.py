"""The movements of one trade's storing step. Pure: what is debited, what is credited, under which key.

On a buy the customer delivers counter (cost and fee) and receives base; on a sell they deliver base and
receive counter, out of which the fee was taken. What is received waits in `settling` until the batch
completes. An exit delivers from `settling` what its original left there, then from `available`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from accounts.ledger import AVAILABLE, FEES, LIQUIDITY, SETTLING, Account, Movement, customers, house
from trades.models import Trade

DELIVER, RECEIVE, FEE = "trade_deliver", "trade_receive", "trade_fee"


class Terms(NamedTuple):
    """What a trade says about money: amounts in base units, `fee` in the counter asset."""

    id: UUID
    customer_id: UUID
    side: str
    receive_asset: str
    deliver_asset: str
    receive_amount: int
    deliver_amount: int
    fee: int

    @property
    def counter_asset(self) -> str:
        return self.deliver_asset if self.side == Trade.Side.BUY else self.receive_asset


def accounts_of(terms: Terms, *, is_exit: bool) -> Iterator[Account]:
    """Every account that the storing step of this trade may touch.

    Also where the received asset will become available: opened now, it shows the customer what is settling.
    """
    owner = terms.customer_id
    yield customers(owner, terms.deliver_asset, AVAILABLE)
    if is_exit:
        yield customers(owner, terms.deliver_asset, SETTLING)
    yield customers(owner, terms.receive_asset, SETTLING)
    yield customers(owner, terms.receive_asset, AVAILABLE)
    yield house(owner, terms.deliver_asset, LIQUIDITY)
    yield house(owner, terms.receive_asset, LIQUIDITY)
    yield house(owner, terms.counter_asset, FEES)


def movements_of(terms: Terms, taken_from_settling: int, at: datetime) -> Iterator[Movement]:
    """The movements that take a trade from storing to settling; at most five, each above zero."""
    owner = terms.customer_id
    buys = terms.side == Trade.Side.BUY
    sources = [
        (customers(owner, terms.deliver_asset, SETTLING), taken_from_settling),
        (customers(owner, terms.deliver_asset, AVAILABLE), terms.deliver_amount - taken_from_settling),
    ]
    sinks = [(house(owner, terms.deliver_asset, LIQUIDITY), terms.deliver_amount - (terms.fee if buys else 0))]
    if buys:
        sinks.append((house(owner, terms.deliver_asset, FEES), terms.fee))
    for debit, credit, amount in _paired(sources, sinks):
        yield _movement(terms, debit, credit, amount, FEE if credit.type == FEES else DELIVER, at)
    provider = house(owner, terms.receive_asset, LIQUIDITY)
    received = customers(owner, terms.receive_asset, SETTLING)
    yield _movement(terms, provider, received, terms.receive_amount, RECEIVE, at)
    if not buys and terms.fee:
        yield _movement(terms, provider, house(owner, terms.receive_asset, FEES), terms.fee, FEE, at)


def _paired(
    sources: list[tuple[Account, int]], sinks: list[tuple[Account, int]]
) -> Iterator[tuple[Account, Account, int]]:
    """Pour the sources, in order, into the sinks, in order; both sum to the same."""
    room = dict(sinks)
    for debit, left in sources:
        for credit in room:
            amount = min(left, room[credit])
            if amount:
                yield debit, credit, amount
                left -= amount
                room[credit] -= amount


def _movement(terms: Terms, debit: Account, credit: Account, amount: int, kind: str, at: datetime) -> Movement:
    return Movement(
        debit=debit,
        credit=credit,
        amount=amount,
        kind=kind,
        key=f"trade:{terms.id.hex}:{debit.type}:{credit.type}",
        customer_id=terms.customer_id,
        subject=terms.id,
        at=at,
    )
