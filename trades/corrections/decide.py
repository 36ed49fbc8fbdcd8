"""A second person decides: what was proposed is applied, once and whole, or rejected.

One transaction, in the one lock order: the correction, the batch or payment, legs and breaks, then ledger accounts. The
correction's row decides between two checkers; constraints refuse its maker, and triggers refuse a second decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from accounts import conflicts, ledger
from accounts.errors import ActorRequired, KeyReused
from accounts.identity import SYSTEM, Actor
from accounts.models import Break, Customer
from accounts.services import breaks
from accounts.services.funding import move_firms_own
from accounts.services.proposals import undecided
from trades import funding
from trades.corrections import batch_reversal, money
from trades.corrections.errors import AlreadyDecided, CorrectionNotFound
from trades.corrections.payment_return import carry_out_return
from trades.corrections.reversal import reverse_trade
from trades.errors import MakerIsChecker
from trades.models import Correction, SettlementLeg
from trades.settlement.legs import reopen_leg
from trades.settlement.settle import CHUNK
from trades.spendable import refuse_beyond
from trades.states import CorrectionState


@conflicts.atomic
def apply(correction_id: UUID, *, by: Actor, at: datetime, chunk: int = CHUNK) -> Correction:
    """Carry a proposal out, all of it or nothing; `by` is the checker.

    A batch's reversal is only begun and comes back `applying`: `batch_reversal.carry_on` does it, in slices of about
    `chunk` trades.

    Raises ActorRequired, CorrectionNotFound, AlreadyDecided, MakerIsChecker, and whatever the world has become
    meanwhile: AlreadyReversed, InsufficientFunds, CannotPayBack, LegStateForbids, BreakResolved, …
    """
    correction = _undecided(correction_id, by)
    if _is_maker(correction, by):
        raise MakerIsChecker("Whoever proposed a correction can't apply it.")
    if correction.kind == Correction.Kind.REVERSE_BATCH:
        correction.movements_count = batch_reversal.begin(correction, at, chunk)
        return _decided(correction, CorrectionState.APPLYING, by, at)
    return carry_out(correction, checker=by, at=at)


@conflicts.atomic
def reject(correction_id: UUID, *, by: Actor, at: datetime) -> Correction:
    """Decide against a proposal; its maker does so by withdrawing it, which takes no checker.

    Raises ActorRequired, CorrectionNotFound, AlreadyDecided.
    """
    correction = _undecided(correction_id, by)
    return _decided(correction, CorrectionState.REJECTED, SYSTEM if _is_maker(correction, by) else by, at)


def carry_out(correction: Correction, *, checker: Actor, at: datetime) -> Correction:
    """Make the movements of a correction that may be applied, inside the caller's transaction."""
    correction.movements_count = _CARRY[correction.kind](correction, at)
    return _decided(correction, CorrectionState.APPLIED, checker, at)


def _decided(correction: Correction, state: CorrectionState, checker: Actor, at: datetime) -> Correction:
    correction.state, correction.decided_at, correction.updated_at = state, at, at
    correction.checked_by_id, correction.checked_by_client_id = checker.user_id, checker.client_id
    correction.save(update_fields=_WRITTEN)
    return correction


_WRITTEN: Final = (
    *("state", "decided_at", "updated_at", "checked_by", "checked_by_client", "movements_count"),
    *("trades_count", "slice_ends"),
)


def _undecided(correction_id: UUID, by: Actor) -> Correction:
    if by.is_system:
        raise ActorRequired
    return undecided(Correction, correction_id, missing=CorrectionNotFound, decided=AlreadyDecided, called="correction")


def _is_maker(correction: Correction, by: Actor) -> bool:
    return (by.user_id is not None and by.user_id == correction.made_by_id) or (
        by.client_id is not None and by.client_id == correction.made_by_client_id
    )


def _reverse_leg(correction: Correction, at: datetime) -> int:
    assert correction.subject is not None  # by constraint, as for every kind but an adjustment
    return reopen_leg(correction.subject, subject=correction.pk, at=at)


def _adjust(correction: Correction, at: datetime) -> int:
    movement = money.adjustment(correction, at)
    moved = ledger.post([movement], savepoint=False)
    if correction.direction == Correction.Direction.DEBIT:
        refuse_beyond(list(ledger.lock([movement.debit]).values()))
    return moved


def _fund(correction: Correction, at: datetime) -> int:
    assert correction.customer_id is not None  # by constraint
    customer = Customer.objects.get(pk=correction.customer_id)
    asset, amount, maker = _terms(correction)
    says: dict[str, Any] = {"reason": correction.reason, "subject": correction.pk}
    move = funding.deposit if correction.kind == Correction.Kind.DEPOSIT else funding.withdraw
    is_by_two = correction.needs_checker
    is_new = move(customer, asset, amount, correction.reference, at, maker, is_by_two=is_by_two, **says)
    return _counted(correction, is_new=is_new)


def _move_firms_own(correction: Correction, at: datetime) -> int:
    asset, amount, maker = _terms(correction)
    is_new = move_firms_own(
        correction.kind,
        asset,
        amount,
        correction.reference,
        at,
        maker,
        reason=correction.reason,
        subject=correction.pk,
    )
    return _counted(correction, is_new=is_new)


def _terms(correction: Correction) -> tuple[str, int, Actor]:
    """What and how much, by constraint, and who did it: the maker. The checker stands in the correction."""
    assert correction.asset_id is not None
    assert correction.amount is not None
    maker = Actor(correction.made_by_id, correction.made_by_client_id)
    return correction.asset_id, int(correction.amount), maker


def _counted(correction: Correction, *, is_new: bool) -> int:
    """One movement. Raises KeyReused where its reference was used since it was proposed."""
    if not is_new:
        raise KeyReused(f"The reference {correction.reference} names a movement that was made meanwhile.")
    return 1


def _resolve_break(correction: Correction, at: datetime) -> int:
    assert correction.subject is not None
    leg_id = Break.objects.values_list("subject", flat=True).get(pk=correction.subject)
    assert leg_id is not None
    # The leg first: reversing it resolves its break, too, and locks it first.
    SettlementLeg.objects.select_for_update(no_key=True).get(pk=leg_id)
    found = breaks.open_break(correction.subject, lock=True)
    was_paid = correction.kind == Correction.Kind.BREAK_PAID
    movement = (money.break_paid if was_paid else money.break_written_off)(correction, found, at)
    breaks.resolve(found, f"{'Paid' if was_paid else 'Written off'}: {correction.reason}", at)
    return ledger.post([movement], savepoint=False)


_CARRY: Final[Mapping[str, Callable[[Correction, datetime], int]]] = {
    Correction.Kind.REVERSE_TRADE: reverse_trade,
    Correction.Kind.REVERSE_LEG: _reverse_leg,
    Correction.Kind.ADJUSTMENT: _adjust,
    Correction.Kind.BREAK_PAID: _resolve_break,
    Correction.Kind.BREAK_WRITTEN_OFF: _resolve_break,
    Correction.Kind.DEPOSIT: _fund,
    Correction.Kind.WITHDRAWAL: _fund,
    Correction.Kind.PAYMENT_RETURNED: carry_out_return,
    Correction.Kind.CAPITAL_IN: _move_firms_own,
    Correction.Kind.PROFIT_OUT: _move_firms_own,
    Correction.Kind.FEES_OUT: _move_firms_own,
}
