"""How much may be open: a limit is set and lowered by one person at once, and raised or taken away by two.

What is raised is proposed as a control that is to be switched off (`trades/controls.py`). Each change waits for the
ticks that run, and the next ones see it.
"""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from accounts import conflicts, selectors
from accounts.errors import Conflict, Malformed, NotFound, Refusal
from accounts.models import Customer
from quotes.symbols import canonical
from trades.models import RiskLimit

Kind = RiskLimit.Kind

_WHOLE: Final = re.compile("[0-9]{1,16}")
HIGHEST: Final = 10**15  # whole units of the account currency
_WHAT_IT_IS: Final = f"A limit is a whole number from 0 to {HIGHEST}, in units of the account currency."
_CHANGE: Final = re.compile(r"(\d{1,16}) to (\d{1,16}|none)", re.ASCII)


class LimitNotFound(NotFound):
    sentence = "There is no such limit."


class LimitExists(Conflict):
    sentence = "Somebody has just set this limit: look at it again."


class LimitMoved(Refusal):
    """Not any more what it was when this was proposed."""

    code = "limit_moved"
    sentence = "The limit was changed since this was proposed: refuse it, and propose it anew."


class LimitIsLower(Refusal):
    code = "limit_is_lower"
    sentence = "That raises a limit, which takes two persons: propose it on its page."


def limits() -> QuerySet[RiskLimit]:
    """All that were ever set, by kind; those that are none any more have no amount."""
    return RiskLimit.objects.select_related("customer__user", "instrument").order_by("kind", "pk")


def whole(text: str) -> int:
    """An amount as a person types it: digits and nothing else, so "10.000" and "1_0" are no 10. Raises Malformed."""
    if not _WHOLE.fullmatch(text):
        raise Malformed(_WHAT_IT_IS)
    return int(text)


@conflicts.atomic
def put(kind: str, amount: int, *, of: str = "") -> RiskLimit:
    """Set a limit, or lower the one there is. `amount`: whole units of the account currency; `of`: a customer's guid or
    e-mail address, or a symbol; empty: of each.

    Raises Malformed, CustomerNotFound, LimitIsLower, LimitExists.
    """
    if kind not in Kind.values:
        raise Malformed(f"A limit is one of {', '.join(Kind.values)}.")
    _must_be_an_amount(amount)
    customer, symbol = _subject(kind, of.strip())
    found = RiskLimit.objects.select_for_update(no_key=True).filter(kind=kind, customer=customer, instrument=symbol)
    limit = found.first()
    if limit is None:
        try:
            with transaction.atomic():
                return RiskLimit.objects.create(kind=kind, customer=customer, instrument_id=symbol, amount=amount)
        except IntegrityError:
            raise LimitExists from None
    if limit.amount is not None and amount > limit.amount:
        raise LimitIsLower
    return _written(limit, amount)


@conflicts.atomic
def lower(limit_id: UUID, amount: int) -> RiskLimit:
    """Lower a limit, or set one anew that is none any more. Raises Malformed, LimitNotFound, LimitIsLower."""
    _must_be_an_amount(amount)
    limit = RiskLimit.objects.select_for_update(no_key=True).filter(pk=limit_id).first()
    if limit is None:
        raise LimitNotFound
    if limit.amount is not None and amount > limit.amount:
        raise LimitIsLower
    return _written(limit, amount)


def raising(limit_id: UUID, amount: int | None) -> str:
    """What is to be proposed (`controls.propose`) so that a limit becomes this, or none. Raises LimitNotFound,
    Malformed where that raises nothing."""
    limit = RiskLimit.objects.filter(pk=limit_id).first()
    if limit is None:
        raise LimitNotFound
    if amount is not None:
        _must_be_an_amount(amount)
    if limit.amount is None or (amount is not None and amount <= limit.amount):
        raise Malformed("That doesn't raise the limit: whoever may, sets it alone.")
    return f"{limit.amount} to {'none' if amount is None else amount}"


def raises(limit_id: UUID, change: str) -> bool:
    """Whether a change, as `raising` has it, raises this limit as it is now."""
    return _parsed(limit_id, change) is not None


def carry_out(limit_id: UUID, change: str) -> None:
    """Raise a limit, in the transaction in which its proposal becomes applied. Raises LimitMoved."""
    found = _parsed(limit_id, change)
    if found is None:
        raise LimitMoved
    was, becomes = found
    if not RiskLimit.objects.filter(pk=limit_id, amount=was).update(amount=becomes):
        raise LimitMoved


def _parsed(limit_id: UUID, change: str) -> tuple[int, int | None] | None:
    match = _CHANGE.fullmatch(change)
    if match is None or not RiskLimit.objects.filter(pk=limit_id, amount=int(match[1])).exists():
        return None
    was, becomes = int(match[1]), None if match[2] == "none" else int(match[2])
    return None if becomes is not None and not was < becomes <= HIGHEST else (was, becomes)


def _written(limit: RiskLimit, amount: int) -> RiskLimit:
    limit.amount = amount
    limit.save(update_fields=["amount"])  # also where it stays: what is open is then counted anew
    return limit


def _must_be_an_amount(amount: int) -> None:
    if not 0 <= amount <= HIGHEST:
        raise Malformed(_WHAT_IT_IS)


def _subject(kind: str, of: str) -> tuple[Customer | None, str | None]:
    if not of:
        return None, None
    if kind == Kind.CUSTOMER:
        return selectors.customer_named(of), None
    if kind in (Kind.FIRM, Kind.FIRM_NET):
        raise Malformed("There is one firm: a limit of it is of nothing else.")
    symbol = canonical(of)
    if symbol is None:
        raise Malformed(f"There is no symbol {of!r}.")
    return None, symbol
