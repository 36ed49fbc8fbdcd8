"""What a payment moves in the ledger: held, given back, moved outside, credited, or moved to another customer.

Callers have its row locked. All accounts are locked at once, in the ledger's order, before the first movement.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from accounts import ledger
from accounts.errors import KeyReused
from accounts.identity import Actor
from accounts.ledger import Account, Locked, Movement
from accounts.services import funding
from trades.models import Payment
from trades.spendable import beyond


def hold(payment: Payment, at: datetime) -> bool:
    """Take what leaves out of what can be spent; False, and nothing is moved, where that is less.

    The transaction must be committed soon after. Raises redis.RedisError where positions are open and no price can be
    read, clock.TooLate.
    """
    available, leaving = _own(payment, ledger.AVAILABLE), _own(payment, ledger.LEAVING)
    balances = ledger.lock([available, leaving])
    amount = int(payment.deliver_amount)
    if not _covers(balances[available], amount):
        return False
    ledger.post([_movement(payment, "payment_held", available, leaving, amount, "held", at)], balances=balances)
    return True


def give_back(payment: Payment, at: datetime) -> None:
    """Undo `hold`."""
    available, leaving = _own(payment, ledger.AVAILABLE), _own(payment, ledger.LEAVING)
    amount = int(payment.deliver_amount)
    ledger.post([_movement(payment, "payment_given_back", leaving, available, amount, "given_back", at)])


def book(payment: Payment, at: datetime) -> bool:
    """Move it to the other customer; False, and nothing is moved, where it can't be spent.

    Each customer has a movement of their own, and what lies between them passes through the house: so a customer's
    movements touch no account of somebody else's. All accounts are locked at once, whoever sends to whom.
    The transaction must be committed soon after. Raises what `hold` does.
    """
    assert payment.destination_id is not None  # as it is a book transfer, by constraint
    available = _own(payment, ledger.AVAILABLE)
    theirs = ledger.customers(payment.destination_id, payment.asset_id, ledger.AVAILABLE)
    here, there = (
        ledger.house(customer, payment.asset_id, ledger.BETWEEN)
        for customer in (payment.customer_id, payment.destination_id)
    )
    fees = ledger.house(payment.customer_id, payment.asset_id, ledger.FEES)
    balances = ledger.lock([available, theirs, here, there, *([fees] if payment.fee else ())])
    if not _covers(balances[available], int(payment.deliver_amount)):
        return False
    amount = int(payment.receive_amount)
    sent = _movement(payment, "payment_sent", available, here, amount, "sent", at)
    received = _movement(payment, "payment_received", there, theirs, amount, "received", at)
    movements = [sent, replace(received, customer_id=payment.destination_id)]
    if payment.fee:
        movements.append(_movement(payment, "payment_fee", available, fees, int(payment.fee), "fee", at))
    ledger.post(movements, balances=balances)
    return True


def _covers(available: Locked, amount: int) -> bool:
    """Whether a locked available account can spend so much."""
    left = replace(available, debits=available.debits + amount)
    return left.balance >= 0 and not beyond([left])


def move_outside(payment: Payment, reference: str, by: Actor | str, at: datetime, reason: str = "") -> None:
    """Book that the money came in, or went out, under the outside's reference; the fee goes to the firm.

    Raises KeyReused for a reference that names another movement, of whomever.
    """
    outside = ledger.house(payment.customer_id, payment.asset_id, ledger.EXTERNAL)
    fees = ledger.house(payment.customer_id, payment.asset_id, ledger.FEES)
    own = _own(payment, ledger.LEAVING if payment.leaves else ledger.AVAILABLE)
    ledger.lock([outside, fees, own])
    kind, debit, credit, amount = (
        (funding.WITHDRAWAL, own, outside, payment.receive_amount)
        if payment.leaves
        else (funding.DEPOSIT, outside, own, payment.deliver_amount)
    )
    is_new = funding.move(
        kind,
        debit,
        credit,
        int(amount),
        reference,
        at,
        by,
        customer_id=payment.customer_id,
        reason=reason,
        subject=payment.pk,
    )
    if not is_new:
        raise KeyReused(f"The reference {reference} names another movement.")
    if payment.fee:
        ledger.post([_movement(payment, "payment_fee", own, fees, int(payment.fee), "fee", at)])


def _own(payment: Payment, type_: str) -> Account:
    return ledger.customers(payment.customer_id, payment.asset_id, type_)


def _movement(
    payment: Payment, kind: str, debit: Account, credit: Account, amount: int, what: str, at: datetime
) -> Movement:
    key = f"payment:{payment.pk.hex}:{what}"
    return Movement(debit, credit, amount, kind, key, payment.customer_id, payment.pk, at)
