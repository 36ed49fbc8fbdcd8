"""The movements of one trade's storing step. Pure: what is debited, what is credited, under which key.

On a buy the customer delivers counter (cost and fee) and receives base; on a sell they deliver base and
receive counter, out of which the fee was taken. What is received waits in `settling` until the batch
completes. An exit delivers from `settling` what its original left there, then from `available`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from accounts.ledger import AVAILABLE, FEES, LIQUIDITY, SETTLING, Account, Locked, customers, house
from accounts.ledger_copy import Posting
from trades.models import Trade

DELIVER, RECEIVE, FEE = "trade_deliver", "trade_receive", "trade_fee"
BUY: Final[str] = Trade.Side.BUY.value

A = TypeVar("A")
B = TypeVar("B")


class TradeTerms(NamedTuple):
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
    def buys(self) -> bool:
        return self.side == BUY


class Places(NamedTuple, Generic[A]):
    """Every account that the storing step of a trade may touch; the same for all trades of a customer and pair.

    Also where the received asset will become available: opened now, it shows the customer what is settling.
    """

    available: A  # of the delivered asset
    settling: A  # of the received asset
    to_be_available: A  # of the received asset
    taker: A  # the house's liquidity in the delivered asset
    giver: A  # the house's liquidity in the received asset
    fees: A
    freed: A | None  # exits only: of the delivered asset, in settling, where the original left it

    def each(self, find: Callable[[A], B]) -> Places[B]:
        """The same places, each in the form that `find` gives."""
        return Places(
            find(self.available),
            find(self.settling),
            find(self.to_be_available),
            find(self.taker),
            find(self.giver),
            find(self.fees),
            None if self.freed is None else find(self.freed),
        )


def places_of(terms: TradeTerms, *, is_exit: bool) -> Places[Account]:
    owner, receives, delivers = terms.customer_id, terms.receive_asset, terms.deliver_asset
    return Places(
        available=customers(owner, delivers, AVAILABLE),
        settling=customers(owner, receives, SETTLING),
        to_be_available=customers(owner, receives, AVAILABLE),
        taker=house(owner, delivers, LIQUIDITY),
        giver=house(owner, receives, LIQUIDITY),
        fees=house(owner, delivers if terms.buys else receives, FEES),
        freed=customers(owner, delivers, SETTLING) if is_exit else None,
    )


def postings_of(terms: TradeTerms, places: Places[Locked], taken_from_settling: int) -> Iterator[Posting]:
    """The movements that take a trade from storing to settling; at most five, each above zero."""
    trade, customer, name = terms.id, terms.customer_id, f"trade:{terms.id.hex}"
    for debit, credit, amount, kind in _moves(terms, places, taken_from_settling):
        key = f"{name}:{debit.account.type}:{credit.account.type}"
        yield Posting(debit, credit, amount, kind, key, customer, trade)


def _moves(
    terms: TradeTerms, places: Places[Locked], taken_from_settling: int
) -> Iterator[tuple[Locked, Locked, int, str]]:
    """Debit, credit, amount and kind."""
    buys = terms.buys
    sources = [(places.available, terms.deliver_amount - taken_from_settling)]
    if places.freed is not None:
        sources.insert(0, (places.freed, taken_from_settling))
    sinks = [(places.taker, DELIVER, terms.deliver_amount - (terms.fee if buys else 0))]
    if buys:
        sinks.append((places.fees, FEE, terms.fee))
    yield from _paired(sources, sinks)
    yield places.giver, places.settling, terms.receive_amount, RECEIVE
    if not buys and terms.fee:
        yield places.giver, places.fees, terms.fee, FEE


def _paired(
    sources: list[tuple[Locked, int]], sinks: list[tuple[Locked, str, int]]
) -> Iterator[tuple[Locked, Locked, int, str]]:
    """Pour the sources, in order, into the sinks, in order; both sum to the same."""
    for debit, left in sources:
        for turn, (credit, kind, room) in enumerate(sinks):
            if amount := min(left, room):
                yield debit, credit, amount, kind
                left -= amount
                sinks[turn] = (credit, kind, room - amount)
