"""Members of staff, and what they do. Two of them: the maker proposes, the checker decides."""

from __future__ import annotations

import itertools
from typing import Any

from django.utils import timezone

from accounts.identity import Actor
from accounts.models import Break, LedgerAccount, Transfer, User
from tests.given import a_cut, settles
from tests.roles import as_the_owner
from trades.corrections import batch_reversal, decide
from trades.models import Correction, SettlementBatch, SettlementLeg
from trades.settlement.legs import settle_leg

_counter = itertools.count(1)


def a_member_of_staff(name: str = "maker") -> User:
    """By the owner: the application makes staff by two Administrators alone."""
    with as_the_owner():
        return User.objects.create_user(f"{name}-{next(_counter)}@firm.example", is_staff=True, is_superuser=True)


def somebody() -> Actor:
    """Somebody else of the staff, each time."""
    return Actor(user_id=a_member_of_staff().pk)


def applies(proposed: Correction) -> Correction:
    """Another one applies it, to its end."""
    decide.apply(proposed.pk, by=somebody(), at=timezone.now())
    return carried_on(proposed)


def carried_on(correction: Correction) -> Correction:
    """Somebody carries it on, as far as that goes just now."""
    for _ in batch_reversal.carry_on(correction.pk, clock=timezone.now):
        pass
    return Correction.objects.get(pk=correction.pk)


def why(**more: Any) -> dict[str, Any]:
    """What every proposal says."""
    return {"reason": "the price was wrong", "by": somebody(), "at": timezone.now(), **more}


def a_completed_batch() -> SettlementBatch:
    """Everything that is settling, settled."""
    batch = settles(a_cut())
    assert batch.state == "completed"
    return batch


def the_leg(batch: SettlementBatch, asset: str) -> SettlementLeg:
    return SettlementLeg.objects.get(batch=batch, asset=asset)


def a_break(batch: SettlementBatch, asset: str, *, missing: int) -> Break:
    """The batch's incoming leg, settled with less than expected (or more: a negative number)."""
    leg = the_leg(batch, asset)
    actual = int(leg.expected) - missing
    settle_leg(leg.pk, actual=actual, reference=f"wire-9 {leg.pk.hex}", by=somebody(), at=timezone.now(), final=True)
    return Break.objects.get(subject=leg.pk, state="open")


def all_balances() -> dict[tuple[Any, ...], int]:
    """Every account that isn't empty, customers' and the house's."""
    return {
        (account.customer_id, account.bucket, account.asset_id, account.type): account.balance
        for account in LedgerAccount.objects.all()
        if account.balance
    }


def movements_of(correction: Correction) -> list[tuple[str, str, str, int, str]]:
    """Kind, debited and credited type, amount and asset, smallest key first."""
    return [
        (t.kind, t.debit_account.type, t.credit_account.type, int(t.amount), t.asset_id)
        for t in Transfer.objects.filter(subject=correction.pk)
        .select_related("debit_account", "credit_account")
        .order_by("key")
    ]
