"""What a decision would move: the decision itself, made in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import OperationalError, connection, transaction

from accounts import clock
from accounts.errors import Refusal
from accounts.ids import ID_LAG, floor_of
from accounts.models import LedgerAccount, Transfer

MOST: Final = 50
_WAIT: Final = "2s"  # for rows that somebody else is changing: whoever only looks gives way
_HELD: Final = "Somebody else is changing the same accounts just now: open this again."


@dataclass(frozen=True, slots=True)
class Balance:
    """An account, and what it would say before and after, in base units."""

    account: LedgerAccount
    before: int
    after: int


@dataclass(slots=True)
class Foreseen:
    """The movements that would be made, of very many the first MOST; the balances that they touch; or the refusal."""

    movements: list[Transfer] = field(default_factory=list)
    balances: list[Balance] = field(default_factory=list)
    refusal: str = ""


class _Undone(Exception):
    pass


def foresee(decide: Callable[[], object], *, subject: UUID, at: datetime) -> Foreseen:
    """Decide, look what that moved about `subject`, and take it back: nothing stays, nobody is told.

    The locks are those of the decision, for as long as it takes. What a commit alone would refuse isn't found.
    """
    found = Foreseen()
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [_WAIT])
            decide()
            _look(found, subject, at)
            raise _Undone
    except _Undone:
        pass
    except Refusal as refusal:
        found.refusal = refusal.text
    except OperationalError:
        found.refusal = _HELD
    return found


def _look(found: Foreseen, subject: UUID, at: datetime) -> None:
    since = floor_of(clock.real_of(at) - ID_LAG)  # no index names a transfer's subject
    made = Transfer.objects.filter(pk__gte=since, subject=subject).order_by("pk")
    found.movements = list(made.select_related("asset", "debit_account", "credit_account")[:MOST])
    moved: dict[UUID, int] = {}
    for debit, credit, amount in made.values_list("debit_account_id", "credit_account_id", "amount"):
        moved[debit] = moved.get(debit, 0) - int(amount)
        moved[credit] = moved.get(credit, 0) + int(amount)
    accounts = LedgerAccount.objects.select_related("asset", "customer").filter(pk__in=list(moved)[: 2 * MOST])
    found.balances = [
        Balance(account, account.balance - moved[account.pk], account.balance)
        for account in accounts.order_by("customer_id", "asset_id", "type", "pk")
    ]
