"""Money comes in and goes out, each movement under the outside's own reference: the same one twice moves money once.

A reference is used once in the whole firm, whoever the money was for. Who moved it, why and by which reference stands
in a row beside the transfer, written with it.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Q, Sum

from accounts import conflicts, ledger
from accounts.errors import InsufficientFunds, KeyReused, Malformed, UnknownAsset
from accounts.identity import Actor
from accounts.ledger import Account, Movement
from accounts.models import Asset, Customer, Funding, LedgerAccount, Transfer
from accounts.money import MAX_POSTING, exact, from_base_units, parse_decimal, printed, why_not_kept

log = logging.getLogger(__name__)

LONGEST_REFERENCE: Final = 128
LONGEST_REASON: Final = 500
DEPOSIT: Final = "deposit"
WITHDRAWAL: Final = "withdrawal"
CAPITAL_IN: Final = "capital_in"
PROFIT_OUT: Final = "profit_out"
FEES_OUT: Final = "fees_out"
_FIRMS: Final = {
    CAPITAL_IN: (ledger.EXTERNAL, ledger.CAPITAL),
    PROFIT_OUT: (ledger.PROFIT, ledger.EXTERNAL),
    FEES_OUT: (ledger.FEES, ledger.EXTERNAL),
}


def deposit(
    customer: Customer,
    asset: str,
    amount: int,
    key: str,
    at: datetime,
    by: Actor | str,
    *,
    reason: str = "",
    subject: UUID | None = None,
) -> bool:
    """Credit `amount` base units that arrived from outside; False when this very deposit was made before.

    `key` is the outside's own reference, `by` who says so, or from where where nobody is named, `subject` the
    correction that it belongs to, if to one. Raises Malformed, UnknownAsset, and KeyReused for a reference that names
    another movement, of whichever customer.
    """
    outside = ledger.house(customer.pk, asset, ledger.EXTERNAL)
    own = ledger.customers(customer.pk, asset, ledger.AVAILABLE)
    return move(DEPOSIT, outside, own, amount, key, at, by, customer_id=customer.pk, reason=reason, subject=subject)


def withdraw(
    customer: Customer,
    asset: str,
    amount: int,
    key: str,
    at: datetime,
    by: Actor | str,
    *,
    reason: str = "",
    subject: UUID | None = None,
) -> bool:
    """Pay `amount` base units out of the available balance; False when this very withdrawal was made before.

    Raises InsufficientFunds, and what `deposit` raises.
    """
    outside = ledger.house(customer.pk, asset, ledger.EXTERNAL)
    own = ledger.customers(customer.pk, asset, ledger.AVAILABLE)
    return move(WITHDRAWAL, own, outside, amount, key, at, by, customer_id=customer.pk, reason=reason, subject=subject)


@conflicts.atomic
def move(
    kind: str,
    debit: Account,
    credit: Account,
    amount: int,
    reference: str,
    at: datetime,
    by: Actor | str,
    *,
    customer_id: UUID | None,
    reason: str,
    subject: UUID | None,
) -> bool:
    """Move money between an account of ours and the outside, and write down who did it; False when it was done before.

    Raises InsufficientFunds, and what `deposit` raises.
    """
    _asset(debit.asset)
    if not 0 < amount <= MAX_POSTING:
        raise Malformed("The amount must be above zero, and not above what can be stored.")
    refuse_reference(reference)
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise Malformed(f"A reason has at most {LONGEST_REASON} characters on one line.")
    movement = Movement(debit, credit, amount, kind, f"{kind}:{reference}", customer_id, subject, at)
    is_new = ledger.post([movement]) == 1
    if is_new:
        _note(movement, reference, reason, by)
    transaction.on_commit(lambda: log.info("%s %s by %s, new %s", movement.key, movement.amount, by, is_new))
    return is_new


def refuse_reference(reference: str) -> None:
    """Raises Malformed for what names nothing, as an empty one, or two things that look the same."""
    is_plain = reference.isascii() and reference.isprintable() and reference == reference.strip()
    if not 0 < len(reference) <= LONGEST_REFERENCE or not is_plain:
        raise Malformed(
            f"A reference has 1 to {LONGEST_REFERENCE} plain characters (ASCII), without blanks around them; it is the"
            " bank's or the provider's own name of the movement."
        )


def _note(movement: Movement, reference: str, reason: str, by: Actor | str) -> None:
    """Who moved it. A second movement by this reference waits here for the first one's end, and is refused."""
    written = Transfer.objects.values_list("pk", flat=True)
    mine = Q(customer__isnull=True) if movement.customer_id is None else Q(customer_id=movement.customer_id)
    transfer_id = written.get(mine, key=movement.key)
    actor, made_from = (by, "") if isinstance(by, Actor) else (Actor(), by)
    try:
        with transaction.atomic():
            Funding.objects.create(
                transfer_id=transfer_id,
                reference=reference,
                reason=reason,
                made_by_id=actor.user_id,
                made_by_client_id=actor.client_id,
                made_from=made_from,
                at=movement.at,
            )
    except IntegrityError:
        if Funding.objects.filter(reference=reference).exists():
            raise KeyReused(f"The reference {reference} names another movement.") from None
        raise


@conflicts.atomic
def move_firms_own(
    kind: str, asset: str, amount: int, reference: str, at: datetime, by: Actor, *, reason: str, subject: UUID
) -> bool:
    """Book the firm's own money: its owners' that came in, or earned profit or fees that went to its account outside.

    What all buckets together have earned can be paid out, and no more: two who pay out at once take turns at the
    firm's row. Raises InsufficientFunds, and what `deposit` raises.
    """
    origin, goal = _FIRMS[kind]
    debit, credit = ledger.firm(asset, origin), ledger.firm(asset, goal)
    is_new = move(kind, debit, credit, amount, reference, at, by, customer_id=None, reason=reason, subject=subject)
    if is_new and goal == ledger.EXTERNAL:
        rows = LedgerAccount.objects.filter(customer=None, asset=asset, type=origin)
        left = rows.aggregate(left=Sum(F("credits") - F("debits")))["left"]
        if left < 0:
            raise InsufficientFunds(f"The firm has less than that in its {origin} of {asset}.")
    return is_new


def base_units(asset_code: str, text: str, *, may_be_zero: bool = False) -> int:
    """An amount as people write it, e.g. ("USD", "10000.00") -> 1000000.

    Raises UnknownAsset, and Malformed for what is no positive number, is finer than a base unit, or more than is
    moved at once.
    """
    asset = _asset(asset_code)
    value = parse_decimal(text)
    if value is None and (why := why_not_kept(text)):
        raise Malformed(f"{text[:64]!r} is not an amount: it {why}.")
    if value is None or value < 0 or (value == 0 and not may_be_zero):
        raise Malformed(f"{text[:64]!r} is not an amount {'of zero or above' if may_be_zero else 'above zero'}.")
    whole, rest = exact(lambda: divmod(value.scaleb(asset.decimals), 1))()
    if rest:
        raise Malformed(f"{text} has more decimals than {asset.code}, which has {asset.decimals}.")
    if whole > MAX_POSTING:
        most = printed(from_base_units(MAX_POSTING, asset.decimals))
        raise Malformed(f"{text} is more than is moved at once, which is {most} {asset.code} at most.")
    return int(whole)


def _asset(code: str) -> Asset:
    asset = Asset.objects.filter(pk=code).first()
    if asset is None:
        raise UnknownAsset(f"There is no asset {code[:10]!r}.")
    return asset
